//! Customers and the cards that they saved: what may be said of them, and the rules of changing them. None of it ever enters the journal,
//! because people may ask for it to be erased.

mod setup;

pub use setup::{Confirmed, Mandate, SavedSetup, SetupSaid, SetupStatus};

use crate::card_details::{CardFault, CardInput, Expiry, SecurityCode};
use crate::idempotency::KeyDigest;
use crate::ids::{CustomerId, MerchantId, MethodId, SetupId};
use crate::method::{CardBrand, PaymentMethod, StoredCard};
use crate::time::{Millis, Timestamp};
use crate::token::CardToken;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use thiserror::Error;
use zeroize::Zeroizing;

/// A token that nobody has used is forgotten with its card after this.
pub const TOKEN_LIFETIME: Millis = Millis::from_s(3600);
/// A security code is forgotten after this, used or not.
pub const SECURITY_CODE_LIFETIME: Millis = Millis::from_s(15 * 60);
/// A card counts as new for so long.
const NEW_FOR: Millis = Millis::from_s(24 * 3600);
/// Texts of one profile, metadata among them.
pub const PROFILE_ENTRIES_MAX: usize = 128;

/// Whose things they are: a merchant has test ones and live ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// The merchant.
    pub merchant: MerchantId,
    /// Of real money.
    pub livemode: bool,
}

/// What a merchant says of a customer or a card: texts by their place, such as `name`, `address[city]` or `metadata[order]`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Profile(pub BTreeMap<String, String>);

impl Profile {
    /// What is at a place.
    pub fn get(&self, place: &str) -> Option<&str> {
        self.0.get(place).map(String::as_str)
    }

    /// What stands below a place, by the last part of its own: the pairs of `metadata`, the lines of `address`.
    pub fn below<'a>(&'a self, place: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().filter_map(move |(name, value)| {
            let inner = name.strip_prefix(place)?.strip_prefix('[')?.strip_suffix(']')?;
            (!inner.contains('[')).then_some((inner, value.as_str()))
        })
    }

    /// Puts what is said in its place. An empty text takes away what is there, and what stands below it.
    pub fn change(&mut self, said: Self) {
        for (place, value) in said.0 {
            if value.is_empty() {
                let below = format!("{place}[");
                self.0
                    .retain(|name, _| *name != place && !name.starts_with(&below));
            } else {
                self.0.insert(place, value);
            }
        }
    }
}

/// People's data is not for logs.
impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Profile({} texts)", self.0.len())
    }
}

/// A customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Customer {
    /// Its id.
    pub id: CustomerId,
    /// When it was made.
    pub created_at: Timestamp,
    /// What is said of it.
    pub profile: Profile,
}

/// What may be shown and counted of a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardFacts {
    /// Its network.
    pub brand: CardBrand,
    /// The last four digits.
    pub last4: [u8; 4],
    /// The first six or eight.
    pub first_digits: String,
    /// Its last month.
    pub expiry: Expiry,
    /// The same for the same number of one merchant in one mode, and another everywhere else.
    pub fingerprint: [u8; 16],
    /// A security code was typed with it.
    pub had_code: bool,
}

/// A card that was saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedMethod {
    /// Its id.
    pub id: MethodId,
    /// When it was made.
    pub created_at: Timestamp,
    /// What may be said of the card.
    pub card: CardFacts,
    /// Whose it is, if it is attached.
    pub customer: Option<CustomerId>,
    /// It was attached once and taken away: it pays nothing any more.
    pub is_detached: bool,
    /// What is said of it.
    pub profile: Profile,
}

impl SavedMethod {
    /// As payments know it.
    pub fn payment_method(&self, now: Timestamp) -> PaymentMethod {
        PaymentMethod {
            id: Arc::from(self.id.to_string()),
            brand: self.card.brand,
            last4: self.card.last4,
            country: PaymentMethod::UNKNOWN_COUNTRY,
            is_new: now.since(self.created_at) < NEW_FOR,
            is_highest_risk: false,
            stored: Some(Arc::new(StoredCard {
                first_digits: self.card.first_digits.as_str().into(),
                fingerprint: self.card.fingerprint,
            })),
        }
    }
}

/// A token and the card that it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedToken {
    /// The token.
    pub id: CardToken,
    /// When it was made.
    pub created_at: Timestamp,
    /// It was used.
    pub is_used: bool,
    /// The card.
    pub method: SavedMethod,
}

/// A change that a merchant wants.
#[derive(Debug)]
pub enum VaultChange {
    /// A new customer.
    CreateCustomer {
        /// What is said of it.
        said: Profile,
        /// A card that is attached at once.
        method: Option<MethodId>,
    },
    /// More is said of a customer.
    UpdateCustomer {
        /// Which.
        id: CustomerId,
        /// What is said.
        said: Profile,
    },
    /// A customer is erased, and every card that it saved.
    DeleteCustomer {
        /// Which.
        id: CustomerId,
    },
    /// A card is saved.
    CreateMethod {
        /// As it was typed.
        card: Box<CardInput>,
        /// What is said of it.
        said: Profile,
    },
    /// The card of a token is saved, and the token used up.
    UseToken {
        /// Which.
        token: CardToken,
        /// What is said of the card.
        said: Profile,
    },
    /// More is said of a card.
    UpdateMethod {
        /// Which.
        id: MethodId,
        /// What is said.
        said: Profile,
        /// Another last month: month and year as typed, or one of them.
        expiry: (Option<String>, Option<String>),
    },
    /// A card becomes a customer's.
    Attach {
        /// Which.
        id: MethodId,
        /// Whose.
        customer: CustomerId,
    },
    /// A card is taken from its customer, and its number is erased.
    Detach {
        /// Which.
        id: MethodId,
    },
    /// A card is put behind a token.
    CreateToken {
        /// As it was typed.
        card: Box<CardInput>,
        /// What is said of it.
        said: Profile,
    },
    /// A card is to be set up for later charges.
    CreateSetup {
        /// Which, and whose.
        said: SetupSaid,
        /// It is meant to be charged when its customer is not there.
        off_session: bool,
        /// It is set up at once.
        confirmed: Option<Confirmed>,
    },
    /// More is said of what is being set up.
    UpdateSetup {
        /// Which.
        id: SetupId,
        /// What.
        said: SetupSaid,
    },
    /// The card is set up, and becomes its customer's.
    ConfirmSetup {
        /// Which.
        id: SetupId,
        /// How.
        confirmed: Confirmed,
    },
    /// It is given up.
    CancelSetup {
        /// Which.
        id: SetupId,
        /// Why.
        reason: Option<String>,
    },
}

/// Under which key a change happens once.
#[derive(Debug)]
pub struct Once {
    /// Of the merchant's key.
    pub key: KeyDigest,
    /// What was asked for in its one form. It may hold a card number, so that only a keyed digest of it is kept.
    pub asked: Zeroizing<Vec<u8>>,
}

/// What a change came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VaultObject {
    /// A customer as it is now.
    Customer(Customer),
    /// It is erased.
    CustomerDeleted(CustomerId),
    /// A card as it is now.
    Method(SavedMethod),
    /// A token as it is now.
    Token(SavedToken),
    /// A card that is being set up, as it is now.
    Setup(SavedSetup),
    /// A consent.
    Mandate(Mandate),
}

/// A change that was made, now or before under the same key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// What it came to then.
    pub object: VaultObject,
    /// It was made before.
    pub was_before: bool,
}

/// Why nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum VaultRefusal {
    /// The card is not taken.
    #[error(transparent)]
    Card(#[from] CardFault),
    /// There is no such customer.
    #[error("there is no such customer")]
    NoSuchCustomer,
    /// There is no such card.
    #[error("there is no such payment method")]
    NoSuchMethod,
    /// There is no such token, or nobody used it in time.
    #[error("there is no such token, or it has expired")]
    NoSuchToken,
    /// The token was used.
    #[error("the token was used before")]
    TokenUsed,
    /// The card is a customer's already.
    #[error("the payment method is attached to a customer already")]
    Attached,
    /// The card was taken from a customer, and is no longer of use.
    #[error("the payment method was detached, and cannot be used again")]
    Detached,
    /// There is nothing of this name that is being set up.
    #[error("there is no such setup intent")]
    NoSuchSetup,
    /// It has ended.
    #[error("the setup intent is `{status}`", status = .0.as_str())]
    SetupIsOver(SetupStatus),
    /// Nobody has said which card.
    #[error("no payment method was named")]
    NoMethodNamed,
    /// The card is a customer's, who is not the one that is named.
    #[error("the payment method is attached to a customer, who is not the `customer` of the setup intent")]
    NotTheCustomers,
    /// So much cannot be said of one thing.
    #[error("too much is said of it")]
    TooMuch,
    /// The key was used for another request.
    #[error("the idempotency key was used with other parameters")]
    KeyMismatch,
    /// What the key made was erased: its request comes too late, and must not make it again.
    #[error("what was made under the idempotency key has been erased")]
    Erased,
}

/// A card as it is sent to a provider.
#[derive(Debug)]
pub struct ChargedCard {
    /// The card.
    pub card: crate::card_details::CardDetails,
    /// Its security code, if it is still known.
    pub code: Option<Arc<SecurityCode>>,
}

/// What is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// A merchant's customers.
    Customers,
    /// A customer's cards.
    MethodsOf(CustomerId),
    /// What is being set up, or was; of one customer, if one is named.
    Setups(Option<CustomerId>),
}

/// A page of a list, newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VaultPage {
    /// Of what.
    pub listed: Listed,
    /// At most so many.
    pub limit: usize,
    /// Only what was made before this one.
    pub starting_after: Option<u128>,
    /// Only what was made after this one, the nearest.
    pub ending_before: Option<u128>,
}

#[cfg(test)]
mod tests;
