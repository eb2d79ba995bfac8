//! A proxy-wasm host in wasmtime that keeps state, for tests.
//!
//! It runs a filter for ABI 0.2.1 the way Envoy 1.40 does, or nginx with `ngx_wasm_module` ([`Profile`]), one worker or
//! several, in one thread and on a clock that the test sets. It is not a list of expected calls: it holds header maps, shared data, queues, metrics, callouts and
//! requests as a proxy does, and the test asks afterwards what became of them. What a proxy would answer with a status
//! it answers so; what a proxy would bear in silence but a correct filter never does is kept in [`World::misuses`].
//!
//! ```no_run
//! use jwe_gate_test_host::{Answer, Cluster, Headers, Outcome, World};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let wasm = std::fs::read("jwe_gate.wasm")?;
//! let mut world = World::setup().env("AUTH_SECRET", "secret").build(&wasm)?;
//! world.set_cluster("lookup", Cluster::Reachable);
//! let worker = world.add_vm();
//! let root = world.configure(worker, "gate", r#"{"lookup": {"cluster": "lookup"}}"#)?;
//!
//! let request = world.request(root, [(":method", "GET"), (":path", "/"), ("cookie", "session=…")]);
//! assert_eq!(world.outcome(request), Outcome::Parked);
//! world.run_until_idle();
//! let call = world.calls().remove(0);
//! world.answer(call.id, Answer::Http { headers: Headers::new(), body: b"{}".to_vec() });
//! match world.outcome(request) {
//!     Outcome::Forwarded(headers) => println!("{headers:?}"),
//!     other => println!("{other:?}"),
//! }
//! world.end(request);
//! assert!(world.traps().is_empty() && world.misuses().is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! Nothing happens by itself. Messages between workers wait for [`World::run_until_idle`] or [`World::advance`], which
//! also fires ticks and timeouts; callouts wait for [`World::answer`]; a request that was forwarded goes on until
//! [`World::end`]. A reply, a cut or a trap does end a request at once, as it does in the proxy.

#![deny(unsafe_code)]

mod abi;
mod clock;
mod engine;
mod error;
mod guest;
mod headers;
mod host;
mod hostcalls;
mod ids;
mod metrics;
mod module;
mod profile;
mod report;
mod setup;
mod shared;
mod stream;
mod world;
mod zones;

pub use abi::Level;
pub use error::{HostError, Rejected, RejectionCause};
pub use headers::Headers;
pub use ids::{CallId, RequestId, RootId, VmId};
pub use module::{exports, imports};
pub use profile::{Isolation, Nginx, Profile};
pub use report::{
    Answer, Call, Caller, Cluster, FailurePolicy, LogLine, Misuse, MisuseKind, Outcome, Reply, Request, Response, Trap,
};
pub use setup::Setup;
pub use shared::SharedSize;
pub use world::World;
