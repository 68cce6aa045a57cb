//! Control plane, agent and Engine together, with clean-up.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::agent::Agent;
use crate::engine::Engine;
use crate::payload;
use crate::plane::Plane;
use crate::story;

/// Long enough for anything that will happen at all.
const LIMIT: Duration = Duration::from_secs(60);

/// What differs between benches.
#[derive(Debug, Clone, Copy)]
pub struct Setup<'a> {
    /// The agent's command line.
    pub command: &'a [&'a str],
    /// Laid over the agent's environment. A `DOCKER_HOST` among it is also where the bench looks.
    pub environment: &'a [(&'a str, &'a str)],
    /// The image of containers that name none.
    pub image: &'a str,
}

/// An agent that has joined a scripted control plane. Dropping it kills the agent and removes the containers of its
/// cluster, and no others.
pub struct Bench {
    // Dropped in this order: first the agent ends.
    pub agent: Agent,
    pub plane: Plane,
    pub engine: Engine,
    image: String,
}

impl Bench {
    /// Starts both and waits until they are connected.
    ///
    /// # Errors
    /// They do not come together.
    pub fn start(setup: &Setup<'_>) -> Result<Self> {
        let mut bench = Self::prepare(setup)?;
        bench.agent.start()?;
        bench.agent.ready(&bench.plane, LIMIT)?;
        Ok(bench)
    }

    /// The same, with the agent not yet started.
    ///
    /// # Errors
    /// A port or a folder cannot be had.
    pub fn prepare(setup: &Setup<'_>) -> Result<Self> {
        let plane = Plane::start()?;
        let mut environment = vec![("ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION", "10m")];
        environment.extend_from_slice(setup.environment);
        let agent = Agent::new(setup.command, &plane, &environment)?;
        let engine = match setup.environment.iter().find(|(name, _)| *name == "DOCKER_HOST") {
            Some((_, host)) => Engine::named(host)?,
            None => Engine::from_env()?,
        };
        Ok(Self { agent, plane, engine, image: setup.image.to_owned() })
    }

    /// A sleeping container of the bench's image.
    #[must_use]
    pub fn container(&self, name: &str, members: Value) -> Value {
        payload::container(name, &self.image, members)
    }

    /// A container of the bench's image that runs a script.
    #[must_use]
    pub fn shell(&self, name: &str, script: &str, members: Value) -> Value {
        payload::shell(name, &self.image, script, members)
    }

    /// A task that was not sent yet.
    #[must_use]
    pub fn task(&self, containers: &[Value], members: Value) -> Value {
        payload::task(&self.plane.task_arn(), self.plane.cluster_arn(), containers, members)
    }

    /// Sends a new task.
    ///
    /// # Errors
    /// The agent is not connected.
    pub fn run(&self, containers: &[Value]) -> Result<Value> {
        self.run_with(containers, json!({}))
    }

    /// Sends a new task with further members.
    ///
    /// # Errors
    /// The agent is not connected.
    pub fn run_with(&self, containers: &[Value], members: Value) -> Result<Value> {
        let task = self.task(containers, members);
        self.plane.payload(std::slice::from_ref(&task))?;
        Ok(task)
    }

    /// Asks for a task's end.
    ///
    /// # Errors
    /// The agent is not connected.
    pub fn stop(&self, task: &Value) -> Result<()> {
        self.plane.payload(&[payload::stopped(task)]).map(drop)
    }

    /// Waits for a state change of a task.
    ///
    /// # Errors
    /// It does not come.
    pub fn until(&self, task: &Value, status: &str) -> Result<Value> {
        let (body, _) = self.with_log(self.plane.until(arn(task), status, LIMIT))?;
        Ok(body)
    }

    /// Adds to an error what the agent logged last.
    ///
    /// # Errors
    /// The outcome's own.
    pub fn with_log<T>(&self, outcome: Result<T>) -> Result<T> {
        outcome.with_context(|| format!("the agent's log ends:\n{}", self.agent.log_tail()))
    }

    /// Asks for a task's end and waits for it.
    ///
    /// # Errors
    /// It does not come.
    pub fn stop_and_wait(&self, task: &Value) -> Result<Value> {
        self.stop(task)?;
        self.until(task, "STOPPED")
    }

    /// The task's story, rendered.
    #[must_use]
    pub fn story(&self, task: &Value) -> String {
        story::render_all(&self.plane.story(arn(task))).replace(&self.image, "<image>")
    }

    /// How the task's story ended, rendered.
    #[must_use]
    pub fn outcome(&self, task: &Value) -> String {
        story::render_outcome(&self.plane.story(arn(task))).replace(&self.image, "<image>")
    }

    /// The statuses of the task's story.
    #[must_use]
    pub fn statuses(&self, task: &Value) -> Vec<String> {
        let changes = self.plane.story(arn(task));
        changes.iter().filter_map(|change| change["status"].as_str().map(str::to_owned)).collect()
    }

    /// Ids of the task's containers in Docker, running or not.
    ///
    /// # Errors
    /// Docker cannot be asked.
    pub fn containers(&self, task: &Value) -> Result<Vec<String>> {
        self.engine.labelled(&format!("com.amazonaws.ecs.task-arn={}", arn(task)))
    }

    /// Ids of the containers of all its tasks, running or not.
    ///
    /// # Errors
    /// Docker cannot be asked.
    pub fn all_containers(&self) -> Result<Vec<String>> {
        self.engine.labelled(&format!("com.amazonaws.ecs.cluster={}", self.plane.cluster()))
    }

    /// One of the task's containers as Docker describes it.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn inspect(&self, task: &Value, name: &str) -> Result<Value> {
        for id in self.containers(task)? {
            let container = self.engine.inspect(&id)?;
            if container["Config"]["Labels"]["com.amazonaws.ecs.container-name"] == name {
                return Ok(container);
            }
        }
        Err(anyhow::anyhow!("no container {name}")).context("looking into Docker")
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // The agent must not see its containers vanish; it is about to be dropped anyway.
        drop(self.agent.stop(crate::agent::Signal::Kill));
        for id in self.all_containers().unwrap_or_default() {
            drop(self.engine.remove(&id));
        }
        for arn in self.plane.task_arns() {
            crate::engine::clear_cgroup(arn.rsplit('/').next().unwrap_or(""));
        }
    }
}

fn arn(task: &Value) -> &str {
    task["arn"].as_str().unwrap_or("")
}
