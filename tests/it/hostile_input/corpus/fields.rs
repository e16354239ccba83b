//! Bodies in which one field is wrong.

use super::{Hostile, at, body};
use crate::hostile_input::bodies::with;
use serde_json::json;

const INVALID: &str = "parameter_invalid";
const INTEGER: &str = "parameter_invalid_integer";
const UNKNOWN: &str = "parameter_unknown";
const BROKEN: &str = "body_invalid";
const MISSING: &str = "resource_missing";
const LARGE: &str = "amount_too_large";

/// How the amount is written, and the code.
const AMOUNTS: &[(&str, &str)] = &[
    ("0", "amount_too_small"),
    ("-0", INTEGER),
    ("0.0", INTEGER),
    ("-0.0", INTEGER),
    ("-1", INTEGER),
    ("-10000", INTEGER),
    ("1.0", INTEGER),
    ("100.00", INTEGER),
    ("1.5", INTEGER),
    ("0.1", INTEGER),
    ("9999999999.99", INTEGER),
    ("1e4", INTEGER),
    ("1E4", INTEGER),
    ("1e+4", INTEGER),
    ("10000e0", INTEGER),
    ("1e-4", INTEGER),
    ("1e-400", INTEGER),
    ("1e308", LARGE),
    ("-1e308", INTEGER),
    ("1e309", BROKEN),
    ("-1e309", BROKEN),
    ("1e999999999", BROKEN),
    ("1000000000000", LARGE),
    ("2147483648000", LARGE),
    ("9007199254740993", LARGE),
    ("9223372036854775807", LARGE),
    ("9223372036854775808", LARGE),
    ("18446744073709551615", LARGE),
    ("18446744073709551616", LARGE),
    ("340282366920938463463374607431768211456", LARGE),
    ("-9223372036854775808", INTEGER),
    ("-9223372036854775809", INTEGER),
    ("-340282366920938463463374607431768211456", INTEGER),
    (r#""10000""#, INVALID),
    (r#""""#, INVALID),
    (r#""1e4""#, INVALID),
    (r#""0x2710""#, INVALID),
    ("null", INVALID),
    ("true", INVALID),
    ("false", INVALID),
    ("[]", INVALID),
    ("[10000]", INVALID),
    ("{}", INVALID),
    (r#"{"value":10000}"#, INVALID),
    (r#"{"$serde_json::private::Number":"10000"}"#, INVALID),
    ("+1", BROKEN),
    ("--1", BROKEN),
    ("-", BROKEN),
    ("01", BROKEN),
    ("00", BROKEN),
    (".5", BROKEN),
    ("1.", BROKEN),
    ("1e", BROKEN),
    ("1e+", BROKEN),
    ("NaN", BROKEN),
    ("Infinity", BROKEN),
    ("-Infinity", BROKEN),
    ("\u{661}\u{660}\u{660}", BROKEN),
    ("\u{ff11}\u{ff10}", BROKEN),
    ("undefined", BROKEN),
    ("True", BROKEN),
];

/// A field, how it is written, and the code; the field is the parameter at fault.
const WRITTEN: &[(&str, &str, &str)] = &[
    ("currency", r#""""#, INVALID),
    ("currency", r#"" USD""#, INVALID),
    ("currency", r#""USD ""#, INVALID),
    ("currency", r#""US""#, INVALID),
    ("currency", r#""USDT""#, INVALID),
    ("currency", r#""BTC""#, INVALID),
    ("currency", r#""$""#, INVALID),
    ("currency", r#""USD\u0000""#, INVALID),
    ("currency", r#""USD\n""#, INVALID),
    ("currency", "\"U\u{405}D\"", INVALID),
    ("currency", "\"u\u{17f}d\"", INVALID),
    ("currency", "\"\u{ff35}\u{ff33}\u{ff24}\"", INVALID),
    ("currency", "\"U\u{200b}SD\"", INVALID),
    ("currency", "\"\u{202e}DSU\"", INVALID),
    ("currency", "840", INVALID),
    ("currency", "null", INVALID),
    ("currency", "true", INVALID),
    ("currency", r#"["USD"]"#, INVALID),
    ("currency", r#"{"code":"USD"}"#, INVALID),
    ("payment_method_id", r#""""#, MISSING),
    ("payment_method_id", r#"" pm_card_visa""#, MISSING),
    ("payment_method_id", r#""PM_CARD_VISA""#, MISSING),
    ("payment_method_id", r#""pm_card_visa/../x""#, MISSING),
    ("payment_method_id", r#""pm_card_visa'--""#, MISSING),
    ("payment_method_id", r#""4242424242424242""#, MISSING),
    ("payment_method_id", "\"pm_card_vis\u{430}\"", MISSING),
    ("payment_method_id", r#""pm_card_visa\u0000""#, INVALID),
    ("payment_method_id", r#""pm_card_visa\r\nX: y""#, INVALID),
    ("payment_method_id", "1", INVALID),
    ("payment_method_id", "null", INVALID),
    ("payment_method_id", r#"["pm_card_visa"]"#, INVALID),
    ("payment_method_id", r#"{"id":"pm_card_visa"}"#, INVALID),
    ("capture_method", r#""""#, INVALID),
    ("capture_method", r#""AUTOMATIC""#, INVALID),
    ("capture_method", r#""manual ""#, INVALID),
    ("capture_method", "0", INVALID),
    ("capture_method", "false", INVALID),
    ("capture_method", "[]", INVALID),
    ("customer_id", r#""""#, INVALID),
    ("customer_id", r#""   ""#, INVALID),
    ("customer_id", "\"\u{2003}\"", INVALID),
    ("customer_id", r#""cus\u0000""#, INVALID),
    ("customer_id", r#""cus\u007f""#, INVALID),
    ("customer_id", r#""cus\u0085""#, INVALID),
    ("customer_id", "7", INVALID),
    ("customer_id", "{}", INVALID),
    ("description", "7", INVALID),
    ("description", "true", INVALID),
    ("description", r#"["a"]"#, INVALID),
    ("description", r#""a\u0000b""#, INVALID),
    ("description", r#""a\u001b[31mb""#, INVALID),
    ("description", "\"a\u{0}b\"", BROKEN),
    ("description", "\"a\tb\"", BROKEN),
    ("description", "\"a\nb\"", BROKEN),
    ("description", r#""\ud800""#, BROKEN),
    ("description", r#""\udc00""#, BROKEN),
    ("description", r#""\udc00\ud800""#, BROKEN),
    ("description", r#""\ud83dx""#, BROKEN),
    ("description", r#""\ud83d\u0041""#, BROKEN),
    ("description", r#""\uZZZZ""#, BROKEN),
    ("description", r#""\u12""#, BROKEN),
    ("description", r#""\x41""#, BROKEN),
    ("description", r#""\'""#, BROKEN),
    ("description", "'a'", BROKEN),
    ("metadata", "[]", INVALID),
    ("metadata", r#""a""#, INVALID),
    ("metadata", "1", INVALID),
    ("metadata", r#"{"":"1"}"#, INVALID),
    ("metadata", r#"{"a":"1","a":"2"}"#, INVALID),
    ("metadata", r#"{"a":"1","\u0061":"2"}"#, INVALID),
    ("metadata", r#"{},"metadata":{}"#, INVALID),
    ("return_url", r#""""#, INVALID),
    ("return_url", r#""/back""#, INVALID),
    ("return_url", r#""//evil.example""#, INVALID),
    ("return_url", r#""https:///etc/passwd""#, INVALID),
    ("return_url", r#""https://""#, INVALID),
    ("return_url", r#""https:/a.example""#, INVALID),
    ("return_url", r#""javascript:alert(1)""#, INVALID),
    ("return_url", r#""data:text/html,x""#, INVALID),
    ("return_url", r#""file:///etc/passwd""#, INVALID),
    ("return_url", r#""ftp://a.example""#, INVALID),
    ("return_url", r#""https://a.example/ b""#, INVALID),
    ("return_url", r#""https://a.example/\r\nX: y""#, INVALID),
    ("return_url", r#"["https://a.example"]"#, INVALID),
    ("device", r#""phone""#, INVALID),
    ("device", "[]", INVALID),
    ("device", "1", INVALID),
    // Names that are none of ours: the name is the parameter at fault.
    ("amuont", "1", UNKNOWN),
    ("Amount", "1", UNKNOWN),
    ("AMOUNT", "1", UNKNOWN),
    ("amount ", "1", UNKNOWN),
    ("\u{430}mount", "1", UNKNOWN),
    ("amount[]", "1", UNKNOWN),
    ("id", r#""pay_01m7y8dg6p0000emgyq7269te1""#, UNKNOWN),
    ("status", r#""succeeded""#, UNKNOWN),
    ("livemode", "true", UNKNOWN),
    ("merchant_id", r#""x""#, UNKNOWN),
    ("fee", "0", UNKNOWN),
    ("net", "10000", UNKNOWN),
    ("risk", r#"{"score":0}"#, UNKNOWN),
    ("provider", r#""fake""#, UNKNOWN),
    ("card", r#"{"number":"4242424242424242"}"#, UNKNOWN),
    ("__proto__", r#"{"amount":1}"#, UNKNOWN),
    ("constructor", "{}", UNKNOWN),
    ("$where", r#""1""#, UNKNOWN),
    ("<script>", "1", UNKNOWN),
];

/// A field, how it is written, the parameter at fault below it, and the code.
const BELOW: &[(&str, &str, &str, &str)] = &[
    ("metadata", r#"{"a":1}"#, "metadata.a", INVALID),
    ("metadata", r#"{"a":1.5}"#, "metadata.a", INVALID),
    ("metadata", r#"{"a":null}"#, "metadata.a", INVALID),
    ("metadata", r#"{"a":true}"#, "metadata.a", INVALID),
    ("metadata", r#"{"a":[]}"#, "metadata.a", INVALID),
    ("metadata", r#"{"a":{"b":"c"}}"#, "metadata.a", INVALID),
    ("metadata", r#"{"a":"b\u0000"}"#, "metadata.a", INVALID),
    ("metadata", r#"{"__proto__":{}}"#, "metadata.__proto__", INVALID),
    ("metadata", r#"{"a":"\ud800"}"#, "metadata.a", BROKEN),
    ("device", r#"{"ip":"999.1.1.1"}"#, "device.ip", INVALID),
    ("device", r#"{"ip":"1.2.3"}"#, "device.ip", INVALID),
    ("device", r#"{"ip":"1.2.3.4.5"}"#, "device.ip", INVALID),
    ("device", r#"{"ip":"01.2.3.4"}"#, "device.ip", INVALID),
    ("device", r#"{"ip":"0x7f.0.0.1"}"#, "device.ip", INVALID),
    ("device", r#"{"ip":"2130706433"}"#, "device.ip", INVALID),
    ("device", r#"{"ip":"1.2.3.4:80"}"#, "device.ip", INVALID),
    ("device", r#"{"ip":" 1.2.3.4"}"#, "device.ip", INVALID),
    ("device", r#"{"ip":"[::1]"}"#, "device.ip", INVALID),
    ("device", r#"{"ip":"fe80::1%eth0"}"#, "device.ip", INVALID),
    ("device", r#"{"ip":""}"#, "device.ip", INVALID),
    ("device", r#"{"ip":2130706433}"#, "device.ip", INVALID),
    ("device", r#"{"ip":"::1","ip":"::1"}"#, "device.ip", INVALID),
    ("device", r#"{"country":""}"#, "device.country", INVALID),
    ("device", r#"{"country":"U"}"#, "device.country", INVALID),
    ("device", r#"{"country":"USA"}"#, "device.country", INVALID),
    ("device", r#"{"country":"U1"}"#, "device.country", INVALID),
    ("device", "{\"country\":\"\u{dc}\"}", "device.country", INVALID),
    ("device", r#"{"country":1}"#, "device.country", INVALID),
    ("device", r#"{"fingerprint":""}"#, "device.fingerprint", INVALID),
    ("device", r#"{"fingerprint":7}"#, "device.fingerprint", INVALID),
    ("device", r#"{"mac":"00"}"#, "device.mac", UNKNOWN),
    ("device", r#"{"__proto__":{}}"#, "device.__proto__", UNKNOWN),
];

pub(super) fn all() -> Vec<Hostile> {
    let wrong = |field: &str, written: &str, code, param: &str| {
        let name = format!("`{field}` as {written:?}");
        body(name, with(field, written), at(400, code, param))
    };
    let amounts = AMOUNTS
        .iter()
        .map(|(written, code)| wrong("amount", written, code, "amount"));
    let written = WRITTEN
        .iter()
        .map(|(field, written, code)| wrong(field, written, code, field));
    let below = BELOW
        .iter()
        .map(|(field, written, param, code)| wrong(field, written, code, param));
    amounts.chain(written).chain(below).chain(long()).collect()
}

/// Values that are right but for their length.
fn long() -> Vec<Hostile> {
    let text = |bytes: usize| format!("\"{}\"", "x".repeat(bytes));
    let digits = |count: usize| "9".repeat(count);
    let entries: serde_json::Map<String, serde_json::Value> =
        (0..60).map(|number| (format!("k{number}"), json!(""))).collect();
    let value = format!(r#"{{"a":{}}}"#, text(501));
    let name = format!("{{{}:\"\"}}", text(41));
    let fingerprint = format!(r#"{{"fingerprint":{}}}"#, text(256));
    [
        (
            "a long customer",
            "customer_id",
            text(256),
            "customer_id",
            INVALID,
        ),
        (
            "a long description",
            "description",
            text(70_000),
            "description",
            INVALID,
        ),
        (
            "a long fingerprint",
            "device",
            fingerprint,
            "device.fingerprint",
            INVALID,
        ),
        ("a long currency", "currency", text(70_000), "currency", INVALID),
        (
            "a long method",
            "payment_method_id",
            text(70_000),
            "payment_method_id",
            MISSING,
        ),
        ("a long amount", "amount", digits(300), "amount", LARGE),
        ("an endless amount", "amount", digits(100_000), "amount", BROKEN),
        (
            "an endless fraction",
            "amount",
            format!("1.{}", digits(100_000)),
            "amount",
            INTEGER,
        ),
        (
            "much metadata",
            "metadata",
            json!(entries).to_string(),
            "metadata",
            INVALID,
        ),
        (
            "a long value in metadata",
            "metadata",
            value,
            "metadata.a",
            INVALID,
        ),
        ("a long name in metadata", "metadata", name, "metadata", INVALID),
    ]
    .map(|(what, field, written, param, code)| body(what, with(field, &written), at(400, code, param)))
    .into()
}
