//! Names of images in full, so that two spellings of one name are equal.

use wire::ids::{Digest, ImageRef};

/// `docker.io/library/nginx:latest` for `nginx`; with `@` and the digest where the name has one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FullName(String);

impl FullName {
    pub fn of(text: &str) -> Self {
        let image = ImageRef::from(text.trim());
        let repository = image.normalized_repository();
        Self(match (image.digest(), image.tag()) {
            (Some(digest), _) => format!("{repository}@{digest}"),
            (None, tag) => format!("{repository}:{}", tag.unwrap_or("latest")),
        })
    }
}

/// The repository in full, of a name with a tag or a digest.
pub(crate) fn repository(text: &str) -> String {
    ImageRef::from(text).normalized_repository()
}

/// What the pull asks for: by digest where it is known, else by tag (spec 20 §5.3).
pub(crate) fn pull_reference(image: &ImageRef, digest: Option<&Digest>) -> ImageRef {
    match digest {
        Some(digest) => image.at(digest),
        None if image.tag().is_none() => ImageRef::new(format!("{image}:latest")),
        None => image.clone(),
    }
}

/// `sha256:…` of `name@sha256:…`.
pub(crate) fn digest_of(text: &str) -> Option<&str> {
    text.split_once('@').map(|(_, digest)| digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_name_are_equal() {
        for (a, b, equal) in [
            ("nginx", "docker.io/library/nginx:latest", true),
            (" nginx:1", "index.docker.io/library/nginx:1", true),
            ("nginx:1", "nginx:2", false),
            ("r:5000/a", "r:5000/a:latest", true),
            ("r:5000/a", "a", false),
            ("a:1@sha256:0", "a@sha256:0", true),
            ("a:1@sha256:0", "a:1", false),
        ] {
            assert_eq!(FullName::of(a) == FullName::of(b), equal, "{a} {b}");
        }
    }
}
