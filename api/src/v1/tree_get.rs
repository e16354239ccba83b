//! `GET /v1/ops/tree`: the live supervision tree, for operators.

use crate::auth::Caller;
use crate::errors::ApiError;
use crate::query;
use crate::reply::{Reply, json};
use crate::state::State;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use florin_domain::ports::TreeNode;
use serde::Serialize;

/// Payments listed per guardian when nothing is said.
const PAYMENTS_DEFAULT: usize = 5;
/// Payments listed per guardian at most.
const PAYMENTS_MAX: usize = 100;

#[derive(Debug, Serialize)]
struct NodeBody<'a> {
    kind: &'static str,
    key: &'a str,
    mailbox: MailboxBody,
    restarts: u64,
    restart_budget_left: Option<u32>,
    age_ms: u64,
    children_live: usize,
    children: Vec<NodeBody<'a>>,
}

#[derive(Debug, Serialize)]
struct MailboxBody {
    depth: usize,
    soft_cap: usize,
    hard_cap: usize,
}

impl<'a> NodeBody<'a> {
    fn of(node: &'a TreeNode) -> Self {
        Self {
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
            children_live: node.children_live,
            children: node.children.iter().map(Self::of).collect(),
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
    json(StatusCode::OK, &NodeBody::of(&tree))
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
            children_live: 1,
            children: vec![leaf],
        };
        let shown = serde_json::to_string(&NodeBody::of(&root)).unwrap();
        let expected = concat!(
            r#"{"kind":"root","key":"florin","mailbox":{"depth":1,"soft_cap":2,"hard_cap":3},"restarts":4,"#,
            r#""restart_budget_left":5,"age_ms":6,"children_live":1,"children":[{"kind":"payment","key":"pay_1","#,
            r#""mailbox":{"depth":0,"soft_cap":0,"hard_cap":0},"restarts":0,"restart_budget_left":null,"age_ms":7,"#,
            r#""children_live":0,"children":[]}]}"#,
        );
        assert_eq!(shown, expected);
    }
}
