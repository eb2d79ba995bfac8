//! The callbacks of the proxy-wasm ABI 0.2.1: what the host calls. Each finds the context that it is about and says there what
//! has happened.

#![expect(unsafe_code, reason = "exported by their names")]

use std::panic;

use crate::contexts;
use crate::host::{self, LogLevel};
use crate::request::{self, Action};
use crate::{abi, root};

unsafe extern "C" {
    /// Made by the linker: what C and WASI do before anything else.
    fn __wasm_call_ctors();
}

/// Called once, before anything else.
#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    // SAFETY: called once, by the host, as the convention for WASI reactors asks for.
    unsafe { __wasm_call_ctors() };
    // Where it happened is enough to find it, and holds nothing that a client has sent.
    panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string).unwrap_or_default();
        host::log(LogLevel::Critical, &format!("jwe-gate: panicked at {at}"));
    }));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    abi::allocate(size)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(context: u32, parent: u32) {
    contexts::create(context, parent);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_vm_start(_root: u32, _size: usize) -> bool {
    true
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(root: u32, size: usize) -> bool {
    let runtime = root::configure(root, size);
    runtime.map(|runtime| contexts::configured(root, runtime)).is_some()
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(root: u32) {
    if let Some(runtime) = contexts::root(root) {
        root::tick(&runtime);
    }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_queue_ready(root: u32, queue: u32) {
    root::queue_ready(contexts::root(root).as_ref(), queue);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_http_call_response(
    context: u32,
    call: u32,
    num_headers: usize,
    body_size: usize,
    _trailers: usize,
) {
    request::answered(context, (call, num_headers, body_size));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(context: u32, num_headers: usize, _end_of_stream: bool) -> Action {
    request::headers(context, num_headers)
}

/// Where a module has no callbacks for bodies, nginx crashes.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_body(_context: u32, _size: usize, _end_of_stream: bool) -> Action {
    Action::Continue
}

/// Only called where there are trailers, which is never for HTTP/1.1 unless Envoy is told to.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_trailers(context: u32, _num_trailers: usize) -> Action {
    request::trailers(context)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(context: u32, _num_headers: usize, _end_of_stream: bool) -> Action {
    request::reply_headers(context)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_body(_context: u32, _size: usize, _end_of_stream: bool) -> Action {
    Action::Continue
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(context: u32) {
    contexts::delete(context);
}
