//! What is refused and where it says so; what means the same.

use super::*;
use crate::json::read;

const MINIMAL: &str = r#"{"amount":10000,"currency":"USD","payment_method_id":"pm_card_visa"}"#;

fn checked(body: &[u8]) -> Result<Checked, Invalid> {
    read::<PaymentRequest<'_>>(body)?.check(false, None)
}

fn refusal(body: &[u8]) -> (Option<String>, &'static str, String) {
    let shown = String::from_utf8_lossy(body)
        .chars()
        .take(120)
        .collect::<String>();
    let invalid = checked(body)
        .err()
        .unwrap_or_else(|| panic!("was accepted: {shown}"));
    (invalid.param, invalid.code.as_str(), invalid.message)
}

/// The minimal body with one more field, or with one replaced.
fn with(name: &str, json: &str) -> String {
    let mut body: Vec<(&str, &str)> = vec![
        ("amount", "10000"),
        ("currency", r#""USD""#),
        ("payment_method_id", r#""pm_card_visa""#),
    ];
    match body.iter_mut().find(|field| field.0 == name) {
        Some(field) => field.1 = json,
        None => body.push((name, json)),
    }
    let fields: Vec<String> = body
        .iter()
        .map(|(name, json)| format!(r#""{name}":{json}"#))
        .collect();
    format!("{{{}}}", fields.join(","))
}

#[test]
#[expect(clippy::too_many_lines, reason = "a flat table: one row per body")]
fn a_wrong_value_is_refused_by_the_name_of_its_field() {
    let long = |count: usize| format!("\"{}\"", "x".repeat(count));
    let entries = |count: usize| {
        let entries: Vec<String> = (0..count).map(|n| format!(r#""k{n}":"v""#)).collect();
        format!("{{{}}}", entries.join(","))
    };
    let table: &[(&str, String, &str, &str)] = &[
        ("amount", "0".into(), "amount", "amount_too_small"),
        ("amount", "-1".into(), "amount", "parameter_invalid_integer"),
        ("amount", "-0".into(), "amount", "parameter_invalid_integer"),
        ("amount", "1000000000000".into(), "amount", "amount_too_large"),
        (
            "amount",
            "18446744073709551616".into(),
            "amount",
            "amount_too_large",
        ),
        (
            "amount",
            "-9223372036854775809".into(),
            "amount",
            "parameter_invalid_integer",
        ),
        (
            "amount",
            format!("1{}", "0".repeat(60)),
            "amount",
            "amount_too_large",
        ),
        ("amount", "1e999".into(), "amount", "body_invalid"),
        ("amount", "100.0".into(), "amount", "parameter_invalid_integer"),
        ("amount", "1e3".into(), "amount", "parameter_invalid_integer"),
        ("amount", r#""10000""#.into(), "amount", "parameter_invalid"),
        ("amount", "true".into(), "amount", "parameter_invalid"),
        ("amount", "null".into(), "amount", "parameter_invalid"),
        ("amount", "[1]".into(), "amount", "parameter_invalid"),
        (
            "amount",
            r#"{"$serde_json::private::Number":"1"}"#.into(),
            "amount",
            "parameter_invalid",
        ),
        ("amount", "NaN".into(), "amount", "body_invalid"),
        ("amount", "01".into(), "amount", "body_invalid"),
        ("currency", r#""XYZ""#.into(), "currency", "parameter_invalid"),
        ("currency", r#""XAU""#.into(), "currency", "parameter_invalid"),
        ("currency", r#""US""#.into(), "currency", "parameter_invalid"),
        ("currency", r#""""#.into(), "currency", "parameter_invalid"),
        ("currency", "840".into(), "currency", "parameter_invalid"),
        (
            "payment_method_id",
            r#""pm_card_nobody""#.into(),
            "payment_method_id",
            "resource_missing",
        ),
        (
            "payment_method_id",
            r#""4242424242424242""#.into(),
            "payment_method_id",
            "resource_missing",
        ),
        (
            "payment_method_id",
            "null".into(),
            "payment_method_id",
            "parameter_invalid",
        ),
        (
            "capture_method",
            r#""Manual""#.into(),
            "capture_method",
            "parameter_invalid",
        ),
        ("customer_id", r#""""#.into(), "customer_id", "parameter_invalid"),
        (
            "customer_id",
            r#""cus_\u0000""#.into(),
            "customer_id",
            "parameter_invalid",
        ),
        ("customer_id", "[]".into(), "customer_id", "parameter_invalid"),
        ("customer_id", long(256), "customer_id", "parameter_invalid"),
        (
            "description",
            r#""a\nb""#.into(),
            "description",
            "parameter_invalid",
        ),
        (
            "description",
            "\"\u{85}\"".into(),
            "description",
            "parameter_invalid",
        ),
        ("description", r#""\ud800""#.into(), "description", "body_invalid"),
        ("description", long(1001), "description", "parameter_invalid"),
        (
            "return_url",
            r#""javascript:alert(1)""#.into(),
            "return_url",
            "parameter_invalid",
        ),
        (
            "return_url",
            r#""https://""#.into(),
            "return_url",
            "parameter_invalid",
        ),
        ("metadata", "[]".into(), "metadata", "parameter_invalid"),
        ("metadata", r#"{"a":1}"#.into(), "metadata.a", "parameter_invalid"),
        (
            "metadata",
            r#"{"a":null}"#.into(),
            "metadata.a",
            "parameter_invalid",
        ),
        (
            "metadata",
            r#"{"a":{"b":"c"}}"#.into(),
            "metadata.a",
            "parameter_invalid",
        ),
        (
            "metadata",
            r#"{"a":"1","a":"1"}"#.into(),
            "metadata",
            "parameter_invalid",
        ),
        (
            "metadata",
            r#"{"a":"1","\u0061":"2"}"#.into(),
            "metadata",
            "parameter_invalid",
        ),
        ("metadata", r#"{"":"1"}"#.into(), "metadata", "parameter_invalid"),
        ("metadata", entries(51), "metadata", "parameter_invalid"),
        ("metadata", entries(5000), "metadata", "parameter_invalid"),
        (
            "metadata",
            format!(r#"{{"a":{}}}"#, long(501)),
            "metadata.a",
            "parameter_invalid",
        ),
        (
            "metadata",
            format!(r#"{{{}:"a"}}"#, long(41)),
            "metadata",
            "parameter_invalid",
        ),
        ("device", r#"["a"]"#.into(), "device", "parameter_invalid"),
        (
            "device",
            r#"{"mac":"a"}"#.into(),
            "device.mac",
            "parameter_unknown",
        ),
        (
            "device",
            r#"{"ip":"1.2.3.4","ip":"1.2.3.4"}"#.into(),
            "device.ip",
            "parameter_invalid",
        ),
        (
            "device",
            r#"{"ip":"localhost"}"#.into(),
            "device.ip",
            "parameter_invalid",
        ),
        (
            "device",
            r#"{"country":"USA"}"#.into(),
            "device.country",
            "parameter_invalid",
        ),
        (
            "device",
            r#"{"country":"ÅÅ"}"#.into(),
            "device.country",
            "parameter_invalid",
        ),
        (
            "device",
            r#"{"fingerprint":" "}"#.into(),
            "device.fingerprint",
            "parameter_invalid",
        ),
        ("routing", "[]".into(), "routing", "parameter_invalid"),
        (
            "routing",
            r#"{"pin":"Stripe!"}"#.into(),
            "routing.pin",
            "parameter_invalid",
        ),
        (
            "routing",
            r#"{"pin":["a"]}"#.into(),
            "routing.pin",
            "parameter_invalid",
        ),
        (
            "routing",
            r#"{"pin":"a","prefer":["b"]}"#.into(),
            "routing.pin",
            "parameter_invalid",
        ),
        (
            "routing",
            r#"{"prefer":["a","a"]}"#.into(),
            "routing.prefer",
            "parameter_invalid",
        ),
        (
            "routing",
            r#"{"prefer":["a"],"exclude":["b","a"]}"#.into(),
            "routing.exclude",
            "parameter_invalid",
        ),
        (
            "routing",
            r#"{"exclude":"a"}"#.into(),
            "routing.exclude",
            "parameter_invalid",
        ),
        (
            "routing",
            r#"{"only":"a"}"#.into(),
            "routing.only",
            "parameter_unknown",
        ),
        ("amont", "1".into(), "amont", "parameter_unknown"),
        ("Amount", "1".into(), "Amount", "parameter_unknown"),
    ];
    for (name, json, param, code) in table {
        let (at, why, message) = refusal(with(name, json).as_bytes());
        assert_eq!(
            (at.as_deref(), why),
            (Some(*param), *code),
            "{name}: {json:.60}: {message}"
        );
        assert!(
            message.contains(param.split('.').next().unwrap()),
            "{name}: {json:.60}: {message}"
        );
        assert!(message.len() < 400, "{message}");
    }
}

#[test]
fn a_wrong_body_is_refused_as_a_whole() {
    let table: &[(&[u8], Option<&str>, &str)] = &[
        (b"", None, "body_invalid"),
        (b" \n\t", None, "body_invalid"),
        (b"{", None, "body_invalid"),
        (b"{}", Some("amount"), "parameter_missing"),
        (b"[]", None, "parameter_invalid"),
        (br#"[10000,"USD","pm_card_visa"]"#, None, "parameter_invalid"),
        (b"null", None, "parameter_invalid"),
        (b"\"a\"", None, "parameter_invalid"),
        (
            br#"{"amount":1,"currency":"USD"}"#,
            Some("payment_method_id"),
            "parameter_missing",
        ),
        (
            br#"{"amount":1,"amount":1,"currency":"USD","payment_method_id":"pm_card_visa"}"#,
            Some("amount"),
            "parameter_invalid",
        ),
        (
            br#"{"amount":1,"currency":"USD","payment_method_id":"pm_card_visa"} x"#,
            None,
            "body_invalid",
        ),
        (
            br#"{"amount":1,"currency":"USD","payment_method_id":"pm_card_visa"}{}"#,
            None,
            "body_invalid",
        ),
        (b"\xef\xbb\xbf{}", None, "body_invalid"),
        (
            b"{\"amount\":1,\"currency\":\"US\xff\"}",
            Some("currency"),
            "body_invalid",
        ),
        (b"amount=1&currency=usd", None, "body_invalid"),
    ];
    for (body, param, code) in table {
        let (at, why, message) = refusal(body);
        let shown = String::from_utf8_lossy(body);
        assert_eq!((at.as_deref(), why), (*param, *code), "{shown}: {message}");
    }
    let deep = format!("{{\"amount\":{}", "[".repeat(100_000));
    assert_eq!(refusal(deep.as_bytes()).0.as_deref(), Some("amount"));
}

#[test]
fn a_full_request_is_read_as_written() {
    let body = concat!(
        r#"{"amount":999999999999,"currency":"jpy","payment_method_id":"pm_card_amex","capture_method":"manual","#,
        r#""customer_id":"cus_1","description":"Caf\u00e9","metadata":{"b":"2","a":""},"#,
        r#""return_url":"https://shop.example/back","device":{"fingerprint":"f","ip":"::1","country":"us"}}"#
    );
    let request = checked(body.as_bytes()).unwrap();
    assert_eq!(request.amount.minor(), 999_999_999_999);
    assert_eq!(request.currency, Currency::JPY);
    assert_eq!(request.capture_method, CaptureMethod::Manual);
    assert_eq!(request.description.as_deref(), Some("Café"));
    let metadata: Vec<(&str, &str)> = request.metadata.iter().map(|(k, v)| (&**k, &**v)).collect();
    assert_eq!(metadata, [("b", "2"), ("a", "")], "in the order written");
    assert_eq!(request.device.country, Some(*b"US"));
    assert_eq!(
        checked(MINIMAL.as_bytes()).unwrap().capture_method,
        CaptureMethod::Automatic
    );
}

#[test]
fn test_names_mean_nothing_in_live_mode() {
    let request = read::<PaymentRequest<'_>>(MINIMAL.as_bytes()).unwrap();
    let refused = request.check(true, None).unwrap_err();
    assert_eq!(
        (refused.param.as_deref(), refused.code.as_str()),
        (Some("payment_method_id"), "resource_missing")
    );
}

#[test]
fn the_canonical_form_tells_meanings_apart_and_nothing_else() {
    let canonical = |body: &str| checked(body.as_bytes()).unwrap().canonical();
    let first = canonical(MINIMAL);
    for same in [
        "\n{ \"payment_method_id\" : \"pm_card_visa\", \"currency\":\"usd\",\"amount\" :10000 }\n".to_owned(),
        with("capture_method", r#""automatic""#),
        with("customer_id", "null"),
        with("metadata", "{}"),
        with("device", "{}"),
        with("off_session", "false"),
        with("routing", r#"{"prefer":[],"exclude":[]}"#),
        with("currency", r#""\u0055SD""#),
    ] {
        assert_eq!(canonical(&same), first, "{same}");
    }
    let ab = canonical(&with("metadata", r#"{"a":"1","b":"2"}"#));
    assert_eq!(canonical(&with("metadata", r#"{"b":"2","a":"1"}"#)), ab);
    let mut all = vec![first, ab];
    for other in [
        with("amount", "10001"),
        with("currency", r#""EUR""#),
        with("payment_method_id", r#""pm_card_amex""#),
        with("capture_method", r#""manual""#),
        with("customer_id", r#""a""#),
        with("description", r#""a""#),
        with("description", r#""""#),
        with("return_url", r#""https://a""#),
        with("metadata", r#"{"a":"1b2"}"#),
        with("metadata", r#"{"a1":"b2"}"#),
        with("device", r#"{"fingerprint":"a"}"#),
        with("device", r#"{"ip":"1.1.1.1"}"#),
        with("device", r#"{"country":"US"}"#),
        with("routing", r#"{"pin":"a"}"#),
        with("routing", r#"{"prefer":["a"]}"#),
        with("routing", r#"{"exclude":["a"]}"#),
        with("routing", r#"{"prefer":["a","b"]}"#),
        with("routing", r#"{"prefer":["b","a"]}"#),
        with("routing", r#"{"prefer":["ab"]}"#),
        with("routing", r#"{"prefer":["a"],"exclude":["b"]}"#),
        with("off_session", "true"),
    ] {
        let bytes = canonical(&other);
        assert!(!all.contains(&bytes), "{other}");
        all.push(bytes);
    }
}
