//! The actors and the supervision tree, run whole on memory adapters, with a provider that misbehaves, probes that crash actors
//! at any step, and a journal that has no room, answers late or cannot be read.
//!
//! # Layout
//! * [`world`] what outlives a process, and the platform started on it; [`ports`], [`provider`], [`script`] the ports that do as they are told, [`mischief`] how
//! * [`audit`] what must hold of journal, books and charges whatever happened
//! * [`past`] payments as they were; [`operations`] what is asked of payments that exist, [`operations_crash`], [`operations_schedules`]
//! * [`notices`] what providers say by themselves, [`objects`] of their objects, [`late_words`] of those that are closed by then, [`under_way`] while a call is under way, [`own_keys`] under whose key, [`reversals`] what they charged after all, [`doubts`] what is left to people of that
//! * [`transfers`] money between accounts that many move at once, [`transfers_calls`] who moves it, [`transfers_history`] what they saw,
//!   [`transfers_crash`] what a crash leaves of it; [`crossings`] money between
//!   shards, [`crossings_reverts`] reverts there, [`crossings_fraud`] the fraud check, [`crossings_land`] which they are, [`crossings_stuck`] one whose disk hangs,
//!   [`crossings_looks`] looks at what is between them
//! * [`recounts`] what velocity shards know after they failed
//! * [`webhooks`] what merchants' servers are sent; [`moved`] what merchants read of what moved their money
//! * [`crash`], [`random`], [`stale`], [`incarnations`], [`successor`], [`leaving`], [`lost`], [`poison`], [`traps`], [`kill`] failures; [`snapshots`], [`scrub`] damage; [`monitor`], [`monitor_load`] what does not agree; [`short_pages`] large commits; [`keys`], [`keys_under_way`], [`outcomes`], [`stops`], [`admission`],
//!   [`alerts`], [`drain`] the rest; [`alarms`] what operators are told; [`lanes`] how many questions it gets

#[cfg(test)]
mod admission;
#[cfg(test)]
mod alarms;
#[cfg(test)]
mod alerts;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod closings;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod crossings;
#[cfg(test)]
mod crossings_fraud;
#[cfg(test)]
mod crossings_land;
#[cfg(test)]
mod crossings_looks;
#[cfg(test)]
mod crossings_reverts;
#[cfg(test)]
mod crossings_stuck;
#[cfg(test)]
mod doubts;
#[cfg(test)]
mod drain;
#[cfg(test)]
mod failover;
#[cfg(test)]
mod incarnations;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod keys_under_way;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod lanes;
#[cfg(test)]
mod late_words;
#[cfg(test)]
mod leaving;
#[cfg(test)]
mod lost;
#[cfg(test)]
mod mischief;
#[cfg(test)]
mod monitor;
#[cfg(test)]
mod monitor_load;
#[cfg(test)]
mod moved;
#[cfg(test)]
mod notices;
#[cfg(test)]
mod objects;
#[cfg(test)]
mod operations;
#[cfg(test)]
mod operations_crash;
#[cfg(test)]
mod operations_schedules;
#[cfg(test)]
mod outcomes;
#[cfg(test)]
mod own_keys;
#[cfg(test)]
mod past;
#[cfg(test)]
mod poison;
#[cfg(test)]
mod ports;
#[cfg(test)]
mod prices;
#[cfg(test)]
mod probe;
#[cfg(test)]
mod provider;
#[cfg(test)]
mod random;
#[cfg(test)]
mod recounts;
#[cfg(test)]
mod refused_keys;
mod retries;
#[cfg(test)]
mod reversals;
#[cfg(test)]
mod script;
#[cfg(test)]
mod scrub;
#[cfg(test)]
mod short_pages;
#[cfg(test)]
mod snapshots;
#[cfg(test)]
mod stale;
#[cfg(test)]
mod starts;
#[cfg(test)]
mod stops;
#[cfg(test)]
mod successor;
#[cfg(test)]
mod transfers;
#[cfg(test)]
mod transfers_calls;
#[cfg(test)]
mod transfers_crash;
#[cfg(test)]
mod transfers_history;
#[cfg(test)]
mod traps;
#[cfg(test)]
mod under_way;
#[cfg(test)]
mod webhooks;
#[cfg(test)]
mod world;
