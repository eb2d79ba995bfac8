//! The part of WASI that a filter needs: environment, clock, randomness, and output that goes to the log.

use wasmtime::{Caller, Linker};

use super::Answered;
use super::misc::write_log;
use crate::abi::Level;
use crate::guest::{Guest, Halt};
use crate::host::Host;

pub(super) const SPACE: &str = "wasi_snapshot_preview1";

/// WASI's number for what does not exist.
pub(super) const ENOSYS: u32 = 52;

const EBADF: u32 = 8;
const EFAULT: u32 = 21;
const ENOTSUP: u32 = 58;

/// Names functions of WASI; each answers with an error number.
macro_rules! register {
    ($linker:ident, $($name:literal => $function:path, ($($argument:ident: $kind:ty),*);)*) => {
        $($linker.func_wrap(SPACE, $name, |caller: Caller<'_, Host>, $($argument: $kind),*| {
            error_number($function(&mut Guest::enter(caller, $name), $($argument),*))
        })?;)*
    };
}

fn error_number(answered: Result<u32, Halt>) -> wasmtime::Result<u32> {
    match answered {
        Ok(number) => Ok(number),
        Err(Halt::Status(_)) => Ok(EFAULT),
        Err(Halt::Trap(error)) => Err(error),
    }
}

pub(super) fn register(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    register!(linker,
        "args_get" => args_get, (list: u32, texts: u32);
        "args_sizes_get" => args_sizes_get, (count: u32, size: u32);
        "clock_time_get" => clock_time_get, (clock: u32, precision: u64, time: u32);
        "environ_get" => environ_get, (list: u32, texts: u32);
        "environ_sizes_get" => environ_sizes_get, (count: u32, size: u32);
        "fd_write" => fd_write, (descriptor: u32, parts: u32, part_count: u32, written: u32);
        "random_get" => random_get, (to: u32, size: u32);
        "sched_yield" => sched_yield, ();
    );
    linker.func_wrap(SPACE, "proc_exit", |caller: Caller<'_, Host>, code: u32| -> wasmtime::Result<()> {
        Guest::enter(caller, "proc_exit");
        Err(wasmtime::Error::msg(format!("the module called proc_exit({code})")))
    })?;
    Ok(())
}

fn done(answered: Answered) -> Result<u32, Halt> {
    answered.map(|()| 0)
}

/// There are no arguments to write.
#[expect(clippy::unnecessary_wraps, reason = "all functions of WASI are registered alike")]
fn args_get(_: &mut Guest<'_>, _list: u32, _texts: u32) -> Result<u32, Halt> {
    Ok(0)
}

fn args_sizes_get(guest: &mut Guest<'_>, count: u32, size: u32) -> Result<u32, Halt> {
    guest.write_u32(count, 0)?;
    done(guest.write_u32(size, 0))
}

/// Clocks 0 (wall) and 1 (monotonic) are the virtual ones.
fn clock_time_get(guest: &mut Guest<'_>, clock: u32, _precision: u64, time: u32) -> Result<u32, Halt> {
    let now = match clock {
        0 => guest.host().clock.now_ns(),
        1 => guest.host().clock.elapsed_ms() * 1_000_000,
        _ => return Ok(ENOTSUP),
    };
    done(guest.write_u64(time, now))
}

fn environment(guest: &mut Guest<'_>) -> Vec<Vec<u8>> {
    guest.host().environment.iter().map(|(name, value)| format!("{name}={value}\0").into_bytes()).collect()
}

fn environ_sizes_get(guest: &mut Guest<'_>, count: u32, size: u32) -> Result<u32, Halt> {
    let lines = environment(guest);
    let bytes: usize = lines.iter().map(Vec::len).sum();
    guest.write_u32(count, u32::try_from(lines.len()).unwrap_or(u32::MAX))?;
    done(guest.write_u32(size, u32::try_from(bytes).unwrap_or(u32::MAX)))
}

fn environ_get(guest: &mut Guest<'_>, mut list: u32, mut texts: u32) -> Result<u32, Halt> {
    for line in environment(guest) {
        guest.write_u32(list, texts)?;
        guest.write(texts, &line)?;
        list += 4;
        texts += u32::try_from(line.len()).unwrap_or(0);
    }
    Ok(0)
}

/// Output is logged, as information, and errors as such.
fn fd_write(guest: &mut Guest<'_>, descriptor: u32, parts: u32, part_count: u32, written: u32) -> Result<u32, Halt> {
    let level = match descriptor {
        1 => Level::Info,
        2 => Level::Error,
        _ => return Ok(EBADF),
    };
    let mut bytes = Vec::new();
    for part in 0..part_count {
        let from = guest.read_u32(parts + part * 8)?;
        let size = guest.read_u32(parts + part * 8 + 4)?;
        bytes.extend(guest.read(from, size)?);
    }
    guest.write_u32(written, u32::try_from(bytes.len()).unwrap_or(u32::MAX))?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.strip_suffix('\n').unwrap_or(&text);
    if bytes.is_empty() { Ok(0) } else { done(write_log(guest, level, text.to_owned())) }
}

fn random_get(guest: &mut Guest<'_>, to: u32, size: u32) -> Result<u32, Halt> {
    let bytes = guest.host().chance.bytes(size as usize);
    done(guest.write(to, &bytes))
}

#[expect(clippy::unnecessary_wraps, reason = "all functions of WASI are registered alike")]
fn sched_yield(_: &mut Guest<'_>) -> Result<u32, Halt> {
    Ok(0)
}
