//! Owns the stored forms of customers, cards, tokens, and of what is set up: JSON that is sealed. Fields are added, never changed.

use super::tenant::Trouble;
use florin_domain::card_details::{CardDetails, Expiry};
use florin_domain::credentials::SecretText;
use florin_domain::ids::{CustomerId, MandateId, MethodId, SetupId};
use florin_domain::method::CardBrand;
use florin_domain::time::Timestamp;
use florin_domain::token::CardToken;
use florin_domain::vault::{
    CardFacts, Customer, Mandate, Profile, SavedMethod, SavedSetup, SavedToken, SetupStatus, VaultObject,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use zeroize::{Zeroize, Zeroizing};

/// More than a card fills, so that its buffer never grows and leaves copies behind.
const CARD_BYTES: usize = 1024;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ObjectForm {
    Customer(CustomerForm),
    CustomerDeleted(String),
    Method(MethodForm),
    Token(TokenForm),
    Setup(SetupForm),
    Mandate(MandateForm),
}

#[derive(Serialize, Deserialize)]
struct CustomerForm {
    id: String,
    created_ms: u64,
    profile: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct MethodForm {
    id: String,
    created_ms: u64,
    brand: String,
    last4: String,
    first_digits: String,
    exp_year: u16,
    exp_month: u8,
    fingerprint: String,
    had_code: bool,
    customer: Option<String>,
    is_detached: bool,
    profile: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct TokenForm {
    id: String,
    created_ms: u64,
    is_used: bool,
    method: MethodForm,
}

#[derive(Serialize, Deserialize)]
struct SetupForm {
    id: String,
    created_ms: u64,
    status: String,
    method: Option<String>,
    customer: Option<String>,
    off_session: bool,
    mandate: Option<String>,
    profile: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct MandateForm {
    id: String,
    created_ms: u64,
    method: String,
    customer: Option<String>,
    consent: BTreeMap<String, String>,
}

/// The only form that has a number.
#[derive(Serialize, Deserialize)]
struct CardForm {
    number: String,
    holder: Option<String>,
}

impl Drop for CardForm {
    fn drop(&mut self) {
        self.number.zeroize();
        self.holder.zeroize();
    }
}

impl MethodForm {
    fn of(method: &SavedMethod) -> Self {
        let card = &method.card;
        Self {
            id: method.id.to_string(),
            created_ms: method.created_at.unix_ms(),
            brand: card.brand.as_str().to_owned(),
            last4: String::from_utf8_lossy(&card.last4).into_owned(),
            first_digits: card.first_digits.clone(),
            exp_year: card.expiry.year,
            exp_month: card.expiry.month,
            fingerprint: format!("{:032x}", u128::from_be_bytes(card.fingerprint)),
            had_code: card.had_code,
            customer: method.customer.map(|customer| customer.to_string()),
            is_detached: method.is_detached,
            profile: method.profile.0.clone(),
        }
    }

    fn read(self) -> Option<SavedMethod> {
        let brand = CardBrand::ALL
            .into_iter()
            .find(|brand| brand.as_str() == self.brand)?;
        let fingerprint = u128::from_str_radix(&self.fingerprint, 16).ok()?.to_be_bytes();
        let customer = self
            .customer
            .map(|customer| CustomerId::parse(&customer))
            .transpose()
            .ok()?;
        Some(SavedMethod {
            id: MethodId::parse(&self.id).ok()?,
            created_at: Timestamp::from_unix_ms(self.created_ms),
            card: CardFacts {
                brand,
                last4: self.last4.as_bytes().try_into().ok()?,
                first_digits: self.first_digits,
                expiry: Expiry {
                    year: self.exp_year,
                    month: self.exp_month,
                },
                fingerprint,
                had_code: self.had_code,
            },
            customer,
            is_detached: self.is_detached,
            profile: Profile(self.profile),
        })
    }
}

impl SetupForm {
    fn of(setup: &SavedSetup) -> Self {
        Self {
            id: setup.id.to_string(),
            created_ms: setup.created_at.unix_ms(),
            status: setup.status.as_str().to_owned(),
            method: setup.method.map(|id| id.to_string()),
            customer: setup.customer.map(|id| id.to_string()),
            off_session: setup.off_session,
            mandate: setup.mandate.map(|id| id.to_string()),
            profile: setup.profile.0.clone(),
        }
    }

    fn read(self) -> Option<SavedSetup> {
        let status = SetupStatus::ALL
            .into_iter()
            .find(|status| status.as_str() == self.status)?;
        Some(SavedSetup {
            id: SetupId::parse(&self.id).ok()?,
            created_at: Timestamp::from_unix_ms(self.created_ms),
            status,
            method: self.method.map(|id| MethodId::parse(&id)).transpose().ok()?,
            customer: self.customer.map(|id| CustomerId::parse(&id)).transpose().ok()?,
            off_session: self.off_session,
            mandate: self.mandate.map(|id| MandateId::parse(&id)).transpose().ok()?,
            profile: Profile(self.profile),
        })
    }
}

impl MandateForm {
    fn of(mandate: &Mandate) -> Self {
        Self {
            id: mandate.id.to_string(),
            created_ms: mandate.created_at.unix_ms(),
            method: mandate.method.to_string(),
            customer: mandate.customer.map(|id| id.to_string()),
            consent: mandate.consent.0.clone(),
        }
    }

    fn read(self) -> Option<Mandate> {
        Some(Mandate {
            id: MandateId::parse(&self.id).ok()?,
            created_at: Timestamp::from_unix_ms(self.created_ms),
            method: MethodId::parse(&self.method).ok()?,
            customer: self.customer.map(|id| CustomerId::parse(&id)).transpose().ok()?,
            consent: Profile(self.consent),
            is_active: false,
        })
    }
}

impl ObjectForm {
    fn of(object: &VaultObject) -> Self {
        match object {
            VaultObject::Customer(customer) => Self::Customer(CustomerForm {
                id: customer.id.to_string(),
                created_ms: customer.created_at.unix_ms(),
                profile: customer.profile.0.clone(),
            }),
            VaultObject::CustomerDeleted(id) => Self::CustomerDeleted(id.to_string()),
            VaultObject::Method(method) => Self::Method(MethodForm::of(method)),
            VaultObject::Token(token) => Self::Token(TokenForm {
                id: token.id.to_string(),
                created_ms: token.created_at.unix_ms(),
                is_used: token.is_used,
                method: MethodForm::of(&token.method),
            }),
            VaultObject::Setup(setup) => Self::Setup(SetupForm::of(setup)),
            VaultObject::Mandate(mandate) => Self::Mandate(MandateForm::of(mandate)),
        }
    }

    fn read(self) -> Option<VaultObject> {
        Some(match self {
            Self::Customer(form) => VaultObject::Customer(Customer {
                id: CustomerId::parse(&form.id).ok()?,
                created_at: Timestamp::from_unix_ms(form.created_ms),
                profile: Profile(form.profile),
            }),
            Self::CustomerDeleted(id) => VaultObject::CustomerDeleted(CustomerId::parse(&id).ok()?),
            Self::Method(form) => VaultObject::Method(form.read()?),
            Self::Token(form) => VaultObject::Token(SavedToken {
                id: CardToken::parse(&form.id).ok()?,
                created_at: Timestamp::from_unix_ms(form.created_ms),
                is_used: form.is_used,
                method: form.method.read()?,
            }),
            Self::Setup(form) => VaultObject::Setup(form.read()?),
            Self::Mandate(form) => VaultObject::Mandate(form.read()?),
        })
    }
}

fn unwritable(_: serde_json::Error) -> Trouble {
    Trouble::Sealing("a record of the vault cannot be written".to_owned())
}

fn unreadable() -> Trouble {
    Trouble::Sealing("a record of the vault cannot be understood".to_owned())
}

/// The bytes of an object, to be sealed.
pub(super) fn bytes(object: &VaultObject) -> Result<Zeroizing<Vec<u8>>, Trouble> {
    serde_json::to_vec(&ObjectForm::of(object))
        .map(Zeroizing::new)
        .map_err(unwritable)
}

/// What was sealed.
pub(super) fn read(bytes: &[u8]) -> Result<VaultObject, Trouble> {
    let form: ObjectForm = serde_json::from_slice(bytes).map_err(|_| unreadable())?;
    form.read().ok_or_else(unreadable)
}

/// The bytes of a number with its holder, to be sealed.
pub(super) fn card_bytes(card: &CardDetails) -> Result<Zeroizing<Vec<u8>>, Trouble> {
    let form = CardForm {
        number: card.number().to_owned(),
        holder: card.holder.as_ref().map(|holder| holder.expose().to_owned()),
    };
    let mut bytes = Zeroizing::new(Vec::with_capacity(CARD_BYTES));
    serde_json::to_writer(&mut *bytes, &form).map_err(unwritable)?;
    Ok(bytes)
}

/// The card that was sealed.
pub(super) fn read_card(bytes: &[u8], expiry: Expiry) -> Result<CardDetails, Trouble> {
    let form: CardForm = serde_json::from_slice(bytes).map_err(|_| unreadable())?;
    let (number, holder) = (
        SecretText::new(&form.number),
        form.holder.as_deref().map(SecretText::new),
    );
    CardDetails::stored(number, expiry, holder).ok_or_else(unreadable)
}
