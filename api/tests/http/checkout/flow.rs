//! From a typed card to the end, whatever happens on the way.

use super::*;

#[test]
fn a_card_pays_once_however_often_it_is_sent_and_the_page_then_says_so() {
    let world = World::start();
    let form = "amount=1999&currency=eur&description=A+chair&metadata[order]=7&customer=jane";
    let mut browser = Browser::at(&world, &link(&world, form));
    let token = browser.token(GOOD);
    let first = browser.try_token(&token).json();
    assert_eq!(first["state"], "paid", "{first}");
    assert_eq!(first["url"], format!("/pay/{}", browser.link));
    assert_eq!(browser.try_token(&token).json()["state"], "paid");
    // Another card in the same session, as of an impatient customer who typed it anew.
    assert_eq!(browser.pay("5555555555554444")["state"], "paid");
    assert_eq!(world.charges(), 1);
    let paid = payments(&world);
    assert_eq!(paid.len(), 1);
    let fields = |name: &str| paid[0][name].clone();
    assert_eq!(
        (fields("status"), fields("amount"), fields("currency")),
        (json!("succeeded"), json!(1999), json!("EUR"))
    );
    assert_eq!(
        (fields("description"), fields("customer_id")),
        (json!("A chair"), json!("jane"))
    );
    assert_eq!(
        fields("metadata"),
        json!({"order": "7", "payment_link": browser.link})
    );
    let page = browser.load();
    assert_eq!(state(&page), "paid");
    assert!(text(&page).contains("Visa ending in 4242"), "{}", text(&page));
    // Somebody else may pay the same link, and so may this customer once more, if they say so.
    let mut other = Browser::at(&world, &browser.link);
    assert_eq!(other.pay(GOOD)["state"], "paid");
    browser.visit(&format!("/pay/{}?again=1", browser.link.clone()));
    browser.load();
    assert_eq!(browser.pay(GOOD)["state"], "paid");
    assert_eq!((world.charges(), payments(&world).len()), (3, 3));
    world.stop();
}

#[test]
fn the_answer_to_a_payment_may_be_lost_and_nothing_is_paid_twice() {
    let world = World::start();
    let mut browser = Browser::at(&world, &link(&world, "amount=5&currency=eur"));
    browser.pay_unheard(GOOD);
    // Pressed again on the page that is still there, and then loaded again.
    assert_eq!(browser.pay(GOOD)["state"], "paid");
    assert_eq!(state(&browser.load()), "paid");
    assert_eq!((world.charges(), payments(&world).len()), (1, 1));
    world.stop();
}

#[test]
fn after_a_decline_another_card_pays_the_same_payment() {
    let world = World::start();
    let mut browser = Browser::at(&world, &link(&world, "amount=5&currency=eur"));
    let token = browser.token(POOR);
    let declined = browser.try_token(&token).json();
    assert_eq!(
        (&declined["state"], &declined["url"]),
        (&json!("declined"), &Value::Null)
    );
    let message = declined["message"].as_str().unwrap();
    assert!(message.contains("not enough money"), "{message}");
    assert_eq!(
        browser.try_token(&token).json(),
        declined,
        "the same card, sent again"
    );
    let page = browser.load();
    assert_eq!(state(&page), "form");
    assert!(
        text(&page).contains(message),
        "it is told after loading again, too"
    );
    let id = payments(&world)[0]["id"].clone();
    assert_eq!(payments(&world)[0]["status"], "requires_payment_method");
    assert_eq!(browser.pay(GOOD)["state"], "paid");
    let paid = payments(&world);
    assert_eq!(
        (paid.len(), &paid[0]["id"], &paid[0]["status"]),
        (1, &id, &json!("succeeded"))
    );
    assert_eq!(world.charges(), 1);
    world.stop();
}

#[test]
fn a_challenge_is_shown_to_its_own_customer_alone() {
    let world = World::start();
    let id = link(&world, "amount=5&currency=eur&single_use=true");
    let (mut browser, mut other) = (Browser::at(&world, &id), Browser::at(&world, &id));
    let told = browser.pay(CHALLENGED);
    assert_eq!(
        (&told["state"], &told["url"]),
        (&json!("challenge"), &json!("https://bank.example/3ds?a=1&b=2"))
    );
    let page = browser.load();
    assert!(
        text(&page).contains("href=\"https://bank.example/3ds?a=1&amp;b=2\""),
        "{}",
        text(&page)
    );
    let theirs = other.load();
    assert_eq!(state(&theirs), "waiting");
    assert!(!text(&theirs).contains("bank.example"));
    let told = other.pay(GOOD);
    assert_eq!(
        (&told["state"], &told["url"]),
        (&json!("waiting"), &json!(format!("/pay/{id}/return")))
    );
    // Back too early: the page waits, looks again by itself, and not for ever.
    let waiting = browser.come_back();
    assert_eq!((waiting.status, state(&waiting).as_str()), (200, "waiting"));
    assert!(text(&waiting).contains(&format!("url=/pay/{id}/return?looks=1\"")));
    let last = browser.visit(&format!("/pay/{id}/return?looks=20"));
    assert!(!text(&last).contains("http-equiv"));
    let beyond = browser.visit(&format!("/pay/{id}/return?looks=99999999999999999999"));
    assert_eq!(state(&beyond), "waiting");
    assert_eq!((world.charges(), payments(&world).len()), (0, 1));
    world.stop();
}

#[test]
fn a_link_of_single_use_is_paid_once_by_whomever() {
    let world = World::start();
    let id = link(
        &world,
        "amount=5&currency=eur&single_use=true&after_completion[type]=redirect&after_completion[redirect][url]=https://shop.example/thanks",
    );
    let mut browsers: Vec<Browser<'_>> = (0..3).map(|_| Browser::at(&world, &id)).collect();
    let tokens: Vec<String> = browsers.iter().map(|browser| browser.token(GOOD)).collect();
    let declined = browsers[2].pay(POOR);
    assert_eq!(declined["state"], "declined");
    let seen = browsers[0].load();
    assert!(
        !text(&seen).contains("not enough money"),
        "another's card is not talked of"
    );
    let first = browsers[0].try_token(&tokens[0]).json();
    assert_eq!(
        (&first["state"], &first["url"]),
        (&json!("paid"), &json!("https://shop.example/thanks"))
    );
    let second = browsers[1].try_token(&tokens[1]).json();
    assert_eq!(
        (&second["state"], &second["url"]),
        (&json!("paid"), &json!(format!("/pay/{id}")))
    );
    assert_eq!(browsers[2].pay(GOOD)["state"], "paid");
    assert_eq!((world.charges(), payments(&world).len()), (1, 1));
    let own = text(&browsers[0].load());
    assert!(own.contains("Thank you") && own.contains("href=\"https://shop.example/thanks\""));
    let others = text(&browsers[1].load());
    assert!(others.contains("This has been paid") && !others.contains("4242"));
    let again = browsers[0].visit(&format!("/pay/{id}?again=1"));
    assert_eq!(state(&again), "paid", "there is no second time");
    let shown = world.get(&format!("/v1/payment_links/{id}"), Some(A)).json();
    assert_eq!(shown["payment"], payments(&world)[0]["id"]);
    let back = browsers[0].come_back();
    assert_eq!(
        (back.status, back.header("location")),
        (303, Some("https://shop.example/thanks"))
    );
    world.stop();
}

#[test]
fn a_place_is_kept_longer_than_an_idempotency_key() {
    let (world, clock) = later();
    let id = link(&world, "amount=5&currency=eur&single_use=true");
    assert_eq!(Browser::at(&world, &id).pay(POOR)["state"], "declined");
    clock.ahead_ms.store(3 * 24 * 3_600_000, Ordering::Relaxed);
    let mut late = Browser::at(&world, &id);
    assert_eq!(late.pay(GOOD)["state"], "paid");
    clock.ahead_ms.store(6 * 24 * 3_600_000, Ordering::Relaxed);
    let page = world.get(&format!("/pay/{id}"), None);
    assert_eq!(state(&page), "paid");
    assert_eq!((world.charges(), payments(&world).len()), (1, 1));
    world.stop();
}

#[test]
fn a_closed_link_and_a_stopped_merchant_take_nothing() {
    let world = World::start();
    let id = link(&world, "amount=5&currency=eur");
    let mut browser = Browser::at(&world, &id);
    let token = browser.token(GOOD);
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let path = format!("/v1/payment_links/{id}");
    world.send("POST", &path, Some(A), &form, b"active=false");
    assert_eq!(state(&browser.load()), "closed");
    assert_eq!(browser.try_token(&token).json()["state"], "closed");
    world.send("POST", &path, Some(A), &form, b"active=true");
    assert_eq!(state(&browser.load()), "form");
    let merchants = world.get("/v1/ops/merchants", Some("ok_test_op")).json();
    let mut all = merchants["data"].as_array().unwrap().iter();
    let merchant = all.find(|merchant| merchant["name"] == "a").unwrap();
    let freeze = format!("/v1/ops/merchants/{}/freeze", merchant["id"].as_str().unwrap());
    let headers = [JSON, ("Idempotency-Key", "freeze")];
    let frozen = world.send(
        "POST",
        &freeze,
        Some("ok_test_op"),
        &headers,
        br#"{"reason":"a test"}"#,
    );
    assert_eq!(frozen.status, 200, "{}", text(&frozen));
    let page = browser.load();
    assert_eq!(state(&page), "closed");
    assert!(text(&page).contains("paused"));
    assert_eq!(browser.try_token(&token).status, 403);
    assert_eq!(browser.token_answer(GOOD).status, 403);
    assert_eq!((world.charges(), payments(&world).len()), (0, 0));
    world.stop();
}

#[test]
fn nobody_is_charged_while_no_provider_can_be_reached_and_the_customer_may_try_again() {
    let world = World::start();
    let mut browser = Browser::at(&world, &link(&world, "amount=5&currency=eur"));
    world.provider_leaves(true);
    let told = browser.pay(GOOD);
    assert_eq!(
        (&told["state"], &told["url"]),
        (&json!("again"), &Value::Null),
        "{told}"
    );
    assert_eq!(world.charges(), 0);
    world.stop();
}

#[test]
fn a_challenge_whose_answer_was_lost_is_found_again_by_its_session() {
    let world = World::start();
    let mut browser = Browser::at(&world, &link(&world, "amount=5&currency=eur"));
    browser.pay_unheard(CHALLENGED);
    let told = browser.pay(GOOD);
    assert_eq!(
        (&told["state"], &told["url"]),
        (&json!("challenge"), &json!("https://bank.example/3ds?a=1&b=2"))
    );
    assert!(text(&browser.load()).contains("Go to my bank"));
    assert_eq!((world.charges(), payments(&world).len()), (0, 1));
    world.stop();
}

#[test]
fn a_token_that_nobody_was_given_begins_no_payment() {
    let world = World::start();
    let mut browser = Browser::at(&world, &link(&world, "amount=5&currency=eur"));
    let other = {
        let card = json!({"card": {"number": GOOD, "exp_month": "12", "exp_year": "2040"}});
        let headers = [JSON];
        let made = world.send(
            "POST",
            "/v1/tokens",
            Some("sk_test_b"),
            &headers,
            card.to_string().as_bytes(),
        );
        made.json()["id"].as_str().unwrap().to_owned()
    };
    let refused = browser.try_token(&other);
    assert_eq!(
        (refused.status, refused.error("code").as_str()),
        (404, "resource_missing"),
        "another merchant's"
    );
    assert_eq!(payments(&world).len(), 0);
    world.stop();
}

#[test]
fn a_token_is_used_once_and_a_mistyped_card_is_named() {
    let world = World::start();
    let id = link(&world, "amount=5&currency=eur");
    let (mut browser, mut thief) = (Browser::at(&world, &id), Browser::at(&world, &id));
    let token = browser.token(GOOD);
    assert_eq!(browser.try_token(&token).json()["state"], "paid");
    let stolen = thief.try_token(&token);
    assert_eq!(
        (stolen.status, stolen.error("code").as_str()),
        (400, "token_already_used")
    );
    assert_eq!(payments(&world).len(), 1, "and begins no payment");
    let wrong = thief.token_answer("4242424242424241");
    assert_eq!(
        (wrong.status, wrong.error("code").as_str()),
        (402, "incorrect_number")
    );
    assert_eq!(world.charges(), 1);
    world.stop();
}
