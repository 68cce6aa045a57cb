//! Further processes in a running container.

use bytes::Bytes;
use http::HeaderValue;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use wire::docker::{ExecCreated, ExecInspect};

use crate::connection::Connection;
use crate::deadlines;
use crate::engine::Engine;
use crate::error::{Cause, Error};
use crate::logs::{Frames, LogSource};
use crate::request::{Call, named};

/// A process to execute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecCreate {
    pub command: Vec<String>,
    /// Empty for the container's own.
    pub user: String,
    /// `NAME=value`.
    pub env: Vec<String>,
    /// Empty for the container's own; needs API 1.35.
    pub working_dir: String,
    pub tty: bool,
    /// Which streams [`Engine::exec_attach`] gets; with none of them the process is detached.
    pub stdin: bool,
    pub output: bool,
}

impl Engine {
    /// Prepares a process, and returns its id.
    pub async fn exec_create(&self, container: &str, exec: &ExecCreate) -> Result<String, Error> {
        let path = format!("/containers/{}/exec", named("create exec in container", "container", container)?);
        let mut body = json!({
            "User": exec.user,
            "Tty": exec.tty,
            "AttachStdin": exec.stdin,
            "AttachStdout": exec.output,
            "AttachStderr": exec.output,
            "Detach": !exec.stdin && !exec.output,
            "Cmd": exec.command,
        });
        let mut call = Call::post("create exec in container", container, path, self.limit(deadlines::EXEC));
        if !exec.env.is_empty() {
            body["Env"] = json!(exec.env);
            call = call.wish(crate::request::Wish::AtLeast(wire::docker::ApiVersion::v1(25)));
        }
        if !exec.working_dir.is_empty() {
            body["WorkingDir"] = json!(exec.working_dir);
            call = call.wish(crate::request::Wish::AtLeast(wire::docker::ApiVersion::v1(35)));
        }
        Ok(self.call_json::<ExecCreated>(&call.json(&body)).await?.id)
    }

    /// Starts a prepared process without its streams.
    pub async fn exec_start(&self, exec: &str) -> Result<(), Error> {
        let path = format!("/exec/{}/start", named("start exec", "exec instance", exec)?);
        let call = Call::post("start exec", exec, path, self.limit(deadlines::EXEC));
        self.call(&call.json(&json!({"Detach": true, "Tty": false}))).await.map(drop)
    }

    /// Starts a prepared process and takes its streams. `tty` as at its creation.
    pub async fn exec_attach(&self, exec: &str, tty: bool) -> Result<ExecStream, Error> {
        let path = format!("/exec/{}/start", named("attach to exec", "exec instance", exec)?);
        let limit = self.limit(deadlines::EXEC);
        let call = Call::post("attach to exec", exec, path, limit)
            .json(&json!({"Detach": false, "Tty": tty}))
            .header(http::header::CONNECTION, HeaderValue::from_static("Upgrade"))
            .header(http::header::UPGRADE, HeaderValue::from_static("tcp"));
        let open = self.open(&call).await?;
        let upgraded = match tokio::time::timeout(limit, hyper::upgrade::on(open.response)).await {
            Ok(Ok(upgraded)) => upgraded,
            Ok(Err(_)) => return Err(call.fail(open.place.broken("EOF"))),
            Err(_) => return Err(call.fail(Cause::Deadline(limit))),
        };
        let (output, input) = tokio::io::split(TokioIo::new(upgraded));
        Ok(ExecStream {
            output,
            input: Some(input),
            frames: Frames::new(tty),
            exec: exec.to_owned(),
            _connection: open.connection,
        })
    }

    pub async fn exec_inspect(&self, exec: &str) -> Result<ExecInspect, Error> {
        let path = format!("/exec/{}/json", named("inspect exec", "exec instance", exec)?);
        self.call_json(&Call::get("inspect exec", exec, path, self.limit(deadlines::EXEC))).await
    }

    /// Tells the process' terminal its size.
    pub async fn exec_resize(&self, exec: &str, rows: u16, columns: u16) -> Result<(), Error> {
        let path = format!("/exec/{}/resize", named("resize exec", "exec instance", exec)?);
        let call = Call::post("resize exec", exec, path, self.limit(deadlines::EXEC));
        self.call(&call.query("h", rows.to_string()).query("w", columns.to_string())).await.map(drop)
    }
}

/// Streams of an executed process.
pub struct ExecStream {
    output: ReadHalf<TokioIo<Upgraded>>,
    input: Option<WriteHalf<TokioIo<Upgraded>>>,
    frames: Frames,
    exec: String,
    _connection: Connection,
}

/// The input of an executed process.
pub type ExecInput = WriteHalf<TokioIo<Upgraded>>;

impl ExecStream {
    /// The process' input, once. Shutting it down is its end of file.
    pub fn take_input(&mut self) -> Option<ExecInput> {
        self.input.take()
    }

    /// Ends the process' input, if it was not taken.
    pub async fn close_input(&mut self) {
        if let Some(mut input) = self.input.take() {
            // The process may have ended first.
            let _ = input.shutdown().await;
        }
    }

    /// The next piece of output; `None` when the process has ended. Cancel-safe.
    pub async fn next(&mut self) -> Option<Result<(LogSource, Bytes), Error>> {
        loop {
            match self.frames.take() {
                Ok(Some(piece)) => return Some(Ok(piece)),
                Ok(None) => {}
                Err(cause) => return Some(Err(Error::new("attach to exec", self.exec.as_str(), cause))),
            }
            let mut chunk = [0; 16 << 10];
            match self.output.read(&mut chunk).await {
                // A process that is killed can leave half a frame.
                Ok(0) | Err(_) => return None,
                Ok(length) => self.frames.add(&chunk[..length]),
            }
        }
    }
}
