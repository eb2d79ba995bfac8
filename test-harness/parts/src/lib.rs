//! Real servers for tests: Redis, Postgres, Envoy, each private to a run.
pub mod certificates;
pub mod envoy;
pub mod envoy_config;
pub mod fault_proxy;
pub mod http;
pub mod load;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod redis;
pub mod redis_cluster;
pub mod redis_sentinels;
pub mod scratch;
pub mod server;
pub mod streaming;
pub mod upstream;
