//! Role credentials: asked for before the payload, refreshed before they end, and what follows where there are none.

use super::*;
use crate::{Granted, Refused, RoleKind, Wish};

const ROLE: &str = "arn:aws:iam::1:role/web";

impl Lab {
    /// A plane that delivers credentials, an agent that takes task roles, and the definition `roles`.
    fn with_roles() -> (Self, String, SessionId) {
        let mut lab = Self::new();
        lab.plane = Plane::new(Settings { delivers_credentials: true, ..Settings::local("http://127.0.0.1:1", 7) });
        lab.ok("CreateCluster", json!({}));
        lab.define_roles();
        let (instance, session) = lab.capable_agent();
        (lab, instance, session)
    }

    /// The same with a task whose credentials hold for so many seconds, as its agent has acknowledged.
    fn with_held_role(seconds: i64) -> (Self, String, SessionId, String) {
        let (mut lab, instance, session) = Self::with_roles();
        let (task, _) = lab.run_with_role();
        lab.answer(&task, Ok(seconds));
        let payload = lab.received("PayloadMessage").remove(0);
        lab.acknowledge(session, &payload);
        (lab, instance, session, task)
    }

    fn define_roles(&mut self) {
        let mut definition = web();
        definition["family"] = json!("roles");
        definition["taskRoleArn"] = json!(ROLE);
        self.ok("RegisterTaskDefinition", definition);
    }

    fn capable_agent(&mut self) -> (String, SessionId) {
        let instance = self.instance(&[
            ("com.amazonaws.ecs.capability.task-iam-role", None),
            ("com.amazonaws.ecs.capability.docker-remote-api.1.19", None),
        ]);
        let session = self.connect(Channel::Acs, &instance).unwrap();
        self.sent.clear();
        (instance, session)
    }

    /// Runs the task and gives its ARN and what the shell was asked for.
    fn run_with_role(&mut self) -> (String, Vec<Wish>) {
        let call = Event::Call { operation: "RunTask".into(), body: json!({"taskDefinition": "roles"}) };
        let step = self.handle(call);
        let answer = step.reply.unwrap().unwrap();
        (answer["tasks"][0]["taskArn"].as_str().expect("a placed task").to_owned(), step.wishes)
    }

    fn answer(&mut self, task: &str, outcome: Result<i64, (&str, bool)>) -> Vec<Wish> {
        let outcome = match outcome {
            Ok(seconds) => Ok(Granted {
                credentials_id: "id-1".into(),
                expires: jiff::Timestamp::from_millisecond(self.now + seconds * 1000).unwrap(),
            }),
            Err((reason, is_final)) => Err(Refused { reason: reason.into(), is_final }),
        };
        self.handle(Event::Credentials { task: task.to_owned(), kind: RoleKind::TaskApplication, outcome }).wishes
    }

    /// As [`Lab::later`], giving what the shell was asked for.
    fn wishes_later(&mut self, seconds: i64) -> Vec<Wish> {
        self.now += seconds * 1000;
        self.handle(Event::Tick).wishes
    }

    fn acknowledge(&mut self, session: SessionId, payload: &Value) {
        self.say(session, "AckRequest", &json!({"messageId": payload["messageId"]}));
        self.acknowledge_credentials(session, payload);
    }

    fn acknowledge_credentials(&mut self, session: SessionId, message: &Value) {
        let ack = json!({"messageId": message["messageId"], "credentialsId": "id-1", "expiration": "x"});
        self.say(session, "IAMRoleCredentialsAckRequest", &ack);
    }

    fn remarks(&mut self, task: &str) -> Vec<String> {
        let report = self.handle(Event::Look { task: Some(task.to_owned()) }).reply.unwrap().unwrap();
        let report: crate::telemetry::Report = serde_json::from_value(report).unwrap();
        report.tasks[0].remarks.iter().map(|remark| remark.text.clone()).collect()
    }
}

fn obtain(task: &str, credentials_id: Option<&str>) -> Vec<Wish> {
    let credentials_id = credentials_id.map(str::to_owned);
    vec![Wish::Obtain {
        task: task.to_owned(),
        kind: RoleKind::TaskApplication,
        role_arn: ROLE.to_owned(),
        credentials_id,
    }]
}

#[test]
fn a_payload_waits_for_credentials_and_names_them() {
    let (mut lab, _, session) = Lab::with_roles();
    let (task, wishes) = lab.run_with_role();
    assert_eq!(wishes, obtain(&task, None));
    lab.later(5);
    assert_eq!(lab.received("PayloadMessage").len(), 0, "nothing goes out before");
    assert_eq!(lab.answer(&task, Ok(3600)), []);
    let payload = lab.received("PayloadMessage").remove(0);
    assert_eq!(payload["tasks"][0]["roleCredentials"], json!({"credentialsId": "id-1", "roleArn": ROLE}));
    assert!(payload["tasks"][0].get("executionRoleCredentials").is_none());
    lab.acknowledge(session, &payload);
    lab.later(120);
    assert_eq!(lab.received("IAMRoleCredentialsMessage").len(), 0, "what was acknowledged is not sent again");
    assert!(lab.remarks(&task)[0].contains("were obtained"));
    let stored: String = lab.rows.values().cloned().collect();
    assert!(stored.contains("id-1"), "a restart must find the id that containers were created with");
}

#[test]
fn refreshed_before_the_end_and_sent_until_acknowledged() {
    let (mut lab, _, session, task) = Lab::with_held_role(3600);
    // Fifteen minutes before the end.
    assert_eq!(lab.wishes_later(2699), []);
    assert_eq!(lab.wishes_later(1), obtain(&task, Some("id-1")));
    assert_eq!(lab.wishes_later(10), [], "asked once");
    lab.answer(&task, Ok(3600));
    let refresh = lab.received("IAMRoleCredentialsMessage").remove(0);
    assert_eq!(
        (&refresh["taskArn"], &refresh["roleType"], &refresh["roleCredentials"]["credentialsId"]),
        (&json!(task), &json!("TaskApplication"), &json!("id-1"))
    );
    lab.later(61);
    let again = lab.received("IAMRoleCredentialsMessage").remove(0);
    assert_ne!(again["messageId"], refresh["messageId"]);
    lab.acknowledge_credentials(session, &refresh);
    lab.later(61);
    let third = lab.received("IAMRoleCredentialsMessage").remove(0);
    lab.acknowledge_credentials(session, &third);
    lab.later(300);
    assert_eq!(lab.received("IAMRoleCredentialsMessage").len(), 0);
    // Short lives are refreshed a quarter before their end.
    assert_eq!(lab.wishes_later(2300), obtain(&task, Some("id-1")));
    lab.answer(&task, Ok(20));
    assert_eq!((lab.wishes_later(14), lab.wishes_later(1)), (vec![], obtain(&task, Some("id-1"))));
}

#[test]
fn a_silent_agent_is_not_sent_the_same_for_ever() {
    let (mut lab, _, session) = Lab::with_roles();
    let (task, _) = lab.run_with_role();
    lab.answer(&task, Ok(36_000));
    let payload = lab.received("PayloadMessage").remove(0);
    lab.say(session, "AckRequest", &json!({"messageId": payload["messageId"]}));
    let mut sent = 0;
    for _ in 0..10 {
        lab.later(61);
        let beats = lab.received("HeartbeatMessage");
        for beat in beats {
            lab.say(session, "HeartbeatAckRequest", &json!({"messageId": beat["messageId"]}));
        }
        sent += lab.received("IAMRoleCredentialsMessage").len();
    }
    assert_eq!(sent, 2, "with the payload that makes three");
    let deadline = lab.plane.deadline().unwrap().as_millisecond();
    assert!(deadline > lab.now, "nothing may wait in the past");
}

#[test]
fn a_role_that_gives_nothing_keeps_the_task_from_starting() {
    let (mut lab, _, _) = Lab::with_roles();
    let (task, _) = lab.run_with_role();
    lab.answer(&task, Err(("AccessDenied: no", true)));
    let stopped = lab.task(&task);
    assert_eq!((&stopped["lastStatus"], &stopped["stopCode"]), (&json!("STOPPED"), &json!("TaskFailedToStart")));
    let reason = stopped["stoppedReason"].as_str().unwrap();
    assert!(
        reason.starts_with(&format!("ECS was unable to assume the role '{ROLE}' that was provided for this task."))
    );
    assert!(reason.ends_with("(AccessDenied: no)"), "{reason}");
    assert_eq!(lab.received("PayloadMessage").len(), 0);
}

#[test]
fn what_may_pass_is_tried_three_times() {
    let (mut lab, _, _) = Lab::with_roles();
    let (task, _) = lab.run_with_role();
    assert_eq!(lab.answer(&task, Err(("late", false))), []);
    assert_eq!((lab.wishes_later(0), lab.wishes_later(1)), (vec![], obtain(&task, None)));
    lab.answer(&task, Err(("late", false)));
    assert_eq!((lab.wishes_later(1), lab.wishes_later(1)), (vec![], obtain(&task, None)));
    assert_eq!(lab.task(&task)["lastStatus"], "PENDING");
    lab.answer(&task, Err(("late", false)));
    assert_eq!(lab.task(&task)["lastStatus"], "STOPPED");
    let (other, _) = lab.run_with_role();
    lab.answer(&other, Err(("late", false)));
    lab.later(1);
    lab.answer(&other, Ok(3600));
    assert_eq!(lab.received("PayloadMessage").len(), 1, "one success is enough");
}

#[test]
fn a_refresh_that_fails_ends_no_task_and_goes_on() {
    let (mut lab, _, _, task) = Lab::with_held_role(3600);
    lab.later(2700);
    // Fewer than heartbeats may stay unanswered.
    for _ in 0..3 {
        lab.answer(&task, Err(("gone", true)));
        assert_eq!(lab.wishes_later(30), obtain(&task, Some("id-1")));
    }
    assert_eq!(lab.task(&task)["desiredStatus"], "RUNNING");
    let troubles = lab.remarks(&task).iter().filter(|text| text.contains("not to be had: gone")).count();
    assert_eq!(troubles, 1, "said once");
    lab.answer(&task, Ok(3600));
    assert_eq!(lab.received("IAMRoleCredentialsMessage").len(), 1);
}

#[test]
fn what_has_expired_is_not_sent() {
    let (mut lab, instance, session) = Lab::with_roles();
    let (owed, _) = lab.run_with_role();
    lab.answer(&owed, Ok(3600));
    assert_eq!(lab.received("PayloadMessage").len(), 1);
    // Its agent goes without having acknowledged.
    lab.handle(Event::Closed { session });
    assert_eq!(lab.wishes_later(2700), obtain(&owed, Some("id-1")));
    lab.answer(&owed, Err(("gone", true)));
    assert_eq!(lab.wishes_later(899), obtain(&owed, Some("id-1")));
    lab.later(1);
    lab.connect(Channel::Acs, &instance).unwrap();
    assert_eq!(lab.received("PayloadMessage").len(), 0, "the end has come");
    lab.answer(&owed, Err(("gone", true)));
    assert_eq!(lab.received("PayloadMessage").len(), 0);
    assert_eq!(lab.task(&owed)["desiredStatus"], "RUNNING", "the agent may have it");
    assert_eq!((lab.wishes_later(29), lab.wishes_later(1)), (vec![], obtain(&owed, Some("id-1"))));
    lab.answer(&owed, Ok(3600));
    assert_eq!(lab.received("PayloadMessage").len(), 1);
}

#[test]
fn a_new_agent_is_not_sent_what_has_expired() {
    let (mut lab, instance, session, task) = Lab::with_held_role(3600);
    lab.handle(Event::Closed { session });
    lab.later(3600);
    lab.answer(&task, Err(("gone", true)));
    let query = [("containerInstanceArn", instance.as_str()), ("sendCredentials", "true")];
    let query = query.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let step = lab.handle(Event::Connected { session: SessionId(50), channel: Channel::Acs, query });
    step.reply.unwrap().unwrap();
    assert_eq!(lab.received("IAMRoleCredentialsMessage").len(), 0);
    let deadline = lab.plane.deadline().unwrap().as_millisecond();
    assert!(deadline > lab.now, "nothing may wait in the past");
    lab.answer(&task, Ok(3600));
    assert_eq!(lab.received("IAMRoleCredentialsMessage").len(), 1);
}

#[test]
fn new_agents_and_new_planes_get_what_live_tasks_had() {
    let (mut lab, instance, session, task) = Lab::with_held_role(36_000);

    lab.handle(Event::Closed { session });
    let connect = |lab: &mut Lab, number: u64, wants: &str| {
        let query = [("containerInstanceArn", instance.as_str()), ("sendCredentials", wants)];
        let query = query.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let session = SessionId(number);
        let step = lab.handle(Event::Connected { session, channel: Channel::Acs, query });
        step.reply.unwrap().unwrap();
        (session, step.wishes)
    };
    let (session, _) = connect(&mut lab, 50, "false");
    assert_eq!(lab.received("IAMRoleCredentialsMessage").len(), 0, "the same agent has them still");
    lab.handle(Event::Closed { session });
    let (session, _) = connect(&mut lab, 51, "true");
    let sent = lab.received("IAMRoleCredentialsMessage");
    assert_eq!(sent.len(), 1, "a new one has not");
    lab.acknowledge_credentials(session, &sent[0]);

    lab.restart();
    assert_eq!(lab.wishes_later(0), obtain(&task, Some("id-1")), "values are not stored");
    connect(&mut lab, 52, "false");
    lab.answer(&task, Ok(3600));
    assert_eq!(lab.received("IAMRoleCredentialsMessage").len(), 1);
}

#[test]
fn credentials_end_with_their_task() {
    let (mut lab, _, _, task) = Lab::with_held_role(3600);
    let body = json!({"task": task, "status": "STOPPED", "reason": ""});
    let step = lab.handle(Event::Call { operation: "SubmitTaskStateChange".into(), body });
    assert_eq!(step.wishes, [Wish::Forget { credentials_id: "id-1".into() }]);
    assert_eq!(lab.wishes_later(3600), []);
    // An answer that comes too late is forgotten at once.
    assert_eq!(lab.answer(&task, Ok(3600)), [Wish::Forget { credentials_id: "id-1".into() }]);
}

#[test]
fn without_a_source_the_task_runs_and_is_told_why_it_has_none() {
    let mut lab = Lab::new();
    lab.ok("CreateCluster", json!({}));
    lab.define_roles();
    lab.capable_agent();
    let (task, wishes) = lab.run_with_role();
    assert_eq!(wishes, []);
    let payload = lab.received("PayloadMessage").remove(0);
    assert!(payload["tasks"][0].get("roleCredentials").is_none());
    let remarks = lab.remarks(&task);
    assert!(
        remarks.len() == 1 && remarks[0].contains(ROLE) && remarks[0].contains("--task-credentials"),
        "{remarks:?}"
    );
}
