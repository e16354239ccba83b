//! The page under a payment link, as a browser speaks to it.

use crate::world::{Answer, World};
use florin_adapters::clock::SystemClock;
use florin_domain::ports::Clock;
use florin_domain::time::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

mod banks;
mod flow;
mod lost;
mod misuse;

const A: &str = "sk_test_a";
const GOOD: &str = "4242424242424242";
const POOR: &str = "4000000000009995";
const CHALLENGED: &str = "4000000000003220";
const ORIGIN: (&str, &str) = ("Origin", "http://florin");
const JSON: (&str, &str) = ("Content-Type", "application/json");
const HALF_AN_HOUR_MS: u64 = 30 * 60 * 1000;

/// A link of this form; its id.
fn link(world: &World, form: &str) -> String {
    let kind = [("Content-Type", "application/x-www-form-urlencoded")];
    let made = world.send("POST", "/v1/payment_links", Some(A), &kind, form.as_bytes());
    assert_eq!(made.status, 200, "{}", text(&made));
    made.json()["id"].as_str().unwrap().to_owned()
}

fn text(answer: &Answer) -> String {
    String::from_utf8(answer.body.clone()).unwrap()
}

/// A browser that has loaded a link's page.
struct Browser<'a> {
    world: &'a World,
    link: String,
    session: String,
    cookie: String,
}

impl<'a> Browser<'a> {
    fn at(world: &'a World, link: &str) -> Self {
        let mut browser = Self {
            world,
            link: link.to_owned(),
            session: String::new(),
            cookie: String::new(),
        };
        browser.load();
        assert!(browser.session.starts_with("cs_"), "{}", browser.session);
        browser
    }

    /// Keeps the cookie and the session of what came back.
    fn keep(&mut self, answer: &Answer) {
        if let Some(cookie) = answer.header("set-cookie") {
            cookie.split(';').next().unwrap().clone_into(&mut self.cookie);
        }
        if let Some((_, rest)) = text(answer).split_once("data-session=\"") {
            rest.split('"').next().unwrap().clone_into(&mut self.session);
        }
    }

    fn visit(&mut self, path: &str) -> Answer {
        let answer = self
            .world
            .send("GET", path, None, &[("Cookie", &self.cookie)], b"");
        self.keep(&answer);
        answer
    }

    /// Pays, and hears nothing of what became of it.
    fn pay_unheard(&mut self, number: &str) {
        let token = self.token(number);
        assert_eq!(self.try_once(&token).json()["state"], "begun");
        let before = (self.session.clone(), self.cookie.clone());
        assert_eq!(self.try_once(&token).status, 200);
        (self.session, self.cookie) = before;
    }

    fn load(&mut self) -> Answer {
        self.visit(&format!("/pay/{}", self.link.clone()))
    }

    fn come_back(&mut self) -> Answer {
        self.visit(&format!("/pay/{}/return?payment_intent=pi_1", self.link.clone()))
    }

    fn token_answer(&self, number: &str) -> Answer {
        let card = json!({"card": {"number": number, "exp_month": "12", "exp_year": "2040", "cvc": "917"}});
        let body = card.to_string();
        self.world.send(
            "POST",
            "/v1/tokens",
            Some(&self.session),
            &[ORIGIN, JSON],
            body.as_bytes(),
        )
    }

    fn token(&self, number: &str) -> String {
        let answer = self.token_answer(number);
        assert_eq!(answer.status, 200, "{}", text(&answer));
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    /// As the page's script does: once more after the browser was given the payment to keep.
    fn try_token(&mut self, token: &str) -> Answer {
        let first = self.try_once(token);
        if first.status == 200 && first.json()["state"] == "begun" {
            return self.try_once(token);
        }
        first
    }

    fn try_once(&mut self, token: &str) -> Answer {
        let body = json!({ "token": token }).to_string();
        let path = format!("/pay/{}/attempts", self.link);
        let cookie = self.cookie.clone();
        let headers = [
            ORIGIN,
            JSON,
            ("Sec-Fetch-Site", "same-origin"),
            ("Cookie", cookie.as_str()),
        ];
        let answer = self
            .world
            .send("POST", &path, Some(&self.session), &headers, body.as_bytes());
        self.keep(&answer);
        answer
    }

    fn pay(&mut self, number: &str) -> Value {
        let token = self.token(number);
        let answer = self.try_token(&token);
        assert_eq!(answer.status, 200, "{}", text(&answer));
        answer.json()
    }
}

/// The payments of merchant a, newest first.
fn payments(world: &World) -> Vec<Value> {
    let page = world.get("/v1/payments?limit=100", Some(A)).json();
    page["data"].as_array().unwrap().clone()
}

/// What a page says of where things stand.
fn state(answer: &Answer) -> String {
    let page = text(answer);
    let state = page.split_once("data-state=\"").map(|(_, rest)| rest);
    state.map_or_else(
        || "form".to_owned(),
        |rest| rest.split('"').next().unwrap().to_owned(),
    )
}

#[derive(Debug)]
struct Moved {
    clock: SystemClock,
    ahead_ms: AtomicU64,
}

impl Clock for Moved {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.clock.now().unix_ms() + self.ahead_ms.load(Ordering::Relaxed))
    }
}

fn later() -> (World, Arc<Moved>) {
    let clock = Arc::new(Moved {
        clock: SystemClock::new(),
        ahead_ms: AtomicU64::new(0),
    });
    let world = World::start_at(Arc::clone(&clock) as _, |_| {}, |_| {});
    (world, clock)
}

#[test]
fn the_page_keeps_everything_else_out() {
    let world = World::start();
    let id = link(&world, "amount=123450&currency=eur&description=A+chair");
    let page = world.get(&format!("/pay/{id}"), None);
    assert_eq!(page.status, 200);
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
        ("cross-origin-opener-policy", "same-origin"),
    ] {
        assert_eq!(page.header(name), Some(value), "{name}");
    }
    let policy: Vec<&str> = page
        .header("content-security-policy")
        .unwrap()
        .split("; ")
        .collect();
    assert_eq!(
        policy,
        [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "connect-src 'self'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ]
    );
    assert!(page.header("permissions-policy").unwrap().contains("payment=()"));
    let cookie = page.header("set-cookie").unwrap();
    for part in [
        "florin_checkout=cs_",
        &format!("; Path=/pay/{id};"),
        "; HttpOnly",
        "; SameSite=Lax",
    ] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let html = text(&page);
    for part in [
        "1,234.50\u{a0}EUR",
        "A chair",
        "autocomplete=\"cc-number\"",
        "autocomplete=\"cc-exp\"",
        "autocomplete=\"cc-csc\"",
        "autocomplete=\"cc-name\"",
        "inputmode=\"numeric\"",
        "<noscript>",
        "aria-describedby=\"number-error\"",
        "width=device-width",
        "Test mode",
    ] {
        assert!(html.contains(part), "{part}");
    }
    // Nothing from elsewhere, nothing inline, and no field that a browser would send by itself.
    let form = html.split("<form").nth(1).unwrap();
    for part in [" name=\"", " action=", " method="] {
        assert!(!form.contains(part), "{part}");
    }
    for part in ["://", " style=", " onclick=", "<style", "<script>"] {
        assert!(!html.contains(part), "{part}");
    }
    for (name, kind) in [
        ("checkout.css", "text/css; charset=utf-8"),
        ("checkout.js", "text/javascript; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
    ] {
        let asset = world.get(&format!("/pay/assets/{name}"), None);
        assert_eq!((asset.status, asset.header("content-type")), (200, Some(kind)));
        assert_eq!(asset.header("x-content-type-options"), Some("nosniff"));
    }
    world.stop();
}

#[test]
fn hostile_words_stay_words() {
    let world = World::start();
    let words = "%3C/p%3E%3Cscript%3Ealert(1)%3C/script%3E%22'%26%E2%80%AE";
    let id = link(&world, &format!("amount=5&currency=eur&description={words}"));
    let html = text(&world.get(&format!("/pay/{id}"), None));
    assert!(
        html.contains("&lt;/p&gt;&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;</p>"),
        "{html}"
    );
    for path in [
        "/pay/plink_%22%3E%3Cscript%3E",
        "/pay/x",
        "/pay/plink_00000000000000000000000000",
    ] {
        let browsers = [("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")];
        let missing = world.send("GET", path, None, &browsers, b"");
        assert_eq!(
            (missing.status, state(&missing).as_str()),
            (404, "closed"),
            "{path}"
        );
        assert!(!text(&missing).contains("plink_"), "{path}");
        assert!(missing.header("content-security-policy").is_some(), "{path}");
        let program = world.get(path, None);
        assert_eq!(program.error("code"), "resource_missing", "{path}");
    }
    world.stop();
}

#[test]
fn a_session_pays_its_own_link_from_its_own_page_and_is_good_for_nothing_else() {
    let world = World::start();
    let (mine, other) = (
        link(&world, "amount=5&currency=eur"),
        link(&world, "amount=6&currency=eur"),
    );
    let mut browser = Browser::at(&world, &mine);
    let session = browser.session.clone();
    for path in ["/v1/payments", "/v1/payment_links", "/v1/customers", "/v1/events"] {
        assert_eq!(world.get(path, Some(&session)).status, 401, "{path}");
    }
    let card =
        json!({"card": {"number": GOOD, "exp_month": "12", "exp_year": "2040", "cvc": "917"}}).to_string();
    let method =
        format!(r#"{{"type":"card","card":{{"number":"{GOOD}","exp_month":"12","exp_year":"2040"}}}}"#);
    let saves = world.send(
        "POST",
        "/v1/payment_methods",
        Some(&session),
        &[ORIGIN, JSON],
        method.as_bytes(),
    );
    assert_eq!(saves.status, 401, "a session saves no card by itself");
    for headers in [
        vec![JSON],
        vec![JSON, ("Origin", "https://evil.example")],
        vec![JSON, ("Origin", "null")],
        vec![JSON, ORIGIN, ("Sec-Fetch-Site", "cross-site")],
        vec![JSON, ORIGIN, ("Sec-Fetch-Site", "same-site")],
    ] {
        for (path, body) in [
            ("/v1/tokens".to_owned(), card.as_str()),
            (format!("/pay/{mine}/attempts"), r#"{"token":"tok_1"}"#),
        ] {
            let answer = world.send("POST", &path, Some(&session), &headers, body.as_bytes());
            let found = (answer.status, answer.error("param"));
            assert_eq!(found, (400, "Origin".to_owned()), "{headers:?}");
        }
    }
    let token = browser.token(GOOD);
    let body = json!({"token": token}).to_string();
    let form = [ORIGIN, ("Content-Type", "application/x-www-form-urlencoded")];
    let path = format!("/pay/{mine}/attempts");
    let as_form = world.send(
        "POST",
        &path,
        Some(&session),
        &form,
        format!("token={token}").as_bytes(),
    );
    assert_eq!(as_form.status, 415);
    let elsewhere = world.send(
        "POST",
        &format!("/pay/{other}/attempts"),
        Some(&session),
        &[ORIGIN, JSON],
        body.as_bytes(),
    );
    assert_eq!(elsewhere.status, 401, "of another link");
    for key in [None, Some(A), Some("cs_1")] {
        let answer = world.send("POST", &path, key, &[ORIGIN, JSON], body.as_bytes());
        assert_eq!(answer.status, 401, "{key:?}");
    }
    let mut tampered = session.clone().into_bytes();
    tampered[80] = if tampered[80] == b'0' { b'1' } else { b'0' };
    browser.session = String::from_utf8(tampered).unwrap();
    assert_eq!(browser.token_answer(GOOD).status, 401);
    assert_eq!(browser.try_token(&token).status, 401);
    browser.session = session;
    for wrong in [
        json!({"token": token, "amount": 1}),
        json!({"token": "tok_1"}),
        json!({}),
        json!({"token": "x".repeat(2000)}),
    ] {
        let answer = world.send(
            "POST",
            &path,
            Some(&browser.session),
            &[ORIGIN, JSON],
            wrong.to_string().as_bytes(),
        );
        assert!([400, 413].contains(&answer.status), "{answer:?}");
    }
    assert_eq!(
        (payments(&world).len(), world.charges()),
        (0, 0),
        "nothing of all that paid"
    );
    assert_eq!(browser.try_token(&token).json()["state"], "paid");
    assert_eq!(world.charges(), 1);
    world.stop();
}

#[test]
fn a_session_ends_after_half_an_hour_and_its_page_then_begins_another() {
    let (world, clock) = later();
    let id = link(&world, "amount=5&currency=eur");
    let mut browser = Browser::at(&world, &id);
    let (token, first) = (browser.token(GOOD), browser.session.clone());
    browser.load();
    assert_eq!(browser.session, first, "loading again goes on with it");
    clock.ahead_ms.store(HALF_AN_HOUR_MS, Ordering::Relaxed);
    assert_eq!(browser.token_answer(GOOD).status, 401);
    assert_eq!(browser.try_token(&token).status, 401);
    assert_eq!(payments(&world).len(), 0);
    browser.load();
    assert_ne!(browser.session, first);
    assert_eq!(browser.pay(GOOD)["state"], "paid");
    assert_eq!(world.charges(), 1);
    world.stop();
}
