//! The rules in force and the providers they choose from, as operators see them.

use super::list::Displayed;
use super::next_version::{DecidedBody, decided_fields, latest_field};
use super::routing_wishes::provider_name;
use crate::openapi::{array, bounded, count, must, or_null, record, text, word};
use florin_actors::routing_handle::RulesInForce;
use florin_domain::provider::ProviderId;
use florin_domain::routing::{Entrant, PROGRAM_BYTES_MAX, RoutingVersion, Rule, Score};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::openapi::schema::ObjectBuilder;

#[derive(Debug, Serialize)]
pub(super) struct RoutingBody<'a> {
    object: &'static str,
    /// 0 for the configuration's rules.
    version: u32,
    program: &'a str,
    rules: Vec<RuleBody<'a>>,
    /// What is wrong with rules that name a provider which is not configured any more.
    problem: Option<String>,
    #[serde(flatten)]
    decided: DecidedBody<'a>,
    latest_version: u32,
    to_come: Vec<ToCome<'a>>,
    providers: Vec<StandingBody>,
}

#[derive(Debug, Serialize)]
struct ToCome<'a> {
    version: u32,
    program: &'a str,
    #[serde(flatten)]
    decided: DecidedBody<'a>,
}

#[derive(Debug, Serialize)]
struct RuleBody<'a> {
    name: &'a str,
    line: u32,
    condition: String,
    target: String,
}

/// How a provider stands.
#[derive(Debug, Serialize)]
struct StandingBody {
    provider: Displayed<ProviderId>,
    /// Why it gets nothing.
    bar: Option<&'static str>,
    health: &'static str,
    score: f64,
}

impl<'a> RoutingBody<'a> {
    pub(super) fn of(rules: &'a RulesInForce, field: &[Entrant]) -> Self {
        let rule = |rule: &'a Rule| RuleBody {
            name: &rule.name,
            line: rule.line,
            condition: rule.condition.to_string(),
            target: rule.target.to_string(),
        };
        let to_come = |version: &'a RoutingVersion| ToCome {
            version: version.number,
            program: version.value.text(),
            decided: DecidedBody::of(Some(version)),
        };
        let standing = |entrant: &Entrant| StandingBody {
            provider: Displayed(entrant.id),
            bar: entrant.bar.map(florin_domain::routing::Bar::as_str),
            health: entrant.health.as_str(),
            score: points(entrant.score),
        };
        Self {
            object: "routing",
            version: rules.version,
            program: &rules.text,
            rules: rules.program.rules().iter().map(rule).collect(),
            problem: rules.problem.as_ref().map(|why| format!("{why}.")),
            decided: DecidedBody::of(rules.change.as_ref()),
            latest_version: rules.latest,
            to_come: rules.to_come.iter().map(to_come).collect(),
            providers: field.iter().map(standing).collect(),
        }
    }
}

/// From 0 to 100, with two decimals.
pub(super) fn points(score: Score) -> f64 {
    f64::from(score.hundredths()) / 100.0
}

pub(super) fn points_shape() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(utoipa::openapi::schema::Type::Number)
        .description(Some("How good it is, with two decimals."))
        .minimum(Some(0))
        .maximum(Some(100))
}

pub(super) fn health_shape() -> ObjectBuilder {
    word(
        "How it has been doing.",
        ["healthy", "degraded", "reduced", "excluded"],
    )
}

pub(super) fn program_shape() -> ObjectBuilder {
    let description = "Rules, one per line; empty for none, so that everything goes by score. At most 16384 bytes of UTF-8 without control characters \
         besides line ends and tabs.";
    text(description)
        .max_length(Some(PROGRAM_BYTES_MAX))
        .pattern(Some(r"^[^\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F]*$"))
}

pub(super) fn shape() -> ObjectBuilder {
    let rule = record([
        must("name", text("Its name.")),
        must("line", bounded("The line of the program.", (1, 1 << 14))),
        must("condition", text("When it applies.")),
        must("target", text("Where it sends charges.")),
    ]);
    let standing = record([
        must("provider", provider_name("Its name.")),
        must(
            "bar",
            or_null(text("Why it gets nothing now, such as `disabled`.")),
        ),
        must("health", health_shape()),
        must("score", points_shape()),
    ]);
    let mut to_come = vec![
        must("version", count("Which rules they are.")),
        must("program", program_shape()),
    ];
    to_come.extend(decided_fields());
    let mut routing = vec![
        must("object", word("What it is.", ["routing"])),
        must(
            "version",
            count("Which rules are in force; 0 for those of the configuration."),
        ),
        must("program", program_shape()),
        must("rules", array(rule, "What the program says, in the order tried.")),
        must(
            "problem",
            or_null(text(
                "What is wrong, if a rule names a provider that is not configured any more.",
            )),
        ),
    ];
    routing.extend(decided_fields());
    routing.push(latest_field());
    routing.push(must(
        "to_come",
        array(record(to_come), "Rules to come, the earliest first."),
    ));
    routing.push(must("providers", array(standing, "The providers as they stand.")));
    record(routing)
}

pub(super) fn example() -> Value {
    json!({
        "object": "routing", "version": 1, "program": "visa: brand is visa -> stripe\n",
        "rules": [{"name": "visa", "line": 1, "condition": "brand is visa", "target": "stripe"}],
        "problem": null, "effective_at": null, "set_by": "key_01m7y92a930001k836eeyy2z3q",
        "reason": "A better price.", "latest_version": 1, "to_come": [],
        "providers": [{"provider": "stripe", "bar": null, "health": "healthy", "score": 87.45}],
    })
}
