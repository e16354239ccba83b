//! Balance alerts: who may make them, what is shown of them, and what is refused.

use crate::world::{Answer, World};
use crate::{VISA, pay};
use serde_json::{Value, json};

const OPERATOR: &str = "ok_test_op";
const PAYABLE: &str = "merchant_payable:mer_00000000000000000000000001:USD";

fn id(number: u64) -> String {
    format!("123e4567-e89b-12d3-a456-{number:012x}")
}

fn ask(world: &World, body: &Value) -> Answer {
    let headers = [("Content-Type", "application/json")];
    let body = body.to_string();
    world.send(
        "POST",
        "/v1/ledger/alerts",
        Some(OPERATOR),
        &headers,
        body.as_bytes(),
    )
}

fn above(number: u64, account: &str, amount_minor: i64) -> Value {
    json!({
        "id": id(number), "account": account, "field": "balance", "condition": "above", "amount_minor": amount_minor,
    })
}

#[track_caller]
fn made(world: &World, body: &Value) -> Value {
    let answer = ask(world, body);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str, param: &str) {
    let error = &answer.json()["error"];
    assert_eq!(
        (answer.status, &error["code"], &error["param"]),
        (status, &json!(code), &json!(param)),
        "{answer:?}"
    );
}

#[track_caller]
fn listed(world: &World, query: &str) -> (Vec<String>, bool) {
    let answer = world.get(&format!("/v1/ledger/alerts?{query}"), Some(OPERATOR));
    assert_eq!(answer.status, 200, "{query}: {answer:?}");
    let page = answer.json();
    let alerts = page["data"].as_array().unwrap().iter();
    let ids = alerts.map(|alert| {
        assert_eq!(alert.get("history"), None, "a list goes without");
        alert["id"].as_str().unwrap().to_owned()
    });
    (ids.collect(), page["has_more"].as_bool().unwrap())
}

#[test]
fn an_alert_is_made_once_shown_listed_and_deleted() {
    let world = World::start();
    let path = |number| format!("/v1/ledger/alerts/{}", id(number));
    refused(
        &ask(&world, &above(1, PAYABLE, 10_000)),
        404,
        "account_unknown",
        "account",
    );
    assert_eq!(pay(&world, "k1", VISA).status, 200);
    let first = made(&world, &above(1, PAYABLE, 10_000));
    assert_eq!(
        (
            &first["state"],
            &first["current_value_minor"],
            &first["currency"],
            &first["livemode"]
        ),
        (&json!("armed"), &json!(9_680), &json!("USD"), &json!(false)),
        "{first}"
    );
    let fees = made(
        &world,
        &json!({
            "id": id(2), "account": "fee_revenue:USD", "field": "balance", "condition": "at_or_above", "amount_minor": 320,
        }),
    );
    assert_eq!(
        (&fees["state"], &fees["times_raised"]),
        (&json!("raised"), &json!(1)),
        "{fees}"
    );
    assert_eq!(pay(&world, "k2", VISA).status, 200);
    let shown = world.get(&path(1), Some(OPERATOR)).json();
    assert_eq!(
        (
            &shown["state"],
            &shown["since_value_minor"],
            &shown["times_raised"]
        ),
        (&json!("raised"), &json!(19_360), &json!(1)),
        "{shown}"
    );
    assert_eq!(shown["history"][1]["value_minor"], 9_680, "{shown}");
    assert_eq!(made(&world, &above(1, PAYABLE, 10_000)), shown, "the same again");
    refused(
        &ask(&world, &above(1, PAYABLE, 10_001)),
        409,
        "alert_id_reused",
        "id",
    );

    made(&world, &above(3, "suspense:USD:live", 0));
    assert_eq!(listed(&world, ""), (vec![id(1), id(2), id(3)], false));
    assert_eq!(listed(&world, "limit=2"), (vec![id(1), id(2)], true));
    let after = format!("limit=2&starting_after={}", id(2));
    assert_eq!(listed(&world, &after), (vec![id(3)], false));
    assert_eq!(listed(&world, "state=armed"), (vec![id(3)], false));
    assert_eq!(listed(&world, "state=raised&limit=1"), (vec![id(1)], true));
    assert_eq!(listed(&world, "account=fee_revenue:USD"), (vec![id(2)], false));
    assert_eq!(listed(&world, "account=bank:USD"), (Vec::new(), false));
    for (query, param) in [
        ("state=quiet", "state"),
        ("account=savings", "account"),
        ("starting_after=1", "starting_after"),
    ] {
        let answer = world.get(&format!("/v1/ledger/alerts?{query}"), Some(OPERATOR));
        refused(&answer, 400, "parameter_invalid", param);
    }

    let delete = |number| world.send("DELETE", &path(number), Some(OPERATOR), &[], b"");
    assert_eq!(
        delete(1).json(),
        json!({"object": "balance_alert", "id": id(1), "deleted": true})
    );
    refused(&delete(1), 404, "resource_missing", "id");
    refused(
        &world.get(&path(1), Some(OPERATOR)),
        404,
        "resource_missing",
        "id",
    );
    refused(
        &ask(&world, &above(1, PAYABLE, 10_000)),
        409,
        "alert_id_reused",
        "id",
    );
    assert_eq!(listed(&world, "").0, [id(2), id(3)]);
    world.stop();
}

#[test]
fn alerts_are_for_operators_and_only_so_many_fit_an_account() {
    let world = World::start();
    let path = format!("/v1/ledger/alerts/{}", id(1));
    for key in ["sk_test_a", "nobody"] {
        let code = if key == "nobody" {
            "api_key_invalid"
        } else {
            "operator_key_required"
        };
        let headers = [("Content-Type", "application/json")];
        let body = above(1, "bank:USD", 0).to_string();
        for answer in [
            world.send("POST", "/v1/ledger/alerts", Some(key), &headers, body.as_bytes()),
            world.get("/v1/ledger/alerts", Some(key)),
            world.get(&path, Some(key)),
            world.send("DELETE", &path, Some(key), &[], b""),
        ] {
            assert_eq!(answer.error("code"), code, "{answer:?}");
        }
    }
    assert_eq!(listed(&world, "").0, Vec::<String>::new());
    for (method, path, allow) in [
        ("PUT", "/v1/ledger/alerts", "GET, HEAD, POST"),
        ("POST", path.as_str(), "DELETE, GET, HEAD"),
    ] {
        let answer = world.send(method, path, Some(OPERATOR), &[], b"");
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, Some(allow)),
            "{answer:?}"
        );
    }
    for number in 0..16 {
        made(&world, &above(number, "bank:USD", 0));
    }
    refused(
        &ask(&world, &above(16, "bank:USD", 0)),
        409,
        "alerts_full",
        "account",
    );
    made(&world, &above(16, "bank:EUR", 0));
    made(&world, &above(0, "bank:USD", 0));
    world.stop();
}
