//! Which container waits for which: conditions that are implied, and whether they can all come true
//! (spec 20 §2.3, §2.5).

use std::collections::BTreeSet;

use super::Trouble;
use crate::container::{Definition, Dependency, DependencyCondition};

/// Containers are known by name: to their task, to reports and to the store.
pub(super) fn check_names(containers: &[Definition]) -> Result<(), Trouble> {
    let mut seen = BTreeSet::new();
    match containers.iter().find(|c| !seen.insert(&*c.name)) {
        Some(twice) => Err(Trouble::Impossible(format!("more than one container has the name {:?}", twice.name))),
        None => Ok(()),
    }
}

/// Adds what shared volumes and links imply: first all volumes, then all links.
pub(super) fn add_implied(containers: &mut [Definition]) -> Result<(), Trouble> {
    let names: BTreeSet<String> = containers.iter().map(|c| c.name.to_string()).collect();
    let missing = |cause: String| Trouble::Impossible(cause);
    for container in containers.iter_mut() {
        for from in &container.volumes_from {
            let source = &from.source_container;
            if !names.contains(source) {
                return Err(missing(format!("could not find volume source container with name {source}")));
            }
            container.depends_on.push(Dependency { container: source.clone(), condition: DependencyCondition::Create });
        }
    }
    for container in containers.iter_mut() {
        for link in &container.links {
            let (target, alias) = link.split_once(':').unwrap_or((link, ""));
            if alias.contains(':') {
                return Err(missing("invalid link format".to_owned()));
            }
            if !names.contains(target) {
                return Err(missing(format!("could not find container for link {link}")));
            }
            container
                .depends_on
                .push(Dependency { container: target.to_owned(), condition: DependencyCondition::Start });
        }
    }
    Ok(())
}

/// Whether some order starts everything. Looks at the conditions alone: a task that arrives to be stopped is
/// judged as if it should run.
pub(super) fn check_resolvable(containers: &[Definition]) -> Result<(), Trouble> {
    let mut picked: BTreeSet<&str> = BTreeSet::new();
    loop {
        let more: Vec<&str> = containers
            .iter()
            .filter(|c| !picked.contains(&*c.name))
            .filter(|c| c.depends_on.iter().all(|d| picked.contains(d.container.as_str()) && can_hold(d, containers)))
            .map(|c| &*c.name)
            .collect();
        if more.is_empty() {
            break;
        }
        picked.extend(more);
    }
    if picked.len() == containers.len() { Ok(()) } else { Err(Trouble::Unresolvable) }
}

fn can_hold(dependency: &Dependency, containers: &[Definition]) -> bool {
    match &dependency.condition {
        DependencyCondition::Create
        | DependencyCondition::Start
        | DependencyCondition::Complete
        | DependencyCondition::Success => true,
        DependencyCondition::Healthy => {
            containers.iter().any(|c| *c.name == *dependency.container && c.has_health_check)
        }
        DependencyCondition::Other(_) => false,
    }
}
