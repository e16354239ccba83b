//! Arbitrary commits of the general ledger.

use super::{account, amount, balance, currency, entry, in_terms_of, text, time};
use crate::schema::samples;
use florin_domain::commit::Body;
use florin_domain::ids::{ApiKeyId, LedgerAccountId, Seq, ShardId};
use florin_domain::ledger::{
    AccountKey, AccountLimits, AccountType, AlertCondition, AlertField, AlertId, AlertTerms, EffectiveDate,
    GeneralAccount, LedgerCommit, LedgerEvent, Legs, Notes, PostedPair, PostedTransfer, Posting, Side,
    TransferId, TransferStep,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use rust_decimal::Decimal;
use std::sync::Arc;

pub(super) fn opened() -> impl Strategy<Value = LedgerAccountId> {
    let types = select(vec![
        AccountType::Asset,
        AccountType::Liability,
        AccountType::Equity,
        AccountType::Revenue,
        AccountType::Expense,
    ]);
    let parts = (time(), any::<u16>(), types, currency(), any::<(bool, u32)>());
    parts.prop_map(|(at, shard, account_type, currency, (livemode, number))| {
        LedgerAccountId::pack(at, ShardId(shard), (account_type, currency, livemode), number)
    })
}

fn id() -> impl Strategy<Value = TransferId> {
    any::<u128>().prop_map(TransferId)
}

fn pairs() -> impl Strategy<Value = Vec<(Arc<str>, Arc<str>)>> {
    vec((text(), text()), 0..3)
}

fn step() -> impl Strategy<Value = TransferStep> {
    prop_oneof![
        Just(TransferStep::Single),
        option::of(time()).prop_map(|expires_at| TransferStep::Pending { expires_at }),
        id().prop_map(|pending| TransferStep::Post { pending }),
        id().prop_map(|pending| TransferStep::Void { pending }),
        id().prop_map(|reverts| TransferStep::Revert { reverts }),
    ]
}

fn pair() -> impl Strategy<Value = PostedPair> {
    let parts = (
        (account(), account()),
        amount(),
        [balance(), balance()],
        any::<[u64; 2]>(),
    );
    let pair = parts.prop_map(|((debit, credit), amount, balances_after, prevs)| PostedPair {
        debit,
        credit: in_terms_of(debit, credit),
        amount,
        balances_after,
        account_prevs: prevs.map(Seq),
    });
    pair.prop_filter("one account is no pair", |pair| pair.debit != pair.credit)
}

fn legs() -> impl Strategy<Value = Legs> {
    let side = select(vec![Side::Debit, Side::Credit]);
    let posting =
        (account(), side, amount()).prop_map(|(account, side, amount): (AccountKey, _, _)| Posting {
            account,
            side,
            amount,
        });
    prop_oneof![
        4 => pair().prop_map(Legs::Pair),
        1 => entry().prop_map(Legs::Many),
        1 => vec(posting, 0..4).prop_map(Legs::Reserved),
        1 => Just(Legs::Released),
    ]
}

fn notes() -> impl Strategy<Value = Box<Notes>> {
    // Zero at another scale is the same zero.
    let rate = (1..=i64::MAX, 0..=28_u32).prop_map(|(digits, scale)| Decimal::new(digits, scale));
    (option::of(text()), option::of(rate), pairs()).prop_map(|(description, exchange_rate, metadata)| {
        Box::new(Notes {
            description,
            exchange_rate,
            metadata,
        })
    })
}

fn transfer() -> impl Strategy<Value = PostedTransfer> {
    let parts = (id(), step(), legs(), any::<u32>(), option::of(notes()));
    parts.prop_map(|(id, step, legs, day, notes)| PostedTransfer {
        id,
        step,
        legs,
        effective: EffectiveDate(day),
        notes,
    })
}

fn general_account() -> impl Strategy<Value = GeneralAccount> {
    let limit = || option::of(any::<i128>());
    let parts = (opened(), text(), (limit(), limit()), pairs());
    parts.prop_map(|(id, name, (min_minor, max_minor), metadata)| GeneralAccount {
        id,
        name,
        limits: AccountLimits { min_minor, max_minor },
        metadata,
    })
}

fn alert_terms() -> impl Strategy<Value = AlertTerms> {
    let kind = (
        select(AlertField::ALL.to_vec()),
        select(AlertCondition::ALL.to_vec()),
    );
    let parts = (
        any::<u128>(),
        account(),
        kind,
        any::<i128>(),
        option::of(text()),
        pairs(),
    );
    parts.prop_map(
        |(id, account, (field, condition), amount_minor, description, metadata)| AlertTerms {
            id: AlertId(id),
            account,
            field,
            condition,
            amount_minor,
            description,
            metadata,
        },
    )
}

pub(super) fn ledger_commit() -> impl Strategy<Value = Body> {
    let event = prop_oneof![
        1 => select(samples::ledger_events()),
        1 => general_account().prop_map(LedgerEvent::AccountOpened),
        4 => vec(transfer(), 0..5).prop_map(LedgerEvent::Transferred),
        1 => vec(id(), 0..4).prop_map(LedgerEvent::PendingExpired),
        1 => alert_terms().prop_map(LedgerEvent::AlertCreated),
        1 => any::<u128>().prop_map(|id| LedgerEvent::AlertDeleted(AlertId(id))),
        1 => any::<(u32, bool)>().prop_map(|(day, livemode)| LedgerEvent::PeriodClosed {
            through: EffectiveDate(day),
            livemode,
        }),
    ];
    (event, option::of(any::<u128>())).prop_map(|(event, by)| {
        let by = by.map(ApiKeyId::from_bits);
        Body::Ledger(LedgerCommit { event, by })
    })
}
