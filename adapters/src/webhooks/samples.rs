//! Endpoints, notes and rows that tests of both stores are made of.

use florin_domain::announcement::{AnnouncementKind, EventPlace};
use florin_domain::ids::{EndpointId, EventId, MerchantId, PaymentId, Seq};
use florin_domain::ports::{Clock, EndpointPage};
use florin_domain::time::Timestamp;
use florin_domain::vault::Owner;
use florin_domain::webhook::{
    DeliveryOutcome, DeliveryRow, Endpoint, EndpointChange, EndpointStatus, EventShape, Noted, SigningSecret,
    Then, WantedEvents,
};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use zeroize::Zeroizing;

/// Time that a test moves, and may hold still.
#[derive(Debug, Default)]
pub(super) struct At {
    ms: AtomicU64,
    gate: Mutex<()>,
}

impl At {
    pub(super) fn is(&self, ms: u64) {
        self.ms.store(ms, Ordering::Relaxed);
    }

    /// Nobody is told the time while this is held.
    pub(super) fn still(&self) -> MutexGuard<'_, ()> {
        self.gate.lock().unwrap()
    }
}

impl Clock for At {
    fn now(&self) -> Timestamp {
        drop(self.still());
        Timestamp::from_unix_ms(self.ms.load(Ordering::Relaxed))
    }
}

pub(super) fn owner(merchant: u128) -> Owner {
    Owner {
        merchant: MerchantId::from_bits(merchant),
        livemode: true,
    }
}

pub(super) fn place(seq: u64) -> EventPlace {
    EventPlace {
        seq: Seq(seq),
        index: 1,
    }
}

pub(super) fn secret(number: u64) -> SigningSecret {
    SigningSecret(Zeroizing::new(format!("whsec_{number}")))
}

/// The new endpoint with this id, told of what is behind a place.
pub(super) fn create(id: u128, behind: u64) -> EndpointChange {
    EndpointChange::Create {
        endpoint: Endpoint {
            id: EndpointId::from_bits(id),
            owner: owner(1),
            created_at: Timestamp::from_unix_ms(1000),
            url: Arc::from("https://shop.example/hooks"),
            wanted: WantedEvents::read(vec![Arc::from("refund.*")]).unwrap(),
            shape: EventShape::Native,
            status: EndpointStatus::Enabled,
            description: None,
            metadata: vec![(Arc::from("team"), Arc::from("checkout"))],
        },
        secret: secret(1),
        behind: place(behind),
    }
}

/// That the first endpoint was told up to a place in a generation.
pub(super) fn noted(generation: u64, told: u64) -> Noted {
    Noted {
        endpoint: EndpointId::from_bits(1),
        generation,
        told: place(told),
        parked: Vec::new(),
        failing: None,
        replay: None,
        disabled: None,
        rows: Vec::new(),
    }
}

pub(super) fn row(number: u64) -> DeliveryRow {
    DeliveryRow {
        at: Timestamp::from_unix_ms(2000 + number),
        event: EventId::from_bits(u128::from(number)),
        kind: AnnouncementKind::RefundCreated,
        payment: PaymentId::from_bits(5),
        number,
        attempt: 1,
        took_ms: 12,
        outcome: DeliveryOutcome::Status(200),
        then: Then::Delivered,
        is_replay: false,
    }
}

pub(super) fn page(limit: usize) -> EndpointPage {
    EndpointPage {
        limit,
        starting_after: None,
        ending_before: None,
    }
}
