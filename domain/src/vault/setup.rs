//! Cards that are set up to be charged later, and the consent of those whose cards they are.

use super::Profile;
use crate::ids::{CustomerId, MandateId, MethodId, SetupId};
use crate::time::Timestamp;

/// Where setting a card up stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetupStatus {
    /// Nobody has said which card.
    RequiresMethod,
    /// It waits to be confirmed.
    RequiresConfirmation,
    /// The card is set up.
    Succeeded,
    /// It was given up.
    Canceled,
}

impl SetupStatus {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::RequiresMethod,
        Self::RequiresConfirmation,
        Self::Succeeded,
        Self::Canceled,
    ];

    /// The word on the wire, and in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RequiresMethod => "requires_payment_method",
            Self::RequiresConfirmation => "requires_confirmation",
            Self::Succeeded => "succeeded",
            Self::Canceled => "canceled",
        }
    }

    /// Nothing but what is said of it changes any more.
    pub const fn is_final(self) -> bool {
        match self {
            Self::Succeeded | Self::Canceled => true,
            Self::RequiresMethod | Self::RequiresConfirmation => false,
        }
    }
}

/// A card that is being set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedSetup {
    /// Its id.
    pub id: SetupId,
    /// When it was made.
    pub created_at: Timestamp,
    /// Where it stands.
    pub status: SetupStatus,
    /// Which card.
    pub method: Option<MethodId>,
    /// Whose it becomes.
    pub customer: Option<CustomerId>,
    /// It is meant to be charged when its customer is not there.
    pub off_session: bool,
    /// The consent that was recorded.
    pub mandate: Option<MandateId>,
    /// What is said of it: description, metadata, why it was given up.
    pub profile: Profile,
}

/// Somebody's consent to later charges, as the merchant says that it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mandate {
    /// Its id.
    pub id: MandateId,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// Of which card.
    pub method: MethodId,
    /// Whose.
    pub customer: Option<CustomerId>,
    /// How it was given: `type`, `accepted_at`, `online[ip_address]`, `online[user_agent]`.
    pub consent: Profile,
    /// Its card can still be charged. It is found out when the mandate is read, and not kept.
    pub is_active: bool,
}

/// What a merchant wants of a card that is set up; what is left out stays.
#[derive(Debug, Default)]
pub struct SetupSaid {
    /// Which card.
    pub method: Option<MethodId>,
    /// Whose it becomes.
    pub customer: Option<CustomerId>,
    /// What is said of it.
    pub said: Profile,
}

/// A card is set up now.
#[derive(Debug, Default)]
pub struct Confirmed {
    /// This card, if not the one that was named before.
    pub method: Option<MethodId>,
    /// The consent that was given.
    pub consent: Option<Profile>,
}
