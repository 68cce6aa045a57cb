//! The same containers by the bare Engine API.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use lab::Engine;
use serde_json::{Value, json};

/// How many requests at a time are tried.
pub(super) const CONCURRENCIES: [usize; 4] = [2, 4, 8, 16];

/// Marks our containers, so that they are found again whatever happens.
const LABEL: &str = "longshore.bench.floor";

/// What the bare API takes.
pub(super) struct Floor {
    /// To create and start.
    pub(super) launch: Duration,
    pub(super) stop: Duration,
}

/// How long `count` containers take to be created and started, and to be stopped, `concurrency` requests at a time.
/// They are removed again.
pub(super) fn measure(engine: &Engine, image: &str, count: usize, concurrency: usize) -> Result<Floor> {
    let measured = launched(engine, image, count, concurrency).and_then(|launch| {
        let ids = engine.labelled(LABEL)?;
        let stop = each(&ids, concurrency, |id| {
            engine.call("POST", &format!("/containers/{id}/stop?t=2"), &Value::Null).map(drop)
        })?;
        Ok(Floor { launch, stop })
    });
    remove(engine)?;
    measured
}

/// Does something while `count` containers run, which are removed again.
pub(super) fn while_running<T>(
    engine: &Engine,
    image: &str,
    count: usize,
    what: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let done = launched(engine, image, count, 4).and_then(|_| what());
    remove(engine)?;
    done
}

fn remove(engine: &Engine) -> Result<()> {
    engine.labelled(LABEL)?.iter().try_for_each(|id| engine.remove(id))
}

fn launched(engine: &Engine, image: &str, count: usize, concurrency: usize) -> Result<Duration> {
    let body = json!({
        "Image": image, "Cmd": ["sleep", "600"], "StopSignal": "SIGKILL", "Labels": { LABEL: "1" },
        "HostConfig": { "Memory": 16 << 20, "CpuShares": 2 },
    });
    each(&vec![(); count], concurrency, |()| create_and_start(engine, &body))
}

/// Does something with each, so many at a time; gives how long all took.
fn each<T: Sync>(of: &[T], concurrency: usize, work: impl Fn(&T) -> Result<()> + Sync) -> Result<Duration> {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(None));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..concurrency {
            scope.spawn(|| {
                while let Some(one) = of.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) = work(one)
                        && let Ok(mut failed) = failed.lock()
                    {
                        *failed = Some(error);
                    }
                }
            });
        }
    });
    let taken = begun.elapsed();
    match failed.into_inner() {
        Ok(Some(error)) => Err(error),
        _ => Ok(taken),
    }
}

fn create_and_start(engine: &Engine, body: &Value) -> Result<()> {
    let created = engine.call("POST", "/containers/create", body)?;
    let id = created["Id"].as_str().unwrap_or("");
    engine.call("POST", &format!("/containers/{id}/start"), &Value::Null).map(drop)
}
