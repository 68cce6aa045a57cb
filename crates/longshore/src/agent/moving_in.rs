//! Moving in from the reference agent: finds its state in the data directory, takes it over once, and sees to it
//! that the two agents never run at the same time.
//!
//! The reference's file is read and never written, renamed or removed: the way back stays open.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use host::store::{Store, StoredRow, Write};
use rustix::fs::FlockOperation;
use rustix::io::Errno;
use tracing::{info, warn};
use wire::bbolt::{self, Database};
use wire::rows::AgentState;

use super::ExitReport;

/// The reference's state, a bbolt database.
const REFERENCE: &str = "agent.db";
/// Its state before that, of agents that are years old.
const LEGACY: &str = "ecs_agent_data.json";
/// Real files have a few MiB.
const MOST_BYTES: u64 = 1 << 30;

/// Holds off the reference agent: it waits for this lock before it does anything.
#[derive(Debug)]
pub(super) struct HeldOff {
    _file: File,
}

/// Takes over the reference's state if this store is new. `was_set_aside`: a store was here and is damaged;
/// the reference's state is then older than what was lost. `instance_id` asks for the EC2 instance that this is,
/// and is only called where the state says on which one it was made.
///
/// # Errors
/// 1 while the reference runs: it may end by itself, so starting again can help. 5 for a state that cannot be
/// taken over: only a person can tell what to do, and starting without its tasks would lose them.
pub(super) async fn take_over<F: Future<Output = Option<String>>>(
    data_dir: &Path,
    store: &mut Store,
    was_set_aside: bool,
    instance_id: impl FnOnce() -> F,
) -> Result<Option<HeldOff>, ExitReport> {
    let path = data_dir.join(REFERENCE);
    let rows = engine_rows(store.load_all().map_err(|error| ExitReport::new(5, error.to_string()))?);
    let Some(mut file) = open(&path)? else {
        if rows.is_empty() {
            refuse_legacy(data_dir)?;
        }
        return Ok(None);
    };
    hold_off(&file, &path)?;
    if rows.is_empty() {
        move_in(data_dir, &path, &mut file, store, was_set_aside, instance_id).await?;
    } else {
        compare(&path, &mut file, &rows);
    }
    Ok(Some(HeldOff { _file: file }))
}

fn open(path: &Path) -> Result<Option<File>, ExitReport> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(refusal(path, &error)),
    }
}

/// A shared lock, not waited for: the reference holds an exclusive one while it runs.
fn hold_off(file: &File, path: &Path) -> Result<(), ExitReport> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(()),
        Err(Errno::WOULDBLOCK) => {
            let directory = path.parent().unwrap_or(path).display();
            let why = format!(
                "the Amazon ECS agent still runs on {directory}; stop it first (systemctl stop ecs, or docker stop \
                 ecs-agent). Its tasks go on running meanwhile"
            );
            Err(ExitReport::new(1, why))
        }
        Err(error) => Err(refusal(path, &error)),
    }
}

fn refusal(path: &Path, cause: &dyn std::fmt::Display) -> ExitReport {
    let why = format!(
        "the Amazon ECS agent's state in {} cannot be taken over: {cause}. It was left as it is. To start without \
         its tasks, move the file away; their containers then go on running and are nobody's",
        path.display()
    );
    ExitReport::new(5, why)
}

async fn move_in<F: Future<Output = Option<String>>>(
    data_dir: &Path,
    path: &Path,
    file: &mut File,
    store: &mut Store,
    was_set_aside: bool,
    instance_id: impl FnOnce() -> F,
) -> Result<(), ExitReport> {
    let bytes = read_whole(file).map_err(|error| refusal(path, &error))?;
    if bytes.is_empty() {
        // The reference was stopped before it wrote anything.
        return refuse_legacy(data_dir);
    }
    let database = Database::open(&bytes).map_err(|error| refusal(path, &error))?;
    let txid = database.txid();
    let state = AgentState::read(&database).map_err(|error| refusal(path, &error))?;
    if was_set_aside {
        let path = path.display();
        warn!(%path, txid, "the Amazon ECS agent's state is older than the damaged one and is not taken over again");
        return commit(store, engine::migrate::decline(txid));
    }
    let metadata = &state.metadata;
    if metadata.agent_version.is_empty() {
        refuse_legacy(data_dir)?;
    }
    let made_on = metadata.ec2_instance_id.as_str();
    if !made_on.is_empty()
        && let Some(here) = instance_id().await
        && here != made_on
    {
        let path = path.display();
        warn!(%path, made_on, here, "the Amazon ECS agent's state was made on another EC2 instance and is not taken over");
        return commit(store, engine::migrate::decline(txid));
    }
    let moved =
        engine::migrate::migrate(&state, txid, jiff::Timestamp::now()).map_err(|error| refusal(path, &error))?;
    for caution in &moved.cautions {
        warn!("moving in: {caution}");
    }
    commit(store, moved.rows)?;
    info!(
        path = %path.display(),
        txid,
        version = metadata.agent_version.as_str(),
        instance = metadata.container_instance_arn.as_str(),
        tasks = moved.tasks,
        containers = moved.containers,
        images = moved.images,
        "took over the state of the Amazon ECS agent; its file is kept"
    );
    Ok(())
}

fn read_whole(file: &mut File) -> std::io::Result<Vec<u8>> {
    let length = file.metadata()?.len();
    if length > MOST_BYTES {
        return Err(std::io::Error::other(format!("it has {length} bytes, more than any such state")));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// All rows at once, so that a crash leaves either none or all of them.
fn commit(store: &mut Store, rows: Vec<engine::StoredRow>) -> Result<(), ExitReport> {
    let writes: Vec<Write> =
        rows.into_iter().map(|row| Write { table: row.table, key: row.key, value: Some(row.value) }).collect();
    store.commit(&writes).map_err(|error| ExitReport::new(5, error.to_string()))
}

/// Says so when the reference ran again since: what it did then is not known here, and our rows win.
fn compare(path: &Path, file: &mut File, rows: &[engine::StoredRow]) {
    let mut head = Vec::new();
    let is_read = file.take(bbolt::HEAD_BYTES as u64).read_to_end(&mut head).is_ok();
    let Some(txid) = bbolt::latest_txid(&head).ok().filter(|_| is_read) else { return };
    let path = path.display();
    match engine::migrate::moved_in(rows) {
        Some(known) if txid <= known => {}
        Some(known) => warn!(
            %path,
            txid,
            taken_over_at = known,
            "the Amazon ECS agent ran here again after its state was taken over: this agent's own state holds, and \
             tasks that were started in between are not known to it"
        ),
        None => warn!(
            %path,
            txid,
            "the Amazon ECS agent's state lies beside this agent's own and is not taken over"
        ),
    }
}

/// The JSON file of very old agents is only read by the reference, which makes the database of it.
fn refuse_legacy(data_dir: &Path) -> Result<(), ExitReport> {
    let path = data_dir.join(LEGACY);
    if !path.exists() {
        return Ok(());
    }
    let why = format!(
        "{} is the state of a very old Amazon ECS agent, which this agent does not read. Start a current Amazon ECS \
         agent once on this directory, so that it makes {REFERENCE} of it, and stop it again; or, if no task of it \
         matters any more, move the file away. It was left as it is",
        path.display()
    );
    Err(ExitReport::new(5, why))
}

/// The store's rows as the engine takes them.
pub(super) fn engine_rows(rows: Vec<StoredRow>) -> Vec<engine::StoredRow> {
    rows.into_iter().map(|row| engine::StoredRow { table: row.table, key: row.key, value: row.value }).collect()
}

#[cfg(test)]
mod tests;
