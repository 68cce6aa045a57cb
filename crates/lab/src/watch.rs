//! What the Engine says that happened to containers, from now on.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::Engine;
use crate::engine::encode;

/// How often each container of a cluster's tasks was created and started. Dropping it ends the watch.
pub struct Watch {
    stream: UnixStream,
    counts: Arc<Mutex<BTreeMap<(String, String), Counts>>>,
}

/// What happened to one container of one task.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub created: usize,
    pub started: usize,
}

impl Watch {
    /// Begins to watch the containers of a cluster.
    ///
    /// # Errors
    /// The Engine cannot be reached.
    pub fn start(engine: &Engine, cluster: &str) -> Result<Self> {
        let mut stream = UnixStream::connect(engine.socket()).context("connecting to the Engine")?;
        let label = format!("com.amazonaws.ecs.cluster={cluster}");
        let filters = encode(&json!({ "type": ["container"], "label": [label] }).to_string());
        write!(stream, "GET /events?filters={filters} HTTP/1.1\r\nHost: docker\r\n\r\n")?;
        let counts = Arc::new(Mutex::new(BTreeMap::new()));
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        // The answer's first line means that nothing is missed from here on.
        lines.next().context("the Engine says nothing")??;
        let into = Arc::clone(&counts);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Ok(event) = serde_json::from_str::<Value>(&line) {
                    note(&into, &event);
                }
            }
        });
        Ok(Self { stream, counts })
    }

    /// So far, by task ARN and container name.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<(String, String), Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.stream.shutdown(Shutdown::Both));
    }
}

fn note(counts: &Mutex<BTreeMap<(String, String), Counts>>, event: &Value) {
    let labels = &event["Actor"]["Attributes"];
    let text = |name: &str| labels[name].as_str().unwrap_or("").to_owned();
    let key = (text("com.amazonaws.ecs.task-arn"), text("com.amazonaws.ecs.container-name"));
    let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    let counts = counts.entry(key).or_default();
    match event["Action"].as_str() {
        Some("create") => counts.created += 1,
        Some("start") => counts.started += 1,
        _ => {}
    }
}
