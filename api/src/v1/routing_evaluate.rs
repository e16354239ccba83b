//! `POST /v1/ops/routing/evaluate`: where a payment would go, or the latest ones would, under the rules in force or under others. Nothing
//! is stored and nothing is sent, so it takes no `Idempotency-Key`.

use super::payment_request::{amount, metadata, method};
use super::route_row::RouteRow;
use super::routing_body::program_shape;
use super::routing_set::refused;
use super::routing_wishes::{self, WishesRequest, check_known, names, not_configured, provider_name};
use crate::auth::Caller;
use crate::body::read_json;
use crate::errors::{ApiError, Code, Invalid};
use crate::json::{Lines, Number, Object, Pairs, Text};
use crate::openapi::{
    Access, Endpoint, amount as amount_shape, array, bounded, bounded_text, chapter, count, id as an_id, may,
    metadata as metadata_shape, must, named, or_null, record, route_shape, strict, text, word,
};
use crate::reply::{self, Remembered, Reply};
use crate::state::State;
use crate::{json as strictly, query};
use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use florin_actors::routing_handle::{COMPARED_MAX, CompareError, Comparison, RoutingChange, RoutingHandle};
use florin_domain::ids::MerchantId;
use florin_domain::method::CardBrand;
use florin_domain::money::{Amount, Currency};
use florin_domain::payment::CaptureMethod;
use florin_domain::provider::ProviderId;
use florin_domain::routing::{Facts, MethodKind, Route, Wishes};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The largest draw.
const DRAW_BPS_MAX: u32 = 9_999;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EvaluateRequest<'a> {
    #[serde(borrow, default)]
    program: Option<Lines<'a>>,
    #[serde(borrow, default)]
    disabled: Option<Vec<Text<'a>>>,
    #[serde(borrow, default)]
    excluded: Option<Vec<Text<'a>>>,
    #[serde(borrow, default)]
    payment: Option<Object<Hypothetical<'a>>>,
    #[serde(default)]
    draw_bps: Option<Number>,
    #[serde(default)]
    latest: Option<Number>,
    #[serde(borrow, default)]
    merchant_id: Option<Text<'a>>,
}

/// A payment that nobody has asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hypothetical<'a> {
    amount: Number,
    #[serde(borrow)]
    currency: Text<'a>,
    #[serde(borrow)]
    merchant_id: Text<'a>,
    #[serde(borrow, default)]
    payment_method_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    brand: Option<Text<'a>>,
    #[serde(borrow, default)]
    country: Option<Text<'a>>,
    #[serde(borrow, default)]
    capture_method: Option<Text<'a>>,
    #[serde(borrow, default)]
    customer_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    metadata: Option<Pairs<'a>>,
    #[serde(borrow, default)]
    routing: Option<Object<WishesRequest<'a>>>,
}

/// What is asked, checked but for who is configured.
#[derive(Debug)]
pub(super) struct Question {
    program: Option<String>,
    disabled: Vec<ProviderId>,
    excluded: Vec<ProviderId>,
    about: About,
}

#[derive(Debug)]
enum About {
    One(Box<Supposed>),
    Latest(Option<MerchantId>, usize),
}

#[derive(Debug)]
struct Supposed {
    brand: CardBrand,
    country: [u8; 2],
    amount: Amount,
    currency: Currency,
    merchant: MerchantId,
    metadata: Vec<(Arc<str>, Arc<str>)>,
    has_customer: bool,
    capture: CaptureMethod,
    wishes: Wishes,
    draw_bps: u32,
}

fn invalid(param: &str, says: &str) -> Invalid {
    Invalid::new(param, Code::ParameterInvalid, format!("`{param}` {says}."))
}

/// The same refusal of a parameter that stands within `payment`.
fn within(refusal: Invalid) -> Invalid {
    let Some(param) = refusal.param else {
        return refusal;
    };
    let place = format!("payment.{param}");
    let message = refusal
        .message
        .replace(&format!("`{param}`"), &format!("`{place}`"));
    Invalid::new(place, refusal.code, message)
}

fn whole(param: &str, number: Number, (min, max): (u32, u32)) -> Result<u32, Invalid> {
    let whole = match number {
        Number::Whole(whole) => u32::try_from(whole).ok(),
        Number::Beyond { .. } | Number::Float => None,
    };
    let whole = whole.filter(|whole| (min..=max).contains(whole));
    whole.ok_or_else(|| {
        let message = format!("`{param}` is a whole number from {min} to {max}.");
        Invalid::new(param, Code::ParameterInvalidInteger, message)
    })
}

fn merchant(param: &str, id: &Text<'_>) -> Result<MerchantId, Invalid> {
    MerchantId::parse(id.as_str()).map_err(|_| invalid(param, "is a merchant's id"))
}

impl EvaluateRequest<'_> {
    pub(super) fn check(&self) -> Result<Question, Invalid> {
        let about = match (&self.payment, self.latest) {
            (Some(payment), None) => {
                if self.merchant_id.is_some() {
                    return Err(invalid(
                        "merchant_id",
                        "goes with `latest`; a payment has its own",
                    ));
                }
                let draw = self.draw_bps;
                let draw_bps = draw.map(|draw| whole("draw_bps", draw, (0, DRAW_BPS_MAX)));
                let draw_bps = draw_bps.transpose()?.unwrap_or(0);
                About::One(Box::new(payment.0.check(draw_bps)?))
            }
            (None, Some(latest)) => {
                if self.draw_bps.is_some() {
                    return Err(invalid(
                        "draw_bps",
                        "goes with `payment`; payments have their own",
                    ));
                }
                let max = u32::try_from(COMPARED_MAX).unwrap_or(u32::MAX);
                let latest = whole("latest", latest, (1, max))?;
                let of = self.merchant_id.as_ref();
                let of = of.map(|id| merchant("merchant_id", id)).transpose()?;
                About::Latest(of, usize::try_from(latest).unwrap_or(COMPARED_MAX))
            }
            (Some(_), Some(_)) => return Err(invalid("latest", "and `payment` exclude each other")),
            (None, None) => {
                let message = "`payment` or `latest` is required.";
                return Err(Invalid::new("payment", Code::ParameterMissing, message));
            }
        };
        Ok(Question {
            program: self.program.as_ref().map(|program| program.as_str().to_owned()),
            disabled: names("disabled", self.disabled.as_deref())?,
            excluded: names("excluded", self.excluded.as_deref())?,
            about,
        })
    }
}

impl Hypothetical<'_> {
    fn check(&self, draw_bps: u32) -> Result<Supposed, Invalid> {
        let currency = Currency::parse(self.currency.as_str())
            .map_err(|error| invalid("payment.currency", &format!("is wrong: {error}")))?;
        let (brand, country) = self.card()?;
        let wishes = self.routing.as_ref();
        let wishes = wishes.map_or_else(
            || Ok(Wishes::default()),
            |wishes| wishes.0.check("payment.routing"),
        )?;
        Ok(Supposed {
            brand,
            country,
            amount: amount(self.amount).map_err(within)?,
            currency,
            merchant: merchant("payment.merchant_id", &self.merchant_id)?,
            metadata: metadata(self.metadata.as_ref()).map_err(within)?,
            has_customer: self.customer_id.is_some(),
            capture: match self.capture_method.as_ref().map(Text::as_str) {
                None | Some("automatic") => CaptureMethod::Automatic,
                Some("manual") => CaptureMethod::Manual,
                Some(_) => return Err(invalid("payment.capture_method", "is `automatic` or `manual`")),
            },
            wishes,
            draw_bps,
        })
    }

    /// By the name of a test method, or by what is known of a card.
    fn card(&self) -> Result<(CardBrand, [u8; 2]), Invalid> {
        if let Some(id) = &self.payment_method_id {
            if self.brand.is_some() || self.country.is_some() {
                return Err(invalid(
                    "payment.payment_method_id",
                    "says the brand and the country already",
                ));
            }
            let method = method(id.as_str(), false, None).map_err(within)?;
            return Ok((method.brand, method.country));
        }
        let missing = |param: &str| {
            let message = format!("`{param}` is required, or `payment.payment_method_id`.");
            Invalid::new(param, Code::ParameterMissing, message)
        };
        let brand = self.brand.as_ref().ok_or_else(|| missing("payment.brand"))?;
        let known = [CardBrand::Visa, CardBrand::Mastercard, CardBrand::Amex];
        let brand = known.into_iter().find(|known| known.as_str() == brand.as_str());
        let brand = brand.ok_or_else(|| invalid("payment.brand", "is `visa`, `mastercard` or `amex`"))?;
        let country = self.country.as_ref().ok_or_else(|| missing("payment.country"))?;
        let letters: Result<[u8; 2], _> = country.as_str().as_bytes().try_into();
        let country = letters
            .ok()
            .filter(|letters| letters.iter().all(u8::is_ascii_alphabetic));
        let country = country.ok_or_else(|| invalid("payment.country", "is a two-letter ISO 3166 code"))?;
        Ok((brand, country.map(|letter| letter.to_ascii_uppercase())))
    }
}

#[derive(Debug, Serialize)]
struct EvaluationBody<'a> {
    object: &'static str,
    /// The rules in force; 0 for the configuration's.
    version: u32,
    route: Option<RouteRow<'a>>,
    comparison: Option<ComparisonBody>,
}

#[derive(Debug, Serialize)]
struct ComparisonBody {
    payments: usize,
    moved: usize,
    before: Vec<ShareBody>,
    after: Vec<ShareBody>,
}

#[derive(Debug, Serialize)]
struct ShareBody {
    /// Nobody, if nobody may.
    provider: Option<String>,
    payments: usize,
    /// Of all that were looked at, in basis points, rounded down.
    share_bps: usize,
}

impl ComparisonBody {
    fn of(comparison: &Comparison) -> Self {
        let shares = |counts: &BTreeMap<Option<ProviderId>, usize>| {
            let share = |(provider, payments): (&Option<ProviderId>, &usize)| ShareBody {
                provider: provider.map(|provider| provider.to_string()),
                payments: *payments,
                share_bps: payments.saturating_mul(10_000) / comparison.payments.max(1),
            };
            counts.iter().map(share).collect()
        };
        Self {
            payments: comparison.payments,
            moved: comparison.moved,
            before: shares(&comparison.before),
            after: shares(&comparison.after),
        }
    }
}

pub(crate) async fn handle(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    Reply(evaluate(&state, &request, payload).await)
}

async fn evaluate(state: &State, request: &HttpRequest, payload: Payload) -> Result<HttpResponse, ApiError> {
    Caller::of(state, request)?.operator()?;
    query::none(request)?;
    let bytes = read_json(state, request, payload).await?;
    let question = strictly::read::<EvaluateRequest<'_>>(&bytes)?.check()?;
    let routing = state.directory.routing();
    let change = change(&routing, &question)?;
    let version = routing.in_force().version;
    let mut route = None;
    let mut comparison = None;
    match &question.about {
        About::One(supposed) => route = Some(routed(&routing, supposed, &change)?),
        About::Latest(merchant, latest) => {
            let compared = routing.compare(*merchant, *latest, &change).await;
            comparison = Some(ComparisonBody::of(&compared.map_err(not_compared)?));
        }
    }
    let body = EvaluationBody {
        object: "routing_evaluation",
        version,
        route: route.as_ref().map(RouteRow::from),
        comparison,
    };
    Ok(Remembered::mark_if(true, reply::json(StatusCode::OK, &body)?))
}

fn change(routing: &RoutingHandle, question: &Question) -> Result<RoutingChange, Invalid> {
    let program = question.program.as_ref();
    let program = program.map(|text| routing.read(text)).transpose();
    let configured = routing.configured();
    for (place, names) in [("disabled", &question.disabled), ("excluded", &question.excluded)] {
        if names.iter().any(|name| !configured.contains(name)) {
            return Err(not_configured(place));
        }
    }
    Ok(RoutingChange {
        program: program.map_err(|why| refused(&why))?.map(Arc::new),
        disabled: question.disabled.clone(),
        excluded: question.excluded.clone(),
    })
}

fn routed(routing: &RoutingHandle, supposed: &Supposed, change: &RoutingChange) -> Result<Route, Invalid> {
    let configured = routing.configured();
    check_known(&supposed.wishes, "payment.routing", |name| {
        configured.contains(&name)
    })?;
    let facts = Facts {
        method: MethodKind::Card,
        brand: supposed.brand,
        country: supposed.country,
        amount: supposed.amount,
        currency: supposed.currency,
        merchant: supposed.merchant,
        metadata: &supposed.metadata,
        has_customer: supposed.has_customer,
        capture: supposed.capture,
    };
    Ok(routing.evaluate(&facts, &supposed.wishes, change, supposed.draw_bps))
}

fn not_compared(error: CompareError) -> ApiError {
    match error {
        CompareError::TooManyMerchants => {
            let message = format!("`merchant_id` is needed here: {error}.");
            Invalid::new("merchant_id", Code::ParameterMissing, message).into()
        }
        CompareError::View(error) => error.into(),
    }
}

fn payment_shape() -> utoipa::openapi::schema::ObjectBuilder {
    let brands = ["visa", "mastercard", "amex"];
    strict([
        must("amount", amount_shape("How much.")),
        must("currency", named("Currency")),
        must("merchant_id", an_id("Whose payment it would be.", "mer_")),
        may(
            "payment_method_id",
            bounded_text(
                "A test method, such as `pm_card_visa`; or `brand` and `country`.",
                (1, 255),
            ),
        ),
        may("brand", word("The card's scheme.", brands)),
        may(
            "country",
            text("Its issuer's two-letter ISO 3166 code.").pattern(Some("^[A-Za-z]{2}$")),
        ),
        may(
            "capture_method",
            word("When it is captured.", ["automatic", "manual"]),
        ),
        may(
            "customer_id",
            text("The merchant's name for the customer. Rules ask only whether there is one."),
        ),
        may("metadata", metadata_shape()),
        may("routing", routing_wishes::shape()),
    ])
}

pub(crate) fn described() -> Endpoint {
    let list = |description: &str| {
        array(provider_name("A configured provider."), description)
            .max_items(Some(32))
            .unique_items(true)
    };
    let takes = strict([
        may("program", program_shape()),
        may("disabled", list("Providers to suppose disabled.")),
        may(
            "excluded",
            list("Providers to suppose excluded, because too little succeeds there."),
        ),
        may("payment", payment_shape()),
        may(
            "draw_bps",
            bounded("The lot that is drawn for `payment`; 0 if absent.", (0, 9_999)),
        ),
        may(
            "latest",
            bounded("How many of the latest payments to look at instead.", (1, 1_000)),
        ),
        may(
            "merchant_id",
            an_id("Only this merchant's, with `latest`.", "mer_"),
        ),
    ]);
    let share = || {
        array(
            record([
                must("provider", or_null(text("Its name; null for nobody."))),
                must("payments", count("How many would go there.")),
                must(
                    "share_bps",
                    bounded("How many of all, in basis points.", (0, 10_000)),
                ),
            ]),
            "Who would get how many.",
        )
    };
    let comparison = record([
        must("payments", count("How many were looked at.")),
        must("moved", count("How many would go to somebody else.")),
        must("before", share()),
        must("after", share()),
    ]);
    let answer = record([
        must("object", word("What it is.", ["routing_evaluation"])),
        must("version", count("The rules in force.")),
        must("route", or_null(route_shape())),
        must("comparison", or_null(comparison)),
    ]);
    let program = "visa: brand is visa -> stripe\n";
    let payment = json!({
        "program": program,
        "payment": {
            "amount": 10_000, "currency": "USD", "payment_method_id": "pm_card_visa",
            "merchant_id": "mer_01m7y92a930001k836eeyy2z3p",
        },
    });
    let example = json!({
        "object": "routing_evaluation", "version": 0,
        "route": {
            "rule": "visa", "choices": [{"provider": "stripe", "health": "healthy", "score": 87.45}], "left_out": [],
        },
        "comparison": null,
    });
    Endpoint::question("/v1/ops/routing/evaluate", Access::Operators)
        .called(
            "evaluateRouting",
            "Ask where payments would go",
            "One that you make up, or the latest ones, under the rules in force or under others. Whether a provider is busy is left aside. \
             Changes nothing.",
        )
        .in_chapter(chapter::OPERATIONS)
        .takes(
            takes,
            &[
                ("A Visa card under other rules", payment),
                ("The latest payments under other rules", json!({"program": program, "latest": 500})),
            ],
        )
        .answers(200, "Where it would go, or they would.", answer, example)
        .refuses(
            400,
            &[
                Code::AmountTooLarge,
                Code::AmountTooSmall,
                Code::ParameterInvalidInteger,
                Code::ResourceMissing,
            ],
        )
        .refuses(503, &[Code::Overloaded])
}
