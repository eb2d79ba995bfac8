//! The gate itself, without I/O: tokens, sessions, verdicts and what to do with a request.
