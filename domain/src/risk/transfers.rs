//! The fraud check's vote on a transfer between shards. It is one of four that must all agree: the account debited, the account
//! credited, the journal that records both halves, and this one.

/// Limits on transfers between shards. What is not configured is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransferLimits {
    /// The most that may go from one account within an hour.
    pub hour_count_max: Option<u32>,
}

/// What the fraud check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FraudVote {
    /// It may go on.
    Agreed,
    /// It must not.
    Refused,
    /// Nobody knows: what was to be counted was not, and without a vote there is no agreement.
    Unanswered,
}

impl TransferLimits {
    /// The vote on one transfer. `pays_stopped` says that it credits a merchant that takes no money; `hour_count` how many went from the
    /// debited account within an hour, this one included, if that was counted.
    pub fn vote(&self, pays_stopped: bool, hour_count: Option<u32>) -> FraudVote {
        if pays_stopped {
            return FraudVote::Refused;
        }
        match (self.hour_count_max, hour_count) {
            (Some(_), None) => FraudVote::Unanswered,
            (Some(max), Some(count)) if count > max => FraudVote::Refused,
            (Some(_), Some(_)) | (None, _) => FraudVote::Agreed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use FraudVote::{Agreed, Refused, Unanswered};

    #[test]
    fn a_limit_is_the_most_that_is_allowed_and_no_answer_is_no_agreement() {
        let rows = [
            (None, false, None, Agreed),
            (None, false, Some(9), Agreed),
            (None, true, None, Refused),
            (Some(3), false, Some(1), Agreed),
            (Some(3), false, Some(3), Agreed),
            (Some(3), false, Some(4), Refused),
            (Some(3), false, None, Unanswered),
            (Some(3), true, None, Refused),
            (Some(3), true, Some(1), Refused),
        ];
        for (hour_count_max, pays_stopped, hour_count, expected) in rows {
            let limits = TransferLimits { hour_count_max };
            assert_eq!(
                limits.vote(pays_stopped, hour_count),
                expected,
                "{limits:?} {hour_count:?}"
            );
        }
    }
}
