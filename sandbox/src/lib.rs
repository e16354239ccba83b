//! The outside world for development, tests and load: payment providers that speak their real wire format over real
//! sockets, faults that can be switched on, and a durable witness of everything that was really executed.
//!
//! # Layout
//!
//! ```text
//! server    sockets, HTTP/1.1, the routes; parses on the connection's task, then asks the owner; refuses connections for a while
//! owner     the one thread that owns the world; it takes whatever is queued, makes it durable with one fsync, answers
//! world     everything behind the sockets without any socket: providers, faults and the witness log
//! witness   the append-only log: rows of `/charges` and what a provider needs to come back after a restart
//! charges   streams the rows of the log
//! faults    which requests go wrong, how, and how often; deterministic per seed
//! stripe    the simulated Stripe: a pure core (`decide`, then `apply`), its wire format, and the pages of its challenges
//! adyen     the simulated Adyen, in the same shape, with the notifications that it sends
//! ```
//!
//! Each provider has a folder of its own; what is shared knows providers only as the variants of `Provider` and `Entry`.
//!
//! # What is guaranteed
//!
//! - An answer leaves only after what it says has been `fdatasync`ed. Many requests share one sync.
//! - State is the fold of the log: a live request and recovery go through the same `apply`, so after a restart the same
//!   keys replay the same bytes.
//! - Ids never repeat, not even for a new data directory: each log draws a salt when it is created.
//!
//! # What is bounded
//!
//! The newest [`Options::intents_max`] payment intents (and as many refunds) and the newest [`Options::keys_max`]
//! idempotency keys, at most 24 hours old, stay resident: roughly 0.5 KB for a payment, so about 1 GB when the default of
//! 2,000,000 is full. An older intent answers 404, an older key executes anew. Stored answers stay in the log and are read
//! back. Without a data directory the log itself lives in memory (roughly 1 KB for each executed request) and grows without limit: that
//! is for tests.

mod adyen;
mod charges;
mod clock;
mod due;
mod faults;
mod hmac;
mod numbers;
mod owner;
mod server;
mod stripe;
mod witness;
mod world;

pub use server::{Options, Sandbox, SandboxHandle};
