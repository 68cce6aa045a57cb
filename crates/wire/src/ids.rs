//! Names of things as types, so that a task's ARN cannot be passed where a Docker id is wanted.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(from = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }

            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

name! {
    /// A task's ARN, its identity towards the control plane.
    TaskArn
}
name! {
    /// The last segment of a task's ARN: unique on one instance, used in names and as a key.
    TaskId
}
name! {
    /// A container instance's ARN, given out at registration.
    ContainerInstanceArn
}
name! {
    /// The Engine's 64 hex digits for a container.
    DockerId
}
name! {
    /// An image's id, `sha256:` and 64 hex digits.
    ImageId
}
name! {
    /// A manifest's digest, `sha256:` and 64 hex digits.
    Digest
}
name! {
    /// An image reference as a task definition writes it: `name[:tag][@digest]`.
    ImageRef
}
name! {
    /// The id under which a task's role credentials are kept and fetched. A bearer secret of sorts:
    /// logs print only its beginning (spec 10 §6.4).
    CredentialsId
}
name! {
    /// An ACS message's id, echoed in its acknowledgement.
    MessageId
}

impl TaskArn {
    /// The last segment of the ARN (spec 20 §9.1).
    pub fn task_id(&self) -> TaskId {
        TaskId(self.0.rsplit('/').next().unwrap_or_default().into())
    }
}

impl CredentialsId {
    /// The form that may appear in logs: the first eight characters (spec 10 §6.4).
    pub fn redacted(&self) -> String {
        let head: String = self.0.chars().take(8).collect();
        format!("{head}-REDACTED")
    }
}

impl ImageRef {
    /// The digest that the reference itself carries, if any.
    pub fn digest(&self) -> Option<Digest> {
        self.0.split_once('@').map(|(_, digest)| Digest::new(digest))
    }

    /// The reference without its digest.
    fn undigested(&self) -> &str {
        self.0.split_once('@').map_or(&self.0, |(name, _)| name)
    }

    /// The repository name without tag and digest.
    pub fn repository(&self) -> &str {
        let name = self.undigested();
        match name.rfind(':') {
            Some(colon) if !name[colon..].contains('/') => &name[..colon],
            _ => name,
        }
    }

    /// The tag, where one is written.
    pub fn tag(&self) -> Option<&str> {
        let name = self.undigested();
        match name.rfind(':') {
            Some(colon) if !name[colon..].contains('/') => Some(&name[colon + 1..]),
            _ => None,
        }
    }

    /// `name@digest`: what is pulled once the digest is known (spec 20 §5.3).
    pub fn at(&self, digest: &Digest) -> ImageRef {
        ImageRef::new(format!("{}@{digest}", self.repository()))
    }

    /// The repository's name in full, so that `nginx` and `docker.io/library/nginx` compare equal.
    pub fn normalized_repository(&self) -> String {
        let name = self.repository();
        let (host, rest) = match name.split_once('/') {
            Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => (host, rest),
            _ => ("docker.io", name),
        };
        let host = if host == "index.docker.io" { "docker.io" } else { host };
        if host == "docker.io" && !rest.contains('/') {
            format!("docker.io/library/{rest}")
        } else {
            format!("{host}/{rest}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_reference_falls_into_its_parts() {
        for (text, repository, tag, digest) in [
            ("nginx", "nginx", None, None),
            ("nginx:1", "nginx", Some("1"), None),
            ("r:5000/a/b", "r:5000/a/b", None, None),
            ("r:5000/a/b:v", "r:5000/a/b", Some("v"), None),
            ("a/b:v@sha256:1", "a/b", Some("v"), Some("sha256:1")),
            ("r:5000/a@sha256:1", "r:5000/a", None, Some("sha256:1")),
        ] {
            let image = ImageRef::from(text);
            assert_eq!(image.repository(), repository, "{text}");
            assert_eq!(image.tag(), tag, "{text}");
            assert_eq!(image.digest(), digest.map(Digest::from), "{text}");
        }
        assert_eq!(ImageRef::from("r:5000/a:v").at(&Digest::from("sha256:1")).as_str(), "r:5000/a@sha256:1");
    }

    #[test]
    fn docker_hub_names_are_one() {
        let full = |text: &str| ImageRef::from(text).normalized_repository();
        assert_eq!(full("nginx:1"), "docker.io/library/nginx");
        assert_eq!(full("docker.io/library/nginx"), full("index.docker.io/nginx"));
        assert_eq!(full("me/app"), "docker.io/me/app");
        assert_eq!(full("127.0.0.1:5000/busybox:latest"), "127.0.0.1:5000/busybox");
    }

    #[test]
    fn a_task_id_is_the_last_segment() {
        assert_eq!(TaskArn::from("arn:aws:ecs:r:1:task/c/0f").task_id().as_str(), "0f");
        assert_eq!(TaskArn::from("arn:aws:ecs:r:1:task/0f").task_id().as_str(), "0f");
    }
}
