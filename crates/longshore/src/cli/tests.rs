#![allow(clippy::unwrap_used)]

use std::ffi::OsString;
use std::time::Duration;

use clap::CommandFactory;
use expect_test::{Expect, expect};
use jiff::Timestamp;
use serde_json::json;

use super::definition::DefinitionFile;
use super::logs::{Printer, parse_since};
use super::pump::Line;
use super::text::Paint;
use super::*;
use crate::local::report::{ContainerReport, HealthReport, MomentReport, PortReport, TaskReport};

fn at(text: &str) -> Timestamp {
    format!("2030-01-31T{text}Z").parse().unwrap()
}

/// A task of three containers in the middle of its life.
fn task() -> TaskReport {
    let moment = |time: &str, container: Option<&str>, what: &str, detail: &str| MomentReport {
        at: at(time),
        container: container.map(str::to_owned),
        what: what.to_owned(),
        detail: detail.to_owned(),
    };
    TaskReport {
        arn: "arn:aws:ecs:us-east-1:000000000000:task/default/0123456789abcdef".into(),
        id: "0123456789abcdef".into(),
        family: "web".into(),
        revision: "3".into(),
        network_mode: "bridge".into(),
        last_status: "PENDING".into(),
        desired_status: "RUNNING".into(),
        agent_status: "CREATED".into(),
        created_at: Some(at("12:00:00")),
        containers: vec![
            ContainerReport {
                name: "page".into(),
                image: "demo".into(),
                status: "STOPPED".into(),
                exit_code: Some(0),
                started_at: Some(at("12:00:01")),
                finished_at: Some(at("12:00:01.5")),
                ..ContainerReport::default()
            },
            ContainerReport {
                name: "web".into(),
                image: "demo".into(),
                is_essential: true,
                status: "RUNNING".into(),
                started_at: Some(at("12:00:02")),
                health: Some(HealthReport { status: "UNKNOWN".into(), ..HealthReport::default() }),
                ports: ["0.0.0.0", "::"]
                    .map(|ip| PortReport {
                        bind_ip: ip.into(),
                        host_port: 32768,
                        container_port: 80,
                        protocol: "tcp".into(),
                    })
                    .to_vec(),
                ..ContainerReport::default()
            },
            ContainerReport {
                name: "visitor".into(),
                image: "demo".into(),
                is_essential: true,
                status: "MANIFEST_PULLED".into(),
                waiting: Some("waits until web is HEALTHY".into()),
                ..ContainerReport::default()
            },
        ],
        history: vec![
            moment("12:00:00", None, "accepted", "task accepted"),
            moment("12:00:00.01", None, "task_reached", "task is MANIFEST_PULLED"),
            moment("12:00:01", Some("page"), "started", "started"),
            moment("12:00:01.5", Some("page"), "exited", "exited with code 0"),
            moment("12:00:02", Some("web"), "started", "started"),
        ],
        ..TaskReport::default()
    }
}

#[test]
fn the_command_tree_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn arguments_are_understood_or_refused() {
    let parse = |line: &str| Cli::try_parse_from(line.split_whitespace());
    let Command::Run(run) = parse("longshore run web.json -e A=1 --env web:B=2 --json").unwrap().command else {
        panic!("not run");
    };
    assert_eq!(run.env, ["A=1", "web:B=2"]);
    let Command::Logs(logs) = parse("longshore logs -f --tail 5 3f9c web").unwrap().command else { panic!("not logs") };
    assert_eq!((logs.follow, logs.tail, logs.container.as_deref()), (true, Some(5), Some("web")));
    assert!(parse("longshore ps --json").unwrap().global.json);
    for line in
        ["longshore", "longshore frobnicate", "longshore run", "longshore logs --tail x y", "longshore ps extra"]
    {
        assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
    }
    let Command::Agent(agent) = parse("longshore agent --version").unwrap().command else { panic!("not agent") };
    assert!(agent.version);
}

#[test]
fn go_flags_become_ours() {
    let check = |line: &str, wanted: &str| {
        let normal = normalize_go_flags(line.split_whitespace().map(OsString::from));
        let normal: Vec<_> = normal.iter().map(|arg| arg.to_str().unwrap()).collect();
        assert_eq!(normal.join(" "), wanted, "{line}");
    };
    check("-version", "--version");
    check("--version=true", "--version");
    check("-k=0 -license=F", "");
    check("-k=maybe", "-k=maybe");
    check("-loglevel debug -k", "--loglevel=debug --k");
    check("--loglevel=debug", "--loglevel=debug");
    check("-loglevel -k", "--loglevel=-k");
    check("-help -h", "--help --help");
    check("-frobnicate -", "-frobnicate -");
}

#[test]
fn spans_and_bytes_are_short() {
    let spans = [0, 350, 1_000, 9_990, 59_000, 125_000, 10_920_000, 90_000_000];
    let texts: Vec<_> = spans.map(|millis| text::span(Duration::from_millis(millis))).to_vec();
    assert_eq!(texts, ["0ms", "350ms", "1.0s", "9.9s", "59s", "2m 5s", "3h 2m", "1d 1h"]);
    assert_eq!([999, 1_000, 3_240_000, 5_000_000_000].map(text::bytes), ["999B", "1.0kB", "3.2MB", "5.0GB"]);
}

#[test]
fn ps_is_a_table() {
    let table = ps::render(&[task()], at("12:01:05"), Paint::never());
    expect![[r#"
        TASK            STATUS                               HEALTH   PORTS                      IMAGE  SINCE
        01234567 web:3  PENDING                                                                         1m 5s
          page          STOPPED (0)                                                              demo   1m 3s
          web           RUNNING                              UNKNOWN  127.0.0.1:32768 -> 80/tcp  demo   1m 3s
          visitor       PENDING: waits until web is HEALTHY                                      demo"#]]
    .assert_eq(&table);
    assert!(ps::render(&[task()], at("12:01:05"), Paint::always()).contains("\u{1b}["));
}

#[test]
fn describe_has_a_time_line() {
    let text = describe::render(&task(), at("12:00:05"), Paint::never());
    // The time of day is this machine's, and not compared.
    let line = |event: &str| {
        let line = text.lines().rev().find(|line| line.contains(event)).unwrap();
        line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("task accepted"), "+0ms 10ms task task accepted");
    assert_eq!(line("MANIFEST_PULLED"), "+10ms 4.9s task task is MANIFEST_PULLED");
    assert_eq!(line("page"), "+1.5s page exited with code 0");
    assert_eq!(line("web   started"), "+2.0s 3.0s web started");
    assert!(text.contains("\n  waiting   waits until web is HEALTHY\n"), "{text}");
    assert!(text.contains("\nStatus      PENDING (wanted: RUNNING)\n"), "{text}");
    assert_eq!(text.matches("-> 80/tcp").count(), 1, "{text}");
}

#[test]
fn tasks_are_found_by_what_people_type() {
    let stopped = TaskReport { id: "0199".into(), last_status: "STOPPED".into(), ..task() };
    let other = TaskReport { id: "abcd".into(), family: "batch".into(), revision: "1".into(), ..task() };
    let tasks = [task(), stopped, other];
    let find = |wanted: &str| find::choose(&tasks, wanted).map(|task| task.id.clone());
    let id = Ok("0123456789abcdef".to_owned());
    assert_eq!(find("0123456789abcdef"), id);
    assert_eq!(find(&tasks[0].arn), id);
    assert_eq!(find("012"), id);
    assert_eq!(find("web"), id, "the running one is meant");
    assert_eq!(find("web:3"), id);
    assert_eq!(find("0199"), Ok("0199".to_owned()));
    assert_eq!(find("batch"), Ok("abcd".to_owned()));
    assert_eq!(find("nope").unwrap_err().to_string(), "no task is called 'nope'\n  `longshore ps --all` lists them.");
    let twins = [task(), TaskReport { id: "012z".into(), ..task() }];
    expect![[r#"
        '01' may be any of 2 tasks
          01234567  web:3  PENDING
          012z  web:3  PENDING"#]]
    .assert_eq(&find::choose(&twins, "01").unwrap_err().to_string());
}

#[test]
fn since_is_a_span_or_a_time() {
    let now = at("12:00:00");
    assert_eq!(parse_since("90s", now).unwrap(), at("11:58:30"));
    assert_eq!(parse_since("1h30m", now).unwrap(), at("10:30:00"));
    assert_eq!(parse_since("2030-01-31T08:00:00Z", now).unwrap(), at("08:00:00"));
    assert_eq!(parse_since("yesterday", now).unwrap_err().code, 2);
}

#[test]
fn log_lines_say_who_wrote_them() {
    let line =
        Line { position: 1, container: "web".into(), is_stderr: true, at: Some(at("12:00:00")), text: "up".into() };
    let show = |json, time, prefix| Printer::new(&task(), json, time, prefix).render(&line);
    assert_eq!(show(false, false, true), "web     | up");
    assert_eq!(show(false, true, true), "web     | 2030-01-31T12:00:00Z up");
    assert_eq!(show(false, false, false), "up");
    expect![[r#"{"type":"log","container":"web","stream":"stderr","at":"2030-01-31T12:00:00Z","text":"up"}"#]]
        .assert_eq(&show(true, false, true));
}

/// All that is said of a file.
fn check(name: &str, text: &str, expect: Expect) {
    let said = match DefinitionFile::parse(name, text.to_owned()).and_then(|file| file.check().map(|()| file)) {
        Ok(file) => file.definition.to_string(),
        Err(failure) => failure.to_string(),
    };
    expect.assert_eq(&said);
}

#[test]
fn what_is_no_json_is_shown() {
    check(
        "x.json",
        "{\n\t\"family\": \"x\"\n\t\"cpu\": 1\n}\n",
        expect![[r#"
        x.json:3:2: this is not JSON: expected `,` or `}`
          	"cpu": 1
          	^"#]],
    );
    check(
        "x.json",
        "{\"family\": \"x\",\n\n",
        expect![[r#"
        x.json:1:16: this is not JSON: EOF while parsing a value
          {"family": "x",
                         ^"#]],
    );
    check(
        "x.yaml",
        "family: x\ncontainerDefinitions: [\n",
        expect![[r#"
        x.yaml:2:24: this is not YAML: did not find expected node content
          containerDefinitions: [
                                 ^"#]],
    );
    check(
        "x.json",
        "[]",
        expect![[r#"
        x.json holds no task definition: an object is expected
          There is one to look at: examples/web.json"#]],
    );
    check(
        "x",
        "just text",
        expect![[r#"
        x holds no task definition: an object is expected
          There is one to look at: examples/web.json"#]],
    );
}

#[test]
fn unknown_members_are_told_with_their_place_and_nearest_name() {
    check(
        "x.json",
        "{\"family\": \"x\", \"containerDefinitions\": [\n  {\"name\": \"a\", \"image\": \"i\", \"memory\": 4,\n   \"portMapings\": []}\n]}",
        expect![[r#"
            x.json has 1 problem
              x.json:3:4: containerDefinitions[0].portMapings: unknown member 'portMapings'; did you mean 'portMappings'?"#]],
    );
}

#[test]
fn circles_of_dependencies_are_told() {
    check(
        "x.yml",
        "family: x\ncontainerDefinitions:\n  - name: a\n    image: i\n    memory: 4\n    dependsOn: [{containerName: b, condition: START}]\n  - {name: b, image: i, memory: 4, dependsOn: [{containerName: a, condition: START}]}\n",
        expect![[r#"
            x.yml has 1 problem
              x.yml:2:1: containerDefinitions: The containers 'a', 'b' depend on each other in a circle."#]],
    );
}

#[test]
fn yaml_numbers_that_must_be_texts_are_explained() {
    check(
        "x.yaml",
        "family: x\ncpu: 256\ncontainerDefinitions: [{name: a, image: i, memory: 4}]\n",
        expect![[r#"
            x.yaml has 1 problem
              x.yaml:2:1: cpu: must be a string, not a number; put it in quotes"#]],
    );
}

#[test]
fn what_aws_prints_can_be_run() {
    let printed = json!({
        "taskDefinition": {
            "taskDefinitionArn": "arn:aws:ecs:us-east-1:1:task-definition/x:7",
            "containerDefinitions": [{"name": "a", "image": "i", "memory": 4}],
            "family": "x", "revision": 7, "status": "ACTIVE", "compatibilities": ["EC2"],
            "requiresAttributes": [{"name": "y"}], "registeredAt": "2030-01-31T12:00:00Z", "registeredBy": "me"
        },
        "tags": [{"key": "k", "value": "v"}]
    });
    check(
        "x.json",
        &printed.to_string(),
        expect![[
            r#"{"containerDefinitions":[{"name":"a","image":"i","memory":4}],"family":"x","tags":[{"key":"k","value":"v"}]}"#
        ]],
    );
    // Problems are placed within the wrapper.
    let broken = printed.to_string().replace("\"memory\":4", "\n\"memory\":\"4\"");
    check(
        "x.json",
        &broken,
        expect![[r#"
        x.json has 1 problem
          x.json:2:1: containerDefinitions[0].memory: must be an integer, not a string"#]],
    );
}

#[test]
fn both_examples_are_the_same_and_without_problems() {
    let read = |name: &str| {
        let path = format!("{}/../../examples/{name}", env!("CARGO_MANIFEST_DIR"));
        let file = DefinitionFile::read(&path).unwrap();
        assert_eq!(file.problems(), [], "{name}");
        file.definition
    };
    assert_eq!(read("web.json"), read("web.yaml"));
}
