//! Captures, voids, refunds and confirmations: what is asked of payments that exist, and what must be true of every answer.

use crate::audit::{is_final, shown};
use crate::provider::{Script, provider_id};
use crate::world::{Answered, World, merchant, request};
use florin_actors::payments_handle::{Change, ChangeRequest, NewPayment, PaymentsHandle, RequestError};
use florin_domain::idempotency::{Fingerprint, IdempotencyKey, KeyDigest};
use florin_domain::ids::{OperationId, PaymentId};
use florin_domain::ledger::AccountName;
use florin_domain::method::PaymentMethod;
use florin_domain::money::Amount;
use florin_domain::payment::{Answer, AttemptState, CaptureMethod, Operation, OperationKind, Payment};
use florin_supervisors::platform::Platform;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::task::JoinHandle;

/// Something asked of a payment under a key of its own.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) key: usize,
    pub(crate) payment: PaymentId,
    pub(crate) change: Change,
}

pub(crate) fn operation_key(key: usize) -> KeyDigest {
    KeyDigest(((1 << 64) + key as u128).to_be_bytes())
}

/// FNV-1a: other parameters, another fingerprint.
fn fingerprint(text: &str) -> Fingerprint {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    Fingerprint(u128::from(hash).to_be_bytes())
}

pub(crate) fn amount(minor: i128) -> Amount {
    Amount::new(minor).unwrap()
}

pub(crate) fn capture(minor: i128, is_final: bool) -> Change {
    Change::Capture {
        amount: Some(amount(minor)),
        is_final,
    }
}

pub(crate) fn increment(total_minor: i128) -> Change {
    Change::Increment {
        total: amount(total_minor),
    }
}

pub(crate) fn refund(minor: i128) -> Change {
    Change::Refund {
        amount: Some(amount(minor)),
        reason: None,
    }
}

pub(crate) fn confirm() -> Change {
    Change::Confirm(Some(PaymentMethod::test("pm_card_mastercard").unwrap()))
}

/// A payment of a customer of its own, so that no rule about customers ties it to others.
pub(crate) fn payment_of(n: usize, minor: i128, capture_method: CaptureMethod) -> NewPayment {
    NewPayment {
        amount: amount(minor),
        capture_method,
        customer: None,
        ..request(n)
    }
}

pub(crate) async fn ask(payments: &PaymentsHandle, ask: &Ask) -> Answered {
    let what = format!("{} {:?}", ask.payment, ask.change);
    payments
        .change(ChangeRequest {
            payment: ask.payment,
            owner: Some((merchant(), false)),
            operator: None,
            key: IdempotencyKey::parse(&format!("operation-{}", ask.key)).unwrap(),
            key_digest: operation_key(ask.key),
            fingerprint: fingerprint(&what),
            change: ask.change.clone(),
        })
        .await
}

/// Asks everything at once.
pub(crate) fn ask_all(payments: &PaymentsHandle, asks: &[Ask]) -> Vec<(Ask, JoinHandle<Answered>)> {
    let one = |asked: &Ask| {
        let (payments, asked) = (payments.clone(), asked.clone());
        let task = tokio::spawn({
            let asked = asked.clone();
            async move { ask(&payments, &asked).await }
        });
        (asked, task)
    };
    asks.iter().map(one).collect()
}

pub(crate) type Reply = (Ask, Answered);

pub(crate) async fn replies(asked: Vec<(Ask, JoinHandle<Answered>)>) -> Vec<Reply> {
    let mut replies = Vec::with_capacity(asked.len());
    for (ask, task) in asked {
        replies.push((ask, task.await.expect("a request does not panic")));
    }
    replies
}

/// Whether the payment itself said no; the same key may be sent again, and may be taken then.
pub(crate) fn is_refused(answer: &Answered) -> bool {
    use florin_actors::payment::NotStored::Refused;
    matches!(answer, Err(RequestError::NotStored(Refused(_))))
}

/// The amounts of operations of a kind that succeeded.
pub(crate) fn sum_of(payment: &Payment, kind: OperationKind) -> i128 {
    let of_kind = payment.operations.iter().filter(|op| op.kind == kind);
    let done = of_kind.filter(|op| op.state() == Some(AttemptState::Succeeded));
    done.map(|op| op.amount.minor()).sum()
}

impl World {
    /// Replies are true at the moment: what is said to be done is in the journal, and was done once; what is said not to be, was not.
    pub(crate) fn check_operations(&self, replies: &[Reply]) {
        let truth = self.truth();
        let executed = self.provider.executed();
        let times = |id: OperationId| executed.get(&id).copied().unwrap_or(0);
        for (ask, reply) in replies {
            let Ok(answered) = reply else { continue };
            let stored = &truth.payments[&ask.payment];
            let operation = answered.operation.expect("a request is about an operation");
            let request = stored.request(operation_key(ask.key)).expect("it is durable");
            assert_eq!(request.operation, operation);
            let state = |payment: &Payment| payment.operation(operation).and_then(Operation::state);
            match answered.answer {
                Answer::Shown => {
                    assert_eq!(state(&answered.payment), Some(AttemptState::Succeeded), "{ask:?}");
                    assert_eq!(state(stored), Some(AttemptState::Succeeded), "{ask:?}");
                    assert_eq!(times(operation), 1, "{ask:?}");
                }
                Answer::Declined | Answer::Blocked | Answer::Exhausted | Answer::NoProvider => {
                    assert_eq!(times(operation), 0, "{ask:?}");
                }
                Answer::Unresolved => {}
            }
        }
    }

    /// Nothing turns up of what was answered "nothing was stored". To be called before it is asked again.
    pub(crate) fn check_nothing_taken(&self, replies: &[Reply]) {
        let truth = self.truth();
        for (ask, reply) in replies {
            if let Err(RequestError::NotStored(_) | RequestError::Mismatch | RequestError::Shed(_)) = reply {
                let stored = &truth.payments[&ask.payment];
                assert!(
                    stored.request(operation_key(ask.key)).is_none(),
                    "{ask:?} was answered {reply:?} and is stored"
                );
            }
        }
    }

    /// Asks again until everything has its final answer, which must be the one it had before if it had one. Refusals may stay.
    pub(crate) async fn resolve_operations(&self, platform: &Platform, earlier: &[Reply]) -> Vec<Reply> {
        let payments = platform.payments();
        let mut settled: BTreeMap<usize, Reply> = BTreeMap::new();
        for _ in 0..40 {
            for (asked, _) in earlier {
                if settled.contains_key(&asked.key) {
                    continue;
                }
                let reply = (asked.clone(), ask(&payments, asked).await);
                self.check_operations(std::slice::from_ref(&reply));
                if is_final(&reply.1) || is_refused(&reply.1) {
                    settled.insert(asked.key, reply);
                }
            }
            if settled.len() == earlier.len() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(20)).await;
        }
        for (asked, before) in earlier {
            let (_, now) = settled
                .get(&asked.key)
                .unwrap_or_else(|| panic!("{asked:?} gets no final answer"));
            if let (Ok(before), true) = (before, is_final(before)) {
                let now = now.as_ref().unwrap();
                assert_eq!(shown(now), shown(before), "{asked:?}");
                assert_eq!(now.operation, before.operation, "{asked:?}");
                assert!(now.replayed, "{asked:?}");
            }
        }
        settled.into_values().collect()
    }

    /// Everything has settled: each operation that succeeded was executed once and no other was; the books are what the provider
    /// moved, and hold what the payments expect.
    pub(crate) async fn check_operations_at_rest(&self, platform: &Platform) {
        let truth = self.check_always();
        let mut executed = self.provider.executed();
        let (mut credit, mut debit) = (0, 0);
        for payment in truth.payments.values() {
            for op in &payment.operations {
                let succeeded = op.state() == Some(AttemptState::Succeeded);
                let times = executed.remove(&op.id).unwrap_or(0);
                assert_eq!(times, usize::from(succeeded), "{op:?}");
                assert!(!op.is_unresolved() && op.late.is_empty(), "{op:?}");
            }
            check_sums(payment);
            credit += payment.hold_credit_minor();
            debit += payment.hold_debit_minor();
        }
        assert!(
            executed.is_empty(),
            "executed and not in the journal: {executed:?}"
        );
        let accounts = self.accounts(platform).await;
        let sum = |posted: fn(&florin_domain::ledger::AccountState) -> i128,
                   wanted: fn(&AccountName) -> bool| {
            let of = accounts.iter().filter(|(key, _)| wanted(&key.name));
            of.map(|(_, account)| posted(account)).sum::<i128>()
        };
        let clearing = |name: &AccountName| *name == AccountName::ProviderClearing(provider_id());
        let payable = |name: &AccountName| *name == AccountName::MerchantPayable(merchant());
        assert_eq!(
            sum(|account| account.posted.minor(), clearing),
            self.provider.sum_minor()
        );
        assert_eq!(sum(|account| account.pending_credit_minor, payable), credit);
        assert_eq!(sum(|account| account.pending_debit_minor, payable), debit);
        assert!(accounts.iter().all(|(key, _)| key.name != AccountName::Suspense));
        for total in platform.ledger().trial_balance().await.unwrap() {
            assert_eq!(total.debits_minor, total.credits_minor);
        }
    }
}

/// What a payment's sums are is what its operations say.
pub(crate) fn check_sums(payment: &Payment) {
    let taken = sum_of(payment, OperationKind::Sale) + sum_of(payment, OperationKind::Capture);
    assert_eq!(payment.captured.minor(), taken, "{payment:?}");
    assert_eq!(payment.refunded.minor(), sum_of(payment, OperationKind::Refund));
    assert!(payment.refunded <= payment.captured && payment.captured <= payment.authorized);
    let reserved = [
        OperationKind::Sale,
        OperationKind::Authorize,
        OperationKind::Increment,
    ];
    let reserved: i128 = reserved.map(|kind| sum_of(payment, kind)).iter().sum();
    assert_eq!(payment.authorized.minor(), reserved, "{payment:?}");
}

/// How the provider treats an operation: each amount below 1,000 that ends in one of these digits has its own fate.
pub(crate) fn script_of_operation(minor: i128) -> Script {
    match minor % 10 {
        1 => Script::Unknown {
            charged: true,
            times: 4,
        },
        2 => Script::Unknown {
            charged: false,
            times: 4,
        },
        3 => Script::ChargedThenNotSent { times: 4 },
        4 => Script::Panic { times: 3 },
        5 => Script::NotSent { times: 2 },
        6 => Script::Decline,
        _ => Script::Succeed,
    }
}

pub(crate) fn script_operations(world: &World) {
    for minor in 1..1_000 {
        world.provider.script(minor, script_of_operation(minor));
    }
}
