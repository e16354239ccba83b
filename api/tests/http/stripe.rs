//! The payments under Stripe's names, as its SDKs ask for them: forms with brackets, keys or none, objects, errors, headers and lists.

use crate::world::{Answer, World};
use crate::{VISA, pay};
use serde_json::{Value, json};

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
const SALE: &str = "amount=10000&currency=usd&payment_method=pm_card_visa&confirm=true";

fn post(world: &World, path: &str, key: Option<&str>, body: &str) -> Answer {
    let mut headers = vec![FORM, ("Stripe-Version", "2025-08-27.basil")];
    if let Some(key) = key {
        headers.push(("Idempotency-Key", key));
    }
    world.send("POST", path, Some("sk_test_a"), &headers, body.as_bytes())
}

fn get(world: &World, path: &str) -> Answer {
    world.get(path, Some("sk_test_a"))
}

#[track_caller]
fn made(world: &World, body: &str) -> Value {
    let answer = post(world, "/v1/payment_intents", None, body);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn id(object: &Value) -> &str {
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
    let hold = format!("{SALE}&capture_method=manual");
    let held = made(&world, &hold);
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
    let given_up = made(&world, &hold);
    let cancel = format!("/v1/payment_intents/{}/cancel", id(&given_up));
    let canceled = post(&world, &cancel, None, "cancellation_reason=requested_by_customer");
    assert_eq!(
        (canceled.status, &canceled.json()["status"]),
        (200, &json!("canceled")),
        "{canceled:?}"
    );
    assert!(canceled.json()["canceled_at"].is_u64());
    let held = made(&world, &hold);
    let capture = format!("/v1/charges/{}/capture", held["latest_charge"].as_str().unwrap());
    let charge = post(&world, &capture, None, "amount=4000").json();
    assert_eq!(
        (&charge["object"], &charge["amount_captured"]),
        (&json!("charge"), &json!(4_000))
    );
    // The provider refuses this one.
    let held = made(&world, &hold);
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

#[test]
fn what_is_wrong_is_named_as_it_was_written_and_consumes_no_key() {
    let world = World::start();
    for (body, code, param) in [
        (
            "currency=usd&payment_method=pm_card_visa&confirm=true".to_owned(),
            "parameter_missing",
            "amount",
        ),
        (SALE.replace("10000", "0"), "amount_too_small", "amount"),
        (
            SALE.replace("10000", "12.5"),
            "parameter_invalid_integer",
            "amount",
        ),
        (SALE.replace("usd", "xxz"), "parameter_invalid", "currency"),
        (
            SALE.replace("pm_card_visa", "pm_nope"),
            "resource_missing",
            "payment_method",
        ),
        (
            SALE.replace("confirm=true", "confirm=maybe"),
            "parameter_invalid",
            "confirm",
        ),
        (
            SALE.replace("payment_method=pm_card_visa&", ""),
            "parameter_missing",
            "payment_method",
        ),
        (format!("{SALE}&amout=1"), "parameter_unknown", "amout"),
        (
            format!("{SALE}&payment_method_options[card][foo]=1"),
            "parameter_unknown",
            "payment_method_options[card][foo]",
        ),
        (
            format!("{SALE}&transfer_data[destination]=acct_1"),
            "parameter_unknown",
            "transfer_data",
        ),
        (
            format!("{SALE}&off_session=true"),
            "parameter_invalid",
            "off_session",
        ),
        (
            format!("{SALE}&payment_method_types[]=ideal"),
            "parameter_invalid",
            "payment_method_types",
        ),
        (
            format!("{SALE}&expand[]=customer"),
            "parameter_invalid",
            "expand[0]",
        ),
        (
            format!("{SALE}&metadata[{}]=1", "k".repeat(41)),
            "parameter_invalid",
            "metadata",
        ),
        (
            format!("{SALE}&metadata[k]={}", "v".repeat(501)),
            "parameter_invalid",
            "metadata[k]",
        ),
        (format!("{SALE}&amount=1"), "parameter_invalid", "amount"),
        (format!("{SALE}&customer=%20"), "parameter_invalid", "customer"),
    ] {
        let refused = post(&world, "/v1/payment_intents", Some("k"), &body);
        assert_eq!(
            (
                refused.status,
                refused.error("code").as_str(),
                refused.error("param").as_str()
            ),
            (400, code, param),
            "{body}"
        );
        assert_eq!(refused.error("type"), "invalid_request_error");
    }
    let harmless = format!(
        "{SALE}&payment_method_types[]=card&payment_method_types[]=link&statement_descriptor=Shop&use_stripe_sdk=true&off_session=false\
         &payment_method_options[card][request_three_d_secure]=automatic&confirmation_method=automatic&description=&metadata="
    );
    assert_eq!(
        post(&world, "/v1/payment_intents", Some("k"), &harmless).status,
        200,
        "the key is still free"
    );
    assert_eq!(world.charges(), 1);
    let stranger = world.send(
        "POST",
        "/v1/payment_intents",
        Some("sk_test_none"),
        &[FORM],
        SALE.as_bytes(),
    );
    assert_eq!(
        (stranger.status, stranger.error("type").as_str()),
        (401, "invalid_request_error")
    );
    let text = world.send(
        "POST",
        "/v1/payment_intents",
        Some("sk_test_a"),
        &[("Content-Type", "text/plain")],
        b"x",
    );
    assert_eq!(text.status, 415);
    for path in [
        "/v1/payment_intents/pi_none",
        "/v1/charges/ch_00000000000000000000000009",
    ] {
        let missing = get(&world, path);
        assert_eq!(
            (missing.status, missing.error("code").as_str()),
            (404, "resource_missing")
        );
        assert_eq!(missing.header("stripe-should-retry"), Some("false"));
    }
    world.stop();
}

#[test]
fn only_who_sent_a_key_is_told_to_send_it_again() {
    let world = World::start();
    world.provider_leaves(true);
    let keyed = post(&world, "/v1/payment_intents", Some("k"), SALE);
    assert_eq!(
        (keyed.status, keyed.header("stripe-should-retry")),
        (503, Some("true")),
        "{keyed:?}"
    );
    let keyless = post(&world, "/v1/payment_intents", None, SALE);
    assert_eq!(
        (keyless.status, keyless.header("stripe-should-retry")),
        (503, Some("false"))
    );
    world.provider_leaves(false);
    let driven = post(&world, "/v1/payment_intents", Some("k"), SALE);
    assert_eq!(
        (driven.status, &driven.json()["status"]),
        (200, &json!("succeeded"))
    );
    assert_eq!(world.charges(), 1);
    world.stop();
}

#[test]
fn lists_are_read_to_their_end_in_both_directions() {
    let world = World::start();
    let mut all: Vec<String> = (0..7)
        .map(|number| {
            // Every third waits for its customer, and has no charge yet.
            let method = if number % 3 == 2 {
                "pm_card_threeDSecure2Required"
            } else {
                "pm_card_visa"
            };
            let customer = if number % 2 == 0 { "cus_even" } else { "cus_odd" };
            let sale = SALE.replace("pm_card_visa", method);
            id(&made(&world, &format!("{sale}&customer={customer}"))).to_owned()
        })
        .collect();
    all.reverse();
    let charged: Vec<String> = (0..7_usize)
        .filter(|place| (6 - place) % 3 != 2)
        .map(|place| all[place].replace("pi_", "ch_"))
        .collect();
    for (path, wanted) in [("/v1/payment_intents", &all), ("/v1/charges", &charged)] {
        for limit in [1, 2, 3, 100] {
            let walk = |cursor: &str, mut at: String| {
                let mut found: Vec<String> = Vec::new();
                loop {
                    let page = get(&world, &format!("{path}?limit={limit}{at}")).json();
                    assert_eq!((&page["object"], &page["url"]), (&json!("list"), &json!(path)));
                    let ids: Vec<String> = page["data"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .map(|entry| id(entry).to_owned())
                        .collect();
                    if cursor == "starting_after" {
                        found.extend(ids.iter().cloned());
                    } else {
                        found.splice(0..0, ids.iter().cloned());
                    }
                    if page["has_more"] == false {
                        return found;
                    }
                    let edge = if cursor == "starting_after" {
                        ids.last()
                    } else {
                        ids.first()
                    };
                    at = format!(
                        "&{cursor}={}",
                        edge.expect("a page that is not the last has entries")
                    );
                }
            };
            assert_eq!(&walk("starting_after", String::new()), wanted, "{path} {limit}");
            let last = wanted.last().unwrap();
            let (before, _) = wanted.split_at(wanted.len() - 1);
            assert_eq!(
                walk("ending_before", format!("&ending_before={last}")),
                before,
                "{path} {limit}"
            );
        }
    }
    let even = get(
        &world,
        "/v1/payment_intents?customer=cus_even&expand%5B%5D=data.latest_charge",
    )
    .json();
    assert_eq!(even["data"].as_array().unwrap().len(), 4);
    assert!(
        even["data"]
            .as_array()
            .unwrap()
            .iter()
            .any(|intent| intent["latest_charge"]["object"] == "charge")
    );
    let later = get(&world, "/v1/payment_intents?created[gte]=4000000000").json();
    assert_eq!(later["data"], json!([]));
    let one = get(
        &world,
        &format!("/v1/charges?payment_intent={}", charged[0].replace("ch_", "pi_")),
    )
    .json();
    assert_eq!(
        (one["data"].as_array().unwrap().len(), id(&one["data"][0])),
        (1, charged[0].as_str())
    );
    for (query, param) in [
        ("limit=0", "limit"),
        ("starting_after=pi_x", "starting_after"),
        ("colour=red", "colour"),
        ("created[near]=1", "created[near]"),
    ] {
        let refused = get(&world, &format!("/v1/payment_intents?{query}"));
        assert_eq!(
            (refused.status, refused.error("param").as_str()),
            (400, param),
            "{query}"
        );
    }
    world.stop();
}
