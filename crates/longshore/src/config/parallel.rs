//! How much is done at once. Not settings of the reference, which pulls and launches without limit.

use super::sources::Sources;

/// Limits on work that the container engine does for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parallel {
    /// `LONGSHORE_PARALLEL_PULLS`; two a core by default, since unpacking takes the processor.
    pub pulls: usize,
    /// `LONGSHORE_PARALLEL_LAUNCHES`: creates and starts; two a core by default, since more only makes each slower.
    pub launches: usize,
    /// `LONGSHORE_PARALLEL_STOPS`; eight a core by default: more that end at once take longer in all.
    pub stops: usize,
}

impl Parallel {
    pub(super) fn read(from: &mut Sources<'_>) -> Self {
        let cores = usize::try_from(host::facts::logical_cpus()).unwrap_or(1).max(1);
        let mut limit = |name: &str| {
            let wanted = from.env_int(name)?;
            let limit = usize::try_from(wanted).ok().filter(|limit| *limit > 0);
            if limit.is_none() {
                from.warn(format!("{name} must be at least 1; using the default"));
            }
            limit
        };
        Self {
            pulls: limit("LONGSHORE_PARALLEL_PULLS").unwrap_or(2 * cores),
            launches: limit("LONGSHORE_PARALLEL_LAUNCHES").unwrap_or(2 * cores),
            stops: limit("LONGSHORE_PARALLEL_STOPS").unwrap_or(8 * cores),
        }
    }
}
