//! What is under way for a container. In flight is state: printed by `describe`, and never forgotten.

use crate::effect::EffectId;
use crate::time::Mono;

/// A transition under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    pub stage: Stage,
    pub since: Mono,
    /// How often this stage was tried, counting from 1.
    pub attempt: u32,
}

/// Where a transition is. Each waits for one answer, or for a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The shared look-up of the image's digest.
    Resolve,
    /// The shared pull.
    Pull,
    /// The image that the agent brings along.
    Load(EffectId),
    /// Host ports for the mapping with this index.
    Ports {
        mapping: usize,
    },
    /// The file that describes the container to itself.
    Metadata(EffectId),
    Create(EffectId),
    Start(EffectId),
    /// The look at it after its start, which can still fail the start.
    StartInspect(EffectId),
    Stop(EffectId),
    StopInspect(EffectId),
    /// A stop failed: is the Engine there at all?
    StopPing(EffectId),
    StopPause {
        until: Mono,
    },
    /// Restored from the store; not yet seen in the Engine.
    Verify(EffectId),
    /// The Engine did not answer the verification.
    VerifyPause {
        until: Mono,
    },
    Remove(EffectId),
}

/// An inspection because something was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observation {
    pub effect: EffectId,
    /// The exit code that the Engine's event carried, for when the inspection fails.
    pub exit_code: Option<i64>,
    /// Whether an end was heard of.
    pub is_exit: bool,
    /// Whether it stands in a list that was asked for later: then it counts although nothing can be inspected.
    pub is_certain: bool,
    /// Something else was seen since: look once more afterwards.
    pub again: bool,
}

/// A container that could not be looked at: what was heard of it may be the end of an earlier run, told twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doubt {
    pub since: Mono,
    /// The exit code that was heard.
    pub exit_code: Option<i64>,
}

impl Stage {
    /// The effect that takes its turn, and what is done to the container then.
    pub const fn turn(self) -> Option<(EffectId, &'static str)> {
        match self {
            Self::Create(effect) => Some((effect, "created")),
            Self::Start(effect) => Some((effect, "started")),
            Self::Stop(effect) => Some((effect, "stopped")),
            Self::Remove(effect) => Some((effect, "removed")),
            Self::Resolve
            | Self::Pull
            | Self::Load(_)
            | Self::Ports { .. }
            | Self::Metadata(_)
            | Self::StartInspect(_)
            | Self::StopInspect(_)
            | Self::StopPing(_)
            | Self::StopPause { .. }
            | Self::Verify(_)
            | Self::VerifyPause { .. } => None,
        }
    }

    /// What is happening, for people.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Resolve => "resolving the image's digest",
            Self::Pull => "pulling the image",
            Self::Load(_) => "loading the image",
            Self::Ports { .. } => "choosing host ports",
            Self::Metadata(_) => "writing its metadata file",
            Self::Create(_) => "creating",
            Self::Start(_) | Self::StartInspect(_) => "starting",
            Self::Stop(_) | Self::StopInspect(_) | Self::StopPing(_) | Self::StopPause { .. } => "stopping",
            Self::Verify(_) | Self::VerifyPause { .. } => "looking whether it still runs",
            Self::Remove(_) => "removing",
        }
    }
}
