//! A header map as a proxy holds it: names in lower case, values of any bytes, several lines of one name possible.

use std::fmt;

/// Headers in their order, pseudo headers included.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers {
    lines: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Headers {
    /// No headers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The first value of a name.
    #[must_use]
    pub fn first(&self, name: impl AsRef<[u8]>) -> Option<&[u8]> {
        self.values(name.as_ref()).next()
    }

    /// Every value of a name.
    #[must_use]
    pub fn all(&self, name: impl AsRef<[u8]>) -> Vec<&[u8]> {
        self.values(name.as_ref()).collect()
    }

    /// The first value of a name as text; what is not UTF-8 is replaced.
    #[must_use]
    pub fn text(&self, name: impl AsRef<[u8]>) -> Option<String> {
        self.first(name).map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// Whether there is a line of this name.
    #[must_use]
    pub fn contains(&self, name: impl AsRef<[u8]>) -> bool {
        self.first(name).is_some()
    }

    /// The lines in their order.
    pub fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.lines.iter().map(|(name, value)| (name.as_slice(), value.as_slice()))
    }

    /// How many lines there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there are no lines.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Adds a line and keeps those that are there.
    pub fn add(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        self.lines.push((name.as_ref().to_ascii_lowercase(), value.as_ref().to_vec()));
    }

    /// Appends to the line of this name after a comma, or adds it: how a proxy holds names that it knows to be lists.
    pub(crate) fn join(&mut self, name: &[u8], value: &[u8]) {
        match self.lines.iter_mut().find(|(held, _)| held.eq_ignore_ascii_case(name)) {
            Some((_, held)) => {
                held.push(b',');
                held.extend_from_slice(value);
            }
            None => self.add(name, value),
        }
    }

    /// Sets the one line of a name, in the place of its first, and drops its others.
    pub fn replace(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        let (name, value) = (name.as_ref().to_ascii_lowercase(), value.as_ref());
        let Some(first) = self.lines.iter().position(|(held, _)| *held == name) else {
            return self.add(name, value);
        };
        let mut index = 0;
        self.lines.retain_mut(|(held, held_value)| {
            let here = index;
            index += 1;
            if here == first {
                *held_value = value.to_vec();
            }
            here == first || *held != name
        });
    }

    /// Replaces the value of the first line of a name, or adds one.
    pub(crate) fn replace_first(&mut self, name: &[u8], value: &[u8]) {
        match self.lines.iter_mut().find(|(held, _)| held.eq_ignore_ascii_case(name)) {
            Some((_, held)) => *held = value.to_vec(),
            None => self.add(name, value),
        }
    }

    /// Removes every line of a name.
    pub fn remove(&mut self, name: impl AsRef<[u8]>) {
        self.lines.retain(|(held, _)| !held.eq_ignore_ascii_case(name.as_ref()));
    }

    fn values(&self, name: &[u8]) -> impl Iterator<Item = &[u8]> {
        self.lines.iter().filter(move |(held, _)| held.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_slice())
    }

    /// The form in which maps cross the sandbox: a count, the sizes, then names and values, each closed by a zero.
    pub(crate) fn encode(&self) -> Vec<u8> {
        self.encode_first(usize::MAX, <[u8]>::to_vec)
    }

    /// The same of the first `count` lines, with names spelt in another way.
    pub(crate) fn encode_first(&self, count: usize, spelling: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
        let size = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
        let lines = self.lines.get(..count).unwrap_or(&self.lines);
        let mut out = u32::try_from(lines.len()).unwrap_or(u32::MAX).to_le_bytes().to_vec();
        for (name, value) in lines {
            out.extend(size(name));
            out.extend(size(value));
        }
        for (name, value) in lines {
            for part in [&spelling(name), value] {
                out.extend_from_slice(part);
                out.push(0);
            }
        }
        out
    }

    /// Reads that form; what is cut short reads as no headers.
    pub(crate) fn decode(bytes: &[u8]) -> Self {
        Self::try_decode(bytes).unwrap_or_default()
    }

    fn try_decode(bytes: &[u8]) -> Option<Self> {
        let (count, rest) = number(bytes)?;
        let mut texts = rest.get(count.checked_mul(8)?..)?;
        let mut sizes = rest;
        let mut headers = Self::new();
        for _ in 0..count {
            let (name_size, after_name) = number(sizes)?;
            let (value_size, after_value) = number(after_name)?;
            let name = texts.get(..name_size)?;
            texts = texts.get(name_size + 1..)?;
            let value = texts.get(..value_size)?;
            texts = texts.get(value_size + 1..)?;
            headers.add(name, value);
            sizes = after_value;
        }
        Some(headers)
    }
}

fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((usize::try_from(u32::from_le_bytes(*number)).ok()?, rest))
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(lines: I) -> Self {
        let mut headers = Self::new();
        for (name, value) in lines {
            headers.add(name, value);
        }
        headers
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> From<Vec<(N, V)>> for Headers {
    fn from(lines: Vec<(N, V)>) -> Self {
        lines.into_iter().collect()
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>, const COUNT: usize> From<[(N, V); COUNT]> for Headers {
    fn from(lines: [(N, V); COUNT]) -> Self {
        lines.into_iter().collect()
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
        f.debug_list().entries(self.lines().map(|(name, value)| format!("{}: {}", text(name), text(value)))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn several() -> Headers {
        Headers::from([("a", "1"), ("Cookie", "x"), ("b", "2"), ("cookie", "y")])
    }

    #[test]
    fn names_are_compared_and_kept_in_lower_case() {
        assert_eq!(several().all("COOKIE"), [b"x", b"y"]);
        assert_eq!(several().lines().nth(1).unwrap().0, b"cookie");
    }

    #[test]
    fn replace_leaves_one_line_in_the_place_of_the_first() {
        let mut headers = several();
        headers.replace("cookie", b"\xff");
        assert_eq!(headers, Headers::from([("a", &b"1"[..]), ("cookie", b"\xff"), ("b", b"2")]));
    }

    #[test]
    fn the_encoded_form_is_read_back_byte_for_byte() {
        let mut headers = several();
        headers.add("x", [0, 255, 10]);
        headers.add("empty", "");
        assert_eq!(Headers::decode(&headers.encode()), headers);
    }

    #[test]
    fn an_encoded_form_that_is_cut_short_reads_as_nothing() {
        let encoded = several().encode();
        for length in 0..encoded.len() {
            assert!(Headers::decode(&encoded[..length]).is_empty(), "{length}");
        }
    }
}
