//! Who gets a task, and what is said when nobody does.

use super::*;

fn register(lab: &mut Lab, change: impl Fn(&mut Value)) {
    let mut definition = web();
    definition["family"] = json!("case");
    change(&mut definition);
    lab.ok("RegisterTaskDefinition", definition);
}

#[test]
fn each_shortage_has_its_reason() {
    type Change = fn(&mut Value);
    let cases: [(&str, Change); 7] = [
        ("", |_| {}),
        ("RESOURCE:CPU", |d| d["containerDefinitions"][0]["cpu"] = json!(1793)),
        ("RESOURCE:MEMORY", |d| d["containerDefinitions"][0]["memory"] = json!(873)),
        ("RESOURCE:PORTS", |d| d["containerDefinitions"][0]["portMappings"][0]["hostPort"] = json!(22)),
        ("RESOURCE:PORTS", |d| d["containerDefinitions"][0]["portMappings"][0]["hostPort"] = json!(8080)),
        ("RESOURCE:GPU", |d| {
            d["containerDefinitions"][0]["resourceRequirements"] = json!([{"type": "GPU", "value": "1"}])
        }),
        ("ATTRIBUTE", |d| d["containerDefinitions"][0]["privileged"] = json!(true)),
    ];
    for (reason, change) in cases {
        let mut lab = Lab::ready();
        lab.agent();
        lab.run();
        register(&mut lab, |d| {
            d["containerDefinitions"][0]["portMappings"][0]["hostPort"] = json!(8081);
            change(d);
        });
        let answer = lab.ok("RunTask", json!({"taskDefinition": "case"}));
        let found = answer["failures"][0]["reason"].as_str().unwrap_or("");
        assert_eq!(found, reason, "{answer}");
        assert_eq!(answer["tasks"].as_array().unwrap().is_empty(), !reason.is_empty());
    }
}

#[test]
fn the_same_port_may_be_taken_once_per_protocol() {
    let mut lab = Lab::ready();
    lab.agent();
    lab.run();
    register(&mut lab, |d| d["containerDefinitions"][0]["portMappings"][0]["protocol"] = json!("udp"));
    assert_eq!(lab.ok("RunTask", json!({"taskDefinition": "case"}))["failures"], json!([]));
}

#[test]
fn an_agent_that_is_away_gets_nothing() {
    let mut lab = Lab::ready();
    let (instance, session) = lab.agent();
    lab.handle(Event::Closed { session });
    let answer = lab.ok("RunTask", json!({"taskDefinition": "web"}));
    assert_eq!(answer["failures"], json!([{"arn": instance, "reason": "AGENT"}]));
}

#[test]
fn a_stopped_task_gives_back_what_it_took() {
    let mut lab = Lab::ready();
    let (instance, _) = lab.agent();
    let left = |lab: &mut Lab| {
        let answer = lab.ok("DescribeContainerInstances", json!({"containerInstances": [instance]}));
        let left = answer["containerInstances"][0]["remainingResources"].clone();
        (left[0]["integerValue"].clone(), left[1]["integerValue"].clone(), left[2]["stringSetValue"].clone())
    };
    let before = left(&mut lab);
    let task = lab.run();
    assert_eq!(left(&mut lab), (json!(1792), json!(872), json!(["22", "8080"])));
    lab.report(&task, "STOPPED", json!({"exitCode": 0, "runtimeId": "r"}));
    assert_eq!(left(&mut lab), before);
}

#[test]
fn constraints_and_strategies_choose() {
    let mut lab = Lab::ready();
    register(&mut lab, |d| d["containerDefinitions"][0]["portMappings"] = json!([]));
    let blue = lab.instance(&[("stack", Some("blue"))]);
    let green = lab.instance(&[("stack", Some("green"))]);
    for instance in [&blue, &green] {
        lab.connect(Channel::Acs, instance).unwrap();
    }
    let mut on = |body: Value| {
        let mut request = json!({"taskDefinition": "case", "group": "g"});
        request.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        let answer = lab.ok("RunTask", request);
        let tasks = answer["tasks"].as_array().unwrap();
        let placed: Vec<&str> = tasks
            .iter()
            .map(|task| if task["containerInstanceArn"] == json!(blue) { "blue" } else { "green" })
            .collect();
        (placed.join(" "), answer["failures"].clone())
    };
    let member = |expression: &str| json!([{"type": "memberOf", "expression": expression}]);
    assert_eq!(on(json!({"placementConstraints": member("attribute:stack == blue")})).0, "blue");
    let pack = json!({"placementStrategy": [{"type": "binpack", "field": "memory"}], "count": 2});
    assert_eq!(on(pack).0, "blue blue");
    let spread = json!({"placementStrategy": [{"type": "spread", "field": "attribute:stack"}], "count": 3});
    assert_eq!(on(spread).0, "green green green");
    let distinct = json!([{"type": "distinctInstance"}]);
    let (placed, failures) = on(json!({"placementConstraints": distinct}));
    assert_eq!(placed, "");
    assert_eq!(failures[0]["reason"], "DistinctInstance placement constraint unsatisfied.");
    assert_eq!(on(json!({"placementConstraints": distinct, "group": "h", "count": 2})).0.len(), "blue green".len());
}

#[test]
fn a_draining_instance_takes_no_more() {
    let mut lab = Lab::ready();
    let (instance, _) = lab.agent();
    let body = json!({"containerInstances": [instance], "status": "DRAINING"});
    assert_eq!(lab.ok("UpdateContainerInstancesState", body)["containerInstances"][0]["status"], "DRAINING");
    assert!(lab.call("RunTask", json!({"taskDefinition": "web"})).is_err());
    assert_eq!(
        lab.ok("ListContainerInstances", json!({"status": "DRAINING"}))["containerInstanceArns"],
        json!([instance])
    );
    assert_eq!(
        lab.ok("ListContainerInstances", json!({"filter": "agentConnected == false"}))["containerInstanceArns"],
        json!([])
    );
}
