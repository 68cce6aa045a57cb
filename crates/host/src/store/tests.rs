#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::os::unix::fs::PermissionsExt;

use super::*;

fn put(table: &str, key: &str, value: &str) -> Write {
    Write { table: table.to_owned(), key: key.to_owned(), value: Some(value.to_owned()) }
}

fn delete(table: &str, key: &str) -> Write {
    Write { table: table.to_owned(), key: key.to_owned(), value: None }
}

fn rows(store: &Store) -> Vec<String> {
    store.load_all().unwrap().into_iter().map(|row| format!("{}/{}={}", row.table, row.key, row.value)).collect()
}

struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("data").join("agent.sqlite")
    }

    fn open(&self) -> Opened {
        Store::open(&self.path(), "agent").unwrap()
    }

    fn refused(&self) -> StoreError {
        Store::open(&self.path(), "agent").unwrap_err()
    }

    /// A store with many rows, closed.
    fn filled(&self) {
        let mut store = self.open().store;
        let writes: Vec<_> = (0..500).map(|n| put("tasks", &format!("{n:04}"), &"x".repeat(200))).collect();
        store.commit(&writes).unwrap();
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(self.path().parent().unwrap())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

#[test]
fn commits_survive_reopening() {
    let place = Place::new();
    let mut opened = place.open();
    assert_eq!(opened.set_aside, None);
    opened.store.commit(&[put("tasks", "b", "1"), put("tasks", "a", "2"), put("images", "z", "3")]).unwrap();
    opened.store.commit(&[put("tasks", "b", "4"), delete("tasks", "a"), delete("tasks", "never")]).unwrap();
    opened.store.commit(&[]).unwrap();
    drop(opened);
    assert_eq!(rows(&place.open().store), ["images/z=3", "tasks/b=4"]);
}

#[test]
fn a_commit_without_closing_survives() {
    let place = Place::new();
    let mut opened = place.open();
    opened.store.commit(&[put("tasks", "a", "1")]).unwrap();
    // As after a crash: the files as they are at this moment, journal included.
    let copy = Place::new();
    std::fs::create_dir_all(copy.path().parent().unwrap()).unwrap();
    for suffix in ["", "-wal"] {
        std::fs::copy(beside(&place.path(), suffix), beside(&copy.path(), suffix)).unwrap();
    }
    let reopened = copy.open();
    assert_eq!(reopened.set_aside, None);
    assert_eq!(rows(&reopened.store), ["tasks/a=1"]);
}

#[test]
fn durable_settings_hold() {
    let place = Place::new();
    let store = place.open().store;
    let pragma = |name: &str| -> String {
        store
            .connection
            .query_row(&format!("SELECT CAST({name} AS TEXT) FROM pragma_{name}"), [], |row| row.get(0))
            .unwrap()
    };
    assert_eq!(pragma("journal_mode"), "wal");
    assert_eq!(pragma("synchronous"), "2");
}

#[test]
fn only_the_owner_may_read() {
    let place = Place::new();
    let mut opened = place.open();
    opened.store.commit(&[put("tasks", "a", "1")]).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&place.path()), 0o600);
    assert_eq!(mode(&beside(&place.path(), "-wal")), 0o600);
    assert_eq!(mode(&beside(&place.path(), ".lock")), 0o600);
    assert_eq!(mode(place.path().parent().unwrap()), 0o700);
}

#[test]
fn the_second_opener_is_told_who_holds_it() {
    let place = Place::new();
    let first = place.open();
    let error = place.refused();
    assert!(matches!(error, StoreError::Held { pid: Some(pid), .. } if pid == std::process::id()), "{error}");
    assert!(error.to_string().contains(&format!("in use by process {}", std::process::id())), "{error}");
    drop(first);
    place.open();
}

#[test]
fn a_newer_format_is_refused_and_kept() {
    let place = Place::new();
    place.filled();
    Connection::open(place.path()).unwrap().execute("UPDATE meta SET value = '3' WHERE key = 'format'", []).unwrap();
    let (before, names) = (std::fs::read(place.path()).unwrap(), place.names());
    let error = place.refused();
    assert!(matches!(error, StoreError::Newer { found: 3, known: 2, .. }), "{error}");
    assert_eq!(std::fs::read(place.path()).unwrap(), before);
    assert_eq!(place.names(), names);
}

#[test]
fn an_older_format_is_read_and_refused_by_older_programs_from_then_on() {
    let place = Place::new();
    place.filled();
    let file = Connection::open(place.path()).unwrap();
    file.execute("UPDATE meta SET value = '1' WHERE key = 'format'", []).unwrap();
    assert!(!place.open().store.load_all().unwrap().is_empty());
    let format: String = file.query_row("SELECT value FROM meta WHERE key = 'format'", [], |row| row.get(0)).unwrap();
    assert_eq!(format, "2");
}

#[test]
fn a_refused_file_keeps_its_journal() {
    let place = Place::new();
    let mut store = place.open().store;
    store.commit(&[put("tasks", "a", "1")]).unwrap();
    let copy = Place::new();
    std::fs::create_dir_all(copy.path().parent().unwrap()).unwrap();
    for suffix in ["", "-wal"] {
        std::fs::copy(beside(&place.path(), suffix), beside(&copy.path(), suffix)).unwrap();
    }
    let content = |suffix: &str| std::fs::read(beside(&copy.path(), suffix)).unwrap();
    let (main, journal) = (content(""), content("-wal"));
    let error = Store::open(&copy.path(), "plane").unwrap_err();
    assert!(matches!(&error, StoreError::Foreign { found, .. } if found == "its kind is agent"), "{error}");
    assert!(main == content("") && journal == content("-wal"));
}

#[test]
fn a_foreign_database_is_refused_and_kept() {
    let place = Place::new();
    std::fs::create_dir_all(place.path().parent().unwrap()).unwrap();
    Connection::open(place.path()).unwrap().execute_batch("CREATE TABLE songs (title TEXT)").unwrap();
    let before = std::fs::read(place.path()).unwrap();
    let error = place.refused();
    assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
    assert_eq!(std::fs::read(place.path()).unwrap(), before);
}

#[test]
fn the_reference_database_is_refused_and_kept() {
    let place = Place::new();
    std::fs::create_dir_all(place.path().parent().unwrap()).unwrap();
    let mut page = vec![0_u8; 4096];
    page[16..20].copy_from_slice(&0xED0C_DAED_u32.to_le_bytes());
    std::fs::write(place.path(), &page).unwrap();
    let error = place.refused();
    assert!(error.to_string().contains("bbolt"), "{error}");
    assert_eq!(std::fs::read(place.path()).unwrap(), page);
}

#[track_caller]
fn check_set_aside(place: &Place) {
    let damaged = std::fs::read(place.path()).unwrap();
    let mut opened = place.open();
    let aside = opened.set_aside.clone().expect("the damaged file is set aside");
    let name = aside.file_name().unwrap().to_str().unwrap();
    let seconds = name.strip_prefix("agent.sqlite.corrupt-").expect(name);
    assert!(seconds.parse::<u64>().is_ok(), "{name}");
    assert_eq!(std::fs::read(&aside).unwrap(), damaged);
    assert_eq!(rows(&opened.store), Vec::<String>::new());
    opened.store.commit(&[put("tasks", "a", "1")]).unwrap();
    drop(opened);
    let again = place.open();
    assert_eq!(again.set_aside, None);
    assert_eq!(rows(&again.store), ["tasks/a=1"]);
}

#[test]
fn what_is_no_database_is_refused_and_kept() {
    let text = b"not a database at all".repeat(400);
    let begun_with_zeros = [&[0; 8][..], b"some other program's file"].concat();
    for content in [&text[..], b"x", b"SQLite format 2\0", b"SQLite format 3 is what we write", &begun_with_zeros] {
        let place = Place::new();
        std::fs::create_dir_all(place.path().parent().unwrap()).unwrap();
        std::fs::write(place.path(), content).unwrap();
        let error = place.refused();
        assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
        assert!(error.to_string().contains("it is no SQLite database; it was left as it is"), "{error}");
        assert_eq!(std::fs::read(place.path()).unwrap(), content);
        assert_eq!(place.names(), ["agent.sqlite", "agent.sqlite.lock"]);
    }
}

/// What a file system may leave of a store when the power fails.
#[test]
fn remains_of_a_store_are_set_aside() {
    for content in [&[0; 4096][..], &[0; 3], b"SQLite", b"SQLite format 3\0", b"SQLite format 3\0and then nonsense"] {
        let place = Place::new();
        std::fs::create_dir_all(place.path().parent().unwrap()).unwrap();
        std::fs::write(place.path(), content).unwrap();
        check_set_aside(&place);
    }
}

#[test]
fn a_truncated_store_is_set_aside() {
    let place = Place::new();
    place.filled();
    let length = std::fs::metadata(place.path()).unwrap().len();
    File::options().write(true).open(place.path()).unwrap().set_len(length / 2).unwrap();
    check_set_aside(&place);
}

#[test]
fn an_overwritten_page_is_noticed() {
    let place = Place::new();
    place.filled();
    let mut bytes = std::fs::read(place.path()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8192].fill(0xA5);
    std::fs::write(place.path(), &bytes).unwrap();
    check_set_aside(&place);
}

#[test]
fn a_missing_table_is_damage() {
    let place = Place::new();
    place.filled();
    Connection::open(place.path()).unwrap().execute_batch("DROP TABLE rows").unwrap();
    check_set_aside(&place);
}

#[test]
fn two_damaged_files_in_one_second_are_both_kept() {
    let place = Place::new();
    std::fs::create_dir_all(place.path().parent().unwrap()).unwrap();
    for _ in 0..3 {
        std::fs::write(place.path(), [0; 100]).unwrap();
        place.open();
    }
    assert_eq!(place.names().iter().filter(|name| name.contains(".corrupt-")).count(), 3);
}

#[test]
fn an_empty_file_is_a_new_store() {
    let place = Place::new();
    std::fs::create_dir_all(place.path().parent().unwrap()).unwrap();
    std::fs::write(place.path(), b"").unwrap();
    assert_eq!(place.open().set_aside, None);
}

#[tokio::test]
async fn queued_commits_keep_their_order_and_are_all_answered() {
    let place = Place::new();
    let store = StoreThread::start(place.open().store).unwrap();
    let mut commits = tokio::task::JoinSet::new();
    for n in 0..300 {
        let store = store.clone();
        commits.spawn(async move { store.commit(vec![put("tasks", &format!("{n:03}"), "1")]).await });
    }
    while let Some(outcome) = commits.join_next().await {
        outcome.unwrap().unwrap();
    }
    let (first, second) = tokio::join!(
        store.commit(vec![put("tasks", "000", "first")]),
        store.commit(vec![put("tasks", "000", "second")])
    );
    assert!(first.is_ok() && second.is_ok());
    store.close().await;
    assert!(matches!(store.commit(vec![put("tasks", "a", "1")]).await, Err(CommitError::Closed)));
    let rows = rows(&place.open().store);
    assert_eq!(rows.len(), 300);
    assert_eq!(rows[0], "tasks/000=second");
}

#[tokio::test]
async fn a_failed_commit_leaves_no_trace_and_says_why() {
    let place = Place::new();
    let store = place.open().store;
    store
        .connection
        .execute_batch(
            "CREATE TRIGGER refuse BEFORE INSERT ON rows WHEN NEW.key = 'bad' BEGIN SELECT RAISE(ABORT, 'no'); END",
        )
        .unwrap();
    let store = StoreThread::start(store).unwrap();
    let outcome = store.commit(vec![put("tasks", "good", "1"), put("tasks", "bad", "1")]).await;
    assert!(matches!(outcome, Err(CommitError::Failed(_))), "{outcome:?}");
    store.commit(vec![put("tasks", "later", "1")]).await.unwrap();
    store.close().await;
    assert_eq!(rows(&place.open().store), ["tasks/later=1"]);
}
