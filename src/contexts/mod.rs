//! The contexts of a VM: root contexts, one for each configuration, and requests, each of which belongs to one. The host gives
//! each a number.

mod requests;

use std::cell::RefCell;

use requests::Requests;

use crate::runtime::SharedRuntime;
use crate::{request, root};

thread_local! {
    /// A host calls a module from one thread, and calls nothing but the allocator while a host function runs.
    static CONTEXTS: RefCell<Contexts> = RefCell::default();
}

#[derive(Default)]
struct Contexts {
    /// Few: one, or two while a new configuration takes the place of an old one.
    roots: Vec<Root>,
    requests: Requests,
}

struct Root {
    context: u32,
    /// Nothing until a configuration has been accepted.
    runtime: Option<SharedRuntime>,
}

impl Contexts {
    fn root(&self, context: u32) -> Option<SharedRuntime> {
        self.roots.iter().find(|root| root.context == context)?.runtime.clone()
    }
}

/// A context has begun.
pub(crate) fn create(context: u32, parent: u32) {
    const NONE: u32 = 0;
    with(|contexts| match parent {
        NONE => contexts.roots.push(Root { context, runtime: None }),
        root => contexts.requests.announce(context, root),
    });
}

/// A root context goes by this from now on.
pub(crate) fn configured(root: u32, runtime: SharedRuntime) {
    let before = with(|contexts| {
        let known = contexts.roots.iter_mut().find(|known| known.context == root);
        known.map(|known| known.runtime.replace(runtime))
    });
    // What is dropped calls the host.
    drop(before);
}

/// What a root context goes by; nothing where its configuration was refused.
pub(crate) fn root(context: u32) -> Option<SharedRuntime> {
    with(|contexts| contexts.root(context))
}

/// What all root contexts go by.
pub(crate) fn roots() -> Vec<SharedRuntime> {
    with(|contexts| contexts.roots.iter().filter_map(|root| root.runtime.clone()).collect())
}

/// What the root context of a request goes by whose headers have come.
pub(crate) fn begin(context: u32) -> Option<SharedRuntime> {
    with(|contexts| {
        let root = contexts.requests.take(context)?;
        let runtime = contexts.root(root);
        if runtime.is_none() {
            contexts.requests.keep(context, root, false);
        }
        runtime
    })
}

/// What the root context of a request goes by that is remembered.
pub(crate) fn of_request(context: u32) -> Option<SharedRuntime> {
    with(|contexts| contexts.root(contexts.requests.root_of(context)?))
}

/// Remembers a request until it ends, and whether it is held: the gate may have it in its list of waiting requests.
pub(crate) fn keep(context: u32, root: u32, held: bool) {
    with(|contexts| contexts.requests.keep(context, root, held));
}

/// Notes that a request is not held any more. Returns whether it was.
pub(crate) fn release(context: u32) -> bool {
    with(|contexts| contexts.requests.release(context))
}

/// A context is over, or its client has gone. From here on nothing may act on it.
pub(crate) fn delete(context: u32) {
    let request = with(|contexts| {
        let (root, held) = contexts.requests.end(context)?;
        Some((contexts.root(root), held))
    });
    if let Some((runtime, held)) = request {
        return runtime.iter().for_each(|runtime| request::gone(runtime, context, held));
    }
    let root = with(|contexts| {
        let at = contexts.roots.iter().position(|root| root.context == context)?;
        contexts.roots.swap_remove(at).runtime
    });
    root.iter().for_each(root::gone);
}

fn with<T>(act: impl FnOnce(&mut Contexts) -> T) -> T {
    CONTEXTS.with_borrow_mut(act)
}
