//! A deterministic world around the platform: real domain, actors and supervisors on one thread in virtual time, with clocks,
//! journals, providers, customers, treasurers and operators that misbehave by chance, and checks of all that must hold. The same seed is
//! the same run, in every process and after every build.
//!
//! # Layout
//! * [`simulate`] runs a seed; [`Report`] what came of it, [`Tally`] what was seen; [`Wiring`] wrong ports, for tests of the checks
//! * `dice`, `fault`, `clock`, `world` chance, what goes wrong and how often, time, and what is outside the process
//! * `disk` journals and indexes; `acquirer`, `provider_books` payment providers, and what they have really done; `notices` what they say
//!   by themselves
//! * `receiver` merchants' own servers, and what they are sent
//! * `shop`, `customer`, `treasury`, `treasurer`, `operator`, `watcher` who asks for what, and how
//! * `standing`, `watched`, `votes`, `stops` what is expected on accounts, what alerts should say, what may pass, what is stopped
//! * `life` one process from start to end, `alarms` what it alerts operators of; `journaled`, `history`, `rules`, `secrets` what is checked at every commit;
//!   `verdict`, `witness`, `listing`, `rest` at the end

mod acquirer;
mod alarms;
mod announced;
mod clock;
mod customer;
mod dice;
mod disk;
mod fault;
mod history;
mod journaled;
mod life;
mod listing;
mod notices;
mod operator;
mod provider_books;
mod receiver;
mod rest;
mod restart;
mod rules;
mod run;
mod secrets;
mod shop;
mod standing;
mod stops;
mod tally;
mod treasurer;
mod treasury;
mod verdict;
mod votes;
mod watched;
mod watcher;
mod witness;
mod world;

pub use fault::{Fault, Scenario};
pub use life::Wiring;
pub use run::{Report, Settings, hash_of, quiet_failures, simulate};
pub use tally::Tally;
