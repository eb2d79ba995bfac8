//! A host function's view of the module that called it: its memory, its allocator, and the host behind it.

use wasmtime::Caller;

use crate::abi::Status;
use crate::headers::Headers;
use crate::host::{Active, Host};
use crate::ids::At;

/// Why a host function ends early.
pub(crate) enum Halt {
    /// The filter gets this status.
    Status(Status),
    /// The VM is brought down.
    Trap(wasmtime::Error),
}

impl From<Status> for Halt {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

/// The module that called.
pub(crate) struct Guest<'a> {
    caller: Caller<'a, Host>,
}

impl<'a> Guest<'a> {
    /// Takes the call and counts it, unless it comes from a VM that only tries a configuration out.
    pub(crate) fn enter(mut caller: Caller<'a, Host>, name: &str) -> Self {
        let host = caller.data_mut();
        let canary = host.active.and_then(|active| host.instances.get(active.at.instance)).is_some_and(|vm| vm.canary);
        if !canary {
            match host.counts.get_mut(name) {
                Some(count) => *count += 1,
                None => drop(host.counts.insert(name.to_owned(), 1)),
            }
        }
        Self { caller }
    }

    pub(crate) fn host(&mut self) -> &mut Host {
        self.caller.data_mut()
    }

    pub(crate) fn active(&self) -> Result<Active, Halt> {
        self.caller.data().active.ok_or(Halt::Status(Status::InternalFailure))
    }

    pub(crate) fn acting(&mut self) -> Result<At, Halt> {
        self.host().acting().ok_or(Halt::Status(Status::InternalFailure))
    }

    pub(crate) fn vm_id(&mut self) -> Result<String, Halt> {
        let at = self.active()?.at;
        let instance = self.host().instance(at).ok_or(Status::InternalFailure)?;
        Ok(instance.vm_id.clone())
    }

    pub(crate) fn read(&mut self, from: u32, size: u32) -> Result<Vec<u8>, Halt> {
        let memory = self.memory()?;
        let bytes = range(from, size).and_then(|range| memory.data(&self.caller).get(range));
        Ok(bytes.ok_or(Status::InvalidMemoryAccess)?.to_vec())
    }

    pub(crate) fn read_text(&mut self, from: u32, size: u32) -> Result<String, Halt> {
        Ok(String::from_utf8_lossy(&self.read(from, size)?).into_owned())
    }

    pub(crate) fn read_headers(&mut self, from: u32, size: u32) -> Result<Headers, Halt> {
        Ok(Headers::decode(&self.read(from, size)?))
    }

    pub(crate) fn read_u32(&mut self, from: u32) -> Result<u32, Halt> {
        let bytes = self.read(from, 4)?;
        Ok(bytes.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes)))
    }

    pub(crate) fn write(&mut self, to: u32, bytes: &[u8]) -> Result<(), Halt> {
        let memory = self.memory()?;
        let size = u32::try_from(bytes.len()).map_err(|_| Status::InvalidMemoryAccess)?;
        let target = range(to, size).and_then(|range| memory.data_mut(&mut self.caller).get_mut(range));
        target.ok_or(Status::InvalidMemoryAccess)?.copy_from_slice(bytes);
        Ok(())
    }

    pub(crate) fn write_u32(&mut self, to: u32, value: u32) -> Result<(), Halt> {
        self.write(to, &value.to_le_bytes())
    }

    pub(crate) fn write_u64(&mut self, to: u32, value: u64) -> Result<(), Halt> {
        self.write(to, &value.to_le_bytes())
    }

    /// Gives bytes to the module in memory that it allocates, which it then owns. No bytes are a null pointer.
    pub(crate) fn give(&mut self, bytes: &[u8], pointer_to: u32, size_to: u32) -> Result<(), Halt> {
        let size = u32::try_from(bytes.len()).map_err(|_| Status::InvalidMemoryAccess)?;
        let mut pointer = 0;
        if size != 0 {
            let at = self.active()?.at;
            let allocate = self.host().instance(at).and_then(|instance| instance.allocate.clone());
            let allocate = allocate.ok_or(Status::InvalidMemoryAccess)?;
            pointer = allocate.call(&mut self.caller, size).map_err(Halt::Trap)?;
            self.write(pointer, bytes)?;
        }
        self.write_u32(pointer_to, pointer)?;
        self.write_u32(size_to, size)
    }

    fn memory(&mut self) -> Result<wasmtime::Memory, Halt> {
        let at = self.active()?.at;
        let memory = self.host().instance(at).and_then(|instance| instance.memory);
        memory.ok_or(Halt::Status(Status::InvalidMemoryAccess))
    }
}

fn range(from: u32, size: u32) -> Option<std::ops::Range<usize>> {
    let end = from.checked_add(size)?;
    Some(usize::try_from(from).ok()?..usize::try_from(end).ok()?)
}
