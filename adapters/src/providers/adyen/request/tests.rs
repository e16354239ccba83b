//! What each operation looks like on the wire.

use super::super::sample::{OURS, PSP, attempt};
use super::*;
use florin_domain::money::{Currency, MinorSum};
use serde_json::{Value, json};
use std::sync::Arc;

fn body(wire: &WireRequest) -> Value {
    serde_json::from_slice(&wire.body).unwrap()
}

#[test]
fn a_sale_is_captured_at_once_and_an_authorization_by_hand() {
    let sale = execute(&attempt(OperationKind::Sale), "ShopNL", None).unwrap();
    assert_eq!(
        (sale.path.as_str(), sale.key.as_str()),
        ("/v72/payments", "flo_k")
    );
    let expected = json!({
        "merchantAccount": "ShopNL", "reference": OURS, "amount": {"currency": "USD", "value": 1500},
        "paymentMethod": {"type": "scheme", "storedPaymentMethodId": "pm_card_visa"},
        "shopperReference": "pm_card_visa", "shopperInteraction": "ContAuth", "recurringProcessingModel": "CardOnFile",
        "channel": "Web", "returnUrl": "https://nowhere.invalid/", "captureDelayHours": 0,
    });
    assert_eq!(body(&sale), expected);

    let mut request = attempt(OperationKind::Authorize);
    request.return_url = Some(Arc::from("https://shop.example/back"));
    let hold = body(&execute(&request, "ShopNL", None).unwrap());
    assert_eq!(hold["additionalData"], json!({"manualCapture": "true"}));
    assert_eq!(hold["captureDelayHours"], Value::Null);
    assert_eq!(hold["returnUrl"], "https://shop.example/back");
}

#[test]
fn a_charge_of_a_customer_who_is_not_there_is_the_merchants_own() {
    for (off_session, model) in [(true, "UnscheduledCardOnFile"), (false, "CardOnFile")] {
        let request = AttemptRequest {
            off_session,
            ..attempt(OperationKind::Sale)
        };
        let body = body(&execute(&request, "ShopNL", None).unwrap());
        assert_eq!(
            (&body["shopperInteraction"], &body["recurringProcessingModel"]),
            (&json!("ContAuth"), &json!(model))
        );
    }
}

#[test]
fn what_follows_a_charge_names_it_in_the_path() {
    let amount = json!({"currency": "USD", "value": 1500});
    let payment = "pay_00000000000000000000000007";
    let table = [
        (
            OperationKind::Capture,
            "captures",
            "cap_00000000000000000000000001",
            Some(&amount),
        ),
        (
            OperationKind::Void,
            "cancels",
            "void_00000000000000000000000003",
            None,
        ),
        (
            OperationKind::Refund,
            "refunds",
            "ref_00000000000000000000000004",
            Some(&amount),
        ),
    ];
    for (kind, path, operation, amount) in table {
        let wire = execute(&attempt(kind), "ShopNL", None).unwrap();
        assert_eq!(wire.path, format!("/v72/payments/{PSP}/{path}"));
        let mut expected =
            json!({"merchantAccount": "ShopNL", "reference": format!("{payment}.{operation}.flo_k")});
        if let Some(amount) = amount {
            expected["amount"] = amount.clone();
        }
        assert_eq!(body(&wire), expected);
    }
}

#[test]
fn an_authorization_grows_to_a_total() {
    let mut request = attempt(OperationKind::Increment);
    request.parent.as_mut().unwrap().authorized = MinorSum::from_minor(4_000).unwrap();
    let wire = execute(&request, "ShopNL", None).unwrap();
    assert_eq!(wire.path, format!("/v72/payments/{PSP}/amountUpdates"));
    let payment = "pay_00000000000000000000000007";
    let expected = json!({
        "merchantAccount": "ShopNL", "reference": format!("{payment}.inc_00000000000000000000000005.flo_k"),
        "amount": {"currency": "USD", "value": 5_500},
    });
    assert_eq!(body(&wire), expected);
}

#[test]
fn a_charge_is_closed_by_our_name_under_one_key_whatever_adyen_called_it_meanwhile() {
    let mut request = attempt(OperationKind::Authorize);
    let unseen = close(&request, "ShopNL").unwrap();
    assert_eq!(
        (unseen.path.as_str(), unseen.key.as_str()),
        ("/v72/cancels", "flo_k-cancel")
    );
    assert_eq!(
        body(&unseen),
        json!({"merchantAccount": "ShopNL", "reference": format!("{OURS}.close"), "paymentReference": OURS})
    );
    request.reference = Some(Arc::from(OURS));
    assert_eq!(close(&request, "ShopNL").unwrap(), unseen);
    request.reference = Some(Arc::from(PSP));
    assert_eq!(close(&request, "ShopNL").unwrap(), unseen);

    // The void of a charge that waits for its customer.
    let mut void = attempt(OperationKind::Void);
    void.parent.as_mut().unwrap().reference = Arc::from(OURS);
    let wire = execute(&void, "ShopNL", None).unwrap();
    assert_eq!(wire.path, "/v72/cancels");
    assert_eq!(body(&wire)["paymentReference"], OURS);
}

#[test]
fn details_go_along_under_a_key_of_their_own() {
    let wire = details(&attempt(OperationKind::Sale), "X6Xtf!").unwrap();
    assert_eq!(wire.path, "/v72/payments/details");
    assert!(
        wire.key.starts_with("flo_k-d") && wire.key.len() <= 5 + 18,
        "{}",
        wire.key
    );
    let other = details(&attempt(OperationKind::Sale), "X6Xtf?").unwrap();
    assert_ne!(wire.key, other.key);
    assert_eq!(body(&wire), json!({"details": {"redirectResult": "X6Xtf!"}}));
}

#[test]
fn what_cannot_be_said_is_not_sent() {
    let mut orphan = attempt(OperationKind::Capture);
    orphan.parent = None;
    let mut foreign = attempt(OperationKind::Refund);
    foreign.parent.as_mut().unwrap().reference = Arc::from("pi_1/../x");
    let mut void = attempt(OperationKind::Void);
    void.parent.as_mut().unwrap().reference = Arc::from("pi_1");
    let mut odd = attempt(OperationKind::Sale);
    odd.currency = Currency::parse("IDR").unwrap();
    odd.amount = Amount::new(1501).unwrap();
    let mut increment = attempt(OperationKind::Increment);
    increment.parent.as_mut().unwrap().authorized = MinorSum::from_minor(i128::from(i64::MAX)).unwrap();
    let reversal = attempt(OperationKind::Reversal);
    for request in [orphan, foreign, void, odd, increment, reversal] {
        assert!(execute(&request, "ShopNL", None).is_err(), "{request:?}");
    }
}
