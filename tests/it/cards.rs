//! What a card number says by itself.

use crate::deployment::Dev;
use serde_json::{Value, json};

/// Public test numbers, the network of each and how long its numbers are.
const KNOWN: [(&str, &str, &[u8]); 12] = [
    ("4242424242424242", "visa", &[13, 16, 19]),
    ("4000056655665556", "visa", &[13, 16, 19]),
    ("4111111111111111", "visa", &[13, 16, 19]),
    ("4000000000009995", "visa", &[13, 16, 19]),
    ("5555555555554444", "mastercard", &[16]),
    ("2223003122003222", "mastercard", &[16]),
    ("5105105105105100", "mastercard", &[16]),
    ("378282246310005", "amex", &[15]),
    ("6011111111111117", "discover", &[16, 17, 18, 19]),
    ("3056930009020004", "diners", &[14, 15, 16, 17, 18, 19]),
    ("3566002020360505", "jcb", &[16, 17, 18, 19]),
    ("6200000000000005", "unionpay", &[16, 17, 18, 19]),
];

#[test]
fn x_46_the_network_of_a_card_is_told_from_its_first_digits() {
    let (_folder, dev) = Dev::fresh(&[]);
    for (number, brand, lengths) in KNOWN {
        assert!(lengths.contains(&u8::try_from(number.len()).unwrap()), "{number}");
        for digits in 6..=8 {
            let bin = &number[..digits];
            let told = dev.merchant().read(&format!("/v1/bins/{bin}"));
            let expected = json!({
                "object": "card_bin", "bin": bin, "brand": brand, "length": lengths, "luhn": true, "country": null,
            });
            assert_eq!(told, expected);
        }
    }
    // The neighbours of a range are of nobody.
    let edges = [
        ("222099", Value::Null),
        ("222100", json!("mastercard")),
        ("272099", json!("mastercard")),
        ("272100", Value::Null),
        ("352799", Value::Null),
        ("352800", json!("jcb")),
        ("560000", Value::Null),
        ("601200", Value::Null),
    ];
    for (bin, brand) in edges {
        assert_eq!(
            dev.operator().read(&format!("/v1/bins/{bin}"))["brand"],
            brand,
            "{bin}"
        );
    }
    let whole = dev.merchant().get("/v1/bins/4242424242424242").expect(400);
    assert_eq!(
        (whole.error("code"), whole.error("param")),
        ("parameter_invalid".into(), "bin".into())
    );
    assert!(!whole.text().contains("424242"), "a card number is not repeated");
    dev.stop();
}

#[test]
fn a_card_number_that_is_asked_about_by_mistake_is_in_no_log() {
    let (_folder, dev) = Dev::fresh(&[("FLORIN_LOG", "debug")]);
    dev.merchant().get("/v1/bins/4242424242424242").expect(400);
    let mut process = dev.process;
    process.terminate();
    process.wait();
    let (out, err) = process.output();
    for said in [&out, &err] {
        assert!(!said.contains("424242424242"), "{said}");
    }
    assert!(
        out.contains("/v1/bins/") || err.contains("/v1/bins/"),
        "the request itself is logged: {err}"
    );
}
