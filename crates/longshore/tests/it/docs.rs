//! What the documents say of the tests is so.

use std::path::{Path, PathBuf};

/// The tests that a line of `docs/parity.md` names: paths such as `agent::cleanup::cleanup` in backticks.
fn named(line: &str) -> impl Iterator<Item = &str> {
    line.split('`')
        .skip(1)
        .step_by(2)
        .filter(|text| ["agent::", "clients::", "local::"].iter().any(|start| text.starts_with(start)))
}

#[test]
fn tests_of_the_parity_table_exist() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let table = std::fs::read_to_string(root.join("../../docs/parity.md")).unwrap();
    let mut count = 0;
    for test in table.lines().flat_map(named) {
        let (module, function) = test.rsplit_once("::").unwrap();
        let file = root.join("tests/it").join(module.replace("::", "/")).with_extension("rs");
        assert!(has_test(&file, function), "docs/parity.md names {test}, which is not in {}", file.display());
        count += 1;
    }
    assert!(count > 20, "the table was not read: {count} tests");
}

fn has_test(file: &Path, function: &str) -> bool {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.contains(&format!("#[test]\nfn {function}("))
}
