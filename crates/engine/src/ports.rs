//! Host ports that the agent chooses (spec 20 §4.4): upward from the last one given out, one search at
//! a time, never one that another task of ours was given.

use std::collections::{BTreeMap, VecDeque};

use wire::ids::TaskId;

use crate::effect::{Effect, Protocol};

/// A search that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    pub task: TaskId,
    pub container: usize,
    pub mapping: usize,
    pub protocol: Protocol,
    pub count: u16,
}

/// Which ports are given out and where to look next.
#[derive(Debug, Clone)]
pub struct PortChooser {
    range: (u16, u16),
    last: Option<u16>,
    given: BTreeMap<(Protocol, u16), TaskId>,
    queue: VecDeque<Search>,
    /// The search that is out, and where its second half ends if it has one.
    current: Option<Current>,
}

#[derive(Debug, Clone)]
struct Current {
    search: Search,
    /// Invariant: at most two passes, from the last port to the end and from the beginning.
    is_second_pass: bool,
}

/// What became of a search.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    Ports {
        search: Search,
        first: u16,
    },
    /// Look once more.
    Again(Effect),
    /// For the reason `HostConfigError: error retrieving docker port map: …`.
    None {
        search: Search,
        text: String,
    },
}

impl Found {
    fn none(search: Search) -> Self {
        let text = match search.count {
            1 => "a host port is unavailable".to_owned(),
            n => format!("{n} contiguous host ports are unavailable"),
        };
        Self::None { search, text }
    }
}

impl PortChooser {
    pub const fn new(range: (u16, u16)) -> Self {
        Self { range, last: None, given: BTreeMap::new(), queue: VecDeque::new(), current: None }
    }

    pub fn want(&mut self, search: Search) {
        self.queue.push_back(search);
    }

    /// Whether ports are given to the task.
    pub fn holds(&self, task: &TaskId) -> bool {
        self.given.values().any(|holder| holder == task)
    }

    /// Whether no port is given and none is looked for.
    pub fn is_at_rest(&self) -> bool {
        self.given.is_empty() && self.queue.is_empty() && self.current.is_none()
    }

    /// Ports that a restored task holds.
    pub fn restore(&mut self, task: &TaskId, protocol: Protocol, first: u16, count: u16) {
        for port in first..=first.saturating_add(count.saturating_sub(1)) {
            self.given.insert((protocol, port), task.clone());
        }
    }

    /// Ports are free again; nobody waits for them.
    pub fn release(&mut self, task: &TaskId) {
        self.given.retain(|_, holder| holder != task);
        self.queue.retain(|search| search.task != *task);
    }

    /// The next search to make, if none is out.
    pub fn next_search(&mut self) -> Option<Effect> {
        if self.current.is_some() {
            return None;
        }
        let search = self.queue.pop_front()?;
        let from = match self.last {
            Some(last) if last < self.range.1 => last + 1,
            _ => self.range.0,
        };
        let is_second_pass = from == self.range.0;
        let effect = self.effect(&search, from);
        self.current = Some(Current { search, is_second_pass });
        Some(effect)
    }

    fn effect(&self, search: &Search, from: u16) -> Effect {
        Effect::FindHostPorts { protocol: search.protocol, count: search.count, from, to: self.range.1 }
    }

    /// The answer to the search that is out: the first port of a run, or none.
    pub fn answered(&mut self, first: Option<u16>) -> Option<Found> {
        let current = self.current.take()?;
        let search = current.search;
        let Some(first) = first else {
            if current.is_second_pass {
                return Some(Found::none(search));
            }
            return Some(self.look_from(search, self.range.0, true));
        };
        let last = first.saturating_add(search.count - 1);
        let taken = (first..=last).rev().find(|port| self.given.contains_key(&(search.protocol, *port)));
        if let Some(taken) = taken {
            // Free by the kernel's word, but given to a container that has not bound it yet.
            return Some(if taken >= self.range.1 {
                if current.is_second_pass { Found::none(search) } else { self.look_from(search, self.range.0, true) }
            } else {
                self.look_from(search, taken + 1, current.is_second_pass)
            });
        }
        for port in first..=last {
            self.given.insert((search.protocol, port), search.task.clone());
        }
        self.last = Some(last);
        Some(Found::Ports { search, first })
    }

    fn look_from(&mut self, search: Search, from: u16, is_second_pass: bool) -> Found {
        let effect = self.effect(&search, from);
        self.current = Some(Current { search, is_second_pass });
        Found::Again(effect)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn search(task: &str, count: u16) -> Search {
        Search { task: TaskId::from(task), container: 0, mapping: 0, protocol: Protocol::Tcp, count }
    }

    fn from(effect: &Effect) -> u16 {
        match effect {
            Effect::FindHostPorts { from, .. } => *from,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn ports_go_upward_and_are_never_given_twice() {
        let mut ports = PortChooser::new((100, 104));
        ports.want(search("a", 1));
        ports.want(search("b", 1));
        assert_eq!(from(&ports.next_search().unwrap()), 100);
        assert!(ports.next_search().is_none(), "one search at a time");
        assert_eq!(ports.answered(Some(100)), Some(Found::Ports { search: search("a", 1), first: 100 }));
        assert_eq!(from(&ports.next_search().unwrap()), 101);
        ports.answered(Some(104)).unwrap();
        ports.want(search("c", 1));
        assert_eq!(from(&ports.next_search().unwrap()), 100, "it begins anew at the end of the range");
        let Some(Found::Again(next)) = ports.answered(Some(100)) else { panic!("100 is given") };
        assert_eq!(from(&next), 101);
    }

    #[test]
    fn a_search_looks_at_the_whole_range_and_then_gives_up() {
        let mut ports = PortChooser::new((100, 104));
        ports.want(search("a", 1));
        ports.next_search();
        ports.answered(Some(102)).unwrap();
        ports.want(search("b", 3));
        assert_eq!(from(&ports.next_search().unwrap()), 103);
        let Some(Found::Again(second)) = ports.answered(None) else { panic!("a second pass") };
        assert_eq!(from(&second), 100);
        let Some(Found::None { text, .. }) = ports.answered(None) else { panic!("no ports") };
        assert_eq!(text, "3 contiguous host ports are unavailable");
        ports.release(&TaskId::from("a"));
        ports.want(search("c", 1));
        ports.next_search();
        assert!(matches!(ports.answered(Some(102)), Some(Found::Ports { .. })));
    }

    #[test]
    fn a_range_whose_last_port_is_given_says_how_many_were_wanted() {
        let mut ports = PortChooser::new((100, 104));
        ports.want(search("a", 1));
        ports.next_search();
        ports.answered(Some(104)).unwrap();
        ports.want(search("b", 3));
        ports.next_search();
        let Some(Found::None { text, .. }) = ports.answered(Some(102)) else { panic!("104 is given") };
        assert_eq!(text, "3 contiguous host ports are unavailable");
    }
}
