//! The payments view: the latest state of every payment, by id and as newest-first lists per merchant and mode, and the index of what was
//! announced of them. It follows behind
//! the journal and can be rebuilt from it, so what cannot be trusted is deleted rather than repaired.
//!
//! * [`SqliteViews`] keeps it in one SQLite file, [`PostgresViews`] in the database that has the journal
//! * [`MemoryViews`] for tests and simulation
//! * [`compare`] holds it against the journal

mod announced;
mod check;
mod entry;
mod mask;
mod memory;
mod moved;
mod postgres;
mod reader;
mod refunded;
mod sqlite;
#[cfg(test)]
mod tests;
mod verdict;
mod waiting;
mod writer;

pub use check::{ViewsCompared, compare};
pub use memory::MemoryViews;
pub use postgres::PostgresViews;
pub use sqlite::{SqliteViews, ViewsOptions};
