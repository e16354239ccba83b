//! Announcements as merchants' servers are sent them.

use crate::stripe;
use crate::v1::event_body::EventBody;
use florin_domain::ports::{EventBodies, ShownEvent};
use florin_domain::webhook::EventShape;

/// Writes announcements in the words in which they can be read as well.
#[derive(Clone, Copy, Debug, Default)]
pub struct WrittenEvents;

impl EventBodies for WrittenEvents {
    fn body(&self, event: &ShownEvent, shape: EventShape) -> Option<Vec<u8>> {
        match shape {
            EventShape::Native => serde_json::to_vec(&EventBody::of(event)).ok(),
            // Without the secret of the customer's browser: it is no business of whatever reads along.
            EventShape::Stripe => serde_json::to_vec(&stripe::body::event(event, None)).ok(),
        }
    }
}
