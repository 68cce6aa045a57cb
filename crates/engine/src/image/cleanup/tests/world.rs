//! A small container engine that refuses what the real one refuses, and an agent in front of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use wire::docker::{ContainerInspect, ContainerState, ContainerSummary, ImageInspect, ImageSummary};
use wire::gojson;
use wire::ids::TaskId;

use super::{ImageRequest, report};
use crate::effect::{Effect, EffectId};
use crate::engine::Engine;
use crate::event::{Event, Failure, FailureKind, Outcome};
use crate::image::name::repository;
use crate::image::{Collection, ImageAnswer, ImageFacts, ImagesReport};
use crate::task::{Task, admit};
use crate::time::{Mono, Now};
use crate::{EngineConfig, Step};

pub(super) const MINUTE: Duration = Duration::from_secs(60);

pub(super) struct World {
    pub(super) engine: Engine,
    pub(super) docker: Docker,
    pub(super) transcript: String,
    pub(super) answers: Vec<(u64, ImageAnswer)>,
    /// Whether effects stay unanswered.
    pub(super) is_holding_back: bool,
    rows: BTreeMap<(&'static str, String), String>,
    waiting: Vec<(EffectId, Effect)>,
    mono: Mono,
    requests: u64,
}

#[derive(Default)]
pub(super) struct Docker {
    pub(super) images: BTreeMap<String, Image>,
    pub(super) containers: BTreeMap<String, Container>,
    /// Ids of images that containers of others use.
    pub(super) foreign: BTreeSet<String>,
    /// Percent; each image that goes frees ten.
    pub(super) disk_used: u64,
    pub(super) has_no_disk: bool,
    pub(super) is_away: bool,
}

#[derive(Default)]
pub(super) struct Image {
    pub(super) tags: BTreeSet<String>,
    pub(super) digests: BTreeSet<String>,
    pub(super) size: i64,
}

pub(super) struct Container {
    pub(super) state: &'static str,
    pub(super) image: String,
    ended: Option<Timestamp>,
    created: Timestamp,
}

/// The wall clock's beginning is the steady clock's, far enough from the epoch to look back.
fn wall(at: Mono) -> Timestamp {
    Timestamp::UNIX_EPOCH + at.0
}

impl World {
    pub(super) fn new(set: impl FnOnce(&mut EngineConfig)) -> Self {
        let mut config = EngineConfig::default();
        set(&mut config);
        let engine = Engine::new(config, 1, Vec::new());
        let mut world = Self {
            engine,
            docker: Docker::default(),
            transcript: String::new(),
            answers: Vec::new(),
            is_holding_back: false,
            rows: BTreeMap::new(),
            waiting: Vec::new(),
            mono: Mono::default(),
            requests: 0,
        };
        world.handle(Event::Start);
        world.transcript.clear();
        world
    }

    pub(super) fn now(&self) -> Now {
        Now { mono: self.mono, wall: wall(self.mono) }
    }

    pub(super) fn ago(&self, minutes: u64) -> Timestamp {
        wall(self.mono) - MINUTE * u32::try_from(minutes).unwrap()
    }

    fn handle(&mut self, event: Event) {
        let step = self.engine.handle(self.now(), event);
        self.take(step);
        if !self.is_holding_back {
            self.answer_all();
        }
    }

    fn take(&mut self, step: Step) {
        for row in step.writes.iter() {
            let key = (row.table, row.key.to_owned());
            match row.value {
                Some(value) => self.rows.insert(key, value.to_owned()),
                None => self.rows.remove(&key),
            };
        }
        for note in step.notes.iter().filter(|note| note.task.is_none()) {
            writeln!(self.transcript, "({})", note.fact).unwrap();
        }
        self.answers.extend(step.answers);
        for (id, effect) in step.effects {
            if self.is_holding_back
                && let Some(line) = line(&effect)
            {
                writeln!(self.transcript, "{}m {line} …", self.mono.0.as_secs() / 60).unwrap();
            }
            self.waiting.push((id, effect));
        }
    }

    /// Answers all that the small engine knows to answer, and what follows.
    pub(super) fn answer_all(&mut self) {
        while let Some(at) = self.waiting.iter().position(|(_, effect)| line(effect).is_some() && !is_fetch(effect)) {
            let (id, effect) = self.waiting.remove(at);
            let outcome = self.docker.perform(&effect);
            self.tell(id, &effect, outcome);
        }
    }

    /// Answers the first of these calls alone.
    pub(super) fn answer_first(&mut self, word: &str) {
        let outcome = |docker: &mut Docker, effect: &Effect| match effect {
            Effect::ResolveDigest { .. } => Outcome::Resolved(None),
            effect => docker.perform(effect),
        };
        let (id, effect) = self.take_first(word);
        let outcome = outcome(&mut self.docker, &effect);
        self.tell(id, &effect, outcome);
    }

    pub(super) fn answer_first_with(&mut self, word: &str, outcome: Outcome) {
        let (id, effect) = self.take_first(word);
        self.tell(id, &effect, outcome);
    }

    fn take_first(&mut self, word: &str) -> (EffectId, Effect) {
        let is_meant = |effect: &Effect| line(effect).is_some_and(|line| line.starts_with(word));
        let at = self.waiting.iter().position(|(_, effect)| is_meant(effect)).expect("no such call is out");
        self.waiting.remove(at)
    }

    fn tell(&mut self, id: EffectId, effect: &Effect, outcome: Outcome) {
        let what = line(effect).unwrap_or_default();
        writeln!(self.transcript, "{}m {what} → {}", self.mono.0.as_secs() / 60, told(&outcome)).unwrap();
        let step = self.engine.handle(self.now(), Event::Done { id, outcome });
        self.take(step);
    }

    /// Lets time pass, with a tick at each deadline.
    pub(super) fn pass(&mut self, span: Duration) {
        let end = self.mono + span;
        while let Some(deadline) = self.engine.deadline().filter(|deadline| *deadline <= end) {
            self.mono = self.mono.max(deadline);
            self.handle(Event::Tick);
        }
        self.mono = end;
    }

    /// An image that a task used and left so many minutes ago.
    pub(super) fn used(&mut self, name: &str, minutes: u64) {
        let id = format!("id-{name}");
        let tag = if name.contains(':') { name.to_owned() } else { format!("{name}:latest") };
        self.docker.image(&id, &[&tag], &[]);
        let at = self.ago(minutes);
        let facts = ImageFacts { id: id.as_str().into(), repo_digests: Vec::new(), size: 0, has_region: false };
        let images = &mut self.engine.core.images;
        images.hold(&facts, name, &"gone".into(), "web", true, at);
        images.let_go(&"gone".into(), at);
    }

    pub(super) fn use_image(&mut self, id: &str, name: &str, task: &str) {
        let now = self.now().wall;
        let facts = ImageFacts { id: id.into(), repo_digests: Vec::new(), size: 0, has_region: false };
        self.engine.core.images.hold(&facts, name, &task.into(), name, true, now);
        for (other, image) in &mut self.docker.images {
            if other != id {
                image.tags.remove(name);
            }
        }
    }

    pub(super) fn let_go(&mut self, task: &str) {
        let now = self.now().wall;
        self.engine.core.images.let_go(&task.into(), now);
    }

    /// A task with one container comes.
    pub(super) fn task(&mut self, id: &str, image: &str) -> TaskId {
        let task = json!({
            "arn": format!("arn:aws:ecs:us-west-2:123456789012:task/lab/{id}"),
            "family": "fam", "version": "7", "desiredStatus": "RUNNING",
            "containers": [{"name": "web", "image": image, "memory": 10, "essential": true}],
        });
        let now = self.now();
        let definition =
            admit(gojson::from_value(task).unwrap(), &EngineConfig::default(), &mut crate::rng::Rng::new(1)).unwrap();
        let task_id = definition.id.clone();
        let mut task = Task::new(definition, now.wall);
        task.state.desired = crate::status::TaskStatus::Running;
        for container in &mut task.containers {
            container.state.desired = crate::status::ContainerStatus::Running;
        }
        self.engine.tasks.insert(task_id.clone(), std::sync::Arc::new(task));
        self.engine.resettle.insert(task_id.clone());
        self.handle(Event::CredentialsStored { id: "none".into() });
        task_id
    }

    /// A task is told to stop.
    pub(super) fn stop(&mut self, task: &TaskId) {
        let mut step = Step::default();
        self.engine.touch(self.now(), task, &mut step, |task, cx| {
            task.stop(None);
            task.settle(cx);
        });
        self.take(step);
        self.handle(Event::Tick);
    }

    pub(super) fn ask(&mut self, ask: ImageRequest) -> Option<ImageAnswer> {
        self.requests += 1;
        let request = self.requests;
        self.handle(Event::Images { request, ask });
        let at = self.answers.iter().position(|(number, _)| *number == request)?;
        Some(self.answers.remove(at).1)
    }

    pub(super) fn describe(&mut self) -> ImagesReport {
        match self.ask(ImageRequest::Describe) {
            Some(ImageAnswer::Described(report)) => *report,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn collect(&mut self, options: report::Options) -> Collection {
        match self.ask(ImageRequest::Collect(options)) {
            Some(ImageAnswer::Collected(collection)) => *collection,
            other => panic!("{other:?}"),
        }
    }

    /// How many rows a table has.
    pub(super) fn stored(&self, table: &str) -> usize {
        self.rows.keys().filter(|(of, _)| *of == table).count()
    }
}

fn is_fetch(effect: &Effect) -> bool {
    matches!(effect, Effect::ResolveDigest { .. } | Effect::Pull { .. })
}

/// Calls that transcripts show.
fn line(effect: &Effect) -> Option<String> {
    Some(match effect {
        Effect::InspectImage { image } => format!("look {image}"),
        Effect::RemoveImage { image, .. } => format!("remove {image}"),
        Effect::ResolveDigest { image, .. } => format!("resolve {image}"),
        Effect::Pull { image, .. } => format!("pull {image}"),
        Effect::ListImages { .. } => "list images".into(),
        Effect::ListAllContainers { .. } => "list containers".into(),
        Effect::InspectContainer { id, .. } => format!("inspect {id}"),
        Effect::RemoveContainer { id, .. } => format!("remove container {id}"),
        Effect::MeasureDisk { .. } => "measure".into(),
        _ => return None,
    })
}

fn told(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Failed(failure) if failure.kind == FailureKind::Unreachable => "Unreachable".into(),
        Outcome::Failed(failure) => failure.text.trim_start_matches("Error response from daemon: ").to_owned(),
        Outcome::Image(image) => image.id.clone(),
        Outcome::Images(images) => images.len().to_string(),
        Outcome::Listed(containers) => containers.len().to_string(),
        Outcome::Inspected(inspect) => format!("{:?}", inspect.state.status).to_lowercase(),
        Outcome::Disk { total, available } => format!("{}%", (total - available) * 100 / total),
        _ => "ok".into(),
    }
}

impl Docker {
    pub(super) fn image(&mut self, id: &str, tags: &[&str], digests: &[&str]) {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        self.images.insert(id.to_owned(), Image { tags: owned(tags), digests: owned(digests), size: 0 });
    }

    pub(super) fn ids(&self) -> Vec<&str> {
        self.images.keys().map(String::as_str).collect()
    }

    pub(super) fn use_foreign(&mut self, name: &str) {
        let id = self.find(name).unwrap();
        self.foreign.insert(id);
    }

    pub(super) fn foreign_container(
        &mut self,
        name: &str,
        state: &'static str,
        ended: Option<Timestamp>,
        created: Timestamp,
    ) {
        let container = Container { state, image: "gone".into(), ended, created };
        self.containers.insert(name.to_owned(), container);
    }

    fn find(&self, name: &str) -> Option<String> {
        let has = |image: &Image| image.tags.contains(name) || image.digests.contains(name);
        self.images.iter().find(|(id, image)| *id == name || has(image)).map(|(id, _)| id.clone())
    }

    fn perform(&mut self, effect: &Effect) -> Outcome {
        if self.is_away {
            return Outcome::Failed(Failure::new(FailureKind::Unreachable, "no daemon"));
        }
        match effect {
            Effect::InspectImage { image } => match self.find(image) {
                Some(id) => Outcome::Image(Box::new(ImageInspect {
                    repo_tags: self.images[&id].tags.iter().cloned().collect(),
                    repo_digests: self.images[&id].digests.iter().cloned().collect(),
                    id,
                    ..ImageInspect::default()
                })),
                None => refused(FailureKind::NotFound, format!("No such image: {image}")),
            },
            Effect::RemoveImage { image, .. } => self.remove(image),
            Effect::ListImages { .. } => Outcome::Images(
                self.images
                    .iter()
                    .map(|(id, image)| ImageSummary {
                        id: id.clone(),
                        repo_tags: image.tags.iter().cloned().collect(),
                        repo_digests: image.digests.iter().cloned().collect(),
                        created: Some(Timestamp::UNIX_EPOCH - 100 * MINUTE),
                        size: image.size,
                        ..ImageSummary::default()
                    })
                    .collect(),
            ),
            Effect::ListAllContainers { .. } => Outcome::Listed(
                self.containers
                    .iter()
                    .map(|(name, container)| ContainerSummary {
                        id: name.clone(),
                        names: vec![format!("/{name}")],
                        image_id: container.image.clone(),
                        created: Some(container.created),
                        state: container.state.into(),
                        ..ContainerSummary::default()
                    })
                    .collect(),
            ),
            Effect::InspectContainer { id, .. } => match self.containers.get(id) {
                Some(container) => Outcome::Inspected(Box::new(ContainerInspect {
                    id: id.clone(),
                    created: Some(container.created),
                    state: ContainerState {
                        status: container.state.into(),
                        finished_at: container.ended,
                        ..ContainerState::default()
                    },
                    ..ContainerInspect::default()
                })),
                None => refused(FailureKind::NotFound, format!("No such container: {id}")),
            },
            Effect::RemoveContainer { id, .. } => match self.containers.remove(id) {
                Some(_) => Outcome::Done,
                None => refused(FailureKind::NotFound, format!("No such container: {id}")),
            },
            Effect::MeasureDisk { .. } if self.has_no_disk => refused(FailureKind::Other, "no such directory".into()),
            Effect::MeasureDisk { .. } => Outcome::Disk { total: 100, available: 100 - self.disk_used },
            _ => Outcome::Done,
        }
    }

    /// As `DELETE /images/{name}` without force.
    fn remove(&mut self, name: &str) -> Outcome {
        let Some(id) = self.find(name) else { return refused(FailureKind::NotFound, format!("No such image: {name}")) };
        let is_used = self.foreign.contains(&id);
        let image = self.images.get_mut(&id).unwrap();
        let repositories: BTreeSet<String> = image.tags.iter().chain(&image.digests).map(|n| repository(n)).collect();
        if id == name {
            if repositories.len() > 1 || image.tags.len() > 1 {
                let text = format!(
                    "conflict: unable to delete {id} (must be forced) - image is referenced in multiple repositories"
                );
                return refused(FailureKind::Conflict, text);
            }
        } else {
            let is_last =
                image.tags.len() + image.digests.len() == 1 || (repositories.len() == 1 && image.tags.len() <= 1);
            if is_used && is_last {
                let text = format!("conflict: unable to remove repository reference {name:?} (must force)");
                return refused(FailureKind::Conflict, text);
            }
            if image.tags.remove(name) {
                let of = repository(name);
                if !image.tags.iter().any(|tag| repository(tag) == of) {
                    image.digests.retain(|digest| repository(digest) != of);
                }
            }
            image.digests.remove(name);
            if !image.tags.is_empty() || !image.digests.is_empty() {
                return Outcome::Done;
            }
        }
        self.images.remove(&id);
        self.disk_used = self.disk_used.saturating_sub(10);
        Outcome::Done
    }
}

fn refused(kind: FailureKind, text: String) -> Outcome {
    Outcome::Failed(Failure::new(kind, format!("Error response from daemon: {text}")))
}
