//! One of every event of the general ledger, and one of every kind of transfer.

use super::{AT, MERCHANT, amount, provider};
use florin_domain::commit::{Body, Commit};
use florin_domain::ids::{ApiKeyId, LedgerAccountId, Seq, ShardId};
use florin_domain::ledger::{
    AbortReason, AccountKey, AccountLimits, AccountName, AccountType, AlertCondition, AlertEdge, AlertField,
    AlertId, AlertTerms, BalanceAlert, CrossOutcome, CrossPhase, CrossTransfer, Crossing, CrossingStep,
    EffectiveDate, GeneralAccount, GeneralLedger, LedgerCommit, LedgerEvent, Legs, Line, Notes,
    PendingTransfer, PostedEntry, PostedPair, PostedTransfer, Posting, Side, TransferId, TransferStep,
};
use florin_domain::money::{Balance, Currency};
use florin_domain::time::Timestamp;
use rust_decimal::Decimal;
use std::iter::successors;

const SINGLE: TransferId = TransferId(0x123e_4567_e89b_12d3_a456_4266_1417_4000);
const PENDING: TransferId = TransferId(0x123e_4567_e89b_12d3_a456_4266_1417_4001);
const ALERT: AlertId = AlertId(0x123e_4567_e89b_42d3_a456_4266_1417_4002);
const LATE: Timestamp = Timestamp::from_unix_ms(u64::MAX);
const TODAY: EffectiveDate = EffectiveDate(20_034);

fn opened(account_type: AccountType, number: u32) -> AccountKey {
    let terms = (account_type, Currency::EUR, true);
    LedgerAccountId::pack(AT, ShardId(0), terms, number)
        .key()
        .unwrap()
}

fn other(name: AccountName) -> AccountKey {
    AccountKey {
        name,
        currency: Currency::EUR,
        livemode: true,
    }
}

fn account() -> GeneralAccount {
    GeneralAccount {
        id: opened(AccountType::Expense, u32::MAX).name.general().unwrap(),
        name: "customer:ålice".into(),
        limits: AccountLimits {
            min_minor: Some(-(10_i128.pow(27))),
            max_minor: Some(0),
        },
        metadata: vec![("order_id".into(), "xyz".into()), ("z".into(), "".into())],
    }
}

fn postings() -> Vec<Posting> {
    let posting = |account, side, minor| Posting {
        account,
        side,
        amount: amount(minor),
    };
    vec![
        posting(opened(AccountType::Asset, 0), Side::Debit, 10_000),
        posting(opened(AccountType::Liability, 1), Side::Credit, 9_700),
        posting(opened(AccountType::Revenue, 2), Side::Credit, 200),
        posting(other(AccountName::MerchantPayable(MERCHANT)), Side::Credit, 70),
        posting(other(AccountName::ProviderClearing(provider())), Side::Credit, 29),
        posting(other(AccountName::Bank), Side::Credit, 1),
    ]
}

fn many() -> PostedEntry {
    let line = |posting: Posting| Line {
        posting,
        balance_after: Balance::from_minor(-posting.amount.minor()).unwrap(),
        account_prev: Seq(6),
    };
    PostedEntry::checked("sample", postings().into_iter().map(line).collect()).unwrap()
}

fn pair(debit: AccountKey, credit: AccountKey) -> Legs {
    Legs::Pair(PostedPair {
        debit,
        credit,
        amount: amount(10_000),
        balances_after: [60_000, -10_i128.pow(27)].map(|minor| Balance::from_minor(minor).unwrap()),
        account_prevs: [Seq(6), Seq(u64::MAX)],
    })
}

fn transfer(id: u128, step: TransferStep, legs: Legs) -> PostedTransfer {
    PostedTransfer {
        id: TransferId(id),
        step,
        legs,
        effective: TODAY,
        notes: None,
    }
}

/// One of every step and of everything that a step can do.
fn transfers() -> Vec<PostedTransfer> {
    let notes = Notes {
        description: Some("rent, ½ of it".into()),
        exchange_rate: Some(Decimal::new(1_084_250, 6)),
        metadata: vec![("order_id".into(), "xyz".into())],
    };
    let (asset, bank) = (opened(AccountType::Asset, 0), other(AccountName::Bank));
    let pending = PENDING;
    vec![
        PostedTransfer {
            effective: EffectiveDate(0),
            notes: Some(Box::new(notes)),
            ..transfer(
                SINGLE.0,
                TransferStep::Single,
                pair(asset, opened(AccountType::Equity, 3)),
            )
        },
        PostedTransfer {
            effective: EffectiveDate(u32::MAX),
            notes: Some(Box::default()),
            ..transfer(0, TransferStep::Single, pair(bank, asset))
        },
        transfer(u128::MAX, TransferStep::Single, Legs::Many(many())),
        transfer(
            PENDING.0,
            TransferStep::Pending { expires_at: None },
            Legs::Reserved(postings()),
        ),
        transfer(
            3,
            TransferStep::Pending {
                expires_at: Some(LATE),
            },
            Legs::Reserved(postings()),
        ),
        transfer(4, TransferStep::Post { pending }, Legs::Many(many())),
        transfer(5, TransferStep::Post { pending }, pair(asset, bank)),
        transfer(6, TransferStep::Void { pending }, Legs::Released),
    ]
}

/// Reverts of two transfers, which came later than the golden files of the others.
pub(crate) fn reverts() -> LedgerEvent {
    let (asset, bank) = (opened(AccountType::Asset, 0), other(AccountName::Bank));
    let revert = |id, reverts, legs| transfer(id, TransferStep::Revert { reverts }, legs);
    LedgerEvent::Transferred(vec![
        revert(7, SINGLE, pair(bank, asset)),
        revert(8, TransferId(u128::MAX), Legs::Many(many())),
    ])
}

/// Transfers between shards that the fraud check aborted, which came later than the golden files of the other reasons.
pub(crate) fn fraud_checks() -> LedgerEvent {
    let aborted = |id| CrossingStep::Aborted {
        transfer: cross_transfer(id),
        why: AbortReason::FraudCheck,
    };
    LedgerEvent::Crossed(vec![
        aborted(9),
        CrossingStep::Settled(TransferId(9)),
        aborted(10),
    ])
}

/// The sample after this one. The match is exhaustive: a new variant has to join the chain.
fn after(event: &LedgerEvent) -> Option<LedgerEvent> {
    match event {
        LedgerEvent::AccountOpened(_) => Some(LedgerEvent::Transferred(transfers())),
        LedgerEvent::Transferred(_) => Some(LedgerEvent::PendingExpired(vec![PENDING, TransferId(3)])),
        LedgerEvent::PendingExpired(_) => Some(LedgerEvent::PeriodClosed {
            through: TODAY,
            livemode: true,
        }),
        LedgerEvent::PeriodClosed { .. } => Some(LedgerEvent::Crossed(crossing_steps())),
        LedgerEvent::Crossed(_) => Some(LedgerEvent::AlertCreated(alert_terms())),
        LedgerEvent::AlertCreated(_) => Some(LedgerEvent::AlertDeleted(ALERT)),
        LedgerEvent::AlertDeleted(_) => None,
    }
}

/// One of every event of the general ledger.
pub(crate) fn ledger_events() -> Vec<LedgerEvent> {
    successors(Some(LedgerEvent::AccountOpened(account())), after).collect()
}

fn cross_transfer(id: u128) -> CrossTransfer {
    CrossTransfer {
        id: TransferId(id),
        debit: opened(AccountType::Liability, 1),
        credit: other(AccountName::MerchantPayable(MERCHANT)),
        amount: amount(10_000),
        effective: TODAY,
        notes: Some(Box::default()),
    }
}

/// One of every step of a transfer between shards, and one of every reason to give it up but the latest.
fn crossing_steps() -> Vec<CrossingStep> {
    let clearing = other(AccountName::ShardClearing);
    let (debit, credit) = (cross_transfer(7).debit, cross_transfer(7).credit);
    let reasons = [
        AbortReason::InsufficientFunds,
        AbortReason::ExceedsLimit,
        AbortReason::UnknownAccount,
        AbortReason::PeriodClosed,
        AbortReason::Overflow,
        AbortReason::IdReused,
        AbortReason::GivenUp,
    ];
    let aborted = |why| CrossingStep::Aborted {
        transfer: cross_transfer(8),
        why,
    };
    let mut steps = vec![
        CrossingStep::Prepared(cross_transfer(7)),
        CrossingStep::Reserved(cross_transfer(u128::MAX)),
        CrossingStep::Decided {
            posted: transfer(7, TransferStep::Single, pair(debit, clearing)),
            credit,
        },
        CrossingStep::Applied {
            posted: transfer(7, TransferStep::Single, pair(clearing, credit)),
            debit,
        },
        CrossingStep::Settled(TransferId(7)),
    ];
    steps.extend(reasons.map(aborted));
    steps
}

/// A commit that says this one thing; time does not say on whose word.
pub(crate) fn commit_of_ledger_event(event: LedgerEvent) -> Commit {
    let is_by_time = matches!(event, LedgerEvent::PendingExpired(_) | LedgerEvent::Crossed(_));
    let by = (!is_by_time).then(|| ApiKeyId::from_bits(2));
    super::commit_of(Body::Ledger(LedgerCommit { event, by }))
}

fn alert_terms() -> AlertTerms {
    AlertTerms {
        id: ALERT,
        account: opened(AccountType::Liability, 1),
        field: AlertField::Available,
        condition: AlertCondition::AtOrBelow,
        amount_minor: -(10_i128.pow(27)),
        description: Some("½ of what is due".into()),
        metadata: vec![("team".into(), "treasury".into()), ("z".into(), "".into())],
    }
}

/// One of every field and of every condition, raised and armed, with much to remember and with nothing.
fn alerts() -> Vec<BalanceAlert> {
    let edge = |is_raised, seq, value_minor| AlertEdge {
        is_raised,
        seq: Seq(seq),
        at: LATE,
        value_minor,
    };
    let earlier = [edge(false, 4, 0), edge(true, 5, 10_i128.pow(27))];
    let kinds = AlertField::ALL.into_iter().zip(AlertCondition::ALL).zip(0_u8..);
    let alert = |((field, condition), number): ((AlertField, AlertCondition), u8)| BalanceAlert {
        terms: AlertTerms {
            id: AlertId(u128::from(number)),
            account: if number % 2 == 0 {
                other(AccountName::Bank)
            } else {
                alert_terms().account
            },
            field,
            condition,
            description: None,
            metadata: Vec::new(),
            ..alert_terms()
        },
        created_seq: Seq(4),
        created_at: AT,
        times_raised: u64::MAX,
        last: edge(number % 2 == 0, 6, -7),
        earlier: earlier.into_iter().take(usize::from(number)).collect(),
    };
    kinds.map(alert).collect()
}

/// A general ledger with something of everything.
pub(crate) fn general_ledger() -> GeneralLedger {
    let pending = |expires_at| PendingTransfer {
        postings: postings(),
        expires_at,
    };
    let plain = GeneralAccount {
        limits: AccountLimits::default(),
        metadata: Vec::new(),
        ..account()
    };
    let crossing = |phase| Crossing {
        transfer: cross_transfer(7),
        phase,
        since: AT,
    };
    GeneralLedger {
        accounts: vec![account(), plain],
        pending: vec![(PENDING, pending(None)), (TransferId(3), pending(Some(LATE)))],
        crossings: vec![
            crossing(CrossPhase::Prepared),
            crossing(CrossPhase::Reserved),
            crossing(CrossPhase::Over(CrossOutcome::Decided)),
            crossing(CrossPhase::Over(CrossOutcome::Aborted(AbortReason::GivenUp))),
        ],
        alerts: alerts(),
        alerts_raised_total: u64::MAX,
        closed_test: None,
        closed_live: Some(TODAY),
    }
}
