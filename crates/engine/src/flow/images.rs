//! Digests and pulls: one look-up and one pull for all containers that wait for the same (spec 20 §5).

use std::time::Duration;

use wire::ids::{ImageRef, TaskId};

use super::{Cx, waits_for_turn};
use crate::config::PullBehavior;
use crate::container::next::registry_access;
use crate::container::{NamedError, Stage};
use crate::core::{Core, Route, Timer};
use crate::effect::Effect;
use crate::event::{Failure, FailureKind, Outcome};
use crate::fact::Fact;
use crate::image::{
    FetchKey, FullName, ImageFacts, Images, Pull, PullResult, PullStage, Resolution, ResolutionResult, ResolutionStage,
    pull_reference,
};
use crate::status::ContainerStatus;
use crate::step::Step;
use crate::task::Task;
use crate::text;
use crate::time::Now;

/// Attempts at a digest; fewer where the registry's answer is final, since asking again cannot help.
const RESOLVE_ATTEMPTS: u32 = 9;
const RESOLVE_ATTEMPTS_FINAL: u32 = 4;
/// Attempts at a pull.
const PULL_ATTEMPTS: u32 = 5;
const PULL_ATTEMPTS_FINAL: u32 = 2;
const TAG_ATTEMPTS: u32 = 5;
const TAG_PAUSE: Duration = Duration::from_millis(100);
const TAG_DEADLINE: Duration = Duration::from_secs(30);
/// For the image that the agent brings along (spec 20 §7.4).
const LOAD_DEADLINE: Duration = Duration::from_secs(120);
const FIRST_PROGRESS: Duration = Duration::from_secs(300);

/// What a look-up or pull means for those who waited for it.
#[derive(Debug)]
pub(crate) enum Fetched {
    Resolved(ResolutionResult),
    Pulled(PullResult),
    /// An attempt failed and will be repeated; for the histories.
    Stumbled {
        error: String,
        attempt: u32,
        retry_in: Duration,
    },
    /// The pull's turn came.
    PullBegan,
}

/// Those who waited, and what for.
pub(crate) type Deliveries = Vec<(Vec<(TaskId, usize)>, Fetched)>;

impl Task {
    /// Begins to find out the image's digest; true when that needs no waiting.
    pub(crate) fn begin_resolve(&mut self, cx: &mut Cx<'_>, index: usize) -> bool {
        let container = &self.containers[index];
        if container.definition.kind.is_internal() {
            return self.containers[index].advance(ContainerStatus::ManifestPulled);
        }
        if let Some(digest) = container.definition.image.digest() {
            self.containers[index].change().image_digest = Some(digest);
            return self.containers[index].advance(ContainerStatus::ManifestPulled);
        }
        let access = registry_access(self, container);
        let image = container.definition.image.clone();
        let waiter = (self.id().clone(), index);
        self.containers[index].begin(Stage::Resolve, cx.now);
        let key = FetchKey::new(&image, None, &access);
        if let Some(resolution) = cx.core.images.resolutions.get_mut(&key) {
            resolution.waiters.push(waiter);
            return false;
        }
        let is_local_enough = match cx.core.config.pulls.behavior {
            PullBehavior::Default | PullBehavior::Always => false,
            PullBehavior::Once => cx.core.images.was_pulled(image.as_str()),
            PullBehavior::PreferCached => true,
        };
        let stage = if is_local_enough && cx.core.images.is_being_removed(&image, None) {
            ResolutionStage::AfterRemoval
        } else if is_local_enough {
            let effect = Effect::InspectImage { image: image.to_string() };
            ResolutionStage::Local(cx.core.ask(cx.step, Route::Resolution(key.clone()), effect))
        } else {
            let effect = Effect::ResolveDigest {
                image,
                access: access.clone(),
                deadline: cx.core.config.pulls.manifest_timeout,
            };
            ResolutionStage::Registry(cx.core.ask(cx.step, Route::Resolution(key.clone()), effect))
        };
        cx.core.images.resolutions.insert(
            key,
            Resolution {
                access,
                waiters: vec![waiter],
                stage,
                attempt: 1,
                since: cx.now.mono,
                backoff: crate::image::resolution_backoff(),
            },
        );
        false
    }

    /// The image that the agent brings along is there, or cannot be had.
    pub(crate) fn apply_loaded(&mut self, cx: &mut Cx<'_>, index: usize, outcome: Outcome) {
        self.containers[index].work = None;
        if let Outcome::Failed(failure) = outcome {
            self.note_on(cx, index, Fact::Failed { error: failure.text.clone() });
            self.stop(Some(&text::pause_image(&failure.text)));
        } else {
            self.containers[index].advance(ContainerStatus::Pulled);
        }
    }

    /// The digest is known, or cannot be.
    pub(crate) fn apply_resolved(&mut self, cx: &mut Cx<'_>, index: usize, result: &ResolutionResult) {
        let Some(Stage::Resolve) = self.containers[index].work.as_ref().map(|w| w.stage) else { return };
        self.containers[index].work = None;
        if let Some(error) = &result.error {
            self.note_on(cx, index, Fact::Failed { error: error.to_string() });
            self.containers[index].keep_error(error.clone());
            if cx.core.config.pulls.behavior.failure_stops_task() {
                self.containers[index].advance(ContainerStatus::ManifestPulled);
                self.stop(None);
                return;
            }
        } else {
            self.note_on(cx, index, Fact::DigestResolved { digest: result.digest.clone() });
        }
        let container = &mut self.containers[index];
        if result.digest.is_some() {
            container.change().image_digest.clone_from(&result.digest);
        }
        container.local_image.clone_from(&result.local);
        container.advance(ContainerStatus::ManifestPulled);
    }

    /// Begins the pull, or uses what is here; true when that needs no waiting.
    pub(crate) fn begin_pull(&mut self, cx: &mut Cx<'_>, index: usize) -> bool {
        if self.containers[index].definition.kind.is_internal() {
            let route = Route::Container(self.id().clone(), index);
            let effect = cx.core.ask(cx.step, route, Effect::LoadPauseImage { deadline: LOAD_DEADLINE });
            self.containers[index].begin(Stage::Load(effect), cx.now);
            return false;
        }
        if let Some(facts) = self.containers[index].local_image.take() {
            self.note_on(cx, index, Fact::UsesLocalImage);
            self.use_image(cx, index, &facts, false);
            return self.containers[index].advance(ContainerStatus::Pulled);
        }
        let container = &self.containers[index];
        let image = container.definition.image.clone();
        let access = registry_access(self, container);
        let digest = container.state.image_digest.clone();
        let key = FetchKey::new(&image, digest.as_ref(), &access);
        let waiter = (self.id().clone(), index);
        self.containers[index].begin(Stage::Pull, cx.now);
        let slots = cx.core.config.pulls.parallel.max(1);
        if let Some(pull) = cx.core.images.pulls.get_mut(&key) {
            pull.waiters.push(waiter);
            if pull.is_needed && pull.stage != PullStage::Waiting {
                self.apply_pull_began(cx, index);
            } else if pull.is_needed {
                self.containers[index].waiting = Some(waits_for_turn("pulled", slots));
            }
            return false;
        }
        let is_pull_needed = match cx.core.config.pulls.behavior {
            PullBehavior::Default | PullBehavior::Always => true,
            PullBehavior::Once => !cx.core.images.was_pulled(image.as_str()),
            // An image that is named by its digest, or waited over a restart, was not looked for yet.
            PullBehavior::PreferCached => false,
        };
        if is_pull_needed {
            self.containers[index].waiting = Some(waits_for_turn("pulled", slots));
        }
        let stage = if is_pull_needed || cx.core.images.is_being_removed(&image, digest.as_ref()) {
            PullStage::Waiting
        } else {
            let effect = Effect::InspectImage { image: image.to_string() };
            PullStage::Looking(cx.core.ask(cx.step, Route::Pull(key.clone()), effect))
        };
        cx.core.images.pulls.insert(
            key,
            Pull {
                access,
                waiters: vec![waiter],
                is_needed: is_pull_needed,
                stage,
                attempt: 1,
                began: cx.now.mono,
                backoff: crate::image::pull_backoff(),
                error: None,
            },
        );
        false
    }

    pub(crate) fn apply_pull_began(&mut self, cx: &mut Cx<'_>, index: usize) {
        let Some(Stage::Pull) = self.containers[index].work.as_ref().map(|w| w.stage) else { return };
        if self.state.pull_started_at.is_none() {
            self.change().pull_started_at = Some(cx.now.wall);
        }
        self.containers[index].waiting = None;
        self.note_on(cx, index, Fact::PullStarted);
    }

    pub(crate) fn apply_stumble(
        &mut self,
        cx: &mut Cx<'_>,
        index: usize,
        error: &str,
        attempt: u32,
        retry_in: Duration,
    ) {
        self.note_on(cx, index, Fact::ImageFailed { error: error.to_owned(), attempt, retry_in: Some(retry_in) });
    }

    /// The image is here, or cannot be had.
    pub(crate) fn apply_pulled(&mut self, cx: &mut Cx<'_>, index: usize, result: &PullResult) {
        let Some(Stage::Pull) = self.containers[index].work.as_ref().map(|w| w.stage) else { return };
        let took = self.containers[index].work.take().map(|w| cx.now.mono - w.since).unwrap_or_default();
        if result.was_pulled {
            self.change().pull_stopped_at = Some(cx.now.wall);
        }
        if let Some(facts) = &result.image {
            self.use_image(cx, index, facts, result.was_pulled && result.error.is_none());
        }
        match &result.error {
            None if result.was_pulled => self.note_on(cx, index, Fact::Pulled { took }),
            None => self.note_on(cx, index, Fact::UsesLocalImage),
            Some(error) => {
                self.note_on(cx, index, Fact::Failed { error: error.to_string() });
                self.containers[index].keep_error(error.clone());
                let config = &cx.core.config;
                let is_missed_upfront = config.pulls_dependents_upfront
                    && config.pulls.behavior != PullBehavior::Always
                    && result.image.is_none()
                    && self.containers[index].definition.is_essential;
                if is_missed_upfront {
                    self.tell_pull_failure(error);
                }
                if is_missed_upfront || config.pulls.behavior.failure_stops_task() {
                    self.containers[index].advance(ContainerStatus::Pulled);
                    self.stop(None);
                    return;
                }
            }
        }
        self.containers[index].advance(ContainerStatus::Pulled);
    }

    /// The image of a container that is here, and of which nothing is known. A look that fails is repeated with the
    /// container's next inspection.
    pub(crate) fn apply_container_image(&mut self, cx: &mut Cx<'_>, index: usize, outcome: &Outcome) {
        let Outcome::Image(inspect) = outcome else { return };
        let container = &self.containers[index];
        let facts = ImageFacts::from(&**inspect);
        let name = container.definition.image.as_str();
        let full = FullName::of(name);
        let images = &mut cx.core.images;
        if inspect.repo_tags.iter().chain(&inspect.repo_digests).any(|known| FullName::of(known) == full) {
            images.remember(&facts, name, false, cx.now.wall);
        } else {
            images.remember_nameless(&facts, name, cx.now.wall);
        }
        images.hold_again(&facts.id, self.id(), container.name());
    }

    fn use_image(&mut self, cx: &mut Cx<'_>, index: usize, facts: &ImageFacts, is_pulled: bool) {
        let id = self.id().clone();
        let container = &mut self.containers[index];
        let name = container.definition.image.to_string();
        cx.core.images.hold(facts, &name, &id, &container.definition.name, is_pulled, cx.now.wall);
        let state = container.change();
        state.image_id = Some(facts.id.clone());
        state.has_image_region = facts.has_region;
        if state.image_digest.is_none() {
            state.image_digest = facts.digest_for(&ImageRef::from(name));
        }
    }
}

impl Images {
    /// A container waits no longer. True when it stood in line for a pull.
    pub(crate) fn leave(&mut self, task: &TaskId, index: usize) -> bool {
        let stays = |waiter: &(TaskId, usize)| !(waiter.0 == *task && waiter.1 == index);
        for resolution in self.resolutions.values_mut() {
            resolution.waiters.retain(stays);
        }
        let mut was_in_line = false;
        for pull in self.pulls.values_mut() {
            let before = pull.waiters.len();
            pull.waiters.retain(stays);
            was_in_line |= pull.waiters.len() < before && pull.is_needed && pull.stage == PullStage::Waiting;
        }
        self.pulls.retain(|_, pull| pull.stage != PullStage::Waiting || !pull.waiters.is_empty());
        was_in_line
    }
}

impl Core {
    /// Begins pulls while there are slots.
    pub(crate) fn serve_pulls(&mut self, step: &mut Step, now: Now) -> Deliveries {
        let mut began = Deliveries::new();
        self.serve_after_removal(step);
        loop {
            let running = self.images.pulls.values().filter(|p| p.has_slot()).count();
            if running >= self.config.pulls.parallel.max(1) {
                return began;
            }
            let next = self
                .images
                .pulls
                .iter()
                .filter(|(key, pull)| {
                    pull.stage == PullStage::Waiting
                        && pull.is_needed
                        && !self.images.is_being_removed(&key.image, key.digest.as_ref())
                })
                .min_by_key(|(key, pull)| (pull.began, (*key).clone()))
                .map(|(key, _)| key.clone());
            let Some(key) = next else { return began };
            if let Some(pull) = self.images.pulls.get_mut(&key) {
                pull.began = now.mono;
                began.push((pull.waiters.clone(), Fetched::PullBegan));
            }
            self.attempt_pull(step, now, &key);
        }
    }

    /// Looks at local images whose removal is over, one way or the other.
    fn serve_after_removal(&mut self, step: &mut Step) {
        let images = &self.images;
        let resolutions: Vec<FetchKey> = images
            .resolutions
            .iter()
            .filter(|(key, resolution)| {
                resolution.stage == ResolutionStage::AfterRemoval && !images.is_being_removed(&key.image, None)
            })
            .map(|(key, _)| key.clone())
            .collect();
        let looks: Vec<FetchKey> = images
            .pulls
            .iter()
            .filter(|(key, pull)| {
                pull.stage == PullStage::Waiting
                    && !pull.is_needed
                    && !images.is_being_removed(&key.image, key.digest.as_ref())
            })
            .map(|(key, _)| key.clone())
            .collect();
        for key in resolutions {
            let effect = Effect::InspectImage { image: key.image.to_string() };
            let effect = self.ask(step, Route::Resolution(key.clone()), effect);
            if let Some(resolution) = self.images.resolutions.get_mut(&key) {
                resolution.stage = ResolutionStage::Local(effect);
            }
        }
        for key in looks {
            self.look_at(step, &key);
        }
    }

    /// Pulls; all attempts share the time of one pull.
    fn attempt_pull(&mut self, step: &mut Step, now: Now, key: &FetchKey) {
        let Some(pull) = self.images.pulls.get(key) else { return };
        let effect = Effect::Pull {
            image: pull_reference(&key.image, key.digest.as_ref()),
            access: pull.access.clone(),
            deadline: self.config.pulls.timeout.saturating_sub(now.mono - pull.began),
            first_progress: FIRST_PROGRESS,
            inactivity: self.config.pulls.inactivity_timeout,
        };
        let effect = self.ask(step, Route::Pull(key.clone()), effect);
        if let Some(pull) = self.images.pulls.get_mut(key) {
            pull.stage = PullStage::Pulling(effect);
        }
    }

    /// Asks the registry for a digest; all attempts share the time of one look-up.
    fn attempt_resolution(&mut self, step: &mut Step, now: Now, key: &FetchKey) {
        let Some(resolution) = self.images.resolutions.get(key) else { return };
        let effect = Effect::ResolveDigest {
            image: key.image.clone(),
            access: resolution.access.clone(),
            deadline: self.config.pulls.manifest_timeout.saturating_sub(now.mono - resolution.since),
        };
        let effect = self.ask(step, Route::Resolution(key.clone()), effect);
        if let Some(resolution) = self.images.resolutions.get_mut(key) {
            resolution.stage = ResolutionStage::Registry(effect);
        }
    }

    /// A look-up's answer.
    pub(crate) fn apply_resolution(
        &mut self,
        step: &mut Step,
        now: Now,
        key: &FetchKey,
        outcome: Outcome,
    ) -> Deliveries {
        let Some(resolution) = self.images.resolutions.get_mut(key) else { return Deliveries::new() };
        let result = match (&resolution.stage, outcome) {
            (ResolutionStage::Local(_), Outcome::Image(inspect)) => {
                let facts = ImageFacts::from(&*inspect);
                ResolutionResult { digest: facts.digest_for(&key.image), error: None, local: Some(facts) }
            }
            (ResolutionStage::Local(_), Outcome::Failed(failure))
                if self.config.pulls.behavior == PullBehavior::Once =>
            {
                let error = NamedError::new("CannotPullImageManifestError", failure.text);
                ResolutionResult { error: Some(error), ..ResolutionResult::default() }
            }
            (ResolutionStage::Local(_), _) => {
                resolution.since = now.mono;
                self.attempt_resolution(step, now, key);
                return Deliveries::new();
            }
            (_, Outcome::Resolved(digest)) => ResolutionResult { digest, ..ResolutionResult::default() },
            (_, Outcome::Failed(failure)) => {
                let limit = self.config.pulls.manifest_timeout;
                let left = limit.saturating_sub(now.mono - resolution.since);
                let most = if is_final(&failure) { RESOLVE_ATTEMPTS_FINAL } else { RESOLVE_ATTEMPTS };
                let pause = resolution.backoff.next(&mut self.rng);
                if resolution.attempt < most && failure.kind != FailureKind::Timeout && pause < left {
                    let attempt = resolution.attempt;
                    resolution.attempt += 1;
                    resolution.stage = ResolutionStage::Pause;
                    let stumble = Fetched::Stumbled { error: failure.text, attempt, retry_in: pause };
                    let waiters = resolution.waiters.clone();
                    self.set(Timer::Resolution(key.clone()), now.mono + pause);
                    return vec![(waiters, stumble)];
                }
                let error = if failure.kind == FailureKind::Timeout {
                    NamedError::new("DockerTimeoutError", text::timed_out("MANIFEST_PULLED", limit))
                } else {
                    NamedError::new("CannotPullImageManifestError", failure.text)
                };
                ResolutionResult { error: Some(error), ..ResolutionResult::default() }
            }
            _ => ResolutionResult::default(),
        };
        match self.images.resolutions.remove(key) {
            Some(resolution) => vec![(resolution.waiters, Fetched::Resolved(result))],
            None => Deliveries::new(),
        }
    }

    /// A look-up's pause is over.
    pub(crate) fn retry_resolution(&mut self, step: &mut Step, now: Now, key: &FetchKey) {
        let Some(resolution) = self.images.resolutions.get(key) else { return };
        if resolution.waiters.is_empty() {
            self.images.resolutions.remove(key);
            return;
        }
        self.attempt_resolution(step, now, key);
    }

    /// A pull's pause is over.
    pub(crate) fn retry_pull(&mut self, step: &mut Step, now: Now, key: &FetchKey) {
        let Some(pull) = self.images.pulls.get(key) else { return };
        if pull.waiters.is_empty() {
            self.images.pulls.remove(key);
            return;
        }
        match pull.stage {
            PullStage::TagPause => self.attempt_tag(step, now, key),
            _ => self.attempt_pull(step, now, key),
        }
    }

    /// An answer on a pull's way: pulled, tagged, or looked at.
    pub(crate) fn apply_pull(&mut self, step: &mut Step, now: Now, key: &FetchKey, outcome: Outcome) -> Deliveries {
        let Some(pull) = self.images.pulls.get_mut(key) else { return Deliveries::new() };
        match (pull.stage.clone(), outcome) {
            (PullStage::Pulling(_), Outcome::Failed(failure)) => {
                let most = if is_final(&failure) { PULL_ATTEMPTS_FINAL } else { PULL_ATTEMPTS };
                let is_hopeless = matches!(failure.kind, FailureKind::Timeout | FailureKind::NoCredentials);
                let left = self.config.pulls.timeout.saturating_sub(now.mono - pull.began);
                let pause = pull.backoff.next(&mut self.rng);
                if pull.attempt < most && !is_hopeless && !pull.waiters.is_empty() && pause < left {
                    let stumble = Fetched::Stumbled { error: failure.text, attempt: pull.attempt, retry_in: pause };
                    pull.attempt += 1;
                    pull.stage = PullStage::Pause;
                    let waiters = pull.waiters.clone();
                    self.set(Timer::Pull(key.clone()), now.mono + pause);
                    return vec![(waiters, stumble)];
                }
                pull.error = Some(pull_error(&failure, key, &self.config.pulls));
                self.look_at(step, key)
            }
            (PullStage::Pulling(_), _) => {
                if key.digest.is_some() && key.image.digest().is_none() {
                    pull.attempt = 1;
                    pull.began = now.mono;
                    self.attempt_tag(step, now, key);
                    return Deliveries::new();
                }
                self.look_at(step, key)
            }
            (PullStage::Tagging(_), Outcome::Failed(failure)) => {
                let left = TAG_DEADLINE.saturating_sub(now.mono - pull.began);
                if pull.attempt < TAG_ATTEMPTS && failure.kind != FailureKind::Timeout && TAG_PAUSE < left {
                    pull.attempt += 1;
                    pull.stage = PullStage::TagPause;
                    self.set(Timer::Pull(key.clone()), now.mono + TAG_PAUSE);
                    return Deliveries::new();
                }
                pull.error = Some(if failure.kind == FailureKind::Timeout {
                    NamedError::new("DockerTimeoutError", text::timed_out("pulled", TAG_DEADLINE))
                } else {
                    let source = pull_reference(&key.image, key.digest.as_ref());
                    let text = format!("failed to tag image '{source}' as '{}': {}", key.image, failure.text);
                    NamedError::new("CannotPullContainerError", text)
                });
                self.look_at(step, key)
            }
            (PullStage::Tagging(_), _) => self.look_at(step, key),
            (PullStage::Looking(_), Outcome::Failed(_))
                if !pull.is_needed
                    && !pull.waiters.is_empty()
                    && self.config.pulls.behavior == PullBehavior::PreferCached =>
            {
                pull.is_needed = true;
                pull.stage = PullStage::Waiting;
                pull.began = now.mono;
                Deliveries::new()
            }
            (PullStage::Looking(_), outcome) => {
                let image = match outcome {
                    Outcome::Image(inspect) => Some(ImageFacts::from(&*inspect)),
                    _ => None,
                };
                match self.images.pulls.remove(key) {
                    Some(pull) => {
                        if let Some(image) = &image
                            && pull.waiters.is_empty()
                            && pull.is_needed
                        {
                            self.images.remember(image, key.image.as_str(), pull.error.is_none(), now.wall);
                        }
                        let result = PullResult { error: pull.error, image, was_pulled: pull.is_needed };
                        vec![(pull.waiters, Fetched::Pulled(result))]
                    }
                    None => Deliveries::new(),
                }
            }
            (PullStage::Waiting | PullStage::Pause | PullStage::TagPause, _) => Deliveries::new(),
        }
    }

    /// Gives what was pulled by digest the name that was asked for; all attempts share the time of one.
    fn attempt_tag(&mut self, step: &mut Step, now: Now, key: &FetchKey) {
        let Some(pull) = self.images.pulls.get(key) else { return };
        let effect = Effect::TagImage {
            source: pull_reference(&key.image, key.digest.as_ref()),
            target: key.image.clone(),
            deadline: TAG_DEADLINE.saturating_sub(now.mono - pull.began),
        };
        let effect = self.ask(step, Route::Pull(key.clone()), effect);
        if let Some(pull) = self.images.pulls.get_mut(key) {
            pull.stage = PullStage::Tagging(effect);
        }
    }

    fn look_at(&mut self, step: &mut Step, key: &FetchKey) -> Deliveries {
        let effect = Effect::InspectImage { image: key.image.to_string() };
        let effect = self.ask(step, Route::Pull(key.clone()), effect);
        if let Some(pull) = self.images.pulls.get_mut(key) {
            pull.stage = PullStage::Looking(effect);
        }
        Deliveries::new()
    }
}

fn is_final(failure: &Failure) -> bool {
    matches!(failure.kind, FailureKind::NotFound | FailureKind::Denied | FailureKind::Invalid)
        || ["manifest unknown", "not found", "denied", "does not exist"].iter().any(|part| failure.text.contains(part))
}

fn pull_error(failure: &Failure, key: &FetchKey, pulls: &crate::config::Pulls) -> NamedError {
    let name = match failure.kind {
        FailureKind::Timeout => {
            return NamedError::new("DockerTimeoutError", text::timed_out("pulled", pulls.timeout));
        }
        FailureKind::Stalled if failure.code == "pullBegin" => {
            return NamedError::new("DockerTimeoutError", text::timed_out("pullBegin", FIRST_PROGRESS));
        }
        FailureKind::NoCredentials => "CannotPullECRContainerError",
        _ => "CannotPullContainerError",
    };
    NamedError::new(name, text::pull_failure(&failure.text, key.image.as_str()))
}

#[cfg(test)]
mod tests;
