//! Real servers for tests: Redis, Postgres, Envoy, each private to a run.
