//! Which control plane a command talks to: the one that was named, or the one that runs on the data directory.

use serde_json::Value;

use super::client::Client;
use super::{Failure, Global};
use crate::local::home::{Home, Running};

/// A control plane that answers, and the Docker Engine of its agent.
pub(crate) struct Connected {
    pub client: Client,
    /// As `DOCKER_HOST` has it.
    pub docker: String,
}

impl Connected {
    pub(crate) fn docker(&self) -> Result<docker::Engine, Failure> {
        docker::Engine::connect(&self.docker)
            .map_err(|error| Failure::new(format!("DOCKER_HOST is not usable: {error}")))
    }
}

/// The control plane to talk to.
///
/// # Errors
/// None was named and none runs, or it does not answer.
pub(crate) async fn connect(global: &Global) -> Result<Connected, Failure> {
    match find(global).await? {
        Some(connected) => Ok(connected),
        None => {
            let home = Home::choose(global.data_dir.as_deref())?;
            Err(Failure::new(format!("no `longshore local` runs on {}", home.path().display()))
                .next("Start it with `longshore local`, in another terminal, or name one: --endpoint URL"))
        }
    }
}

/// As [`connect`], but `None` where none was named and none runs.
pub(crate) async fn find(global: &Global) -> Result<Option<Connected>, Failure> {
    if let Some(endpoint) = &global.endpoint {
        let client = Client::new(endpoint)?;
        health(&client).await?;
        let docker = crate::local::docker_endpoint();
        return Ok(Some(Connected { client, docker }));
    }
    let Some(Running { endpoint, docker, .. }) = Home::choose(global.data_dir.as_deref())?.running() else {
        return Ok(None);
    };
    let client = Client::new(&endpoint)?;
    // The file of one that was killed stays behind.
    Ok(health(&client).await.is_ok().then_some(Connected { client, docker }))
}

async fn health(client: &Client) -> Result<(), Failure> {
    client.get::<Value>("/longshore/v1/health").await?;
    Ok(())
}
