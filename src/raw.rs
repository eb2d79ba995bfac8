//! Host functions past the SDK. Two of them it would panic over where nginx says no: to a variable that is not declared,
//! and to a body that broke off; a panic there would let the request pass. And it copies each name and value of a map.

#![expect(unsafe_code, reason = "host functions are foreign functions")]
#![expect(clippy::same_length_and_capacity, reason = "the host allocates vectors of just the size that it fills")]

use std::ptr::null_mut;

use proxy_wasm::types::Bytes;

/// The status of a call that was done.
const OK: u32 = 0;

/// The body of the answer to a callout, as the ABI numbers buffers.
const HTTP_CALL_RESPONSE_BODY: u32 = 4;

/// The headers and the trailers of a request, as the ABI numbers maps.
const HTTP_REQUEST_HEADERS: u32 = 0;
const HTTP_REQUEST_TRAILERS: u32 = 1;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_buffer_bytes(kind: u32, start: usize, size: usize, data: *mut *mut u8, data_size: *mut usize) -> u32;
    fn proxy_get_header_map_pairs(kind: u32, data: *mut *mut u8, data_size: *mut usize) -> u32;
    fn proxy_set_property(path: *const u8, path_size: usize, value: *const u8, value_size: usize) -> u32;
}

/// Sets a property; its path is joined by zeros. Whether it is set.
pub(crate) fn set_property(path: &str, value: &[u8]) -> bool {
    // SAFETY: the host reads both ranges, which are ours, before it returns.
    unsafe { proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len()) == OK }
}

/// All headers of the request at hand, in the form of the ABI.
pub(crate) fn request_headers() -> Option<Bytes> {
    map(HTTP_REQUEST_HEADERS)
}

/// Its trailers.
pub(crate) fn request_trailers() -> Option<Bytes> {
    map(HTTP_REQUEST_TRAILERS)
}

fn map(kind: u32) -> Option<Bytes> {
    let (mut data, mut data_size) = (null_mut(), 0);
    // SAFETY: the host writes to the two variables, which outlive the call.
    let status = unsafe { proxy_get_header_map_pairs(kind, &raw mut data, &raw mut data_size) };
    // SAFETY: the host has just filled them.
    unsafe { handed_over(status, data, data_size) }
}

/// The first `size` bytes of the answer to a callout; nothing if they cannot be read.
pub(crate) fn answer_body(size: usize) -> Option<Bytes> {
    let (mut data, mut data_size) = (null_mut(), 0);
    // SAFETY: the host writes to the two variables, which outlive the call.
    let status = unsafe { proxy_get_buffer_bytes(HTTP_CALL_RESPONSE_BODY, 0, size, &raw mut data, &raw mut data_size) };
    // SAFETY: the host has just filled them.
    unsafe { handed_over(status, data, data_size) }
}

/// What the host has put into the module's memory.
///
/// # Safety
/// If `status` is [`OK`], `data` is null or `data_size` bytes that the host had allocated by this module's
/// `proxy_on_memory_allocate`, which makes vectors of just this capacity, and that it leaves to the module.
unsafe fn handed_over(status: u32, data: *mut u8, data_size: usize) -> Option<Bytes> {
    if status != OK || data.is_null() {
        return None;
    }
    // SAFETY: as above.
    Some(unsafe { Vec::from_raw_parts(data, data_size, data_size) })
}
