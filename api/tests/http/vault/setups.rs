//! Cards that are set up for later charges, and the consent to them.

use super::*;

const SETUPS: &str = "/v1/setup_intents";
const CONSENT: &str = "mandate_data[customer_acceptance][type]=online&mandate_data[customer_acceptance][accepted_at]=1795238734\
    &mandate_data[customer_acceptance][online][ip_address]=192.0.2.7&mandate_data[customer_acceptance][online][user_agent]=Mozilla/5.0";

fn customer(world: &World) -> String {
    id(&post(world, "/v1/customers", A, &json!({"name": "Ada"})))
}

fn get(world: &World, path: &str) -> Answer {
    shown(world.get(path, Some(A)))
}

#[track_caller]
fn fields(answer: &Answer, wanted: &Value) {
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    let got = answer.json();
    for (name, value) in wanted.as_object().unwrap() {
        assert_eq!(&got[name], value, "{name} of {got}");
    }
}

#[test]
fn a_card_that_is_set_up_becomes_its_customers_and_the_consent_is_recorded() {
    let world = World::start();
    let (card, ada) = (saved(&world), customer(&world));
    let made = form(&world, SETUPS, &format!("customer={ada}&metadata[cart]=7"));
    fields(
        &made,
        &json!({
            "object": "setup_intent", "status": "requires_payment_method", "usage": "off_session", "customer": ada,
            "payment_method": null, "mandate": null, "metadata": {"cart": "7"}, "client_secret": null,
        }),
    );
    let one = format!("{SETUPS}/{}", id(&made));
    let named = form(&world, &one, &format!("payment_method={card}&description=Shoes"));
    fields(
        &named,
        &json!({"status": "requires_confirmation", "payment_method": card, "description": "Shoes"}),
    );
    let method = format!("/v1/payment_methods/{card}");
    fields(&get(&world, &method), &json!({"customer": null}));
    let done = form(&world, &format!("{one}/confirm"), CONSENT);
    fields(&done, &json!({"status": "succeeded", "payment_method": card}));
    fields(&get(&world, &method), &json!({"customer": ada}));
    let mandate = format!("/v1/mandates/{}", done.json()["mandate"].as_str().unwrap());
    let consent = json!({
        "accepted_at": 1_795_238_734, "type": "online", "online": {"ip_address": "192.0.2.7", "user_agent": "Mozilla/5.0"},
    });
    fields(
        &get(&world, &mandate),
        &json!({"status": "active", "payment_method": card, "customer_acceptance": consent, "type": "multi_use"}),
    );
    assert_eq!(world.get(&mandate, Some(B)).status, 404, "another merchant's");
    // What was set up pays.
    let sale =
        format!("amount=700&currency=usd&confirm=true&off_session=true&customer={ada}&payment_method={card}");
    fields(
        &form(&world, "/v1/payment_intents", &sale),
        &json!({"status": "succeeded"}),
    );
    // It is over; what is said of it may change.
    for (path, body) in [
        (format!("{one}/confirm"), String::new()),
        (format!("{one}/cancel"), String::new()),
        (one.clone(), format!("payment_method={card}")),
    ] {
        let late = form(&world, &path, &body);
        assert_eq!(
            (late.status, late.error("code").as_str()),
            (400, "setup_intent_unexpected_state"),
            "{path}"
        );
    }
    fields(
        &form(&world, &one, "metadata[cart]=&metadata[shop]=3"),
        &json!({"metadata": {"shop": "3"}, "status": "succeeded"}),
    );
    // A detached card is charged no more; the consent stays as the merchant's proof until the customer is erased.
    id(&post(&world, &format!("{method}/detach"), A, &json!({})));
    fields(&get(&world, &mandate), &json!({"status": "inactive"}));
    fields(
        &get(&world, &one),
        &json!({"status": "succeeded", "payment_method": card}),
    );
    let gone = world.send("DELETE", &format!("/v1/customers/{ada}"), Some(A), &[], b"");
    assert_eq!(gone.status, 200, "{gone:?}");
    for path in [&mandate, &one] {
        assert_eq!(get(&world, path).status, 404, "{path}");
    }
    world.stop();
}

#[test]
fn a_card_is_set_up_at_once_for_one_customer_only_and_once_for_its_key() {
    let world = World::start();
    let (card, ada, bob) = (saved(&world), customer(&world), customer(&world));
    let body = format!("customer={ada}&payment_method={card}&confirm=true&usage=on_session&{CONSENT}");
    let keyed = |body: &str| {
        let headers = [FORM, ("Idempotency-Key", "once")];
        shown(world.send("POST", SETUPS, Some(A), &headers, body.as_bytes()))
    };
    let first = keyed(&body);
    fields(&first, &json!({"status": "succeeded", "usage": "on_session"}));
    let again = keyed(&body);
    assert_eq!(
        (again.status, &again.body, again.header("idempotent-replayed")),
        (200, &first.body, Some("true"))
    );
    for strange in [format!("customer={bob}&"), String::new()] {
        for confirms in ["true", "false"] {
            let answer = form(
                &world,
                SETUPS,
                &format!("{strange}payment_method={card}&confirm={confirms}"),
            );
            refused(&answer, 400, "payment_method_unexpected_state", "payment_method");
        }
    }
    let listed = get(&world, &format!("{SETUPS}?customer={ada}")).json();
    assert_eq!(
        listed["data"],
        json!([first.json()]),
        "nothing was left of what was refused"
    );
    assert_eq!(
        get(&world, &format!("{SETUPS}?customer={bob}")).json()["data"],
        json!([])
    );
    // Without a customer, what is set up goes with its card.
    let loose = saved(&world);
    let made = form(
        &world,
        SETUPS,
        &format!("payment_method={loose}&confirm=true&{CONSENT}"),
    );
    let paths = [
        format!("{SETUPS}/{}", id(&made)),
        format!("/v1/mandates/{}", made.json()["mandate"].as_str().unwrap()),
    ];
    for path in &paths {
        assert_eq!(get(&world, path).status, 200, "{path}");
    }
    id(&post(
        &world,
        &format!("/v1/payment_methods/{loose}/detach"),
        A,
        &json!({}),
    ));
    for path in &paths {
        assert_eq!(get(&world, path).status, 404, "{path}");
    }
    world.stop();
}

#[test]
fn what_is_set_up_is_listed_given_up_and_refused_by_name() {
    let world = World::start();
    let mut ids: Vec<String> = (0..3).map(|_| id(&form(&world, SETUPS, ""))).collect();
    // Those of one millisecond are in no order of their own.
    ids.sort();
    let page = get(&world, &format!("{SETUPS}?limit=2")).json();
    assert_eq!(
        (&page["data"][0]["id"], &page["data"][1]["id"], &page["has_more"]),
        (&json!(ids[2]), &json!(ids[1]), &json!(true))
    );
    let rest = get(&world, &format!("{SETUPS}?starting_after={}", ids[1])).json();
    assert_eq!(
        (&rest["data"][0]["id"], &rest["has_more"]),
        (&json!(ids[0]), &json!(false))
    );
    let one = format!("{SETUPS}/{}", ids[0]);
    let unnamed = form(&world, &format!("{one}/confirm"), "");
    refused(&unnamed, 400, "parameter_missing", "payment_method");
    fields(
        &form(&world, &format!("{one}/cancel"), "cancellation_reason=abandoned"),
        &json!({"status": "canceled", "cancellation_reason": "abandoned"}),
    );
    let consent = "mandate_data[customer_acceptance]";
    for (body, code, param) in [
        ("usage=later".to_owned(), "parameter_invalid", "usage"),
        (
            "single_use[amount]=1".to_owned(),
            "parameter_unknown",
            "single_use",
        ),
        ("shoe=1".to_owned(), "parameter_unknown", "shoe"),
        ("customer=nobody".to_owned(), "resource_missing", "customer"),
        (
            format!("{consent}[type]=offline"),
            "parameter_invalid",
            "mandate_data",
        ),
        (
            format!("confirm=true&{consent}[type]=online"),
            "parameter_missing",
            "mandate_data[customer_acceptance][online]",
        ),
        (
            format!("confirm=true&{consent}[type]=online&{consent}[online][ip_address]=home"),
            "parameter_invalid",
            "mandate_data[customer_acceptance][online][ip_address]",
        ),
        (
            format!("confirm=true&{consent}[type]=offline&{consent}[accepted_at]=noon"),
            "parameter_invalid_integer",
            "mandate_data[customer_acceptance][accepted_at]",
        ),
        (
            format!("description={NUMBER}"),
            "card_number_misplaced",
            "description",
        ),
    ] {
        refused(&form(&world, SETUPS, &body), 400, code, param);
    }
    for path in ["seti_nothing", "seti_00000000000000000000000007"] {
        assert_eq!(get(&world, &format!("{SETUPS}/{path}")).status, 404);
    }
    world.stop();
}
