//! Shared data and queues in nginx.

use super::{Answered, conf, trap};
use crate::abi::Status;
use crate::guest::Guest;

pub(super) fn get(guest: &mut Guest<'_>, key: u32, key_size: u32, data: u32, data_size: u32, cas: u32) -> Answered {
    let key = guest.read(key, key_size)?;
    conf(guest)?.zone(&key).ok_or_else(|| trap("no zone for this key"))?;
    let (value, current) = guest.host().zones.get(&key).ok_or(Status::NotFound)?;
    guest.give(&value, data, data_size)?;
    guest.write_u32(cas, current)
}

pub(super) fn set(guest: &mut Guest<'_>, key: u32, key_size: u32, value: u32, value_size: u32, cas: u32) -> Answered {
    let (key, value) = (guest.read(key, key_size)?, guest.read(value, value_size)?);
    let zone = conf(guest)?.zone(&key).ok_or_else(|| trap("no zone for this key"))?;
    Ok(guest.host().zones.set(zone, &key, value, cas)?)
}

/// The message lies there, and nobody is told.
pub(super) fn enqueue(guest: &mut Guest<'_>, queue: u32, message: u32, message_size: u32) -> Answered {
    let message = guest.read(message, message_size)?;
    guest.host().queues.enqueue(queue, message)?;
    Ok(())
}

pub(super) fn resolve_queue(_: &mut Guest<'_>, _: u32, _: u32, _: u32, _: u32, _: u32) -> Answered {
    Err(trap("not implemented"))
}
