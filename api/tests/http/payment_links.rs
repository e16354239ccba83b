//! `/v1/payment_links`.

use crate::world::{Answer, World};
use serde_json::{Value, json};

const A: &str = "sk_test_a";
const PATH: &str = "/v1/payment_links";

fn json_to(world: &World, path: &str, key: &str, body: &Value) -> Answer {
    let kind = [("Content-Type", "application/json")];
    world.send("POST", path, Some(key), &kind, body.to_string().as_bytes())
}

fn form_to(world: &World, path: &str, key: Option<&str>, body: &str) -> Answer {
    let mut headers = vec![("Content-Type", "application/x-www-form-urlencoded")];
    headers.extend(key.map(|key| ("Idempotency-Key", key)));
    world.send("POST", path, Some(A), &headers, body.as_bytes())
}

#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str, param: Option<&str>) {
    let error = &answer.json()["error"];
    let got = (answer.status, error["code"].as_str(), error["param"].as_str());
    assert_eq!(got, (status, Some(code), param), "{error}");
}

#[test]
fn a_link_is_made_from_json_or_a_form_and_shown_with_all_its_fields() {
    let world = World::start();
    let body = json!({
        "amount": 84_900, "currency": "eur", "description": "Table & chairs", "single_use": true, "customer": "jane",
        "capture_method": "manual", "metadata": {"order": "7"},
        "after_completion": {"type": "redirect", "redirect": {"url": "https://shop.example/thanks"}},
    });
    let made = json_to(&world, PATH, A, &body);
    assert_eq!(made.status, 200, "{made:?}");
    let made = made.json();
    let id = made["id"].as_str().unwrap();
    assert!(id.starts_with("plink_"));
    let expected = json!({
        "id": id, "object": "payment_link", "active": true,
        "after_completion": {"type": "redirect", "redirect": {"url": "https://shop.example/thanks"}},
        "amount": 84_900, "capture_method": "manual", "created": made["created"], "currency": "EUR", "customer": "jane",
        "description": "Table & chairs", "livemode": false, "metadata": {"order": "7"}, "payment": null,
        "single_use": true, "url": format!("http://florin/pay/{id}"),
    });
    assert_eq!(made, expected);
    assert_eq!(world.get(&format!("{PATH}/{id}"), Some(A)).json(), expected);
    let form = "amount=84900&currency=EUR&description=Table+%26+chairs&single_use=true&customer=jane&capture_method=manual&metadata[order]=7\
                &after_completion[type]=redirect&after_completion[redirect][url]=https://shop.example/thanks";
    let mut same = form_to(&world, PATH, None, form).json();
    for name in ["id", "created", "url"] {
        same[name] = expected[name].clone();
    }
    assert_eq!(same, expected);
    let plain = form_to(&world, PATH, None, "amount=1&currency=jpy").json();
    assert_eq!(
        plain["after_completion"],
        json!({"type": "hosted_confirmation", "redirect": null})
    );
    assert_eq!(
        (&plain["single_use"], &plain["capture_method"]),
        (&json!(false), &json!("automatic"))
    );
    world.stop();
}

#[test]
fn what_is_wrong_is_named() {
    let world = World::start();
    for (form, code, param) in [
        ("currency=eur", "parameter_missing", "amount"),
        ("amount=1", "parameter_missing", "currency"),
        ("amount=0&currency=eur", "amount_too_small", "amount"),
        ("amount=1.5&currency=eur", "parameter_invalid_integer", "amount"),
        ("amount=1&currency=xau", "parameter_invalid", "currency"),
        ("amount=1&currency=eur&active=true", "parameter_unknown", "active"),
        (
            "amount=1&currency=eur&single_use=1",
            "parameter_invalid",
            "single_use",
        ),
        (
            "amount=1&currency=eur&capture_method=later",
            "parameter_invalid",
            "capture_method",
        ),
        (
            "amount=1&currency=eur&customer=4242424242424242",
            "card_number_misplaced",
            "customer",
        ),
        (
            "amount=1&currency=eur&description=4242+4242+4242+4242",
            "card_number_misplaced",
            "description",
        ),
        (
            "amount=1&currency=eur&metadata[payment_link]=x",
            "parameter_invalid",
            "metadata[payment_link]",
        ),
        (
            "amount=1&currency=eur&after_completion[type]=redirect",
            "parameter_missing",
            "after_completion[redirect]",
        ),
        (
            "amount=1&currency=eur&after_completion[type]=redirect&after_completion[redirect][url]=javascript:alert(1)",
            "parameter_invalid",
            "after_completion[redirect][url]",
        ),
        (
            "amount=1&currency=eur&after_completion[type]=redirect&after_completion[redirect][url]=http://shop.example",
            "parameter_invalid",
            "after_completion[redirect][url]",
        ),
        (
            "amount=1&currency=eur&after_completion[type]=redirect&after_completion[redirect][url]=http://localhost.shop.example",
            "parameter_invalid",
            "after_completion[redirect][url]",
        ),
        (
            "amount=1&currency=eur&after_completion[type]=redirect&after_completion[redirect][url]=https://a%0d%0ab",
            "parameter_invalid",
            "after_completion[redirect][url]",
        ),
    ] {
        refused(&form_to(&world, PATH, None, form), 400, code, Some(param));
    }
    let here = "amount=1&currency=eur&after_completion[type]=redirect&after_completion[redirect][url]=http://127.0.0.1:7/x";
    assert_eq!(form_to(&world, PATH, None, here).status, 200);
    let kind = [("Content-Type", "application/x-www-form-urlencoded")];
    let live = world.send("POST", PATH, Some("sk_live_real_a"), &kind, here.as_bytes());
    refused(
        &live,
        400,
        "parameter_invalid",
        Some("after_completion[redirect][url]"),
    );
    let many = (0..50).fold(String::new(), |many, n| format!("{many}&metadata[n{n}]=1"));
    let many = form_to(&world, PATH, None, &format!("amount=1&currency=eur{many}"));
    refused(&many, 400, "parameter_invalid", Some("metadata"));
    world.stop();
}

#[test]
fn one_key_makes_one_link() {
    let world = World::start();
    let first = form_to(&world, PATH, Some("k"), "amount=5&currency=eur");
    let again = form_to(&world, PATH, Some("k"), "currency=eur&amount=5");
    assert_eq!(again.body, first.body);
    assert_eq!(
        (
            first.header("idempotent-replayed"),
            again.header("idempotent-replayed")
        ),
        (None, Some("true"))
    );
    let other = form_to(&world, PATH, Some("k"), "amount=6&currency=eur");
    refused(&other, 400, "idempotency_key_reused", Some("Idempotency-Key"));
    let id = first.json()["id"].as_str().unwrap().to_owned();
    let off = form_to(&world, &format!("{PATH}/{id}"), Some("off"), "active=false");
    form_to(&world, &format!("{PATH}/{id}"), Some("on"), "active=true");
    let replayed = form_to(&world, &format!("{PATH}/{id}"), Some("off"), "active=false");
    assert_eq!(replayed.body, off.body, "as it was answered then");
    assert_eq!(
        world.get(&format!("{PATH}/{id}"), Some(A)).json()["active"],
        json!(true)
    );
    world.stop();
}

#[test]
fn a_link_is_changed_and_listed_by_its_merchant_alone() {
    let world = World::start();
    let ids: Vec<String> = (1..=3)
        .map(|n| {
            let made = form_to(
                &world,
                PATH,
                None,
                &format!("amount={n}&currency=eur&metadata[a]=1"),
            );
            made.json()["id"].as_str().unwrap().to_owned()
        })
        .collect();
    let one = format!("{PATH}/{}", ids[0]);
    let changed = form_to(
        &world,
        &one,
        None,
        "active=false&description=Other&metadata[a]=&metadata[b]=2",
    )
    .json();
    assert_eq!(
        (&changed["active"], &changed["description"], &changed["metadata"]),
        (&json!(false), &json!("Other"), &json!({"b": "2"}))
    );
    let unset = form_to(&world, &one, None, "description=").json();
    assert_eq!(
        (&unset["description"], &unset["active"]),
        (&Value::Null, &json!(false))
    );
    refused(
        &form_to(&world, &one, None, "amount=5"),
        400,
        "parameter_unknown",
        Some("amount"),
    );
    for (key, status) in [
        ("sk_test_b", 404),
        ("sk_live_real_a", 404),
        ("ok_test_op", 403),
        ("sk_test_none", 401),
    ] {
        assert_eq!(world.get(&one, Some(key)).status, status, "{key}");
        assert_eq!(
            json_to(&world, &one, key, &json!({"active": true})).status,
            status,
            "{key}"
        );
    }
    let page = world.get(&format!("{PATH}?limit=2"), Some(A)).json();
    assert_eq!(
        (&page["object"], &page["url"], &page["has_more"]),
        (&json!("list"), &json!(PATH), &json!(true))
    );
    let found: Vec<_> = page["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|link| link["id"].as_str().unwrap())
        .collect();
    assert_eq!(found.len(), 2);
    let rest = world
        .get(&format!("{PATH}?starting_after={}", found[1]), Some(A))
        .json();
    assert_eq!(
        (rest["data"].as_array().unwrap().len(), &rest["has_more"]),
        (1, &json!(false))
    );
    let none = world.get(PATH, Some("sk_test_b")).json();
    assert_eq!(none["data"], json!([]));
    refused(
        &world.get(&format!("{PATH}?starting_after=pay_1"), Some(A)),
        400,
        "parameter_invalid",
        Some("starting_after"),
    );
    world.stop();
}
