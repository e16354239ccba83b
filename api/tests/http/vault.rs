//! Customers, saved cards and tokens over HTTP.

use crate::world::{Answer, World};
use serde_json::{Value, json};
use std::collections::HashSet;

mod intents;
mod paid;
mod setups;

const A: &str = "sk_test_a";
const B: &str = "sk_test_b";
const NUMBER: &str = "4000056655665556";
const JSON: (&str, &str) = ("Content-Type", "application/json");
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

fn post(world: &World, path: &str, key: &str, body: &Value) -> Answer {
    shown(world.send("POST", path, Some(key), &[JSON], body.to_string().as_bytes()))
}

fn form(world: &World, path: &str, body: &str) -> Answer {
    shown(world.send("POST", path, Some(A), &[FORM], body.as_bytes()))
}

/// No answer has the number or the code.
fn shown(answer: Answer) -> Answer {
    let text = String::from_utf8_lossy(&answer.body);
    assert!(!text.contains(NUMBER) && !text.contains("917\""), "{text}");
    answer
}

fn typed() -> Value {
    json!({"number": NUMBER, "exp_month": 12, "exp_year": 2040, "cvc": "917"})
}

#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str, param: &str) {
    let error = &answer.json()["error"];
    let got = (answer.status, error["code"].as_str(), error["param"].as_str());
    assert_eq!(got, (status, Some(code), Some(param)), "{error}");
}

#[track_caller]
fn id(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    answer.json()["id"].as_str().unwrap().to_owned()
}

fn saved(world: &World) -> String {
    id(&post(
        world,
        "/v1/payment_methods",
        A,
        &json!({"type": "card", "card": typed()}),
    ))
}

fn token(world: &World) -> String {
    id(&post(world, "/v1/tokens", A, &json!({"card": typed()})))
}

#[test]
fn sec_03_a_token_begins_with_tok() {
    let world = World::start();
    let answer = post(&world, "/v1/tokens", A, &json!({"card": typed()}));
    let body = answer.json();
    assert!(body["id"].as_str().unwrap().starts_with("tok_"));
    assert_eq!((&body["object"], &body["used"]), (&json!("token"), &json!(false)));
    assert_eq!(
        (&body["card"]["last4"], &body["card"]["brand"]),
        (&json!("5556"), &json!("Visa"))
    );
    world.stop();
}

#[test]
fn sec_04_the_version_of_a_token_is_1_and_others_are_refused() {
    let world = World::start();
    let token = token(&world);
    assert_eq!(&token[4..5], "1");
    let other = token.replacen("tok_1", "tok_2", 1);
    refused(
        &world.get(&format!("/v1/tokens/{other}"), Some(A)),
        400,
        "token_invalid",
        "id",
    );
    world.stop();
}

#[test]
fn sec_05_the_random_ids_of_tokens_differ_and_are_not_made_from_the_card() {
    let world = World::start();
    let tokens: HashSet<String> = (0..50).map(|_| token(&world)[5..29].to_owned()).collect();
    assert_eq!(tokens.len(), 50, "the same card has another token each time");
    assert!(tokens.iter().all(|id| id.len() == 24 && !id.contains("5556")));
    world.stop();
}

#[test]
fn sec_06_a_token_with_one_character_changed_or_two_swapped_is_refused_by_its_checksum_of_four() {
    let world = World::start();
    let token = token(&world);
    assert_eq!(token.len(), "tok_1".len() + 24 + 4);
    let look = |token: &str| world.get(&format!("/v1/tokens/{token}"), Some(A));
    assert_eq!(look(&token).status, 200);
    let mut tried = 0;
    let mut check = |bytes: Vec<u8>| {
        let other = String::from_utf8(bytes).unwrap();
        if other != token {
            refused(&look(&other), 400, "token_invalid", "id");
            tried += 1;
        }
    };
    for at in 0..token.len() {
        for byte in [b'0', b'1', b'7', b'A', b'Z', b'a', b'k', b'l', b'z', b'_'] {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = byte;
            check(bytes);
        }
        for other in at + 1..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes.swap(at, other);
            check(bytes);
        }
    }
    assert!(tried > 700, "{tried}");
    // A token that was never given out has a checksum that fits, and only that one is looked up.
    let stranger = look("tok_1000000000000000000000000rxhi");
    refused(&stranger, 404, "resource_missing", "id");
    world.stop();
}

#[test]
fn a_card_is_saved_from_a_form_or_from_json_and_shows_its_last_four_digits() {
    let world = World::start();
    let by_form = form(
        &world,
        "/v1/payment_methods",
        "type=card&card[number]=4000+0566-5566+5556&card[exp_month]=12&card[exp_year]=40&card[cvc]=917&billing_details[name]=Jane&metadata[order]=7",
    );
    let body = by_form.json();
    assert_eq!(by_form.status, 200, "{body}");
    assert_eq!(
        (&body["object"], &body["type"], &body["livemode"]),
        (&json!("payment_method"), &json!("card"), &json!(false))
    );
    assert_eq!(
        (&body["card"]["last4"], &body["card"]["exp_year"]),
        (&json!("5556"), &json!(2040))
    );
    assert_eq!(
        (&body["billing_details"]["name"], &body["metadata"]),
        (&json!("Jane"), &json!({"order": "7"}))
    );
    let by_json = post(
        &world,
        "/v1/payment_methods",
        A,
        &json!({"type": "card", "card": typed()}),
    )
    .json();
    assert_eq!(
        by_json["card"]["fingerprint"], body["card"]["fingerprint"],
        "one card"
    );
    let other = post(
        &world,
        "/v1/payment_methods",
        B,
        &json!({"type": "card", "card": typed()}),
    )
    .json();
    assert_ne!(
        other["card"]["fingerprint"], body["card"]["fingerprint"],
        "another merchant's"
    );
    let path = format!("/v1/payment_methods/{}", body["id"].as_str().unwrap());
    assert_eq!(world.get(&path, Some(A)).json(), body);
    assert_eq!(world.get(&path, Some(B)).status, 404);
    assert_eq!(world.get(&path, Some("sk_live_real_a")).status, 404);
    world.stop();
}

#[test]
fn a_card_that_cannot_be_one_is_refused_in_stripes_words_and_not_repeated() {
    let world = World::start();
    let create = |card: Value| {
        post(
            &world,
            "/v1/payment_methods",
            A,
            &json!({"type": "card", "card": card}),
        )
    };
    for (name, value, code) in [
        ("number", json!("4242424242424241"), "incorrect_number"),
        ("exp_month", json!(13), "invalid_expiry_month"),
        ("exp_year", json!(1970), "expired_card"),
        ("exp_year", json!("20400"), "invalid_expiry_year"),
        ("cvc", json!("12"), "incorrect_cvc"),
    ] {
        let mut card = typed();
        card[name] = value;
        let answer = create(card);
        refused(&answer, 402, code, &format!("card[{name}]"));
        assert_eq!(answer.error("type"), "card_error");
    }
    refused(
        &create(json!({"exp_month": 1, "exp_year": 2040})),
        400,
        "parameter_missing",
        "card[number]",
    );
    let mut more = typed();
    more["pin"] = json!("1");
    refused(&create(more), 400, "parameter_unknown", "card[pin]");
    let number = post(
        &world,
        "/v1/payment_methods",
        A,
        &json!({"type": "card", "card": NUMBER}),
    );
    refused(&number, 400, "parameter_invalid", "card");
    let name = post(
        &world,
        "/v1/payment_methods",
        A,
        &json!({"type": "card", "card": typed(), NUMBER: "x"}),
    );
    refused(&name, 400, "card_number_misplaced", "************5556");
    world.stop();
}

#[test]
fn a_card_number_is_refused_wherever_it_would_be_kept_and_shown() {
    let world = World::start();
    let spaced = "card 4000 0566 5566 5556 of Jane";
    for (path, body, param) in [
        ("/v1/customers", json!({"description": spaced}), "description"),
        (
            "/v1/customers",
            json!({"metadata": {"note": NUMBER}}),
            "metadata[note]",
        ),
        ("/v1/customers", json!({"name": NUMBER}), "name"),
    ] {
        refused(&post(&world, path, A, &body), 400, "card_number_misplaced", param);
    }
    let pay = |key: &str, more: (&str, Value)| {
        let mut body = json!({"amount": 100, "currency": "USD", "payment_method_id": "pm_card_visa"});
        body[more.0] = more.1;
        let headers = [JSON, ("Idempotency-Key", key)];
        shown(world.send(
            "POST",
            "/v1/payments",
            Some(A),
            &headers,
            body.to_string().as_bytes(),
        ))
    };
    refused(
        &pay("1", ("description", json!(spaced))),
        400,
        "card_number_misplaced",
        "description",
    );
    refused(
        &pay("2", ("metadata", json!({"n": NUMBER}))),
        400,
        "card_number_misplaced",
        "metadata.n",
    );
    refused(
        &pay("3", ("customer_id", json!(NUMBER))),
        400,
        "card_number_misplaced",
        "customer_id",
    );
    let url = format!("https://shop.example/?of={NUMBER}");
    refused(
        &pay("6", ("return_url", json!(url))),
        400,
        "card_number_misplaced",
        "return_url",
    );
    refused(
        &pay("7", ("device", json!({"fingerprint": NUMBER}))),
        400,
        "card_number_misplaced",
        "device.fingerprint",
    );
    refused(
        &pay(NUMBER, ("description", json!("x"))),
        400,
        "card_number_misplaced",
        "Idempotency-Key",
    );
    refused(
        &pay("4", (NUMBER, json!("x"))),
        400,
        "parameter_unknown",
        "************5556",
    );
    let query = shown(world.get(&format!("/v1/customers?{NUMBER}=1"), Some(A)));
    refused(&query, 400, "parameter_unknown", "************5556");
    // What is a number of the merchant's own stays allowed.
    for (key, text) in [("5", "order 4000056655665551"), ("8", "EAN 4222222222222")] {
        assert_eq!(pay(key, ("description", json!(text))).status, 200, "{text}");
    }
    world.stop();
}

#[test]
fn a_customer_is_made_changed_listed_and_erased_with_its_cards() {
    let world = World::start();
    let made = post(
        &world,
        "/v1/customers",
        A,
        &json!({"name": "Jane", "email": "jane@shop.example", "address": {"city": "Bern", "line1": "Gasse 1"}, "metadata": {"a": "1", "b": "2"}}),
    );
    let customer = id(&made);
    let body = made.json();
    assert_eq!(
        (&body["object"], &body["address"]["city"], &body["tax_exempt"]),
        (&json!("customer"), &json!("Bern"), &json!("none"))
    );
    let path = format!("/v1/customers/{customer}");
    let changed = form(
        &world,
        &path,
        "email=&address=&metadata[a]=&metadata[c]=3&preferred_locales[0]=de",
    )
    .json();
    assert_eq!(
        (&changed["email"], &changed["address"], &changed["name"]),
        (&Value::Null, &Value::Null, &json!("Jane"))
    );
    assert_eq!(
        (&changed["metadata"], &changed["preferred_locales"]),
        (&json!({"b": "2", "c": "3"}), &json!(["de"]))
    );
    let card = saved(&world);
    let attach = format!("/v1/payment_methods/{card}/attach");
    let attached = post(&world, &attach, A, &json!({"customer": customer}));
    assert_eq!(attached.json()["customer"], json!(customer));
    let other = id(&post(&world, "/v1/customers", A, &json!({})));
    let stolen = post(&world, &attach, A, &json!({"customer": other}));
    refused(&stolen, 400, "payment_method_unexpected_state", "payment_method");
    for list in [
        format!("/v1/customers/{customer}/payment_methods"),
        format!("/v1/payment_methods?customer={customer}&type=card"),
    ] {
        let page = world.get(&list, Some(A)).json();
        assert_eq!(
            (&page["data"][0]["id"], &page["has_more"]),
            (&json!(card), &json!(false)),
            "{page}"
        );
    }
    let page = world.get("/v1/customers?limit=1", Some(A)).json();
    assert_eq!(
        (&page["data"][0]["id"], &page["has_more"], &page["url"]),
        (&json!(other), &json!(true), &json!("/v1/customers"))
    );
    assert_eq!(world.get(&path, Some(B)).status, 404);
    let gone = world.send("DELETE", &path, Some(A), &[], b"").json();
    assert_eq!(
        gone,
        json!({"id": customer, "object": "customer", "deleted": true})
    );
    assert_eq!(world.get(&path, Some(A)).status, 404);
    assert_eq!(
        world.get(&format!("/v1/payment_methods/{card}"), Some(A)).status,
        404
    );
    world.stop();
}

#[test]
fn a_key_has_it_done_once_and_other_parameters_under_it_are_refused_as_stripe_does() {
    let world = World::start();
    let create = |body: Value| {
        let headers = [JSON, ("Idempotency-Key", "jane")];
        shown(world.send(
            "POST",
            "/v1/payment_methods",
            Some(A),
            &headers,
            body.to_string().as_bytes(),
        ))
    };
    let first = create(json!({"type": "card", "card": typed()}));
    assert_eq!(first.header("idempotent-replayed"), None);
    let again = create(json!({"card": typed(), "type": "card"}));
    assert_eq!(
        (again.header("idempotent-replayed"), &again.body),
        (Some("true"), &first.body)
    );
    // The code is not among what is compared, as nothing that is kept may be made from it.
    let mut card = typed();
    card["cvc"] = json!("918");
    let recoded = create(json!({"type": "card", "card": card}));
    assert_eq!(recoded.body, first.body);
    card["number"] = json!("5555555555554444");
    let other = create(json!({"type": "card", "card": card}));
    refused(&other, 400, "idempotency_key_reused", "Idempotency-Key");
    assert_eq!(other.error("type"), "idempotency_error");
    let detach = format!("/v1/payment_methods/{}/detach", id(&first));
    assert_eq!(post(&world, &detach, A, &json!({})).status, 200);
    let late = create(json!({"type": "card", "card": typed()}));
    refused(&late, 400, "resource_missing", "Idempotency-Key");
    world.stop();
}

#[test]
fn a_token_becomes_a_payment_method_once() {
    let world = World::start();
    let token = token(&world);
    let use_it = || {
        post(
            &world,
            "/v1/payment_methods",
            A,
            &json!({"type": "card", "card": {"token": token}}),
        )
    };
    let shown = world.get(&format!("/v1/tokens/{token}"), Some(A)).json();
    let card = shown["card"]["id"].as_str().unwrap().replacen("card_", "pm_", 1);
    let path = format!("/v1/payment_methods/{card}");
    assert_eq!(world.get(&path, Some(A)).status, 404, "it is behind its token");
    let early = post(&world, &format!("{path}/detach"), A, &json!({}));
    refused(&early, 404, "resource_missing", "id");
    let method = use_it();
    assert_eq!(method.json()["card"]["last4"], json!("5556"));
    assert_eq!(world.get(&path, Some(A)).json(), method.json());
    refused(&use_it(), 400, "token_already_used", "card[token]");
    assert_eq!(
        world.get(&format!("/v1/tokens/{token}"), Some(A)).json()["used"],
        json!(true)
    );
    let test = post(
        &world,
        "/v1/payment_methods",
        A,
        &json!({"type": "card", "card": {"token": "tok_mastercard"}}),
    );
    assert_eq!(test.json()["card"]["brand"], json!("mastercard"));
    let live = post(
        &world,
        "/v1/payment_methods",
        "sk_live_real_a",
        &json!({"type": "card", "card": {"token": "tok_visa"}}),
    );
    refused(&live, 400, "token_invalid", "card[token]");
    world.stop();
}
