//! Whom a command talks to: who was named, or who runs on the data directory: a control plane, or else an agent whose
//! control plane is elsewhere.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::net::UnixStream;

use super::client::Client;
use super::{Failure, Global};
use crate::agent::command_socket;
use crate::local::home::{Home, Running};

/// Where agents keep their state unless they are told otherwise: as they see it, and as the host sees it where they are
/// in a container.
const AGENT_DATA: [&str; 2] = ["/data", "/var/lib/ecs/data"];

/// Who answers, and the Docker Engine of its agent.
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

/// The control plane or agent to talk to.
///
/// # Errors
/// None was named and none runs, or it does not answer.
pub(crate) async fn connect(global: &Global) -> Result<Connected, Failure> {
    let found = match &global.endpoint {
        Some(endpoint) => Some(named(endpoint).await?),
        None => running(global).await?,
    };
    if let Some(connected) = found {
        return Ok(connected);
    }
    let sockets = sockets(global.data_dir.as_deref(), std::env::var_os("ECS_DATADIR").map(PathBuf::from));
    if let Some(client) = agent(&sockets).await? {
        return Ok(Connected { client, docker: crate::local::docker_endpoint() });
    }
    let home = Home::choose(global.data_dir.as_deref())?;
    let sockets: Vec<_> = sockets.iter().map(|socket| socket.display().to_string()).collect();
    let why = format!(
        "no `longshore local` runs on {}, no `longshore agent` at {}",
        home.path().display(),
        sockets.join(" or ")
    );
    Err(Failure::new(why).next(
        "Start one with `longshore local`, in another terminal, or name one: --endpoint URL\n\
         An agent is also found by its ECS_DATADIR: --data-dir DIR, or the variable.",
    ))
}

/// The control plane that was named, or that runs on the data directory; `None` where neither is so.
pub(crate) async fn find(global: &Global) -> Result<Option<Connected>, Failure> {
    let Some(endpoint) = &global.endpoint else { return running(global).await };
    let connected = named(endpoint).await?;
    if connected.client.is_agent() {
        return Err(Failure::usage(format!("{endpoint} is an agent, which takes tasks from its control plane alone"))
            .next("Name a control plane, such as http://127.0.0.1:51670, or none."));
    }
    Ok(Some(connected))
}

async fn named(endpoint: &str) -> Result<Connected, Failure> {
    let client = Client::new(endpoint)?;
    health(&client).await?;
    Ok(Connected { client, docker: crate::local::docker_endpoint() })
}

async fn running(global: &Global) -> Result<Option<Connected>, Failure> {
    let Some(Running { endpoint, docker, .. }) = Home::choose(global.data_dir.as_deref())?.running() else {
        return Ok(None);
    };
    let client = Client::new(&endpoint)?;
    // The file of one that was killed stays behind.
    Ok(health(&client).await.is_ok().then_some(Connected { client, docker }))
}

/// Where an agent may answer.
pub(super) fn sockets(named: Option<&Path>, variable: Option<PathBuf>) -> Vec<PathBuf> {
    let named = named.map(Path::to_owned).or(variable.filter(|directory| !directory.as_os_str().is_empty()));
    let directories = named.map_or_else(|| AGENT_DATA.map(PathBuf::from).to_vec(), |named| vec![named]);
    directories.into_iter().map(|directory| directory.join(command_socket::NAME)).collect()
}

/// The first agent that answers.
async fn agent(sockets: &[PathBuf]) -> Result<Option<Client>, Failure> {
    let mut denied = None;
    for socket in sockets {
        match UnixStream::connect(socket).await {
            Ok(_) => {
                let client = Client::on_socket(socket);
                health(&client).await?;
                return Ok(Some(client));
            }
            Err(error) if error.kind() == ErrorKind::PermissionDenied => denied = denied.or(Some(socket)),
            // Nobody, or what one that was killed left.
            Err(_) => {}
        }
    }
    match denied {
        Some(socket) => Err(Failure::new(format!("not allowed to ask the agent at {}", socket.display()))
            .next("It answers the user that it runs as: use sudo.")),
        None => Ok(None),
    }
}

async fn health(client: &Client) -> Result<(), Failure> {
    client.get::<Value>("/longshore/v1/health").await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_agent_is_looked_for_where_it_keeps_its_state() {
        let look = |named: Option<&str>, variable: Option<&str>| {
            sockets(named.map(Path::new), variable.map(PathBuf::from))
                .iter()
                .map(|path| path.display().to_string())
                .collect::<Vec<_>>()
        };
        let usual = ["/data/longshore.sock", "/var/lib/ecs/data/longshore.sock"];
        assert_eq!(look(None, None), usual);
        assert_eq!(look(None, Some("")), usual);
        assert_eq!(look(None, Some("/d")), ["/d/longshore.sock"]);
        assert_eq!(look(Some("/e"), Some("/d")), ["/e/longshore.sock"]);
    }

    #[tokio::test]
    async fn whoever_does_not_run_is_not_found() {
        let directory = tempfile::tempdir().unwrap();
        let sockets = sockets(Some(directory.path()), None);
        let socket = &sockets[0];
        assert!(agent(&sockets).await.unwrap().is_none());
        drop(std::os::unix::net::UnixListener::bind(socket).unwrap());
        assert!(agent(&sockets).await.unwrap().is_none(), "left by one that was killed");
        let global = Global { data_dir: Some(directory.path().to_owned()), ..Global::default() };
        let failure = connect(&global).await.err().unwrap();
        let at = directory.path().display();
        let wanted = format!("no `longshore local` runs on {at}, no `longshore agent` at {at}/longshore.sock");
        assert_eq!((failure.what, failure.code), (wanted, 1));
        let global = Global { endpoint: Some(format!("unix://{}", socket.display())), ..Global::default() };
        let failure = connect(&global).await.err().unwrap();
        assert!(failure.what.starts_with("cannot reach the agent at unix://"), "{failure}");
    }
}
