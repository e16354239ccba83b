//! Providers that do not take a key, and copies of credentials from before a version was retired: whose charges go elsewhere, and what is
//! not sent at all.

use crate::credentials::{merchant, path, retire, send, set, with_second_merchant};
use crate::deployment::{Caller, Dev, PATIENT, sale};
use crate::operations::{made, manual};
use crate::process::{Process, address_after, command, run};
use crate::two_providers::{FIRST, Protocol, SECOND, attempts, history, left_out};
use serde_json::{Value, json};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

/// The sandbox's Stripe takes keys that begin with `sk_test_`; to Florin this is a test key, too.
const REFUSED: &str = "rk_test_canaryALPHA_0001_4Tz1";
const TAKEN: &str = "sk_test_canaryBRAVO_0002_9Xy2";

/// A node with both of the sandbox's providers, of which the preferred one has this key.
fn start(folder: &Path, key: &str) -> Dev {
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let first = Protocol::Stripe.section(FIRST, anywhere, 100);
    let text = first.replace("sk_test_sandbox", key) + &Protocol::Adyen.section(SECOND, anywhere, 290);
    let config = folder.join("two.toml");
    fs::write(&config, text).unwrap();
    let arguments = ["dev", "--config", config.to_str().unwrap()];
    let mut process = Process::start(&mut command(&arguments, folder, &PATIENT));
    let api = process.says("the API's address", |line| address_after(line, "API"));
    let sandbox = process.says("the sandbox's address", |line| address_after(line, "sandbox"));
    Dev {
        process,
        api,
        sandbox,
    }
}

/// At which providers a new charge was tried, and why the preferred one was left out at first, if it was.
#[track_caller]
fn went(caller: &Caller, key: &str) -> (Vec<String>, Option<String>) {
    let paid = caller.pay(key, &sale(1_000, "USD")).expect(200).json();
    let rows = history(caller, paid["id"].as_str().unwrap());
    let tried = attempts(&rows).into_iter().map(|(_, at)| at.to_owned()).collect();
    (tried, left_out(&rows, 1, FIRST).map(str::to_owned))
}

fn tried(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Whose keys the preferred provider does not take, as operators see it.
fn refused_keys(dev: &Dev) -> Value {
    let tree = dev.operator().read("/v1/ops/tree");
    let nodes = tree["children"].as_array().unwrap();
    let node = nodes
        .iter()
        .find(|node| node["id"] == format!("provider:{FIRST}"));
    let standing = &node.unwrap()["standing"];
    assert_eq!(
        standing["breakers"]["charge"], "closed",
        "nobody else is stopped by it"
    );
    standing["refused_keys"].clone()
}

fn metric(dev: &Dev, key: &str) -> Option<String> {
    let metrics = dev.operator().get("/metrics").expect(200).text();
    let of_key = |line: &&str| {
        line.starts_with("florin_provider_key_refused{") && line.contains(&format!("key=\"{key}\""))
    };
    let line = metrics.lines().find(of_key)?;
    line.rsplit(' ').next().map(str::to_owned)
}

#[test]
fn a_merchants_refused_key_sends_its_own_charges_elsewhere_and_nobody_elses() {
    let (folder, _, shop_key) = with_second_merchant();
    let dev = start(folder.path(), "sk_test_sandbox");
    let (own, caller) = (merchant(&dev), dev.merchant());
    let shop = Caller::new(dev.api, &shop_key);
    let body = json!({"secret_key": REFUSED});
    send(&dev, "PUT", &path(&own, FIRST), &body).expect(200);
    assert_eq!(went(&caller, "first"), (tried(&[FIRST, SECOND]), None));
    // From then on it is not even asked, for this merchant.
    let out = Some("key_refused".to_owned());
    assert_eq!(went(&caller, "second"), (tried(&[SECOND]), out));
    assert_eq!(went(&shop, "shops"), (tried(&[FIRST]), None));
    assert_eq!(refused_keys(&dev), json!([own]));
    assert_eq!(metric(&dev, &own).as_deref(), Some("1"));
    assert_eq!(metric(&dev, "platform"), None);
    // Another key is asked at once.
    let body = json!({"secret_key": TAKEN});
    send(&dev, "PUT", &path(&own, FIRST), &body).expect(200);
    assert_eq!(went(&caller, "third"), (tried(&[FIRST]), None));
    let (out, err) = dev.process.said_so_far();
    let said = out + &err;
    let lines = said.lines().filter(|line| line.contains("does not take a key"));
    assert_eq!(lines.filter(|line| line.contains(&own)).count(), 1, "{said}");
    assert!(!said.contains("canary"), "{said}");
    dev.stop();
}

#[test]
fn the_platforms_refused_key_takes_the_provider_from_all_who_have_none_of_their_own() {
    let (folder, shop, shop_key) = with_second_merchant();
    let dev = start(folder.path(), REFUSED);
    let shops = Caller::new(dev.api, &shop_key);
    let body = json!({"secret_key": TAKEN});
    send(&dev, "PUT", &path(&shop, FIRST), &body).expect(200);
    let caller = dev.merchant();
    assert_eq!(went(&caller, "first"), (tried(&[FIRST, SECOND]), None));
    let out = Some("key_refused".to_owned());
    assert_eq!(went(&caller, "second"), (tried(&[SECOND]), out));
    assert_eq!(went(&shops, "shops"), (tried(&[FIRST]), None));
    assert_eq!(refused_keys(&dev), json!(["platform"]));
    assert_eq!(metric(&dev, "platform").as_deref(), Some("1"));
    let routing = dev.operator().read("/v1/ops/routing");
    let mut providers = routing["providers"].as_array().unwrap().iter();
    let first = providers.find(|provider| provider["provider"] == FIRST);
    assert_eq!(first.unwrap()["bar"], "key_refused");
    dev.stop();
}

#[test]
fn a_copy_from_before_a_retirement_moves_nothing_and_one_from_before_the_version_is_refused() {
    let (folder, dev) = Dev::fresh(&[]);
    let own = merchant(&dev);
    set(&dev, &own, TAKEN);
    let held = made(&dev, "held", &manual(2_000, "USD"));
    let sealed = folder.path().join(format!("credentials/{own}.sealed"));
    let older = fs::read(&sealed).unwrap();
    retire(&dev, &own, 1);
    let later = ["later", "last"].map(|key| made(&dev, key, &manual(2_000, "USD")));
    dev.stop();
    // Nothing is present any more; what was charged under the retired version must not become the configured account's.
    let newest = fs::read(&sealed).unwrap();
    fs::remove_file(&sealed).unwrap();
    let finished = run(&["dev"], folder.path(), &[]);
    let says = finished
        .stderr
        .contains("had version 1 of its credentials, which is retired now");
    assert!(!finished.status.success() && says, "{finished:?}");
    // What was made after the retirement is the configured account's, and what was made before it nobody's.
    for (copy, later) in [older, newest].into_iter().zip(later) {
        fs::write(&sealed, copy).unwrap();
        let dev = Dev::start(folder.path(), &[]);
        let capture = |id: &str| {
            let path = format!("/v1/payments/{id}/capture");
            let key = format!("capture-{id}-{later}");
            dev.merchant().post(&key, &path, &json!({}))
        };
        let answer = capture(&later).expect(200).json();
        assert_eq!(answer["status"], "succeeded");
        let before = dev.charges().len();
        let gone = capture(&held);
        assert_ne!(gone.json()["status"], "succeeded", "{gone:?}");
        assert_eq!(dev.charges().len(), before, "nothing is sent to another account");
        let metrics = dev.operator().get("/metrics").expect(200).text();
        let alert = metrics.lines().find(|line| line.contains("credentials_unusable"));
        assert!(alert.is_some(), "{metrics}");
        dev.stop();
    }
}
