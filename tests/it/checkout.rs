//! Payment links over the real binary: one link that is paid once, by many at the same time, across a kill, and through a challenge.

use crate::deployment::Dev;
use crate::http::{Answer, Client};
use crate::process::wait_for;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Barrier;
use std::thread;

/// Faults of the test cards are no faults of the provider.
const CALM: [(&str, &str); 1] = [("FLORIN_BREAKER_OPEN_MS", "1")];
const SESSIONS: usize = 20;

fn link(dev: &Dev, key: &str, body: &Value) -> String {
    let made = dev.merchant().post(key, "/v1/payment_links", body).expect(200);
    made.json()["id"].as_str().unwrap().to_owned()
}

fn once() -> Value {
    json!({"amount": 2_500, "currency": "EUR", "description": "A chair", "single_use": true})
}

/// What a browser holds of a page.
#[derive(Clone)]
struct Browser {
    link: String,
    session: String,
    cookie: String,
}

impl Browser {
    fn at(api: SocketAddr, link: &str) -> Self {
        let page = Client::new(api)
            .send("GET", &format!("/pay/{link}"), &[], b"")
            .unwrap()
            .expect(200);
        let text = page.text();
        let (_, rest) = text.split_once("data-session=\"").unwrap();
        Self {
            link: link.to_owned(),
            session: rest.split('"').next().unwrap().to_owned(),
            cookie: cookie(&page).unwrap(),
        }
    }

    fn post(&self, api: SocketAddr, path: &str, body: &Value) -> std::io::Result<Answer> {
        let key = format!("Bearer {}", self.session);
        let headers = [
            ("Authorization", key.as_str()),
            ("Content-Type", "application/json"),
            ("Origin", "http://florin"),
            ("Cookie", self.cookie.as_str()),
        ];
        Client::new(api).send("POST", path, &headers, body.to_string().as_bytes())
    }

    fn token(&self, api: SocketAddr, number: &str) -> std::io::Result<String> {
        let card = json!({"number": number, "exp_month": 12, "exp_year": 2040, "cvc": "917"});
        let made = self
            .post(api, "/v1/tokens", &json!({ "card": card }))?
            .expect(200);
        Ok(made.json()["id"].as_str().unwrap().to_owned())
    }

    fn try_token(&self, api: SocketAddr, token: &str) -> std::io::Result<Answer> {
        let path = format!("/pay/{}/attempts", self.link);
        self.post(api, &path, &json!({ "token": token }))
    }

    fn pay(&mut self, api: SocketAddr, number: &str) -> std::io::Result<Value> {
        let token = self.token(api, number)?;
        // The first answer only has the browser keep the payment.
        for _ in 0..2 {
            let answer = self.try_token(api, &token)?.expect(200);
            if let Some(cookie) = cookie(&answer) {
                self.cookie = cookie;
            }
            if answer.json()["state"] != "begun" {
                return Ok(answer.json());
            }
        }
        panic!("the cookie was not kept");
    }

    fn visit(&self, api: SocketAddr, path: &str) -> Answer {
        let headers = [("Cookie", self.cookie.as_str())];
        Client::new(api).send("GET", path, &headers, b"").unwrap()
    }
}

fn cookie(answer: &Answer) -> Option<String> {
    let cookie = answer.header("set-cookie")?;
    cookie.split(';').next().map(str::to_owned)
}

fn payments_of(dev: &Dev, link: &str) -> Vec<Value> {
    let mut all = dev.merchant().read_all("/v1/payments");
    all.retain(|payment| payment["metadata"]["payment_link"] == *link);
    all
}

fn sales(dev: &Dev) -> Vec<i64> {
    let rows = dev.charges();
    rows.iter().map(|row| row["amount"].as_i64().unwrap()).collect()
}

#[test]
fn twenty_who_pay_a_link_of_single_use_at_the_same_moment_are_one_charge() {
    let (_folder, dev) = Dev::fresh(&CALM);
    let id = link(&dev, "link", &once());
    let browsers: Vec<Browser> = (0..SESSIONS).map(|_| Browser::at(dev.api, &id)).collect();
    let tokens: Vec<String> = browsers
        .iter()
        .map(|browser| browser.token(dev.api, "4242424242424242").unwrap())
        .collect();
    let start = Barrier::new(SESSIONS * 2);
    let told: Vec<Value> = thread::scope(|scope| {
        let mut running = Vec::new();
        // Each presses twice.
        for (browser, token) in browsers.iter().zip(&tokens) {
            for _ in 0..2 {
                running.push(scope.spawn(|| {
                    start.wait();
                    browser.try_token(dev.api, token).unwrap().expect(200).json()
                }));
            }
        }
        running.into_iter().map(|one| one.join().unwrap()).collect()
    });
    for told in &told {
        let state = told["state"].as_str().unwrap();
        assert!(["paid", "waiting"].contains(&state), "{told}");
    }
    assert!(told.iter().any(|told| told["state"] == "paid"));
    assert_eq!(sales(&dev), [2_500]);
    let paid = payments_of(&dev, &id);
    assert_eq!(paid.len(), 1, "{paid:?}");
    assert_eq!(paid[0]["status"], "succeeded");
    let shown = dev.merchant().read(&format!("/v1/payment_links/{id}"));
    assert_eq!(shown["payment"], paid[0]["id"]);
    dev.stop();
}

#[test]
fn a_kill_in_the_middle_of_it_makes_no_second_charge() {
    let (folder, dev) = Dev::fresh(&CALM);
    let id = link(&dev, "link", &once());
    let mut browsers: Vec<Browser> = (0..SESSIONS).map(|_| Browser::at(dev.api, &id)).collect();
    let api = dev.api;
    thread::scope(|scope| {
        for browser in &browsers {
            // Whoever is cut off is told nothing.
            scope.spawn(|| drop(browser.clone().pay(api, "4242424242424242")));
        }
        wait_for("the first of them to have begun", || {
            let shown = dev.merchant().read(&format!("/v1/payment_links/{id}"));
            shown["payment"].as_str().map(str::to_owned)
        });
        dev.process.kill_9();
    });
    let dev = Dev::start(folder.path(), &CALM);
    // The pages are still open, and everybody presses again.
    for browser in &mut browsers {
        let told = browser.pay(dev.api, "5555555555554444").unwrap();
        let state = told["state"].as_str().unwrap();
        assert!(["paid", "waiting"].contains(&state), "{told}");
    }
    // A page that waits looks again by itself. Where the crash took the card's code with it before anybody was asked for money, it shows its
    // form again, and the customer presses once more.
    let page = format!("/pay/{id}");
    wait_for("the link to be paid", || {
        let shown = browsers[0].visit(dev.api, &page).expect(200).text();
        if shown.contains("data-session=") {
            browsers[0].pay(dev.api, "5555555555554444").unwrap();
        }
        let held = dev.merchant().read(&format!("/v1/payment_links/{id}"))["payment"].clone();
        let path = format!("/v1/payments/{}", held.as_str().unwrap());
        (dev.merchant().read(&path)["status"] == "succeeded").then_some(())
    });
    assert_eq!(sales(&dev), [2_500]);
    let mut with_money = payments_of(&dev, &id);
    with_money.retain(|payment| payment["amount_captured"] != 0);
    assert_eq!(with_money.len(), 1);
    dev.stop();
}

#[test]
fn a_challenge_leads_to_the_bank_and_back_and_a_failed_one_to_another_card() {
    let (_folder, dev) = Dev::fresh(&CALM);
    let id = link(&dev, "link", &json!({"amount": 2_500, "currency": "EUR"}));
    let mut browser = Browser::at(dev.api, &id);
    let page = format!("/pay/{id}");
    for button in ["fail", "complete"] {
        let told = browser.pay(dev.api, "4000000000003220").unwrap();
        assert_eq!(told["state"], "challenge", "{told}");
        let bank = told["url"].as_str().unwrap().strip_prefix("http://").unwrap();
        let (address, path) = bank.split_once('/').unwrap();
        let pressed = Client::new(address.parse().unwrap())
            .send("POST", &format!("/{path}/{button}"), &[], b"")
            .unwrap()
            .expect(303);
        let way = pressed.header("location").unwrap();
        let own = format!("http://{}", dev.api);
        let way = way
            .strip_prefix(&own)
            .unwrap_or_else(|| panic!("{way} is not ours"));
        let led = browser.visit(dev.api, way).expect(303);
        assert_eq!(led.header("location"), Some(page.as_str()));
        let shown = browser.visit(dev.api, &page).expect(200).text();
        let expected = if button == "fail" {
            "could not confirm that it is you"
        } else {
            "Thank you"
        };
        assert!(shown.contains(expected), "{shown}");
    }
    assert_eq!(sales(&dev), [2_500]);
    assert_eq!(
        payments_of(&dev, &id).len(),
        1,
        "another try, not another payment"
    );
    dev.stop();
}
