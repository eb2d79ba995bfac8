//! What a rule says of paths.

use std::fmt;

/// A pattern for decoded paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// This path.
    Exact(String),
    /// This path and everything below it, by whole segments: `/admin` stands for `/admin/users`, not for `/administer`.
    Prefix(String),
    /// Segment by segment: `*` stands for any part of one segment, `**` for any number of segments.
    Glob(Vec<String>),
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
        matchable(path).map(|()| Self::Exact(path.to_owned()))
    }

    /// This path and everything below it.
    ///
    /// # Errors
    /// [`PatternError`] for what no path can match.
    pub fn prefix(path: &str) -> Result<Self, PatternError> {
        matchable(path).map(|()| Self::Prefix(path.to_owned()))
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
        self.matches_by(path, |one, other| one == other)
    }

    /// Whether an application could take the path for what the pattern says: routers may ignore case, and a slash at the
    /// end.
    #[must_use]
    pub fn almost_matches(&self, path: &str) -> bool {
        let same = |one: &str, other: &str| one.eq_ignore_ascii_case(other);
        self.matches_by(path, same)
            || path.strip_suffix('/').is_some_and(|bare| !bare.is_empty() && self.matches_by(bare, same))
            || self.matches_by(&format!("{path}/"), same)
    }

    fn matches_by(&self, path: &str, same: impl Fn(&str, &str) -> bool + Copy) -> bool {
        match self {
            Self::Exact(exact) => same(exact, path),
            Self::Prefix(prefix) => match path.get(..prefix.len()) {
                Some(start) if same(prefix, start) => {
                    let rest = path.get(prefix.len()..).unwrap_or_default();
                    prefix.ends_with('/') || rest.is_empty() || rest.starts_with('/')
                }
                _ => false,
            },
            Self::Glob(glob) => {
                let segments: Vec<&str> = path.split('/').skip(1).collect();
                glob_matches(glob, &segments, same)
            }
        }
    }
}

fn glob_matches(glob: &[String], path: &[&str], same: impl Fn(&str, &str) -> bool + Copy) -> bool {
    match (glob.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if first == "**" => {
            (0..=path.len()).any(|skipped| glob_matches(rest, path.get(skipped..).unwrap_or_default(), same))
        }
        (Some((first, glob)), Some((segment, path))) => {
            segment_matches(first, segment, same) && glob_matches(glob, path, same)
        }
        _ => false,
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
