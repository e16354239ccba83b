//! Closing a charge that may have been made, whatever is heard of it in whatever order.

use super::properties::Life;
use super::script::{Script, check, operation_id};
use crate::risk::Action;
use proptest::prelude::*;
use proptest::sample::Index;

/// The charge, the closing that ended it, and the closing that did not.
const MADE: &str = "auth hear ok=ch_x";
const CLOSED: &str = "auth back c 1000 cancelled=ch_x";
const NOT_CLOSED: &str = "auth not-closed";

#[test]
fn that_a_closing_is_asked_for_is_journaled_once_and_only_for_what_may_charge() {
    let asked = "attempt.closing_asked => processing";
    check(&[
        ("create sale; auth unknown", "auth close", asked),
        ("create sale", "auth close", asked),
        ("create sale; auth pending", "auth close", asked),
        (
            "create sale; auth action",
            "auth close",
            "attempt.closing_asked => requires_action",
        ),
        (
            "create sale; auth unknown; auth close",
            "auth close",
            "nothing => processing",
        ),
        ("create sale; auth ok", "auth close", "nothing => succeeded"),
        ("create sale; auth declined", "auth close", "nothing => failed"),
        (
            "create auth; auth ok; capture 1 all; cap1 unknown",
            "cap1 close",
            "nothing => authorized",
        ),
    ]);
}

#[test]
fn a_success_that_may_be_older_than_the_closing_is_no_evidence_before_that_ended() {
    let closing = "create sale; auth unknown; auth close";
    let told = "create sale; auth unknown; auth close; auth hear ok=ch_x";
    check(&[
        (closing, MADE, "attempt.told_made => processing"),
        (told, MADE, "nothing => processing"),
        (
            told,
            CLOSED,
            "attempt.cancelled attempt.transaction_closed => requires_confirmation",
        ),
        (
            told,
            NOT_CLOSED,
            "attempt.closing_refused attempt.succeeded => succeeded",
        ),
        (closing, NOT_CLOSED, "attempt.closing_refused => processing"),
        (
            "create sale; auth unknown; auth close; auth not-closed",
            MADE,
            "attempt.succeeded => succeeded",
        ),
        // A refusal is final at any time, and so is what is asked for only now.
        (closing, "auth hear declined", "attempt.declined => failed"),
        (closing, "auth ok", "attempt.succeeded => succeeded"),
        // A challenge would lead the customer to a closed door.
        (closing, "auth hear action", "attempt.unknown => processing"),
        (closing, "auth hear pending", "attempt.unknown => processing"),
        (
            "create sale; auth action; auth close",
            "auth hear action",
            "nothing => requires_action",
        ),
        (
            closing,
            "auth hear wrong",
            "attempt.unknown !amount_mismatch => processing",
        ),
        (
            told,
            "auth hear ok=ch_y",
            "attempt.unknown !two_charges => processing",
        ),
        (
            told,
            "auth back c 1000 cancelled=ch_y",
            "attempt.unknown !two_charges => processing",
        ),
        (
            "create sale; auth action; auth close",
            "auth hear unknown",
            "nothing => requires_action",
        ),
        // Without a closing everything is as it ever was.
        (
            "create sale; auth unknown",
            MADE,
            "attempt.succeeded => succeeded",
        ),
        ("create sale; auth unknown", NOT_CLOSED, "nothing => processing"),
    ]);
}

#[test]
fn hearing_only_now_that_a_closed_charge_was_made_moves_nothing() {
    let closed = "create sale; auth unknown; auth close; auth back c 1000 cancelled=ch_x";
    let void = format!("pi_{}_1", operation_id("void1"));
    let made = format!("auth hear ok={void}");
    check(&[
        (closed, MADE, "nothing => requires_confirmation"),
        (closed, CLOSED, "nothing => requires_confirmation"),
        // One that people gave up for dead, and that is closed later.
        (
            "create sale; auth unknown; auth declined",
            CLOSED,
            "attempt.transaction_closed => failed",
        ),
        (
            "create sale; auth unknown; auth declined; auth back c 1000 cancelled=ch_x",
            MADE,
            "nothing => failed",
        ),
        // What a void released.
        (
            "create auth; auth action; void 1; void1 ok",
            &made,
            "nothing => voided",
        ),
        // Another charge is another charge.
        (
            closed,
            "auth hear ok=ch_y",
            "attempt.late_success reversal.opened attempt.planned !late_success => requires_confirmation",
        ),
        (
            "create auth; auth action; void 1; void1 ok",
            MADE,
            "attempt.late_success reversal.opened attempt.planned !late_success => voided",
        ),
    ]);
    let script = Script::after(&format!("{closed}; {MADE}"));
    assert_eq!(script.state().late_minor, 0);
}

#[test]
fn an_abandoned_challenge_is_left_to_people_and_still_ends_by_the_providers_word() {
    let abandoned = "create sale; auth action; auth close; auth give-up";
    let given_up = "attempt.unknown !challenge_unresolved => processing";
    check(&[
        ("create sale; auth action; auth close", "auth give-up", given_up),
        // Nobody was asked to close it: that comes first.
        (
            "create sale; auth action",
            "auth give-up",
            "nothing => requires_action",
        ),
        (abandoned, "auth give-up", "nothing => processing"),
        (abandoned, "auth unknown", "nothing => processing"),
        // It ends as a challenge does that nobody passed.
        (abandoned, "auth cancelled", "attempt.declined => failed"),
        (
            abandoned,
            CLOSED,
            "attempt.declined attempt.transaction_closed => failed",
        ),
        (
            "create sale; auth action; auth close; auth give-up; auth hear ok=ch_x",
            CLOSED,
            "attempt.declined attempt.transaction_closed => failed",
        ),
        (
            "create sale; auth action; auth close; auth give-up; auth hear ok=ch_x",
            NOT_CLOSED,
            "attempt.closing_refused attempt.succeeded => succeeded",
        ),
    ]);
}

/// What was asked for, all that is said of it by itself, and how it ends.
const TOLD: [(&str, &[&str], &str); 10] = [
    ("auth unknown", &[MADE], "succeeded"),
    ("auth unknown", &["auth hear declined"], "failed"),
    ("auth unknown; auth close", &[MADE, NOT_CLOSED], "succeeded"),
    (
        "auth unknown; auth close",
        &[MADE, CLOSED],
        "requires_confirmation",
    ),
    (
        "auth unknown; auth close",
        &["auth hear declined", NOT_CLOSED],
        "failed",
    ),
    ("auth action; auth close", &[MADE, CLOSED], "failed"),
    ("auth action; auth close", &[MADE, NOT_CLOSED], "succeeded"),
    ("auth action; auth close; auth give-up", &[MADE, CLOSED], "failed"),
    (
        "auth ok=ch_x; refund 1 300; ref1 pending; refund 2 200; ref2 pending",
        &[MADE, "ref1 hear ok", "ref2 hear declined"],
        "succeeded",
    ),
    (
        "auth ok=ch_x; refund 1 300; ref1 pending; refund 2 700; ref2 pending",
        &[MADE, "ref1 hear ok", "ref2 hear ok"],
        "succeeded",
    ),
];

fn told(
    given: &'static str,
    words: impl Iterator<Item = &'static str>,
) -> (String, [i128; 5], usize, Vec<i128>) {
    let mut life = Life::begin(Script::new(), Action::Allow);
    life.script.run("later 1");
    for step in given.split(';').chain(words) {
        life.tell(step.trim());
    }
    let payment = life.script.state();
    let sums = [
        payment.authorized.minor(),
        payment.captured.minor(),
        payment.refunded.minor(),
        payment.fee_minor,
        payment.late_minor,
    ];
    let late = payment.operations.iter().map(|op| op.late.len()).sum();
    let posted = life.books.accounts().map(|(_, account)| account.posted.minor());
    let posted = posted.filter(|minor| *minor != 0).collect();
    (payment.status.as_str().to_owned(), sums, late, posted)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn any_order_and_any_number_of_the_same_notices_give_the_same_payment_and_the_same_books(
        scenario in any::<Index>(),
        early in proptest::collection::vec(any::<Index>(), 0..8),
        order in any::<[Index; 4]>(),
    ) {
        let (given, notices, ends) = *scenario.get(&TOLD);
        let first = told(given, notices.iter().copied());
        prop_assert_eq!(&first.0, ends);
        prop_assert_eq!(first.2, 0, "nothing of it is late");
        let mut left = notices.to_vec();
        let mut last = Vec::new();
        for pick in order {
            if !left.is_empty() {
                last.push(left.remove(pick.index(left.len())));
            }
        }
        let early = early.iter().map(|pick| *pick.get(notices));
        let words: Vec<&str> = early.chain(last).collect();
        let other = told(given, words.iter().copied());
        prop_assert_eq!(other, first, "{:?}", words);
    }
}
