//! What is refused under Stripe's names, what SDKs may send again, and lists to their end.

use crate::stripe::{FORM, SALE, get, id, made, post};
use crate::world::World;
use serde_json::json;

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one flat table: every wrong parameter with its name"
)]
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
            "amount=100&currency=usd&payment_method=pm_card_visa&off_session=true".to_owned(),
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
fn a_card_number_is_refused_in_any_text_and_nothing_is_kept_of_it() {
    let world = World::start();
    let number = "4000056655665556";
    let draft = made(&world, "amount=10000&currency=usd");
    let update = format!("/v1/payment_intents/{}", id(&draft));
    let create = "/v1/payment_intents";
    for (path, body, param) in [
        (create, format!("{SALE}&description={number}"), "description"),
        (
            create,
            format!("{SALE}&description=card+4000+0566+5566+5556"),
            "description",
        ),
        (create, format!("{SALE}&customer={number}"), "customer"),
        (
            create,
            format!("{SALE}&metadata[order]={number}"),
            "metadata[order]",
        ),
        (
            create,
            format!("{SALE}&return_url=https://shop.example/{number}"),
            "return_url",
        ),
        (
            create,
            format!("{SALE}&payment_method={number}").replace("payment_method=pm_card_visa&", ""),
            "payment_method",
        ),
        (&update, format!("description={number}"), "description"),
        (&update, format!("metadata[a]={number}"), "metadata[a]"),
        (
            &format!("{update}/confirm"),
            format!("payment_method={number}"),
            "payment_method",
        ),
        (
            &format!("{update}/cancel"),
            format!("cancellation_reason={number}"),
            "cancellation_reason",
        ),
        (
            "/v1/refunds",
            format!("payment_intent={}&reason={number}", id(&draft)),
            "reason",
        ),
        (
            create,
            format!("{SALE}&payment_method_types[]={number}"),
            "payment_method_types[0]",
        ),
    ] {
        let refused = post(&world, path, Some("k"), &body);
        assert_eq!(
            (refused.status, refused.error("code"), refused.error("param")),
            (400, "card_number_misplaced".to_owned(), param.to_owned()),
            "{body}"
        );
        assert!(!format!("{refused:?}").contains(number), "{refused:?}");
    }
    assert_eq!(world.charges(), 0);
    world.stop();
}

#[test]
fn a_key_that_is_there_and_empty_is_no_missing_key() {
    let world = World::start();
    for empty in ["", "  "] {
        let refused = post(&world, "/v1/payment_intents", Some(empty), SALE);
        assert_eq!(
            (refused.status, refused.error("code").as_str()),
            (400, "idempotency_key_required"),
            "{refused:?}"
        );
    }
    assert_eq!(world.charges(), 0);
    world.stop();
}

#[test]
fn what_is_expanded_comes_back_to_nothing_and_shows_ten_refunds() {
    let world = World::start();
    let intent = made(&world, SALE);
    for number in 0..12 {
        let body = format!("payment_intent={}&amount={}", id(&intent), 100 + number);
        let refund = post(&world, "/v1/refunds", None, &body);
        assert_eq!(refund.status, 200, "{refund:?}");
    }
    let path = format!("/v1/payment_intents/{}", id(&intent));
    let shown = get(&world, &format!("{path}?expand[]=latest_charge.refunds")).json();
    let refunds = &shown["latest_charge"]["refunds"];
    assert_eq!(
        (refunds["data"].as_array().unwrap().len(), &refunds["has_more"]),
        (10, &json!(true))
    );
    assert_eq!(refunds["data"][0]["amount"], 111, "the newest first");
    for cycle in [
        "latest_charge.refunds.data.charge",
        "latest_charge.payment_intent",
    ] {
        let refused = get(&world, &format!("{path}?expand[]=latest_charge&expand[]={cycle}"));
        assert_eq!(
            (refused.status, refused.error("param").as_str()),
            (400, "expand[1]"),
            "{refused:?}"
        );
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

#[test]
fn charges_behind_many_drafts_are_listed_one_by_one() {
    let world = World::start();
    let older = made(&world, SALE);
    let charge = |intent: &serde_json::Value| id(intent).replace("pi_", "ch_");
    for _ in 0..205 {
        made(&world, "amount=10000&currency=usd");
    }
    let newer = made(&world, SALE);
    let page = |query: &str| {
        let answer = get(&world, &format!("/v1/charges?limit=1{query}"));
        assert_eq!(answer.status, 200, "{answer:?}");
        let page = answer.json();
        let ids: Vec<String> = page["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| id(one).to_owned())
            .collect();
        (ids, page["has_more"] == json!(true))
    };
    assert_eq!(page(""), (vec![charge(&newer)], true));
    let behind = format!("&starting_after={}", charge(&newer));
    assert_eq!(page(&behind), (vec![charge(&older)], false));
    let before = format!("&ending_before={}", charge(&older));
    assert_eq!(page(&before), (vec![charge(&newer)], false));
    world.stop();
}
