//! Who shows tokens that are none, again and again. Only where a limit is configured.
//!
//! A table of fixed size, of digests under a seed that nobody outside knows: no address is kept, and nobody can make two
//! clients meet on purpose. A client is counted from its first failure to the end of the window; then it starts anew.

use std::hash::Hasher;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use siphasher::sip128::{Hasher128, SipHasher13};

use crate::config::FailureLimit;
use crate::time::UnixMillis;

/// Slots in a set.
const WAYS: usize = 4;

/// The failures of one worker's clients.
#[derive(Debug)]
pub struct Failures {
    limit: FailureLimit,
    seed: [u8; 16],
    /// A power of two sets of [`WAYS`] slots each.
    slots: Vec<Slot>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    client: u128,
    until: UnixMillis,
    count: u32,
}

impl Failures {
    /// An empty table.
    #[must_use]
    pub fn new(limit: FailureLimit, seed: [u8; 16]) -> Self {
        let slots = limit.clients.max(WAYS).next_power_of_two();
        Self { limit, seed, slots: vec![Slot::default(); slots] }
    }

    /// Notes a failure. Returns how long the client has to wait if it has failed too often.
    #[must_use]
    pub fn note(&mut self, now: UnixMillis, address: &[u8]) -> Option<Duration> {
        let (client, window) = (self.client(address), self.limit.window);
        // A window never ends later than a whole one from now, even where a clock has been set back.
        let is_live = |slot: &Slot| now < slot.until && slot.until <= now.after(window);
        let set = self.set(client);
        let own = set.iter().position(|slot| slot.client == client && is_live(slot));
        // Who has failed most is remembered longest: many addresses that fail once do not push it out.
        let count = |slot: &Slot| if is_live(slot) { slot.count } else { 0 };
        let least = || set.iter().enumerate().min_by_key(|(_, slot)| count(slot)).map_or(0, |(way, _)| way);
        let slot = set.get_mut(own.unwrap_or_else(least))?;
        if own.is_none() {
            *slot = Slot { client, until: now.after(window), count: 0 };
        }
        slot.count = slot.count.saturating_add(1);
        let (count, until) = (slot.count, slot.until);
        (count > self.limit.per_client).then(|| Duration::from_millis(until.0.saturating_sub(now.0)))
    }

    fn client(&self, address: &[u8]) -> u128 {
        let mut hasher = SipHasher13::new_with_key(&self.seed);
        match network(address) {
            Some(network) => hasher.write(&network),
            None => hasher.write(address),
        }
        hasher.finish128().as_u128()
    }

    fn set(&mut self, client: u128) -> &mut [Slot] {
        let sets = self.slots.len() / WAYS;
        let set = (client as usize) & (sets - 1);
        self.slots.get_mut(set * WAYS..(set + 1) * WAYS).unwrap_or_default()
    }
}

/// What one client has in common with itself: an IPv4 address, or the /64 of an IPv6 address, of which it has all the
/// others as well. Nothing for what is not an IP address, with or without a port.
fn network(address: &[u8]) -> Option<[u8; 8]> {
    let text = std::str::from_utf8(address).ok()?;
    let ip = text.parse::<SocketAddr>().map(|address| address.ip()).or_else(|_| text.parse());
    match ip.ok()?.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            // No /64 that is routed begins like this (RFC 4291 section 2.5.5).
            Some([0, 0, 0, 0, a, b, c, d])
        }
        IpAddr::V6(ip) => ip.octets().first_chunk().copied(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_750_000_000_000);
    const WINDOW: Duration = Duration::from_mins(1);

    fn table(per_client: u32, clients: usize) -> Failures {
        Failures::new(FailureLimit { per_client, window: WINDOW, clients }, [1; 16])
    }

    fn later(ms: u64) -> UnixMillis {
        UnixMillis(NOW.0 + ms)
    }

    #[test]
    fn a_client_may_fail_so_often_in_a_window_and_then_starts_anew() {
        let mut failures = table(3, 16);
        for at in [0, 10, 20_000] {
            assert_eq!(failures.note(later(at), b"192.0.2.1:5000"), None);
        }
        assert_eq!(failures.note(later(20_000), b"192.0.2.1:5001"), Some(Duration::from_secs(40)));
        // To go on failing makes it no longer.
        assert_eq!(failures.note(later(59_999), b"192.0.2.1"), Some(Duration::from_millis(1)));
        assert_eq!(failures.note(later(60_000), b"192.0.2.1:5000"), None);
    }

    #[test]
    fn clients_are_told_apart_by_their_networks() {
        for (one, other, same) in [
            ("192.0.2.1:5000", "192.0.2.1:6000", true),
            ("192.0.2.1:5000", "192.0.2.2:5000", false),
            ("192.0.2.1:5000", "[::ffff:192.0.2.1]:5000", true),
            ("[2001:db8::1]:5000", "[2001:db8::ffff:1]:6000", true),
            ("[2001:db8::1]:5000", "[2001:db8:0:1::1]:5000", false),
            ("/tmp/socket", "/tmp/socket", true),
            ("/tmp/socket", "/tmp/other", false),
        ] {
            let mut failures = table(1, 16);
            assert_eq!(failures.note(NOW, one.as_bytes()), None);
            assert_eq!(failures.note(NOW, other.as_bytes()).is_some(), same, "{one} {other}");
        }
    }

    #[test]
    fn the_table_never_grows_and_keeps_who_fails_most() {
        let mut failures = table(5, 64);
        for _ in 0..10 {
            let _ = failures.note(NOW, b"192.0.2.1:5000");
        }
        for number in 0..100_000_u32 {
            let [a, b, c, d] = number.to_be_bytes();
            let _ = failures.note(later(1), format!("10.{b}.{c}.{d}:{a}").as_bytes());
        }
        assert_eq!(failures.slots.len(), 64);
        assert!(failures.note(later(2), b"192.0.2.1:5000").is_some());
    }

    #[test]
    fn a_clock_that_was_set_back_locks_nobody_out() {
        let mut failures = table(1, 16);
        let _ = failures.note(later(600_000), b"192.0.2.1:5000");
        assert!(failures.note(later(600_000), b"192.0.2.1:5000").is_some());
        assert_eq!(failures.note(NOW, b"192.0.2.1:5000"), None);
    }
}
