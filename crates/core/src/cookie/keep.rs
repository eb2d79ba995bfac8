//! The Cookie header for the upstream.

use super::name::mentions;
use super::pair::{Pair, pairs};
use super::{Credential, Name};

/// What becomes of the Cookie headers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Kept {
    /// They go upstream as they are.
    Unchanged,
    /// This one takes the place of all of them.
    Replaced(Vec<u8>),
    /// None is left.
    Removed,
}

/// Takes out every cookie that some parser could take for a session cookie, `accepted` excepted.
///
/// `lines` and `names` are those that the credential was found with.
pub fn keep(lines: &[&[u8]], names: &[Name], accepted: Option<&Credential<'_>>) -> Kept {
    let owned = |pair: &Pair<'_>| accepted.is_some_and(|credential| credential.owns(pair, names));
    let stays = |pair: &Pair<'_>| owned(pair) || !mentions(pair.bytes, names);
    if pairs(lines).all(|pair| stays(&pair)) {
        return Kept::Unchanged;
    }
    let mut header = Vec::with_capacity(lines.iter().map(|line| line.len() + 2).sum());
    for pair in pairs(lines).filter(|pair| !pair.bytes.is_empty() && stays(pair)) {
        if !header.is_empty() {
            header.extend_from_slice(b"; ");
        }
        header.extend_from_slice(pair.bytes);
    }
    if header.is_empty() { Kept::Removed } else { Kept::Replaced(header) }
}
