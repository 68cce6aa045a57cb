//! What becomes of an effect: how long it takes, and what goes wrong on the way.

use std::time::Duration;

use engine::{Effect, Failure, FailureKind, Outcome};

use crate::daemon::is_docker;
use crate::dice::Dice;
use crate::host::is_of_host;
use crate::profile::Profile;

/// What will become of one effect.
#[derive(Debug)]
pub(crate) struct Fate {
    /// When it takes place, counted from now; `None`: never.
    pub(crate) applies: Option<Duration>,
    /// How long its own answer takes from then; `None`: it is lost.
    pub(crate) reply: Option<Duration>,
    /// The answer that comes instead of its own, and when.
    pub(crate) instead: Option<(Duration, Outcome)>,
    /// When a part of it takes place; `instead` then says that it failed.
    pub(crate) half: Option<Duration>,
    pub(crate) deadline: Duration,
}

pub(crate) fn timeout() -> Outcome {
    Outcome::Failed(Failure::new(FailureKind::Timeout, "deadline exceeded"))
}

fn failed(kind: FailureKind, code: &str, text: &str) -> Outcome {
    Outcome::Failed(Failure { kind, code: code.to_owned(), text: text.to_owned() })
}

/// Usual time until it takes place, and the limit of the whole call.
fn times(effect: &Effect, dice: &mut Dice) -> (Duration, Duration) {
    const NONE: Duration = Duration::from_secs(3600);
    match effect {
        Effect::FollowEvents { .. } => (dice.millis(1, 20), NONE),
        Effect::ListContainers { deadline }
        | Effect::Ping { deadline }
        | Effect::InspectContainer { deadline, .. }
        | Effect::InspectVolume { deadline, .. }
        | Effect::TagImage { deadline, .. }
        | Effect::RemoveImage { deadline, .. }
        | Effect::ListImages { deadline }
        | Effect::ListAllContainers { deadline }
        | Effect::MeasureDisk { deadline } => (dice.millis(1, 15), *deadline),
        Effect::CreateVolume { deadline, .. }
        | Effect::RemoveVolume { deadline, .. }
        | Effect::LoadPauseImage { deadline } => (dice.millis(2, 50), *deadline),
        Effect::CreateCgroup { deadline, .. }
        | Effect::RemoveCgroup { deadline, .. }
        | Effect::WriteMetadata { deadline, .. }
        | Effect::RemoveMetadata { deadline, .. } => (dice.millis(0, 5), *deadline),
        Effect::InspectImage { .. } => (dice.millis(1, 15), Duration::from_secs(60)),
        Effect::ResolveDigest { deadline, .. } => (dice.millis(20, 600), *deadline),
        Effect::Pull { deadline, .. } => {
            (if dice.chance(0.5) { dice.millis(50, 1000) } else { dice.seconds(1, 40) }, *deadline)
        }
        Effect::CreateContainer { deadline, .. } => (dice.millis(10, 150), *deadline),
        Effect::StartContainer { deadline, .. } => (dice.millis(10, 600), *deadline),
        Effect::StopContainer { deadline, .. } | Effect::RemoveContainer { deadline, .. } => {
            (dice.millis(2, 100), *deadline)
        }
        Effect::RegisterInstance { deadline, .. }
        | Effect::CreateCluster { deadline, .. }
        | Effect::DiscoverPollEndpoint { deadline, .. }
        | Effect::SubmitTask { deadline, .. }
        | Effect::OpenSocket { deadline, .. } => (dice.millis(5, 150), *deadline),
        Effect::SendFrame { .. }
        | Effect::CloseSocket { .. }
        | Effect::FindHostPorts { .. }
        | Effect::ForgetCredentials { .. }
        | Effect::Exit { .. } => (dice.millis(0, 3), NONE),
    }
}

pub(crate) fn fate(effect: &Effect, profile: &Profile, dice: &mut Dice) -> Fate {
    let (after, deadline) = times(effect, dice);
    let reply = dice.millis(0, 15);
    let mut fate = Fate { applies: Some(after), reply: Some(reply), instead: None, half: None, deadline };
    if is_docker(effect) || is_of_host(effect) {
        docker_fate(effect, profile, dice, &mut fate);
    } else if !matches!(
        effect,
        Effect::SendFrame { .. }
            | Effect::CloseSocket { .. }
            | Effect::FindHostPorts { .. }
            | Effect::ForgetCredentials { .. }
            | Effect::Exit { .. }
    ) {
        api_fate(profile, dice, &mut fate);
    }
    fate
}

/// Faults of calls that nothing else befalls: it is done by half, or it is made again this long after it was done.
pub(crate) fn again(effect: &Effect, profile: &Profile, dice: &mut Dice, fate: &mut Fate) -> Option<Duration> {
    fate.reply?;
    let has_parts =
        matches!(effect, Effect::SubmitTask { .. } | Effect::RemoveImage { .. } | Effect::RemoveContainer { .. });
    if has_parts && dice.chance(profile.half) {
        fate.half = fate.applies.take();
        fate.reply = None;
        let after = fate.half.unwrap_or_default();
        fate.instead = Some(match dice.between(0, 1) {
            0 => (fate.deadline, timeout()),
            _ => (after, failed(FailureKind::Other, "ServerException", "something broke")),
        });
        return None;
    }
    let is_repeated = is_docker(effect) && !matches!(effect, Effect::FollowEvents { .. });
    (is_repeated && dice.chance(profile.repeated)).then(|| dice.millis(0, 3000))
}

fn docker_fate(effect: &Effect, profile: &Profile, dice: &mut Dice, fate: &mut Fate) {
    let after = fate.applies.unwrap_or_default();
    if matches!(effect, Effect::FollowEvents { .. }) {
        return;
    }
    if dice.chance(profile.fail) {
        fate.applies = None;
        fate.reply = None;
        fate.instead = Some(match dice.between(0, 3) {
            0 => (fate.deadline, timeout()),
            1 => (after, failed(FailureKind::Other, "", "error during connect: Post \"http://docker\": EOF")),
            _ => (after, failed(FailureKind::Other, "", "Error response from daemon: something broke")),
        });
    } else if dice.chance(profile.lost) {
        fate.reply = None;
        fate.instead = Some(match dice.between(0, 1) {
            0 => (fate.deadline, timeout()),
            _ => (after, failed(FailureKind::Other, "", "error during connect: Post \"http://docker\": EOF")),
        });
    } else if dice.chance(profile.slow) {
        // A call may take place after its deadline; a volume's is as long as its task may be there at all.
        let grace =
            if matches!(effect, Effect::CreateVolume { .. }) { Duration::ZERO } else { Duration::from_secs(20) };
        let most = fate.deadline + grace;
        let longer = match dice.between(0, 4) {
            0 => dice.millis(0, u64::try_from(most.as_millis()).unwrap_or(u64::MAX)),
            1 | 2 => dice.seconds(1, 60),
            _ => dice.millis(100, 6000),
        };
        if dice.chance(0.5) {
            fate.applies = Some(longer.min(most));
        } else {
            fate.reply = Some(longer.min(most));
        }
    }
}

fn api_fate(profile: &Profile, dice: &mut Dice, fate: &mut Fate) {
    let after = fate.applies.unwrap_or_default();
    if dice.chance(profile.api_fail) {
        fate.applies = None;
        fate.reply = None;
        fate.instead = Some(match dice.between(0, 4) {
            0 => (after, failed(FailureKind::Throttled, "ThrottlingException", "ThrottlingException: Rate exceeded")),
            1 => (after, failed(FailureKind::Unreachable, "", "dial tcp: connection refused")),
            2 => (fate.deadline, timeout()),
            3 => (after, failed(FailureKind::Denied, "AccessDeniedException", "AccessDeniedException: no")),
            _ => (after, failed(FailureKind::Other, "ServerException", "ServerException: sorry")),
        });
    } else if dice.chance(profile.api_lost) {
        fate.reply = None;
        fate.instead = Some((fate.deadline, timeout()));
    }
}
