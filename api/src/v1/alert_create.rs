//! `POST /v1/ledger/alerts`: an operator is told when an account comes to something. With an id of its own a request may be sent
//! again: the same alert is made once.

use super::account_body::Named;
use super::alert_body::{
    ALERT_ID, AlertBody, alert_id, condition_word, field_word, whole_example, whole_shape,
};
use super::payment_request::{metadata, text};
use crate::auth::Caller;
use crate::errors::{ApiError, Code, Invalid};
use crate::json::{Number, Pairs, Text};
use crate::openapi::{
    Access, Endpoint, OPENED_ACCOUNT_ID, account_id, bounded_text, chapter, integer, may, metadata as pairs,
    must, strict,
};
use crate::reply::{Remembered, Reply, json};
use crate::state::State;
use crate::{body, json as strictly, query};
use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use florin_actors::account_shard::AlertCreation;
use florin_domain::ids::ShardId;
use florin_domain::ledger::{AlertCondition, AlertField, AlertId, AlertTerms};
use florin_domain::limits::TEXT_BYTES_MAX;
use serde::Deserialize;
use serde_json::json;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AlertRequest<'a> {
    #[serde(borrow, default)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    account: Text<'a>,
    #[serde(borrow)]
    field: Text<'a>,
    #[serde(borrow)]
    condition: Text<'a>,
    amount_minor: Number,
    #[serde(borrow, default)]
    description: Option<Text<'a>>,
    #[serde(borrow, default)]
    metadata: Option<Pairs<'a>>,
}

pub(crate) async fn handle(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    Reply(create(&state, &request, payload).await)
}

async fn create(state: &State, request: &HttpRequest, payload: Payload) -> Result<HttpResponse, ApiError> {
    let by = Caller::of(state, request)?.operator_id()?;
    query::none(request)?;
    let bytes = body::read_json(state, request, payload).await?;
    let body: AlertRequest<'_> = strictly::read(&bytes)?;
    let shards = state.ledger.shards();
    let asked = body.check(shards, || state.ledger.new_alert_id())?;
    match state.ledger.create_alert(asked, by).await? {
        AlertCreation::Created(shown) => json(StatusCode::OK, &AlertBody::whole(&shown, shards)),
        AlertCreation::Existed(shown) => {
            let existed = json(StatusCode::OK, &AlertBody::whole(&shown, shards))?;
            Ok(Remembered::mark_if(true, existed))
        }
        AlertCreation::Refused(refusal) => Err(ApiError::AlertRefused(refusal)),
    }
}

fn wrong(name: &'static str, message: impl Into<String>) -> Invalid {
    Invalid::new(name, Code::ParameterInvalid, message)
}

/// `` `a`, `b` or `c` ``.
fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        Some(_) | None => quoted.concat(),
    }
}

impl AlertRequest<'_> {
    pub(super) fn check(
        &self,
        shards: usize,
        new_id: impl FnOnce() -> AlertId,
    ) -> Result<(ShardId, AlertTerms), Invalid> {
        let id = match &self.id {
            Some(text) => AlertId::parse(text.as_str()).ok_or_else(|| wrong("id", "`id` is a UUID."))?,
            None => new_id(),
        };
        let message = "`account` is the id of an account, as `/v1/ledger/accounts` shows it.";
        let account = Named::parse(self.account.as_str()).ok_or_else(|| wrong("account", message))?;
        let field = AlertField::ALL
            .into_iter()
            .find(|field| field.as_str() == self.field.as_str());
        let condition = AlertCondition::ALL
            .into_iter()
            .find(|condition| condition.as_str() == self.condition.as_str());
        let unlike = |name: &'static str, words: [&str; 4]| {
            let message = format!("`{name}` is {}.", listed(&words));
            wrong(name, message)
        };
        let mut metadata = metadata(self.metadata.as_ref())?;
        // The order in which an object is written means nothing.
        metadata.sort();
        let description = text("description", self.description.as_ref(), TEXT_BYTES_MAX)?;
        let terms = AlertTerms {
            id,
            account: account.key,
            field: field.ok_or_else(|| unlike("field", AlertField::ALL.map(AlertField::as_str)))?,
            condition: condition
                .ok_or_else(|| unlike("condition", AlertCondition::ALL.map(AlertCondition::as_str)))?,
            amount_minor: amount(self.amount_minor)?,
            description: description.filter(|text| !text.is_empty()),
            metadata,
        };
        Ok((home(account, shards)?, terms))
    }
}

fn amount(number: Number) -> Result<i128, Invalid> {
    match number {
        Number::Whole(minor) if i64::try_from(minor).is_ok() => Ok(minor),
        Number::Whole(_) | Number::Beyond { .. } | Number::Float => {
            let message = "`amount_minor` is an integer in minor units that fits 64 bits.";
            Err(Invalid::new(
                "amount_minor",
                Code::ParameterInvalidInteger,
                message,
            ))
        }
    }
}

/// The shard that looks at the account. No shard knows the sum of what several have a part of, so a part must be named.
fn home(account: Named, shards: usize) -> Result<ShardId, Invalid> {
    let is_there = |shard: &ShardId| usize::from(shard.0) < shards;
    match (account.key.home(), account.part) {
        (Some(home), _) => Ok(home),
        (None, Some(part)) => Some(part).filter(is_there).ok_or_else(|| {
            let message = format!("`account` names shard {}, and there is none.", part.0);
            wrong("account", message)
        }),
        (None, None) if shards == 1 => Ok(ShardId::FIRST),
        (None, None) => {
            let message = format!(
                "`account`: every shard has a part of this account; name one, as in `{}@0`.",
                account.key
            );
            Err(wrong("account", message))
        }
    }
}

pub(crate) fn described() -> Endpoint {
    let shape = strict([
        may(
            "id",
            alert_id("Yours, used once for ever; one is made when absent."),
        ),
        must("account", account_id()),
        must("field", field_word()),
        must("condition", condition_word()),
        must(
            "amount_minor",
            integer("Compared with what, in minor units of the account's currency."),
        ),
        may(
            "description",
            bounded_text("What it is for.", (0, TEXT_BYTES_MAX)),
        ),
        may("metadata", pairs()),
    ]);
    let low = json!({
        "id": ALERT_ID, "account": OPENED_ACCOUNT_ID, "field": "available", "condition": "below", "amount_minor": 50_000,
        "description": "Top up the float of Alice.", "metadata": {"team": "treasury"},
    });
    let suspense = json!({
        "account": "suspense:USD:live", "field": "balance", "condition": "above", "amount_minor": 0,
    });
    Endpoint::order("/v1/ledger/alerts", Access::Operators)
        .called(
            "createAlert",
            "Watch an account",
            "The alert is raised when its condition becomes true, at once if it is true already, and armed again when it becomes false. It is looked at \
             after every commit that changes the account. Where there are several shards, of an account such as `suspense:USD` a part is watched, such as \
             `suspense:USD@1`. The same alert again is answered with the one that is there.",
        )
        .in_chapter(chapter::LEDGER)
        .takes(
            shape,
            &[
                ("Too little is left", low),
                ("Real money that nobody owns, under an id that is made", suspense),
            ],
        )
        .answers(200, "The alert; it watches.", whole_shape(), whole_example())
        .refuses(400, &[Code::ParameterInvalidInteger, Code::CardNumberMisplaced])
        .refuses(404, &[Code::AccountUnknown])
        .refuses(409, &[Code::AlertIdReused, Code::AlertsFull])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(body: &serde_json::Value, shards: usize) -> Result<(ShardId, AlertTerms), Invalid> {
        let bytes = serde_json::to_vec(body).unwrap();
        let request: AlertRequest<'_> = strictly::read(&bytes)?;
        request.check(shards, || AlertId(7))
    }

    fn with(also: &serde_json::Value) -> serde_json::Value {
        let mut body = json!({
            "account": "bank:USD", "field": "balance", "condition": "below", "amount_minor": -5,
        });
        for (name, value) in also.as_object().unwrap() {
            body[name] = value.clone();
        }
        body
    }

    #[test]
    fn an_alert_is_read_as_it_is_written() {
        let (shard, terms) = checked(&with(&json!({})), 1).unwrap();
        assert_eq!(
            (shard, terms.id, terms.amount_minor),
            (ShardId::FIRST, AlertId(7), -5)
        );
        assert_eq!(
            (terms.field, terms.condition),
            (AlertField::Balance, AlertCondition::Below)
        );
        assert_eq!((terms.description, terms.metadata), (None, Vec::new()));
        let also = json!({
            "id": ALERT_ID, "account": "bank:USD@2", "field": "pending_credits", "condition": "at_or_above",
            "description": "", "metadata": {"b": "2", "a": "1"},
        });
        let (shard, terms) = checked(&with(&also), 3).unwrap();
        assert_eq!(
            (shard, terms.account.to_string()),
            (ShardId(2), "bank:USD".to_owned())
        );
        assert_eq!(terms.id.to_string(), ALERT_ID);
        assert_eq!(
            terms.metadata[0].0.as_ref(),
            "a",
            "the order of an object means nothing"
        );
        assert_eq!(terms.description, None, "nothing is said");
    }

    #[test]
    fn what_is_no_alert_is_refused_by_its_field() {
        for (also, shards, param) in [
            (json!({"id": "alert-1"}), 1, "id"),
            (json!({"account": "savings:USD"}), 1, "account"),
            (json!({"account": "bank:USD@1"}), 1, "account"),
            (json!({"account": "bank:USD"}), 2, "account"),
            (json!({"account": "bank:USD@2"}), 2, "account"),
            (json!({"account": format!("{OPENED_ACCOUNT_ID}@0")}), 2, "account"),
            (json!({"field": "limit"}), 1, "field"),
            (json!({"condition": "equal"}), 1, "condition"),
            (json!({"amount_minor": 1.5}), 1, "amount_minor"),
            (
                json!({"amount_minor": 9_223_372_036_854_775_808_u64}),
                1,
                "amount_minor",
            ),
            (
                json!({"description": "x".repeat(TEXT_BYTES_MAX + 1)}),
                1,
                "description",
            ),
            (json!({"threshold": 1}), 1, "threshold"),
        ] {
            let refused = checked(&with(&also), shards).unwrap_err();
            assert_eq!(
                refused.param.as_deref(),
                Some(param),
                "{also}: {}",
                refused.message
            );
        }
        let refused = checked(&with(&json!({"condition": "equal"})), 1).unwrap_err();
        assert_eq!(
            refused.message,
            "`condition` is `below`, `above`, `at_or_below` or `at_or_above`."
        );
        let refused = checked(&with(&json!({})), 2).unwrap_err();
        assert!(refused.message.contains("`bank:USD@0`"), "{}", refused.message);
    }
}
