#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::outcome::{Outcome, advise};
use super::target::{Target, overrides};
use super::view::bar;
use crate::local::report::{ContainerReport, LayerReport, MomentReport, PullReport, TaskReport};

/// A container: name, whether it is essential, whether it ran, exit code, reason.
type Given = (&'static str, bool, bool, Option<i64>, Option<&'static str>);

/// A stopped task of containers that ended in the given order.
fn ended(containers: &[Given], order: &[&str]) -> TaskReport {
    let now = "2030-01-31T12:00:00Z".parse().unwrap();
    TaskReport {
        last_status: "STOPPED".into(),
        reason: Some("Essential container in task exited".into()),
        containers: containers
            .iter()
            .map(|(name, is_essential, ran, exit_code, reason)| ContainerReport {
                name: (*name).into(),
                image: "i".into(),
                is_essential: *is_essential,
                started_at: ran.then_some(now),
                exit_code: *exit_code,
                reason: reason.map(str::to_owned),
                ..ContainerReport::default()
            })
            .collect(),
        history: order
            .iter()
            .map(|name| MomentReport {
                at: now,
                container: Some((*name).into()),
                what: "exited".into(),
                detail: String::new(),
            })
            .collect(),
        ..TaskReport::default()
    }
}

#[test]
fn the_first_essential_container_decides() {
    let check = |task: TaskReport, code: u8, text: &str| {
        let outcome = Outcome::of(&task);
        assert_eq!((outcome.code, outcome.text.as_str()), (code, text));
    };
    let containers = [
        ("init", false, true, Some(9), None),
        ("web", true, true, Some(137), None),
        ("visitor", true, true, Some(3), None),
    ];
    check(ended(&containers, &["init", "visitor", "web"]), 3, "visitor exited with code 3");
    check(ended(&containers, &["init", "web", "visitor"]), 137, "web exited with code 137");
    let failed = [("a", true, false, Some(127), Some("CannotStartContainerError: no"))];
    check(ended(&failed, &["a"]), 1, "a never ran: CannotStartContainerError: no");
    check(ended(&[("a", true, true, Some(256), None)], &["a"]), 1, "a exited with code 256");
    check(ended(&[("a", true, false, None, None)], &[]), 1, "a never ran: Essential container in task exited");
    check(ended(&[], &[]), 1, "Essential container in task exited");
}

#[test]
fn common_errors_come_with_advice() {
    let missing = "CannotPullContainerError: Error response from daemon: pull access denied for x, repository does not exist or may require 'docker login': denied";
    assert!(advise(missing, "x").unwrap().starts_with("There is no image x here"));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let taken = format!("CannotStartContainerError: Bind for 0.0.0.0:{port} failed: port is already allocated");
    let advice = advise(&taken, "x").unwrap();
    let wanted = format!("Port {port} is in use by process {} (", std::process::id());
    assert!(advice.starts_with(&wanted), "{advice}");
    assert_eq!(advise("CannotStartContainerError: whatever", "x"), None);
}

#[test]
fn variables_go_to_all_containers_or_to_one() {
    let definition = json!({"containerDefinitions": [{"name": "a"}, {"name": "b"}]});
    let read = |list: &[&str]| overrides(&list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>(), &definition);
    assert_eq!(
        read(&["X=1", "b:Y=p:q=r"]).unwrap(),
        json!({"containerOverrides": [
            {"name": "a", "environment": [{"name": "X", "value": "1"}]},
            {"name": "b", "environment": [{"name": "X", "value": "1"}, {"name": "Y", "value": "p:q=r"}]},
        ]})
    );
    assert_eq!(read(&[]).unwrap(), json!({"containerOverrides": []}));
    for wrong in ["X", "=1", "c:X=1"] {
        assert_eq!(read(&[wrong]).unwrap_err().code, 2, "{wrong}");
    }
}

#[test]
fn a_target_is_a_file_or_a_family() {
    for family in ["web", "web:3", "arn:aws:ecs:us-east-1:1:task-definition/web:3"] {
        assert!(matches!(Target::read(family), Ok(Target::Family(_))), "{family}");
    }
    for file in ["no/such/file.json", "nothing.yaml"] {
        let failure = Target::read(file).err().unwrap();
        assert!(failure.what.ends_with("there is no such file"), "{failure}");
    }
}

#[test]
fn a_pull_has_a_bar() {
    let layer = |status: &str, current, total| LayerReport { id: "l".into(), status: status.into(), current, total };
    let pull = |layers| bar(&PullReport { layers });
    assert_eq!(pull(vec![]), "");
    assert_eq!(pull(vec![layer("Waiting", 0, 0)]), "");
    assert_eq!(
        pull(vec![layer("Downloading", 500_000, 1_000_000), layer("Pull complete", 0, 1_000_000)]),
        "[==================>     ] 1.5MB of 2.0MB"
    );
    assert_eq!(pull(vec![layer("Extracting", 1, 1_000_000)]), "[========================] 1.0MB of 1.0MB");
}
