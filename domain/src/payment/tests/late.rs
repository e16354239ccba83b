//! Charges that arrive on attempts already closed: booked once, at the right provider, in the right direction, and never followed
//! by another attempt.

use super::script::{MERCHANT, PAYMENT, Script, check, provider};
use crate::ledger::{AccountKey, AccountName, Books, Side, consequences};
use crate::money::Currency;
use crate::provider::ProviderId;

const LATE: &str = "attempt.late_success matter.raised !late_success !late_charge_not_reversed";

#[test]
fn a_late_success_goes_to_suspense_once() {
    let closed = "create sale; auth not-sent";
    check(&[
        (closed, "auth ok", &format!("{LATE} => requires_confirmation")),
        (
            "create sale; auth not-sent; auth ok",
            "auth ok",
            "nothing => requires_confirmation",
        ),
        (
            "create sale; auth declined",
            "auth ok",
            &format!("{LATE} => failed"),
        ),
        (
            "create sale; auth not-sent; void 1",
            "auth ok",
            &format!("{LATE} => voided"),
        ),
        (
            "create sale; auth action; void 1; void1 ok",
            "auth ok",
            &format!("{LATE} => voided"),
        ),
        (
            "create sale; auth not-sent; redrive",
            "auth#1 ok",
            &format!("{LATE} => processing"),
        ),
        (
            "create sale; auth not-sent",
            "auth unknown",
            "nothing => requires_confirmation",
        ),
        (
            "create sale; auth not-sent",
            "auth wrong",
            &format!("{LATE} => requires_confirmation"),
        ),
    ]);
    let script = Script::after("create sale; auth not-sent; auth ok; auth ok");
    let payment = script.state();
    assert_eq!(
        (
            payment.late_minor,
            payment.captured.minor(),
            payment.hold_credit_minor()
        ),
        (1_000, 0, 0)
    );
    assert_eq!(
        payment.operations[0].transaction, None,
        "it is not the operation's own success"
    );
}

#[test]
fn repeated_words_of_two_charges_of_one_operation_are_each_booked_once() {
    let mut script = Script::after("create sale; auth not-sent; redrive @b; auth ok=ch_b; auth#1 ok=ch_a");
    for repeated in [
        "auth#2 ok=ch_b",
        "auth#1 ok=ch_a",
        "auth#2 ok=ch_b",
        "auth#1 ok=ch_a",
    ] {
        assert_eq!(script.then(repeated), "nothing => succeeded", "{repeated}");
    }
    assert_eq!(
        (script.state().captured.minor(), script.state().late_minor),
        (1_000, 1_000)
    );
    assert_eq!(script.state().operations[0].transaction.as_deref(), Some("ch_b"));

    // The other order: the late word comes while the second attempt is on its way.
    let mut script = Script::after("create sale; auth not-sent; redrive @b; auth#1 ok=ch_a; auth ok=ch_b");
    assert_eq!(script.then("auth#1 ok=ch_a"), "nothing => succeeded");
    assert_eq!(
        (script.state().captured.minor(), script.state().late_minor),
        (1_000, 1_000)
    );
}

#[test]
fn two_providers_may_use_the_same_name_for_their_transactions() {
    let mut script = Script::after("create sale; auth not-sent; redrive @b; auth ok=ch_1");
    assert_eq!(script.then("auth#1 ok=ch_1"), format!("{LATE} => succeeded"));
}

#[test]
fn nothing_is_charged_after_a_provider_said_that_it_had_charged_after_all() {
    let busy = "refused operation_in_progress";
    check(&[
        ("create sale; auth not-sent; auth ok", "redrive", busy),
        ("create sale; auth not-sent; auth ok", "confirm", busy),
        ("create sale await; auth declined; auth ok", "confirm @b", busy),
        (
            "create sale await; auth declined; confirm review; auth ok",
            "approve",
            busy,
        ),
        (
            "create sale; auth not-sent; auth ok",
            "void 1",
            "payment.abandoned => voided",
        ),
        (
            "create auth; auth ok; capture 1 600; cap1 not-sent; cap1 ok",
            "redrive cap1",
            busy,
        ),
        (
            "create sale; auth ok; refund 1 600; ref1 not-sent; ref1 ok",
            "redrive ref1",
            busy,
        ),
    ]);
}

pub(super) fn posted(steps: &str) -> Vec<(AccountName, Side, i128)> {
    let mut script = Script::new();
    let mut books = Books::default();
    let mut last = Vec::new();
    for step in steps.split("; ") {
        let (before, recorded) = (script.payment.clone(), script.events.len());
        script.run(step);
        let of = consequences(before.as_ref(), &script.events[recorded..], script.state()).unwrap();
        last = Vec::new();
        if let Some(entry) = of.entry {
            books
                .post(&PAYMENT.to_string(), &entry, crate::ids::Seq(1))
                .unwrap();
            last = entry
                .postings()
                .iter()
                .map(|p| (p.account.name, p.side, p.amount.minor()))
                .collect();
        }
    }
    let suspense = AccountKey {
        name: AccountName::Suspense,
        currency: Currency::USD,
        livemode: script.state().spec.livemode,
    };
    assert_eq!(books.account(&suspense).posted.minor(), script.state().late_minor);
    last
}

#[test]
fn a_late_charge_is_owed_by_the_provider_that_took_it() {
    let clearing = |name: &str| AccountName::ProviderClearing(provider(name));
    let taken = |name: &str, minor| {
        vec![
            (clearing(name), Side::Debit, minor),
            (AccountName::Suspense, Side::Credit, minor),
        ]
    };
    assert_eq!(posted("create sale; auth not-sent; auth ok"), taken("a", 1_000));
    assert_eq!(
        posted("create sale; auth not-sent; redrive @b; auth ok; auth#1 ok=late"),
        taken("a", 1_000)
    );
    assert_eq!(
        posted("create sale; auth not-sent; redrive @b; auth declined; auth ok=late"),
        taken("b", 1_000)
    );
    assert_eq!(
        posted("create auth; auth ok; capture 1 300; cap1 cancelled; cap1 ok"),
        taken("a", 300)
    );
}

#[test]
fn a_late_refund_went_the_other_way_and_reservations_move_nothing() {
    let clearing: ProviderId = provider("a");
    assert_eq!(
        posted("create sale; auth ok; refund 1 300; ref1 cancelled; ref1 ok"),
        [
            (AccountName::ProviderClearing(clearing), Side::Credit, 300),
            (AccountName::Suspense, Side::Debit, 300)
        ]
    );
    assert_eq!(posted("create auth; auth not-sent; auth ok"), []);
    assert_eq!(
        posted("create auth; auth ok; void 1; void1 cancelled; void1 ok"),
        []
    );
    let late_void = Script::after("create auth; auth ok; void 1; void1 cancelled; void1 ok");
    assert_eq!(
        (
            late_void.state().late_minor,
            late_void.state().operations[1].late.len()
        ),
        (0, 1)
    );
    assert_eq!(late_void.state().spec.merchant, MERCHANT);
}

const UNDONE: &str = "attempt.late_reversal !late_reversal";

#[test]
fn what_a_provider_undoes_after_the_end_goes_to_suspense_once_and_the_payment_stays_as_it_was() {
    let refunded = "create sale; auth ok; refund 1 300; ref1 ok";
    let captured = "create auth; auth ok; capture 1 300; cap1 ok";
    check(&[
        (
            refunded,
            "ref1 back psp 300 declined",
            &format!("{UNDONE} => succeeded"),
        ),
        (
            captured,
            "cap1 back psp 300 declined",
            &format!("{UNDONE} => authorized"),
        ),
        (
            "create sale; auth ok",
            "auth back psp 1000 -",
            &format!("{UNDONE} => succeeded"),
        ),
        // Said again, as something else, or of more than is left.
        (
            &format!("{refunded}; ref1 back psp 300 declined"),
            "ref1 back psp 300 declined",
            "nothing => succeeded",
        ),
        (
            &format!("{refunded}; ref1 back psp 300 declined"),
            "ref1 back other 300 declined",
            "matter.raised !late_reversal_unbooked => succeeded",
        ),
        // Its own success, heard once more, is not another one.
        (
            &format!("{refunded}; ref1 back psp 300 declined"),
            "ref1 ok",
            "nothing => succeeded",
        ),
        // A success that was never heard of did not happen, or must be heard of first.
        (
            "create sale; auth ok; refund 1 300",
            "ref1 back psp 300 declined",
            "attempt.declined => succeeded",
        ),
        (
            "create sale; auth unknown",
            "auth back psp 1000 cancelled",
            "attempt.cancelled => requires_confirmation",
        ),
        (
            "create sale; auth unknown",
            "auth back psp 1000 -",
            "refused operation_in_progress",
        ),
        // What never succeeded cannot be undone, nor what was released.
        (
            "create sale; auth declined",
            "auth back psp 1000 -",
            "nothing => failed",
        ),
        (
            "create auth; auth ok; void 1; void1 ok",
            "auth back psp 1000 cancelled",
            "nothing => voided",
        ),
    ]);
    let parts = Script::after(&format!(
        "{refunded}; ref1 back a 100 declined; ref1 back b 900 declined"
    ));
    assert_eq!(
        (parts.state().late_minor, parts.state().refunded.minor()),
        (300, 300)
    );
}

#[test]
fn what_is_undone_goes_back_the_way_it_came() {
    let clearing = || AccountName::ProviderClearing(provider("a"));
    let back = |side: Side, other: Side, minor| {
        vec![(clearing(), side, minor), (AccountName::Suspense, other, minor)]
    };
    assert_eq!(
        posted("create sale; auth ok; refund 1 300; ref1 ok; ref1 back psp 300 declined"),
        back(Side::Debit, Side::Credit, 300)
    );
    assert_eq!(
        posted("create auth; auth ok; capture 1 300; cap1 ok; cap1 back psp 300 declined"),
        back(Side::Credit, Side::Debit, 300)
    );
    assert_eq!(
        posted("create sale; auth not-sent; auth ok; auth back psp 1000 -"),
        back(Side::Credit, Side::Debit, 1_000)
    );
    assert_eq!(posted("create auth; auth ok; auth back psp 1000 cancelled"), []);
}
