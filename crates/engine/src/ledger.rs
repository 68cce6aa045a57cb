//! Who holds which share of the host: CPU, memory, ports, GPUs (spec 20 §3.2).
//!
//! The reference lets the first task that does not fit hold back all behind it. Here a later task that
//! fits passes, until the first has waited for [`PATIENCE`]; from then on what it lacks is kept for it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use wire::ids::TaskId;

use crate::time::Mono;

/// How long a waiting task lets others pass.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What a task asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// 1024 a core.
    pub cpu: u64,
    pub memory_mib: u64,
    pub ports_tcp: BTreeSet<u16>,
    pub ports_udp: BTreeSet<u16>,
    pub gpus: BTreeSet<String>,
}

/// What there is, who holds it, and who waits.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    cpu: u64,
    memory_mib: u64,
    reserved_tcp: BTreeSet<u16>,
    reserved_udp: BTreeSet<u16>,
    gpus: BTreeSet<String>,
    held: BTreeMap<TaskId, Request>,
    used_cpu: u64,
    used_memory_mib: u64,
    used_tcp: BTreeMap<u16, TaskId>,
    used_udp: BTreeMap<u16, TaskId>,
    used_gpus: BTreeMap<String, TaskId>,
    /// In order of arrival.
    queue: Vec<(TaskId, Request, Mono)>,
}

/// The capacity of a host, and how much of it is given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    pub cpu: u64,
    pub memory_mib: u64,
    pub used_cpu: u64,
    pub used_memory_mib: u64,
}

impl Ledger {
    pub fn new(
        cpu: u64,
        memory_mib: u64,
        reserved_tcp: impl IntoIterator<Item = u16>,
        reserved_udp: impl IntoIterator<Item = u16>,
        gpus: impl IntoIterator<Item = String>,
    ) -> Self {
        Self {
            cpu,
            memory_mib,
            reserved_tcp: reserved_tcp.into_iter().collect(),
            reserved_udp: reserved_udp.into_iter().collect(),
            gpus: gpus.into_iter().collect(),
            ..Self::default()
        }
    }

    pub fn totals(&self) -> Totals {
        Totals {
            cpu: self.cpu,
            memory_mib: self.memory_mib,
            used_cpu: self.used_cpu,
            used_memory_mib: self.used_memory_mib,
        }
    }

    pub fn holds(&self, task: &TaskId) -> bool {
        self.held.contains_key(task)
    }

    pub fn is_waiting(&self, task: &TaskId) -> bool {
        self.queue.iter().any(|(id, ..)| id == task)
    }

    /// Asks for a share; `Err` says for people what is lacking, and the task waits in line.
    pub fn ask(&mut self, task: &TaskId, request: Request, now: Mono) -> Result<(), String> {
        if self.held.contains_key(task) {
            return Ok(());
        }
        if self.is_waiting(task) {
            return Err(self.obstacle(task, &request, now).unwrap_or_default());
        }
        match self.obstacle(task, &request, now) {
            None => {
                self.take(task.clone(), request);
                Ok(())
            }
            Some(lack) => {
                self.queue.push((task.clone(), request, now));
                Err(lack)
            }
        }
    }

    /// Takes a share without asking: for tasks that ran before this process began.
    pub fn take(&mut self, task: TaskId, request: Request) {
        self.release_held(&task);
        self.used_cpu += request.cpu;
        self.used_memory_mib += request.memory_mib;
        self.used_tcp.extend(request.ports_tcp.iter().map(|port| (*port, task.clone())));
        self.used_udp.extend(request.ports_udp.iter().map(|port| (*port, task.clone())));
        self.used_gpus.extend(request.gpus.iter().map(|gpu| (gpu.clone(), task.clone())));
        self.held.insert(task, request);
    }

    /// Gives a share back, or leaves the line.
    pub fn release(&mut self, task: &TaskId) {
        self.queue.retain(|(id, ..)| id != task);
        self.release_held(task);
    }

    /// Serves the line: the tasks that now have their share, in order.
    pub fn serve(&mut self, now: Mono) -> Vec<TaskId> {
        let mut served = Vec::new();
        for (task, request, _) in self.queue.clone() {
            if self.obstacle(&task, &request, now).is_none() {
                self.queue.retain(|(id, ..)| *id != task);
                self.take(task.clone(), request);
                served.push(task);
            }
        }
        served
    }

    fn release_held(&mut self, task: &TaskId) {
        let Some(request) = self.held.remove(task) else { return };
        self.used_cpu -= request.cpu;
        self.used_memory_mib -= request.memory_mib;
        self.used_tcp.retain(|_, holder| holder != task);
        self.used_udp.retain(|_, holder| holder != task);
        self.used_gpus.retain(|_, holder| holder != task);
    }

    /// Why this request cannot be served now, for people.
    fn obstacle(&self, task: &TaskId, request: &Request, now: Mono) -> Option<String> {
        self.lack(request).or_else(|| self.kept_for_others(task, request, now))
    }

    /// What the host lacks for this request, for people.
    fn lack(&self, request: &Request) -> Option<String> {
        let free_cpu = self.cpu.saturating_sub(self.used_cpu);
        if request.cpu > free_cpu {
            return Some(format!("needs {} CPU units, {free_cpu} of {} are free", request.cpu, self.cpu));
        }
        let free = self.memory_mib.saturating_sub(self.used_memory_mib);
        if request.memory_mib > free {
            return Some(format!("needs {} MiB of memory, {free} of {} are free", request.memory_mib, self.memory_mib));
        }
        for (wanted, reserved, used, protocol) in [
            (&request.ports_tcp, &self.reserved_tcp, &self.used_tcp, "tcp"),
            (&request.ports_udp, &self.reserved_udp, &self.used_udp, "udp"),
        ] {
            for port in wanted {
                if let Some(holder) = used.get(port) {
                    return Some(format!("needs host port {port}/{protocol}, which task {holder} holds"));
                }
                if reserved.contains(port) {
                    return Some(format!("needs host port {port}/{protocol}, which is reserved on this instance"));
                }
            }
        }
        request.gpus.iter().find_map(|gpu| match self.used_gpus.get(gpu) {
            Some(holder) => Some(format!("needs GPU {gpu}, which task {holder} holds")),
            None => (!self.gpus.contains(gpu)).then(|| format!("needs GPU {gpu}, which this host does not have")),
        })
    }

    /// What is kept for tasks that have waited too long.
    fn kept_for_others(&self, task: &TaskId, request: &Request, now: Mono) -> Option<String> {
        let (mut cpu, mut memory) = (request.cpu, request.memory_mib);
        for (other, wanted, since) in &self.queue {
            if other == task {
                return None;
            }
            if now - *since < PATIENCE {
                continue;
            }
            let collides = !request.ports_tcp.is_disjoint(&wanted.ports_tcp)
                || !request.ports_udp.is_disjoint(&wanted.ports_udp)
                || !request.gpus.is_disjoint(&wanted.gpus);
            cpu += wanted.cpu;
            memory += wanted.memory_mib;
            let over_cpu = request.cpu > 0 && cpu > self.cpu.saturating_sub(self.used_cpu);
            let over_memory = request.memory_mib > 0 && memory > self.memory_mib.saturating_sub(self.used_memory_mib);
            // A request beyond the whole host can never be served; keeping things for it would starve everyone.
            let is_possible = wanted.cpu <= self.cpu && wanted.memory_mib <= self.memory_mib;
            if is_possible && (collides || over_cpu || over_memory) {
                return Some(format!("task {other} has waited longer for the same"));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
