//! The daemon itself.

use wire::docker::{Info, Plugin, Version};

use crate::deadlines;
use crate::engine::Engine;
use crate::error::Error;
use crate::filters::Filters;
use crate::request::{Call, Wish};

impl Engine {
    /// Whether the daemon answers at all.
    pub async fn ping(&self) -> Result<(), Error> {
        let call = Call::get("ping the daemon", "", "/_ping", self.limit(deadlines::PING)).wish(Wish::Unversioned);
        self.call(&call).await.map(drop)
    }

    pub async fn version(&self) -> Result<Version, Error> {
        let call = Call::get("read the daemon's version", "", "/version", self.limit(deadlines::VERSION));
        self.call_json(&call.wish(Wish::Unversioned)).await
    }

    pub async fn info(&self) -> Result<Info, Error> {
        self.call_json(&Call::get("read the daemon's facts", "", "/info", self.limit(deadlines::VERSION))).await
    }

    /// Plugins by filter; the agent asks for `enabled=true` and `capability=volumedriver`.
    pub async fn plugins(&self, filters: &Filters) -> Result<Vec<Plugin>, Error> {
        let call = Call::get("list plugins", "", "/plugins", self.limit(deadlines::PLUGINS)).filters(filters);
        // API 1.25 brought plugins.
        let call = call.wish(Wish::AtLeast(wire::docker::ApiVersion::v1(25)));
        Ok(self.call_json::<Option<_>>(&call).await?.unwrap_or_default())
    }
}
