//! What must never be kept or said: card numbers, security codes, secrets of endpoints and keys. Each is put wherever a caller can put one, well
//! or badly, with everything logged; then every file of the node, all that it said, its figures and its tree are searched.

use crate::cli::another_merchant;
use crate::crash_points::{leaks, words_in};
use crate::deployment::{Caller, Dev};
use crate::http::Client;
use crate::process::{run, wait_for};
use crate::webhooks::Server;
use serde_json::{Value, json};

const NUMBER: &str = "4000056655665556";
/// A number that is refused as a card's, since its check digit is wrong.
const MISTYPED: &str = "4000056655665559";
const CODE: &str = "\"917\"";
const CODE_IN_FORM: &str = "cvc]=917";

fn card(number: &str) -> Value {
    json!({"number": number, "exp_month": 12, "exp_year": 2041, "cvc": "917"})
}

/// Every place that takes a card, and those that must not.
fn spread(merchant: &Caller, number: &str) {
    let posts = [
        ("/v1/tokens", json!({"card": card(number)})),
        (
            "/v1/payment_methods",
            json!({"type": "card", "card": card(number)}),
        ),
        (
            "/v1/payment_intents",
            json!({"amount": 100, "currency": "usd", "payment_method_data": {"type": "card", "card": card(number)}}),
        ),
        (
            "/v1/customers",
            json!({"name": number, "description": number, "metadata": {"card": number}}),
        ),
        (
            "/v1/payment_links",
            json!({"amount": 100, "currency": "USD", "description": number}),
        ),
        (
            "/v1/webhook_endpoints",
            json!({"url": format!("http://127.0.0.1:9/{number}"), "enabled_events": ["*"]}),
        ),
        (
            "/v1/setup_intents",
            json!({"description": number, "payment_method": number}),
        ),
        (
            "/v1/payments",
            json!({"amount": 100, "currency": "USD", "payment_method_id": number, "description": number, "customer_id": number}),
        ),
        (
            "/v1/payments",
            json!({"amount": number, "currency": number, number: number}),
        ),
    ];
    for (n, (path, body)) in posts.iter().enumerate() {
        let answer = merchant.post(&format!("{number}-{n}"), path, body);
        assert!(!answer.text().contains(number), "{path}: {}", answer.text());
        assert!(answer.status < 500, "{path}: {}", answer.text());
        merchant.post(&format!("spread-{number:.6}-{n}"), path, body);
    }
    for path in [
        format!("/v1/payments?customer_id={number}"),
        format!("/v1/payments/{number}"),
        format!("/pay/{number}"),
        format!("/{number}?{number}={number}"),
    ] {
        assert!(merchant.get(&path).status < 500, "{path}");
    }
}

#[test]
fn no_file_no_line_and_no_figure_has_a_card_number_a_code_or_a_secret() {
    let loud = [
        ("FLORIN_LOG", "trace,h2=info,hyper=info"),
        ("FLORIN_BREAKER_OPEN_MS", "1"),
    ];
    let (folder, mut dev) = Dev::fresh(&loud);
    let merchant = dev.merchant();
    let shop = Server::start(|_, _| Some(200));
    let endpoint = json!({"url": shop.url(), "enabled_events": ["*"]});
    let made = merchant
        .post("endpoint", "/v1/webhook_endpoints", &endpoint)
        .expect(200)
        .json();
    let id = made["id"].as_str().unwrap();
    let rotate = format!("/v1/webhook_endpoints/{id}/rotate_secret");
    let rotated = merchant.post("rotate", &rotate, &json!({})).expect(200).json();
    let secrets = [&made, &rotated].map(|shown| shown["secret"].as_str().unwrap().to_owned());
    spread(&merchant, NUMBER);
    for path in ["/v1/tokens", "/v1/payment_methods"] {
        let body = json!({"type": "card", "card": card(MISTYPED)});
        let refused = merchant.post(path, path, &body);
        assert!((400..500).contains(&refused.status) && !refused.text().contains(MISTYPED));
    }
    let form = format!("card[number]={NUMBER}&card[exp_month]=12&card[exp_year]=2041&card[cvc]=917");
    let headers = [
        ("Authorization", "Bearer sk_test_florin_dev"),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ];
    let sent = Client::new(dev.api).send("POST", "/v1/tokens", &headers, form.as_bytes());
    sent.unwrap().expect(200);
    let method = json!({"type": "card", "card": card(NUMBER)});
    let method = merchant
        .post("saved", "/v1/payment_methods", &method)
        .expect(200)
        .json();
    let sale = json!({"amount": 1_000, "currency": "USD", "payment_method_id": method["id"]});
    assert_eq!(
        merchant.pay("sale", &sale).expect(200).json()["status"],
        "succeeded"
    );
    wait_for("a delivery", || (shop.count() > 0).then_some(()));
    // What an actor says when it ends badly is said as well.
    let kill = format!("/v1/ops/tree/webhook_endpoint:{id}/kill");
    dev.operator()
        .post("kill", &kill, &json!({"reason": "a drill"}))
        .expect(200);
    let figures = Client::new(dev.api)
        .send("GET", "/metrics", &[], b"")
        .unwrap()
        .text();
    let tree = dev.operator().read("/v1/ops/tree").to_string();
    dev.process.terminate();
    assert!(dev.process.wait().success());
    let (out, err) = dev.process.output();
    // Keys of the commands are shown once, by the command, and kept as digests.
    let key = another_merchant(folder.path(), &[]);
    let dev = Dev::start(folder.path(), &loud);
    Caller::new(dev.api, &key).read("/v1/payments");
    let later = dev.process.said_so_far();
    dev.stop();
    let grouped = "4000 0566 5566 5556";
    let mut words = vec![NUMBER, MISTYPED, grouped, CODE, CODE_IN_FORM, key.as_str()];
    words.extend(secrets.iter().map(String::as_str));
    // The search finds what is there: orders are journaled with their reasons.
    assert_ne!(leaks(folder.path(), &["a drill"]), [] as [String; 0]);
    let mut found = leaks(folder.path(), &words);
    for (what, text) in [
        ("stdout", &out),
        ("stderr", &err),
        ("later", &later.0),
        ("later", &later.1),
        ("metrics", &figures),
        ("tree", &tree),
    ] {
        found.extend(words_in(text.as_bytes(), &words).map(|word| format!("{word} is in {what}")));
    }
    assert_eq!(found, [] as [String; 0]);
}

#[test]
#[should_panic(expected = "the card number ...5556 is in")]
fn a_number_that_a_process_leaves_in_its_folder_fails_the_test_that_ran_it() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("left.log");
    std::fs::write(place, format!("card {NUMBER}")).unwrap();
    drop(run(&["config", "check"], folder.path(), &[]));
}

#[test]
#[should_panic(expected = "a secret whsec_... is in its stderr")]
fn a_secret_that_a_process_says_fails_the_test_that_ran_it() {
    let folder = tempfile::tempdir().unwrap();
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    drop(run(&["config", "check", "--config", secret], folder.path(), &[]));
}
