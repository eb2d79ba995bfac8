//! The path of a request, if all applications read it alike.

use std::borrow::Cow;

/// The path that a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Path<'a> {
    /// Decoded (RFC 3986 section 2.1), without query. Every application reads it so.
    Plain(Cow<'a, str>),
    /// It could be read in more than one way.
    Ambiguous,
}

impl<'a> Path<'a> {
    /// Reads the `:path` of a request.
    ///
    /// These make it ambiguous, since frameworks and proxies differ in them: a path that does not begin with a slash;
    /// empty and dot segments, and segments that end with a dot or a space (Windows drops both); `\` and `;`; a
    /// fragment; bytes that may not stand in a path; escapes that are broken, of control characters, of `/ \ . ; % ? #`,
    /// or of what nobody needs to escape; what is not UTF-8; characters that some normalisation turns into ASCII.
    #[must_use]
    pub fn read(target: &'a [u8]) -> Self {
        let end = target.iter().position(|byte| *byte == b'?').unwrap_or(target.len());
        let (path, query) = target.split_at(end);
        if query.contains(&b'#') {
            return Self::Ambiguous;
        }
        match decoded(path) {
            Some(path) if segments_are_plain(&path) => Self::Plain(path),
            _ => Self::Ambiguous,
        }
    }
}

fn decoded(path: &[u8]) -> Option<Cow<'_, str>> {
    if path.iter().all(|byte| stands_for_itself(*byte)) {
        return std::str::from_utf8(path).ok().map(Cow::Borrowed);
    }
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'%' => {
                let (digits, after) = rest.split_at_checked(2)?;
                decoded.push(escaped(digits)?);
                rest = after;
            }
            byte if stands_for_itself(*byte) => decoded.push(*byte),
            _ => return None,
        }
    }
    let decoded = String::from_utf8(decoded).ok()?;
    (!decoded.chars().any(turns_into_ascii)).then_some(Cow::Owned(decoded))
}

/// `pchar` of RFC 3986 section 3.3 and the slash, without `%` and `;`.
fn stands_for_itself(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,=:@".contains(&byte)
}

/// The byte of an escape that everybody decodes, and decodes once.
fn escaped(digits: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(digits).ok()?;
    // `from_str_radix` takes a sign, too.
    let byte = digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| u8::from_str_radix(digits, 16).ok())??;
    let structural = b"/\\.;%?#".contains(&byte);
    // RFC 3986 section 2.3: producers should not escape these, and browsers do not.
    let needless = byte.is_ascii_alphanumeric() || b"-_~".contains(&byte);
    (!structural && !needless && !byte.is_ascii_control()).then_some(byte)
}

/// Characters that compatibility normalisation, best-fit mapping or case folding makes ASCII of.
fn turns_into_ascii(character: char) -> bool {
    let folds = matches!(character, '\u{130}' | '\u{131}' | '\u{17f}' | '\u{212a}');
    let separates = matches!(character, '\u{2215}' | '\u{2216}' | '\u{29f5}' | '\u{29f8}' | '\u{29f9}' | '\u{37e}');
    let compatible = matches!(character, '\u{2024}'..='\u{2026}' | '\u{2044}' | '\u{3002}' | '\u{fe50}'..='\u{fe6f}' | '\u{ff00}'..='\u{ffef}');
    // Format characters are dropped by some: what is left is another path.
    let invisible = matches!(character, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}');
    folds || separates || compatible || invisible || character.is_control()
}

fn segments_are_plain(path: &str) -> bool {
    let Some(path) = path.strip_prefix('/') else { return false };
    let mut segments = path.split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        if (segment.is_empty() && !is_last) || segment.ends_with(['.', ' ']) {
            return false;
        }
    }
    true
}
