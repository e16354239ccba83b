//! 3-D Secure: the customer passes, fails, is cut short, or comes after a restart.

use crate::world::{World, brief, charge, key};
use OperationKind::{Authorize, Sale};
use florin_domain::payment::OperationKind;
use florin_domain::ports::{AttemptRequest, Provider};
use florin_domain::provider::Outcome;

const METHODS: [&str; 2] = ["pm_card_threeDSecure2Required", "pm_card_authenticationRequired"];
const RETURN_URL: &str = "http://127.0.0.1/pay/back?order=7";

async fn challenged(world: &World, kind: OperationKind, method: &str) -> AttemptRequest {
    let request = AttemptRequest {
        return_url: Some(RETURN_URL.into()),
        ..charge(kind, 1500, method)
    };
    let request = world.prepared(request).await;
    assert_eq!(world.execute(&request).await, "action required", "{method}");
    request
}

/// Where the customer must go, if the attempt still waits for that.
async fn page(world: &World, request: &AttemptRequest) -> String {
    let outcome = world.provider.query(request).await;
    let Outcome::ActionRequired {
        reference,
        redirect_url: Some(url),
    } = outcome
    else {
        panic!("{outcome:?}")
    };
    assert_eq!(Some(&reference), request.reference.as_ref());
    assert_eq!(*url, *format!("http://{}/3ds/{reference}", world.address()));
    url.to_string()
}

/// Presses a button; where the browser is sent.
async fn press(world: &World, page: &str, button: &str) -> String {
    let answer = world.visit("POST", &format!("{page}/{button}"), "").await;
    assert_eq!(answer.status(), 303);
    answer.headers()["location"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_passed_challenge_charges_once_and_is_found_by_a_look() {
    for kind in [Sale, Authorize] {
        for method in METHODS {
            let world = World::in_memory().await;
            let request = challenged(&world, kind, method).await;
            let page = page(&world, &request).await;
            assert_eq!(world.visit("GET", &page, "").await.status(), 200);
            assert!(world.witnessed().await.is_empty());
            let back = press(&world, &page, "complete").await;
            let reference = request.reference.clone().unwrap();
            assert!(
                back.starts_with(&format!("{RETURN_URL}&payment_intent={reference}&")),
                "{back}"
            );
            assert!(back.ends_with("&redirect_status=succeeded"), "{back}");
            let outcome = world.provider.query(&request).await;
            assert!(
                matches!(&outcome, Outcome::Succeeded { reference: found, transaction, amount_minor: 1500 }
                    if *found == reference && transaction.starts_with("ch_")),
                "{outcome:?}"
            );
            for button in ["complete", "fail"] {
                assert_eq!(press(&world, &page, button).await, back);
            }
            assert_eq!(brief(&world.provider.query(&request).await), "succeeded 1500");
            let expected = format!("{} 1500 {}", kind.as_str(), key(request.operation));
            assert_eq!(world.witnessed().await, [expected]);
            world.stop().await;
        }
    }
}

#[tokio::test]
async fn a_failed_challenge_is_a_decline_with_its_own_code() {
    for kind in [Sale, Authorize] {
        let world = World::in_memory().await;
        let request = challenged(&world, kind, METHODS[0]).await;
        let page = page(&world, &request).await;
        let back = press(&world, &page, "fail").await;
        assert!(back.ends_with("&redirect_status=failed"), "{back}");
        assert_eq!(
            world.query(&request).await,
            "declined payment_intent_authentication_failure"
        );
        press(&world, &page, "complete").await;
        assert!(world.witnessed().await.is_empty());
        assert_eq!(world.cancel(&request).await, "cancelled");
        world.stop().await;
    }
}

#[tokio::test]
async fn a_challenge_that_was_closed_cannot_be_passed_any_more() {
    let world = World::in_memory().await;
    let request = challenged(&world, Sale, METHODS[1]).await;
    let page = page(&world, &request).await;
    assert_eq!(world.cancel(&request).await, "cancelled");
    let back = press(&world, &page, "complete").await;
    assert!(back.ends_with("&redirect_status=failed"), "{back}");
    assert_eq!(world.query(&request).await, "cancelled");
    assert!(world.witnessed().await.is_empty());
    world.stop().await;
}

#[tokio::test]
async fn a_confirmation_whose_answer_was_lost_shows_its_challenge_to_a_look_and_to_a_repeat() {
    let world = World::in_memory().await;
    let request = world.prepared(charge(Sale, 1500, METHODS[0])).await;
    world.fault("authorize", "timeout_after_charge").await;
    assert_eq!(world.execute_impatiently(&request).await, "unknown");
    world.fault_fired().await;
    let page = page(&world, &request).await;
    assert_eq!(world.execute(&request).await, "action required");
    let done = world.visit("POST", &format!("{page}/complete"), "").await;
    assert_eq!(done.status(), 200, "without a return address it ends here");
    assert_eq!(world.query(&request).await, "succeeded 1500");
    assert_eq!(world.witnessed().await.len(), 1);
    world.stop().await;
}

#[tokio::test]
async fn challenges_outlive_the_sandbox() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::in_folder(folder.path()).await;
    let request = challenged(&world, Sale, METHODS[0]).await;
    world.stop().await;

    let world = World::in_folder(folder.path()).await;
    let page = page(&world, &request).await;
    press(&world, &page, "complete").await;
    world.stop().await;

    let world = World::in_folder(folder.path()).await;
    assert_eq!(world.query(&request).await, "succeeded 1500");
    assert_eq!(
        world.witnessed().await,
        [format!("sale 1500 {}", key(request.operation))]
    );
    world.stop().await;
}
