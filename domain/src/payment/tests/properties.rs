//! What holds of every payment whatever is asked of it and whatever providers say, truth or nonsense.

use super::super::{Booked, Command, Decision, Operation, OperationKind, Payment, evolve};
use super::random::{Step, payments, steps};
use super::script::{MERCHANT, PAYMENT, Script};
use crate::ids::Seq;
use crate::ledger::{AccountKey, AccountName, Books, FeeRecognition, PostingModel, consequences};
use crate::money::Currency;
use crate::risk::Action;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::ops::Range;

/// A payment with its share of the books.
pub(super) struct Life {
    pub(super) script: Script,
    pub(super) books: Books,
    providers: BTreeSet<AccountName>,
}

/// What is noted of the books.
fn noted(payment: &Payment) -> impl Iterator<Item = (&Operation, Booked)> {
    let operations = payment.operations.iter();
    operations.filter_map(|operation| Some((operation, operation.booked?)))
}

impl Life {
    pub(super) fn begin(script: Script, action: Action) -> Self {
        let mut life = Self {
            script,
            books: Books::default(),
            providers: BTreeSet::new(),
        };
        if !life.script.begins_as_draft {
            life.live(&Step::Create(action, "a"));
            return life;
        }
        life.live(&Step::Draft(action == Action::Review));
        // Whoever counts on a charge gets one; the others may change the draft first.
        if action == Action::Allow {
            life.live(&Step::Confirm(action, "a"));
        }
        life
    }

    /// One step as the shell does it: decide, fold, post. Invariants are checked by the script.
    fn live(&mut self, step: &Step) {
        if let Some(command) = step.meet(&mut self.script) {
            self.take(command);
        }
    }

    /// The same of a step in words; what is refused changes nothing.
    pub(super) fn tell(&mut self, step: &str) {
        let command = self.script.command(step);
        self.take(command);
    }

    fn take(&mut self, command: Command) {
        let before = self.script.payment.clone();
        let Ok(decision) = self.script.decide(command) else {
            return;
        };
        let after = self.script.state();
        let kept = |id| after.operation(id).and_then(|operation| operation.booked);
        let mut earlier = before.iter().flat_map(noted);
        assert!(
            earlier.all(|(operation, booked)| kept(operation.id) == Some(booked)),
            "what was booked changed"
        );
        let consequences = consequences(before.as_ref(), &decision.events, after).unwrap();
        self.books.hold(&consequences.holds).unwrap();
        if let Some(entry) = consequences.entry {
            let names = entry.postings().iter().map(|posting| posting.account.name);
            self.providers
                .extend(names.filter(|name| matches!(name, AccountName::ProviderClearing(_))));
            self.books.post(&PAYMENT.to_string(), &entry, Seq(1)).unwrap();
        }
        self.check_books();
    }

    fn check_books(&self) {
        let payment = self.script.state();
        let state = |name| {
            self.books.account(&AccountKey {
                name,
                currency: Currency::USD,
                livemode: payment.spec.livemode,
            })
        };
        let taken = payment.captured.minor() - payment.refunded.minor();
        let clearing: i128 = self
            .providers
            .iter()
            .map(|name| state(*name).posted.minor())
            .sum();
        assert_eq!(clearing, taken + payment.late_minor);
        assert_eq!(state(AccountName::Suspense).posted.minor(), payment.late_minor);
        let payable = state(AccountName::MerchantPayable(MERCHANT));
        let of = |name| state(name).posted.minor();
        let posted = [
            payable.posted.minor(),
            of(AccountName::FeeRevenue),
            of(AccountName::PaymentRevenue),
        ];
        let fee = payment.fee_minor;
        assert_eq!(payment.posting_profile, self.script.profile);
        let (expected, owes) = match (self.script.profile.posting, self.script.profile.fee_recognition) {
            (PostingModel::Marketplace, FeeRecognition::AtPayment) => ([taken - fee, fee, 0], true),
            (PostingModel::Marketplace, FeeRecognition::AtSettlement) => ([taken, 0, 0], true),
            (PostingModel::MerchantOfRecord, _) => ([0, 0, taken], false),
        };
        assert_eq!(posted, expected);
        let (mut booked_minor, mut booked_fee) = (0, 0);
        for (operation, booked) in noted(payment) {
            let minor = operation.amount.minor();
            let is_refund = operation.kind == OperationKind::Refund;
            booked_minor += if is_refund { -minor } else { minor };
            booked_fee += booked.fee_minor;
        }
        assert_eq!(
            (booked_minor, booked_fee),
            (taken, fee),
            "what is noted is what was posted"
        );
        let pending = if owes {
            (payment.hold_credit_minor(), payment.hold_debit_minor())
        } else {
            assert_eq!(fee, 0, "nobody owes a fee for what is our own sale");
            (0, 0)
        };
        assert_eq!(
            (payable.pending_credit_minor, payable.pending_debit_minor),
            pending
        );
        for total in self.books.trial_balance() {
            assert_eq!(total.debits_minor, total.credits_minor);
        }
    }
}

impl Script {
    pub(super) fn keep(&mut self, decision: &Decision) {
        self.events.extend(decision.events.iter().cloned());
        self.times.resize(self.events.len(), self.now);
    }

    /// All of it, read back.
    pub(super) fn replayed(&self) -> Option<Payment> {
        self.replayed_from(None, 0..self.events.len())
    }

    /// Some of it, read on from a state.
    pub(super) fn replayed_from(&self, state: Option<Payment>, part: Range<usize>) -> Option<Payment> {
        let events = self.events[part.clone()].iter().zip(&self.times[part]);
        events.fold(state, |state, (event, at)| {
            Some(evolve(state, event, *at).unwrap())
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn books_and_limits_hold_after_every_commit(
        script in payments(), review in any::<bool>(), steps in vec(steps(), 0..60)
    ) {
        let mut life = Life::begin(script, if review { Action::Review } else { Action::Allow });
        for step in &steps {
            life.live(step);
        }
    }

    #[test]
    fn an_authorized_payment_is_captured_and_refunded_within_limits(
        mut script in payments(), steps in vec(steps(), 0..60)
    ) {
        script.spec.capture_method = super::super::CaptureMethod::Manual;
        let mut life = Life::begin(script, Action::Allow);
        life.script.run("auth ok");
        let payment = life.script.payment.clone();
        prop_assert_eq!(payment.unwrap().hold_credit_minor(), life.script.spec.amount.minor());
        for step in &steps {
            life.live(step);
        }
    }

    #[test]
    fn a_full_refund_with_the_fee_returned_leaves_every_account_at_zero(
        mut script in payments(), captures in vec(1..=400_i128, 1..4), refunds in vec(1..=400_i128, 0..5)
    ) {
        script.spec.capture_method = super::super::CaptureMethod::Manual;
        script.spec.fee_return = super::super::FeeReturn::Returned;
        script.review = super::super::ReviewMode::BeforeAuth;
        let mut life = Life::begin(script, Action::Allow);
        life.tell("auth ok");
        for (id, minor) in captures.iter().enumerate() {
            life.tell(&format!("capture {id} {minor}"));
            life.tell(&format!("cap{id} ok"));
        }
        for (id, minor) in refunds.iter().map(ToString::to_string).chain(["all".to_owned()]).enumerate() {
            life.tell(&format!("refund {id} {minor}"));
            life.tell(&format!("ref{id} ok"));
        }
        life.tell("void 9");
        life.tell("void9 ok");
        let payment = life.script.state();
        prop_assert!(payment.captured.minor() > 0);
        prop_assert_eq!((payment.refunded, payment.fee_minor), (payment.captured, 0));
        for (key, state) in life.books.accounts() {
            prop_assert_eq!(
                (state.posted.minor(), state.pending_credit_minor, state.pending_debit_minor),
                (0, 0, 0),
                "{}", key
            );
        }
    }

    #[test]
    fn the_journal_replays_to_the_live_state_at_every_prefix(script in payments(), steps in vec(steps(), 0..40)) {
        let mut life = Life::begin(script, Action::Allow);
        for step in &steps {
            life.live(step);
            prop_assert_eq!(life.script.replayed(), life.script.payment.clone());
        }
    }

    #[test]
    fn events_in_the_wrong_place_are_refused_or_keep_the_sums_in_order(
        script in payments(), steps in vec(steps(), 0..40), picks in vec(any::<prop::sample::Index>(), 0..40)
    ) {
        let mut life = Life::begin(script, Action::Allow);
        for step in &steps {
            life.live(step);
        }
        let mut state = None;
        for pick in picks {
            let event = pick.get(&life.script.events);
            if let Ok(after) = evolve(state.clone(), event, life.script.now) {
                prop_assert!(after.refunded <= after.captured && after.captured <= after.authorized);
                state = Some(after);
            }
        }
    }
}
