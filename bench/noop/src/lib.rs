//! A filter that decides nothing, with every callback that the SDK exports.
//!
//! With any configuration it makes the host calls that a gate cannot do without, and still decides nothing: what they
//! cost, no filter can save.
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, MapType};

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Noop { calls: false }));
}}

struct Noop {
    calls: bool,
}

impl Context for Noop {}

impl HttpContext for Noop {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        if self.calls {
            call();
        }
        Action::Continue
    }
}

impl RootContext for Noop {
    fn on_configure(&mut self, size: usize) -> bool {
        self.calls = size > 0;
        true
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Noop { calls: self.calls }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// The time; the cookie and that there is no other credential; the cookie that goes on, and whose it is.
fn call() {
    let headers = MapType::HttpRequestHeaders;
    let _ = hostcalls::get_current_time();
    let cookie = hostcalls::get_map_value_bytes(headers, "cookie").ok().flatten().unwrap_or_default();
    let _ = hostcalls::get_map_value_bytes(headers, "authorization");
    let _ = hostcalls::set_map_value_bytes(headers, "cookie", Some(&cookie));
    let _ = hostcalls::set_map_value_bytes(headers, "x-user-id", Some(b"user-1"));
}
