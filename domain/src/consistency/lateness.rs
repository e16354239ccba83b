//! Owns when what is known is too old, and when a check has been on its way for too long.

use super::{Check, CheckState, Round};
use crate::time::{Millis, Timestamp};
use std::collections::BTreeMap;

/// The longest that the reading of one round takes; what is left goes on in the next one.
pub const ROUND_MAX: Millis = Millis(30_000);

/// Rounds that may be missed before the last one says nothing any more.
pub const MISSED_ROUNDS_MAX: u64 = 3;

/// Rounds in a row that a check may leave unfinished before people are called.
pub const UNFINISHED_ROUNDS_MAX: u32 = 10;

/// How long after a round another one must have ended, if one begins every so often: so many are missed then, and the last one had its time.
/// Nothing where none come by themselves.
pub fn overdue_after(every: Millis) -> Option<Millis> {
    let missed = every.0.saturating_mul(MISSED_ROUNDS_MAX);
    (every.0 > 0).then(|| Millis(missed.saturating_add(ROUND_MAX.0)))
}

impl Round {
    /// When it ended.
    pub fn finished_at(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.began_at.unix_ms().saturating_add(self.took.0))
    }

    /// Whether it is so old that nobody knows what it would find now, where one begins every so often.
    pub fn is_stale(&self, now: Timestamp, every: Millis) -> bool {
        let age_ms = now.unix_ms().saturating_sub(self.finished_at().unix_ms());
        overdue_after(every).is_some_and(|overdue| age_ms > overdue.0)
    }
}

/// For how many rounds in a row each check has not come to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unfinished(BTreeMap<Check, u32>);

impl Unfinished {
    /// Follows a round, and answers the checks that were left unfinished too often, with how often.
    pub fn follow(&mut self, round: &Round) -> Vec<(Check, u32)> {
        for report in &round.checks {
            let rounds = self.0.entry(report.check).or_default();
            *rounds = match report.state {
                CheckState::Done | CheckState::Absent => 0,
                CheckState::Behind { .. } | CheckState::Failed(_) => rounds.saturating_add(1),
            };
        }
        let late = self
            .0
            .iter()
            .filter(|(_, rounds)| **rounds >= UNFINISHED_ROUNDS_MAX);
        late.map(|(check, rounds)| (*check, *rounds)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consistency::{CheckReport, Findings};
    use crate::ids::{Seq, ShardId};

    fn round(states: [(Check, CheckState); 2]) -> Round {
        let report = |(check, state)| CheckReport {
            check,
            state,
            compared: 0,
            findings: Findings::default(),
        };
        Round {
            began_at: Timestamp::from_unix_ms(1_000_000),
            took: Millis(500),
            checks: states.map(report).into(),
            ..Round::failed(ShardId(0), 1, Timestamp::from_unix_ms(0), "")
        }
    }

    #[test]
    fn a_round_is_stale_when_three_more_should_have_ended() {
        let old = round([
            (Check::Ledger, CheckState::Done),
            (Check::Views, CheckState::Done),
        ]);
        let cases = [
            (0, 60_000, false),
            (1_000_500, 60_000, false),
            (1_000_500 + 210_000, 60_000, false),
            (1_000_501 + 210_000, 60_000, true),
            (1_000_500 + 33_000, 1_000, false),
            (1_000_501 + 33_000, 1_000, true),
            (u64::MAX, 0, false),
            (u64::MAX, u64::MAX, false),
        ];
        for (now_ms, every_ms, expected) in cases {
            let is_stale = old.is_stale(Timestamp::from_unix_ms(now_ms), Millis(every_ms));
            assert_eq!(is_stale, expected, "{now_ms} {every_ms}");
        }
    }

    #[test]
    fn a_check_that_is_not_done_ten_times_in_a_row_is_named_until_it_is() {
        let behind = CheckState::Behind {
            read: Seq(1),
            head: Seq(9),
        };
        let failed = CheckState::Failed("busy".to_owned());
        let mut unfinished = Unfinished::default();
        let mut late = |balances: &CheckState, settlement: &CheckState| {
            unfinished.follow(&round([
                (Check::Balances, balances.clone()),
                (Check::Settlement, settlement.clone()),
            ]))
        };
        for _ in 0..9 {
            assert_eq!(late(&behind, &CheckState::Absent), []);
        }
        assert_eq!(late(&failed, &CheckState::Absent), [(Check::Balances, 10)]);
        assert_eq!(late(&behind, &CheckState::Absent), [(Check::Balances, 11)]);
        assert_eq!(late(&CheckState::Done, &CheckState::Absent), []);
        for _ in 0..9 {
            assert_eq!(late(&behind, &CheckState::Absent), [], "it counts anew");
        }
    }
}
