//! Owns the forms of what a payment was asked for: specification, method, risk, fee.

use super::scalar::{CurrencyDto, IdDto, Letters, List, Raw, Stored, impossible};
use crate::schema::DecodeError;
use florin_domain::idempotency::{Fingerprint, IdempotencyKey, KeyDigest};
use florin_domain::ids::{MerchantId, PaymentId};
use florin_domain::method::{CardBrand, PaymentMethod, StoredCard};
use florin_domain::money::{FeeSchedule, Rounding};
use florin_domain::payment::{CaptureMethod, DeclinePolicy, Device, FeeReturn, Spec};
use florin_domain::risk::{Action, Assessment};
use florin_domain::routing::Wishes;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

macro_rules! words {
    ($($dto:ident of $domain:ident { $($name:ident)* })*) => {$(
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub(crate) enum $dto {
            $($name,)*
        }

        impl Stored<'_> for $domain {
            type Dto = $dto;

            fn store(&self) -> $dto {
                match self {
                    $(Self::$name => $dto::$name,)*
                }
            }

            fn load(dto: $dto) -> Result<Self, DecodeError> {
                Ok(match dto {
                    $($dto::$name => Self::$name,)*
                })
            }
        }
    )*};
}
pub(super) use words;

words! {
    CaptureMethodDto of CaptureMethod { Automatic Manual }
    DeclinePolicyDto of DeclinePolicy { Fail AwaitMethod }
    FeeReturnDto of FeeReturn { Kept Returned }
    RoundingDto of Rounding { HalfEven HalfUp Up Down }
    CardBrandDto of CardBrand { Visa Mastercard Amex Discover Diners Jcb Unionpay }
    ActionDto of Action { Allow Review Block }
}

/// A payment's specification.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SpecDto<'a> {
    id: IdDto<PaymentId>,
    merchant: IdDto<MerchantId>,
    livemode: bool,
    key: &'a str,
    key_digest: Raw<16>,
    fingerprint: Raw<16>,
    amount_minor: u64,
    currency: CurrencyDto,
    capture_method: CaptureMethodDto,
    after_decline: DeclinePolicyDto,
    customer: Option<&'a str>,
    description: Option<&'a str>,
    #[serde(borrow)]
    metadata: List<'a, (Arc<str>, Arc<str>)>,
    return_url: Option<&'a str>,
    device: DeviceDto<'a>,
    fee: FeeDto,
    fee_return: FeeReturnDto,
    created_at_ms: u64,
}

/// What was said of a customer's device.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DeviceDto<'a> {
    fingerprint: Option<&'a str>,
    ip: Option<&'a str>,
    country: Option<Letters<2>>,
}

/// A fee schedule; the fixed part is `fixed_mantissa / 10^fixed_scale` major units.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct FeeDto {
    percent_bps: u32,
    fixed_mantissa: u64,
    fixed_scale: u32,
    rounding: RoundingDto,
}

/// A payment method. The id of a saved card is followed by what risk counts of it: its first digits and its fingerprint, with a space before
/// each, as no id has one.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct MethodDto<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    brand: CardBrandDto,
    last4: Letters<4>,
    country: Letters<2>,
    is_new: bool,
    is_highest_risk: bool,
}

/// A risk assessment.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AssessmentDto<'a> {
    score_bps: u32,
    action: ActionDto,
    #[serde(borrow)]
    reasons: List<'a, Arc<str>>,
}

impl<'a> Stored<'a> for Arc<Spec> {
    type Dto = SpecDto<'a>;

    fn store(&'a self) -> SpecDto<'a> {
        SpecDto {
            id: self.id.store(),
            merchant: self.merchant.store(),
            livemode: self.livemode,
            key: self.key.as_str(),
            key_digest: self.key_digest.0.store(),
            fingerprint: self.fingerprint.0.store(),
            amount_minor: self.amount.store(),
            currency: self.currency.store(),
            capture_method: self.capture_method.store(),
            after_decline: self.after_decline.store(),
            customer: self.customer.store(),
            description: self.description.store(),
            metadata: List::Values(&self.metadata),
            return_url: self.return_url.store(),
            device: self.device.store(),
            fee: self.fee.store(),
            fee_return: self.fee_return.store(),
            created_at_ms: self.created_at.store(),
        }
    }

    fn load(dto: SpecDto<'a>) -> Result<Self, DecodeError> {
        Ok(Arc::new(Spec {
            id: Stored::load(dto.id)?,
            merchant: Stored::load(dto.merchant)?,
            livemode: dto.livemode,
            key: IdempotencyKey::parse(dto.key).map_err(|why| impossible("idempotency key")(&why))?,
            key_digest: KeyDigest(dto.key_digest.0),
            fingerprint: Fingerprint(dto.fingerprint.0),
            amount: Stored::load(dto.amount_minor)?,
            currency: Stored::load(dto.currency)?,
            capture_method: Stored::load(dto.capture_method)?,
            after_decline: Stored::load(dto.after_decline)?,
            customer: Stored::load(dto.customer)?,
            description: Stored::load(dto.description)?,
            metadata: dto.metadata.load()?,
            return_url: Stored::load(dto.return_url)?,
            device: Stored::load(dto.device)?,
            fee: Stored::load(dto.fee)?,
            fee_return: Stored::load(dto.fee_return)?,
            // What holds a spec says what it wants, if anything, and whether the customer was there.
            routing: Wishes::default(),
            off_session: false,
            created_at: Stored::load(dto.created_at_ms)?,
        }))
    }
}

impl<'a> Stored<'a> for Device {
    type Dto = DeviceDto<'a>;

    fn store(&'a self) -> DeviceDto<'a> {
        DeviceDto {
            fingerprint: self.fingerprint.store(),
            ip: self.ip.store(),
            country: self.country.store(),
        }
    }

    fn load(dto: DeviceDto<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            fingerprint: Stored::load(dto.fingerprint)?,
            ip: Stored::load(dto.ip)?,
            country: Stored::load(dto.country)?,
        })
    }
}

impl Stored<'_> for FeeSchedule {
    type Dto = FeeDto;

    fn store(&self) -> FeeDto {
        let fixed = self.fixed();
        FeeDto {
            percent_bps: self.percent_bps(),
            fixed_mantissa: u64::try_from(fixed.mantissa())
                .expect("a fixed part is 0 to 10^9 with 8 decimals"),
            fixed_scale: fixed.scale(),
            rounding: self.rounding().store(),
        }
    }

    fn load(dto: FeeDto) -> Result<Self, DecodeError> {
        let fixed = Decimal::try_from_i128_with_scale(i128::from(dto.fixed_mantissa), dto.fixed_scale)
            .map_err(|why| impossible("fixed fee")(&why))?;
        let schedule = Self::new(dto.percent_bps, fixed).map_err(|why| impossible("fee schedule")(&why))?;
        Ok(schedule.with_rounding(Stored::load(dto.rounding)?))
    }
}

fn method_id(method: &PaymentMethod) -> Cow<'_, str> {
    match &method.stored {
        None => Cow::Borrowed(&method.id),
        Some(stored) => {
            let (first, print) = (&stored.first_digits, u128::from_be_bytes(stored.fingerprint));
            Cow::Owned(format!("{} {first} {print:032x}", method.id))
        }
    }
}

fn read_method_id(text: &str) -> (Arc<str>, Option<Arc<StoredCard>>) {
    let mut parts = text.split(' ');
    let (id, first, print, more) = (parts.next(), parts.next(), parts.next(), parts.next());
    let stored = (first.zip(print)).and_then(|(first, print)| {
        let is_print = print.len() == 32 && print.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_first = (6..=8).contains(&first.len()) && first.bytes().all(|byte| byte.is_ascii_digit());
        let print = u128::from_str_radix(print, 16)
            .ok()
            .filter(|_| is_print && is_first)?;
        let (first_digits, fingerprint) = (first.into(), print.to_be_bytes());
        Some(Arc::new(StoredCard {
            first_digits,
            fingerprint,
        }))
    });
    match (id, stored, more) {
        (Some(id), Some(stored), None) => (Arc::from(id), Some(stored)),
        _ => (Arc::from(text), None),
    }
}

impl<'a> Stored<'a> for PaymentMethod {
    type Dto = MethodDto<'a>;

    fn store(&'a self) -> MethodDto<'a> {
        MethodDto {
            id: method_id(self),
            brand: self.brand.store(),
            last4: self.last4.store(),
            country: self.country.store(),
            is_new: self.is_new,
            is_highest_risk: self.is_highest_risk,
        }
    }

    fn load(dto: MethodDto<'a>) -> Result<Self, DecodeError> {
        let (id, stored) = read_method_id(&dto.id);
        Ok(Self {
            id,
            stored,
            brand: Stored::load(dto.brand)?,
            last4: Stored::load(dto.last4)?,
            country: Stored::load(dto.country)?,
            is_new: dto.is_new,
            is_highest_risk: dto.is_highest_risk,
        })
    }
}

impl<'a> Stored<'a> for Assessment {
    type Dto = AssessmentDto<'a>;

    fn store(&'a self) -> AssessmentDto<'a> {
        AssessmentDto {
            score_bps: self.score_bps,
            action: self.action.store(),
            reasons: List::Values(&self.reasons),
        }
    }

    fn load(dto: AssessmentDto<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            score_bps: dto.score_bps,
            action: Stored::load(dto.action)?,
            reasons: dto.reasons.load()?,
            listed: None,
        })
    }
}
