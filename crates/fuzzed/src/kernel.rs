//! The kernel's tables: cgroup files of both versions, `/proc/stat`, `/proc/net/dev`.

use host::stats::parse;

/// Every table's reader gets the same text.
pub fn kernel(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (first, second) = text.split_once("\n\n").unwrap_or((text, text));
    drop(parse::processor_v1(first, second));
    drop(parse::processor_v2(text));
    let _ = parse::throttling(text);
    let (_, online) = parse::machine(text);
    assert!(online <= text.lines().count() as u64);
    drop(parse::interfaces(text));
    drop(parse::memory_v2(text));
    for lines in [parse::entries(parse::block_v1(text)), parse::entries(parse::block_v2(text))] {
        let totals =
            parse::block_totals(lines.iter().map(|line| (line.major, line.minor, line.op.as_str(), line.value)));
        let most = lines.iter().map(|line| line.value).max().unwrap_or_default();
        assert!(totals.0 <= most.saturating_mul(lines.len() as u64));
    }
    let pairs = parse::pairs(text).count();
    assert!(pairs <= text.lines().count());
    if let Some((name, value)) = parse::pairs(text).next() {
        assert_eq!(parse::value(text, name), value);
    }
}
