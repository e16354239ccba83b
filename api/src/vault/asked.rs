//! A request about something in the vault: whose, what it says, and under which key.

use super::refused;
use crate::auth::Caller;
use crate::body::{Format, read_form_or_json};
use crate::errors::{ApiError, Code};
use crate::reply::{Remembered, json};
use crate::state::State;
use crate::stripe::tree::{Fields, Node, read_form, read_json};
use crate::{idempotency_key, query};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use florin_domain::ports::VaultKey;
use florin_domain::vault::{Once, Owner, VaultChange, VaultObject};
use zeroize::Zeroizing;

const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// A change that is asked for.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) owner: Owner,
    pub(crate) fields: Fields,
    once: Option<Once>,
}

/// Whose things a request is about.
pub(crate) fn owner(state: &State, request: &HttpRequest) -> Result<Owner, ApiError> {
    let caller = Caller::of(state, request)?;
    let (merchant, livemode) = caller.merchant()?;
    let merchant = merchant.id;
    Ok(Owner { merchant, livemode })
}

/// Reads a change. SDKs send a key with every POST, people often none.
pub(crate) async fn read(state: &State, request: &HttpRequest, payload: Payload) -> Result<Asked, ApiError> {
    let owner = owner(state, request)?;
    read_of(state, request, payload, (owner, "")).await
}

/// The same of somebody who is known already. Their idempotency keys are `apart` from those of others who may ask for the same owner's things.
pub(crate) async fn read_of(
    state: &State,
    request: &HttpRequest,
    payload: Payload,
    (owner, apart): (Owner, &str),
) -> Result<Asked, ApiError> {
    query::none(request)?;
    let key = request
        .headers()
        .contains_key("idempotency-key")
        .then(|| idempotency_key::read(request.headers()))
        .transpose()?;
    let (format, bytes) = read_form_or_json(state, request, payload).await?;
    let mut fields = match format {
        Format::Form => read_form(&bytes, Code::BodyInvalid)?,
        Format::Json => read_json(&bytes)?,
    };
    // Whose fields are to be shown in full changes nothing here.
    fields.retain(|(name, _)| name != "expand");
    let once = key.map(|key| {
        let mut asked = Zeroizing::new(format!("{} {}\n", request.method(), request.path()).into_bytes());
        Node::Map(without_code(&fields)).write_canonical(&mut asked);
        let key = Zeroizing::new(format!("{apart}{}", key.as_str()));
        let key = (state.digests.key)(owner.merchant, owner.livemode, &key);
        Once { key, asked }
    });
    Ok(Asked { owner, fields, once })
}

/// What is digested for the key. The security code is no part of it: the digest is kept, and of a thousand codes one would soon be found.
fn without_code(fields: &Fields) -> Fields {
    let fields = fields.iter().map(|(name, node)| {
        let node = match node {
            Node::Map(inner) if name == "card" => {
                let inner = inner.iter().filter(|(name, _)| name != "cvc");
                Node::Map(inner.cloned().collect())
            }
            Node::Map(_) | Node::List(_) | Node::Text(_) => node.clone(),
        };
        (name.clone(), node)
    });
    fields.collect()
}

impl Asked {
    /// What is under a name, which is read by this.
    pub(crate) fn take(&mut self, name: &str) -> Option<Node> {
        let at = self.fields.iter().position(|field| field.0 == name)?;
        Some(self.fields.remove(at).1)
    }

    /// A text; an empty one is nothing.
    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, ApiError> {
        match self.take(name) {
            None => Ok(None),
            Some(Node::Text(text)) => Ok(Some(text).filter(|text| !text.is_empty())),
            Some(Node::List(_) | Node::Map(_)) => {
                let message = format!("`{name}` must be a text.");
                Err(crate::errors::Invalid::new(name, Code::ParameterInvalid, message).into())
            }
        }
    }

    /// Has the change made, and shows what it came to.
    pub(crate) async fn make(
        state: &State,
        (owner, once): (Owner, Option<Once>),
        change: VaultChange,
    ) -> Result<HttpResponse, ApiError> {
        let changed = state.cards.change(owner, change, once).await.map_err(refused)?;
        let mut response = json(StatusCode::OK, &super::shown(&changed.object, owner.livemode))?;
        if changed.was_before {
            Remembered::mark(&mut response);
            response
                .headers_mut()
                .insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
        }
        Ok(response)
    }

    /// Whose it is, what else is said, and the key.
    pub(crate) fn into_parts(self) -> (Fields, (Owner, Option<Once>)) {
        (self.fields, (self.owner, self.once))
    }
}

/// Something that a path names, shown.
pub(crate) async fn object(
    state: &State,
    request: &HttpRequest,
    (key, kind): (VaultKey, &'static str),
) -> Result<HttpResponse, ApiError> {
    let owner = owner(state, request)?;
    query::vault_object(request)?;
    let found: Result<Option<VaultObject>, _> = match key {
        VaultKey::Method(id) => state.shown_cards.method_shown(owner, id).await,
        VaultKey::Customer(_) | VaultKey::Token(_) | VaultKey::Setup(_) | VaultKey::Mandate(_) => {
            state.cards.get(owner, key).await
        }
    };
    let found = found.map_err(refused)?;
    let object = found.ok_or(ApiError::NoSuchObject { kind })?;
    json(StatusCode::OK, &super::shown(&object, owner.livemode))
}
