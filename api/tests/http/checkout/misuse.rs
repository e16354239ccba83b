//! Customers who want something else than to pay.

use super::*;
use florin_api::server::RateLimit;
use florin_domain::token::CardToken;
use std::num::NonZeroU32;

/// The page after somebody has asked for another payment.
fn begun_anew(browser: &mut Browser<'_>) -> Answer {
    let answer = browser.visit(&format!("/pay/{}?again=1", browser.link.clone()));
    if answer.status == 303 {
        return browser.load();
    }
    answer
}

#[test]
fn idempotency_keys_of_merchants_and_customers_are_apart() {
    let world = World::start();
    let id = link(&world, "amount=5&currency=eur");
    let (browser, other) = (Browser::at(&world, &id), Browser::at(&world, &id));
    let card =
        |number: &str| json!({"card": {"number": number, "exp_month": "12", "exp_year": "2040"}}).to_string();
    let ask = |secret: &str, number: &str| {
        let headers = [ORIGIN, JSON, ("Idempotency-Key", "order-7")];
        let answer = world.send(
            "POST",
            "/v1/tokens",
            Some(secret),
            &headers,
            card(number).as_bytes(),
        );
        assert_eq!(answer.status, 200, "{}", text(&answer));
        let was_before = answer.header("idempotent-replayed").is_some();
        (answer.json()["id"].as_str().unwrap().to_owned(), was_before)
    };
    let of_merchant = ask(A, GOOD);
    let of_customer = ask(&browser.session, GOOD);
    assert_ne!(of_customer.0, of_merchant.0);
    // Another request under the same key would be refused.
    let of_other = ask(&other.session, POOR);
    assert!(!of_merchant.1 && !of_customer.1 && !of_other.1);
    assert_eq!(ask(&browser.session, GOOD), (of_customer.0, true), "their own");
    assert_eq!(ask(A, GOOD), (of_merchant.0, true));
    world.stop();
}

#[test]
fn nobody_finds_out_with_a_link_which_of_many_cards_are_good() {
    let world = World::start();
    let id = link(&world, "amount=5&currency=eur");
    // However many pay, nobody has to wait.
    for _ in 0..25 {
        assert_eq!(Browser::at(&world, &id).pay(GOOD)["state"], "paid");
    }
    // Each time in a new session, as whoever tests cards would do it.
    for _ in 0..20 {
        assert_eq!(Browser::at(&world, &id).pay(POOR)["state"], "declined");
    }
    let mut browser = Browser::at(&world, &id);
    let token = browser.token(GOOD);
    assert_eq!(browser.try_once(&token).json()["state"], "begun");
    let (charges, before) = (world.charges(), payments(&world).len());
    let refused = browser.try_token(&token);
    assert_eq!(
        (refused.status, refused.error("code").as_str()),
        (429, "rate_limited")
    );
    assert!(refused.header("retry-after").is_some());
    assert_eq!((world.charges(), payments(&world).len()), (charges, before));
    let elsewhere = link(&world, "amount=5&currency=eur");
    assert_eq!(Browser::at(&world, &elsewhere).pay(GOOD)["state"], "paid");
    world.stop();
}

#[test]
fn a_payment_that_takes_no_more_cards_says_so() {
    let world = World::start();
    let mut numbers = [POOR, "4000000000189995"].into_iter().cycle();
    for (form, may_again) in [
        ("amount=5&currency=eur&single_use=true", false),
        ("amount=6&currency=eur", true),
    ] {
        let mut browser = Browser::at(&world, &link(&world, form));
        // Of one card alone fewer would be sent to a provider.
        for _ in 0..15 {
            let declined = browser.pay(numbers.next().unwrap());
            assert_eq!(declined["state"], "declined", "{declined}");
        }
        let last = browser.pay(numbers.next().unwrap());
        assert_eq!(last["state"], "ended", "the sixteenth: {last}");
        let token = browser.token(GOOD);
        assert_eq!(browser.try_token(&token).json()["state"], "ended");
        let page = browser.load();
        assert_eq!(state(&page), "closed");
        let again = format!("/pay/{}?again=1", browser.link);
        assert_eq!(text(&page).contains(&again), may_again, "{}", text(&page));
        assert_eq!(
            state(&begun_anew(&mut browser)),
            if may_again { "form" } else { "closed" }
        );
        if may_again {
            assert_eq!(browser.pay(GOOD)["state"], "paid");
        }
    }
    assert_eq!(world.charges(), 1);
    world.stop();
}

#[test]
fn a_place_that_is_never_free_again_is_offered_to_no_other_card() {
    let world = World::start_with_actors(|options| options.velocity.hour_declines_max = Some(1));
    let form = "amount=5&currency=eur&single_use=true&customer=jane";
    let mut browser = Browser::at(&world, &link(&world, form));
    assert_eq!(browser.pay(POOR)["state"], "declined");
    assert_eq!(browser.pay(GOOD)["state"], "ended", "risk forbids it");
    let page = browser.load();
    assert_eq!(state(&page), "closed");
    let again = format!("/pay/{}?again=1", browser.link);
    assert!(!text(&page).contains(&again), "{}", text(&page));
    assert_eq!(state(&begun_anew(&mut browser)), "closed");
    // Nobody was asked for this one.
    let mut browser = Browser::at(&world, &link(&world, form));
    assert_eq!(browser.pay(GOOD)["state"], "ended");
    let again = format!("/pay/{}?again=1", browser.link);
    assert!(text(&browser.load()).contains(&again));
    assert_eq!(state(&begun_anew(&mut browser)), "form");
    assert_eq!(world.charges(), 0);
    world.stop();
}

/// A token that somebody in the shop's own office made: customers of one link get fewer.
fn office_token(world: &World) -> String {
    let card =
        json!({"card": {"number": GOOD, "exp_month": "12", "exp_year": "2040", "cvc": "917"}}).to_string();
    let made = world.send("POST", "/v1/tokens", Some(A), &[JSON], card.as_bytes());
    made.json()["id"].as_str().unwrap().to_owned()
}

#[test]
fn payments_that_nobody_makes_are_not_without_end() {
    let world = World::start();
    let id = link(&world, "amount=5&currency=eur");
    let mut first = Browser::at(&world, &id);
    let token = first.token(GOOD);
    assert_eq!(first.try_once(&token).json()["state"], "begun");
    // With the same token no other session begins one.
    let stolen = Browser::at(&world, &id).try_once(&token);
    assert_eq!(
        (stolen.status, stolen.error("code").as_str()),
        (400, "token_already_used")
    );
    assert_eq!(payments(&world).len(), 1);
    let mut begun = 1;
    // Some come back while this goes on.
    let refused = loop {
        let answer = Browser::at(&world, &id).try_once(&office_token(&world));
        if answer.status != 200 {
            break answer;
        }
        assert_eq!(answer.json()["state"], "begun");
        begun += 1;
        assert!(begun < 2000, "they are without end");
    };
    assert_eq!(
        (refused.status, refused.error("code").as_str()),
        (429, "rate_limited")
    );
    assert!(begun >= 500, "{begun}");
    assert_eq!(world.charges(), 0);
    // Whoever has begun goes on.
    assert_eq!(first.try_once(&token).json()["state"], "paid");
    world.stop();
}

#[test]
fn customers_who_come_together_all_pay() {
    let world = World::start();
    let id = link(&world, "amount=5&currency=eur");
    let begin = |_| {
        let mut browser = Browser::at(&world, &id);
        let token = browser.token(GOOD);
        assert_eq!(browser.try_once(&token).json()["state"], "begun");
        (browser, token)
    };
    let browsers: Vec<_> = (0..25).map(begin).collect();
    for (mut browser, token) in browsers {
        let paid = browser.try_once(&token);
        assert_eq!(paid.status, 200, "{}", text(&paid));
        assert_eq!(paid.json()["state"], "paid");
    }
    assert_eq!((world.charges(), payments(&world).len()), (25, 25));
    world.stop();
}

#[test]
fn what_never_reached_a_bank_closes_no_link() {
    let world = World::start();
    let id = link(&world, "amount=5&currency=eur");
    let mut browser = Browser::at(&world, &id);
    for number in 0..25 {
        // Anybody can make one up: its checksum is no secret.
        let token = CardToken::draw(std::array::from_fn(|_| number)).to_string();
        let refused = browser.try_once(&token);
        let found = (refused.status, refused.error("code"));
        assert_eq!(found, (404, "resource_missing".to_owned()), "{token}");
    }
    assert_eq!(Browser::at(&world, &id).pay(GOOD)["state"], "paid");
    // Nor does one that would pay while no provider can be reached.
    world.provider_leaves(true);
    let token = browser.token(GOOD);
    for _ in 0..25 {
        let told = browser.try_token(&token);
        assert_eq!(
            (told.status, &told.json()["state"]),
            (200, &json!("again")),
            "{}",
            text(&told)
        );
    }
    assert_eq!(world.charges(), 1);
    world.stop();
}

#[test]
fn what_is_sent_many_times_at_once_gives_back_no_more_than_it_took() {
    let world = World::start();
    let id = link(&world, "amount=5&currency=eur");
    for _ in 0..10 {
        assert_eq!(Browser::at(&world, &id).pay(POOR)["state"], "declined");
    }
    let mut browser = Browser::at(&world, &id);
    let token = browser.token(GOOD);
    assert_eq!(browser.try_once(&token).json()["state"], "begun");
    let (session, cookie) = (browser.session.clone(), browser.cookie.clone());
    std::thread::scope(|threads| {
        for _ in 0..8 {
            threads.spawn(|| {
                let mut browser = Browser {
                    world: &world,
                    link: id.clone(),
                    session: session.clone(),
                    cookie: cookie.clone(),
                };
                assert_eq!(browser.try_once(&token).json()["state"], "paid");
            });
        }
    });
    for _ in 0..10 {
        assert_eq!(Browser::at(&world, &id).pay(POOR)["state"], "declined");
    }
    let mut browser = Browser::at(&world, &id);
    let token = browser.token(POOR);
    assert_eq!(browser.try_token(&token).status, 429);
    assert_eq!(world.charges(), 1);
    world.stop();
}

#[test]
fn customers_of_one_link_fill_no_vault_with_cards() {
    // Whatever is configured.
    let world = World::start_with(|options| options.rate_limit = None);
    let id = link(&world, "amount=5&currency=eur");
    let browser = Browser::at(&world, &id);
    let token = browser.token(GOOD);
    let mut made = 1;
    // Some come back while this goes on.
    let refused = loop {
        let answer = browser.token_answer(GOOD);
        if answer.status != 200 {
            break answer;
        }
        made += 1;
        assert!(made < 2000, "they are without end");
    };
    assert_eq!(
        (refused.status, refused.error("code").as_str()),
        (429, "rate_limited")
    );
    assert!(made >= 200, "{made}");
    assert_ne!(token, office_token(&world), "the merchant's own are not counted");
    let elsewhere = link(&world, "amount=5&currency=eur");
    assert_eq!(Browser::at(&world, &elsewhere).pay(GOOD)["state"], "paid");
    world.stop();
}

#[test]
fn a_page_is_loaded_as_often_as_a_key_may_ask() {
    let limit = RateLimit {
        requests_per_s: NonZeroU32::MIN,
        burst: NonZeroU32::new(5).unwrap(),
    };
    let world = World::start_with(|options| options.rate_limit = Some(limit));
    let (id, other) = (
        link(&world, "amount=5&currency=eur"),
        link(&world, "amount=5&currency=eur"),
    );
    let people = [("Accept", "text/html")];
    for path in [format!("/pay/{id}"), format!("/pay/{id}/return")] {
        // Some come back while this goes on.
        let mut answers = (0..100).map(|_| world.send("GET", &path, None, &people, b""));
        let refused = answers.find(|answer| answer.status == 429);
        let refused = refused.expect("it has a limit");
        assert_eq!(state(&refused), "trouble");
        assert!(refused.header("retry-after").is_some());
    }
    assert_eq!(world.get(&format!("/pay/{other}"), None).status, 200);
    world.stop();
}
