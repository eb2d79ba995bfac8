//! The program: reads the settings, opens the servers, serves until it is told to stop.
//!
//! It is part of the library so that the test harness can build the same program along with its tests.

use std::process::ExitCode;

use clap::Parser;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::service::{assemble, serve};
use crate::settings::{Flags, LogLevel, Settings, process_variable};

/// Runs it with the arguments and variables of this process.
#[must_use]
pub fn main() -> ExitCode {
    let flags = Flags::parse();
    match Runtime::new().map_err(Into::into).and_then(|runtime| runtime.block_on(run(flags))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("jwe-gate-lookup: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(flags: Flags) -> Result<(), Box<dyn std::error::Error>> {
    let settings = Settings::read(flags, &process_variable)?;
    log_as_json(settings.log);
    let listen = settings.listen;
    let service = assemble(settings).await?;
    let shutdown = told_to_stop()?;
    let listener = TcpListener::bind(listen).await.map_err(|error| format!("LISTEN: cannot bind {listen}: {error}"))?;
    tracing::info!(address = %listener.local_addr()?, realm = &*service.realm, "listening");
    serve(listener, service, shutdown).await?;
    tracing::info!("stopped");
    Ok(())
}

/// Our own events only: those of libraries may quote what they were given.
fn log_as_json(LogLevel(level): LogLevel) {
    let ours = Targets::new().with_target("jwe_gate_lookup", level);
    let json = layer().json().flatten_event(true).with_writer(std::io::stderr);
    tracing_subscriber::registry().with(json).with(ours).init();
}

/// Ends with the first SIGTERM or SIGINT.
fn told_to_stop() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
