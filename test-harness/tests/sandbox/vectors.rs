//! The token vectors through the artefact in wasmtime, each at the time that it was made for.

use jwe_gate_core::jwe::Profile;
use jwe_gate_test_harness::artefact;
use jwe_gate_test_harness::driver::text;
use jwe_gate_test_host::{Headers, Outcome as HostOutcome, VmId, World};

use crate::cases::{self, Case, Lines, Outcome};

#[test]
fn every_vector_has_the_verdict_of_its_package() {
    let cases = cases::load();
    let mut world = World::setup().build(&artefact::bytes()).unwrap();
    let vm = world.add_vm();
    let mut complaints = Vec::new();
    let mut admitted = 0;
    for (case, profile) in &cases {
        let lines = case.lines();
        let outcome = outcome(&mut world, vm, case, *profile, &lines);
        admitted += usize::from(matches!(outcome, Outcome::Admitted(_)));
        complaints.extend(case.complaint(&lines, &outcome));
    }
    assert!(complaints.is_empty(), "{} of {}:\n{}", complaints.len(), cases.len(), complaints.join("\n"));
    assert!(admitted >= 30, "only {admitted} admitted");
    assert!(world.traps().is_empty(), "{:?}", world.traps());
    assert!(world.misuses().is_empty(), "{:?}", world.misuses());
    assert!(world.calls().is_empty(), "nobody is looked up");
}

fn outcome(world: &mut World, vm: VmId, case: &Case, profile: Profile, lines: &Lines) -> Outcome {
    let now_ms = i64::try_from(case.now * 1000).unwrap();
    world.step_clock(now_ms - i64::try_from(world.now_ms()).unwrap());
    let configuration = case.configuration(profile).to_string();
    let root = world.configure(vm, "gate", configuration).unwrap_or_else(|error| panic!("{}: {error}", case.id));
    let request = world.request(root, headers(lines));
    match world.outcome(request) {
        HostOutcome::Forwarded(headers) => {
            world.respond(request, [(":status", "200")]);
            world.end(request);
            Outcome::Admitted(text(headers.lines()))
        }
        HostOutcome::Replied(reply) => Outcome::Refused(reply.status),
        other => panic!("{}: {other:?}", case.id),
    }
}

fn headers(lines: &Lines) -> Headers {
    let mut headers = Headers::from([(":method", "GET"), (":scheme", "https"), (":authority", "a"), (":path", "/")]);
    lines.cookies.iter().for_each(|line| headers.add("cookie", line));
    lines.authorization.iter().for_each(|line| headers.add("authorization", line));
    // What a client says of itself is not to be believed.
    headers.add("x-user-id", "admin");
    headers
}
