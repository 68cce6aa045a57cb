//! Paths of the task server (spec 30 §1.4): how they are cleaned, and what they name.

use std::borrow::Cow;

/// A version of the metadata endpoint that names its container in the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    V3,
    V4,
}

impl Version {
    /// As logs and messages name it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::V3 => "V3",
            Self::V4 => "V4",
        }
    }
}

/// What is asked below `/v3/<id>` or `/v4/<id>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject<'p> {
    Container,
    Task,
    TaskWithTags,
    ContainerStats,
    TaskStats,
    Associations(&'p str),
    Association(&'p str, &'p str),
}

/// What is asked below `/v2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubjectV2<'p> {
    Container(&'p str),
    Task,
    TaskWithTags,
    ContainerStats(&'p str),
    TaskStats,
}

/// Kinds of network faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    BlackholePort,
    Latency,
    PacketLoss,
}

/// What is to be done with a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultOperation {
    Start,
    Stop,
    Status,
}

/// What a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route<'p> {
    CredentialsV1,
    CredentialsV2(&'p str),
    V2(SubjectV2<'p>),
    Metadata { version: Version, endpoint: &'p str, subject: Subject<'p> },
    Protection { endpoint: &'p str },
    Fault { endpoint: &'p str, kind: FaultKind, operation: FaultOperation },
}

impl<'p> Route<'p> {
    /// `None` for a path that nothing serves. `path` is decoded and clean.
    pub fn parse(path: &'p str) -> Option<Self> {
        let path = path.strip_prefix('/')?;
        let (first, rest) = path.split_once('/')?;
        match first {
            "v4" => Self::metadata(Version::V4, rest),
            "v3" => Self::metadata(Version::V3, rest),
            "v2" => Self::v2(rest),
            "v1" => (rest == "credentials").then_some(Self::CredentialsV1),
            "api" => Self::api(rest),
            _ => None,
        }
    }

    fn metadata(version: Version, rest: &'p str) -> Option<Self> {
        let (endpoint, rest) = match rest.split_once('/') {
            None => return Some(Self::Metadata { version, endpoint: rest, subject: Subject::Container }),
            Some(parts) => parts,
        };
        let subject = match rest {
            "task" => Subject::Task,
            "taskWithTags" => Subject::TaskWithTags,
            "stats" => Subject::ContainerStats,
            "task/stats" => Subject::TaskStats,
            other => {
                let rest = other.strip_prefix("associations/")?;
                match rest.split_once('/') {
                    None => Subject::Associations(rest),
                    Some((kind, name)) => Subject::Association(kind, name),
                }
            }
        };
        Some(Self::Metadata { version, endpoint, subject })
    }

    fn v2(rest: &'p str) -> Option<Self> {
        let (first, rest) = rest.split_once('/').map_or((rest, None), |(first, rest)| (first, Some(rest)));
        let subject = match (first, rest) {
            ("credentials", Some(id)) => return Some(Self::CredentialsV2(id)),
            ("metadata", None | Some("")) => SubjectV2::Task,
            ("metadata", Some(id)) => SubjectV2::Container(id),
            ("metadataWithTags", None | Some("")) => SubjectV2::TaskWithTags,
            ("stats", None | Some("")) => SubjectV2::TaskStats,
            ("stats", Some(id)) => SubjectV2::ContainerStats(id),
            _ => return None,
        };
        Some(Self::V2(subject))
    }

    fn api(rest: &'p str) -> Option<Self> {
        let (endpoint, rest) = rest.split_once('/')?;
        if rest == "task-protection/v1/state" {
            return Some(Self::Protection { endpoint });
        }
        let (kind, operation) = rest.strip_prefix("fault/v1/")?.split_once('/')?;
        let kind = match kind {
            "network-blackhole-port" => FaultKind::BlackholePort,
            "network-latency" => FaultKind::Latency,
            "network-packet-loss" => FaultKind::PacketLoss,
            _ => return None,
        };
        let operation = match operation {
            "start" => FaultOperation::Start,
            "stop" => FaultOperation::Stop,
            "status" => FaultOperation::Status,
            _ => return None,
        };
        Some(Self::Fault { endpoint, kind, operation })
    }
}

/// Undoes percent escapes. `None` for an escape that is none. What is not UTF-8 becomes a replacement character.
pub fn decode(path: &str) -> Option<Cow<'_, str>> {
    if !path.contains('%') {
        return Some(Cow::Borrowed(path));
    }
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => digit(rest.next())? * 16 + digit(rest.next())?,
            other => other,
        });
    }
    Some(Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()))
}

/// The path without doubled slashes and dots, where it has some; a last slash stays.
pub fn clean(path: &str) -> Option<String> {
    let is_clean = path.starts_with('/') && !path.contains("//") && !path.contains("/.");
    if is_clean {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let mut cleaned = format!("/{}", parts.join("/"));
    if path.ends_with('/') && cleaned != "/" {
        cleaned.push('/');
    }
    (cleaned != path).then_some(cleaned)
}

/// A path with what a `Location` must not hold escaped.
pub fn encode(path: &str) -> String {
    use std::fmt::Write;
    path.bytes().fold(String::with_capacity(path.len()), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"/-_.~$&+,:;=@!'()*".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

/// The first value of a query's parameter, decoded; `Some("")` for one without a value.
pub fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    query?.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decoded = |text: &str| decode(&text.replace('+', " ")).map(Cow::into_owned);
        (!pair.is_empty() && decoded(key)? == name).then(|| decoded(value)).flatten()
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: &str) {
        let found = Route::parse(path).map_or_else(|| "-".to_owned(), |route| format!("{route:?}"));
        let brief = found
            .replace(['"', ' '], "")
            .replace("Metadata{version:", "")
            .replace("subject:", "")
            .replace("endpoint:", "");
        assert_eq!(brief.trim_end_matches('}'), expected, "{path}");
    }

    #[test]
    fn every_pattern_of_the_reference() {
        check("/v1/credentials", "CredentialsV1");
        check("/v1/credentials/", "-");
        check("/v2/credentials", "-");
        check("/v2/credentials/", "CredentialsV2()");
        check("/v2/credentials/a/b", "CredentialsV2(a/b)");
        check("/v2/metadata", "V2(Task)");
        check("/v2/metadata/", "V2(Task)");
        check("/v2/metadata/a/b", "V2(Container(a/b))");
        check("/v2/metadataWithTags", "V2(TaskWithTags)");
        check("/v2/metadataWithTags/", "V2(TaskWithTags)");
        check("/v2/metadataWithTags/x", "-");
        check("/v2/stats", "V2(TaskStats)");
        check("/v2/stats/", "V2(TaskStats)");
        check("/v2/stats/x", "V2(ContainerStats(x))");
        check("/v2/splunk-token/x", "-");
        check("/v2/container-env/x", "-");
        check("/v3", "-");
        check("/v3/", "V3,,Container");
        check("/v3/x", "V3,x,Container");
        check("/v3/x/", "-");
        check("/v3/x/task", "V3,x,Task");
        check("/v3/task/stats", "V3,task,ContainerStats");
        check("/v3/stats", "V3,stats,Container");
        check("/v4/x/task/", "-");
        check("/v4/x/taskWithTags", "V4,x,TaskWithTags");
        check("/v4/x/stats", "V4,x,ContainerStats");
        check("/v4/x/task/stats", "V4,x,TaskStats");
        check("/v4/x/task/stats/", "-");
        check("/v4/x/tasks", "-");
        check("/v4/x/associations/gpu", "V4,x,Associations(gpu)");
        check("/v4/x/associations/gpu/", "V4,x,Association(gpu,)");
        check("/v4/x/associations/gpu/a/b", "V4,x,Association(gpu,a/b)");
        check("/v4/x/associations", "-");
        check("/api/x/task-protection/v1/state", "Protection{x");
        check("/api/x/task-protection/v1/state/", "-");
        check("/api/x/fault/v1/network-latency/start", "Fault{x,kind:Latency,operation:Start");
        check("/api/x/fault/v1/network-packet-loss/status", "Fault{x,kind:PacketLoss,operation:Status");
        check("/api/x/fault/v1/network-blackhole-port/stop", "Fault{x,kind:BlackholePort,operation:Stop");
        check("/api/x/fault/v1/other/stop", "-");
        check("/", "-");
        check("/v5/x", "-");
    }

    #[test]
    fn paths_are_cleaned_as_the_reference_does() {
        for (path, cleaned) in [
            ("/v4/x/task", None),
            ("/v4/x/", None),
            ("/v2/.x", None),
            ("//v3//abc/task", Some("/v3/abc/task")),
            ("/v3/./abc/../d/", Some("/v3/d/")),
            ("/../..", Some("/")),
            ("/v2/metadata//a", Some("/v2/metadata/a")),
            ("/", None),
        ] {
            assert_eq!(clean(path).as_deref(), cleaned, "{path}");
        }
    }

    #[test]
    fn escapes_are_undone() {
        assert_eq!(decode("/a%2Fb%20c").unwrap(), "/a/b c");
        assert_eq!(decode("/%ff").unwrap(), "/\u{fffd}");
        assert_eq!(decode("/%2"), None);
        assert_eq!(decode("/%zz"), None);
        assert_eq!(encode("/a b%\"é/v1:x"), "/a%20b%25%22%C3%A9/v1:x");
        assert_eq!(parameter(Some("x=1&id=a%2Bb+c&id=d"), "id").unwrap(), "a+b c");
        assert_eq!(parameter(Some("id"), "id").unwrap(), "");
        assert_eq!(parameter(Some("idd=1"), "id"), None);
        assert_eq!(parameter(None, "id"), None);
    }
}
