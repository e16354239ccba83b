//! A card in a request, as it was typed.

use super::Asked;
use crate::errors::{ApiError, Code, Invalid};
use crate::stripe::tree::{Fields, Node, echoed};
use florin_domain::card_details::CardInput;
use florin_domain::credentials::SecretText;
use florin_domain::token::{CardToken, TokenError};
use zeroize::Zeroize;

/// A card, or the token that stands for one.
#[derive(Debug)]
pub(crate) enum Card {
    Typed(Box<CardInput>),
    Token(CardToken),
}

/// Stripe's tokens of test mode, and the numbers that they stand for.
const TEST_TOKENS: [(&str, &str); 9] = [
    ("tok_amex", "378282246310005"),
    ("tok_chargeDeclined", "4000000000000002"),
    ("tok_chargeDeclinedExpiredCard", "4000000000000069"),
    ("tok_chargeDeclinedIncorrectCvc", "4000000000000127"),
    ("tok_chargeDeclinedInsufficientFunds", "4000000000009995"),
    ("tok_discover", "6011111111111117"),
    ("tok_mastercard", "5555555555554444"),
    ("tok_visa", "4242424242424242"),
    ("tok_visa_debit", "4000056655665556"),
];
/// Until when they may be charged: nobody types a date for them.
const TEST_EXPIRY: (&str, &str) = ("12", "2050");

/// The fields of a card; what is read is taken out.
struct Fielded(Fields);

impl Fielded {
    fn of(asked: &mut Asked) -> Result<Self, ApiError> {
        match asked.take("card") {
            Some(Node::Map(fields)) => Ok(Self(fields)),
            None => Err(missing("card[number]")),
            Some(Node::Text(mut text)) => {
                text.zeroize();
                Err(Invalid::new(
                    "card",
                    Code::ParameterInvalid,
                    "`card` has `number`, `exp_month`, `exp_year` and `cvc` inside it, or `token`.",
                )
                .into())
            }
            Some(Node::List(_)) => {
                Err(Invalid::new("card", Code::ParameterInvalid, "`card` is no list.").into())
            }
        }
    }

    fn text(&mut self, name: &str) -> Result<Option<SecretText>, ApiError> {
        let Some(at) = self.0.iter().position(|field| field.0 == name) else {
            return Ok(None);
        };
        match self.0.remove(at).1 {
            Node::Text(mut text) => {
                let secret = SecretText::new(text.trim());
                text.zeroize();
                Ok(Some(secret).filter(|secret| !secret.expose().is_empty()))
            }
            Node::List(_) | Node::Map(_) => {
                let name = format!("card[{name}]");
                let message = format!("`{name}` must be a text.");
                Err(Invalid::new(name, Code::ParameterInvalid, message).into())
            }
        }
    }

    fn must(&mut self, name: &str) -> Result<SecretText, ApiError> {
        self.text(name)?.ok_or_else(|| missing(&format!("card[{name}]")))
    }

    fn finish(self) -> Result<(), ApiError> {
        let Some((name, _)) = self.0.first() else {
            return Ok(());
        };
        let name = echoed(&format!("card[{name}]"));
        let message = format!("Unknown parameter `{name}`.");
        Err(Invalid::new(name, Code::ParameterUnknown, message).into())
    }
}

fn missing(name: &str) -> ApiError {
    Invalid::new(name, Code::ParameterMissing, format!("`{name}` is required.")).into()
}

/// The name that is said of a card's holder.
pub(crate) fn holder(fields: &Fields) -> Option<&str> {
    let inside = |fields: &Fields, name: &str| fields.iter().position(|field| field.0 == name);
    let Node::Map(details) = &fields.get(inside(fields, "billing_details")?)?.1 else {
        return None;
    };
    match &details.get(inside(details, "name")?)?.1 {
        Node::Text(name) if !name.is_empty() => Some(name),
        Node::Text(_) | Node::List(_) | Node::Map(_) => None,
    }
}

/// The card of a new payment method: typed, or behind a token.
pub(crate) fn card(asked: &mut Asked, holder: Option<&str>) -> Result<Card, ApiError> {
    let livemode = asked.owner.livemode;
    let mut fields = Fielded::of(asked)?;
    let Some(token) = fields.text("token")? else {
        return typed(fields, holder.map(SecretText::new)).map(|card| Card::Typed(Box::new(card)));
    };
    fields.finish()?;
    token_of("card[token]", token.expose(), livemode, holder)
}

/// The card that a token stands for. Test mode knows some by name.
pub(crate) fn token_of(
    name: &str,
    text: &str,
    livemode: bool,
    holder: Option<&str>,
) -> Result<Card, ApiError> {
    let named = TEST_TOKENS.iter().find(|(known, _)| *known == text);
    if let Some((_, number)) = named.filter(|_| !livemode) {
        return Ok(Card::Typed(Box::new(CardInput {
            number: SecretText::new(number),
            exp_month: SecretText::new(TEST_EXPIRY.0),
            exp_year: SecretText::new(TEST_EXPIRY.1),
            security_code: None,
            holder: holder.map(SecretText::new),
        })));
    }
    read_token(name, text).map(Card::Token)
}

/// A token as a parameter has it, checked before anything is looked up.
fn read_token(name: &str, text: &str) -> Result<CardToken, ApiError> {
    CardToken::parse(text).map_err(|error: TokenError| {
        let message = format!("`{name}`: {error}.");
        Invalid::new(name, Code::TokenInvalid, message).into()
    })
}

fn typed(mut fields: Fielded, holder: Option<SecretText>) -> Result<CardInput, ApiError> {
    let input = CardInput {
        number: fields.must("number")?,
        exp_month: fields.must("exp_month")?,
        exp_year: fields.must("exp_year")?,
        security_code: fields.text("cvc")?,
        holder,
    };
    fields.finish()?;
    Ok(input)
}

/// The card of a token, and what is said of it beside the number: Stripe has its holder and address inside it.
pub(crate) fn token_card(asked: &mut Asked) -> Result<(CardInput, Fields), ApiError> {
    let mut fields = Fielded::of(asked)?;
    let (mut details, mut address) = (Fields::new(), Fields::new());
    let mut name = None;
    if let Some(holder) = fields.text("name")? {
        details.push(("name".to_owned(), Node::Text(holder.expose().to_owned())));
        name = Some(holder);
    }
    for (own, stored) in [
        ("address_line1", "line1"),
        ("address_line2", "line2"),
        ("address_city", "city"),
        ("address_state", "state"),
        ("address_zip", "postal_code"),
        ("address_country", "country"),
    ] {
        if let Some(text) = fields.text(own)? {
            address.push((stored.to_owned(), Node::Text(text.expose().to_owned())));
        }
    }
    // Only debit cards that are paid out to have one.
    fields.text("currency")?;
    if !address.is_empty() {
        details.push(("address".to_owned(), Node::Map(address)));
    }
    let said = if details.is_empty() {
        Fields::new()
    } else {
        vec![("billing_details".to_owned(), Node::Map(details))]
    };
    Ok((typed(fields, name)?, said))
}

/// Another last month of a card; its number and code never change.
pub(crate) fn expiry(asked: &mut Asked) -> Result<(Option<String>, Option<String>), ApiError> {
    if !asked.fields.iter().any(|field| field.0 == "card") {
        return Ok((None, None));
    }
    let mut fields = Fielded::of(asked)?;
    let mut text = |name| Ok::<_, ApiError>(fields.text(name)?.map(|text| text.expose().to_owned()));
    let expiry = (text("exp_month")?, text("exp_year")?);
    fields.finish()?;
    Ok(expiry)
}
