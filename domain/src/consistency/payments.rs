//! Owns the comparison of a payment with what its commits posted and reserved.

use super::{Difference, apart};
use crate::commit::PaymentCommit;
use crate::ids::{PaymentId, Seq};
use crate::ledger::{
    AccountName, FeeRecognition, HoldChange, Line, PostedEntry, PostingModel, PostingProfile, Side,
};
use crate::payment::{Payment, Status, follow_shared};
use crate::time::Timestamp;
use std::sync::Arc;

/// What commits posted, in minor units: clearing in debits, all else in credits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Posted {
    clearing: i128,
    payable: i128,
    fees: i128,
    revenue: i128,
    suspense: i128,
    /// Of `suspense`, what fitted no account when money had moved already.
    diverted: i128,
    /// On accounts that are none of the payment's.
    elsewhere: i128,
    hold_credit: i128,
    hold_debit: i128,
}

/// A payment and what its commits posted, up to one of them.
#[derive(Clone, Debug)]
pub struct PaymentTrace {
    id: PaymentId,
    payment: Option<Arc<Payment>>,
    posted: Posted,
    seq: Seq,
    broken: Option<Difference>,
}

impl PaymentTrace {
    /// Before its first commit.
    pub fn new(id: PaymentId) -> Self {
        Self {
            id,
            payment: None,
            posted: Posted::default(),
            seq: Seq::ZERO,
            broken: None,
        }
    }

    /// The last commit followed.
    pub const fn seq(&self) -> Seq {
        self.seq
    }

    /// The payment, unless its events contradict each other.
    pub fn into_payment(self) -> Option<Arc<Payment>> {
        self.payment.filter(|_| self.broken.is_none())
    }

    /// Follows its next commit.
    pub fn follow(&mut self, (seq, at): (Seq, Timestamp), body: &PaymentCommit) {
        if self.broken.is_some() {
            return;
        }
        if body.prev != self.seq || body.payment != self.id {
            let both = (self.seq.to_string(), body.prev.to_string());
            self.broken = Some(Difference::of_words(&self.id, "commit before", both, seq));
            return;
        }
        self.seq = seq;
        let late = self.payment.as_ref().map_or(0, |payment| payment.late_minor);
        if let Err(error) = follow_shared(&mut self.payment, &body.events, at) {
            let both = ("events that can follow".to_owned(), error.to_string());
            self.broken = Some(Difference::of_words(&self.id, "events", both, seq));
            self.payment = None;
            return;
        }
        let is_late = self.payment.as_ref().map_or(0, |payment| payment.late_minor) != late;
        for hold in &body.holds {
            self.hold(hold);
        }
        if let Some(entry) = &body.entry {
            self.post(entry, is_late);
        }
    }

    fn is_own(&self, line: &Line) -> bool {
        let account = &line.posting.account;
        let is_own = |payment: &Arc<Payment>| {
            (account.currency, account.livemode) == (payment.spec.currency, payment.spec.livemode)
        };
        self.payment.as_ref().is_some_and(is_own)
    }

    fn post(&mut self, entry: &PostedEntry, is_late: bool) {
        let mut in_suspense = 0_i128;
        for line in entry.lines() {
            let posting = &line.posting;
            let amount = posting.amount.minor();
            let (debit, credit) = match posting.side {
                Side::Debit => (amount, amount.saturating_neg()),
                Side::Credit => (amount.saturating_neg(), amount),
            };
            let merchant = self.payment.as_ref().map(|payment| payment.spec.merchant);
            let is_own = self.is_own(line);
            let posted = &mut self.posted;
            let (sum, moved) = match posting.account.name {
                AccountName::ProviderClearing(_) if is_own => (&mut posted.clearing, debit),
                AccountName::MerchantPayable(id) if is_own && merchant == Some(id) => {
                    (&mut posted.payable, credit)
                }
                AccountName::FeeRevenue if is_own => (&mut posted.fees, credit),
                AccountName::PaymentRevenue if is_own => (&mut posted.revenue, credit),
                AccountName::Suspense if is_own => {
                    in_suspense = in_suspense.saturating_add(credit);
                    (&mut posted.suspense, credit)
                }
                AccountName::ProviderClearing(_)
                | AccountName::MerchantPayable(_)
                | AccountName::FeeRevenue
                | AccountName::Suspense
                | AccountName::ProcessingFees
                | AccountName::Bank
                | AccountName::Rounding
                | AccountName::PaymentRevenue
                | AccountName::RefundsPayable
                | AccountName::Chargebacks
                | AccountName::Equity
                | AccountName::ShardClearing
                | AccountName::General(_) => (&mut posted.elsewhere, amount),
            };
            *sum = sum.saturating_add(moved);
        }
        // What a charge brought is booked against suspense as a whole if it fits no account; nothing else goes there but what is late.
        if !is_late && entry.lines().len() == 2 {
            self.posted.diverted = self.posted.diverted.saturating_add(in_suspense);
        }
    }

    fn hold(&mut self, change: &HoldChange) {
        let posted = &mut self.posted;
        posted.hold_credit = posted.hold_credit.saturating_add(change.credit_delta_minor);
        posted.hold_debit = posted.hold_debit.saturating_add(change.debit_delta_minor);
        let is_own = self.payment.as_ref().is_some_and(|payment| {
            let spec = &payment.spec;
            let account = &change.account;
            account.name == AccountName::MerchantPayable(spec.merchant)
                && (account.currency, account.livemode) == (spec.currency, spec.livemode)
        });
        if !is_own {
            let stray =
                apart(change.credit_delta_minor, 0).saturating_add(apart(change.debit_delta_minor, 0));
            posted.elsewhere = posted.elsewhere.saturating_add(stray);
        }
    }

    /// Everything about it that does not fit together.
    pub fn differences(&self) -> Vec<Difference> {
        if let Some(broken) = &self.broken {
            return vec![broken.clone()];
        }
        let Some(payment) = &self.payment else {
            return Vec::new();
        };
        let sums = self.sums(payment).into_iter();
        let of_sums =
            sums.filter_map(|(figure, both)| Difference::of_minor(&self.id, figure, both, self.seq));
        let of_state = illegal(payment).map(|(expected, found)| {
            Difference::of_words(&self.id, "state", (expected.to_owned(), found), self.seq)
        });
        of_sums.chain(of_state).collect()
    }

    /// What the payment comes to, and what was posted for it.
    fn sums(&self, payment: &Payment) -> Vec<(&'static str, (i128, i128))> {
        let posted = &self.posted;
        let taken = payment.captured.minor().saturating_sub(payment.refunded.minor());
        let (fee, late) = (payment.fee_minor, payment.late_minor);
        // Nothing is expected for a merchant to whom nothing is owed.
        let holds = match payment.posting_profile.posting {
            PostingModel::Marketplace => (payment.hold_credit_minor(), payment.hold_debit_minor()),
            PostingModel::MerchantOfRecord => (0, 0),
        };
        let mut sums = vec![
            ("provider clearing", (taken.saturating_add(late), posted.clearing)),
            (
                "suspense",
                (late.saturating_add(posted.diverted), posted.suspense),
            ),
            ("postings elsewhere", (0, posted.elsewhere)),
            ("expected credits", (holds.0, posted.hold_credit)),
            ("expected debits", (holds.1, posted.hold_debit)),
        ];
        if posted.diverted == 0 {
            let [payable, fees, revenue] = shares(payment.posting_profile, taken, fee);
            sums.push(("merchant payable", (payable, posted.payable)));
            sums.push(("fee revenue", (fees, posted.fees)));
            sums.push(("payment revenue", (revenue, posted.revenue)));
        } else {
            // How the diverted part would have been shared is not recorded.
            let shared = taken.saturating_sub(posted.diverted);
            let posted = posted
                .payable
                .saturating_add(posted.fees)
                .saturating_add(posted.revenue);
            sums.push(("merchant payable, fee and payment revenue", (shared, posted)));
        }
        sums
    }
}

/// Who gets what of the money taken: the merchant, our fees, our sales.
const fn shares(profile: PostingProfile, taken: i128, fee: i128) -> [i128; 3] {
    match (profile.posting, profile.fee_recognition) {
        (PostingModel::Marketplace, FeeRecognition::AtPayment) => [taken.saturating_sub(fee), fee, 0],
        (PostingModel::Marketplace, FeeRecognition::AtSettlement) => [taken, 0, 0],
        (PostingModel::MerchantOfRecord, _) => [0, 0, taken],
    }
}

/// What the payment may not be, whatever was posted for it.
fn illegal(payment: &Payment) -> Option<(&'static str, String)> {
    let (authorized, captured, refunded) = (
        payment.authorized.minor(),
        payment.captured.minor(),
        payment.refunded.minor(),
    );
    let sums = || format!("authorized {authorized}, captured {captured}, refunded {refunded}");
    if refunded > captured {
        return Some(("refunded at most what was captured", sums()));
    }
    if captured > authorized {
        return Some(("captured at most what was authorized", sums()));
    }
    if payment.fee_minor < 0 {
        return Some(("a fee of at least zero", payment.fee_minor.to_string()));
    }
    let status = payment.status.as_str();
    match &payment.status {
        Status::RequiresPaymentMethod
        | Status::RequiresConfirmation
        | Status::Failed
        | Status::Blocked
        | Status::Voided => {
            (captured > 0).then(|| ("nothing captured", format!("{status} with {captured} captured")))
        }
        Status::Succeeded => {
            (captured == 0).then(|| ("something captured", format!("{status} with nothing captured")))
        }
        Status::RequiresAction(_) | Status::InReview { .. } | Status::Processing | Status::Authorized => None,
    }
}
