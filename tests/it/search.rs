//! Payments in pages, and found by what they say: also after a crash, and after the view was made anew.

use crate::cli::another_merchant;
use crate::deployment::{Caller, Dev, sale};
use crate::process::run_well;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use tempfile::TempDir;

const SEARCH: &str = "/v1/payment_intents/search";

fn ids(page: &Value) -> Vec<String> {
    let data = page["data"].as_array().unwrap();
    data.iter()
        .map(|one| one["id"].as_str().unwrap().to_owned())
        .collect()
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut written, byte| {
        write!(written, "%{byte:02X}").unwrap();
        written
    })
}

/// What a query finds with the filters that say the same, if there are such.
type Expected = BTreeMap<&'static str, (&'static str, Vec<String>)>;

/// What a query finds, in pages of this size; each of them but the last is full.
#[track_caller]
fn found(caller: &Caller, query: &str, limit: usize) -> Vec<String> {
    let (mut all, mut next) = (Vec::new(), String::new());
    loop {
        let page = caller.read(&format!("{SEARCH}?query={}&limit={limit}{next}", encoded(query)));
        assert_eq!(page["object"], "search_result");
        let shown = ids(&page);
        all.extend_from_slice(&shown);
        let Some(place) = page["next_page"].as_str() else {
            assert_eq!(page["has_more"], false);
            return all;
        };
        assert_eq!((shown.len(), &page["has_more"]), (limit, &json!(true)));
        next = format!("&page={place}");
    }
}

/// The native list with these filters, in pages of this size.
#[track_caller]
fn listed(caller: &Caller, filters: &str, limit: usize) -> Vec<String> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let page = caller.read(&format!("/v1/payments?limit={limit}{filters}{after}"));
        all.extend(ids(&page));
        if page["has_more"] == false {
            return all;
        }
        after = format!("&starting_after={}", all.last().unwrap());
    }
}

fn native(id: &str) -> String {
    id.replace("pi_", "pay_")
}

/// Intents that are only drafts, newest first with their numbers: each third has the same order, and one in ten is marked; one of those was changed to
/// be so. Two of one millisecond are in the order of their ids.
fn make(merchant: &Caller, count: usize) -> Vec<(usize, String)> {
    let path = "/v1/payment_intents";
    let mut made: Vec<(usize, String)> = (0..count)
        .map(|n| {
            let mut metadata = json!({"order": (n % 3).to_string(), "n": n.to_string()});
            if n.is_multiple_of(10) && n != 50 {
                metadata["gift"] = json!("yes");
            }
            let draft = json!({"amount": 100 + n, "currency": "usd", "metadata": metadata});
            let intent = merchant
                .post(&format!("draft {n}"), path, &draft)
                .expect(200)
                .json();
            (n, intent["id"].as_str().unwrap().to_owned())
        })
        .collect();
    let change = json!({"metadata": {"gift": "yes", "n": ""}});
    merchant
        .post("change", &format!("{path}/{}", made[50].1), &change)
        .expect(200);
    made.sort_unstable_by(|one, other| other.1.cmp(&one.1));
    made
}

/// Everything that can be asked for in two ways, with what it must give: by its query, and by its filters if there are such.
fn expected(made: &[(usize, String)]) -> Expected {
    let such = |takes: &dyn Fn(usize) -> bool| {
        let such = made.iter().filter(|(n, _)| takes(*n));
        such.map(|(_, id)| id.clone()).collect::<Vec<String>>()
    };
    BTreeMap::from([
        (
            "metadata[\"order\"]:\"2\"",
            ("&metadata[order]=2", such(&|n| n % 3 == 2)),
        ),
        (
            "metadata['gift']:'yes'",
            ("&metadata[gift]=yes", such(&|n| n.is_multiple_of(10))),
        ),
        (
            "metadata[\"gift\"]:\"yes\" AND metadata[\"order\"]:\"0\" AND amount>=130",
            (
                "&metadata[gift]=yes&metadata[order]=0&amount[gte]=130",
                such(&|n| n.is_multiple_of(30) && n >= 30),
            ),
        ),
        ("metadata[\"n\"]:\"50\"", ("&metadata[n]=50", Vec::new())),
        ("metadata[\"n\"]:null", ("", such(&|n| n == 50))),
        (
            "metadata[\"gift\"]:\"yes\" OR amount<103",
            ("", such(&|n| n.is_multiple_of(10) || n < 3)),
        ),
        (
            "-metadata[\"order\"]:\"2\" -metadata[\"order\"]:\"0\"",
            ("", such(&|n| n % 3 == 1)),
        ),
    ])
}

#[track_caller]
fn check(merchant: &Caller, made: &[(usize, String)]) {
    for (query, (filters, ids)) in expected(made) {
        for limit in [1, 7, 100] {
            assert_eq!(found(merchant, query, limit), ids, "{query} by {limit}");
        }
        if !filters.is_empty() {
            let ids: Vec<String> = ids.iter().map(|id| native(id)).collect();
            for limit in [1, 7, 100] {
                assert_eq!(listed(merchant, filters, limit), ids, "{filters} by {limit}");
            }
        }
    }
}

#[test]
fn x_08_lists_have_one_to_a_hundred_entries_ten_if_nothing_is_said_and_go_on_from_a_cursor() {
    let (_folder, dev) = Dev::fresh(&[]);
    let merchant = dev.merchant();
    let made: Vec<String> = make(&merchant, 105).into_iter().map(|(_, id)| id).collect();
    let everything = format!("{SEARCH}?query={}&", encoded("amount>0"));
    for list in ["/v1/payments?", "/v1/payment_intents?", &everything] {
        let page = |parameters: &str| merchant.read(&format!("{list}{parameters}"));
        for (parameters, count) in [("", 10), ("limit=1", 1), ("limit=100", 100)] {
            let page = page(parameters);
            let shown: Vec<String> = ids(&page).iter().map(|id| native(id)).collect();
            let wanted: Vec<String> = made[..count].iter().map(|id| native(id)).collect();
            assert_eq!(
                (shown, &page["has_more"]),
                (wanted, &json!(true)),
                "{list}{parameters}"
            );
        }
        for limit in ["0", "101", "-1", "ten"] {
            let refused = merchant.get(&format!("{list}limit={limit}")).expect(400);
            assert_eq!(refused.error("param"), "limit", "{list}{limit}");
        }
    }
    assert_eq!(found(&merchant, "amount>0", 100), made);
    let behind = merchant.read(&format!(
        "/v1/payment_intents?limit=100&starting_after={}",
        made[99]
    ));
    assert_eq!(
        (ids(&behind), &behind["has_more"]),
        (made[100..].to_vec(), &json!(false))
    );
    let before = merchant.read(&format!("/v1/payment_intents?limit=3&ending_before={}", made[5]));
    assert_eq!(
        (ids(&before), &before["has_more"]),
        (made[2..5].to_vec(), &json!(true))
    );
    let paid = dev.pay("paid", &sale(9_000, "EUR")).expect(200).json();
    let path = format!(
        "{SEARCH}?query={}&expand[]=data.latest_charge",
        encoded("currency:\"eur\"")
    );
    let expanded = merchant.read(&path);
    assert_eq!(expanded["data"][0]["latest_charge"]["amount_captured"], 9_000);
    assert_eq!(native(&ids(&expanded)[0]), paid["id"].as_str().unwrap());
    dev.stop();
}

#[test]
fn x_08_payments_are_found_by_metadata_also_when_it_was_changed_after_a_crash_and_in_a_view_made_anew() {
    let folder = TempDir::new().unwrap();
    let dev = Dev::start(folder.path(), &[]);
    let made = make(&dev.merchant(), 65);
    check(&dev.merchant(), &made);
    dev.process.kill_9();
    let dev = Dev::start(folder.path(), &[]);
    check(&dev.merchant(), &made);
    dev.stop();
    run_well(&["views", "rebuild"], folder.path(), &[]);
    let other = another_merchant(folder.path(), &[]);
    let dev = Dev::start(folder.path(), &[]);
    check(&dev.merchant(), &made);
    let other = Caller::new(dev.api, &other);
    for query in expected(&made).into_keys() {
        assert_eq!(found(&other, query, 10), Vec::<String>::new(), "{query}");
    }
    assert_eq!(listed(&other, "&metadata[order]=2", 10), Vec::<String>::new());
    let path = format!("{SEARCH}?query={}&page={}", encoded("amount>0"), made[0].1);
    assert_eq!(other.get(&path).expect(400).error("param"), "page");
    dev.stop();
}
