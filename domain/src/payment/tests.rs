//! Tables in the language of [`script`] for what each command does in each status, and properties over random lives.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "an overflow here fails the test, as it should"
)]

mod announcements;
mod attempts;
mod authorizations;
mod closings;
mod declines;
mod drafts;
mod exhaustion;
mod failover;
mod invariants;
mod late;
mod liars;
mod matrix;
mod matters;
mod operations;
mod properties;
mod random;
mod requests;
mod resolutions;
mod reversals;
mod reviews;
mod script;
mod truthful;
mod unsent;
