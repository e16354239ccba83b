//! What holds of every payment whatever is asked of it and whatever providers say, truth or nonsense.

use super::super::{Payment, evolve, evolve_all};
use super::random::{Step, payments, steps};
use super::script::{MERCHANT, PAYMENT, Script};
use crate::ids::Seq;
use crate::ledger::{AccountKey, AccountName, Books, consequences};
use crate::money::Currency;
use crate::risk::Action;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// A payment with its share of the books.
struct Life {
    script: Script,
    books: Books,
    providers: BTreeSet<AccountName>,
}

impl Life {
    fn begin(script: Script, action: Action) -> Self {
        let mut life = Self {
            script,
            books: Books::default(),
            providers: BTreeSet::new(),
        };
        life.live(&Step::Create(action, "a"));
        life
    }

    /// One step as the shell does it: decide, fold, post. Invariants are checked by the script.
    fn live(&mut self, step: &Step) {
        let Some(command) = step.meet(&mut self.script) else {
            return;
        };
        let before = self.script.payment.clone();
        let Ok(decision) = self.script.decide(command) else {
            return;
        };
        let after = self.script.state();
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
        assert_eq!(state(AccountName::FeeRevenue).posted.minor(), payment.fee_minor);
        let payable = state(AccountName::MerchantPayable(MERCHANT));
        assert_eq!(payable.posted.minor(), taken - payment.fee_minor);
        assert_eq!(payable.pending_credit_minor, payment.hold_credit_minor());
        assert_eq!(payable.pending_debit_minor, payment.hold_debit_minor());
        for total in self.books.trial_balance() {
            assert_eq!(total.debits_minor, total.credits_minor);
        }
    }
}

fn replayed(script: &Script) -> Option<Payment> {
    evolve_all(None, &script.events).unwrap()
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
    fn the_journal_replays_to_the_live_state_at_every_prefix(script in payments(), steps in vec(steps(), 0..40)) {
        let mut life = Life::begin(script, Action::Allow);
        for step in &steps {
            life.live(step);
            prop_assert_eq!(replayed(&life.script), life.script.payment.clone());
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
            if let Ok(after) = evolve(state.clone(), event) {
                prop_assert!(after.refunded <= after.captured && after.captured <= after.authorized);
                state = Some(after);
            }
        }
    }
}
