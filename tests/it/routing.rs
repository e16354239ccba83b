//! Where charges go: rules of the configuration and of operators, splits, wishes of merchants, and dry runs, at a node with several providers.

use crate::deployment::{Dev, MERCHANT, OPERATOR, PATIENT, assert_balanced, with_method};
use crate::http::{Answer, Client};
use crate::process::{Process, address_after, command, run};
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;

/// Adyen's simulation and Stripe's, in this order, and two that nobody answers for.
const PROVIDERS: &str = "
[[provider]]
kind = \"adyen\"
id = \"adyen\"
base_url = \"http://127.0.0.1:0/adyen\"
merchant_account = \"ShopNL\"
api_key = \"AQE_sandbox\"
hmac_key = \"44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056\"

[[provider]]
kind = \"stripe\"
id = \"stripe\"
base_url = \"http://127.0.0.1:0\"
secret_key = \"sk_test_sandbox\"
";
const AWAY: &str = "
[[provider]]
kind = \"stripe\"
id = \"primary\"
base_url = \"http://127.0.0.1:1\"
secret_key = \"sk_test_sandbox\"

[[provider]]
kind = \"stripe\"
id = \"backup\"
base_url = \"http://127.0.0.1:1\"
secret_key = \"sk_test_sandbox\"
";

#[track_caller]
fn start(folder: &Path, text: &str) -> Dev {
    let config = folder.join("florin.toml");
    std::fs::write(&config, text).unwrap();
    let arguments = ["dev", "--config", config.to_str().unwrap()];
    let hasty = [("FLORIN_RETRY_NETWORK_ERROR_WAIT_MS", "1")];
    let variables = [&PATIENT[..], &hasty].concat();
    let mut process = Process::start(&mut command(&arguments, &folder.join("data"), &variables));
    let api = process.says("the API's address", |line| address_after(line, "API"));
    let sandbox = process.says("the sandbox's address", |line| address_after(line, "sandbox"));
    Dev {
        process,
        api,
        sandbox,
    }
}

fn fresh(text: &str) -> (TempDir, Dev) {
    let folder = tempfile::tempdir().unwrap();
    let dev = start(folder.path(), text);
    (folder, dev)
}

fn ask(dev: &Dev, method: &str, path: &str, body: &Value) -> Answer {
    let authorization = format!("Bearer {OPERATOR}");
    let headers = [
        ("Authorization", authorization.as_str()),
        ("Content-Type", "application/json"),
    ];
    let body = body.to_string();
    Client::new(dev.api)
        .send(method, path, &headers, body.as_bytes())
        .unwrap()
}

fn set(dev: &Dev, program: &str, expected_version: u32) -> Answer {
    let body = json!({"program": program, "expected_version": expected_version, "reason": "a test"});
    ask(dev, "PUT", "/v1/ops/routing", &body)
}

fn evaluate(dev: &Dev, body: &Value) -> Value {
    ask(dev, "POST", "/v1/ops/routing/evaluate", body)
        .expect(200)
        .json()
}

/// Who has charged a payment with this method.
#[track_caller]
fn charged_by(dev: &Dev, key: &str, method: &str) -> String {
    let paid = dev.pay(key, &with_method(method)).expect(200).json();
    assert_eq!(paid["status"], "succeeded", "{paid}");
    paid["provider"].as_str().unwrap().to_owned()
}

/// The route that the history of a payment tells of its attempts, in order.
fn routes(dev: &Dev, id: &str) -> Vec<Value> {
    let history = dev.merchant().read_all(&format!("/v1/payments/{id}/history"));
    let routed = history.into_iter().filter(|row| row["type"] == "attempt.routed");
    routed.collect()
}

const BRANDS: &str = "\nvisa: brand is visa -> stripe\nmc: brand is mastercard -> adyen\n";

#[test]
fn rte_1_a_visa_card_goes_to_stripe() {
    let (_folder, dev) = fresh(&format!("[routing]\nrules = '''{BRANDS}'''\n{PROVIDERS}"));
    assert_eq!(
        charged_by(&dev, "visa", "pm_card_visa"),
        "stripe",
        "adyen is configured first"
    );
    assert_eq!(
        charged_by(&dev, "amex", "pm_card_amex"),
        "adyen",
        "no rule speaks of it"
    );
    dev.stop();
}

#[test]
fn rte_2_a_mastercard_goes_to_adyen() {
    let (_folder, dev) = fresh(PROVIDERS);
    // What is against the rule goes elsewhere, so that it is seen to be the rule that decides.
    let other = "mc: brand is mastercard -> stripe";
    set(&dev, other, 0).expect(200);
    assert_eq!(charged_by(&dev, "before", "pm_card_mastercard"), "stripe");
    set(&dev, BRANDS, 1).expect(200);
    assert_eq!(charged_by(&dev, "after", "pm_card_mastercard"), "adyen");
    assert_eq!(charged_by(&dev, "visa", "pm_card_visa"), "stripe");
    dev.stop();
}

/// Its six providers are there by name only: each speaks what one of the two simulations does. Payments in a wallet and bank transfers
/// are not taken yet, so three of its rules apply to nothing.
#[test]
fn the_seeds_table_sends_cards_by_their_brand_and_all_others_to_wise() {
    let named = |id: &str| {
        format!(
            "\n[[provider]]\nkind = \"stripe\"\nid = \"{id}\"\nbase_url = \"http://127.0.0.1:0\"\nsecret_key = \"sk_test_sandbox\"\n"
        )
    };
    let others: String = ["apple_pay", "plaid", "mollie", "wise"].map(named).concat();
    let (_folder, dev) = fresh(&format!("[routing]\nprofile = \"seed\"\n{PROVIDERS}{others}"));
    for (method, rule, provider) in [
        ("pm_card_visa", "visa", "stripe"),
        ("pm_card_mastercard", "mastercard", "adyen"),
        ("pm_card_amex", "international", "wise"),
    ] {
        let paid = dev.pay(method, &with_method(method)).expect(200).json();
        assert_eq!(paid["provider"], provider, "{paid}");
        let routes = routes(&dev, paid["id"].as_str().unwrap());
        assert_eq!(routes[0]["route"]["rule"], rule);
    }
    let rules = dev.operator().read("/v1/ops/routing")["rules"].clone();
    let targets: Vec<&str> = rules
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule["target"].as_str().unwrap())
        .collect();
    assert_eq!(
        targets,
        ["stripe", "adyen", "apple_pay", "plaid", "mollie", "wise"]
    );
    dev.stop();
}

#[test]
fn rte_10_what_the_primary_cannot_take_goes_to_the_backup_and_then_to_the_third() {
    let (_folder, dev) = fresh(&format!("{PROVIDERS}{AWAY}"));
    set(&dev, "tiers: otherwise -> primary, backup, stripe", 0).expect(200);
    let paid = dev.pay("k", &with_method("pm_card_visa")).expect(200).json();
    assert_eq!(
        (&paid["status"], &paid["provider"]),
        (&json!("succeeded"), &json!("stripe"))
    );
    let id = paid["id"].as_str().unwrap();
    let routes = routes(&dev, id);
    assert_eq!(routes.len(), 3, "{routes:?}");
    let firsts: Vec<&Value> = routes
        .iter()
        .map(|row| &row["route"]["choices"][0]["provider"])
        .collect();
    assert_eq!(
        firsts,
        [&json!("primary"), &json!("backup"), &json!("stripe")],
        "{routes:?}"
    );
    assert!(
        routes.iter().all(|row| row["route"]["rule"] == "tiers"),
        "{routes:?}"
    );
    assert_eq!(dev.charges().len(), 1, "nobody else has charged");
    assert_balanced(&dev.operator());
    dev.stop();
}

/// The lot of a payment: the low half of its id, modulo 10,000.
fn lot(id: &str) -> u128 {
    let alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
    let digits = id.strip_prefix("pay_").unwrap().chars();
    let bits = digits.fold(0_u128, |bits, digit| {
        (bits << 5) | alphabet.find(digit).unwrap() as u128
    });
    (bits & u128::from(u64::MAX)) % 10_000
}

#[test]
fn x_16_rules_split_fall_back_are_tried_dry_and_give_way_to_wishes() {
    let (folder, dev) = fresh(PROVIDERS);
    let split = "# an experiment\nexperiment: currency is USD -> split stripe 60, adyen 40\n";
    // Tried before it is in force: nothing changes.
    let merchant = dev.operator().read("/v1/ops/merchants")["data"][0]["id"].clone();
    let supposed = json!({"amount": 100, "currency": "USD", "merchant_id": merchant, "payment_method_id": "pm_card_visa"});
    for (draw, first) in [
        (0, "stripe"),
        (5_999, "stripe"),
        (6_000, "adyen"),
        (9_999, "adyen"),
    ] {
        let dry = evaluate(
            &dev,
            &json!({"program": split, "payment": supposed, "draw_bps": draw}),
        );
        assert_eq!(dry["route"]["rule"], "experiment");
        assert_eq!(dry["route"]["choices"][0]["provider"], first, "{dry}");
        assert_eq!(
            dry["route"]["choices"].as_array().unwrap().len(),
            2,
            "the other one is the fallback"
        );
    }
    assert_eq!(dev.operator().read("/v1/ops/routing")["version"], 0);

    set(&dev, split, 0).expect(200);
    assert_eq!(
        set(&dev, split, 0).expect(409).error("code"),
        "routing_version_stale"
    );
    let mut by_stripe = 0;
    for n in 0..24 {
        let paid = dev
            .pay(&format!("split-{n}"), &with_method("pm_card_visa"))
            .expect(200)
            .json();
        let due = if lot(paid["id"].as_str().unwrap()) < 6_000 {
            "stripe"
        } else {
            "adyen"
        };
        assert_eq!(paid["provider"], due, "{paid}");
        by_stripe += u64::from(due == "stripe");
    }
    let latest = evaluate(
        &dev,
        &json!({"latest": 1_000, "program": "all: otherwise -> only stripe"}),
    );
    let comparison = &latest["comparison"];
    assert_eq!(
        (&comparison["payments"], &comparison["moved"]),
        (&json!(24), &json!(24 - by_stripe))
    );
    let before = comparison["before"].as_array().unwrap();
    let stripes = before.iter().find(|row| row["provider"] == "stripe");
    assert_eq!(
        stripes.map_or(0, |row| row["payments"].as_u64().unwrap()),
        by_stripe
    );
    assert_eq!(
        comparison["after"],
        json!([{"provider": "stripe", "payments": 24, "share_bps": 10_000}])
    );

    // Rules and wishes outlive the process; a wish stands above the rule.
    dev.process.kill_9();
    let dev = start(folder.path(), PROVIDERS);
    let rules = dev.operator().read("/v1/ops/routing");
    assert_eq!((&rules["version"], &rules["program"]), (&json!(1), &json!(split)));
    set(&dev, "all: otherwise -> only stripe", 1).expect(200);
    let wishing = |routing: Value| {
        let mut body = with_method("pm_card_visa");
        body["routing"] = routing;
        body
    };
    for (key, routing, provider) in [
        ("none", json!({}), "stripe"),
        ("pin", json!({"pin": "adyen"}), "adyen"),
        ("prefer", json!({"prefer": ["adyen"]}), "adyen"),
    ] {
        let paid = dev.pay(key, &wishing(routing)).expect(200).json();
        assert_eq!(paid["provider"], provider, "{key}");
    }
    let nobody = dev
        .pay("exclude", &wishing(json!({"exclude": ["stripe"]})))
        .expect(503);
    assert_eq!(nobody.error("code"), "no_provider_available");
    let unknown = dev.pay("unknown", &wishing(json!({"pin": "wise"}))).expect(400);
    assert_eq!(unknown.error("param"), "routing.pin");
    assert!(MERCHANT.starts_with("sk_test_"), "only test money has moved");
    assert_balanced(&dev.operator());
    dev.stop();
}

#[test]
fn a_configuration_whose_rules_name_a_stranger_is_refused_with_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("florin.toml");
    let check = |text: &str| {
        std::fs::write(&config, format!("{text}{PROVIDERS}")).unwrap();
        let arguments = ["config", "check", "--config", config.to_str().unwrap()];
        run(&arguments, &folder.path().join("data"), &[])
    };
    let fine = check("[routing]\nrules = \"visa: brand is visa -> stripe\"\n");
    assert_eq!(fine.status.code(), Some(0), "{fine:?}");
    for (text, message) in [
        (
            "[routing]\nrules = '''\nvisa: brand is visa -> stripe\nrest: otherwise -> wise\n'''\n",
            "`routing.rules`, line 2, column 20: the rule `rest` names the provider `wise`, which is not configured; configured: adyen, stripe",
        ),
        (
            "[routing]\nprofile = \"seed\"\n",
            "`routing.profile` is \"seed\", but the rule `apple_pay` names the provider `apple_pay`, which is not configured",
        ),
    ] {
        let refused = check(text);
        assert_ne!(refused.status.code(), Some(0));
        assert!(
            format!("{refused:?}").replace("\\\"", "\"").contains(message),
            "{refused:?}"
        );
    }
}
