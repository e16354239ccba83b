//! Lists of payments: what they may be asked for, and the same as a file.

use crate::world::{Answer, World};
use crate::{VISA, pay};
use serde_json::Value;

const A: Option<&str> = Some("sk_test_a");

fn id(answer: &Answer) -> String {
    let id = match answer.status {
        402 => answer.error("payment_id"),
        _ => answer.json()["id"].as_str().unwrap().to_owned(),
    };
    assert!(id.starts_with("pay_"), "{answer:?}");
    id
}

#[track_caller]
fn listed(world: &World, query: &str) -> (Vec<String>, bool) {
    let answer = world.get(&format!("/v1/payments?{query}"), A);
    assert_eq!(answer.status, 200, "{query}: {answer:?}");
    let page = answer.json();
    let ids = page["data"].as_array().unwrap().iter();
    let ids = ids
        .map(|payment| payment["id"].as_str().unwrap().to_owned())
        .collect();
    (ids, page["has_more"].as_bool().unwrap())
}

/// The lines of a file that came in chunks, and their framing with them.
fn exported(world: &World, query: &str, key: Option<&str>) -> Answer {
    world.get(&format!("/v1/payments/export.csv?{query}"), key)
}

#[test]
fn a_list_is_filtered_by_what_its_payments_are_now() {
    let world = World::start();
    let body = |amount: u32, currency: &str, customer: &str, method: &str| {
        format!(
            r#"{{"amount":{amount},"currency":"{currency}","payment_method_id":"{method}","customer_id":"{customer}"}}"#
        )
    };
    let declined = "pm_card_visa_chargeDeclinedInsufficientFunds";
    let made: Vec<String> = [
        body(100, "usd", "cus_1", "pm_card_visa"),
        body(200, "jpy", "cus_2", "pm_card_visa"),
        body(300, "usd", "cus_2", declined),
        body(400, "usd", "cus_1", "pm_card_visa"),
        body(500, "usd", "cus_1", declined),
    ]
    .iter()
    .enumerate()
    .map(|(n, body)| id(&pay(&world, &format!("k{n}"), body)))
    .collect();
    let created = world.get(&format!("/v1/payments/{}", made[0]), A).json()["created"]
        .as_u64()
        .unwrap();
    let (before, after) = (created - 1, created + 600);
    let newest = |numbers: &[usize]| {
        let mut ids: Vec<String> = numbers.iter().map(|number| made[*number].clone()).collect();
        ids.sort_unstable_by(|a, b| b.cmp(a));
        ids
    };
    let late = format!("created[gt]={after}");
    let around = format!("created[gte]={created}&created[lt]={after}");
    let early = format!("created[lte]={before}");
    for (query, numbers) in [
        ("status=succeeded", &[3, 1, 0][..]),
        ("status=failed", &[4, 2]),
        ("status=blocked", &[]),
        ("customer_id=cus_1", &[4, 3, 0]),
        ("customer_id=CUS_1", &[]),
        ("currency=JPY", &[1]),
        ("currency=usd&status=succeeded", &[3, 0]),
        ("amount[gt]=200&amount[lt]=500", &[3, 2]),
        ("amount[gte]=200&amount[lte]=400", &[3, 2, 1]),
        ("amount=500", &[4]),
        ("amount[gt]=3&amount[lt]=4", &[]),
        (&late, &[]),
        (&around, &[4, 3, 2, 1, 0]),
        (&early, &[]),
    ] {
        let expected = newest(numbers);
        assert_eq!(listed(&world, query), (expected, false), "{query}");
    }
    // Two payments of one millisecond are in the order of their ids.
    let (all, succeeded) = (newest(&[0, 1, 2, 3, 4]), newest(&[0, 1, 3]));
    assert_eq!(
        listed(&world, "status=succeeded&limit=2"),
        (succeeded[..2].to_vec(), true)
    );
    let after = format!("status=succeeded&limit=2&starting_after={}", succeeded[1]);
    assert_eq!(listed(&world, &after), (succeeded[2..].to_vec(), false));
    let before = |id: &str| listed(&world, &format!("limit=2&ending_before={id}"));
    assert_eq!(
        before(&all[4]),
        (all[2..4].to_vec(), true),
        "the page right before it"
    );
    assert_eq!(before(&all[2]), (all[..2].to_vec(), false));
    assert_eq!(before(&all[0]), (Vec::new(), false));
    world.stop();
}

#[test]
fn a_cursor_that_is_not_ours_is_refused_by_name_and_alike() {
    let world = World::start();
    let ours = id(&pay(&world, "k", VISA));
    assert_eq!(
        listed(&world, &format!("starting_after={ours}")),
        (Vec::new(), false)
    );
    for name in ["starting_after", "ending_before"] {
        let messages: Vec<(u16, String, String)> = [
            (Some("sk_test_b"), ours.as_str()),
            (Some("sk_live_real_a"), &ours),
            (A, "pay_01m7y8dg6p0000emgyq7269te1"),
            (A, "pay_1"),
            (A, ""),
        ]
        .map(|(key, cursor)| {
            let answer = world.get(&format!("/v1/payments?{name}={cursor}"), key);
            (answer.status, answer.error("param"), answer.error("message"))
        })
        .to_vec();
        assert_eq!((messages[0].0, messages[0].1.as_str()), (400, name));
        assert!(
            messages.iter().all(|message| *message == messages[0]),
            "{messages:?}"
        );
    }
    for (query, param) in [
        (
            format!("starting_after={ours}&ending_before={ours}"),
            "ending_before",
        ),
        ("status=done".to_owned(), "status"),
        ("created[gte]=yesterday".to_owned(), "created[gte]"),
        ("amount[above]=1".to_owned(), "amount[above]"),
        ("currency=usd&currency=eur".to_owned(), "currency"),
    ] {
        for path in ["/v1/payments", "/v1/payments/export.csv"] {
            let answer = world.get(&format!("{path}?{query}"), A);
            assert_eq!(
                (answer.status, answer.error("param").as_str()),
                (400, param),
                "{path}?{query}"
            );
        }
    }
    world.stop();
}

#[test]
fn a_file_has_the_filters_of_the_list_and_nobody_elses_payments() {
    let world = World::start();
    let mut ids: Vec<String> = (0..3).map(|n| id(&pay(&world, &format!("k{n}"), VISA))).collect();
    ids.sort_unstable();
    let file = exported(&world, "status=succeeded", A);
    assert_eq!(file.status, 200, "{file:?}");
    for (name, value) in [
        ("content-type", "text/csv; charset=utf-8; header=present"),
        ("content-disposition", "attachment; filename=\"payments.csv\""),
        ("cache-control", "no-store"),
        ("transfer-encoding", "chunked"),
    ] {
        assert_eq!(file.header(name), Some(value));
    }
    let text = String::from_utf8(file.body.clone()).unwrap();
    assert!(
        text.ends_with("0\r\n\r\n"),
        "the last chunk says that the file is whole: {text}"
    );
    let places: Vec<usize> = ids
        .iter()
        .rev()
        .map(|id| text.find(id.as_str()).unwrap())
        .collect();
    assert!(places.is_sorted(), "newest first: {text}");
    let none = |answer: Answer| {
        let text = String::from_utf8(answer.body).unwrap();
        (answer.status, text.contains("id,created"), text.contains("pay_"))
    };
    assert_eq!(none(exported(&world, "status=failed", A)), (200, true, false));
    assert_eq!(none(exported(&world, "", Some("sk_test_b"))), (200, true, false));
    let rest = exported(&world, &format!("starting_after={}", ids[1]), A);
    let rest = String::from_utf8(rest.body).unwrap();
    let found: Vec<bool> = ids.iter().map(|id| rest.contains(id.as_str())).collect();
    assert_eq!(found, [true, false, false]);
    let head = world.send("HEAD", "/v1/payments/export.csv", A, &[], b"");
    assert_eq!((head.status, head.body.len()), (200, 0));
    for (key, status) in [(None, 401), (Some("ok_test_op"), 403)] {
        assert_eq!(exported(&world, "", key).status, status);
    }
    for query in ["limit=5".to_owned(), format!("ending_before={}", ids[0])] {
        assert_eq!(exported(&world, &query, A).status, 400, "{query}");
    }
    assert_eq!(
        exported(&world, &format!("starting_after={}", ids[0]), Some("sk_test_b")).status,
        400
    );
    let posted = world.send("POST", "/v1/payments/export.csv", A, &[], b"");
    assert_eq!(posted.status, 405);
    world.stop();
}

#[test]
fn a_file_of_more_than_a_page_has_every_payment_once() {
    let world = World::start();
    let made: std::collections::BTreeSet<String> = (0..520)
        .map(|n| id(&pay(&world, &format!("k{n}"), VISA)))
        .collect();
    let text = String::from_utf8(exported(&world, "", A).body).unwrap();
    let lines: Vec<&str> = text
        .split("\r\n")
        .filter(|line| line.starts_with("pay_"))
        .collect();
    let ids: Vec<String> = lines.iter().map(|line| line[..30].to_owned()).collect();
    assert!(ids.iter().rev().is_sorted());
    assert_eq!(ids.len(), 520);
    assert_eq!(ids.into_iter().collect::<std::collections::BTreeSet<_>>(), made);
    let pages: Vec<Value> = (0..2)
        .map(|_| world.get("/v1/payments?limit=100", A).json())
        .collect();
    assert_eq!(pages[0], pages[1], "reading changes nothing");
    world.stop();
}
