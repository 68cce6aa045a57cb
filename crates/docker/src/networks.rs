//! Docker networks, read only: the agent makes none.

use wire::docker::Network;

use crate::deadlines;
use crate::engine::Engine;
use crate::error::Error;
use crate::filters::Filters;
use crate::request::{Call, named};

impl Engine {
    pub async fn networks(&self, filters: &Filters) -> Result<Vec<Network>, Error> {
        let call = Call::get("list networks", "", "/networks", self.limit(deadlines::NETWORK)).filters(filters);
        Ok(self.call_json::<Option<_>>(&call).await?.unwrap_or_default())
    }

    pub async fn inspect_network(&self, name: &str) -> Result<Network, Error> {
        let path = format!("/networks/{}", named("inspect network", "network", name)?);
        self.call_json(&Call::get("inspect network", name, path, self.limit(deadlines::NETWORK))).await
    }
}
