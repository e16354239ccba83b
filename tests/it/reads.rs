//! What was answered can be read at once, in order, and by nobody else.

use crate::cli::{another_merchant, merchant_with_fee};
use crate::deployment::{Caller, Dev, sale, with_method};
use crate::http::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

fn ids(page: &Value) -> Vec<&str> {
    page["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|payment| payment["id"].as_str().unwrap())
        .collect()
}

#[test]
fn led_18_a_payment_is_in_every_view_as_soon_as_it_is_answered() {
    let (_folder, dev) = Dev::fresh(&[]);
    let merchant = dev.merchant();
    for number in 0..20_u64 {
        let payment = dev
            .pay(&number.to_string(), &sale(100 + number, "USD"))
            .expect(200)
            .json();
        let id = payment["id"].as_str().unwrap();
        assert_eq!(merchant.read(&format!("/v1/payments/{id}")), payment);
        assert_eq!(merchant.read("/v1/payments?limit=1")["data"][0], payment);
        let history = merchant.read(&format!("/v1/payments/{id}/history"));
        let last = history["data"].as_array().unwrap().last().unwrap();
        assert_eq!(last["type"], "ledger.entry_posted", "{history}");
    }
    dev.stop();
}

#[test]
fn a_token_is_good_at_the_first_read_of_the_next_life() {
    let folder = TempDir::new().unwrap();
    let dev = Dev::start(folder.path(), &[]);
    let paid = dev.pay("before", &sale(500, "USD")).expect(200);
    let token = paid.header("florin-consistency-token").unwrap().to_owned();
    dev.process.kill_9();
    let dev = Dev::start(folder.path(), &[]);
    let read = |token: &str| {
        let headers = [
            ("Authorization", "Bearer sk_test_florin_dev"),
            ("Florin-Consistency-Token", token),
        ];
        Client::new(dev.api)
            .send("GET", "/v1/payments", &headers, b"")
            .unwrap()
    };
    let listed = read(&token).expect(200);
    assert_eq!(ids(&listed.json()), [paid.json()["id"].as_str().unwrap()]);
    // What the next life adds itself is no more than a few commits.
    let (shard, seq) = token.split_once('-').unwrap();
    let beyond = format!("{shard}-{}", seq.parse::<u64>().unwrap() + 1_000);
    assert_eq!(read(&beyond).expect(503).error("code"), "node_behind");
    dev.stop();
}

#[test]
fn payments_are_listed_newest_first_page_by_page() {
    let (_folder, dev) = Dev::fresh(&[]);
    let made: Vec<String> = (0..25_u64)
        .map(|number| {
            let payment = dev
                .pay(&number.to_string(), &sale(100 + number, "USD"))
                .expect(200)
                .json();
            payment["id"].as_str().unwrap().to_owned()
        })
        .collect();
    let newest_first: Vec<&str> = made.iter().rev().map(String::as_str).collect();
    let merchant = dev.merchant();
    let first = merchant.read("/v1/payments");
    assert_eq!(
        (&first["object"], &first["url"]),
        (&json!("list"), &json!("/v1/payments"))
    );
    assert_eq!(
        (ids(&first), &first["has_more"]),
        (newest_first[..10].to_vec(), &json!(true)),
        "ten when nothing is said"
    );
    let mut seen = Vec::new();
    let mut after = String::new();
    for (size, has_more) in [(10, true), (10, true), (5, false)] {
        let page = merchant.read(&format!("/v1/payments?limit=10{after}"));
        assert_eq!(
            (ids(&page).len(), &page["has_more"]),
            (size, &json!(has_more)),
            "{after}"
        );
        seen.extend(ids(&page).into_iter().map(str::to_owned));
        after = format!("&starting_after={}", seen.last().unwrap());
    }
    assert_eq!(seen, newest_first);
    let exact = merchant.read("/v1/payments?limit=25");
    assert_eq!((ids(&exact).len(), &exact["has_more"]), (25, &json!(false)));
    let beyond = merchant.read(&format!("/v1/payments?starting_after={}", newest_first[24]));
    assert_eq!((ids(&beyond).len(), &beyond["has_more"]), (0, &json!(false)));
    dev.stop();
}

#[test]
fn another_merchants_payments_are_not_there() {
    let (folder, dev) = Dev::fresh(&[]);
    let ours = dev.pay("ours", &sale(500, "USD")).expect(200).json();
    dev.stop();
    let key = another_merchant(folder.path(), &[]);
    let dev = Dev::start(folder.path(), &[]);
    let other = Caller::new(dev.api, &key);
    let theirs = other.pay("theirs", &sale(900, "USD")).expect(200).json();
    let path = |payment: &Value| format!("/v1/payments/{}", payment["id"].as_str().unwrap());
    for (caller, own, foreign) in [(dev.merchant(), &ours, &theirs), (other, &theirs, &ours)] {
        assert_eq!(caller.read(&path(own)), *own);
        let unknown = caller
            .get("/v1/payments/pay_01m7y8dg6p0000emgyq7269te1")
            .expect(404);
        let refused = caller.get(&path(foreign)).expect(404);
        assert_eq!(
            refused.text(),
            unknown.text(),
            "nothing tells a foreign payment from none"
        );
        caller.get(&format!("{}/history", path(foreign))).expect(404);
        assert_eq!(ids(&caller.read("/v1/payments")), [own["id"].as_str().unwrap()]);
        let accounts = caller.read_all("/v1/ledger/accounts");
        assert_eq!(accounts.len(), 1, "{accounts:?}");
        assert_eq!(accounts[0]["balance"], own["net"]);
    }
    let payables: Vec<Value> = dev.operator().read_all("/v1/ledger/accounts");
    let of_others: Vec<&str> = payables
        .iter()
        .map(|account| account["id"].as_str().unwrap())
        .filter(|id| {
            *id != dev.merchant().read_all("/v1/ledger/accounts")[0]["id"]
                .as_str()
                .unwrap()
        })
        .collect();
    assert_eq!(of_others.len(), 3, "{of_others:?}");
    for id in of_others {
        for suffix in ["", "/entries"] {
            let answer = dev.merchant().get(&format!("/v1/ledger/accounts/{id}{suffix}"));
            assert_eq!(answer.status, 404, "{id}{suffix}: {answer:?}");
        }
    }
    dev.stop();
}

#[test]
fn a_history_tells_every_event_in_order_and_the_posting() {
    let (_folder, dev) = Dev::fresh(&[]);
    let payment = dev.pay("k", &sale(10_000, "USD")).expect(200).json();
    let declined = dev
        .pay("d", &with_method("pm_card_visa_chargeDeclined"))
        .expect(402)
        .error("payment_id");
    let id = payment["id"].as_str().unwrap();
    let merchant = dev.merchant();
    let history = merchant.read(&format!("/v1/payments/{id}/history"));
    let rows = history["data"].as_array().unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row["type"].as_str().unwrap()).collect();
    let expected = [
        "payment.created",
        "risk.assessed",
        "operation.opened",
        "attempt.routed",
        "attempt.planned",
        "attempt.referenced",
        "attempt.succeeded",
        "ledger.entry_posted",
    ];
    assert_eq!(names, expected);
    let seqs: Vec<u64> = rows.iter().map(|row| row["seq"].as_u64().unwrap()).collect();
    assert!(seqs.is_sorted() && seqs[0] > 0, "{seqs:?}");
    assert_eq!(
        (&rows[2]["operation"], &rows[2]["amount"]),
        (&json!("sale"), &json!(10_000))
    );
    assert_eq!(
        rows[6]["processor_transaction_id"],
        payment["processor_transaction_id"]
    );
    let payable = merchant.read_all("/v1/ledger/accounts")[0]["id"].clone();
    let line = |account: Value, side: &str, amount: u64, balance: Value| json!({"account": account, "side": side, "amount": amount, "currency": "USD", "balance_after": balance});
    let lines = json!([
        line(
            json!("provider_clearing:stripe:USD"),
            "debit",
            10_000,
            Value::Null
        ),
        line(payable, "credit", 9680, json!(9680)),
        line(json!("fee_revenue:USD"), "credit", 320, Value::Null),
    ]);
    assert_eq!(rows[7]["lines"], lines);
    let history = merchant.read(&format!("/v1/payments/{declined}/history"));
    let last = history["data"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["type"], &last["decline_code"]),
        (&json!("attempt.declined"), &json!("generic_decline"))
    );
    dev.stop();
}

#[test]
fn led_13_every_entry_shows_the_balance_after_it() {
    let folder = tempfile::tempdir().unwrap();
    Dev::start(folder.path(), &[]).stop();
    let key = merchant_with_fee(folder.path(), "0", "0");
    let dev = Dev::start(folder.path(), &[]);
    let merchant = Caller::new(dev.api, &key);
    for (number, amount) in [50_000, 10_000, 940_000, 10_000].into_iter().enumerate() {
        merchant
            .pay(&number.to_string(), &sale(amount, "USD"))
            .expect(200);
    }
    let account = merchant.read_all("/v1/ledger/accounts").pop().unwrap();
    let path = format!("/v1/ledger/accounts/{}", account["id"].as_str().unwrap());
    let entries = merchant.read(&format!("{path}/entries"));
    let shown: Vec<(u64, u64)> = entries["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            (
                entry["amount"].as_u64().unwrap(),
                entry["balance_after"].as_u64().unwrap(),
            )
        })
        .collect();
    // $500.00 to $600.00, and $10,000.00 to $10,100.00; newest first.
    assert_eq!(
        shown,
        [
            (10_000, 1_010_000),
            (940_000, 1_000_000),
            (10_000, 60_000),
            (50_000, 50_000)
        ]
    );
    assert_eq!(
        (&account["balance"], &account["available"]),
        (&json!(1_010_000), &json!(1_010_000))
    );
    assert_eq!(merchant.read(&path)["balance"], 1_010_000);
    dev.stop();
}

#[test]
fn the_entries_of_an_account_are_read_page_by_page_and_name_their_payments() {
    let (_folder, dev) = Dev::fresh(&[]);
    let made: Vec<Value> = (0..25_u64)
        .map(|number| {
            dev.pay(&number.to_string(), &sale(1_000 + number, "USD"))
                .expect(200)
                .json()
        })
        .collect();
    let merchant = dev.merchant();
    let account = merchant.read_all("/v1/ledger/accounts").pop().unwrap();
    let path = format!("/v1/ledger/accounts/{}/entries", account["id"].as_str().unwrap());
    let mut seen: Vec<Value> = Vec::new();
    for (size, has_more) in [(10, true), (10, true), (5, false)] {
        let after = seen.last().map_or_else(String::new, |last| {
            format!("&starting_after={}", last["id"].as_str().unwrap())
        });
        let page = merchant.read(&format!("{path}?limit=10{after}"));
        assert_eq!(
            (page["data"].as_array().unwrap().len(), &page["has_more"]),
            (size, &json!(has_more))
        );
        seen.extend_from_slice(page["data"].as_array().unwrap());
    }
    let mut balance = 0;
    for (entry, payment) in seen.iter().rev().zip(&made) {
        balance += payment["net"].as_i64().unwrap();
        assert_eq!(
            (&entry["payment_id"], &entry["amount"]),
            (&payment["id"], &payment["net"])
        );
        assert_eq!(
            (&entry["side"], &entry["balance_after"]),
            (&json!("credit"), &json!(balance))
        );
        assert_eq!(entry["events"], json!(["attempt.succeeded"]));
    }
    assert_eq!(account["balance"], balance);
    dev.stop();
}

#[test]
fn accounts_are_sorted_and_the_merchant_sees_only_what_it_is_owed() {
    let (_folder, dev) = Dev::fresh(&[]);
    for currency in ["USD", "EUR", "JPY"] {
        dev.pay(currency, &sale(10_000, currency)).expect(200);
    }
    let all = dev.operator().read_all("/v1/ledger/accounts");
    assert_eq!(all.len(), 9, "{all:?}");
    let own = dev.merchant().read_all("/v1/ledger/accounts");
    assert_eq!(
        own,
        all.iter()
            .filter(|account| account["type"] == "liability")
            .cloned()
            .collect::<Vec<_>>()
    );
    let pages: Vec<Value> = ["EUR", "JPY", "USD"].map(Value::from).to_vec();
    assert_eq!(
        own.iter()
            .map(|account| account["currency"].clone())
            .collect::<Vec<_>>(),
        pages
    );
    let page = dev.operator().read("/v1/ledger/accounts?limit=4");
    assert_eq!(
        (&page["data"], &page["has_more"]),
        (&json!(all[..4]), &json!(true))
    );
    let rest = dev.operator().read(&format!(
        "/v1/ledger/accounts?starting_after={}",
        all[3]["id"].as_str().unwrap()
    ));
    assert_eq!(
        (&rest["data"], &rest["has_more"]),
        (&json!(all[4..]), &json!(false))
    );
    dev.stop();
}

#[test]
fn a_list_is_filtered_by_status_as_soon_as_a_payment_is_answered() {
    let (_folder, dev) = Dev::fresh(&[]);
    let merchant = dev.merchant();
    let mut made: [Vec<String>; 3] = Default::default();
    let outcomes = [
        ("succeeded", "pm_card_visa"),
        ("failed", "pm_card_visa_chargeDeclined"),
        ("blocked", "pm_card_riskLevelHighest"),
    ];
    for round in 0..4 {
        for ((status, method), ids) in outcomes.iter().zip(&mut made) {
            let answer = dev.pay(&format!("{status}-{round}"), &with_method(method));
            let id = match answer.status {
                402 => answer.error("payment_id"),
                _ => answer.expect(200).json()["id"].as_str().unwrap().to_owned(),
            };
            ids.insert(0, id);
            let page = merchant.read(&format!("/v1/payments?status={status}"));
            assert_eq!(
                (&page["has_more"], ids_of(&page)),
                (&json!(false), ids.clone()),
                "{status}"
            );
            assert!(
                page["data"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|payment| payment["status"] == *status)
            );
        }
    }
    assert_eq!(ids(&merchant.read("/v1/payments?status=voided")), [""; 0]);
    let page = merchant.read(&format!(
        "/v1/payments?status=failed&limit=2&ending_before={}",
        made[1][3]
    ));
    assert_eq!(
        (&page["has_more"], ids_of(&page)),
        (&json!(true), made[1][1..3].to_vec())
    );
    dev.stop();
}

fn ids_of(page: &Value) -> Vec<String> {
    ids(page).into_iter().map(str::to_owned).collect()
}

#[test]
fn lists_are_the_same_after_a_restart_and_from_a_view_that_starts_anew() {
    let (folder, dev) = Dev::fresh(&[]);
    for (number, method) in ["pm_card_visa", "pm_card_visa_chargeDeclined", "pm_card_visa"]
        .into_iter()
        .enumerate()
    {
        let mut body = with_method(method);
        body["customer_id"] = json!(format!("cus_{number}"));
        dev.pay(&number.to_string(), &body);
    }
    let queries = [
        "status=succeeded",
        "status=failed",
        "customer_id=cus_1",
        "amount[gte]=1&currency=usd",
    ];
    let read = |dev: &Dev| queries.map(|query| dev.merchant().read(&format!("/v1/payments?{query}")));
    let before = read(&dev);
    assert_eq!(before.each_ref().map(|page| ids(page).len()), [2, 1, 1, 3]);
    dev.stop();
    let dev = Dev::start(folder.path(), &[]);
    assert_eq!(read(&dev), before);
    dev.stop();
    for name in ["views.db", "views.db-wal", "views.db-shm"] {
        let removed = std::fs::remove_file(folder.path().join(name));
        assert!(removed.is_ok() || name != "views.db", "{removed:?}");
    }
    let dev = Dev::start(folder.path(), &[]);
    assert_eq!(read(&dev), before);
    dev.stop();
}

#[test]
fn payments_are_exported_with_the_places_of_their_currencies() {
    let (_folder, dev) = Dev::fresh(&[]);
    for (currency, amount) in [("JPY", 5_000), ("BHD", 12_345)] {
        let mut body = sale(amount, currency);
        body["description"] = json!("=1+1, \"quoted\"");
        dev.pay(currency, &body).expect(200);
    }
    let file = dev
        .merchant()
        .get("/v1/payments/export.csv?status=succeeded")
        .expect(200);
    assert!(file.header("content-type").unwrap().starts_with("text/csv"));
    let text = file.text();
    let lines: Vec<&str> = text.split_terminator("\r\n").collect();
    assert_eq!(lines.len(), 3, "{text}");
    let payments = dev.merchant().read("/v1/payments");
    for ((line, payment), (amount_minor, amount)) in lines[1..]
        .iter()
        .zip(payments["data"].as_array().unwrap())
        .zip([("12345", "12.345"), ("5000", "5000")])
    {
        let names: Vec<&str> = lines[0].split(',').collect();
        let values: Vec<&str> = line.split(',').collect();
        let cell = |name: &str| values[names.iter().position(|other| *other == name).unwrap()];
        assert_eq!(cell("id"), payment["id"]);
        assert_eq!(cell("currency"), payment["currency"]);
        assert_eq!((cell("amount_minor"), cell("amount")), (amount_minor, amount));
        assert_eq!(cell("net_minor"), payment["net"].to_string());
        assert_eq!(
            cell("processor_transaction_id"),
            payment["processor_transaction_id"]
        );
        assert!(line.contains(",\"'=1+1, \"\"quoted\"\"\","), "{line}");
    }
    let only = dev
        .merchant()
        .get("/v1/payments/export.csv?currency=jpy")
        .expect(200)
        .text();
    assert_eq!(only.lines().count(), 2, "{only}");
    dev.stop();
}
