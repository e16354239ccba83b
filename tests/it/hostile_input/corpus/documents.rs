//! Bodies that are wrong as a whole.

use super::{Hostile, at, body, named};
use crate::deployment::sale;
use crate::hostile_input::bodies::with;

const BROKEN: &str = "body_invalid";
const INVALID: &str = "parameter_invalid";

/// Bodies that are no JSON object, and the code.
const WHOLE: &[(&str, &str)] = &[
    ("", BROKEN),
    (" \r\n\t ", BROKEN),
    ("null", INVALID),
    ("true", INVALID),
    ("1", INVALID),
    ("\"amount\"", INVALID),
    ("[]", INVALID),
    (r#"[10000,"USD","pm_card_visa"]"#, INVALID),
    ("{", BROKEN),
    ("}", BROKEN),
    ("{,}", BROKEN),
    ("{amount:1}", BROKEN),
    ("{'amount':1}", BROKEN),
    (r#"{"amount""#, BROKEN),
    ("amount=10000&currency=USD", BROKEN),
    ("<payment/>", BROKEN),
    ("--boundary\r\nContent-Disposition: form-data", BROKEN),
    ("\0", BROKEN),
    ("\u{feff}{}", BROKEN),
    ("/* a */ {}", BROKEN),
    ("GET /healthz HTTP/1.1\r\n\r\n", BROKEN),
];

/// Bodies in which a name is missing or stands twice: the code and the name.
const NAMES: &[(&str, &str, &str)] = &[
    ("{}", "parameter_missing", "amount"),
    (
        r#"{"currency":"USD","payment_method_id":"pm_card_visa"}"#,
        "parameter_missing",
        "amount",
    ),
    (
        r#"{"amount":10000,"payment_method_id":"pm_card_visa"}"#,
        "parameter_missing",
        "currency",
    ),
    (
        r#"{"amount":10000,"currency":"USD"}"#,
        "parameter_missing",
        "payment_method_id",
    ),
    (
        r#"{"amount":10000,"amount":1,"currency":"USD","payment_method_id":"pm_card_visa"}"#,
        INVALID,
        "amount",
    ),
    (
        r#"{"amount":10000,"\u0061mount":1,"currency":"USD","payment_method_id":"pm_card_visa"}"#,
        INVALID,
        "amount",
    ),
    (
        r#"{"amount":10000,"currency":"USD","currency":"USD","payment_method_id":"pm_card_visa"}"#,
        INVALID,
        "currency",
    ),
    (
        r#"{"amount":10000,"currency":"USD","payment_method_id":"x","payment_method_id":"pm_card_visa"}"#,
        INVALID,
        "payment_method_id",
    ),
];

/// Bytes that are no UTF-8, inside a description.
const NO_UTF_8: &[(&str, &[u8])] = &[
    ("a stray byte", &[0xff]),
    ("a lone continuation", &[0x80]),
    ("an overlong NUL", &[0xc0, 0x80]),
    ("an overlong slash", &[0xe0, 0x80, 0xaf]),
    ("a surrogate in three bytes", &[0xed, 0xa0, 0x80]),
    ("beyond the last code point", &[0xf4, 0x90, 0x80, 0x80]),
    ("a cut off sequence", &[0xe2, 0x82]),
    ("Latin 1", b"caf\xe9"),
];

pub(super) fn all() -> Vec<Hostile> {
    let valid = sale(10_000, "USD").to_string();
    let mut all = Vec::new();
    for (written, code) in WHOLE {
        all.push(body(format!("the body {written:?}"), written, named(400, code)));
    }
    for (written, code, param) in NAMES {
        all.push(body(*written, written, at(400, code, param)));
    }
    for (name, bytes) in NO_UTF_8 {
        let mut written = with("description", r#""~""#).into_bytes();
        let place = written.iter().position(|byte| *byte == b'~').unwrap();
        written.splice(place..=place, bytes.iter().copied());
        all.push(body(*name, written, at(400, BROKEN, "description")));
    }
    let utf_16: Vec<u8> = valid.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let broken: [(&str, Vec<u8>); 9] = [
        ("a body cut off", valid.as_bytes()[..valid.len() - 1].to_vec()),
        ("a body and more", format!("{valid} x").into_bytes()),
        ("two bodies", format!("{valid}{valid}").into_bytes()),
        ("two lines", format!("{valid}\n{valid}").into_bytes()),
        ("a body and a NUL", format!("{valid}\0").into_bytes()),
        ("a comma too many", valid.replace('}', ",}").into_bytes()),
        ("UTF-16", utf_16),
        ("something compressed", vec![0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0]),
        ("only closing brackets", "]".repeat(200_000).into_bytes()),
    ];
    for (name, written) in broken {
        all.push(body(name, written, named(400, BROKEN)));
    }
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(20_000), close.repeat(20_000));
    all.extend([
        body("an array around it", format!("[{valid}]"), named(400, INVALID)),
        body("nothing but depth", "[".repeat(200_000), named(400, INVALID)),
        body(
            "deep arrays",
            with("metadata", &deep("[", "]")),
            at(400, INVALID, "metadata"),
        ),
        body(
            "deep objects",
            with("metadata", &deep(r#"{"a":"#, "}")),
            at(400, INVALID, "metadata.a"),
        ),
        body(
            "deep where nothing is known",
            with("deep", &deep("[", "]")),
            at(400, "parameter_unknown", "deep"),
        ),
        body(
            "more than the limit",
            vec![b' '; 300 * 1024],
            named(413, "body_too_large"),
        ),
    ]);
    all
}
