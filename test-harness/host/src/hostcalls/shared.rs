//! Shared data, shared queues and metrics.

use super::Answered;
use crate::abi::Status;
use crate::guest::Guest;
use crate::host::Wakeup;
use crate::metrics::MetricKind;

pub(super) fn get(guest: &mut Guest<'_>, key: u32, key_size: u32, data: u32, data_size: u32, cas: u32) -> Answered {
    let (vm_id, key) = (guest.vm_id()?, guest.read(key, key_size)?);
    let (value, current) = guest.host().shared.get(&vm_id, &key).ok_or(Status::NotFound)?;
    guest.give(&value, data, data_size)?;
    guest.write_u32(cas, current)
}

pub(super) fn set(guest: &mut Guest<'_>, key: u32, key_size: u32, value: u32, value_size: u32, cas: u32) -> Answered {
    let (vm_id, key, value) = (guest.vm_id()?, guest.read(key, key_size)?, guest.read(value, value_size)?);
    Ok(guest.host().shared.set(&vm_id, key, value, cas)?)
}

/// The queue belongs to the root context: that is where messages are announced.
pub(super) fn register_queue(guest: &mut Guest<'_>, name: u32, name_size: u32, queue: u32) -> Answered {
    let (vm_id, name) = (guest.vm_id()?, guest.read(name, name_size)?);
    let owner = guest.host().acting_root().ok_or(Status::InternalFailure)?;
    let number = guest.host().queues.register(&vm_id, &name, owner);
    guest.write_u32(queue, number)
}

/// An empty VM id means the caller's own.
pub(super) fn resolve_queue(
    guest: &mut Guest<'_>,
    vm_id: u32,
    vm_id_size: u32,
    name: u32,
    name_size: u32,
    queue: u32,
) -> Answered {
    let (named, name) = (guest.read_text(vm_id, vm_id_size)?, guest.read(name, name_size)?);
    let vm_id = if named.is_empty() { guest.vm_id()? } else { named };
    let number = guest.host().queues.resolve(&vm_id, &name).ok_or(Status::NotFound)?;
    guest.write_u32(queue, number)
}

pub(super) fn enqueue(guest: &mut Guest<'_>, queue: u32, message: u32, message_size: u32) -> Answered {
    let message = guest.read(message, message_size)?;
    let host = guest.host();
    let owner = host.queues.enqueue(queue, message)?;
    host.wakeups.push_back(Wakeup { owner, queue });
    Ok(())
}

pub(super) fn dequeue(guest: &mut Guest<'_>, queue: u32, data: u32, data_size: u32) -> Answered {
    let message = guest.host().queues.dequeue(queue)?;
    guest.give(&message, data, data_size)
}

pub(super) fn define_metric(guest: &mut Guest<'_>, kind: u32, name: u32, name_size: u32, number: u32) -> Answered {
    let kind = MetricKind::from_number(kind).ok_or(Status::BadArgument)?;
    let name = guest.read_text(name, name_size)?;
    let at = guest.active()?.at;
    let host = guest.host();
    host.metrics.define(kind, &name);
    let defined = host.instance(at).ok_or(Status::InternalFailure)?.metrics.define(kind, name);
    guest.write_u32(number, defined)
}

pub(super) fn increment_metric(guest: &mut Guest<'_>, number: u32, offset: i64) -> Answered {
    let (kind, name) = metric(guest, number)?;
    Ok(guest.host().metrics.increment(kind, &name, offset)?)
}

pub(super) fn record_metric(guest: &mut Guest<'_>, number: u32, value: u64) -> Answered {
    let (kind, name) = metric(guest, number)?;
    guest.host().metrics.record(kind, &name, value);
    Ok(())
}

pub(super) fn get_metric(guest: &mut Guest<'_>, number: u32, value: u32) -> Answered {
    let (kind, name) = metric(guest, number)?;
    if kind == MetricKind::Histogram {
        return Err(Status::BadArgument.into());
    }
    let current = guest.host().metrics.value(&name).ok_or(Status::NotFound)?;
    guest.write_u64(value, current)
}

fn metric(guest: &mut Guest<'_>, number: u32) -> Result<(MetricKind, String), crate::guest::Halt> {
    let at = guest.active()?.at;
    let instance = guest.host().instance(at).ok_or(Status::InternalFailure)?;
    Ok(instance.metrics.find(number)?)
}
