//! Where a task goes: what an instance has left, whether a task fits, which of the fitting is taken.

use serde::{Deserialize, Serialize};
use wire::ecs::{self, PlacementConstraint, PlacementStrategy, Resource, TaskDefinition, TaskOverride};

use crate::Plane;
use crate::error::Fault;
use crate::instance::{Instance, InstanceStatus, full};
use crate::query::Query;
use crate::validate::{cpu_units, memory_mib};

/// What a task takes from its instance.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Share {
    /// CPU units.
    pub(crate) cpu: i64,
    /// MiB.
    pub(crate) memory: i64,
    pub(crate) tcp: Vec<i64>,
    pub(crate) udp: Vec<i64>,
    /// How many GPUs each container wants: (container, count).
    pub(crate) gpus: Vec<(String, usize)>,
    /// The ids given, in the order of `gpus`. Empty until placed.
    pub(crate) gpu_ids: Vec<String>,
}

impl Share {
    /// The share of a task of this definition under these overrides.
    pub(crate) fn of(definition: &TaskDefinition, overrides: &TaskOverride) -> Self {
        let mut share = Self::default();
        for container in &definition.container_definitions {
            let over =
                overrides.container_overrides.iter().find(|over| over.name.as_deref() == Some(container.name.as_str()));
            share.cpu += over.and_then(|over| over.cpu).unwrap_or(container.cpu);
            let soft = over.and_then(|over| over.memory_reservation).or(container.memory_reservation);
            let hard = over.and_then(|over| over.memory).or(container.memory);
            share.memory += soft.or(hard).unwrap_or(0);
            for mapping in &container.port_mappings {
                if let Some(port) = mapping.host_port.filter(|port| *port > 0)
                    && definition.network_mode.as_deref() != Some("awsvpc")
                {
                    match mapping.protocol.as_deref() {
                        Some("udp") => share.udp.push(port),
                        _ => share.tcp.push(port),
                    }
                }
            }
            let gpus = over
                .and_then(|over| over.resource_requirements.as_ref())
                .or(container.resource_requirements.as_ref())
                .into_iter()
                .flatten()
                .filter(|requirement| requirement.kind == "GPU")
                .filter_map(|requirement| requirement.value.parse::<usize>().ok())
                .sum::<usize>();
            if gpus > 0 {
                share.gpus.push((container.name.clone(), gpus));
            }
        }
        if let Some(cpu) = overrides.cpu.as_ref().or(definition.cpu.as_ref()).and_then(|text| cpu_units(text)) {
            share.cpu = cpu;
        }
        if let Some(memory) = overrides.memory.as_ref().or(definition.memory.as_ref()).and_then(|text| memory_mib(text))
        {
            share.memory = memory;
        }
        share
    }

    fn gpu_count(&self) -> usize {
        self.gpus.iter().map(|(_, count)| count).sum()
    }
}

/// What an instance has left.
pub(crate) struct Left {
    cpu: i64,
    memory: i64,
    /// Ports in use or reserved.
    tcp: Vec<i64>,
    udp: Vec<i64>,
    gpus: Vec<String>,
}

impl Left {
    /// In the form of the instance's own list of resources.
    pub(crate) fn resources(&self, instance: &Instance) -> Vec<Resource> {
        let ports = |ports: &[i64]| Some(ports.iter().map(ToString::to_string).collect());
        instance
            .resources
            .iter()
            .map(|resource| {
                let mut left = full(resource);
                match resource.name.as_str() {
                    "CPU" => left.integer_value = Some(self.cpu),
                    "MEMORY" => left.integer_value = Some(self.memory),
                    "PORTS" => left.string_set_value = ports(&self.tcp),
                    "PORTS_UDP" => left.string_set_value = ports(&self.udp),
                    _ => {}
                }
                left
            })
            .collect()
    }
}

/// A task that looks for a place.
pub(crate) struct Seeker<'a> {
    pub(crate) cluster: &'a str,
    pub(crate) group: &'a str,
    pub(crate) definition: &'a TaskDefinition,
    pub(crate) share: &'a Share,
    pub(crate) constraints: &'a Constraints,
    pub(crate) strategy: &'a [PlacementStrategy],
    pub(crate) launch_type: Option<&'a str>,
}

/// Constraints, read.
#[derive(Default)]
pub(crate) struct Constraints {
    distinct: bool,
    member_of: Vec<Query>,
}

impl Constraints {
    pub(crate) fn read(lists: &[&[PlacementConstraint]]) -> Result<Self, Fault> {
        let mut constraints = Self::default();
        for constraint in lists.iter().copied().flatten() {
            match constraint.kind.as_str() {
                "distinctInstance" => constraints.distinct = true,
                "memberOf" => {
                    let text = constraint.expression.as_deref().unwrap_or("");
                    constraints.member_of.push(Query::parse(text).map_err(Fault::parameter)?);
                }
                other => {
                    return Err(Fault::parameter(format!("Unknown placement constraint '{other}'.")));
                }
            }
        }
        Ok(constraints)
    }
}

pub(crate) fn check_strategy(strategy: &[PlacementStrategy]) -> Result<(), Fault> {
    for rule in strategy {
        let field = rule.field.as_deref().unwrap_or("");
        let known = match rule.kind.as_str() {
            "random" => field.is_empty(),
            "binpack" => matches!(field.to_ascii_lowercase().as_str(), "cpu" | "memory"),
            "spread" => !field.is_empty(),
            _ => false,
        };
        if !known {
            return Err(Fault::parameter(format!("Invalid placement strategy '{}' of '{field}'.", rule.kind)));
        }
    }
    Ok(())
}

impl Plane {
    pub(crate) fn remaining(&self, arn: &str, instance: &Instance) -> Left {
        let mut left = Left {
            cpu: instance.amount("CPU"),
            memory: instance.amount("MEMORY"),
            tcp: instance.reserved_ports("PORTS"),
            udp: instance.reserved_ports("PORTS_UDP"),
            gpus: instance.devices.iter().map(|device| device.id.clone()).collect(),
        };
        let tasks = self.live.get(arn).into_iter().flatten().filter_map(|task| self.tasks.get(task));
        for share in tasks.map(|task| &task.share) {
            left.cpu -= share.cpu;
            left.memory -= share.memory;
            left.tcp.extend(&share.tcp);
            left.udp.extend(&share.udp);
            left.gpus.retain(|gpu| !share.gpu_ids.contains(gpu));
        }
        left
    }

    /// Chooses an instance and the GPUs on it.
    ///
    /// # Errors
    /// One failure per instance of the cluster, saying why it is not suitable; none when there is no instance.
    pub(crate) fn place(&mut self, seeker: &Seeker<'_>) -> Result<(String, Vec<String>), Vec<ecs::Failure>> {
        let mut fitting = Vec::new();
        let mut failures = Vec::new();
        for (arn, instance) in &self.instances {
            if instance.cluster != seeker.cluster || instance.status != InstanceStatus::Active {
                continue;
            }
            if seeker.launch_type == Some("EXTERNAL") && !instance.is_external() {
                continue;
            }
            match self.fits(arn, instance, seeker) {
                Ok(gpus) => fitting.push((arn.clone(), gpus)),
                Err((reason, detail)) => {
                    failures.push(ecs::Failure { arn: Some(arn.clone()), reason: Some(reason.to_owned()), detail })
                }
            }
        }
        if fitting.is_empty() {
            return Err(failures);
        }
        self.narrow(&mut fitting, seeker);
        // Invariant: narrowing keeps at least one.
        fitting.into_iter().next().ok_or(failures)
    }

    /// Whether a task fits an instance: the GPUs that it would get, or the reason why not.
    pub(crate) fn fits(
        &self,
        arn: &str,
        instance: &Instance,
        seeker: &Seeker<'_>,
    ) -> Result<Vec<String>, (&'static str, Option<String>)> {
        if instance.acs.is_none() {
            return Err(("AGENT", None));
        }
        let lacking = seeker.definition.requires_attributes.iter().find(|required| {
            instance
                .attributes
                .get(&required.name)
                .is_none_or(|value| required.value.is_some() && *value != required.value)
        });
        if let Some(lacking) = lacking {
            return Err(("ATTRIBUTE", Some(format!("The instance lacks {}.", lacking.name))));
        }
        for query in &seeker.constraints.member_of {
            if !query.holds(&|subject| self.facts(arn, instance, subject)) {
                return Err(("MemberOf placement constraint unsatisfied.", None));
            }
        }
        let mut there = self.live.get(arn).into_iter().flatten().filter_map(|task| self.tasks.get(task));
        if seeker.constraints.distinct && there.any(|task| task.shape.group.as_deref() == Some(seeker.group)) {
            return Err(("DistinctInstance placement constraint unsatisfied.", None));
        }
        let (left, share) = (self.remaining(arn, instance), seeker.share);
        if share.cpu > left.cpu {
            return Err(("RESOURCE:CPU", None));
        }
        if share.memory > left.memory {
            return Err(("RESOURCE:MEMORY", None));
        }
        let taken = |ports: &[i64], used: &[i64]| ports.iter().any(|port| used.contains(port));
        if taken(&share.tcp, &left.tcp) || taken(&share.udp, &left.udp) {
            return Err(("RESOURCE:PORTS", None));
        }
        let gpus = share.gpu_count();
        if gpus > left.gpus.len() {
            return Err(("RESOURCE:GPU", None));
        }
        Ok(left.gpus.into_iter().take(gpus).collect())
    }

    /// Applies the strategy's rules one after the other; each keeps the best by its measure.
    fn narrow(&mut self, fitting: &mut Vec<(String, Vec<String>)>, seeker: &Seeker<'_>) {
        for rule in seeker.strategy {
            let field = rule.field.as_deref().unwrap_or("");
            match rule.kind.as_str() {
                "binpack" => {
                    let cpu = field.eq_ignore_ascii_case("cpu");
                    self.keep_least(fitting, |plane, arn, instance| {
                        let left = plane.remaining(arn, instance);
                        if cpu { left.cpu } else { left.memory }
                    });
                }
                "spread" => {
                    self.keep_least(fitting, |plane, arn, instance| plane.crowd(arn, instance, field, seeker.group));
                }
                _ => {
                    let chosen = self.dice.below(fitting.len());
                    fitting.swap(0, chosen);
                    fitting.truncate(1);
                }
            }
        }
        if seeker.strategy.is_empty() {
            self.keep_least(fitting, |plane, arn, _| plane.live.get(arn).map_or(0, |tasks| tasks.len() as i64));
        }
    }

    fn keep_least(&self, fitting: &mut Vec<(String, Vec<String>)>, measure: impl Fn(&Self, &str, &Instance) -> i64) {
        let measured: Vec<i64> = fitting
            .iter()
            .map(|(arn, _)| self.instances.get(arn).map_or(i64::MAX, |instance| measure(self, arn, instance)))
            .collect();
        let least = measured.iter().min().copied().unwrap_or(0);
        let mut at = measured.into_iter();
        fitting.retain(|_| at.next() == Some(least));
    }

    /// How many tasks of the group run on instances that share the instance's value of a field.
    fn crowd(&self, arn: &str, instance: &Instance, field: &str, group: &str) -> i64 {
        let value = |arn: &str, instance: &Instance| match field {
            "instanceId" | "host" => Some(arn.to_owned()),
            field => instance.attributes.get(field.trim_start_matches("attribute:")).cloned().flatten(),
        };
        let own = value(arn, instance);
        let alike = self.instances.iter().filter(|(other, i)| value(other, i) == own);
        let tasks = alike.flat_map(|(other, _)| self.live.get(other).into_iter().flatten());
        tasks.filter_map(|task| self.tasks.get(task)).filter(|task| task.shape.group.as_deref() == Some(group)).count()
            as i64
    }
}
