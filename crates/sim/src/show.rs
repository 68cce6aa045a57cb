//! Events, effects and notes as lines of the trace.

use engine::event::DockerEvent;
use engine::fact::Note;
use engine::{Effect, EffectId, Event, Outcome};

fn short(text: &str) -> &str {
    text.get(..12).unwrap_or(text)
}

pub(crate) fn name(effect: &Effect) -> &'static str {
    match effect {
        Effect::FollowEvents { .. } => "FollowEvents",
        Effect::ListContainers { .. } => "ListContainers",
        Effect::Ping { .. } => "Ping",
        Effect::ResolveDigest { .. } => "ResolveDigest",
        Effect::InspectImage { .. } => "InspectImage",
        Effect::Pull { .. } => "Pull",
        Effect::TagImage { .. } => "TagImage",
        Effect::RemoveImage { .. } => "RemoveImage",
        Effect::ListImages { .. } => "ListImages",
        Effect::ListAllContainers { .. } => "ListAllContainers",
        Effect::MeasureDisk { .. } => "MeasureDisk",
        Effect::FindHostPorts { .. } => "FindHostPorts",
        Effect::CreateVolume { .. } => "CreateVolume",
        Effect::InspectVolume { .. } => "InspectVolume",
        Effect::RemoveVolume { .. } => "RemoveVolume",
        Effect::CreateCgroup { .. } => "CreateCgroup",
        Effect::RemoveCgroup { .. } => "RemoveCgroup",
        Effect::WriteMetadata { .. } => "WriteMetadata",
        Effect::RemoveMetadata { .. } => "RemoveMetadata",
        Effect::LoadPauseImage { .. } => "LoadPauseImage",
        Effect::CreateContainer { .. } => "CreateContainer",
        Effect::StartContainer { .. } => "StartContainer",
        Effect::StopContainer { .. } => "StopContainer",
        Effect::InspectContainer { .. } => "InspectContainer",
        Effect::RemoveContainer { .. } => "RemoveContainer",
        Effect::RegisterInstance { .. } => "RegisterInstance",
        Effect::CreateCluster { .. } => "CreateCluster",
        Effect::DiscoverPollEndpoint { .. } => "DiscoverPollEndpoint",
        Effect::SubmitTask { .. } => "SubmitTask",
        Effect::OpenSocket { .. } => "OpenSocket",
        Effect::SendFrame { .. } => "SendFrame",
        Effect::CloseSocket { .. } => "CloseSocket",
        Effect::ForgetCredentials { .. } => "ForgetCredentials",
        Effect::Exit { .. } => "Exit",
    }
}

pub(crate) fn effect(id: EffectId, effect: &Effect) -> String {
    let detail = match effect {
        Effect::ResolveDigest { image, .. } | Effect::Pull { image, .. } => image.to_string(),
        Effect::InspectImage { image } | Effect::RemoveImage { image, .. } => image.clone(),
        Effect::TagImage { target, .. } => target.to_string(),
        Effect::FindHostPorts { protocol, count, from, to } => format!("{count} of {from}-{to}/{protocol}"),
        Effect::CreateVolume { name, .. } | Effect::InspectVolume { name, .. } | Effect::RemoveVolume { name, .. } => {
            name.clone()
        }
        Effect::CreateContainer { name, .. } => name.clone(),
        Effect::StartContainer { id, .. }
        | Effect::InspectContainer { id, .. }
        | Effect::RemoveContainer { id, .. }
        | Effect::StopContainer { id, .. } => if id.starts_with("ecs-") { id.as_str() } else { short(id) }.to_owned(),
        Effect::SubmitTask { request, .. } => {
            let containers: Vec<String> = request
                .containers
                .iter()
                .flatten()
                .map(|c| {
                    let text = |t: &Option<String>| t.clone().unwrap_or_default();
                    format!("{}={} {:?} {}", text(&c.container_name), text(&c.status), c.exit_code, text(&c.reason))
                })
                .collect();
            format!("{:?} {:?} {:?} {containers:?}", request.task, request.status, request.reason)
        }
        Effect::WriteMetadata { container, stage, .. } => format!("{container} {stage:?}"),
        Effect::SendFrame { text, .. } => text.clone(),
        Effect::OpenSocket { connection, .. } => format!("{connection:?}"),
        Effect::CloseSocket { connection, farewell } => format!("{connection:?} {farewell:?}"),
        Effect::Exit { code, why } => format!("{code}: {why}"),
        _ => String::new(),
    };
    format!("effect  {} {} {detail}", id.0, name(effect))
}

pub(crate) fn event(event: &Event) -> String {
    match event {
        Event::Done { id, outcome } => format!("answer  {} {}", id.0, outcome_line(outcome)),
        Event::Docker(event) => docker(event).replacen("docker ", "heard  ", 1),
        Event::Message { message, .. } => match &**message {
            wire::acs::Inbound::Payload(payload) => {
                let tasks: Vec<String> =
                    payload.tasks.iter().flatten().map(|t| format!("{} {}", t.arn, t.desired_status)).collect();
                format!("message {} {tasks:?}", payload.message_id)
            }
            other => format!("message {}", other.kind()),
        },
        Event::Tick => "tick".into(),
        other => format!("event   {other:?}"),
    }
}

fn outcome_line(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Failed(failure) => format!("failed {:?} {} {}", failure.kind, failure.code, failure.text),
        Outcome::Inspected(inspect) => {
            let state = &inspect.state;
            format!(
                "inspected {} {:?} exit {} error {:?} health {:?}",
                short(&inspect.id),
                state.status,
                state.exit_code,
                state.error,
                state.health.as_ref().map(|h| &h.status)
            )
        }
        Outcome::Listed(list) => {
            let all: Vec<String> = list.iter().map(|c| format!("{} {:?}", short(&c.id), c.state)).collect();
            format!("listed {all:?}")
        }
        Outcome::Created(id) => format!("created {}", short(id.as_str())),
        Outcome::Image(image) => format!("image {}", image.id),
        Outcome::Registered(_) => "registered".into(),
        other => format!("{other:?}"),
    }
}

pub(crate) fn docker(event: &DockerEvent) -> String {
    format!("docker  {} {:?}", short(event.id.as_str()), event.action)
}

pub(crate) fn note(note: &Note) -> String {
    let task = note.task.as_ref().map(|t| t.as_str()).unwrap_or("agent");
    format!("note    {task} {} {}: {}", note.container.as_deref().unwrap_or("-"), note.fact.word(), note.fact)
}
