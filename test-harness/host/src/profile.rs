//! Which proxy this host behaves like. What differs between proxies is asked here and nowhere else.

/// A proxy to imitate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Profile {
    /// Envoy 1.40 with V8.
    #[default]
    Envoy,
}

/// The callbacks that end a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Farewell {
    Delete,
    Done,
    Log,
}

/// Envoy keeps these request headers in one line each and joins what comes in several.
const JOINED_BY_ENVOY: [&[u8]; 4] = [b"authorization", b"content-type", b"user-agent", b"x-forwarded-for"];

impl Profile {
    /// Whether several request lines of this name reach the filter as one, joined by commas.
    pub(crate) fn joins(self, name: &[u8]) -> bool {
        match self {
            Self::Envoy => JOINED_BY_ENVOY.iter().any(|joined| joined.eq_ignore_ascii_case(name)),
        }
    }

    /// Whether the filter sees the response headers of the reply that it gave itself.
    pub(crate) fn shows_own_replies(self) -> bool {
        match self {
            Self::Envoy => true,
        }
    }

    /// The order in which a request is closed.
    pub(crate) fn farewells(self) -> [Farewell; 3] {
        match self {
            Self::Envoy => [Farewell::Log, Farewell::Done, Farewell::Delete],
        }
    }
}
