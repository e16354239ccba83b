//! What holds of the whole platform, each by the id of the feature that asks for it: bounded queues, failures of a part, an
//! audit trail for every cent, an interface that is simple and safe, and limits of keys.

use crate::acceptance_stages::usual;
use crate::cli::{another_merchant, serve, write_config};
use crate::deployment::{Caller, Dev, add_fault, assert_balanced, charges, sale, with_method};
use crate::http::{Answer, Client};
use crate::operations::{ask, assert_books_are_true, made, manual};
use crate::ops::figure;
use crate::process::{lasting_address, run_well, wait_for};
use crate::recovery::start_sandbox;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A merchant's key and an operator's in a stopped node's folder.
#[track_caller]
fn keys(folder: &std::path::Path) -> (String, String) {
    (
        another_merchant(folder, &[]),
        run_well(&["key", "create"], folder, &[]),
    )
}

/// Mailboxes at and below a node; each has a bound and holds to it.
fn bounded_mailboxes(node: &Value) -> usize {
    let [depth, soft, hard] =
        ["depth", "soft_cap", "hard_cap"].map(|field| node["mailbox"][field].as_u64().unwrap());
    assert!((1..=hard).contains(&soft) && depth <= hard, "{node}");
    assert!(
        hard < 1 << 32,
        "a bound that memory does not reach is none: {node}"
    );
    let children = node["children"].as_array().unwrap();
    1 + children.iter().map(bounded_mailboxes).sum::<usize>()
}

#[track_caller]
fn assert_told_to_come_back(answer: &Answer) {
    assert!(
        answer
            .header("retry-after")
            .is_some_and(|wait| wait.parse::<u64>().is_ok_and(|wait_s| wait_s >= 1)),
        "{answer:?}"
    );
}

#[test]
fn ax_2_every_queue_is_bounded_and_what_does_not_fit_is_refused_before_it_begins() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (provider, sandbox) = start_sandbox(elsewhere.path(), lasting_address());
    let config = write_config(elsewhere.path(), sandbox);
    let (merchant, operator) = keys(folder.path());
    let variables = [
        ("FLORIN_LIMITS_IN_FLIGHT_MAX", "4"),
        ("FLORIN_RETRY_TRIES_MAX", "10"),
        ("FLORIN_STAGES_AUTHORIZATION_MS", "50000"),
        ("FLORIN_PROVIDER_STRIPE_REQUEST_TIMEOUT_MS", "50000"),
    ];
    let (node, api) = serve(&config, folder.path(), &variables);
    // The provider charges and says nothing, until it is stopped.
    add_fault(sandbox, "slow", &json!({"delay_ms": 600_000}));
    let (sender, answers) = std::sync::mpsc::channel();
    let clients: Vec<_> = (0..12)
        .map(|number| {
            let (caller, sender) = (Caller::new(api, &merchant), sender.clone());
            let key = format!("k{number}");
            std::thread::spawn(move || {
                let answer = caller.pay(&key, &sale(500, "USD"));
                sender.send((key, answer)).unwrap();
            })
        })
        .collect();
    let refused: Vec<String> = (0..8)
        .map(|_| {
            let (key, answer) = answers.recv().unwrap();
            let answer = answer.expect(503);
            assert_eq!(answer.error("code"), "overloaded");
            assert_told_to_come_back(&answer);
            key
        })
        .collect();
    wait_for("the four that fit", || {
        (charges(sandbox).len() == 4).then_some(())
    });
    let operator = Caller::new(api, &operator);
    let mailboxes = bounded_mailboxes(&operator.read("/v1/ops/tree?payments_max=100"));
    assert!(mailboxes > 64, "{mailboxes}");
    let metrics = operator.get("/metrics").expect(200).text();
    for (name, expected) in [("florin_in_flight", 4.0), ("florin_admission_shed_total", 8.0)] {
        let value = figure(&metrics, name, "").unwrap();
        assert!((value - expected).abs() < 0.5, "{name} is {value}");
    }
    let caller = Caller::new(api, &merchant);
    let listed = caller.read("/v1/payments");
    assert!(
        listed["data"].as_array().unwrap().len() <= 4,
        "nothing was kept of what was refused: {listed}"
    );
    provider.stop();
    let (provider, _) = start_sandbox(elsewhere.path(), sandbox);
    for _ in 0..4 {
        answers.recv().unwrap().1.expect(200);
    }
    for client in clients {
        client.join().unwrap();
    }
    for key in &refused {
        assert!(!caller.pay(key, &sale(500, "USD")).expect(200).is_replay());
    }
    assert_eq!(charges(sandbox).len(), 12);
    node.stop();
    provider.stop();
}

/// What the API says of this payment and of the books.
#[track_caller]
fn everything(caller: &Caller, id: &str) -> Vec<Value> {
    let mut all = vec![
        caller.read(&format!("/v1/payments/{id}")),
        caller.read(&format!("/v1/payments/{id}/history")),
        caller.read("/v1/payments?status=succeeded"),
    ];
    for account in caller.read_all("/v1/ledger/accounts") {
        let path = format!("/v1/ledger/accounts/{}/entries", account["id"].as_str().unwrap());
        all.push(account["balance"].clone());
        all.extend(caller.read_all(&path));
    }
    all
}

#[test]
fn ax_3_what_fails_takes_nothing_with_it_that_does_not_need_it() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (provider, sandbox) = start_sandbox(elsewhere.path(), lasting_address());
    let config = write_config(elsewhere.path(), sandbox);
    let (merchant, operator) = keys(folder.path());
    let hasty = [
        ("FLORIN_RETRY_NETWORK_ERROR_WAIT_MS", "20"),
        ("FLORIN_RETRY_TIMEOUT_WAIT_MS", "20"),
    ];
    let (node, api) = serve(&config, folder.path(), &hasty);
    let caller = Caller::new(api, &merchant);
    let paid = caller.pay("paid", &sale(10_000, "USD")).expect(200);
    let id = paid.json()["id"].as_str().unwrap().to_owned();
    let before = everything(&caller, &id);

    // The provider: what needs none of it goes on, and what needs it may be asked for again.
    provider.stop();
    let waiting = caller.pay("waiting", &sale(700, "USD")).expect(503);
    assert_told_to_come_back(&waiting);
    assert_eq!(everything(&caller, &id), before);
    assert_eq!(caller.pay("paid", &sale(10_000, "USD")).text(), paid.text());
    let risky = with_method("pm_card_riskLevelHighest");
    let blocked = caller.pay("risky", &risky).expect(402);
    assert_eq!(blocked.error("decline_code"), "fraudulent");
    for path in ["/healthz", "/readyz"] {
        Client::new(api).send("GET", path, &[], b"").unwrap().expect(200);
    }
    let (provider, _) = start_sandbox(elsewhere.path(), sandbox);
    let driven = caller.pay("waiting", &sale(700, "USD")).expect(200).json();
    assert_eq!(driven["id"], waiting.error("payment_id").as_str());

    // Velocity: while its memory is gone, payments pass.
    let watcher = Caller::new(api, &operator);
    for shard in 0..4 {
        let path = format!("/v1/ops/tree/risk:{shard}/kill");
        watcher
            .post("kill", &path, &json!({"reason": "a drill"}))
            .expect(200);
    }
    for customer in 0..8 {
        let mut body = sale(800, "USD");
        body["customer_id"] = json!(format!("cus_{customer}"));
        wait_for("a payment after risk has forgotten", || {
            (caller.pay(&format!("forgotten {customer}"), &body).status == 200).then_some(())
        });
    }
    let before = everything(&caller, &id);
    node.stop();

    // Whatever is derived from the journal.
    for name in ["keys", "snapshots"] {
        std::fs::remove_dir_all(folder.path().join(name)).unwrap();
    }
    std::fs::remove_file(folder.path().join("views.db")).unwrap();
    let (node, api) = serve(&config, folder.path(), &hasty);
    let caller = Caller::new(api, &merchant);
    assert_eq!(everything(&caller, &id), before);
    let again = caller.pay("paid", &sale(10_000, "USD")).expect(200);
    assert_eq!((again.text(), again.is_replay()), (paid.text(), true));
    assert_eq!(charges(sandbox).len(), 10);
    assert_balanced(&Caller::new(api, &operator));
    node.stop();
    provider.stop();
}

/// Where a line of the books comes from: commit, account, side and amount.
type Source = (u64, String, String, i64);

fn source(seq: &Value, account: &Value, line: &Value) -> Source {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (
        seq.as_u64().unwrap(),
        text(account),
        text(&line["side"]),
        line["amount"].as_i64().unwrap(),
    )
}

/// Every line that a payment's history tells, with the payment.
fn told(dev: &Dev) -> BTreeMap<Source, String> {
    let mut told = BTreeMap::new();
    for payment in dev.merchant().read_all("/v1/payments") {
        let id = payment["id"].as_str().unwrap();
        let history = dev.merchant().read(&format!("/v1/payments/{id}/history"));
        for row in history["data"].as_array().unwrap() {
            for line in row["lines"].as_array().into_iter().flatten() {
                let line = source(&row["seq"], &line["account"], line);
                assert_eq!(told.insert(line, id.to_owned()), None, "{history}");
            }
        }
    }
    told
}

#[test]
fn ax_6_every_minor_unit_of_every_account_is_traced_to_the_commit_that_moved_it() {
    let (_folder, dev) = Dev::fresh(&[]);
    for (key, amount, currency) in [("usd", 10_000, "USD"), ("jpy", 555, "JPY"), ("bhd", 1_001, "BHD")] {
        let id = made(&dev, key, &sale(amount, currency));
        ask(
            &dev,
            &format!("part of {key}"),
            &id,
            "refunds",
            &json!({"amount": 123}),
        )
        .expect(200);
    }
    let held = made(&dev, "held", &manual(7_501, "EUR"));
    ask(
        &dev,
        "capture",
        &held,
        "capture",
        &json!({"amount": 3_333, "final": true}),
    )
    .expect(200);
    let released = made(&dev, "released", &manual(900, "EUR"));
    ask(&dev, "void", &released, "void", &json!({})).expect(200);
    dev.pay("declined", &with_method("pm_card_visa_chargeDeclined"))
        .expect(402);
    let waiting = dev
        .pay("waiting", &with_method("pm_card_authenticationRequired"))
        .expect(200);
    assert_eq!(waiting.json()["status"], "requires_action");

    let told = told(&dev);
    let mut booked = BTreeMap::new();
    for account in dev.operator().read_all("/v1/ledger/accounts") {
        let name = account["id"].as_str().unwrap();
        let mut entries = dev
            .operator()
            .read_all(&format!("/v1/ledger/accounts/{name}/entries"));
        entries.reverse();
        let normal = match account["type"].as_str().unwrap() {
            "asset" | "expense" => "debit",
            _ => "credit",
        };
        let mut balance = 0;
        for entry in &entries {
            let amount = entry["amount"].as_i64().unwrap();
            balance += if entry["side"] == normal { amount } else { -amount };
            assert_eq!(entry["balance_after"], balance, "{name}: {entry}");
            let line = source(&entry["seq"], &account["id"], entry);
            let payment = entry["payment_id"].as_str().unwrap().to_owned();
            assert_eq!(booked.insert(line, payment), None, "{name}: {entry}");
        }
        assert_eq!(account["balance"], balance, "{name}");
    }
    assert_eq!(booked, told, "the books and the histories, line by line");
    // Four sales or captures and three refunds, of two lines at least.
    assert!(told.len() >= 14, "{told:?}");
    assert_books_are_true(&dev);
    dev.stop();
}

#[test]
fn ax_7_three_fields_and_a_key_are_a_payment_and_without_the_right_key_nothing_is() {
    let (folder, dev) = Dev::fresh(&[]);
    let simplest = json!({"amount": 500, "currency": "usd", "payment_method_id": "pm_card_visa"});
    let payment = dev.pay("k", &simplest).expect(200).json();
    let path = format!("/v1/payments/{}", payment["id"].as_str().unwrap());
    dev.stop();
    let another = another_merchant(folder.path(), &[]);
    let dev = Dev::start(folder.path(), &[]);
    let posts = [
        "/v1/payments".to_owned(),
        format!("{path}/refunds"),
        format!("{path}/void"),
    ];
    for key in ["", "sk_test_guess", "sk_test_florin_de", "sk_test_florin_devv"] {
        let stranger = Caller::new(dev.api, key);
        for path in [
            path.as_str(),
            "/v1/payments",
            "/v1/ledger/accounts",
            "/v1/ops/tree",
        ] {
            let answer = stranger.get(path).expect(401);
            assert_eq!(answer.error("code"), "api_key_invalid");
        }
        for post in &posts {
            stranger.post("stranger", post, &simplest).expect(401);
        }
    }
    let other = Caller::new(dev.api, &another);
    other.get(&path).expect(404);
    other
        .post("other", &format!("{path}/refunds"), &json!({}))
        .expect(404);
    for operators in ["/v1/ops/tree", "/v1/ops/merchants", "/metrics"] {
        let answer = other.get(operators).expect(403);
        assert_eq!(answer.error("code"), "operator_key_required");
    }
    // Cards are never taken here, and neither is anything else that is not understood.
    let mut with_card = simplest.clone();
    with_card["card"] = json!({"number": "4242424242424242", "cvc": "123"});
    let refused = dev.pay("card", &with_card).expect(400);
    assert_eq!(refused.error("param"), "card");
    assert!(!refused.text().contains("4242"), "{refused:?}");
    assert_eq!(dev.charges().len(), 1);
    assert_eq!(dev.merchant().read(&path), payment);
    dev.stop();
}

#[test]
fn nfr_3_our_own_time_is_told_apart_from_the_providers_with_a_line_at_200_ms() {
    let (_folder, dev) = Dev::fresh(&[]);
    add_fault(dev.sandbox, "slow", &json!({"delay_ms": 500}));
    for number in 0..3 {
        dev.pay(&format!("k{number}"), &sale(500, "USD")).expect(200);
    }
    let metrics = dev.operator().get("/metrics").expect(200).text();
    let read = |name: &str, labels: &str| {
        figure(&metrics, name, labels).unwrap_or_else(|| panic!("no {name} in {metrics}"))
    };
    for name in ["florin_payment_own_seconds", "florin_payment_seconds"] {
        assert!(
            (read(&format!("{name}_count"), "") - 3.0).abs() < 0.5,
            "{metrics}"
        );
        read(&format!("{name}_bucket"), "le=\"0.2\"");
    }
    let (own_s, whole_s) = (
        read("florin_payment_own_seconds_sum", ""),
        read("florin_payment_seconds_sum", ""),
    );
    // However slow the machine is: the provider's half seconds are in the one and not in the other.
    assert!(whole_s - own_s > 1.4, "{own_s} of {whole_s}");
    assert!(read("florin_provider_call_seconds_sum", "") > 1.4);
    dev.stop();
}

#[test]
fn x_38_each_key_has_a_limit_of_its_own_and_every_answer_says_how_it_stands() {
    assert_eq!(usual("limits", "requests_per_s"), "1000");
    assert_eq!(usual("limits", "burst"), "1000");
    let folder = tempfile::tempdir().unwrap();
    let merchant = run_well(&["merchant", "create", "--name", "Shop"], folder.path(), &[]);
    let key = || run_well(&["key", "create", "--merchant", &merchant], folder.path(), &[]);
    let keys = [key(), key()];
    let dev = Dev::start(
        folder.path(),
        &[
            ("FLORIN_LIMITS_REQUESTS_PER_S", "1"),
            ("FLORIN_LIMITS_BURST", "30"),
        ],
    );
    let [first, second] = keys.map(|key| Caller::new(dev.api, &key));
    let answer = first.get("/v1/payments").expect(200);
    assert_eq!(answer.header("ratelimit-policy"), Some(r#""default";q=30;w=30"#));
    assert_eq!(answer.header("ratelimit"), Some(r#""default";r=29;t=1"#));
    // A slow machine is given some back in between, never all.
    let mut paid = 0;
    let over = (0..1_000)
        .find_map(|number| {
            let answer = first.pay(&format!("k{number}"), &sale(500, "USD"));
            paid += usize::from(answer.status == 200);
            (answer.status == 429).then_some(answer)
        })
        .expect("the limit of a request per second");
    assert_eq!(over.error("code"), "rate_limited");
    assert_eq!(over.header("ratelimit"), Some(r#""default";r=0;t=30"#));
    assert_told_to_come_back(&over);
    assert_eq!(dev.charges().len(), paid, "nothing was done of what was too much");
    let untouched = second.get("/v1/payments").expect(200);
    assert_eq!(untouched.header("ratelimit"), Some(r#""default";r=29;t=1"#));
    dev.stop();
}
