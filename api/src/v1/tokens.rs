//! `/v1/tokens`: something that stands for a card once, for a form that should not know whose customer it is.

use crate::checkout::Guest;
use crate::errors::{ApiError, Code, Invalid};
use crate::openapi::{Access, Endpoint, bounded_text, chapter, may, must, strict, text};
use crate::reply::Reply;
use crate::state::State;
use crate::vault::{
    Asked, TOKEN_ID, card_shape, exactly_one_key, method, object, read, read_of, token_card, token_example,
    token_shape,
};
use actix_web::HttpRequest;
use actix_web::web::{Data, Payload};
use florin_domain::ports::VaultKey;
use florin_domain::token::CardToken;
use florin_domain::vault::VaultChange;
use serde_json::json as example;

pub(crate) async fn create(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    let create = async {
        // The checkout page asks as well, for a customer and not under a key of the merchant's.
        let mut asked = match Guest::claimed(&state, &request).await? {
            Some(guest) => {
                state.rate_limits.take_guest_token(guest.link.id)?;
                let apart = guest.apart(&state);
                read_of(&state, &request, payload, (guest.link.owner, &apart)).await?
            }
            None => read(&state, &request, payload).await?,
        };
        let (card, said) = token_card(&mut asked)?;
        let (fields, whose) = asked.into_parts();
        crate::stripe::tree::none(fields)?;
        let (card, said) = (Box::new(card), method(said)?);
        Asked::make(&state, whose, VaultChange::CreateToken { card, said }).await
    };
    Reply(create.await)
}

pub(crate) async fn get(state: Data<State>, request: HttpRequest) -> Reply {
    let get = async {
        let named = request.match_info().get("id").unwrap_or_default();
        // Refused by its checksum, before anything is looked up.
        let token = CardToken::parse(named).map_err(|error| {
            ApiError::from(Invalid::new("id", Code::TokenInvalid, format!("`id`: {error}.")))
        })?;
        object(&state, &request, (VaultKey::Token(token), "token")).await
    };
    Reply(get.await)
}

pub(crate) fn described_create() -> Endpoint {
    let part = |name| may(name, bounded_text("As it is written.", (0, 500)));
    let more = [
        "name",
        "address_line1",
        "address_line2",
        "address_city",
        "address_state",
        "address_zip",
        "address_country",
        "currency",
    ];
    let shape = strict([must("card", card_shape(more.map(part).into()))]);
    let typed = example!({"card": {"number": "4242424242424242", "exp_month": "12", "exp_year": "2034", "cvc": "123"}});
    exactly_one_key(Endpoint::order("/v1/tokens", Access::Merchants))
        .called(
            "createToken",
            "Put a token in a card's place",
            "The token is used once, as `card[token]` of a payment method, within an hour. Its last four characters are a checksum: a mistyped \
             token is refused before anything is looked up.",
        )
        .in_chapter(chapter::CUSTOMERS)
        .takes(shape, &[("A card", typed)])
        .answers(200, "The token.", token_shape(), token_example())
        .refuses(
            402,
            &[
                Code::ExpiredCard,
                Code::IncorrectCvc,
                Code::IncorrectNumber,
                Code::InvalidExpiryMonth,
                Code::InvalidExpiryYear,
            ],
        )
}

pub(crate) fn described_get() -> Endpoint {
    Endpoint::get("/v1/tokens/{id}", Access::Merchants)
        .called(
            "getToken",
            "Look at a token",
            "Whether it was used, and of which card it is.",
        )
        .in_chapter(chapter::CUSTOMERS)
        .path_part("id", text("The token."), TOKEN_ID)
        .answers(200, "The token.", token_shape(), token_example())
        .refuses(400, &[Code::TokenInvalid, Code::CardsNotKept])
        .refuses(404, &[Code::ResourceMissing])
}
