//! Registry credentials from the agent's own settings (spec 20 §5.4, spec 40 §7.3).

use docker::auth::{self, Format};
use wire::docker::RegistryAuth;
use wire::ids::ImageRef;

use crate::config::{AuthType, Config};

/// The credentials for an image's registry; empty ones where none are configured.
pub(super) fn for_image(config: &Config, image: &ImageRef) -> RegistryAuth {
    let (Some(kind), Some(data)) = (&config.docker.auth_type, &config.docker.auth_data) else {
        return RegistryAuth::default();
    };
    let format = match kind {
        AuthType::Docker => Format::Docker,
        AuthType::Dockercfg => Format::Dockercfg,
        AuthType::Unknown(_) => return RegistryAuth::default(),
    };
    auth::for_image(format, data.expose(), image)
}
