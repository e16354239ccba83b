//! Owns what the checker knows of the fraud check on transfers between shards: how many of one account were decided within an hour.

use florin_domain::commit::Commit;
use florin_domain::ledger::{AccountKey, CrossingStep};
use florin_domain::time::Timestamp;
use std::collections::BTreeMap;

const HOUR_MS: u64 = 3_600_000;

/// What was decided since the present process started: counters begin anew with it, and are read back only after a while.
#[derive(Debug, Default)]
pub(crate) struct Votes {
    /// How many may be; nothing where nobody can say, because counters fail or clocks jump.
    pub(crate) hour_count_max: Option<u32>,
    decided: BTreeMap<AccountKey, Vec<Timestamp>>,
}

impl Votes {
    /// A process starts.
    pub(crate) fn begin(&mut self) {
        self.decided.clear();
    }

    /// Another step.
    pub(crate) fn step(&mut self, commit: &Commit, step: &CrossingStep) -> Option<String> {
        let max = usize::try_from(self.hour_count_max?).ok()?;
        let CrossingStep::Decided { .. } = step else {
            return None;
        };
        let debit = step.transfer()?.debit;
        let decided = self.decided.entry(debit).or_default();
        decided.retain(|at| at.unix_ms().saturating_add(HOUR_MS) > commit.at.unix_ms());
        decided.push(commit.at);
        (decided.len() > max)
            .then(|| format!("{} transfers of {debit} are let pass in an hour", decided.len()))
    }
}
