//! `GET /v1/ops/tree`: the live supervision tree, for operators.

use crate::auth::Caller;
use crate::errors::{ApiError, Code};
use crate::openapi::{Access, Endpoint, bounded, chapter, named};
use crate::query;
use crate::reply::{Reply, json};
use crate::state::State;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use florin_domain::merchant::Stops;
use florin_domain::ports::{ProviderStanding, TreeNode};
use florin_domain::provider::ProviderId;
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;

/// Payments listed per guardian when nothing is said.
const PAYMENTS_DEFAULT: usize = 5;
/// Payments listed per guardian at most.
const PAYMENTS_MAX: usize = 100;

#[derive(Debug, Serialize)]
struct NodeBody<'a> {
    /// Names it in `/v1/ops/tree/{actor}/kill`.
    id: String,
    kind: &'static str,
    key: &'a str,
    mailbox: MailboxBody,
    restarts: u64,
    restart_budget_left: Option<u32>,
    age_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    standing: Option<StandingBody>,
    children_live: usize,
    children: Vec<NodeBody<'a>>,
}

#[derive(Debug, Serialize)]
struct MailboxBody {
    depth: usize,
    soft_cap: usize,
    hard_cap: usize,
}

/// How a provider stands.
#[derive(Debug, Serialize)]
struct StandingBody {
    health: &'static str,
    score: f64,
    measures: MeasuresBody,
    breakers: BTreeMap<&'static str, &'static str>,
    in_flight: usize,
    permits: usize,
    waiting: usize,
    refused_keys: Vec<String>,
    limited_keys: Vec<String>,
    queue_max: usize,
    resolving: usize,
}

/// What its score is made of.
#[derive(Debug, Serialize)]
struct MeasuresBody {
    success_bps: u32,
    latency_ms: u64,
    cost_bps: u32,
}

impl From<&ProviderStanding> for StandingBody {
    fn from(standing: &ProviderStanding) -> Self {
        Self {
            health: standing.health.as_str(),
            score: f64::from(standing.score.hundredths()) / 100.0,
            measures: MeasuresBody {
                success_bps: standing.measures.success_bps,
                latency_ms: standing.measures.latency_ms,
                cost_bps: standing.measures.cost_bps,
            },
            breakers: standing.breakers.iter().copied().collect(),
            in_flight: standing.in_flight,
            permits: standing.permits,
            waiting: standing.waiting,
            refused_keys: standing.refused_keys.clone(),
            limited_keys: standing.limited_keys.clone(),
            queue_max: standing.queue_max,
            resolving: standing.resolving,
        }
    }
}

impl<'a> NodeBody<'a> {
    fn of(node: &'a TreeNode) -> Self {
        Self {
            id: format!("{}:{}", node.kind, node.key),
            kind: node.kind,
            key: &node.key,
            mailbox: MailboxBody {
                depth: node.mailbox_depth,
                soft_cap: node.mailbox_soft_cap,
                hard_cap: node.mailbox_hard_cap,
            },
            restarts: node.restarts,
            restart_budget_left: node.restart_budget_left,
            age_ms: node.age_ms,
            standing: node.standing.as_ref().map(StandingBody::from),
            children_live: node.children_live,
            children: node.children.iter().map(Self::of).collect(),
        }
    }
}

/// The root, and what operators have stopped.
#[derive(Debug, Serialize)]
struct TreeBody<'a> {
    #[serde(flatten)]
    root: NodeBody<'a>,
    read_only: bool,
    providers_disabled: Vec<&'a str>,
}

impl<'a> TreeBody<'a> {
    fn of(root: &'a TreeNode, stops: &'a Stops) -> Self {
        Self {
            root: NodeBody::of(root),
            read_only: stops.read_only.is_some(),
            providers_disabled: stops.providers.keys().map(ProviderId::as_str).collect(),
        }
    }
}

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> Reply {
    Reply(get(&state, &request).await)
}

async fn get(state: &State, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    Caller::of(state, request)?.operator()?;
    let payments_max = query::only_number(request, "payments_max", PAYMENTS_MAX, PAYMENTS_DEFAULT)?;
    let tree = state.ops.tree(payments_max).await;
    let control = state.directory.control();
    json(StatusCode::OK, &TreeBody::of(&tree, &control.stops))
}

pub(crate) fn described() -> Endpoint {
    let example = json!({
        "id": "root:florin", "read_only": false, "providers_disabled": [], "kind": "root", "key": "florin", "mailbox": {"depth": 0, "soft_cap": 16_384, "hard_cap": 16_384}, "restarts": 0,
        "restart_budget_left": null, "age_ms": 622, "children_live": 0, "children": [],
    });
    let payments_max =
        bounded("Payments listed of each guardian.", (0, 100)).default(Some(PAYMENTS_DEFAULT.into()));
    Endpoint::get("/v1/ops/tree", Access::Operators)
        .called(
            "getTree",
            "Read the supervision tree",
            "Every actor that runs, with its mailbox and its restarts.",
        )
        .in_chapter(chapter::OPERATIONS)
        .query("payments_max", payments_max)
        .answers(200, "The root and what is below it.", named("Tree"), example)
        .refuses(400, &[Code::ParameterInvalidInteger])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_shown_with_its_mailboxes_and_budgets() {
        let leaf = TreeNode {
            kind: "payment",
            key: "pay_1".to_owned(),
            age_ms: 7,
            ..TreeNode::default()
        };
        let root = TreeNode {
            kind: "root",
            key: "florin".to_owned(),
            mailbox_depth: 1,
            mailbox_soft_cap: 2,
            mailbox_hard_cap: 3,
            restarts: 4,
            restart_budget_left: Some(5),
            age_ms: 6,
            standing: None,
            children_live: 1,
            children: vec![leaf],
        };
        let shown = serde_json::to_string(&TreeBody::of(&root, &Stops::default())).unwrap();
        let expected = concat!(
            r#"{"id":"root:florin","kind":"root","key":"florin","mailbox":{"depth":1,"soft_cap":2,"hard_cap":3},"restarts":4,"#,
            r#""restart_budget_left":5,"age_ms":6,"children_live":1,"children":[{"id":"payment:pay_1","kind":"payment","key":"pay_1","#,
            r#""mailbox":{"depth":0,"soft_cap":0,"hard_cap":0},"restarts":0,"restart_budget_left":null,"age_ms":7,"#,
            r#""children_live":0,"children":[]}],"read_only":false,"providers_disabled":[]}"#,
        );
        assert_eq!(shown, expected);
    }
}
