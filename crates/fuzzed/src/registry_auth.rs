//! Registry credentials as people write them (spec 40 §7.3).

use docker::auth::{Format, for_image};
use wire::ids::ImageRef;

use crate::chosen;

/// `image\njson`, read in both forms. Credentials go to no registry but the one they are for.
pub fn registry_auth(data: &[u8]) {
    let Some((image, text)) = chosen(data) else { return };
    let reference = ImageRef::from(image);
    for format in [Format::Docker, Format::Dockercfg] {
        let auth = for_image(format, text, &reference);
        drop(auth.render());
        let host = auth.server_address.split('/').next().unwrap_or_default();
        let is_hub = auth.server_address == "index.docker.io/v1/";
        assert!(host.is_empty() || is_hub || image.starts_with(host), "{host} for {image}");
    }
}
