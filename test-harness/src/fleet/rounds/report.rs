//! What the rounds came to.

use std::fmt;
use std::time::{Duration, Instant};

use super::visitors::{Tally, Whose};

/// All rounds.
#[derive(Debug)]
pub struct Report {
    pub(super) promised: Duration,
    pub(super) elapsed: Duration,
    pub(super) times: Vec<Times>,
    pub(super) tally: Tally,
}

/// One round.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// When the sign-out was sent.
    pub(super) sent: Instant,
    /// When its reply had come.
    pub(super) receipt: Instant,
    /// When the app was last asked with the session.
    pub(super) last: Option<Instant>,
}

impl Times {
    fn after(&self, moment: Instant) -> Duration {
        self.last.map_or(Duration::ZERO, |last| last.saturating_duration_since(moment))
    }
}

impl Report {
    /// What must not have been.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let late = self.times.iter().filter(|times| times.after(times.receipt) > self.promised).count();
        let late = (late > 0).then(|| format!("{late} rounds in which the session was admitted later than promised"));
        let wrong = self.tally.iter().filter(|((whose, status), _)| !is_right(*whose, *status));
        let wrong = wrong.map(|((whose, status), count)| format!("{}: {count}", name(*whose, *status)));
        late.into_iter().chain(wrong).collect()
    }

    fn row(&self, name: &str, of: impl Fn(&Times) -> Duration) -> String {
        let mut all: Vec<_> = self.times.iter().map(of).collect();
        all.sort_unstable();
        let at = |share: usize| {
            let place = (all.len() * share).div_ceil(100).saturating_sub(1);
            all.get(place).map_or(0.0, |time| time.as_secs_f64() * 1e3)
        };
        format!("{name:<44}{:>8.0}{:>8.0}{:>9.0}", at(50), at(99), at(100))
    }
}

/// A session that has ended is refused, or its request is cut.
fn is_right(whose: Whose, status: Option<u16>) -> bool {
    match whose {
        Whose::Leaving => matches!(status, None | Some(200 | 401)),
        Whose::Ended => status == Some(401),
        Whose::Other => status == Some(200),
    }
}

fn name(whose: Whose, status: Option<u16>) -> String {
    let whose = match whose {
        Whose::Leaving => "who signs out in this round",
        Whose::Ended => "who has signed out before",
        Whose::Other => "others",
    };
    status.map_or_else(|| format!("{whose}, cut"), |status| format!("{whose}, {status}"))
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let requests: u64 = self.tally.values().sum();
        #[expect(clippy::cast_precision_loss, reason = "a figure to be read")]
        let rate = requests as f64 / self.elapsed.as_secs_f64();
        writeln!(out, "\n{} rounds, {requests} requests, {rate:.0} a second\n", self.times.len())?;
        writeln!(out, "{:<44}{:>8}{:>8}{:>9}", "milliseconds", "p50", "p99", "longest")?;
        writeln!(out, "{}", self.row("sign-out sent, until it is acknowledged", |times| times.receipt - times.sent))?;
        writeln!(out, "{}", self.row("sign-out sent, until last admitted anywhere", |times| times.after(times.sent)))?;
        writeln!(
            out,
            "{}",
            self.row("acknowledged, until last admitted anywhere", |times| times.after(times.receipt))
        )?;
        writeln!(out, "{:<44}{:>25}\n", "promised after it is acknowledged", self.promised.as_millis())?;
        for ((whose, status), count) in &self.tally {
            writeln!(out, "{count:>8}  {}", name(*whose, *status))?;
        }
        self.complaints().iter().try_for_each(|complaint| writeln!(out, "WRONG: {complaint}"))
    }
}
