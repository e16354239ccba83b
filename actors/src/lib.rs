//! Florin's actors: thin shells that serialize what must be serialized and perform what `domain` decides.
//!
//! # Layout
//! * [`mailbox`] the bounded mailbox that every actor has; [`admission`] the one place where new work is refused
//! * [`context`] what all actors share: ports, addresses, options; [`kind`] actor kinds and their figures
//! * [`idempotency`] one owner per key; [`payment`] one actor per payment; [`risk`] velocity shards; [`provider`] permits
//! * [`account_shard`] the only writer of balances and the sequencer of commits; [`journal_writer`] group commit
//! * [`crossings`] carries transfers between shards
//! * [`projection`] the tail and the views behind the journal; [`resolution`] when to ask again about unknown outcomes
//! * [`offload`] where work runs that would hold up the others
//! * [`scrub`] reads the whole journal in the background and reports damage; [`monitor`] checks that books, payments and views agree
//! * [`news`] which merchants have news; [`webhook_endpoint`] one actor per webhook endpoint of a merchant
//! * [`fees_handle`], [`routing_handle`], [`risk_profile_handle`], [`risk_lists_handle`] what operators put in force; [`next_version`] from when on
//! * [`shards`] the shards of this process
//! * [`payments_handle`], [`ledger_handle`], [`directory_handle`], [`consistency_handle`], [`credentials_handle`], [`webhooks_handle`] the only faces that other crates see; [`guardian`] what guardians are told
//!
//! No handler awaits I/O: it starts a task that reports back. A refusal is a reply; an error from a handler is a crash.

pub mod account_shard;
pub mod admission;
pub mod consistency_handle;
pub mod context;
pub mod credentials_handle;
pub mod crossings;
pub mod deadlines;
pub mod directory_handle;
pub mod fees_handle;
pub mod guardian;
pub mod idempotency;
mod journal_range;
pub mod journal_writer;
pub mod kind;
pub mod ledger_handle;
pub mod load;
pub mod mailbox;
pub mod monitor;
pub mod news;
pub mod next_version;
pub mod offload;
pub mod options;
mod owed;
pub mod own_matters;
pub mod payment;
pub mod payments_handle;
pub mod projection;
pub mod provider;
pub mod reply;
pub mod resolution;
pub mod risk;
pub mod risk_lists_handle;
pub mod risk_profile_handle;
pub mod routing_handle;
pub mod scrub;
pub mod shards;
mod source;
mod ticks;
pub mod webhook_endpoint;
pub mod webhooks_handle;
