#![allow(clippy::unwrap_used)]
use super::*;

fn ledger() -> Ledger {
    Ledger::new(2048, 1000, [22], [], ["g0".to_owned()])
}

fn id(name: &str) -> TaskId {
    TaskId::from(name)
}

fn memory(mib: u64) -> Request {
    Request { memory_mib: mib, ..Request::default() }
}

fn port(port: u16) -> Request {
    Request { ports_tcp: [port].into(), ..Request::default() }
}

fn at(seconds: u64) -> Mono {
    Mono(Duration::from_secs(seconds))
}

#[test]
fn a_share_is_held_once_and_comes_back() {
    let mut ledger = ledger();
    ledger.ask(&id("a"), memory(600), at(0)).unwrap();
    ledger.ask(&id("a"), memory(600), at(0)).unwrap();
    assert_eq!(ledger.totals().used_memory_mib, 600);
    assert_eq!(ledger.ask(&id("b"), memory(500), at(0)).unwrap_err(), "needs 500 MiB of memory, 400 of 1000 are free");
    ledger.release(&id("a"));
    assert_eq!(ledger.serve(at(1)), [id("b")]);
    ledger.release(&id("b"));
    ledger.release(&id("b"));
    assert_eq!(ledger.totals().used_memory_mib, 0);
}

#[test]
fn ports_are_exclusive_and_say_who_has_them() {
    let mut ledger = ledger();
    ledger.ask(&id("a"), port(80), at(0)).unwrap();
    assert_eq!(ledger.ask(&id("b"), port(80), at(0)).unwrap_err(), "needs host port 80/tcp, which task a holds");
    assert_eq!(
        ledger.ask(&id("c"), port(22), at(0)).unwrap_err(),
        "needs host port 22/tcp, which is reserved on this instance"
    );
    ledger.ask(&id("d"), Request { ports_udp: [80].into(), ..Request::default() }, at(0)).unwrap();
}

#[test]
fn one_that_waits_holds_back_nobody_that_fits() {
    let mut ledger = ledger();
    ledger.ask(&id("a"), memory(800), at(0)).unwrap();
    ledger.ask(&id("big"), memory(900), at(0)).unwrap_err();
    ledger.ask(&id("small"), memory(100), at(1)).unwrap();
}

#[test]
fn but_it_does_not_starve() {
    let mut ledger = ledger();
    ledger.ask(&id("a"), memory(500), at(0)).unwrap();
    ledger.ask(&id("big"), memory(900), at(0)).unwrap_err();
    assert_eq!(ledger.ask(&id("late"), memory(400), at(61)).unwrap_err(), "task big has waited longer for the same");
    ledger.ask(&id("other"), port(80), at(61)).unwrap();
    ledger.release(&id("a"));
    assert_eq!(ledger.serve(at(62)), [id("big")]);
    ledger.release(&id("big"));
    assert_eq!(ledger.serve(at(63)), [id("late")]);
}

#[test]
fn one_that_can_never_be_served_keeps_nothing_for_itself() {
    let mut ledger = ledger();
    ledger.ask(&id("huge"), memory(5000), at(0)).unwrap_err();
    ledger.ask(&id("small"), memory(100), at(100)).unwrap();
}

#[test]
fn leaving_the_line_lets_the_next_pass() {
    let mut ledger = ledger();
    ledger.ask(&id("a"), memory(1000), at(0)).unwrap();
    ledger.ask(&id("b"), memory(1000), at(0)).unwrap_err();
    ledger.ask(&id("c"), memory(1000), at(0)).unwrap_err();
    ledger.release(&id("b"));
    ledger.release(&id("a"));
    assert_eq!(ledger.serve(at(1)), [id("c")]);
}
