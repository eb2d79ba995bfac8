//! What several test files need; none needs all of it.

#![allow(dead_code, reason = "each test file is a program of its own")]

pub mod h2;
pub mod remint;
pub mod stage;
pub mod vectors;
