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

/// How long `count` containers take to be created and started, `concurrency` at a time. They are removed again.
pub(super) fn measure(engine: &Engine, image: &str, count: usize, concurrency: usize) -> Result<Duration> {
    let taken = once(engine, image, count, concurrency);
    for id in engine.labelled(LABEL)? {
        engine.remove(&id)?;
    }
    taken
}

fn once(engine: &Engine, image: &str, count: usize, concurrency: usize) -> Result<Duration> {
    let body = json!({
        "Image": image, "Cmd": ["sleep", "600"], "StopSignal": "SIGKILL", "Labels": { LABEL: "1" },
        "HostConfig": { "Memory": 16 << 20, "CpuShares": 2 },
    });
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(None));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..concurrency {
            scope.spawn(|| {
                while next.fetch_add(1, Ordering::Relaxed) < count {
                    if let Err(error) = create_and_start(engine, &body)
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
