//! The functions that a module imports. Each group has a file; here they get their names.

mod maps;
mod misc;
mod nginx;
mod properties;
mod shared;
mod streams;
mod wasi;

use wasmtime::{Caller, ExternType, Linker, Module, Val};

use crate::abi::Status;
use crate::guest::{Guest, Halt};
use crate::host::Host;
use crate::profile::Profile;

/// What a host function of the ABI comes back with.
type Answered = Result<(), Halt>;

/// Names functions of the ABI; each answers with a status.
macro_rules! register {
    ($linker:ident, $($name:literal => $function:path, ($($argument:ident: $kind:ty),*);)*) => {
        $($linker.func_wrap("env", $name, |caller: Caller<'_, Host>, $($argument: $kind),*| {
            status($function(&mut Guest::enter(caller, $name), $($argument),*))
        })?;)*
    };
}

use register;

fn status(answered: Answered) -> wasmtime::Result<u32> {
    match answered {
        Ok(()) => Ok(0),
        Err(Halt::Status(status)) => Ok(status as u32),
        Err(Halt::Trap(error)) => Err(error),
    }
}

/// A linker with which the module can be instantiated.
pub(crate) fn linker(module: &Module, profile: &Profile) -> wasmtime::Result<Linker<Host>> {
    let mut linker = Linker::new(module.engine());
    linker.allow_shadowing(true);
    fill_gaps(&mut linker, module)?;
    register_maps(&mut linker)?;
    register_streams(&mut linker)?;
    register_shared(&mut linker)?;
    register_misc(&mut linker)?;
    wasi::register(&mut linker)?;
    if profile.nginx().is_some() {
        nginx::register(&mut linker)?;
    }
    Ok(linker)
}

fn register_maps(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    register!(linker,
        "proxy_add_header_map_value" => maps::add, (map: u32, name: u32, name_size: u32, value: u32, value_size: u32);
        "proxy_get_buffer_bytes" => maps::buffer, (buffer: u32, start: u32, size: u32, data: u32, data_size: u32);
        "proxy_get_header_map_pairs" => maps::pairs, (map: u32, data: u32, data_size: u32);
        "proxy_get_header_map_value" => maps::get, (map: u32, name: u32, name_size: u32, data: u32, data_size: u32);
        "proxy_remove_header_map_value" => maps::remove, (map: u32, name: u32, name_size: u32);
        "proxy_replace_header_map_value" => maps::replace, (map: u32, name: u32, name_size: u32, value: u32, value_size: u32);
        "proxy_set_header_map_pairs" => maps::set_pairs, (map: u32, pairs: u32, pairs_size: u32);
    );
    Ok(())
}

fn register_streams(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    register!(linker,
        "proxy_close_stream" => streams::close, (kind: u32);
        "proxy_continue_stream" => streams::resume, (kind: u32);
        "proxy_done" => streams::done, ();
        "proxy_http_call" => streams::http_call, (upstream: u32, upstream_size: u32, headers: u32, headers_size: u32,
            body: u32, body_size: u32, trailers: u32, trailers_size: u32, timeout: u32, token: u32);
        "proxy_send_local_response" => streams::reply, (code: u32, details: u32, details_size: u32, body: u32,
            body_size: u32, headers: u32, headers_size: u32, grpc_status: u32);
        "proxy_set_effective_context" => streams::set_effective_context, (context: u32);
    );
    Ok(())
}

fn register_shared(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    register!(linker,
        "proxy_define_metric" => shared::define_metric, (kind: u32, name: u32, name_size: u32, number: u32);
        "proxy_dequeue_shared_queue" => shared::dequeue, (queue: u32, data: u32, data_size: u32);
        "proxy_enqueue_shared_queue" => shared::enqueue, (queue: u32, message: u32, message_size: u32);
        "proxy_get_metric" => shared::get_metric, (number: u32, value: u32);
        "proxy_get_shared_data" => shared::get, (key: u32, key_size: u32, data: u32, data_size: u32, cas: u32);
        "proxy_increment_metric" => shared::increment_metric, (number: u32, offset: i64);
        "proxy_record_metric" => shared::record_metric, (number: u32, value: u64);
        "proxy_register_shared_queue" => shared::register_queue, (name: u32, name_size: u32, queue: u32);
        "proxy_resolve_shared_queue" => shared::resolve_queue, (vm_id: u32, vm_id_size: u32, name: u32, name_size: u32,
            queue: u32);
        "proxy_set_shared_data" => shared::set, (key: u32, key_size: u32, value: u32, value_size: u32, cas: u32);
    );
    Ok(())
}

fn register_misc(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    register!(linker,
        "proxy_get_current_time_nanoseconds" => misc::now, (time: u32);
        "proxy_get_log_level" => misc::log_level, (level: u32);
        "proxy_get_property" => properties::get, (path: u32, path_size: u32, data: u32, data_size: u32);
        "proxy_log" => misc::log, (level: u32, text: u32, text_size: u32);
        "proxy_set_property" => properties::set, (path: u32, path_size: u32, value: u32, value_size: u32);
        "proxy_set_tick_period_milliseconds" => misc::set_tick_period, (period: u32);
    );
    Ok(())
}

/// Gives every function that the module imports an answer, namely that it is not implemented. What this host does
/// implement is registered over it.
fn fill_gaps(linker: &mut Linker<Host>, module: &Module) -> wasmtime::Result<()> {
    for import in module.imports() {
        let ExternType::Func(kind) = import.ty() else { continue };
        let answer = if import.module() == wasi::SPACE { wasi::ENOSYS } else { Status::Unimplemented as u32 };
        let name = import.name().to_owned();
        let answers = kind.results().len() == 1 && kind.results().all(|result| result.is_i32());
        linker.func_new(import.module(), import.name(), kind, move |caller, _, results| {
            Guest::enter(caller, &name);
            if !answers && !results.is_empty() {
                return Err(wasmtime::Error::msg(format!("{name} is not implemented and cannot say so")));
            }
            results.fill(Val::I32(answer.cast_signed()));
            Ok(())
        })?;
    }
    Ok(())
}
