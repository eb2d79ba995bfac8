//! The command line: inspect, mint and check.
