//! Who looks, who pulls, who waits for whom, and how long that may take.
#![allow(clippy::unwrap_used)]
use expect_test::expect;
use serde_json::{Value, json};
use wire::docker::ImageInspect;

use super::*;
use crate::config::EngineConfig;
use crate::flow::testing::{Bench, failed, image, running};
use crate::status::TaskStatus;

const AA: &str = "sha256:aa";

fn behaving(behavior: PullBehavior) -> EngineConfig {
    let mut config = EngineConfig::default();
    config.pulls.behavior = behavior;
    config
}

/// One pull at a time.
fn one_by_one() -> EngineConfig {
    let mut config = EngineConfig::default();
    config.pulls.parallel = 1;
    config
}

/// A task of one container with this image.
fn of(image: &str) -> Value {
    json!({"containers": [{"name": "web", "image": image, "essential": true}]})
}

fn resolved() -> Outcome {
    Outcome::Resolved(Some(AA.into()))
}

/// The longest that what is open under these words may take.
fn seconds(bench: &Bench, words: &str) -> u64 {
    let (.., effect) = bench.open.iter().find(|(open, ..)| open.starts_with(words)).unwrap();
    match effect {
        Effect::ResolveDigest { deadline, .. } | Effect::Pull { deadline, .. } | Effect::TagImage { deadline, .. } => {
            deadline.as_secs()
        }
        other => panic!("{other:?}"),
    }
}

fn reason(bench: &Bench, task: &str, container: usize) -> Option<String> {
    let container = &bench.engine.tasks[&TaskId::from(task)].containers[container];
    container.state.error.as_ref().map(ToString::to_string)
}

fn stop(bench: &mut Bench, task: &str) {
    bench.touch_task(task, |task, cx| {
        task.stop(None);
        task.settle(cx);
    });
}

#[test]
fn all_who_wait_for_an_image_share_one_look_up_and_one_pull() {
    let web = json!({"name": "web", "image": "r/web", "essential": true});
    let log = json!({"name": "log", "image": "r/web"});
    let mut bench = Bench::new(json!({"containers": [web, log]}), &EngineConfig::default());
    bench.add("1f", of("r/web"));
    bench.answer("resolve", resolved());
    bench.add("2f", of("r/web"));
    bench.answer("resolve", resolved());
    bench.answer("pull", Outcome::Done);
    bench.answer("tag", Outcome::Done);
    bench.answer("inspect image", image());
    bench.check(expect![[r#"
        resolve r/web
        pull r/web@sha256:aa
        resolve r/web
        tag r/web@sha256:aa as r/web
        inspect image
        create web in null
        create log in null
        create web in null
        create web in null
        MANIFEST_PULLED -> RUNNING"#]]);
}

#[test]
fn who_comes_with_other_credentials_pulls_for_itself() {
    let registry = json!({"type": "ecr", "ecrAuthData": {"region": "r", "registryId": "1", "useExecutionRole": false}});
    let web = json!({"name": "web", "image": "r/web", "essential": true});
    let log = json!({"name": "log", "image": "r/web", "registryAuthentication": registry});
    let mut bench = Bench::new(json!({"containers": [web, log]}), &EngineConfig::default());
    bench.check(expect![[r#"
        resolve r/web
        resolve r/web
        NONE -> RUNNING"#]]);
}

#[test]
fn pulls_stand_in_line_and_that_costs_no_time() {
    let mut bench = Bench::new(of("r/a"), &one_by_one());
    bench.add("1f", of("r/b"));
    bench.answer("resolve", Outcome::Resolved(None));
    bench.answer("resolve", Outcome::Resolved(None));
    bench.pass(7000);
    bench.check(expect![[r#"
        resolve r/a
        resolve r/b
        pull r/a:latest
        MANIFEST_PULLED -> RUNNING"#]]);
    bench.answer("pull r/a", Outcome::Done);
    bench.check(expect![[r#"
        inspect image
        pull r/b:latest
        MANIFEST_PULLED -> RUNNING"#]]);
    assert_eq!(seconds(&bench, "pull r/b"), 7200);
}

#[test]
fn a_pull_that_nobody_waits_for_holds_up_no_other() {
    let mut bench = Bench::new(of("r/a"), &one_by_one());
    bench.add("1f", of("r/b"));
    bench.answer("resolve", Outcome::Resolved(None));
    bench.answer("resolve", Outcome::Resolved(None));
    bench.asked.clear();
    stop(&mut bench, "0f");
    bench.check(expect![[r#"
        pull r/b:latest
        STOPPED -> STOPPED"#]]);
}

#[test]
fn a_task_that_stops_in_line_says_that_its_pull_never_began() {
    let mut bench = Bench::new(of("r/a"), &one_by_one());
    bench.add("1f", of("r/b"));
    bench.answer("resolve", Outcome::Resolved(None));
    bench.answer("resolve", Outcome::Resolved(None));
    stop(&mut bench, "1f");
    stop(&mut bench, "0f");
    assert_eq!(
        reason(&bench, "1f", 0).as_deref(),
        Some(
            "TaskStoppedBeforePullBeginError: Task stopped before image pull could begin for task: arn:aws:ecs:us-west-2:123456789012:task/lab/1f"
        )
    );
    assert_eq!(reason(&bench, "0f", 0), None);
}

#[test]
fn all_attempts_at_a_pull_share_its_time() {
    let mut bench = Bench::new(json!({}), &EngineConfig::default());
    bench.answer("resolve", Outcome::Resolved(None));
    bench.pass(7190);
    bench.answer("pull", failed(FailureKind::Other));
    bench.pass(2);
    assert_eq!(seconds(&bench, "pull"), 8);
    bench.pass(7);
    bench.asked.clear();
    bench.answer("pull", failed(FailureKind::Other));
    bench.check(expect![[r#"
        inspect image
        MANIFEST_PULLED -> RUNNING"#]]);
    bench.answer("inspect image", failed(FailureKind::NotFound));
    assert_eq!(reason(&bench, "0f", 0).as_deref(), Some("CannotPullContainerError: no"));
}

#[test]
fn all_attempts_at_a_digest_share_its_time() {
    let mut bench = Bench::new(json!({}), &behaving(PullBehavior::PreferCached));
    bench.pass(100);
    bench.answer("inspect image", failed(FailureKind::NotFound));
    assert_eq!(seconds(&bench, "resolve"), 60, "the look at what is here is not of it");
    bench.pass(50);
    bench.answer("resolve", failed(FailureKind::Other));
    bench.pass(1);
    assert_eq!(seconds(&bench, "resolve"), 9);
    bench.answer("resolve", failed(FailureKind::Timeout));
    assert_eq!(
        reason(&bench, "0f", 0).as_deref(),
        Some("DockerTimeoutError: Could not transition to MANIFEST_PULLED; timed out after waiting 1m0s")
    );
}

#[test]
fn all_attempts_at_a_tag_share_its_time() {
    let mut bench = Bench::new(json!({}), &EngineConfig::default());
    bench.answer("resolve", resolved());
    bench.pass(1000);
    bench.answer("pull", Outcome::Done);
    assert_eq!(seconds(&bench, "tag"), 30);
    bench.pass(20);
    bench.answer("tag", failed(FailureKind::Other));
    bench.pass(1);
    assert_eq!(seconds(&bench, "tag"), 9);
    bench.pass(9);
    bench.answer("tag", failed(FailureKind::Other));
    bench.answer("inspect image", failed(FailureKind::NotFound));
    assert_eq!(
        reason(&bench, "0f", 0).as_deref(),
        Some("CannotPullContainerError: failed to tag image 'r/web@sha256:aa' as 'r/web': no")
    );
}

#[test]
fn what_was_pulled_by_digest_gets_the_name_that_was_asked_for() {
    for (name, digest, asks) in [
        ("r/web", Some(AA), "pull r/web@sha256:aa, tag r/web@sha256:aa as r/web"),
        ("r:5000/web:2", Some(AA), "pull r:5000/web@sha256:aa, tag r:5000/web@sha256:aa as r:5000/web:2"),
        ("r/web", None, "pull r/web:latest"),
        ("r/web:2", None, "pull r/web:2"),
        ("r/web@sha256:bb", None, "pull r/web@sha256:bb"),
        ("r/web:2@sha256:bb", None, "pull r/web@sha256:bb"),
    ] {
        let mut bench = Bench::new(of(name), &EngineConfig::default());
        if !name.contains('@') {
            bench.answer("resolve", Outcome::Resolved(digest.map(Into::into)));
        }
        bench.answer("pull", Outcome::Done);
        if digest.is_some() {
            bench.answer("tag", Outcome::Done);
        }
        let asked: Vec<&str> = bench
            .asked
            .iter()
            .map(String::as_str)
            .filter(|ask| ask.starts_with("pull") || ask.starts_with("tag"))
            .collect();
        assert_eq!(asked.join(", "), asks, "{name}");
        bench.answer("inspect image", image());
    }
}

#[test]
fn always_asks_and_pulls_every_time_and_a_failure_stops_the_task() {
    let mut bench = Bench::new(of("r/a"), &behaving(PullBehavior::Always));
    bench.fetch();
    bench.add("1f", of("r/a"));
    bench.answer("resolve", Outcome::Resolved(None));
    bench.asked.clear();
    bench.answer("pull", failed(FailureKind::NoCredentials));
    bench.answer("inspect image", image());
    bench.check(expect![[r#"
        inspect image
        MANIFEST_PULLED -> RUNNING"#]]);
    let task = &bench.engine.tasks[&TaskId::from("1f")];
    assert_eq!((task.state.known, task.state.reason.as_ref()), (TaskStatus::Stopped, None));
    assert_eq!(reason(&bench, "1f", 0).as_deref(), Some("CannotPullECRContainerError: no"));
}

#[test]
fn once_pulls_a_name_once() {
    let mut bench = Bench::new(of("r/a:1"), &behaving(PullBehavior::Once));
    bench.fetch();
    bench.asked.clear();
    bench.add("1f", of("r/a:1"));
    bench.answer("inspect image", image());
    // Another spelling is another name.
    bench.add("2f", of("docker.io/r/a:1"));
    bench.check(expect![[r#"
        inspect image
        create web in null
        resolve docker.io/r/a:1
        MANIFEST_PULLED -> RUNNING"#]]);
}

#[test]
fn once_does_not_pull_again_what_was_removed() {
    let mut bench = Bench::new(of("r/a:1"), &behaving(PullBehavior::Once));
    bench.fetch();
    bench.asked.clear();
    bench.add("1f", of("r/a:1"));
    bench.answer("inspect image", failed(FailureKind::NotFound));
    let task = &bench.engine.tasks[&TaskId::from("1f")];
    assert_eq!((task.state.known, task.state.reason.as_ref()), (TaskStatus::Stopped, None));
    assert_eq!(reason(&bench, "1f", 0).as_deref(), Some("CannotPullImageManifestError: no"));
}

#[test]
fn once_says_nothing_of_a_pull_where_it_only_looks() {
    let name = "r/a@sha256:aa";
    let mut bench = Bench::new(of(name), &behaving(PullBehavior::Once));
    bench.answer("pull", Outcome::Done);
    bench.answer("inspect image", image());
    bench.add("1f", of(name));
    bench.add("2f", of(name));
    bench.asked.clear();
    bench.answer("inspect image", image());
    assert_eq!(bench.asked, ["create web in null", "create web in null"]);
    assert_eq!(bench.engine.tasks[&TaskId::from("2f")].state.pull_started_at, None);
}

#[test]
fn a_cached_image_named_by_digest_needs_no_registry() {
    let mut bench = Bench::new(of("r/a@sha256:aa"), &behaving(PullBehavior::PreferCached));
    bench.add("1f", of("r/a@sha256:aa"));
    bench.answer("inspect image", image());
    bench.check(expect![[r#"
        inspect image
        create web in null
        create web in null
        MANIFEST_PULLED -> RUNNING"#]]);
    assert_eq!(bench.task().state.pull_started_at, None);
}

#[test]
fn an_image_named_by_digest_that_is_not_cached_is_pulled() {
    let mut bench = Bench::new(of("r/a@sha256:aa"), &behaving(PullBehavior::PreferCached));
    bench.answer("inspect image", failed(FailureKind::NotFound));
    bench.answer("pull", Outcome::Done);
    bench.answer("inspect image", image());
    bench.check(expect![[r#"
        inspect image
        pull r/a@sha256:aa
        inspect image
        create web in null
        MANIFEST_PULLED -> RUNNING"#]]);
    assert!(bench.task().state.pull_started_at.is_some());
}

#[test]
fn nobody_pulls_for_a_task_that_stopped_while_its_image_was_looked_for() {
    let mut bench = Bench::new(of("r/a@sha256:aa"), &behaving(PullBehavior::PreferCached));
    stop(&mut bench, "0f");
    bench.answer("inspect image", failed(FailureKind::NotFound));
    bench.check(expect![[r#"
        inspect image
        STOPPED -> STOPPED"#]]);
    assert!(bench.engine.core.images.pulls.is_empty());
}

#[test]
fn a_cached_image_is_found_again_after_a_restart() {
    let web = json!({"name": "web", "image": "r/web", "essential": true,
        "dependsOn": [{"containerName": "db", "condition": "START"}]});
    let db = json!({"name": "db", "image": "r/db"});
    let mut bench = Bench::new(json!({"containers": [web, db]}), &behaving(PullBehavior::PreferCached));
    bench.answer("inspect image", image());
    bench.answer("inspect image", image());
    bench.answer("create db", Outcome::Created("c1".into()));
    let mut bench = bench.restart();
    bench.handle(crate::Event::EventsOpened);
    bench.answer("list", Outcome::Listed(vec![]));
    bench.asked.clear();
    bench.answer("inspect", running());
    bench.check(expect![[r#"
        inspect image
        MANIFEST_PULLED -> RUNNING"#]]);
}

/// As the Engine describes the container of an image.
fn running_of(id: &str) -> Outcome {
    let Outcome::Inspected(mut inspect) = running() else { unreachable!() };
    inspect.image = id.to_owned();
    Outcome::Inspected(inspect)
}

/// Up to the point where its container runs; its image could not be looked at after the pull.
fn unseen() -> Bench {
    let mut bench = Bench::new(json!({}), &EngineConfig::default());
    bench.answer("resolve", Outcome::Resolved(None));
    bench.answer("pull", Outcome::Done);
    bench.answer("inspect image", failed(FailureKind::Timeout));
    bench.answer("create web", Outcome::Created("c1".into()));
    bench.answer("start", Outcome::Done);
    bench.asked.clear();
    bench.answer("inspect", running_of("sha256:1"));
    bench
}

fn of_container(tags: &[&str]) -> Outcome {
    let repo_tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    Outcome::Image(Box::new(ImageInspect { id: "sha256:1".into(), repo_tags, ..ImageInspect::default() }))
}

#[test]
fn an_image_that_could_not_be_looked_at_is_known_by_its_container() {
    let mut bench = unseen();
    bench.answer("inspect image", of_container(&["r/web:latest"]));
    let record = &bench.engine.core.images.records[&"sha256:1".into()];
    assert_eq!((record.names.len(), record.holders.len(), record.is_pull_complete), (1, 1, false));
    assert!(bench.rows.keys().any(|(table, key)| table == "image" && key == "sha256:1"));
    // Once is enough.
    bench.touch(|task, cx| task.observe(cx, 0, None, false));
    bench.answer("inspect", running_of("sha256:1"));
    bench.check(expect![[r#"
        inspect image
        inspect
        RUNNING -> RUNNING"#]]);
}

#[test]
fn a_name_that_moved_on_stays_where_it_is_now() {
    let mut bench = unseen();
    bench.add("1f", json!({}));
    bench.answer("resolve", Outcome::Resolved(None));
    bench.answer("pull", Outcome::Done);
    let at = bench.open.iter().rposition(|(words, ..)| words == "inspect image").unwrap();
    let last = bench.open.remove(at);
    bench.open.insert(0, last);
    let newer = ImageInspect { id: "sha256:2".into(), ..ImageInspect::default() };
    bench.answer("inspect image", Outcome::Image(Box::new(newer)));
    bench.answer("inspect image", of_container(&[]));
    let records = &bench.engine.core.images.records;
    assert_eq!(records[&"sha256:2".into()].names.len(), 1);
    let old = &records[&"sha256:1".into()];
    assert_eq!((old.names.len(), old.moved_names.len(), old.holders.len()), (0, 1, 1));
}

fn upfront(behavior: PullBehavior, essential: bool) -> Bench {
    let mut config = behaving(behavior);
    config.pulls_dependents_upfront = true;
    let web = json!({"name": "web", "image": "r/web", "essential": essential});
    let log = json!({"name": "log", "image": "r/log", "essential": true});
    let mut bench = Bench::new(json!({"containers": [web, log]}), &config);
    bench.answer("resolve r/web", resolved());
    bench.answer("resolve r/log", resolved());
    bench.answer("pull r/web", failed(FailureKind::NoCredentials));
    bench.asked.clear();
    bench
}

#[test]
fn a_pull_upfront_that_leaves_no_image_stops_the_task() {
    let mut bench = upfront(PullBehavior::Default, true);
    bench.answer("inspect image", failed(FailureKind::NotFound));
    bench.check(expect![[r#"
        STOPPED -> STOPPED"#]]);
    assert_eq!(reason(&bench, "0f", 0).as_deref(), Some("CannotPullECRContainerError: no"));
    let told: Vec<_> = bench.task().state.reports.iter().map(|r| format!("{} {}", r.status, r.reason)).collect();
    assert_eq!(told, ["MANIFEST_PULLED ", "MANIFEST_PULLED CannotPullECRContainerError: no", "STOPPED "]);
}

#[test]
fn a_pull_upfront_whose_image_is_here_stops_nothing() {
    let mut bench = upfront(PullBehavior::Default, true);
    bench.answer("inspect image", image());
    bench.check(expect![[r#"
        create web in null
        MANIFEST_PULLED -> RUNNING"#]]);
}

#[test]
fn a_pull_upfront_for_a_container_that_is_not_essential_stops_nothing() {
    let mut bench = upfront(PullBehavior::Default, false);
    bench.answer("inspect image", failed(FailureKind::NotFound));
    bench.check(expect![[r#"
        create web in null
        MANIFEST_PULLED -> RUNNING"#]]);
}

#[test]
fn a_container_knows_by_which_name_its_image_is_pulled() {
    let digest = || Outcome::Resolved(Some("sha256:07".into()));
    for (image, resolved, pulled) in [
        ("r/web", Some(digest()), "r/web@sha256:07"),
        ("r/web:2", Some(digest()), "r/web@sha256:07"),
        ("r/web", Some(Outcome::Resolved(None)), "r/web:latest"),
        ("r/web:2", Some(failed(FailureKind::Timeout)), "r/web:2"),
        ("r/web:2@sha256:08", None, "r/web@sha256:08"),
    ] {
        let containers = json!([{"name": "web", "image": image, "essential": true}]);
        let mut bench = Bench::new(json!({"containers": containers}), &EngineConfig::default());
        let said = |bench: &Bench| bench.task().containers[0].pull_reference();
        if let Some(outcome) = resolved {
            assert_eq!(said(&bench), None, "its digest is looked up");
            bench.answer("resolve", outcome);
        }
        assert!(bench.open.iter().any(|(words, ..)| *words == format!("pull {pulled}")), "{image}: {:?}", bench.open);
        assert_eq!(said(&bench), Some(pulled.into()));
        bench.answer("pull", Outcome::Failed(Failure::new(FailureKind::Other, "no")));
        assert_eq!(said(&bench), Some(pulled.into()), "the next attempt asks for the same");
    }
}
