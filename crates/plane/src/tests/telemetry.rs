//! What telemetry brings is kept for those who look.

use super::*;
use crate::telemetry::{Report, Span};

fn look(lab: &mut Lab) -> Report {
    let report = lab.handle(Event::Look { task: None }).reply.unwrap().unwrap();
    serde_json::from_value(report).unwrap()
}

fn metrics(task: &str, cpu: f64, restarts: u64) -> Value {
    let counter = |value: u64| json!({"max": value, "min": 0, "sum": value, "sampleCount": 2});
    json!({"timestamp": 1.5, "metadata": {"fin": true}, "taskMetrics": [{"taskArn": task, "containerMetrics": [{
        "containerName": "app",
        "cpuStatsSet": {"max": cpu + 1.0, "min": cpu - 1.0, "sum": cpu * 20.0, "sampleCount": 20},
        "memoryStatsSet": {"max": 9, "min": 9, "sum": 180, "sampleCount": 20},
        "storageStatsSet": {"readSizeBytes": counter(7), "writeSizeBytes": counter(8)},
        "restartStatsSet": {"restartCount": restarts}, "somethingNew": {}}]}]})
}

#[test]
fn the_last_rounds_of_live_tasks_are_kept() {
    let mut lab = Lab::ready();
    let (instance, _) = lab.agent();
    let task = lab.run();
    let session = lab.connect(Channel::Tcs, &instance).unwrap();
    for round in 0..40 {
        lab.now += 20_000;
        lab.say(session, "PublishMetricsRequest", &metrics(&task, f64::from(round), 1));
    }
    assert_eq!(lab.received("AckPublishMetric").len(), 40);
    let report = look(&mut lab);
    let container = &report.tasks[0].containers[0];
    assert_eq!((container.name.as_str(), container.intervals.len(), container.restarts), ("app", 30, 40));
    let last = container.intervals.back().unwrap();
    assert_eq!(last.cpu, Span { min: 38.0, max: 40.0, sum: 780.0, count: 20 });
    assert_eq!((last.cpu.average(), last.memory.average()), (Some(39.0), Some(9.0)));
    assert_eq!((last.block_read, last.block_written, last.received), (Some(7), Some(8), None));
    assert_eq!((report.instances[0].cores, report.instances[0].told_at.is_some()), (2.0, true));
    let stored: String = lab.rows.values().cloned().collect();
    assert!(!stored.contains("intervals"), "figures are not worth a commit");

    lab.report(&task, "STOPPED", json!({"exitCode": 0}));
    lab.say(session, "PublishMetricsRequest", &metrics(&task, 1.0, 0));
    assert_eq!(look(&mut lab).tasks, []);
}

#[test]
fn an_instance_tells_of_its_own_tasks_only_and_in_bounds() {
    let mut lab = Lab::ready();
    lab.agent();
    let task = lab.run();
    let other = lab.instance(&[]);
    let session = lab.connect(Channel::Tcs, &other).unwrap();
    lab.say(session, "PublishMetricsRequest", &metrics(&task, 1.0, 0));
    let health = json!({"tasks": [{"taskArn": task, "containers": [
        {"containerName": "app", "healthStatus": "UNHEALTHY", "statusSince": 1.5}]}]});
    lab.say(session, "PublishHealthRequest", &health);
    assert_eq!(look(&mut lab).tasks[0].containers, []);
    assert_eq!(lab.task(&task)["containers"][0]["healthStatus"], "UNKNOWN");

    let owner = lab.task(&task)["containerInstanceArn"].as_str().unwrap().to_owned();
    let session = lab.connect(Channel::Tcs, &owner).unwrap();
    let many: Vec<Value> = (0..100).map(|n| json!({"containerName": format!("c{n}")})).collect();
    let page = json!({"taskMetrics": [{"taskArn": task, "containerMetrics": many}]});
    lab.say(session, "PublishMetricsRequest", &page);
    lab.say(session, "PublishMetricsRequest", &json!({"taskMetrics": "none"}));
    assert_eq!(look(&mut lab).tasks[0].containers.len(), 32);
}

#[test]
fn the_instances_own_status_is_told_by_the_api() {
    let mut lab = Lab::ready();
    let (instance, _) = lab.agent();
    let session = lab.connect(Channel::Tcs, &instance).unwrap();
    let describe = json!({"containerInstances": [instance], "include": ["CONTAINER_INSTANCE_HEALTH"]});
    for (status, overall) in [("OK", "OK"), ("IMPAIRED", "IMPAIRED")] {
        let told = json!({"statuses": [{"type": "ContainerRuntime", "status": status, "lastUpdated": 2.5}]});
        lab.say(session, "PublishInstanceStatusRequest", &told);
        let described = lab.ok("DescribeContainerInstances", describe.clone());
        let health = &described["containerInstances"][0]["healthStatus"];
        assert_eq!(
            (&health["overallStatus"], &health["details"][0]["type"]),
            (&json!(overall), &json!("CONTAINER_RUNTIME"))
        );
        assert_eq!(look(&mut lab).instances[0].health[0].status, status);
    }
}
