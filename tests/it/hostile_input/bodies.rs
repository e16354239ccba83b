//! Bodies that mean nothing, each with the parameter that its refusal must name.

use crate::deployment::sale;
use serde_json::json;

/// A body, and the parameter that the refusal must name; nothing where it is the body as a whole.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) body: Vec<u8>,
    pub(super) param: Option<&'static str>,
}

fn case(name: &'static str, body: impl Into<Vec<u8>>, param: Option<&'static str>) -> Case {
    Case {
        name,
        body: body.into(),
        param,
    }
}

/// The usual body with one field written as given.
pub(super) fn with(field: &str, written: &str) -> String {
    let mut fields = vec![
        ("amount", "10000".to_owned()),
        ("currency", r#""USD""#.to_owned()),
        ("payment_method_id", r#""pm_card_visa""#.to_owned()),
    ];
    fields.retain(|known| known.0 != field);
    fields.push((field, written.to_owned()));
    let fields: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!(r#""{name}":{value}"#))
        .collect();
    format!("{{{}}}", fields.join(","))
}

pub(super) fn malformed() -> Vec<Case> {
    let valid = sale(10_000, "USD").to_string();
    let deep = |open: &str, close: &str| {
        with(
            "metadata",
            &format!("{}{}", open.repeat(40_000), close.repeat(40_000)),
        )
    };
    let mut not_utf_8 = with("description", r#""~""#).into_bytes();
    let place = not_utf_8.iter().position(|byte| *byte == b'~').unwrap();
    not_utf_8[place] = 0xff;
    vec![
        case("nothing", "", None),
        case("white space", " \r\n\t ", None),
        case("not JSON", "amount=10000&currency=USD", None),
        case("cut off", &valid.as_bytes()[..valid.len() - 1], None),
        case("trailing garbage", format!("{valid} x"), None),
        case("two objects", format!("{valid}{valid}"), None),
        case("a comment", format!("// {valid}\n{valid}"), None),
        case("a byte order mark", format!("\u{feff}{valid}"), None),
        case("an array", format!("[{valid}]"), None),
        case("an array of values", r#"[10000,"USD","pm_card_visa"]"#, None),
        case("a string", "\"amount\"", None),
        case("null", "null", None),
        case("a number", "1", None),
        case("deep arrays", deep("[", "]"), Some("metadata")),
        case("deep objects", deep(r#"{"a":"#, "}"), Some("metadata.a")),
        case("deep and nothing else", "[".repeat(200_000), None),
        case("invalid UTF-8 in a text", not_utf_8, Some("description")),
        case(
            "half a surrogate pair",
            with("description", r#""\ud800""#),
            Some("description"),
        ),
    ]
}

/// What it is, a field, how it is written, and the parameter that the refusal names.
type Written = (&'static str, &'static str, &'static str, &'static str);

const WRITTEN: &[Written] = &[
    ("an unknown field", "amuont", "1", "amuont"),
    ("a field in another case", "Amount", "1", "Amount"),
    ("metadata twice", "metadata", r#"{},"metadata":{}"#, "metadata"),
    (
        "a name twice in metadata",
        "metadata",
        r#"{"a":"1","a":"2"}"#,
        "metadata",
    ),
    ("a number in metadata", "metadata", r#"{"a":1}"#, "metadata.a"),
    ("null in metadata", "metadata", r#"{"a":null}"#, "metadata.a"),
    (
        "an object in metadata",
        "metadata",
        r#"{"a":{"b":"c"}}"#,
        "metadata.a",
    ),
    ("an empty name in metadata", "metadata", r#"{"":"1"}"#, "metadata"),
    ("metadata as a list", "metadata", r#"["a"]"#, "metadata"),
    ("metadata as a text", "metadata", r#""a""#, "metadata"),
    (
        "a control character in a name",
        "metadata",
        r#"{"a\u0007":"b"}"#,
        "metadata.a\u{7}",
    ),
    ("an unknown currency", "currency", r#""XYZ""#, "currency"),
    ("an empty currency", "currency", r#""""#, "currency"),
    ("a currency with a space", "currency", r#"" USD""#, "currency"),
    (
        "a currency with a look-alike",
        "currency",
        "\"U\u{405}D\"",
        "currency",
    ),
    ("a currency's number", "currency", "840", "currency"),
    ("no currency at all", "currency", "null", "currency"),
    (
        "an unknown method",
        "payment_method_id",
        r#""pm_unheard_of""#,
        "payment_method_id",
    ),
    (
        "an empty method",
        "payment_method_id",
        r#""""#,
        "payment_method_id",
    ),
    (
        "a card number for a method",
        "payment_method_id",
        r#""4242424242424242""#,
        "payment_method_id",
    ),
    (
        "a list for a method",
        "payment_method_id",
        r#"["pm_card_visa"]"#,
        "payment_method_id",
    ),
    (
        "an unknown capture method",
        "capture_method",
        r#""later""#,
        "capture_method",
    ),
    (
        "a truth for a capture method",
        "capture_method",
        "true",
        "capture_method",
    ),
    (
        "a control character",
        "description",
        r#""a\u0000b""#,
        "description",
    ),
    (
        "a line break in a text",
        "description",
        r#""a\nb""#,
        "description",
    ),
    (
        "a raw control character",
        "description",
        "\"a\u{1}b\"",
        "description",
    ),
    ("an empty customer", "customer_id", r#""""#, "customer_id"),
    ("a relative URL", "return_url", r#""/back""#, "return_url"),
    (
        "a script for a URL",
        "return_url",
        r#""javascript:alert(1)""#,
        "return_url",
    ),
    (
        "a URL with a break",
        "return_url",
        r#""https://a.example/\r\nX: y""#,
        "return_url",
    ),
    ("a device that is none", "device", r#""phone""#, "device"),
    ("a device with more", "device", r#"{"mac":"00"}"#, "device.mac"),
    (
        "an address that is none",
        "device",
        r#"{"ip":"999.1.1.1"}"#,
        "device.ip",
    ),
    (
        "a country that is none",
        "device",
        r#"{"country":"USA"}"#,
        "device.country",
    ),
];

pub(super) fn fields() -> Vec<Case> {
    let written = WRITTEN
        .iter()
        .map(|(name, field, value, param)| case(name, with(field, value), Some(param)));
    written.chain(missing_and_twice()).chain(too_much()).collect()
}

fn missing_and_twice() -> Vec<Case> {
    let whole = sale(10_000, "USD");
    let without = |field: &str| {
        let mut body = whole.clone();
        body.as_object_mut().unwrap().remove(field);
        body.to_string()
    };
    let again = |field: &str, value: &str| {
        let body = whole.to_string();
        format!("{},\"{field}\":{value}}}", body.trim_end_matches('}'))
    };
    vec![
        case("no amount", without("amount"), Some("amount")),
        case("no currency", without("currency"), Some("currency")),
        case(
            "no method",
            without("payment_method_id"),
            Some("payment_method_id"),
        ),
        case("an amount twice", again("amount", "1"), Some("amount")),
        case("the same amount twice", again("amount", "10000"), Some("amount")),
        case(
            "a currency twice",
            again("currency", r#""EUR""#),
            Some("currency"),
        ),
    ]
}

fn too_much() -> Vec<Case> {
    let long = |bytes: usize| format!("\"{}\"", "x".repeat(bytes));
    let entries: serde_json::Map<_, _> = (0..51).map(|number| (number.to_string(), json!(""))).collect();
    let value = format!(r#"{{"a":{}}}"#, long(501));
    vec![
        case(
            "much metadata",
            with("metadata", &json!(entries).to_string()),
            Some("metadata"),
        ),
        case(
            "a long value in metadata",
            with("metadata", &value),
            Some("metadata.a"),
        ),
        case(
            "a long description",
            with("description", &long(70_000)),
            Some("description"),
        ),
        case(
            "a long customer",
            with("customer_id", &long(256)),
            Some("customer_id"),
        ),
    ]
}

pub(super) fn amounts() -> Vec<Case> {
    let written = [
        "0",
        "-0",
        "-1",
        "-10000",
        "1.5",
        "100.00",
        "1e4",
        "1E4",
        "0.1",
        "1000000000000",
        "2147483648000",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551615",
        "18446744073709551616",
        "1000000000000000000000000000000",
        "-1000000000000000000000000000000",
        "1e400",
        "\"10000\"",
        "\"\"",
        "null",
        "true",
        "[10000]",
        "{}",
        "{\"value\":10000}",
    ];
    let case = |written: &&'static str| case(written, with("amount", written), Some("amount"));
    // No JSON, found out while the amount was read.
    let broken = ["+1", "01", ".5", "1.", "NaN", "Infinity"];
    // A number, and then something that JSON does not have there.
    let followed = ["0x10", "1_000"].map(|written| Case {
        param: None,
        ..case(&written)
    });
    written.iter().chain(&broken).map(case).chain(followed).collect()
}
