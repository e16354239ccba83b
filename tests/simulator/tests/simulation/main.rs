//! The simulation over many seeds, and the proof that each of its checks catches what it is for.
//!
//! # Layout
//! * [`seeds`] what must hold in every run, what must be seen in some, and runs that once went wrong
//! * [`failover`] the same where providers charge silently and refuse connections
//! * [`controls`], [`controls_accounts`], [`controls_payments`], [`controls_providers`] wrong ports, and the checks that object to them

// As in the binary: a run is mostly small allocations.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[cfg(test)]
mod controls;
#[cfg(test)]
mod controls_accounts;
#[cfg(test)]
mod controls_payments;
#[cfg(test)]
mod controls_providers;
#[cfg(test)]
mod failover;
#[cfg(test)]
mod seeds;
