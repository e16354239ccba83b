//! Owns the stored forms of endpoints and of what was answered: JSON that is sealed. Fields are added, never changed.

use super::seal::Trouble;
use florin_domain::ids::EndpointId;
use florin_domain::time::Timestamp;
use florin_domain::vault::Owner;
use florin_domain::webhook::{
    Endpoint, EndpointSecrets, EndpointStatus, EventShape, KeptEndpoint, SigningSecret, WantedEvents,
    WhyDisabled,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use zeroize::{Zeroize, Zeroizing};

/// More than an endpoint with its secrets fills at most times, so that its buffer seldom grows and leaves copies behind.
const ENDPOINT_BYTES: usize = 8 * 1024;

/// Everything but what changes with deliveries.
#[derive(Serialize, Deserialize)]
struct EndpointForm {
    created_ms: u64,
    url: String,
    wanted: Vec<String>,
    shape: String,
    description: Option<String>,
    metadata: Vec<(String, String)>,
    secret: String,
    previous: Option<PreviousForm>,
}

#[derive(Serialize, Deserialize)]
struct PreviousForm {
    secret: String,
    until_ms: u64,
}

/// What was answered once.
#[derive(Serialize, Deserialize)]
struct AnswerForm {
    id: String,
    disabled: Option<String>,
    endpoint: EndpointForm,
}

impl Drop for EndpointForm {
    fn drop(&mut self) {
        self.secret.zeroize();
        if let Some(previous) = &mut self.previous {
            previous.secret.zeroize();
        }
    }
}

fn unwritable(_: serde_json::Error) -> Trouble {
    Trouble::Record("a webhook endpoint cannot be written".to_owned())
}

pub(super) fn unreadable() -> Trouble {
    Trouble::Record("a webhook endpoint in the file cannot be understood".to_owned())
}

impl EndpointForm {
    fn of(kept: &KeptEndpoint) -> Self {
        let (endpoint, secrets) = (&kept.endpoint, &kept.secrets);
        let pairs = endpoint.metadata.iter();
        let pairs = pairs.map(|(name, value)| ((**name).to_owned(), (**value).to_owned()));
        Self {
            created_ms: endpoint.created_at.unix_ms(),
            url: endpoint.url.as_ref().to_owned(),
            wanted: endpoint
                .wanted
                .names
                .iter()
                .map(|name| (**name).to_owned())
                .collect(),
            shape: endpoint.shape.as_str().to_owned(),
            description: endpoint.description.as_deref().map(str::to_owned),
            metadata: pairs.collect(),
            secret: secrets.current.0.to_string(),
            previous: secrets.previous.as_ref().map(|(secret, until)| PreviousForm {
                secret: secret.0.to_string(),
                until_ms: until.unix_ms(),
            }),
        }
    }

    fn read(mut self, owner: Owner, id: EndpointId, status: EndpointStatus) -> Option<KeptEndpoint> {
        let wanted = self.wanted.iter().map(|name| Arc::from(name.as_str()));
        let pairs = self.metadata.iter();
        let pairs = pairs.map(|(name, value)| (Arc::from(name.as_str()), Arc::from(value.as_str())));
        let endpoint = Endpoint {
            id,
            owner,
            created_at: Timestamp::from_unix_ms(self.created_ms),
            url: self.url.as_str().into(),
            wanted: WantedEvents::read(wanted.collect()).ok()?,
            shape: EventShape::named(&self.shape)?,
            status,
            description: self.description.as_deref().map(Arc::from),
            metadata: pairs.collect(),
        };
        let secret = |text: &mut String| SigningSecret(Zeroizing::new(std::mem::take(text)));
        let previous = self.previous.as_mut().map(|previous| {
            let until = Timestamp::from_unix_ms(previous.until_ms);
            (secret(&mut previous.secret), until)
        });
        let secrets = EndpointSecrets {
            current: secret(&mut self.secret),
            previous,
        };
        Some(KeptEndpoint { endpoint, secrets })
    }
}

fn written(form: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, Trouble> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(ENDPOINT_BYTES));
    serde_json::to_writer(&mut *bytes, form).map_err(unwritable)?;
    Ok(bytes)
}

/// The bytes of an endpoint with its secrets, to be sealed; its status is elsewhere.
pub(super) fn bytes(kept: &KeptEndpoint) -> Result<Zeroizing<Vec<u8>>, Trouble> {
    written(&EndpointForm::of(kept))
}

/// The endpoint that was sealed.
pub(super) fn read(
    bytes: &[u8],
    (owner, id): (Owner, EndpointId),
    status: EndpointStatus,
) -> Result<KeptEndpoint, Trouble> {
    let form: EndpointForm = serde_json::from_slice(bytes).map_err(|_| unreadable())?;
    form.read(owner, id, status).ok_or_else(unreadable)
}

/// The bytes of an answer, to be sealed.
pub(super) fn answer_bytes(kept: &KeptEndpoint) -> Result<Zeroizing<Vec<u8>>, Trouble> {
    written(&AnswerForm {
        id: kept.endpoint.id.to_string(),
        disabled: disabled(kept.endpoint.status).map(str::to_owned),
        endpoint: EndpointForm::of(kept),
    })
}

/// The answer that was sealed.
pub(super) fn read_answer(bytes: &[u8], owner: Owner) -> Result<KeptEndpoint, Trouble> {
    let form: AnswerForm = serde_json::from_slice(bytes).map_err(|_| unreadable())?;
    let id = EndpointId::parse(&form.id).map_err(|_| unreadable())?;
    let status = status(form.disabled.as_deref())?;
    form.endpoint.read(owner, id, status).ok_or_else(unreadable)
}

/// A status as a column has it.
pub(super) const fn disabled(status: EndpointStatus) -> Option<&'static str> {
    match status {
        EndpointStatus::Enabled => None,
        EndpointStatus::Disabled(why) => Some(why.as_str()),
    }
}

/// The status that a column has.
pub(super) fn status(disabled: Option<&str>) -> Result<EndpointStatus, Trouble> {
    let Some(name) = disabled else {
        return Ok(EndpointStatus::Enabled);
    };
    let why = WhyDisabled::ALL.into_iter().find(|why| why.as_str() == name);
    why.map(EndpointStatus::Disabled).ok_or_else(unreadable)
}
