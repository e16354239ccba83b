//! The payments under Stripe's names, as its SDKs ask for them: forms with brackets, keys or none, objects, errors, headers and lists.

use crate::world::{Answer, World};
use crate::{VISA, pay};
use serde_json::{Value, json};

pub(crate) const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
pub(crate) const SALE: &str = "amount=10000&currency=usd&payment_method=pm_card_visa&confirm=true";

pub(crate) fn post(world: &World, path: &str, key: Option<&str>, body: &str) -> Answer {
    let mut headers = vec![FORM, ("Stripe-Version", "2025-08-27.basil")];
    if let Some(key) = key {
        headers.push(("Idempotency-Key", key));
    }
    world.send("POST", path, Some("sk_test_a"), &headers, body.as_bytes())
}

pub(crate) fn get(world: &World, path: &str) -> Answer {
    world.get(path, Some("sk_test_a"))
}

#[track_caller]
pub(crate) fn made(world: &World, body: &str) -> Value {
    let answer = post(world, "/v1/payment_intents", None, body);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

pub(crate) fn id(object: &Value) -> &str {
    object["id"].as_str().unwrap()
}

#[test]
fn an_intent_is_the_same_payment_under_another_name() {
    let world = World::start();
    let intent = made(
        &world,
        &format!("{SALE}&metadata[order+id]=7&customer=cus_1&expand[0]=latest_charge.balance_transaction"),
    );
    assert_eq!(
        (&intent["status"], &intent["currency"]),
        (&json!("succeeded"), &json!("usd"))
    );
    assert_eq!(intent["metadata"], json!({"order id": "7"}));
    assert_eq!(intent["latest_charge"]["balance_transaction"]["fee"], 320);
    let body = id(&intent).strip_prefix("pi_").unwrap().to_owned();
    assert!(
        intent["client_secret"]
            .as_str()
            .unwrap()
            .starts_with(&format!("pi_{body}_secret_"))
    );
    let native = get(&world, &format!("/v1/payments/pi_{body}"));
    assert_eq!(
        (native.status, &native.json()["id"]),
        (200, &json!(format!("pay_{body}")))
    );
    assert_eq!(native.json()["customer_id"], "cus_1");
    for name in ["pi_", "pay_"] {
        let again = get(&world, &format!("/v1/payment_intents/{name}{body}"));
        assert_eq!(
            (again.status, &again.json()["client_secret"]),
            (200, &intent["client_secret"])
        );
    }
    let charge = get(&world, &format!("/v1/charges/ch_{body}?expand[]=payment_intent")).json();
    assert_eq!(charge["payment_intent"]["id"], id(&intent));
    // And the other way round: what was made natively is an intent.
    let native = pay(&world, "native", VISA).json();
    let other = id(&native).replace("pay_", "pi_");
    assert_eq!(
        get(&world, &format!("/v1/payment_intents/{other}")).json()["status"],
        "succeeded"
    );
    let json = [("Content-Type", "application/json")];
    let sale = br#"{"amount":500,"currency":"JPY","payment_method":"pm_card_visa","confirm":true}"#;
    let by_json = world.send("POST", "/v1/payment_intents", Some("sk_test_a"), &json, sale);
    assert_eq!(
        (by_json.status, &by_json.json()["currency"]),
        (200, &json!("jpy"))
    );
    assert_eq!(
        world
            .get(&format!("/v1/payment_intents/{}", id(&intent)), Some("sk_test_b"))
            .status,
        404
    );
    assert_eq!(world.charges(), 3);
    world.stop();
}

#[test]
fn a_key_makes_it_happen_once_and_none_makes_it_happen_each_time() {
    let world = World::start();
    let path = "/v1/payment_intents";
    let first = post(&world, path, Some("k1"), SALE);
    assert_eq!(
        (first.status, first.header("idempotent-replayed")),
        (200, None),
        "{first:?}"
    );
    assert_eq!(first.header("idempotency-key"), Some("k1"));
    assert_eq!(first.header("original-request"), first.header("request-id"));
    assert_eq!(first.header("stripe-version"), Some("2025-08-27.basil"));
    let again = post(
        &world,
        path,
        Some("k1"),
        "confirm=true&payment_method=pm_card_visa&currency=usd&amount=10000",
    );
    assert_eq!((again.status, &again.body), (200, &first.body), "byte for byte");
    assert_eq!(
        (
            again.header("idempotent-replayed"),
            again.header("original-request")
        ),
        (Some("true"), None)
    );
    let other = post(&world, path, Some("k1"), &SALE.replace("10000", "10001"));
    assert_eq!(
        (other.status, other.error("type").as_str()),
        (400, "idempotency_error")
    );
    assert_eq!(other.header("stripe-should-retry"), Some("false"));
    // A native payment under the same key is another request.
    assert_eq!(pay(&world, "k1", VISA).status, 422);
    assert_eq!(world.charges(), 1);
    let (a, b) = (made(&world, SALE), made(&world, SALE));
    assert_ne!(id(&a), id(&b));
    assert_eq!(world.charges(), 3);
    world.stop();
}

#[test]
fn a_decline_is_a_card_error_with_its_intent_and_another_method_may_follow() {
    let world = World::start();
    let poor = SALE.replace("pm_card_visa", "pm_card_visa_chargeDeclinedInsufficientFunds");
    let declined = post(&world, "/v1/payment_intents", Some("k"), &poor);
    assert_eq!(
        (declined.status, declined.error("type").as_str()),
        (402, "card_error")
    );
    assert_eq!(
        (declined.error("code"), declined.error("decline_code")),
        ("card_declined".to_owned(), "insufficient_funds".to_owned())
    );
    assert_eq!(declined.header("stripe-should-retry"), Some("false"));
    let intent = declined.json()["error"]["payment_intent"].clone();
    assert_eq!(intent["status"], "requires_payment_method");
    assert_eq!(intent["last_payment_error"]["decline_code"], "insufficient_funds");
    assert_eq!(declined.json()["error"]["charge"], intent["latest_charge"]);
    let replayed = post(&world, "/v1/payment_intents", Some("k"), &poor);
    assert_eq!(
        (
            replayed.status,
            replayed.header("idempotent-replayed"),
            &replayed.body
        ),
        (402, Some("true"), &declined.body)
    );
    let path = format!("/v1/payment_intents/{}/confirm", id(&intent));
    let confirmed = post(&world, &path, Some("c"), "payment_method=pm_card_mastercard");
    assert_eq!(
        (confirmed.status, &confirmed.json()["status"]),
        (200, &json!("succeeded")),
        "{confirmed:?}"
    );
    assert_eq!(confirmed.json()["last_payment_error"], Value::Null);
    let twice = post(&world, &path, None, "payment_method=pm_card_mastercard");
    assert_eq!(
        (twice.status, twice.error("code").as_str()),
        (400, "payment_intent_unexpected_state")
    );
    assert_eq!(twice.json()["error"]["payment_intent"]["status"], "succeeded");
    assert!(twice.error("message").contains("`succeeded`"));
    assert_eq!(
        post(&world, "/v1/payment_intents", Some("k"), &poor).body,
        declined.body,
        "the first answer stays"
    );
    assert_eq!(world.charges(), 1);
    let challenged = made(
        &world,
        &SALE.replace("pm_card_visa", "pm_card_threeDSecure2Required"),
    );
    assert_eq!(
        (&challenged["status"], &challenged["latest_charge"]),
        (&json!("requires_action"), &Value::Null)
    );
    world.stop();
}

#[test]
fn what_is_held_is_captured_in_parts_raised_or_canceled() {
    let world = World::start();
    let how = format!("{SALE}&capture_method=manual");
    let held = made(&world, &how);
    assert_eq!(
        (&held["status"], &held["amount_capturable"]),
        (&json!("requires_capture"), &json!(10_000))
    );
    let raise = format!("/v1/payment_intents/{}/increment_authorization", id(&held));
    assert_eq!(
        post(&world, &raise, None, "amount=12000").json()["amount_capturable"],
        12_000
    );
    let capture = format!("/v1/payment_intents/{}/capture", id(&held));
    let beyond = post(&world, &capture, None, "amount_to_capture=12001");
    assert_eq!(
        (beyond.status, beyond.error("param").as_str()),
        (400, "amount_to_capture")
    );
    let part = post(
        &world,
        &capture,
        None,
        "amount_to_capture=2000&final_capture=false",
    );
    assert_eq!(
        (&part.json()["status"], &part.json()["amount_received"]),
        (&json!("requires_capture"), &json!(2_000))
    );
    let last = post(&world, &capture, None, "amount_to_capture=3000");
    assert_eq!(
        (&last.json()["status"], &last.json()["amount_received"]),
        (&json!("succeeded"), &json!(5_000))
    );
    let refused = post(&world, &capture, None, "");
    assert_eq!(
        (refused.status, refused.error("code").as_str()),
        (400, "payment_intent_unexpected_state")
    );
    let given_up = made(&world, &how);
    let cancel = format!("/v1/payment_intents/{}/cancel", id(&given_up));
    let canceled = post(&world, &cancel, None, "cancellation_reason=requested_by_customer");
    assert_eq!(
        (canceled.status, &canceled.json()["status"]),
        (200, &json!("canceled")),
        "{canceled:?}"
    );
    assert!(canceled.json()["canceled_at"].is_u64());
    let held = made(&world, &how);
    let capture = format!("/v1/charges/{}/capture", held["latest_charge"].as_str().unwrap());
    let charge = post(&world, &capture, None, "amount=4000").json();
    assert_eq!(
        (&charge["object"], &charge["amount_captured"]),
        (&json!("charge"), &json!(4_000))
    );
    // The provider refuses this one.
    let held = made(&world, &how);
    let declined = post(
        &world,
        &format!("/v1/payment_intents/{}/capture", id(&held)),
        None,
        "amount_to_capture=7778",
    );
    assert_eq!(
        (declined.status, declined.error("type").as_str()),
        (402, "card_error"),
        "{declined:?}"
    );
    assert_eq!(
        declined.json()["error"]["payment_intent"]["status"],
        "requires_capture"
    );
    world.stop();
}

#[test]
fn refunds_are_made_by_either_name_and_never_exceed_what_was_taken() {
    let world = World::start();
    let intent = made(&world, SALE);
    let charge = intent["latest_charge"].as_str().unwrap();
    let path = "/v1/refunds";
    let first = post(
        &world,
        path,
        Some("r1"),
        &format!("payment_intent={}&amount=2500&reason=duplicate", id(&intent)),
    );
    assert_eq!(first.status, 200, "{first:?}");
    let refund = first.json();
    assert_eq!(
        (&refund["status"], &refund["charge"], &refund["amount"]),
        (&json!("succeeded"), &json!(charge), &json!(2_500))
    );
    assert!(id(&refund).starts_with("re_"));
    let again = post(
        &world,
        path,
        Some("r1"),
        &format!("reason=duplicate&amount=2500&payment_intent={}", id(&intent)),
    );
    assert_eq!(
        (&again.body, again.header("idempotent-replayed")),
        (&first.body, Some("true"))
    );
    let late = post(
        &world,
        path,
        None,
        &format!("charge={charge}&amount=501&expand[]=payment_intent"),
    )
    .json();
    assert_eq!(
        (&late["status"], &late["balance_transaction"]),
        (&json!("pending"), &Value::Null)
    );
    assert_eq!(late["payment_intent"]["id"], id(&intent));
    let beyond = post(&world, path, None, &format!("charge={charge}&amount=7000"));
    assert_eq!(
        (
            beyond.status,
            beyond.error("code").as_str(),
            beyond.error("param").as_str()
        ),
        (400, "amount_exceeds_refundable", "amount")
    );
    let listed = get(&world, &format!("/v1/refunds?payment_intent={}", id(&intent))).json();
    let ids: Vec<&str> = listed["data"].as_array().unwrap().iter().map(id).collect();
    assert_eq!(ids, [id(&late), id(&refund)], "newest first");
    let page = get(&world, &format!("/v1/refunds?charge={charge}&limit=1")).json();
    assert_eq!(
        (&page["has_more"], id(&page["data"][0])),
        (&json!(true), id(&late))
    );
    let page = get(
        &world,
        &format!("/v1/refunds?charge={charge}&starting_after={}", id(&late)),
    )
    .json();
    assert_eq!(
        (&page["has_more"], id(&page["data"][0])),
        (&json!(false), id(&refund))
    );
    let rest = made(&world, SALE);
    let whole = format!("payment_intent={}", id(&rest));
    assert_eq!(post(&world, path, None, &whole).json()["amount"], 10_000);
    let twice = post(&world, path, None, &whole);
    assert_eq!(
        (twice.status, twice.error("code").as_str()),
        (400, "charge_already_refunded"),
        "{twice:?}"
    );
    let expanded = get(
        &world,
        &format!(
            "/v1/charges/{}?expand[]=refunds",
            rest["latest_charge"].as_str().unwrap()
        ),
    )
    .json();
    assert_eq!(
        (
            &expanded["refunded"],
            expanded["refunds"]["data"].as_array().unwrap().len()
        ),
        (&json!(true), 1)
    );
    world.stop();
}

#[test]
fn a_refund_names_one_payment_that_is_there() {
    let world = World::start();
    let (first, rest) = (made(&world, SALE), made(&world, SALE));
    let charge = first["latest_charge"].as_str().unwrap();
    let path = "/v1/refunds";
    for (body, status, param) in [
        ("amount=5", 400, "payment_intent"),
        ("payment_intent=pi_00000000000000000000000009", 404, "id"),
        ("charge=ch_x", 404, "id"),
        (
            &format!("charge={charge}&payment_intent={}", id(&rest)),
            400,
            "charge",
        ),
        (&format!("charge={charge}&metadata[a]=b"), 400, "metadata"),
    ] {
        let refused = post(&world, path, None, body);
        assert_eq!(
            (refused.status, refused.error("param").as_str()),
            (status, param),
            "{body}"
        );
    }
    world.stop();
}
