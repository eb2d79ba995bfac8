//! One swap: the document is moved into place, all Envoys take it, or it is taken back from all.

use std::fmt;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::admin::{Admin, State};
use super::directory::Directory;
use super::document::Document;
use crate::failure::Failure;

/// A swap that can begin: every Envoy answers.
pub(super) struct Swap<'a> {
    directory: &'a Directory,
    filter: &'a str,
    envoys: Vec<Envoy<'a>>,
    timeout: Duration,
    previous: Option<Document>,
}

struct Envoy<'a> {
    admin: &'a Admin,
    before: State,
}

/// How it ended.
pub(super) enum Done {
    /// Every Envoy has taken this version.
    Taken(String),
    /// Not every Envoy has, and each has again what it had before.
    TakenBack(Vec<String>),
    /// Not every Envoy has, and not each has again what it had before.
    Unsettled(Vec<String>),
}

/// What an Envoy's state says about what is waited for.
enum Look {
    Reached,
    Waiting,
    Refused,
}

impl<'a> Swap<'a> {
    /// Asks every Envoy how things stand before anything is changed.
    pub(super) fn prepare(
        directory: &'a Directory,
        filter: &'a str,
        admins: &'a [Admin],
        timeout: Duration,
    ) -> Result<Self, Failure> {
        let previous = directory.current(filter)?;
        let envoys = admins.iter().map(|admin| Ok(Envoy { admin, before: admin.state()? }));
        Ok(Self { directory, filter, envoys: envoys.collect::<Result<_, Failure>>()?, timeout, previous })
    }

    /// Puts the document in place and waits for all Envoys.
    pub(super) fn run(&self, document: &Document) -> Result<Done, Failure> {
        self.directory.put(self.filter, document)?;
        let mut troubles = self.wait(|before, now| match now {
            now if now.version == document.version => Look::Reached,
            now if now.refusals > before.refusals => Look::Refused,
            _ => Look::Waiting,
        });
        if troubles.is_empty() {
            return Ok(Done::Taken(document.version.clone()));
        }
        let Some(previous) = &self.previous else {
            troubles.push("nothing was in place before, so nothing has been taken back".to_owned());
            return Ok(Done::Unsettled(troubles));
        };
        self.directory.put(self.filter, previous)?;
        // An Envoy that is late reads what is in place then, so whoever has the old version now keeps it.
        let left = self.wait(|before, now| if now.version == before.version { Look::Reached } else { Look::Waiting });
        if left.is_empty() {
            return Ok(Done::TakenBack(troubles));
        }
        troubles.push(format!("version {} is in place again, but:", previous.version));
        troubles.extend(left);
        Ok(Done::Unsettled(troubles))
    }

    /// Waits for all Envoys, or until one has refused, and says what is wrong with which.
    fn wait(&self, look: impl Fn(&State, &State) -> Look) -> Vec<String> {
        let end = Instant::now() + self.timeout;
        loop {
            let mut waiting = Vec::new();
            for Envoy { admin, before } in &self.envoys {
                let trouble = match admin.state() {
                    Ok(now) => match look(before, &now) {
                        Look::Reached => continue,
                        Look::Refused => return vec![format!("{}: refused; its log says why", admin.url)],
                        Look::Waiting => format!("{}: still has version {:?}", admin.url, now.version),
                    },
                    Err(failure) => failure.to_string(),
                };
                waiting.push(trouble);
            }
            if waiting.is_empty() || Instant::now() >= end {
                return waiting;
            }
            sleep(STEP);
        }
    }
}

impl Done {
    pub(super) fn is_taken(&self) -> bool {
        matches!(self, Self::Taken(_))
    }

    /// Whether nothing but the document in place is in use.
    pub(super) fn is_settled(&self) -> bool {
        !matches!(self, Self::Unsettled(_))
    }

    pub(super) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Taken(_) => 0,
            Self::TakenBack(_) => 1,
            Self::Unsettled(_) => 3,
        })
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken(version) => write!(f, "version {version}: taken"),
            Self::TakenBack(troubles) => {
                write!(f, "{}\nnot deployed: every Envoy has what it had before", troubles.join("\n"))
            }
            Self::Unsettled(troubles) => {
                write!(f, "{}\nUNSETTLED: not every Envoy has what it had before", troubles.join("\n"))
            }
        }
    }
}

const STEP: Duration = Duration::from_millis(50);
