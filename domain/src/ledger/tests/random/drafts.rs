//! What random numbers mean: accounts on any terms, and transfers that are legal more often than not.

use super::*;
use crate::ids::{LedgerAccountId, ShardId};

/// What is drawn for one transfer; what it means depends on what is there.
pub(super) type Draft = [u8; 10];

/// Terms of one account: currency, mode, lower and upper limit.
pub(super) type Terms = (u8, u8, u8, u8);

pub(super) const TYPES: [AccountType; 5] = [
    AccountType::Asset,
    AccountType::Liability,
    AccountType::Equity,
    AccountType::Revenue,
    AccountType::Expense,
];

pub(super) fn opened(number: u32, account_type: AccountType, terms: Terms) -> GeneralAccount {
    let currency = if terms.0 < 190 {
        Currency::USD
    } else {
        Currency::EUR
    };
    let (at, livemode) = (Timestamp::from_unix_ms(START_MS), terms.1 > 200);
    GeneralAccount {
        id: LedgerAccountId::pack(at, ShardId::FIRST, (account_type, currency, livemode), number),
        name: format!("account {number}").into(),
        limits: AccountLimits {
            min_minor: [None, None, Some(0), Some(-150), Some(25)][usize::from(terms.2 % 5)],
            max_minor: [None, None, Some(400), Some(90), Some(-10)][usize::from(terms.3 % 5)],
        },
        metadata: vec![("number".into(), number.to_string().into())],
    }
}

impl World {
    /// Makes a transfer that is legal more often than not.
    pub(super) fn transfer(
        &mut self,
        [kind, known, day, until, linked, minor, from, to, wild, pick]: Draft,
    ) -> Transfer {
        let fresh = (self.drawn.len() as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_0c3e_5d1b_2a87);
        let repeated = self.drawn.get(usize::from(pick)).filter(|_| known > 240);
        let id = repeated.copied().unwrap_or(fresh);
        self.drawn.push(id);
        let effective = match day {
            0..190 => None,
            190..245 => Some(EffectiveDate(self.today() - u32::from(day % 5))),
            _ => Some(EffectiveDate(self.today() + 1)),
        };
        if kind > 230 {
            let transfer = self.revert(TransferId(id), effective, pick, wild);
            return Transfer {
                linked: linked % 8 == 7,
                ..transfer
            };
        }
        let recent = self.promised.len().saturating_sub(1 + usize::from(pick % 6));
        let standing = self.plain.promises.keys().nth(usize::from(pick % 4));
        let pending = standing.filter(|_| wild < 160).or(self.promised.get(recent));
        let pending = TransferId(pending.copied().unwrap_or(u128::from(wild)));
        let expires_at = match until {
            0..100 => None,
            100..110 => Some(self.at()),
            _ => Some(Timestamp::from_unix_ms(
                self.now_ms + u64::from(until - 109) * HOUR_MS / 12,
            )),
        };
        let step = match kind % 16 {
            0..9 => TransferStep::Single,
            9..13 => TransferStep::Pending { expires_at },
            13..15 => TransferStep::Post { pending },
            _ => TransferStep::Void { pending },
        };
        if kind % 16 > 8 && kind % 16 < 13 {
            self.promised.push(id);
        }
        let is_end = kind % 16 > 12;
        let legs = if is_end != (wild == 6) {
            TransferLegs::OfPending((is_end && pick % 3 == 0).then(|| amount(1 + i128::from(minor % 120))))
        } else if matches!(kind % 16, 7 | 8 | 12) {
            TransferLegs::Many(self.postings(minor, from, to, wild, pick))
        } else {
            let debit = self.key(from);
            TransferLegs::Pair {
                debit,
                credit: self.mate(debit, to, wild > 240),
                amount: amount(1 + i128::from(minor % 120)),
            }
        };
        Transfer {
            id: TransferId(id),
            step,
            legs,
            linked: linked % 8 == 7,
            is_payout: wild % 4 == 3,
            effective,
            notes: None,
        }
    }

    /// Undoes something recent, and sometimes what was never recorded.
    fn revert(&self, id: TransferId, effective: Option<EffectiveDate>, pick: u8, wild: u8) -> Transfer {
        let recent = self.drawn.len().saturating_sub(1 + usize::from(pick % 24));
        let recent = self.drawn.get(recent).map_or(u128::from(wild), |drawn| *drawn);
        let done = self
            .posted
            .keys()
            .nth(usize::from(wild) % self.posted.len().max(1));
        let reverts = done.copied().filter(|_| pick < 128).unwrap_or(TransferId(recent));
        let revert = Revert {
            id,
            reverts,
            effective,
            notes: None,
        };
        revert.with(self.posted.get(&reverts).map(PostedTransfer::reverted_legs))
    }

    /// An account, seldom one that need not be there.
    fn key(&self, pick: u8) -> AccountKey {
        let many = if pick < 220 { 11 } else { self.keys.len() };
        self.keys[usize::from(pick) % many]
    }

    /// Any account, or another one of the same currency and mode.
    fn mate(&self, of: AccountKey, pick: u8, any: bool) -> AccountKey {
        let is_mate =
            |key: &AccountKey| key.currency == of.currency && key.livemode == of.livemode && *key != of;
        let keys = if pick < 220 { &self.keys[..11] } else { &self.keys };
        let mates = keys.iter().copied().filter(|key| any || is_mate(key));
        let mates: Vec<AccountKey> = mates.collect();
        mates
            .get(usize::from(pick) % mates.len().max(1))
            .copied()
            .unwrap_or(of)
    }

    fn postings(&self, minor: u8, from: u8, to: u8, wild: u8, pick: u8) -> Vec<Posting> {
        let (first, minor) = (self.key(from), 2 + i128::from(minor % 100));
        let (second, part) = (
            self.mate(first, to, wild > 250),
            1 + i128::from(pick) % (minor - 1),
        );
        let third = self.mate(first, pick, false);
        let fourth = self.key(pick.rotate_left(4));
        let mut postings = vec![
            debit(first, minor),
            credit(second, part),
            credit(third, minor - part),
        ];
        match wild % 16 {
            // Both sides of one account.
            1 => postings = vec![debit(first, minor), credit(first, minor)],
            2 => postings[0].amount = amount(minor + 1),
            3 => postings.truncate(1),
            4 => postings = vec![credit(first, minor), debit(second, minor)],
            5 => postings = vec![debit(first, minor), credit(second, minor)],
            // Two currencies, or two modes.
            8..11 => postings.extend([debit(fourth, 3), credit(self.mate(fourth, to, false), 3)]),
            _ => {}
        }
        let by = usize::from(to) % postings.len();
        postings.rotate_left(by);
        postings
    }
}
