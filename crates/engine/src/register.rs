//! Registration of this machine as a container instance (spec 10 §1.7): what is said, and the tries until it
//! is heard. Pure: it says what it wants and is told what came of it.

mod capability;
mod request;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use wire::ecs::{Attribute, ContainerInstance, CreateClusterRequest, RegisterContainerInstanceRequest};
use wire::gojson::render_duration;
use wire::ids::ContainerInstanceArn;

use crate::attempts::Attempts;
use crate::backoff::Backoff;
use crate::config::EngineConfig;
use crate::event::{Failure, FailureKind};
use crate::rng::Rng;
use crate::time::{Mono, Now};

pub use capability::capabilities;
pub use request::registration_request;

/// How long one registration goes on trying.
const BUDGET: Duration = Duration::from_secs(3600);
/// The process is to be started again.
const RECOVERABLE: i32 = 1;
/// Starting again would not help.
const TERMINAL: i32 = 5;

const CLUSTER_NOT_FOUND: &str = "Cluster not found.";
const TYPE_CHANGED: &str = "Container instance type changes are not supported.";

/// What registering needs to know, and where it puts what it wants.
#[derive(Debug)]
pub struct RegisterContext<'a> {
    pub config: &'a EngineConfig,
    pub rng: &'a mut Rng,
    pub wants: &'a mut Vec<RegisterWant>,
}

/// One thing that registering wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum RegisterWant {
    /// One attempt, answered by `on_answer`.
    Register(Box<RegisterContainerInstanceRequest>),
    /// One attempt, answered by `on_cluster_created`.
    CreateCluster(CreateClusterRequest),
    /// It is over, and well.
    Done(Registered),
    /// It is over: end the process.
    Exit { code: i32, why: String },
    /// A fact for logs and metrics.
    Told(RegisterNote),
}

/// What came of a registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// On re-registration the one that was known before, whatever the answer said.
    pub instance_arn: ContainerInstanceArn,
    /// Empty when the control plane names none.
    pub availability_zone: String,
    /// The cluster from now on; where none was configured, the default one.
    pub cluster: String,
}

/// What an operator may want to know of a registration under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegisterNote {
    /// An attempt failed in a way that may pass.
    Retrying {
        why: String,
        pause: Duration,
    },
    /// The default cluster is not there and will be created.
    ClusterMissing {
        cluster: String,
    },
    ClusterCreated {
        cluster: String,
    },
    /// Registering with the default cluster failed, and is begun once more.
    Again {
        why: String,
    },
}

impl fmt::Display for RegisterNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retrying { why, pause } => {
                write!(f, "registration failed, next attempt in {}: {why}", render_duration(*pause))
            }
            Self::ClusterMissing { cluster } => write!(f, "cluster {cluster} does not exist; creating it"),
            Self::ClusterCreated { cluster } => write!(f, "created cluster {cluster}"),
            Self::Again { why } => write!(f, "registration with the default cluster failed, trying once more: {why}"),
        }
    }
}

/// A registration under way.
///
/// Invariant: between `start` and `Done` or `Exit`, a call is in flight or there is a deadline.
#[derive(Debug, Clone)]
pub struct Registering {
    /// The ARN of an earlier registration.
    saved_arn: Option<ContainerInstanceArn>,
    /// The same for all attempts (spec 10 trap 22).
    client_token: String,
    request: Box<RegisterContainerInstanceRequest>,
    cluster: String,
    round: Round,
    step: Step,
    /// The attempts of the call that is under way.
    attempts: Attempts,
    backoff: Backoff,
    budget_ends: Mono,
    /// Why the last attempt failed.
    last_failure: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    /// No cluster is configured, so the default one may have to be created.
    Default,
    Last,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Idle,
    InFlight(Call),
    Waiting { until: Mono, call: Call },
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Register,
    CreateCluster,
}

/// Why a round ended without an instance.
#[derive(Debug)]
enum Defeat {
    Failed(Failure),
    /// The answer has other values for attributes than were sent.
    AttributesDiffer,
    /// The answer names no container instance.
    Nameless,
}

impl Registering {
    /// `saved_arn`: of an earlier registration, to be renewed. `client_token`: a UUID drawn for this registration.
    pub fn new(saved_arn: Option<ContainerInstanceArn>, client_token: String) -> Self {
        Self {
            saved_arn,
            client_token,
            request: Box::default(),
            cluster: String::new(),
            round: Round::Last,
            step: Step::Idle,
            attempts: Attempts::new(),
            backoff: Backoff::new(Duration::from_secs(3), Duration::from_secs(192), 2.0, 0.2),
            budget_ends: Mono::default(),
            last_failure: String::new(),
        }
    }

    pub fn start(&mut self, now: Now, cx: &mut RegisterContext<'_>) {
        match registration_request(cx.config, self.saved_arn.as_ref(), self.client_token.clone()) {
            Ok(request) => *self.request = request,
            Err(why) => return self.exit(RECOVERABLE, why, cx),
        }
        self.cluster = request::cluster(cx.config).to_owned();
        self.round = if cx.config.cluster.is_empty() { Round::Default } else { Round::Last };
        self.begin_round(now, cx);
    }

    /// An attempt to register has ended.
    pub fn on_answer(&mut self, now: Now, result: Result<ContainerInstance, Failure>, cx: &mut RegisterContext<'_>) {
        if self.step != Step::InFlight(Call::Register) {
            return;
        }
        let failure = match result {
            Ok(instance) => match self.accept(&instance) {
                Ok(registered) => {
                    self.step = Step::Over;
                    cx.wants.push(RegisterWant::Done(registered));
                    return;
                }
                Err(defeat) => return self.end_round(now, defeat, cx),
            },
            Err(failure) => failure,
        };
        let pause = self.attempts.next(&failure, cx.rng);
        let pause = pause.or_else(|| {
            is_waited_out(&failure).then(|| {
                self.attempts = Attempts::new();
                self.backoff.next(cx.rng)
            })
        });
        match pause {
            // A wait that outlasts the budget ends with it, so that the end comes in time.
            Some(pause) if now.mono < self.budget_ends => {
                let until = (now.mono + pause).min(self.budget_ends);
                self.wait(until - now.mono, until, Call::Register, failure, cx);
            }
            // Without a limit on time this would end with an instance that has no name (spec 10 trap 24).
            Some(_) => {
                self.last_failure = failure.text;
                self.exit_spent(cx);
            }
            None => self.end_round(now, Defeat::Failed(failure), cx),
        }
    }

    /// An attempt to create the default cluster has ended; `Ok` has the cluster's name.
    pub fn on_cluster_created(&mut self, now: Now, result: Result<String, Failure>, cx: &mut RegisterContext<'_>) {
        if self.step != Step::InFlight(Call::CreateCluster) {
            return;
        }
        match result {
            Ok(cluster) => {
                cx.wants.push(RegisterWant::Told(RegisterNote::ClusterCreated { cluster: cluster.clone() }));
                self.cluster.clone_from(&cluster);
                self.request.cluster = Some(cluster);
                self.round = Round::Last;
                self.begin_round(now, cx);
            }
            Err(failure) => match self.attempts.next(&failure, cx.rng) {
                Some(pause) => self.wait(pause, now.mono + pause, Call::CreateCluster, failure, cx),
                None => self.exit_for(&Defeat::Failed(failure), cx),
            },
        }
    }

    /// Makes the attempt that is due.
    pub fn on_tick(&mut self, now: Now, cx: &mut RegisterContext<'_>) {
        let Step::Waiting { until, call } = self.step else { return };
        if now.mono < until {
            return;
        }
        if call == Call::Register && now.mono >= self.budget_ends {
            return self.exit_spent(cx);
        }
        self.call(call, cx);
    }

    /// When `on_tick` has something to do.
    pub const fn deadline(&self) -> Option<Mono> {
        match self.step {
            Step::Waiting { until, .. } => Some(until),
            Step::Idle | Step::InFlight(_) | Step::Over => None,
        }
    }

    /// Whether an attempt is in flight.
    pub const fn is_in_flight(&self) -> bool {
        matches!(self.step, Step::InFlight(_))
    }

    fn begin_round(&mut self, now: Now, cx: &mut RegisterContext<'_>) {
        self.attempts = Attempts::new();
        self.backoff.reset();
        self.budget_ends = now.mono + BUDGET;
        self.call(Call::Register, cx);
    }

    /// The round has failed for good. With the default cluster there is a second one, whatever the failure was
    /// (spec 10 trap 23).
    fn end_round(&mut self, now: Now, defeat: Defeat, cx: &mut RegisterContext<'_>) {
        if self.round == Round::Last {
            return self.exit_for(&defeat, cx);
        }
        if defeat.is_cluster_missing() {
            self.attempts = Attempts::new();
            cx.wants.push(RegisterWant::Told(RegisterNote::ClusterMissing { cluster: self.cluster.clone() }));
            self.call(Call::CreateCluster, cx);
        } else {
            cx.wants.push(RegisterWant::Told(RegisterNote::Again { why: defeat.text().to_owned() }));
            self.round = Round::Last;
            self.begin_round(now, cx);
        }
    }

    fn call(&mut self, call: Call, cx: &mut RegisterContext<'_>) {
        self.step = Step::InFlight(call);
        cx.wants.push(match call {
            Call::Register => RegisterWant::Register(self.request.clone()),
            Call::CreateCluster => RegisterWant::CreateCluster(CreateClusterRequest {
                cluster_name: Some(self.cluster.clone()),
                ..CreateClusterRequest::default()
            }),
        });
    }

    fn wait(&mut self, pause: Duration, until: Mono, call: Call, failure: Failure, cx: &mut RegisterContext<'_>) {
        self.last_failure.clone_from(&failure.text);
        cx.wants.push(RegisterWant::Told(RegisterNote::Retrying { why: failure.text, pause }));
        self.step = Step::Waiting { until, call };
    }

    /// Reads a success.
    fn accept(&self, instance: &ContainerInstance) -> Result<Registered, Defeat> {
        let sent = self.request.attributes.as_deref().unwrap_or_default();
        if !is_echoed(sent, &instance.attributes) {
            return Err(Defeat::AttributesDiffer);
        }
        let instance_arn = match &self.saved_arn {
            Some(arn) => arn.clone(),
            None => ContainerInstanceArn::from(instance.container_instance_arn.as_str()),
        };
        if instance_arn.is_empty() {
            return Err(Defeat::Nameless);
        }
        let zone = instance.attributes.iter().find(|attribute| attribute.name == "ecs.availability-zone");
        Ok(Registered {
            instance_arn,
            availability_zone: zone.and_then(|zone| zone.value.clone()).unwrap_or_default(),
            cluster: self.cluster.clone(),
        })
    }

    fn exit_for(&mut self, defeat: &Defeat, cx: &mut RegisterContext<'_>) {
        let code = match defeat {
            Defeat::AttributesDiffer => TERMINAL,
            Defeat::Failed(failure)
                if matches!(failure.code.as_str(), "InvalidParameterException" | "ClientException")
                    || self.saved_arn.is_some() && failure.text.contains(TYPE_CHANGED) =>
            {
                TERMINAL
            }
            Defeat::Failed(_) | Defeat::Nameless => RECOVERABLE,
        };
        self.exit(code, format!("registration failed: {}", defeat.text()), cx);
    }

    fn exit_spent(&mut self, cx: &mut RegisterContext<'_>) {
        let why = format!("registration failed for {}: {}", render_duration(BUDGET), self.last_failure);
        self.exit(RECOVERABLE, why, cx);
    }

    fn exit(&mut self, code: i32, why: String, cx: &mut RegisterContext<'_>) {
        self.step = Step::Over;
        cx.wants.push(RegisterWant::Exit { code, why });
    }
}

impl Defeat {
    fn text(&self) -> &str {
        match self {
            Self::Failed(failure) => &failure.text,
            Self::AttributesDiffer => "Attribute validation failed",
            Self::Nameless => "the answer names no container instance",
        }
    }

    /// An error of the API that says so by its code or in words.
    fn is_cluster_missing(&self) -> bool {
        matches!(self, Self::Failed(failure) if failure.code == "ClusterNotFoundException"
            || !failure.code.is_empty() && failure.text.contains(CLUSTER_NOT_FOUND))
    }
}

/// Whether waiting may help after a call's attempts are used up. Lost connections are not among these: the
/// supervisor starts the process again (spec 10 trap 25).
fn is_waited_out(failure: &Failure) -> bool {
    failure.kind == FailureKind::Throttled
        || matches!(failure.code.as_str(), "ThrottlingException" | "ServerException" | "LimitExceededException")
}

/// Whether the answer has the value of each attribute that was sent. A missing one counts as empty.
fn is_echoed(sent: &[Attribute], answered: &[Attribute]) -> bool {
    let answered = values(answered);
    values(sent).iter().all(|(name, value)| answered.get(name).copied().unwrap_or_default() == *value)
}

fn values(attributes: &[Attribute]) -> BTreeMap<&str, &str> {
    attributes
        .iter()
        .map(|attribute| (attribute.name.as_str(), attribute.value.as_deref().unwrap_or_default()))
        .collect()
}

#[cfg(test)]
mod tests;
