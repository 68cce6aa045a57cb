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

fn share(cpu: u64, memory_mib: u64, ports: &[u16]) -> Request {
    Request { cpu, memory_mib, ports_tcp: ports.iter().copied().collect(), ..Request::default() }
}

#[test]
fn what_can_never_be_served_pushes_nobody_out_in_another_s_name() {
    let mut ledger = ledger();
    ledger.ask(&id("a"), memory(500), at(0)).unwrap();
    ledger.ask(&id("huge"), memory(5000), at(0)).unwrap_err();
    ledger.ask(&id("big"), share(100, 600, &[]), at(0)).unwrap_err();
    ledger.release(&id("a"));
    ledger.ask(&id("late"), memory(300), at(61)).unwrap();
}

#[test]
fn a_reserved_port_and_an_unknown_gpu_are_waited_for_without_keeping_anything() {
    let mut ledger = ledger();
    ledger.ask(&id("ssh"), share(2048, 1000, &[22, 80]), at(0)).unwrap_err();
    let gpu = Request { gpus: ["g7".to_owned()].into(), ..share(2048, 1000, &[80]) };
    assert_eq!(ledger.ask(&id("gpu"), gpu, at(0)).unwrap_err(), "needs GPU g7, which this host does not have");
    ledger.ask(&id("late"), share(2048, 1000, &[80]), at(61)).unwrap();
}

#[test]
fn one_that_lacks_a_port_keeps_neither_cpu_nor_memory_nor_its_other_ports() {
    let mut ledger = ledger();
    ledger.ask(&id("service"), port(80), at(0)).unwrap();
    ledger.ask(&id("waits"), share(2000, 900, &[80, 81]), at(0)).unwrap_err();
    ledger.ask(&id("late"), share(500, 500, &[81]), at(61)).unwrap();
}

#[test]
fn one_that_lacks_memory_keeps_no_cpu() {
    let mut ledger = ledger();
    ledger.ask(&id("a"), memory(500), at(0)).unwrap();
    ledger.ask(&id("waits"), share(2000, 900, &[]), at(0)).unwrap_err();
    ledger.ask(&id("late"), share(500, 0, &[]), at(61)).unwrap();
    assert_eq!(
        ledger.ask(&id("later"), share(0, 100, &[]), at(61)).unwrap_err(),
        "task waits has waited longer for the same"
    );
}

#[test]
fn what_came_free_for_one_that_waits_is_not_given_away_while_it_lacks_something_else() {
    let mut ledger = ledger();
    ledger.ask(&id("service"), port(80), at(0)).unwrap();
    ledger.ask(&id("waits"), share(2000, 0, &[80]), at(0)).unwrap_err();
    ledger.ask(&id("worker"), share(500, 0, &[]), at(61)).unwrap();
    ledger.release(&id("service"));
    assert_eq!(ledger.serve(at(62)), []);
    ledger.ask(&id("second service"), port(80), at(63)).unwrap_err();
    ledger.ask(&id("second worker"), share(500, 0, &[]), at(63)).unwrap_err();
    ledger.release(&id("worker"));
    assert_eq!(ledger.serve(at(64)), [id("waits")]);
}

#[test]
fn cpu_and_memory_in_turns_starve_nobody() {
    let mut ledger = ledger();
    ledger.ask(&id("memory"), memory(500), at(0)).unwrap();
    ledger.ask(&id("waits"), share(2000, 900, &[]), at(0)).unwrap_err();
    ledger.ask(&id("cpu"), share(500, 0, &[]), at(61)).unwrap();
    ledger.release(&id("memory"));
    assert_eq!(ledger.serve(at(62)), []);
    ledger.ask(&id("more memory"), memory(500), at(63)).unwrap_err();
    ledger.release(&id("cpu"));
    assert_eq!(ledger.serve(at(64)), [id("waits")]);
}

#[test]
fn one_in_line_has_its_share_as_soon_as_it_asks_again_and_it_is_there() {
    let mut ledger = ledger();
    ledger.ask(&id("a"), memory(600), at(0)).unwrap();
    ledger.ask(&id("b"), memory(500), at(0)).unwrap_err();
    ledger.release(&id("a"));
    ledger.ask(&id("b"), memory(500), at(1)).unwrap();
    assert!(!ledger.is_waiting(&id("b")));
    assert_eq!(ledger.totals().used_memory_mib, 500);
}
