//! What this process costs, and what a process is called.

use std::path::Path;

use crate::facts::parse_kib;

/// Resident memory of this process in bytes.
///
/// # Errors
/// `/proc/self/status` is unreadable or has no `VmRSS`.
pub fn resident_memory() -> std::io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    parse_kib(&status, "VmRSS").ok_or_else(|| std::io::Error::other("no VmRSS in /proc/self/status"))
}

/// Number of open file descriptors of this process.
///
/// # Errors
/// `/proc/self/fd` is unreadable.
pub fn open_files() -> std::io::Result<usize> {
    // The listing holds one descriptor itself.
    Ok(std::fs::read_dir("/proc/self/fd")?.count().saturating_sub(1))
}

/// The command line of a process, cut to what helps a reader; its short name when it has none or it is hidden.
pub(crate) fn command(proc: &Path, pid: u32) -> Option<String> {
    const LONGEST: usize = 120;
    let directory = proc.join(pid.to_string());
    let line = std::fs::read(directory.join("cmdline")).unwrap_or_default();
    let words: Vec<_> =
        line.split(|byte| *byte == 0).filter(|word| !word.is_empty()).map(String::from_utf8_lossy).collect();
    if words.is_empty() {
        return std::fs::read_to_string(directory.join("comm")).ok().map(|name| name.trim().to_owned());
    }
    let mut text = words.join(" ");
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
        text.push('…');
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn this_process_has_memory_files_and_a_name() {
        assert!(resident_memory().unwrap() > 100_000);
        assert!(open_files().unwrap() >= 3);
        assert!(command(Path::new("/proc"), std::process::id()).unwrap().contains("host"));
    }

    #[test]
    fn a_process_without_a_command_line_has_its_short_name() {
        let proc = tempfile::tempdir().unwrap();
        let directory = proc.path().join("7");
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(directory.join("cmdline"), "").unwrap();
        std::fs::write(directory.join("comm"), "kworker/0:1\n").unwrap();
        assert_eq!(command(proc.path(), 7).unwrap(), "kworker/0:1");
        std::fs::write(directory.join("cmdline"), "x\0".repeat(400)).unwrap();
        assert_eq!(command(proc.path(), 7).unwrap().chars().count(), 121);
        assert_eq!(command(proc.path(), 8), None);
    }
}
