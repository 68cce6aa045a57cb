//! Longshore: runs Amazon ECS tasks on one machine, joined to Amazon ECS or all by itself.

mod agent;
mod config;
mod log;
mod plane;

use std::process::ExitCode;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(16)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(_) => return ExitCode::FAILURE,
    };
    let code = runtime.block_on(run_agent());
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

async fn run_agent() -> i32 {
    let (config, warnings) = match config::Config::load_from_process(None, None) {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("{error}");
            return 1;
        }
    };
    let _guard = log::init(&config.logging);
    log::report(&warnings);
    let shutdown = CancellationToken::new();
    let signal = shutdown.clone();
    tokio::spawn(async move {
        use tokio::signal::unix::{SignalKind, signal as on};
        let (Ok(mut term), Ok(mut int)) = (on(SignalKind::terminate()), on(SignalKind::interrupt())) else { return };
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        signal.cancel();
    });
    let options = agent::AgentOptions {
        config,
        lookup: Arc::new(|name: &str| std::env::var(name).ok()),
        verify_tls: true,
        is_imds_blackholed: false,
        is_local: false,
        published: agent::published::Published::new(),
        shutdown,
    };
    let report = agent::run(options).await;
    if report.code != 0 {
        tracing::error!(code = report.code, "{}", report.why);
        eprintln!("longshore: {}", report.why);
    }
    report.code
}
