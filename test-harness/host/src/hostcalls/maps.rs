//! Header maps and buffers.

use super::Answered;
use crate::abi::{BufferKind, MapKind, Status};
use crate::guest::Guest;
use crate::headers::Headers;
use crate::host::Host;

pub(super) fn get(guest: &mut Guest<'_>, map: u32, name: u32, name_size: u32, data: u32, data_size: u32) -> Answered {
    let kind = kind(map)?;
    let name = guest.read(name, name_size)?;
    let value = readable(guest.host(), kind).ok_or(Status::BadArgument)?.first(&name).ok_or(Status::NotFound)?.to_vec();
    guest.give(&value, data, data_size)
}

/// A map that is not there reads as empty, unlike in `get`.
pub(super) fn pairs(guest: &mut Guest<'_>, map: u32, data: u32, data_size: u32) -> Answered {
    let kind = kind(map)?;
    let headers = readable(guest.host(), kind).filter(|headers| !headers.is_empty());
    let encoded = headers.map(Headers::encode).unwrap_or_default();
    guest.give(&encoded, data, data_size)
}

pub(super) fn add(guest: &mut Guest<'_>, map: u32, name: u32, name_size: u32, value: u32, value_size: u32) -> Answered {
    let (name, value) = (guest.read(name, name_size)?, guest.read(value, value_size)?);
    let joins = kind(map)? == MapKind::Request && guest.host().profile.joins(&name);
    edit_line(guest, map, &name, |headers| if joins { headers.join(&name, &value) } else { headers.add(&name, &value) })
}

pub(super) fn replace(
    guest: &mut Guest<'_>,
    map: u32,
    name: u32,
    name_size: u32,
    value: u32,
    value_size: u32,
) -> Answered {
    let (name, value) = (guest.read(name, name_size)?, guest.read(value, value_size)?);
    edit_line(guest, map, &name, |headers| headers.replace(&name, &value))
}

pub(super) fn remove(guest: &mut Guest<'_>, map: u32, name: u32, name_size: u32) -> Answered {
    let name = guest.read(name, name_size)?;
    edit_line(guest, map, &name, |headers| headers.remove(&name))
}

/// Changes lines of one name, unless that name is fixed.
fn edit_line(guest: &mut Guest<'_>, map: u32, name: &[u8], change: impl FnOnce(&mut Headers)) -> Answered {
    if guest.host().fixed.contains(name) {
        return Err(Status::BadArgument.into());
    }
    edit(guest, map, change)
}

pub(super) fn set_pairs(guest: &mut Guest<'_>, map: u32, pairs: u32, pairs_size: u32) -> Answered {
    let pairs = guest.read_headers(pairs, pairs_size)?;
    edit(guest, map, |headers| *headers = pairs)
}

pub(super) fn buffer(guest: &mut Guest<'_>, buffer: u32, start: u32, size: u32, data: u32, data_size: u32) -> Answered {
    let kind = BufferKind::from_number(buffer).ok_or(Status::BadArgument)?;
    let bytes = buffer_bytes(guest, kind).ok_or(Status::NotFound)?;
    let end = start.checked_add(size).ok_or(Status::BadArgument)?;
    let (start, end) = (start as usize, (end as usize).min(bytes.len()));
    match bytes.get(start..end) {
        Some(part) if !part.is_empty() => guest.give(part, data, data_size),
        // Nothing to copy: the module's two variables stay as they are.
        _ => Ok(()),
    }
}

fn kind(map: u32) -> Result<MapKind, Status> {
    MapKind::from_number(map).ok_or(Status::BadArgument)
}

/// A map that may be read now.
pub(super) fn readable(host: &mut Host, kind: MapKind) -> Option<&Headers> {
    match kind {
        MapKind::Request => {
            let stream = host.acting_stream()?;
            (stream.request_open || stream.logging).then_some(&stream.request)
        }
        MapKind::Response => {
            let stream = host.acting_stream()?;
            (stream.response_open || stream.logging).then_some(&stream.response)
        }
        MapKind::CallResponse => {
            let root = host.acting_root()?;
            host.root_context(root)?.answer.as_ref().map(|(headers, _)| headers)
        }
        MapKind::Absent => None,
    }
}

/// Changes a map that may be changed now.
pub(super) fn edit(guest: &mut Guest<'_>, map: u32, change: impl FnOnce(&mut Headers)) -> Answered {
    let kind = kind(map)?;
    let stream = guest.host().acting_stream().ok_or(Status::BadArgument)?;
    let headers = match kind {
        MapKind::Request if stream.request_open => &mut stream.request,
        MapKind::Response if stream.response_open => &mut stream.response,
        _ => return Err(Status::BadArgument.into()),
    };
    change(headers);
    Ok(())
}

fn buffer_bytes(guest: &mut Guest<'_>, kind: BufferKind) -> Option<Vec<u8>> {
    let host = guest.host();
    match kind {
        BufferKind::RequestBody => Some(host.acting_stream()?.request_body.clone()),
        BufferKind::ResponseBody => Some(host.acting_stream()?.response_body.clone()),
        BufferKind::VmConfiguration => Some(host.vm_configuration.clone()),
        BufferKind::PluginConfiguration => {
            let at = host.acting()?;
            host.root_context(at)?.configuration.clone()
        }
        BufferKind::CallResponseBody => {
            let root = host.acting_root()?;
            host.root_context(root)?.answer.as_ref().map(|(_, body)| body.clone())
        }
        BufferKind::Absent => None,
    }
}
