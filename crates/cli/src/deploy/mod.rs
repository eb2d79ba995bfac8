//! `jwe-gate deploy` and `jwe-gate rollback`: swaps the filter of running Envoys, or says that nothing has changed.
//!
//! Module and configuration are one document, since a module refuses a configuration that it does not know: they are
//! taken together and given up together. What is wrong with either is found before the document is in place where it can
//! be; Envoy has the last word, and what it refuses is taken back.

mod admin;
mod directory;
mod document;
mod module;
mod swap;

use std::process::ExitCode;
use std::time::Duration;

use crate::arguments::{DeployArguments, RollbackArguments, WhereArguments};
use crate::check;
use crate::failure::Failure;
use admin::Admin;
use directory::{Directory, Kept};
use document::Document;
use module::Module;
pub(crate) use module::hex;
use swap::{Done, Swap};

/// Puts a module and a configuration in place.
pub(crate) fn deploy(arguments: &DeployArguments) -> Result<ExitCode, Failure> {
    let module = match Module::read(&arguments.module, &arguments.sha256)? {
        Ok(module) => module,
        Err(mismatch) => return Ok(refused(&mismatch)),
    };
    println!("module: {} bytes, SHA-256 {}", module.bytes.len(), module.sha256);
    let configuration = match check::text(&arguments.config) {
        Ok(checked) => checked,
        Err(Failure::Config(path, error)) => return Ok(refused(&format!("{}: {error}", path.display()))),
        Err(failure) => return Err(failure),
    };
    for warning in &configuration.warnings {
        println!("configuration: warning: {warning}");
    }
    println!("configuration: accepted");

    let (directory, filter) = (Directory::lock(&arguments.at.directory)?, &arguments.at.name);
    if arguments.first && directory.current(filter)?.is_some() {
        return Err(Failure::NotFirst(directory.current_path(filter)));
    }
    let document = Document::new(filter, &directory.keep_module(&module)?, &configuration);
    if arguments.first {
        directory.put(filter, &document)?;
        directory.keep_document(filter, &document)?;
        println!("version {}: in place for the first start of Envoy", document.version);
        return Ok(ExitCode::SUCCESS);
    }
    let done = swap(&directory, &arguments.at, &arguments.admin, &document)?;
    if done.is_taken() {
        directory.keep_document(filter, &document)?;
    }
    if done.is_settled() {
        directory.forget(filter, arguments.keep.into())?;
    }
    Ok(done.exit_code())
}

/// Puts what was in place before the present document, or a named version, in place again.
pub(crate) fn rollback(arguments: &RollbackArguments) -> Result<ExitCode, Failure> {
    let directory = Directory::lock(&arguments.at.directory)?;
    let filter = &arguments.at.name;
    let kept = directory.kept(filter)?;
    let present = directory.current(filter)?.map(|document| document.version);
    let wanted = match &arguments.to {
        Some(version) => kept.into_iter().find(|kept| kept.version == *version),
        None => before(kept, present.as_deref()),
    };
    let Some(wanted) = wanted else { return Err(Failure::NothingKept(directory.kept_path())) };
    Ok(swap(&directory, &arguments.at, &arguments.admin, &wanted.read()?)?.exit_code())
}

/// What was in place before the present version; the newest where the present one is not among them.
fn before(kept: Vec<Kept>, present: Option<&str>) -> Option<Kept> {
    let at = kept.iter().position(|kept| Some(kept.version.as_str()) == present);
    kept.into_iter().nth(at.map_or(0, |at| at + 1))
}

fn swap(directory: &Directory, at: &WhereArguments, urls: &[String], document: &Document) -> Result<Done, Failure> {
    let admins = urls.iter().map(|url| Admin::new(url, &at.name)).collect::<Result<Vec<_>, _>>()?;
    let done = Swap::prepare(directory, &at.name, &admins, Duration::from_secs(at.timeout))?.run(document)?;
    println!("{done}");
    Ok(done)
}

/// Nothing has been changed.
fn refused(reason: &str) -> ExitCode {
    println!("{reason}\nnot deployed: nothing has been changed");
    ExitCode::FAILURE
}
