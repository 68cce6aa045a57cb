//! Which cgroup hierarchy the machine has. What is written into it is decided elsewhere.

use std::path::Path;

/// Version of the hierarchy at a mount point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgroupVersion {
    /// One hierarchy per controller, or no cgroups at all.
    V1,
    /// The unified hierarchy.
    V2,
}

/// The version at `mount` (normally `/sys/fs/cgroup`): v2 when the unified hierarchy itself is mounted there
/// (spec 40 §2.6). A hybrid layout, with the unified hierarchy one level below, counts as v1.
#[must_use]
pub fn cgroup_version(mount: &Path) -> CgroupVersion {
    const CGROUP2_SUPER_MAGIC: u64 = 0x6367_7270;
    match rustix::fs::statfs(mount) {
        Ok(statfs) if u64::try_from(statfs.f_type).is_ok_and(|magic| magic == CGROUP2_SUPER_MAGIC) => CgroupVersion::V2,
        _ => CgroupVersion::V1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_file_systems_are_not_v2() {
        assert_eq!(cgroup_version(Path::new("/proc")), CgroupVersion::V1);
        assert_eq!(cgroup_version(Path::new("/no/such/mount")), CgroupVersion::V1);
    }

    #[test]
    fn the_machine_agrees_with_its_controllers_file() {
        let mount = Path::new("/sys/fs/cgroup");
        let unified = mount.join("cgroup.controllers").exists();
        assert_eq!(cgroup_version(mount) == CgroupVersion::V2, unified);
    }
}
