//! `POST /v1/payment_intents`.

use super::answer::{self, Refused, Told, renamed};
use super::expand::Kind;
use super::method::{Found, Wanted, unless_gone};
use super::params::Params;
use super::request::Posted;
use crate::errors::{ApiError, Code, Invalid};
use crate::json::{Pairs, Text};
use crate::state::State;
use crate::v1::payment_request as native;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use florin_actors::payment::Start;
use florin_actors::payments_handle::NewPayment;
use florin_domain::limits::TEXT_BYTES_MAX;
use florin_domain::money::{Amount, Currency};
use florin_domain::payment::{CaptureMethod, DeclinePolicy, Device};
use florin_domain::routing::Wishes;
use std::borrow::Cow;
use std::sync::Arc;

pub(super) const PATH: &str = "/v1/payment_intents";

/// What Stripe would do and Florin would not: taken silently, each of these would be a lie.
const UNSUPPORTED: [&str; 17] = [
    "application_fee_amount",
    "confirmation_token",
    "customer_account",
    "excluded_payment_method_types",
    "fx_quote",
    "hooks",
    "mandate",
    "mandate_data",
    "on_behalf_of",
    "payment_details",
    "payment_method_configuration",
    "radar_options",
    "receipt_email",
    "setup_future_usage",
    "shipping",
    "transfer_data",
    "transfer_group",
];
/// What changes nothing here: how Stripe's own elements behave, and texts that no statement shows.
pub(super) const HARMLESS: [&str; 3] = [
    "statement_descriptor",
    "statement_descriptor_suffix",
    "use_stripe_sdk",
];

pub(crate) async fn handle(state: Data<State>, request: HttpRequest, payload: Payload) -> HttpResponse {
    let told = create(&state, &request, payload).await;
    answer::finished(&state, &request, told)
}

async fn create(state: &State, request: &HttpRequest, payload: Payload) -> Told {
    let mut posted = Posted::read(state, request, payload, Kind::PaymentIntent).await?;
    posted.caller.may_take_money()?;
    let (_, livemode) = posted.owner()?;
    let asked = Asked::read(&mut posted.params, livemode)?;
    std::mem::take(&mut posted.params).finish()?;
    let (start, gone) = match asked.method {
        None => (Start::Draft(None), None),
        Some(wanted) => {
            let customer = asked.customer.as_deref();
            match wanted.found(state, &posted, PATH, customer).await? {
                Found::Here(method) if asked.is_confirmed => (Start::Charge(method), None),
                Found::Here(method) => (Start::Draft(Some(method)), None),
                Found::Gone(why) => (Start::MethodGone, Some(why)),
            }
        }
    };
    let (key_digest, fingerprint) = posted.digests(state, PATH)?;
    let (merchant, _) = posted.caller.merchant()?;
    let new = NewPayment {
        id: None,
        merchant: merchant.id,
        livemode,
        fee: state.directory.fees().due(merchant),
        key: posted.key.clone(),
        key_digest,
        fingerprint,
        amount: asked.amount,
        currency: asked.currency,
        start,
        capture_method: asked.capture_method,
        // An intent waits for another method.
        after_decline: DeclinePolicy::AwaitMethod,
        customer: asked.customer,
        description: asked.description,
        metadata: asked.metadata,
        return_url: asked.return_url,
        device: Device::default(),
        routing: Wishes::default(),
        off_session: asked.off_session,
    };
    let answered = state.payments.create(new).await.map_err(ApiError::from);
    let answered = unless_gone(answered.map_err(Refused::from), gone)?;
    answer::intent(state, &answered, &posted.expand)
}

/// What an intent is to be, checked by the rules of native payments.
#[derive(Debug)]
struct Asked {
    amount: Amount,
    currency: Currency,
    method: Option<Wanted>,
    is_confirmed: bool,
    off_session: bool,
    capture_method: CaptureMethod,
    customer: Option<Arc<str>>,
    description: Option<Arc<str>>,
    metadata: Vec<(Arc<str>, Arc<str>)>,
    return_url: Option<Arc<str>>,
}

impl Asked {
    fn read(params: &mut Params, livemode: bool) -> Result<Self, Refused> {
        params.unsupported(&UNSUPPORTED)?;
        params.only_false(&["error_on_requires_action"])?;
        params.harmless(&HARMLESS);
        kinds_of_method(params)?;
        method_options(params)?;
        params.word("confirmation_method", &["automatic"])?;
        let amount = native::amount(
            params
                .number("amount")?
                .ok_or_else(|| required(params, "amount"))?,
        )?;
        let currency = params
            .text("currency")?
            .ok_or_else(|| required(params, "currency"))?;
        let currency = Currency::parse(&currency).map_err(|error| {
            params.refused("currency", Code::ParameterInvalid, &format!("is wrong: {error}"))
        })?;
        let is_confirmed = params.flag("confirm")? == Some(true);
        let off_session = params.flag("off_session")? == Some(true);
        if off_session && !is_confirmed {
            let why = "is only for what is charged at once, with `confirm=true`";
            return Err(params.refused("off_session", Code::ParameterInvalid, why).into());
        }
        let capture_method = params.word("capture_method", &["automatic", "automatic_async", "manual"])?;
        let customer = params.text("customer")?.map(owned);
        let customer = native::name("customer_id", customer.as_ref())
            .map_err(|invalid| renamed(invalid, "customer_id", "customer"))?;
        let description = params.text("description")?.map(owned);
        let return_url = params.text("return_url")?.map(owned);
        let pairs = params.pairs("metadata")?.into_iter();
        let pairs = Pairs(pairs.map(|(name, value)| (owned(name), owned(value))).collect());
        let metadata =
            native::metadata(Some(&pairs)).map_err(|invalid| renamed(invalid, "metadata", "metadata"))?;
        let method = Wanted::read(params, livemode)?;
        if is_confirmed && method.is_none() {
            return Err(required(params, "payment_method").into());
        }
        Ok(Self {
            amount,
            currency,
            method,
            is_confirmed,
            off_session,
            capture_method: match capture_method {
                Some("manual") => CaptureMethod::Manual,
                Some(_) | None => CaptureMethod::Automatic,
            },
            customer,
            description: native::text("description", description.as_ref(), TEXT_BYTES_MAX)?,
            metadata,
            return_url: native::return_url(return_url.as_ref())?,
        })
    }
}

fn required(params: &Params, name: &str) -> Invalid {
    params.refused(name, Code::ParameterMissing, "is required")
}

pub(super) fn owned(text: String) -> Text<'static> {
    Text(Cow::Owned(text))
}

/// Cards are what there is, so whoever wants cards, or leaves the choice, is served.
pub(crate) fn kinds_of_method(params: &mut Params) -> Result<(), Invalid> {
    if let Some(kinds) = params.list("payment_method_types")?
        && !kinds.iter().any(|kind| kind == "card")
    {
        let why = "must have `card`: nothing else is taken here";
        return Err(params.refused("payment_method_types", Code::ParameterInvalid, why));
    }
    if let Some(mut automatic) = params.inner("automatic_payment_methods")? {
        automatic.flag("enabled")?;
        automatic.word("allow_redirects", &["always", "never"])?;
        automatic.finish()?;
    }
    Ok(())
}

/// Of a card's options the usual one may be said.
pub(crate) fn method_options(params: &mut Params) -> Result<(), Invalid> {
    let Some(mut options) = params.inner("payment_method_options")? else {
        return Ok(());
    };
    if let Some(mut card) = options.inner("card")? {
        card.word("request_three_d_secure", &["automatic"])?;
        card.finish()?;
    }
    options.finish()
}
