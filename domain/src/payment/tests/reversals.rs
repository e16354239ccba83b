//! Late charges given back by themselves: what opens a reversal, what ends it, what it keeps from happening and what it does not.

use super::super::{Command, OperationKind, Payment};
use super::late::posted;
use super::script::{Script, TOTAL_MINOR, check, operation_id, provider};
use crate::ledger::{AccountName, Side};
use crate::limits::OPERATIONS_MAX;

const REVERSED: &str = "attempt.late_success reversal.opened attempt.planned !late_success";
const LEFT: &str = "attempt.late_success matter.raised !late_success !late_charge_not_reversed";
/// A sale whose provider said that it was not sent, and then that it was made.
const LATE: &str = "create sale; auth not-sent; auth ok rev 1";

#[test]
fn a_late_charge_opens_its_reversal_in_the_same_commit() {
    for closed in ["not-sent", "declined", "rejected", "cancelled"] {
        let mut script = Script::after(&format!("create sale; auth {closed}"));
        let then = script.then("auth ok rev 1");
        assert!(then.starts_with(REVERSED), "{closed}: {then}");
        let reversal = script.state().operation(operation_id("rev1")).unwrap();
        assert_eq!(reversal.asked_kind(), OperationKind::Refund);
        assert_eq!(reversal.amount.minor(), TOTAL_MINOR);
    }
    check(&[
        (
            "create sale; auth not-sent; redrive @b; auth ok",
            "auth#1 ok rev 1",
            &format!("{REVERSED} => succeeded"),
        ),
        (
            "create sale; auth not-sent; redrive @b",
            "auth#1 ok rev 1",
            &format!("{REVERSED} => processing"),
        ),
        (
            "create auth; auth action; void 1; void1 ok",
            "auth ok rev 1",
            &format!("{REVERSED} => voided"),
        ),
        // By another sum than was asked for: what was taken is what is given back.
        (
            "create sale; auth not-sent",
            "auth wrong rev 1",
            &format!("{REVERSED} => requires_confirmation"),
        ),
        // Said again.
        (LATE, "auth ok rev 2", "nothing => requires_confirmation"),
    ]);
    let wrong = Script::after("create sale; auth not-sent; auth wrong rev 1; rev1 ok");
    assert_eq!(
        (
            wrong.state().operations[1].amount.minor(),
            wrong.state().late_minor
        ),
        (1_001, 0)
    );
    let held = Script::after("create auth; auth not-sent; auth ok rev 1");
    assert_eq!(held.state().operations[1].asked_kind(), OperationKind::Void);
}

#[test]
fn what_a_person_must_look_at_is_not_reversed() {
    check(&[
        // Nobody else than who made it can give it back.
        (
            "create sale; auth not-sent",
            "auth ok rev 1 @b",
            &format!("{LEFT} => requires_confirmation"),
        ),
        (
            "create sale; auth not-sent",
            "auth ok",
            &format!("{LEFT} => requires_confirmation"),
        ),
        // A second name of one attempt's charge, which may be of the same object.
        (
            LATE,
            "auth ok=other rev 2",
            &format!("{LEFT} => requires_confirmation"),
        ),
        (
            "create sale; auth ok",
            "auth ok=other rev 1",
            &format!("{LEFT} => succeeded"),
        ),
        // Not a charge.
        (
            "create auth; auth ok; capture 1 300; cap1 cancelled",
            "cap1 ok rev 1",
            "attempt.late_success !late_success => authorized",
        ),
        (
            "create sale; auth ok; refund 1 300; ref1 cancelled",
            "ref1 ok rev 1",
            "attempt.late_success !late_success => succeeded",
        ),
        (
            "create auth; auth ok; void 1; void1 cancelled",
            "void1 ok rev 1",
            "attempt.late_success !late_success => authorized",
        ),
        // The reversal itself, given up and done after all: it went back, and no other one follows.
        (
            &format!("{LATE}; rev1 declined"),
            "rev1 ok rev 2",
            "attempt.late_success !late_success => requires_confirmation",
        ),
    ]);
    let after_all = Script::after(&format!("{LATE}; rev1 declined; rev1 ok"));
    assert_eq!(after_all.state().late_minor, 0);
}

#[test]
fn a_charge_that_shares_its_object_with_another_attempt_is_not_reversed() {
    let mut script = Script::after(
        "create sale; auth unknown; reference auth; auth cancelled; redrive; reference auth; auth ok",
    );
    let Command::Record {
        operation,
        number,
        reversal,
        next,
        ..
    } = script.command("auth#1 ok=late rev 1")
    else {
        unreachable!("it is a word")
    };
    let own = script.state().provider_reference().unwrap().clone();
    let outcome = crate::provider::Outcome::Succeeded {
        reference: own,
        transaction: "late".into(),
        amount_minor: TOTAL_MINOR,
    };
    let decision = script
        .decide(Command::Record {
            operation,
            number,
            outcome,
            next,
            reversal,
        })
        .unwrap();
    let names: Vec<_> = decision.events.iter().map(super::super::Event::name).collect();
    assert_eq!(names, ["attempt.late_success", "matter.raised"]);
}

#[test]
fn a_payment_that_is_full_leaves_its_late_charge_to_people() {
    let mut script = Script::after("create sale; auth not-sent; redrive @b; auth ok");
    for id in 1..OPERATIONS_MAX {
        script.run(&format!("refund {id} 1 @b; ref{id} declined"));
    }
    assert_eq!(script.then("auth#1 ok rev 1"), format!("{LEFT} => succeeded"));
}

#[test]
fn a_reversal_ends_by_its_providers_word_and_by_nothing_else() {
    let failed = "matter.raised !late_charge_not_reversed => requires_confirmation";
    check(&[
        (LATE, "rev1 ok", "attempt.succeeded => requires_confirmation"),
        (LATE, "rev1 declined", &format!("attempt.declined {failed}")),
        (LATE, "rev1 rejected", &format!("attempt.rejected {failed}")),
        (LATE, "rev1 cancelled", &format!("attempt.cancelled {failed}")),
        (LATE, "rev1 pending", "attempt.pending => requires_confirmation"),
        (LATE, "rev1 unknown", "attempt.unknown => requires_confirmation"),
        // Nobody would ask for it again.
        (LATE, "rev1 not-sent", "attempt.unknown => requires_confirmation"),
        (LATE, "rev1 limited", "attempt.unknown => requires_confirmation"),
        (
            LATE,
            "rev1 wrong",
            "attempt.unknown !amount_mismatch => requires_confirmation",
        ),
        (
            LATE,
            "rev1 not-sent @b",
            "attempt.unknown => requires_confirmation",
        ),
        (LATE, "rev1 action", "nothing => requires_confirmation"),
        (
            &format!("{LATE}; rev1 ok"),
            "rev1 ok",
            "nothing => requires_confirmation",
        ),
        (
            &format!("{LATE}; rev1 declined"),
            "redrive rev1",
            "refused payment_unexpected_state",
        ),
        (
            &format!("{LATE}; rev1 rejected"),
            "redrive rev1",
            "refused payment_unexpected_state",
        ),
    ]);
    let sums = |payment: &Payment| {
        (
            payment.late_minor,
            payment.captured.minor(),
            payment.refunded.minor(),
            payment.fee_minor,
            payment.authorized.minor(),
        )
    };
    let paid = "create sale; auth not-sent; redrive @b; auth ok";
    let before = Script::after(paid);
    let after = Script::after(&format!("{paid}; auth#1 ok rev 1; rev1 ok"));
    assert_eq!(
        sums(before.state()),
        sums(after.state()),
        "nothing else of the payment changes"
    );
    let declined = Script::after(&format!("{paid}; auth#1 ok rev 1; rev1 declined"));
    assert_eq!(declined.state().late_minor, TOTAL_MINOR);
}

#[test]
fn what_is_given_back_leaves_suspense_at_the_provider_that_took_it() {
    let back = |name: &str, minor| {
        vec![
            (AccountName::ProviderClearing(provider(name)), Side::Credit, minor),
            (AccountName::Suspense, Side::Debit, minor),
        ]
    };
    assert_eq!(posted(&format!("{LATE}; rev1 ok")), back("a", 1_000));
    assert_eq!(
        posted(&format!("{LATE}; rev1 unknown; rev1 ok")),
        back("a", 1_000)
    );
    assert_eq!(
        posted("create sale; auth not-sent; redrive @b; auth ok; auth#1 ok rev 1; rev1 ok"),
        back("a", 1_000)
    );
    assert_eq!(
        posted("create sale; auth not-sent; redrive @b; auth declined; auth ok=late rev 1; rev1 ok"),
        back("b", 1_000)
    );
    assert_eq!(
        posted(&format!("{LATE}; rev1 declined; rev1 ok")),
        back("a", 1_000)
    );
    assert_eq!(posted("create auth; auth not-sent; auth ok rev 1; rev1 ok"), []);
}

#[test]
fn a_provider_that_undoes_a_late_charge_itself_gives_it_back_once_in_the_books() {
    let undone = "attempt.late_reversal !late_reversal => requires_confirmation";
    // Nothing of it stands that could be undone: that is not booked, and a person looks.
    let beyond = "matter.raised !late_reversal_unbooked => requires_confirmation";
    check(&[
        // It undoes it first, and then says the one or the other of our reversal.
        (LATE, "auth back psp 1000 -", undone),
        (
            &format!("{LATE}; auth back psp 1000 -"),
            "rev1 declined",
            "attempt.declined => requires_confirmation",
        ),
        (
            &format!("{LATE}; auth back psp 1000 -"),
            "rev1 ok",
            "attempt.succeeded matter.raised !late_charge_reversed_twice => requires_confirmation",
        ),
        (
            &format!("{LATE}; auth back psp 400 -"),
            "rev1 declined",
            "attempt.declined matter.raised !late_charge_not_reversed => requires_confirmation",
        ),
        // Our reversal is first.
        (&format!("{LATE}; rev1 ok"), "auth back psp 1000 -", beyond),
        // The reversal that was heard of is undone: the money is here again, once.
        (&format!("{LATE}; rev1 ok"), "rev1 back psp 1000 declined", undone),
        (
            &format!("{LATE}; rev1 ok; rev1 back psp 1000 declined"),
            "rev1 back other 1000 declined",
            beyond,
        ),
        (
            LATE,
            "rev1 back psp 1000 declined",
            "attempt.declined matter.raised !late_charge_not_reversed => requires_confirmation",
        ),
        // Undone before we gave back nothing: there is nothing to undo of that.
        (
            &format!("{LATE}; auth back psp 1000 -; rev1 ok"),
            "rev1 back psp 1000 declined",
            beyond,
        ),
    ]);
    for (steps, late_minor) in [
        ("auth back psp 1000 -", 0),
        ("auth back psp 1000 -; rev1 ok", 0),
        ("auth back psp 400 -", 600),
        ("auth back psp 400 -; rev1 ok", 0),
        ("auth back psp 400 -; rev1 declined", 600),
        ("rev1 ok; auth back psp 1000 -", 0),
        ("rev1 ok; rev1 back psp 1000 declined", 1_000),
        ("rev1 ok; rev1 back psp 400 declined", 400),
    ] {
        let script = Script::after(&format!("{LATE}; {steps}"));
        assert_eq!(script.state().late_minor, late_minor, "{steps}");
        posted(&format!("{LATE}; {steps}"));
    }
}

#[test]
fn nothing_more_is_charged_until_what_is_late_was_given_back_and_asked_for_again() {
    let busy = "refused operation_in_progress";
    let reversed = format!("{LATE}; rev1 ok");
    check(&[
        (LATE, "redrive", busy),
        (LATE, "confirm", busy),
        (&format!("{LATE}; rev1 unknown"), "redrive", busy),
        (&format!("{LATE}; rev1 declined"), "redrive", busy),
        (
            &format!("{LATE}; auth back psp 1000 -; rev1 declined"),
            "redrive",
            busy,
        ),
        (&format!("{LATE}; auth back psp 400 -; rev1 ok"), "redrive", busy),
        (
            &format!("{reversed}; rev1 back psp 1000 declined"),
            "redrive",
            busy,
        ),
        (&reversed, "redrive", "attempt.planned => processing"),
        (
            &reversed,
            "confirm @b",
            "payment.method_replaced risk.assessed attempt.planned => processing",
        ),
        // Nobody asked: the charge goes nowhere by itself, now that one has arrived that was not.
        (
            "create sale; auth not-sent @b; auth#1 ok rev 1",
            "auth not-sent @c",
            "attempt.not_sent => requires_confirmation",
        ),
        (
            "create sale; auth not-sent @b; auth#1 ok rev 1; rev1 ok",
            "auth not-sent @c",
            "attempt.not_sent => requires_confirmation",
        ),
    ]);
}

#[test]
fn a_reversal_under_way_blocks_nothing_of_the_payments_own() {
    let held = "create auth; auth not-sent; redrive @b; auth ok; auth#1 ok rev 1";
    let paid = "create sale; auth not-sent; redrive @b; auth ok; auth#1 ok rev 1";
    let opened = "operation.opened attempt.planned";
    check(&[
        (held, "capture 1 300 @b", &format!("{opened} => authorized")),
        (held, "increment 1 1500 @b", &format!("{opened} => authorized")),
        (held, "void 1 @b", &format!("{opened} => authorized")),
        (paid, "refund 1 all @b", &format!("{opened} => succeeded")),
        (LATE, "void 1", "payment.abandoned => voided"),
        (
            "create sale await; auth declined; confirm review; auth ok rev 1; later 192",
            "check",
            "review.expired => voided",
        ),
        (
            "create sale await; auth declined; confirm review; auth ok rev 1",
            "reject",
            "review.rejected => blocked",
        ),
        (
            "create sale await; auth declined; confirm review; auth ok rev 1",
            "approve",
            "refused operation_in_progress",
        ),
        (
            "create sale await; auth declined; confirm review; auth ok rev 1; rev1 ok",
            "approve",
            "review.approved attempt.planned => processing",
        ),
    ]);
    let script = Script::after(&format!("{held}; capture 1 300 @b; cap1 ok"));
    let payment = script.state();
    assert_eq!(
        (payment.capturable_minor(), payment.refundable_minor()),
        (700, 300)
    );
    assert_eq!(
        (payment.hold_credit_minor(), payment.hold_debit_minor()),
        (700, 0)
    );
    assert!(
        !Script::after(paid).state().is_settled(),
        "it stays until that is known"
    );
    assert!(Script::after(&format!("{paid}; rev1 ok")).state().is_settled());
}

#[test]
fn people_may_say_what_became_of_a_reversal() {
    let operators = "create sale; auth not-sent; auth ok rev 1; rev1 unknown";
    for (transaction, late_minor, alerts) in [(Some("re_1"), 0, 0), (None, TOTAL_MINOR, 1)] {
        let mut script = Script::after(operators);
        let mut last = None;
        for operator in ["Ada", "Grace"] {
            let resolution = super::super::Resolution {
                transaction: transaction.map(Into::into),
                evidence: "report".into(),
                reason: "ticket".into(),
                operator: operator.into(),
            };
            let operation = operation_id("rev1");
            last = Some(
                script
                    .decide(Command::Resolve {
                        operation,
                        resolution,
                    })
                    .unwrap(),
            );
        }
        assert_eq!(script.state().late_minor, late_minor);
        assert_eq!(last.unwrap().effects.len(), alerts);
    }
}
