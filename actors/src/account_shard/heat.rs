//! How busy the shard is with transfers, and how much of them is about one account: what an operator watches of a hot account.

use florin_domain::ids::ShardId;
use florin_domain::ledger::{AccountKey, Transfer, TransferLegs};
use metrics::{Counter, Gauge, Histogram};
use std::collections::BTreeMap;
use std::time::Duration;

/// Requests after which the hottest account's share is told. One transfer of each is looked at.
const WINDOW: u32 = 512;

/// The figures.
pub(super) struct Heat {
    /// Time spent on requests: its sum per second is the part of a core that transfers take.
    applying_seconds: Histogram,
    recorded: Counter,
    hottest_share: Gauge,
    seen: BTreeMap<AccountKey, u32>,
    requests: u32,
}

impl std::fmt::Debug for Heat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Heat").finish_non_exhaustive()
    }
}

impl Heat {
    /// Those of one shard.
    pub(super) fn of(shard: ShardId) -> Self {
        let shard = shard.0.to_string();
        Self {
            applying_seconds: metrics::histogram!("florin_ledger_applying_seconds", "shard" => shard.clone()),
            recorded: metrics::counter!("florin_ledger_transfers_total", "shard" => shard.clone()),
            hottest_share: metrics::gauge!("florin_ledger_hottest_account_share", "shard" => shard),
            seen: BTreeMap::new(),
            requests: 0,
        }
    }

    /// Counts a request that the shard has applied.
    pub(super) fn count(&mut self, asked: &[Transfer], recorded: usize, took: Duration) {
        self.applying_seconds.record(took.as_secs_f64());
        self.recorded
            .increment(u64::try_from(recorded).unwrap_or(u64::MAX));
        if let Some(share) = self.look(asked) {
            self.hottest_share.set(share);
        }
    }

    /// Looks at one transfer; at the end of a window, in which part of the requests the most frequent account was.
    fn look(&mut self, asked: &[Transfer]) -> Option<f64> {
        let place = usize::try_from(self.requests).unwrap_or(0) % asked.len().max(1);
        let looked_at = asked.get(place).map(|transfer| &transfer.legs);
        let accounts = match looked_at {
            Some(TransferLegs::Pair { debit, credit, .. }) => [Some(*debit), Some(*credit)],
            Some(TransferLegs::Many(postings)) => {
                let mut accounts = postings.iter().map(|posting| posting.account);
                [accounts.next(), accounts.next()]
            }
            Some(TransferLegs::OfPending(_) | TransferLegs::Irreversible(_)) | None => [None, None],
        };
        for account in accounts.into_iter().flatten() {
            let seen = self.seen.entry(account).or_default();
            *seen = seen.saturating_add(1);
        }
        self.requests = self.requests.saturating_add(1);
        if self.requests < WINDOW {
            return None;
        }
        let most = self.seen.values().max().copied().unwrap_or(0);
        self.seen.clear();
        self.requests = 0;
        Some(f64::from(most) / f64::from(WINDOW))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use florin_domain::ledger::{TransferId, TransferStep};
    use florin_domain::money::Amount;

    fn transfer(debit: &str, credit: &str) -> Transfer {
        Transfer {
            id: TransferId(1),
            step: TransferStep::Single,
            legs: TransferLegs::Pair {
                debit: AccountKey::parse(debit).unwrap(),
                credit: AccountKey::parse(credit).unwrap(),
                amount: Amount::new(1).unwrap(),
            },
            linked: false,
            is_payout: false,
            effective: None,
            notes: None,
        }
    }

    #[test]
    fn the_share_of_the_most_frequent_account_is_told_once_a_window() {
        let mut heat = Heat::of(ShardId(0));
        let (hot, cold) = (
            transfer("bank:USD", "suspense:USD"),
            transfer("bank:USD", "rounding:USD"),
        );
        for window in 0..2 {
            let mut told = Vec::new();
            for number in 0..WINDOW {
                let asked = if number % 4 == 0 { &hot } else { &cold };
                told.extend(heat.look(std::slice::from_ref(asked)));
            }
            assert_eq!(told, [1.0], "window {window}: the bank is in each");
        }
        let apart = ["USD", "EUR", "GBP", "JPY"]
            .map(|currency| transfer(&format!("bank:{currency}"), &format!("suspense:{currency}")));
        let told: Vec<f64> = (0..WINDOW).filter_map(|_| heat.look(&apart)).collect();
        assert_eq!(told, [0.25], "one of each request is looked at, each in turn");
        let told: Vec<f64> = (0..WINDOW).filter_map(|_| heat.look(&[])).collect();
        assert_eq!(told, [0.0]);
    }
}
