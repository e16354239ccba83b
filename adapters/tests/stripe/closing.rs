//! Closing attempts, so that they can no longer charge.

use crate::world::{World, about, charge};
use OperationKind::{Authorize, Capture, Refund, Sale, Void};
use florin_domain::payment::OperationKind;

#[tokio::test]
async fn a_closed_attempt_never_charges() {
    for kind in [Sale, Authorize] {
        let world = World::in_memory().await;
        let request = world.prepared(charge(kind, 1500, "pm_card_visa")).await;
        for _ in 0..2 {
            assert_eq!(world.cancel(&request).await, "cancelled");
        }
        assert_eq!(world.execute(&request).await, "cancelled");
        assert_eq!(world.query(&request).await, "cancelled");
        assert!(world.witnessed().await.is_empty(), "{kind:?}");
        world.stop().await;
    }
}

#[tokio::test]
async fn closing_under_every_fault_ends_in_proof() {
    // mode, silent, what is known at once
    for (mode, is_silent, first) in [
        ("timeout_before", true, "unknown"),
        ("timeout_after_charge", true, "unknown"),
        ("http_500", false, "unknown"),
        ("drop_connection", false, "unknown"),
        ("rate_limit", false, "rate limited"),
    ] {
        let world = World::in_memory().await;
        let request = world.prepared(charge(Sale, 1500, "pm_card_visa")).await;
        world.fault("void", mode).await;
        let closed = if is_silent {
            world.cancel_impatiently(&request).await
        } else {
            world.cancel(&request).await
        };
        assert_eq!(closed, first, "{mode}");
        world.fault_fired().await;
        let seen = if mode == "timeout_after_charge" {
            "cancelled"
        } else {
            "unknown"
        };
        assert_eq!(world.query(&request).await, seen, "{mode}");
        world.clear_faults().await;
        let mut closed = world.cancel(&request).await;
        while is_silent && closed == "unknown" {
            closed = world.cancel(&request).await;
        }
        assert_eq!(closed, "cancelled", "{mode}");
        assert_eq!(world.execute(&request).await, "cancelled", "{mode}");
        assert!(world.witnessed().await.is_empty(), "{mode}");
        world.stop().await;
    }
}

#[tokio::test]
async fn closing_too_late_tells_what_happened() {
    let world = World::in_memory().await;
    let sale = world.prepared(charge(Sale, 1500, "pm_card_visa")).await;
    assert_eq!(world.execute(&sale).await, "succeeded 1500");
    assert_eq!(world.cancel(&sale).await, "succeeded 1500");
    let refund = about(sale.reference.as_ref().unwrap(), Refund, 1, 200);
    assert_eq!(
        world.cancel(&refund).await,
        "unknown",
        "its request may be on its way"
    );
    assert_eq!(world.execute(&refund).await, "succeeded 200");
    assert_eq!(world.cancel(&refund).await, "succeeded 200");
    assert_eq!(world.witnessed().await.len(), 2);
    world.stop().await;
}

#[tokio::test]
async fn closing_a_capture_or_a_void_leaves_the_authorization_alone() {
    let world = World::in_memory().await;
    let intent = world.charged(Authorize, 1500).await;
    let (capture, void) = (about(&intent, Capture, 1, 400), about(&intent, Void, 1, 1100));
    for request in [&capture, &void] {
        assert_eq!(world.cancel(request).await, "unknown");
    }
    assert_eq!(world.execute(&capture).await, "succeeded 400");
    assert_eq!(world.cancel(&capture).await, "succeeded 400");
    assert_eq!(world.execute(&void).await, "succeeded 1100");
    assert_eq!(world.cancel(&void).await, "succeeded 1100");
    assert_eq!(world.cancel(&capture).await, "succeeded 400");
    assert_eq!(world.witnessed().await.len(), 3);
    world.stop().await;
}

#[tokio::test]
async fn an_authorization_that_is_closed_late_is_released() {
    let world = World::in_memory().await;
    let request = world.prepared(charge(Authorize, 1500, "pm_card_visa")).await;
    assert_eq!(world.execute(&request).await, "succeeded 1500");
    assert_eq!(world.cancel(&request).await, "cancelled");
    let rows = world.witnessed().await;
    assert_eq!(rows.len(), 2);
    assert!(rows[1].starts_with("void 1500 "), "{rows:?}");
    world.stop().await;
}
