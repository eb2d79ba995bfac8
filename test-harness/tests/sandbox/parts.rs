//! What tests in the sandbox begin with: a proxy, a filter in it, and a lookup service that knows some users.

use jwe_gate_contract::MAC_HEADER;
use jwe_gate_test_harness::lookup::LOOKUP_SECRET;
use jwe_gate_test_harness::scenario::gate;
use jwe_gate_test_harness::token::SECRET;
use jwe_gate_test_harness::{FakeLookup, artefact};
use jwe_gate_test_host::{Answer, Cluster, RootId, World};

/// A proxy that reaches the lookup service.
pub(crate) fn world() -> World {
    let mut world = World::setup()
        .env("AUTH_SECRET", SECRET)
        .env("JWE_GATE_LOOKUP_SECRET", LOOKUP_SECRET)
        .build(&artefact::bytes())
        .expect("the artefact loads");
    world.set_cluster("lookup", Cluster::Reachable);
    world
}

/// A filter in a VM of its own: another worker, or the one after a change of the module.
pub(crate) fn worker(world: &mut World) -> RootId {
    let vm = world.add_vm();
    world.configure(vm, "gate", gate().to_string()).expect("the configuration is accepted")
}

/// Answers the lookup that has waited longest, for a service that knows these users.
pub(crate) fn answer(world: &mut World, users: &[&str]) {
    let lookup = FakeLookup::default();
    for user in users {
        lookup.add(user);
    }
    let call = world.calls().remove(0);
    let (lines, body) = lookup.answer(call.headers.first(MAC_HEADER).unwrap(), &call.body).unwrap();
    world.answer(call.id, Answer::Http { headers: lines.into_iter().collect(), body });
}
