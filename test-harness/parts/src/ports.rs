//! Loopback ports that no other run takes, held for as long as a server may want to restart on them.
//!
//! They lie below the range from which the kernel serves outgoing connections, and a lock file for each keeps runs
//! apart. What else may listen there is found out by binding.
use std::fs::{self, File, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context, Result, bail};

/// A port on 127.0.0.1, ours until dropped.
#[derive(Debug)]
pub struct Port {
    number: u16,
    // Held, never read: the lock keeps other runs away.
    _lock: File,
}

impl Port {
    /// Takes a port that nobody uses.
    ///
    /// # Errors
    /// When none is free, or the lock files cannot be written.
    pub fn take() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("jwe-gate-ports-{}", rustix::process::geteuid().as_raw()));
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        for _ in 0..COUNT {
            let number = next_candidate();
            let file = OpenOptions::new().create(true).append(true).open(folder.join(number.to_string()))?;
            if file.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Ok(Self { number, _lock: file });
            }
        }
        bail!("no port from {FIRST} to {} is free", FIRST + COUNT - 1)
    }

    /// The port number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }

    /// `127.0.0.1` with this port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }
}

/// Runs start at different places, so that they seldom try the same port.
fn next_candidate() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = std::process::id().wrapping_mul(97) % u32::from(COUNT);
    let offset = (start + u32::from(NEXT.fetch_add(1, Ordering::Relaxed))) % u32::from(COUNT);
    FIRST + u16::try_from(offset).unwrap_or(0)
}

const FIRST: u16 = 12_000;
const COUNT: u16 = 18_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_ports_held_at_once_differ_and_both_can_be_bound() {
        let (one, two) = (Port::take().unwrap(), Port::take().unwrap());
        assert_ne!(one.number(), two.number());
        let _one = TcpListener::bind(one.address()).unwrap();
        let _two = TcpListener::bind(two.address()).unwrap();
    }

    #[test]
    fn a_port_in_use_is_not_handed_out() {
        let held: Vec<_> = (0..50).map(|_| Port::take().unwrap()).collect();
        let mut numbers: Vec<_> = held.iter().map(Port::number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), held.len());
    }
}
