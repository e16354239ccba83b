//! What Stripe answers with, as far as it matters here: narrow views into the body; other fields are skipped.

use crate::providers::aside::Aside;
use florin_domain::decline::NetworkDecline;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

/// Text that borrows from the body unless it holds escapes.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// A payment intent.
#[derive(Debug, Deserialize)]
pub(super) struct Intent<'a> {
    #[serde(borrow)]
    pub(super) id: Text<'a>,
    pub(super) status: Text<'a>,
    pub(super) currency: Text<'a>,
    #[serde(rename = "amount")]
    pub(super) amount_minor: u64,
    #[serde(rename = "amount_received")]
    pub(super) received_minor: Option<u64>,
    #[serde(rename = "amount_capturable")]
    pub(super) capturable_minor: Option<u64>,
    pub(super) capture_method: Option<Text<'a>>,
    pub(super) latest_charge: Option<Text<'a>>,
    pub(super) last_payment_error: Option<PaymentError<'a>>,
    pub(super) next_action: Option<NextAction<'a>>,
    pub(super) metadata: Option<Metadata<'a>>,
}

/// Where the customer must go.
#[derive(Debug, Deserialize)]
pub(super) struct NextAction<'a> {
    #[serde(borrow)]
    pub(super) redirect_to_url: Option<Redirect<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Redirect<'a> {
    #[serde(borrow)]
    pub(super) url: Option<Text<'a>>,
}

/// Why the last confirmation failed.
#[derive(Debug, Deserialize)]
pub(super) struct PaymentError<'a> {
    #[serde(borrow)]
    pub(super) code: Option<Text<'a>>,
    pub(super) decline_code: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) network_decline_code: Option<Aside<Text<'a>>>,
    #[serde(borrow)]
    pub(super) network_advice_code: Option<Aside<Text<'a>>>,
}

impl PaymentError<'_> {
    /// What the card's network said.
    pub(super) fn network(&self) -> NetworkDecline {
        network(
            self.network_decline_code.as_ref(),
            self.network_advice_code.as_ref(),
        )
    }
}

fn network(decline_code: Option<&Aside<Text<'_>>>, advice_code: Option<&Aside<Text<'_>>>) -> NetworkDecline {
    let code = |told: Option<&Aside<Text<'_>>>| told.and_then(Aside::told).map(|text| text.to_string());
    NetworkDecline::of(code(decline_code).as_deref(), code(advice_code).as_deref())
}

/// A refund.
#[derive(Debug, Deserialize)]
pub(super) struct Refund<'a> {
    #[serde(borrow)]
    pub(super) id: Text<'a>,
    pub(super) status: Option<Text<'a>>,
    pub(super) currency: Text<'a>,
    #[serde(rename = "amount")]
    pub(super) amount_minor: u64,
    pub(super) payment_intent: Option<Text<'a>>,
    pub(super) failure_reason: Option<Text<'a>>,
    pub(super) metadata: Option<Metadata<'a>>,
}

/// A charge.
#[derive(Debug, Deserialize)]
pub(super) struct Charge<'a> {
    #[serde(borrow)]
    pub(super) id: Text<'a>,
    pub(super) currency: Text<'a>,
    #[serde(rename = "amount")]
    pub(super) amount_minor: u64,
    #[serde(rename = "amount_captured")]
    pub(super) captured_minor: Option<u64>,
    pub(super) captured: bool,
    pub(super) payment_intent: Option<Text<'a>>,
    pub(super) metadata: Option<Metadata<'a>>,
}

/// What is sent by itself, apart from its object.
#[derive(Debug, Deserialize)]
pub(super) struct Event<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Text<'a>,
    pub(super) livemode: bool,
}

/// The same with an object whose kind is known by then.
#[derive(Debug, Deserialize)]
pub(super) struct EventOf<T> {
    pub(super) data: EventData<T>,
}

/// An object of any kind, as far as we wrote it.
#[derive(Debug, Deserialize)]
pub(super) struct Labelled<'a> {
    #[serde(borrow)]
    pub(super) metadata: Option<Metadata<'a>>,
}

/// What an event is about.
#[derive(Debug, Deserialize)]
pub(super) struct EventData<T> {
    pub(super) object: T,
}

/// One page of refunds.
#[derive(Debug, Deserialize)]
pub(super) struct RefundPage<'a> {
    #[serde(borrow)]
    pub(super) data: Vec<Refund<'a>>,
    pub(super) has_more: bool,
}

/// The envelope of every refusal.
#[derive(Debug, Deserialize)]
pub(super) struct Envelope<'a> {
    #[serde(borrow)]
    pub(super) error: ApiError<'a>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ApiError<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Option<Text<'a>>,
    pub(super) code: Option<Text<'a>>,
    pub(super) decline_code: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) network_decline_code: Option<Aside<Text<'a>>>,
    #[serde(borrow)]
    pub(super) network_advice_code: Option<Aside<Text<'a>>>,
    pub(super) message: Option<Text<'a>>,
    pub(super) payment_intent: Option<Intent<'a>>,
}

impl ApiError<'_> {
    /// What the card's network said.
    pub(super) fn network(&self) -> NetworkDecline {
        network(
            self.network_decline_code.as_ref(),
            self.network_advice_code.as_ref(),
        )
    }
}

/// Stripe takes no more pairs for an object.
const METADATA_PAIRS_MAX: usize = 50;

/// The pairs that we gave an object, few enough to search one after another.
#[derive(Debug)]
pub(super) struct Metadata<'a>(Vec<(Text<'a>, Text<'a>)>);

impl Metadata<'_> {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.pairs()
            .find_map(|(known, value)| (known == name).then_some(value))
    }

    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Metadata<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs<'a>(std::marker::PhantomData<&'a ()>);

        impl<'de: 'a, 'a> Visitor<'de> for Pairs<'a> {
            type Value = Metadata<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::with_capacity(4);
                while let Some(pair) = map.next_entry()? {
                    if pairs.len() == METADATA_PAIRS_MAX {
                        return Err(serde::de::Error::custom("more metadata than Stripe takes"));
                    }
                    pairs.push(pair);
                }
                Ok(Metadata(pairs))
            }
        }

        deserializer.deserialize_map(Pairs(std::marker::PhantomData))
    }
}
