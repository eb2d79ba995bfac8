//! Values that are never used twice, and that nobody outside can tell before.

use crate::mac::digest;

/// Makes them from fresh randomness.
#[derive(Debug)]
pub(crate) struct Nonces {
    label: &'static str,
    seed: [u8; 16],
    used: u64,
}

impl Nonces {
    /// Those of one purpose; another label gives others.
    pub(crate) fn new(label: &'static str, seed: [u8; 16]) -> Self {
        Self { label, seed, used: 0 }
    }

    /// The next one, as text.
    pub(crate) fn text(&mut self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.next()))
    }

    /// The next one, as a number.
    pub(crate) fn number(&mut self) -> u64 {
        u64::from_be_bytes(self.next())
    }

    fn next<const N: usize>(&mut self) -> [u8; N] {
        self.used += 1;
        digest(self.label, &[&self.seed, &self.used.to_le_bytes()])
    }
}
