//! Attempts whose outcome is unknown: their list, page by page, and what one person's word comes to.

use crate::world::{Answer, World};
use crate::{VISA, pay, with_method};
use florin_domain::ids::{OperationId, PaymentId};
use florin_domain::money::Currency;
use florin_domain::provider::{Named, Notice, Outcome, ProviderId, Said, Signer};
use serde_json::{Value, json};
use std::sync::Arc;

const OPERATOR: &str = "ok_test_op";
const LIST: &str = "/v1/ops/unresolved";

fn post(world: &World, path: &str, secret: &str, key: &str, body: &str) -> Answer {
    let headers = [("Idempotency-Key", key), ("Content-Type", "application/json")];
    world.send("POST", path, Some(secret), &headers, body.as_bytes())
}

fn id(answer: &Answer) -> String {
    answer.json()["id"].as_str().unwrap().to_owned()
}

#[track_caller]
pub(crate) fn page(world: &World, query: &str) -> (Vec<String>, bool) {
    let answer = world.get(&format!("{LIST}?{query}"), Some(OPERATOR));
    assert_eq!(answer.status, 200, "{query}: {answer:?}");
    let page = answer.json();
    assert_eq!((&page["object"], &page["url"]), (&json!("list"), &json!(LIST)));
    let rows = page["data"].as_array().unwrap().iter();
    let ids = rows.map(|row| row["id"].as_str().unwrap().to_owned()).collect();
    (ids, page["has_more"].as_bool().unwrap())
}

pub(crate) fn unknown(world: &World, key: &str) -> String {
    let answer = pay(world, key, &with_method("pm_card_createDispute"));
    assert_eq!(answer.status, 202, "{answer:?}");
    id(&answer)
}

/// Two payments that nobody knows the end of, and a dozen refunds of one between them. Named as they are listed.
fn fourteen(world: &World) -> Vec<String> {
    let mut first = vec![unknown(world, "first")];
    let sold = id(&pay(world, "sold", VISA));
    let mut refunds = Vec::new();
    for number in 0..12 {
        let path = format!("/v1/payments/{sold}/refunds");
        let refund = post(
            world,
            &path,
            "sk_test_a",
            &format!("r{number}"),
            r#"{"amount":11}"#,
        );
        assert_eq!(refund.json()["status"], "pending", "{refund:?}");
        refunds.push(format!("{sold}:{}", id(&refund)));
    }
    // Finished, so it is not listed.
    assert_eq!(pay(world, "other", VISA).status, 200);
    let last = unknown(world, "last");
    first.extend(refunds);
    first.push(last);
    // The oldest first, by the ids: those of one millisecond have no other order.
    first.sort_by_key(|name| name.split(':').next().map(str::to_owned));
    first
}

#[test]
fn attempts_are_listed_page_by_page() {
    let world = World::start();
    assert_eq!(page(&world, ""), (Vec::new(), false));
    let all = fourteen(&world);
    assert_eq!(page(&world, "limit=100"), (all.clone(), false));
    assert_eq!(page(&world, "limit=14"), (all.clone(), false));
    assert_eq!(page(&world, "limit=13"), (all[..13].to_vec(), true));
    assert_eq!(
        page(&world, ""),
        (all[..10].to_vec(), true),
        "ten when nothing is said"
    );
    for limit in [1, 2, 5, 7] {
        let mut seen: Vec<String> = Vec::new();
        loop {
            let after = seen.last().map(|last| format!("&starting_after={last}"));
            let query = format!("limit={limit}{}", after.unwrap_or_default());
            let (ids, has_more) = page(&world, &query);
            assert!(ids.len() == limit || !has_more, "{query}: {ids:?}");
            seen.extend(ids);
            assert_eq!(has_more, seen.len() < all.len(), "{query}");
            if !has_more {
                break;
            }
        }
        assert_eq!(seen, all, "each once, by {limit}");
    }
    let last = all.last().unwrap();
    assert_eq!(
        page(&world, &format!("starting_after={last}")),
        (Vec::new(), false)
    );
    world.stop();
}

#[test]
fn a_page_reaches_behind_the_many_payments_that_wait_for_their_customers() {
    let world = World::start();
    // More than are read at a time.
    for number in 0..300 {
        let waiting = pay(
            &world,
            &format!("w{number}"),
            &with_method("pm_card_threeDSecure2Required"),
        );
        assert_eq!(waiting.json()["status"], "requires_action", "{waiting:?}");
    }
    let mut stuck = vec![unknown(&world, "a"), unknown(&world, "b")];
    stuck.sort();
    assert_eq!(page(&world, ""), (stuck.clone(), false));
    assert_eq!(page(&world, "limit=1"), (stuck[..1].to_vec(), true));
    let next = format!("limit=1&starting_after={}", stuck[0]);
    assert_eq!(page(&world, &next), (stuck[1..].to_vec(), false));
    world.stop();
}

#[test]
fn pages_of_attempts_are_asked_for_strictly() {
    let world = World::start();
    let stuck = unknown(&world, "k");
    for (query, param, code) in [
        ("limit=0".to_owned(), "limit", "parameter_invalid_integer"),
        ("limit=101".to_owned(), "limit", "parameter_invalid_integer"),
        (
            "starting_after=".to_owned(),
            "starting_after",
            "parameter_invalid",
        ),
        (
            "starting_after=x".to_owned(),
            "starting_after",
            "parameter_invalid",
        ),
        (
            "starting_after=pay_00000000000000000000000001".to_owned(),
            "starting_after",
            "parameter_invalid",
        ),
        (
            format!("starting_after={stuck}:ref_00000000000000000000000001"),
            "starting_after",
            "parameter_invalid",
        ),
        (
            format!("ending_before={stuck}"),
            "ending_before",
            "parameter_unknown",
        ),
    ] {
        let answer = world.get(&format!("{LIST}?{query}"), Some(OPERATOR));
        assert_eq!(
            (
                answer.status,
                answer.error("param").as_str(),
                answer.error("code").as_str()
            ),
            (400, param, code),
            "{query}"
        );
    }
    assert_eq!(world.get(LIST, Some("sk_test_a")).status, 403);
    world.stop();
}

#[test]
fn the_word_of_one_person_is_a_proposal_and_says_whom_it_awaits() {
    let world = World::start();
    let (stuck, next) = (unknown(&world, "k"), unknown(&world, "k2"));
    let path = format!("/v1/ops/attempts/{stuck}/resolve");
    let said = r#"{"outcome":"not_executed","evidence":"statement, line 12","reason":"ticket 7"}"#;
    let proposed = post(&world, &path, OPERATOR, "1", said);
    assert_eq!(proposed.status, 200, "{proposed:?}");
    let body = proposed.json();
    let proposal = json!({
        "outcome": "not_executed", "transaction": null, "evidence": "statement, line 12", "reason": "ticket 7",
        "operator": "key_00000000000000000000000003",
    });
    assert_eq!(
        (&body["object"], &body["status"]),
        (&json!("payment"), &json!("processing"))
    );
    assert_eq!(
        body["resolution"],
        json!({"attempt_id": stuck, "status": "proposed", "awaits": "second_person", "proposal": proposal})
    );
    let again = post(&world, &path, OPERATOR, "1", said);
    assert_eq!(
        (&again.body, again.header("idempotent-replayed")),
        (&proposed.body, Some("true"))
    );
    let row = |name: &str| {
        let list = world.get(LIST, Some(OPERATOR)).json();
        let rows = list["data"].as_array().unwrap().clone();
        rows.into_iter().find(|row| row["id"] == name)
    };
    assert_eq!(row(&stuck).unwrap()["proposal"], proposal);
    assert_eq!(row(&next).unwrap()["proposal"], Value::Null);
    let alone = post(&world, &path, OPERATOR, "2", said);
    assert_eq!(alone.error("code"), "second_person_required", "{alone:?}");

    let confirmed = post(&world, &path, "ok_test_op_2", "1", said);
    assert_eq!(confirmed.status, 200, "{confirmed:?}");
    let body = confirmed.json();
    assert_eq!(body["status"], "failed", "{body}");
    assert_eq!(
        body["resolution"],
        json!({"attempt_id": stuck, "status": "confirmed", "awaits": null, "proposal": null})
    );
    assert_eq!(row(&stuck), None);
    // What was resolved in the meantime still says where to go on.
    assert_eq!(
        page(&world, &format!("starting_after={stuck}")).0.contains(&next),
        stuck < next
    );
    let again = post(&world, &path, OPERATOR, "1", said);
    assert_eq!(again.body, proposed.body, "the first answer, for good");
    world.stop();
}

/// What the provider says of a charge that it made already, in another currency.
fn tell_of_another_charge(world: &World, payment: &str, key: &str) {
    let payment = PaymentId::parse(payment).unwrap();
    let notice = Notice {
        provider: ProviderId::parse("fake").unwrap(),
        signer: Signer::Platform,
        payment,
        operation: OperationId::Authorize(payment),
        attempt: Named::KeyEnd(Arc::from(key)),
        currency: Currency::EUR,
        said: Said::Became(Outcome::Succeeded {
            reference: Arc::from("psp_x"),
            transaction: Arc::from("psp_x"),
            amount_minor: 900,
        }),
    };
    let taken = world.runtime.block_on(world.platform.payments().notice(notice));
    assert!(taken.unwrap());
}

#[test]
fn a_matter_is_listed_until_one_operator_has_noted_it() {
    let world = World::start();
    let sold = pay(&world, "sold", VISA);
    let transaction = sold.json()["processor_transaction_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let sold = id(&sold);
    assert_eq!(page(&world, ""), (Vec::new(), false));
    tell_of_another_charge(&world, &sold, transaction.trim_start_matches("ch_"));
    let list = world.get(LIST, Some(OPERATOR)).json();
    let row = &list["data"][0];
    assert_eq!((&row["id"], &row["status"]), (&json!(sold), &json!("succeeded")));
    assert_eq!(row["matters_raised"], 1);
    let mut matters = row["matters"].clone();
    assert!(matters[0]["at"].as_u64().is_some_and(|at| at > 0), "{matters}");
    matters[0]["at"] = json!(0);
    let expected = json!([{
        "kind": "done_in_other_currency", "attempt": 1, "reference": "psp_x", "amount": 900, "currency": "EUR", "at": 0,
    }]);
    assert_eq!(matters, expected);

    let path = format!("/v1/ops/attempts/{sold}/resolve");
    let said =
        |more: &str| format!(r#"{{"outcome":"noted",{more}"evidence":"line 12","reason":"ticket 7"}}"#);
    let seen = |count: u32| said(&format!(r#""matters_seen":{count},"#));
    for (body, param, code) in [
        (
            said(r#""transaction":"ch_1","matters_seen":1,"#),
            "transaction",
            "parameter_invalid",
        ),
        (said(""), "matters_seen", "parameter_missing"),
        (seen(0), "matters_seen", "parameter_invalid"),
        (
            seen(1).replace("noted", "not_executed"),
            "matters_seen",
            "parameter_invalid",
        ),
    ] {
        let wrong = post(&world, &path, OPERATOR, "0", &body);
        assert_eq!(
            (
                wrong.status,
                wrong.error("param").as_str(),
                wrong.error("code").as_str()
            ),
            (400, param, code),
            "{wrong:?}"
        );
    }
    // More came than was seen, so nothing leaves the list unseen.
    let changed = post(&world, &path, OPERATOR, "1", &seen(2));
    assert_eq!(
        (changed.status, changed.error("code").as_str()),
        (409, "matters_changed")
    );
    assert_eq!(page(&world, "").0.len(), 1);
    for replayed in [None, Some("true")] {
        let noted = post(&world, &path, OPERATOR, "1", &seen(1));
        assert_eq!(
            (noted.status, noted.header("idempotent-replayed")),
            (200, replayed),
            "{noted:?}"
        );
        let body = noted.json();
        assert_eq!(
            (&body["status"], &body["amount_captured"]),
            (&json!("succeeded"), &body["amount"])
        );
        assert_eq!(
            body["resolution"],
            json!({"attempt_id": sold, "status": "noted", "awaits": null, "proposal": null})
        );
    }
    assert_eq!(page(&world, ""), (Vec::new(), false));
    let again = post(&world, &path, OPERATOR, "2", &seen(1));
    assert_eq!(
        (again.status, again.error("code").as_str()),
        (409, "payment_unexpected_state")
    );
    assert!(
        again.error("message").contains("nothing to note here"),
        "{again:?}"
    );
    let history = world.get(&format!("/v1/payments/{sold}/history?limit=100"), Some(OPERATOR));
    let history = history.json();
    let rows = history["data"].as_array().unwrap();
    let of = |kind: &str| rows.iter().find(|row| row["type"] == kind).unwrap();
    assert_eq!(of("matter.raised")["kind"], "done_in_other_currency");
    assert_eq!(of("matters.noted")["reason"], "ticket 7");
    world.stop();
}
