//! `jwe-gate-lookup`: reads the settings, opens the servers, serves.

use std::process::ExitCode;

use clap::Parser;
use jwe_gate_lookup::service::{assemble, serve};
use jwe_gate_lookup::settings::{Flags, LogLevel, Settings, process_variable};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Flags::parse()).await {
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
