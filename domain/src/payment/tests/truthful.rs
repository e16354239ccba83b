//! A provider that tells the truth, sometimes late: it charges each operation at most once, and in the end the payment says exactly
//! what the provider did.

use super::super::{Attempt, AttemptState, Operation, OperationKind, Status};
use super::random::{Step, Word, payments, steps};
use super::script::{Script, plan};
use crate::ids::OperationId;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What the provider really did or will do with each attempt.
#[derive(Debug)]
struct Truth {
    coins: Vec<bool>,
    done: BTreeMap<(OperationId, u32), bool>,
}

impl Truth {
    fn new(coins: Vec<bool>) -> Self {
        Self {
            coins,
            done: BTreeMap::new(),
        }
    }

    fn of(&mut self, script: &Script, op: &Operation, attempt: &Attempt) -> bool {
        // Money that was taken is not released any more.
        let payment = script.state();
        let impossible = op.kind == OperationKind::Void
            && payment.authorized == payment.captured
            && payment.captured.minor() > 0;
        let next = self.done.len() % self.coins.len();
        let coin = self.coins[next] && !impossible;
        *self.done.entry((op.id, attempt.number)).or_insert(coin)
    }

    /// A void that was done leaves an authorization that nobody has confirmed without effect.
    fn settle_authorization(&mut self, script: &Script, op: &Operation) {
        let authorization = script.state().operations.first().unwrap();
        if op.kind == OperationKind::Void && authorization.is_unresolved() {
            self.done
                .insert((authorization.id, authorization.attempts), false);
        }
    }

    /// What can truly be said of an attempt: the end of it, or that nobody knows, or that the latest request never left.
    fn word(&mut self, script: &Script, op: &Operation, attempt: &Attempt, proposed: Word) -> Word {
        let done = self.of(script, op, attempt);
        let was_sent = attempt.state != AttemptState::Open;
        let said = match proposed {
            Word::Unknown { .. } | Word::Pending | Word::ActionRequired => proposed,
            Word::NotSent | Word::RateLimited | Word::Rejected if was_sent || !done => proposed,
            Word::Succeeded { .. }
            | Word::Declined
            | Word::Cancelled
            | Word::NotSent
            | Word::RateLimited
            | Word::Rejected => Self::end(done),
        };
        if matches!(said, Word::Succeeded { .. }) {
            self.settle_authorization(script, op);
        }
        said
    }

    fn end(done: bool) -> Word {
        if done {
            Word::Succeeded {
                transaction: 0,
                amount_off_minor: 0,
            }
        } else {
            Word::Declined
        }
    }

    fn sum(&self, script: &Script, kinds: &[OperationKind]) -> i128 {
        let operations = script
            .state()
            .operations
            .iter()
            .filter(|op| kinds.contains(&op.kind));
        operations
            .map(|op| op.amount.minor() * i128::try_from(self.times(op.id)).unwrap())
            .sum()
    }

    fn times(&self, operation: OperationId) -> usize {
        self.done
            .iter()
            .filter(|((id, _), done)| *id == operation && **done)
            .count()
    }
}

fn record(script: &mut Script, op: &Operation, number: u32, word: Word) {
    let outcome = word.outcome(script, op.id, number);
    let elsewhere = if number.is_multiple_of(2) { "a" } else { "b" };
    let command = super::super::Command::Record {
        operation: op.id,
        number,
        outcome,
        next: Some(plan(elsewhere, script.now)),
        reversal: script.next_reversal((op.id, number)),
    };
    script
        .decide(command)
        .expect("a word about an attempt that exists is heard");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_charged_twice_or_lost_and_nothing_waits_for_ever(
        mut script in payments(), coins in vec(any::<bool>(), 1..16), steps in vec(steps(), 0..80)
    ) {
        let mut truth = Truth::new(coins);
        let create = Step::Create(crate::risk::Action::Allow, "a").meet(&mut script).unwrap();
        script.decide(create).unwrap();
        for step in &steps {
            if matches!(step, Step::TakeBack(..)) {
                // Whoever undoes what it did is not truthful.
                continue;
            }
            if let Step::Record(operation, _, word) = step {
                let Some(op) = script.state().operation(*operation).cloned() else { continue };
                let Some(attempt) = op.attempt.clone() else { continue };
                let word = truth.word(&script, &op, &attempt, *word);
                record(&mut script, &op, attempt.number, word);
            } else if let Some(command) = step.meet(&mut script) {
                // A refusal is an answer too.
                drop(script.decide(command));
            }
        }
        let waiting: Vec<Operation> = script.state().unresolved().cloned().collect();
        for op in waiting {
            // What is declined goes on elsewhere, as long as there are attempts left.
            let open = |script: &Script| {
                let op = script.state().operation(op.id).filter(|op| op.is_unresolved())?;
                op.attempt.clone()
            };
            while let Some(attempt) = open(&script) {
                let end = truth.word(&script, &op, &attempt, Word::Declined);
                record(&mut script, &op, attempt.number, end);
            }
        }

        let payment = script.state();
        prop_assert_eq!(payment.unresolved().count(), 0);
        prop_assert!(!matches!(payment.status, Status::Processing | Status::RequiresAction(_)));
        prop_assert_eq!(payment.hold_debit_minor(), 0);
        prop_assert_eq!(payment.late_minor, 0, "a truthful provider closes nothing that it charged");
        for op in &payment.operations {
            prop_assert!(truth.times(op.id) <= 1, "done twice: {:?}", op);
        }
        let taken = truth.sum(&script, &[OperationKind::Sale, OperationKind::Capture]);
        prop_assert_eq!(payment.captured.minor(), taken);
        let reserving = [OperationKind::Sale, OperationKind::Authorize, OperationKind::Increment];
        prop_assert_eq!(payment.authorized.minor(), truth.sum(&script, &reserving));
        prop_assert_eq!(payment.refunded.minor(), truth.sum(&script, &[OperationKind::Refund]));
    }
}
