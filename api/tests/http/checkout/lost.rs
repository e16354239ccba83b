//! What a customer never heard of is not paid twice, and nobody is told that no money was taken when some was.

use super::*;
use florin_domain::ids::{MerchantId, PaymentId};

const UNHEARD: &str = "4000000000000259";
const MINUTE_MS: u64 = 60_000;

/// Nobody may pay merchant a any more.
fn freeze(world: &World) {
    let path = "/v1/ops/merchants/mer_00000000000000000000000001/freeze";
    let headers = [JSON, ("Idempotency-Key", "freeze")];
    let reason = br#"{"reason":"a test"}"#;
    let frozen = world.send("POST", path, Some("ok_test_op"), &headers, reason);
    assert_eq!(frozen.status, 200, "{}", text(&frozen));
}

#[test]
fn a_payment_whose_answer_was_lost_is_found_however_late_the_page_is_loaded() {
    for minutes in [1, 21, 31, 61, 24 * 60] {
        let (world, clock) = later();
        let mut browser = Browser::at(&world, &link(&world, "amount=5&currency=eur"));
        clock.ahead_ms.store(20 * MINUTE_MS + 1, Ordering::Relaxed);
        browser.pay_unheard(GOOD);
        clock
            .ahead_ms
            .store((20 + minutes) * MINUTE_MS, Ordering::Relaxed);
        assert_eq!(state(&browser.load()), "paid", "{minutes}");
        assert_eq!((world.charges(), payments(&world).len()), (1, 1), "{minutes}");
        world.stop();
    }
}

#[test]
fn nothing_is_confirmed_before_the_browser_keeps_the_payment() {
    let world = World::start();
    let mut browser = Browser::at(&world, &link(&world, "amount=5&currency=eur"));
    let token = browser.token(GOOD);
    let empty = browser.cookie.clone();
    for _ in 0..3 {
        let told = browser.try_once(&token).json();
        assert_eq!(told["state"], "begun");
        assert!(told["message"].as_str().unwrap().contains("cookies"), "{told}");
        browser.cookie.clone_from(&empty);
    }
    assert_eq!((world.charges(), payments(&world).len()), (0, 1));
    assert_eq!(browser.try_token(&token).json()["state"], "paid");
    assert_eq!(world.charges(), 1);
    world.stop();
}

#[test]
fn a_page_that_was_open_before_another_one_paid_pays_nothing_more() {
    let (world, clock) = later();
    let id = link(&world, "amount=5&currency=eur");
    let mut old = Browser::at(&world, &id);
    clock.ahead_ms.store(21 * MINUTE_MS, Ordering::Relaxed);
    let mut new = Browser::at(&world, &id);
    assert_ne!(old.session, new.session);
    assert_eq!(new.pay(GOOD)["state"], "paid");
    // They are tabs of one browser.
    old.cookie.clone_from(&new.cookie);
    let told = old.pay(GOOD);
    assert_eq!(
        (&told["state"], &told["url"]),
        (&json!("superseded"), &json!(format!("/pay/{id}")))
    );
    assert_eq!(old.cookie, new.cookie);
    assert_eq!(world.charges(), 1);
    world.stop();
}

#[test]
fn a_page_that_is_reached_otherwise_leads_to_where_the_browser_keeps_its_payment() {
    let world = World::start();
    let mut browser = Browser::at(&world, &link(&world, "amount=5&currency=eur"));
    let own = format!("/pay/{}", browser.link);
    // Wherever the browser has reached us, it stays there.
    assert_eq!(browser.pay(GOOD)["url"], own);
    let escaped = browser.link.replace('_', "%5F");
    for odd in [
        format!("/pay/{escaped}"),
        format!("/%70ay/{}", browser.link),
        format!("/pay/{escaped}/return"),
        format!("/pay/{}/retur%6E", browser.link),
    ] {
        let place = if odd.contains("/retur") {
            format!("{own}/return")
        } else {
            own.clone()
        };
        for query in ["", "?of=a%2Bb&redirectResult=c%26d"] {
            // Of such an address the browser does not send the cookie.
            let led = world.get(&format!("{odd}{query}"), None);
            let expected = format!("{place}{query}");
            assert_eq!(
                (led.status, led.header("location")),
                (303, Some(expected.as_str())),
                "{odd}{query}"
            );
            assert_eq!(led.header("set-cookie"), None, "{odd}{query}");
        }
    }
    assert_eq!(state(&browser.load()), "paid");
    world.stop();
}

#[test]
fn to_pay_once_more_is_no_address_that_pays_each_time_it_is_loaded() {
    let world = World::start();
    let form = "amount=5&currency=eur&after_completion[type]=redirect&after_completion[redirect][url]=https://shop.example/";
    let mut browser = Browser::at(&world, &link(&world, form));
    let again = format!("/pay/{}?again=1", browser.link);
    assert_eq!(browser.pay(GOOD)["state"], "paid");
    let page = text(&browser.load());
    assert!(page.contains("Pay once more") && page.contains("Go on"), "{page}");
    let led = browser.visit(&again);
    let own = format!("/pay/{}", browser.link);
    assert_eq!((led.status, led.header("location")), (303, Some(own.as_str())));
    assert_eq!(state(&browser.load()), "form");
    let anew = browser.session.clone();
    browser.pay_unheard(UNHEARD);
    assert_eq!(browser.session, anew);
    // Back to that address: what is under way is shown, and no other payment begins.
    assert_eq!(state(&browser.visit(&again)), "waiting");
    assert_eq!(state(&browser.load()), "waiting");
    assert_eq!(payments(&world).len(), 2);
    world.stop();
}

#[test]
fn a_payment_that_takes_days_is_not_forgotten() {
    let (world, clock) = later();
    let mut browser = Browser::at(&world, &link(&world, "amount=5&currency=eur"));
    assert_eq!(browser.pay(UNHEARD)["state"], "waiting");
    for hours in [2, 20] {
        clock.ahead_ms.store(hours * 60 * MINUTE_MS, Ordering::Relaxed);
        let page = browser.load();
        assert_eq!(state(&page), "waiting", "{hours}");
        let cookie = page.header("set-cookie").unwrap();
        assert!(cookie.contains("; Max-Age=3456000;"), "{cookie}");
    }
    assert_eq!(payments(&world).len(), 1);
    world.stop();
}

#[test]
fn a_card_that_was_declined_is_followed_by_another_of_the_same_payment_on_a_later_page() {
    let (world, clock) = later();
    let mut browser = Browser::at(&world, &link(&world, "amount=5&currency=eur"));
    assert_eq!(browser.pay(POOR)["state"], "declined");
    clock.ahead_ms.store(3 * 60 * MINUTE_MS, Ordering::Relaxed);
    assert_eq!(browser.token_answer(GOOD).status, 401);
    assert_eq!(state(&browser.load()), "form");
    assert_eq!(browser.pay(GOOD)["state"], "paid");
    assert_eq!((world.charges(), payments(&world).len()), (1, 1));
    world.stop();
}

#[test]
fn nobody_pays_another_sum_than_the_page_shows() {
    let world = World::start();
    let mut browser = Browser::at(&world, &link(&world, "amount=1000&currency=eur"));
    let token = browser.token(GOOD);
    assert_eq!(browser.try_once(&token).json()["state"], "begun");
    let id = payments(&world)[0]["id"].as_str().unwrap().to_owned();
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let path = format!("/v1/payment_intents/{id}");
    let amended = world.send("POST", &path, Some(A), &form, b"amount=100000");
    assert_eq!(amended.status, 200, "{}", text(&amended));
    assert_eq!(browser.try_token(&token).json()["state"], "ended");
    assert_eq!(world.charges(), 0);
    let page = browser.load();
    assert!(text(&page).contains("10.00"), "{}", text(&page));
    assert_eq!(state(&page), "closed");
    browser.visit(&format!("/pay/{}?again=1", browser.link));
    assert_eq!(state(&browser.load()), "form");
    assert_eq!(browser.pay(GOOD)["state"], "paid");
    assert_eq!(payments(&world)[0]["amount"], 1000);
    world.stop();
}

#[test]
fn an_operators_stop_holds_for_whoever_comes_back_from_their_bank() {
    let world = World::start();
    let mut browser = Browser::at(&world, &link(&world, "amount=5&currency=eur"));
    assert_eq!(browser.pay(CHALLENGED)["state"], "challenge");
    let id = payments(&world)[0]["id"].as_str().unwrap().to_owned();
    let history = |world: &World| world.get(&format!("/v1/payments/{id}/history"), Some(A)).body;
    let before = history(&world);
    freeze(&world);
    let back = browser.visit(&format!("/pay/{}/return?redirectResult=a%2Bb%26c", browser.link));
    assert_eq!(state(&back), "waiting");
    // What the bank gave along is for when it is over.
    let kept = format!("/pay/{}/return?redirectResult=a%2Bb%26c", browser.link);
    assert!(
        text(&back).contains(&format!("href=\"{kept}\"")),
        "{}",
        text(&back)
    );
    assert!(
        text(&back).contains(&format!("url={kept}&amp;looks=1\"")),
        "{}",
        text(&back)
    );
    assert_eq!(history(&world), before, "nobody was asked");
    world.stop();
}

#[test]
fn nobody_is_told_that_they_were_not_charged_while_a_provider_has_their_money() {
    let world = World::start();
    for form in ["amount=5&currency=eur", "amount=5&currency=eur&single_use=true"] {
        let mut browser = Browser::at(&world, &link(&world, form));
        assert_eq!(browser.pay(POOR)["state"], "declined");
        let good = browser.token(GOOD);
        let id = payments(&world)[0]["id"].as_str().unwrap().to_owned();
        let owner = (MerchantId::from_bits(1), false);
        let found = world.platform.payments();
        let found = found.get(owner, PaymentId::parse(&id).unwrap());
        let row = world.runtime.block_on(found).unwrap().unwrap();
        let attempt = row.payment.operations[0].attempt.clone().unwrap();
        // It took the money after all, and to give back an odd sum takes its bank days.
        let item = json!({
            "payment": id, "key": &*attempt.key, "amount": 5, "transaction": attempt.reference.as_deref().unwrap(),
        });
        let body = json!({"items": [item]}).to_string();
        let seal = [JSON, ("Fake-Seal", "platform")];
        let heard = world.send("POST", "/v1/providers/fake/notices", None, &seal, body.as_bytes());
        assert_eq!(heard.status, 200, "{}", text(&heard));
        // Another card on the page that is still open.
        let told = browser.try_token(&good).json();
        assert_eq!(
            (&told["state"], &told["message"]),
            (&json!("waiting"), &Value::Null)
        );
        let page = browser.load();
        assert_eq!(state(&page), "waiting");
        assert!(!text(&page).contains("not been charged"), "{}", text(&page));
        assert_eq!(world.charges(), 0);
    }
    world.stop();
}

#[test]
fn a_browser_of_which_nothing_is_known_is_not_told_that_nobody_was_charged() {
    let world = World::start();
    let mut browser = Browser::at(&world, &link(&world, "amount=5&currency=eur"));
    assert_eq!(browser.pay(GOOD)["state"], "paid");
    freeze(&world);
    // The same customer, on another machine.
    let page = world.get(&format!("/pay/{}", browser.link), None);
    assert_eq!(state(&page), "closed");
    assert!(text(&page).contains("paused"), "{}", text(&page));
    assert!(!text(&page).contains("not been charged"), "{}", text(&page));
    assert_eq!(state(&browser.load()), "paid");
    world.stop();
}

#[test]
fn whoever_has_paid_and_asks_to_pay_once_more_is_not_told_that_nothing_was_charged() {
    let world = World::start();
    let mut browser = Browser::at(&world, &link(&world, "amount=5&currency=eur"));
    assert_eq!(browser.pay(GOOD)["state"], "paid");
    let kind = [("Content-Type", "application/x-www-form-urlencoded")];
    let path = format!("/v1/payment_links/{}", browser.link);
    world.send("POST", &path, Some(A), &kind, b"active=false");
    let page = browser.visit(&format!("/pay/{}?again=1", browser.link));
    assert_eq!(state(&page), "paid");
    assert!(text(&page).contains("You have paid"), "{}", text(&page));
    world.stop();
}

#[test]
fn a_challenge_at_a_link_of_single_use_is_found_again_by_the_session_that_lost_it() {
    let (world, clock) = later();
    let id = link(&world, "amount=5&currency=eur&single_use=true");
    let (mut browser, mut other) = (Browser::at(&world, &id), Browser::at(&world, &id));
    let before = browser.cookie.clone();
    clock.ahead_ms.store(21 * MINUTE_MS, Ordering::Relaxed);
    assert_eq!(browser.pay(CHALLENGED)["state"], "challenge");
    browser.cookie.clone_from(&before);
    assert!(text(&browser.load()).contains("Go to my bank"));
    assert_ne!(browser.cookie, before, "and is kept from now on");
    browser.cookie = before;
    // Pressed again on the page that is still there.
    let told = browser.pay(GOOD);
    assert_eq!(
        (&told["state"], &told["url"]),
        (&json!("challenge"), &json!("https://bank.example/3ds?a=1&b=2"))
    );
    assert!(!text(&other.load()).contains("bank.example"));
    assert_eq!(other.pay(GOOD)["state"], "waiting");
    assert_eq!((world.charges(), payments(&world).len()), (0, 1));
    world.stop();
}
