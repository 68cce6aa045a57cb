use expect_test::expect;

use super::*;
use crate::local::stats::TaskStats;

fn figures(cpu: f64, memory: u64) -> Figures {
    Figures {
        at: Timestamp::from_second(100).ok(),
        cpu_percent: Some(cpu),
        memory,
        memory_limit: Some(64_000_000),
        received: Some(1_500),
        sent: Some(20),
        block_read: Some(0),
        block_written: Some(4_096),
        pids: Some(3),
        ..Figures::default()
    }
}

fn container(name: &str, now: Option<Figures>) -> ContainerStats {
    ContainerStats { name: name.into(), status: "RUNNING".into(), now, ..ContainerStats::default() }
}

fn report() -> StatsReport {
    let task = |id: &str, name: &str, containers| TaskStats {
        id: id.into(),
        name: name.into(),
        last_status: "RUNNING".into(),
        containers,
        ..TaskStats::default()
    };
    let told = Figures {
        by: Origin::Telemetry,
        at: Timestamp::from_second(88).ok(),
        memory_limit: None,
        pids: None,
        received: None,
        sent: None,
        ..figures(9.0, 5_000_000)
    };
    let checked = ContainerStats {
        health: Some("HEALTHY".into()),
        restarts: 2,
        ..container("web", Some(figures(101.26, 16_000_000)))
    };
    StatsReport {
        at: Timestamp::from_second(100).ok(),
        tasks: vec![
            task("aaaaaaaaaaaa", "elsewhere:1", vec![container("one", Some(told))]),
            task("bbbbbbbbbbbb", "web:3", vec![container("new", None), checked]),
        ],
    }
}

#[test]
fn the_busiest_comes_first() {
    let mut report = report();
    sort(&mut report);
    expect![[r#"
        TASK                  CPU %  MEM / LIMIT      MEM %  NET RX / TX  BLOCK R / W  PIDS  HEALTH   RESTARTS  AGE
        bbbbbbbb web:3        101.3  16.0MB
          web                 101.3  16.0MB / 64.0MB   25.0  1.5kB / 20B  0B / 4.1kB      3  HEALTHY         2
          new                     -                                                                          0
        aaaaaaaa elsewhere:1    9.0  5.0MB
          one                   9.0  5.0MB                -  -            0B / 4.1kB                         0  12s"#]]
    .assert_eq(&render(&report, Paint::never()).join("\n"));
}

#[test]
fn lines_are_cut_at_the_edge_and_colours_end_there() {
    assert_eq!(screen::cut("abcdef", 4), "abcd");
    assert_eq!(screen::cut("ab", 4), "ab");
    assert_eq!(screen::cut("\u{1b}[1mabcdef\u{1b}[0m", 4), "\u{1b}[1mabcd\u{1b}[0m");
    assert_eq!(screen::cut("äöü", 2), "äö");
}
