//! The capability record: it agrees with itself, and with what the adapter has.

use crate::peer::{Act, Peer};
use crate::stage::{APPROVED, attempt};
use crate::subject::{Class, PATIENT, Subject};
use florin_domain::limits::ATTEMPT_RETRY_WINDOW;
use florin_domain::payment::OperationKind;
use florin_domain::ports::ParentCharge;
use florin_domain::provider::Voids;
use std::sync::Arc;

const ALL: [OperationKind; 6] = [
    OperationKind::Sale,
    OperationKind::Authorize,
    OperationKind::Capture,
    OperationKind::Void,
    OperationKind::Refund,
    OperationKind::Increment,
];

/// What recovery relies on holds by the record alone.
pub(crate) fn agrees_with_itself(subject: &Subject) {
    if subject.is_unwritten() {
        return;
    }
    let provider = subject.patient("http://127.0.0.1:9".to_owned());
    let can = provider.capabilities();
    // A request is repeated under its key so long: with a margin for clocks and queues, the provider must still know it.
    assert!(
        ATTEMPT_RETRY_WINDOW.0 * 10 <= can.key_lifetime.0 * 8,
        "keys are remembered for {} ms, requests repeated for {} ms",
        can.key_lifetime.0,
        ATTEMPT_RETRY_WINDOW.0
    );
    assert_eq!(
        u128::from(can.time_limit.0),
        PATIENT.as_millis(),
        "the configured timeout"
    );
    let closes = match can.recovery.voids {
        Voids::None => false,
        Voids::Object | Voids::Reference => true,
    };
    assert_eq!(can.cancel_closes, closes, "closing and its means go together");
    // Who never makes a reference of its own before the charge must be found by ours, or be asked otherwise.
    assert!(
        can.prepares || can.recovery.voids.needs_no_object() || !can.cancel_closes,
        "a charge whose answer was lost has no reference to be closed by"
    );
}

/// What it does not have is refused before anybody is connected to; what it has goes out.
pub(crate) async fn is_what_the_adapter_does(subject: &Subject) {
    if subject.is_unwritten() {
        return;
    }
    for kind in ALL {
        let peer = Peer::start(Act::Close);
        let provider = subject.patient(format!("http://{}{}", peer.address, subject.base));
        let mut request = attempt(kind, APPROVED);
        let reference = Arc::from("REFERENCE1");
        if matches!(kind, OperationKind::Sale | OperationKind::Authorize) {
            request.reference = provider.capabilities().prepares.then_some(reference);
        } else {
            request.parent = Some(ParentCharge {
                reference,
                authorized: florin_domain::money::MinorSum::ZERO
                    .checked_add(request.amount)
                    .unwrap(),
            });
        }
        let class = Class::of(&provider.execute(&request).await);
        let connections = peer.stop().await;
        if subject.operations.contains(&kind) {
            assert_eq!(class, Class::Unknown, "{kind:?}");
            assert!(connections > 0, "{kind:?} is said to be there and was not sent");
        } else {
            assert_eq!(class, Class::Rejected, "{kind:?}");
            assert_eq!(connections, 0, "{kind:?} is not there and was sent");
        }
    }
}
