//! `jwe-gate-lookup`: reads the settings, opens the servers, serves.

use std::process::ExitCode;

use clap::Parser;
use jwe_gate_lookup::service::{assemble, serve};
use jwe_gate_lookup::settings::{Flags, Settings, process_variable};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

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
    log_as_json();
    // Redis and Postgres share one TLS library, which wants to be told of its cipher provider once.
    rustls::crypto::ring::default_provider().install_default().ok();
    let settings = Settings::read(flags, &process_variable)?;
    let listen = settings.listen;
    let service = assemble(settings).await?;
    let shutdown = told_to_stop()?;
    let listener = TcpListener::bind(listen).await.map_err(|error| format!("LISTEN: cannot bind {listen}: {error}"))?;
    tracing::info!(address = %listener.local_addr()?, realm = &*service.realm, "listening");
    serve(listener, service, shutdown).await?;
    tracing::info!("stopped");
    Ok(())
}

/// Libraries below warnings are left out: their messages may quote what they were given.
fn log_as_json() {
    let level = process_variable("LOG").filter(|level| !level.is_empty()).unwrap_or_else(|| "info".into());
    let filter = EnvFilter::new(format!("off,jwe_gate_lookup={level}"));
    tracing_subscriber::fmt().json().flatten_event(true).with_env_filter(filter).with_writer(std::io::stderr).init();
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
