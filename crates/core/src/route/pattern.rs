//! What a rule says of paths.

use std::borrow::Cow;
use std::{fmt, iter};

/// A pattern for decoded paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// This path.
    Exact(Text),
    /// This path and everything below it, by whole segments: `/admin` stands for `/admin/users`, not for `/administer`.
    Prefix(Text),
    /// Segment by segment: `*` stands for any part of one segment, `**` for any number of segments.
    Glob(Vec<String>),
}

/// A path as it is written, and as the most careless router reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    path: String,
    loose: String,
}

/// Why a pattern is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternError {
    /// A path begins with a slash.
    NoSlash,
    /// A path that is read in more than one way is never matched.
    Unmatchable,
    /// `**` stands for whole segments, and may stand twice at most.
    Stars,
}

impl Pattern {
    /// Exactly this path.
    ///
    /// # Errors
    /// [`PatternError`] for what no path can match.
    pub fn exact(path: &str) -> Result<Self, PatternError> {
        matchable(path).map(|()| Self::Exact(Text::new(path)))
    }

    /// This path and everything below it.
    ///
    /// # Errors
    /// [`PatternError`] for what no path can match.
    pub fn prefix(path: &str) -> Result<Self, PatternError> {
        matchable(path).map(|()| Self::Prefix(Text::new(path)))
    }

    /// A path with `*` and `**` in it.
    ///
    /// # Errors
    /// [`PatternError`] for what no path can match.
    pub fn glob(glob: &str) -> Result<Self, PatternError> {
        matchable(&glob.replace('*', "x"))?;
        let segments: Vec<String> = glob.split('/').skip(1).map(str::to_owned).collect();
        let whole = segments.iter().all(|segment| segment == "**" || !segment.contains("**"));
        // Each further one multiplies what a match may cost.
        let few = segments.iter().filter(|segment| *segment == "**").count() <= 2;
        if whole && few { Ok(Self::Glob(segments)) } else { Err(PatternError::Stars) }
    }

    /// Whether the path is what the pattern says, to the letter.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(text) => text.path == path,
            Self::Prefix(text) => is_below(&text.path, path),
            Self::Glob(glob) => glob_matches(glob, segments(path), |one, other| one == other),
        }
    }

    /// Whether an application could take the path for what the pattern says: routers may ignore case, and a slash at the
    /// end. `loose` is what `loose` makes of the path.
    #[must_use]
    pub fn almost_matches(&self, path: &str, loose: &str) -> bool {
        match self {
            Self::Exact(text) => text.loose == loose,
            Self::Prefix(text) => is_below(&text.loose, loose),
            Self::Glob(glob) => {
                let slashed = segments(loose).chain(iter::once(""));
                glob_matches(glob, segments(path), str::eq_ignore_ascii_case)
                    || glob_matches(glob, segments(loose), str::eq_ignore_ascii_case)
                    || glob_matches(glob, slashed, str::eq_ignore_ascii_case)
            }
        }
    }
}

impl Text {
    fn new(path: &str) -> Self {
        Self { path: path.to_owned(), loose: loose(path).into_owned() }
    }
}

/// A path in lower case and without the slash at its end.
#[must_use]
pub(super) fn loose(path: &str) -> Cow<'_, str> {
    let bare = path.strip_suffix('/').filter(|bare| !bare.is_empty()).unwrap_or(path);
    if bare.bytes().any(|byte| byte.is_ascii_uppercase()) { bare.to_ascii_lowercase().into() } else { bare.into() }
}

fn segments(path: &str) -> impl Iterator<Item = &str> + Clone {
    path.split('/').skip(1)
}

fn is_below(prefix: &str, path: &str) -> bool {
    let rest = path.strip_prefix(prefix);
    rest.is_some_and(|rest| prefix.ends_with('/') || rest.is_empty() || rest.starts_with('/'))
}

fn glob_matches<'a>(
    glob: &[String],
    mut path: impl Iterator<Item = &'a str> + Clone,
    same: impl Fn(&str, &str) -> bool + Copy,
) -> bool {
    let Some((first, glob)) = glob.split_first() else { return path.next().is_none() };
    if first != "**" {
        return path.next().is_some_and(|segment| segment_matches(first, segment, same))
            && glob_matches(glob, path, same);
    }
    loop {
        if glob_matches(glob, path.clone(), same) {
            return true;
        }
        if path.next().is_none() {
            return false;
        }
    }
}

/// The parts between the stars, the first at the start, the last at the end, the others in order in between.
fn segment_matches(glob: &str, segment: &str, same: impl Fn(&str, &str) -> bool + Copy) -> bool {
    let Some((first, parts)) = glob.split_once('*') else { return same(glob, segment) };
    let Some(mut rest) = after_prefix(segment, first, same) else { return false };
    let mut parts = parts.split('*').peekable();
    while let Some(part) = parts.next() {
        let found = if parts.peek().is_none() {
            let start = rest.len().checked_sub(part.len());
            return start.and_then(|start| rest.get(start..)).is_some_and(|end| same(end, part));
        } else {
            rest.char_indices()
                .map(|(at, _)| at)
                .chain([rest.len()])
                .find_map(|at| after_prefix(rest.get(at..)?, part, same))
        };
        match found {
            Some(after) => rest = after,
            None => return false,
        }
    }
    true
}

fn after_prefix<'a>(text: &'a str, prefix: &str, same: impl Fn(&str, &str) -> bool) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    same(start, prefix).then_some(rest)
}

/// Patterns are matched against decoded paths that every application reads alike, so they must be such paths.
fn matchable(path: &str) -> Result<(), PatternError> {
    let bare = path.strip_prefix('/').ok_or(PatternError::NoSlash)?;
    let escaped = bare.contains(['%', '?', '#', ';', '\\']) || bare.chars().any(char::is_control);
    let odd = |segment: &str| segment.ends_with(['.', ' ']);
    let empty = bare.contains("//") || bare.starts_with('/');
    if escaped || empty || bare.split('/').any(odd) { Err(PatternError::Unmatchable) } else { Ok(()) }
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSlash => "must begin with a slash",
            Self::Unmatchable => {
                "matches nothing: paths are compared decoded, and those with `%`, `?`, `#`, `;`, `\\`, `//` or dot segments never match"
            }
            Self::Stars => "`**` must be a whole segment, and may stand twice at most",
        })
    }
}

impl std::error::Error for PatternError {}
