//! `GET /v1/ledger/templates`: the posting templates, how payments are booked, and which account stands for which role.

use crate::auth::Caller;
use crate::errors::ApiError;
use crate::openapi::{Access, Endpoint, chapter, named};
use crate::query;
use crate::reply::{Reply, json};
use crate::state::State;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use florin_domain::ledger::{LedgerRules, Stage, Template};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Debug, Serialize)]
struct TemplatesBody<'a> {
    object: &'static str,
    /// How payments are booked from now on.
    profile: ProfileBody,
    /// Role by role; nothing where each transfer says.
    chart: BTreeMap<&'static str, Option<&'a str>>,
    data: Vec<TemplateBody<'a>>,
}

#[derive(Debug, Serialize)]
struct ProfileBody {
    posting: &'static str,
    fee_recognition: &'static str,
    templates: &'static [&'static str],
}

#[derive(Debug, Serialize)]
struct TemplateBody<'a> {
    object: &'static str,
    name: &'a str,
    description: &'a str,
    stage: Option<&'static str>,
    roles: BTreeMap<&'a str, Vec<&'static str>>,
    parameters: BTreeMap<&'a str, &'static str>,
    derived: BTreeMap<&'a str, &'a str>,
    lines: Vec<LineBody<'a>>,
    recognises_fee_on: Vec<String>,
    /// Why it cannot be used beside the payments' templates.
    unusable: Option<String>,
}

#[derive(Debug, Serialize)]
struct LineBody<'a> {
    role: &'a str,
    side: &'static str,
    amount: &'a str,
}

impl<'a> TemplateBody<'a> {
    fn of(template: &'a Template, rules: &LedgerRules) -> Self {
        let terms = template.terms();
        let types = |types: &'a Vec<_>| {
            let types: &'a Vec<florin_domain::ledger::AccountType> = types;
            types.iter().map(|one| one.as_str()).collect()
        };
        let recognised = template.recognises().into_iter();
        Self {
            object: "ledger_template",
            name: &terms.name,
            description: &terms.description,
            stage: terms.stage.map(Stage::as_str),
            roles: terms
                .roles
                .iter()
                .map(|(role, of)| (&**role, types(of)))
                .collect(),
            parameters: terms
                .parameters
                .iter()
                .map(|(name, measure)| (&**name, measure.as_str()))
                .collect(),
            derived: terms
                .derived
                .iter()
                .map(|(name, sum)| (&**name, &**sum))
                .collect(),
            lines: terms
                .lines
                .iter()
                .map(|line| LineBody {
                    role: &line.role,
                    side: line.side.as_str(),
                    amount: &line.amount,
                })
                .collect(),
            recognises_fee_on: recognised
                .filter(|part| part.times > 0)
                .map(|part| part.role.to_string())
                .collect(),
            unusable: rules.why_unfit(template).map(ToString::to_string),
        }
    }
}

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> Reply {
    Reply(list(&state, &request))
}

fn list(state: &State, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    Caller::of(state, request)?.operator()?;
    query::none(request)?;
    let rules = state.ledger.rules();
    let profile = rules.profile();
    let accounts = rules.chart().accounts();
    let body = TemplatesBody {
        object: "ledger_templates",
        profile: ProfileBody {
            posting: profile.posting.as_str(),
            fee_recognition: profile.fee_recognition.as_str(),
            templates: profile.names(),
        },
        chart: accounts
            .map(|(role, account)| (role, Some(account.as_str()).filter(|word| !word.is_empty())))
            .collect(),
        data: rules
            .templates()
            .iter()
            .map(|template| TemplateBody::of(template, rules))
            .collect(),
    };
    json(StatusCode::OK, &body)
}

fn example() -> Value {
    let rules = LedgerRules::default();
    let profile = rules.profile();
    let template = rules.template("payment_with_fee");
    let template = template.map(|template| TemplateBody::of(template, &rules));
    json!({
        "object": "ledger_templates",
        "profile": {"posting": "marketplace", "fee_recognition": "at_payment", "templates": profile.names()},
        "chart": {"bank": "bank", "merchant_receivable": null, "platform_fee": "fee_revenue"},
        "data": [template],
    })
}

pub(crate) fn described() -> Endpoint {
    Endpoint::get("/v1/ledger/templates", Access::Operators)
        .called(
            "listTemplates",
            "List posting templates",
            "Those that every node has and those of its configuration, how payments are booked by them, and which account stands for a role of which a \
             transfer says nothing.",
        )
        .in_chapter(chapter::LEDGER)
        .answers(200, "All of them.", named("LedgerTemplates"), example())
}
