//! The simulated registry, and the images that are on the simulated host.

use std::collections::{BTreeMap, BTreeSet};

use engine::{Failure, FailureKind, Outcome};
use wire::docker::ImageInspect;
use wire::ids::{Digest, ImageRef};

/// One image on the host.
#[derive(Debug, Clone, Default)]
pub(crate) struct Image {
    pub(crate) id: String,
    pub(crate) tags: BTreeSet<String>,
    pub(crate) digests: BTreeSet<String>,
}

/// What the registry has, and what is here.
#[derive(Debug, Clone, Default)]
pub(crate) struct Images {
    /// `repository:tag` → digest.
    registry: BTreeMap<String, String>,
    local: BTreeMap<String, Image>,
    pub(crate) is_registry_down: bool,
}

fn digest(letter: char) -> String {
    format!("sha256:{}", letter.to_string().repeat(64))
}

/// The image's id follows from its manifest's digest.
fn id_of(digest: &str) -> String {
    format!("sha256:{}", digest.trim_start_matches("sha256:").chars().rev().collect::<String>().replace('1', "e"))
}

fn tagged(reference: &ImageRef) -> String {
    match reference.tag() {
        Some(_) => reference.as_str().split('@').next().unwrap_or_default().to_owned(),
        None => format!("{}:latest", reference.repository()),
    }
}

fn not_found(text: String) -> Outcome {
    Outcome::Failed(Failure::new(FailureKind::NotFound, format!("Error response from daemon: {text}")))
}

impl Images {
    pub(crate) fn new() -> Self {
        let registry = [("app:1", '1'), ("app:2", '2'), ("tool:latest", '3'), ("cached:1", '4'), ("stale:1", '6')]
            .map(|(name, letter)| (format!("registry.test/{name}"), digest(letter)));
        let mut images = Self { registry: registry.into_iter().collect(), ..Self::default() };
        images.add("registry.test/cached", "registry.test/cached:1", &digest('4'), true);
        // Pulled before the tag moved on.
        images.add("registry.test/stale", "registry.test/stale:1", &digest('5'), true);
        images.add("local-only", "local-only:1", &digest('7'), false);
        images.add("amazon/amazon-ecs-pause", "amazon/amazon-ecs-pause:0.1.0", &digest('8'), false);
        images
    }

    fn add(&mut self, repository: &str, tag: &str, digest: &str, has_digest: bool) {
        let image = self.local.entry(id_of(digest)).or_insert_with(|| Image { id: id_of(digest), ..Image::default() });
        if has_digest {
            image.digests.insert(format!("{repository}@{digest}"));
        }
        let id = image.id.clone();
        if !tag.is_empty() {
            self.move_tag(tag, &id);
        }
    }

    fn move_tag(&mut self, tag: &str, id: &str) {
        for image in self.local.values_mut() {
            if image.id == id {
                image.tags.insert(tag.to_owned());
            } else {
                image.tags.remove(tag);
            }
        }
    }

    fn find(&self, reference: &str) -> Option<&Image> {
        let reference = ImageRef::from(reference);
        match reference.digest() {
            Some(digest) => {
                let name = format!("{}@{digest}", reference.repository());
                self.local.values().find(|image| image.digests.contains(&name))
            }
            None => {
                let tag = tagged(&reference);
                self.local.values().find(|image| image.tags.contains(&tag))
            }
        }
    }

    /// The id of a local image, for a create.
    pub(crate) fn id(&self, reference: &str) -> Option<String> {
        self.find(reference).map(|image| image.id.clone())
    }

    pub(crate) fn resolve(&self, reference: &ImageRef) -> Outcome {
        if self.is_registry_down {
            return unreachable_registry();
        }
        match self.registry.get(&tagged(reference)) {
            Some(digest) => Outcome::Resolved(Some(Digest::from(digest.as_str()))),
            None => not_found(format!("manifest unknown: {reference}")),
        }
    }

    pub(crate) fn inspect(&self, reference: &str) -> Outcome {
        match self.find(reference) {
            Some(image) => Outcome::Image(Box::new(ImageInspect {
                id: image.id.clone(),
                repo_tags: image.tags.iter().cloned().collect(),
                repo_digests: image.digests.iter().cloned().collect(),
                size: 1000,
                ..ImageInspect::default()
            })),
            None => not_found(format!("No such image: {reference}")),
        }
    }

    pub(crate) fn pull(&mut self, reference: &ImageRef) -> Outcome {
        if self.is_registry_down {
            return unreachable_registry();
        }
        let repository = reference.repository().to_owned();
        match reference.digest() {
            Some(digest) => {
                let is_there = self.registry.iter().any(|(name, known)| {
                    known == digest.as_str() && ImageRef::from(name.as_str()).repository() == repository
                });
                if !is_there {
                    return not_found(format!("manifest for {reference} not found: manifest unknown"));
                }
                self.add(&repository, "", digest.as_str(), true);
                Outcome::Done
            }
            None => match self.registry.get(&tagged(reference)).cloned() {
                Some(digest) => {
                    self.add(&repository, &tagged(reference), &digest, true);
                    Outcome::Done
                }
                None => not_found(format!("manifest for {reference} not found: manifest unknown")),
            },
        }
    }

    pub(crate) fn tag(&mut self, source: &ImageRef, target: &ImageRef) -> Outcome {
        match self.id(source.as_str()) {
            Some(id) => {
                self.move_tag(&tagged(target), &id);
                Outcome::Done
            }
            None => not_found(format!("No such image: {source}")),
        }
    }

    pub(crate) fn remove(&mut self, reference: &str) -> Outcome {
        match self.id(reference) {
            Some(id) => {
                self.local.remove(&id);
                Outcome::Done
            }
            None => not_found(format!("No such image: {reference}")),
        }
    }
}

fn unreachable_registry() -> Outcome {
    let text = "Error response from daemon: Get \"https://registry.test/v2/\": dial tcp: connection refused";
    Outcome::Failed(Failure::new(FailureKind::Other, text))
}
