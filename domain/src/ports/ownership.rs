//! Whether what this process has in memory is still the truth.

use std::fmt;

/// Port of who has the shards.
pub trait Ownership: Send + Sync + fmt::Debug {
    /// Whether no other process can have taken them, as far as this one knows. Asked before and after anything is answered from memory; an append
    /// needs no asking, since the journal refuses it.
    fn is_ours(&self) -> bool;
}
