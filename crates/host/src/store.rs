//! The store: one SQLite file of rows by table and key, written before anything is done.
//!
//! It knows how a row is kept safe (write-ahead log, `synchronous=FULL`, one writer) and how a file that
//! cannot be trusted is put aside. It does not know what a row means: values are text to it.

mod lock;
mod thread;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, TransactionBehavior, params};

use lock::Lock;
pub use thread::{CommitError, StoreThread};

/// The layout that this program writes. A lower one is read and raised, a higher one in a file is refused. 2: moments are
/// numbers, which a program that knows 1 alone cannot read.
pub const FORMAT_VERSION: i64 = 2;

/// How long a statement waits for somebody who reads the file with another tool.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// What every SQLite file begins with.
const MAGIC: &[u8] = b"SQLite format 3\0";

/// One change to one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    pub table: String,
    pub key: String,
    /// The new value; `None` removes the row, and removing an absent row is no error.
    pub value: Option<String>,
}

/// One row as it was committed last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRow {
    pub table: String,
    pub key: String,
    pub value: String,
}

/// What became of opening a store.
#[derive(Debug)]
pub struct Opened {
    pub store: Store,
    /// Where the former file went, if it could not be trusted; the store is then empty.
    pub set_aside: Option<PathBuf>,
}

/// Why a store could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{path} is in use by {holder}; stop it first, or choose another data directory", path = path.display(), holder = holder_text(*pid))]
    Held { path: PathBuf, pid: Option<u32> },
    #[error("{path} has format {found}, this program knows up to {known}; it was left as it is", path = path.display())]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("{path} is not a store of kind {expected}: {found}; it was left as it is: move it away, or choose another data directory", path = path.display())]
    Foreign { path: PathBuf, expected: String, found: String },
    #[error("cannot {action} {path}", path = path.display())]
    Io { action: &'static str, path: PathBuf, source: std::io::Error },
    #[error("cannot {action} {path}", path = path.display())]
    Database { action: &'static str, path: PathBuf, source: rusqlite::Error },
}

fn holder_text(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

/// An open store. It holds the lock on its file until it is dropped.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    path: PathBuf,
    _lock: Lock,
}

impl Store {
    /// Opens the store at `path`, making it (mode 0600, missing directories 0700) where there is none.
    ///
    /// `kind` says whose rows these are (`agent`, `plane`); a file of another kind, and what is no SQLite database, is
    /// refused. A damaged store is renamed to `<name>.corrupt-<unix seconds>` and a fresh one takes its place.
    ///
    /// # Errors
    /// Another process holds the store, the file is newer or of a foreign kind, or the disk says no.
    pub fn open(path: &Path, kind: &str) -> Result<Opened, StoreError> {
        create_directory(path)?;
        let lock = Lock::take(path)?;
        let examined = match examine_header(path, kind)? {
            Header::Damaged => Examined::Damaged,
            Header::Plausible => examine(path, kind)?,
        };
        let (connection, set_aside) = match examined {
            Examined::Good(connection) => (connection, None),
            Examined::Damaged => {
                let aside = set_aside(path)?;
                match examine(path, kind)? {
                    Examined::Good(connection) => (connection, Some(aside)),
                    Examined::Damaged => {
                        return Err(StoreError::Database {
                            action: "make a fresh store at",
                            path: path.to_owned(),
                            source: rusqlite::Error::InvalidQuery,
                        });
                    }
                }
            }
        };
        let store = Self { connection, path: path.to_owned(), _lock: lock };
        store.prepare()?;
        Ok(Opened { store, set_aside })
    }

    /// All rows, ordered by table and key.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn load_all(&self) -> Result<Vec<StoredRow>, StoreError> {
        let read = || {
            let mut statement = self.connection.prepare("SELECT tbl, key, value FROM rows ORDER BY tbl, key")?;
            let rows = statement
                .query_map([], |row| Ok(StoredRow { table: row.get(0)?, key: row.get(1)?, value: row.get(2)? }))?;
            rows.collect::<Result<Vec<_>, _>>()
        };
        read().map_err(|source| self.failed("read", source))
    }

    /// Makes all `writes` durable, or none of them. They take effect in their order.
    ///
    /// # Errors
    /// The disk is full or broken; nothing of this commit is then in the store.
    pub fn commit(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        self.commit_batches(std::iter::once(writes))
    }

    /// As [`Store::commit`], for several commits that share one transaction.
    fn commit_batches<'a>(&mut self, batches: impl Iterator<Item = &'a [Write]>) -> Result<(), StoreError> {
        let mut batches = batches.filter(|batch| !batch.is_empty()).peekable();
        if batches.peek().is_none() {
            return Ok(());
        }
        let path = &self.path;
        let connection = &mut self.connection;
        let apply = || {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            {
                let mut put = transaction
                    .prepare_cached("INSERT INTO rows (tbl, key, value) VALUES (?1, ?2, ?3) ON CONFLICT (tbl, key) DO UPDATE SET value = excluded.value")?;
                let mut delete = transaction.prepare_cached("DELETE FROM rows WHERE tbl = ?1 AND key = ?2")?;
                for write in batches.flatten() {
                    match &write.value {
                        Some(value) => put.execute(params![write.table, write.key, value])?,
                        None => delete.execute(params![write.table, write.key])?,
                    };
                }
            }
            transaction.commit()
        };
        apply().map_err(|source| StoreError::Database { action: "write", path: path.clone(), source })
    }

    /// The file of this store.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sets what holds for the life of the connection. Only for a file that was accepted.
    fn prepare(&self) -> Result<(), StoreError> {
        let set = || {
            let _ = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
            // Where the file system has no shared memory, SQLite keeps its rollback journal: slower, as safe.
            let _mode: String = self.connection.query_row("PRAGMA journal_mode=WAL", [], |row| row.get(0))?;
            self.connection.pragma_update(None, "synchronous", "FULL")?;
            self.connection.query_row("PRAGMA journal_size_limit=4194304", [], |_| Ok(()))?;
            Ok(())
        };
        set().map_err(|source| self.failed("set up", source))
    }

    fn failed(&self, action: &'static str, source: rusqlite::Error) -> StoreError {
        StoreError::Database { action, path: self.path.clone(), source }
    }
}

enum Header {
    Plausible,
    Damaged,
}

enum Examined {
    Good(Connection),
    Damaged,
}

fn create_directory(path: &Path) -> Result<(), StoreError> {
    let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) else {
        return Ok(());
    };
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|source| StoreError::Io {
        action: "create the directory",
        path: directory.to_owned(),
        source,
    })
}

/// Looks at the first bytes, which tell a store from the reference agent's database and from files of other programs.
fn examine_header(path: &Path, kind: &str) -> Result<Header, StoreError> {
    let failed = |source| StoreError::Io { action: "read", path: path.to_owned(), source };
    let mut head = Vec::with_capacity(32);
    match File::open(path) {
        Ok(file) => file.take(32).read_to_end(&mut head).map_err(failed)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
        Err(error) => return Err(failed(error)),
    };
    if head.is_empty() {
        // An empty file is a store that was never written; with a journal beside it, it once was.
        let lost = std::fs::metadata(beside(path, "-wal")).is_ok_and(|wal| wal.len() > 0);
        return Ok(if lost { Header::Damaged } else { Header::Plausible });
    }
    // The reference's database has its magic number after the first page's header of 16 bytes.
    if head.get(16..20) == Some(&0xED0C_DAED_u32.to_le_bytes()) {
        return Err(StoreError::Foreign {
            path: path.to_owned(),
            expected: kind.to_owned(),
            found: "it is a bbolt database, as the Amazon ECS agent writes it".to_owned(),
        });
    }
    // A crash may leave zeros, or less than was written, of what was a store; nothing else of ours begins otherwise.
    if head.starts_with(MAGIC) {
        Ok(Header::Plausible)
    } else if MAGIC.starts_with(&head) || head.iter().all(|byte| *byte == 0) {
        Ok(Header::Damaged)
    } else {
        Err(StoreError::Foreign {
            path: path.to_owned(),
            expected: kind.to_owned(),
            found: "it is no SQLite database".to_owned(),
        })
    }
}

/// Opens the file, verifies it, and gives a new one its tables.
fn examine(path: &Path, kind: &str) -> Result<Examined, StoreError> {
    // SQLite gives its journal the mode of the file, so the file is made first.
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|source| StoreError::Io { action: "create", path: path.to_owned(), source })?;
    let failed = |action: &'static str, source| StoreError::Database { action, path: path.to_owned(), source };
    let had_journal = std::fs::metadata(beside(path, "-wal")).is_ok_and(|wal| wal.len() > 0);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|source| failed("open", source))?;
    let verify = || -> Result<Contents, rusqlite::Error> {
        connection.busy_timeout(BUSY_TIMEOUT)?;
        // A file that is refused stays as it is: closing it must not fold the journal into it.
        let _ = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, had_journal)?;
        read_contents(&connection)
    };
    let contents = match verify() {
        Ok(contents) => contents,
        Err(error) if is_damage(&error) => return Ok(Examined::Damaged),
        Err(error) => return Err(failed("open", error)),
    };
    let foreign = |found: String| StoreError::Foreign { path: path.to_owned(), expected: kind.to_owned(), found };
    match contents {
        Contents::Damaged => Ok(Examined::Damaged),
        Contents::Nothing => {
            create_tables(&connection, kind).map_err(|source| failed("make tables in", source))?;
            sync_directory(path)?;
            Ok(Examined::Good(connection))
        }
        Contents::Other => Err(foreign("it is a database of some other program".to_owned())),
        Contents::Store { kind: found, .. } if found != kind => Err(foreign(format!("its kind is {found}"))),
        Contents::Store { version, .. } if version > FORMAT_VERSION => {
            Err(StoreError::Newer { path: path.to_owned(), found: version, known: FORMAT_VERSION })
        }
        Contents::Store { whole: false, .. } => Ok(Examined::Damaged),
        Contents::Store { version, .. } => {
            if version < FORMAT_VERSION {
                raise(&connection).map_err(|source| failed("raise the format of", source))?;
            }
            Ok(Examined::Good(connection))
        }
    }
}

enum Contents {
    /// No table at all.
    Nothing,
    /// Tables, but not ours.
    Other,
    /// The database's own check failed.
    Damaged,
    Store {
        kind: String,
        version: i64,
        /// The table of rows is there.
        whole: bool,
    },
}

fn read_contents(connection: &Connection) -> Result<Contents, rusqlite::Error> {
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Ok(Contents::Damaged);
    }
    let has_table = |name: &str| -> Result<bool, rusqlite::Error> {
        connection.query_row(
            "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1)",
            [name],
            |row| row.get(0),
        )
    };
    if !has_table("meta")? {
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        return Ok(if tables == 0 { Contents::Nothing } else { Contents::Other });
    }
    let meta = |key: &str| -> Result<Option<String>, rusqlite::Error> {
        connection
            .query_row("SELECT CAST(value AS TEXT) FROM meta WHERE key = ?1", [key], |row| row.get(0))
            .optional()
            .map(Option::flatten)
    };
    let (kind, version) = match (meta("kind"), meta("format")) {
        (Ok(Some(kind)), Ok(Some(version))) => (kind, version),
        (Err(error), _) | (_, Err(error)) if is_damage(&error) => return Err(error),
        _ => return Ok(Contents::Other),
    };
    let Ok(version) = version.parse() else { return Ok(Contents::Other) };
    Ok(Contents::Store { kind, version, whole: has_table("rows")? })
}

fn create_tables(connection: &Connection, kind: &str) -> Result<(), rusqlite::Error> {
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(
        "CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
         CREATE TABLE rows (tbl TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (tbl, key)) WITHOUT ROWID;",
    )?;
    transaction.execute("INSERT INTO meta (key, value) VALUES ('format', ?1)", [FORMAT_VERSION.to_string()])?;
    transaction.execute("INSERT INTO meta (key, value) VALUES ('kind', ?1)", [kind])?;
    transaction.commit()
}

/// From now on older programs refuse it.
fn raise(connection: &Connection) -> Result<usize, rusqlite::Error> {
    connection.execute("UPDATE meta SET value = ?1 WHERE key = 'format'", [FORMAT_VERSION.to_string()])
}

/// Whether the error speaks of the file's content, rather than of the disk or the machine.
fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Renames the file and its journals, so that they still belong together, and returns the new name.
fn set_aside(path: &Path) -> Result<PathBuf, StoreError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let aside = (now..)
        .map(|seconds| beside(path, &format!(".corrupt-{seconds}")))
        .find(|candidate| !candidate.exists())
        .unwrap_or_else(|| beside(path, ".corrupt"));
    for suffix in ["", "-wal", "-shm"] {
        let (from, to) = (beside(path, suffix), beside(&aside, suffix));
        match std::fs::rename(&from, &to) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(StoreError::Io { action: "set aside", path: from, source }),
        }
    }
    sync_directory(path)?;
    Ok(aside)
}

/// Makes renames and new names in the file's directory durable.
fn sync_directory(path: &Path) -> Result<(), StoreError> {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(|source| StoreError::Io {
        action: "sync the directory",
        path: directory.to_owned(),
        source,
    })
}

/// The path with `suffix` appended to its name.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}
