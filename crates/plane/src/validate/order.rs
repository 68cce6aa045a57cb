//! The order of containers: links, volumesFrom and dependsOn must name others and form no circle.

use std::collections::BTreeMap;

use wire::ecs::ContainerDefinition;

use super::Problems;

/// One container needing another, and where that is said.
struct Need<'a> {
    on: &'a str,
    path: String,
}

pub(super) fn check(containers: &[ContainerDefinition], problems: &mut Problems) {
    let mut needs: BTreeMap<&str, Vec<Need<'_>>> = BTreeMap::new();
    for (index, container) in containers.iter().enumerate() {
        let at = format!("containerDefinitions[{index}]");
        let list = needs.entry(&container.name).or_default();
        for (i, link) in container.links.iter().flatten().enumerate() {
            let on = link.split(':').next().unwrap_or(link);
            list.push(Need { on, path: format!("{at}.links[{i}]") });
        }
        for (i, from) in container.volumes_from.iter().enumerate() {
            let on = from.source_container.as_deref().unwrap_or("");
            list.push(Need { on, path: format!("{at}.volumesFrom[{i}].sourceContainer") });
        }
        for (i, dependency) in container.depends_on.iter().flatten().enumerate() {
            let path = format!("{at}.dependsOn[{i}]");
            check_condition(&dependency.condition, find(containers, &dependency.container_name), &path, problems);
            list.push(Need { on: &dependency.container_name, path: format!("{path}.containerName") });
        }
    }
    let mut sound = true;
    for (name, list) in &needs {
        for need in list {
            if need.on == *name {
                problems.invalid(&need.path, format!("Container '{name}' cannot depend on itself."));
                sound = false;
            } else if !needs.contains_key(need.on) {
                problems.invalid(&need.path, format!("There is no container '{}' in this task definition.", need.on));
                sound = false;
            }
        }
    }
    if sound {
        check_circles(&needs, problems);
    }
}

fn find<'a>(containers: &'a [ContainerDefinition], name: &str) -> Option<&'a ContainerDefinition> {
    containers.iter().find(|container| container.name == name)
}

fn check_condition(condition: &str, on: Option<&ContainerDefinition>, path: &str, problems: &mut Problems) {
    let Some(on) = on else { return };
    let path = format!("{path}.condition");
    match condition {
        "HEALTHY" if on.health_check.is_none() => {
            problems.invalid(path, format!("Container '{}' needs a healthCheck for the condition HEALTHY.", on.name))
        }
        "COMPLETE" | "SUCCESS" if on.essential != Some(false) => problems.invalid(
            path,
            format!("Container '{}' is essential and is therefore not to be waited for with {condition}.", on.name),
        ),
        _ => {}
    }
}

/// Takes away, again and again, the containers that need nothing that is left. What remains is circular.
fn check_circles(needs: &BTreeMap<&str, Vec<Need<'_>>>, problems: &mut Problems) {
    let mut left: Vec<&str> = needs.keys().copied().collect();
    loop {
        let before = left.len();
        let present = left.clone();
        left.retain(|name| needs.get(name).is_some_and(|list| list.iter().any(|need| present.contains(&need.on))));
        if left.is_empty() {
            return;
        }
        if left.len() == before {
            let list = left.join("', '");
            problems
                .invalid("containerDefinitions", format!("The containers '{list}' depend on each other in a circle."));
            return;
        }
    }
}
