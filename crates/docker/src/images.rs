//! Images, except pulling them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use wire::docker::{
    ApiVersion, DistributionInspect, ImageInspect, ImageReference, ImageSummary, PullMessage, RegistryAuth,
    RemovedImage,
};

use crate::deadlines;
use crate::engine::{Engine, Reply};
use crate::error::{Cause, Error};
use crate::filters::Filters;
use crate::request::{Call, Wish, named};

const REGISTRY_AUTH: HeaderName = HeaderName::from_static("x-registry-auth");
/// The reference asks for manifests with this version, though they came with 1.30 (spec 20 §5.2).
const DISTRIBUTION: ApiVersion = ApiVersion::v1(35);

/// Which images to list.
#[derive(Clone, Debug, Default)]
pub struct ListImages {
    /// Also intermediate layers.
    pub all: bool,
    pub filters: Filters,
}

impl Engine {
    pub async fn inspect_image(&self, name: &str) -> Result<ImageInspect, Error> {
        let path = format!("/images/{}/json", named("inspect image", "image", name)?);
        self.call_json(&Call::get("inspect image", name, path, self.limit(deadlines::INSPECT_IMAGE))).await
    }

    /// What the registry has under this name, without pulling it.
    ///
    /// # Errors
    /// [`crate::Kind::Unsupported`] when the daemon is too old.
    pub async fn distribution_inspect(&self, image: &str, auth: &RegistryAuth) -> Result<DistributionInspect, Error> {
        let path = format!("/distribution/{}/json", named("read manifest of", "distribution", image)?);
        let call = Call::get("read manifest of", image, path, self.limit(deadlines::DISTRIBUTION_INSPECT));
        self.call_json(&with_auth(call, auth).wish(Wish::AtLeast(DISTRIBUTION))).await
    }

    /// Gives `source` a further name, which may have a tag (else `latest`) but no digest.
    pub async fn tag(&self, source: &str, name: &str) -> Result<(), Error> {
        let path = format!("/images/{}/tag", named("tag image", "image", source)?);
        let call = Call::post("tag image", source, path, self.limit(deadlines::TAG));
        let name: ImageReference = name.parse().map_err(|invalid| call.fail(Cause::Reference(invalid)))?;
        let call = call.query("repo", name.familiar_name()).query("tag", name.tag().unwrap_or("latest"));
        self.call(&call).await.map(drop)
    }

    pub async fn images(&self, list: &ListImages) -> Result<Vec<ImageSummary>, Error> {
        let call = Call::get("list images", "", "/images/json", self.limit(deadlines::LIST));
        let call = call.flag("all", list.all).filters(&list.filters);
        Ok(self.call_json::<Option<_>>(&call).await?.unwrap_or_default())
    }

    /// Removes a name, and with the last one the image. Untagged parents stay, as the reference has it.
    pub async fn remove_image(&self, name: &str, force: bool) -> Result<Vec<RemovedImage>, Error> {
        let path = format!("/images/{}", named("remove image", "image", name)?);
        let call = Call::delete("remove image", name, path, self.limit(deadlines::REMOVE_IMAGE));
        let call = call.flag("force", force).query("noprune", "1");
        Ok(self.call_json::<Option<_>>(&call).await?.unwrap_or_default())
    }

    /// Loads what `docker save` wrote.
    pub async fn load(&self, tar: Bytes) -> Result<(), Error> {
        let call = Call::post("load image", "", "/images/load", self.limit(deadlines::LOAD)).query("quiet", "0");
        let call = call.tar(tar);
        let reply = self.call(&call).await?;
        last_status(&call, &reply).map(drop)
    }

    /// Makes an image of one layer from a file system in a tar file, with changes in Dockerfile syntax such as
    /// `CMD ["/bin/sh"]`. Returns its id.
    pub async fn import(&self, name: &str, tar: Bytes, changes: &[&str]) -> Result<String, Error> {
        let mut call =
            Call::post("import image", name, "/images/create", self.limit(deadlines::LOAD)).query("fromSrc", "-");
        let reference: ImageReference = name.parse().map_err(|invalid| call.fail(Cause::Reference(invalid)))?;
        call = call.query("repo", reference.familiar_name()).query("tag", reference.tag_or_digest());
        for change in changes {
            call = call.query("changes", *change);
        }
        let call = call.tar(tar);
        let reply = self.call(&call).await?;
        last_status(&call, &reply)
    }
}

/// Adds the credentials, in the form of Go's encoder: URL-safe, padded.
pub(crate) fn with_auth(call: Call, auth: &RegistryAuth) -> Call {
    let encoded = URL_SAFE.encode(auth.render().expose());
    // Invariant: base64 is always a valid header value.
    let Ok(mut value) = HeaderValue::from_str(&encoded) else { return call };
    value.set_sensitive(true);
    call.header(REGISTRY_AUTH, value)
}

/// Finds the error in progress lines, else the last status.
fn last_status(call: &Call, reply: &Reply) -> Result<String, Error> {
    let mut status = String::new();
    for line in reply.body.split(|byte| *byte == b'\n') {
        let Ok(message) = serde_json::from_slice::<PullMessage>(line) else { continue };
        check_line(&message).map_err(|cause| call.fail(cause))?;
        if !message.status.is_empty() {
            status = message.status;
        }
    }
    Ok(status)
}

/// An error inside a stream whose HTTP status was fine.
pub(crate) fn check_line(message: &PullMessage) -> Result<(), Cause> {
    let code = message.error_detail.as_ref().map_or(0, |detail| detail.code);
    let text = match &message.error_detail {
        _ if !message.error.is_empty() => &message.error,
        Some(detail) if !detail.message.is_empty() => &detail.message,
        _ => return Ok(()),
    };
    Err(Cause::InStream { code, message: text.clone() })
}
