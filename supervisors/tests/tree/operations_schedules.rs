//! Many callers ask the same payment at the same time: what is accepted is what one caller after the other could have got.

use crate::operations::{
    Ask, Reply, ask, ask_all, capture, check_sums, confirm, increment, is_refused, payment_of, refund,
    replies,
};
use crate::provider::{Script, Scripted};
use crate::world::{World, merchant, patient};
use florin_actors::options::Options;
use florin_actors::payment::NotStored;
use florin_actors::payments_handle::{Change, PaymentsHandle, RequestError};
use florin_domain::ids::PaymentId;
use florin_domain::money::Amount;
use florin_domain::payment::{
    Answer, AttemptState, CaptureMethod, Operation, OperationKind, Payment, Refusal, RequestKind,
};
use florin_domain::risk::CardLimits;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// `SplitMix64`.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn minor(&mut self) -> i128 {
        i128::from(1 + self.below(699))
    }
}

/// Runs `one` for every number below `count`, sixteen at a time.
async fn for_all<F: Future<Output = ()> + Send + 'static>(
    count: usize,
    one: impl Fn(usize) -> F + Send + Sync + 'static,
) {
    let (next, one) = (Arc::new(AtomicUsize::new(0)), Arc::new(one));
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let (next, one) = (Arc::clone(&next), Arc::clone(&one));
            tokio::spawn(async move {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= count {
                        return;
                    }
                    one(n).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no schedule fails");
    }
}

async fn stored(payments: &PaymentsHandle, id: PaymentId) -> Arc<Payment> {
    let row = payments.get((merchant(), false), id).await.unwrap();
    row.expect("it was made").payment
}

async fn refund_at_once(payments: &PaymentsHandle, n: usize) {
    let new = payment_of(n, 100, CaptureMethod::Automatic);
    let payment = payments.create(new).await.unwrap().payment.id();
    let both = [0, 1].map(|place| Ask {
        key: 2 * n + place,
        payment,
        change: refund(60),
    });
    let replies = replies(ask_all(payments, &both)).await;
    let (accepted, refused): (Vec<_>, Vec<_>) = replies.into_iter().partition(|(_, answer)| answer.is_ok());
    let (accepted, refused) = (accepted.as_slice(), refused.as_slice());
    let ([(_, Ok(accepted))], [(_, Err(refused))]) = (accepted, refused) else {
        panic!("not exactly one of two: {accepted:?} {refused:?}");
    };
    assert_eq!(
        (accepted.answer, accepted.payment.refunded.minor()),
        (Answer::Shown, 60)
    );
    let too_much = RequestError::NotStored(NotStored::Refused(Refusal::ExceedsRefundable));
    assert_eq!(*refused, too_much);
    assert_eq!(stored(payments, payment).await.refunded.minor(), 60);
}

#[test]
fn of_two_refunds_of_60_on_a_payment_of_100_exactly_one_is_accepted_a_thousand_times() {
    let world = World::with(51, patient(), Scripted::new(false, false));
    world.busy_life(async |world, platform| {
        let payments = platform.payments();
        for_all(1_000, move |n| {
            let payments = payments.clone();
            async move { refund_at_once(&payments, n).await }
        })
        .await;
        assert_eq!(world.provider.sum_minor(), 1_000 * 40);
        world.check_operations_at_rest(&platform).await;
    });
}

#[test]
fn one_key_sent_by_many_at_once_is_one_refund() {
    let world = World::with(53, patient(), Scripted::new(false, false));
    world.busy_life(async |world, platform| {
        let payments = platform.payments();
        for_all(100, move |n| {
            let payments = payments.clone();
            async move {
                let new = payment_of(n, 1_000, CaptureMethod::Automatic);
                let payment = payments.create(new).await.unwrap().payment.id();
                let same = vec![
                    Ask {
                        key: n,
                        payment,
                        change: refund(30),
                    };
                    10
                ];
                let replies = replies(ask_all(&payments, &same)).await;
                let first = replies[0].1.as_ref().unwrap();
                for (_, reply) in &replies {
                    let reply = reply.as_ref().unwrap();
                    assert_eq!(
                        (&reply.payment, reply.operation),
                        (&first.payment, first.operation)
                    );
                }
                let workers = replies
                    .iter()
                    .filter(|(_, reply)| !reply.as_ref().unwrap().replayed);
                assert_eq!(workers.count(), 1);
                let other = Ask {
                    change: refund(31),
                    ..same[0].clone()
                };
                assert_eq!(ask(&payments, &other).await.err(), Some(RequestError::Mismatch));
            }
        })
        .await;
        assert_eq!(world.provider.sum_minor(), 100 * 970);
        world.check_operations_at_rest(&platform).await;
    });
}

/// What one caller after the other would find.
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one independent fact about the payment"
)]
struct Model {
    declined: bool,
    authorized: i128,
    captured: i128,
    refunded: i128,
    closed: bool,
    /// Reserved by operations that the provider then declined.
    capturing: i128,
    refunding: i128,
    /// Taken since the last time that all was quiet: it may have been under way still.
    captured_lately: i128,
    /// Something of the kind was under way since the last time that all was quiet.
    captures: bool,
    final_captures: bool,
    voids: bool,
    confirms: bool,
    increments: bool,
}

impl Model {
    fn of(payment: &Payment, declined_first: bool) -> Self {
        let created = &payment.operations[0];
        let minor = created.amount.minor();
        let sold = created.kind == OperationKind::Sale;
        if declined_first {
            return Self {
                declined: true,
                ..Self::default()
            };
        }
        Self {
            authorized: minor,
            captured: if sold { minor } else { 0 },
            closed: sold,
            ..Self::default()
        }
    }

    /// All is quiet: nothing is under way.
    fn rest(&mut self) {
        (self.capturing, self.refunding, self.captured_lately) = (0, 0, 0);
        (self.captures, self.final_captures) = (false, false);
        (self.voids, self.confirms, self.increments) = (false, false, false);
    }

    /// Takes an accepted request; fails if nobody could have got it here.
    fn take(&mut self, payment: &Payment, kind: RequestKind, op: &Operation) {
        let minor = op.amount.minor();
        let done = op.state() == Some(AttemptState::Succeeded);
        match kind {
            RequestKind::Capture => {
                assert!(
                    !self.declined && self.captured + minor <= self.authorized,
                    "{payment:?}"
                );
                self.captures = true;
                self.final_captures |= op.is_final;
                if done {
                    self.captured += minor;
                    self.captured_lately += minor;
                    self.closed |= op.is_final || self.captured == self.authorized;
                } else {
                    self.capturing += minor;
                }
            }
            RequestKind::Increment => {
                assert!(!self.declined && !self.closed, "{payment:?}");
                assert_eq!(self.captured, 0, "{payment:?}");
                self.increments = true;
                if done {
                    self.authorized += minor;
                }
            }
            RequestKind::Void => {
                assert!(!self.declined && !self.closed, "{payment:?}");
                assert_eq!(minor, self.authorized - self.captured, "{payment:?}");
                self.voids = true;
                self.closed |= done;
            }
            RequestKind::Refund => {
                assert!(self.refunded + minor <= self.captured, "{payment:?}");
                if done {
                    self.refunded += minor;
                } else {
                    self.refunding += minor;
                }
            }
            RequestKind::Confirm => {
                assert!(self.declined, "{payment:?}");
                self.confirms = true;
                self.declined = false;
                self.authorized = payment.spec.amount.minor();
                let sold = payment.operations[0].kind == OperationKind::Sale;
                self.captured = if sold { self.authorized } else { 0 };
                self.captured_lately = self.captured;
                self.closed = sold;
            }
            RequestKind::Complete
            | RequestKind::Amend
            | RequestKind::ApproveReview
            | RequestKind::RejectReview
            | RequestKind::Resolve => {
                panic!("nobody asked for it: {payment:?}")
            }
        }
    }

    /// Whether somebody who asks now may be refused.
    fn may_refuse(&self, change: &Change) -> bool {
        let or_one = |asked: &Option<Amount>| asked.map_or(1, Amount::minor);
        let left = self.authorized - self.captured - self.capturing;
        match change {
            Change::Capture { amount, .. } => {
                let ends = self.closed || self.voids || self.final_captures || self.increments;
                self.declined || ends || left < or_one(amount)
            }
            Change::Void => {
                let busy = self.voids || self.captures || self.confirms || self.increments;
                self.declined || self.closed || busy
            }
            Change::Increment { total } => {
                let busy = self.voids || self.captures || self.confirms || self.increments;
                let taken = self.captured > 0;
                self.declined || self.closed || taken || busy || total.minor() <= self.authorized
            }
            Change::Refund { amount, .. } => {
                self.captured - self.captured_lately - self.refunded - self.refunding < or_one(amount)
            }
            Change::Confirm(_) | Change::ConfirmFor { .. } => !self.declined || self.confirms,
            Change::Complete { .. }
            | Change::Amend(_)
            | Change::MethodGone
            | Change::ApproveReview
            | Change::RejectReview
            | Change::Resolve { .. }
            | Change::Note { .. } => true,
        }
    }
}

fn changes(random: &mut Random, count: u64) -> Vec<Change> {
    let one = |random: &mut Random| match random.below(11) {
        0 => Change::Void,
        1 => confirm(),
        2 => Change::Capture {
            amount: None,
            is_final: true,
        },
        3 => Change::Refund {
            amount: None,
            reason: None,
        },
        10 => increment(500 + random.minor() * 3),
        4..7 => capture(random.minor(), random.below(4) == 0),
        _ => refund(random.minor()),
    };
    (0..count).map(|_| one(random)).collect()
}

/// Two waves of requests, each all at once; between them all is quiet.
async fn schedule(payments: &PaymentsHandle, n: usize) {
    let mut random = Random(n as u64);
    let (minor, method) = match random.below(10) {
        0..2 => (1_000, CaptureMethod::Automatic),
        2 => (DECLINED_FIRST_MINOR, CaptureMethod::Automatic),
        3 => (DECLINED_FIRST_MINOR, CaptureMethod::Manual),
        _ => (1_000, CaptureMethod::Manual),
    };
    let made = payments
        .create(payment_of(n, minor, method))
        .await
        .unwrap()
        .payment;
    let mut model = Model::of(&made, minor == DECLINED_FIRST_MINOR);
    let (mut accepted, mut taken) = ((0, 0), 0);
    for wave in 0..2 {
        let count = 2 + random.below(3);
        let changes = changes(&mut random, count).into_iter().enumerate();
        let asks: Vec<Ask> = changes
            .map(|(place, change)| Ask {
                key: n * 100 + wave * 10 + place,
                payment: made.id(),
                change,
            })
            .collect();
        let replies = replies(ask_all(payments, &asks)).await;
        let payment = stored(payments, made.id()).await;
        check_sums(&payment);
        add_accepted(&mut accepted, &replies);

        // In the order in which they were taken, and between any two of them, those that were refused.
        let mut seen = vec![model];
        for request in &payment.requests[taken..] {
            let op = payment
                .operation(request.operation)
                .expect("each opens or drives one");
            model.take(&payment, request.kind, op);
            seen.push(model);
        }
        taken = payment.requests.len();
        for (ask, answer) in replies.iter().filter(|(_, answer)| answer.is_err()) {
            assert!(is_refused(answer), "{ask:?} {answer:?}");
            let explained = seen.iter().any(|model| model.may_refuse(&ask.change));
            assert!(
                explained,
                "{ask:?} was {answer:?} though it could be done: {seen:?}"
            );
        }
        let sums = (payment.captured.minor(), payment.refunded.minor());
        assert_eq!((model.captured, model.refunded), sums, "{payment:?}");
        let sold = made.operations[0].kind == OperationKind::Sale && payment.captured.minor() > 0;
        let by_sale = if sold { minor } else { 0 };
        assert_eq!(
            (accepted.0 + by_sale, accepted.1),
            sums,
            "the answers and the payment"
        );
        model.rest();
    }
}

/// Adds up what the answers say was captured and refunded.
fn add_accepted((captured, refunded): &mut (i128, i128), replies: &[Reply]) {
    for (ask, reply) in replies {
        let Ok(answered) = reply else { continue };
        assert!(answered.answer.is_final(), "{ask:?} {answered:?}");
        let op = answered.operation.and_then(|id| answered.payment.operation(id));
        let op = op.expect("an answer shows what was asked for");
        if answered.answer != Answer::Shown {
            continue;
        }
        match op.kind {
            OperationKind::Capture => *captured += op.amount.minor(),
            OperationKind::Refund => *refunded += op.amount.minor(),
            OperationKind::Sale
            | OperationKind::Authorize
            | OperationKind::Increment
            | OperationKind::Void
            | OperationKind::Reversal => {}
        }
    }
}

const SCHEDULES: usize = 10_000;
const DECLINED_FIRST_MINOR: i128 = 1_001;

#[test]
fn ten_thousand_schedules_of_concurrent_operations_agree_with_callers_who_wait_for_each_other() {
    // Thousands of declines of one card, which no network would allow.
    let card_limits = CardLimits {
        month_max: None,
        mastercard_day_max: None,
        mastercard_month_max: None,
        ..CardLimits::default()
    };
    let options = Options {
        card_limits,
        ..patient()
    };
    let world = World::with(57, options, Scripted::new(false, false));
    world.provider.script(DECLINED_FIRST_MINOR, Script::DeclineFirst);
    for minor in (6..1_000).step_by(10) {
        world.provider.script(minor, Script::Decline);
    }
    world.busy_life(async |world, platform| {
        let payments = platform.payments();
        for_all(SCHEDULES, move |n| {
            let payments = payments.clone();
            async move { schedule(&payments, n).await }
        })
        .await;
        let truth = world.truth();
        assert_eq!(truth.payments.len(), SCHEDULES);
        let sum = |of: fn(&Payment) -> i128| truth.payments.values().map(of).sum::<i128>();
        // A schedule that accepts nothing tests nothing.
        assert!(sum(|payment| payment.refunded.minor()) > 1_000_000);
        world.check_operations_at_rest(&platform).await;
    });
}
