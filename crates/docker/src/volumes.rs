//! Docker volumes.

use wire::docker::{Volume, VolumeCreate, VolumeList};

use crate::deadlines;
use crate::engine::Engine;
use crate::error::{Cause, Error};
use crate::filters::Filters;
use crate::request::{Call, named};

impl Engine {
    /// Creates a volume; one of the same name and driver that is there already is returned instead.
    pub async fn create_volume(&self, volume: &VolumeCreate) -> Result<Volume, Error> {
        let call = Call::post("create volume", &volume.name, "/volumes/create", self.limit(deadlines::VOLUME));
        let body = serde_json::to_value(volume).map_err(|error| call.fail(Cause::Malformed(error.to_string())))?;
        self.call_json(&call.json(&body)).await
    }

    pub async fn inspect_volume(&self, name: &str) -> Result<Volume, Error> {
        let path = format!("/volumes/{}", named("inspect volume", "volume", name)?);
        self.call_json(&Call::get("inspect volume", name, path, self.limit(deadlines::VOLUME))).await
    }

    pub async fn remove_volume(&self, name: &str, force: bool) -> Result<(), Error> {
        let path = format!("/volumes/{}", named("remove volume", "volume", name)?);
        let call = Call::delete("remove volume", name, path, self.limit(deadlines::VOLUME)).flag("force", force);
        self.call(&call).await.map(drop)
    }

    pub async fn volumes(&self, filters: &Filters) -> Result<Vec<Volume>, Error> {
        let call = Call::get("list volumes", "", "/volumes", self.limit(deadlines::VOLUME)).filters(filters);
        Ok(self.call_json::<VolumeList>(&call).await?.volumes)
    }
}
