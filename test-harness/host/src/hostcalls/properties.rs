//! Properties: what the proxy knows about a request, and filter state.

use super::Answered;
use crate::abi::Status;
use crate::guest::Guest;
use crate::headers::Headers;

pub(super) fn get(guest: &mut Guest<'_>, path: u32, path_size: u32, data: u32, data_size: u32) -> Answered {
    let path = guest.read(path, path_size)?;
    let parts: Vec<&[u8]> = path.split(|byte| *byte == 0).collect();
    let value = find(guest, &parts).ok_or(Status::NotFound)?;
    guest.give(&value, data, data_size)
}

/// What a filter sets is filter state of its request, under the path as it was written.
pub(super) fn set(guest: &mut Guest<'_>, path: u32, path_size: u32, value: u32, value_size: u32) -> Answered {
    let (path, value) = (guest.read(path, path_size)?, guest.read(value, value_size)?);
    let stream = guest.host().acting_stream().ok_or(Status::NotFound)?;
    stream.filter_state.insert(path, value);
    Ok(())
}

fn find(guest: &mut Guest<'_>, path: &[&[u8]]) -> Option<Vec<u8>> {
    match path {
        [b"request", rest @ ..] => request(guest, rest),
        [b"source", b"address"] => Some(guest.host().acting_stream()?.source_address.clone().into_bytes()),
        [b"plugin_name" | b"plugin_root_id"] => {
            let root = guest.host().acting_root()?;
            Some(guest.host().root_context(root)?.name.clone().into_bytes())
        }
        [b"plugin_vm_id"] => Some(guest.vm_id().ok()?.into_bytes()),
        [name] => guest.host().acting_stream()?.filter_state.get(*name).cloned(),
        _ => None,
    }
}

fn request(guest: &mut Guest<'_>, path: &[&[u8]]) -> Option<Vec<u8>> {
    let stream = guest.host().acting_stream()?;
    if !stream.request_open && !stream.logging {
        return None;
    }
    let headers = &stream.request;
    match path {
        [b"headers", name] => joined(headers, name),
        [b"host"] => joined(headers, b":authority"),
        [b"id"] => joined(headers, b"x-request-id"),
        [b"method"] => joined(headers, b":method"),
        [b"path"] => joined(headers, b":path"),
        [b"scheme"] => joined(headers, b":scheme"),
        [b"url_path"] => Some(headers.first(":path")?.split(|byte| *byte == b'?').next()?.to_vec()),
        _ => None,
    }
}

/// All lines of a name in one, with a bare comma between.
fn joined(headers: &Headers, name: &[u8]) -> Option<Vec<u8>> {
    let values = headers.all(name);
    (!values.is_empty()).then(|| values.join(&b','))
}
