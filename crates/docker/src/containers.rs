//! Containers.

use serde_json::Value;
use wire::docker::{ApiVersion, ContainerInspect, ContainerSummary, Created, TopReply};

use crate::create;
use crate::deadlines;
use crate::engine::Engine;
use crate::error::Error;
use crate::filters::Filters;
use crate::request::{Call, Wish, named};

/// Whether a call changed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Made,
    /// It was so already.
    None,
}

/// Which containers to list.
#[derive(Clone, Debug, Default)]
pub struct ListContainers {
    /// Also those that do not run.
    pub all: bool,
    pub filters: Filters,
}

impl Engine {
    /// Creates a container. `body` is Docker's create request; it is sent with `version`, raised to what the daemon
    /// demands, or the default version, after the changes that Docker's client makes for that version.
    ///
    /// # Errors
    /// [`crate::Kind::Unsupported`] if the daemon does not speak `version`, or `body` needs a newer one.
    pub async fn create_container(
        &self,
        name: &str,
        body: &Value,
        version: Option<ApiVersion>,
    ) -> Result<Created, Error> {
        let call = Call::post("create container", name, "/containers/create", self.limit(deadlines::CREATE))
            .query("name", name)
            .wish(version.map_or(Wish::Default, Wish::AtLeast));
        let version = self.agreed(&call).await?;
        let body = create::fit(body, version).map_err(|cause| call.fail(cause))?;
        self.call_json(&call.json(&body)).await
    }

    /// Starts a container, with `version` as in [`Engine::create_container`].
    pub async fn start(&self, id: &str, version: Option<ApiVersion>) -> Result<Change, Error> {
        let path = format!("/containers/{}/start", named("start container", "container", id)?);
        let call = Call::post("start container", id, path, self.limit(deadlines::START));
        self.change(&call.wish(version.map_or(Wish::Default, Wish::AtLeast))).await
    }

    /// Sends the stop signal, and after `timeout_seconds` kills. Returns when the container has ended.
    pub async fn stop(&self, id: &str, timeout_seconds: u64) -> Result<Change, Error> {
        let path = format!("/containers/{}/stop", named("stop container", "container", id)?);
        let call = Call::post("stop container", id, path, self.limit(deadlines::stop(timeout_seconds)));
        self.change(&call.query("t", timeout_seconds.to_string())).await
    }

    /// Sends a signal by name or number, such as `SIGKILL`.
    pub async fn kill(&self, id: &str, signal: &str) -> Result<(), Error> {
        let path = format!("/containers/{}/kill", named("signal container", "container", id)?);
        let call = Call::post("signal container", id, path, self.limit(deadlines::KILL)).query("signal", signal);
        self.call(&call).await.map(drop)
    }

    /// Removes a container; `force` kills it first, `volumes` takes its anonymous volumes along.
    pub async fn remove(&self, id: &str, force: bool, volumes: bool) -> Result<(), Error> {
        let path = format!("/containers/{}", named("remove container", "container", id)?);
        let call = Call::delete("remove container", id, path, self.limit(deadlines::REMOVE));
        self.call(&call.flag("force", force).flag("v", volumes)).await.map(drop)
    }

    pub async fn inspect(&self, id: &str) -> Result<ContainerInspect, Error> {
        let path = format!("/containers/{}/json", named("inspect container", "container", id)?);
        self.call_json(&Call::get("inspect container", id, path, self.limit(deadlines::INSPECT))).await
    }

    pub async fn containers(&self, list: &ListContainers) -> Result<Vec<ContainerSummary>, Error> {
        let call = Call::get("list containers", "", "/containers/json", self.limit(deadlines::LIST));
        // Before 1.23 the list has no `State`, and no daemon that is in use lacks 1.24.
        let call = call.flag("all", list.all).filters(&list.filters).wish(Wish::AtLeast(ApiVersion::v1(24)));
        Ok(self.call_json::<Option<_>>(&call).await?.unwrap_or_default())
    }

    /// The container's processes, as `ps` with these arguments shows them (empty for `-ef`).
    pub async fn top(&self, id: &str, ps_args: &str) -> Result<TopReply, Error> {
        let path = format!("/containers/{}/top", named("list processes of container", "container", id)?);
        let mut call = Call::get("list processes of container", id, path, self.limit(deadlines::TOP));
        if !ps_args.is_empty() {
            call = call.query("ps_args", ps_args);
        }
        self.call_json(&call).await
    }

    async fn change(&self, call: &Call) -> Result<Change, Error> {
        let reply = self.call(call).await?;
        Ok(if reply.status == 304 { Change::None } else { Change::Made })
    }
}
