//! What goes wrong in the world at large: the agent dies, the container engine goes away, somebody meddles.

use std::time::Duration;

use engine::effect::Connection;
use engine::event::Closing;
use engine::{Effect, Event, Failure, FailureKind, Outcome};

use super::{Happening, Stop, World};
use crate::UnderWay;
use crate::daemon::{Status, is_docker};

impl World {
    pub(super) fn crashes_here(&mut self, count: usize) -> bool {
        self.crash_points += 1;
        match self.options.crash_point {
            Some(point) => point == self.crash_points,
            None if self.is_calm => false,
            None => {
                let share = u32::try_from(count + 2).unwrap_or(2);
                self.crashes.chance(self.profile.crash / f64::from(share))
            }
        }
    }

    /// The agent's process ends; what is under way may still take place, and nobody hears of it.
    pub(super) fn crash(&mut self, when: &str) -> Result<(), Stop> {
        self.note(|| format!("fault   the agent ends {when}"));
        let old = self.life;
        self.life += 1;
        self.engine = None;
        self.in_flight.clear();
        self.driver.forget();
        self.stream = None;
        self.service.acs = None;
        self.service.tcs = None;
        let heap = std::mem::take(&mut self.heap);
        for ((at, sequence), what) in heap {
            match what {
                Happening::Tell { .. } | Happening::Answer { .. } => {}
                Happening::Apply { life, id, effect, limit, .. } if life == old => {
                    let is_kept = match self.options.under_way {
                        Some(what) => what == UnderWay::Kept,
                        None => self.crashes.chance(0.5),
                    };
                    if !is_kept {
                        continue;
                    }
                    let at =
                        if is_docker(&effect) { at.min(self.now + self.crashes.millis(0, 10_000)) } else { self.now };
                    self.heap.insert((at, sequence), Happening::Apply { life, id, effect, reply: None, limit });
                }
                what => {
                    self.heap.insert((at, sequence), what);
                }
            }
        }
        let pause = if self.crashes.chance(0.5) { self.crashes.millis(10, 500) } else { self.crashes.seconds(1, 30) };
        self.put(self.now + pause, Happening::Boot);
        Ok(())
    }

    /// The container engine ends, and with it all calls and, mostly, all containers.
    pub(super) fn daemon_down(&mut self) {
        if self.is_calm {
            return;
        }
        let kills = self.faults.chance(0.6);
        self.note(|| format!("fault   container engine goes down{}", if kills { " with all containers" } else { "" }));
        if kills {
            let ids: Vec<String> = self.daemon.containers.keys().cloned().collect();
            for id in ids {
                self.daemon.kill(&id, 137, self.moment());
                self.oracle.saw_exit(&id, 137, &self.daemon, self.now);
            }
        }
        self.daemon.go_down();
        let (now, life) = (self.now, self.life);
        for what in self.heap.values_mut() {
            if let Happening::Answer { outcome, is_docker: true, .. } = what {
                let text = "error during connect: Post \"http://docker/v1.41\": EOF";
                *outcome = Outcome::Failed(Failure::new(FailureKind::Other, text));
            }
        }
        if let Some(id) = self.stream.take() {
            let outcome = Outcome::Failed(Failure::new(FailureKind::Other, "unexpected EOF"));
            self.put(now, Happening::Answer { life, id, outcome, is_docker: true });
        }
        let up = self.now + self.faults.seconds(1, 90);
        self.put(up, Happening::DaemonUp);
    }

    /// Somebody kills, removes or starts a container behind the agent's back.
    pub(super) fn meddle(&mut self) {
        if self.faults.chance(0.15) {
            let names: Vec<String> =
                self.daemon.images.local.values().flat_map(|image| image.tags.iter().cloned()).collect();
            if names.is_empty() {
                return;
            }
            let name = self.faults.pick(&names).clone();
            self.note(|| format!("fault   somebody removes the name {name}"));
            let used: Vec<String> = self.daemon.containers.values().map(|c| c.image.clone()).collect();
            self.daemon.images.untag(&name, |id| used.iter().any(|used| used == id));
            return;
        }
        let ids: Vec<String> = self.daemon.containers.keys().cloned().collect();
        if ids.is_empty() {
            return;
        }
        let id = self.faults.pick(&ids).clone();
        let events = match self.faults.between(0, 2) {
            0 => {
                self.note(|| format!("fault   somebody kills {}", &id[..12]));
                self.oracle.saw_exit(&id, 137, &self.daemon, self.now);
                self.daemon.kill(&id, 137, self.moment())
            }
            1 => {
                self.note(|| format!("fault   somebody removes {}", &id[..12]));
                self.oracle.saw_exit(&id, 137, &self.daemon, self.now);
                self.oracle.removed(&id, self.now);
                self.daemon.remove(&id).events
            }
            _ => {
                if self.daemon.containers.get(&id).is_none_or(|c| c.status != Status::Exited || c.is_dead) {
                    return;
                }
                self.note(|| format!("fault   somebody starts {}", &id[..12]));
                let effect = Effect::StartContainer { id, api_version: None, deadline: Duration::ZERO };
                let done = self.daemon.perform(&effect, self.moment(), &mut self.ids, &self.behaviors);
                self.daemon.offences.clear();
                self.later(done.later);
                done.events
            }
        };
        self.emit(events);
    }

    /// Whether nothing that goes over a connection arrives; it may begin now, and it ends with a cut.
    pub(super) fn is_deaf(&mut self, connection: Connection) -> bool {
        if self.service.deaf == Some(connection) {
            return true;
        }
        if self.service.acs != Some(connection) || !self.more.chance(self.profile.deaf) {
            return false;
        }
        self.note(|| format!("fault   {connection:?} brings nothing any more"));
        self.service.deaf = Some(connection);
        let cut = if self.more.chance(0.5) { self.more.millis(0, 50) } else { self.more.seconds(0, 60) };
        self.put(self.now + cut, Happening::CutDeaf(connection));
        true
    }

    /// The task of this number, where it is due so soon that it comes in the same payload as the one before.
    pub(super) fn next_in_batch(&mut self, number: usize) -> Option<usize> {
        let order = self.service.orders.get(number)?;
        let is_next = order.at < self.now + Duration::from_secs(120) && !self.service.is_asked(number);
        (is_next && self.more.chance(self.profile.batch)).then_some(number)
    }

    /// A part of a call takes place: some containers of a report are taken, an image loses its name and stays, or a
    /// container that was to be removed is dead and stays.
    pub(super) fn apply_half(&mut self, life: u64, effect: &Effect) -> Result<(), Stop> {
        match effect {
            Effect::SubmitTask { request, .. } => self.service.submit_half(request),
            Effect::RemoveImage { image, .. } if !self.daemon.is_down && !image.starts_with("sha256:") => {
                self.daemon.images.untag(image, |_| true);
                if life == self.life {
                    crate::oracle::check_gone(self, std::slice::from_ref(image), None)?;
                }
            }
            Effect::RemoveContainer { id, .. } if !self.daemon.is_down => self.daemon.remove_half(id),
            _ => {}
        }
        Ok(())
    }

    pub(super) fn cut_socket(&mut self) {
        let acs = self.faults.chance(0.7);
        let slot = if acs { &mut self.service.acs } else { &mut self.service.tcs };
        if let Some(connection) = slot.take() {
            self.cut(connection);
        }
    }

    pub(super) fn cut(&mut self, connection: Connection) {
        let text = "connection reset by peer".to_owned();
        let how = if self.faults.chance(0.5) { Closing::Valid { text } } else { Closing::Error { text } };
        self.note(|| format!("fault   {connection:?} is cut"));
        self.put(self.now, Happening::Tell { life: self.life, event: Event::Closed { connection, how } });
    }
}
