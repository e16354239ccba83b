//! Owns what lets a journal prove itself: a Merkle tree over its chain hashes, signed heads of that tree in a second place, and proofs that
//! somebody can check who has neither the journal nor this program.
//!
//! The chain alone shows changes inside a journal. It cannot show that its end was cut off, or that all of it was written anew; a signed
//! head that lies elsewhere does.
//!
//! # Layout
//! * [`tree`] the tree, without I/O; `hex` how hashes are written
//! * [`key`] who signs; [`head`] what is signed; [`heads`] where signed heads are kept
//! * [`notary`] signs what a running node appends, and compares at the start
//! * [`verify`] looks at everything
//! * [`proof`] and [`receipt`] what is handed out; [`export`] everything as lines of JSON, and reading that back

pub mod export;
pub mod head;
pub mod heads;
pub(crate) mod hex;
pub mod key;
pub mod notary;
pub mod proof;
pub mod receipt;
#[cfg(test)]
pub(crate) mod tests;
pub mod tree;
pub mod verify;
