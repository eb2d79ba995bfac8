//! Host functions that nginx answers otherwise. They are registered over those of Envoy.

mod calls;
mod headers;
mod shared;

use wasmtime::{Caller, Linker};

use super::{Answered, register, status};
use crate::abi::Status;
use crate::guest::{Guest, Halt};
use crate::host::{Context, Host, Tick};
use crate::profile::Nginx;
use crate::report::MisuseKind;

/// Registers what differs.
pub(super) fn register(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    register!(linker,
        "proxy_add_header_map_value" => headers::add, (map: u32, name: u32, name_size: u32, value: u32, value_size: u32);
        "proxy_close_stream" => absent_number, (kind: u32);
        "proxy_continue_stream" => resume, (kind: u32);
        "proxy_dequeue_shared_queue" => super::shared::dequeue, (queue: u32, data: u32, data_size: u32);
        "proxy_enqueue_shared_queue" => shared::enqueue, (queue: u32, message: u32, message_size: u32);
        "proxy_get_buffer_bytes" => calls::buffer, (buffer: u32, start: u32, size: u32, data: u32, data_size: u32);
        "proxy_get_header_map_pairs" => headers::pairs, (map: u32, data: u32, data_size: u32);
        "proxy_get_header_map_value" => headers::get, (map: u32, name: u32, name_size: u32, data: u32, data_size: u32);
        "proxy_get_log_level" => absent_number, (level: u32);
        "proxy_get_shared_data" => shared::get, (key: u32, key_size: u32, data: u32, data_size: u32, cas: u32);
        "proxy_http_call" => calls::http_call, (upstream: u32, upstream_size: u32, headers: u32, headers_size: u32,
            body: u32, body_size: u32, trailers: u32, trailers_size: u32, timeout: u32, token: u32);
        "proxy_replace_header_map_value" => headers::replace, (map: u32, name: u32, name_size: u32, value: u32, value_size: u32);
        "proxy_resolve_shared_queue" => shared::resolve_queue, (vm_id: u32, vm_id_size: u32, name: u32, name_size: u32,
            queue: u32);
        "proxy_set_effective_context" => set_effective_context, (context: u32);
        "proxy_set_property" => set_property, (path: u32, path_size: u32, value: u32, value_size: u32);
        "proxy_set_shared_data" => shared::set, (key: u32, key_size: u32, value: u32, value_size: u32, cas: u32);
        "proxy_set_tick_period_milliseconds" => set_tick_period, (period: u32);
    );
    Ok(())
}

fn trap(cause: &str) -> Halt {
    Halt::Trap(wasmtime::Error::msg(cause.to_owned()))
}

/// The configuration under which this runs.
fn conf<'a>(guest: &'a mut Guest<'_>) -> Result<&'a Nginx, Halt> {
    guest.host().profile.nginx().ok_or(Halt::Status(Status::InternalFailure))
}

/// What is not implemented brings the VM down.
fn absent_number(_: &mut Guest<'_>, _: u32) -> Answered {
    Err(trap("not implemented"))
}

/// It says yes and changes nothing: all calls act on the context whose callback is running.
#[expect(clippy::unnecessary_wraps, reason = "all host functions have this form")]
fn set_effective_context(_: &mut Guest<'_>, _: u32) -> Answered {
    Ok(())
}

/// Where no request is at hand this takes the worker down.
fn resume(guest: &mut Guest<'_>, kind: u32) -> Answered {
    let at = guest.active()?.at;
    if !matches!(guest.host().context(at), Some(Context::Stream { .. })) {
        guest.host().misuse(None, MisuseKind::CrashedWorker);
        if let Some(instance) = guest.host().instance(at) {
            instance.crashed = true;
        }
        return Err(trap("resumed without a request"));
    }
    super::streams::resume(guest, kind)
}

/// Variables that were declared, and little else. What else is set gets a status that SDKs do not expect.
fn set_property(guest: &mut Guest<'_>, path: u32, path_size: u32, value: u32, value_size: u32) -> Answered {
    let (path, value) = (guest.read(path, path_size)?, guest.read(value, value_size)?);
    let parts: Vec<&[u8]> = path.split(|byte| *byte == 0).collect();
    if !conf(guest)?.may_set(&parts) {
        return Err(Status::NotFound.into());
    }
    let stream = guest.host().acting_stream().ok_or(Status::NotFound)?;
    match parts.as_slice() {
        [b"ngx", name] => drop(stream.variables.insert(String::from_utf8_lossy(name).into_owned(), value)),
        _ => drop(stream.filter_state.insert(path, value)),
    }
    Ok(())
}

/// A timer can be set once in the life of a root context.
fn set_tick_period(guest: &mut Guest<'_>, period: u32) -> Answered {
    let host = guest.host();
    let elapsed = host.clock.elapsed_ms();
    let at = host.acting_root().ok_or(Status::InternalFailure)?;
    let root = host.root_context(at).ok_or(Status::InternalFailure)?;
    if root.tick.is_some() {
        return Err(trap("the tick period is set already"));
    }
    let period_ms = u64::from(period);
    root.tick = (period_ms > 0).then_some(Tick { period_ms, due_ms: elapsed + period_ms });
    Ok(())
}
