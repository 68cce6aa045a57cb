//! Each kind of error answer, and the clean refusal of everything unknown.

use super::*;

#[test]
fn every_error_has_its_type_and_message() {
    let mut lab = Lab::ready();
    let (instance, _) = lab.agent();
    let task = lab.run();
    lab.ok("CreateCluster", json!({"clusterName": "other"}));
    for (operation, body, code, message) in [
        ("Nonsense", json!({}), "UnknownOperationException", "The operation Nonsense is unknown."),
        ("CreateService", json!({}), "UnsupportedFeatureException", "CreateService is not supported"),
        ("RunTask", json!([]), "SerializationException", "The body must be a JSON object."),
        ("RunTask", json!({"count": "one"}), "SerializationException", "invalid type"),
        ("RunTask", json!({"cluster": "ghost"}), "ClusterNotFoundException", "Cluster not found."),
        ("RunTask", json!({}), "ClientException", "Task definition can not be blank."),
        ("RunTask", json!({"taskDefinition": "ghost"}), "ClientException", "TaskDefinition not found."),
        ("RunTask", json!({"taskDefinition": "web", "count": 11}), "InvalidParameterException", "count must be"),
        (
            "RunTask",
            json!({"taskDefinition": "web", "launchType": "FARGATE"}),
            "UnsupportedFeatureException",
            "The launch type",
        ),
        (
            "RunTask",
            json!({"taskDefinition": "web", "cluster": "other"}),
            "InvalidParameterException",
            "No Container Instances were found in your cluster.",
        ),
        (
            "RunTask",
            json!({"taskDefinition": "web", "overrides": {"containerOverrides": [{"name": "x"}]}}),
            "InvalidParameterException",
            "Override for container named x is not a container in the TaskDefinition.",
        ),
        (
            "RunTask",
            json!({"taskDefinition": "web", "placementConstraints": [{"type": "memberOf", "expression": "=="}]}),
            "InvalidParameterException",
            "Invalid expression",
        ),
        (
            "DescribeTaskDefinition",
            json!({"taskDefinition": "web:9"}),
            "ClientException",
            "Unable to describe task definition.",
        ),
        ("DeregisterTaskDefinition", json!({"taskDefinition": "web"}), "ClientException", "Invalid revision number."),
        (
            "RegisterTaskDefinition",
            json!({"family": "x", "containerDefinitions": []}),
            "ClientException",
            "containerDefinitions: Container list cannot be empty.",
        ),
        (
            "RegisterTaskDefinition",
            json!({"family": 1, "containerDefinitions": []}),
            "SerializationException",
            "family: must be a string",
        ),
        ("DescribeTasks", json!({"tasks": []}), "InvalidParameterException", "Tasks cannot be empty."),
        ("StopTask", json!({"task": "0"}), "InvalidParameterException", "The referenced task was not found."),
        ("ListTasks", json!({"serviceName": "s"}), "ServiceNotFoundException", "Service not found."),
        ("ListTasks", json!({"nextToken": "?"}), "InvalidParameterException", "Invalid token."),
        (
            "DeleteCluster",
            json!({"cluster": "default"}),
            "ClusterContainsContainerInstancesException",
            "The Cluster cannot be deleted while Container Instances are active or draining.",
        ),
        (
            "DeregisterContainerInstance",
            json!({"containerInstance": instance}),
            "InvalidParameterException",
            "Found running tasks on the instance.",
        ),
        (
            "DeregisterContainerInstance",
            json!({"containerInstance": "0"}),
            "InvalidParameterException",
            "Referenced container instance not found.",
        ),
        (
            "UpdateContainerAgent",
            json!({"containerInstance": instance}),
            "NoUpdateAvailableException",
            "There is no update",
        ),
        (
            "PutAttributes",
            json!({"attributes": [{"name": "a", "targetId": "0"}]}),
            "TargetNotFoundException",
            "The target 0",
        ),
        (
            "TagResource",
            json!({"resourceArn": task, "tags": [{"key": "aws:x", "value": ""}]}),
            "InvalidParameterException",
            "A tag's key",
        ),
        (
            "ListTagsForResource",
            json!({"resourceArn": "arn:aws:ecs:x:y:task/z"}),
            "InvalidParameterException",
            "The specified resource is not found.",
        ),
        ("CreateCluster", json!({"clusterName": "a b"}), "InvalidParameterException", "Invalid cluster name."),
    ] {
        let fault = lab.call(operation, body.clone()).expect_err(operation);
        assert_eq!((fault.code, fault.status), (code, 400), "{operation} {body}: {fault}");
        assert!(fault.message.starts_with(message), "{operation} {body}: {fault}");
    }
}

#[test]
fn what_is_missing_in_a_list_is_a_failure_not_an_error() {
    let mut lab = Lab::ready();
    for (operation, body) in [
        ("DescribeTasks", json!({"tasks": ["0"]})),
        ("DescribeClusters", json!({"clusters": ["ghost"]})),
        ("DescribeContainerInstances", json!({"containerInstances": ["0"]})),
        ("DeleteTaskDefinitions", json!({"taskDefinitions": ["ghost:1"]})),
        ("GetTaskProtection", json!({"tasks": ["0"]})),
        ("StartTask", json!({"taskDefinition": "web", "containerInstances": ["0"]})),
        ("DescribeServices", json!({"services": ["s"]})),
    ] {
        let answer = lab.ok(operation, body);
        assert_eq!(answer["failures"][0]["reason"], "MISSING", "{operation}: {answer}");
    }
}
