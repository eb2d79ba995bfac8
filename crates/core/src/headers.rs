//! A map of headers, as a proxy-wasm host hands it over, read in place.
//!
//! A session cookie is long and a request has many headers, so nothing is copied: one buffer, read once, in order. Its form
//! is that of the proxy-wasm ABI 0.2.1: the number of pairs, then for each the lengths of name and value, then name and
//! value of each with a zero byte behind; numbers are little-endian and have four bytes.

/// The headers of a request.
#[derive(Clone, Debug, Default)]
pub struct HeaderMap(Vec<u8>);

impl HeaderMap {
    /// Takes the buffer of a host that keeps names in lower case. An empty one holds no headers.
    #[must_use]
    pub fn new(encoded: Vec<u8>) -> Self {
        Self(encoded)
    }

    /// The same with names in lower case, for hosts that keep them as they came.
    #[must_use]
    pub fn with_lower_names(self) -> Self {
        self.lines().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect()
    }

    /// The buffer.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The buffer, for something else.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Each line, in order. Nothing where the buffer is not what it should be, and with it
    /// no `:path`, no host and no credential.
    #[must_use]
    pub fn lines(&self) -> HeaderLines<'_> {
        HeaderLines::of(&self.0).unwrap_or_default()
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(N, V)> for HeaderMap {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let (mut count, mut lengths, mut data) = (0_u32, Vec::new(), Vec::new());
        for (name, value) in pairs {
            let (name, value) = (name.as_ref(), value.as_ref());
            count += 1;
            for part in [name, value] {
                lengths.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
                data.extend_from_slice(part);
                data.push(0);
            }
        }
        Self([count.to_le_bytes().as_slice(), &lengths, &data].concat())
    }
}

/// The lines of a [`HeaderMap`].
#[derive(Clone, Debug, Default)]
pub struct HeaderLines<'a> {
    lengths: &'a [[u8; 4]],
    data: &'a [u8],
}

impl<'a> HeaderLines<'a> {
    /// The lines, if all the lengths lead to somewhere within the buffer.
    fn of(encoded: &'a [u8]) -> Option<Self> {
        let (count, rest) = encoded.split_first_chunk::<4>()?;
        let pairs = usize::try_from(u32::from_le_bytes(*count)).ok()?;
        let (lengths, data) = rest.split_at_checked(pairs.checked_mul(8)?)?;
        let (lengths, _) = lengths.as_chunks::<4>();
        let needed = lengths.iter().map(|length| u64::from(u32::from_le_bytes(*length)) + 1).sum::<u64>();
        (needed <= data.len() as u64).then_some(Self { lengths, data })
    }

    fn part(&mut self) -> Option<&'a [u8]> {
        let (length, lengths) = self.lengths.split_first()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (part, data) = self.data.split_at_checked(length)?;
        self.lengths = lengths;
        self.data = data.get(1..).unwrap_or_default();
        Some(part)
    }
}

impl<'a> Iterator for HeaderLines<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.part()?, self.part()?))
    }
}

/// The lines of one header, of which there should be one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Field<'a> {
    /// There is none.
    #[default]
    Absent,
    /// There is one.
    Line(&'a [u8]),
    /// There are several, and nobody can tell which one counts.
    Several,
}

impl<'a> Field<'a> {
    /// Notes one more line.
    pub fn add(&mut self, line: &'a [u8]) {
        *self = if *self == Self::Absent { Self::Line(line) } else { Self::Several };
    }

    /// The line, if there is just one.
    #[must_use]
    pub fn only(self) -> Option<&'a [u8]> {
        match self {
            Self::Line(line) => Some(line),
            Self::Absent | Self::Several => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(map: &HeaderMap) -> Vec<(Vec<u8>, Vec<u8>)> {
        map.lines().map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
    }

    #[test]
    fn lines_come_in_order_with_their_bytes_and_names_in_lower_case_if_asked_for() {
        let map: HeaderMap = [("Cookie", "a=1"), ("x", ""), ("cookie", "b\u{e9}\0c")].into_iter().collect();
        assert_eq!(read(&map)[0].0, b"Cookie");
        let map = map.with_lower_names();
        let expected = [("cookie", "a=1"), ("x", ""), ("cookie", "b\u{e9}\0c")];
        assert_eq!(read(&map), expected.map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())));
    }

    #[test]
    fn the_form_is_that_of_the_abi() {
        let encoded = b"\x01\0\0\0\x01\0\0\0\x02\0\0\0n\0vv\0".to_vec();
        assert_eq!(read(&HeaderMap::new(encoded.clone())), [(b"n".to_vec(), b"vv".to_vec())]);
        assert_eq!([("n", "vv")].into_iter().collect::<HeaderMap>().0, encoded);
    }

    #[test]
    fn a_buffer_that_is_cut_short_or_lies_holds_nothing() {
        let map: HeaderMap = [("cookie", "a=1"), ("x", "y")].into_iter().collect();
        for length in 0..map.0.len() {
            assert_eq!(read(&HeaderMap::new(map.0[..length].to_vec())), [], "{length}");
        }
        assert_eq!(read(&HeaderMap::new(vec![0xff; 64])), []);
        assert_eq!(read(&HeaderMap::default()), []);
    }

    #[test]
    fn a_field_that_comes_twice_has_no_value() {
        let mut field = Field::default();
        assert_eq!(field.only(), None);
        field.add(b"a");
        assert_eq!(field.only(), Some(b"a".as_slice()));
        field.add(b"a");
        assert_eq!(field, Field::Several);
    }
}
