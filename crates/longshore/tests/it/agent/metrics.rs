//! Metrics for Prometheus, on the introspection port and on the reference's own.

use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result};
use lab::agent::get;
use serde_json::json;

use crate::support::bench;

#[test]
fn metrics_tell_of_tasks_calls_connections_and_what_containers_use() -> Result<()> {
    let bench = bench(&[("ECS_ENABLE_PROMETHEUS_METRICS", "true")])?;
    let task = bench.run(&[bench.shell("main", "sleep 600", json!({}))])?;
    bench.until(&task, "RUNNING")?;
    let wanted = [
        "longshore_tasks{known=\"RUNNING\",desired=\"RUNNING\"} 1.0",
        "longshore_connections_total{socket=\"acs\"} 1",
        "longshore_call_seconds_count{api=\"docker\",call=\"create_container\",outcome=\"ok\"} 1",
        "longshore_call_seconds_count{api=\"ecs\",call=\"SubmitTaskStateChange\",outcome=\"ok\"}",
        "longshore_task_transition_seconds_count{to=\"RUNNING\"} 1",
        "longshore_container_cpu_seconds_total{task=",
        "longshore_agent_memory_bytes ",
    ];
    for port in [51678, 51680] {
        lab::wait_for("all metrics", Duration::from_secs(20), || {
            let (head, body) = get(port, "/metrics")?;
            assert!(head.contains("application/openmetrics-text"), "{head}");
            Ok(wanted.iter().all(|wanted| body.contains(wanted)).then_some(()))
        })
        .with_context(|| format!("port {port}: {:?}", get(port, "/metrics")))?;
    }
    let (head, _) = get(51680, "/v1/tasks")?;
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
    bench.stop_and_wait(&task).map(drop)
}

#[test]
fn nobody_who_did_not_ask_is_given_metrics() -> Result<()> {
    let _bench = bench(&[])?;
    let (head, body) = get(51678, "/metrics")?;
    assert!(head.starts_with("HTTP/1.1 200") && body.contains("AvailableCommands"), "{head}\n{body}");
    assert!(TcpStream::connect(("127.0.0.1", 51680)).is_err());
    Ok(())
}
