//! Providers as the core sees them: a name, what they can do, and the closed set of things an attempt can come back with.

use crate::credentials::KeyOwner;
use crate::decline::NetworkDecline;
use crate::ids::{MerchantId, OperationId, PaymentId};
use crate::limits::{CALL_GIVEN_UP_MIN, CALL_GIVEN_UP_TIME_LIMITS};
use crate::money::Currency;
use crate::time::Millis;
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

/// A provider's short name, at most 16 bytes of `[a-z0-9_]`; small enough to copy into every posting.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProviderId([u8; 16]);

/// The text is not a provider name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a provider name is 1 to 16 characters of a-z, 0-9 and _")]
pub struct ProviderNameError;

impl ProviderId {
    /// Checks and packs a name.
    pub fn parse(name: &str) -> Result<Self, ProviderNameError> {
        let bytes = name.as_bytes();
        let valid = bytes
            .iter()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'_');
        if bytes.is_empty() || bytes.len() > 16 || !valid {
            return Err(ProviderNameError);
        }
        let mut packed = [0; 16];
        for (slot, byte) in packed.iter_mut().zip(bytes) {
            *slot = *byte;
        }
        Ok(Self(packed))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        let len = self.0.iter().position(|b| *b == 0).unwrap_or(16);
        self.0
            .get(..len)
            .and_then(|bytes| str::from_utf8(bytes).ok())
            .unwrap_or("")
    }
}

impl fmt::Display for ProviderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ProviderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The idempotency key sent to a provider: derived from the operation and the attempt number, journaled before it is used.
pub type ProviderKey = Arc<str>;

/// The provider's own name for the object that an attempt made (`pi_...`).
pub type ProviderReference = Arc<str>;

/// What a provider can do, and how safely; decides which recovery is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Its name.
    pub id: ProviderId,
    /// The charge is made in two requests, so that a reference is journaled before money can move.
    pub prepares: bool,
    /// How long it remembers an idempotency key.
    pub key_lifetime: Millis,
    /// An object can be read back by its reference.
    pub query_by_reference: bool,
    /// Cancelling an unconfirmed object makes it impossible to charge it later.
    pub cancel_closes: bool,
    /// How long one request may take before nothing is known of its outcome.
    pub time_limit: Millis,
    /// What else recovery may rely on.
    pub recovery: Recovery,
}

impl Capabilities {
    /// When a call is given up that has not ended: no adapter should let it come to that.
    pub const fn given_up_after(&self) -> Millis {
        let limits_ms = self.time_limit.0.saturating_mul(CALL_GIVEN_UP_TIME_LIMITS);
        if limits_ms > CALL_GIVEN_UP_MIN.0 {
            Millis(limits_ms)
        } else {
            CALL_GIVEN_UP_MIN
        }
    }
}

/// What recovery may rely on when a request was sent and nothing usable came back. The default relies on nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// An error of its own that it stored under a key is answered to every repetition of that key.
    pub stores_errors: bool,
    /// What closing a charge by our own reference comes to.
    pub voids: Voids,
    /// Captures, voids and refunds are only acknowledged; their results come as notices.
    pub notifies: bool,
    /// The question about a challenge that hands over what the customer brought back is what charges.
    pub charges_by_details: bool,
    /// If the end of a challenge cannot be asked for: how long after it was to be over nobody can pass it any more, by what is documented.
    pub challenge_lifetime: Option<Millis>,
    /// How long it may take to say how that ended which it has taken on. Nothing if that is not known.
    pub settles_within: Option<Millis>,
}

/// What closing a charge by our own reference, or by the object that it made, comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Voids {
    /// It cannot be asked for.
    #[default]
    None,
    /// It needs the provider's own object.
    Object,
    /// Our reference is enough. A charge that the provider has not seen yet is not closed by it and may still come.
    Reference,
}

impl Voids {
    /// A charge can be closed although the provider never named an object.
    pub const fn needs_no_object(self) -> bool {
        match self {
            Self::Reference => true,
            Self::None | Self::Object => false,
        }
    }
}

/// A provider's word about an operation that came by itself, its origin proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whose word it is: it says nothing of attempts at others.
    pub provider: ProviderId,
    /// Whose key it is signed with: it says nothing of other merchants' payments.
    pub signer: Signer,
    /// Of which payment.
    pub payment: PaymentId,
    /// Which operation of it.
    pub operation: OperationId,
    /// Which attempt of it: an operation may have several.
    pub attempt: Named,
    /// The currency of the amount that is said.
    pub currency: Currency,
    /// What.
    pub said: Said,
}

/// How a notice names the attempt that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// By the end of the attempt's key.
    KeyEnd(Arc<str>),
    /// By the object of the charge: the attempt that made it, or one that does something to it.
    Charge(ProviderReference),
    /// By the object of a refund, which may have been heard of or not.
    Refund {
        /// The refund.
        refund: ProviderReference,
        /// Of which charge.
        charge: ProviderReference,
    },
}

impl Named {
    /// The name, for a log.
    pub fn as_str(&self) -> &str {
        match self {
            Self::KeyEnd(name) | Self::Charge(name) | Self::Refund { refund: name, .. } => name,
        }
    }
}

/// Whose key a notice is signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signer {
    /// The platform's own, from the configuration: it may be about any payment.
    Platform,
    /// One that these merchants gave: whoever has it may speak of their payments only.
    Merchants(Vec<MerchantId>),
    /// The same, for one account of theirs: it speaks only of what goes there, under these versions of their credentials.
    Accounts(Vec<(MerchantId, u32)>),
}

impl Signer {
    /// Whether a payment of this merchant may be spoken of.
    pub fn may_speak_of(&self, merchant: MerchantId) -> bool {
        match self {
            Self::Platform => true,
            Self::Merchants(merchants) => merchants.contains(&merchant),
            Self::Accounts(accounts) => accounts.iter().any(|(owner, _)| *owner == merchant),
        }
    }

    /// Whether what is charged under this key may be spoken of.
    pub fn may_speak_under(&self, key: KeyOwner) -> bool {
        match (self, key) {
            (Self::Platform, _) => true,
            (Self::Merchants(_) | Self::Accounts(_), KeyOwner::Platform) => false,
            (Self::Merchants(merchants), KeyOwner::Merchant { merchant, .. }) => {
                merchants.contains(&merchant)
            }
            (Self::Accounts(accounts), KeyOwner::Merchant { merchant, version }) => {
                accounts.contains(&(merchant, version))
            }
        }
    }

    /// The merchant whose limit what is said counts against; nothing for the platform's key.
    pub fn merchant(&self) -> Option<MerchantId> {
        match self {
            Self::Platform => None,
            Self::Merchants(merchants) => merchants.first().copied(),
            Self::Accounts(accounts) => accounts.first().map(|(merchant, _)| *merchant),
        }
    }
}

/// What a notice says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// What became of the attempt. A void's amount is not read: it released whatever was left. An increment's is all that is reserved now.
    Became(Outcome),
    /// A charge that it was asked to close is not closed by that.
    NotClosed,
    /// What had been done was undone.
    TakenBack {
        /// What it means of an attempt whose success was never heard of. Without it the success must be heard of first.
        unheard: Option<Outcome>,
        /// The provider's id of what was undone, or of the undoing.
        reference: ProviderReference,
        /// How much of it, in minor units.
        amount_minor: i128,
    },
    /// The object of a charge holds money, and took none.
    Reserved {
        /// The object.
        reference: ProviderReference,
        /// The transaction.
        transaction: ProviderReference,
        /// How much, in minor units.
        amount_minor: i128,
    },
    /// The object of a charge holds nothing any more.
    Released {
        /// The transaction, if there ever was one.
        transaction: Option<ProviderReference>,
        /// How much it held and did not take, in minor units.
        released_minor: i128,
        /// How much it had taken before, in minor units.
        taken_minor: i128,
        /// It was closed. Otherwise a last capture has let the rest go.
        is_closed: bool,
    },
    /// Something about the object changed, and the notice does not say what its end is: its provider is to be asked, if anybody waits for
    /// that.
    Changed,
}

/// What came to the address of a provider's notices, before anything of it is believed.
#[derive(Clone, Copy, Debug)]
pub struct Letter<'a> {
    /// The bytes of the body, as they came.
    pub body: &'a [u8],
    /// The header that has the signature, if the provider has one and it came.
    pub seal: Option<&'a str>,
}

/// With whose secrets a letter's signature is compared, besides the platform's. Each comparison costs work, whoever wrote the letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// With those of every merchant that has any.
    Everybodys,
    /// With those of the merchant whose payment it names.
    Only(MerchantId),
    /// With nobody else's.
    PlatformsOnly,
}

impl Compared {
    /// Whether those of this merchant are among them.
    pub fn is_with(self, merchant: MerchantId) -> bool {
        match self {
            Self::Everybodys => true,
            Self::Only(one) => one == merchant,
            Self::PlatformsOnly => false,
        }
    }
}

/// Why what came is no notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NoticeRefusal {
    /// No provider of this name sends any.
    #[error("no provider of this name sends notices")]
    NoSuchProvider,
    /// Its signature is missing or wrong, or it is about another account.
    #[error("the notice is not signed with the provider's key")]
    Unsigned,
    /// The header that has the signature is missing, malformed, too old, or by nobody's key.
    #[error("`{header}` {why}")]
    Seal {
        /// The header.
        header: &'static str,
        /// What is wrong with it, as the end of a sentence that begins with its name.
        why: &'static str,
    },
    /// It cannot be read, or is of the other mode.
    #[error("`{field}` {why}")]
    Malformed {
        /// Where.
        field: &'static str,
        /// What is wrong with it, as the end of a sentence that begins with its name.
        why: &'static str,
    },
}

/// What kept a request from being sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hindrance {
    /// The provider could not be reached, or was not to be asked.
    Provider,
    /// The merchant's own credentials could not be used. It says nothing of the provider, which all merchants share.
    Credentials,
}

/// What a provider that does nothing says of the key that it was asked under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRefusal {
    /// It does not take this one from anybody (401).
    Unknown(KeyOwner),
    /// Under this one it does not do what it was asked for (403): that may be about the charge, its merchant, or the key.
    Forbidden(KeyOwner),
}

/// What came back from one request about an attempt. `Unknown` is neither success nor failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The provider did it.
    Succeeded {
        /// Its reference for the object.
        reference: ProviderReference,
        /// Its id of the transaction (`ch_...`).
        transaction: ProviderReference,
        /// Its own amount for the transaction in minor units, to be compared with ours.
        amount_minor: i128,
    },
    /// Refused by the issuer or the provider; nothing was charged.
    Declined {
        /// The network's reason (`insufficient_funds`).
        decline_code: Arc<str>,
        /// Its reference, if it made an object.
        reference: Option<ProviderReference>,
        /// The network's own codes, if it passes them on.
        network: NetworkDecline,
    },
    /// The customer must act first; nothing was charged.
    ActionRequired {
        /// Its reference for the object.
        reference: ProviderReference,
        /// Where to send the customer, if the provider says.
        redirect_url: Option<Arc<str>>,
    },
    /// Accepted, the result comes later (bank methods).
    Pending {
        /// Its reference for the object.
        reference: ProviderReference,
    },
    /// Proof that nothing was charged and nothing will be: the object is closed.
    Cancelled {
        /// Its reference for the object.
        reference: Option<ProviderReference>,
    },
    /// No request byte left this process.
    NotSent {
        /// What went wrong, for operators.
        reason: Arc<str>,
        /// Whose fault it was.
        hindrance: Hindrance,
    },
    /// Refused before execution because of rate.
    RateLimited {
        /// How long to wait.
        retry_after: Millis,
    },
    /// Refused before execution as our mistake (credentials, parameters).
    Rejected {
        /// What it said, for operators.
        reason: Arc<str>,
        /// What it said of the key, if that was why.
        refused_key: Option<KeyRefusal>,
    },
    /// A request left and no usable answer came: it may have happened.
    Unknown {
        /// What went wrong, for operators.
        reason: Arc<str>,
        /// Its reference, if one is known by now.
        reference: Option<ProviderReference>,
    },
}

impl Outcome {
    /// The provider could not be reached, or was not to be asked.
    pub fn not_sent(reason: impl Into<Arc<str>>) -> Self {
        Self::NotSent {
            reason: reason.into(),
            hindrance: Hindrance::Provider,
        }
    }

    /// Declined, with no word of the network's own.
    pub const fn declined(decline_code: Arc<str>, reference: Option<ProviderReference>) -> Self {
        Self::Declined {
            decline_code,
            reference,
            network: NetworkDecline::NONE,
        }
    }

    /// Refused before execution for what was asked, not for the key.
    pub fn rejected(reason: impl Into<Arc<str>>) -> Self {
        Self::Rejected {
            reason: reason.into(),
            refused_key: None,
        }
    }
}
