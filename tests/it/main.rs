//! The binary as its users meet it: a real process, real sockets, a real data folder.
//!
//! # Layout
//! - `process`: starts, stops and kills the binary; `store`: where its journal is; `preload`: what is loaded into it; `http`: a small client of its own; `deployment`: a node and what it talks to.
//! - `sale`, `idempotency`, `hostile_input`, `limits`, `reads`, `cards`, `time_travel`, `ops`: what is asked and what is answered.
//! - `operations`, `operations_refunds`, `operations_challenge`,
//!   `operations_replay`, `operations_recovery`: captures, voids, refunds and confirmations.
//! - `acceptance_stages`, `acceptance_axioms`, `acceptance_consistency`, `acceptance_providers`, `acceptance_pools`: features by their ids.
//! - `relay`: a passage between a node and its provider that can be shut.
//! - `ledger_transfers`, `ledger_templates`, `ledger_profiles`, `ledger_accounts`, `ledger_alerts`, `ledger_input`, `ledger_isolation`, `ledger_serializable`, `ledger_recovery`: the
//!   general ledger; `consistency`: whether everything agrees.
//! - `ledger_shards`, `ledger_ranges`, `ledger_crossings`, `ledger_crossings_votes`, `ledger_crossings_killed`: several shards, and transfers between them.
//! - `two_providers`: a node with two of them, one of which can be killed; `failover`, `bench_failover`: what becomes of its charges then.
//! - `credentials`: merchants with keys of their own at providers, exchanged under load and across restarts.
//! - `canaries`: nothing that is secret is kept or said anywhere; whatever else runs is searched when it ends (`process`, `tests/canaries`).
//! - `card_vault`: customers' cards, which pay and are nowhere to be read. `card_killed`: nodes that die while they charge one. `checkout`: the page under a payment link.
//! - `adyen`: a node whose provider only acknowledges, and tells later. `stripe_notices`: one that is told what no answer said. `routing`: which of several gets a charge.
//! - `retries`: what follows a decline, and duplicates. `search`: payments that are found by what they say.
//! - `events`, `webhooks`, `listen`: what merchants are told, what their servers are sent, and what developers make of it on their own machines.
//! - `recovery`, `faults`, `kill_under_load`, `cli`, `audit`, `audit_ledger`, `lost_stores`, `repair`, `repair_unfinished`: crashes, providers that misbehave, actors that operators
//!   kill, and the commands.
//! - `takeover`, `takeover_control`, `takeover_credentials`, `takeover_reads`, `takeover_stores`, `takeover_views`: two nodes on one database, and one with a standby beside it. `migrate_store`: one that moves there, and back; `backup`: one that is copied and made again.
//! - `audit_shared`, `integrity_shared`: signed heads of a journal in a database; and that journal, its standby and an export, one of which is wrong.
//! - `crash_points`: the process ended, and its disk failing, at every point in turn, and under a long random load; checked by readers of its own.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in whichever function it is"
)]

mod deployment;
mod http;
mod preload;
mod process;
mod store;

mod acceptance_axioms;
mod acceptance_consistency;
mod acceptance_pools;
mod acceptance_providers;
mod acceptance_stages;
mod adyen;
mod audit;
mod audit_ledger;
mod audit_shared;
mod backup;
mod bench_failover;
mod benches;
mod cache;
mod canaries;
mod card_killed;
mod card_vault;
mod cards;
mod checkout;
mod cli;
mod consistency;
mod crash_points;
mod credentials;
#[cfg(test)]
mod events;
mod failover;
mod faults;
mod hostile_input;
mod idempotency;
mod integrity_shared;
mod kill_under_load;
mod ledger_accounts;
mod ledger_alerts;
mod ledger_crossings;
mod ledger_crossings_killed;
mod ledger_crossings_votes;
mod ledger_files;
mod ledger_input;
mod ledger_isolation;
mod ledger_profiles;
mod ledger_ranges;
mod ledger_recovery;
mod ledger_reverts;
mod ledger_serializable;
mod ledger_shard_files;
mod ledger_shards;
mod ledger_templates;
mod ledger_transfers;
mod limits;
mod listen;
mod lost_stores;
mod migrate_store;
mod off_session;
mod operations;
mod operations_authorization;
mod operations_challenge;
mod operations_recovery;
mod operations_refunds;
mod operations_replay;
mod operators;
mod ops;
mod readme;
mod reads;
mod recovery;
mod refused_keys;
mod relay;
mod repair;
mod repair_unfinished;
mod resolutions;
mod retries;
mod reviews;
mod risk;
mod routing;
mod sale;
mod search;
mod simulate;
mod store_test;
mod stripe_notices;
mod takeover;
mod takeover_control;
mod takeover_credentials;
mod takeover_reads;
mod takeover_stores;
mod takeover_views;
mod time_travel;
mod two_providers;
mod webhooks;
