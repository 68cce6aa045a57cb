"""Calls every operation of the embedded control plane through boto3, and holds each answer against AWS's own model
of it: no member that the model does not know, no value of another kind.

python every_operation.py ENDPOINT CLUSTER IMAGE
"""
import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

endpoint, cluster, image = sys.argv[1:]
ecs = boto3.client("ecs", endpoint_url=endpoint, config=Config(retries={"total_max_attempts": 1}))
problems, called = [], set()

KINDS = {
    "string": str, "integer": int, "long": int, "boolean": bool, "double": (int, float), "float": (int, float),
    "timestamp": (int, float), "structure": dict, "map": dict, "list": list,
}


def compare(shape, value, at):
    kind = shape.type_name
    if not isinstance(value, KINDS[kind]) or (isinstance(value, bool) and kind != "boolean"):
        problems.append(f"{at}: {value!r} is no {kind}")
    elif kind == "structure":
        for name, member in value.items():
            if name not in shape.members:
                problems.append(f"{at}.{name}: AWS has no such member")
            else:
                compare(shape.members[name], member, f"{at}.{name}")
    elif kind == "map":
        for name, member in value.items():
            compare(shape.value, member, f"{at}.{name}")
    elif kind == "list":
        for index, member in enumerate(value):
            compare(shape.member, member, f"{at}[{index}]")
    elif kind == "string" and getattr(shape, "enum", None) and value not in shape.enum:
        problems.append(f"{at}: {value!r} is none of {shape.enum}")


def answered(http_response, model, **_):
    called.add(model.name)
    if http_response.status_code == 200:
        compare(model.output_shape, json.loads(http_response.content), model.name)


ecs.meta.events.register("after-call.ecs.*", answered)


def refused(kind, operation, **arguments):
    """The operation must be refused with this error."""
    try:
        getattr(ecs, operation)(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] != kind:
            problems.append(f"{operation}: {error}, not {kind}")
        if error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
            problems.append(f"{operation}: {error}: a server's error for a client's mistake")
    else:
        problems.append(f"{operation}: accepted, but {kind} was expected")


def expect(what, have, want):
    if have != want:
        problems.append(f"{what}: {have!r}, not {want!r}")


# Clusters
second = ecs.create_cluster(clusterName=cluster + "-2", tags=[{"key": "k", "value": "v"}])["cluster"]
expect("clusters", sorted(c["clusterName"] for c in ecs.describe_clusters(clusters=[cluster, cluster + "-2"],
       include=["TAGS", "STATISTICS", "SETTINGS"])["clusters"]), sorted([cluster, cluster + "-2"]))
arns = [arn for page in ecs.get_paginator("list_clusters").paginate(PaginationConfig={"PageSize": 1}) for arn in page["clusterArns"]]
expect("pages of clusters", second["clusterArn"] in arns and len(arns) == len(set(arns)), True)
refused("ClusterNotFoundException", "list_tasks", cluster="no-such-cluster")

# Task definitions
container = {
    "name": "main", "image": image, "memory": 32, "cpu": 10, "essential": True, "command": ["sleep", "600"], "stopTimeout": 2,
    "environment": [{"name": "A", "value": "1"}], "portMappings": [{"containerPort": 80, "protocol": "tcp"}],
    "mountPoints": [{"sourceVolume": "data", "containerPath": "/data"}], "dockerLabels": {"l": "1"},
    "ulimits": [{"name": "nofile", "softLimit": 100, "hardLimit": 200}],
    "healthCheck": {"command": ["CMD", "true"], "interval": 5, "timeout": 2, "retries": 3, "startPeriod": 1},
    "linuxParameters": {"initProcessEnabled": True, "capabilities": {"drop": ["MKNOD"]}},
    "logConfiguration": {"logDriver": "json-file", "options": {"max-size": "1m"}},
}
definition = {
    "family": "boto", "containerDefinitions": [container], "networkMode": "bridge",
    "volumes": [{"name": "data", "host": {}}], "placementConstraints": [], "requiresCompatibilities": ["EC2"],
}
first = ecs.register_task_definition(**definition, tags=[{"key": "k", "value": "v"}])["taskDefinition"]
expect("revision", first["revision"], 1)
latest = ecs.register_task_definition(**definition)["taskDefinition"]
expect("next revision", latest["revision"], 2)
for name, value in container.items():
    kept = first["containerDefinitions"][0].get(name)
    if name != "portMappings":
        expect(f"the container's {name}", kept, value)
found = ecs.describe_task_definition(taskDefinition="boto:1", include=["TAGS"])
expect("tags of the definition", found["tags"], [{"key": "k", "value": "v"}])
pages = ecs.get_paginator("list_task_definitions").paginate(familyPrefix="boto", PaginationConfig={"PageSize": 1})
expect("pages of definitions", [a.rsplit("/")[-1] for page in pages for a in page["taskDefinitionArns"]], ["boto:1", "boto:2"])
expect("families", ecs.list_task_definition_families(familyPrefix="boto")["families"], ["boto"])
refused("ClientException", "register_task_definition", family="bad", containerDefinitions=[])
refused("ClientException", "describe_task_definition", taskDefinition="no-such-family")

# Container instances
instances = ecs.list_container_instances(cluster=cluster)["containerInstanceArns"]
expect("instances", len(instances), 1)
instance = ecs.describe_container_instances(cluster=cluster, containerInstances=instances, include=["TAGS"])["containerInstances"][0]
expect("the agent's connection", (instance["status"], instance["agentConnected"]), ("ACTIVE", True))
absent = ecs.describe_container_instances(cluster=cluster, containerInstances=["0" * 32])
expect("an instance that is not", [f["reason"] for f in absent["failures"]], ["MISSING"])
ecs.put_attributes(cluster=cluster, attributes=[{"name": "rack", "value": "7", "targetType": "container-instance", "targetId": instances[0]}])
listed = ecs.list_attributes(cluster=cluster, targetType="container-instance", attributeName="rack")["attributes"]
expect("attributes", [(a["name"], a["value"]) for a in listed], [("rack", "7")])
constraint = [{"type": "memberOf", "expression": "attribute:rack == 7"}]

# Tasks
started = ecs.run_task(cluster=cluster, taskDefinition="boto", count=2, startedBy="boto3", group="g", enableExecuteCommand=False,
                       placementConstraints=constraint, propagateTags="TASK_DEFINITION", tags=[{"key": "t", "value": "1"}],
                       overrides={"containerOverrides": [{"name": "main", "environment": [{"name": "A", "value": "2"}]}]})
expect("failures of RunTask", started["failures"], [])
tasks = [task["taskArn"] for task in started["tasks"]]
expect("tasks of RunTask", len(tasks), 2)
chosen = ecs.start_task(cluster=cluster, taskDefinition="boto:1", containerInstances=instances)
tasks.append(chosen["tasks"][0]["taskArn"])
ecs.get_waiter("tasks_running").wait(cluster=cluster, tasks=tasks, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
described = ecs.describe_tasks(cluster=cluster, tasks=tasks, include=["TAGS"])["tasks"]
for task in described:
    expect("status", (task["lastStatus"], task["containers"][0]["lastStatus"]), ("RUNNING", "RUNNING"))
    expect("port", task["containers"][0]["networkBindings"][0]["containerPort"], 80)
expect("tags of a task", [t["tags"] for t in described if t["taskArn"] == tasks[0]], [[{"key": "t", "value": "1"}]])
pages = ecs.get_paginator("list_tasks").paginate(cluster=cluster, PaginationConfig={"PageSize": 1})
expect("pages of tasks", sorted(a for page in pages for a in page["taskArns"]), sorted(tasks))
expect("tasks by who started", sorted(ecs.list_tasks(cluster=cluster, startedBy="boto3")["taskArns"]), sorted(tasks[:2]))
huge = dict(definition, family="boto-huge", containerDefinitions=[dict(container, memory=99_000_000)])
ecs.register_task_definition(**huge)
unplaced = ecs.run_task(cluster=cluster, taskDefinition="boto-huge")
expect("a task without room", [f["reason"] for f in unplaced["failures"]], ["RESOURCE:MEMORY"])
elsewhere = ecs.run_task(cluster=cluster, taskDefinition="boto", placementConstraints=[{"type": "memberOf", "expression": "attribute:rack == 8"}])
expect("a task without a place", len(elsewhere["failures"]), 1)
ecs.get_task_protection(cluster=cluster, tasks=[tasks[0]])
ecs.update_task_protection(cluster=cluster, tasks=[tasks[0]], protectionEnabled=True, expiresInMinutes=5)
missing = ecs.describe_tasks(cluster=cluster, tasks=["0" * 32])
expect("a task that is not", [f["reason"] for f in missing["failures"]], ["MISSING"])
refused("InvalidParameterException", "stop_task", cluster=cluster, task="0" * 32)

# Tags
ecs.tag_resource(resourceArn=tasks[0], tags=[{"key": "more", "value": "2"}])
expect("tags", sorted(t["key"] for t in ecs.list_tags_for_resource(resourceArn=tasks[0])["tags"]), ["more", "t"])
ecs.untag_resource(resourceArn=tasks[0], tagKeys=["t"])
expect("tags after", [t["key"] for t in ecs.list_tags_for_resource(resourceArn=tasks[0])["tags"]], ["more"])

# The end
for task in tasks:
    ecs.stop_task(cluster=cluster, task=task, reason="enough")
ecs.get_waiter("tasks_stopped").wait(cluster=cluster, tasks=tasks, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
for task in ecs.describe_tasks(cluster=cluster, tasks=tasks)["tasks"]:
    expect("the end", (task["stopCode"], task["stoppedReason"]), ("UserInitiated", "enough"))
ecs.delete_attributes(cluster=cluster, attributes=[{"name": "rack", "targetType": "container-instance", "targetId": instances[0]}])
for status in ("DRAINING", "ACTIVE"):
    changed = ecs.update_container_instances_state(cluster=cluster, containerInstances=instances, status=status)
    expect("the instance's state", changed["containerInstances"][0]["status"], status)
expect("deregistered", ecs.deregister_task_definition(taskDefinition="boto:1")["taskDefinition"]["status"], "INACTIVE")
ecs.delete_task_definitions(taskDefinitions=["boto:1"])

# An agent's calls
joined = ecs.register_container_instance(cluster=cluster + "-2", totalResources=[
    {"name": "CPU", "type": "INTEGER", "integerValue": 1024}, {"name": "MEMORY", "type": "INTEGER", "integerValue": 512}])
own = joined["containerInstance"]["containerInstanceArn"]
ecs.discover_poll_endpoint(cluster=cluster + "-2", containerInstance=own)
ecs.submit_task_state_change(cluster=cluster, task=tasks[0], status="STOPPED")
ecs.submit_container_state_change(cluster=cluster, task=tasks[0], containerName="main", status="STOPPED")
ecs.submit_attachment_state_changes(cluster=cluster, attachments=[])
ecs.deregister_container_instance(cluster=cluster + "-2", containerInstance=own, force=True)
ecs.delete_cluster(cluster=cluster + "-2")

# What other tools ask for, and what there is not
ecs.list_services(cluster=cluster)
ecs.describe_services(cluster=cluster, services=["none"])
ecs.describe_capacity_providers()
ecs.list_account_settings()
for operation, arguments in {"create_service": {"serviceName": "s"}, "put_account_setting": {"name": "taskLongArnFormat", "value": "enabled"}}.items():
    try:
        getattr(ecs, operation)(**arguments)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        expect(f"the status of {operation}", 400 <= status < 500, True)

print("\n".join(problems))
print(f"{len(called)} operations, {len(problems)} problems")
sys.exit(1 if problems or len(called) < 35 else 0)
