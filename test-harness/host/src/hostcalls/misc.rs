//! Logging, time and timers.

use super::Answered;
use crate::abi::{Level, Status};
use crate::guest::Guest;
use crate::host::Tick;
use crate::report::LogLine;

pub(super) fn log(guest: &mut Guest<'_>, level: u32, text: u32, text_size: u32) -> Answered {
    let level = Level::from_number(level).ok_or(Status::BadArgument)?;
    let text = guest.read_text(text, text_size)?;
    write_log(guest, level, text)
}

pub(super) fn write_log(guest: &mut Guest<'_>, level: Level, text: String) -> Answered {
    let at = guest.active()?.at;
    let host = guest.host();
    let instance = host.instance(at).ok_or(Status::InternalFailure)?;
    let (vm, canary) = (instance.worker, instance.canary);
    if level >= host.log_level {
        host.log.push(LogLine { vm, canary, level, text });
    }
    Ok(())
}

pub(super) fn log_level(guest: &mut Guest<'_>, level: u32) -> Answered {
    let current = guest.host().log_level as u32;
    guest.write_u32(level, current)
}

pub(super) fn now(guest: &mut Guest<'_>, time: u32) -> Answered {
    let now = guest.host().clock.now_ns();
    guest.write_u64(time, now)
}

/// The timer is the root context's. Setting it starts it anew; zero stops it.
pub(super) fn set_tick_period(guest: &mut Guest<'_>, period: u32) -> Answered {
    let host = guest.host();
    let elapsed = host.clock.elapsed_ms();
    let at = host.acting_root().ok_or(Status::InternalFailure)?;
    if let Some(root) = host.root_context(at) {
        let period_ms = u64::from(period);
        root.tick = (period_ms > 0).then_some(Tick { period_ms, due_ms: elapsed + period_ms });
    }
    Ok(())
}
