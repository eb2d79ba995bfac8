//! Answers that depend on nothing but the request line, remembered: many users ask for the same pages.

use std::hash::Hasher;
use std::iter::repeat_with;

use siphasher::sip::SipHasher13;

/// The request line of a request in which each part of it stands once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainLine<'a> {
    /// `:method`.
    pub method: &'a [u8],
    /// `:authority`.
    pub authority: &'a [u8],
    /// `:path`.
    pub path: &'a [u8],
}

/// Remembered answers. Bounded: each line has one slot, which belongs to the line that came last.
#[derive(Debug)]
pub struct Memo<T> {
    seed: [u8; 16],
    slots: Vec<Option<Answered<T>>>,
}

#[derive(Debug)]
struct Answered<T> {
    /// The parts of the line, one behind the other, and where the second and the third begin.
    line: Box<[u8]>,
    starts: (usize, usize),
    answer: T,
}

/// A power of two.
const SLOTS: usize = 256;

/// A longer line is not remembered, so that the memory for all of them is bounded.
const MAX_BYTES: usize = 512;

impl<T: Copy> Memo<T> {
    /// Knows nothing yet. As long as nobody knows the seed, nobody can choose whose slot a line takes.
    #[must_use]
    pub fn new(seed: [u8; 16]) -> Self {
        Self { seed, slots: repeat_with(|| None).take(SLOTS).collect() }
    }

    /// The answer for this line, worked out only if it is not known.
    pub fn get(&mut self, line: PlainLine<'_>, work_out: impl FnOnce() -> T) -> T {
        let slot = self.slots.get_mut(line.slot(&self.seed));
        match slot {
            Some(Some(known)) if known.is_of(line) => known.answer,
            Some(slot) if line.size() <= MAX_BYTES => slot.insert(Answered::new(line, work_out())).answer,
            _ => work_out(),
        }
    }
}

impl<T> Answered<T> {
    fn new(line: PlainLine<'_>, answer: T) -> Self {
        let PlainLine { method, authority, path } = line;
        let starts = (method.len(), method.len() + authority.len());
        Self { line: [method, authority, path].concat().into(), starts, answer }
    }

    fn is_of(&self, line: PlainLine<'_>) -> bool {
        let PlainLine { method, authority, path } = line;
        self.starts == (method.len(), method.len() + authority.len())
            && self.line.len() == line.size()
            && self.line.ends_with(path)
            && self.line.starts_with(method)
            && self.line.get(self.starts.0..self.starts.1) == Some(authority)
    }
}

impl PlainLine<'_> {
    fn size(self) -> usize {
        self.method.len() + self.authority.len() + self.path.len()
    }

    #[expect(clippy::cast_possible_truncation, reason = "only the low bits count")]
    fn slot(self, seed: &[u8; 16]) -> usize {
        let mut hasher = SipHasher13::new_with_key(seed);
        for part in [self.method, self.authority, self.path] {
            hasher.write(part);
        }
        hasher.finish() as usize & (SLOTS - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line<'a>(method: &'a str, authority: &'a str, path: &'a str) -> PlainLine<'a> {
        PlainLine { method: method.as_bytes(), authority: authority.as_bytes(), path: path.as_bytes() }
    }

    fn never() -> u32 {
        unreachable!("the answer is known")
    }

    #[test]
    fn an_answer_is_worked_out_once() {
        let mut memo = Memo::new([1; 16]);
        assert_eq!(memo.get(line("GET", "app.test", "/a?b"), || 7), 7);
        assert_eq!(memo.get(line("GET", "app.test", "/a?b"), never), 7);
    }

    #[test]
    fn parts_that_are_cut_in_another_place_are_another_line() {
        let mut memo = Memo::new([1; 16]);
        let lines = [line("GET", "a", "/b"), line("GETa", "", "/b"), line("GE", "Ta", "/b"), line("GET", "a/", "b")];
        for (answer, each) in (0_u32..).zip(lines) {
            assert_eq!(memo.get(each, || answer), answer);
        }
    }

    #[test]
    fn whatever_comes_between_the_answer_is_the_lines_own() {
        let mut memo = Memo::new([1; 16]);
        let paths: Vec<String> = (0..4 * SLOTS).map(|path| format!("/{path}")).collect();
        for _ in 0..2 {
            for path in &paths {
                assert_eq!(memo.get(line("GET", "app.test", path), || path.len()), path.len());
            }
        }
        assert_eq!(memo.slots.len(), SLOTS);
    }

    #[test]
    fn a_long_line_is_answered_and_not_kept() {
        let mut memo = Memo::new([1; 16]);
        let path = "/".repeat(MAX_BYTES);
        assert_eq!(memo.get(line("GET", "a", &path), || 1), 1);
        assert_eq!(memo.get(line("GET", "a", &path), || 2), 2);
    }
}
