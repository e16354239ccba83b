//! `florin listen` and `florin trigger` beside a real node: a developer's server gets what a registered endpoint gets, and every event can be had.

use crate::deployment::{Dev, MERCHANT, sale, with_method};
use crate::operations::{ask, made, manual};
use crate::process::{Process, command, lasting_address, run, wait_for};
use crate::recovery::{Load, OFTEN};
use crate::webhooks::{Letter, Server, check_order, check_signature};
use florin_adapters::webhooks::{WebhookSecret, sign};
use florin_domain::announcement::AnnouncementKind;
use florin_domain::time::Timestamp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use tempfile::TempDir;

/// A running `florin listen`, and what it signs with.
struct Listener {
    process: Process,
    secret: String,
    _folder: TempDir,
}

impl Listener {
    #[track_caller]
    fn start(api: SocketAddr, server: &str, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("http://{api}");
        let arguments = [&["listen", "--forward-to", server, "--url", &url], more].concat();
        let mut process = Process::start(&mut command(&arguments, folder.path(), &[]));
        let secret = process.says("the secret", |line| {
            Some(line.split_once("signed with ")?.1.to_owned())
        });
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        Self {
            process,
            secret,
            _folder: folder,
        }
    }

    /// Ctrl-C ends it well.
    #[track_caller]
    fn interrupt(mut self) {
        self.process.signal("-INT");
        let status = self.process.wait();
        assert_eq!(status.code(), Some(0), "{:?}", self.process.said_so_far());
    }
}

fn taking() -> Server {
    Server::start(|_, _| Some(200))
}

/// The events so far, the oldest first.
fn told(dev: &Dev) -> Vec<Value> {
    let mut events = dev.merchant().read_all("/v1/events");
    events.reverse();
    events
}

fn ids<'a>(events: impl IntoIterator<Item = &'a Value>) -> Vec<String> {
    let ids = events.into_iter().map(|event| event["id"].as_str().unwrap());
    ids.map(str::to_owned).collect()
}

#[track_caller]
fn wait_for_letters(server: &Server, count: usize) -> Vec<Letter> {
    wait_for("letters", || (server.count() >= count).then_some(()));
    server.all()
}

fn by_id(letters: &[Letter]) -> BTreeMap<&str, &Letter> {
    let pairs = letters.iter();
    pairs
        .map(|letter| (letter.headers["webhook-id"].as_str(), letter))
        .collect()
}

#[test]
fn a_developers_server_gets_what_a_registered_endpoint_gets_in_either_shape() {
    let (_folder, dev) = Dev::fresh(&[]);
    for (shape, more) in [("native", &[][..]), ("stripe", &["--stripe"])] {
        let (registered, own) = (taking(), taking());
        let body = json!({"url": registered.url(), "enabled_events": ["*"], "event_shape": shape});
        let endpoint = dev
            .merchant()
            .post(shape, "/v1/webhook_endpoints", &body)
            .expect(200)
            .json();
        let listener = Listener::start(dev.api, &own.url(), more);
        let before = told(&dev).len();
        let paid = made(&dev, &format!("{shape}-1"), &sale(2_000, "USD"));
        ask(
            &dev,
            &format!("{shape}-2"),
            &paid,
            "refunds",
            &json!({"amount": 500}),
        )
        .expect(200);
        let held = made(&dev, &format!("{shape}-3"), &manual(3_000, "USD"));
        ask(&dev, &format!("{shape}-4"), &held, "capture", &json!({})).expect(200);
        let declined = with_method("pm_card_visa_chargeDeclined");
        dev.pay(&format!("{shape}-5"), &declined).expect(402);
        let events = wait_for("the events", || {
            Some(told(&dev).split_off(before)).filter(|told| told.len() >= 11)
        });

        let (sent, got) = (
            wait_for_letters(&registered, events.len()),
            wait_for_letters(&own, events.len()),
        );
        assert_eq!(
            ids(&got.iter().map(Letter::event).collect::<Vec<_>>()),
            ids(&events),
            "all, in order, once"
        );
        let (sent, got) = (by_id(&sent), by_id(&got));
        assert_eq!(sent.keys().collect::<Vec<_>>(), got.keys().collect::<Vec<_>>());
        let secret = WebhookSecret::parse(&listener.secret).unwrap();
        assert_ne!(endpoint["secret"], json!(listener.secret));
        for (id, letter) in &got {
            let as_text = |letter: &Letter| String::from_utf8(letter.body.clone()).unwrap();
            assert_eq!(as_text(letter), as_text(sent[id]));
            let names = |letter: &Letter| letter.headers.keys().cloned().collect::<BTreeSet<_>>();
            assert_eq!(names(letter), names(sent[id]));
            check_signature(letter, &listener.secret);
            let at_s: u64 = letter.headers["webhook-timestamp"].parse().unwrap();
            let at = Timestamp::from_unix_ms(at_s * 1_000);
            for (name, value) in sign(std::slice::from_ref(&secret), id, at, &letter.body) {
                assert_eq!(letter.headers[name], value);
            }
        }
        listener.interrupt();
        dev.merchant()
            .post(
                &format!("{shape}-off"),
                &format!("/v1/webhook_endpoints/{}", endpoint["id"].as_str().unwrap()),
                &json!({"disabled": true}),
            )
            .expect(200);
    }
    dev.stop();
}

#[test]
fn nothing_is_lost_and_all_is_in_order_while_the_node_is_killed_and_started_again() {
    let address = lasting_address().to_string();
    let variables = [&OFTEN[..], &[("FLORIN_LISTEN", address.as_str())]].concat();
    let (folder, mut dev) = Dev::fresh(&variables);
    let server = taking();
    let listener = Listener::start(dev.api, &server.url(), &[]);
    let load = Load::start(dev.api, MERCHANT);
    for round in 0..3 {
        load.wait_for_more(60 + 30 * round);
        dev.process.kill_9();
        let so_far = server.count();
        dev = Dev::start(folder.path(), &variables);
        wait_for("letters after the start", || {
            (server.count() > so_far).then_some(())
        });
    }
    drop(load.finish());
    wait_for("all payments to end", || {
        let unresolved = dev.operator().read("/v1/ops/unresolved");
        unresolved["data"].as_array().unwrap().is_empty().then_some(())
    });
    let events = told(&dev);
    let letters = wait_for_letters(&server, events.len());
    let got: Vec<Value> = letters.iter().map(Letter::event).collect();
    assert_eq!(got, events, "each once, in the order of the list");
    drop(check_order(&letters));
    let (out, err) = listener.process.said_so_far();
    assert!(err.contains("the node answers again"), "{err}");
    assert_eq!(
        out.lines().filter(|line| line.ends_with(" -> 200")).count(),
        events.len()
    );
    listener.interrupt();
    dev.stop();
}

#[test]
fn more_than_a_page_of_events_after_none_at_all_is_told_from_the_first_one_on() {
    let (_folder, dev) = Dev::fresh(&[]);
    let server = taking();
    let listener = Listener::start(dev.api, &server.url(), &[]);
    // It does not look while all of this happens.
    listener.process.signal("-STOP");
    for number in 0..110 {
        made(&dev, &format!("sold-{number}"), &sale(1_000 + number, "USD"));
    }
    let events = wait_for("all events", || Some(told(&dev)).filter(|told| told.len() == 220));
    listener.process.signal("-CONT");
    let letters = wait_for_letters(&server, events.len());
    let got: Vec<Value> = letters.iter().map(Letter::event).collect();
    assert_eq!(got, events);
    listener.interrupt();
    dev.stop();
}

#[test]
fn what_a_server_does_is_said_and_what_it_missed_can_be_had_again() {
    let (_folder, dev) = Dev::fresh(&[]);
    let first = made(&dev, "before", &sale(1_000, "USD"));
    let last = wait_for("its events", || {
        told(&dev).pop().filter(|event| event["sequence"] == 2)
    });
    let (nowhere, secret) = (
        format!("http://{}/", lasting_address()),
        WebhookSecret::random().unwrap(),
    );
    let options = [
        "--events",
        "payment_intent.succeeded,refund.*",
        "--secret",
        secret.reveal(),
    ];
    let mut listener = Listener::start(dev.api, &nowhere, &options);
    assert_eq!(listener.secret, secret.reveal());
    ask(&dev, "refund", &first, "refunds", &json!({})).expect(200);
    for name in ["refund.created", "refund.updated"] {
        let line = listener
            .process
            .says(name, |line| line.contains(" -> ").then(|| line.to_owned()));
        assert!(
            line.starts_with(name) && line.contains(" -> no answer: "),
            "{line}"
        );
    }
    listener.interrupt();
    // A refusal is an answer, and is not sent again either.
    let server = Server::start(|_, _| Some(500));
    let after = [&options[..], &["--after", last["id"].as_str().unwrap()]].concat();
    let mut listener = Listener::start(dev.api, &server.url(), &after);
    made(&dev, "more", &sale(1_000, "USD"));
    let said = listener.process.says("the last one", |line| {
        line.starts_with("payment.succeeded").then(|| line.to_owned())
    });
    assert!(said.ends_with(" -> 500"), "{said}");
    let letters = server.all();
    let names: Vec<Value> = letters
        .iter()
        .map(|letter| letter.event()["type"].clone())
        .collect();
    assert_eq!(names, ["refund.created", "refund.updated", "payment.succeeded"]);
    for letter in &letters {
        check_signature(letter, secret.reveal());
    }
    listener.interrupt();
    dev.stop();
}

#[test]
fn what_cannot_be_listened_to_is_refused_with_the_option_that_is_wrong() {
    let (folder, dev) = Dev::fresh(&[]);
    let url = format!("http://{}", dev.api);
    for (options, said) in [
        (&["--forward-to", "http://10.0.0.1/"][..], "--forward-to"),
        (
            &["--forward-to", "http://127.0.0.1:1/", "--events", "invoice.paid"],
            "--events: there is no `invoice.paid`",
        ),
        (
            &["--forward-to", "http://127.0.0.1:1/", "--secret", "whsec_x"],
            "--secret",
        ),
        (
            &["--forward-to", "http://127.0.0.1:1/", "--after", "evt_x"],
            "--after",
        ),
        (
            &[
                "--forward-to",
                "http://127.0.0.1:1/",
                "--after",
                "evt_01m7y92abt0000000000000g01",
            ],
            "--after",
        ),
        (
            &["--forward-to", "http://127.0.0.1:1/", "--api-key", "sk_live_x"],
            "takes no live key",
        ),
        (
            &[
                "--forward-to",
                "http://127.0.0.1:1/",
                "--api-key",
                "ok_test_florin_dev",
            ],
            "`sk_test_`",
        ),
        (
            &[
                "--forward-to",
                "http://127.0.0.1:1/",
                "--api-key",
                "sk_test_unknown",
            ],
            "401",
        ),
    ] {
        let arguments = [&["listen", "--url", &url], options].concat();
        let finished = run(&arguments, folder.path(), &[]);
        assert_eq!(finished.status.code(), Some(1), "{finished:?}");
        assert_eq!(finished.stdout, "", "it never listened");
        assert!(finished.stderr.contains(said), "{finished:?}");
    }
    dev.stop();
}

#[test]
fn every_event_that_trigger_lists_really_comes() {
    // The simulated provider is in trouble once for each name of an event.
    let (folder, dev) = Dev::fresh(&[("FLORIN_BREAKER_OPEN_MS", "1")]);
    let (url, sandbox) = (format!("http://{}", dev.api), format!("http://{}", dev.sandbox));
    let trigger = |name: &str, more: &[&str]| {
        let arguments = [&["trigger", name, "--url", &url, "--sandbox", &sandbox], more].concat();
        run(&arguments, folder.path(), &[])
    };
    let unknown = trigger("invoice.paid", &[]);
    assert_eq!(unknown.status.code(), Some(1));
    let listed = unknown.stderr.lines().filter(|line| line.starts_with("  "));
    let listed: Vec<&str> = listed.flat_map(str::split_whitespace).collect();
    let all = AnnouncementKind::ALL.iter();
    let all: Vec<&str> = all.flat_map(|kind| [kind.native(), kind.stripe()]).collect();
    assert_eq!(listed, all, "every event can be had");
    for name in listed {
        let finished = trigger(name, &[]);
        assert!(finished.status.success(), "{name}: {finished:?}");
        let made = |what: &str| {
            let lines = finished.stdout.lines().filter_map(|line| line.strip_prefix(what));
            lines
                .map(|rest| rest.split_whitespace().next().unwrap().to_owned())
                .next()
        };
        let (payment, event) = (made("payment ").unwrap(), made("event ").unwrap());
        let event = dev.merchant().read(&format!("/v1/events/{event}"));
        assert_eq!(event["payment_id"], json!(payment), "{name}: {event}");
        let kind = AnnouncementKind::ALL
            .iter()
            .find(|kind| [kind.native(), kind.stripe()].contains(&name));
        assert_eq!(event["type"], kind.unwrap().native());
        let path = format!("/v1/payments/{payment}");
        if name.ends_with(".processing") {
            // The trouble is over, and the node finds out by itself.
            dev.merchant().payment_once(&payment, "succeeded");
        }
        if name.starts_with("payment.review") {
            let payment = dev.merchant().read(&path);
            let reasons = json!(["velocity", "amount_limit", "country_mismatch"]);
            assert_eq!(payment["risk"]["reasons"], reasons, "{payment}");
        }
        let refund = made("refund ");
        assert_eq!(refund.is_some(), name.contains("refund"), "{name}: {finished:?}");
        if event["data"]["object"]["object"] == "refund" {
            assert_eq!(event["data"]["object"]["id"], json!(refund));
        }
    }
    let elsewhere = run(
        &[
            "trigger",
            "payment.processing",
            "--url",
            &url,
            "--sandbox",
            "http://192.0.2.1:9090",
        ],
        folder.path(),
        &[],
    );
    assert!(
        elsewhere
            .stderr
            .contains("--sandbox: https, or http to this machine"),
        "{elsewhere:?}"
    );
    let live = trigger("payment.succeeded", &["--api-key", "sk_live_x"]);
    assert_eq!(live.status.code(), Some(1));
    assert!(live.stderr.contains("takes no live key"), "{live:?}");
    dev.stop();
}
