//! Owns the comparison of a payment as a view shows it with the payment as its commits make it.

use super::Difference;
use crate::ids::Seq;
use crate::payment::Payment;

/// What a sum is called, and where it is.
type Sum = (&'static str, fn(&Payment) -> i128);

/// The first thing in which a row differs from the payment that its commits come to; both are as of commit `seq`.
pub fn differing_row(folded: &Payment, shown: &Payment, seq: Seq) -> Option<Difference> {
    if folded == shown {
        return None;
    }
    let id = folded.id();
    let words = [
        ("id", folded.id().to_string(), shown.id().to_string()),
        (
            "status",
            folded.status.as_str().to_owned(),
            shown.status.as_str().to_owned(),
        ),
        (
            "currency",
            folded.spec.currency.code().to_owned(),
            shown.spec.currency.code().to_owned(),
        ),
    ];
    let of_words = words
        .into_iter()
        .find(|(_, folded, shown)| folded != shown)
        .map(|(figure, folded, shown)| Difference::of_words(&id, figure, (folded, shown), seq));
    let sums: [Sum; 6] = [
        ("amount", |payment| payment.spec.amount.minor()),
        ("authorized", |payment| payment.authorized.minor()),
        ("captured", |payment| payment.captured.minor()),
        ("refunded", |payment| payment.refunded.minor()),
        ("fee", |payment| payment.fee_minor),
        ("late", |payment| payment.late_minor),
    ];
    let of_sums = || {
        let mut sums = sums.into_iter();
        sums.find_map(|(figure, of)| Difference::of_minor(&id, figure, (of(folded), of(shown)), seq))
    };
    let of_rest = || {
        let both = ("as its commits say".to_owned(), "something else".to_owned());
        Difference::of_words(&id, "record", both, seq)
    };
    Some(of_words.or_else(of_sums).unwrap_or_else(of_rest))
}
