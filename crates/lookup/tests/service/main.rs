//! The lookup service against real servers.

mod contract;
mod embedded;
mod flights;
mod ids;
mod outages;
mod plans;
mod process;
mod redis;
mod schemas;
mod settings;
mod support;
