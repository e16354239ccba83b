//! `/v1/setup_intents`: a card becomes a customer's, for charges that come later, and the consent to them is recorded. Nobody is asked for
//! money, and no issuer whether it would give any.

use super::customers::{page_body, paged};
use crate::auth::Caller;
use crate::errors::{ApiError, Code};
use crate::openapi::{Access, Endpoint, bounded_text, chapter, flag, id, may, page_of, strict, word};
use crate::query;
use crate::reply::Reply;
use crate::state::State;
use crate::stripe::params::Params;
use crate::stripe::{kinds_of_method, method_options};
use crate::vault::{
    Asked, CUSTOMER_ID, METHOD_ID, SETUP_ID, consent, consent_shape, customer_of, exactly_one_key, object,
    read, setup, setup_example, setup_fields, setup_shape,
};
use actix_web::HttpRequest;
use actix_web::web::{Data, Payload};
use florin_domain::ids::{MethodId, SetupId};
use florin_domain::ports::VaultKey;
use florin_domain::vault::{Confirmed, Once, Owner, SetupSaid, VaultChange};
use serde_json::json as example;

const PATH: &str = "/v1/setup_intents";
const ONE: &str = "/v1/setup_intents/{id}";
const KIND: &str = "setup intent";

/// What Stripe would do and Florin would not: taken silently, each of these would be a lie.
const UNSUPPORTED: [&str; 10] = [
    "attach_to_self",
    "confirmation_token",
    "customer_account",
    "excluded_payment_method_types",
    "flow_directions",
    "mandate",
    "on_behalf_of",
    "payment_method_configuration",
    "payment_method_data",
    "single_use",
];
/// Nobody is sent anywhere, so nobody comes back.
const HARMLESS: [&str; 2] = ["return_url", "use_stripe_sdk"];

const REASONS: [&str; 3] = ["abandoned", "duplicate", "requested_by_customer"];

/// Whose it is, and under which key it happens once.
type Whose = (Owner, Option<Once>);

/// A request whose parameters are read by name.
async fn asked(state: &State, request: &HttpRequest, payload: Payload) -> Result<(Params, Whose), ApiError> {
    let (fields, whose) = read(state, request, payload).await?.into_parts();
    let mut params = Params::new(fields);
    params.unsupported(&UNSUPPORTED)?;
    params.harmless(&HARMLESS);
    Ok((params, whose))
}

fn method(params: &mut Params) -> Result<Option<MethodId>, ApiError> {
    let Some(text) = params.text("payment_method")? else {
        return Ok(None);
    };
    let missing = |_| ApiError::NoSuchObject {
        kind: "payment method",
    };
    MethodId::parse(&text).map(Some).map_err(missing)
}

/// What a card is set up with; everything that was not read before is said of it.
fn said(mut params: Params) -> Result<SetupSaid, ApiError> {
    kinds_of_method(&mut params)?;
    method_options(&mut params)?;
    let customer = params.text("customer")?;
    Ok(SetupSaid {
        method: method(&mut params)?,
        customer: customer.map(|text| customer_of("customer", &text)).transpose()?,
        said: setup(params.into_fields())?,
    })
}

pub(crate) async fn create(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    let create = async {
        let (mut params, whose) = asked(&state, &request, payload).await?;
        let usage = params.word("usage", &["off_session", "on_session"])?;
        let confirms = params.flag("confirm")? == Some(true);
        let consent = consent(&mut params)?;
        if consent.is_some() && !confirms {
            let why = "is only for what is confirmed at once, with `confirm=true`";
            return Err(params.refused("mandate_data", Code::ParameterInvalid, why).into());
        }
        let change = VaultChange::CreateSetup {
            said: said(params)?,
            off_session: usage != Some("on_session"),
            confirmed: confirms.then_some(Confirmed {
                method: None,
                consent,
            }),
        };
        Asked::make(&state, whose, change).await
    };
    Reply(create.await)
}

pub(crate) async fn update(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    let update = async {
        let (params, whose) = asked(&state, &request, payload).await?;
        let id = setup_in(&request)?;
        let said = said(params)?;
        Asked::make(&state, whose, VaultChange::UpdateSetup { id, said }).await
    };
    Reply(update.await)
}

pub(crate) async fn confirm(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    let confirm = async {
        let (mut params, whose) = asked(&state, &request, payload).await?;
        let id = setup_in(&request)?;
        method_options(&mut params)?;
        let confirmed = Confirmed {
            method: method(&mut params)?,
            consent: consent(&mut params)?,
        };
        params.finish()?;
        Asked::make(&state, whose, VaultChange::ConfirmSetup { id, confirmed }).await
    };
    Reply(confirm.await)
}

pub(crate) async fn cancel(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    let cancel = async {
        let (mut params, whose) = asked(&state, &request, payload).await?;
        let id = setup_in(&request)?;
        let reason = params.word("cancellation_reason", &REASONS)?.map(str::to_owned);
        params.finish()?;
        Asked::make(&state, whose, VaultChange::CancelSetup { id, reason }).await
    };
    Reply(cancel.await)
}

pub(crate) async fn get(state: Data<State>, request: HttpRequest) -> Reply {
    let get = async {
        let id = setup_in(&request)?;
        object(&state, &request, (VaultKey::Setup(id), KIND)).await
    };
    Reply(get.await)
}

pub(crate) async fn list(state: Data<State>, request: HttpRequest) -> Reply {
    let list = async {
        let caller = Caller::of(&state, &request)?;
        let (merchant, livemode) = caller.merchant()?;
        let merchant = merchant.id;
        let page = query::listed_setups(&request)?;
        page_body(&state, (Owner { merchant, livemode }, page), PATH).await
    };
    Reply(list.await)
}

fn setup_in(request: &HttpRequest) -> Result<SetupId, ApiError> {
    let named = request.match_info().get("id").unwrap_or_default();
    SetupId::parse(named).map_err(|_| ApiError::NoSuchObject { kind: KIND })
}

const REFUSED: [Code; 4] = [
    Code::ParameterInvalidInteger,
    Code::PaymentMethodUnexpectedState,
    Code::SetupIntentUnexpectedState,
    Code::ParameterMissing,
];

fn changes(path: &'static str) -> Endpoint {
    exactly_one_key(Endpoint::order(path, Access::Merchants))
        .in_chapter(chapter::CUSTOMERS)
        .answers(200, "The setup intent.", setup_shape(), setup_example())
        .refuses(400, &REFUSED)
        .refuses(404, &[Code::ResourceMissing])
}

fn named(endpoint: Endpoint) -> Endpoint {
    endpoint.path_part("id", id("The setup intent.", "seti_"), SETUP_ID)
}

pub(crate) fn described_create() -> Endpoint {
    let own = [
        may("confirm", flag("The card is set up at once.")),
        may(
            "usage",
            word(
                "Whether it is to be charged when its customer is not there; so it is when nothing is said.",
                ["off_session", "on_session"],
            ),
        ),
        may("mandate_data", consent_shape()),
    ];
    let at_once = example!({
        "payment_method": METHOD_ID, "customer": CUSTOMER_ID, "confirm": true,
        "mandate_data": {"customer_acceptance": {"type": "online", "online": {"ip_address": "192.0.2.7", "user_agent": "Mozilla/5.0"}}},
    });
    changes(PATH)
        .called(
            "createSetupIntent",
            "Set a card up for later",
            "Also as a form, as Stripe's SDKs send it. Confirmed, the card is attached to the customer. No issuer is asked.",
        )
        .may_take(
            strict(setup_fields().into_iter().chain(own)),
            &[("A card of a customer, at once", at_once), ("To be confirmed", example!({}))],
        )
}

pub(crate) fn described_update() -> Endpoint {
    named(changes(ONE))
        .called(
            "updateSetupIntent",
            "Say more of a setup intent",
            "Its card and its customer until it has ended, what is said of it at any time.",
        )
        .takes(
            strict(setup_fields()),
            &[("Another card", example!({"payment_method": METHOD_ID}))],
        )
}

pub(crate) fn described_confirm() -> Endpoint {
    let shape = strict([
        may("payment_method", bounded_text("This card.", (1, 64))),
        may("mandate_data", consent_shape()),
    ]);
    named(changes("/v1/setup_intents/{id}/confirm"))
        .called(
            "confirmSetupIntent",
            "Set the card up",
            "It becomes the customer's; what is said of the consent is recorded as a mandate.",
        )
        .may_take(shape, &[("The card that was named", example!({}))])
}

pub(crate) fn described_cancel() -> Endpoint {
    let shape = strict([may("cancellation_reason", word("Why.", REASONS))]);
    named(changes("/v1/setup_intents/{id}/cancel"))
        .called(
            "cancelSetupIntent",
            "Give a setup intent up",
            "While it has not ended.",
        )
        .may_take(shape, &[("Nothing to say", example!({}))])
}

pub(crate) fn described_get() -> Endpoint {
    named(Endpoint::get(ONE, Access::Merchants))
        .called("getSetupIntent", "Look at a setup intent", "As it stands.")
        .in_chapter(chapter::CUSTOMERS)
        .answers(200, "The setup intent.", setup_shape(), setup_example())
        .refuses(400, &[Code::CardsNotKept])
        .refuses(404, &[Code::ResourceMissing])
}

pub(crate) fn described_list() -> Endpoint {
    let all = example!({"object": "list", "url": PATH, "has_more": false, "data": [setup_example()]});
    paged(Endpoint::get(PATH, Access::Merchants), "seti_")
        .called("listSetupIntents", "List setup intents", "Newest first.")
        .in_chapter(chapter::CUSTOMERS)
        .query("customer", id("Only those of this customer.", "cus_"))
        .answers(200, "A page.", page_of(setup_shape()), all)
        .refuses(400, &[Code::ResourceMissing])
        .refuses(404, &[Code::ResourceMissing])
}
