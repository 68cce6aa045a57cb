//! Who holds which share of the host: CPU, memory, ports, GPUs (spec 20 §3.2).
//!
//! The reference lets the first task that does not fit hold back all behind it. Here a later task that
//! fits passes, until the first has waited for [`PATIENCE`]; from then on what it lacks is kept for it, and
//! nothing else.

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
    queue: Vec<Waiting>,
}

/// A task in line.
#[derive(Debug, Clone)]
struct Waiting {
    task: TaskId,
    request: Request,
    since: Mono,
    /// What of its request was not there, at any moment of its wait. It stays so until all is there: two things
    /// that come free in turns would otherwise be given away in turns.
    lacked: Request,
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
        self.queue.iter().any(|waiting| waiting.task == *task)
    }

    /// Whether nobody holds anything or waits for it.
    pub fn is_at_rest(&self) -> bool {
        self.held.is_empty()
            && self.queue.is_empty()
            && self.used_cpu == 0
            && self.used_memory_mib == 0
            && self.used_tcp.is_empty()
            && self.used_udp.is_empty()
            && self.used_gpus.is_empty()
    }

    /// Asks for a share; `Err` says for people what is lacking, and the task waits in line.
    pub fn ask(&mut self, task: &TaskId, request: Request, now: Mono) -> Result<(), String> {
        if self.held.contains_key(task) {
            return Ok(());
        }
        match self.obstacle(task, &request, now) {
            None => {
                self.leave_line(task);
                self.take(task.clone(), request);
                Ok(())
            }
            Some(lack) => {
                if !self.is_waiting(task) {
                    self.queue.push(Waiting { task: task.clone(), request, since: now, lacked: Request::default() });
                    self.see_lacks();
                }
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
        self.see_lacks();
    }

    /// Gives a share back, or leaves the line.
    pub fn release(&mut self, task: &TaskId) {
        self.leave_line(task);
        self.release_held(task);
    }

    /// Serves the line: the tasks that now have their share, in order.
    pub fn serve(&mut self, now: Mono) -> Vec<TaskId> {
        let mut served = Vec::new();
        for Waiting { task, request, .. } in self.queue.clone() {
            if self.obstacle(&task, &request, now).is_none() {
                self.leave_line(&task);
                self.take(task.clone(), request);
                served.push(task);
            }
        }
        served
    }

    fn leave_line(&mut self, task: &TaskId) {
        self.queue.retain(|waiting| waiting.task != *task);
    }

    fn release_held(&mut self, task: &TaskId) {
        let Some(request) = self.held.remove(task) else { return };
        self.used_cpu -= request.cpu;
        self.used_memory_mib -= request.memory_mib;
        self.used_tcp.retain(|_, holder| holder != task);
        self.used_udp.retain(|_, holder| holder != task);
        self.used_gpus.retain(|_, holder| holder != task);
    }

    /// Remembers what those in line lack now.
    fn see_lacks(&mut self) {
        let (free_cpu, free_memory) = (self.free_cpu(), self.free_memory_mib());
        for Waiting { request, lacked, .. } in &mut self.queue {
            if request.cpu > free_cpu {
                lacked.cpu = request.cpu;
            }
            if request.memory_mib > free_memory {
                lacked.memory_mib = request.memory_mib;
            }
            lacked.ports_tcp.extend(request.ports_tcp.iter().filter(|port| self.used_tcp.contains_key(port)));
            lacked.ports_udp.extend(request.ports_udp.iter().filter(|port| self.used_udp.contains_key(port)));
            lacked.gpus.extend(request.gpus.iter().filter(|gpu| self.used_gpus.contains_key(*gpu)).cloned());
        }
    }

    fn free_cpu(&self) -> u64 {
        self.cpu.saturating_sub(self.used_cpu)
    }

    fn free_memory_mib(&self) -> u64 {
        self.memory_mib.saturating_sub(self.used_memory_mib)
    }

    /// Why this request cannot be served now, for people.
    fn obstacle(&self, task: &TaskId, request: &Request, now: Mono) -> Option<String> {
        self.lack(request).or_else(|| self.kept_for_others(task, request, now))
    }

    /// What the host lacks for this request, for people.
    fn lack(&self, request: &Request) -> Option<String> {
        let free_cpu = self.free_cpu();
        if request.cpu > free_cpu {
            return Some(format!("needs {} CPU units, {free_cpu} of {} are free", request.cpu, self.cpu));
        }
        let free = self.free_memory_mib();
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
        for waiting in &self.queue {
            if waiting.task == *task {
                return None;
            }
            // Keeping things for a request that can never be served would starve everyone.
            if now - waiting.since < PATIENCE || !self.is_possible(&waiting.request) {
                continue;
            }
            let kept = &waiting.lacked;
            // CPU and memory would lie idle for as long as another holds a port or a GPU that is needed with them.
            if !self.is_held_elsewhere(&waiting.request) {
                cpu += kept.cpu;
                memory += kept.memory_mib;
            }
            if (request.cpu > 0 && cpu > self.free_cpu())
                || (request.memory_mib > 0 && memory > self.free_memory_mib())
                || !request.ports_tcp.is_disjoint(&kept.ports_tcp)
                || !request.ports_udp.is_disjoint(&kept.ports_udp)
                || !request.gpus.is_disjoint(&kept.gpus)
            {
                return Some(format!("task {} has waited longer for the same", waiting.task));
            }
        }
        None
    }

    /// Whether the empty host could serve this request.
    fn is_possible(&self, request: &Request) -> bool {
        request.cpu <= self.cpu
            && request.memory_mib <= self.memory_mib
            && request.ports_tcp.is_disjoint(&self.reserved_tcp)
            && request.ports_udp.is_disjoint(&self.reserved_udp)
            && request.gpus.is_subset(&self.gpus)
    }

    /// Whether another task holds one of its ports or GPUs.
    fn is_held_elsewhere(&self, request: &Request) -> bool {
        request.ports_tcp.iter().any(|port| self.used_tcp.contains_key(port))
            || request.ports_udp.iter().any(|port| self.used_udp.contains_key(port))
            || request.gpus.iter().any(|gpu| self.used_gpus.contains_key(gpu))
    }
}

#[cfg(test)]
mod tests;
