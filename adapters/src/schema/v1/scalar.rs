//! Owns the forms of single values and of sequences. Ids and digests are raw bytes, integers are variable-length, text is as it is.

use crate::schema::DecodeError;
use florin_domain::ids::{
    ApiKeyId, CaptureId, IncrementId, LedgerAccountId, ListEntryId, MerchantId, OperationId, PaymentId,
    RefundId, ReversalId, Seq, VoidId,
};
use florin_domain::money::{Amount, Balance, Currency};
use florin_domain::provider::ProviderId;
use florin_domain::time::Timestamp;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// A domain value with a stored form. `load(store(x)) == x` for every `x`.
pub(crate) trait Stored<'a>: Sized {
    /// The form.
    type Dto;

    /// The value's form, borrowing from it.
    fn store(&'a self) -> Self::Dto;

    /// The value of a form, checked.
    fn load(dto: Self::Dto) -> Result<Self, DecodeError>;
}

/// Says which value was impossible, and why.
pub(crate) fn impossible(what: &'static str) -> impl FnOnce(&dyn fmt::Display) -> DecodeError {
    move |why| DecodeError::Impossible {
        what,
        why: why.to_string(),
    }
}

/// An id: 16 bytes, the most significant first. People see its written form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IdDto<T>(pub(crate) T);

/// Bytes as they are. People see hexadecimal digits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw<const N: usize>(pub(crate) [u8; N]);

/// ASCII characters, as many as the form has. People see text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Letters<const N: usize>(pub(crate) [u8; N]);

/// Minor units with a sign. People see a number, or text where JSON's numbers end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MinorDto(pub(crate) i128);

/// An ISO 4217 number. People see the code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CurrencyDto(pub(crate) u16);

/// An operation's id.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OperationIdDto {
    Authorize(IdDto<PaymentId>),
    Capture(IdDto<CaptureId>),
    Void(IdDto<VoidId>),
    Refund(IdDto<RefundId>),
    Increment(IdDto<IncrementId>),
    Reversal(IdDto<ReversalId>),
}

macro_rules! ids {
    ($($id:ident)*) => {$(
        impl Serialize for IdDto<$id> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    return serializer.collect_str(&self.0);
                }
                self.0.bits().to_be_bytes().serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for IdDto<$id> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let bytes = <[u8; 16]>::deserialize(deserializer)?;
                Ok(Self($id::from_bits(u128::from_be_bytes(bytes))))
            }
        }

        impl Stored<'_> for $id {
            type Dto = IdDto<Self>;

            fn store(&self) -> Self::Dto {
                IdDto(*self)
            }

            fn load(dto: Self::Dto) -> Result<Self, DecodeError> {
                Ok(dto.0)
            }
        }
    )*};
}
ids!(ApiKeyId CaptureId IncrementId LedgerAccountId ListEntryId MerchantId PaymentId RefundId ReversalId VoidId);

macro_rules! bytes {
    ($($form:ident $len:literal)*) => {$(
        impl Stored<'_> for [u8; $len] {
            type Dto = $form<$len>;

            fn store(&self) -> Self::Dto {
                $form(*self)
            }

            fn load(dto: Self::Dto) -> Result<Self, DecodeError> {
                Ok(dto.0)
            }
        }
    )*};
}
bytes!(Letters 2 Letters 4 Raw 16 Raw 32);

macro_rules! plain {
    ($($value:ty)*) => {$(
        impl Stored<'_> for $value {
            type Dto = Self;

            fn store(&self) -> Self {
                *self
            }

            fn load(dto: Self) -> Result<Self, DecodeError> {
                Ok(dto)
            }
        }
    )*};
}
plain!(bool u32);

impl<const N: usize> Serialize for Raw<N>
where
    [u8; N]: Serialize,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_str(&Hex(&self.0));
        }
        self.0.serialize(serializer)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Raw<N>
where
    [u8; N]: Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <[u8; N]>::deserialize(deserializer).map(Self)
    }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl<const N: usize> Serialize for Letters<N>
where
    [u8; N]: Serialize,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_str(&self.0.escape_ascii());
        }
        self.0.serialize(serializer)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Letters<N>
where
    [u8; N]: Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <[u8; N]>::deserialize(deserializer).map(Self)
    }
}

impl Serialize for MinorDto {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match i64::try_from(self.0) {
            // The same bytes as the wide form, without its wide shifts.
            Ok(minor) => serializer.serialize_i64(minor),
            Err(_) if serializer.is_human_readable() => serializer.collect_str(&self.0),
            Err(_) => serializer.serialize_i128(self.0),
        }
    }
}

impl<'de> Deserialize<'de> for MinorDto {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        i128::deserialize(deserializer).map(Self)
    }
}

impl Serialize for CurrencyDto {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match Currency::from_numeric(self.0) {
            Some(currency) if serializer.is_human_readable() => serializer.serialize_str(currency.code()),
            Some(_) | None => serializer.serialize_u16(self.0),
        }
    }
}

impl<'de> Deserialize<'de> for CurrencyDto {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u16::deserialize(deserializer).map(Self)
    }
}

impl Stored<'_> for Currency {
    type Dto = CurrencyDto;

    fn store(&self) -> CurrencyDto {
        CurrencyDto(self.numeric())
    }

    fn load(dto: CurrencyDto) -> Result<Self, DecodeError> {
        Self::from_numeric(dto.0).ok_or_else(|| impossible("currency")(&dto.0))
    }
}

impl Stored<'_> for Timestamp {
    type Dto = u64;

    fn store(&self) -> u64 {
        self.unix_ms()
    }

    fn load(dto: u64) -> Result<Self, DecodeError> {
        Ok(Self::from_unix_ms(dto))
    }
}

impl Stored<'_> for Seq {
    type Dto = u64;

    fn store(&self) -> u64 {
        self.0
    }

    fn load(dto: u64) -> Result<Self, DecodeError> {
        Ok(Self(dto))
    }
}

impl Stored<'_> for Amount {
    type Dto = u64;

    fn store(&self) -> u64 {
        u64::try_from(self.minor()).expect("an amount is 1 to 999,999,999,999 minor units")
    }

    fn load(dto: u64) -> Result<Self, DecodeError> {
        Self::new(i128::from(dto)).map_err(|why| impossible("amount")(&why))
    }
}

impl Stored<'_> for Balance {
    type Dto = MinorDto;

    fn store(&self) -> MinorDto {
        MinorDto(self.minor())
    }

    fn load(dto: MinorDto) -> Result<Self, DecodeError> {
        Self::from_minor(dto.0).map_err(|why| impossible("balance")(&why))
    }
}

impl Stored<'_> for i128 {
    type Dto = MinorDto;

    fn store(&self) -> MinorDto {
        MinorDto(*self)
    }

    fn load(dto: MinorDto) -> Result<Self, DecodeError> {
        Ok(dto.0)
    }
}

impl<'a> Stored<'a> for ProviderId {
    type Dto = &'a str;

    fn store(&'a self) -> &'a str {
        self.as_str()
    }

    fn load(dto: &'a str) -> Result<Self, DecodeError> {
        Self::parse(dto).map_err(|why| impossible("provider")(&why))
    }
}

impl Stored<'_> for OperationId {
    type Dto = OperationIdDto;

    fn store(&self) -> OperationIdDto {
        match self {
            Self::Authorize(id) => OperationIdDto::Authorize(IdDto(*id)),
            Self::Capture(id) => OperationIdDto::Capture(IdDto(*id)),
            Self::Void(id) => OperationIdDto::Void(IdDto(*id)),
            Self::Refund(id) => OperationIdDto::Refund(IdDto(*id)),
            Self::Increment(id) => OperationIdDto::Increment(IdDto(*id)),
            Self::Reversal(id) => OperationIdDto::Reversal(IdDto(*id)),
        }
    }

    fn load(dto: OperationIdDto) -> Result<Self, DecodeError> {
        Ok(match dto {
            OperationIdDto::Authorize(id) => Self::Authorize(id.0),
            OperationIdDto::Capture(id) => Self::Capture(id.0),
            OperationIdDto::Void(id) => Self::Void(id.0),
            OperationIdDto::Refund(id) => Self::Refund(id.0),
            OperationIdDto::Increment(id) => Self::Increment(id.0),
            OperationIdDto::Reversal(id) => Self::Reversal(id.0),
        })
    }
}

impl<'a> Stored<'a> for Arc<str> {
    type Dto = &'a str;

    fn store(&'a self) -> &'a str {
        self
    }

    fn load(dto: &'a str) -> Result<Self, DecodeError> {
        Ok(dto.into())
    }
}

impl<'a> Stored<'a> for String {
    type Dto = &'a str;

    fn store(&'a self) -> &'a str {
        self
    }

    fn load(dto: &'a str) -> Result<Self, DecodeError> {
        Ok(dto.to_owned())
    }
}

impl<'a, T: Stored<'a>> Stored<'a> for Option<T> {
    type Dto = Option<T::Dto>;

    fn store(&'a self) -> Self::Dto {
        self.as_ref().map(T::store)
    }

    fn load(dto: Self::Dto) -> Result<Self, DecodeError> {
        dto.map(T::load).transpose()
    }
}

impl<'a, A: Stored<'a>, B: Stored<'a>> Stored<'a> for (A, B) {
    type Dto = (A::Dto, B::Dto);

    fn store(&'a self) -> Self::Dto {
        (self.0.store(), self.1.store())
    }

    fn load(dto: Self::Dto) -> Result<Self, DecodeError> {
        Ok((A::load(dto.0)?, B::load(dto.1)?))
    }
}

/// A sequence: its length, then every form. There is never more than one form at a time, in writing and in reading.
pub(crate) enum List<'a, T> {
    /// To be written.
    Values(&'a [T]),
    /// As read, or what was wrong with the first value that could not be.
    Read(Result<Vec<T>, DecodeError>),
}

impl<'a, T: Stored<'a>> List<'a, T> {
    /// The values, checked.
    pub(crate) fn load(self) -> Result<Vec<T>, DecodeError> {
        match self {
            Self::Values(values) => values.iter().map(|value| T::load(value.store())).collect(),
            Self::Read(values) => values,
        }
    }
}

impl<'a, T: Stored<'a> + 'a> Stored<'a> for Vec<T> {
    type Dto = List<'a, T>;

    fn store(&'a self) -> List<'a, T> {
        List::Values(self)
    }

    fn load(dto: List<'a, T>) -> Result<Self, DecodeError> {
        dto.load()
    }
}

impl<T: fmt::Debug> fmt::Debug for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Values(values) => values.fmt(f),
            Self::Read(values) => values.fmt(f),
        }
    }
}

impl<'a, T: Stored<'a>> Serialize for List<'a, T>
where
    T::Dto: Serialize,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Values(values) => serializer.collect_seq(values.iter().map(T::store)),
            Self::Read(_) => Err(serde::ser::Error::custom("a list that was read is not written")),
        }
    }
}

impl<'de: 'a, 'a, T: Stored<'a>> Deserialize<'de> for List<'a, T>
where
    T::Dto: Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Loading(PhantomData)).map(Self::Read)
    }
}

/// How many values a list makes room for before it has seen them: a damaged length must not take all memory.
const ROOM_MAX: usize = 64;

/// Loads values as their forms are read. The reader's own errors carry no text, so ours go beside the values.
struct Loading<T>(PhantomData<T>);

impl<'de: 'a, 'a, T: Stored<'a>> Visitor<'de> for Loading<T>
where
    T::Dto: Deserialize<'de>,
{
    type Value = Result<Vec<T>, DecodeError>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut forms: A) -> Result<Self::Value, A::Error> {
        let mut values = Ok(Vec::with_capacity(forms.size_hint().unwrap_or(0).min(ROOM_MAX)));
        while let Some(form) = forms.next_element::<T::Dto>()? {
            // Forms after a wrong one are still read, to come to what follows the list.
            if let Ok(loaded) = &mut values {
                match T::load(form) {
                    Ok(value) => loaded.push(value),
                    Err(error) => values = Err(error),
                }
            }
        }
        Ok(values)
    }
}
