//! A request for a payment: what may be written, what it must mean, and its one canonical form.

use super::routing_wishes::WishesRequest;
use crate::errors::{Code, Invalid};
use crate::json::{Number, Object, Pairs, Text};
use crate::vault::check_text;
use florin_domain::limits::{
    METADATA_ENTRIES_MAX, METADATA_KEY_BYTES_MAX, METADATA_VALUE_BYTES_MAX, TEXT_BYTES_MAX,
};
use florin_domain::method::PaymentMethod;
use florin_domain::money::{Amount, AmountError, Currency};
use florin_domain::payment::{CaptureMethod, Device};
use florin_domain::provider::ProviderId;
use florin_domain::routing::Wishes;
use serde::Deserialize;
use std::net::IpAddr;
use std::sync::Arc;

/// Bytes of a name that somebody else gave: a customer, a device.
pub(super) const NAME_BYTES_MAX: usize = 255;

/// The body as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PaymentRequest<'a> {
    amount: Number,
    #[serde(borrow)]
    currency: Text<'a>,
    #[serde(borrow)]
    payment_method_id: Text<'a>,
    #[serde(borrow, default)]
    capture_method: Option<Text<'a>>,
    #[serde(borrow, default)]
    customer_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    description: Option<Text<'a>>,
    #[serde(borrow, default)]
    metadata: Option<Pairs<'a>>,
    #[serde(borrow, default)]
    return_url: Option<Text<'a>>,
    #[serde(borrow, default)]
    device: Option<Object<DeviceRequest<'a>>>,
    #[serde(borrow, default)]
    routing: Option<Object<WishesRequest<'a>>>,
    #[serde(default)]
    off_session: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeviceRequest<'a> {
    #[serde(borrow, default)]
    fingerprint: Option<Text<'a>>,
    #[serde(borrow, default)]
    ip: Option<Text<'a>>,
    #[serde(borrow, default)]
    country: Option<Text<'a>>,
}

/// The merchant's pairs, in the order written.
type Metadata = Vec<(Arc<str>, Arc<str>)>;

/// The request, checked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Checked {
    pub(crate) amount: Amount,
    pub(crate) currency: Currency,
    pub(crate) method: PaymentMethod,
    pub(crate) capture_method: CaptureMethod,
    pub(crate) customer: Option<Arc<str>>,
    pub(crate) description: Option<Arc<str>>,
    pub(crate) metadata: Metadata,
    pub(crate) return_url: Option<Arc<str>>,
    pub(crate) device: Device,
    pub(crate) routing: Wishes,
    pub(crate) off_session: bool,
}

impl PaymentRequest<'_> {
    /// What it names as its payment method.
    pub(crate) fn method_id(&self) -> &str {
        self.payment_method_id.as_str()
    }

    /// What the request means, in this mode. A saved card was looked up before.
    pub(crate) fn check(&self, livemode: bool, saved: Option<PaymentMethod>) -> Result<Checked, Invalid> {
        let currency = Currency::parse(self.currency.as_str()).map_err(|error| {
            Invalid::new(
                "currency",
                Code::ParameterInvalid,
                format!("`currency`: {error}."),
            )
        })?;
        Ok(Checked {
            amount: amount(self.amount)?,
            currency,
            method: method(self.method_id(), livemode, saved)?,
            capture_method: match self.capture_method.as_ref().map(Text::as_str) {
                None | Some("automatic") => CaptureMethod::Automatic,
                Some("manual") => CaptureMethod::Manual,
                Some(_) => {
                    let message = "`capture_method` is `automatic` or `manual`.";
                    return Err(Invalid::new("capture_method", Code::ParameterInvalid, message));
                }
            },
            customer: name("customer_id", self.customer_id.as_ref())?,
            description: text("description", self.description.as_ref(), TEXT_BYTES_MAX)?,
            metadata: metadata(self.metadata.as_ref())?,
            return_url: return_url(self.return_url.as_ref())?,
            device: self
                .device
                .as_ref()
                .map_or_else(|| Ok(Device::default()), |device| device.0.check())?,
            routing: self
                .routing
                .as_ref()
                .map_or_else(|| Ok(Wishes::default()), |routing| routing.0.check("routing"))?,
            off_session: self.off_session,
        })
    }
}

impl DeviceRequest<'_> {
    fn check(&self) -> Result<Device, Invalid> {
        let ip = name("device.ip", self.ip.as_ref())?;
        if ip.as_ref().is_some_and(|ip| ip.parse::<IpAddr>().is_err()) {
            let message = "`device.ip` is an IPv4 or IPv6 address.";
            return Err(Invalid::new("device.ip", Code::ParameterInvalid, message));
        }
        let country = |text: &Text<'_>| match text.as_str().as_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                Ok([a.to_ascii_uppercase(), b.to_ascii_uppercase()])
            }
            _ => {
                let message = "`device.country` is a two-letter ISO 3166 code.";
                Err(Invalid::new("device.country", Code::ParameterInvalid, message))
            }
        };
        Ok(Device {
            fingerprint: name("device.fingerprint", self.fingerprint.as_ref())?,
            ip,
            country: self.country.as_ref().map(country).transpose()?,
        })
    }
}

pub(crate) fn amount(number: Number) -> Result<Amount, Invalid> {
    let refused = |error: AmountError| {
        let code = match error {
            AmountError::Zero => Code::AmountTooSmall,
            AmountError::Negative => Code::ParameterInvalidInteger,
            AmountError::TooLarge => Code::AmountTooLarge,
        };
        Invalid::new("amount", code, format!("`amount`: {error}."))
    };
    match number {
        Number::Whole(minor) => Amount::new(minor).map_err(refused),
        Number::Beyond { negative: true } => Err(refused(AmountError::Negative)),
        Number::Beyond { negative: false } => Err(refused(AmountError::TooLarge)),
        Number::Float => {
            let message = "`amount` is an integer in minor units, such as 1000, and never a float.";
            Err(Invalid::new("amount", Code::ParameterInvalidInteger, message))
        }
    }
}

/// Test mode knows the sandbox's methods by name; a saved card was looked up before.
pub(crate) fn method(
    id: &str,
    livemode: bool,
    saved: Option<PaymentMethod>,
) -> Result<PaymentMethod, Invalid> {
    let test = || PaymentMethod::test(id).filter(|_| !livemode);
    let found = saved.or_else(test);
    let missing = || {
        let mode = if livemode { "live" } else { "test" };
        let message = format!("`payment_method_id`: there is no such payment method in {mode} mode.");
        Invalid::new("payment_method_id", Code::ResourceMissing, message)
    };
    found.ok_or_else(missing)
}

/// A text that is journaled, and so must hold no card number.
pub(crate) fn text(
    param: &str,
    text: Option<&Text<'_>>,
    bytes_max: usize,
) -> Result<Option<Arc<str>>, Invalid> {
    let Some(text) = text else { return Ok(None) };
    check_text(param, text.as_str())?;
    if text.as_str().len() > bytes_max {
        let message = format!("`{param}` is at most {bytes_max} bytes long.");
        return Err(Invalid::new(param, Code::ParameterInvalid, message));
    }
    Ok(Some(Arc::from(text.as_str())))
}

/// A text that, if it is there, is not empty: velocity counts by names, and an empty one would join strangers.
pub(crate) fn name(param: &str, name: Option<&Text<'_>>) -> Result<Option<Arc<str>>, Invalid> {
    if name.is_some_and(|name| name.as_str().trim().is_empty()) {
        let message = format!("`{param}` must not be empty; leave it out instead.");
        return Err(Invalid::new(param, Code::ParameterInvalid, message));
    }
    text(param, name, NAME_BYTES_MAX)
}

pub(crate) fn return_url(url: Option<&Text<'_>>) -> Result<Option<Arc<str>>, Invalid> {
    let fits = |url: &str| {
        let rest = url
            .strip_prefix("https://")
            .or_else(|| url.strip_prefix("http://"));
        rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
            && !url.contains(char::is_whitespace)
    };
    if url.is_some_and(|url| !fits(url.as_str())) {
        let message = "`return_url` is an absolute http or https URL.";
        return Err(Invalid::new("return_url", Code::ParameterInvalid, message));
    }
    text("return_url", url, TEXT_BYTES_MAX)
}

pub(crate) fn metadata(pairs: Option<&Pairs<'_>>) -> Result<Metadata, Invalid> {
    let Some(Pairs(pairs)) = pairs else {
        return Ok(Vec::new());
    };
    let refused = |message: String| Err(Invalid::new("metadata", Code::ParameterInvalid, message));
    if pairs.len() > METADATA_ENTRIES_MAX {
        return refused(format!(
            "`metadata` holds at most {METADATA_ENTRIES_MAX} entries."
        ));
    }
    let mut metadata = Vec::with_capacity(pairs.len());
    for (name, value) in pairs {
        let (name, value) = (name.as_str(), value.as_str());
        check_text(&format!("metadata.{name}"), value)?;
        if name.is_empty() || name.len() > METADATA_KEY_BYTES_MAX {
            return refused(format!(
                "A name in `metadata` is 1 to {METADATA_KEY_BYTES_MAX} bytes long."
            ));
        }
        if value.len() > METADATA_VALUE_BYTES_MAX {
            let message = format!("A value in `metadata` is at most {METADATA_VALUE_BYTES_MAX} bytes long.");
            return Err(Invalid::new(
                format!("metadata.{name}"),
                Code::ParameterInvalid,
                message,
            ));
        }
        metadata.push((Arc::from(name), Arc::from(value)));
    }
    Ok(metadata)
}

impl Checked {
    /// One byte string per meaning: white space, the order of names, the case of a currency and a spelled-out default make
    /// no difference, anything else does. Keys are compared by a digest of it, so a change of this form needs a new first byte.
    pub(crate) fn canonical(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256);
        bytes.push(1);
        bytes.extend_from_slice(&self.amount.minor().to_be_bytes());
        bytes.extend_from_slice(self.currency.code().as_bytes());
        bytes.push(match self.capture_method {
            CaptureMethod::Automatic => 0,
            CaptureMethod::Manual => 1,
        });
        let mut put = |text: Option<&str>| match text {
            None => bytes.push(0),
            Some(text) => {
                bytes.push(1);
                bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
                bytes.extend_from_slice(text.as_bytes());
            }
        };
        put(Some(&self.method.id));
        put(self.customer.as_deref());
        put(self.description.as_deref());
        put(self.return_url.as_deref());
        put(self.device.fingerprint.as_deref());
        put(self.device.ip.as_deref());
        put(self
            .device
            .country
            .as_ref()
            .and_then(|country| str::from_utf8(country).ok()));
        let mut metadata: Vec<_> = self.metadata.iter().collect();
        metadata.sort_unstable();
        for (name, value) in metadata {
            put(Some(name));
            put(Some(value));
        }
        if !self.routing.is_empty() {
            // No entry of metadata begins like this, so whoever wants nothing is written as ever.
            bytes.push(2);
            wishes(&self.routing, &mut bytes);
        }
        if self.off_session {
            // Entries of metadata begin with 1, and wishes end by themselves.
            bytes.push(3);
        }
        bytes
    }
}

/// Names have no zero bytes, so each ends at its own.
fn wishes(wishes: &Wishes, bytes: &mut Vec<u8>) {
    let groups: [&[ProviderId]; 3] = [wishes.pin.as_slice(), &wishes.prefer, &wishes.exclude];
    for group in groups {
        for name in group {
            bytes.extend_from_slice(name.as_str().as_bytes());
            bytes.push(0);
        }
        bytes.push(0);
    }
}

#[cfg(test)]
mod tests;
