//! Transcripts: answers on the left, what registering wants on the right.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fmt::Write as _;

use expect_test::{Expect, expect};

use super::*;

struct Play {
    registering: Registering,
    config: EngineConfig,
    rng: Rng,
    now: Mono,
    sent: Vec<RegisterContainerInstanceRequest>,
    transcript: String,
}

impl Play {
    fn new(cluster: &str, saved_arn: Option<&str>) -> Self {
        let mut config = EngineConfig { cluster: cluster.into(), ..EngineConfig::default() };
        config.registration.custom_attributes = [("stack".to_owned(), "blue".to_owned())].into();
        Self {
            registering: Registering::new(saved_arn.map(ContainerInstanceArn::from), "token".into()),
            config,
            rng: Rng::new(11),
            now: Mono::default(),
            sent: Vec::new(),
            transcript: String::new(),
        }
    }

    fn act(&mut self, act: impl FnOnce(&mut Registering, Now, &mut RegisterContext<'_>)) {
        let mut wants = Vec::new();
        let now = Now { mono: self.now, wall: jiff::Timestamp::UNIX_EPOCH };
        let mut cx = RegisterContext { config: &self.config, rng: &mut self.rng, wants: &mut wants };
        act(&mut self.registering, now, &mut cx);
        let is_over = matches!(wants.last(), Some(RegisterWant::Done(_) | RegisterWant::Exit { .. }));
        for want in wants {
            let line = match want {
                RegisterWant::Register(request) => {
                    let line = format!(
                        "register with {} as {}",
                        request.cluster.as_deref().unwrap_or_default(),
                        request.container_instance_arn.as_deref().unwrap_or("new"),
                    );
                    self.sent.push(*request);
                    line
                }
                RegisterWant::CreateCluster(request) => {
                    format!("create cluster {}", request.cluster_name.unwrap_or_default())
                }
                RegisterWant::Done(Registered { instance_arn, availability_zone, cluster }) => {
                    format!("done: {instance_arn} in {availability_zone:?} of {cluster}")
                }
                RegisterWant::Exit { code, why } => format!("exit {code}: {why}"),
                RegisterWant::Told(note) => format!("({note})"),
            };
            writeln!(self.transcript, "{:.3} {line}", self.now.0.as_secs_f64()).unwrap();
        }
        let is_waiting = self.registering.is_in_flight() || self.registering.deadline().is_some();
        assert_eq!(is_waiting, !is_over, "stuck, or not over: {:?}", self.registering.step);
    }

    fn idle(&mut self) {
        self.now = self.registering.deadline().expect("a deadline");
        self.act(|registering, now, cx| registering.on_tick(now, cx));
    }

    /// `ok`, `ok <zone>`, `nameless`, `altered`, `created <name>`, `wait`, or a failure: `<code> <text>`, where
    /// the code `-` stands for a call that had no answer.
    fn step(&mut self, step: &str) {
        let (word, rest) = step.split_once(' ').unwrap_or((step, ""));
        let mut instance = ContainerInstance {
            container_instance_arn: "arn:new".into(),
            attributes: self.sent.last().and_then(|request| request.attributes.clone()).unwrap_or_default(),
            ..ContainerInstance::default()
        };
        match word {
            "wait" => return self.idle(),
            "created" => {
                return self.act(|registering, now, cx| registering.on_cluster_created(now, Ok(rest.into()), cx));
            }
            "ok" => {
                // Name-only attributes may be missing from the answer.
                instance.attributes.retain(|attribute| attribute.value.is_some());
                if !rest.is_empty() {
                    instance.attributes.push(Attribute {
                        name: "ecs.availability-zone".into(),
                        value: Some(rest.into()),
                        ..Attribute::default()
                    });
                }
            }
            "nameless" => instance.container_instance_arn.clear(),
            "altered" => instance.attributes.retain(|attribute| attribute.name != "ecs.os-type"),
            code => {
                let (kind, code) = match code {
                    "-" => (FailureKind::Unreachable, ""),
                    "ThrottlingException" => (FailureKind::Throttled, code),
                    _ => (FailureKind::Other, code),
                };
                let failure = Failure { kind, code: code.into(), text: step.into() };
                let is_cluster = self.registering.step == Step::InFlight(Call::CreateCluster);
                return self.act(|registering, now, cx| {
                    if is_cluster {
                        registering.on_cluster_created(now, Err(failure), cx);
                    } else {
                        registering.on_answer(now, Err(failure), cx);
                    }
                });
            }
        }
        self.act(|registering, now, cx| registering.on_answer(now, Ok(instance), cx));
    }
}

#[track_caller]
fn play(cluster: &str, saved_arn: Option<&str>, steps: &str) -> Play {
    let mut play = Play::new(cluster, saved_arn);
    play.act(Registering::start);
    for step in steps.split(';').map(str::trim).filter(|step| !step.is_empty()) {
        play.step(step);
    }
    let is_same = |request: &RegisterContainerInstanceRequest| request.client_token.as_deref() == Some("token");
    assert!(play.sent.iter().all(is_same), "one token for all attempts");
    play
}

#[track_caller]
fn check(cluster: &str, saved_arn: Option<&str>, steps: &str, expected: Expect) {
    expected.assert_eq(&play(cluster, saved_arn, steps).transcript);
}

#[test]
fn a_new_instance_is_given_its_arn_and_zone() {
    check(
        "lab",
        None,
        "ok us-west-2a",
        expect![[r#"
            0.000 register with lab as new
            0.000 done: arn:new in "us-west-2a" of lab
    "#]],
    );
}

#[test]
fn a_known_instance_keeps_its_arn() {
    check(
        "lab",
        Some("arn:old"),
        "ok",
        expect![[r#"
            0.000 register with lab as arn:old
            0.000 done: arn:old in "" of lab
    "#]],
    );
    check(
        "lab",
        Some("arn:old"),
        "nameless",
        expect![[r#"
            0.000 register with lab as arn:old
            0.000 done: arn:old in "" of lab
    "#]],
    );
}

/// The table of spec 10 §1.7.5.
#[test]
fn failures_decide_how_the_process_ends() {
    for (failure, new, renewed) in [
        ("InvalidParameterException x", 5, 5),
        ("ClientException x", 5, 5),
        ("OtherException Container instance type changes are not supported.", 1, 5),
        ("ClientException Container instance type changes are not supported.", 5, 5),
        ("AccessDeniedException x", 1, 1),
        ("ClusterNotFoundException x", 1, 1),
        ("- connection refused; wait; - connection refused; wait; - connection refused", 1, 1),
        ("altered", 5, 5),
        ("nameless", 1, 0),
    ] {
        for (saved_arn, code) in [(None, new), (Some("arn:old"), renewed)] {
            let played = play("lab", saved_arn, failure);
            let end = played.transcript.lines().last().unwrap();
            let expected = if code == 0 { "done:".to_owned() } else { format!("exit {code}:") };
            assert!(end.contains(&expected), "{failure}, {saved_arn:?}: {end}");
        }
    }
}

#[test]
fn a_lost_connection_is_tried_three_times() {
    check(
        "lab",
        None,
        "- a; wait; - b; wait; - c",
        expect![[r#"
            0.000 register with lab as new
            0.000 (registration failed, next attempt in 957.638813ms: - a)
            0.958 register with lab as new
            0.958 (registration failed, next attempt in 629.744545ms: - b)
            1.587 register with lab as new
            1.587 exit 1: registration failed: - c
    "#]],
    );
    check(
        "lab",
        None,
        "- a; wait; - b; wait; ok",
        expect![[r#"
            0.000 register with lab as new
            0.000 (registration failed, next attempt in 957.638813ms: - a)
            0.958 register with lab as new
            0.958 (registration failed, next attempt in 629.744545ms: - b)
            1.587 register with lab as new
            1.587 done: arn:new in "" of lab
    "#]],
    );
}

#[test]
fn throttling_is_waited_out_with_growing_pauses() {
    let call = "ThrottlingException slow; wait; ServerException x; wait; LimitExceededException y; wait;";
    check(
        "lab",
        None,
        &format!("{call} {call} {call} ok"),
        expect![[r#"
            0.000 register with lab as new
            0.000 (registration failed, next attempt in 957.638813ms: ThrottlingException slow)
            0.958 register with lab as new
            0.958 (registration failed, next attempt in 629.744545ms: ServerException x)
            1.587 register with lab as new
            1.587 (registration failed, next attempt in 3.202734189s: LimitExceededException y)
            4.790 register with lab as new
            4.790 (registration failed, next attempt in 1.74826648s: ThrottlingException slow)
            6.538 register with lab as new
            6.538 (registration failed, next attempt in 176.347588ms: ServerException x)
            6.715 register with lab as new
            6.715 (registration failed, next attempt in 6.864339982s: LimitExceededException y)
            13.579 register with lab as new
            13.579 (registration failed, next attempt in 865.395556ms: ThrottlingException slow)
            14.444 register with lab as new
            14.444 (registration failed, next attempt in 1.708172778s: ServerException x)
            16.153 register with lab as new
            16.153 (registration failed, next attempt in 13.13254847s: LimitExceededException y)
            29.285 register with lab as new
            29.285 done: arn:new in "" of lab
        "#]],
    );
}

#[test]
fn after_an_hour_the_process_is_started_again() {
    let mut played = play("lab", None, "");
    while played.registering.is_in_flight() {
        played.step("ThrottlingException slow");
        if played.registering.deadline().is_some() {
            played.idle();
        }
    }
    assert_eq!(played.now, Mono(BUDGET));
    assert!(
        played.transcript.ends_with("\n3600.000 exit 1: registration failed for 1h0m0s: ThrottlingException slow\n"),
        "{}",
        played.transcript
    );
    assert!(played.sent.len() > 30, "{}", played.sent.len());
}

#[test]
fn a_late_answer_ends_an_hour_that_is_over() {
    let mut played = play("lab", None, "");
    played.now = Mono(BUDGET + Duration::from_secs(1));
    played.step("ThrottlingException slow");
    assert!(played.transcript.contains("exit 1"), "{}", played.transcript);
}

#[test]
fn the_default_cluster_is_created_when_it_is_missing() {
    check(
        "",
        None,
        "ok",
        expect![[r#"
            0.000 register with default as new
            0.000 done: arn:new in "" of default
    "#]],
    );
    check(
        "",
        None,
        "ClusterNotFoundException x; created default; ok",
        expect![[r#"
            0.000 register with default as new
            0.000 (cluster default does not exist; creating it)
            0.000 create cluster default
            0.000 (created cluster default)
            0.000 register with default as new
            0.000 done: arn:new in "" of default
    "#]],
    );
    check(
        "",
        None,
        "ClientException Cluster not found.; created other; ok",
        expect![[r#"
            0.000 register with default as new
            0.000 (cluster default does not exist; creating it)
            0.000 create cluster default
            0.000 (created cluster other)
            0.000 register with other as new
            0.000 done: arn:new in "" of other
    "#]],
    );
    check(
        "",
        None,
        "ClusterNotFoundException x; AccessDeniedException no",
        expect![[r#"
            0.000 register with default as new
            0.000 (cluster default does not exist; creating it)
            0.000 create cluster default
            0.000 exit 1: registration failed: AccessDeniedException no
    "#]],
    );
    check(
        "",
        None,
        "ClusterNotFoundException x; ServerException a; wait; created default; ok",
        expect![[r#"
            0.000 register with default as new
            0.000 (cluster default does not exist; creating it)
            0.000 create cluster default
            0.000 (registration failed, next attempt in 957.638813ms: ServerException a)
            0.958 create cluster default
            0.958 (created cluster default)
            0.958 register with default as new
            0.958 done: arn:new in "" of default
    "#]],
    );
    check(
        "",
        None,
        "ClusterNotFoundException x; InvalidParameterException no",
        expect![[r#"
            0.000 register with default as new
            0.000 (cluster default does not exist; creating it)
            0.000 create cluster default
            0.000 exit 5: registration failed: InvalidParameterException no
    "#]],
    );
}

#[test]
fn with_the_default_cluster_any_failure_is_tried_once_more() {
    check(
        "",
        None,
        "AccessDeniedException a; AccessDeniedException b",
        expect![[r#"
            0.000 register with default as new
            0.000 (registration with the default cluster failed, trying once more: AccessDeniedException a)
            0.000 register with default as new
            0.000 exit 1: registration failed: AccessDeniedException b
    "#]],
    );
    check(
        "",
        None,
        "altered; ok",
        expect![[r#"
            0.000 register with default as new
            0.000 (registration with the default cluster failed, trying once more: Attribute validation failed)
            0.000 register with default as new
            0.000 done: arn:new in "" of default
    "#]],
    );
    check(
        "",
        None,
        "ClusterNotFoundException x; created default; ClusterNotFoundException y",
        expect![[r#"
            0.000 register with default as new
            0.000 (cluster default does not exist; creating it)
            0.000 create cluster default
            0.000 (created cluster default)
            0.000 register with default as new
            0.000 exit 1: registration failed: ClusterNotFoundException y
    "#]],
    );
}

#[test]
fn a_configured_cluster_is_never_created() {
    check(
        "lab",
        None,
        "ClusterNotFoundException Cluster not found.",
        expect![[r#"
            0.000 register with lab as new
            0.000 exit 1: registration failed: ClusterNotFoundException Cluster not found.
    "#]],
    );
}

#[test]
fn a_request_that_cannot_be_made_ends_the_process() {
    let mut play = Play::new("lab", None);
    play.config.registration.reserved_memory_mib = 1 << 20;
    play.act(Registering::start);
    expect![[r#"
            0.000 exit 1: reserved memory (1048576 MiB) is more than the host has (4096 MiB)
    "#]]
    .assert_eq(&play.transcript);
}

#[test]
fn custom_attributes_are_sent_to_new_instances_only() {
    let has_stack = |play: &Play| {
        let attributes = play.sent[0].attributes.as_deref().unwrap_or_default();
        attributes.iter().any(|attribute| attribute.name == "stack")
    };
    assert!(has_stack(&play("lab", None, "")));
    assert!(!has_stack(&play("lab", Some("arn:old"), "")));
}
