#![allow(clippy::unwrap_used)]

use engine::ledger::Totals;

use super::*;
use crate::agent::published::Published;
use crate::agent::sampler::Samples;

fn at(seconds: u64) -> Mono {
    Mono(Duration::from_secs(seconds))
}

fn note(task: &str, fact: Fact) -> Note {
    Note { task: Some(task.into()), container: None, fact }
}

fn reached(status: TaskStatus) -> Fact {
    Fact::TaskReached { status, reason: String::new() }
}

fn view(acs: Option<u64>) -> InstanceView {
    InstanceView {
        instance: None,
        cluster: "lab".to_owned(),
        availability_zone: String::new(),
        acs_connected_since: acs.map(at),
        tcs_connected_since: None,
        resources: Totals { cpu: 0, memory_mib: 0, used_cpu: 0, used_memory_mib: 0 },
        reports_in_flight: 1,
        reports_waiting: 2,
    }
}

fn lines(metrics: &Metrics, published: &Published, wanted: &str) -> Vec<String> {
    let text = metrics.text(published, &Samples::new(true)).unwrap();
    assert!(text.ends_with("# EOF\n"));
    text.lines().filter(|line| line.starts_with(wanted)).map(str::to_owned).collect()
}

#[test]
fn a_transition_is_timed_from_the_last_one_and_a_stopped_task_is_forgotten() {
    let metrics = Metrics::new();
    metrics.observe(at(10), &note("t", Fact::Accepted));
    metrics.observe(at(12), &note("t", reached(TaskStatus::Running)));
    metrics.observe(at(15), &note("t", reached(TaskStatus::Stopped)));
    metrics.observe(at(99), &note("of-the-last-life", reached(TaskStatus::Stopped)));
    let sums = lines(&metrics, &Published::new(), "longshore_task_transition_seconds_sum");
    assert_eq!(
        sums.iter().map(String::as_str).collect::<std::collections::BTreeSet<_>>(),
        [
            "longshore_task_transition_seconds_sum{to=\"RUNNING\"} 2.0",
            "longshore_task_transition_seconds_sum{to=\"STOPPED\"} 3.0",
        ]
        .into()
    );
    assert!(metrics.seen.lock().unwrap().reached.is_empty());
    let facts = lines(&metrics, &Published::new(), "longshore_facts_total{what=\"accepted\"}");
    assert_eq!(facts, ["longshore_facts_total{what=\"accepted\"} 1"]);
}

#[test]
fn each_new_connection_counts_once_and_the_present_is_told_anew() {
    let (metrics, published) = (Metrics::new(), Published::new());
    for acs in [None, Some(1), Some(1), None, Some(7)] {
        metrics.observe_instance(&view(acs));
        published.set_instance(view(acs));
    }
    let opened = lines(&metrics, &published, "longshore_connections_total{");
    assert_eq!(opened, ["longshore_connections_total{socket=\"acs\"} 2"]);
    for _ in 0..2 {
        let waiting = lines(&metrics, &published, "longshore_reports{state=\"waiting\"}");
        assert_eq!(waiting, ["longshore_reports{state=\"waiting\"} 2.0"]);
    }
    assert_eq!(
        lines(&metrics, &published, "longshore_connected{socket=\"acs\"}"),
        ["longshore_connected{socket=\"acs\"} 1.0"]
    );
}

#[test]
fn a_call_is_told_by_whom_what_and_how_it_ended() {
    let metrics = Metrics::new();
    let call = Call::of(&Effect::Ping { deadline: Duration::from_secs(1) }).unwrap();
    metrics.observe_call(call, Duration::from_millis(2), true);
    metrics.observe_call(call, Duration::from_millis(2), false);
    let counts = lines(&metrics, &Published::new(), "longshore_call_seconds_count{api=\"docker\",call=\"ping\"");
    assert_eq!(counts.len(), 2, "{counts:?}");
    assert_eq!(Call::of(&Effect::FollowEvents { since: jiff::Timestamp::UNIX_EPOCH }), None);
}
