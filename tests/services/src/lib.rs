//! Servers that tests and benchmarks need, private ones for each: found on this machine, started in folders of their own on free ports
//! of the loopback interface, and stopped with the values that stand for them.
//!
//! # Variables
//! - `FLORIN_TEST_POSTGRES`: a PostgreSQL server whose user may create databases, as a URL without a database. Tests that do nothing to the
//!   server itself use it and start none.
//! - `FLORIN_TEST_REDIS`: a Redis server in which tests may keep keys of their own, as a URL.

mod database;
mod ground;
mod installation;
mod postgres;
mod proxy;
mod redis;
mod replicated;

pub use database::{GIVEN, Session, TestDatabase, shared};
pub use installation::Installation;
pub use postgres::Postgres;
pub use proxy::Proxy;
pub use redis::{GIVEN_REDIS, Redis, RedisProgram, TestRedis, shared_redis};
pub use replicated::Replicated;
