//! `PUT /v1/ops/merchants/{id}/providers/{provider}/credentials`: a new version. The same set again changes nothing, so no key is needed
//! to send it again.

use super::credentials_body::{
    VersionBody, described as shared, example, may_change, place, shape, unchanged,
};
use crate::auth::{Caller, Who};
use crate::errors::{ApiError, Code};
use crate::json::Text;
use crate::openapi::{Endpoint, array, bounded_text, may, strict};
use crate::reply::{Reply, json};
use crate::state::State;
use crate::{body, json as strictly, query};
use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use florin_domain::credentials::{
    CredentialField, CredentialFields, HMAC_KEYS_MAX, SECRET_CHARS_MAX, SECRET_CHARS_MIN, SecretText,
};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldsRequest<'a> {
    #[serde(borrow, default)]
    secret_key: Option<Text<'a>>,
    #[serde(borrow, default)]
    webhook_secret: Option<Text<'a>>,
    #[serde(borrow, default)]
    api_key: Option<Text<'a>>,
    #[serde(borrow, default)]
    merchant_account: Option<Text<'a>>,
    #[serde(borrow, default)]
    hmac_keys: Vec<Text<'a>>,
}

impl FieldsRequest<'_> {
    fn fields(&self) -> CredentialFields {
        let single = [
            (CredentialField::SecretKey, &self.secret_key),
            (CredentialField::WebhookSecret, &self.webhook_secret),
            (CredentialField::ApiKey, &self.api_key),
            (CredentialField::MerchantAccount, &self.merchant_account),
        ];
        let single = single
            .into_iter()
            .filter_map(|(field, text)| Some((field, text.as_ref()?)));
        let several = self
            .hmac_keys
            .iter()
            .map(|text| (CredentialField::HmacKeys, text));
        let secret = |(field, text): (CredentialField, &Text<'_>)| (field, SecretText::new(text.as_str()));
        single.chain(several).map(secret).collect()
    }
}

pub(crate) async fn handle(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    Reply(put(&state, &request, payload).await)
}

async fn put(state: &State, request: &HttpRequest, payload: Payload) -> Result<HttpResponse, ApiError> {
    let caller = Caller::of(state, request)?;
    query::none(request)?;
    let place = place(state, &caller, request)?;
    may_change(state, &caller, place)?;
    let bytes = body::read_json(state, request, payload).await?;
    let body: FieldsRequest<'_> = strictly::read(&bytes)?;
    let fields = body.fields();
    // A merchant's key sets credentials of its own mode.
    let only_livemode = match caller.who()? {
        Who::Operator => None,
        Who::Merchant(_, livemode) => Some(livemode),
    };
    let set = state
        .credentials
        .set(place, fields, only_livemode, caller.key_id())
        .await;
    let about = set.map_err(unchanged)?;
    json(StatusCode::OK, &VersionBody::of(place, &about))
}

pub(crate) fn described() -> Endpoint {
    let secret = |about: &str| bounded_text(about, (SECRET_CHARS_MIN, SECRET_CHARS_MAX));
    let hmac_key = bounded_text("64 hexadecimal digits.", (64, 64)).pattern(Some("^[0-9A-Fa-f]{64}$"));
    let fields = strict([
        may(
            "secret_key",
            secret("Stripe: the key that requests carry. It is required there."),
        ),
        may(
            "webhook_secret",
            secret("Stripe: what its webhooks are signed with."),
        ),
        may(
            "api_key",
            secret("Adyen: the key that requests carry. It is required there."),
        ),
        may(
            "merchant_account",
            bounded_text(
                "Adyen: whose payments they are. It is required there.",
                (1, SECRET_CHARS_MAX),
            ),
        ),
        may(
            "hmac_keys",
            array(
                hmac_key,
                "Adyen: what notifications are signed with, 1 to 4 of them. They are required there.",
            )
            .max_items(Some(HMAC_KEYS_MAX)),
        ),
    ]);
    let stripe = json!({"secret_key": "sk_test_example_not_a_real_key_4Tz1", "webhook_secret": "whsec_example_not_a_real_one"});
    shared(Endpoint::put)
        .called(
            "setCredentials",
            "Give a merchant credentials of its own",
            "A new version: payments that are made from now on are charged under it. The earlier ones stay present, for what was made under them and \
             for the signatures of what the provider sends, until they are retired. Secrets are sealed at rest and never shown again. A \
             merchant's test key sets test credentials only and changes no live ones; its live key sets live ones only.",
        )
        .takes(fields, &[("Stripe", stripe)])
        .answers(200, "The version; it is in force.", shape(), example(2, None))
        .refuses(400, &[Code::CredentialsFull])
        .refuses(403, &[Code::OperatorKeyRequired])
}
