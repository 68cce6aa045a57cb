//! Calls of the control plane that a task's request needs: tags and task protection.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use aws::{CallError, Credentials, Json11};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// One attempt of one call.
#[derive(Debug)]
pub(crate) struct EcsCall {
    pub operation: &'static str,
    pub input: Value,
    /// The task's own; the instance's when there are none.
    pub credentials: Option<Credentials>,
    /// Added to the agent's own name.
    pub user_agent_suffix: Option<String>,
    pub deadline: Duration,
}

type Answer = Pin<Box<dyn Future<Output = Result<Value, CallError>> + Send>>;

/// How to reach the ECS API.
#[derive(Clone)]
pub(crate) struct Ecs(Arc<dyn Fn(EcsCall) -> Answer + Send + Sync>);

impl Ecs {
    /// Through this client, whose name is `user_agent`.
    pub(crate) fn new(client: Json11, user_agent: &str) -> Self {
        let user_agent: Arc<str> = user_agent.into();
        Self::from_fn(move |call| {
            let mut client = client.clone();
            if let Some(suffix) = &call.user_agent_suffix {
                client = client.with_user_agent(&format!("{user_agent}{suffix}"));
            }
            if let Some(credentials) = call.credentials {
                client = client.with_credentials(credentials);
            }
            async move { client.call(call.operation, &call.input, call.deadline).await }
        })
    }

    pub(super) fn from_fn<F, A>(call: F) -> Self
    where
        F: Fn(EcsCall) -> A + Send + Sync + 'static,
        A: Future<Output = Result<Value, CallError>> + Send + 'static,
    {
        Self(Arc::new(move |request| Box::pin(call(request))))
    }

    /// One attempt.
    ///
    /// # Errors
    /// As [`Json11::call`].
    pub(super) async fn call<I: Serialize, O: DeserializeOwned>(
        &self,
        call: EcsCall,
        input: &I,
    ) -> Result<O, CallError> {
        let operation = call.operation;
        let failed = |kind| CallError { service: "ECS", operation: operation.to_owned(), kind };
        let input = serde_json::to_value(input)
            .map_err(|error| failed(aws::json11::CallErrorKind::Encode { reason: error.to_string() }))?;
        let answer = (self.0)(EcsCall { input, ..call }).await?;
        serde_json::from_value(answer)
            .map_err(|error| failed(aws::json11::CallErrorKind::Decode { reason: error.to_string(), request_id: None }))
    }
}
