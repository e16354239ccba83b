//! The ledger, the tree and the state of the process as schemas.

use super::payment_shapes::{events, metadata, provider_health, provider_points};
use super::shape::{
    Field, Shape, array, bounded, count, flag, id, integer, may, must, named, or_null, record, text, time,
    word,
};
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Type};

/// An account for examples.
pub(crate) const ACCOUNT_ID: &str = "merchant_payable:mer_01m7y92a930001k836eeyy2z3p:USD";

/// Accounts that operators opened, for examples.
pub(crate) const OPENED_ACCOUNT_ID: &str = "acc_01m7y92a930000000gy0g00000";
pub(crate) const OPENED_ACCOUNT_ID_OTHER: &str = "acc_01m7y92a930000000gy0g00001";
/// A transfer for examples.
pub(crate) const TRANSFER_ID: &str = "123e4567-e89b-12d3-a456-426614174000";

/// The id of an account.
pub(crate) fn account_id() -> ObjectBuilder {
    text(
        "Of one that was opened: `acc_...`. Of one that payments are booked on: kind, owner if there is one, currency, and `live` for real money, \
         such as `fee_revenue:USD`.",
    )
    .pattern(Some(
        "^(acc_[0-7][0-9a-hjkmnp-tv-z]{25}|(merchant_payable:mer_[0-7][0-9a-hjkmnp-tv-z]{25}|provider_clearing:[a-z0-9_]{1,16}|fee_revenue|processing_fees|bank|suspense|rounding|payment_revenue|refunds_payable|chargebacks|equity|shard_clearing):[A-Z]{3}(:live)?(@[0-9]{1,5})?)$",
    ))
}

/// The id of a transfer.
pub(crate) fn transfer_id(description: &str) -> ObjectBuilder {
    text(&format!("{description} A UUID.")).pattern(Some(
        "^([0-9a-fA-F]{32}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})$",
    ))
}

/// A day.
pub(crate) fn day(description: &str) -> ObjectBuilder {
    text(&format!("{description} Written as YYYY-MM-DD.")).pattern(Some("^[0-9]{4}-[0-9]{2}-[0-9]{2}$"))
}

/// The type of an account.
pub(crate) fn account_type() -> ObjectBuilder {
    let kinds = ["asset", "liability", "equity", "revenue", "expense"];
    word(
        "Its type: assets and expenses grow with debits, the others with credits.",
        kinds,
    )
}

fn side() -> ObjectBuilder {
    word("Which side.", ["debit", "credit"])
}

fn rate() -> ObjectBuilder {
    text("At which rate an amount in another currency became this one; `1.0` if none was given.")
}

fn account() -> ObjectBuilder {
    record([
        must("object", word("What it is.", ["account"])),
        must("id", account_id()),
        must("type", account_type()),
        must("currency", named("Currency")),
        must("livemode", flag("Whether its money is real.")),
        must(
            "balance",
            integer("On the side on which its type grows, in minor units."),
        ),
        must(
            "pending_credit",
            or_null(count("Expected credits, in minor units; null of the past.")),
        ),
        must(
            "pending_debit",
            or_null(count("Expected debits, in minor units; null of the past.")),
        ),
        must(
            "available",
            or_null(integer(
                "The balance less what is expected to leave; null of the past.",
            )),
        ),
        must(
            "shard",
            or_null(count("The shard that has it; null if each has a part.")),
        ),
        must(
            "as_of_seq",
            or_null(count(
                "The commit of its shard up to which all of this holds; null of the sum of several shards' parts.",
            )),
        ),
        may(
            "name",
            text("What its owner calls it. Of opened accounts, as what follows is."),
        ),
        may(
            "min_balance",
            or_null(integer("No less than this may be available.")),
        ),
        may("max_balance", or_null(integer("No more than this may be held."))),
        may("metadata", metadata()),
    ])
}

fn entry() -> ObjectBuilder {
    let events = events().chain(["ledger.transferred"]);
    record([
        must("object", word("What it is.", ["entry"])),
        must(
            "id",
            text("The line: its commit, and its place among those of its account in it.")
                .pattern(Some("^[0-9]+-[0-9]+$")),
        ),
        must("account", account_id()),
        must("seq", count("The commit that it is in.")),
        must("at", time("When it was recorded.")),
        must("effective_date", day("The day on which it counts.")),
        must("payment_id", or_null(id("Of which payment.", "pay_"))),
        must("transfer_id", or_null(transfer_id("Of which transfer."))),
        must("side", side()),
        must("amount", super::payment_shapes::amount("How much.")),
        must("currency", named("Currency")),
        must("balance_after", integer("Of the account, in minor units.")),
        must("exchange_rate", rate()),
        must("description", or_null(text("What the transfer says."))),
        must("metadata", metadata()),
        must(
            "events",
            array(word("", events), "What happened in the same commit."),
        ),
    ])
}

/// What became of a request for transfers.
fn transfers() -> ObjectBuilder {
    let exception = record([
        must("index", count("Which of the request.")),
        must("id", transfer_id("Its id.")),
        must(
            "status",
            word("Recorded before, or not at all.", ["existed", "refused"]),
        ),
        may("seq", count("The commit that recorded it before.")),
        may(
            "code",
            text("Why it was refused; one of the codes of this operation."),
        ),
        may("message", text("For people; its words may change.")),
    ]);
    record([
        must("object", word("What it is.", ["transfers"])),
        must("dry_run", flag("Nothing was recorded: it says what would be.")),
        must("seq", or_null(count("The commit that recorded what is new."))),
        must("recorded", count("How many are new.")),
        must("existed", count("How many were recorded before.")),
        must("refused", count("How many were not recorded.")),
        must(
            "exceptions",
            array(exception, "Those that are not new, in the order of the request."),
        ),
    ])
}

fn transfer() -> ObjectBuilder {
    let posting = record([
        must("account", account_id()),
        must("side", side()),
        must("amount", super::payment_shapes::amount("How much.")),
        must("currency", named("Currency")),
        must(
            "balance_after",
            or_null(integer("Of the account; null for what is only reserved.")),
        ),
    ]);
    let steps = ["single", "pending", "post_pending", "void_pending", "revert"];
    let statuses = ["posted", "pending", "ended", "voided", "undecided", "refused"];
    record([
        must("object", word("What it is.", ["transfer"])),
        must("id", transfer_id("Its id.")),
        must("step", word("Which step it is.", steps)),
        must(
            "status",
            word(
                "What has become of it. Only one between two shards is undecided for a moment, or kept though it was refused.",
                statuses,
            ),
        ),
        must(
            "pending_id",
            or_null(transfer_id("The pending transfer that it ended.")),
        ),
        must("reverts", or_null(transfer_id("The transfer that it undid."))),
        must("reverted_by", or_null(transfer_id("The transfer that undid it."))),
        must(
            "expires_at",
            or_null(time("When the reservation ends by itself.")),
        ),
        must("postings", array(posting, "Posted or reserved; none for a void.")),
        must("effective_date", day("The day on which it counts.")),
        must("created", time("When it was recorded.")),
        must("seq", count("The commit that recorded it.")),
        must("description", or_null(text("What it says."))),
        must("exchange_rate", rate()),
        must("metadata", metadata()),
    ])
}

/// An object of values by name.
fn by_name(value: impl Into<Shape>, description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some(description))
        .additional_properties(Some(AdditionalProperties::RefOr(value.into())))
}

fn templates() -> ObjectBuilder {
    let stages = ["payment", "refund", "late_charge", "settlement", "payout"];
    let line = record([
        must("role", text("Whose account.")),
        must("side", side()),
        must("amount", text("A parameter, a derived amount, or a sum of them.")),
    ]);
    let template = record([
        must("object", word("What it is.", ["ledger_template"])),
        must("name", text("What transfers call it.")),
        must("description", text("What it is for.")),
        must(
            "stage",
            or_null(word("Which step in the life of a payment it books.", stages)),
        ),
        must(
            "roles",
            by_name(
                array(account_type(), "The types of account that may stand for it."),
                "Who takes part.",
            ),
        ),
        must(
            "parameters",
            by_name(
                word("What it measures.", ["gross", "fee", "other"]),
                "The amounts that each transfer gives.",
            ),
        ),
        must(
            "derived",
            by_name(text("A sum."), "Sums of them that have a name."),
        ),
        must("lines", array(line, "What is posted.")),
        must(
            "recognises_fee_on",
            array(text(""), "The roles of revenue on which it earns the fee."),
        ),
        must(
            "unusable",
            or_null(text(
                "Why it cannot be used beside the templates by which payments are booked.",
            )),
        ),
    ]);
    let profile = record([
        must(
            "posting",
            word("Whose sales payments are.", ["marketplace", "merchant_of_record"]),
        ),
        must(
            "fee_recognition",
            word("When the fee is earned.", ["at_payment", "at_settlement"]),
        ),
        must(
            "templates",
            array(text(""), "Those of a payment's life, in its order."),
        ),
    ]);
    record([
        must("object", word("What it is.", ["ledger_templates"])),
        must("profile", profile),
        must(
            "chart",
            by_name(
                or_null(text("An account of the platform, or the name of an opened one.")),
                "Which account stands for a role of which a transfer says nothing.",
            ),
        ),
        must("data", array(template, "All of them.")),
    ])
}

fn periods() -> ObjectBuilder {
    let mode = record([
        must("livemode", flag("Whether it is about real money.")),
        must("closed_through", or_null(day("The last closed day."))),
    ]);
    record([
        must("object", word("What it is.", ["ledger_periods"])),
        must("data", array(mode, "One for each mode.")),
    ])
}

fn statements(object: &'static str, only: &[&'static str]) -> ObjectBuilder {
    let sums = [
        ("assets", "What is owned or owed to us."),
        ("liabilities", "What we owe."),
        ("equity", "The owners' part, without net income."),
        ("revenue", "Earned."),
        ("expenses", "Spent."),
        ("net_income", "Revenue less expenses."),
        (
            "difference",
            "Assets less liabilities, equity and net income: zero, or the books are broken.",
        ),
    ];
    let sums = sums.into_iter().filter(|(name, _)| only.contains(name));
    let mut fields = vec![
        must("currency", named("Currency")),
        must("livemode", flag("Whether the money is real.")),
    ];
    fields.extend(sums.map(|(name, about)| must(name, integer(&format!("{about} In minor units.")))));
    record([
        must("object", word("What it is.", [object])),
        must(
            "as_of_seq",
            or_null(count(
                "The commit up to which it holds; null where there are several shards.",
            )),
        ),
        must("data", array(record(fields), "One for each currency and mode.")),
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
        may("standing", provider_standing()),
        must("children_live", count("How many it has.")),
        must("children", array(named("TreeNode"), "Some of them.")),
    ]
}

/// What a provider's actor knows of it.
fn provider_standing() -> ObjectBuilder {
    let breaker = |what| {
        must(
            what,
            word("Its circuit breaker.", ["closed", "open", "half_open"]),
        )
    };
    let measures = record([
        must(
            "success_bps",
            bounded(
                "Requests of the last fifteen minutes that it answered, of all, in basis points.",
                (0, 10_000),
            ),
        ),
        must("latency_ms", count("What one of them took on average.")),
        must("cost_bps", count("What it takes of an amount, in basis points.")),
    ]);
    record([
        must("health", provider_health()),
        must("score", provider_points()),
        must("measures", measures),
        must(
            "breakers",
            record(["charge", "capture", "void", "refund", "increment"].map(breaker)),
        ),
        must("in_flight", count("Requests under way.")),
        must("permits", count("How many may be.")),
        must("waiting", count("Calls that wait for a permit.")),
        must(
            "refused_keys",
            array(
                text(""),
                "Whose keys the provider does not take (401, 403), so that nothing new is charged under them: `platform`, or a merchant's id.",
            ),
        ),
        must(
            "limited_keys",
            array(
                text(""),
                "Merchants under whose own keys the provider has had more requests than it takes (429), so that nothing new is charged under them.",
            ),
        ),
        must(
            "queue_max",
            count("How many may wait before new charges are turned away."),
        ),
        must(
            "resolving",
            count("Questions about what is already under way; they have permits of their own."),
        ),
    ])
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
        may(
            "reason",
            word(
                "Why it takes no payments.",
                ["draining", "journal_full", "indexes_behind"],
            ),
        ),
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
        ("Transfers", transfers().into()),
        ("Transfer", transfer().into()),
        ("LedgerPeriods", periods().into()),
        ("LedgerTemplates", templates().into()),
        (
            "BalanceSheet",
            statements(
                "balance_sheet",
                &[
                    "assets",
                    "liabilities",
                    "equity",
                    "revenue",
                    "expenses",
                    "net_income",
                    "difference",
                ],
            )
            .into(),
        ),
        (
            "IncomeStatement",
            statements("income_statement", &["revenue", "expenses", "net_income"]).into(),
        ),
        ("Tree", tree().into()),
        ("TreeNode", record(tree_node()).into()),
        ("Health", health().into()),
    ]
}
