//! The way back from a customer's bank: what it gave along is not lost, whichever browser it leads to.

use super::*;

/// Where the bank of the newest payment leads to, with what it gives along.
fn way_back(world: &World, brought: &str) -> String {
    let place = payments(world)[0]["next_action"]["redirect_to_url"]["return_url"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = place.strip_prefix("http://florin").unwrap();
    format!("{path}&redirectResult={brought}")
}

/// Where a page that waits looks next.
fn next_look(page: &Answer) -> String {
    let page = text(page);
    let (_, rest) = page.split_once(";url=").unwrap();
    rest.split('"').next().unwrap().replace("&amp;", "&")
}

#[test]
fn what_a_bank_gave_along_is_brought_again_until_the_provider_has_it() {
    let world = World::start();
    let mut browser = Browser::at(&world, &link(&world, "amount=5&currency=eur"));
    assert_eq!(browser.pay(CHALLENGED)["state"], "challenge");
    world.provider_leaves(true);
    let mut page = browser.visit(&format!("/pay/{}/return?redirectResult=passed", browser.link));
    for _ in 0..2 {
        assert_eq!((page.status, state(&page).as_str()), (200, "waiting"));
        page = browser.visit(&next_look(&page));
    }
    assert_eq!(world.charges(), 0);
    world.provider_leaves(false);
    let place = next_look(&page);
    assert!(place.contains("?redirectResult=passed&looks=3"), "{place}");
    assert_eq!(browser.visit(&place).status, 303);
    assert_eq!(state(&browser.load()), "paid");
    assert_eq!(
        browser.visit(&place).status,
        303,
        "what is done is not done again"
    );
    assert_eq!((world.charges(), payments(&world).len()), (1, 1));
    world.stop();
}

#[test]
fn a_provider_is_asked_about_a_payment_only_so_often() {
    let world = World::start();
    let mut browser = Browser::at(&world, &link(&world, "amount=5&currency=eur"));
    assert_eq!(browser.pay(CHALLENGED)["state"], "challenge");
    // More than come back while this goes on.
    for _ in 0..20 {
        assert_eq!(state(&browser.come_back()), "waiting");
    }
    let waits = browser.visit(&format!("/pay/{}/return?redirectResult=passed", browser.link));
    assert_eq!((waits.status, state(&waits).as_str()), (200, "waiting"));
    assert!(
        next_look(&waits).contains("?redirectResult=passed&"),
        "it is brought again"
    );
    assert_eq!(world.charges(), 0);
    // Another customer of the same link does not wait for that.
    let mut other = Browser::at(&world, &browser.link);
    assert_eq!(other.pay(CHALLENGED)["state"], "challenge");
    let back = other.visit(&format!("/pay/{}/return?redirectResult=passed", other.link));
    assert_eq!((back.status, world.charges()), (303, 1));
    world.stop();
}

#[test]
fn only_a_few_different_details_are_tried_at_one_challenge() {
    let world = World::start();
    let mut browser = Browser::at(&world, &link(&world, "amount=5&currency=eur"));
    assert_eq!(browser.pay(CHALLENGED)["state"], "challenge");
    let id = payments(&world)[0]["id"].as_str().unwrap().to_owned();
    let history = |world: &World| world.get(&format!("/v1/payments/{id}/history"), Some(A)).body;
    let mut bring = |details: &str| {
        let back = browser.visit(&format!("/pay/{}/return?redirectResult={details}", browser.link));
        (back.status, state(&back))
    };
    let waits = (200, "waiting".to_owned());
    world.provider_leaves(true);
    for details in ["passed", "b", "c", "d"] {
        let before = history(&world);
        assert_eq!(bring(details), waits);
        assert_ne!(history(&world), before, "{details}");
    }
    let before = history(&world);
    for details in ["e", "f"] {
        assert_eq!(bring(details), waits);
    }
    assert_eq!(
        history(&world),
        before,
        "a payment takes no questions without end"
    );
    world.provider_leaves(false);
    assert_eq!(bring("passed").0, 303, "what was brought before may ask again");
    assert_eq!(state(&browser.load()), "paid");
    assert_eq!(world.charges(), 1);
    world.stop();
}

#[test]
fn a_bank_may_lead_back_to_another_browser() {
    let world = World::start();
    for form in ["amount=5&currency=eur", "amount=5&currency=eur&single_use=true"] {
        let before = world.charges();
        let mut browser = Browser::at(&world, &link(&world, form));
        assert_eq!(browser.pay(CHALLENGED)["state"], "challenge");
        let place = way_back(&world, "passed");
        let visit = |path: &str| world.get(path, None);
        // Without the seal it is anybody's.
        let (path, query) = place.split_once("?of=").unwrap();
        let (payment, rest) = query.split_once('.').unwrap();
        let forged = format!("{path}?of={payment}.{:032x}&redirectResult=passed", 7);
        let other = format!("{path}?of=pay_{}.{rest}", "0".repeat(26));
        for path in [format!("{path}?redirectResult=passed"), forged, other] {
            let _ = visit(&path);
            assert_eq!(world.charges(), before, "{path}");
        }
        world.provider_leaves(true);
        let waits = visit(&place);
        assert_eq!((waits.status, state(&waits).as_str()), (200, "waiting"));
        world.provider_leaves(false);
        let next = next_look(&waits);
        assert!(next.contains("redirectResult=passed&of=pay_"), "{next}");
        let paid = visit(&next);
        assert_eq!((paid.status, state(&paid).as_str()), (200, "paid"));
        assert!(!text(&paid).contains("ending in"), "{}", text(&paid));
        assert!(paid.header("set-cookie").is_none(), "it may pay another time");
        assert_eq!(state(&browser.load()), "paid");
        assert_eq!(world.charges(), before + 1);
    }
    world.stop();
}

#[test]
fn another_browser_hears_of_a_decline_and_begins_no_payment() {
    let world = World::start();
    let mut browser = Browser::at(&world, &link(&world, "amount=5&currency=eur"));
    assert_eq!(browser.pay(CHALLENGED)["state"], "challenge");
    let declined = world.get(&way_back(&world, "failed"), None);
    assert_eq!((declined.status, state(&declined).as_str()), (200, "closed"));
    assert!(
        text(&declined).contains("Your bank could not confirm"),
        "{}",
        text(&declined)
    );
    assert_eq!(state(&browser.load()), "form");
    assert_eq!(browser.pay(GOOD)["state"], "paid");
    assert_eq!((world.charges(), payments(&world).len()), (1, 1));
    world.stop();
}

#[test]
fn a_way_back_of_one_link_is_none_of_another() {
    let world = World::start();
    let mut browser = Browser::at(&world, &link(&world, "amount=5&currency=eur"));
    let other = link(&world, "amount=6&currency=eur");
    assert_eq!(browser.pay(CHALLENGED)["state"], "challenge");
    let place = way_back(&world, "passed").replace(&browser.link, &other);
    assert_eq!(world.get(&place, None).status, 303);
    assert_eq!(world.charges(), 0);
    world.stop();
}
