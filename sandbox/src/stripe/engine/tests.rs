//! What each call answers, row by row, through the world so that every answer also passes the log.

use serde_json::Value;

use crate::clock::UnixMillis;
use crate::world::tests::{Client, ok};

mod authorizations;
mod challenges;
mod faults;
mod keys;

const CREATE: &str = "/v1/payment_intents";

fn client() -> Client {
    Client::in_memory()
}

fn sale(method: &str) -> String {
    format!(
        "amount=1500&currency=USD&payment_method={method}&confirm=true&metadata[payment_id]=pay_1&metadata[operation_id]=op_1"
    )
}

/// An authorization that asks for this, too.
fn authorization(option: &str) -> String {
    format!(
        "{}&capture_method=manual&payment_method_options[card][{option}]=if_available",
        sale("pm_card_visa")
    )
}

fn id_of(body: &Value) -> String {
    body["id"].as_str().unwrap().to_owned()
}

#[test]
fn every_test_method_leads_to_its_outcome() {
    // method, status, intent status, decline code, rows
    let table = [
        ("pm_card_visa", 200, "succeeded", None, 1),
        ("pm_card_mastercard", 200, "succeeded", None, 1),
        ("pm_card_amex", 200, "succeeded", None, 1),
        ("pm_card_createDispute", 200, "succeeded", None, 1),
        (
            "pm_card_visa_chargeDeclined",
            402,
            "requires_payment_method",
            Some("generic_decline"),
            0,
        ),
        (
            "pm_card_visa_chargeDeclinedInsufficientFunds",
            402,
            "requires_payment_method",
            Some("insufficient_funds"),
            0,
        ),
        (
            "pm_card_visa_chargeDeclinedExpiredCard",
            402,
            "requires_payment_method",
            Some("expired_card"),
            0,
        ),
        (
            "pm_card_visa_chargeDeclinedIncorrectCvc",
            402,
            "requires_payment_method",
            Some("incorrect_cvc"),
            0,
        ),
        (
            "pm_card_chargeCustomerFail",
            402,
            "requires_payment_method",
            Some("generic_decline"),
            0,
        ),
        (
            "pm_card_riskLevelHighest",
            402,
            "requires_payment_method",
            Some("fraudulent"),
            0,
        ),
        ("pm_card_threeDSecure2Required", 200, "requires_action", None, 0),
        ("pm_card_authenticationRequired", 200, "requires_action", None, 0),
    ];
    for (method, status, intent_status, decline_code, rows) in table {
        for two_steps in [false, true] {
            let mut client = client();
            let (answered, body) = if two_steps {
                let form = sale(method).replace("&confirm=true", "");
                let created = ok(client.post(CREATE, &form, "create"));
                assert_eq!(created["status"], "requires_confirmation");
                assert!(client.rows().is_empty());
                client.post(&format!("{CREATE}/{}/confirm", id_of(&created)), "", "confirm")
            } else {
                client.post(CREATE, &sale(method), "create")
            };
            assert_eq!(answered, status, "{method}: {body}");
            let intent = if status == 402 {
                &body["error"]["payment_intent"]
            } else {
                &body
            };
            assert_eq!(intent["status"], intent_status, "{method}");
            assert_eq!(body["error"]["decline_code"].as_str(), decline_code, "{method}");
            assert_eq!(client.rows().len(), rows, "{method}");
            if status == 402 {
                assert_eq!(body["error"]["type"], "card_error");
                // Two declines have codes of their own.
                let own = decline_code.filter(|code| ["expired_card", "incorrect_cvc"].contains(code));
                let code = own.unwrap_or("card_declined");
                assert_eq!(body["error"]["code"], code);
                assert_eq!(body["error"]["charge"], intent["latest_charge"]);
                assert_eq!(
                    intent["last_payment_error"]["decline_code"].as_str(),
                    decline_code
                );
            }
            let stored = ok(client.get(&format!("{CREATE}/{}", id_of(intent))));
            assert_eq!(&stored, intent, "{method}");
        }
    }
}

#[test]
fn a_sale_is_witnessed_with_everything_that_identifies_it() {
    let mut client = client();
    let intent = ok(client.post(CREATE, &sale("pm_card_visa"), "key-1"));
    assert_eq!(intent["amount_received"], 1500);
    let rows = client.rows();
    let expected = serde_json::json!({
        "id": intent["latest_charge"], "provider": "stripe", "operation": "sale", "amount": 1500,
        "currency": "usd", "idempotency_key": "key-1", "payment_id": "pay_1", "reference": "op_1",
        "at": client.now.seconds(),
    });
    assert_eq!(rows, [expected]);
}

#[test]
fn authorization_captures_void_and_refunds_are_witnessed_in_order() {
    let mut client = client();
    let intent = ok(client.post(CREATE, &authorization("request_multicapture"), "a"));
    assert_eq!(
        (intent["status"].as_str(), &intent["amount_capturable"]),
        (Some("requires_capture"), &1500.into())
    );
    let path = format!("{CREATE}/{}", id_of(&intent));
    let (capture, cancel) = (format!("{path}/capture"), format!("{path}/cancel"));
    let form = "amount_to_capture=400&final_capture=false&metadata[operation_id]=cap_1";
    let captured = ok(client.post(&capture, form, "b"));
    assert_eq!(captured["status"], "requires_capture");
    assert_eq!(captured["amount_capturable"], 1100);
    assert_eq!(captured["metadata"]["payment_id"], "pay_1");
    let refund = format!(
        "payment_intent={}&amount=150&metadata[operation_id]=ref_1",
        id_of(&intent)
    );
    let refund = ok(client.post("/v1/refunds", &refund, "c"));
    assert_eq!(
        (refund["status"].as_str(), &refund["amount"]),
        (Some("succeeded"), &150.into())
    );
    assert_eq!(ok(client.get(&format!("/v1/refunds/{}", id_of(&refund)))), refund);
    let canceled = ok(client.post(&cancel, "cancellation_reason=duplicate", "d"));
    assert_eq!(
        (canceled["status"].as_str(), &canceled["amount_capturable"]),
        (Some("canceled"), &0.into())
    );
    let brief: Vec<_> = client
        .rows()
        .iter()
        .map(|row| {
            let text = |name: &str| row[name].as_str().unwrap().to_owned();
            (
                text("operation"),
                row["amount"].as_u64().unwrap(),
                text("reference"),
                text("payment_id"),
            )
        })
        .collect();
    let row = |operation: &str, amount, reference: &str| {
        (
            operation.to_owned(),
            amount,
            reference.to_owned(),
            "pay_1".to_owned(),
        )
    };
    assert_eq!(
        brief,
        [
            row("authorize", 1500, "op_1"),
            row("capture", 400, "cap_1"),
            row("refund", 150, "ref_1"),
            row("void", 1100, "cap_1"),
        ]
    );
    let ids: std::collections::HashSet<_> = client.rows().iter().map(|row| row["id"].to_string()).collect();
    assert_eq!(ids.len(), 4);
}

#[test]
fn a_final_partial_capture_releases_the_rest() {
    let mut client = client();
    let intent = ok(client.post(
        CREATE,
        &format!("{}&capture_method=manual", sale("pm_card_visa")),
        "a",
    ));
    let path = format!("{CREATE}/{}/capture", id_of(&intent));
    let captured = ok(client.post(&path, "amount_to_capture=400", "b"));
    assert_eq!(captured["status"], "succeeded");
    assert_eq!(
        (&captured["amount_received"], &captured["amount_capturable"]),
        (&400.into(), &0.into())
    );
    let (status, body) = client.post(&path, "amount_to_capture=1", "c");
    assert_eq!(
        (status, body["error"]["code"].as_str()),
        (400, Some("payment_intent_unexpected_state"))
    );
}

#[test]
fn refunds_never_exceed_what_was_captured() {
    let mut client = client();
    let intent = ok(client.post(CREATE, &sale("pm_card_visa"), "a"));
    let charge = intent["latest_charge"].as_str().unwrap();
    ok(client.post("/v1/refunds", &format!("charge={charge}&amount=1000"), "b"));
    let (status, body) = client.post("/v1/refunds", &format!("charge={charge}&amount=501"), "c");
    assert_eq!(
        (status, body["error"]["code"].as_str()),
        (400, Some("amount_too_large"))
    );
    let rest = ok(client.post("/v1/refunds", &format!("payment_intent={}", id_of(&intent)), "d"));
    assert_eq!(rest["amount"], 500);
    let (status, body) = client.post("/v1/refunds", &format!("charge={charge}"), "e");
    assert_eq!(
        (status, body["error"]["code"].as_str()),
        (400, Some("charge_already_refunded"))
    );
    let expanded = ok(client.get(&format!("{CREATE}/{}?expand[]=latest_charge", id_of(&intent))));
    assert_eq!(expanded["latest_charge"]["amount_refunded"], 1500);
    assert_eq!(expanded["latest_charge"]["refunded"], true);
    assert_eq!(client.rows().len(), 3);
}

#[test]
fn cancelling_what_was_never_authorized_adds_no_row() {
    let mut client = client();
    let bare = ok(client.post(CREATE, "amount=1&currency=eur", "a"));
    let waiting = ok(client.post(CREATE, &sale("pm_card_threeDSecure2Required"), "b"));
    for (intent, key) in [(bare, "c"), (waiting, "d")] {
        let canceled = ok(client.post(&format!("{CREATE}/{}/cancel", id_of(&intent)), "", key));
        assert_eq!(canceled["status"], "canceled");
    }
    assert!(client.rows().is_empty());
}

#[test]
fn states_refuse_what_they_do_not_allow() {
    let setups = [
        (
            "succeeded",
            sale("pm_card_visa"),
            &["confirm", "capture", "cancel"][..],
        ),
        (
            "requires_capture",
            format!("{}&capture_method=manual", sale("pm_card_visa")),
            &["confirm"][..],
        ),
        (
            "requires_action",
            sale("pm_card_threeDSecure2Required"),
            &["capture"][..],
        ),
        (
            "requires_payment_method",
            "amount=1&currency=usd".to_owned(),
            &["confirm", "capture"][..],
        ),
    ];
    for (state, form, refused) in setups {
        let mut client = client();
        let intent = ok(client.post(CREATE, &form, "create"));
        assert_eq!(intent["status"], state);
        let rows = client.rows().len();
        for verb in refused {
            let (status, body) = client.post(&format!("{CREATE}/{}/{verb}", id_of(&intent)), "", verb);
            assert_eq!(status, 400, "{verb} in {state}");
            assert_eq!(
                body["error"]["code"], "payment_intent_unexpected_state",
                "{verb} in {state}"
            );
            assert_eq!(body["error"]["payment_intent"]["status"], state);
        }
        assert_eq!(client.rows().len(), rows, "{state}");
    }
}

#[test]
fn after_a_decline_another_method_may_follow() {
    let mut client = client();
    let (_, body) = client.post(CREATE, &sale("pm_card_visa_chargeDeclined"), "a");
    let id = id_of(&body["error"]["payment_intent"]);
    let confirmed = ok(client.post(
        &format!("{CREATE}/{id}/confirm"),
        "payment_method=pm_card_amex",
        "b",
    ));
    assert_eq!(confirmed["status"], "succeeded");
    assert_eq!(confirmed["last_payment_error"], Value::Null);
}

#[test]
fn authentication_can_be_asked_for_as_an_error() {
    let form = format!(
        "{}&error_on_requires_action=true",
        sale("pm_card_authenticationRequired")
    );
    let (status, body) = client().post(CREATE, &form, "a");
    assert_eq!(
        (status, body["error"]["code"].as_str()),
        (402, Some("authentication_required"))
    );
}

#[test]
fn nobody_is_challenged_who_is_not_there() {
    for (said, status) in [
        ("true", 402),
        ("recurring", 402),
        ("false", 200),
        ("perhaps", 400),
    ] {
        let form = format!("{}&off_session={said}", sale("pm_card_threeDSecure2Required"));
        assert_eq!(client().post(CREATE, &form, "a").0, status, "{said}");
    }
}

#[test]
fn lists_page_newest_first_and_search_finds_by_operation() {
    let mut client = client();
    let mut ids = Vec::new();
    for number in 0..5 {
        let form = format!("amount=1&currency=usd&metadata[operation_id]=op_{}", number % 4);
        ids.push(id_of(&ok(client.post(CREATE, &form, &format!("k{number}")))));
        client.now = client.now.plus_ms(10_000);
    }
    ids.reverse();
    let page = |client: &mut Client, query: &str| {
        let body = ok(client.get(query));
        let found: Vec<String> = body["data"].as_array().unwrap().iter().map(id_of).collect();
        (found, body["has_more"].as_bool().unwrap())
    };
    assert_eq!(page(&mut client, CREATE), (ids.clone(), false));
    assert_eq!(
        page(&mut client, "/v1/payment_intents?limit=2"),
        (ids[..2].to_vec(), true)
    );
    let query = format!("/v1/payment_intents?limit=3&starting_after={}", ids[1]);
    assert_eq!(page(&mut client, &query), (ids[2..].to_vec(), false));
    let third = client.now.seconds() - 30;
    let query = format!("/v1/payment_intents?created[gte]={third}");
    assert_eq!(page(&mut client, &query), (ids[..3].to_vec(), false));
    let query = format!("/v1/payment_intents?created%5Blt%5D={third}");
    assert_eq!(page(&mut client, &query), (ids[3..].to_vec(), false));
    let search = "/v1/payment_intents/search?query=metadata['operation_id']:'op_0'";
    assert_eq!(
        page(&mut client, search),
        (vec![ids[0].clone(), ids[4].clone()], false)
    );
    assert_eq!(ok(client.get(search))["object"], "search_result");
    let search = "/v1/payment_intents/search?query=metadata%5B%27operation_id%27%5D%3A%27op_9%27";
    assert_eq!(page(&mut client, search), (Vec::new(), false));
}

#[test]
fn a_capture_that_renames_the_operation_moves_its_index_entry() {
    let mut client = client();
    let intent = ok(client.post(
        CREATE,
        &format!("{}&capture_method=manual", sale("pm_card_visa")),
        "a",
    ));
    let path = format!("{CREATE}/{}/capture", id_of(&intent));
    ok(client.post(&path, "metadata[operation_id]=cap_1", "b"));
    for (operation, found) in [("op_1", 0), ("cap_1", 1)] {
        let path = format!("/v1/payment_intents/search?query=metadata['operation_id']:'{operation}'");
        assert_eq!(
            ok(client.get(&path))["data"].as_array().unwrap().len(),
            found,
            "{operation}"
        );
    }
}

#[test]
fn old_intents_are_forgotten_but_stay_in_the_witness() {
    let mut client = Client::with_limits(3, 3);
    let ids: Vec<String> = (0..5)
        .map(|number| {
            id_of(&ok(client.post(
                CREATE,
                &sale("pm_card_visa"),
                &format!("k{number}"),
            )))
        })
        .collect();
    assert_eq!(client.get(&format!("{CREATE}/{}", ids[1])).0, 404);
    ok(client.get(&format!("{CREATE}/{}", ids[2])));
    assert!(client.raw_post(CREATE, &sale("pm_card_visa"), "k2").replayed);
    let search = "/v1/payment_intents/search?query=metadata['operation_id']:'op_1'";
    assert_eq!(ok(client.get(search))["data"].as_array().unwrap().len(), 3);
    assert_eq!(client.rows().len(), 5);
}

#[test]
fn time_never_goes_back() {
    let mut client = client();
    let first = ok(client.post(CREATE, "amount=1&currency=usd", "a"));
    client.now = UnixMillis(1_000);
    assert_eq!(
        ok(client.post(CREATE, "amount=1&currency=usd", "b"))["created"],
        first["created"]
    );
}
