//! `jwe-gate check --path`: what becomes of a request, and why. The gate itself decides, in this process; the lookup is
//! supposed to say what the arguments say.

mod gate;
mod report;
mod request;

use std::process::ExitCode;

use jwe_gate_core::config::{Config, RevocationConfig};
use jwe_gate_core::gate::RequestHeaders;
use jwe_gate_core::policy::Policy;
use jwe_gate_core::time::UnixMillis;

use crate::arguments::RequestArguments;
use crate::failure::Failure;
use crate::{inspect, mint};
use gate::{Decision, Lookup};
use report::Facts;
use request::Request;

/// Ends with status 0 if the request goes on to the application, and with 1 if it is answered.
pub(crate) fn run(mut config: Config, path: &str, arguments: &RequestArguments) -> Result<ExitCode, Failure> {
    let now = UnixMillis::from_seconds(arguments.now.unwrap_or_else(mint::now));
    let request = Request::read(path, arguments)?;
    let lookup = Lookup::new(config.lookup.as_ref(), arguments)?;
    let (cookie, authorization) = (request.all("cookie", "; "), request.first("authorization"));
    let credential = inspect::Request { cookie: cookie.as_bytes(), authorization, now };
    let session = credential.judge(&config).map_err(Failure::Derive)?;

    // The feed is not followed here: without it every session would be refused.
    let revocation = config.revocation.take();
    let own_path = revocation.as_ref().and_then(|revocation| own_path(revocation, path));
    config.access_log.reason = true;
    config.access_log.session = true;
    let routes = std::mem::take(&mut config.routes);
    let (names, claims, fields) = (routes.names.clone(), routes.claims.clone(), routes.fields.clone());
    config.routes = routes;

    let policy = Policy::compile(config).map_err(Failure::Derive)?;
    let explanation = policy.explain(request.map());
    let decision = gate::decide(policy, &request, &lookup, now);
    let facts = Facts {
        names: &names,
        conditions: (&claims, &fields),
        explanation: &explanation,
        session: session.as_ref().map_err(|reason| reason.as_str()),
        lookup: &lookup,
        decision: &decision,
        revocation: revocation.is_some(),
        own_path,
        show_values: arguments.show_values,
    };
    print!("{}", facts.text());
    Ok(match decision {
        Decision::Forward { .. } => ExitCode::SUCCESS,
        Decision::Reply { .. } | Decision::None => ExitCode::FAILURE,
    })
}

/// What the gate itself does on this path.
fn own_path(revocation: &RevocationConfig, path: &str) -> Option<&'static str> {
    let is_own = |own: &String| path.split('?').next() == Some(own);
    if revocation.ready_path.as_ref().is_some_and(is_own) {
        return Some("the gate answers this path by the age of the feed, which is not looked at here");
    }
    let sign_out = revocation.sign_out.as_ref().filter(|sign_out| is_own(&sign_out.path));
    sign_out.map(|_| "a POST to this path signs out, which is not looked at here")
}
