//! Tests of the module beside it.

use super::super::sample::attempt;
use super::*;
use OperationKind::{Authorize, Capture, Increment, Refund, Sale, Void};
use florin_domain::card_details::CardInput;
use florin_domain::credentials::SecretText;
use florin_domain::time::Timestamp;
use proptest::prelude::*;
use std::sync::Arc;

/// A saved card, with its code or after that is gone.
fn charged(has_code: bool) -> ChargedCard {
    let secret = SecretText::new;
    let input = CardInput {
        number: secret("4242 4242 4242 4242"),
        exp_month: secret("12"),
        exp_year: secret("2040"),
        security_code: Some(secret("123")),
        holder: has_code.then(|| secret("Jane Diaz")),
    };
    let (card, code) = input.check(Timestamp::from_unix_ms(1_790_000_000_000)).unwrap();
    ChargedCard {
        card,
        code: code.filter(|_| has_code).map(Arc::new),
    }
}

type Row = (
    &'static str,
    Result<WireRequest, Unsendable>,
    (&'static str, &'static str),
    Option<&'static str>,
    &'static str,
);

#[test]
fn every_charge_has_its_form() {
    let challenged = AttemptRequest {
        return_url: Some(Arc::from("https://shop.example/done?order=1&x=ü y")),
        ..attempt(Sale)
    };
    let unattended = AttemptRequest {
        off_session: true,
        ..attempt(Sale)
    };
    let (saved, codeless) = (charged(true), charged(false));
    let rows: Vec<Row> = vec![
        (
            "sale: the intent",
            create(&attempt(Sale)),
            ("POST", "/v1/payment_intents"),
            Some("flo_k-intent"),
            "amount=1500&currency=usd&payment_method_types%5B%5D=card\
             &capture_method=automatic&confirmation_method=automatic\
             &metadata%5Bpayment_id%5D=pay_00000000000000000000000007\
             &metadata%5Boperation_id%5D=pay_00000000000000000000000007",
        ),
        (
            "authorization: the intent",
            create(&attempt(Authorize)),
            ("POST", "/v1/payment_intents"),
            Some("flo_k-intent"),
            "amount=1500&currency=usd&payment_method_types%5B%5D=card\
             &capture_method=manual&confirmation_method=automatic\
             &metadata%5Bpayment_id%5D=pay_00000000000000000000000007\
             &metadata%5Boperation_id%5D=pay_00000000000000000000000007\
             &payment_method_options%5Bcard%5D%5Brequest_multicapture%5D=if_available\
             &payment_method_options%5Bcard%5D%5Brequest_incremental_authorization%5D=if_available",
        ),
        (
            "sale",
            execute(&attempt(Sale), None),
            ("POST", "/v1/payment_intents/pi_1/confirm"),
            Some("flo_k"),
            "payment_method=pm_card_visa",
        ),
        (
            "sale with a saved card",
            execute(&challenged, Some(&saved)),
            ("POST", "/v1/payment_intents/pi_1/confirm"),
            Some("flo_k"),
            "return_url=https%3A%2F%2Fshop.example%2Fdone%3Forder%3D1%26x%3D%C3%BC+y\
             &payment_method_data%5Btype%5D=card&payment_method_data%5Bcard%5D%5Bnumber%5D=4242424242424242\
             &payment_method_data%5Bcard%5D%5Bexp_month%5D=12&payment_method_data%5Bcard%5D%5Bexp_year%5D=2040\
             &payment_method_data%5Bcard%5D%5Bcvc%5D=123\
             &payment_method_data%5Bbilling_details%5D%5Bname%5D=Jane+Diaz",
        ),
        (
            "sale with a saved card whose code is gone",
            execute(&attempt(Sale), Some(&codeless)),
            ("POST", "/v1/payment_intents/pi_1/confirm"),
            Some("flo_k"),
            "payment_method_data%5Btype%5D=card&payment_method_data%5Bcard%5D%5Bnumber%5D=4242424242424242\
             &payment_method_data%5Bcard%5D%5Bexp_month%5D=12&payment_method_data%5Bcard%5D%5Bexp_year%5D=2040",
        ),
        (
            "authorization with a way back",
            execute(&challenged, None),
            ("POST", "/v1/payment_intents/pi_1/confirm"),
            Some("flo_k"),
            "return_url=https%3A%2F%2Fshop.example%2Fdone%3Forder%3D1%26x%3D%C3%BC+y&payment_method=pm_card_visa",
        ),
        (
            "sale to nobody who is there",
            execute(&unattended, None),
            ("POST", "/v1/payment_intents/pi_1/confirm"),
            Some("flo_k"),
            "off_session=true&payment_method=pm_card_visa",
        ),
    ];
    check(rows);
}

#[test]
fn every_later_operation_has_its_form() {
    let partial = AttemptRequest {
        is_final: false,
        ..attempt(Capture)
    };
    let rows: Vec<Row> = vec![
        (
            "final capture",
            execute(&attempt(Capture), None),
            ("POST", "/v1/payment_intents/pi_1/capture"),
            Some("flo_k"),
            "amount_to_capture=1500&final_capture=true\
             &metadata%5Boperation_id%5D=cap_00000000000000000000000001\
             &metadata%5Bcap_00000000000000000000000001%5D=1500",
        ),
        (
            "partial capture",
            execute(&partial, None),
            ("POST", "/v1/payment_intents/pi_1/capture"),
            Some("flo_k"),
            "amount_to_capture=1500&final_capture=false\
             &metadata%5Boperation_id%5D=cap_00000000000000000000000001\
             &metadata%5Bcap_00000000000000000000000001%5D=1500",
        ),
        (
            "increment",
            execute(&attempt(Increment), None),
            ("POST", "/v1/payment_intents/pi_1/increment_authorization"),
            Some("flo_k"),
            "amount=2500&metadata%5Boperation_id%5D=inc_00000000000000000000000005",
        ),
        (
            "void",
            execute(&attempt(Void), None),
            ("POST", "/v1/payment_intents/pi_1/cancel"),
            Some("flo_k"),
            "",
        ),
        (
            "refund",
            execute(&attempt(Refund), None),
            ("POST", "/v1/refunds"),
            Some("flo_k"),
            "payment_intent=pi_1&amount=1500&metadata%5Boperation_id%5D=ref_00000000000000000000000004\
             &metadata%5Bpayment_id%5D=pay_00000000000000000000000007",
        ),
    ];
    check(rows);
}

#[test]
fn looking_and_closing_have_their_requests() {
    let rows: Vec<Row> = vec![
        (
            "look at a sale",
            read_intent(&attempt(Sale)),
            ("GET", "/v1/payment_intents/pi_1"),
            None,
            "",
        ),
        (
            "look at a capture",
            read_intent(&attempt(Capture)),
            ("GET", "/v1/payment_intents/pi_1"),
            None,
            "",
        ),
        (
            "look at a refund",
            read_refund("re_1"),
            ("GET", "/v1/refunds/re_1"),
            None,
            "",
        ),
        (
            "first page of refunds",
            list_refunds(&attempt(Refund), None),
            ("GET", "/v1/refunds?payment_intent=pi_1&limit=100"),
            None,
            "",
        ),
        (
            "second page of refunds",
            list_refunds(&attempt(Refund), Some("re_9")),
            (
                "GET",
                "/v1/refunds?payment_intent=pi_1&limit=100&starting_after=re_9",
            ),
            None,
            "",
        ),
        (
            "close a sale",
            cancel(&attempt(Sale)),
            ("POST", "/v1/payment_intents/pi_1/cancel"),
            Some("flo_k-cancel"),
            "",
        ),
    ];
    check(rows);
}

fn check(rows: Vec<Row>) {
    for (name, got, (method, path), key, form) in rows {
        let got = got.unwrap_or_else(|why| panic!("{name}: {why:?}"));
        assert_eq!((got.method.as_str(), &*got.path), (method, path), "{name}");
        assert_eq!((got.key.as_deref(), &*got.form), (key, form), "{name}");
    }
}

#[test]
fn an_attempt_that_lacks_something_is_not_sent() {
    let unprepared = AttemptRequest {
        reference: None,
        ..attempt(Sale)
    };
    let orphan = AttemptRequest {
        parent: None,
        ..attempt(Refund)
    };
    let hostile = AttemptRequest {
        reference: Some(Arc::from("pi_1/confirm?x=")),
        ..attempt(Sale)
    };
    let rows = [
        (
            "confirm",
            execute(&unprepared, None),
            "no payment intent was prepared for this attempt",
        ),
        (
            "look",
            read_intent(&unprepared),
            "no payment intent was prepared for this attempt",
        ),
        (
            "close",
            cancel(&unprepared),
            "no payment intent was prepared for this attempt",
        ),
        (
            "refund",
            execute(&orphan, None),
            "the operation names no parent charge",
        ),
        (
            "list",
            list_refunds(&orphan, None),
            "the operation names no parent charge",
        ),
        (
            "a path",
            execute(&hostile, None),
            "the reference is not a Stripe id",
        ),
        (
            "a refund path",
            read_refund("../charges"),
            "the reference is not a Stripe id",
        ),
        (
            "an intent for a refund",
            create(&attempt(Refund)),
            "only a sale or an authorization makes a payment intent",
        ),
    ];
    for (name, got, reason) in rows {
        assert_eq!(got, Err(Unsendable(reason)), "{name}");
    }
}

fn decode(form: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = form.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                u8::from_str_radix(str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            other => other,
        });
    }
    out
}

proptest! {
    #[test]
    fn any_text_survives_the_form_and_cannot_end_its_field(name in "[a-z_]{1,8}", value in ".*") {
        let form = Form::default().text(&name, &value).0;
        prop_assert_eq!(form.matches('&').count(), 0);
        let (left, right) = form.split_once('=').unwrap();
        prop_assert_eq!(decode(left), name.as_bytes());
        prop_assert_eq!(decode(right), value.as_bytes());
    }
}
