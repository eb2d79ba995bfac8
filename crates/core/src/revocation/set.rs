//! What the feed says that is in force, by tag: bounded, pruned of what is over.
//!
//! One notice takes 48 bytes and its share of a B-tree's nodes, about 70 in all: 7 MB for 100,000.

use std::collections::BTreeMap;

use jwe_gate_contract::{Bounds, Tag};

use super::Notice;
use crate::time::UnixMillis;

/// The most notices that are kept at a time.
pub const LIMIT: usize = 100_000;

/// Notices, at most one for each tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set(BTreeMap<Tag, Times>);

/// What is known of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Which of its sessions have ended.
    pub ended: Bounds,
    /// From before when verdicts are of no use.
    pub changed: UnixMillis,
    /// When all this may be forgotten.
    pub until: UnixMillis,
}

/// There are [`LIMIT`] notices in force already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Set {
    /// Adds a notice. Of two for the same tag one is kept, which says what either says for as long as either does.
    /// Returns whether anything has changed.
    ///
    /// # Errors
    /// [`Full`] when there is no room for another tag. Then the set is as it was.
    pub fn insert(&mut self, notice: &Notice) -> Result<bool, Full> {
        let Notice { tag, ended, changed, until } = *notice;
        if let Some(times) = self.0.get_mut(&tag) {
            let before = *times;
            times.ended = before.ended.or_later(ended);
            times.changed = before.changed.max(changed);
            times.until = before.until.max(until);
            return Ok(*times != before);
        }
        if self.0.len() >= LIMIT {
            return Err(Full);
        }
        self.0.insert(tag, Times { ended, changed, until });
        Ok(true)
    }

    /// Forgets what is over. What it was about has expired.
    pub fn prune(&mut self, now: UnixMillis) {
        self.0.retain(|_, times| times.until > now);
    }

    /// What is known of a tag.
    #[must_use]
    pub fn get(&self, tag: Tag) -> Option<Times> {
        self.0.get(&tag).copied()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, by tag.
    pub fn iter(&self) -> impl Iterator<Item = Notice> {
        self.0.iter().map(|(tag, Times { ended, changed, until })| Notice {
            tag: *tag,
            ended: *ended,
            changed: *changed,
            until: *until,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tag(number: u8) -> Tag {
        Tag::from_bytes([number; 16])
    }

    fn notice() -> impl Strategy<Value = Notice> {
        let times = (0..9_u64, 0..9_u64, 0..9_u64, 0..20_u64);
        (0..8_u8, times).prop_map(|(number, (signed_in_before_ms, issued_before_ms, changed, until))| Notice {
            tag: tag(number),
            ended: Bounds { signed_in_before_ms, issued_before_ms },
            changed: UnixMillis(changed),
            until: UnixMillis(until),
        })
    }

    proptest! {
        #[test]
        fn it_says_what_a_list_of_all_that_is_not_over_would_say(
            steps in proptest::collection::vec((notice(), proptest::option::of(0..20_u64)), 0..60),
        ) {
            let (mut set, mut list) = (Set::default(), Vec::<Notice>::new());
            for (notice, pruned) in steps {
                set.insert(&notice).unwrap();
                list.push(notice);
                if let Some(now) = pruned.map(UnixMillis) {
                    set.prune(now);
                    // A tag stays as a whole for as long as anything about it does.
                    let lasts = |tag| list.iter().any(|one| one.tag == tag && one.until > now);
                    let lasting: Vec<_> = list.iter().copied().filter(|one| lasts(one.tag)).collect();
                    list = lasting;
                }
                for number in 0..8 {
                    let about = || list.iter().filter(|one| one.tag == tag(number));
                    prop_assert_eq!(set.get(tag(number)).is_some(), about().count() > 0);
                    let changed = about().map(|one| one.changed).max();
                    prop_assert_eq!(set.get(tag(number)).map(|times| times.changed), changed);
                    for (signed_in, issued) in (0..10).flat_map(|time| [(Some(time), Some(9)), (None, Some(time))]) {
                        let ends = |ended: Bounds| ended.end(signed_in, issued);
                        let model = about().any(|one| ends(one.ended));
                        prop_assert_eq!(set.get(tag(number)).is_some_and(|times| ends(times.ended)), model);
                    }
                }
            }
            // What it hands on makes the same set, in any order.
            let mut copy = Set::default();
            let mut all: Vec<_> = set.iter().collect();
            all.reverse();
            for one in all {
                copy.insert(&one).unwrap();
            }
            prop_assert_eq!(copy, set);
        }
    }

    #[test]
    fn a_full_set_takes_no_other_tag_until_something_is_over() {
        let numbered = |number: usize| {
            let mut tag = [0; 16];
            tag[..8].copy_from_slice(&number.to_le_bytes());
            let until = UnixMillis(if number == 7 { 5 } else { 10 });
            Notice { tag: Tag::from_bytes(tag), ended: Bounds::default(), changed: UnixMillis(1), until }
        };
        let mut set = Set::default();
        for number in 0..LIMIT {
            assert_eq!(set.insert(&numbered(number)), Ok(true));
        }
        assert_eq!(set.insert(&numbered(LIMIT)), Err(Full));
        assert_eq!(set.insert(&numbered(0)), Ok(false));
        let more = Notice { changed: UnixMillis(2), ..numbered(0) };
        assert_eq!(set.insert(&more), Ok(true));
        set.prune(UnixMillis(5));
        assert_eq!(set.len(), LIMIT - 1);
        assert_eq!(set.insert(&numbered(LIMIT)), Ok(true));
    }
}
