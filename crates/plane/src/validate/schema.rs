//! The members of a task definition and their kinds.

use serde_json::Value;

use super::{Problem, ProblemKind, Problems};

/// What a member's value must be.
enum Kind {
    Text,
    Integer,
    Flag,
    Texts,
    Integers,
    /// An object of texts.
    Map,
    OneOf(&'static [&'static str]),
    SomeOf(&'static [&'static str]),
    Object(&'static Shape),
    Objects(&'static Shape),
}

use Kind::{Flag, Integer, Integers, Map, Object, Objects, OneOf, SomeOf, Text, Texts};

/// An object's members, and those that it must have.
struct Shape {
    members: &'static [(&'static str, Kind)],
    required: &'static [&'static str],
}

const fn shape(members: &'static [(&'static str, Kind)]) -> Shape {
    Shape { members, required: &[] }
}

const fn needing(members: &'static [(&'static str, Kind)], required: &'static [&'static str]) -> Shape {
    Shape { members, required }
}

const COMPATIBILITIES: &[&str] = &["EC2", "FARGATE", "EXTERNAL", "MANAGED_INSTANCES"];

static DEFINITION: Shape = needing(
    &[
        ("family", Text),
        ("taskRoleArn", Text),
        ("executionRoleArn", Text),
        ("networkMode", OneOf(&["bridge", "host", "awsvpc", "none"])),
        ("containerDefinitions", Objects(&CONTAINER)),
        ("volumes", Objects(&VOLUME)),
        ("placementConstraints", Objects(&PLACEMENT_CONSTRAINT)),
        ("requiresCompatibilities", SomeOf(COMPATIBILITIES)),
        ("cpu", Text),
        ("memory", Text),
        ("tags", Objects(&TAG)),
        ("pidMode", OneOf(&["host", "task"])),
        ("ipcMode", OneOf(&["host", "task", "none"])),
        ("proxyConfiguration", Object(&PROXY)),
        ("inferenceAccelerators", Objects(&ACCELERATOR)),
        ("ephemeralStorage", Object(&EPHEMERAL_STORAGE)),
        ("runtimePlatform", Object(&RUNTIME_PLATFORM)),
        ("enableFaultInjection", Flag),
    ],
    &["family", "containerDefinitions"],
);

static CONTAINER: Shape = shape(&[
    ("name", Text),
    ("image", Text),
    ("repositoryCredentials", Object(&REPOSITORY_CREDENTIALS)),
    ("cpu", Integer),
    ("memory", Integer),
    ("memoryReservation", Integer),
    ("links", Texts),
    ("portMappings", Objects(&PORT_MAPPING)),
    ("essential", Flag),
    ("restartPolicy", Object(&RESTART_POLICY)),
    ("entryPoint", Texts),
    ("command", Texts),
    ("environment", Objects(&PAIR)),
    ("environmentFiles", Objects(&ENVIRONMENT_FILE)),
    ("mountPoints", Objects(&MOUNT_POINT)),
    ("volumesFrom", Objects(&VOLUME_FROM)),
    ("linuxParameters", Object(&LINUX_PARAMETERS)),
    ("secrets", Objects(&SECRET)),
    ("dependsOn", Objects(&DEPENDENCY)),
    ("startTimeout", Integer),
    ("stopTimeout", Integer),
    ("versionConsistency", OneOf(&["enabled", "disabled"])),
    ("hostname", Text),
    ("user", Text),
    ("workingDirectory", Text),
    ("disableNetworking", Flag),
    ("privileged", Flag),
    ("readonlyRootFilesystem", Flag),
    ("dnsServers", Texts),
    ("dnsSearchDomains", Texts),
    ("extraHosts", Objects(&HOST_ENTRY)),
    ("dockerSecurityOptions", Texts),
    ("interactive", Flag),
    ("pseudoTerminal", Flag),
    ("dockerLabels", Map),
    ("ulimits", Objects(&ULIMIT)),
    ("logConfiguration", Object(&LOG_CONFIGURATION)),
    ("healthCheck", Object(&HEALTH_CHECK)),
    ("systemControls", Objects(&SYSTEM_CONTROL)),
    ("resourceRequirements", Objects(&RESOURCE_REQUIREMENT)),
    ("firelensConfiguration", Object(&FIRELENS)),
    ("credentialSpecs", Texts),
]);

static REPOSITORY_CREDENTIALS: Shape = needing(&[("credentialsParameter", Text)], &["credentialsParameter"]);
static PORT_MAPPING: Shape = shape(&[
    ("containerPort", Integer),
    ("hostPort", Integer),
    ("protocol", OneOf(&["tcp", "udp"])),
    ("name", Text),
    ("appProtocol", OneOf(&["http", "http2", "grpc"])),
    ("containerPortRange", Text),
]);
static RESTART_POLICY: Shape =
    needing(&[("enabled", Flag), ("ignoredExitCodes", Integers), ("restartAttemptPeriod", Integer)], &["enabled"]);
static PAIR: Shape = shape(&[("name", Text), ("value", Text)]);
static ENVIRONMENT_FILE: Shape = needing(&[("value", Text), ("type", OneOf(&["s3"]))], &["value", "type"]);
static MOUNT_POINT: Shape = shape(&[("sourceVolume", Text), ("containerPath", Text), ("readOnly", Flag)]);
static VOLUME_FROM: Shape = shape(&[("sourceContainer", Text), ("readOnly", Flag)]);
static LINUX_PARAMETERS: Shape = shape(&[
    ("capabilities", Object(&CAPABILITIES)),
    ("devices", Objects(&DEVICE)),
    ("initProcessEnabled", Flag),
    ("sharedMemorySize", Integer),
    ("tmpfs", Objects(&TMPFS)),
    ("maxSwap", Integer),
    ("swappiness", Integer),
]);
static CAPABILITIES: Shape = shape(&[("add", Texts), ("drop", Texts)]);
static DEVICE: Shape = needing(
    &[("hostPath", Text), ("containerPath", Text), ("permissions", SomeOf(&["read", "write", "mknod"]))],
    &["hostPath"],
);
static TMPFS: Shape =
    needing(&[("containerPath", Text), ("size", Integer), ("mountOptions", Texts)], &["containerPath", "size"]);
static SECRET: Shape = needing(&[("name", Text), ("valueFrom", Text)], &["name", "valueFrom"]);
static DEPENDENCY: Shape = needing(
    &[("containerName", Text), ("condition", OneOf(&["START", "COMPLETE", "SUCCESS", "HEALTHY"]))],
    &["containerName", "condition"],
);
static HOST_ENTRY: Shape = needing(&[("hostname", Text), ("ipAddress", Text)], &["hostname", "ipAddress"]);
static ULIMIT: Shape = needing(
    &[
        (
            "name",
            OneOf(&[
                "core",
                "cpu",
                "data",
                "fsize",
                "locks",
                "memlock",
                "msgqueue",
                "nice",
                "nofile",
                "nproc",
                "rss",
                "rtprio",
                "rttime",
                "sigpending",
                "stack",
            ]),
        ),
        ("softLimit", Integer),
        ("hardLimit", Integer),
    ],
    &["name", "softLimit", "hardLimit"],
);
static LOG_CONFIGURATION: Shape = needing(
    &[
        (
            "logDriver",
            OneOf(&["json-file", "syslog", "journald", "gelf", "fluentd", "awslogs", "splunk", "awsfirelens"]),
        ),
        ("options", Map),
        ("secretOptions", Objects(&SECRET)),
    ],
    &["logDriver"],
);
static HEALTH_CHECK: Shape = needing(
    &[("command", Texts), ("interval", Integer), ("timeout", Integer), ("retries", Integer), ("startPeriod", Integer)],
    &["command"],
);
static SYSTEM_CONTROL: Shape = shape(&[("namespace", Text), ("value", Text)]);
static RESOURCE_REQUIREMENT: Shape =
    needing(&[("value", Text), ("type", OneOf(&["GPU", "InferenceAccelerator"]))], &["value", "type"]);
static FIRELENS: Shape = needing(&[("type", OneOf(&["fluentd", "fluentbit"])), ("options", Map)], &["type"]);
static VOLUME: Shape = shape(&[
    ("name", Text),
    ("host", Object(&HOST_VOLUME)),
    ("dockerVolumeConfiguration", Object(&DOCKER_VOLUME)),
    ("efsVolumeConfiguration", Object(&EFS_VOLUME)),
    ("s3filesVolumeConfiguration", Object(&S3FILES_VOLUME)),
    ("fsxWindowsFileServerVolumeConfiguration", Object(&FSX_VOLUME)),
    ("configuredAtLaunch", Flag),
]);
static HOST_VOLUME: Shape = shape(&[("sourcePath", Text)]);
static DOCKER_VOLUME: Shape = shape(&[
    ("scope", OneOf(&["task", "shared"])),
    ("autoprovision", Flag),
    ("driver", Text),
    ("driverOpts", Map),
    ("labels", Map),
]);
static EFS_VOLUME: Shape = needing(
    &[
        ("fileSystemId", Text),
        ("rootDirectory", Text),
        ("transitEncryption", OneOf(&["ENABLED", "DISABLED"])),
        ("transitEncryptionPort", Integer),
        ("authorizationConfig", Object(&EFS_AUTHORIZATION)),
    ],
    &["fileSystemId"],
);
static EFS_AUTHORIZATION: Shape = shape(&[("accessPointId", Text), ("iam", OneOf(&["ENABLED", "DISABLED"]))]);
static S3FILES_VOLUME: Shape = needing(
    &[("fileSystemArn", Text), ("rootDirectory", Text), ("transitEncryptionPort", Integer), ("accessPointArn", Text)],
    &["fileSystemArn"],
);
static FSX_VOLUME: Shape = needing(
    &[("fileSystemId", Text), ("rootDirectory", Text), ("authorizationConfig", Object(&FSX_AUTHORIZATION))],
    &["fileSystemId", "rootDirectory", "authorizationConfig"],
);
static FSX_AUTHORIZATION: Shape =
    needing(&[("credentialsParameter", Text), ("domain", Text)], &["credentialsParameter", "domain"]);
static PLACEMENT_CONSTRAINT: Shape = shape(&[("type", OneOf(&["memberOf"])), ("expression", Text)]);
static TAG: Shape = shape(&[("key", Text), ("value", Text)]);
static PROXY: Shape = needing(
    &[("type", OneOf(&["APPMESH"])), ("containerName", Text), ("properties", Objects(&PAIR))],
    &["containerName"],
);
static ACCELERATOR: Shape = needing(&[("deviceName", Text), ("deviceType", Text)], &["deviceName", "deviceType"]);
static EPHEMERAL_STORAGE: Shape = needing(&[("sizeInGiB", Integer)], &["sizeInGiB"]);
static RUNTIME_PLATFORM: Shape = shape(&[
    ("cpuArchitecture", OneOf(&["X86_64", "ARM64"])),
    (
        "operatingSystemFamily",
        OneOf(&[
            "LINUX",
            "WINDOWS_SERVER_2016_FULL",
            "WINDOWS_SERVER_2019_CORE",
            "WINDOWS_SERVER_2019_FULL",
            "WINDOWS_SERVER_2004_CORE",
            "WINDOWS_SERVER_20H2_CORE",
            "WINDOWS_SERVER_2022_CORE",
            "WINDOWS_SERVER_2022_FULL",
            "WINDOWS_SERVER_2025_CORE",
            "WINDOWS_SERVER_2025_FULL",
        ]),
    ),
]);

/// Checks the shape of a whole definition.
pub(super) fn check(definition: &Value, problems: &mut Problems) {
    check_object(definition, &DEFINITION, "", problems);
}

fn join(path: &str, member: &str) -> String {
    if path.is_empty() { member.to_owned() } else { format!("{path}.{member}") }
}

fn check_object(value: &Value, shape: &Shape, path: &str, problems: &mut Problems) {
    let Value::Object(members) = value else {
        return wrong(problems, path, "an object", value);
    };
    for (name, value) in members {
        let path = join(path, name);
        match shape.members.iter().find(|(known, _)| known == name) {
            _ if value.is_null() => {}
            Some((_, kind)) => check_kind(value, kind, &path, problems),
            None => problems.0.push(Problem {
                message: match nearest(name, shape) {
                    Some(known) => format!("unknown member '{name}'; did you mean '{known}'?"),
                    None => format!("unknown member '{name}'"),
                },
                path,
                kind: ProblemKind::UnknownMember,
            }),
        }
    }
    for name in shape.required {
        if members.get(*name).is_none_or(Value::is_null) {
            problems.invalid(join(path, name), format!("{name} is required"));
        }
    }
}

fn check_kind(value: &Value, kind: &Kind, path: &str, problems: &mut Problems) {
    match kind {
        Text if !value.is_string() => wrong(problems, path, "a string", value),
        Integer if !value.is_i64() => wrong(problems, path, "an integer", value),
        Flag if !value.is_boolean() => wrong(problems, path, "true or false", value),
        Text | Integer | Flag => {}
        Texts => each(value, path, problems, |value, path, problems| check_kind(value, &Text, path, problems)),
        Integers => {
            each(value, path, problems, |value, path, problems| check_kind(value, &Integer, path, problems));
        }
        Map => match value {
            Value::Object(members) => {
                for (name, value) in members {
                    check_kind(value, &Text, &join(path, name), problems);
                }
            }
            _ => wrong(problems, path, "an object", value),
        },
        OneOf(known) => match value {
            Value::String(text) if known.contains(&text.as_str()) => {}
            Value::String(text) => {
                problems.invalid(path, format!("'{text}' is not one of {}", known.join(", ")));
            }
            _ => wrong(problems, path, "a string", value),
        },
        SomeOf(known) => each(value, path, problems, |value, path, problems| {
            check_kind(value, &OneOf(known), path, problems);
        }),
        Object(shape) => check_object(value, shape, path, problems),
        Objects(shape) => {
            each(value, path, problems, |value, path, problems| check_object(value, shape, path, problems));
        }
    }
}

fn each(value: &Value, path: &str, problems: &mut Problems, check: impl Fn(&Value, &str, &mut Problems)) {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                check(item, &format!("{path}[{index}]"), problems);
            }
        }
        _ => wrong(problems, path, "a list", value),
    }
}

fn wrong(problems: &mut Problems, path: &str, expected: &str, found: &Value) {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    problems.0.push(Problem {
        path: path.to_owned(),
        message: format!("must be {expected}, not {found}"),
        kind: ProblemKind::WrongType,
    });
}

/// The known member whose name is closest, if any is close.
fn nearest(name: &str, shape: &Shape) -> Option<&'static str> {
    let plain = |text: &str| text.to_lowercase().replace(['_', '-'], "");
    let wanted = plain(name);
    shape
        .members
        .iter()
        .map(|(known, _)| (distance(&wanted, &plain(known)), *known))
        .min()
        .filter(|(distance, known)| *distance <= 1 + known.len() / 4)
        .map(|(_, known)| known)
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = i;
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
        for (j, cb) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != *cb);
            diagonal = row.get(j + 1).copied().unwrap_or(0);
            let left = row.get(j).copied().unwrap_or(0);
            if let Some(cell) = row.get_mut(j + 1) {
                *cell = substituted.min(diagonal + 1).min(left + 1);
            }
        }
    }
    row.last().copied().unwrap_or(0)
}
