//! How tests open accounts and ask for transfers.

use super::*;
use crate::ids::{LedgerAccountId, Seq, ShardId};
use crate::time::Timestamp;

/// Noon of the day 20,000.
pub(super) const NOON: Timestamp = Timestamp::from_unix_ms((20_000 * 24 + 12) * 3_600_000);
pub(super) const TODAY: EffectiveDate = EffectiveDate(20_000);

pub(super) fn key(number: u32, account_type: AccountType, currency: Currency, livemode: bool) -> AccountKey {
    let terms = (account_type, currency, livemode);
    LedgerAccountId::pack(NOON, ShardId::FIRST, terms, number)
        .key()
        .unwrap()
}

pub(super) fn open(books: &mut Books, key: AccountKey, min_minor: Option<i128>, max_minor: Option<i128>) {
    let id = key.name.general().unwrap();
    let account = GeneralAccount {
        id,
        name: format!("account {}", id.number()).into(),
        limits: AccountLimits { min_minor, max_minor },
        metadata: Vec::new(),
    };
    assert!(books.open_account(account));
}

pub(super) fn pair(debit: AccountKey, credit: AccountKey, minor: i128) -> TransferLegs {
    TransferLegs::Pair {
        debit,
        credit,
        amount: amount(minor),
    }
}

pub(super) fn transfer(id: u128, step: TransferStep, legs: TransferLegs) -> Transfer {
    Transfer {
        id: TransferId(id),
        step,
        legs,
        linked: false,
        is_payout: false,
        effective: None,
        notes: None,
    }
}

pub(super) fn single(id: u128, debit: AccountKey, credit: AccountKey, minor: i128) -> Transfer {
    transfer(id, TransferStep::Single, pair(debit, credit, minor))
}

pub(super) const PENDING: TransferStep = TransferStep::Pending { expires_at: None };

pub(super) fn post_of(id: u128, pending: u128, minor: Option<i128>) -> Transfer {
    let pending = TransferId(pending);
    transfer(
        id,
        TransferStep::Post { pending },
        TransferLegs::OfPending(minor.map(amount)),
    )
}

pub(super) fn void_of(id: u128, pending: u128) -> Transfer {
    let pending = TransferId(pending);
    transfer(id, TransferStep::Void { pending }, TransferLegs::OfPending(None))
}

pub(super) fn revert_of(id: u128, reverts: u128, legs: Option<TransferLegs>) -> Transfer {
    let revert = Revert {
        id: TransferId(id),
        reverts: TransferId(reverts),
        effective: None,
        notes: None,
    };
    revert.with(legs)
}

pub(super) fn linked(transfer: Transfer) -> Transfer {
    Transfer {
        linked: true,
        ..transfer
    }
}

pub(super) fn on(day: u32, transfer: Transfer) -> Transfer {
    Transfer {
        effective: Some(EffectiveDate(day)),
        ..transfer
    }
}

/// What a request comes to, of which the ids from 900 on were used before.
pub(super) fn codes(books: &mut Books, linkage: Linkage, asked: &[Transfer]) -> Vec<&'static str> {
    let done = books.transfer(
        asked,
        linkage,
        (NOON, Seq(9)),
        |once| matches!(once, Once::Transfer(id) if id.0 >= 900),
    );
    let code = |verdict: &Verdict| match verdict {
        Verdict::Done => "done",
        Verdict::Exists => "exists",
        Verdict::Refused(refusal) => refusal.code(),
    };
    done.verdicts.iter().map(code).collect()
}
