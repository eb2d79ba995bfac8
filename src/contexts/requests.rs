//! Requests, and whose they are.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// The requests of which something has to be remembered. Nearly all go on as soon as they have come, and are not among them.
#[derive(Default)]
pub(super) struct Requests {
    /// The one that was announced last, until its headers come; proxies show them at once.
    announced: Option<(u32, u32)>,
    kept: HashMap<u32, Request, BuildHasherDefault<Numbers>>,
}

#[derive(Clone, Copy)]
struct Request {
    root: u32,
    held: bool,
}

impl Requests {
    /// A request is announced. If another one still is, that is kept.
    pub(super) fn announce(&mut self, context: u32, root: u32) {
        if let Some((context, root)) = self.announced.replace((context, root)) {
            self.keep(context, root, false);
        }
    }

    /// Whose request this is whose headers have come.
    pub(super) fn take(&mut self, context: u32) -> Option<u32> {
        match self.announced {
            Some((announced, root)) if announced == context => {
                self.announced = None;
                Some(root)
            }
            _ => self.root_of(context),
        }
    }

    /// Remembers a request until it ends.
    pub(super) fn keep(&mut self, context: u32, root: u32, held: bool) {
        self.kept.insert(context, Request { root, held });
    }

    /// Whose request this is, if that is remembered.
    pub(super) fn root_of(&self, context: u32) -> Option<u32> {
        Some(self.kept.get(&context)?.root)
    }

    /// Notes that a request is not held any more. Returns whether it was.
    pub(super) fn release(&mut self, context: u32) -> bool {
        self.kept.get_mut(&context).is_some_and(|request| std::mem::take(&mut request.held))
    }

    /// Forgets a request. Returns whose it was, and whether it was held.
    pub(super) fn end(&mut self, context: u32) -> Option<(u32, bool)> {
        if let Some((_, root)) = self.announced.take_if(|(announced, _)| *announced == context) {
            return Some((root, false));
        }
        let Request { root, held } = self.kept.remove(&context)?;
        Some((root, held))
    }
}

/// A hash for numbers that the host gives out in order: nobody chooses them.
#[derive(Default)]
struct Numbers(u64);

impl Hasher for Numbers {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        // The table looks at both ends of a hash; this odd number is 2^64 divided by the golden ratio.
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
