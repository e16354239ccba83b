//! Payments that are found by what they say: by metadata in the native list, and by queries as Stripe's SDKs send them.

use crate::world::{Answer, World};
use serde_json::{Value, json};
use std::fmt::Write as _;

const A: Option<&str> = Some("sk_test_a");
const B: Option<&str> = Some("sk_test_b");
const PATH: &str = "/v1/payment_intents/search";
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut written, byte| {
        write!(written, "%{byte:02X}").unwrap();
        written
    })
}

fn search(world: &World, key: Option<&str>, query: &str, rest: &str) -> Answer {
    world.get(&format!("{PATH}?query={}{rest}", encoded(query)), key)
}

#[track_caller]
fn ids(page: &Value) -> Vec<String> {
    let data = page["data"].as_array().unwrap_or_else(|| panic!("{page}"));
    data.iter()
        .map(|one| one["id"].as_str().unwrap().to_owned())
        .collect()
}

/// What a query finds, page by page; it is the same in pages of any size.
#[track_caller]
fn found(world: &World, query: &str) -> Vec<String> {
    let whole = search(world, A, query, "&limit=100");
    assert_eq!(whole.status, 200, "{query}: {whole:?}");
    let whole = ids(&whole.json());
    for limit in 1..=whole.len() + 1 {
        let (mut paged, mut next) = (Vec::new(), String::new());
        loop {
            let page = search(world, A, query, &format!("&limit={limit}{next}")).json();
            let shown = ids(&page);
            paged.extend(shown.clone());
            if page["has_more"] == false {
                assert_eq!(page["next_page"], Value::Null);
                break;
            }
            assert_eq!(shown.len(), limit, "a page with more behind it is full");
            next = format!("&page={}", page["next_page"].as_str().unwrap());
        }
        assert_eq!(paged, whole, "{query} by {limit}");
    }
    whole
}

#[track_caller]
fn posted(world: &World, path: &str, body: &str) -> Value {
    let answer = world.send("POST", path, A, &[FORM], body.as_bytes());
    assert_eq!(answer.status, 200, "{path} {body}: {answer:?}");
    answer.json()
}

/// Five intents of one merchant, in the order in which they were made.
fn made(world: &World) -> Vec<String> {
    let bodies = [
        "amount=100&currency=usd&payment_method=pm_card_visa&confirm=true&customer=cus_1&metadata[order]=6735",
        "amount=200&currency=jpy&payment_method=pm_card_visa&confirm=true&capture_method=manual&metadata[order]=6736",
        "amount=300&currency=usd&metadata[order]=6735&metadata[Gift%20note]=St%C3%BChle",
        "amount=400&currency=eur&payment_method=pm_card_visa&confirm=true&customer=Cus_1",
        "amount=500&currency=usd&payment_method=pm_card_visa",
    ];
    let made = bodies.iter().map(|body| {
        let intent = posted(world, "/v1/payment_intents", body);
        intent["id"].as_str().unwrap().to_owned()
    });
    made.collect()
}

/// Some of them, newest first. Two payments of one millisecond are in the order of their ids.
fn newest(made: &[String], places: &[usize]) -> Vec<String> {
    let mut ids: Vec<String> = places.iter().map(|place| made[*place].clone()).collect();
    ids.sort_unstable_by(|a, b| b.cmp(a));
    ids
}

#[test]
fn a_query_finds_exactly_what_it_asks_for_in_pages_of_any_size() {
    let world = World::start();
    let made = made(&world);
    let first = world.get(&format!("/v1/payment_intents/{}", made[0]), A).json();
    let created = first["created"].as_u64().unwrap();
    let (since, before) = (format!("created>={created}"), format!("created<{created}"));
    let later = format!("amount>=300 created>{}", created + 600);
    for (query, places) in [
        ("metadata[\"order\"]:\"6735\"", &[0, 2][..]),
        ("metadata['order']:'6735' AND status:'succeeded'", &[0]),
        (
            "metadata[\"order\"]:\"6735\" status:\"requires_payment_method\"",
            &[2],
        ),
        ("metadata[\"order\"]:\"6734\"", &[]),
        ("metadata[\"Order\"]:\"6735\"", &[]),
        ("metadata[\"order\"]~\"673\"", &[0, 1, 2]),
        ("metadata[\"order\"]:null", &[3, 4]),
        ("-metadata[\"order\"]:null", &[0, 1, 2]),
        ("-metadata[\"order\"]:\"6735\"", &[1, 3, 4]),
        ("metadata[\"Gift note\"]:\"stühle\"", &[2]),
        ("metadata[\"order\"]:\"6736\" OR amount>400", &[1, 4]),
        ("status:\"requires_capture\"", &[1]),
        ("-status:\"succeeded\"", &[1, 2, 4]),
        ("status:\"canceled\"", &[]),
        (
            "status:\"requires_confirmation\" or status:\"requires_payment_method\"",
            &[2, 4],
        ),
        ("currency:\"USD\"", &[0, 2, 4]),
        ("-currency:\"usd\" AND amount<300", &[1]),
        ("customer:\"cus_1\"", &[0, 3]),
        ("customer:null", &[1, 2, 4]),
        ("amount>=200 amount<500", &[1, 2, 3]),
        ("-amount:300 AND amount>100", &[1, 3, 4]),
        (&since, &[0, 1, 2, 3, 4]),
        (&before, &[]),
        (&later, &[]),
    ] {
        assert_eq!(found(&world, query), newest(&made, places), "{query}");
    }
    let page = search(&world, A, &since, "&limit=2&expand[]=data.latest_charge").json();
    assert_eq!(
        (&page["object"], &page["url"], &page["has_more"]),
        (&json!("search_result"), &json!(PATH), &json!(true))
    );
    let all = search(&world, A, "currency:\"eur\"", "&expand[]=data.latest_charge").json();
    assert_eq!(all["data"][0]["latest_charge"]["object"], "charge");
    world.stop();
}

#[test]
fn what_is_found_follows_what_is_said_now() {
    let world = World::start();
    let made = made(&world);
    let by_order = |order: &str| found(&world, &format!("metadata[\"order\"]:\"{order}\""));
    let path = format!("/v1/payment_intents/{}", made[2]);
    posted(&world, &path, "metadata[order]=7000");
    assert_eq!(by_order("6735"), [made[0].clone()]);
    assert_eq!(by_order("7000"), [made[2].clone()]);
    posted(&world, &path, "metadata[order]=");
    assert_eq!(by_order("7000"), Vec::<String>::new());
    assert_eq!(
        found(
            &world,
            "metadata[\"order\"]:null AND -metadata[\"Gift note\"]:null"
        ),
        [made[2].clone()]
    );
    let listed = |query: &str, key| ids(&world.get(&format!("/v1/payments?{query}"), key).json());
    let native = |places: &[usize]| -> Vec<String> {
        let ids = newest(&made, places);
        ids.iter().map(|id| id.replace("pi_", "pay_")).collect()
    };
    assert_eq!(listed("metadata[order]=6735", A), native(&[0]));
    posted(&world, &path, "metadata[order]=6735");
    assert_eq!(listed("metadata[order]=6735", A), native(&[0, 2]));
    for (query, places) in [
        ("metadata[order]=6735&limit=1", &[0, 2][..]),
        ("metadata[order]=6735&status=succeeded", &[0]),
        ("metadata[order]=6735&metadata[Gift%20note]=St%C3%BChle", &[2]),
        ("metadata[order]=6735&metadata[other]=1", &[]),
        ("metadata[order]=", &[]),
        ("metadata%5BGift+note%5D=st%C3%BChle", &[]),
    ] {
        // The filters go on with the pages.
        let (mut shown, mut after) = (Vec::new(), String::new());
        loop {
            let page = world.get(&format!("/v1/payments?{query}{after}"), A).json();
            shown.extend(ids(&page));
            if page["has_more"] == false {
                break;
            }
            after = format!("&starting_after={}", shown.last().unwrap());
        }
        assert_eq!(shown, native(places), "{query}");
    }
    let file = world.get("/v1/payments/export.csv?metadata[order]=6735", A);
    let file = String::from_utf8(file.body).unwrap();
    let in_file: Vec<bool> = made
        .iter()
        .map(|id| file.contains(&id.replace("pi_", "pay_")))
        .collect();
    assert_eq!(in_file, [true, false, true, false, false]);
    world.stop();
}

#[test]
fn nobody_finds_what_is_anothers_or_of_the_other_mode() {
    let world = World::start();
    let made = made(&world);
    world.sell_live(777);
    let everything = "amount>=0 OR metadata[\"order\"]:\"6735\" OR -status:\"canceled\"";
    assert_eq!(found(&world, everything), newest(&made, &[0, 1, 2, 3, 4]));
    for (key, count) in [(B, 0), (Some("sk_live_real_a"), 1)] {
        assert_eq!(
            ids(&search(&world, key, everything, "").json()).len(),
            count,
            "{key:?}"
        );
        let listed = world.get("/v1/payments?metadata[order]=6735", key).json();
        assert_eq!(ids(&listed), Vec::<String>::new());
        // Neither is their place any use to others.
        let refused = search(&world, key, everything, &format!("&page={}", made[0]));
        let unknown = search(&world, A, everything, "&page=pi_01m7y8dg6p0000emgyq7269te1");
        for answer in [&refused, &unknown] {
            assert_eq!((answer.status, answer.error("param").as_str()), (400, "page"));
        }
        assert_eq!(refused.error("message"), unknown.error("message"));
    }
    for (key, status) in [(None, 401), (Some("ok_test_op"), 403)] {
        assert_eq!(search(&world, key, everything, "").status, status);
    }
    world.stop();
}

#[test]
fn what_cannot_be_asked_is_refused_as_stripe_refuses() {
    let world = World::start();
    let query = encoded("amount>0");
    for (parameters, param, code) in [
        (String::new(), "query", "parameter_missing"),
        ("query=".to_owned(), "query", "parameter_missing"),
        ("query[a]=b".to_owned(), "query", "parameter_invalid"),
        (
            format!("query={}", encoded("email:\"a\"")),
            "query",
            "parameter_invalid",
        ),
        (
            format!("query={}", encoded("amount>1 AND amount<2 OR amount:3")),
            "query",
            "parameter_invalid",
        ),
        (
            format!("query={query}&limit=0"),
            "limit",
            "parameter_invalid_integer",
        ),
        (
            format!("query={query}&limit=101"),
            "limit",
            "parameter_invalid_integer",
        ),
        (format!("query={query}&page=2"), "page", "parameter_invalid"),
        (
            format!("query={query}&starting_after=pi_1"),
            "starting_after",
            "parameter_unknown",
        ),
        (
            format!("query={query}&expand[]=total_count"),
            "expand[0]",
            "parameter_invalid",
        ),
        (
            format!("query={query}&query={query}"),
            "query",
            "parameter_invalid",
        ),
    ] {
        let answer = world.get(&format!("{PATH}?{parameters}"), A);
        assert_eq!(answer.status, 400, "{parameters}: {answer:?}");
        let error = &answer.json()["error"];
        assert_eq!(
            (&error["param"], &error["code"], &error["type"]),
            (&json!(param), &json!(code), &json!("invalid_request_error")),
            "{parameters}"
        );
    }
    for (parameters, param) in [
        ("metadata[]=1", "metadata[]"),
        ("metadata=1", "metadata"),
        ("metadata[a]=1&metadata[a]=1", "metadata[a]"),
    ] {
        let answer = world.get(&format!("/v1/payments?{parameters}"), A);
        assert_eq!((answer.status, answer.error("param").as_str()), (400, param));
    }
    let nothing = world.get(&format!("{PATH}?query={query}"), A).json();
    assert_eq!(
        nothing,
        json!({"object": "search_result", "url": PATH, "has_more": false, "next_page": null, "data": []})
    );
    assert_eq!(
        world
            .send("HEAD", &format!("{PATH}?query={query}"), A, &[], b"")
            .status,
        200
    );
    let posted = world.send("POST", PATH, A, &[FORM], b"");
    assert_eq!((posted.status, posted.header("allow")), (405, Some("GET, HEAD")));
    world.stop();
}
