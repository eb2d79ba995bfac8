//! All scenarios, by subject.

mod browsers;
mod credentials;
mod failures;
mod fields;
mod isolation;
mod lookups;
mod outages;
mod passing;
mod revocations;
mod routes;
mod sign_out;
mod stripping;
mod together;
mod waiting;

use crate::scenario::Scenario;

/// Every scenario that any proxy plays.
#[must_use]
pub fn all() -> Vec<Scenario> {
    [
        browsers::SCENARIOS,
        credentials::SCENARIOS,
        failures::SCENARIOS,
        fields::SCENARIOS,
        isolation::SCENARIOS,
        lookups::SCENARIOS,
        outages::SCENARIOS,
        passing::SCENARIOS,
        routes::SCENARIOS,
        stripping::SCENARIOS,
        together::SCENARIOS,
        waiting::SCENARIOS,
    ]
    .concat()
}

/// Those for proxies whose filter can act on all requests.
#[must_use]
pub fn acting_on_others() -> Vec<Scenario> {
    [revocations::SCENARIOS, sign_out::SCENARIOS].concat()
}

/// Lists scenarios: each a function that takes the world, named by what it shows, with its setup.
macro_rules! scenarios {
    ($($name:ident: $setup:expr;)*) => {
        pub(super) const SCENARIOS: &[$crate::scenario::Scenario] = &[$(
            $crate::scenario::Scenario { name: stringify!($name), setup: || $setup, run: $name },
        )*];
    };
}
use scenarios;
