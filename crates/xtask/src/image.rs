//! The one image that the demonstration and the tests run: Debian's static busybox, and nothing else.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use lab::Engine;

use crate::install::packages;
use crate::process::{say, scratch};

/// The image, without its tag.
pub(crate) const REPOSITORY: &str = "longshore/demo";

/// Builds the image, unless it is there.
///
/// # Errors
/// Busybox cannot be installed, or the Engine refuses the image.
pub(crate) fn ensure(engine: &Engine) -> Result<()> {
    if engine.has_image(&format!("{REPOSITORY}:latest")) {
        return Ok(());
    }
    packages(&[("busybox-static", "busybox")])?;
    say(&format!("building the image {REPOSITORY}:latest out of busybox"));
    let folder = scratch("image")?;
    std::fs::remove_dir_all(&folder)?;
    fill(&folder).with_context(|| format!("filling {}", folder.display()))?;
    // Owned by root in the image, whoever builds it.
    let archive = Command::new("tar").arg("-C").arg(&folder).args(["--owner=0", "--group=0", "-c", "."]).output()?;
    if !archive.status.success() {
        bail!("tar failed: {}", String::from_utf8_lossy(&archive.stderr));
    }
    engine.import(&archive.stdout, REPOSITORY, "latest", &[r#"CMD ["/bin/sh"]"#, "ENV PATH=/bin"])
}

fn fill(folder: &Path) -> Result<()> {
    for name in ["bin", "dev", "etc", "proc", "root", "sys", "tmp", "var", "www"] {
        std::fs::create_dir_all(folder.join(name))?;
    }
    std::fs::set_permissions(folder.join("tmp"), std::fs::Permissions::from_mode(0o1777))?;
    let busybox = folder.join("bin/busybox");
    let installed = ["/bin/busybox", "/usr/bin/busybox"].iter().find(|path| Path::new(path).is_file());
    std::fs::copy(installed.context("busybox is not installed")?, &busybox)?;
    let list = Command::new(&busybox).arg("--list").output()?;
    for applet in String::from_utf8_lossy(&list.stdout).lines().filter(|applet| *applet != "busybox") {
        symlink("busybox", folder.join("bin").join(applet))?;
    }
    std::fs::write(folder.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n")?;
    std::fs::write(folder.join("etc/group"), "root:x:0:\nnogroup:x:65534:\n")?;
    Ok(())
}
