//! Names drawn for containers and volumes (spec 20 §4.5). Drawn once and written down before use,
//! so that a call that is made again finds what the first one made.

use crate::rng::Rng;

/// `ecs-<family>-<revision>-<container>-<20 hex digits>`. What Docker would not take in a container's
/// name is removed, not replaced; the family is taken as it is.
pub fn docker_name(family: &str, revision: &str, container: &str, rng: &mut Rng) -> String {
    let clean: String = container.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    format!("ecs-{family}-{revision}-{clean}-{}", rng.hex(20))
}

/// `ecs-<family>-<revision>-<volume>-<20 hex digits>`.
pub fn volume_name(family: &str, revision: &str, volume: &str, rng: &mut Rng) -> String {
    format!("ecs-{family}-{revision}-{volume}-{}", rng.hex(20))
}
