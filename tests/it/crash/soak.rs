//! Owns the random load.
