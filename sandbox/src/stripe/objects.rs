//! Payment intents with their charge, and refunds, as they are kept and stored.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::metadata::Metadata;
use super::methods::{Failure, TestMethod};

/// Largest amount of one operation, in minor units.
pub(crate) const AMOUNT_MINOR_MAX: u64 = 999_999_999_999;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Intent {
    pub(crate) seq: u64,
    /// Unix seconds.
    pub(crate) created: u64,
    pub(crate) amount_minor: u64,
    pub(crate) currency: Currency,
    pub(crate) capture_method: CaptureMethod,
    /// Captures that are not final leave the rest capturable.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) multicapture: bool,
    /// The authorization may grow until the first capture.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) incremental: bool,
    pub(crate) status: IntentStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) method: Option<TestMethod>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) customer: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<Box<str>>,
    pub(crate) metadata: Metadata,
    /// The latest charge, failed or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) charge: Option<Charge>,
    /// The latest challenge, over or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) challenge: Option<Challenge>,
    /// The method whose owner failed the latest challenge, until the next confirmation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unauthenticated: Option<TestMethod>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) canceled: Option<Canceled>,
}

/// The customer was asked to prove who they are.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Challenge {
    /// The key of the confirmation that asked, under which the charge is witnessed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<Box<str>>,
    /// Where the browser goes afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) return_url: Option<Box<str>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Charge {
    pub(crate) seq: u64,
    /// Unix seconds.
    pub(crate) created: u64,
    pub(crate) method: TestMethod,
    /// Why nothing was authorized. The amounts are zero then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<Failure>,
    pub(crate) capturable_minor: u64,
    pub(crate) captured_minor: u64,
    pub(crate) refunded_minor: u64,
    /// How often something was captured.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) captures: u32,
    /// How often the authorization was asked to grow, declines included.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) increments: u32,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Canceled {
    /// Unix seconds.
    pub(crate) at: u64,
    pub(crate) reason: Option<CancellationReason>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Refund {
    pub(crate) seq: u64,
    /// Unix seconds.
    pub(crate) created: u64,
    pub(crate) amount_minor: u64,
    pub(crate) currency: Currency,
    pub(crate) intent_seq: u64,
    pub(crate) charge_seq: u64,
    pub(crate) method: TestMethod,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<RefundReason>,
    pub(crate) metadata: Metadata,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum IntentStatus {
    RequiresPaymentMethod,
    RequiresConfirmation,
    RequiresAction,
    RequiresCapture,
    Canceled,
    Succeeded,
}

impl IntentStatus {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RequiresPaymentMethod => "requires_payment_method",
            Self::RequiresConfirmation => "requires_confirmation",
            Self::RequiresAction => "requires_action",
            Self::RequiresCapture => "requires_capture",
            Self::Canceled => "canceled",
            Self::Succeeded => "succeeded",
        }
    }
}

/// Declares an enum whose variants have exactly one spelling each on the wire and in the log.
macro_rules! wire_enum {
    ($name:ident { $($variant:ident = $text:literal),+ $(,)? }) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub(crate) enum $name {
            $(#[serde(rename = $text)] $variant),+
        }

        impl $name {
            pub(crate) const NAMES: &'static [&'static str] = &[$($text),+];

            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            pub(crate) fn named(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

wire_enum!(CaptureMethod { Automatic = "automatic", Manual = "manual" });

wire_enum!(CancellationReason {
    Duplicate = "duplicate",
    Fraudulent = "fraudulent",
    RequestedByCustomer = "requested_by_customer",
    Abandoned = "abandoned",
});

wire_enum!(RefundReason {
    Duplicate = "duplicate",
    Fraudulent = "fraudulent",
    RequestedByCustomer = "requested_by_customer",
});

impl Charge {
    /// What can still be refunded, in minor units.
    pub(crate) fn refundable_minor(&self) -> u64 {
        self.captured_minor - self.refunded_minor
    }
}

impl Intent {
    pub(crate) fn capturable_minor(&self) -> u64 {
        self.charge.as_ref().map_or(0, |charge| charge.capturable_minor)
    }

    pub(crate) fn received_minor(&self) -> u64 {
        self.charge.as_ref().map_or(0, |charge| charge.captured_minor)
    }
}

/// Three lower-case ASCII letters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Currency([u8; 3]);

impl Currency {
    /// Accepts either case.
    pub(crate) fn named(text: &str) -> Option<Self> {
        let mut letters: [u8; 3] = text.as_bytes().try_into().ok()?;
        letters.make_ascii_lowercase();
        letters
            .iter()
            .all(u8::is_ascii_lowercase)
            .then_some(Self(letters))
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a currency is three ASCII letters")
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        Self::named(text).ok_or_else(|| serde::de::Error::custom("not a currency"))
    }
}
