//! The lookup service: answers whether a subject is known, from Redis and Postgres.
