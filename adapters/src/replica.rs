//! Owns the replica: a second copy of the journal's bytes in files of another kind, in another place, so that a journal that is damaged can be
//! restored as it was.
//!
//! It is written beside a running node and behind it, never before it: no payment waits for the replica, and none fails with it.
//!
//! # Layout
//! * `segment` the files: how records are framed
//! * `place` how far the replica has come, noted beside the journal
//! * [`follower`] writes; [`reader`] reads and verifies

pub mod follower;
mod place;
pub mod reader;
mod segment;
#[cfg(test)]
mod tests;

pub(crate) use place::read as noted_end;
pub(crate) use segment::set_aside;
