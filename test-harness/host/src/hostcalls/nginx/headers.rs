//! Header maps in nginx. What a filter changes in a request is not what the upstream gets.

use super::Answered;
use crate::abi::{MapKind, Status};
use crate::guest::Guest;
use crate::hostcalls::maps;
use crate::profile::SHOWN_PAIRS;

/// A map is never missing: outside its time it is empty.
pub(super) fn get(guest: &mut Guest<'_>, map: u32, name: u32, name_size: u32, data: u32, data_size: u32) -> Answered {
    let kind = MapKind::from_number(map).ok_or(Status::BadArgument)?;
    let name = guest.read(name, name_size)?;
    let headers = maps::readable(guest.host(), kind).ok_or(Status::NotFound)?;
    let value = headers.first(&name).ok_or(Status::NotFound)?.to_vec();
    guest.give(&value, data, data_size)
}

/// The first hundred pairs; names as the client wrote them, here as most clients do.
pub(super) fn pairs(guest: &mut Guest<'_>, map: u32, data: u32, data_size: u32) -> Answered {
    let kind = MapKind::from_number(map).ok_or(Status::BadArgument)?;
    let headers = maps::readable(guest.host(), kind).filter(|headers| !headers.is_empty());
    let encoded = headers.map(|headers| headers.encode_first(SHOWN_PAIRS, capitalised)).unwrap_or_default();
    guest.give(&encoded, data, data_size)
}

/// Adds a line, also to what is sent upstream.
pub(super) fn add(guest: &mut Guest<'_>, map: u32, name: u32, name_size: u32, value: u32, value_size: u32) -> Answered {
    let (name_bytes, value_bytes) = (guest.read(name, name_size)?, guest.read(value, value_size)?);
    maps::edit(guest, map, |headers| headers.add(&name_bytes, &value_bytes))?;
    let is_request = MapKind::from_number(map) == Some(MapKind::Request);
    if let Some(stream) = guest.host().acting_stream().filter(|_| is_request) {
        stream.wire.add(&name_bytes, &value_bytes);
    }
    Ok(())
}

/// Replaces the first line of a name, also in what is sent upstream, and leaves the others.
pub(super) fn replace(
    guest: &mut Guest<'_>,
    map: u32,
    name: u32,
    name_size: u32,
    value: u32,
    value_size: u32,
) -> Answered {
    let (name_bytes, value_bytes) = (guest.read(name, name_size)?, guest.read(value, value_size)?);
    maps::edit(guest, map, |headers| headers.replace_first(&name_bytes, &value_bytes))?;
    let is_request = MapKind::from_number(map) == Some(MapKind::Request);
    if let Some(stream) = guest.host().acting_stream().filter(|_| is_request) {
        stream.wire.replace_first(&name_bytes, &value_bytes);
    }
    Ok(())
}

fn capitalised(name: &[u8]) -> Vec<u8> {
    let mut starts = true;
    let capitalise =
        |byte: &u8| if std::mem::replace(&mut starts, *byte == b'-') { byte.to_ascii_uppercase() } else { *byte };
    name.iter().map(capitalise).collect()
}
