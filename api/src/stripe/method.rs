//! What an intent is to be paid with: a saved card, a method of test mode by its name, or a card that is saved on the way from its token.

use super::answer::{Refused, renamed};
use super::params::Params;
use super::request::Posted;
use crate::errors::{ApiError, Code, Invalid};
use crate::state::State;
use crate::v1::payment_request as native;
use crate::vault::{self, Card, Saved, saved};
use florin_domain::ids::MerchantId;
use florin_domain::method::PaymentMethod;
use florin_domain::vault::{Owner, Profile, VaultChange, VaultObject};

const METHOD: &str = "payment_method";
const DATA: &str = "payment_method_data";

/// As it is asked for; nothing was looked up yet.
#[derive(Debug)]
pub(super) enum Wanted {
    /// By its id.
    Named(String),
    /// A card that is saved first, with what is said of it.
    New(Box<Card>, Profile),
}

/// What was found of it.
#[derive(Debug)]
pub(super) enum Found {
    /// It can pay.
    Here(PaymentMethod),
    /// It cannot, and why. What was asked under the same key when it could is answered as then.
    Gone(ApiError),
}

impl Wanted {
    /// Reads either parameter.
    pub(super) fn read(params: &mut Params, livemode: bool) -> Result<Option<Self>, Refused> {
        let named = params.text(METHOD)?;
        let Some(data) = params.inner(DATA)? else {
            return Ok(named.map(Self::Named));
        };
        if named.is_some() {
            let why = "excludes `payment_method`";
            return Err(params.refused(DATA, Code::ParameterInvalid, why).into());
        }
        new(data, livemode).map(Some)
    }

    /// Looks it up, or saves it: once for the key of the request, so that a repeated one pays with the same card.
    pub(super) async fn found(
        self,
        state: &State,
        posted: &Posted,
        path: &str,
        customer: Option<&str>,
    ) -> Result<Found, Refused> {
        let (merchant, livemode) = posted.owner()?;
        let (card, said) = match self {
            Self::Named(id) => return saved_one(state, (merchant, livemode), &id, customer).await,
            Self::New(card, said) => (*card, said),
        };
        let change = match card {
            Card::Typed(card) => VaultChange::CreateMethod { card, said },
            Card::Token(token) => VaultChange::UseToken { token, said },
        };
        let owner = Owner { merchant, livemode };
        let once = posted.once(state, path)?;
        match state.cards.change(owner, change, Some(once)).await {
            // What it is now decides: it may have become a customer's since.
            Ok(changed) => match changed.object {
                VaultObject::Method(method) => {
                    saved_one(state, (merchant, livemode), &method.id.to_string(), customer).await
                }
                VaultObject::Customer(_)
                | VaultObject::CustomerDeleted(_)
                | VaultObject::Token(_)
                | VaultObject::Setup(_)
                | VaultObject::Mandate(_) => Err(ApiError::Internal.into()),
            },
            Err(error) => Ok(Found::Gone(inside_data(vault::refused(error)))),
        }
    }
}

fn new(mut data: Params, livemode: bool) -> Result<Wanted, Refused> {
    let required = |params: &Params, name: &str| params.refused(name, Code::ParameterMissing, "is required");
    if data.word("type", &["card"])?.is_none() {
        return Err(required(&data, "type").into());
    }
    let mut card = data.inner("card")?.ok_or_else(|| required(&data, "card"))?;
    let token = card.text("token")?.ok_or_else(|| required(&card, "token"))?;
    let name = card.name("token");
    card.finish()?;
    let fields = data.into_fields();
    let holder = vault::holder(&fields).map(str::to_owned);
    let said = vault::method(fields).map_err(renamed_inside)?;
    let card = vault::token_of(&name, &token, livemode, holder.as_deref())?;
    Ok(Wanted::New(Box::new(card), said))
}

/// The same parameter by its whole name.
fn renamed_inside(invalid: Invalid) -> Invalid {
    let Invalid { param, code, message } = invalid;
    let Some(own) = param else {
        return Invalid { param, code, message };
    };
    let (head, rest) = own.find('[').map_or((own.as_str(), ""), |at| own.split_at(at));
    let whole = format!("{DATA}[{head}]{rest}");
    Invalid {
        message: message.replace(&format!("`{own}`"), &format!("`{whole}`")),
        param: Some(whole),
        code,
    }
}

fn inside_data(error: ApiError) -> ApiError {
    match error {
        ApiError::Invalid(invalid) if invalid.param.as_deref() != Some("Idempotency-Key") => {
            ApiError::Invalid(renamed_inside(invalid))
        }
        other => other,
    }
}

/// A method by its id, for an intent of this customer.
pub(super) async fn saved_one(
    state: &State,
    (merchant, livemode): (MerchantId, bool),
    id: &str,
    customer: Option<&str>,
) -> Result<Found, Refused> {
    let owner = Owner { merchant, livemode };
    let refused =
        |code, why: &str| Found::Gone(Invalid::new(METHOD, code, format!("`{METHOD}`: {why}")).into());
    Ok(match saved(state, owner, id).await {
        Saved::Other => {
            let named = native::method(id, livemode, None);
            Found::Here(named.map_err(|invalid| renamed(invalid, "payment_method_id", METHOD))?)
        }
        Saved::Gone(ApiError::Invalid(invalid)) => {
            Found::Gone(renamed(invalid, "payment_method_id", METHOD).into())
        }
        Saved::Gone(why) => Found::Gone(why),
        Saved::Card {
            method,
            customer: None,
        } => Found::Here(method),
        Saved::Card {
            method,
            customer: Some(whose),
        } => match customer {
            Some(customer) if customer == whose.to_string() => Found::Here(method),
            Some(_) => refused(
                Code::ResourceMissing,
                "the customer does not have this payment method, which must be attached to the customer.",
            ),
            // Who knows only the card is not told whose it is.
            None => refused(
                Code::PaymentMethodUnexpectedState,
                "the payment method is attached to a customer, who must be the `customer` of the intent.",
            ),
        },
    })
}

/// What became of a request whose method was not there: the answer of then, if something was known under its key, or why it is not there.
pub(super) fn unless_gone<T>(answered: Result<T, Refused>, gone: Option<ApiError>) -> Result<T, Refused> {
    match (answered, gone) {
        (Err(Refused::Plain(ApiError::MethodGone)), Some(why)) => Err(why.into()),
        (answered, _) => answered,
    }
}
