//! stub
use std::path::Path;

use super::{CgroupError, Limits};

pub(super) fn prepare(_mount: &Path) -> Result<(), CgroupError> {
    Err(CgroupError::Systemd("not yet".to_owned()))
}

pub(super) fn create(_: &Path, _: &str, _: &Limits, _: bool) -> Result<(), CgroupError> {
    Err(CgroupError::Systemd("not yet".to_owned()))
}

pub(super) fn remove(_: &Path, _: &str) -> Result<(), CgroupError> {
    Err(CgroupError::Systemd("not yet".to_owned()))
}
