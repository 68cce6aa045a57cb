//! Effects carried out: each is one call, with its deadline, and one answer. No decision is made here.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use docker::{Change, Filters, Kind, ListContainers, ListImages, PullLimits};
use engine::effect::{MetadataStage, Protocol, RegistryAccess};
use engine::event::{ContainerAction, DockerEvent};
use engine::{Effect, EffectId, Event, Failure, FailureKind, Outcome};
use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::sync::mpsc;
use wire::docker::{Action, ApiVersion, VolumeCreate};
use wire::ecs;
use wire::ids::{ImageRef, TaskId};

use super::endpoints::metadata_file;
use super::metrics::{Call, Metrics};
use super::pause_image::PauseImageError;
use super::published::{LayerProgress, Published};
use super::{Outside, limits, registry_auth, sockets};

/// The label that every container of an ECS task has.
const TASK_LABEL: &str = "com.amazonaws.ecs.task-arn";
/// Manifests of schema 1 have no digest that can be pulled by (spec 20 §5.2).
const SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1+";
/// An image inspection has no time-out in the reference; a daemon that says nothing for so long is not well.
const INSPECT_IMAGE: Duration = Duration::from_secs(60);

/// Carries out effects and brings their answers back.
#[derive(Clone)]
pub(super) struct Performer {
    outside: Arc<Outside>,
    inbox: mpsc::Sender<Event>,
}

impl Performer {
    pub(super) fn new(outside: Outside, inbox: mpsc::Sender<Event>) -> Self {
        Self { outside: Arc::new(outside), inbox }
    }

    pub(super) fn published(&self) -> &Published {
        &self.outside.published
    }

    pub(super) fn metrics(&self) -> Option<&Arc<Metrics>> {
        self.outside.metrics.as_ref()
    }

    /// Starts one effect; exactly one answer follows, even if the code that carries it out panics.
    pub(super) fn start(&self, id: EffectId, effect: Effect) {
        let performer = self.clone();
        tokio::spawn(async move {
            let call = performer.metrics().and_then(|_| Call::of(&effect));
            let began = Instant::now();
            let work = AssertUnwindSafe(performer.perform(id, effect)).catch_unwind().await;
            if let (Some(metrics), Some(call)) = (performer.metrics(), call) {
                let has_failed = matches!(&work, Err(_) | Ok(Some(Outcome::Failed(_))));
                metrics.observe_call(call, began.elapsed(), !has_failed);
            }
            let outcome = match work {
                Ok(Some(outcome)) => outcome,
                // It has answered already, in the midst of its work.
                Ok(None) => return,
                Err(_) => Outcome::Failed(Failure::new(FailureKind::Panicked, "internal error; please report it")),
            };
            performer.answer(id, outcome).await;
        });
    }

    async fn answer(&self, id: EffectId, outcome: Outcome) {
        let _ = self.inbox.send(Event::Done { id, outcome }).await;
    }

    async fn perform(&self, id: EffectId, effect: Effect) -> Option<Outcome> {
        let outside = &*self.outside;
        let docker = |deadline: Duration| outside.docker.within(deadline);
        Some(match effect {
            Effect::FollowEvents { since } => failed(&self.follow_events(since).await),
            Effect::ListContainers { deadline } => {
                let list = ListContainers { all: true, filters: Filters::new().with("label", TASK_LABEL) };
                told(docker(deadline).containers(&list).await, Outcome::Listed)
            }
            Effect::Ping { deadline } => told(docker(deadline).ping().await, |()| Outcome::Done),
            Effect::ResolveDigest { image, access, deadline } => self.resolve(&image, &access, deadline).await,
            Effect::InspectImage { image } => {
                told(docker(INSPECT_IMAGE).inspect_image(&image).await, |image| Outcome::Image(Box::new(image)))
            }
            Effect::Pull { image, access, deadline, first_progress, inactivity } => {
                let limits = PullLimits { begin: first_progress, inactivity };
                self.pull(&image, &access, deadline, limits).await
            }
            Effect::TagImage { source, target, deadline } => {
                told(docker(deadline).tag(source.as_str(), target.as_str()).await, |()| Outcome::Done)
            }
            Effect::RemoveImage { image, deadline } => {
                told(docker(deadline).remove_image(&image, false).await, |_| Outcome::Done)
            }
            Effect::ListImages { deadline } => {
                told(docker(deadline).images(&ListImages::default()).await, Outcome::Images)
            }
            Effect::ListAllContainers { deadline } => {
                let list = ListContainers { all: true, filters: Filters::new() };
                told(docker(deadline).containers(&list).await, Outcome::Listed)
            }
            Effect::MeasureDisk { deadline } => self.measure_disk(deadline).await,
            Effect::FindHostPorts { protocol, count, from, to } => find_ports(protocol, count, from, to),
            Effect::CreateVolume { name, driver, options, labels, deadline } => {
                let wanted = VolumeCreate { name, driver, driver_opts: options, labels };
                told(docker(deadline).create_volume(&wanted).await, |_| Outcome::Done)
            }
            Effect::InspectVolume { name, deadline } => told(docker(deadline).inspect_volume(&name).await, |volume| {
                Outcome::Volume { labels: volume.labels, options: volume.options, driver: volume.driver }
            }),
            Effect::RemoveVolume { name, deadline } => {
                told(docker(deadline).remove_volume(&name, false).await, |()| Outcome::Done)
            }
            Effect::CreateCgroup { parent, limits, keeps_limits, deadline } => {
                within(deadline, limits::create(&outside.cgroups, parent, limits, keeps_limits)).await
            }
            Effect::RemoveCgroup { parent, deadline } => {
                within(deadline, limits::remove(&outside.cgroups, parent)).await
            }
            Effect::WriteMetadata { task, container, stage, deadline } => {
                within(deadline, self.write_metadata(task, container, stage)).await
            }
            Effect::RemoveMetadata { task, deadline } => {
                let config = Arc::clone(&outside.config);
                within(deadline, on_disk(move || metadata_file::remove(&config.state.data_dir, &task))).await
            }
            Effect::LoadPauseImage { deadline } => {
                let tarball = &outside.config.networking.pause_image.tarball;
                match outside.pause_image.ensure(&docker(deadline), tarball).await {
                    Ok(()) => Outcome::Done,
                    Err(PauseImageError::Docker(error)) => failed(&error),
                    Err(error) => Outcome::Failed(Failure::new(FailureKind::Other, error.to_string())),
                }
            }
            Effect::CreateContainer { name, body, api_version, deadline } => {
                let version = version(api_version);
                told(docker(deadline).create_container(&name, &body, version).await, |created| {
                    Outcome::Created(created.id.into())
                })
            }
            Effect::StartContainer { id, api_version, deadline } => {
                told(docker(deadline).start(&id, version(api_version)).await, |_: Change| Outcome::Done)
            }
            Effect::StopContainer { id, seconds, deadline } => {
                told(docker(deadline).stop(&id, seconds).await, |_: Change| Outcome::Done)
            }
            Effect::InspectContainer { id, deadline } => {
                told(docker(deadline).inspect(&id).await, |inspect| Outcome::Inspected(Box::new(inspect)))
            }
            Effect::RemoveContainer { id, deadline } => {
                told(docker(deadline).remove(&id, false, true).await, |()| Outcome::Done)
            }
            Effect::RegisterInstance { request, deadline } => {
                let answer = self.call("RegisterContainerInstance", &*request, deadline).await;
                heard(answer, |answer: ecs::ContainerInstanceResponse| {
                    Outcome::Registered(Box::new(answer.container_instance))
                })
            }
            Effect::CreateCluster { request, deadline } => {
                let answer = self.call("CreateCluster", &request, deadline).await;
                heard(answer, |answer: ecs::ClusterResponse| Outcome::ClusterCreated {
                    name: answer.cluster.cluster_name,
                })
            }
            Effect::DiscoverPollEndpoint { request, deadline } => {
                heard(self.call("DiscoverPollEndpoint", &request, deadline).await, Outcome::Discovered)
            }
            Effect::SubmitTask { request, deadline } => {
                let answer = self.call("SubmitTaskStateChange", &*request, deadline).await;
                heard(answer, |_: ecs::SubmitStateChangeResponse| Outcome::Done)
            }
            Effect::OpenSocket { connection, url, deadline } => {
                let opened = self.answer(id, Outcome::Opened);
                match sockets::open(&self.outside, connection, url, deadline, opened, &self.inbox).await {
                    Ok(()) => return None,
                    Err(failure) => Outcome::Failed(failure),
                }
            }
            Effect::SendFrame { connection, text, .. } => outside.sockets.send(connection, text).await,
            Effect::CloseSocket { connection, farewell } => outside.sockets.close(connection, farewell).await,
            Effect::ForgetCredentials { id } => {
                outside.vault.forget(&id);
                Outcome::Done
            }
            Effect::Exit { .. } => Outcome::Done,
        })
    }

    /// The file system that images lie on, which must be a local one.
    async fn measure_disk(&self, deadline: Duration) -> Outcome {
        let root = match self.outside.docker.within(deadline).info().await {
            Ok(info) => info.root_dir,
            Err(error) => return failed(&error),
        };
        let at = root.clone();
        let measured = tokio::task::spawn_blocking(move || host::disk::disk_space(at.as_ref()));
        match tokio::time::timeout(deadline, measured).await {
            Ok(Ok(Ok(space))) => Outcome::Disk { total: space.total, available: space.available },
            Ok(Ok(Err(error))) => Outcome::Failed(Failure::new(FailureKind::Other, format!("{root}: {error}"))),
            _ => Outcome::Failed(Failure::new(FailureKind::Timeout, format!("{root} does not answer"))),
        }
    }

    /// From the task as it was published before this was asked for. One that is gone, or a container that has ended
    /// meanwhile, needs no file any more.
    async fn write_metadata(&self, task: TaskId, container: String, stage: MetadataStage) -> Outcome {
        let published = &self.outside.published;
        let Some(task) = published.task(&task) else { return Outcome::Done };
        let instance = published.instance();
        let instance = instance.as_deref();
        let host = metadata_file::Host {
            cluster: self.outside.config.identity.cluster.clone().unwrap_or_default(),
            instance: instance.and_then(|view| view.instance.as_ref()).map(ToString::to_string).unwrap_or_default(),
            availability_zone: instance.map(|view| view.availability_zone.clone()).unwrap_or_default(),
            addresses: self.outside.addresses.clone(),
        };
        let config = Arc::clone(&self.outside.config);
        on_disk(move || {
            let Some(container) = task.container(&container) else { return Ok(()) };
            if stage == MetadataStage::Ready && container.is_stopped() {
                return Ok(());
            }
            metadata_file::write(&config.state.data_dir, &task, container, &host, stage)
        })
        .await
    }

    async fn call<I, O>(&self, operation: &str, input: &I, deadline: Duration) -> Result<O, aws::CallError>
    where
        I: serde::Serialize + Sync,
        O: serde::de::DeserializeOwned,
    {
        self.outside.ecs.call(operation, input, deadline).await
    }

    /// Reads events until the stream ends, which it always does with an error.
    async fn follow_events(&self, since: Timestamp) -> docker::Error {
        let filters = Filters::new().with("type", "container").with("label", TASK_LABEL);
        let mut stream = match self.outside.docker.events(Some(since), &filters).await {
            Ok(stream) => stream,
            Err(error) => return error,
        };
        let _ = self.inbox.send(Event::EventsOpened).await;
        loop {
            let event = match stream.next().await {
                Ok(event) => event,
                Err(error) => return error,
            };
            let action = match event.action {
                Action::Start => ContainerAction::Start,
                Action::Restart => ContainerAction::Restart,
                Action::Die => ContainerAction::Die { exit_code: event.exit_code() },
                Action::Oom => ContainerAction::Oom,
                Action::Destroy => ContainerAction::Destroy,
                Action::Health(wire::docker::HealthStatus::Healthy) => ContainerAction::Healthy,
                Action::Health(wire::docker::HealthStatus::Unhealthy) => ContainerAction::Unhealthy,
                // `stop` follows a `die` that said it already.
                _ => continue,
            };
            let fact = Event::Docker(DockerEvent { id: event.actor.id.into(), action });
            if self.inbox.send(fact).await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    async fn resolve(&self, image: &ImageRef, access: &RegistryAccess, deadline: Duration) -> Outcome {
        let auth = match self.registry_auth(image, access) {
            Ok(auth) => auth,
            Err(failure) => return Outcome::Failed(failure),
        };
        match self.outside.docker.within(deadline).distribution_inspect(image.as_str(), &auth).await {
            Ok(found) if found.descriptor.media_type.starts_with(SCHEMA_1) => Outcome::Resolved(None),
            Ok(found) => Outcome::Resolved(Some(found.descriptor.digest.into())),
            // A daemon too old to ask registries pulls by tag.
            Err(error) if error.kind() == Kind::Unsupported => Outcome::Resolved(None),
            Err(error) => failed(&error),
        }
    }

    async fn pull(&self, image: &ImageRef, access: &RegistryAccess, deadline: Duration, limits: PullLimits) -> Outcome {
        let auth = match self.registry_auth(image, access) {
            Ok(auth) => auth,
            Err(failure) => return Outcome::Failed(failure),
        };
        let published = &self.outside.published;
        let name = image.as_str();
        let pulled = self
            .outside
            .docker
            .within(deadline)
            .pull(name, &auth, limits, |line| {
                if !line.id.is_empty() {
                    let progress = LayerProgress { status: line.status, current: line.current, total: line.total };
                    published.set_layer(name, &line.id, progress);
                }
            })
            .await;
        published.end_pull(name);
        told(pulled, |_| Outcome::Done)
    }

    fn registry_auth(&self, image: &ImageRef, access: &RegistryAccess) -> Result<wire::docker::RegistryAuth, Failure> {
        match access.authentication.as_ref().map(|a| a.kind.as_str()) {
            Some("ecr") => Err(Failure::new(
                FailureKind::NoCredentials,
                "Amazon ECR registries cannot be signed in to by this agent yet",
            )),
            _ => Ok(registry_auth::for_image(&self.outside.config, image)),
        }
    }
}

/// Files are written where waiting for a disk holds up nobody.
async fn on_disk(work: impl FnOnce() -> std::io::Result<()> + Send + 'static) -> Outcome {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(())) => Outcome::Done,
        Ok(Err(error)) => Outcome::Failed(Failure::new(FailureKind::Other, error.to_string())),
        Err(error) => Outcome::Failed(Failure::new(FailureKind::Panicked, error.to_string())),
    }
}

/// Local work that has no deadline of its own.
async fn within(deadline: Duration, work: impl Future<Output = Outcome>) -> Outcome {
    let late = || Outcome::Failed(Failure::new(FailureKind::Timeout, format!("no answer within {deadline:?}")));
    tokio::time::timeout(deadline, work).await.unwrap_or_else(|_| late())
}

fn version(text: Option<String>) -> Option<ApiVersion> {
    text.and_then(|text| text.parse().ok())
}

fn told<T>(result: Result<T, docker::Error>, outcome: impl FnOnce(T) -> Outcome) -> Outcome {
    match result {
        Ok(value) => outcome(value),
        Err(error) => failed(&error),
    }
}

fn failed(error: &docker::Error) -> Outcome {
    let kind = match error.kind() {
        Kind::NotFound => FailureKind::NotFound,
        Kind::Conflict => FailureKind::Conflict,
        Kind::Denied => FailureKind::Denied,
        Kind::Timeout => FailureKind::Timeout,
        Kind::BeginTimeout | Kind::Inactive => FailureKind::Stalled,
        Kind::Unreachable => FailureKind::Unreachable,
        Kind::BadRequest | Kind::Unsupported => FailureKind::Invalid,
        Kind::Server | Kind::Disconnected | Kind::Malformed | Kind::Other => FailureKind::Other,
    };
    let code = if error.kind() == Kind::BeginTimeout { "pullBegin".to_owned() } else { String::new() };
    Outcome::Failed(Failure { kind, code, text: error.reference_text() })
}

fn heard<T>(result: Result<T, aws::CallError>, outcome: impl FnOnce(T) -> Outcome) -> Outcome {
    match result {
        Ok(value) => outcome(value),
        Err(error) => {
            let kind = if error.is_throttling() {
                FailureKind::Throttled
            } else if error.is_timeout() {
                FailureKind::Timeout
            } else {
                match &error.kind {
                    aws::json11::CallErrorKind::Connect(_) => FailureKind::Unreachable,
                    aws::json11::CallErrorKind::Credentials(_) => FailureKind::NoCredentials,
                    _ if error.is_retryable() => FailureKind::Unreachable,
                    _ => FailureKind::Invalid,
                }
            };
            let code = error.code().unwrap_or_default().to_owned();
            Outcome::Failed(Failure { kind, code, text: error.to_string() })
        }
    }
}

/// Looks for a run of ports that can be bound on all interfaces, as the reference does (spec 20 §4.4).
fn find_ports(protocol: Protocol, count: u16, from: u16, to: u16) -> Outcome {
    let is_free = |port: u16| match protocol {
        Protocol::Tcp => std::net::TcpListener::bind(("::", port))
            .or_else(|_| std::net::TcpListener::bind(("0.0.0.0", port)))
            .is_ok(),
        Protocol::Udp => {
            std::net::UdpSocket::bind(("::", port)).or_else(|_| std::net::UdpSocket::bind(("0.0.0.0", port))).is_ok()
        }
    };
    let mut run = 0;
    for port in from..=to {
        run = if is_free(port) { run + 1 } else { 0 };
        if run == count {
            return Outcome::PortsFound(port - (count - 1));
        }
    }
    Outcome::Failed(Failure::new(FailureKind::NotFound, "no free port"))
}
