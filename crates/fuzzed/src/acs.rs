//! Frames of the agent communication service (spec 10 §2.5).

use serde::Serialize;
use serde_json::json;
use wire::acs::{Inbound, inbound};

/// What is understood and can be written reads back the same. Credentials are never written, so they are left out.
pub fn acs(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(message) = inbound(text) else { return };
    match message {
        Inbound::Payload(mut payload) => {
            for task in payload.tasks.iter_mut().flatten() {
                task.role_credentials = None;
                task.execution_role_credentials = None;
            }
            let written = frame("PayloadMessage", &payload);
            assert_eq!(inbound(&written), Ok(Inbound::Payload(payload)));
        }
        Inbound::Heartbeat(ref beat) => assert_eq!(inbound(&frame("HeartbeatMessage", beat)), Ok(message)),
        Inbound::TaskManifest(ref manifest) => {
            assert_eq!(inbound(&frame("TaskManifestMessage", manifest)), Ok(message));
        }
        Inbound::TaskStopVerificationAck(ref ack) => {
            assert_eq!(inbound(&frame("TaskStopVerificationAck", ack)), Ok(message));
        }
        Inbound::ConfirmAttachment(ref attachment) => {
            assert_eq!(inbound(&frame("ConfirmAttachmentMessage", attachment)), Ok(message));
        }
        Inbound::StageUpdate(ref update) => assert_eq!(inbound(&frame("StageUpdateMessage", update)), Ok(message)),
        _ => {}
    }
}

fn frame(kind: &str, message: &impl Serialize) -> String {
    json!({ "type": kind, "message": message }).to_string()
}
