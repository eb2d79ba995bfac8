//! `jwe-gate warm`: loads users into the caches before an event, and asks each proxy for pages in their names.
//!
//! It says how many, never who: neither ids nor tokens are printed. The sessions that it makes for pages last for five
//! minutes.

mod lookups;
mod pages;
mod tally;

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;

use jwe_gate_core::config::LookupConfig;
use ureq::Agent;

use crate::agent::agent;
use crate::arguments::WarmArguments;
use crate::check;
use crate::failure::Failure;
use tally::Tally;

pub(crate) fn run(arguments: &WarmArguments) -> Result<ExitCode, Failure> {
    let config = check::read(&arguments.config)?;
    let Some(lookup) = &config.lookup else { return Err(Failure::NoLookup(arguments.config.clone())) };
    let users = users(&arguments.users)?;
    let agent = agent(arguments.ca.as_deref())?;
    let known = warm_lookups(&agent, arguments, lookup, &users);
    let mut is_complete = known.1.report("lookups");
    let known = known.0;
    if let (false, Some(session)) = (arguments.pages.is_empty(), config.sessions.first()) {
        let sessions = pages::sessions(session, &known)?;
        for page in &arguments.pages {
            let visit = |session: &String| pages::visit(&agent, page, arguments.host.as_deref(), session);
            let seen = at_once(arguments.concurrency, sessions.iter(), visit);
            is_complete &= seen.into_iter().collect::<Tally>().report(page);
        }
    }
    Ok(if is_complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Asks about everybody, and returns who is known.
fn warm_lookups<'a>(
    agent: &Agent,
    arguments: &WarmArguments,
    lookup: &LookupConfig,
    users: &'a [String],
) -> (Vec<&'a String>, Tally) {
    let ask = |batch: &'a [String]| (batch, lookups::ask(agent, &arguments.lookup, lookup, batch));
    let answers = at_once(arguments.concurrency, users.chunks(jwe_gate_contract::MAX_QUESTIONS), ask);
    let (mut known, mut tally) = (Vec::new(), Tally::default());
    for (batch, answers) in answers {
        for (user, seen) in batch.iter().zip(answers) {
            if seen == tally::Seen::Passed {
                known.push(user);
            }
            tally.count(seen);
        }
    }
    (known, tally)
}

/// Does each piece of work, at most `concurrency` at once.
fn at_once<T: Send, R: Send>(
    concurrency: usize,
    work: impl Iterator<Item = T> + Send,
    act: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let (work, done) = (Mutex::new(work), Mutex::new(Vec::new()));
    // A worker that panicked is reported when the scope ends; what the others hold is whole.
    let next = || work.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
    thread::scope(|scope| {
        for _ in 0..concurrency.max(1) {
            scope.spawn(|| {
                while let Some(piece) = next() {
                    let result = act(piece);
                    done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(result);
                }
            });
        }
    });
    done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// One id on each line. Empty lines do not count.
fn users(path: &Path) -> Result<Vec<String>, Failure> {
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().lock().read_to_end(&mut bytes).map_err(Failure::io("standard input"))?;
    } else {
        bytes = fs::read(path).map_err(Failure::io(path))?;
    }
    let text = String::from_utf8(bytes).map_err(|_| Failure::UserEncoding(path.to_owned()))?;
    Ok(text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
}
