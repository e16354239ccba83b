//! Requests under keys of their own: taken once, answered from what became of their operation, and folded back like all else.

use super::super::{
    Answer, Command, Decision, Event, Payment, Refusal, Request, RequestKind, decide_request, evolve,
    evolve_all,
};
use super::invariants;
use super::random::{Step, payments, steps};
use super::resolutions::said;
use super::script::{PAYMENT, Script};
use crate::idempotency::{Fingerprint, IdempotencyKey, KeyDigest};
use crate::ids::OperationId;
use crate::limits::{AMENDMENTS_MAX, CHALLENGE_QUESTIONS_MAX, Lifetimes, REQUESTS_MAX};
use crate::risk::Action;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn digest(key: usize) -> KeyDigest {
    KeyDigest((1_000 + key as u128).to_be_bytes())
}

fn asked(key: usize, kind: RequestKind, operation: OperationId) -> Request {
    Request {
        key: IdempotencyKey::parse(&format!("request-{key}")).unwrap(),
        key_digest: digest(key),
        fingerprint: Fingerprint([3; 16]),
        kind,
        operation,
        operator: None,
    }
}

/// What a command asks for on behalf of a caller; `None` for what only the platform itself does.
fn subject(command: &Command) -> Option<(RequestKind, OperationId)> {
    let authorize = OperationId::Authorize(PAYMENT);
    Some(match command {
        Command::Capture { id, .. } => (RequestKind::Capture, OperationId::Capture(*id)),
        Command::Void { id, .. } => (RequestKind::Void, OperationId::Void(*id)),
        Command::Increment { id, .. } => (RequestKind::Increment, OperationId::Increment(*id)),
        Command::Refund { id, .. } => (RequestKind::Refund, OperationId::Refund(*id)),
        Command::Confirm { .. } => (RequestKind::Confirm, authorize),
        Command::Complete => (RequestKind::Complete, authorize),
        Command::ApproveReview { .. } => (RequestKind::ApproveReview, authorize),
        Command::RejectReview { .. } => (RequestKind::RejectReview, authorize),
        Command::Resolve { operation, .. } | Command::Note { operation, .. } => {
            (RequestKind::Resolve, *operation)
        }
        Command::Amend(_) => (RequestKind::Amend, authorize),
        Command::Create { .. }
        | Command::Draft { .. }
        | Command::Redrive { .. }
        | Command::RedriveOperation { .. }
        | Command::Reference { .. }
        | Command::Record { .. }
        | Command::TakeBack(_)
        | Command::AskClosing { .. }
        | Command::Hear { .. }
        | Command::ClosingRefused { .. }
        | Command::GiveUpChallenge { .. }
        | Command::Refuse { .. }
        | Command::Raise { .. }
        | Command::CheckOverdue { .. }
        | Command::CheckDeadlines { .. } => return None,
    })
}

impl Script {
    /// Decides a request and folds it.
    fn ask(&mut self, key: usize, command: Command) -> Result<Decision, Refusal> {
        let (kind, operation) = subject(&command).expect("somebody may ask for it");
        let before = self.payment.as_ref();
        let request = asked(key, kind, operation);
        let decision = decide_request(before, request, command, &Lifetimes::STANDARD, self.now)?;
        let after = evolve_all(self.payment.clone(), &decision.events, self.now)
            .expect("what was decided can follow");
        if let Some(after) = &after {
            invariants::check(after);
            invariants::check_effects(&decision, after);
        }
        self.payment = after;
        self.keep(&decision);
        Ok(decision)
    }

    fn answer_of(&self, key: usize) -> Answer {
        let payment = self.state();
        payment.request_answer(payment.request(digest(key)).expect("the request was taken"))
    }
}

/// `complete` is the one step that only a caller takes.
fn command(script: &Script, step: &str) -> Command {
    match step {
        "complete" => Command::Complete,
        step => script.command(step),
    }
}

const AUTHORIZED: &str = "create auth; auth ok";
const SOLD: &str = "create sale; auth ok";
const DECLINED: &str = "create sale; auth declined";
const CHALLENGED: &str = "create sale; auth action";

#[test]
fn a_request_is_answered_from_the_state_of_its_operation() {
    use Answer::{Blocked, Declined, NoProvider, Shown, Unresolved};
    let rows = [
        (AUTHORIZED, "capture 1 600", "", Unresolved),
        (AUTHORIZED, "capture 1 600", "cap1 ok", Shown),
        (AUTHORIZED, "capture 1 600", "cap1 declined", Declined),
        (AUTHORIZED, "capture 1 600", "cap1 rejected", Declined),
        (AUTHORIZED, "capture 1 600", "cap1 cancelled", Declined),
        (AUTHORIZED, "capture 1 600", "cap1 not-sent", NoProvider),
        (AUTHORIZED, "capture 1 600", "cap1 limited", NoProvider),
        (AUTHORIZED, "capture 1 600", "cap1 unknown", Unresolved),
        (AUTHORIZED, "capture 1 600", "cap1 wrong", Unresolved),
        (AUTHORIZED, "capture 1 600", "cap1 pending", Unresolved),
        (AUTHORIZED, "capture 1 600", "cap1 unknown; cap1 ok", Shown),
        (
            AUTHORIZED,
            "capture 1 600",
            "cap1 not-sent; redrive cap1",
            Unresolved,
        ),
        (
            AUTHORIZED,
            "capture 1 600",
            "cap1 not-sent; redrive cap1; cap1 ok",
            Shown,
        ),
        // Another capture has nothing to do with it.
        (AUTHORIZED, "capture 1 600", "capture 2 100; cap2 ok", Unresolved),
        (AUTHORIZED, "void 1", "", Unresolved),
        (AUTHORIZED, "void 1", "void1 ok", Shown),
        (AUTHORIZED, "void 1", "void1 declined", Declined),
        (AUTHORIZED, "void 1", "void1 not-sent", NoProvider),
        (AUTHORIZED, "void 1", "void1 unknown", Unresolved),
        (CHALLENGED, "void 1", "void1 ok", Shown),
        // Nothing was to be asked of a provider.
        ("create sale await; auth declined", "void 1", "", Shown),
        ("create sale review", "void 1", "", Shown),
        (SOLD, "refund 1 600", "", Unresolved),
        (SOLD, "refund 1 600", "ref1 ok", Shown),
        (SOLD, "refund 1 600", "ref1 pending", Shown),
        (SOLD, "refund 1 600", "ref1 pending; ref1 ok", Shown),
        (SOLD, "refund 1 600", "ref1 pending; ref1 declined", Declined),
        (SOLD, "refund 1 600", "ref1 declined", Declined),
        (SOLD, "refund 1 600", "ref1 rejected", Declined),
        (SOLD, "refund 1 600", "ref1 not-sent", NoProvider),
        (SOLD, "refund 1 600", "ref1 unknown", Unresolved),
        (SOLD, "refund 1 600", "refund 2 400; ref2 ok", Unresolved),
        (DECLINED, "confirm", "", Unresolved),
        (DECLINED, "confirm", "auth ok", Shown),
        (DECLINED, "confirm", "auth declined", Declined),
        (DECLINED, "confirm", "auth action", Shown),
        (DECLINED, "confirm", "auth not-sent", NoProvider),
        (DECLINED, "confirm", "auth unknown", Unresolved),
        (DECLINED, "confirm block", "", Blocked),
        (DECLINED, "confirm review", "", Shown),
        (CHALLENGED, "complete", "", Unresolved),
        (CHALLENGED, "complete", "auth action", Unresolved),
        (CHALLENGED, "complete", "auth unknown", Unresolved),
        (CHALLENGED, "complete", "auth ok", Shown),
        (CHALLENGED, "complete", "auth declined", Declined),
        (CHALLENGED, "complete", "auth cancelled", Declined),
        (CHALLENGED, "complete", "void 1; void1 ok", Shown),
        ("create sale review", "reject", "", Blocked),
        ("create sale review", "approve", "", Unresolved),
        ("create sale review", "approve", "auth ok", Shown),
        ("create sale review", "approve", "auth declined", Declined),
    ];
    for (given, step, then, expected) in rows {
        let mut script = Script::after(given);
        let wanted = command(&script, step);
        script.ask(1, wanted).unwrap();
        script.run(then);
        assert_eq!(
            script.answer_of(1),
            expected,
            "given `{given}` asked `{step}` then `{then}`"
        );
    }
}

#[test]
fn a_key_is_taken_once_whatever_it_is_asked_for_again() {
    let mut script = Script::after(AUTHORIZED);
    script.ask(1, script.command("capture 1 600")).unwrap();
    let taken = script.state().clone();
    for step in [
        "capture 1 600",
        "capture 2 100",
        "void 1",
        "refund 1 all",
        "confirm",
        "complete",
    ] {
        let wanted = command(&script, step);
        assert_eq!(script.ask(1, wanted).unwrap(), Decision::default(), "{step}");
        assert_eq!(script.state(), &taken, "{step}");
    }
    script.run("cap1 ok");
    let wanted = script.command("refund 1 600");
    assert_eq!(script.ask(1, wanted).unwrap(), Decision::default());
    let again = Event::Requested {
        request: asked(1, RequestKind::Refund, OperationId::Authorize(PAYMENT)),
    };
    assert!(evolve(script.payment.clone(), &again, script.now).is_err());
}

#[test]
fn a_refused_request_leaves_its_key_free() {
    let mut script = Script::after(SOLD);
    let rows = [
        ("refund 1 1001", Refusal::ExceedsRefundable),
        ("capture 1 1", Refusal::WrongStatus),
        ("void 1", Refusal::WrongStatus),
        ("confirm", Refusal::WrongStatus),
        ("complete", Refusal::WrongStatus),
        ("approve", Refusal::WrongStatus),
        ("reject", Refusal::WrongStatus),
        ("refund 1 all @b", Refusal::WrongProvider),
    ];
    let before = script.state().clone();
    for (step, refusal) in rows {
        let wanted = command(&script, step);
        assert_eq!(script.ask(1, wanted), Err(refusal), "{step}");
        assert_eq!(script.state(), &before, "{step}");
    }
    script.ask(1, script.command("refund 1 all")).unwrap();
    assert_eq!(script.answer_of(1), Answer::Unresolved);
    let nobody = decide_request(
        None,
        asked(1, RequestKind::Complete, OperationId::Authorize(PAYMENT)),
        Command::Complete,
        &Lifetimes::STANDARD,
        script.now,
    );
    assert_eq!(nobody, Err(Refusal::NoSuchPayment));
}

#[test]
fn one_payment_takes_only_so_many_requests_and_still_knows_all_of_them() {
    let mut script = Script::after("create sale; auth unknown");
    // Two people who never agree.
    let word = |key: usize| {
        said(
            "auth",
            Some(&format!("ch_{key}")),
            if key.is_multiple_of(2) { "ada" } else { "grace" },
        )
    };
    for key in 0..REQUESTS_MAX {
        let decision = script.ask(key, word(key)).unwrap();
        assert_eq!(decision.events.len(), 2);
    }
    assert_eq!(
        script.ask(REQUESTS_MAX, word(REQUESTS_MAX)),
        Err(Refusal::TooManyOperations)
    );
    assert_eq!(script.ask(0, word(0)).unwrap(), Decision::default());
    assert!((0..REQUESTS_MAX).all(|key| script.answer_of(key) == Answer::Shown));
}

#[test]
fn a_payment_is_amended_so_often_and_the_rest_still_works() {
    let mut script = Script::after("create sale; auth ok");
    let amend = |script: &Script| script.command("amend - named");
    for key in 0..AMENDMENTS_MAX {
        script.ask(key, amend(&script)).unwrap();
    }
    let one_more = script.ask(AMENDMENTS_MAX, amend(&script));
    assert_eq!(one_more, Err(Refusal::TooManyOperations));
    let refund = script.command("refund 1 all");
    assert!(script.ask(AMENDMENTS_MAX, refund).is_ok());
}

#[test]
fn the_end_of_a_challenge_may_be_asked_for_so_often_and_the_rest_still_works() {
    let mut script = Script::after(CHALLENGED);
    for key in 0..CHALLENGE_QUESTIONS_MAX {
        let decision = script.ask(key, Command::Complete).unwrap();
        assert_eq!(decision.events.len(), 1);
    }
    let one_more = script.ask(CHALLENGE_QUESTIONS_MAX, Command::Complete);
    assert_eq!(one_more, Err(Refusal::TooManyAttempts));
    assert_eq!(script.ask(0, Command::Complete).unwrap(), Decision::default());
    let void = script.command("void 1");
    script.ask(CHALLENGE_QUESTIONS_MAX, void).unwrap();
    script.run("void1 ok");
    assert!((0..CHALLENGE_QUESTIONS_MAX).all(|key| script.answer_of(key) == Answer::Shown));
}

/// A random life in which callers ask under keys of a small set, and the platform does the rest.
#[derive(Debug)]
struct Life {
    script: Script,
    /// What a key was first answered for good.
    answered: BTreeMap<usize, (RequestKind, Answer)>,
}

impl Life {
    fn live(&mut self, step: &Step, key: usize) {
        let Some(command) = step.meet(&mut self.script) else {
            return;
        };
        let known = self
            .script
            .payment
            .as_ref()
            .map(|payment| payment.request(digest(key)).cloned());
        let before = self.script.payment.clone();
        match (subject(&command), known) {
            (Some(_), Some(Some(_))) => {
                assert_eq!(self.script.ask(key, command), Ok(Decision::default()));
                assert_eq!(self.script.payment, before, "a known key changes nothing");
            }
            (Some(_), Some(None)) => {
                if let Ok(decision) = self.script.ask(key, command) {
                    assert!(
                        matches!(&decision.events[0], Event::Requested { request } if request.key_digest == digest(key))
                    );
                } else {
                    assert_eq!(self.script.payment, before, "a refusal changes nothing");
                }
            }
            (_, None) | (None, _) => drop(self.script.decide(command)),
        }
        self.check();
    }

    /// Sums in order, each key once, and no operation that was answered for good is ever answered otherwise.
    fn check(&mut self) {
        let Some(payment) = &self.script.payment else {
            return;
        };
        assert!(payment.refunded <= payment.captured && payment.captured <= payment.authorized);
        let keys: Vec<KeyDigest> = payment
            .requests
            .iter()
            .map(|request| request.key_digest)
            .collect();
        let mut unique = keys.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), keys.len());
        for key in 0..KEYS {
            let Some(request) = payment.request(digest(key)) else {
                continue;
            };
            let answer = payment.request_answer(request);
            let about_an_operation = payment.operation(request.operation).is_some()
                && matches!(
                    request.kind,
                    RequestKind::Capture | RequestKind::Void | RequestKind::Refund | RequestKind::Increment
                );
            match self.answered.get(&key) {
                None if about_an_operation && answer.is_final() => {
                    self.answered.insert(key, (request.kind, answer));
                }
                Some((RequestKind::Refund, Answer::Shown)) => assert!(
                    // A pending refund may still fail, or its attempt prove unknown; it never becomes unsent.
                    answer != Answer::NoProvider,
                    "a refund that was accepted was not sent: {payment:?}"
                ),
                // A redriven operation starts anew; the platform redrives only what was never sent.
                Some((_, Answer::Declined)) | None => {}
                Some((kind, before)) => assert_eq!((*kind, answer), (*kind, *before), "{payment:?}"),
            }
        }
    }

    fn replayed(&self) -> Option<Payment> {
        self.script.replayed()
    }
}

const KEYS: usize = 12;

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn requests_between_everything_else_keep_the_sums_in_order_and_replay_to_the_live_state(
        script in payments(), authorized in any::<bool>(), steps in vec((steps(), 0..KEYS), 0..60)
    ) {
        let mut life = Life { script, answered: BTreeMap::new() };
        life.live(&Step::Create(Action::Allow, "a"), 0);
        if authorized {
            life.script.run("auth ok");
        }
        for (step, key) in &steps {
            life.live(step, *key);
            prop_assert_eq!(life.replayed(), life.script.payment.clone());
        }
    }

    #[test]
    fn a_fold_that_is_interrupted_anywhere_goes_on_to_the_same_state(
        script in payments(), steps in vec((steps(), 0..KEYS), 0..40), cut in any::<prop::sample::Index>()
    ) {
        let mut life = Life { script, answered: BTreeMap::new() };
        life.live(&Step::Create(Action::Allow, "a"), 0);
        for (step, key) in &steps {
            life.live(step, *key);
        }
        let cut = cut.index(life.script.events.len() + 1);
        let half = life.script.replayed_from(None, 0..cut);
        let rest = cut..life.script.events.len();
        prop_assert_eq!(life.script.replayed_from(half, rest), life.script.payment);
    }
}
