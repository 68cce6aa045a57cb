#![allow(clippy::unwrap_used)]
use super::*;

#[test]
fn a_payload_is_read_with_names_in_any_case() {
    let text = r#"{"Type":"PayloadMessage","MESSAGE":{"clusterArn":"c","messageId":"m-1","seqNum":42,"tasks":[
        {"Arn":"arn:aws:ecs:r:1:task/c/1","desiredStatus":"RUNNING","cpu":0.25,"containers":[
          {"NAME":"web","environment":{"Mode":"x"},"portMappings":[{"containerport":80}],"dockerConfig":{"hostConfig":"{}"},"linuxParameters":{"x":1}}],
         "roleCredentials":{"credentialsId":"id","secretAccessKey":"hush"}}, null]}}"#;
    let Inbound::Payload(payload) = inbound(text).unwrap() else { panic!("not a payload") };
    assert_eq!((payload.message_id.as_str(), payload.seq_num, payload.tasks.len()), ("m-1", Some(42), 2));
    let task = payload.tasks[0].as_ref().unwrap();
    let web = task.containers[0].as_ref().unwrap();
    assert_eq!(
        (web.name.as_str(), web.environment["Mode"].as_str(), web.port_mappings[0].container_port),
        ("web", "x", 80)
    );
    assert_eq!(task.role_credentials.as_ref().unwrap().secret_access_key.expose(), "hush");
    assert!(!format!("{payload:?}").contains("hush"), "secrets do not print");
    assert!(!serde_json::to_string(&payload).unwrap().contains("hush"), "nor are they written");
    assert!(payload.tasks[1].is_none());
}

#[test]
fn frames_that_are_dropped_say_why() {
    for (text, why) in [
        ("not json", "not a message: expected ident at line 1 column 2"),
        ("{}", "not a message: no type member"),
        (r#"{"type":"NoSuchMessage","message":{}}"#, r#"message of unknown type "NoSuchMessage""#),
        (
            r#"{"type":"PayloadMessage","message":{"messageId":7}}"#,
            "PayloadMessage that does not fit its shape: messageId: invalid type: integer `7`, expected a string",
        ),
    ] {
        assert_eq!(inbound(text).unwrap_err().to_string(), why);
    }
}

#[test]
fn errors_come_in_a_long_and_a_short_form() {
    for text in [r#"{"type":"ServerException","message":{"message":"x"}}"#, r#"{"ServerException":"x"}"#] {
        assert_eq!(inbound(text).unwrap(), Inbound::Notice { kind: "ServerException".into(), message: "x".into() });
    }
    assert!(inbound(r#"{"CloseMessage":"x"}"#).is_err(), "only exceptions have a short form");
}

#[test]
fn answers_have_the_services_shape() {
    let ack = Outbound::Ack { cluster: "c".into(), container_instance: "i".into(), message_id: "m".into() };
    assert_eq!(
        outbound(&ack),
        r#"{"type":"AckRequest","message":{"cluster":"c","containerInstance":"i","messageId":"m"}}"#
    );
    let beat = Outbound::HeartbeatAck { message_id: "m".into() };
    assert_eq!(outbound(&beat), r#"{"type":"HeartbeatAckRequest","message":{"messageId":"m"}}"#);
    let verify = Outbound::TaskStopVerification {
        message_id: "m".into(),
        stop_candidates: vec![TaskIdentifier {
            desired_status: "STOPPED".into(),
            task_arn: "t".into(),
            task_cluster_arn: "c".into(),
        }],
    };
    assert_eq!(
        outbound(&verify),
        r#"{"type":"TaskStopVerificationMessage","message":{"messageId":"m","stopCandidates":[{"desiredStatus":"STOPPED","taskArn":"t","taskClusterArn":"c"}]}}"#
    );
}
