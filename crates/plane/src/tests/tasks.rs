//! The life of tasks and definitions.

use super::*;

#[test]
fn a_task_never_goes_back() {
    let mut lab = Lab::ready();
    lab.agent();
    let task = lab.run();
    assert_eq!(lab.task(&task)["lastStatus"], "PENDING");
    for (reported, expected) in [
        ("PENDING", "PENDING"),
        ("RUNNING", "RUNNING"),
        ("PENDING", "RUNNING"),
        ("STOPPED", "STOPPED"),
        ("RUNNING", "STOPPED"),
    ] {
        lab.report(
            &task,
            reported,
            json!({"runtimeId": "r", "exitCode": if reported == "STOPPED" { json!(3) } else { json!(null) }}),
        );
        let now = lab.task(&task);
        assert_eq!(
            (&now["lastStatus"], &now["containers"][0]["lastStatus"]),
            (&json!(expected), &json!(expected)),
            "after {reported}"
        );
    }
    let stopped = lab.task(&task);
    assert_eq!(stopped["stopCode"], "EssentialContainerExited");
    assert_eq!(stopped["stoppedReason"], "Essential container in task exited");
    assert_eq!(stopped["containers"][0]["exitCode"], 3);
    assert_eq!(stopped["desiredStatus"], "STOPPED");
    assert_eq!(stopped["stoppedAt"], json!(START / 1000));
}

#[test]
fn a_task_that_never_ran_failed_to_start() {
    let mut lab = Lab::ready();
    lab.agent();
    let task = lab.run();
    lab.report(&task, "STOPPED", json!({"reason": "CannotPullContainerError: no such image"}));
    let stopped = lab.task(&task);
    assert_eq!(
        (&stopped["stopCode"], &stopped["stoppedReason"]),
        (&json!("TaskFailedToStart"), &json!("CannotPullContainerError: no such image"))
    );
}

#[test]
fn a_task_stops_only_when_its_agent_says_so() {
    let mut lab = Lab::ready();
    let (_, session) = lab.agent();
    let task = lab.run();
    lab.handle(Event::Closed { session });
    let stopping = lab.ok("StopTask", json!({"task": task}))["task"].clone();
    assert_eq!((&stopping["desiredStatus"], &stopping["lastStatus"]), (&json!("STOPPED"), &json!("PENDING")));
    lab.later(7200);
    assert_eq!(lab.task(&task)["lastStatus"], "PENDING");
    lab.report(&task, "STOPPED", json!({}));
    assert_eq!(lab.task(&task)["stoppedReason"], "Task stopped by user");
}

#[test]
fn a_client_token_runs_once() {
    let mut lab = Lab::ready();
    lab.agent();
    let request = json!({"taskDefinition": "web", "clientToken": "t"});
    let first = lab.ok("RunTask", request.clone());
    assert_eq!(lab.ok("RunTask", request)["tasks"][0]["taskArn"], first["tasks"][0]["taskArn"]);
    let fault = lab.call("RunTask", json!({"taskDefinition": "web", "clientToken": "t", "count": 2})).unwrap_err();
    assert_eq!(fault.code, "ConflictException");
    assert_eq!(fault.body()["resourceIds"], json!([first["tasks"][0]["taskArn"]]));
}

#[test]
fn a_stopped_task_is_forgotten_after_an_hour_also_across_a_restart() {
    let mut lab = Lab::ready();
    lab.agent();
    let task = lab.run();
    lab.ok("TagResource", json!({"resourceArn": task, "tags": [{"key": "a", "value": "b"}]}));
    lab.report(&task, "STOPPED", json!({"exitCode": 0, "runtimeId": "r"}));
    assert_eq!(lab.ok("ListTasks", json!({"desiredStatus": "STOPPED"}))["taskArns"], json!([task]));
    lab.later(1800);
    lab.restart();
    lab.later(1799);
    assert_eq!(lab.task(&task)["lastStatus"], "STOPPED");
    lab.later(1);
    assert_eq!(lab.task(&task), json!(null));
    assert!(lab.rows.keys().all(|(table, _)| table != "task" && table != "tags"), "{:?}", lab.rows.keys());
}

#[test]
fn everything_survives_a_restart() {
    let mut lab = Lab::ready();
    let (instance, session) = lab.agent();
    let task = lab.run();
    lab.report(&task, "RUNNING", json!({"runtimeId": "r"}));
    assert_eq!(lab.task(&task)["connectivity"], "CONNECTED");
    lab.handle(Event::Closed { session });
    assert_eq!(lab.task(&task)["connectivity"], "DISCONNECTED");
    lab.ok("TagResource", json!({"resourceArn": task, "tags": [{"key": "a", "value": "b"}]}));
    let questions = [
        ("DescribeTasks", json!({"tasks": [task], "include": ["TAGS"]})),
        ("DescribeTaskDefinition", json!({"taskDefinition": "web"})),
        ("ListAttributes", json!({"targetType": "container-instance"})),
        ("DescribeClusters", json!({})),
    ];
    let before: Vec<Value> = questions.iter().map(|(operation, body)| lab.ok(operation, body.clone())).collect();
    lab.restart();
    let after: Vec<Value> = questions.iter().map(|(operation, body)| lab.ok(operation, body.clone())).collect();
    assert_eq!(before, after);
    lab.connect(Channel::Acs, &instance).unwrap();
    assert_eq!(lab.received("PayloadMessage").len(), 1, "its acknowledgement had not been seen");
}

#[test]
fn revisions_are_counted_listed_and_never_reused() {
    let mut lab = Lab::ready();
    assert_eq!(lab.ok("RegisterTaskDefinition", web())["taskDefinition"]["revision"], 2);
    lab.ok("DeregisterTaskDefinition", json!({"taskDefinition": "web:2"}));
    assert_eq!(lab.ok("DescribeTaskDefinition", json!({"taskDefinition": "web"}))["taskDefinition"]["revision"], 1);
    assert_eq!(
        lab.call("RunTask", json!({"taskDefinition": "web:2"})).unwrap_err().message,
        "TaskDefinition is inactive"
    );
    let deleted = lab.ok("DeleteTaskDefinitions", json!({"taskDefinitions": ["web:2", "web:1"]}));
    assert_eq!(deleted["taskDefinitions"][0]["status"], "DELETE_IN_PROGRESS");
    assert_eq!(deleted["failures"][0]["reason"], "ACTIVE");
    lab.restart();
    assert_eq!(lab.ok("RegisterTaskDefinition", web())["taskDefinition"]["revision"], 3);
    let newest = lab.ok("ListTaskDefinitions", json!({"sort": "DESC", "maxResults": 1}));
    assert!(newest["taskDefinitionArns"][0].as_str().unwrap().ends_with("web:3"));
    let rest =
        lab.ok("ListTaskDefinitions", json!({"sort": "DESC", "maxResults": 1, "nextToken": newest["nextToken"]}));
    assert!(rest["taskDefinitionArns"][0].as_str().unwrap().ends_with("web:1"));
    assert_eq!(rest["nextToken"], json!(null));
    assert_eq!(lab.ok("ListTaskDefinitionFamilies", json!({"familyPrefix": "w"}))["families"], json!(["web"]));
}

#[test]
fn unknown_members_of_a_registration_are_ignored_by_the_api() {
    let mut lab = Lab::ready();
    let mut definition = web();
    definition["novelty"] = json!(1);
    lab.ok("RegisterTaskDefinition", definition);
}

#[test]
fn forced_deregistration_ends_the_tasks() {
    let mut lab = Lab::ready();
    let (instance, session) = lab.agent();
    let task = lab.run();
    lab.ok("DeregisterContainerInstance", json!({"containerInstance": instance, "force": true}));
    assert_eq!(lab.task(&task)["lastStatus"], "STOPPED");
    assert!(lab.sent.contains(&(session, json!({"type": "close"}))));
    lab.handle(Event::Closed { session });
    lab.ok("DeleteCluster", json!({"cluster": "default"}));
}

#[test]
fn protection_expires() {
    let mut lab = Lab::ready();
    lab.agent();
    let task = lab.run();
    let body = json!({"tasks": [task], "protectionEnabled": true, "expiresInMinutes": 1});
    assert_eq!(lab.ok("UpdateTaskProtection", body)["protectedTasks"][0]["expirationDate"], json!(START / 1000 + 60));
    lab.later(61);
    let answer = lab.ok("GetTaskProtection", json!({"tasks": [task]}));
    assert_eq!(answer["protectedTasks"][0], json!({"taskArn": task, "protectionEnabled": false}));
}

#[test]
fn a_report_about_an_unknown_task_is_acknowledged() {
    let mut lab = Lab::ready();
    let answer = lab.ok("SubmitTaskStateChange", json!({"task": "arn:old", "status": "STOPPED"}));
    assert_eq!(answer, json!({"acknowledgment": "ACK"}));
}
