//! Worked examples of what sales, captures and refunds post.

use super::*;
use crate::idempotency::{Fingerprint, IdempotencyKey, KeyDigest};
use crate::ids::OperationId;
use crate::ids::{CaptureId, PaymentId, RefundId, Seq};
use crate::limits::Lifetimes;
use crate::method::PaymentMethod;
use crate::money::FeeSchedule;
use crate::payment::{
    AttemptPlan, CaptureMethod, Command, DeclinePolicy, Device, FeeReturn, Payment, ReviewMode, Spec, decide,
    evolve_all,
};
use crate::provider::Outcome;
use crate::risk::{Action, Assessment};
use crate::time::Timestamp;
use std::sync::Arc;

const MERCHANT: AccountName = AccountName::MerchantPayable(MerchantId::from_bits(7));
const NOW: Timestamp = Timestamp::from_unix_ms(1_000);

/// A payment and the last entry that it made.
struct Till {
    payment: Option<Payment>,
    entry: Option<Entry>,
    holds: Vec<HoldChange>,
}

fn plan() -> AttemptPlan {
    AttemptPlan {
        provider: provider("stripe"),
        key: "key".into(),
        deadline: NOW,
        route: None,
    }
}

impl Till {
    /// Creates a payment of `minor` at 2.9 % + 0.30 and lets the provider approve it.
    fn approved(minor: i128, capture_method: CaptureMethod, fee_return: FeeReturn) -> Self {
        Self::approved_in(false, minor, capture_method, fee_return)
    }

    fn approved_in(
        livemode: bool,
        minor: i128,
        capture_method: CaptureMethod,
        fee_return: FeeReturn,
    ) -> Self {
        let profile = PostingProfile::default();
        Self::booked(profile, livemode, minor, (capture_method, fee_return))
    }

    fn booked(
        profile: PostingProfile,
        livemode: bool,
        minor: i128,
        (capture_method, fee_return): (CaptureMethod, FeeReturn),
    ) -> Self {
        let spec = Spec {
            id: PaymentId::from_bits(1),
            merchant: MerchantId::from_bits(7),
            livemode,
            key: IdempotencyKey::parse("k").unwrap(),
            key_digest: KeyDigest([0; 16]),
            fingerprint: Fingerprint([0; 16]),
            amount: amount(minor),
            currency: Currency::USD,
            capture_method,
            after_decline: DeclinePolicy::Fail,
            customer: None,
            description: None,
            metadata: Vec::new(),
            return_url: None,
            device: Device::default(),
            fee: FeeSchedule::new(290, "0.30".parse().unwrap()).unwrap(),
            fee_return,
            routing: crate::routing::Wishes::default(),
            off_session: false,
            created_at: NOW,
        };
        let authorization = OperationId::Authorize(spec.id);
        let mut till = Self {
            payment: None,
            entry: None,
            holds: Vec::new(),
        };
        till.take(Command::Create {
            spec: Arc::new(spec),
            method: PaymentMethod::test("pm_card_visa").unwrap(),
            assessment: Assessment {
                score_bps: 0,
                action: Action::Allow,
                reasons: Vec::new(),
                listed: None,
            },
            review: ReviewMode::BeforeAuth,
            plan: plan(),
            barred: None,
            profile,
        });
        let expected = HoldChange {
            account: in_mode(livemode, MERCHANT),
            credit_delta_minor: minor,
            debit_delta_minor: 0,
        };
        let owes = profile.posting == PostingModel::Marketplace;
        assert_eq!(till.holds, Vec::from_iter(owes.then_some(expected)));
        assert_eq!(till.entry, None, "nothing is posted before money moved");
        till.approve(authorization);
        till
    }

    fn take(&mut self, command: Command) {
        let decision = decide(self.payment.as_ref(), command, &Lifetimes::STANDARD, NOW).unwrap();
        let after = evolve_all(self.payment.clone(), &decision.events, NOW)
            .unwrap()
            .unwrap();
        let Consequences { holds, entry } =
            consequences(self.payment.as_ref(), &decision.events, &after).unwrap();
        *self = Self {
            payment: Some(after),
            entry,
            holds,
        };
    }

    fn approve(&mut self, operation: OperationId) {
        let amount_minor = self
            .payment
            .as_ref()
            .unwrap()
            .operation(operation)
            .unwrap()
            .amount
            .minor();
        let outcome = Outcome::Succeeded {
            reference: "pi_1".into(),
            transaction: "ch_1".into(),
            amount_minor,
        };
        self.take(Command::Record {
            operation,
            number: 1,
            outcome,
            next: None,
            reversal: None,
        });
    }

    fn capture(&mut self, id: u128, minor: i128) {
        let (id, amount) = (CaptureId::from_bits(id), Some(amount(minor)));
        self.take(Command::Capture {
            id,
            amount,
            is_final: false,
            plan: plan(),
        });
        self.approve(OperationId::Capture(id));
    }

    fn refund(&mut self, id: u128, minor: i128) {
        let (id, amount) = (RefundId::from_bits(id), Some(amount(minor)));
        self.take(Command::Refund {
            id,
            amount,
            reason: None,
            plan: plan(),
        });
        self.approve(OperationId::Refund(id));
    }

    /// Debits above zero and credits below, of clearing, payable and fee revenue.
    fn posted(&self) -> [i128; 3] {
        let postings = self.entry.as_ref().map_or(&[][..], Entry::postings);
        [
            AccountName::ProviderClearing(provider("stripe")),
            MERCHANT,
            AccountName::FeeRevenue,
        ]
        .map(|name| {
            let own = postings.iter().filter(|posting| posting.account == usd(name));
            own.map(|p| {
                if p.side == Side::Debit {
                    p.amount.minor()
                } else {
                    -p.amount.minor()
                }
            })
            .sum()
        })
    }

    fn fee_minor(&self) -> i128 {
        self.payment.as_ref().unwrap().fee_minor
    }
}

fn in_mode(livemode: bool, name: AccountName) -> AccountKey {
    AccountKey {
        livemode,
        ..usd(name)
    }
}

fn sold(minor: i128, fee_return: FeeReturn) -> Till {
    Till::approved(minor, CaptureMethod::Automatic, fee_return)
}

#[test]
fn a_sale_credits_the_merchant_with_the_net_and_revenue_with_the_fee() {
    let till = sold(10_000, FeeReturn::Kept);
    assert_eq!(till.posted(), [10_000, -9_680, -320]);
    assert_eq!(
        till.holds,
        [HoldChange {
            account: usd(MERCHANT),
            credit_delta_minor: -10_000,
            debit_delta_minor: 0
        }]
    );
}

#[test]
fn a_sale_smaller_than_its_fee_debits_the_merchant() {
    assert_eq!(sold(1, FeeReturn::Kept).posted(), [1, 29, -30]);
}

#[test]
fn a_sale_that_is_all_fee_leaves_the_merchant_out() {
    // 2.9 % of 31 is 0.899, with 30 the whole of 31.
    let till = sold(31, FeeReturn::Kept);
    assert_eq!(
        (till.posted(), till.entry.unwrap().postings().len()),
        ([31, 0, -31], 2)
    );
}

#[test]
fn an_authorization_posts_nothing_and_two_captures_charge_the_fixed_part_once() {
    let mut till = Till::approved(10_000, CaptureMethod::Manual, FeeReturn::Kept);
    assert_eq!(
        (till.entry.clone(), till.holds.clone()),
        (None, Vec::new()),
        "the hold stands"
    );
    till.capture(1, 4_000);
    assert_eq!(till.posted(), [4_000, -(4_000 - 146), -146]);
    till.capture(2, 6_000);
    assert_eq!(till.posted(), [6_000, -(6_000 - 174), -174]);
    assert_eq!(till.fee_minor(), 320);
    assert_eq!(
        till.holds,
        [HoldChange {
            account: usd(MERCHANT),
            credit_delta_minor: -6_000,
            debit_delta_minor: 0
        }]
    );
}

#[test]
fn a_refund_with_the_fee_kept_costs_the_merchant_all_of_it() {
    let mut till = sold(10_000, FeeReturn::Kept);
    till.refund(1, 10_000);
    assert_eq!(till.posted(), [-10_000, 10_000, 0]);
    assert_eq!(till.fee_minor(), 320);
    assert_eq!(
        till.holds,
        [HoldChange {
            account: usd(MERCHANT),
            credit_delta_minor: 0,
            debit_delta_minor: -10_000
        }]
    );
}

#[test]
fn refunds_with_the_fee_returned_give_back_exactly_the_fee_in_the_end() {
    let mut till = sold(10_000, FeeReturn::Returned);
    till.refund(1, 3_333);
    assert_eq!(till.posted(), [-3_333, 3_333 - 106, 106]);
    till.refund(2, 3_333);
    assert_eq!(till.posted(), [-3_333, 3_333 - 106, 106]);
    till.refund(3, 3_334);
    assert_eq!(till.posted(), [-3_334, 3_334 - 108, 108]);
    assert_eq!(till.fee_minor(), 0);
}

fn booked(posting: PostingModel, fee_recognition: FeeRecognition) -> Till {
    let profile = PostingProfile {
        posting,
        fee_recognition,
    };
    Till::booked(
        profile,
        false,
        10_000,
        (CaptureMethod::Automatic, FeeReturn::Kept),
    )
}

#[test]
fn a_fee_at_settlement_leaves_the_merchant_the_gross_until_then() {
    let mut till = booked(PostingModel::Marketplace, FeeRecognition::AtSettlement);
    assert_eq!((till.posted(), till.fee_minor()), ([10_000, -10_000, 0], 320));
    assert_eq!(
        till.holds.len(),
        1,
        "the money is there now, and not expected any more"
    );
    till.refund(1, 4_000);
    assert_eq!(till.posted(), [-4_000, 4_000, 0]);
    assert_eq!(till.fee_minor(), 320, "which the settlement takes");
}

#[test]
fn what_is_our_own_sale_is_revenue_and_owed_to_nobody() {
    let mut till = booked(PostingModel::MerchantOfRecord, FeeRecognition::AtPayment);
    let clearing = usd(AccountName::ProviderClearing(provider("stripe")));
    let revenue = usd(AccountName::PaymentRevenue);
    assert_eq!(
        till.entry.as_ref().unwrap().postings(),
        [debit(clearing, 10_000), credit(revenue, 10_000)]
    );
    assert_eq!((till.holds.clone(), till.fee_minor()), (Vec::new(), 0));
    till.refund(1, 2_500);
    assert_eq!(
        till.entry.as_ref().unwrap().postings(),
        [credit(clearing, 2_500), debit(revenue, 2_500)]
    );
    assert_eq!(till.holds, []);
}

#[test]
fn a_payment_that_has_begun_keeps_its_profile() {
    let till = booked(PostingModel::Marketplace, FeeRecognition::AtSettlement);
    let profile = PostingProfile::default();
    let chosen = evolve_all(
        till.payment,
        &[crate::payment::Event::PostingProfileChosen { profile }],
        NOW,
    );
    assert_eq!(chosen.unwrap_err().why, "the payment has begun");
}

/// What payments post is what their profile's templates make of the same amounts.
#[test]
fn payments_are_booked_by_the_templates_of_their_profile() {
    let clearing = usd(AccountName::ProviderClearing(provider("stripe")));
    let account = |role: &str| match role {
        "customer" => clearing,
        "merchant_receivable" => usd(MERCHANT),
        "platform_fee" => usd(AccountName::FeeRevenue),
        "suspense" => usd(AccountName::Suspense),
        "payment_revenue" => usd(AccountName::PaymentRevenue),
        role => panic!("no payment has a {role}"),
    };
    let lines = |postings: &[Posting]| {
        let key = |posting: &Posting| (posting.account, posting.side == Side::Debit, posting.amount);
        let mut lines: Vec<_> = postings.iter().map(key).collect();
        lines.sort_unstable();
        lines
    };
    for (posting, fee_recognition) in [
        (PostingModel::Marketplace, FeeRecognition::AtPayment),
        (PostingModel::Marketplace, FeeRecognition::AtSettlement),
        (PostingModel::MerchantOfRecord, FeeRecognition::AtPayment),
    ] {
        let mut till = booked(posting, fee_recognition);
        let profile = till.payment.as_ref().unwrap().posting_profile;
        let filled = |stage, gross: i128, fee: i128| {
            let life = profile.life();
            let template = *life.iter().find(|one| one.terms().stage == Some(stage)).unwrap();
            let terms = template.terms();
            let accounts: Vec<_> = terms
                .roles
                .iter()
                .map(|(role, _)| (&**role, account(role)))
                .collect();
            let amount = |(name, measure): &(Arc<str>, Measure)| {
                (
                    name.to_string(),
                    if *measure == Measure::Fee { fee } else { gross },
                )
            };
            let amounts: Vec<_> = terms.parameters.iter().map(amount).collect();
            let amounts: Vec<_> = amounts
                .iter()
                .map(|(name, minor)| (name.as_str(), *minor))
                .collect();
            match template.fill(&accounts, &amounts).unwrap() {
                TransferLegs::Pair {
                    debit: from,
                    credit: to,
                    amount,
                } => vec![debit(from, amount.minor()), credit(to, amount.minor())],
                TransferLegs::Many(postings) => postings,
                TransferLegs::OfPending(_) | TransferLegs::Irreversible(_) => {
                    panic!("a template names accounts")
                }
            }
        };
        let posted = |till: &Till| lines(till.entry.as_ref().unwrap().postings());
        assert_eq!(posted(&till), lines(&filled(Stage::Payment, 10_000, 320)));
        till.refund(1, 2_500);
        assert_eq!(posted(&till), lines(&filled(Stage::Refund, 2_500, 0)));
        let outcome = Outcome::Succeeded {
            reference: "pi_1".into(),
            transaction: "ch_2".into(),
            amount_minor: 10_000,
        };
        let operation = till.payment.as_ref().unwrap().authorize_id();
        till.take(Command::Record {
            operation,
            number: 1,
            outcome,
            next: None,
            reversal: None,
        });
        assert_eq!(posted(&till), lines(&filled(Stage::LateCharge, 10_000, 0)));
    }
}

#[test]
fn a_live_and_a_test_sale_of_one_merchant_leave_separate_balances() {
    let mut books = Books::default();
    for (livemode, minor, seq) in [(false, 10_000, 1), (true, 2_000, 2), (false, 500, 3)] {
        let till = Till::approved_in(livemode, minor, CaptureMethod::Automatic, FeeReturn::Kept);
        books.post("t", &till.entry.unwrap(), Seq(seq)).unwrap();
    }
    let balances = |livemode| {
        [
            AccountName::ProviderClearing(provider("stripe")),
            MERCHANT,
            AccountName::FeeRevenue,
        ]
        .map(|name| books.account(&in_mode(livemode, name)).posted.minor())
    };
    // 2.9 % of 500 is 14.5, rounded half to even.
    assert_eq!(balances(false), [10_500, 9_680 + 456, 320 + 44]);
    assert_eq!(balances(true), [2_000, 1_912, 88]);
    let row = |livemode, minor| CurrencyTotal {
        currency: Currency::USD,
        livemode,
        debits_minor: minor,
        credits_minor: minor,
    };
    assert_eq!(books.trial_balance(), [row(false, 10_500), row(true, 2_000)]);
}
