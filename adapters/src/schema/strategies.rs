//! Arbitrary commits for properties.

mod ledger;

use super::samples;
use florin_domain::commit::{Body, Commit, PaymentCommit};
use florin_domain::idempotency::{Fingerprint, IdempotencyKey, KeyDigest};
use florin_domain::ids::{
    ApiKeyId, CaptureId, IncrementId, LedgerAccountId, ListEntryId, MerchantId, OperationId, PaymentId,
    RefundId, ReversalId, Seq, ShardId, VoidId,
};
use florin_domain::ledger::{AccountKey, AccountName, HoldChange, Line, PostedEntry, Posting, Side};
use florin_domain::merchant::{ApiKey, ApiKeyRole, ControlEvent, Merchant, OperatorAction};
use florin_domain::method::{CardBrand, PaymentMethod, StoredCard};
use florin_domain::money::{Amount, Balance, Currency, FeeSchedule, Rounding};
use florin_domain::payment::{CaptureMethod, DeclinePolicy, Device, Event, FeeReturn, OperationKind, Spec};
use florin_domain::provider::ProviderId;
use florin_domain::risk::{
    Action, Assessment, ListEntry, ListKind, ListName, ListOwner, Network, ProfileChange, Target,
};
use florin_domain::routing::{Wishes, WrittenProgram};
use florin_domain::time::Timestamp;
use florin_domain::versions::Version;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use rust_decimal::Decimal;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

fn text() -> impl Strategy<Value = Arc<str>> {
    ".{0,20}".prop_map(Arc::from)
}

fn time() -> impl Strategy<Value = Timestamp> {
    any::<u64>().prop_map(Timestamp::from_unix_ms)
}

fn amount() -> impl Strategy<Value = Amount> {
    (1..=Amount::MAX_MINOR).prop_map(|minor| Amount::new(minor).unwrap())
}

fn currency() -> impl Strategy<Value = Currency> {
    select(Currency::all().collect::<Vec<_>>())
}

fn provider() -> impl Strategy<Value = ProviderId> {
    "[a-z0-9_]{1,16}".prop_map(|name| ProviderId::parse(&name).unwrap())
}

fn fee() -> impl Strategy<Value = FeeSchedule> {
    let rounding = select(vec![
        Rounding::HalfEven,
        Rounding::HalfUp,
        Rounding::Up,
        Rounding::Down,
    ]);
    (0_u32..=10_000, 0_i64..=100_000_000_000_000_000, rounding).prop_map(|(bps, scaled, rounding)| {
        FeeSchedule::new(bps, Decimal::new(scaled, 8))
            .unwrap()
            .with_rounding(rounding)
    })
}

fn method() -> impl Strategy<Value = PaymentMethod> {
    let brand = select(CardBrand::ALL.to_vec());
    let flags = (any::<bool>(), any::<bool>());
    let stored = ("[0-9]{6,8}", any::<[u8; 16]>()).prop_map(|(first_digits, fingerprint)| {
        let first_digits = first_digits.into();
        Arc::new(StoredCard {
            first_digits,
            fingerprint,
        })
    });
    // The id of a saved card has no space.
    let named = prop_oneof![
        text().prop_map(|id| (id, None)),
        ("pm_[0-9a-z]{1,26}", stored).prop_map(|(id, stored)| (Arc::from(id), Some(stored))),
    ];
    (named, brand, any::<[u8; 4]>(), any::<[u8; 2]>(), flags).prop_map(
        |((id, stored), brand, last4, country, flags)| PaymentMethod {
            id,
            stored,
            brand,
            last4,
            country,
            is_new: flags.0,
            is_highest_risk: flags.1,
        },
    )
}

fn spec() -> impl Strategy<Value = Spec> {
    let ids = (
        any::<u128>(),
        any::<u128>(),
        "[!-~]{1,40}",
        any::<[u8; 16]>(),
        any::<[u8; 16]>(),
    );
    let policies = (
        select(vec![CaptureMethod::Automatic, CaptureMethod::Manual]),
        select(vec![DeclinePolicy::Fail, DeclinePolicy::AwaitMethod]),
        select(vec![FeeReturn::Kept, FeeReturn::Returned]),
        any::<bool>(),
    );
    let texts = (
        option::of(text()),
        option::of(text()),
        option::of(text()),
        vec((text(), text()), 0..4),
    );
    let device = (
        option::of(text()),
        option::of(text()),
        option::of(any::<[u8; 2]>()),
    );
    let money = (amount(), currency(), fee(), wishes());
    (ids, policies, texts, device, money, time()).prop_map(|(ids, policies, texts, device, money, at)| Spec {
        id: PaymentId::from_bits(ids.0),
        merchant: MerchantId::from_bits(ids.1),
        livemode: policies.3,
        key: IdempotencyKey::parse(&ids.2).unwrap(),
        key_digest: KeyDigest(ids.3),
        fingerprint: Fingerprint(ids.4),
        amount: money.0,
        currency: money.1,
        capture_method: policies.0,
        after_decline: policies.1,
        customer: texts.0,
        description: texts.1,
        metadata: texts.3,
        return_url: texts.2,
        device: Device {
            fingerprint: device.0,
            ip: device.1,
            country: device.2,
        },
        fee: money.2,
        fee_return: policies.2,
        routing: money.3,
        off_session: false,
        created_at: at,
    })
}

fn wishes() -> impl Strategy<Value = Wishes> {
    let name = || "[a-z0-9_]{1,16}".prop_map(|name| ProviderId::parse(&name).unwrap());
    let some = (option::of(name()), vec(name(), 0..3), vec(name(), 0..3));
    let some = some.prop_map(|(pin, prefer, exclude)| Wishes { pin, prefer, exclude });
    prop_oneof![2 => Just(Wishes::default()), 1 => some]
}

fn operation() -> impl Strategy<Value = OperationId> {
    (0..6, any::<u128>()).prop_map(|(kind, bits)| match kind {
        0 => OperationId::Authorize(PaymentId::from_bits(bits)),
        1 => OperationId::Capture(CaptureId::from_bits(bits)),
        2 => OperationId::Void(VoidId::from_bits(bits)),
        3 => OperationId::Increment(IncrementId::from_bits(bits)),
        4 => OperationId::Reversal(ReversalId::from_bits(bits)),
        _ => OperationId::Refund(RefundId::from_bits(bits)),
    })
}

/// Events whose parts vary; the rest come from the samples.
fn event() -> impl Strategy<Value = Event> {
    let kinds = vec![
        OperationKind::Sale,
        OperationKind::Authorize,
        OperationKind::Capture,
        OperationKind::Void,
        OperationKind::Refund,
        OperationKind::Increment,
        OperationKind::Reversal,
    ];
    let actions = vec![Action::Allow, Action::Review, Action::Block];
    prop_oneof![
        select(samples::events()),
        (spec(), method(), any::<bool>()).prop_map(|(spec, method, off_session)| Event::Created {
            spec: Arc::new(Spec { off_session, ..spec }),
            method
        }),
        (spec(), option::of(method())).prop_map(|(spec, method)| Event::Drafted {
            spec: Arc::new(spec),
            method
        }),
        (any::<u32>(), select(actions), vec(text(), 0..4)).prop_map(|(score_bps, action, reasons)| {
            Event::RiskAssessed(Assessment {
                score_bps,
                action,
                reasons,
                listed: None,
            })
        }),
        (
            operation(),
            select(kinds),
            amount(),
            any::<bool>(),
            option::of(text()),
            time()
        )
            .prop_map(
                |(operation, kind, amount, is_final, reason, at)| Event::OperationOpened {
                    operation,
                    kind,
                    amount,
                    is_final,
                    reason,
                    at
                }
            ),
        (operation(), any::<u32>(), provider(), text(), time()).prop_map(
            |(operation, number, provider, key, deadline)| Event::AttemptPlanned {
                operation,
                number,
                provider,
                key,
                deadline
            }
        ),
        (operation(), any::<u32>(), text(), text(), option::of(time())).prop_map(
            |(operation, number, reference, transaction, authorization_expires_at)| Event::AttemptSucceeded {
                operation,
                number,
                reference,
                transaction,
                authorization_expires_at
            }
        ),
    ]
}

fn account() -> impl Strategy<Value = AccountKey> {
    let name = prop_oneof![
        any::<u128>().prop_map(|bits| AccountName::MerchantPayable(MerchantId::from_bits(bits))),
        provider().prop_map(AccountName::ProviderClearing),
        select(vec![
            AccountName::FeeRevenue,
            AccountName::ProcessingFees,
            AccountName::Bank,
            AccountName::Suspense,
            AccountName::Rounding,
            AccountName::PaymentRevenue,
            AccountName::RefundsPayable,
            AccountName::Chargebacks,
            AccountName::Equity,
        ]),
    ];
    let of_payments = (name, currency(), any::<bool>()).prop_map(|(name, currency, livemode)| AccountKey {
        name,
        currency,
        livemode,
    });
    let opened = ledger::opened().prop_map(|id| id.key().expect("made of its terms"));
    prop_oneof![2 => of_payments, 1 => opened]
}

/// The account, in the currency and mode of another one.
fn in_terms_of(like: AccountKey, account: AccountKey) -> AccountKey {
    let AccountKey {
        currency, livemode, ..
    } = like;
    if let AccountName::General(id) = account.name {
        let terms = (account.name.account_type(), currency, livemode);
        let id = LedgerAccountId::pack(id.drawn_at(), id.shard(), terms, id.number());
        return id.key().expect("made of its terms");
    }
    AccountKey {
        currency,
        livemode,
        ..account
    }
}

fn balance() -> impl Strategy<Value = Balance> {
    let bound = 10_i128.pow(27);
    (-bound..=bound).prop_map(|minor| Balance::from_minor(minor).unwrap())
}

/// Pairs of lines that balance each other.
fn entry() -> impl Strategy<Value = PostedEntry> {
    let pair = (account(), account(), amount(), balance(), any::<u64>());
    vec(pair, 1..4).prop_map(|pairs| {
        let lines = pairs
            .into_iter()
            .flat_map(|(debit, credit, amount, balance_after, prev)| {
                let line = |account, side| Line {
                    posting: Posting {
                        account,
                        side,
                        amount,
                    },
                    balance_after,
                    account_prev: Seq(prev),
                };
                let credit = in_terms_of(debit, credit);
                [line(debit, Side::Debit), line(credit, Side::Credit)]
            });
        PostedEntry::checked("arbitrary", lines.collect()).unwrap()
    })
}

fn payment_commit() -> impl Strategy<Value = Body> {
    let hold = (account(), any::<i128>(), any::<i128>()).prop_map(|(account, credit, debit)| HoldChange {
        account,
        credit_delta_minor: credit,
        debit_delta_minor: debit,
    });
    let parts = (
        any::<u128>(),
        any::<u64>(),
        vec(event(), 0..5),
        vec(hold, 0..3),
        option::of(entry()),
    );
    parts.prop_map(|(payment, prev, events, holds, entry)| {
        let payment = PaymentId::from_bits(payment);
        Body::Payment(PaymentCommit {
            payment,
            prev: Seq(prev),
            events,
            holds,
            entry,
        })
    })
}

fn operator_event() -> impl Strategy<Value = ControlEvent> {
    let action =
        (any::<u128>(), option::of(".{0,30}")).prop_map(|(operator, reason): (u128, Option<String>)| {
            OperatorAction {
                operator: ApiKeyId::from_bits(operator),
                reason: reason.map(Into::into),
            }
        });
    let from = option::of(any::<u64>().prop_map(Timestamp::from_unix_ms));
    let parts = (0..9_u8, any::<u128>(), "[a-z_]{1,16}", action, from);
    parts.prop_map(|(which, merchant, name, action, from)| {
        let merchant = MerchantId::from_bits(merchant);
        let provider = ProviderId::parse(&name).expect("a pattern of names");
        match which {
            0 => ControlEvent::ActorKillOrdered(name.into(), action),
            1 => ControlEvent::ProviderDisabled(provider, action),
            2 => ControlEvent::ProviderEnabled(provider, action),
            3 => ControlEvent::MerchantFrozen(merchant, action),
            4 => ControlEvent::MerchantUnfrozen(merchant, action),
            5 => ControlEvent::ReadOnlyEntered(action),
            6 => ControlEvent::CredentialsChanged {
                merchant,
                provider,
                version: u32::MAX,
                by: action.operator,
                from,
            },
            7 => ControlEvent::CredentialsRetired {
                merchant,
                provider,
                version: 0,
                by: action.operator,
                from,
            },
            _ => ControlEvent::ReadOnlyLeft(action),
        }
    })
}

fn list_event() -> impl Strategy<Value = ControlEvent> {
    let target = prop_oneof![
        (
            "[a-z]{1,30}",
            select(vec![
                ListKind::CardFingerprint,
                ListKind::Customer,
                ListKind::Device
            ])
        )
            .prop_map(|(text, kind)| Target::parse(kind, &text).expect("a name")),
        "[A-Z]{2}".prop_map(|text| Target::parse(ListKind::Country, &text).expect("two letters")),
        "[0-9]{6,8}".prop_map(|text| Target::parse(ListKind::Bin, &text).expect("digits")),
        (any::<Ipv4Addr>(), 8..=32_u8)
            .prop_map(|(first, prefix)| Target::Ip(Network::of(first.into(), prefix))),
        (any::<Ipv6Addr>(), 16..=128_u8)
            .prop_map(|(first, prefix)| Target::Ip(Network::of(first.into(), prefix))),
    ];
    let owner = option::of(any::<(u128, bool)>()).prop_map(|merchant| {
        merchant.map_or(ListOwner::Platform, |(bits, livemode)| {
            ListOwner::Merchant(MerchantId::from_bits(bits), livemode)
        })
    });
    let lists = select(vec![ListName::Block, ListName::Allow]);
    let parts = (
        any::<(u128, u128, bool)>(),
        owner,
        lists,
        target,
        text(),
        option::of(time()),
    );
    parts.prop_map(|((id, by, is_added), owner, list, target, reason, expires_at)| {
        let (id, by) = (ListEntryId::from_bits(id), ApiKeyId::from_bits(by));
        if !is_added {
            return ControlEvent::ListEntryRemoved { entry: id, by };
        }
        ControlEvent::ListEntryAdded(ListEntry {
            id,
            owner,
            list,
            target,
            reason,
            expires_at,
            by,
        })
    })
}

fn program(share: u32) -> WrittenProgram {
    let text = format!("r: amount < {share} JPY -> split a {share}, b {}", 100 - share);
    WrittenProgram::new(text.into()).unwrap()
}

fn profile_change() -> impl Strategy<Value = ProfileChange> {
    let number = || option::of(any::<u32>());
    let limits = vec((currency(), option::of(any::<i128>())), 0..4);
    (number(), number(), number(), limits).prop_map(
        |(block_above_bps, review_above_bps, hour_count_high, amount_limits)| ProfileChange {
            block_above_bps,
            review_above_bps,
            hour_count_high,
            amount_limits,
        },
    )
}

fn version<T: Clone + std::fmt::Debug>(value: impl Strategy<Value = T>) -> impl Strategy<Value = Version<T>> {
    let by = (any::<u128>(), option::of(text()));
    (any::<u32>(), option::of(time()), by, value).prop_map(
        |(number, effective_at, (operator, reason), value)| Version {
            number,
            effective_at,
            by: OperatorAction {
                operator: ApiKeyId::from_bits(operator),
                reason,
            },
            value,
        },
    )
}

fn control_event() -> impl Strategy<Value = Body> {
    let merchant = (any::<u128>(), ".{0,30}", fee()).prop_map(|(id, name, fee)| {
        ControlEvent::MerchantCreated(Merchant {
            id: MerchantId::from_bits(id),
            name,
            first_fee: fee,
        })
    });
    let key = (
        any::<u128>(),
        option::of(any::<u128>()),
        any::<bool>(),
        any::<[u8; 32]>(),
    )
        .prop_map(|(id, merchant, livemode, secret_sha256)| {
            let role = merchant.map_or(ApiKeyRole::Operator, |bits| {
                ApiKeyRole::Merchant(MerchantId::from_bits(bits))
            });
            ControlEvent::ApiKeyCreated(ApiKey {
                id: ApiKeyId::from_bits(id),
                role,
                livemode,
                secret_sha256,
            })
        });
    let versioned = prop_oneof![
        version((0..=100_u32).prop_map(program)).prop_map(ControlEvent::RoutingSet),
        (any::<u128>(), version(fee()))
            .prop_map(|(merchant, fee)| ControlEvent::FeeSet(MerchantId::from_bits(merchant), fee)),
        version(profile_change()).prop_map(ControlEvent::ProfileSet),
    ];
    prop_oneof![merchant, key, operator_event(), list_event(), versioned].prop_map(Body::Control)
}

pub(super) fn commit() -> impl Strategy<Value = Commit> {
    let body = prop_oneof![4 => payment_commit(), 1 => control_event(), 3 => ledger::ledger_commit()];
    (any::<u16>(), any::<u64>(), time(), body).prop_map(|(shard, seq, at, body)| Commit {
        shard: ShardId(shard),
        seq: Seq(seq),
        at,
        body,
    })
}
