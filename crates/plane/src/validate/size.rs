//! The text forms of a task's CPU and memory.

/// CPU units of `256`, `.25 vCPU`, `1 vcpu`. `None` when it is neither or not positive.
pub(crate) fn cpu_units(text: &str) -> Option<i64> {
    let text = text.trim().to_ascii_lowercase();
    match text.strip_suffix("vcpu") {
        Some(number) => scaled(number, 1024.0),
        None => text.parse().ok().filter(|units| *units > 0),
    }
}

/// MiB of `512`, `0.5GB`, `1 gb`. `None` when it is neither or not positive.
pub(crate) fn memory_mib(text: &str) -> Option<i64> {
    let text = text.trim().to_ascii_lowercase();
    match text.strip_suffix("gb") {
        Some(number) => scaled(number, 1024.0),
        None => text.parse().ok().filter(|mib| *mib > 0),
    }
}

fn scaled(number: &str, factor: f64) -> Option<i64> {
    let number: f64 = number.trim().parse().ok()?;
    let scaled = (number * factor).round();
    (1.0..1e12).contains(&scaled).then_some(scaled as i64)
}
