//! Random commands for random payments, sensible ones and nonsense.

use super::super::{Amendment, CaptureMethod, Command, DeclinePolicy, FeeReturn, ReviewMode, Undoing};
use super::script::{Script, TOTAL_MINOR, assessment, method, operation_id, plan};
use crate::ids::{CaptureId, IncrementId, OperationId, PaymentId, RefundId, VoidId};
use crate::ledger::{FeeRecognition, PostingModel, PostingProfile};
use crate::money::{Amount, FeeSchedule};
use crate::provider::Outcome;
use crate::risk::Action;
use crate::time::Millis;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use rust_decimal::Decimal;
use std::sync::Arc;

/// A step whose attempt number and amount may depend on the state that it meets.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Create(Action, &'static str),
    Draft(bool),
    Amend(Option<i128>, bool),
    Confirm(Action, &'static str),
    Redrive(&'static str),
    Reference(OperationId, Number),
    Record(OperationId, Number, Word),
    TakeBack(OperationId, Number, i128, bool),
    Closing(OperationId, Number, Closing),
    Capture(u128, Option<i128>, bool),
    Increment(u128, i128),
    Void(u128),
    Refund(u128, Option<i128>),
    RedriveOperation(OperationId, &'static str),
    Approve(&'static str),
    Reject,
    Check,
    Later(u64),
}

/// Of an attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Number {
    Latest,
    Fixed(u32),
}

/// What has to do with the closing of a charge.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Closing {
    Ask,
    Hear(Word),
    Closed(u8),
    Refused,
    GiveUp,
}

/// Of a provider.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Word {
    Succeeded { transaction: u8, amount_off_minor: i128 },
    Declined,
    ActionRequired,
    Pending,
    Cancelled,
    NotSent,
    RateLimited,
    Rejected,
    Unknown { with_reference: bool },
}

fn providers() -> impl Strategy<Value = &'static str> {
    prop_oneof![4 => Just("a"), 1 => Just("b")]
}

fn actions() -> impl Strategy<Value = Action> {
    prop_oneof![6 => Just(Action::Allow), 1 => Just(Action::Review), 1 => Just(Action::Block)]
}

pub(crate) fn operations() -> impl Strategy<Value = OperationId> {
    let known = select(vec![
        "auth", "cap1", "cap2", "cap3", "ref1", "ref2", "ref3", "void1", "void2", "inc1", "inc2", "rev1",
        "rev2", "rev3",
    ]);
    prop_oneof![
        3 => Just(operation_id("auth")),
        11 => known.prop_map(operation_id),
        1 => Just(OperationId::Authorize(PaymentId::from_bits(99))),
    ]
}

fn numbers() -> impl Strategy<Value = Number> {
    prop_oneof![5 => Just(Number::Latest), 1 => (0..5_u32).prop_map(Number::Fixed)]
}

fn words() -> impl Strategy<Value = Word> {
    let off = prop_oneof![8 => Just(0), 1 => -2_000..2_000_i128, 1 => Just(i128::MAX / 2)];
    prop_oneof![
        6 => (0..3_u8, off).prop_map(|(transaction, amount_off_minor)| Word::Succeeded { transaction, amount_off_minor }),
        2 => Just(Word::Declined),
        2 => Just(Word::ActionRequired),
        1 => Just(Word::Pending),
        1 => Just(Word::Cancelled),
        2 => Just(Word::NotSent),
        1 => Just(Word::RateLimited),
        1 => Just(Word::Rejected),
        2 => any::<bool>().prop_map(|with_reference| Word::Unknown { with_reference }),
    ]
}

fn amounts() -> impl Strategy<Value = Option<i128>> {
    prop_oneof![
        1 => Just(None),
        3 => (1..=TOTAL_MINOR).prop_map(Some),
        3 => (1..=TOTAL_MINOR / 3).prop_map(Some),
        1 => (1..=Amount::MAX_MINOR).prop_map(Some),
    ]
}

fn closings() -> impl Strategy<Value = Closing> {
    prop_oneof![
        3 => Just(Closing::Ask),
        3 => words().prop_map(Closing::Hear),
        2 => (0..3_u8).prop_map(Closing::Closed),
        1 => Just(Closing::Refused),
        1 => Just(Closing::GiveUp),
    ]
}

pub(crate) fn steps() -> impl Strategy<Value = Step> {
    let hours = select(vec![1, 25, 24 * 8]);
    prop_oneof![
        1 => (actions(), providers()).prop_map(|(action, at)| Step::Create(action, at)),
        2 => any::<bool>().prop_map(Step::Draft),
        2 => (option::of(1..=TOTAL_MINOR), any::<bool>()).prop_map(|(minor, is_named)| Step::Amend(minor, is_named)),
        4 => (actions(), providers()).prop_map(|(action, at)| Step::Confirm(action, at)),
        3 => providers().prop_map(Step::Redrive),
        1 => (operations(), numbers()).prop_map(|(op, number)| Step::Reference(op, number)),
        24 => (operations(), numbers(), words()).prop_map(|(op, number, word)| Step::Record(op, number, word)),
        3 => (operations(), numbers(), 1..=TOTAL_MINOR, any::<bool>())
            .prop_map(|(op, number, minor, known)| Step::TakeBack(op, number, minor, known)),
        6 => (prop_oneof![4 => Just(operation_id("auth")), 1 => operations()], numbers(), closings())
            .prop_map(|(op, number, what)| Step::Closing(op, number, what)),
        8 => (1..4_u128, amounts(), any::<bool>()).prop_map(|(id, amount, last)| Step::Capture(id, amount, last)),
        4 => (1..3_u128, 1..=3 * TOTAL_MINOR).prop_map(|(id, total)| Step::Increment(id, total)),
        4 => (1..3_u128).prop_map(Step::Void),
        6 => (1..4_u128, amounts()).prop_map(|(id, amount)| Step::Refund(id, amount)),
        4 => (operations(), providers()).prop_map(|(op, at)| Step::RedriveOperation(op, at)),
        2 => providers().prop_map(Step::Approve),
        1 => Just(Step::Reject),
        1 => Just(Step::Check),
        1 => hours.prop_map(Step::Later),
    ]
}

/// How a payment may be booked.
pub(crate) fn profiles() -> impl Strategy<Value = PostingProfile> {
    let profile = |posting, fee_recognition| PostingProfile {
        posting,
        fee_recognition,
    };
    select(vec![
        profile(PostingModel::Marketplace, FeeRecognition::AtPayment),
        profile(PostingModel::Marketplace, FeeRecognition::AtSettlement),
        profile(PostingModel::MerchantOfRecord, FeeRecognition::AtPayment),
    ])
}

/// A new payment under random terms, not yet created.
pub(crate) fn payments() -> impl Strategy<Value = Script> {
    let fixed_cents = prop_oneof![Just(0), Just(30), Just(5_000)];
    let terms = (any::<[bool; 5]>(), 0..=10_000_u32, fixed_cents, profiles());
    terms.prop_map(|(flags, percent_bps, fixed_cents, profile)| {
        let [manual, await_method, returned, hold, is_draft] = flags;
        let mut script = Script::new();
        script.profile = profile;
        script.begins_as_draft = is_draft;
        if manual {
            script.spec.capture_method = CaptureMethod::Manual;
        }
        if await_method {
            script.spec.after_decline = DeclinePolicy::AwaitMethod;
        }
        if hold {
            script.review = ReviewMode::AuthAndHold;
        }
        if returned {
            script.spec.fee_return = FeeReturn::Returned;
        }
        script.spec.fee = FeeSchedule::new(percent_bps, Decimal::new(fixed_cents, 2)).unwrap();
        script
    })
}

impl Step {
    /// The command in the present state, or nothing when only time passed.
    pub(crate) fn meet(&self, script: &mut Script) -> Option<Command> {
        let now = script.now;
        let number = |operation: OperationId, number: Number| match number {
            Number::Fixed(number) => number,
            Number::Latest => {
                let op = script
                    .payment
                    .as_ref()
                    .and_then(|payment| payment.operation(operation));
                op.map_or(1, |op| op.attempts)
            }
        };
        let sum = |minor: Option<i128>| minor.map(|minor| Amount::new(minor).unwrap());
        Some(match *self {
            Self::Create(action, at) => Command::Create {
                spec: Arc::new(script.spec.clone()),
                method: method(),
                assessment: assessment(action),
                plan: plan(at, now),
                barred: None,
                review: script.review,
                profile: script.profile,
            },
            Self::Draft(has_method) => Command::Draft {
                spec: Arc::new(script.spec.clone()),
                method: has_method.then(method),
                profile: script.profile,
            },
            Self::Amend(minor, is_named) => Command::Amend(Amendment {
                amount: sum(minor),
                method: (!is_named).then(method),
                description: is_named.then(|| Some("renamed".into())),
                metadata: Vec::new(),
            }),
            Self::Confirm(action, at) => Command::Confirm {
                method: method(),
                assessment: assessment(action),
                plan: plan(at, now),
                barred: None,
            },
            Self::Redrive(at) => Command::Redrive {
                plan: plan(at, now),
                barred: None,
            },
            Self::Reference(operation, of) => Command::Reference {
                operation,
                number: number(operation, of),
                reference: "pi_early".into(),
            },
            Self::Record(operation, of, word) => {
                let number = number(operation, of);
                word.told(script, (operation, number))
            }
            Self::TakeBack(operation, of, minor, known) => {
                let number = number(operation, of);
                Command::TakeBack(Undoing {
                    operation,
                    number,
                    amount: Amount::new(minor).unwrap(),
                    reference: format!("back_{}", minor % 3).into(),
                    unheard: known.then(|| Word::Declined.outcome(script, operation, number)),
                })
            }
            Self::Closing(operation, of, what) => {
                let number = number(operation, of);
                what.told(script, (operation, number))
            }
            Self::Capture(id, minor, is_final) => Command::Capture {
                id: CaptureId::from_bits(id),
                amount: sum(minor),
                is_final,
                plan: plan("a", now),
            },
            Self::Increment(id, total) => Command::Increment {
                id: IncrementId::from_bits(id),
                total: Amount::new(total).unwrap(),
                plan: plan("a", now),
            },
            Self::Void(id) => Command::Void {
                id: VoidId::from_bits(id),
                plan: plan("a", now),
            },
            Self::Refund(id, minor) => Command::Refund {
                id: RefundId::from_bits(id),
                amount: sum(minor),
                reason: None,
                plan: plan("a", now),
            },
            Self::RedriveOperation(operation, at) => Command::RedriveOperation {
                operation,
                plan: plan(at, now),
            },
            Self::Approve(at) => Command::ApproveReview {
                plan: plan(at, now),
                barred: None,
                capture: CaptureId::from_bits(900),
            },
            Self::Reject => Command::RejectReview {
                plan: plan("a", now),
                void: script.next_void(),
            },
            Self::Check => Command::CheckDeadlines {
                plan: plan("a", now),
                void: script.next_void(),
            },
            Self::Later(hours) => {
                script.now = now.plus(Millis::from_s(hours * 3600));
                return None;
            }
        })
    }
}

impl Closing {
    fn told(self, script: &Script, (operation, number): (OperationId, u32)) -> Command {
        match self {
            Self::Ask => Command::AskClosing { operation, number },
            Self::Hear(word) => Command::Hear {
                operation,
                number,
                outcome: word.outcome(script, operation, number),
                reversal: script.next_reversal((operation, number)),
            },
            Self::Closed(transaction) => Command::TakeBack(Undoing {
                operation,
                number,
                amount: Amount::new(TOTAL_MINOR).unwrap(),
                reference: "closing".into(),
                unheard: Some(Outcome::Cancelled {
                    reference: Some(format!("ch_{operation}_{number}_{transaction}").into()),
                }),
            }),
            Self::Refused => Command::ClosingRefused { operation, number },
            Self::GiveUp => Command::GiveUpChallenge { operation, number },
        }
    }
}

impl Word {
    /// As the shell records it. Sometimes nobody can be asked to give back what comes late.
    fn told(self, script: &Script, (operation, number): (OperationId, u32)) -> Command {
        let is_alone = matches!(self, Self::Succeeded { transaction: 2, .. });
        let elsewhere = if number.is_multiple_of(2) { "a" } else { "b" };
        Command::Record {
            operation,
            number,
            outcome: self.outcome(script, operation, number),
            next: Some(plan(elsewhere, script.now)),
            reversal: script.next_reversal((operation, number)).filter(|_| !is_alone),
        }
    }

    pub(crate) fn outcome(self, script: &Script, operation: OperationId, number: u32) -> Outcome {
        let op = script
            .payment
            .as_ref()
            .and_then(|payment| payment.operation(operation));
        let reference = Arc::from(format!("pi_{operation}_{number}"));
        let reason = Arc::from("connection reset");
        match self {
            Self::Succeeded {
                transaction,
                amount_off_minor,
            } => {
                let transaction = Arc::from(format!("ch_{operation}_{number}_{transaction}"));
                let amount_minor = op.map_or(TOTAL_MINOR, |op| op.amount.minor()) + amount_off_minor;
                Outcome::Succeeded {
                    reference,
                    transaction,
                    amount_minor,
                }
            }
            Self::Declined => Outcome::declined("do_not_honor".into(), Some(reference)),
            Self::ActionRequired => Outcome::ActionRequired {
                reference,
                redirect_url: None,
            },
            Self::Pending => Outcome::Pending { reference },
            Self::Cancelled => Outcome::Cancelled {
                reference: Some(reference),
            },
            Self::NotSent => Outcome::not_sent(reason),
            Self::RateLimited => Outcome::RateLimited {
                retry_after: Millis::from_s(1),
            },
            Self::Rejected => Outcome::rejected(reason),
            Self::Unknown { with_reference } => Outcome::Unknown {
                reason,
                reference: with_reference.then_some(reference),
            },
        }
    }
}
