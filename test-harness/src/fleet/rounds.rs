//! `make fleet`: how soon a user who signs out at one proxy is out at all of them, under load, round after round.
//!
//! The app notes when the last request of each round's session reached it: whatever is admitted anywhere and at whatever
//! time shows there. What is promised must hold in every round; all other times are told and never judged.

mod app;
mod report;
mod visitors;

pub use report::Report;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::Result;

use super::proxy::signing_out;
use super::{Fleet, Plan, USERS, session, wait_until};
use crate::health;
use app::App;
use report::Times;
use visitors::{Board, Visitor};

/// What is about to be done.
#[must_use]
pub fn plan(rounds: usize) -> String {
    format!(
        "{PROXIES} Envoys with 2 workers each, {REPLICAS} replicas of the lookup service, one Redis, one Postgres; \
         {RATE} requests a second.\n{rounds} rounds: a user signs out at one proxy while all proxies are asked with that \
         session, with those that\nhave ended, and with those of others. How long is it admitted anywhere?"
    )
}

/// Runs so many rounds. The lookup service is `program`.
///
/// # Errors
/// When a part does not start, or a user cannot sign out.
pub fn run(program: &Path, rounds: usize) -> Result<Report> {
    let app = App::start(rounds)?;
    let fleet = Plan { replicas: REPLICAS, ..Plan::new(program, PROXIES) }.start(app.address())?;
    let promised = fleet.promised()?;
    fleet.admit(&session(USERS[0], "before all rounds"));
    fleet.admit(&session(USERS[1], "others"));
    let (board, enough) = (Board::new(PROXIES * VISITORS), AtomicBool::new(false));
    let visitors = visitors(&fleet);
    let begun = Instant::now();
    let times = thread::scope(|scope| {
        for (number, visitor) in visitors.into_iter().enumerate() {
            let (board, enough) = (&board, &enough);
            scope.spawn(move || visitor.visit(number, (RATE, PROXIES * VISITORS), board, enough));
        }
        let times: Result<Vec<_>> = (0..rounds).map(|round| play(&fleet, &board, &app, round)).collect();
        enough.store(true, Ordering::Relaxed);
        times
    })?;
    let elapsed = begun.elapsed();
    fleet.proxies.iter().for_each(|proxy| health::check(proxy.envoy()));
    // What was admitted after its round was over is later than was seen then.
    let times = times.into_iter().enumerate().map(|(round, times)| Times { last: app.last(round), ..times }).collect();
    Ok(Report { promised, elapsed, times, tally: board.tally() })
}

/// One user signs out.
fn play(fleet: &Fleet, board: &Board, app: &App, round: usize) -> Result<Times> {
    let cookie = session(USERS[0], &format!("round {round}"));
    board.begin(round, &cookie);
    wait_until("all proxies to admit the session", || board.all_admit());
    let mut connection = fleet.proxies[round % PROXIES].connect();
    // The connection is made and the worker chosen before the clock runs.
    let _ = connection.send(jwe_gate_test_parts::http::get("/readyz", &[]))?;
    let sent = Instant::now();
    let reply = connection.send(signing_out(&cookie))?;
    let receipt = Instant::now();
    anyhow::ensure!(reply.status == 204, "{} to a sign-out", reply.status);
    wait_until("all proxies to refuse the session", || board.all_refuse());
    Ok(Times { sent, receipt, last: app.last(round) })
}

/// The same number at each proxy, and some at each of its workers.
fn visitors(fleet: &Fleet) -> Vec<Visitor<'_>> {
    let mut visitors = Vec::new();
    for proxy in &fleet.proxies {
        let mut ours: Vec<Visitor<'_>> = Vec::new();
        wait_until("connections at both workers", || {
            ours.clear();
            ours = (0..VISITORS).map(|_| Visitor::new(proxy)).collect();
            let stats = proxy.envoy().stats().expect("the admin page answers");
            let active = |worker: &str| {
                let mut found = stats.iter().filter(|(name, _)| name.ends_with(worker));
                found.next().map_or(0, |(_, active)| *active)
            };
            active("worker_0.downstream_cx_active") > 1 && active("worker_1.downstream_cx_active") > 1
        });
        visitors.append(&mut ours);
    }
    visitors
}

const PROXIES: usize = 3;
const REPLICAS: usize = 2;
/// Visitors of each proxy, with a connection each.
const VISITORS: usize = 8;
/// Requests a second in all.
const RATE: u32 = 500;
