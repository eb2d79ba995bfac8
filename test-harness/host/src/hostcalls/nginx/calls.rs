//! Callouts in nginx: to an address, and answered to whoever made them.

use super::{Answered, trap};
use crate::abi::{BufferKind, Status};
use crate::guest::Guest;
use crate::hostcalls::{maps, streams};
use crate::report::Cluster;

/// Where nothing listens, or no address is known, the callout fails later and not at once.
#[expect(clippy::too_many_arguments, reason = "the ABI has them")]
pub(super) fn http_call(
    guest: &mut Guest<'_>,
    upstream: u32,
    upstream_size: u32,
    headers: u32,
    headers_size: u32,
    body: u32,
    body_size: u32,
    trailers: u32,
    trailers_size: u32,
    timeout: u32,
    token: u32,
) -> Answered {
    let upstream = guest.read_text(upstream, upstream_size)?;
    let headers = guest.read_headers(headers, headers_size)?;
    let body = guest.read(body, body_size)?;
    let trailers = guest.read_headers(trailers, trailers_size)?;
    let host = guest.host();
    let root = host.acting_root().and_then(|root| host.root_context(root));
    if root.is_some_and(|root| root.configuration.is_some()) {
        return Err(trap("callouts cannot be made while configuring"));
    }
    if !headers.contains(":method") || !headers.contains(":path") {
        return Err(trap("a callout without method or path"));
    }
    let reached = host.clusters.get(&upstream) == Some(&Cluster::Reachable);
    let number = streams::dispatch(guest, upstream, headers, body, trailers, u64::from(timeout))?;
    if let Some(call) = guest.host().calls.last_mut() {
        call.doomed = !reached;
    }
    guest.write_u32(token, number)
}

/// A body that broke off cannot be read, and says so with a status that SDKs do not expect.
pub(super) fn buffer(guest: &mut Guest<'_>, buffer: u32, start: u32, size: u32, data: u32, data_size: u32) -> Answered {
    if BufferKind::from_number(buffer) == Some(BufferKind::CallResponseBody) {
        let host = guest.host();
        let root = host.acting_root().and_then(|root| host.root_context(root));
        if root.is_some_and(|root| root.cut_off) {
            return Err(Status::InternalFailure.into());
        }
    }
    maps::buffer(guest, buffer, start, size, data, data_size)
}
