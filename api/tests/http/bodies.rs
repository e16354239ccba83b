//! Bodies that are wrong, at every path that takes one: the refusal names the field, what it must be and what came, in words of JSON.

use crate::world::{Answer, World};

const MERCHANT: &str = "sk_test_a";
const OPERATOR: &str = "ok_test_op";
const PAYMENT: &str = "pay_00000000000000000000000001";

/// A path that takes a body, whose key is sent with it, and its fields with their kinds.
type Post = (String, &'static str, &'static [(&'static str, Kind)]);

/// All of ours.
#[expect(clippy::too_many_lines, reason = "a flat table: one row per path")]
fn posts() -> Vec<Post> {
    use Kind::{Flag, Integer, Number, Object, Pairs, Text, Texts};
    let payment = |what: &str| format!("/v1/payments/{PAYMENT}/{what}");
    vec![
        (
            "/v1/payments".to_owned(),
            MERCHANT,
            &[
                ("amount", Integer),
                ("currency", Text),
                ("payment_method_id", Text),
                ("capture_method", Text),
                ("customer_id", Text),
                ("description", Text),
                ("metadata", Pairs),
                ("metadata.order", Text),
                ("return_url", Text),
                ("device", Object),
                ("device.fingerprint", Text),
                ("device.ip", Text),
                ("device.country", Text),
            ],
        ),
        (
            payment("capture"),
            MERCHANT,
            &[("amount", Integer), ("final", Flag)],
        ),
        (
            payment("increment_authorization"),
            MERCHANT,
            &[("amount", Integer)],
        ),
        (payment("void"), MERCHANT, &[]),
        (payment("confirm"), MERCHANT, &[("payment_method_id", Text)]),
        (
            payment("refunds"),
            MERCHANT,
            &[("amount", Integer), ("reason", Text)],
        ),
        (
            payment("what_if"),
            MERCHANT,
            &[
                ("risk", Object),
                ("risk.block_above", Number),
                ("risk.review_above", Number),
                ("risk.hour_count_high", Integer),
                ("risk.amount_limits", Kind::Limits),
                ("risk.amount_limits.USD", Integer),
                ("providers", Object),
                ("providers.disabled", Texts),
            ],
        ),
        (
            "/v1/risk/lists".to_owned(),
            MERCHANT,
            &[
                ("list", Text),
                ("kind", Text),
                ("value", Text),
                ("reason", Text),
                ("expires_at", Integer),
            ],
        ),
        (
            "/v1/ledger/alerts".to_owned(),
            OPERATOR,
            &[
                ("id", Text),
                ("account", Text),
                ("field", Text),
                ("condition", Text),
                ("amount_minor", Integer),
                ("description", Text),
                ("metadata", Pairs),
            ],
        ),
        (
            "/v1/ops/tree/scrub/kill".to_owned(),
            OPERATOR,
            &[("reason", Text)],
        ),
        ("/v1/ops/consistency/run".to_owned(), OPERATOR, &[]),
        (
            "/v1/ops/providers/fake/disable".to_owned(),
            OPERATOR,
            &[("reason", Text)],
        ),
        (
            "/v1/ops/providers/fake/enable".to_owned(),
            OPERATOR,
            &[("reason", Text)],
        ),
        (
            "/v1/ops/merchants/mer_00000000000000000000000001/freeze".to_owned(),
            OPERATOR,
            &[("reason", Text)],
        ),
        (
            "/v1/ops/merchants/mer_00000000000000000000000001/unfreeze".to_owned(),
            OPERATOR,
            &[("reason", Text)],
        ),
        (
            "/v1/ops/routing/evaluate".to_owned(),
            OPERATOR,
            &[
                ("program", Text),
                ("disabled", Texts),
                ("payment", Object),
                ("payment.amount", Integer),
                ("payment.metadata", Pairs),
                ("payment.routing", Object),
                ("payment.routing.prefer", Texts),
                ("latest", Integer),
                ("merchant_id", Text),
            ],
        ),
        (
            "/v1/ops/read_only".to_owned(),
            OPERATOR,
            &[("enabled", Flag), ("reason", Text)],
        ),
        (format!("/v1/ops/reviews/{PAYMENT}/approve"), OPERATOR, &[]),
        (format!("/v1/ops/reviews/{PAYMENT}/reject"), OPERATOR, &[]),
        (
            format!("/v1/ops/attempts/{PAYMENT}/resolve"),
            OPERATOR,
            &[
                ("outcome", Text),
                ("transaction", Text),
                ("evidence", Text),
                ("reason", Text),
            ],
        ),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Integer,
    Number,
    Flag,
    Object,
    Pairs,
    Limits,
    Texts,
}

impl Kind {
    /// What a message calls it, and what of the samples below is of that kind.
    fn due(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Text => ("a string", &["\"4242424242424242\""]),
            // A number with a fraction is refused later, by a message about what it is a number of.
            Self::Integer => ("an integer", &["7", "1.5"]),
            Self::Number => ("a number", &["7", "1.5"]),
            Self::Flag => ("`true` or `false`", &["true"]),
            Self::Object => ("a JSON object", &["{}"]),
            Self::Pairs => ("an object whose values are strings", &["{}"]),
            Self::Limits => ("an object whose values are integers or null", &["{}"]),
            Self::Texts => ("a list of strings", &["[]"]),
        }
    }
}

/// Values and what a message calls them.
const SAMPLES: [(&str, &str); 6] = [
    ("\"4242424242424242\"", "a string"),
    ("7", "a number"),
    ("1.5", "a number with a fraction or an exponent"),
    ("true", "a boolean"),
    ("[]", "a list"),
    ("{}", "an object"),
];

/// The body of the parser's own vocabulary that nobody should read, nor a value of theirs.
const FOREIGN: [&str; 17] = [
    "invalid type",
    "invalid value",
    "expected",
    "sequence",
    "floating point",
    "EOF",
    "f64",
    "i128",
    "u64",
    "struct",
    "serde",
    "variant",
    "ident",
    "4242424242424242",
    "parsing",
    "missing field",
    "unknown field",
];

fn send(world: &World, path: &str, key: &str, body: &str) -> Answer {
    let headers = [("Idempotency-Key", "k"), ("Content-Type", "application/json")];
    world.send("POST", path, Some(key), &headers, body.as_bytes())
}

/// The object in which `value` stands at `place`.
fn at(place: &str, value: &str) -> String {
    let names = place.split('.').rev();
    names.fold(value.to_owned(), |inner, name| format!("{{\"{name}\":{inner}}}"))
}

#[track_caller]
fn refused(answer: &Answer, code: &str, param: Option<&str>, message: &str, what: &str) {
    assert_eq!(
        (answer.status, answer.error("code").as_str()),
        (400, code),
        "{what}: {answer:?}"
    );
    assert_eq!(
        answer.json()["error"]["param"].as_str(),
        param,
        "{what}: {answer:?}"
    );
    assert_eq!(answer.error("message"), message, "{what}");
    for foreign in FOREIGN {
        assert!(!message.contains(foreign), "{what}: {message}");
    }
}

#[test]
fn a_value_of_the_wrong_kind_is_named_with_what_is_due_and_what_came() {
    let world = World::start();
    let mut checked = 0;
    for (path, key, fields) in posts() {
        for (field, kind) in fields {
            let (due, fitting) = kind.due();
            for (value, came) in SAMPLES {
                if fitting.contains(&value) {
                    continue;
                }
                let answer = send(&world, &path, key, &at(field, value));
                let message = format!("`{field}` must be {due}; {came} was sent.");
                let what = format!("{path} {field} {value}");
                refused(&answer, "parameter_invalid", Some(field), &message, &what);
                checked += 1;
            }
        }
    }
    assert!(checked > 150, "{checked}");
    world.stop();
}

#[test]
fn a_body_that_is_no_object_or_no_json_says_where_and_why() {
    let world = World::start();
    let deep = "[".repeat(200);
    let table: &[(&str, &str, &str)] = &[
        (
            "[]",
            "parameter_invalid",
            "The body must be a JSON object; a list was sent.",
        ),
        (
            "7",
            "parameter_invalid",
            "The body must be a JSON object; a number was sent.",
        ),
        (
            "null",
            "parameter_invalid",
            "The body must be a JSON object; `null` was sent.",
        ),
        (
            "\"4242424242424242\"",
            "parameter_invalid",
            "The body must be a JSON object; a string was sent.",
        ),
        (" ", "body_invalid", "The body is empty; send a JSON object."),
        (
            "{",
            "body_invalid",
            "The body is not valid JSON at line 1, column 1: it ends too early.",
        ),
        (
            "{7:1}",
            "body_invalid",
            "The body is not valid JSON at line 1, column 2: a name in double quotes is due.",
        ),
        (
            "amount=1",
            "body_invalid",
            "The body is not valid JSON at line 1, column 1: a value is due.",
        ),
        (
            &deep,
            "parameter_invalid",
            "The body must be a JSON object; a list was sent.",
        ),
    ];
    for (path, key, _) in posts() {
        for (body, code, message) in table {
            let answer = send(&world, &path, key, body);
            refused(&answer, code, None, message, &format!("{path} {body:.40}"));
        }
        let answer = send(&world, &path, key, "{\"nobody\":1}");
        let message = "Unknown parameter `nobody`.";
        refused(&answer, "parameter_unknown", Some("nobody"), message, &path);
    }
    world.stop();
}

#[test]
fn a_fault_inside_a_field_is_told_there() {
    let world = World::start();
    for (body, code, param, message) in [
        (
            r#"{"amount":1e999}"#,
            "body_invalid",
            "amount",
            "The body is not valid JSON at line 1, column 15, in `amount`: a number is too large to be read.",
        ),
        (
            r#"{"description":"a\u0007b"}"#,
            "parameter_invalid",
            "description",
            "`description` must not hold control characters.",
        ),
        (
            r#"{"metadata":{"a":"1","a":"2"}}"#,
            "parameter_invalid",
            "metadata",
            "`metadata` names `a` twice.",
        ),
        (
            r#"{"amount":1,"amount":2}"#,
            "parameter_invalid",
            "amount",
            "`amount` appears twice.",
        ),
        (
            r#"{"amount":null}"#,
            "parameter_invalid",
            "amount",
            "`amount` must be an integer; `null` was sent.",
        ),
        (
            r#"{"currency":"USD","payment_method_id":"pm_card_visa"}"#,
            "parameter_missing",
            "amount",
            "`amount` is required.",
        ),
        (
            r#"{"description":"invalid type: x, expected y","currency":7}"#,
            "parameter_invalid",
            "currency",
            "`currency` must be a string; a number was sent.",
        ),
        (
            r#"{"amount":"x, expected a string"}"#,
            "parameter_invalid",
            "amount",
            "`amount` must be an integer; a string was sent.",
        ),
        (
            r#"{"description":"a\x"}"#,
            "body_invalid",
            "description",
            "The body is not valid JSON at line 1, column 19, in `description`: an escape in a string is not one of JSON's.",
        ),
    ] {
        let answer = send(&world, "/v1/payments", MERCHANT, body);
        refused(&answer, code, Some(param), message, body);
    }
    let whole = r#"{"amount":1,"currency":"USD","payment_method_id":"pm_card_visa"}"#;
    let answer = send(&world, "/v1/payments", MERCHANT, &format!("{whole}\n x"));
    let message = "The body is not valid JSON at line 2, column 2: something follows its end.";
    refused(&answer, "body_invalid", None, message, "more than an object");
    world.stop();
}
