//! Double entry: accounts, postings, entries that balance per currency and mode, holds, and the books of one shard.

mod account;
mod books;
mod canonical;
mod entry;
#[cfg(test)]
mod tests;

pub use account::{AccountKey, AccountName, AccountType, Side};
pub use books::{AccountState, Books, CurrencyTotal};
pub use canonical::{Consequences, consequences};
pub use entry::{Entry, HoldChange, Line, PostedEntry, Posting, PostingError};
