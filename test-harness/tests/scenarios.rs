//! Every scenario on every driver, each a test of its own.

use std::process::ExitCode;

use jwe_gate_test_harness::driver::{self, Start};
use jwe_gate_test_harness::scenario::World;
use jwe_gate_test_harness::{Scenario, scenarios};
use libtest_mimic::{Arguments, Trial};

const DRIVERS: [(&str, Start); 4] = [
    ("core", driver::core::start),
    ("wasm", driver::wasm::start),
    ("nginx", driver::nginx::start),
    ("envoy", driver::envoy::start),
];

fn main() -> ExitCode {
    let mut trials = Vec::new();
    // A real nginx is nobody's to install: it takes part where one is named.
    let nginx = driver::real_nginx::program().map(|_| ("real_nginx", driver::real_nginx::start as Start));
    for (name, start) in DRIVERS.into_iter().chain(nginx) {
        let acts_on_others = !name.contains("nginx");
        let more = if acts_on_others { scenarios::acting_on_others() } else { Vec::new() };
        for scenario in scenarios::all().into_iter().chain(more) {
            trials.push(Trial::test(format!("{name}::{}", scenario.name), move || {
                run(scenario, start);
                Ok(())
            }));
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn run(scenario: Scenario, start: Start) {
    let mut world = World::start(&(scenario.setup)(), start);
    (scenario.run)(&mut world);
    world.finish();
}
