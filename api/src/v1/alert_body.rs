//! A balance alert as it is shown.

use super::account_body::Named;
use super::list::Displayed;
use super::payment_body::Metadata;
use crate::openapi::{
    OPENED_ACCOUNT_ID, account_id, array, count, flag, integer, metadata, must, named, or_null, record, text,
    time, word,
};
use florin_actors::account_shard::ShownAlert;
use florin_domain::ledger::{ALERT_HISTORY_MAX, AlertCondition, AlertEdge, AlertField, AlertId};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::openapi::schema::ObjectBuilder;

/// The alert object.
#[derive(Debug, Serialize)]
pub(super) struct AlertBody<'a> {
    object: &'static str,
    id: Displayed<AlertId>,
    account: Displayed<Named>,
    currency: &'static str,
    livemode: bool,
    shard: u16,
    field: &'static str,
    condition: &'static str,
    amount_minor: i128,
    state: &'static str,
    /// The last edge.
    since_seq: u64,
    since: u64,
    since_value_minor: i128,
    times_raised: u64,
    current_value_minor: i128,
    as_of_seq: u64,
    description: Option<&'a str>,
    metadata: Metadata<'a>,
    created: u64,
    created_seq: u64,
    /// Of one alert that is asked for; lists go without.
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<Vec<EdgeBody>>,
}

#[derive(Debug, Serialize)]
struct EdgeBody {
    state: &'static str,
    seq: u64,
    at: u64,
    value_minor: i128,
}

impl From<&AlertEdge> for EdgeBody {
    fn from(edge: &AlertEdge) -> Self {
        Self {
            state: state_word(edge.is_raised),
            seq: edge.seq.0,
            at: edge.at.unix_s(),
            value_minor: edge.value_minor,
        }
    }
}

/// How an alert stands, in the words of the wire.
pub(super) const STATES: [&str; 2] = [state_word(false), state_word(true)];

const fn state_word(is_raised: bool) -> &'static str {
    if is_raised { "raised" } else { "armed" }
}

impl<'a> AlertBody<'a> {
    /// As a list shows it; `shards` is how many there are.
    pub(super) fn of(shown: &'a ShownAlert, shards: usize) -> Self {
        let (alert, terms) = (&shown.alert, &shown.alert.terms);
        let key = terms.account;
        let is_part = shards > 1 && key.home().is_none();
        let last = EdgeBody::from(&alert.last);
        Self {
            object: "balance_alert",
            id: Displayed(terms.id),
            account: Displayed(Named {
                key,
                part: is_part.then_some(shown.shard),
            }),
            currency: key.currency.code(),
            livemode: key.livemode,
            shard: shown.shard.0,
            field: terms.field.as_str(),
            condition: terms.condition.as_str(),
            amount_minor: terms.amount_minor,
            state: last.state,
            since_seq: last.seq,
            since: last.at,
            since_value_minor: last.value_minor,
            times_raised: alert.times_raised,
            current_value_minor: terms.field.value_minor(&key, &shown.state),
            as_of_seq: shown.as_of.0,
            description: terms.description.as_deref(),
            metadata: Metadata(&terms.metadata),
            created: alert.created_at.unix_s(),
            created_seq: alert.created_seq.0,
            history: None,
        }
    }

    /// With what it remembers.
    pub(super) fn whole(shown: &'a ShownAlert, shards: usize) -> Self {
        Self {
            history: Some(shown.alert.history().map(EdgeBody::from).collect()),
            ..Self::of(shown, shards)
        }
    }
}

/// An alert for examples.
pub(super) const ALERT_ID: &str = "7d9f1c2e-5b64-4a0e-9c3f-2f1e8a6b0d11";

/// As a list shows it.
pub(super) fn example() -> Value {
    json!({
        "object": "balance_alert", "id": ALERT_ID, "account": OPENED_ACCOUNT_ID, "currency": "USD", "livemode": false, "shard": 0,
        "field": "available", "condition": "below", "amount_minor": 50_000, "state": "raised", "since_seq": 4_711,
        "since": 1_795_238_734, "since_value_minor": 49_200, "times_raised": 2, "current_value_minor": 31_000, "as_of_seq": 4_802,
        "description": "Top up the float of Alice.", "metadata": {"team": "treasury"}, "created": 1_795_200_000,
        "created_seq": 12,
    })
}

/// With what it remembers.
pub(super) fn whole_example() -> Value {
    let mut whole = example();
    whole["history"] = json!([
        {"state": "raised", "seq": 4_711, "at": 1_795_238_734, "value_minor": 49_200},
        {"state": "armed", "seq": 4_020, "at": 1_795_230_000, "value_minor": 90_000},
        {"state": "raised", "seq": 12, "at": 1_795_200_000, "value_minor": 0},
    ]);
    whole
}

/// The id of an alert.
pub(super) fn alert_id(description: &str) -> ObjectBuilder {
    crate::openapi::transfer_id(description)
}

pub(super) fn field_word() -> ObjectBuilder {
    word(
        "What is looked at: the balance, what is available, or what is expected to be debited or credited.",
        AlertField::ALL.map(AlertField::as_str),
    )
}

pub(super) fn condition_word() -> ObjectBuilder {
    word(
        "When it is raised, compared with `amount_minor`.",
        AlertCondition::ALL.map(AlertCondition::as_str),
    )
}

pub(super) fn state_shape() -> ObjectBuilder {
    word("Whether its condition holds (`raised`) or not (`armed`).", STATES)
}

fn shape_fields() -> Vec<crate::openapi::Field> {
    vec![
        must("object", word("What it is.", ["balance_alert"])),
        must("id", alert_id("Its id.")),
        must("account", account_id()),
        must("currency", named("Currency")),
        must("livemode", flag("Whether the account's money is real.")),
        must("shard", count("The shard that has it.")),
        must("field", field_word()),
        must("condition", condition_word()),
        must("amount_minor", integer("Compared with what, in minor units.")),
        must("state", state_shape()),
        must("since_seq", count("The commit of its shard that made it so.")),
        must("since", time("When that was recorded.")),
        must("since_value_minor", integer("What the field came to then.")),
        must("times_raised", count("How often it was raised.")),
        must("current_value_minor", integer("What the field comes to now.")),
        must("as_of_seq", count("The commit up to which all of this holds.")),
        must("description", or_null(text("What its owner says of it."))),
        must("metadata", metadata()),
        must("created", time("When it was made.")),
        must("created_seq", count("The commit that made it.")),
    ]
}

/// As a list shows it.
pub(super) fn shape() -> ObjectBuilder {
    record(shape_fields())
}

/// With what it remembers.
pub(super) fn whole_shape() -> ObjectBuilder {
    let edge = record([
        must("state", state_shape()),
        must("seq", count("The commit after which it was so.")),
        must("at", time("When that was recorded.")),
        must("value_minor", integer("What the field came to then.")),
    ]);
    let about = format!("The last {ALERT_HISTORY_MAX} times that it was raised or armed, the newest first.");
    let mut fields = shape_fields();
    fields.push(must("history", array(edge, &about)));
    record(fields)
}

/// That it is gone.
pub(super) fn gone_shape() -> ObjectBuilder {
    record([
        must("object", word("What it was.", ["balance_alert"])),
        must("id", alert_id("The alert.")),
        must("deleted", flag("It is gone.")),
    ])
}
