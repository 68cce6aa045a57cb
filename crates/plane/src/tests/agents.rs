//! The agent protocol's other end.

use super::*;

fn payload_of(lab: &mut Lab) -> Value {
    let mut payloads = lab.received("PayloadMessage");
    assert_eq!(payloads.len(), 1, "{payloads:#?}");
    payloads.remove(0)
}

#[test]
fn a_payload_is_sent_again_until_it_is_acknowledged() {
    let mut lab = Lab::ready();
    let (instance, session) = lab.agent();
    let task = lab.run();
    let first = payload_of(&mut lab);
    assert_eq!((&first["tasks"][0]["arn"], &first["tasks"][0]["desiredStatus"]), (&json!(task), &json!("RUNNING")));
    lab.later(59);
    assert_eq!(lab.received("PayloadMessage").len(), 0);
    lab.later(2);
    let second = payload_of(&mut lab);
    assert!(second["seqNum"].as_i64() > first["seqNum"].as_i64());

    lab.handle(Event::Closed { session });
    let session = lab.connect(Channel::Acs, &instance).unwrap();
    let manifest = lab.received("TaskManifestMessage").remove(0);
    assert_eq!(manifest["tasks"][0]["taskArn"], json!(task));
    let third = payload_of(&mut lab);
    assert!(manifest["timeline"].as_i64() < third["seqNum"].as_i64());
    lab.say(session, "AckRequest", &json!({"messageId": third["messageId"]}));
    lab.later(120);
    assert_eq!(lab.received("PayloadMessage").len(), 0);

    lab.ok("StopTask", json!({"task": task, "reason": "enough"}));
    let stop = payload_of(&mut lab);
    assert_eq!(stop["tasks"][0]["desiredStatus"], "STOPPED");
    lab.say(session, "AckRequest", &json!({"messageId": stop["messageId"]}));
    lab.report(&task, "STOPPED", json!({"exitCode": 143}));
    let stopped = lab.task(&task);
    assert_eq!((&stopped["stopCode"], &stopped["stoppedReason"]), (&json!("UserInitiated"), &json!("enough")));
}

#[test]
fn heartbeats_keep_a_session_and_silence_ends_it() {
    let mut lab = Lab::ready();
    let (instance, session) = lab.agent();
    lab.later(31);
    let beat = lab.received("HeartbeatMessage").remove(0);
    lab.say(session, "HeartbeatAckRequest", &json!({"messageId": beat["messageId"]}));
    for _ in 0..6 {
        assert!(lab.plane.is_connected(&instance));
        lab.later(31);
    }
    assert!(!lab.plane.is_connected(&instance));
    assert_eq!(lab.received("close").len(), 1);
    let described = lab.ok("DescribeContainerInstances", json!({"containerInstances": [instance]}));
    assert_eq!(described["containerInstances"][0]["agentConnected"], json!(false));
}

#[test]
fn a_newer_session_replaces_the_older_one() {
    let mut lab = Lab::ready();
    let (instance, old) = lab.agent();
    lab.connect(Channel::Acs, &instance).unwrap();
    assert!(lab.sent.contains(&(old, json!({"type": "close"}))));
    lab.handle(Event::Closed { session: old });
    assert!(lab.plane.is_connected(&instance), "the end of the old session does not end the new one");
}

#[test]
fn sessions_of_unknown_or_inactive_instances_are_refused() {
    let mut lab = Lab::ready();
    assert_eq!(lab.connect(Channel::Acs, "arn:ghost").unwrap_err().code, "InvalidInstanceException");
    let instance = lab.instance(&[]);
    lab.ok("DeregisterContainerInstance", json!({"containerInstance": instance}));
    let fault = lab.connect(Channel::Acs, &instance).unwrap_err();
    assert!(fault.handshake_body().get("InactiveInstanceException").is_some());
}

#[test]
fn tasks_beyond_the_manifest_are_stopped_and_no_others() {
    let mut lab = Lab::ready();
    let instance = lab.instance(&[]);
    let session = lab.connect(Channel::Acs, &instance).unwrap();
    let manifest = lab.received("TaskManifestMessage").remove(0);
    let task = lab.run();
    let candidates = json!([{"taskArn": "arn:old"}, {"taskArn": task}]);
    let message = json!({"messageId": manifest["messageId"], "stopCandidates": candidates});
    lab.say(session, "TaskStopVerificationMessage", &message);
    let answer = lab.received("TaskStopVerificationAck").remove(0);
    assert_eq!(answer["messageId"], manifest["messageId"]);
    assert_eq!(answer["stopTasks"], json!([{"taskArn": "arn:old"}]));
}

#[test]
fn registration_is_idempotent_by_token_and_by_arn() {
    let mut lab = Lab::ready();
    let mut register =
        |body: Value| lab.ok("RegisterContainerInstance", body)["containerInstance"]["containerInstanceArn"].clone();
    let first = register(json!({"clientToken": "t"}));
    assert_eq!(first, register(json!({"clientToken": "t"})));
    assert_ne!(first, register(json!({"clientToken": "u"})));
    assert_eq!(first, register(json!({"containerInstanceArn": first, "clientToken": "v"})));
    let lost = "arn:aws:ecs:us-west-2:000000000000:container-instance/default/abc";
    assert_eq!(json!(lost), register(json!({"containerInstanceArn": lost})), "a lost instance is adopted");
}

#[test]
fn telemetry_is_answered_and_health_is_kept() {
    let mut lab = Lab::ready();
    let mut definition = web();
    definition["containerDefinitions"][0]["healthCheck"] = json!({"command": ["CMD-SHELL", "true"]});
    definition["family"] = json!("checked");
    lab.ok("RegisterTaskDefinition", definition);
    let instance = lab.instance(&[
        ("ecs.capability.container-health-check", None),
        ("com.amazonaws.ecs.capability.docker-remote-api.1.24", None),
    ]);
    lab.connect(Channel::Acs, &instance).unwrap();
    let answer = lab.ok("RunTask", json!({"taskDefinition": "checked"}));
    let task = answer["tasks"][0]["taskArn"].as_str().unwrap().to_owned();
    let session = lab.connect(Channel::Tcs, &instance).unwrap();
    let health = json!({"type": "PublishHealthRequest", "message": {"tasks": [{"taskArn": task, "containers": [
        {"containerName": "app", "healthStatus": "UNHEALTHY", "statusSince": 1.5}]}]}});
    let text = format!("Authorization: x\r\nHost: y\r\n\r\n{health}");
    lab.handle(Event::Message { session, text });
    assert_eq!(lab.received("AckPublishHealth").len(), 1);
    let described = lab.task(&task);
    assert_eq!(
        (&described["healthStatus"], &described["containers"][0]["healthStatus"]),
        (&json!("UNHEALTHY"), &json!("UNHEALTHY"))
    );
    for (sent, answered) in
        [("PublishMetricsRequest", "AckPublishMetric"), ("PublishInstanceStatusRequest", "AckPublishInstanceStatus")]
    {
        lab.say(session, sent, &json!({}));
        assert_eq!(lab.received(answered).len(), 1, "{sent}");
    }
}

#[test]
fn payloads_beyond_the_window_follow_the_acknowledgements() {
    let mut lab = Lab::ready();
    let mut small = web();
    small["family"] = json!("small");
    small["containerDefinitions"] = json!([{"name": "app", "image": "i", "memory": 4}]);
    lab.ok("RegisterTaskDefinition", small);
    let (_, session) = lab.agent();
    for _ in 0..7 {
        lab.ok("RunTask", json!({"taskDefinition": "small", "count": 10}));
    }
    let first = lab.received("PayloadMessage");
    assert_eq!(first.len(), 64);
    for payload in &first[..3] {
        lab.say(session, "AckRequest", &json!({"messageId": payload["messageId"]}));
    }
    assert_eq!(lab.received("PayloadMessage").len(), 3);
}
