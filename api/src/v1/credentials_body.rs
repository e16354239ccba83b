//! What is shown of a merchant's credentials at a provider, and who may see and change them. Secrets go in and never out.

use super::list::Displayed;
use crate::auth::{Caller, Who};
use crate::errors::{ApiError, Code, Invalid};
use crate::openapi::{
    Access, Endpoint, array, bounded_text, chapter, count, flag, id, must, or_null, record, text, time, word,
};
use crate::request_id;
use crate::state::State;
use actix_web::HttpRequest;
use florin_actors::credentials_handle::ChangeError;
use florin_domain::credentials::{CredentialField, CredentialVersion};
use florin_domain::ids::MerchantId;
use florin_domain::ports::SecretsError;
use florin_domain::provider::ProviderId;
use florin_domain::time::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::openapi::schema::ObjectBuilder;

/// The path of all three.
pub(super) const PATH: &str = "/v1/ops/merchants/{id}/providers/{provider}/credentials";
const MERCHANT_ID: &str = "mer_01m7y92a930001k836eeyy2z3p";

/// Whose credentials a request is about, and where.
pub(super) type Place = (MerchantId, ProviderId);

/// A version, without its secrets.
#[derive(Debug, Serialize)]
pub(super) struct VersionBody<'a> {
    object: &'static str,
    merchant_id: Displayed<MerchantId>,
    provider: Displayed<ProviderId>,
    version: u32,
    created: u64,
    retired: Option<u64>,
    livemode: bool,
    /// The end of the key that requests carry.
    hint: Option<&'a str>,
    fields: Vec<&'static str>,
}

impl<'a> VersionBody<'a> {
    pub(super) fn of((merchant, provider): Place, about: &'a CredentialVersion) -> Self {
        Self {
            object: "credentials",
            merchant_id: Displayed(merchant),
            provider: Displayed(provider),
            version: about.version,
            created: about.created_at.unix_s(),
            retired: about.retired_at.map(Timestamp::unix_s),
            livemode: about.livemode,
            hint: about.hint.as_deref(),
            fields: about.fields.iter().map(|field| field.as_str()).collect(),
        }
    }
}

/// Of which merchant and provider the path speaks: an operator may name everybody, a merchant itself.
pub(super) fn place(state: &State, caller: &Caller, request: &HttpRequest) -> Result<Place, ApiError> {
    let named = request.match_info().get("id");
    let named = named.and_then(|id| MerchantId::parse(id).ok());
    let may_see = match caller.who()? {
        Who::Operator => named.filter(|id| state.directory.control().merchant(*id).is_some()),
        Who::Merchant(merchant, _) => named.filter(|id| merchant.id == *id),
    };
    let merchant = may_see.ok_or(ApiError::NoSuchObject { kind: "merchant" })?;
    let provider = request.match_info().get("provider").unwrap_or_default();
    let provider = state.directory.provider(provider);
    Ok((
        merchant,
        provider.ok_or(ApiError::NoSuchObject { kind: "provider" })?,
    ))
}

/// A merchant's test key changes nothing where real money is at stake.
pub(super) fn may_change(
    state: &State,
    caller: &Caller,
    (merchant, provider): Place,
) -> Result<(), ApiError> {
    match caller.who()? {
        Who::Operator | Who::Merchant(_, true) => Ok(()),
        Who::Merchant(_, false) => {
            let versions = state.credentials.list(merchant, provider).map_err(refused)?;
            let mut present = versions.iter().filter(|about| about.retired_at.is_none());
            if present.any(|about| about.livemode) {
                return Err(ApiError::OperatorOnly);
            }
            Ok(())
        }
    }
}

pub(super) fn refused(error: SecretsError) -> ApiError {
    let refusal = |code, message: &str| {
        ApiError::Invalid(Invalid {
            param: None,
            code,
            message: message.to_owned(),
        })
    };
    match error {
        SecretsError::NotConfigured => refusal(
            Code::CredentialsNotKept,
            "This node keeps no credentials: it has no key-encryption key (`secrets.kek_file`).",
        ),
        SecretsError::NoSuchProvider => ApiError::NoSuchObject { kind: "provider" },
        SecretsError::Unfit(error) => {
            Invalid::new(error.field.as_str(), Code::ParameterInvalid, format!("{error}.")).into()
        }
        SecretsError::Busy => ApiError::Overloaded { retry_after_s: 1 },
        SecretsError::TooMany => refusal(
            Code::CredentialsFull,
            "So many versions of these credentials are present that one must be retired first.",
        ),
        SecretsError::LastOfMode { livemode } => ApiError::CredentialsLast { livemode },
        SecretsError::NoSuchVersion => ApiError::NoSuchObject { kind: "version" },
        SecretsError::Store(why) => {
            tracing::error!(request_id = request_id::current(), %why, "the store of credentials failed");
            ApiError::Internal
        }
    }
}

pub(super) fn unchanged(error: ChangeError) -> ApiError {
    match error {
        ChangeError::Secrets(error) => refused(error),
        ChangeError::Ledger(error) => error.into(),
    }
}

/// What an endpoint of this path shares with the others.
pub(super) fn described(new: fn(&'static str, Access) -> Endpoint) -> Endpoint {
    new(PATH, Access::KeyHolders)
        .in_chapter(chapter::OPERATIONS)
        .path_part(
            "id",
            id("The merchant; with a merchant's key, its own.", "mer_"),
            MERCHANT_ID,
        )
        .path_part(
            "provider",
            text("The provider's name.").pattern(Some("^[a-z0-9_]{1,16}$")),
            "stripe",
        )
        .refuses(400, &[Code::CredentialsNotKept])
        .refuses(404, &[Code::ResourceMissing])
}

pub(super) fn shape() -> ObjectBuilder {
    record([
        must("object", word("What it is.", ["credentials"])),
        must("merchant_id", id("Whose.", "mer_")),
        must("provider", text("Where.")),
        must("version", count("1, 2, ...")),
        must("created", time("Payments from then on are made under it.")),
        must("retired", or_null(time("When its secrets were destroyed."))),
        must("livemode", flag("It moves real money.")),
        must(
            "hint",
            or_null(bounded_text("The end of the key that requests carry.", (4, 4))),
        ),
        must(
            "fields",
            array(
                word("A field.", CredentialField::ALL.map(CredentialField::as_str)),
                "What it has.",
            ),
        ),
    ])
}

pub(super) fn example(version: u32, retired: Option<u64>) -> Value {
    json!({
        "object": "credentials", "merchant_id": MERCHANT_ID, "provider": "stripe", "version": version,
        "created": 1_795_284_000, "retired": retired, "livemode": false, "hint": "4Tz1",
        "fields": ["secret_key", "webhook_secret"],
    })
}
