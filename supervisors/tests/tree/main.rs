//! The actors and the supervision tree, run whole on memory adapters, with a provider that misbehaves, probes that crash actors
//! at any step, and a journal that has no room, answers late or cannot be read.
//!
//! # Layout
//! * [`world`] what outlives a process, and the platform started on it; [`ports`], [`provider`] the ports that do as they are told
//! * [`audit`] what must hold of journal, books and charges whatever happened
//! * [`crash`], [`random`], [`stale`], [`poison`] failures; [`snapshots`], [`scrub`] damage; [`keys`], [`outcomes`], [`admission`],
//!   [`drain`] the rest

#[cfg(test)]
mod admission;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod drain;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod outcomes;
#[cfg(test)]
mod poison;
#[cfg(test)]
mod ports;
#[cfg(test)]
mod provider;
#[cfg(test)]
mod random;
#[cfg(test)]
mod scrub;
#[cfg(test)]
mod snapshots;
#[cfg(test)]
mod stale;
#[cfg(test)]
mod world;
