//! Customers who want something else than to pay.

use super::*;

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
    let (charges, before) = (world.charges(), payments(&world).len());
    let mut browser = Browser::at(&world, &id);
    let token = browser.token(GOOD);
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
