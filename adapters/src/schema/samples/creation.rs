//! The ordinary beginning of a payment, wherever a test needs one.

use super::{AT, MERCHANT, amount, method, provider, spec};
use florin_domain::commit::{Body, Commit, PaymentCommit};
use florin_domain::ids::{OperationId, PaymentId, Seq, ShardId};
use florin_domain::ledger::{AccountKey, AccountName, HoldChange};
use florin_domain::money::Currency;
use florin_domain::payment::{Event, OperationKind, Spec};
use florin_domain::risk::{Action, Assessment};
use std::sync::Arc;

/// The first commit of an ordinary payment, at this place.
pub(crate) fn creation(shard: ShardId, seq: u64) -> Commit {
    let id = PaymentId::from_bits(u128::from(seq) << 70 | 0x9e37_79b9_7f4a_7c15);
    let operation = OperationId::Authorize(id);
    let (kind, amount) = (OperationKind::Sale, amount(10_000));
    let spec = Arc::new(Spec {
        id,
        metadata: Vec::new(),
        ..spec()
    });
    let account = AccountKey {
        name: AccountName::MerchantPayable(MERCHANT),
        currency: Currency::USD,
        livemode: spec.livemode,
    };
    let body = PaymentCommit {
        payment: id,
        prev: Seq::ZERO,
        events: vec![
            Event::Created {
                spec,
                method: method("pm_card_visa"),
            },
            Event::RiskAssessed(Assessment {
                score_bps: 1_000,
                action: Action::Allow,
                reasons: Vec::new(),
                listed: None,
            }),
            Event::OperationOpened {
                operation,
                kind,
                amount,
                is_final: false,
                reason: None,
                at: AT,
            },
            Event::AttemptPlanned {
                operation,
                number: 1,
                provider: provider(),
                key: "0f".repeat(32).into(),
                deadline: AT,
            },
        ],
        holds: vec![HoldChange {
            account,
            credit_delta_minor: 10_000,
            debit_delta_minor: 0,
        }],
        entry: None,
    };
    Commit {
        shard,
        seq: Seq(seq),
        at: AT,
        body: Body::Payment(body),
    }
}
