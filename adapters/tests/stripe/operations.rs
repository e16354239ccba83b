//! What every operation does when nothing goes wrong, asked once and again.

use crate::world::{World, about, brief, charge, key};
use OperationKind::{Authorize, Capture, Increment, Refund, Sale, Void};
use florin_domain::ids::{OperationId, ReversalId};
use florin_domain::payment::OperationKind;
use florin_domain::ports::{AttemptRequest, Provider};
use florin_domain::provider::Outcome;

/// Executes it, twice more under its key, and looks: it says the same each time.
async fn done(world: &World, request: &AttemptRequest, expected: &str) {
    for repeat in 0..3 {
        assert_eq!(world.execute(request).await, expected, "{repeat}: {request:?}");
    }
    assert_eq!(world.query(request).await, expected, "{request:?}");
}

fn row(word: &str, request: &AttemptRequest) -> String {
    format!("{word} {} {}", request.amount.minor(), key(request.operation))
}

#[tokio::test]
async fn sales_and_authorizations_happen_once_and_name_their_charge() {
    for kind in [Sale, Authorize] {
        for method in ["pm_card_visa", "pm_card_mastercard", "pm_card_amex"] {
            let world = World::in_memory().await;
            let request = world.prepared(charge(kind, 1500, method)).await;
            assert_eq!(world.query(&request).await, "unknown");
            assert!(world.witnessed().await.is_empty());
            done(&world, &request, "succeeded 1500").await;
            assert_eq!(world.witnessed().await, [row(kind.as_str(), &request)]);
            let Outcome::Succeeded {
                reference,
                transaction,
                ..
            } = world.provider.query(&request).await
            else {
                panic!("{request:?}")
            };
            assert_eq!(Some(reference), request.reference);
            assert!(transaction.starts_with("ch_"), "{transaction}");
            world.stop().await;
        }
    }
}

/// As after a restart, when the security code is gone, or under a version that says it otherwise.
#[tokio::test]
async fn a_charge_that_is_sent_otherwise_under_its_key_is_read_and_done_once() {
    for (kind, method, expected) in [
        (Sale, "pm_card_visa", "succeeded 1500"),
        (Authorize, "pm_card_visa", "succeeded 1500"),
        (
            Sale,
            "pm_card_visa_chargeDeclinedInsufficientFunds",
            "declined insufficient_funds",
        ),
        (Sale, "pm_card_threeDSecure2Required", "action required"),
    ] {
        let world = World::in_memory().await;
        let request = world.prepared(charge(kind, 1500, method)).await;
        assert_eq!(world.execute(&request).await, expected);
        let otherwise = AttemptRequest {
            reference: request.reference.clone(),
            ..charge(kind, 1500, "pm_card_mastercard")
        };
        assert_eq!(world.execute(&otherwise).await, expected, "{method}");
        let charged = usize::from(expected.starts_with("succeeded"));
        assert_eq!(world.witnessed().await.len(), charged, "{method}");
        world.stop().await;
    }
}

/// Versions before this one made intents with their method, and confirmed them without.
#[tokio::test]
async fn an_attempt_of_an_older_form_goes_on_and_is_charged_once() {
    let world = World::in_memory().await;
    let request = charge(Sale, 1500, "pm_card_visa");
    let old = "amount=1500&currency=usd&payment_method=pm_card_visa&payment_method_types[]=card&capture_method=automatic";
    let made = world.post_as_of_old("/v1/payment_intents", "-create", old).await;
    let unheard = world.prepared(request.clone()).await;
    assert_ne!(unheard.reference.as_deref(), made["id"].as_str());
    assert_eq!(world.execute(&unheard).await, "succeeded 1500");
    assert_eq!(world.witnessed().await.len(), 1);
    world.stop().await;

    for is_confirmed in [false, true] {
        let world = World::in_memory().await;
        let made = world.post_as_of_old("/v1/payment_intents", "-create", old).await;
        let id = made["id"].as_str().unwrap();
        if is_confirmed {
            let path = format!("/v1/payment_intents/{id}/confirm");
            assert_eq!(world.post_as_of_old(&path, "", "").await["status"], "succeeded");
        }
        let heard = AttemptRequest {
            reference: Some(id.into()),
            ..request.clone()
        };
        assert_eq!(world.execute(&heard).await, "succeeded 1500", "{is_confirmed}");
        assert_eq!(world.witnessed().await, [row("sale", &heard)], "{is_confirmed}");
        world.stop().await;
    }
}

#[tokio::test]
async fn declines_are_declines_whenever_they_are_asked_about() {
    let table = [
        ("pm_card_visa_chargeDeclined", "declined generic_decline"),
        (
            "pm_card_visa_chargeDeclinedInsufficientFunds",
            "declined insufficient_funds",
        ),
        ("pm_card_visa_chargeDeclinedExpiredCard", "declined expired_card"),
        (
            "pm_card_visa_chargeDeclinedIncorrectCvc",
            "declined incorrect_cvc",
        ),
        ("pm_card_chargeCustomerFail", "declined generic_decline"),
        ("pm_card_riskLevelHighest", "declined fraudulent"),
    ];
    for (method, expected) in table {
        for kind in [Sale, Authorize] {
            let world = World::in_memory().await;
            let request = world.prepared(charge(kind, 1500, method)).await;
            done(&world, &request, expected).await;
            assert!(world.witnessed().await.is_empty(), "{method}");
            world.stop().await;
        }
    }
}

#[tokio::test]
async fn an_authorization_is_captured_in_parts_and_each_capture_is_found_again() {
    let world = World::in_memory().await;
    let intent = world.charged(Authorize, 1500).await;
    let mut captures = Vec::new();
    for (number, amount_minor) in [(1, 400), (2, 300), (3, 500)] {
        let capture = AttemptRequest {
            is_final: number == 3,
            ..about(&intent, Capture, number, amount_minor)
        };
        assert_eq!(world.query(&capture).await, "unknown");
        done(&world, &capture, &format!("succeeded {amount_minor}")).await;
        captures.push(capture);
    }
    for capture in &captures {
        assert_eq!(
            world.query(capture).await,
            format!("succeeded {}", capture.amount.minor())
        );
    }
    let late = about(&intent, Capture, 4, 300);
    assert_eq!(
        world.execute(&late).await,
        "rejected",
        "the last capture was final"
    );
    assert_eq!(
        world.witnessed().await[1..],
        captures
            .iter()
            .map(|capture| row("capture", capture))
            .collect::<Vec<_>>()
    );
    world.stop().await;
}

#[tokio::test]
async fn an_authorization_can_be_captured_whole() {
    let world = World::in_memory().await;
    let intent = world.charged(Authorize, 1500).await;
    let capture = AttemptRequest {
        is_final: true,
        ..about(&intent, Capture, 1, 1500)
    };
    done(&world, &capture, "succeeded 1500").await;
    assert_eq!(world.witnessed().await.len(), 2);
    world.stop().await;
}

#[tokio::test]
async fn more_than_is_authorized_is_never_captured() {
    let world = World::in_memory().await;
    let intent = world.charged(Authorize, 1500).await;
    let too_much = about(&intent, Capture, 1, 1501);
    for _ in 0..2 {
        assert_eq!(world.execute(&too_much).await, "rejected");
    }
    done(&world, &about(&intent, Capture, 2, 1000), "succeeded 1000").await;
    for is_final in [false, true] {
        let too_much = AttemptRequest {
            is_final,
            ..about(&intent, Capture, 3 + u128::from(is_final), 501)
        };
        assert_eq!(world.execute(&too_much).await, "rejected");
        assert_eq!(world.query(&too_much).await, "unknown");
    }
    done(&world, &about(&intent, Capture, 5, 500), "succeeded 500").await;
    assert_eq!(world.witnessed().await.len(), 3);
    world.stop().await;
}

#[tokio::test]
async fn an_authorization_grows_to_a_total_and_not_once_something_was_captured() {
    let world = World::in_memory().await;
    let intent = world.charged(Authorize, 1000).await;
    let grows = about(&intent, Increment, 1, 500);
    assert_eq!(world.query(&grows).await, "unknown");
    done(&world, &grows, "succeeded 500").await;
    let capture = AttemptRequest {
        is_final: false,
        ..about(&intent, Capture, 1, 1200)
    };
    done(&world, &capture, "succeeded 1200").await;
    let mut late = about(&intent, Increment, 2, 900);
    let parent = late.parent.as_mut().unwrap();
    parent.authorized = parent.authorized.checked_add(grows.amount).unwrap();
    assert_eq!(world.execute(&late).await, "rejected");
    assert_eq!(world.query(&late).await, "unknown");
    let void = about(&intent, Void, 1, 300);
    done(&world, &void, "succeeded 300").await;
    assert_eq!(
        world.witnessed().await[1..],
        [
            row("authorize", &grows),
            row("capture", &capture),
            row("void", &void)
        ]
    );
    world.stop().await;
}

#[tokio::test]
async fn a_void_releases_everything_and_nothing_can_be_captured_afterwards() {
    let world = World::in_memory().await;
    let intent = world.charged(Authorize, 1500).await;
    let void = about(&intent, Void, 1, 1500);
    assert_eq!(world.query(&void).await, "unknown");
    done(&world, &void, "succeeded 1500").await;
    let capture = about(&intent, Capture, 1, 1);
    assert_eq!(world.execute(&capture).await, "cancelled");
    assert_eq!(world.query(&capture).await, "cancelled");
    assert_eq!(world.witnessed().await[1..], [row("void", &void)]);
    world.stop().await;
}

#[tokio::test]
async fn a_void_after_a_capture_releases_the_rest_and_leaves_the_capture() {
    let world = World::in_memory().await;
    let intent = world.charged(Authorize, 1500).await;
    let capture = about(&intent, Capture, 1, 400);
    done(&world, &capture, "succeeded 400").await;
    let void = about(&intent, Void, 1, 1100);
    done(&world, &void, "succeeded 1100").await;
    assert_eq!(world.query(&capture).await, "succeeded 400");
    let refund = about(&intent, Refund, 1, 400);
    done(&world, &refund, "succeeded 400").await;
    assert_eq!(
        world.witnessed().await[1..],
        [
            row("capture", &capture),
            row("void", &void),
            row("refund", &refund)
        ]
    );
    world.stop().await;
}

#[tokio::test]
async fn what_was_taken_whole_cannot_be_voided() {
    let world = World::in_memory().await;
    let intent = world.charged(Sale, 1500).await;
    let void = about(&intent, Void, 1, 1500);
    assert_eq!(world.execute(&void).await, "rejected");
    assert_eq!(world.query(&void).await, "unknown");
    assert_eq!(world.witnessed().await.len(), 1);
    world.stop().await;
}

#[tokio::test]
async fn refunds_add_up_to_what_was_captured_and_not_to_more() {
    let world = World::in_memory().await;
    let intent = world.charged(Authorize, 1500).await;
    assert_eq!(
        world.execute(&about(&intent, Refund, 1, 1)).await,
        "rejected",
        "nothing was captured"
    );
    let capture = about(&intent, Capture, 1, 1000);
    done(&world, &capture, "succeeded 1000").await;
    let refunds = [
        about(&intent, Refund, 2, 300),
        about(&intent, Refund, 3, 300),
        about(&intent, Refund, 4, 400),
    ];
    for refund in &refunds[..2] {
        assert_eq!(world.query(refund).await, "unknown");
        done(&world, refund, &format!("succeeded {}", refund.amount.minor())).await;
    }
    assert_eq!(world.execute(&about(&intent, Refund, 5, 401)).await, "rejected");
    done(&world, &refunds[2], "succeeded 400").await;
    assert_eq!(world.execute(&about(&intent, Refund, 6, 1)).await, "rejected");
    for refund in &refunds {
        // By the list of the intent's refunds, and by the reference that was found there.
        let outcome = world.provider.query(refund).await;
        assert_eq!(brief(&outcome), format!("succeeded {}", refund.amount.minor()));
        let Outcome::Succeeded { reference, .. } = &outcome else {
            panic!("{outcome:?}")
        };
        let known = AttemptRequest {
            reference: Some(reference.clone()),
            ..refund.clone()
        };
        assert_eq!(world.provider.query(&known).await, outcome);
    }
    assert_eq!(
        world.witnessed().await[2..],
        refunds
            .iter()
            .map(|refund| row("refund", refund))
            .collect::<Vec<_>>()
    );
    world.stop().await;
}

#[tokio::test]
async fn a_refund_is_found_behind_a_hundred_newer_ones() {
    let world = World::in_memory().await;
    let intent = world.charged(Sale, 1500).await;
    for number in 1..=105 {
        let refund = about(&intent, Refund, number, 1);
        assert_eq!(world.execute(&refund).await, "succeeded 1");
    }
    assert_eq!(world.query(&about(&intent, Refund, 1, 1)).await, "succeeded 1");
    assert_eq!(world.query(&about(&intent, Refund, 106, 1)).await, "unknown");
    world.stop().await;
}

#[tokio::test]
async fn a_sale_is_refunded_whole_and_a_disputed_one_is_not() {
    let world = World::in_memory().await;
    let intent = world.charged(Sale, 1500).await;
    done(&world, &about(&intent, Refund, 1, 1500), "succeeded 1500").await;
    world.stop().await;

    let world = World::in_memory().await;
    let disputed = world.prepared(charge(Sale, 1500, "pm_card_createDispute")).await;
    assert_eq!(world.execute(&disputed).await, "succeeded 1500");
    let refund = about(&disputed.reference.unwrap(), Refund, 1, 1500);
    assert_eq!(world.execute(&refund).await, "rejected");
    assert_eq!(world.witnessed().await.len(), 1);
    world.stop().await;
}

#[tokio::test]
async fn a_late_charge_is_given_back_by_a_refund_or_a_void_in_the_name_of_its_reversal() {
    for (made, asked) in [(Sale, Refund), (Authorize, Void)] {
        let world = World::in_memory().await;
        let intent = world.charged(made, 1500).await;
        let mut request = about(&intent, asked, 1, 1500);
        request.operation = OperationId::Reversal(ReversalId::from_bits(1));
        assert_eq!(world.query(&request).await, "unknown");
        done(&world, &request, "succeeded 1500").await;
        assert_eq!(world.query(&request).await, "succeeded 1500");
        world.stop().await;
    }
}
