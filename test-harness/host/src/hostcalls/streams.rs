//! Acting on requests: resume, reply, cut, in whose name, and callouts.

use super::Answered;
use crate::abi::Status;
use crate::guest::Guest;
use crate::headers::Headers;
use crate::host::{Action, CALL_STEP, Context, OpenCall};
use crate::ids::{At, CallId};
use crate::report::{Call, Caller, Cluster, MisuseKind, Reply};

/// The stream kinds that proxies have for HTTP.
const HTTP_REQUEST: u32 = 0;
const HTTP_RESPONSE: u32 = 1;
const LAST_KIND: u32 = 3;

const GRPC_STATUS_MAX: u32 = 16;

/// Resuming takes effect after the callback, but from here on the request headers are out of reach.
pub(super) fn resume(guest: &mut Guest<'_>, kind: u32) -> Answered {
    let host = guest.host();
    let request = host.acting_request();
    let action = match (kind, request) {
        (HTTP_REQUEST, Some(request)) => Action::ResumeRequest(request),
        (HTTP_RESPONSE, Some(request)) => Action::ResumeResponse(request),
        (HTTP_REQUEST | HTTP_RESPONSE, None) => {
            host.misuse(None, MisuseKind::ResumedNotParked);
            return Ok(());
        }
        (2, _) => return Ok(()),
        (LAST_KIND, _) => return Err(Status::Unimplemented.into()),
        _ => return Err(Status::BadArgument.into()),
    };
    host.defer(action);
    if let Some(stream) = host.acting_stream() {
        stream.request_open = false;
    }
    Ok(())
}

pub(super) fn close(guest: &mut Guest<'_>, kind: u32) -> Answered {
    if kind > LAST_KIND {
        return Err(Status::BadArgument.into());
    }
    let host = guest.host();
    if let (HTTP_REQUEST | HTTP_RESPONSE, Some(request)) = (kind, host.acting_request()) {
        host.defer(Action::Reset(request));
    }
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "the ABI has them")]
pub(super) fn reply(
    guest: &mut Guest<'_>,
    code: u32,
    details: u32,
    details_size: u32,
    body: u32,
    body_size: u32,
    headers: u32,
    headers_size: u32,
    grpc_status: u32,
) -> Answered {
    let reply = Reply {
        status: u16::try_from(code).map_err(|_| Status::BadArgument)?,
        details: guest.read_text(details, details_size)?,
        body: guest.read(body, body_size)?,
        headers: guest.read_headers(headers, headers_size)?,
        grpc_status: (grpc_status <= GRPC_STATUS_MAX).then_some(grpc_status),
    };
    let at = guest.active()?.at;
    let host = guest.host();
    match host.acting_request() {
        Some(request) => host.defer(Action::Reply(request, reply)),
        None => host.misuse(None, MisuseKind::RepliedWithoutRequest),
    }
    // Whatever the callback was called for stops, also when the reply is for another request.
    if let Some(instance) = host.instance(at) {
        instance.stopped = true;
    }
    Ok(())
}

pub(super) fn set_effective_context(guest: &mut Guest<'_>, context: u32) -> Answered {
    let mut active = guest.active()?;
    let host = guest.host();
    // The VM itself is context 0, and always there.
    let exists = context == 0 || host.context(At { context, ..active.at }).is_some();
    if !exists {
        return Err(Status::BadArgument.into());
    }
    active.effective = context;
    host.active = Some(active);
    Ok(())
}

/// A root context that said it was not done says now that it is.
pub(super) fn done(guest: &mut Guest<'_>) -> Answered {
    let at = guest.acting()?;
    let host = guest.host();
    match host.root_context(at) {
        Some(root) if root.lingering => host.defer(Action::DeleteRoot(at.context)),
        _ => return Err(Status::NotFound.into()),
    }
    Ok(())
}

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
    guest.write_u32(token, 0)?;
    if i32::try_from(timeout).is_err() || !is_complete(&headers) {
        return Err(Status::BadArgument.into());
    }
    match guest.host().clusters.get(&upstream) {
        None | Some(Cluster::Unknown) => return Err(Status::BadArgument.into()),
        Some(Cluster::Unavailable) => return Err(Status::InternalFailure.into()),
        Some(Cluster::Reachable) => {}
    }
    let number = dispatch(guest, upstream, headers, body, trailers, u64::from(timeout))?;
    guest.write_u32(token, number)
}

fn is_complete(headers: &Headers) -> bool {
    headers.contains(":method")
        && headers.contains(":path")
        && (headers.contains(":authority") || headers.contains("host"))
}

/// The callout belongs to the root context, whoever makes it; its number is unique in the VM.
pub(super) fn dispatch(
    guest: &mut Guest<'_>,
    upstream: String,
    headers: Headers,
    body: Vec<u8>,
    trailers: Headers,
    timeout_ms: u64,
) -> Result<u32, crate::guest::Halt> {
    let at = guest.acting()?;
    let host = guest.host();
    let root = host.acting_root().ok_or(Status::InternalFailure)?;
    let from = match host.context(at) {
        Some(Context::Stream { request, .. }) => Caller::Request(*request),
        Some(Context::Root(root)) => root.root.map_or(Caller::Canary, Caller::Root),
        None => Caller::Canary,
    };
    let instance = host.instance(at).ok_or(Status::InternalFailure)?;
    let (token, vm) = (instance.next_call, instance.worker);
    instance.next_call += CALL_STEP;
    let due_ms = (timeout_ms > 0).then(|| host.clock.elapsed_ms() + timeout_ms);
    let call = Call { id: CallId(host.calls.len()), vm, from, upstream, headers, body, trailers, timeout_ms };
    host.calls.push(OpenCall { call, root, caller: at, token, due_ms, open: true, doomed: false });
    Ok(token)
}
