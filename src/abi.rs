//! The host functions of the proxy-wasm ABI 0.2.1 that are in use, and the memory that the host fills.
//!
//! Written out rather than taken from the Rust SDK. The SDK panics on every status that it does not expect, and a panic
//! takes all waiting requests with it; it wants text where clients send bytes; it copies each header; and it keeps an
//! object for each request, which costs more than a decision that is known.

#![expect(unsafe_code, reason = "host functions are foreign functions")]

use std::cell::Cell;
use std::ptr::{null, null_mut, slice_from_raw_parts_mut};

/// A status that says that the call was done; all others say that it was not, and nobody here needs to know why.
const OK: u32 = 0;

/// Buffers, by their numbers.
pub(crate) const HTTP_CALL_RESPONSE_BODY: u32 = 4;
pub(crate) const PLUGIN_CONFIGURATION: u32 = 7;

/// Header maps, by their numbers.
pub(crate) const REQUEST_HEADERS: u32 = 0;
pub(crate) const REQUEST_TRAILERS: u32 = 1;
pub(crate) const RESPONSE_HEADERS: u32 = 2;
pub(crate) const HTTP_CALL_RESPONSE_HEADERS: u32 = 6;

/// The two directions of a request, by their numbers.
pub(crate) const REQUEST: u32 = 0;
pub(crate) const RESPONSE: u32 = 1;

/// Kinds of metrics, by their numbers.
pub(crate) const COUNTER: u32 = 0;
pub(crate) const GAUGE: u32 = 1;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_add_header_map_value(map: u32, name: *const u8, name_size: usize, value: *const u8, size: usize) -> u32;
    fn proxy_close_stream(direction: u32) -> u32;
    fn proxy_continue_stream(direction: u32) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, metric: *mut u32) -> u32;
    fn proxy_dequeue_shared_queue(queue: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_enqueue_shared_queue(queue: u32, data: *const u8, size: usize) -> u32;
    fn proxy_get_buffer_bytes(buffer: u32, start: usize, length: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_get_property(path: *const u8, path_size: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
        cas: *mut u32,
    ) -> u32;
    fn proxy_http_call(
        cluster: *const u8,
        cluster_size: usize,
        headers: *const u8,
        headers_size: usize,
        body: *const u8,
        body_size: usize,
        trailers: *const u8,
        trailers_size: usize,
        timeout_ms: u32,
        call: *mut u32,
    ) -> u32;
    fn proxy_increment_metric(metric: u32, amount: i64) -> u32;
    fn proxy_log(level: u32, message: *const u8, size: usize) -> u32;
    fn proxy_record_metric(metric: u32, value: u64) -> u32;
    fn proxy_register_shared_queue(name: *const u8, name_size: usize, queue: *mut u32) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        size: usize,
    ) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_set_property(path: *const u8, path_size: usize, value: *const u8, size: usize) -> u32;
    fn proxy_set_shared_data(key: *const u8, key_size: usize, value: *const u8, size: usize, cas: u32) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
}

/// Where the host puts bytes: it has them allocated by [`allocate`] and leaves them to the module.
struct Filled {
    data: *mut u8,
    size: usize,
}

impl Filled {
    const fn new() -> Self {
        Self { data: null_mut(), size: 0 }
    }

    /// The bytes; nothing if the call was not done, or left none.
    fn take(self, status: u32) -> Option<Vec<u8>> {
        if status != OK || self.data.is_null() {
            return None;
        }
        match SPARE.take() {
            Spare::Lent(mut bytes) if bytes.as_ptr().cast_mut() == self.data => {
                // SAFETY: the host has filled so many bytes of it, and was only lent it because it is at least as large.
                unsafe { bytes.set_len(self.size) };
                Some(bytes)
            }
            other => {
                SPARE.set(other);
                let bytes = slice_from_raw_parts_mut(self.data, self.size);
                // SAFETY: the host has had a box of just this size allocated by `allocate`, and nobody else owns it.
                Some(unsafe { Box::from_raw(bytes) }.into_vec())
            }
        }
    }
}

/// One buffer that is used again and again: each request needs one for its headers.
#[derive(Default)]
enum Spare {
    #[default]
    None,
    Free(Vec<u8>),
    /// The host is filling it.
    Lent(Vec<u8>),
}

thread_local! {
    static SPARE: Cell<Spare> = const { Cell::new(Spare::None) };
}

/// A larger one is not kept.
const MOST_SPARE_BYTES: usize = 64 * 1024;

/// Memory for the host to fill.
pub(crate) fn allocate(size: usize) -> *mut u8 {
    match SPARE.take() {
        Spare::Free(mut bytes) if size <= bytes.capacity() => {
            let data = bytes.as_mut_ptr();
            SPARE.set(Spare::Lent(bytes));
            data
        }
        other => {
            SPARE.set(other);
            Box::into_raw(Box::<[u8]>::new_uninit_slice(size)).cast()
        }
    }
}

/// Takes a buffer back that is not needed any more.
pub(crate) fn recycle(bytes: Vec<u8>) {
    match SPARE.take() {
        Spare::Free(larger) if larger.capacity() >= bytes.capacity() => SPARE.set(Spare::Free(larger)),
        Spare::Lent(lent) => SPARE.set(Spare::Lent(lent)),
        _ if bytes.capacity() <= MOST_SPARE_BYTES => SPARE.set(Spare::Free(bytes)),
        other => SPARE.set(other),
    }
}

// SAFETY of all calls below: the host reads what the slices hold and writes to the variables before it returns; it keeps no
// pointer to either.

pub(crate) fn log(level: u32, message: &[u8]) {
    // SAFETY: see above.
    unsafe { proxy_log(level, message.as_ptr(), message.len()) };
}

/// Nanoseconds since 1970.
pub(crate) fn current_time() -> Option<u64> {
    let mut time = 0;
    // SAFETY: see above.
    let status = unsafe { proxy_get_current_time_nanoseconds(&raw mut time) };
    (status == OK).then_some(time)
}

pub(crate) fn set_tick_period(milliseconds: u32) {
    // SAFETY: see above.
    unsafe { proxy_set_tick_period_milliseconds(milliseconds) };
}

/// The first `size` bytes of a buffer.
pub(crate) fn buffer(buffer: u32, size: usize) -> Option<Vec<u8>> {
    let mut filled = Filled::new();
    // SAFETY: see above.
    let status = unsafe { proxy_get_buffer_bytes(buffer, 0, size, &raw mut filled.data, &raw mut filled.size) };
    filled.take(status)
}

/// All of a map, in the form of the ABI.
pub(crate) fn map(map: u32) -> Option<Vec<u8>> {
    let mut filled = Filled::new();
    // SAFETY: see above.
    let status = unsafe { proxy_get_header_map_pairs(map, &raw mut filled.data, &raw mut filled.size) };
    filled.take(status)
}

/// The first line of this name; nothing where there is none.
pub(crate) fn map_value(map: u32, name: &str) -> Option<Vec<u8>> {
    let mut filled = Filled::new();
    let (data, size) = (&raw mut filled.data, &raw mut filled.size);
    // SAFETY: see above.
    let status = unsafe { proxy_get_header_map_value(map, name.as_ptr(), name.len(), data, size) };
    (status == OK).then(|| filled.take(status).unwrap_or_default())
}

/// Adds a line to a map. Whether it is there.
pub(crate) fn add_map_value(map: u32, name: &str, value: &[u8]) -> bool {
    // SAFETY: see above.
    unsafe { proxy_add_header_map_value(map, name.as_ptr(), name.len(), value.as_ptr(), value.len()) == OK }
}

/// Makes this the only line of its name. Whether it is.
pub(crate) fn replace_map_value(map: u32, name: &str, value: &[u8]) -> bool {
    // SAFETY: see above.
    unsafe { proxy_replace_header_map_value(map, name.as_ptr(), name.len(), value.as_ptr(), value.len()) == OK }
}

/// Removes all lines of a name. Whether there is none any more.
pub(crate) fn remove_map_value(map: u32, name: &str) -> bool {
    // SAFETY: see above.
    unsafe { proxy_remove_header_map_value(map, name.as_ptr(), name.len()) == OK }
}

/// A property; its path is joined by zeros.
pub(crate) fn property(path: &str) -> Option<Vec<u8>> {
    let mut filled = Filled::new();
    // SAFETY: see above.
    let status = unsafe { proxy_get_property(path.as_ptr(), path.len(), &raw mut filled.data, &raw mut filled.size) };
    filled.take(status)
}

/// Sets a property; its path is joined by zeros. Whether it is set.
pub(crate) fn set_property(path: &str, value: &[u8]) -> bool {
    // SAFETY: see above.
    unsafe { proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len()) == OK }
}

/// Shared data and the version that it has; nothing where there is none.
pub(crate) fn shared_data(key: &str) -> Option<(Option<Vec<u8>>, u32)> {
    let (mut filled, mut cas) = (Filled::new(), 0);
    let (data, size) = (&raw mut filled.data, &raw mut filled.size);
    // SAFETY: see above.
    let status = unsafe { proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &raw mut cas) };
    (status == OK).then(|| (filled.take(status), cas))
}

/// Sets shared data if it still has this version; whether it is set.
pub(crate) fn set_shared_data(key: &str, value: &[u8], cas: u32) -> bool {
    // SAFETY: see above.
    unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas) == OK }
}

/// Registers a queue, which makes it one's own.
pub(crate) fn register_queue(name: &str) -> Option<u32> {
    let mut queue = 0;
    // SAFETY: see above.
    let status = unsafe { proxy_register_shared_queue(name.as_ptr(), name.len(), &raw mut queue) };
    (status == OK).then_some(queue)
}

/// Puts a message into a queue.
pub(crate) fn enqueue(queue: u32, message: &[u8]) {
    // SAFETY: see above.
    unsafe { proxy_enqueue_shared_queue(queue, message.as_ptr(), message.len()) };
}

/// Takes a message from a queue.
pub(crate) fn dequeue(queue: u32) -> Option<Vec<u8>> {
    let mut filled = Filled::new();
    // SAFETY: see above.
    let status = unsafe { proxy_dequeue_shared_queue(queue, &raw mut filled.data, &raw mut filled.size) };
    filled.take(status)
}

/// Lets a request or its reply go on.
pub(crate) fn continue_stream(direction: u32) {
    // SAFETY: see above.
    unsafe { proxy_continue_stream(direction) };
}

/// Ends a request.
pub(crate) fn close_stream(direction: u32) {
    // SAFETY: see above.
    unsafe { proxy_close_stream(direction) };
}

/// Answers a request. The headers are a map in the form of the ABI.
pub(crate) fn send_local_response(status: u32, headers: &[u8], body: &[u8]) {
    const NO_GRPC: i32 = -1;
    let (body, headers) = ((body.as_ptr(), body.len()), (headers.as_ptr(), headers.len()));
    // SAFETY: see above.
    unsafe { proxy_send_local_response(status, null(), 0, body.0, body.1, headers.0, headers.1, NO_GRPC) };
}

/// Makes an HTTP callout, and says which one it is. Headers and trailers are maps in the form of the ABI.
pub(crate) fn http_call(cluster: &str, headers: &[u8], body: &[u8], trailers: &[u8], timeout_ms: u32) -> Option<u32> {
    let mut call = 0;
    // SAFETY: see above.
    let status = unsafe {
        proxy_http_call(
            cluster.as_ptr(),
            cluster.len(),
            headers.as_ptr(),
            headers.len(),
            body.as_ptr(),
            body.len(),
            trailers.as_ptr(),
            trailers.len(),
            timeout_ms,
            &raw mut call,
        )
    };
    (status == OK).then_some(call)
}

/// Makes the calls that follow act on this context; whether the host knows it.
pub(crate) fn set_effective_context(context: u32) -> bool {
    // SAFETY: see above.
    unsafe { proxy_set_effective_context(context) == OK }
}

/// Defines a metric, or finds the one that has this name.
pub(crate) fn define_metric(kind: u32, name: &str) -> Option<u32> {
    let mut metric = 0;
    // SAFETY: see above.
    let status = unsafe { proxy_define_metric(kind, name.as_ptr(), name.len(), &raw mut metric) };
    (status == OK).then_some(metric)
}

/// Sets a gauge.
pub(crate) fn record_metric(metric: u32, value: u64) {
    // SAFETY: see above.
    unsafe { proxy_record_metric(metric, value) };
}

/// Adds to a counter.
pub(crate) fn increment_metric(metric: u32, amount: i64) {
    // SAFETY: see above.
    unsafe { proxy_increment_metric(metric, amount) };
}
