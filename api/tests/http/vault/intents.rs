//! Saved cards and tokens that pay intents, as Stripe's SDKs send them.

use super::*;

const INTENTS: &str = "/v1/payment_intents";

fn keyed(world: &World, path: &str, key: &str, body: &str) -> Answer {
    let headers = [FORM, ("Idempotency-Key", key)];
    shown(world.send("POST", path, Some(A), &headers, body.as_bytes()))
}

fn customer(world: &World) -> String {
    id(&post(world, "/v1/customers", A, &json!({"name": "Ada"})))
}

fn attach(world: &World, card: &str, customer: &str) {
    let path = format!("/v1/payment_methods/{card}/attach");
    id(&post(world, &path, A, &json!({"customer": customer})));
}

fn detach(world: &World, card: &str) {
    id(&post(
        world,
        &format!("/v1/payment_methods/{card}/detach"),
        A,
        &json!({}),
    ));
}

fn sale(rest: &str) -> String {
    format!("amount=700&currency=usd&confirm=true&{rest}")
}

#[test]
fn a_saved_card_pays_intents_of_its_own_customer_only() {
    let world = World::start();
    let (card, own, other) = (saved(&world), customer(&world), customer(&world));
    let free = keyed(&world, INTENTS, "free", &sale(&format!("payment_method={card}")));
    assert_eq!(
        (&free.json()["status"], &free.json()["payment_method"]),
        (&json!("succeeded"), &json!(card))
    );
    attach(&world, &card, &own);
    let paid = keyed(
        &world,
        INTENTS,
        "own",
        &sale(&format!("payment_method={card}&customer={own}")),
    );
    assert_eq!(paid.json()["status"], "succeeded", "{paid:?}");
    assert_eq!(world.charges(), 2);
    let of = |customer: &str| {
        let made = keyed(
            &world,
            INTENTS,
            customer,
            &format!("amount=700&currency=usd{customer}"),
        );
        format!("{INTENTS}/{}", id(&made))
    };
    for (customer, code) in [
        (format!("&customer={other}"), "resource_missing"),
        (String::new(), "payment_method_unexpected_state"),
    ] {
        let named = format!("payment_method={card}");
        let refusals = [
            (INTENTS.to_owned(), sale(&format!("{named}{customer}"))),
            (
                INTENTS.to_owned(),
                format!("amount=700&currency=usd&{named}{customer}"),
            ),
            (of(&format!("{customer}&metadata[n]=1")), named.clone()),
            (
                of(&format!("{customer}&metadata[n]=2")) + "/confirm",
                named.clone(),
            ),
        ];
        for (n, (path, body)) in refusals.iter().enumerate() {
            let answer = keyed(&world, path, &format!("{code} {n}"), body);
            refused(&answer, 400, code, "payment_method");
        }
    }
    let foreign = world.send(
        "POST",
        INTENTS,
        Some(B),
        &[FORM],
        sale(&format!("payment_method={card}&customer={own}")).as_bytes(),
    );
    refused(&foreign, 400, "resource_missing", "payment_method");
    assert_eq!(world.charges(), 2, "what was refused charged nothing");
    // A card that somebody else got after it was named pays no more than one that never was named.
    let late = saved(&world);
    let draft = keyed(
        &world,
        INTENTS,
        "draft",
        &format!("amount=700&currency=usd&payment_method={late}"),
    );
    attach(&world, &late, &other);
    let path = format!("{INTENTS}/{}/confirm", id(&draft));
    refused(
        &keyed(&world, &path, "late", ""),
        400,
        "payment_method_unexpected_state",
        "payment_method",
    );
    assert_eq!(world.charges(), 2);
    world.stop();
}

#[test]
fn what_a_card_paid_for_an_intent_is_answered_the_same_after_it_is_gone() {
    let world = World::start();
    let card = saved(&world);
    let named = format!("payment_method={card}");
    let draft = keyed(&world, INTENTS, "draft", "amount=900&currency=usd");
    let one = format!("{INTENTS}/{}", id(&draft));
    let confirm = format!("{one}/confirm");
    let asked = [
        (INTENTS, "make", sale(&named)),
        (INTENTS, "wait", format!("amount=900&currency=usd&{named}")),
        (&one, "change", named.clone()),
        (&confirm, "confirm", named.clone()),
    ];
    let first = asked.clone().map(|(path, key, body)| {
        let answer = keyed(&world, path, key, &body);
        assert_eq!(answer.status, 200, "{key}: {answer:?}");
        answer.body
    });
    assert_eq!(world.charges(), 2);
    detach(&world, &card);
    for ((path, key, body), first) in asked.iter().zip(&first) {
        let again = keyed(&world, path, key, body);
        assert_eq!((again.status, &again.body), (200, first), "{key}");
        assert_eq!(again.header("idempotent-replayed"), Some("true"), "{key}");
        let other = keyed(&world, path, key, &format!("{body}&metadata[x]=1"));
        assert_eq!(other.status, 400, "{key}: another request under the key");
    }
    for (path, body) in [(INTENTS, sale(&named)), (INTENTS, asked[1].2.clone())] {
        let late = keyed(&world, path, "late", &body);
        refused(&late, 400, "payment_method_unexpected_state", "payment_method");
    }
    // Nothing was left behind under the key.
    assert_eq!(
        keyed(&world, INTENTS, "late", &sale("payment_method=pm_card_visa")).status,
        200
    );
    // A draft whose own card is gone waits for another.
    let waiting = String::from_utf8_lossy(&first[1]).into_owned();
    let waiting: Value = serde_json::from_str(&waiting).unwrap();
    let confirm = format!("{INTENTS}/{}/confirm", waiting["id"].as_str().unwrap());
    refused(
        &keyed(&world, &confirm, "own", ""),
        400,
        "payment_method_unexpected_state",
        "payment_method",
    );
    assert_eq!(
        keyed(&world, &confirm, "another", "payment_method=pm_card_visa").status,
        200
    );
    assert_eq!(world.charges(), 4);
    world.stop();
}

#[test]
fn the_card_of_a_token_is_saved_once_for_the_key_of_the_intent_that_it_pays() {
    let world = World::start();
    let with = |token: &str| {
        format!(
            "payment_method_data[type]=card&payment_method_data[card][token]={token}&payment_method_data[billing_details][name]=Ada"
        )
    };
    let first = token(&world);
    let body = sale(&with(&first));
    let paid = keyed(&world, INTENTS, "once", &body);
    assert_eq!(paid.json()["status"], "succeeded", "{paid:?}");
    let card = paid.json()["payment_method"].as_str().unwrap().to_owned();
    let shown = world.get(&format!("/v1/payment_methods/{card}"), Some(A)).json();
    assert_eq!(
        (&shown["card"]["last4"], &shown["billing_details"]["name"]),
        (&json!("5556"), &json!("Ada"))
    );
    let again = keyed(&world, INTENTS, "once", &body);
    assert_eq!(
        (again.status, &again.body, again.header("idempotent-replayed")),
        (200, &paid.body, Some("true"))
    );
    refused(
        &keyed(&world, INTENTS, "twice", &body),
        400,
        "token_already_used",
        "payment_method_data[card][token]",
    );
    assert_eq!(world.charges(), 1);
    // What the payment's rules refuse is refused by them again, and not because the token was used at the first try.
    let confirm = format!("{INTENTS}/{}/confirm", id(&paid));
    let other = with(&token(&world));
    for _ in 0..2 {
        let refused = keyed(&world, &confirm, "refused", &other);
        assert_eq!(
            (refused.status, refused.error("code").as_str()),
            (400, "payment_intent_unexpected_state")
        );
    }
    // Erased, it is still what was paid with under the key, and is not made again.
    detach(&world, &card);
    let again = keyed(&world, INTENTS, "once", &body);
    assert_eq!((again.status, &again.body), (200, &paid.body));
    assert_eq!(world.charges(), 1);
    // A draft takes one by a change, and pays with it.
    let draft = keyed(&world, INTENTS, "draft", "amount=300&currency=usd");
    let one = format!("{INTENTS}/{}", id(&draft));
    let changed = keyed(&world, &one, "change", &with("tok_visa"));
    assert_eq!(changed.json()["status"], "requires_confirmation", "{changed:?}");
    let done = keyed(&world, &format!("{one}/confirm"), "confirm", "");
    assert_eq!(done.json()["status"], "succeeded", "{done:?}");
    assert_eq!(done.json()["payment_method"], changed.json()["payment_method"]);
    world.stop();
}

#[test]
fn a_strange_card_of_an_intent_is_refused_by_its_whole_name() {
    let world = World::start();
    let card = "payment_method_data[type]=card&payment_method_data[card]";
    for (body, code, param) in [
        (
            format!("{card}[number]={NUMBER}"),
            "card_number_misplaced",
            "payment_method_data[card][number]",
        ),
        (
            format!("{card}[token]=tok_visa&payment_method_data[card][cvc]=1"),
            "parameter_unknown",
            "payment_method_data[card][cvc]",
        ),
        (
            format!("{card}[token]=tok_nothing"),
            "token_invalid",
            "payment_method_data[card][token]",
        ),
        (
            format!("{card}[token]=tok_visa&payment_method=pm_card_visa"),
            "parameter_invalid",
            "payment_method_data",
        ),
        (
            format!("{card}[token]=tok_visa&payment_method_data[billing_details][shoe]=1"),
            "parameter_unknown",
            "payment_method_data[billing_details][shoe]",
        ),
        (
            "payment_method_data[card][token]=tok_visa".to_owned(),
            "parameter_missing",
            "payment_method_data[type]",
        ),
        (
            "payment_method_data[type]=sepa_debit".to_owned(),
            "parameter_invalid",
            "payment_method_data[type]",
        ),
        (
            "payment_method_data[type]=card".to_owned(),
            "parameter_missing",
            "payment_method_data[card]",
        ),
    ] {
        let answer = keyed(&world, INTENTS, param, &sale(&body));
        refused(&answer, 400, code, param);
    }
    assert_eq!(world.charges(), 0);
    world.stop();
}
