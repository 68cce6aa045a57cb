//! The simulated registry, and the images that are on the simulated host, with Docker's rules for their removal.

use std::collections::{BTreeMap, BTreeSet};

use engine::{Failure, FailureKind, Outcome};
use jiff::Timestamp;
use wire::docker::{ImageInspect, ImageSummary};
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
    /// `repository@digest` of all that was ever published.
    published: BTreeSet<String>,
    pub(crate) local: BTreeMap<String, Image>,
    pub(crate) is_registry_down: bool,
    /// Ids that pulls brought here, and names that strangers gave.
    pub(crate) pulled: BTreeSet<String>,
    pub(crate) named_by_hand: BTreeSet<String>,
}

/// A container that uses an image.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) container: String,
    pub(crate) runs: bool,
}

/// What a removal did.
#[derive(Debug)]
pub(crate) struct Removal {
    pub(crate) outcome: Outcome,
    /// Names that are no more, and the id if the image itself is.
    pub(crate) gone: Vec<String>,
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

fn repository(name: &str) -> String {
    ImageRef::from(name).repository().to_owned()
}

fn refused(kind: FailureKind, text: impl std::fmt::Display) -> Outcome {
    Outcome::Failed(Failure::new(kind, format!("Error response from daemon: {text}")))
}

fn not_found(text: impl std::fmt::Display) -> Outcome {
    refused(FailureKind::NotFound, text)
}

/// All were built long ago; those with a later letter later.
fn built(id: &str) -> Timestamp {
    let letter = id.bytes().last().unwrap_or_default();
    Timestamp::from_second(1_740_000_000 + i64::from(letter) * 3600).unwrap_or_default()
}

impl Image {
    /// Docker's `isSingleReference`: one tag at most, and all within one repository.
    fn is_single_reference(&self) -> bool {
        if self.tags.len() + self.digests.len() <= 1 {
            return true;
        }
        let repositories: BTreeSet<String> = self.digests.iter().map(|name| repository(name)).collect();
        let of = match self.tags.len() {
            0 => self.digests.first().map(|name| repository(name)),
            1 => self.tags.first().map(|name| repository(name)),
            _ => return false,
        };
        repositories.len() == 1 && of.is_some_and(|of| repositories.contains(&of))
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.tags.iter().chain(&self.digests)
    }
}

impl Images {
    pub(crate) fn new() -> Self {
        let mut images = Self::default();
        for (name, letter) in
            [("app:1", '1'), ("app:2", '2'), ("tool:latest", '3'), ("cached:1", '4'), ("stale:1", '6')]
        {
            images.publish(&format!("registry.test/{name}"), &digest(letter));
        }
        // Before these tags moved on.
        images.published.insert(format!("registry.test/stale@{}", digest('5')));
        images.add("registry.test/cached", "registry.test/cached:1", &digest('4'), true);
        images.add("mirror.test/cached", "mirror.test/cached:1", &digest('4'), true);
        images.add("registry.test/stale", "registry.test/stale:1", &digest('5'), true);
        images.add("local-only", "local-only:1", &digest('7'), false);
        images.load_pause();
        images.named_by_hand.insert("mirror.test/cached:1".into());
        images
    }

    /// A tag of the registry is given to another image.
    pub(crate) fn publish(&mut self, name: &str, digest: &str) {
        self.published.insert(format!("{}@{digest}", repository(name)));
        self.registry.insert(name.to_owned(), digest.to_owned());
    }

    /// Moves a tag of the registry on: to an image that the repository never had.
    pub(crate) fn move_on(&mut self, name: &str, number: u64) {
        self.publish(name, &format!("sha256:{:0>64}", format!("{number}f")));
    }

    pub(crate) fn load_pause(&mut self) {
        self.add("amazon/amazon-ecs-pause", "amazon/amazon-ecs-pause:0.1.0", &digest('8'), false);
    }

    fn add(&mut self, repository: &str, tag: &str, digest: &str, has_digest: bool) -> String {
        let id = id_of(digest);
        let image = self.local.entry(id.clone()).or_insert_with(|| Image { id: id.clone(), ..Image::default() });
        if has_digest {
            image.digests.insert(format!("{repository}@{digest}"));
        }
        if !tag.is_empty() {
            self.move_tag(tag, &id);
        }
        id
    }

    pub(crate) fn move_tag(&mut self, tag: &str, id: &str) {
        for image in self.local.values_mut() {
            if image.id == id {
                image.tags.insert(tag.to_owned());
            } else {
                image.tags.remove(tag);
            }
        }
    }

    fn find(&self, reference: &str) -> Option<&Image> {
        if reference.starts_with("sha256:") {
            return self.local.get(reference);
        }
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

    /// The id of a local image.
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

    pub(crate) fn list(&self) -> Outcome {
        let summary = |image: &Image| ImageSummary {
            id: image.id.clone(),
            repo_tags: image.tags.iter().cloned().collect(),
            repo_digests: image.digests.iter().cloned().collect(),
            created: Some(built(&image.id)),
            size: 1000,
            ..ImageSummary::default()
        };
        Outcome::Images(self.local.values().map(summary).collect())
    }

    /// Percent of the disk.
    pub(crate) fn disk(&self) -> Outcome {
        let used = (30 + 8 * self.local.len() as u64).min(99);
        Outcome::Disk { total: 100, available: 100 - used }
    }

    pub(crate) fn pull(&mut self, reference: &ImageRef) -> Outcome {
        if self.is_registry_down {
            return unreachable_registry();
        }
        let repository = reference.repository().to_owned();
        let found = match reference.digest() {
            Some(digest) => {
                let is_there = self.published.contains(&format!("{repository}@{digest}"));
                is_there.then(|| (String::new(), digest.as_str().to_owned()))
            }
            None => self.registry.get(&tagged(reference)).map(|digest| (tagged(reference), digest.clone())),
        };
        let Some((tag, digest)) = found else {
            return not_found(format!("manifest for {reference} not found: manifest unknown"));
        };
        let id = self.add(&repository, &tag, &digest, true);
        self.pulled.insert(id);
        Outcome::Done
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

    /// Docker's `ImageDelete` without force (20.10, `daemon/images/image_delete.go`).
    pub(crate) fn remove(&mut self, reference: &str, users: &[User]) -> Removal {
        let nothing = |outcome| Removal { outcome, gone: Vec::new() };
        let Some(id) = self.id(reference) else {
            return nothing(not_found(format!("No such image: {reference}")));
        };
        let Some(image) = self.local.get_mut(&id) else { return nothing(Outcome::Done) };
        let mut gone: Vec<String> = Vec::new();
        if reference.starts_with("sha256:") {
            if image.is_single_reference() {
                if let Some(user) = users.first() {
                    return nothing(in_use(&id, user));
                }
                gone.extend(image.names().cloned());
            }
        } else {
            if image.is_single_reference()
                && let Some(user) = users.first()
            {
                let text = format!(
                    "conflict: unable to remove repository reference \"{reference}\" (must force) - container {} is using its referenced image {id}",
                    user.container
                );
                return nothing(refused(FailureKind::Conflict, text));
            }
            let name = match ImageRef::from(reference).digest() {
                Some(digest) => format!("{}@{digest}", repository(reference)),
                None => tagged(&ImageRef::from(reference)),
            };
            let of = repository(&name);
            let is_tag = !name.contains('@');
            gone.push(name.clone());
            let is_last_tag = !image.tags.iter().any(|tag| *tag != name && repository(tag) == of);
            if is_tag && is_last_tag {
                gone.extend(image.digests.iter().filter(|digest| repository(digest) == of).cloned());
            }
        }
        for name in &gone {
            image.tags.remove(name);
            image.digests.remove(name);
        }
        if image.names().next().is_some() {
            if gone.is_empty() {
                let text = format!(
                    "conflict: unable to delete {id} (must be forced) - image is referenced in multiple repositories"
                );
                return nothing(refused(FailureKind::Conflict, text));
            }
            return Removal { outcome: Outcome::Done, gone };
        }
        if let Some(user) = users.first() {
            // Its names are gone, the image stays.
            return Removal { outcome: in_use(&id, user), gone };
        }
        self.local.remove(&id);
        gone.push(id);
        Removal { outcome: Outcome::Done, gone }
    }

    /// Somebody removes a name by force.
    pub(crate) fn untag(&mut self, name: &str, is_used: impl Fn(&str) -> bool) {
        let Some(id) = self.id(name) else { return };
        if let Some(image) = self.local.get_mut(&id) {
            image.tags.remove(name);
            image.digests.remove(name);
            if image.names().next().is_none() && !is_used(&id) {
                self.local.remove(&id);
            }
        }
    }
}

fn in_use(id: &str, user: &User) -> Outcome {
    let (may, state) = if user.runs { ("cannot be forced", "running") } else { ("must be forced", "stopped") };
    let text = format!(
        "conflict: unable to delete {id} ({may}) - image is being used by {state} container {}",
        user.container
    );
    refused(FailureKind::Conflict, text)
}

fn unreachable_registry() -> Outcome {
    let text = "Error response from daemon: Get \"https://registry.test/v2/\": dial tcp: connection refused";
    Outcome::Failed(Failure::new(FailureKind::Other, text))
}
