//! What is sealed for one version: what may be said of it, and its secrets unless it is retired.

use florin_domain::credentials::{
    CredentialField, CredentialFields, CredentialKind, CredentialVersion, Credentials, SecretText,
};
use florin_domain::provider::ProviderId;
use florin_domain::time::Timestamp;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A version of a merchant's credentials at one provider.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) provider: ProviderId,
    pub(super) about: CredentialVersion,
    /// Nothing once it is retired.
    pub(super) credentials: Option<Arc<Credentials>>,
}

/// What a record is, in its associated data: a retired one cannot stand for one with secrets.
pub(super) const PRESENT: u8 = 1;
pub(super) const RETIRED: u8 = 2;

impl Record {
    pub(super) fn kind(&self) -> u8 {
        if self.credentials.is_some() {
            PRESENT
        } else {
            RETIRED
        }
    }

    /// The bytes to seal.
    pub(super) fn plain(&self) -> Zeroizing<Vec<u8>> {
        let secrets = self
            .credentials
            .as_ref()
            .map(|set| set.fields())
            .unwrap_or_default();
        let length: usize = secrets.iter().map(|(_, secret)| secret.expose().len() + 3).sum();
        // As large as it gets, because a vector that grows leaves its bytes behind.
        let mut out = Zeroizing::new(Vec::with_capacity(length + 512));
        let about = &self.about;
        out.extend_from_slice(&about.created_at.unix_ms().to_le_bytes());
        out.extend_from_slice(&about.retired_at.map_or(0, Timestamp::unix_ms).to_le_bytes());
        out.push(u8::from(about.livemode));
        put(&mut out, about.hint.as_deref().unwrap_or_default());
        put(&mut out, about.account.as_deref().unwrap_or_default());
        out.push(u8::try_from(about.fields.len()).unwrap_or(u8::MAX));
        out.extend(about.fields.iter().map(|field| number(*field)));
        if let Some(set) = &self.credentials {
            out.push(match set.kind() {
                CredentialKind::Stripe => 1,
                CredentialKind::Adyen => 2,
            });
            for (field, secret) in secrets {
                out.push(number(field));
                put(&mut out, secret.expose());
            }
        }
        out
    }

    /// Reads the bytes back. Nothing if they are no record of this kind.
    pub(super) fn read(provider: ProviderId, version: u32, kind: u8, plain: &[u8]) -> Option<Self> {
        let mut bytes = Reader(plain);
        let created_at = Timestamp::from_unix_ms(bytes.number()?);
        let retired_ms = bytes.number()?;
        let livemode = bytes.byte()? == 1;
        let (hint, account) = (bytes.text()?, bytes.text()?);
        let text = |text: &str| (!text.is_empty()).then(|| Arc::from(text));
        let (hint, account) = (text(hint), text(account));
        let count = bytes.byte()?;
        let fields = (0..count)
            .map(|_| field(bytes.byte()?))
            .collect::<Option<Vec<_>>>()?;
        let credentials = match kind {
            PRESENT => Some(Arc::new(bytes.credentials()?)),
            RETIRED => None,
            _ => return None,
        };
        let is_whole = bytes.0.is_empty() && (credentials.is_some() == (retired_ms == 0));
        is_whole.then_some(Self {
            provider,
            about: CredentialVersion {
                version,
                created_at,
                retired_at: (retired_ms > 0).then(|| Timestamp::from_unix_ms(retired_ms)),
                fields,
                hint,
                livemode,
                account,
            },
            credentials,
        })
    }
}

fn number(field: CredentialField) -> u8 {
    match field {
        CredentialField::SecretKey => 1,
        CredentialField::WebhookSecret => 2,
        CredentialField::ApiKey => 3,
        CredentialField::MerchantAccount => 4,
        CredentialField::HmacKeys => 5,
    }
}

fn field(byte: u8) -> Option<CredentialField> {
    CredentialField::ALL
        .into_iter()
        .find(|field| number(*field) == byte)
}

/// A text behind its length. No text here is longer than 512 bytes.
fn put(out: &mut Vec<u8>, text: &str) {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn number(&mut self) -> Option<u64> {
        let (bytes, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*bytes))
    }

    fn text(&mut self) -> Option<&'a str> {
        let (length, rest) = self.0.split_first_chunk::<2>()?;
        let (text, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        self.0 = rest;
        str::from_utf8(text).ok()
    }

    fn credentials(&mut self) -> Option<Credentials> {
        let kind = match self.byte()? {
            1 => CredentialKind::Stripe,
            2 => CredentialKind::Adyen,
            _ => return None,
        };
        let mut fields = CredentialFields::new();
        while !self.0.is_empty() {
            fields.push((field(self.byte()?)?, SecretText::new(self.text()?)));
        }
        Credentials::parse(kind, fields).ok()
    }
}
