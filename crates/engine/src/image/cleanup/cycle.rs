//! A cycle of clean-up: tracked images, then containers and images of others, one call after the other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use wire::ids::ImageId;

use super::report::{Collection, ImageAnswer, ImageRequest, Options};
use super::tracked::Job;
use super::untracked::{Candidate, StrangeImage};
use super::{Cleanup, keep::Leniency};
use crate::config::PullBehavior;
use crate::core::{Route, Timer};
use crate::effect::Effect;
use crate::engine::Engine;
use crate::event::{Failure, FailureKind, Outcome};
use crate::fact::Level;
use crate::step::Step;
use crate::time::{Mono, Now};

/// How often the disk is looked at.
const DISK_CHECK: Duration = Duration::from_secs(60);
/// After a cycle that made no room, none begins for the disk's sake within this span.
const DISK_REST: Duration = Duration::from_secs(300);
const LIST: Duration = Duration::from_secs(60);
const MEASURE: Duration = Duration::from_secs(10);

/// A cycle under way.
#[derive(Debug, Clone)]
pub(crate) struct Cycle {
    pub(super) trigger: Trigger,
    pub(super) options: Options,
    pub(super) began: Mono,
    pub(super) phase: Phase,
    /// Tracked images that had their turn.
    pub(super) tried: BTreeSet<ImageId>,
    /// Images removed, of either kind; for images of others each name counts (spec 20 §6.3).
    pub(super) removals: u64,
    pub(super) collection: Collection,
}

/// Why a cycle began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trigger {
    Interval,
    /// Goes on until use of the disk is at most the lower threshold.
    Disk,
    /// Somebody asked, under this number.
    Request(u64),
}

/// Where a cycle is. `Look…`, `Remove…`, `List…`, `Inspect…` and `Measure` wait for an answer; the others are decided
/// at once.
#[derive(Debug, Clone)]
pub(super) enum Phase {
    ChooseTracked,
    NextName(Job),
    LookAtName(Job, String),
    RemoveName(Job, String),
    /// Is there room enough now? Then goes on with what is inside.
    Measure(Box<Phase>),
    ListContainers,
    NextContainer(VecDeque<Candidate>, Strangers),
    InspectContainer(VecDeque<Candidate>, Strangers, Candidate),
    RemoveContainer(VecDeque<Candidate>, Strangers, Candidate),
    ListImages(Strangers),
    NextImage(VecDeque<StrangeImage>),
    /// Does the name still mean this image?
    LookAtImage(VecDeque<StrangeImage>, StrangeImage, String),
    RemoveImage(VecDeque<StrangeImage>, StrangeImage),
    End,
}

/// What is known of containers of others.
#[derive(Debug, Clone, Default)]
pub(super) struct Strangers {
    pub removed: u64,
    /// How many containers use an image, by its id.
    pub users: BTreeMap<String, usize>,
}

impl Strangers {
    /// A container is gone.
    pub(super) fn count_removal(&mut self, image: &str) {
        self.removed += 1;
        if let Some(users) = self.users.get_mut(image) {
            *users = users.saturating_sub(1);
        }
    }
}

impl Cycle {
    fn new(trigger: Trigger, options: Options, now: Now) -> Self {
        Self {
            trigger,
            options,
            began: now.mono,
            phase: Phase::ChooseTracked,
            tried: BTreeSet::new(),
            removals: 0,
            collection: Collection { is_dry_run: options.is_dry_run, at: now.wall, ..Collection::default() },
        }
    }

    pub(super) fn leniency(&self) -> Leniency {
        let is_asked = matches!(self.trigger, Trigger::Request(_));
        Leniency { ignores_age: self.options.ignores_age, ignores_troubles: is_asked }
    }
}

impl Engine {
    /// Sets the first cycle's time.
    pub(crate) fn start_image_cleanup(&mut self, now: Now) {
        if self.image_cleanup_off().is_some() {
            return;
        }
        self.plan_cycle(now);
        if self.core.config.image_cleanup.disk.is_some() {
            self.core.set(Timer::DiskCheck, now.mono + DISK_CHECK);
        }
    }

    /// Why images do not go by themselves.
    pub(super) fn image_cleanup_off(&self) -> Option<&'static str> {
        let config = &self.core.config;
        if config.image_cleanup.is_disabled {
            Some("clean-up is disabled")
        } else if config.pulls.behavior == PullBehavior::PreferCached {
            Some("cached images are preferred, so they are kept")
        } else {
            None
        }
    }

    fn plan_cycle(&mut self, now: Now) {
        let at = now.mono + self.core.config.image_cleanup.interval;
        self.core.images.cleanup.next_at = Some(at);
        self.core.set(Timer::ImageCleanup, at);
    }

    /// The interval is over.
    pub(crate) fn image_cleanup_due(&mut self, now: Now, step: &mut Step) {
        self.plan_cycle(now);
        self.begin_cycle(now, Trigger::Interval, Options::default(), step);
    }

    pub(crate) fn disk_check_due(&mut self, step: &mut Step) {
        self.core.ask(step, Route::DiskCheck, Effect::MeasureDisk { deadline: MEASURE });
    }

    /// How full the disk is; too full begins a cycle.
    pub(crate) fn apply_disk_check(&mut self, now: Now, outcome: Outcome, step: &mut Step) {
        self.core.set(Timer::DiskCheck, now.mono + DISK_CHECK);
        let Some(used) = self.disk_measured(outcome, step) else { return };
        let Some(thresholds) = self.core.config.image_cleanup.disk else { return };
        let cleanup = &mut self.core.images.cleanup;
        if used < thresholds.high {
            cleanup.full_since = None;
            return;
        }
        if cleanup.cycle.is_some() || cleanup.full_since.is_some_and(|since| now.mono - since < DISK_REST) {
            return;
        }
        let text = format!("the disk with images is {used}% full; images go until it is {}%", thresholds.low);
        step.agent(Level::Info, "disk_full", text);
        self.begin_cycle(now, Trigger::Disk, Options::default(), step);
    }

    /// Percent in use, rounded up; a failure is told once.
    fn disk_measured(&mut self, outcome: Outcome, step: &mut Step) -> Option<u8> {
        let cleanup = &mut self.core.images.cleanup;
        let used = match &outcome {
            Outcome::Disk { total, available } if *total > 0 => {
                let used = u128::from(total.saturating_sub(*available));
                u8::try_from((used * 100).div_ceil(u128::from(*total))).ok()
            }
            _ => None,
        };
        if used.is_none() && !std::mem::replace(&mut cleanup.has_warned_of_disk, true) {
            let why = match outcome {
                Outcome::Failed(failure) => failure.text,
                other => format!("unexpected answer {other:?}"),
            };
            step.agent(Level::Warn, "disk_unknown", format!("use of the disk with images cannot be told: {why}"));
        }
        if used.is_some() {
            cleanup.has_warned_of_disk = false;
        }
        cleanup.disk_used = used;
        used
    }

    /// Somebody asks what there is, or for a cycle now.
    pub(crate) fn apply_image_request(&mut self, now: Now, request: u64, ask: ImageRequest, step: &mut Step) {
        match ask {
            ImageRequest::Describe => {
                step.answers.push((request, ImageAnswer::Described(Box::new(self.images_report(now)))));
            }
            ImageRequest::Collect(options) if self.core.images.cleanup.cycle.is_some() => {
                self.core.images.cleanup.asked.push_back((request, options));
            }
            ImageRequest::Collect(options) => self.begin_cycle(now, Trigger::Request(request), options, step),
        }
    }

    fn begin_cycle(&mut self, now: Now, trigger: Trigger, options: Options, step: &mut Step) {
        if self.core.images.cleanup.cycle.is_none() {
            self.go_on_cleaning(now, Cycle::new(trigger, options, now), step);
        }
    }

    /// The answer that the cycle waits for.
    pub(crate) fn apply_image_cleanup(&mut self, now: Now, outcome: Outcome, step: &mut Step) {
        let Some(mut cycle) = self.core.images.cleanup.cycle.take() else { return };
        self.core.images.cleanup.removing = None;
        let phase = std::mem::replace(&mut cycle.phase, Phase::End);
        if let Outcome::Failed(Failure { kind: FailureKind::Unreachable, text, .. }) = &outcome {
            // Nothing is wrong with what was asked for; the next cycle asks again.
            cycle.collection.error = Some(text.clone());
            self.end_cycle(now, cycle, step);
            return;
        }
        cycle.phase = match phase {
            Phase::LookAtName(job, name) => self.looked_at_name(now, &mut cycle, job, name, outcome, step),
            Phase::RemoveName(job, name) => self.removed_name(job, name, &outcome),
            Phase::Measure(then) => match self.disk_measured(outcome, step) {
                Some(used) if self.core.config.image_cleanup.disk.is_some_and(|disk| used > disk.low) => *then,
                _ => Phase::End,
            },
            Phase::ListContainers => self.listed_containers(now, &mut cycle, outcome),
            Phase::InspectContainer(queue, strangers, candidate) => {
                self.inspected_container(now, &mut cycle, (queue, strangers, candidate), &outcome, step)
            }
            Phase::RemoveContainer(queue, strangers, candidate) => {
                self.removed_container(&mut cycle, (queue, strangers, candidate), &outcome, step)
            }
            Phase::ListImages(strangers) => self.listed_images(now, &mut cycle, &strangers, outcome),
            Phase::LookAtImage(queue, image, name) => self.looked_at_image(queue, image, name, &outcome, step),
            Phase::RemoveImage(queue, image) => self.removed_image(&mut cycle, queue, image, &outcome, step),
            decided => decided,
        };
        self.go_on_cleaning(now, cycle, step);
    }

    /// Decides until something must be waited for.
    fn go_on_cleaning(&mut self, now: Now, mut cycle: Cycle, step: &mut Step) {
        loop {
            let phase = std::mem::replace(&mut cycle.phase, Phase::End);
            cycle.phase = match phase {
                Phase::ChooseTracked => self.choose_tracked(now, &mut cycle, step),
                Phase::NextName(job) => self.next_name(now, &mut cycle, job, step),
                Phase::NextContainer(queue, strangers) => self.next_container(&cycle, queue, strangers, step),
                Phase::NextImage(queue) => self.next_image(&mut cycle, queue, step),
                Phase::End => {
                    self.end_cycle(now, cycle, step);
                    return;
                }
                waiting => {
                    cycle.phase = waiting;
                    self.core.images.cleanup.cycle = Some(cycle);
                    return;
                }
            };
        }
    }

    /// After tracked images: those of others, if they are to go at all.
    pub(super) fn after_tracked(&mut self, step: &mut Step) -> Phase {
        if self.core.config.image_cleanup.untracked.is_none() {
            return Phase::End;
        }
        self.ask_in_cycle(step, Effect::ListAllContainers { deadline: LIST });
        Phase::ListContainers
    }

    pub(super) fn list_images(&mut self, step: &mut Step, strangers: Strangers) -> Phase {
        self.ask_in_cycle(step, Effect::ListImages { deadline: LIST });
        Phase::ListImages(strangers)
    }

    /// What follows a removal: in a cycle for the disk's sake a look at it.
    pub(super) fn after_removal(&mut self, cycle: &Cycle, then: Phase, step: &mut Step) -> Phase {
        if cycle.trigger != Trigger::Disk {
            return then;
        }
        self.ask_in_cycle(step, Effect::MeasureDisk { deadline: MEASURE });
        Phase::Measure(Box::new(then))
    }

    pub(super) fn ask_in_cycle(&mut self, step: &mut Step, effect: Effect) {
        self.core.ask(step, Route::ImageCleanup, effect);
    }

    /// Whether the cycle has removed as many images as it may.
    pub(super) fn is_quota_used(&self, cycle: &Cycle) -> bool {
        cycle.trigger == Trigger::Interval && cycle.removals >= self.core.config.image_cleanup.images_per_cycle
    }

    fn end_cycle(&mut self, now: Now, cycle: Cycle, step: &mut Step) {
        let Cycle { trigger, mut collection, .. } = cycle;
        collection.count();
        if let Some(error) = &collection.error {
            step.agent(Level::Warn, "cleanup_ended", format!("image clean-up ended early: {error}"));
        }
        if !collection.is_dry_run && (!collection.removed.is_empty() || !collection.failed.is_empty()) {
            step.agent(Level::Info, "cleanup_done", format!("image clean-up: {collection}"));
        }
        let cleanup = &mut self.core.images.cleanup;
        if trigger == Trigger::Disk {
            let low = self.core.config.image_cleanup.disk.map_or(100, |disk| disk.low);
            let is_still_full = cleanup.disk_used.is_some_and(|used| used > low);
            cleanup.full_since = is_still_full.then_some(now.mono);
        }
        if !collection.is_dry_run {
            cleanup.last = Some(collection.clone());
        }
        if let Trigger::Request(request) = trigger {
            step.answers.push((request, ImageAnswer::Collected(Box::new(collection))));
        }
        if let Some((request, options)) = cleanup.asked.pop_front() {
            self.begin_cycle(now, Trigger::Request(request), options, step);
        }
    }
}

impl Cleanup {
    /// Whether a cycle is under way.
    pub fn is_running(&self) -> bool {
        self.cycle.is_some()
    }
}
