//! Names of queues, so few that they are used again and again.
//!
//! A proxy never forgets a queue that was registered, and each swap of the filter brings root contexts that want one of
//! their own. So a name that its owner has given back goes to the next one. Names whose owner ended without doing so are
//! lost, as after a trap.
//!
//! ```text
//! offset 0  layout, 1 byte      1  how many names there are, 4 bytes      5  names that are free, 4 bytes each
//! ```
//! Numbers are little-endian. What has another layout or length is nothing: names begin anew then, and two owners may
//! meet under one. Nothing relies on a queue, so that costs a delay.

use crate::shared::SharedKey;

/// One of the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueName(u32);

impl QueueName {
    /// What the proxy calls the queue.
    #[must_use]
    pub fn queue(self) -> String {
        format!("jwe_gate/wake/{}", self.0)
    }
}

/// Where the names stand in shared data.
#[must_use]
pub fn key() -> SharedKey {
    SharedKey("jwe_gate/queues".to_owned())
}

/// Takes a name: the new value, and the name. `None` where all names there may be are in use.
#[must_use]
pub fn take(value: &[u8]) -> Option<(Vec<u8>, QueueName)> {
    let mut names = Names::decode(value);
    let name = match names.free.pop() {
        Some(free) => free,
        None if names.count < MOST => {
            names.count += 1;
            names.count - 1
        }
        None => return None,
    };
    Some((names.encode(), QueueName(name)))
}

/// Gives a name back: the new value.
#[must_use]
pub fn give_back(value: &[u8], QueueName(name): QueueName) -> Vec<u8> {
    let mut names = Names::decode(value);
    if name < names.count && !names.free.contains(&name) {
        names.free.push(name);
    }
    names.encode()
}

#[derive(Default)]
struct Names {
    count: u32,
    free: Vec<u32>,
}

impl Names {
    fn decode(value: &[u8]) -> Self {
        let read = || {
            let ([LAYOUT], numbers) = value.split_first_chunk::<1>()? else { return None };
            let (numbers, []) = numbers.as_chunks::<4>() else { return None };
            let mut numbers = numbers.iter().map(|number| u32::from_le_bytes(*number));
            let count = numbers.next()?;
            Some(Self { count, free: numbers.collect() })
        };
        read().unwrap_or_default()
    }

    fn encode(&self) -> Vec<u8> {
        let numbers = [&[self.count], self.free.as_slice()].concat();
        let numbers = numbers.into_iter().flat_map(u32::to_le_bytes);
        [LAYOUT].into_iter().chain(numbers).collect()
    }
}

const LAYOUT: u8 = 1;

/// More root contexts than any proxy has at a time. One without a queue is served by its ticks.
const MOST: u32 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_owner_and_is_used_again_when_given_back() {
        let (value, one) = take(&[]).unwrap();
        let (value, two) = take(&value).unwrap();
        assert_ne!(one, two);
        let value = give_back(&value, one);
        let (value, again) = take(&value).unwrap();
        assert_eq!(again, one);
        let (_, third) = take(&value).unwrap();
        assert!(third != one && third != two);
    }

    #[test]
    fn names_do_not_grow_in_number_with_their_owners() {
        let mut value = Vec::new();
        for _ in 0..10_000 {
            let (taken, name) = take(&value).unwrap();
            assert_eq!(name, QueueName(0));
            value = give_back(&taken, name);
            // What is given back twice, or was never given out, is not given to two.
            value = give_back(&value, name);
            value = give_back(&value, QueueName(7));
        }
        assert_eq!(value.len(), 9);
    }

    #[test]
    fn there_is_an_end_to_names() {
        let mut value = Vec::new();
        for name in 0..MOST {
            let (taken, given) = take(&value).unwrap();
            assert_eq!(given, QueueName(name));
            value = taken;
        }
        assert_eq!(take(&value), None);
    }

    #[test]
    fn what_is_not_understood_is_nothing() {
        for value in [&b"x"[..], &[0; 9], &[2, 9, 0, 0, 0], &[1, 9, 0, 0], &[1]] {
            assert_eq!(take(value).unwrap().1, QueueName(0), "{value:?}");
        }
    }
}
