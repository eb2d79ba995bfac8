//! A filter that decides nothing, with every callback that the SDK exports.
//!
//! Configured with a number it makes the host calls that a gate cannot do without, and still decides nothing: it asks for
//! the time, has all headers handed over, and sets so many. What that costs, no filter can save.
use std::ptr::null_mut;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, MapType};

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Noop { headers: None }));
}}

#[derive(Clone, Copy)]
struct Noop {
    headers: Option<usize>,
}

impl Context for Noop {}

impl HttpContext for Noop {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        if let Some(headers) = self.headers {
            call(headers);
        }
        Action::Continue
    }
}

impl RootContext for Noop {
    fn on_configure(&mut self, _: usize) -> bool {
        let configuration = self.get_plugin_configuration().unwrap_or_default();
        self.headers = std::str::from_utf8(&configuration).ok().and_then(|text| text.parse().ok());
        true
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(*self))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// Names and values as the gate sets them in the same measurement: what is longer costs more.
const HEADERS: [(&str, &[u8]); 6] = [
    ("x-user-id", USER),
    ("x-user-email", b"user1@example.org"),
    ("x-user-name", b"User Number 1"),
    ("x-user-picture", b"https://example.org/avatars/1.png"),
    ("x-user-session", b"b6c9fa2e-8f0e-4a57-9c63-000000000001"),
    ("x-user-key", USER),
];
const USER: &[u8] = b"7d2f1c3a-52b4-4e0f-8a1d-000000000001";

fn call(headers: usize) {
    let _ = hostcalls::get_current_time();
    let map = headers_as_they_come();
    // As long as it is used, no compiler can leave it out.
    let headers = if map.is_empty() { 0 } else { headers };
    for (name, value) in HEADERS.iter().take(headers) {
        let _ = hostcalls::add_map_value_bytes(MapType::HttpRequestHeaders, name, value);
    }
}

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_header_map_pairs(kind: u32, data: *mut *mut u8, size: *mut usize) -> u32;
}

/// All headers in one buffer; the SDK would copy each of them.
fn headers_as_they_come() -> Vec<u8> {
    let (mut data, mut size) = (null_mut(), 0);
    // SAFETY: the host writes to the two variables, which outlive the call.
    let status = unsafe { proxy_get_header_map_pairs(0, &raw mut data, &raw mut size) };
    if status != 0 || data.is_null() {
        return Vec::new();
    }
    // SAFETY: the host had the bytes allocated by this module, with just this capacity, and leaves them to it.
    unsafe { Vec::from_raw_parts(data, size, size) }
}
