//! Transcripts: what happens on the left, what the sessions want of it on the right.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fmt::Write as _;

use expect_test::{Expect, expect};

use super::*;
use crate::event::FailureKind;

/// Plays steps and writes down what is wanted, with the time since the start.
struct Play {
    sessions: Sessions,
    config: EngineConfig,
    arn: ContainerInstanceArn,
    rng: Rng,
    now: Mono,
    transcript: String,
}

impl Play {
    fn new() -> Self {
        Self {
            sessions: Sessions::new(),
            config: EngineConfig::default(),
            arn: "arn:i".into(),
            rng: Rng::new(11),
            now: Mono::default(),
            transcript: String::new(),
        }
    }

    fn act(&mut self, act: impl FnOnce(&mut Sessions, Now, &mut SessionContext<'_>)) {
        let mut wants = Vec::new();
        let now = Now { mono: self.now, wall: jiff::Timestamp::UNIX_EPOCH };
        let mut cx =
            SessionContext { instance_arn: &self.arn, config: &self.config, rng: &mut self.rng, wants: &mut wants };
        act(&mut self.sessions, now, &mut cx);
        for want in wants {
            let line = match want {
                SessionWant::Discover { deadline, .. } => format!("discover within {}", render_duration(deadline)),
                SessionWant::Open { connection, url } => {
                    let credentials = url.split('&').find(|pair| pair.starts_with("sendCredentials="));
                    format!("open {} {}", label(connection), credentials.unwrap_or_default())
                }
                SessionWant::Close { connection, farewell: None } => format!("drop {}", label(connection)),
                SessionWant::Close { connection, farewell: Some(farewell) } => {
                    format!("close {}: {} {}", label(connection), farewell.code, farewell.reason)
                }
                SessionWant::Told(note) => format!("({note})"),
            };
            writeln!(self.transcript, "{:.3} {}", self.now.0.as_secs_f64(), line.trim_end()).unwrap();
        }
    }

    /// Lets time pass, with a tick at each deadline.
    fn idle(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(deadline) = self.sessions.deadline().filter(|deadline| *deadline <= end) {
            self.now = self.now.max(deadline);
            self.act(|sessions, now, cx| sessions.on_tick(now, cx));
        }
        self.now = end;
    }

    fn step(&mut self, step: &str) {
        let (verb, rest) = step.split_once(' ').unwrap_or((step, ""));
        let (socket, text) = rest.split_once(' ').unwrap_or((rest, ""));
        match verb {
            "start" => self.act(Sessions::start),
            "shutdown" => self.act(|sessions, _, cx| sessions.shutdown(cx)),
            "idle" => self.idle(rest.parse::<jiff::SignedDuration>().unwrap().unsigned_abs()),
            "discovered" => {
                let (acs, tcs) = match rest {
                    "" => (Some("https://a"), Some("https://t")),
                    "acs only" => (Some("https://a"), None),
                    "tcs only" => (None, Some("https://t")),
                    "ftp" => (Some("ftp://a"), Some("https://t")),
                    other => panic!("{other}"),
                };
                let answer = DiscoverPollEndpointResponse {
                    endpoint: acs.map(str::to_owned),
                    telemetry_endpoint: tcs.map(str::to_owned),
                    ..DiscoverPollEndpointResponse::default()
                };
                self.act(|sessions, now, cx| sessions.on_discovered(now, Ok(answer), cx));
            }
            "undiscovered" => {
                let kind = if rest == "denied" { FailureKind::Denied } else { FailureKind::Unreachable };
                let failure = Failure::new(kind, rest);
                self.act(|sessions, now, cx| sessions.on_discovered(now, Err(failure), cx));
            }
            "opened" | "refused" | "message" | "closed" | "broken" => {
                let connection = self.connection(socket);
                self.act(|sessions, now, cx| match verb {
                    "opened" => sessions.on_opened(now, connection, cx),
                    "refused" => sessions.on_refused(now, connection, &Failure::new(FailureKind::Denied, text), cx),
                    "message" => sessions.on_activity(now, connection, cx),
                    "closed" => sessions.on_closed(now, connection, &Closing::Valid { text: text.into() }, cx),
                    _ => sessions.on_closed(now, connection, &Closing::Error { text: text.into() }, cx),
                });
            }
            other => panic!("unknown step {other}"),
        }
    }

    /// `acs`: the current connection; `acs#1`: that very one.
    fn connection(&self, name: &str) -> Connection {
        let (socket, number) = name.split_once('#').map_or((name, None), |(socket, number)| (socket, Some(number)));
        let socket = if socket == "acs" { Socket::Acs } else { Socket::Tcs };
        match number {
            Some(number) => Connection { socket, number: number.parse().unwrap() },
            None => self.sessions.session(socket).current().expect("a current connection"),
        }
    }
}

fn label(connection: Connection) -> String {
    let socket = if connection.socket == Socket::Acs { "acs" } else { "tcs" };
    format!("{socket}#{}", connection.number)
}

#[track_caller]
fn check(steps: &str, expected: Expect) {
    let mut play = Play::new();
    let steps: Vec<&str> = steps.split(';').map(str::trim).filter(|step| !step.is_empty()).collect();
    for (at, step) in steps.iter().enumerate() {
        // The beginning is the same everywhere; what follows is the test.
        if at > 0 && *step == "up" {
            play.transcript.clear();
            continue;
        }
        play.step(step);
    }
    expected.assert_eq(&play.transcript);
}

/// Both sockets open; the transcript begins after it.
const UP: &str = "start; discovered; opened acs; opened tcs; up;";

#[track_caller]
fn check_up(steps: &str, expected: Expect) {
    check(&format!("{UP}{steps}"), expected);
}

#[test]
fn both_sockets_share_one_discovery() {
    check(
        "start; discovered; opened acs; opened tcs",
        expect![[r#"
                 0.000 discover within 42s
                 0.000 open acs#1 sendCredentials=true
                 0.000 open tcs#1
                 0.000 (connected to ACS)
                 0.000 (connected to TCS)
        "#]],
    );
}

#[test]
fn a_discovery_is_three_attempts() {
    check(
        "start; undiscovered a; idle 10s; undiscovered b; idle 10s; undiscovered c; idle 2s",
        expect![[r#"
            0.000 discover within 42s
            0.958 discover within 42s
            10.630 discover within 42s
            20.000 (endpoints could not be discovered: c)
            20.000 (no connection to ACS: c)
            20.000 (next attempt to connect to ACS in 252.734189ms)
            20.000 (no connection to TCS: c)
            20.000 (next attempt to connect to TCS in 1.14826648s)
            20.253 discover within 42s
        "#]],
    );
}

#[test]
fn a_slow_discovery_ends_within_its_limit() {
    check(
        "start; idle 42s; undiscovered slow; idle 2s; idle 42s; undiscovered slow; idle 4s; idle 40s; undiscovered slow",
        expect![[r#"
            0.000 discover within 42s
            42.958 discover within 42s
            86.630 discover within 39.370255455s
            130.000 (endpoints could not be discovered: slow)
            130.000 (no connection to ACS: slow)
            130.000 (next attempt to connect to ACS in 252.734189ms)
            130.000 (no connection to TCS: slow)
            130.000 (next attempt to connect to TCS in 1.14826648s)
        "#]],
    );
}

#[test]
fn what_is_denied_is_asked_again_after_the_back_off_only() {
    check(
        "start; undiscovered denied; idle 1500ms; discovered",
        expect![[r#"
                 0.000 discover within 42s
                 0.000 (endpoints could not be discovered: denied)
                 0.000 (no connection to ACS: denied)
                 0.000 (next attempt to connect to ACS in 257.638813ms)
                 0.000 (no connection to TCS: denied)
                 0.000 (next attempt to connect to TCS in 1.029744545s)
                 0.258 discover within 42s
                 1.500 open acs#1 sendCredentials=true
                 1.500 open tcs#1
        "#]],
    );
}

#[test]
fn an_old_answer_serves_when_no_new_one_comes() {
    check(
        "start; discovered; opened acs; idle 13h; opened acs; up; broken acs reset; idle 1s; undiscovered denied",
        expect![[r#"
             46800.000 (connection to ACS lost: reset)
             46800.000 (next attempt to connect to ACS in 408.172778ms)
             46800.408 discover within 42s
             46801.000 (endpoints could not be discovered, using the old ones: denied)
             46801.000 open acs#3 sendCredentials=false
        "#]],
    );
}

#[test]
fn a_missing_endpoint_concerns_its_socket_alone() {
    check(
        "start; discovered acs only; idle 1500ms; discovered",
        expect![[r#"
                 0.000 discover within 42s
                 0.000 open acs#1 sendCredentials=true
                 0.000 (no connection to TCS: no telemetry endpoint returned; nil)
                 0.000 (next attempt to connect to TCS in 1.157638813s)
                 1.158 discover within 42s
                 1.500 open tcs#1
        "#]],
    );
    check(
        "start; discovered tcs only; idle 1s; discovered",
        expect![[r#"
                 0.000 discover within 42s
                 0.000 (no connection to ACS: no endpoint returned; nil)
                 0.000 (next attempt to connect to ACS in 257.638813ms)
                 0.000 open tcs#1
                 0.258 discover within 42s
                 1.000 open acs#1 sendCredentials=true
        "#]],
    );
}

#[test]
fn another_scheme_is_an_error() {
    check(
        "start; discovered ftp; idle 800ms",
        expect![[r#"
                 0.000 discover within 42s
                 0.000 (no connection to ACS: endpoint "ftp://a" has neither http nor https as its scheme)
                 0.000 (next attempt to connect to ACS in 257.638813ms)
                 0.000 open tcs#1
                 0.258 (no connection to ACS: endpoint "ftp://a" has neither http nor https as its scheme)
                 0.258 (next attempt to connect to ACS in 404.744545ms)
                 0.662 (no connection to ACS: endpoint "ftp://a" has neither http nor https as its scheme)
                 0.662 (next attempt to connect to ACS in 652.734189ms)
        "#]],
    );
}

#[test]
fn a_valid_close_is_followed_by_the_next_connection_at_once() {
    check_up(
        "idle 30s; closed acs 1000; opened acs; closed tcs eof; opened tcs",
        expect![[r#"
                30.000 (connection to ACS lost: 1000)
                30.000 open acs#2 sendCredentials=false
                30.000 (connected to ACS)
                30.000 (connection to TCS lost: eof)
                30.000 open tcs#2
                30.000 (connected to TCS)
        "#]],
    );
}

#[test]
fn other_ends_are_followed_by_the_back_off() {
    check_up(
        "broken acs reset; idle 1s; refused acs AccessDeniedException: no; idle 1s; refused acs 503; idle 1s;
         broken tcs 1008; idle 2s; refused tcs 500; idle 3s; refused tcs InactiveInstanceException: x; idle 6s",
        expect![[r#"
            0.000 (connection to ACS lost: reset)
            0.000 (next attempt to connect to ACS in 264.339982ms)
            0.264 open acs#2 sendCredentials=false
            1.000 (no connection to ACS: AccessDeniedException: no)
            1.000 (next attempt to connect to ACS in 390.395556ms)
            1.390 open acs#3 sendCredentials=false
            2.000 (no connection to ACS: 503)
            2.000 (next attempt to connect to ACS in 633.172778ms)
            2.633 open acs#4 sendCredentials=false
            3.000 (connection to TCS lost: 1008)
            3.000 (next attempt to connect to TCS in 1.13254847s)
            4.133 open tcs#2
            5.000 (no connection to TCS: 500)
            5.000 (next attempt to connect to TCS in 2.281644586s)
            7.282 open tcs#3
            8.000 (no connection to TCS: InactiveInstanceException: x)
            8.000 (next attempt to connect to TCS in 4.163712864s)
            12.164 open tcs#4
        "#]],
    );
}

#[test]
fn a_valid_close_resets_the_back_off() {
    check_up(
        "broken acs a; idle 1s; refused acs b; idle 1s; opened acs; closed acs 1001; refused acs c; idle 1s;
         broken tcs a; idle 2s; refused tcs b; idle 3s; opened tcs; closed tcs 1001; refused tcs c; idle 2s",
        expect![[r#"
                 0.000 (connection to ACS lost: a)
                 0.000 (next attempt to connect to ACS in 264.339982ms)
                 0.264 open acs#2 sendCredentials=false
                 1.000 (no connection to ACS: b)
                 1.000 (next attempt to connect to ACS in 390.395556ms)
                 1.390 open acs#3 sendCredentials=false
                 2.000 (connected to ACS)
                 2.000 (connection to ACS lost: 1001)
                 2.000 open acs#4 sendCredentials=false
                 2.000 (no connection to ACS: c)
                 2.000 (next attempt to connect to ACS in 263.712864ms)
                 2.264 open acs#5 sendCredentials=false
                 3.000 (connection to TCS lost: a)
                 3.000 (next attempt to connect to TCS in 1.034794013s)
                 4.035 open tcs#2
                 5.000 (no connection to TCS: b)
                 5.000 (next attempt to connect to TCS in 2.210582091s)
                 7.211 open tcs#3
                 8.000 (connected to TCS)
                 8.000 (connection to TCS lost: 1001)
                 8.000 open tcs#4
                 8.000 (no connection to TCS: c)
                 8.000 (next attempt to connect to TCS in 1.039170936s)
                 9.039 open tcs#5
        "#]],
    );
}

#[test]
fn staying_connected_resets_the_back_off_of_acs_only() {
    check_up(
        "broken acs a; idle 1s; refused acs b; idle 1s; opened acs;
         broken tcs a; idle 2s; refused tcs b; idle 3s; opened tcs;
         idle 55s; message acs; message tcs; idle 55s; message acs; message tcs; idle 30s;
         broken acs c; broken tcs c; idle 6s",
        expect![[r#"
            0.000 (connection to ACS lost: a)
            0.000 (next attempt to connect to ACS in 264.339982ms)
            0.264 open acs#2 sendCredentials=false
            1.000 (no connection to ACS: b)
            1.000 (next attempt to connect to ACS in 390.395556ms)
            1.390 open acs#3 sendCredentials=false
            2.000 (connected to ACS)
            2.000 (connection to TCS lost: a)
            2.000 (next attempt to connect to TCS in 1.163712864s)
            3.164 open tcs#2
            4.000 (no connection to TCS: b)
            4.000 (next attempt to connect to TCS in 2.234794013s)
            6.235 open tcs#3
            7.000 (connected to TCS)
            147.000 (connection to ACS lost: c)
            147.000 (next attempt to connect to ACS in 257.316685ms)
            147.000 (connection to TCS lost: c)
            147.000 (next attempt to connect to TCS in 4.14019463s)
            147.257 open acs#4 sendCredentials=false
            151.140 open tcs#4
        "#]],
    );
}

#[test]
fn a_silent_acs_is_dropped_and_a_silent_tcs_asked_to_close() {
    check_up(
        "idle 2m",
        expect![[r#"
            89.748 close tcs#1: 1000 ConnectionExpired: Reconnect to continue
            89.748 (no message from TCS for too long; closing)
            100.958 drop acs#1
            100.958 (connection to ACS lost: no message for too long)
            100.958 (next attempt to connect to ACS in 264.339982ms)
            101.222 open acs#2 sendCredentials=false
        "#]],
    );
}

#[test]
fn messages_put_silence_off() {
    check_up("idle 59s; message acs; message tcs; idle 59s; message acs; message tcs; idle 59s", expect![[""]]);
}

#[test]
fn a_peer_that_does_not_close_when_asked_is_dropped() {
    check_up(
        "idle 100s; message acs; idle 30s; message tcs; message acs; idle 55s; message acs; message tcs",
        expect![[r#"
            89.748 close tcs#1: 1000 ConnectionExpired: Reconnect to continue
            89.748 (no message from TCS for too long; closing)
            180.000 drop tcs#1
            180.000 (connection to TCS lost: the peer did not close the connection)
            180.000 (next attempt to connect to TCS in 1.108172778s)
            181.108 open tcs#2
        "#]],
    );
}

#[test]
fn a_lifetime_ends_with_a_farewell_and_a_new_connection() {
    let steps = "idle 50s; message acs; message tcs;".repeat(37);
    check_up(
        &format!("{steps} closed tcs 1000; opened tcs; idle 58s; message tcs; message acs; idle 1s; closed acs 1000"),
        expect![[r#"
              1804.176 close tcs#1: 1000 ConnectionExpired: Reconnect to continue
              1804.176 (connection to TCS has lasted 30m4.176347588s; renewing it)
              1850.000 (connection to TCS lost: 1000)
              1850.000 open tcs#2
              1850.000 (connected to TCS)
              1908.630 close acs#1: 1000 ConnectionExpired: Reconnect to continue
              1908.630 (connection to ACS has lasted 31m48.629744545s; renewing it)
              1909.000 (connection to ACS lost: 1000)
              1909.000 open acs#2 sendCredentials=false
        "#]],
    );
}

#[test]
fn after_the_lifetime_the_peer_has_the_read_deadline_for_its_close() {
    let steps = "idle 50s; message acs; message tcs;".repeat(42);
    check_up(
        &steps,
        expect![[r#"
          1804.176 close tcs#1: 1000 ConnectionExpired: Reconnect to continue
          1804.176 (connection to TCS has lasted 30m4.176347588s; renewing it)
          1908.630 close acs#1: 1000 ConnectionExpired: Reconnect to continue
          1908.630 (connection to ACS has lasted 31m48.629744545s; renewing it)
          1980.000 drop tcs#1
          1980.000 (connection to TCS lost: the peer did not close the connection)
          1980.000 (next attempt to connect to TCS in 1.186573037s)
          1981.187 open tcs#2
          2080.000 drop acs#1
          2080.000 (connection to ACS lost: the peer did not close the connection)
          2080.000 (next attempt to connect to ACS in 272.559966ms)
          2080.273 open acs#2 sendCredentials=false
    "#]],
    );
}

#[test]
fn an_inactive_instance_waits_an_hour_and_loses_telemetry() {
    check(
        "start; discovered; opened tcs; refused acs bad: InactiveInstanceException: gone; idle 61m; refused acs x; idle 1s",
        expect![[r#"
            0.000 discover within 42s
            0.000 open acs#1 sendCredentials=true
            0.000 open tcs#1
            0.000 (connected to TCS)
            0.000 (no connection to ACS: bad: InactiveInstanceException: gone)
            0.000 (the control plane calls this container instance inactive; next attempt in 1h0m0s)
            0.000 drop tcs#1
            0.000 (connection to TCS lost: the container instance is inactive)
            0.000 (next attempt to connect to TCS in 1.002734189s)
            1.003 open tcs#2
            3600.000 open acs#2 sendCredentials=true
            3660.000 (no connection to ACS: x)
            3660.000 (next attempt to connect to ACS in 298.26648ms)
            3660.298 open acs#3 sendCredentials=true
        "#]],
    );
    check_up(
        "broken acs 4000 InactiveInstanceException; idle 10s",
        expect![[r#"
                 0.000 (connection to ACS lost: 4000 InactiveInstanceException)
                 0.000 (the control plane calls this container instance inactive; next attempt in 1h0m0s)
                 0.000 drop tcs#1
                 0.000 (connection to TCS lost: the container instance is inactive)
                 0.000 (next attempt to connect to TCS in 1.064339982s)
                 1.064 open tcs#2
        "#]],
    );
}

#[test]
fn a_peer_that_closes_at_once_again_and_again_is_left_alone_for_a_while() {
    let brief = "closed acs 1000; idle 300ms; opened acs;";
    check_up(
        &format!("{} closed acs 1000; idle 1s; opened acs; idle 1s; closed acs 1000", brief.repeat(6)),
        expect![[r#"
                 0.000 (connection to ACS lost: 1000)
                 0.000 open acs#2 sendCredentials=false
                 0.300 (connected to ACS)
                 0.300 (connection to ACS lost: 1000)
                 0.300 open acs#3 sendCredentials=false
                 0.600 (connected to ACS)
                 0.600 (connection to ACS lost: 1000)
                 0.600 open acs#4 sendCredentials=false
                 0.900 (connected to ACS)
                 0.900 (connection to ACS lost: 1000)
                 0.900 open acs#5 sendCredentials=false
                 1.200 (connected to ACS)
                 1.200 (connection to ACS lost: 1000)
                 1.200 open acs#6 sendCredentials=false
                 1.500 (connected to ACS)
                 1.500 (connection to ACS lost: 1000)
                 1.500 (next attempt to connect to ACS in 279.95532ms)
                 1.780 open acs#7 sendCredentials=false
                 1.800 (connected to ACS)
                 1.800 (connection to ACS lost: 1000)
                 1.800 (next attempt to connect to ACS in 382.979646ms)
                 2.183 open acs#8 sendCredentials=false
                 2.800 (connected to ACS)
                 3.800 (connection to ACS lost: 1000)
                 3.800 open acs#9 sendCredentials=false
        "#]],
    );
}

#[test]
fn news_of_old_connections_is_ignored() {
    check_up(
        "idle 1s; closed acs 1000; opened acs; broken acs#1 late; message acs#1; refused acs#1 late; opened acs#1",
        expect![[r#"
                 1.000 (connection to ACS lost: 1000)
                 1.000 open acs#2 sendCredentials=false
                 1.000 (connected to ACS)
                 1.000 drop acs#1
        "#]],
    );
}

#[test]
fn after_shutdown_nothing_is_wanted() {
    check_up(
        "shutdown; closed acs#1 1000; idle 24h; opened acs#1",
        expect![[r#"
            0.000 drop acs#1
            0.000 drop tcs#1
            86400.000 drop acs#1
        "#]],
    );
    check(
        "start; discovered; shutdown; idle 1h",
        expect![[r#"
                 0.000 discover within 42s
                 0.000 open acs#1 sendCredentials=true
                 0.000 open tcs#1
                 0.000 drop acs#1
                 0.000 drop tcs#1
        "#]],
    );
    check(
        "start; shutdown; discovered; idle 1h",
        expect![[r#"
                 0.000 discover within 42s
        "#]],
    );
}

#[test]
fn nothing_is_sent_after_a_farewell_and_the_connection_stays_current() {
    let mut play = Play::new();
    for step in ["start", "discovered", "opened acs", "opened tcs"] {
        play.step(step);
    }
    let (acs, tcs) = (play.connection("acs"), play.connection("tcs"));
    assert_eq!((play.sessions.acs_connection(), play.sessions.tcs_connection()), (Some(acs), Some(tcs)));
    assert_eq!(play.sessions.connected_since(Socket::Tcs), Some(Mono::default()));
    while play.sessions.tcs_connection().is_some() {
        play.step("idle 1s");
        play.step("message acs");
    }
    assert_eq!(play.sessions.acs_connection(), Some(acs));
    assert!(play.sessions.is_current(tcs));
}
