//! The ways between the parts of a chain, which can be broken.

use jwe_gate_test_parts::fault_proxy::FaultProxy;

/// A proxy before each part that others ask. They are in the way only in a chain that was planned with them.
#[derive(Debug)]
pub struct Links {
    /// Before Redis.
    pub redis: FaultProxy,
    /// Before Postgres.
    pub postgres: FaultProxy,
    /// Before the first lookup service.
    pub service: FaultProxy,
}
