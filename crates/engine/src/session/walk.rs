//! Random walks: whatever happens, and in whatever order, the sessions keep their promises.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use super::*;
use crate::event::FailureKind;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Opening,
    Open,
    /// The peer was asked to close.
    Farewelled,
}

/// The other side of the wants, keeping the books that the promises are checked with.
struct World {
    sessions: Sessions,
    config: EngineConfig,
    arn: ContainerInstanceArn,
    rng: Rng,
    dice: Rng,
    now: Mono,
    is_asked: bool,
    lines: BTreeMap<Connection, Line>,
    /// Connections that ended, for late news.
    old: Vec<Connection>,
    /// When each socket was dialled.
    dialled: Vec<(Socket, Mono)>,
}

impl World {
    fn act(&mut self, act: impl FnOnce(&mut Sessions, Now, &mut SessionContext<'_>)) -> usize {
        let mut wants = Vec::new();
        let now = Now { mono: self.now, wall: jiff::Timestamp::UNIX_EPOCH };
        let mut cx =
            SessionContext { instance_arn: &self.arn, config: &self.config, rng: &mut self.rng, wants: &mut wants };
        act(&mut self.sessions, now, &mut cx);
        let count = wants.len();
        for want in wants {
            self.carry_out(want);
        }
        self.check();
        count
    }

    fn carry_out(&mut self, want: SessionWant) {
        match want {
            SessionWant::Discover { deadline, .. } => {
                assert!(!self.is_asked, "two discoveries at once");
                assert!(deadline > Duration::ZERO);
                self.is_asked = true;
            }
            SessionWant::Open { connection, .. } => {
                assert!(
                    self.lines.keys().all(|line| line.socket != connection.socket),
                    "a second connection: {connection:?}"
                );
                assert!(!self.old.contains(&connection), "a number used twice");
                self.lines.insert(connection, Line::Opening);
                self.dialled.push((connection.socket, self.now));
            }
            SessionWant::Close { connection, farewell: None } => {
                self.lines.remove(&connection).expect("only what exists is dropped");
                self.old.push(connection);
            }
            SessionWant::Close { connection, farewell: Some(_) } => {
                let line = self.lines.insert(connection, Line::Farewelled);
                assert_eq!(line, Some(Line::Open), "a farewell belongs on an open connection, once");
            }
            SessionWant::Told(_) => {}
        }
    }

    fn check(&self) {
        for socket in [Socket::Acs, Socket::Tcs] {
            let line = self.lines.iter().find(|(connection, _)| connection.socket == socket);
            let session = self.sessions.session(socket);
            assert_eq!(session.current(), line.map(|(connection, _)| *connection));
            let sends = line.filter(|(_, line)| **line == Line::Open).map(|(connection, _)| *connection);
            assert_eq!(session.connection(), sends);
            let is_alive = match line {
                Some((_, Line::Opening)) => true,
                Some((_, Line::Open | Line::Farewelled)) => session.deadline().is_some(),
                None if session.is_seeking() => self.is_asked || self.sessions.discovery.deadline().is_some(),
                None => session.deadline().is_some(),
            };
            assert!(is_alive, "{socket:?} is stuck: {session:?}");
        }
        assert_eq!(self.sessions.discovery.is_asking(), self.is_asked);
    }

    fn text(&mut self) -> String {
        ["reset", "InactiveInstanceException: x", "AccessDeniedException"][self.dice.below(3) as usize].to_owned()
    }

    fn pick(&mut self, wanted: impl Fn(Line) -> bool) -> Option<Connection> {
        let fitting: Vec<_> =
            self.lines.iter().filter(|(_, line)| wanted(**line)).map(|(connection, _)| *connection).collect();
        let at = self.dice.below(fitting.len() as u64) as usize;
        fitting.get(at).copied()
    }

    fn end(&mut self, connection: Connection, how: &Closing) {
        self.lines.remove(&connection);
        self.old.push(connection);
        self.act(|sessions, now, cx| sessions.on_closed(now, connection, how, cx));
    }

    fn step(&mut self) {
        match self.dice.below(12) {
            0..=1 if self.is_asked => {
                self.is_asked = false;
                let text = self.text();
                let answer = DiscoverPollEndpointResponse {
                    endpoint: (self.dice.below(8) > 0).then(|| "https://a".to_owned()),
                    telemetry_endpoint: (self.dice.below(8) > 0).then(|| "https://t".to_owned()),
                    ..DiscoverPollEndpointResponse::default()
                };
                let result = match self.dice.below(4) {
                    0 => Err(Failure::new(FailureKind::Timeout, text)),
                    1 => Err(Failure::new(FailureKind::Denied, text)),
                    _ => Ok(answer),
                };
                self.act(|sessions, now, cx| sessions.on_discovered(now, result, cx));
            }
            2..=3 => {
                let Some(connection) = self.pick(|line| line == Line::Opening) else { return };
                if self.dice.below(4) > 0 {
                    self.lines.insert(connection, Line::Open);
                    self.act(|sessions, now, cx| sessions.on_opened(now, connection, cx));
                } else {
                    let failure = Failure::new(FailureKind::Denied, self.text());
                    self.lines.remove(&connection);
                    self.old.push(connection);
                    self.act(|sessions, now, cx| sessions.on_refused(now, connection, &failure, cx));
                }
            }
            4..=5 => {
                if let Some(connection) = self.pick(|line| line != Line::Opening) {
                    self.act(|sessions, now, cx| sessions.on_activity(now, connection, cx));
                }
            }
            6 => {
                if let Some(connection) = self.pick(|line| line != Line::Opening) {
                    let text = self.text();
                    let how = if self.dice.below(2) == 0 { Closing::Valid { text } } else { Closing::Error { text } };
                    self.end(connection, &how);
                }
            }
            7 => {
                let at = self.dice.below(self.old.len() as u64) as usize;
                let Some(connection) = self.old.get(at).copied() else { return };
                let before = format!("{:?}", self.sessions);
                let text = self.text();
                let wants = self.act(|sessions, now, cx| {
                    sessions.on_closed(now, connection, &Closing::Valid { text: text.clone() }, cx);
                    sessions.on_closed(now, connection, &Closing::Error { text: text.clone() }, cx);
                    sessions.on_refused(now, connection, &Failure::new(FailureKind::Timeout, text), cx);
                    sessions.on_activity(now, connection, cx);
                });
                assert_eq!((wants, format!("{:?}", self.sessions)), (0, before), "late news did something");
            }
            8..=9 => {
                let span = Duration::from_millis(1 << self.dice.below(17));
                self.pass(span);
            }
            _ => {
                let wait = self.sessions.deadline().map_or(Duration::ZERO, |deadline| deadline - self.now);
                self.pass(wait);
            }
        }
    }

    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        let mut ticks = 0;
        while let Some(deadline) = self.sessions.deadline().filter(|deadline| *deadline <= end) {
            self.now = self.now.max(deadline);
            self.act(|sessions, now, cx| sessions.on_tick(now, cx));
            ticks += 1;
            assert!(ticks < 10_000, "ticks without end");
        }
        self.now = end;
    }

    /// No socket is dialled more often than the guard and the shortest back-off allow.
    fn check_pace(&self) {
        for socket in [Socket::Acs, Socket::Tcs] {
            let times: Vec<Mono> = self.dialled.iter().filter(|(s, _)| *s == socket).map(|(_, at)| *at).collect();
            assert!(times.len() > 3, "the walk did not get anywhere");
            for window in times.windows(24) {
                assert!(window[23] - window[0] > Duration::from_secs(1), "{socket:?} is dialled in a busy loop");
            }
        }
    }
}

#[test]
fn the_promises_hold_on_random_walks() {
    for seed in 0..300 {
        let mut world = World {
            sessions: Sessions::new(),
            config: EngineConfig::default(),
            arn: "arn:i".into(),
            rng: Rng::new(seed),
            dice: Rng::new(seed ^ 0xfeed),
            now: Mono::default(),
            is_asked: false,
            lines: BTreeMap::new(),
            old: Vec::new(),
            dialled: Vec::new(),
        };
        world.act(Sessions::start);
        for _ in 0..1500 {
            world.step();
        }
        world.check_pace();
    }
}

#[test]
fn a_peer_that_closes_at_once_causes_no_busy_loop() {
    for socket in [Socket::Acs, Socket::Tcs] {
        let mut world = World {
            sessions: Sessions::new(),
            config: EngineConfig::default(),
            arn: "arn:i".into(),
            rng: Rng::new(5),
            dice: Rng::new(5),
            now: Mono::default(),
            is_asked: false,
            lines: BTreeMap::new(),
            old: Vec::new(),
            dialled: Vec::new(),
        };
        world.act(Sessions::start);
        world.is_asked = false;
        let answer = DiscoverPollEndpointResponse {
            endpoint: Some("https://a".into()),
            telemetry_endpoint: Some("https://t".into()),
            ..DiscoverPollEndpointResponse::default()
        };
        world.act(|sessions, now, cx| sessions.on_discovered(now, Ok(answer), cx));
        while world.now < Mono(Duration::from_secs(600)) {
            let count = world.dialled.iter().filter(|(dialled, _)| *dialled == socket).count();
            assert!(count < 40, "{socket:?} was dialled {count} times within {:?}", world.now);
            match world.pick(|line| line == Line::Opening) {
                Some(connection) if connection.socket == socket => {
                    world.lines.insert(connection, Line::Open);
                    world.act(|sessions, now, cx| sessions.on_opened(now, connection, cx));
                    world.end(connection, &Closing::Valid { text: "1000".into() });
                }
                Some(other) => world.end(other, &Closing::Error { text: "off".into() }),
                None => {
                    let wait = world.sessions.deadline().map_or(Duration::ZERO, |deadline| deadline - world.now);
                    world.pass(wait);
                }
            }
        }
    }
}
