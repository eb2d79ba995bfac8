//! Finding the credential among the cookies.

use std::borrow::Cow;
use std::fmt;

use super::name::mentions;
use super::pair::{Pair, pairs};
use super::percent::decoded;
use super::{CredentialError, Limits, Name};
use crate::jwe::Profile;

/// What the Cookie headers hold.
#[derive(Debug)]
pub struct Scan<'a> {
    credential: Option<Credential<'a>>,
    strangers: bool,
}

/// The cookies of one session token. Nothing has been verified.
#[derive(Clone)]
pub struct Credential<'a> {
    name: usize,
    value: Value<'a>,
}

#[derive(Clone)]
enum Value<'a> {
    Plain(&'a [u8]),
    /// In the order of their numbers.
    Chunks(Vec<&'a [u8]>),
}

/// Reads all Cookie headers of a request. The first of `names` that is present is the credential.
///
/// # Errors
/// [`CredentialError`] when there is a session cookie but it cannot be told what it is, or something is too large.
pub fn scan<'a>(lines: &[&'a [u8]], names: &[Name], limits: &Limits) -> Result<Scan<'a>, CredentialError> {
    let size = lines.iter().map(|line| line.len()).fold(0, usize::saturating_add);
    if size > limits.header_bytes {
        return Err(CredentialError::HeaderTooLarge);
    }
    let mentioned: Vec<_> = pairs(lines).filter(|pair| mentions(pair.bytes, names)).collect();
    if mentioned.is_empty() {
        return Ok(Scan { credential: None, strangers: false });
    }
    for (index, name) in names.iter().enumerate() {
        let value = Found::gather(&mentioned, name, limits).value(limits)?;
        if let Some(value) = value {
            return Ok(Scan {
                strangers: mentioned.len() > value.pairs(),
                credential: Some(Credential { name: index, value }),
            });
        }
    }
    Ok(Scan { credential: None, strangers: true })
}

impl<'a> Scan<'a> {
    /// The credential, if there is one.
    #[must_use]
    pub fn credential(&self) -> Option<&Credential<'a>> {
        self.credential.as_ref()
    }

    /// Whether there are session cookies, or what a parser could take for them, besides the credential. If not, and the
    /// credential is accepted, the headers may go upstream as they are.
    #[must_use]
    pub fn has_strangers(&self) -> bool {
        self.strangers
    }
}

impl<'a> Credential<'a> {
    /// Which of the configured names it has.
    #[must_use]
    pub fn name(&self) -> usize {
        self.name
    }

    /// How many chunks it comes in; none when it is one plain cookie.
    #[must_use]
    pub fn chunks(&self) -> usize {
        match &self.value {
            Value::Plain(_) => 0,
            Value::Chunks(chunks) => chunks.len(),
        }
    }

    /// The token, as the cookie parser behind the profile's package would hand it over. Copied only if it must be.
    #[must_use]
    pub fn token(&self, profile: Profile) -> Cow<'a, [u8]> {
        let part = |value: &'a [u8]| decoded(if profile.unquotes_cookies() { unquoted(value) } else { value });
        match &self.value {
            Value::Plain(value) => part(value),
            Value::Chunks(chunks) => {
                let mut token = Vec::with_capacity(self.value.len());
                for chunk in chunks {
                    token.extend_from_slice(&part(chunk));
                }
                Cow::Owned(token)
            }
        }
    }

    /// The values as they came, in order.
    pub fn pieces(&self) -> impl Iterator<Item = &'a [u8]> {
        let (plain, chunks) = match &self.value {
            Value::Plain(value) => (Some(*value), &[][..]),
            Value::Chunks(chunks) => (None, chunks.as_slice()),
        };
        plain.into_iter().chain(chunks.iter().copied())
    }

    /// Whether the pair is part of this credential.
    pub(super) fn owns(&self, pair: &Pair<'_>, names: &[Name]) -> bool {
        let (Some(configured), Some(name)) = (names.get(self.name), pair.name) else { return false };
        match &self.value {
            Value::Plain(value) => name == configured.as_str().as_bytes() && pair.value == *value,
            Value::Chunks(chunks) => {
                let chunk = configured.chunk_index(name).and_then(|index| chunks.get(index));
                chunk.is_some_and(|chunk| pair.value == *chunk)
            }
        }
    }
}

impl Value<'_> {
    fn pairs(&self) -> usize {
        match self {
            Self::Plain(_) => 1,
            Self::Chunks(chunks) => chunks.len(),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Plain(value) => value.len(),
            Self::Chunks(chunks) => chunks.iter().map(|chunk| chunk.len()).sum(),
        }
    }
}

/// What there is of one session cookie.
#[derive(Default)]
struct Found<'a> {
    plain: Option<&'a [u8]>,
    plain_twice: bool,
    chunks: Vec<(usize, &'a [u8])>,
    too_many_chunks: bool,
}

impl<'a> Found<'a> {
    fn gather(mentioned: &[Pair<'a>], name: &Name, limits: &Limits) -> Self {
        let mut found = Self::default();
        for pair in mentioned {
            let Some(pair_name) = pair.name.filter(|pair_name| pair_name.starts_with(name.as_str().as_bytes())) else {
                continue;
            };
            if pair_name.len() == name.as_str().len() {
                found.plain_twice |= found.plain.replace(pair.value).is_some();
            } else if let Some(index) = name.chunk_index(pair_name) {
                found.add_chunk(index, pair.value, limits);
            }
        }
        found
    }

    fn add_chunk(&mut self, index: usize, value: &'a [u8], limits: &Limits) {
        if self.chunks.len() < limits.chunks {
            self.chunks.push((index, value));
        } else {
            self.too_many_chunks = true;
        }
    }

    /// A plain cookie counts before chunks, which then are left over from another session. An empty one counts as
    /// absent, as it does for the packages.
    fn value(self, limits: &Limits) -> Result<Option<Value<'a>>, CredentialError> {
        if self.plain_twice {
            return Err(CredentialError::AmbiguousCookie);
        }
        let value = match self.plain {
            Some(plain) if !plain.is_empty() => Value::Plain(plain),
            _ if self.chunks.is_empty() => return Ok(None),
            _ if self.too_many_chunks => return Err(CredentialError::TooManyChunks),
            _ => Value::Chunks(in_order(self.chunks)?),
        };
        match value.len() {
            0 => Ok(None),
            len if len > limits.token_bytes => Err(CredentialError::TokenTooLarge),
            _ => Ok(Some(value)),
        }
    }
}

/// The chunks by number, from zero, each once and none missing.
fn in_order(mut chunks: Vec<(usize, &[u8])>) -> Result<Vec<&[u8]>, CredentialError> {
    chunks.sort_unstable_by_key(|(index, _)| *index);
    if chunks.windows(2).any(|pair| matches!(pair, [(one, _), (other, _)] if one == other)) {
        return Err(CredentialError::AmbiguousCookie);
    }
    if chunks.iter().enumerate().any(|(expected, (index, _))| *index != expected) {
        return Err(CredentialError::ChunkIncomplete);
    }
    Ok(chunks.into_iter().map(|(_, value)| value).collect())
}

/// Without the double quotes, if there is one at both ends.
fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] => inner,
        _ => value,
    }
}

impl fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("name", &self.name).field("chunks", &self.chunks()).finish_non_exhaustive()
    }
}
