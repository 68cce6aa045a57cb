#![allow(clippy::unwrap_used)]
use super::*;

fn limits(naming: CgroupNaming) -> TaskLimits {
    TaskLimits { naming, cpu_period: Duration::from_millis(100), pids: None }
}

fn containers(sizes: &[(u64, u64)]) -> Vec<Definition> {
    sizes
        .iter()
        .map(|(cpu, memory_mib)| Definition { cpu: *cpu, memory_mib: *memory_mib, ..Default::default() })
        .collect()
}

/// Task vCPU, task MiB, (CPU units, MiB) of its containers, and what follows.
type Case = (f64, u64, &'static [(u64, u64)], CpuLimit, Option<u64>);

#[test]
fn limits_by_size() {
    let quota = |quota| CpuLimit::Quota { quota, period: 100_000 };
    let cases: [Case; 9] = [
        (0.25, 256, &[(10, 32)], quota(25_000), Some(256 << 20)),
        (2.0, 0, &[(10, 32)], quota(200_000), None),
        // Rounded down.
        (0.123_456_7, 0, &[(0, 0)], quota(12_345), None),
        // What the kernel would refuse is raised.
        (0.001, 0, &[(0, 0)], quota(1000), None),
        (0.0, 0, &[(0, 0)], CpuLimit::Shares(2), None),
        (0.0, 0, &[(0, 0), (1, 0), (512, 0)], CpuLimit::Shares(516), None),
        (0.0, 0, &[(262_144, 0), (1, 0)], CpuLimit::Shares(262_144), None),
        (0.0, 64, &[(0, 64), (0, 0)], CpuLimit::Shares(4), Some(64 << 20)),
        (0.0, u64::MAX, &[], CpuLimit::Shares(2), Some(i64::MAX.unsigned_abs())),
    ];
    for (cpu, memory, sizes, cpu_limit, memory_bytes) in cases {
        let got = define(&"0f".into(), cpu, memory, &containers(sizes), &limits(CgroupNaming::Path)).unwrap();
        let want = CgroupLimits { cpu: cpu_limit, memory_bytes, pids: None };
        assert_eq!(got.limits, want, "{cpu} vCPU, {memory} MiB, {sizes:?}");
    }
}

#[test]
fn the_period_and_the_pids_are_the_operators() {
    let limits = TaskLimits { naming: CgroupNaming::Path, cpu_period: Duration::from_millis(8), pids: Some(100) };
    let got = define(&"0f".into(), 0.5, 0, &[], &limits).unwrap().limits;
    assert_eq!((got.cpu, got.pids), (CpuLimit::Quota { quota: 4000, period: 8000 }, Some(100)));
}

#[test]
fn a_namespace_pause_has_no_share() {
    let pause = Definition { kind: Kind::NamespacePause, ..Default::default() };
    let got = define(&"0f".into(), 0.0, 0, &[pause], &limits(CgroupNaming::Path)).unwrap();
    assert_eq!(got.limits.cpu, CpuLimit::Shares(2));
}

#[test]
fn names_follow_the_driver() {
    let parent = |naming| define(&"0f".into(), 0.0, 0, &[], &limits(naming)).unwrap().parent;
    assert_eq!(parent(CgroupNaming::Path), "/ecs/0f");
    assert_eq!(parent(CgroupNaming::Slice), "ecstasks-0f.slice");
}

#[test]
fn a_container_fits_into_its_task() {
    let got = define(&"0f".into(), 0.0, 64, &containers(&[(0, 64), (0, 65)]), &limits(CgroupNaming::Path));
    assert_eq!(
        got.unwrap_err(),
        "cgroup resource: unable to build resource spec for task: task memory spec builder: container memory limit(65) greater than task memory limit(64)"
    );
}
