//! Handles that tests hold, and places inside VMs that they do not see.

/// A worker: a place in which one VM at a time runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VmId(pub(crate) usize);

/// A configured filter: one root context. It outlives reloads of its VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RootId(pub(crate) usize);

/// A request that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(crate) usize);

/// A callout that a filter made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub(crate) usize);

/// A context inside a VM instance. A reloaded VM is another instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct At {
    pub(crate) instance: usize,
    pub(crate) context: u32,
}
