//! Transcripts: the Engine's calls on the left, its answers on the right, each with the minute in which it was made.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod world;

use expect_test::{Expect, expect};

use super::*;
use crate::config::{DiskThresholds, PullBehavior, UntrackedCleanup};
use crate::event::Outcome;
use world::{MINUTE, World};

#[track_caller]
fn check(world: &mut World, expected: Expect) {
    expected.assert_eq(&std::mem::take(&mut world.transcript));
}

#[test]
fn the_one_used_longest_ago_goes_first_and_no_more_than_the_number() {
    let mut world = World::new(|_| {});
    for number in 0..30 {
        world.used(&format!("r/{number:02}:1"), 100 - number);
    }
    let names = |world: &World| world.engine.core.images.records.len();
    let mut left = Vec::new();
    for _ in 0..7 {
        world.pass(30 * MINUTE);
        left.push(names(&world));
    }
    assert_eq!(left, [25, 20, 15, 10, 5, 0, 0]);
    let order: Vec<&str> =
        world.transcript.lines().filter_map(|line| line.split_once("remove r/")).map(|(_, rest)| &rest[..2]).collect();
    assert_eq!(order, (0..30).map(|n| format!("{n:02}")).collect::<Vec<_>>());
    assert!(world.docker.images.is_empty());
    assert_eq!(world.stored("image"), 0);
}

#[test]
fn two_repositories_of_one_image_go_name_by_name() {
    let mut world = World::new(|_| {});
    world.docker.image("i1", &["a:1", "r:5000/b:1"], &["a@sha256:1", "r:5000/b@sha256:1"]);
    world.use_image("i1", "a:1", "t1");
    world.use_image("i1", "r:5000/b:1", "t2");
    world.let_go("t1");
    world.pass(120 * MINUTE);
    check(&mut world, expect![""]);
    world.let_go("t2");
    world.pass(30 * MINUTE);
    check(
        &mut world,
        expect![[r#"
            150m look a:1 → i1
            150m remove a:1 → ok
            150m look r:5000/b:1 → i1
            150m remove r:5000/b:1 → ok
            (removed image i1 (a:1, r:5000/b:1))
            (image clean-up: 1 images and 0 containers removed, 0 could not be, 0 MB)
        "#]],
    );
    assert!(world.docker.images.is_empty());
}

#[test]
fn an_image_without_a_name_goes_by_id_and_by_digests_where_several_repositories_refer_to_it() {
    let mut world = World::new(|_| {});
    world.docker.image("i1", &[], &["a@sha256:1"]);
    world.use_image("i1", "a:1", "t1");
    world.docker.image("i2", &[], &["b@sha256:2", "c@sha256:2"]);
    world.use_image("i2", "b:1", "t1");
    world.use_image("i2", "c:1", "t1");
    // All tags move to one new image.
    world.docker.image("i3", &["a:1", "b:1", "c:1"], &[]);
    for name in ["a:1", "b:1", "c:1"] {
        world.use_image("i3", name, "t2");
    }
    world.let_go("t1");
    world.pass(90 * MINUTE);
    check(
        &mut world,
        expect![[r#"
            90m look i1 → i1
            90m remove i1 → ok
            (removed image i1)
            90m look i2 → i2
            90m remove b@sha256:2 → ok
            90m remove c@sha256:2 → ok
            (removed image i2)
            (image clean-up: 2 images and 0 containers removed, 0 could not be, 0 MB)
        "#]],
    );
    assert_eq!(world.docker.ids(), ["i3"]);
}

#[test]
fn a_digest_of_a_name_that_moved_away_does_not_keep_the_image() {
    let mut world = World::new(|_| {});
    world.docker.image("i1", &["a:1"], &["a@sha256:1", "b@sha256:1", "other@sha256:1"]);
    world.use_image("i1", "a:1", "t1");
    world.use_image("i1", "b:1", "t1");
    world.docker.image("i2", &["b:1"], &["b@sha256:2"]);
    world.use_image("i2", "b:1", "t2");
    world.let_go("t1");
    world.pass(90 * MINUTE);
    check(
        &mut world,
        expect![[r#"
            90m look a:1 → i1
            90m look b@sha256:1 → i1
            90m remove b@sha256:1 → ok
            90m look a:1 → i1
            90m remove a:1 → ok
            (removed image i1 (a:1))
            (image clean-up: 1 images and 0 containers removed, 0 could not be, 0 MB)
        "#]],
    );
    // What somebody else pulled by its digest stays theirs.
    assert_eq!(world.docker.ids(), ["i1", "i2"]);
}

#[test]
fn a_name_that_was_given_to_another_image_by_hand_stays() {
    let mut world = World::new(|_| {});
    world.used("a:1", 0);
    world.docker.images.clear();
    world.docker.image("mine", &["a:1"], &[]);
    world.pass(120 * MINUTE);
    check(
        &mut world,
        expect![[r#"
            90m look a:1 → mine
            90m look id-a:1 → No such image: id-a:1
        "#]],
    );
    assert_eq!(world.docker.ids(), ["mine"]);
    assert_eq!(world.stored("image"), 0);
}

#[test]
fn an_image_whose_name_was_given_away_by_hand_goes_by_its_id() {
    let mut world = World::new(|_| {});
    world.used("a:1", 0);
    world.docker.images.get_mut("id-a:1").unwrap().tags.clear();
    world.docker.image("mine", &["a:1"], &[]);
    world.pass(120 * MINUTE);
    check(
        &mut world,
        expect![[r#"
        90m look a:1 → mine
        90m look id-a:1 → id-a:1
        90m remove id-a:1 → ok
        (removed image id-a:1 (a:1))
        (image clean-up: 1 images and 0 containers removed, 0 could not be, 0 MB)
    "#]],
    );
    assert_eq!(world.docker.ids(), ["mine"]);
    assert_eq!(world.stored("image"), 0);
}

#[test]
fn an_image_that_is_gone_is_forgotten() {
    let mut world = World::new(|_| {});
    world.used("a:1", 0);
    world.docker.images.clear();
    world.pass(120 * MINUTE);
    check(
        &mut world,
        expect![[r#"
            90m look a:1 → No such image: a:1
            90m look id-a:1 → No such image: id-a:1
        "#]],
    );
    assert!(world.engine.core.images.records.is_empty());
}

#[test]
fn one_that_a_foreign_container_holds_is_tried_after_growing_pauses_and_stops_no_other() {
    let mut world = World::new(|config| config.image_cleanup.images_per_cycle = 1);
    world.used("held:1", 50);
    world.used("b:1", 40);
    world.used("c:1", 30);
    world.docker.use_foreign("held:1");
    world.pass(130 * MINUTE);
    check(
        &mut world,
        expect![[r#"
            30m look held:1 → id-held:1
            30m remove held:1 → conflict: unable to remove repository reference "held:1" (must force)
            (image id-held:1 (held:1) could not be removed: Error response from daemon: conflict: unable to remove repository reference "held:1" (must force))
            30m look b:1 → id-b:1
            30m remove b:1 → ok
            (removed image id-b:1 (b:1))
            (image clean-up: 1 images and 0 containers removed, 1 could not be, 0 MB)
            60m look held:1 → id-held:1
            60m remove held:1 → conflict: unable to remove repository reference "held:1" (must force)
            (image id-held:1 (held:1) could not be removed: Error response from daemon: conflict: unable to remove repository reference "held:1" (must force))
            60m look c:1 → id-c:1
            60m remove c:1 → ok
            (removed image id-c:1 (c:1))
            (image clean-up: 1 images and 0 containers removed, 1 could not be, 0 MB)
            120m look held:1 → id-held:1
            120m remove held:1 → conflict: unable to remove repository reference "held:1" (must force)
            (image id-held:1 (held:1) could not be removed: Error response from daemon: conflict: unable to remove repository reference "held:1" (must force))
            (image clean-up: 0 images and 0 containers removed, 1 could not be, 0 MB)
        "#]],
    );
    let report = world.describe();
    assert!(report.images[0].why.starts_with("could not be removed 3 times: Error"), "{}", report.images[0].why);
    world.docker.foreign.clear();
    world.pass(100 * MINUTE);
    check(&mut world, expect![""]);
    world.pass(20 * MINUTE);
    check(
        &mut world,
        expect![[r#"
            240m look held:1 → id-held:1
            240m remove held:1 → ok
            (removed image id-held:1 (held:1))
            (image clean-up: 1 images and 0 containers removed, 0 could not be, 0 MB)
        "#]],
    );
}

#[test]
fn what_is_held_wanted_excluded_or_young_stays() {
    let mut world = World::new(|config| {
        config.image_cleanup.exclusions = vec!["docker.io/library/excluded:1".into(), "".into(), " blank:1".into()];
    });
    world.docker.image("i0", &["held:1"], &[]);
    world.use_image("i0", "held:1", "t0");
    world.used("excluded:1", 200);
    world.used("blank:1", 200);
    world.used("wanted", 200);
    world.task("waiting", "wanted:latest");
    world.pass(120 * MINUTE);
    world.used("young:1", 0);
    check(&mut world, expect![""]);
    let report = world.describe();
    let told: Vec<String> = report
        .images
        .iter()
        .map(|image| {
            let goes = image.goes_at.map(|at| at.as_second() / 60);
            format!(
                "{} {} goes {goes:?}, may {}: {}",
                image.names.join(" "),
                image.holders.len(),
                image.may_go,
                image.why
            )
        })
        .collect();
    expect![[r#"
        young:1 0 goes Some(210), may false: younger than 1h0m0s
        blank:1 0 goes None, may false: blank:1 is excluded from clean-up
        excluded:1 0 goes None, may false: excluded:1 is excluded from clean-up
        wanted 0 goes None, may false: a task is about to use wanted
        held:1 1 goes None, may false: held by a task"#]]
    .assert_eq(&told.join("\n"));
}

#[test]
fn a_removal_and_a_pull_of_one_image_exclude_each_other() {
    let mut world = World::new(|_| {});
    world.used("a:1", 100);
    world.used("b:1", 90);
    world.is_holding_back = true;
    world.pass(30 * MINUTE);
    world.answer_first("look");
    // The removal of a:1 is out. A task that wants it waits for that alone; another one does not.
    world.task("t1", "a:1");
    world.task("t2", "c:1");
    check(
        &mut world,
        expect![[r#"
            30m look a:1 …
            30m look a:1 → id-a:1
            30m remove a:1 …
            30m resolve a:1 …
            30m resolve c:1 …
        "#]],
    );
    world.answer_first("resolve");
    world.answer_first("resolve");
    check(
        &mut world,
        expect![[r#"
            30m resolve a:1 → ok
            30m resolve c:1 → ok
            30m pull c:1 …
        "#]],
    );
    world.answer_first("remove");
    check(
        &mut world,
        expect![[r#"
            30m remove a:1 → ok
            (removed image id-a:1 (a:1))
            30m look b:1 …
            30m pull a:1 …
        "#]],
    );
    // Now a task comes for b:1, which was only looked at: it stays.
    world.task("t3", "b:1");
    world.answer_first("look");
    check(
        &mut world,
        expect![[r#"
            30m resolve b:1 …
            30m look b:1 → id-b:1
            (image clean-up: 1 images and 0 containers removed, 0 could not be, 0 MB)
        "#]],
    );
    assert!(world.docker.ids().contains(&"id-b:1"));
}

#[test]
fn a_look_at_a_cached_image_waits_for_its_removal() {
    let mut world = World::new(|config| config.pulls.behavior = PullBehavior::Once);
    world.used("a:1", 100);
    world.is_holding_back = true;
    world.pass(30 * MINUTE);
    world.answer_first("look");
    world.task("t1", "a:1");
    world.answer_first("remove");
    check(
        &mut world,
        expect![[r#"
            30m look a:1 …
            30m look a:1 → id-a:1
            30m remove a:1 …
            30m remove a:1 → ok
            (removed image id-a:1 (a:1))
            (image clean-up: 1 images and 0 containers removed, 0 could not be, 0 MB)
            30m look a:1 …
        "#]],
    );
}

#[test]
fn a_digest_that_is_being_pulled_keeps_the_image_under_its_other_name() {
    let mut world = World::new(|_| {});
    world.docker.image("i1", &["a:1"], &["a@sha256:1"]);
    world.use_image("i1", "a:1", "t1");
    world.let_go("t1");
    world.is_holding_back = true;
    world.task("t2", "b:1");
    world.answer_first_with("resolve", Outcome::Resolved(Some("sha256:1".into())));
    world.is_holding_back = false;
    world.transcript.clear();
    world.pass(90 * MINUTE);
    check(
        &mut world,
        expect![[r#"
            90m look a:1 → i1
        "#]],
    );
}

#[test]
fn clean_up_that_is_off_never_begins_but_can_be_asked_for() {
    for set in [
        (|config: &mut crate::EngineConfig| config.image_cleanup.is_disabled = true) as fn(&mut crate::EngineConfig),
        |config| config.pulls.behavior = PullBehavior::PreferCached,
    ] {
        let mut world = World::new(set);
        for number in 0..7 {
            world.used(&format!("a{number}:1"), 100);
        }
        world.used("young:1", 0);
        world.pass(50 * MINUTE);
        check(&mut world, expect![""]);
        assert!(world.describe().off.is_some() && world.describe().next_cycle.is_none());
        let would = world.collect(report::Options { is_dry_run: true, ignores_age: false });
        assert_eq!((would.removed.len(), would.is_dry_run), (7, true));
        check(&mut world, expect![""]);
        assert_eq!(world.collect(report::Options::default()).removed, would.removed);
        assert_eq!(world.docker.ids(), ["id-young:1"]);
        assert_eq!(world.collect(report::Options { is_dry_run: false, ignores_age: true }).removed.len(), 1);
        assert!(world.docker.ids().is_empty());
    }
}

#[test]
fn who_asks_while_a_cycle_runs_is_answered_by_one_of_their_own() {
    let mut world = World::new(|_| {});
    world.used("a:1", 100);
    world.is_holding_back = true;
    world.pass(30 * MINUTE);
    let first = world.ask(ImageRequest::Collect(report::Options::default()));
    assert!(first.is_none());
    world.is_holding_back = false;
    world.answer_first("look");
    world.answer_all();
    assert_eq!(world.answers.len(), 1);
}

#[test]
fn a_disk_that_is_too_full_begins_a_cycle_that_goes_on_until_there_is_room() {
    let mut world = World::new(|config| {
        config.image_cleanup.disk = Some(DiskThresholds { high: 90, low: 70 });
        config.image_cleanup.images_per_cycle = 1;
    });
    for number in 0..5 {
        world.used(&format!("a{number}:1"), 100 - number);
    }
    world.docker.disk_used = 89;
    world.pass(2 * MINUTE);
    world.docker.disk_used = 90;
    world.pass(MINUTE);
    check(
        &mut world,
        expect![[r#"
            1m measure → 89%
            2m measure → 89%
            3m measure → 90%
            (the disk with images is 90% full; images go until it is 70%)
            3m look a0:1 → id-a0:1
            3m remove a0:1 → ok
            (removed image id-a0:1 (a0:1))
            3m measure → 80%
            3m look a1:1 → id-a1:1
            3m remove a1:1 → ok
            (removed image id-a1:1 (a1:1))
            3m measure → 70%
            (image clean-up: 2 images and 0 containers removed, 0 could not be, 0 MB)
        "#]],
    );
}

#[test]
fn a_disk_that_stays_full_is_not_swept_every_minute() {
    let mut world = World::new(|config| {
        config.image_cleanup.disk = Some(DiskThresholds { high: 90, low: 70 });
    });
    world.docker.disk_used = 95;
    world.pass(7 * MINUTE);
    assert_eq!(world.transcript.matches("the disk with images is 95% full").count(), 2);
}

#[test]
fn a_disk_that_cannot_be_measured_is_told_once() {
    let mut world = World::new(|config| {
        config.image_cleanup.disk = Some(DiskThresholds { high: 90, low: 70 });
    });
    world.docker.has_no_disk = true;
    world.pass(5 * MINUTE);
    assert_eq!(world.transcript.matches("cannot be told").count(), 1);
}

fn untracked(config: &mut crate::EngineConfig) {
    config.image_cleanup.untracked = Some(UntrackedCleanup {
        image_minimum_age: 60 * MINUTE,
        containers_per_cycle: 2,
        container_minimum_age: 180 * MINUTE,
    });
}

#[test]
fn containers_and_images_of_others_go_up_to_their_numbers() {
    let mut world = World::new(|config| {
        untracked(config);
        config.image_cleanup.images_per_cycle = 4;
    });
    world.used("tracked:1", 100);
    for (name, state, ended) in [
        ("old", "exited", Some(200)),
        ("fresh", "exited", Some(10)),
        ("up", "running", None),
        ("never", "created", None),
        ("older", "dead", Some(300)),
        ("third", "exited", Some(300)),
    ] {
        world.docker.foreign_container(name, state, ended.map(|minutes| world.ago(minutes)), world.ago(400));
    }
    world.docker.image("small", &["s:1"], &["s@sha256:5"]);
    world.docker.image("twice", &["x:1", "y:1"], &["x@sha256:6"]);
    world.docker.image("again", &["z:1"], &[]);
    for (id, size) in [("small", 1), ("twice", 2), ("again", 3)] {
        world.docker.images.get_mut(id).unwrap().size = size;
    }
    world.pass(30 * MINUTE);
    check(
        &mut world,
        expect![[r#"
            30m look tracked:1 → id-tracked:1
            30m remove tracked:1 → ok
            (removed image id-tracked:1 (tracked:1))
            30m list containers → 6
            30m inspect fresh → exited
            30m inspect never → created
            30m remove container never → ok
            (removed container never (never), which is of no task)
            30m inspect old → exited
            30m remove container old → ok
            (removed container old (old), which is of no task)
            30m list images → 3
            30m remove small → ok
            (removed image small (s:1), which no task used)
            30m look x:1 → twice
            30m remove x:1 → ok
            30m look y:1 → twice
            30m remove y:1 → ok
            (removed image twice (x:1, y:1), which no task used)
            (image clean-up: 3 images and 2 containers removed, 0 could not be, 0 MB)
        "#]],
    );
    world.pass(30 * MINUTE);
    check(
        &mut world,
        expect![[r#"
            60m list containers → 4
            60m inspect fresh → exited
            60m inspect older → dead
            60m remove container older → ok
            (removed container older (older), which is of no task)
            60m inspect third → exited
            60m remove container third → ok
            (removed container third (third), which is of no task)
            60m list images → 1
            60m remove again → ok
            (removed image again (z:1), which no task used)
            (image clean-up: 1 images and 2 containers removed, 0 could not be, 0 MB)
        "#]],
    );
}

#[test]
fn a_name_that_somebody_gave_to_another_image_since_the_list_stays() {
    let mut world = World::new(untracked);
    world.docker.image("old", &["x:1", "y:1"], &[]);
    world.is_holding_back = true;
    world.pass(30 * MINUTE);
    for word in ["list containers", "list images", "look"] {
        world.answer_first(word);
    }
    // While the removal of the first name takes its time.
    world.docker.images.get_mut("old").unwrap().tags.remove("y:1");
    world.docker.image("new", &["y:1"], &[]);
    world.is_holding_back = false;
    world.transcript.clear();
    world.answer_all();
    check(
        &mut world,
        expect![[r#"
        30m remove x:1 → ok
        30m look y:1 → new
        (removed image old (x:1, y:1), which no task used)
        (image clean-up: 1 images and 0 containers removed, 0 could not be, 0 MB)
    "#]],
    );
    assert_eq!(world.docker.ids(), ["new"]);
}

#[test]
fn a_container_that_the_agent_is_about_to_make_is_its_own() {
    let mut world = World::new(untracked);
    let task = world.task("t1", "a:1");
    // The create is out: its name is known, its id is not.
    let name = "ecs-fam-7-web-0123";
    let task = std::sync::Arc::make_mut(world.engine.tasks.get_mut(&task).unwrap());
    task.containers[0].state.docker_name = Some(name.to_owned());
    world.docker.foreign_container(name, "created", None, world.ago(400));
    world.transcript.clear();
    world.pass(30 * MINUTE);
    let ours = world.transcript.lines().filter(|line| line.contains(name)).count();
    assert_eq!(ours, 0, "{}", world.transcript);
    assert!(world.transcript.contains("list containers"));
}

#[test]
fn images_that_containers_use_or_tasks_fetch_are_not_strangers() {
    let mut world = World::new(untracked);
    world.docker.image("used", &["used:1"], &[]);
    world.docker.foreign_container("up", "running", None, world.ago(400));
    world.docker.containers.get_mut("up").unwrap().image = "used".into();
    world.docker.image("half", &[], &["repo@sha256:1"]);
    world.docker.image("excluded", &["e:1"], &[]);
    world.engine.core.config.image_cleanup.exclusions.push("e:1".into());
    world.is_holding_back = true;
    world.task("t1", "repo:1");
    world.is_holding_back = false;
    world.transcript.clear();
    world.pass(30 * MINUTE);
    check(
        &mut world,
        expect![[r#"
            30m list containers → 1
            30m list images → 3
        "#]],
    );
}

#[test]
fn a_daemon_that_is_away_costs_no_image_a_pause() {
    let mut world = World::new(|_| {});
    world.used("a:1", 100);
    world.docker.is_away = true;
    world.pass(30 * MINUTE);
    world.docker.is_away = false;
    world.pass(30 * MINUTE);
    check(
        &mut world,
        expect![[r#"
            30m look a:1 → Unreachable
            (image clean-up ended early: no daemon)
            60m look a:1 → id-a:1
            60m remove a:1 → ok
            (removed image id-a:1 (a:1))
            (image clean-up: 1 images and 0 containers removed, 0 could not be, 0 MB)
        "#]],
    );
}

#[test]
fn pauses_double_up_to_a_day() {
    let mut cleanup = Cleanup::default();
    let interval = 30 * MINUTE;
    let pauses: Vec<u64> = (0..8)
        .map(|_| {
            let subject = Subject::Container("c".into());
            cleanup.stumble(subject, "busy", Mono::default(), interval).until.0.as_secs() / 60
        })
        .collect();
    assert_eq!(pauses, [30, 60, 120, 240, 480, 960, 1440, 1440]);
}

#[test]
fn one_that_was_pulled_for_a_task_that_stopped_meanwhile_goes_too() {
    let mut world = World::new(|_| {});
    world.is_holding_back = true;
    let task = world.task("t1", "r/a:1");
    world.answer_first("resolve");
    world.stop(&task);
    world.docker.image("i1", &["r/a:1"], &[]);
    world.answer_first("pull");
    world.answer_first("look");
    world.is_holding_back = false;
    world.pass(120 * MINUTE);
    assert!(world.docker.images.is_empty(), "{}", world.transcript);
}

#[test]
fn a_digest_is_wanted_by_a_task_that_has_not_looked_at_it_yet() {
    let mut world = World::new(|_| {});
    world.is_holding_back = true;
    let task = world.task("t1", "r/a@sha256:1");
    let task = std::sync::Arc::make_mut(world.engine.tasks.get_mut(&task).unwrap());
    task.containers[0].state.image_digest = None;
    world.engine.core.images.pulls.clear();
    let wanted = keep::Wanted::new(&world.engine.tasks, &world.engine.core.images);
    assert!(wanted.has_digest_of(&["other/name@sha256:1".to_owned()]));
    assert!(!wanted.has_digest_of(&["other/name@sha256:2".to_owned()]));
}
