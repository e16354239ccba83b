//! How many matters notices that are signed with a merchant's own key have raised today: whoever has that key must not be able to bury
//! what operators have to look at. A merchant's payments are all in one shard, so its count is exact; it begins anew with the process.

use florin_domain::ids::MerchantId;
use florin_domain::time::Timestamp;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// The day of a count, in milliseconds.
const DAY_MS: u64 = 86_400_000;

/// What was raised on one day, by merchant. Held for no longer than it takes to count; forgotten with the day.
#[derive(Debug, Default)]
pub struct OwnMatters(Mutex<(u64, HashMap<MerchantId, u32>)>);

impl OwnMatters {
    /// Counts one more of a merchant, unless there were `day_max` today.
    pub(crate) fn take(&self, merchant: MerchantId, day_max: u32, now: Timestamp) -> bool {
        let mut today = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let day = now.unix_ms() / DAY_MS;
        if today.0 != day {
            *today = (day, HashMap::new());
        }
        let count = today.1.entry(merchant).or_default();
        if *count >= day_max {
            return false;
        }
        *count += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_merchant_has_so_many_a_day() {
        let (matters, at) = (OwnMatters::default(), |ms| {
            Timestamp::from_unix_ms(20_000 * DAY_MS + ms)
        });
        let [one, other] = [1, 2].map(MerchantId::from_bits);
        for _ in 0..3 {
            assert!(matters.take(one, 3, at(0)));
        }
        assert!(!matters.take(one, 3, at(DAY_MS - 1)));
        assert!(matters.take(other, 3, at(DAY_MS - 1)));
        assert!(matters.take(one, 3, at(DAY_MS)));
    }
}
