//! The ledger, the tree and the state of the process as schemas.

use super::payment_shapes::events;
use super::shape::{
    Field, Shape, array, bounded, count, flag, id, integer, may, must, named, or_null, record, text, time,
    word,
};
use utoipa::openapi::schema::ObjectBuilder;

/// An account for examples.
pub(crate) const ACCOUNT_ID: &str = "merchant_payable:mer_01m7y92a930001k836eeyy2z3p:USD";

/// The id of an account.
pub(crate) fn account_id() -> ObjectBuilder {
    text("Kind, owner if there is one, currency, and `live` for real money: such as `fee_revenue:USD`.").pattern(
        Some("^(merchant_payable:mer_[0-7][0-9a-hjkmnp-tv-z]{25}|provider_clearing:[a-z0-9_]{1,16}|fee_revenue|processing_fees|bank|suspense|rounding):[A-Z]{3}(:live)?$"),
    )
}

fn account() -> ObjectBuilder {
    let kinds = ["asset", "liability", "equity", "revenue", "expense"];
    record([
        must("object", word("What it is.", ["account"])),
        must("id", account_id()),
        must("type", word("Its type.", kinds)),
        must("currency", named("Currency")),
        must("livemode", flag("Whether its money is real.")),
        must(
            "balance",
            integer("On the side on which its type grows, in minor units."),
        ),
        must("pending_credit", count("Expected credits, in minor units.")),
        must("pending_debit", count("Expected debits, in minor units.")),
        must(
            "available",
            integer("The balance less what is expected to leave."),
        ),
        must("as_of_seq", count("The commit up to which all of this holds.")),
    ])
}

fn entry() -> ObjectBuilder {
    record([
        must("object", word("What it is.", ["entry"])),
        must("seq", count("The commit that it is in.")),
        must("at", time("When.")),
        must("payment_id", or_null(id("Of which payment.", "pay_"))),
        must("side", word("Which side.", ["debit", "credit"])),
        must("amount", super::payment_shapes::amount("How much.")),
        must("currency", named("Currency")),
        must("balance_after", integer("Of the account, in minor units.")),
        must(
            "events",
            array(
                word("", events()),
                "What happened to the payment in the same commit.",
            ),
        ),
    ])
}

fn trial_balance() -> ObjectBuilder {
    let total = record([
        must("currency", named("Currency")),
        must("livemode", flag("Whether the money is real.")),
        must("debits", integer("In minor units.")),
        must("credits", integer("In minor units.")),
        must("difference", integer("Zero, or the books are broken.")),
    ]);
    record([
        must("object", word("What it is.", ["trial_balance"])),
        must("data", array(total, "One for each currency and mode.")),
    ])
}

fn tree_node() -> Vec<Field> {
    let mailbox = record([
        must("depth", count("Messages that wait.")),
        must("soft_cap", count("Messages from which new work is refused.")),
        must("hard_cap", count("Messages that fit.")),
    ]);
    vec![
        must("id", text("Kind and key: names it where actors are named.")),
        must("kind", text("What kind of actor.")),
        must("key", text("Which of its kind.")),
        must("mailbox", mailbox),
        must("restarts", count("How often it was restarted.")),
        must(
            "restart_budget_left",
            or_null(count("How often it still may be.")),
        ),
        must("age_ms", count("Milliseconds since it was started.")),
        must("children_live", count("How many it has.")),
        must("children", array(named("TreeNode"), "Some of them.")),
    ]
}

/// The root, and what operators have stopped.
fn tree() -> ObjectBuilder {
    let mut fields = tree_node();
    fields.push(must("read_only", flag("Whether merchants may only read.")));
    let disabled = array(text(""), "Providers that get no new charges.");
    fields.push(must("providers_disabled", disabled));
    record(fields)
}

fn health() -> ObjectBuilder {
    record([
        must("status", word("How it stands.", ["ok", "ready", "not_ready"])),
        may("reason", text("Why it takes no payments.")),
    ])
}

/// How many entries a page has.
pub(crate) fn limit() -> ObjectBuilder {
    bounded("Entries of a page.", (1, 100)).default(Some(10.into()))
}

/// What others name.
pub(super) fn all() -> Vec<(&'static str, Shape)> {
    vec![
        ("Account", account().into()),
        ("Entry", entry().into()),
        ("TrialBalance", trial_balance().into()),
        ("Tree", tree().into()),
        ("TreeNode", record(tree_node()).into()),
        ("Health", health().into()),
    ]
}
