//! Limits on how often, and for how much, a customer pays: the first seed's four counters (RISK-17..20), and one for addresses.
//! A limit is the most that is allowed. What is not configured is not limited.

use super::{Action, CardStanding};
use crate::ids::PaymentId;
use crate::money::{Amount, Currency};
use crate::time::Millis;

/// What was counted of a payment's customer (else its device), this payment included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VelocityCounts {
    /// Payments in the last minute.
    pub minute_count: u32,
    /// Payments in the last hour.
    pub hour_count: u32,
    /// Declines in the last hour.
    pub hour_declines: u32,
    /// What was asked for in the payment's currency within a day, in minor units; nothing if its currency has no limit.
    pub day_amount_minor: Option<i128>,
    /// Payments from the same address in the last hour; nothing if that has no limit or no address is known.
    pub ip_hour_count: Option<u32>,
    /// Other payments of the same merchant, card and amount a moment ago that were not declined.
    pub twins: u32,
    /// The latest of them.
    pub twin: Option<PaymentId>,
    /// Whether its card may be tried.
    pub card: CardStanding,
}

/// The reason that a payment like one of a moment ago has.
pub const DUPLICATE: &str = "duplicate_suspected";

/// When a payment is suspected to be another one once more, under another key (IDEM-11), and what then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DuplicateRule {
    /// How long ago the other one was asked for at most; zero for no suspicion.
    pub window: Millis,
    /// What it meets: usually [`Action::Allow`], so that it is only told.
    pub action: Action,
}

impl Default for DuplicateRule {
    fn default() -> Self {
        Self {
            window: Millis::from_s(600),
            action: Action::Allow,
        }
    }
}

/// The limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VelocityLimits {
    /// Payments of one customer in a minute.
    pub minute_count_max: Option<u32>,
    /// Payments of one customer in an hour.
    pub hour_count_max: Option<u32>,
    /// Declines of one customer in an hour, after which it may try no more.
    pub hour_declines_max: Option<u32>,
    /// Payments from one address in an hour.
    pub ip_hour_count_max: Option<u32>,
    /// What one customer may ask for in a day, in minor units, by currency.
    pub day_amounts: Vec<(Currency, i128)>,
    /// What a payment beyond a limit meets, [`Action::Review`] or [`Action::Block`].
    pub action: Action,
    /// Payments that are like one of a moment ago.
    pub duplicates: DuplicateRule,
}

impl Default for VelocityLimits {
    fn default() -> Self {
        Self {
            minute_count_max: None,
            hour_count_max: None,
            hour_declines_max: None,
            ip_hour_count_max: None,
            day_amounts: Vec::new(),
            action: Action::Block,
            duplicates: DuplicateRule::default(),
        }
    }
}

impl VelocityLimits {
    /// What one customer may ask for in a day in this currency.
    pub fn day_amount(&self, currency: Currency) -> Option<i128> {
        let limit = self.day_amounts.iter().find(|(other, _)| *other == currency);
        limit.map(|(_, limit_minor)| *limit_minor)
    }

    /// Whether what was asked for in a day, and this, is within the limit.
    pub fn has_room(&self, currency: Currency, day_amount_minor: i128, amount: Amount) -> bool {
        self.day_amount(currency)
            .is_none_or(|limit_minor| day_amount_minor.saturating_add(amount.minor()) <= limit_minor)
    }

    /// Stable names of the limits that a payment is beyond.
    pub fn exceeded(
        &self,
        currency: Currency,
        counts: &VelocityCounts,
    ) -> impl Iterator<Item = &'static str> {
        let beyond = |limit: Option<u32>, count: u32| limit.is_some_and(|limit| count > limit);
        let day_amount = counts
            .day_amount_minor
            .zip(self.day_amount(currency))
            .is_some_and(|(asked, limit)| asked > limit);
        let flags = [
            (
                beyond(self.minute_count_max, counts.minute_count),
                "velocity_minute",
            ),
            (beyond(self.hour_count_max, counts.hour_count), "velocity_hour"),
            (day_amount, "velocity_day_amount"),
            // The declines came before: who has used them up is beyond.
            (
                self.hour_declines_max
                    .is_some_and(|limit| counts.hour_declines >= limit),
                "velocity_hour_declines",
            ),
            (
                beyond(self.ip_hour_count_max, counts.ip_hour_count.unwrap_or(0)),
                "velocity_ip_hour",
            ),
        ];
        flags.into_iter().filter(|flag| flag.0).map(|flag| flag.1)
    }
}
