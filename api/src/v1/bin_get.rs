//! `GET /v1/bins/{bin}`: what the first digits of a card number say by themselves. Nothing is looked up and nothing is kept.

use crate::auth::Caller;
use crate::errors::{ApiError, Code, Invalid};
use crate::openapi::{Access, Endpoint, array, bounded, chapter, flag, must, or_null, record, text, word};
use crate::query;
use crate::reply::{Reply, json};
use crate::state::State;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use florin_domain::card::Bin;
use florin_domain::method::CardBrand;
use serde::Serialize;
use serde_json::json;
use utoipa::openapi::schema::ObjectBuilder;

/// What stands before the digits.
const PREFIX: &str = "/v1/bins/";

#[derive(Debug, Serialize)]
struct BinBody<'a> {
    object: &'static str,
    bin: &'a str,
    /// Null when it is in no range that is known here.
    brand: Option<&'static str>,
    /// Nothing when the brand is not known.
    length: &'static [usize],
    /// ISO/IEC 7812-1 has it so for every number.
    luhn: bool,
    /// Which issuer has which range takes a table that Florin does not have.
    country: Option<&'static str>,
}

impl<'a> BinBody<'a> {
    fn of(bin: &'a Bin) -> Self {
        let brand = bin.brand();
        Self {
            object: "card_bin",
            bin: bin.as_str(),
            brand: brand.map(CardBrand::as_str),
            length: brand.map_or(&[], CardBrand::number_lengths),
            luhn: true,
            country: None,
        }
    }
}

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> Reply {
    Reply(get(&state, &request))
}

fn get(state: &State, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    Caller::of(state, request)?.who()?;
    query::none(request)?;
    let named = request.match_info().get("bin");
    // Not repeated: it may be a whole card number.
    let refused = || {
        let message = "`bin` is the first 6 to 8 digits of a card number.";
        Invalid::new("bin", Code::ParameterInvalid, message)
    };
    let bin = named.and_then(|text| Bin::parse(text).ok()).ok_or_else(refused)?;
    json(StatusCode::OK, &BinBody::of(&bin))
}

/// A path as it may be logged: somebody may ask with a whole card number by mistake, which no log may have.
pub(crate) fn loggable(path: &str) -> &str {
    if path.starts_with(PREFIX) { PREFIX } else { path }
}

fn shape() -> ObjectBuilder {
    let brands = CardBrand::ALL.map(CardBrand::as_str);
    let country = text("Of the issuer. Null: the digits do not say it, and Florin has no table of issuers.");
    record([
        must("object", word("What it is.", ["card_bin"])),
        must("bin", digits("What was asked about.")),
        must(
            "brand",
            or_null(word(
                "The network in whose range it is. Null when it is in none that is known.",
                brands,
            )),
        ),
        must(
            "length",
            array(
                bounded("Digits.", (8, 19)),
                "How many digits numbers of the network have. Empty when the network is not known.",
            ),
        ),
        must(
            "luhn",
            flag("The last digit of the number is a check digit by Luhn's formula."),
        ),
        must("country", or_null(country.pattern(Some("^[A-Z]{2}$")))),
    ])
}

fn digits(description: &str) -> ObjectBuilder {
    text(description).pattern(Some("^[0-9]{6,8}$"))
}

pub(crate) fn described() -> Endpoint {
    let example = json!({
        "object": "card_bin", "bin": "424242", "brand": "visa", "length": [13, 16, 19], "luhn": true, "country": null,
    });
    Endpoint::get("/v1/bins/{bin}", Access::KeyHolders)
        .called(
            "getCardBin",
            "Read what a BIN says",
            "The network of a card and how its numbers look, from their first digits: for a form that shows a logo and notices slips of the pen. Never \
             send more than eight digits.",
        )
        .in_chapter(chapter::PAYMENTS)
        .path_part("bin", digits("The first 6 to 8 digits of a card number."), "424242")
        .answers(200, "What they say.", shape(), example)
        .refuses(400, &[Code::ParameterInvalid])
}
