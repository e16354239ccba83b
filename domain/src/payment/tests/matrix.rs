//! Every command in every status.

use super::script::Script;

/// The commands, in the order of the columns of [`MATRIX`].
const COMMANDS: [&str; 12] = [
    "create sale",
    "confirm",
    "redrive",
    "reference auth",
    "auth declined",
    "capture 9 1",
    "void 9",
    "refund 9 1",
    "redrive cap8",
    "approve",
    "reject",
    "check",
];

const EXISTS: &str = "refused payment_exists";
const STATE: &str = "refused payment_unexpected_state";
const BUSY: &str = "refused operation_in_progress";
const MISSING: &str = "refused attempt_missing";
/// Nothing was ever sent anywhere, so nobody holds the payment.
const NOBODY: &str = "refused provider_mismatch";

const CONFIRMED: &str = "payment.method_replaced risk.assessed attempt.planned => processing";

/// Row by row: the status, how a payment comes there, and what each command does then.
const MATRIX: &[(&str, &str, [&str; 12])] = &[
    (
        "requires_payment_method",
        "create sale await; auth declined",
        [
            EXISTS,
            CONFIRMED,
            STATE,
            "nothing => requires_payment_method",
            "nothing => requires_payment_method",
            STATE,
            "payment.abandoned => voided",
            STATE,
            MISSING,
            STATE,
            STATE,
            "nothing => requires_payment_method",
        ],
    ),
    (
        "requires_confirmation",
        "create sale; auth not-sent",
        [
            EXISTS,
            CONFIRMED,
            "attempt.planned => processing",
            "nothing => requires_confirmation",
            "nothing => requires_confirmation",
            STATE,
            "payment.abandoned => voided",
            STATE,
            MISSING,
            STATE,
            STATE,
            "nothing => requires_confirmation",
        ],
    ),
    (
        "requires_action",
        "create sale; auth action",
        [
            EXISTS,
            STATE,
            STATE,
            "nothing => requires_action",
            "attempt.declined => failed",
            STATE,
            "operation.opened attempt.planned => requires_action",
            STATE,
            MISSING,
            STATE,
            STATE,
            "nothing => requires_action",
        ],
    ),
    (
        "in_review",
        "create sale review",
        [
            EXISTS,
            STATE,
            STATE,
            MISSING,
            MISSING,
            STATE,
            "payment.abandoned => voided",
            STATE,
            NOBODY,
            "review.approved operation.opened attempt.planned => processing",
            "review.rejected => blocked",
            "nothing => in_review",
        ],
    ),
    (
        "processing",
        "create sale",
        [
            EXISTS,
            STATE,
            STATE,
            "attempt.referenced => processing",
            "attempt.declined => failed",
            STATE,
            BUSY,
            STATE,
            MISSING,
            STATE,
            STATE,
            "nothing => processing",
        ],
    ),
    ("processing", "create sale; auth pending", WAITING),
    ("processing", "create sale; reference auth; auth unknown", WAITING),
    (
        "authorized",
        "create auth; auth ok",
        [
            EXISTS,
            STATE,
            STATE,
            "nothing => authorized",
            "nothing => authorized",
            "operation.opened attempt.planned => authorized",
            "operation.opened attempt.planned => authorized",
            STATE,
            MISSING,
            STATE,
            STATE,
            "nothing => authorized",
        ],
    ),
    (
        "authorized",
        "create auth; auth ok; capture 1 400; cap1 ok",
        [
            EXISTS,
            STATE,
            STATE,
            "nothing => authorized",
            "nothing => authorized",
            "operation.opened attempt.planned => authorized",
            "operation.opened attempt.planned => authorized",
            "operation.opened attempt.planned => authorized",
            MISSING,
            STATE,
            STATE,
            "nothing => authorized",
        ],
    ),
    (
        "succeeded",
        "create sale; auth ok",
        [
            EXISTS,
            STATE,
            STATE,
            "nothing => succeeded",
            "nothing => succeeded",
            STATE,
            STATE,
            "operation.opened attempt.planned => succeeded",
            MISSING,
            STATE,
            STATE,
            "nothing => succeeded",
        ],
    ),
    (
        "failed",
        "create sale; auth declined",
        [
            EXISTS,
            CONFIRMED,
            STATE,
            "nothing => failed",
            "nothing => failed",
            STATE,
            STATE,
            STATE,
            MISSING,
            STATE,
            STATE,
            "nothing => failed",
        ],
    ),
    (
        "blocked",
        "create sale block",
        [
            EXISTS,
            STATE,
            STATE,
            MISSING,
            MISSING,
            STATE,
            STATE,
            STATE,
            NOBODY,
            STATE,
            STATE,
            "nothing => blocked",
        ],
    ),
    (
        "voided",
        "create auth; auth ok; void 1; void1 ok",
        [
            EXISTS,
            STATE,
            STATE,
            "nothing => voided",
            "nothing => voided",
            STATE,
            STATE,
            STATE,
            MISSING,
            STATE,
            STATE,
            "nothing => voided",
        ],
    ),
];

/// An attempt that has its object and waits for a word.
const WAITING: [&str; 12] = [
    EXISTS,
    STATE,
    STATE,
    "nothing => processing",
    "attempt.declined => failed",
    STATE,
    BUSY,
    STATE,
    MISSING,
    STATE,
    STATE,
    "nothing => processing",
];

#[test]
fn every_command_in_every_status_does_what_the_matrix_says() {
    for (status, given, cells) in MATRIX {
        assert_eq!(
            Script::after(given).state().status.as_str(),
            *status,
            "given `{given}`"
        );
        for (command, expected) in COMMANDS.iter().zip(cells) {
            assert_eq!(
                Script::after(given).then(command),
                *expected,
                "given `{given}` when `{command}`"
            );
        }
    }
}

#[test]
fn only_creation_starts_a_payment() {
    for command in &COMMANDS[1..] {
        assert_eq!(
            Script::new().then(command),
            "refused resource_missing",
            "{command}"
        );
    }
    let created = "payment.created risk.assessed operation.opened attempt.planned => processing";
    assert_eq!(Script::new().then("create sale"), created);
    assert_eq!(Script::new().then("create auth"), created);
    let reviewed = "payment.created risk.assessed review.opened => in_review";
    assert_eq!(Script::new().then("create sale review"), reviewed);
    assert_eq!(
        Script::new().then("create sale block"),
        "payment.created risk.assessed payment.blocked => blocked"
    );
}
