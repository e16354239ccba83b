//! What becomes of an authorization: it grows, or its time is over.

use super::script::{Script, check};

const AUTHORIZED: &str = "create auth; auth ok";
const GROWS: &str = "operation.opened attempt.planned => authorized";
const STATE: &str = "refused payment_unexpected_state";
const BUSY: &str = "refused operation_in_progress";

#[test]
fn authorizations_expire_unless_something_is_on_its_way() {
    let days = 7 * 24;
    let expired = |given: &str, then: &str| {
        assert_eq!(
            Script::after(&format!("{given}; later {days}")).then("check"),
            then,
            "{given}"
        );
    };
    let released = "operation.opened attempt.planned => authorized";
    expired("create auth; auth ok", released);
    expired("create auth; auth ok; capture 1 1; cap1 ok", released);
    expired("create auth; auth ok; capture 1 1", "nothing => authorized");
    expired(
        "create auth; auth ok; capture 1 1; cap1 unknown",
        "nothing => authorized",
    );
    expired("create auth; auth ok; capture 1 1; cap1 not-sent", released);
    expired(
        "create auth; auth ok; void 1; void1 unknown",
        "nothing => authorized",
    );
    expired(
        "create auth; auth ok; increment 1 1500; inc1 unknown",
        "nothing => authorized",
    );
    expired("create auth; auth ok; void 1; void1 declined", released);
    check(&[
        (
            "create auth; auth ok; later 167",
            "check",
            "nothing => authorized",
        ),
        (
            "create auth; auth ok; later 168; check",
            "capture 1 all",
            "refused operation_in_progress",
        ),
        (
            "create auth; auth ok; capture 1 1; cap1 not-sent; later 168; check",
            "redrive cap1",
            "refused operation_in_progress",
        ),
        (
            "create auth; auth ok; later 168; check",
            "void901 unknown",
            "attempt.unknown => authorized",
        ),
    ]);
}

#[test]
fn an_expired_authorization_is_released_at_the_provider_or_given_up_after_many_tries() {
    check(&[
        (
            "create auth; auth ok; later 168; check",
            "void901 ok",
            "authorization.expired attempt.succeeded => voided",
        ),
        (
            "create auth; auth ok; capture 1 600; cap1 ok; later 168; check",
            "void902 ok",
            "authorization.expired attempt.succeeded => succeeded",
        ),
        // A minute was not waited for.
        (
            "create auth; auth ok; later 168; check; void901 not-sent",
            "check",
            "nothing => authorized",
        ),
        // What the merchant has tried in vain puts off nothing.
        (
            "create auth; auth ok; later 168; void 1; void1 declined; void 2; void2 declined",
            "check",
            GROWS,
        ),
        (
            "create auth; auth ok; later 168; check; void901 rejected; later 1",
            "check",
            GROWS,
        ),
        (
            "create auth; auth ok; later 168; check; void901 not-sent",
            "capture 1 all",
            "operation.opened attempt.planned => authorized",
        ),
    ]);
    let mut script = Script::after("create auth; auth ok; later 168");
    for n in 1..=8 {
        script.run(&format!("check; void90{n} not-sent; later 9"));
    }
    let given_up = "authorization.expired !expired_authorization_not_released => voided";
    assert_eq!(script.then("check"), given_up);
    assert_eq!(script.state().hold_credit_minor(), 0);
}

#[test]
fn an_authorization_grows_until_something_is_taken_or_released() {
    check(&[
        (AUTHORIZED, "increment 1 1001", GROWS),
        (AUTHORIZED, "increment 1 1000", "refused amount_too_small"),
        (AUTHORIZED, "increment 1 1", "refused amount_too_small"),
        (AUTHORIZED, "increment 1 1500 @b", "refused provider_mismatch"),
        ("create auth; auth ok; increment 1 1500", "increment 2 2000", BUSY),
        ("create auth; auth ok; increment 1 1500", "capture 1 1", BUSY),
        ("create auth; auth ok; increment 1 1500", "void 1", BUSY),
        (
            "create auth; auth ok; increment 1 1500; inc1 unknown",
            "capture 1 1",
            BUSY,
        ),
        ("create auth; auth ok; capture 1 1", "increment 1 1500", BUSY),
        (
            "create auth; auth ok; capture 1 1; cap1 ok",
            "increment 1 1500",
            STATE,
        ),
        ("create auth; auth ok; void 1", "increment 1 1500", BUSY),
        (
            "create auth; auth ok; void 1; void1 ok",
            "increment 1 1500",
            STATE,
        ),
        ("create auth", "increment 1 1500", STATE),
        ("create sale; auth ok", "increment 1 1500", STATE),
        ("create auth hold; auth ok", "increment 1 1500", STATE),
        (
            "create auth; auth ok; increment 1 1500; inc1 ok",
            "increment 1 2000",
            "refused operation_exists",
        ),
        (
            "create auth; auth ok; increment 1 1500; inc1 ok",
            "increment 2 1500",
            "refused amount_too_small",
        ),
        (
            "create auth; auth ok; increment 1 1500; inc1 ok",
            "capture 1 1501",
            "refused amount_exceeds_capturable",
        ),
        (
            "create auth; auth ok; increment 1 1500; inc1 declined",
            "capture 1 1001",
            "refused amount_exceeds_capturable",
        ),
        (
            "create auth; auth ok; increment 1 1500; inc1 declined",
            "increment 2 1200",
            GROWS,
        ),
        (
            "create auth; auth ok; increment 1 1500; inc1 not-sent",
            "redrive inc1",
            "attempt.planned => authorized",
        ),
        (
            "create auth; auth ok; increment 1 1500; inc1 not-sent; capture 1 1; cap1 ok",
            "redrive inc1",
            STATE,
        ),
        // It was asked for as a total, and what is missing to it has changed since.
        (
            "create auth; auth ok; increment 1 1500; inc1 not-sent; increment 2 2000; inc2 ok",
            "redrive inc1",
            STATE,
        ),
        (
            "create auth; auth ok; increment 1 1500; inc1 not-sent; increment 2 2000; inc2 not-sent",
            "redrive inc1",
            STATE,
        ),
        (
            "create auth; auth ok; increment 1 1500; inc1 not-sent; increment 2 2000; inc2 not-sent",
            "redrive inc2",
            "attempt.planned => authorized",
        ),
        // A customer cannot be challenged for what the merchant does.
        (
            "create auth; auth ok; increment 1 1500",
            "inc1 action",
            "nothing => authorized",
        ),
        (
            "create auth; auth ok; increment 1 1500; inc1 declined",
            "inc1 ok",
            "attempt.late_success !late_success => authorized",
        ),
    ]);
}

#[test]
fn what_an_authorization_grew_by_is_expected_taken_and_released_like_the_rest() {
    let mut script = Script::after(AUTHORIZED);
    for (step, authorized, capturable, hold) in [
        ("increment 1 1500", 1_000, 1_000, 1_000),
        ("inc1 ok", 1_500, 1_500, 1_500),
        ("increment 2 4000", 1_500, 1_500, 1_500),
        ("inc2 declined", 1_500, 1_500, 1_500),
        ("increment 3 2000", 1_500, 1_500, 1_500),
        ("inc3 ok", 2_000, 2_000, 2_000),
        ("capture 1 1200", 2_000, 800, 2_000),
        ("cap1 ok", 2_000, 800, 800),
        ("void 1", 2_000, 800, 800),
        ("void1 ok", 2_000, 0, 0),
    ] {
        script.run(step);
        let payment = script.state();
        let seen = (
            payment.authorized.minor(),
            payment.capturable_minor(),
            payment.hold_credit_minor(),
        );
        assert_eq!(seen, (authorized, capturable, hold), "after `{step}`");
    }
    let payment = script.state();
    assert_eq!((payment.amount_minor(), payment.captured.minor()), (2_000, 1_200));
    assert!(payment.is_settled());
}
