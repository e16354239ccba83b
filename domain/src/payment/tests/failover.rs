//! When a charge goes on at another provider, and when it must not.

use super::script::{Script, check};
use crate::limits::{ATTEMPT_RETRY_WINDOW, ATTEMPTS_MAX};
use crate::time::Millis;

const GOES_ON: &str = "attempt.planned => processing";

#[test]
fn only_what_proves_that_nothing_was_charged_lets_a_charge_go_elsewhere() {
    for kind in ["sale", "auth"] {
        let given = format!("create {kind}");
        for (word, event) in [
            ("not-sent", "attempt.not_sent"),
            ("limited", "attempt.not_sent"),
            ("rejected", "attempt.rejected"),
            ("cancelled", "attempt.cancelled"),
        ] {
            let step = format!("auth {word} @b");
            check(&[(&given, &step, &format!("{event} {GOES_ON}"))]);
        }
        check(&[
            (&given, "auth declined @b", "attempt.declined => failed"),
            (&given, "auth unknown @b", "attempt.unknown => processing"),
            (&given, "auth pending @b", "attempt.pending => processing"),
            (
                &given,
                "auth action @b",
                "attempt.action_required => requires_action",
            ),
            (
                &given,
                "auth wrong @b",
                "attempt.unknown !amount_mismatch => processing",
            ),
        ]);
    }
    check(&[
        ("create sale", "auth ok @b", "attempt.succeeded => succeeded"),
        ("create auth", "auth ok @b", "attempt.succeeded => authorized"),
    ]);
}

#[test]
fn an_unknown_charge_goes_elsewhere_once_its_provider_has_closed_it_and_never_before() {
    let cancelled = format!("attempt.cancelled {GOES_ON}");
    check(&[
        ("create sale; auth unknown", "auth cancelled @b", &cancelled),
        (
            "create sale; auth unknown",
            "auth not-sent @b",
            "nothing => processing",
        ),
        (
            "create sale; auth unknown",
            "auth rejected @b",
            "nothing => processing",
        ),
        (
            "create sale; auth unknown",
            "auth limited @b",
            "nothing => processing",
        ),
        // The provider has taken it on: it ends there.
        (
            "create sale; auth pending",
            "auth cancelled @b",
            "attempt.cancelled => requires_confirmation",
        ),
    ]);
}

#[test]
fn a_charge_never_goes_on_where_it_is_nor_while_a_void_may_close_it_nor_after_its_time() {
    check(&[
        (
            "create sale",
            "auth not-sent @a",
            "attempt.not_sent => requires_confirmation",
        ),
        // The customer was asked, then the merchant gave up: what the void closed is not charged elsewhere.
        (
            "create sale; auth action; void 1",
            "auth cancelled @b",
            "attempt.cancelled => requires_confirmation",
        ),
    ]);
    let mut script = Script::after("create sale");
    script.now = script.now.plus(ATTEMPT_RETRY_WINDOW);
    assert_eq!(
        script.then("auth not-sent @b"),
        "attempt.not_sent => requires_confirmation"
    );
    let mut script = Script::after("create sale");
    script.now = script.now.plus(Millis(ATTEMPT_RETRY_WINDOW.0 - 1));
    assert_eq!(
        script.then("auth not-sent @b"),
        format!("attempt.not_sent {GOES_ON}")
    );
}

#[test]
fn what_follows_a_charge_never_leaves_its_provider() {
    let authorized = "create auth; auth ok";
    let captured = "create sale; auth ok";
    check(&[
        (
            &format!("{authorized}; capture 1 100"),
            "cap1 not-sent @b",
            "attempt.not_sent => authorized",
        ),
        (
            &format!("{authorized}; void 1"),
            "void1 rejected @b",
            "attempt.rejected => authorized",
        ),
        (
            &format!("{captured}; refund 1 100"),
            "ref1 not-sent @b",
            "attempt.not_sent => succeeded",
        ),
        (
            &format!("{captured}; refund 1 100"),
            "ref1 cancelled @b",
            "attempt.cancelled => succeeded",
        ),
    ]);
}

#[test]
fn a_charge_that_nobody_takes_comes_to_an_end() {
    let mut script = Script::after("create sale");
    for number in 1..ATTEMPTS_MAX {
        let at = if number.is_multiple_of(2) { "a" } else { "b" };
        let step = format!("auth#{number} not-sent @{at}");
        assert_eq!(
            script.then(&step),
            format!("attempt.not_sent {GOES_ON}"),
            "{number}"
        );
    }
    let last = format!("auth#{ATTEMPTS_MAX} not-sent @b");
    assert_eq!(
        script.then(&last),
        "attempt.not_sent payment.attempts_exhausted => failed"
    );
}

#[test]
fn a_charge_that_turns_up_where_it_was_given_up_stops_every_other_attempt() {
    let given = "create sale; auth not-sent @b";
    check(&[
        (
            given,
            "auth#1 ok",
            "attempt.late_success matter.raised !late_success !late_charge_not_reversed => processing",
        ),
        (
            &format!("{given}; auth#1 ok"),
            "auth#2 not-sent @a",
            "attempt.not_sent => requires_confirmation",
        ),
    ]);
}
