//! Which rule a request falls under: ordered rules by host, method and path, the first that matches.
//!
//! A gate and an application that read one request in two ways are a way in. So whatever could be read in more than
//! one way (a path with an encoded slash, a host that is not a name, a method that a header overrides) is not matched
//! at all: such a request has to satisfy every rule that it could fall under.

mod cross_site;
mod host;
mod line;
mod memo;
mod path;
mod pattern;
mod rule;

pub use cross_site::{Origins, is_unsafe};
pub use host::{Host, HostPattern};
pub use line::RequestLine;
pub use memo::{Memo, PlainLine};
pub use path::Path;
pub use pattern::{Pattern, PatternError};
pub use rule::{Holds, Match, Rule, Rules, Treatment, Unauthenticated};

#[cfg(test)]
mod confusion;
#[cfg(test)]
mod tests;
