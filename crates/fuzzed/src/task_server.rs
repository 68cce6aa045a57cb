//! What containers ask of the task server: paths, queries, bodies (spec 30 §1.4, §4).

use wire::task_server::fault;
use wire::task_server::protection::Wish;
use wire::task_server::route::{FaultKind, Route, clean, decode, encode, parameter};

/// `target\nbody`: a request's target and its body.
pub fn task_server(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (target, body) = data.split_at(end);
    let body = body.get(1..).unwrap_or_default();
    if let Ok(target) = std::str::from_utf8(target) {
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        drop(parameter(query, "id"));
        if let Some(path) = decode(path) {
            assert_eq!(decode(&encode(&path)).as_deref(), Some(&*path), "what is escaped can be had back");
            let cleaned = clean(&path).unwrap_or_else(|| path.clone().into_owned());
            assert_eq!(clean(&cleaned), None, "a cleaned path is clean, so nobody is sent in circles");
            if path.starts_with('/') {
                let _ = Route::parse(&path);
            }
            let _ = Route::parse(&cleaned);
        }
    }
    let _ = Wish::parse(body);
    for kind in [FaultKind::BlackholePort, FaultKind::Latency, FaultKind::PacketLoss] {
        drop(fault::check(kind, body));
    }
}
