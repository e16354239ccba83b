//! The load driver behind `florin bench`: makes traffic, measures it and says what it cost.
//!
//! The generator shares its cores with the server it measures, so its own CPU time is part of every
//! result: it is kept small, it is measured, and it is reported beside the server's.
//!
//! # Layout
//! - [`socket_load`]: raw-socket HTTP/1.1 load, closed loop or at a fixed rate; one [`load_report`] a run.
//!   Its private parts are `worker` (the event loop of one thread), `connection` and `response`.
//! - [`request_source`]: where requests come from; [`payment_source`] and [`echo_source`] make them.
//! - [`echo_server`]: the yardstick, a bare JSON echo on the HTTP server that Florin itself uses.
//! - [`histogram`]: latencies in microseconds with at most 1 % error.
//! - [`cpu`]: CPU time of this process by thread.
//! - [`progress`]: counters to watch, and a way to stop, while a run is under way.
//! - [`report`]: the final table and its one-line JSON twin.

pub mod cpu;
pub mod echo_server;
pub mod echo_source;
pub mod histogram;
pub mod load_report;
pub mod payment_source;
pub mod progress;
pub mod report;
pub mod request_source;
pub mod socket_load;
pub mod transfer_source;

mod connection;
mod response;
mod worker;
