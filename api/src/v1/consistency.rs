//! `GET /v1/ops/consistency` and `POST /v1/ops/consistency/run`: what the consistency monitor has found, for operators. A round that is
//! asked for begins then, and changes nothing.

use crate::auth::Caller;
use crate::body::read_optional_json;
use crate::errors::{ApiError, Code};
use crate::openapi::{Access, Endpoint, chapter, consistency_example, named, strict};
use crate::reply::{Remembered, Reply, json};
use crate::state::State;
use crate::{json as body, query};
use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use florin_domain::consistency::{CheckReport, CheckState, Difference, Round};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// The longest that a round is waited for. It goes on without its caller.
const WAIT: Duration = Duration::from_mins(1);

#[derive(Debug, Serialize)]
struct ConsistencyBody<'a> {
    object: &'static str,
    /// Nothing differs, and every check came to its end. Nothing is known before the first round, while one reads on, or when the last one is
    /// too old.
    consistent: Option<bool>,
    rounds: Vec<RoundBody<'a>>,
}

#[derive(Debug, Serialize)]
struct RoundBody<'a> {
    shard: u16,
    number: u64,
    created: u64,
    took_ms: u64,
    finished: u64,
    /// More than three rounds should have followed it.
    stale: bool,
    commits: u64,
    through_seq: u64,
    view_lag: u64,
    issues: u64,
    checks: Vec<CheckBody<'a>>,
}

#[derive(Debug, Serialize)]
struct CheckBody<'a> {
    check: &'static str,
    state: &'static str,
    /// Why it could not be run, or how far it has come.
    why: Option<String>,
    compared: u64,
    issues: u64,
    differences: Vec<DifferenceBody<'a>>,
}

#[derive(Debug, Serialize)]
struct DifferenceBody<'a> {
    subject: &'a str,
    figure: &'static str,
    expected: &'a str,
    found: &'a str,
    /// In minor units.
    difference: Option<i128>,
    seq: u64,
    message: String,
}

impl<'a> ConsistencyBody<'a> {
    /// Nothing is known of the whole until each of so many shards has been looked at, and not long ago.
    fn of(rounds: &'a [Arc<Round>], shards: usize, is_stale: impl Fn(&Round) -> bool) -> Self {
        let is_well = |round: &Arc<Round>| round.issues() == 0 && round.failures().next().is_none();
        let is_behind = |report: &CheckReport| matches!(report.state, CheckState::Behind { .. });
        let is_open = |round: &Arc<Round>| is_stale(round) || round.checks.iter().any(is_behind);
        let is_known = rounds.len() == shards && !rounds.iter().any(is_open);
        let is_consistent = rounds.iter().all(is_well);
        Self {
            object: "consistency",
            consistent: (is_known || !is_consistent).then_some(is_consistent),
            rounds: rounds
                .iter()
                .map(|round| RoundBody::of(round, is_stale(round)))
                .collect(),
        }
    }
}

impl<'a> RoundBody<'a> {
    fn of(round: &'a Round, stale: bool) -> Self {
        Self {
            shard: round.shard.0,
            number: round.number,
            created: round.began_at.unix_s(),
            took_ms: round.took.0,
            finished: round.finished_at().unix_s(),
            stale,
            commits: round.commits,
            through_seq: round.through.0,
            view_lag: round.view_lag,
            issues: round.issues(),
            checks: round.checks.iter().map(CheckBody::of).collect(),
        }
    }
}

impl<'a> CheckBody<'a> {
    fn of(report: &'a CheckReport) -> Self {
        let (state, why) = match &report.state {
            CheckState::Done => ("done", None),
            CheckState::Behind { read, head } => {
                let why = format!("read up to commit {read} of {head}; it goes on in the next round");
                ("behind", Some(why))
            }
            CheckState::Failed(why) => ("failed", Some(why.clone())),
            CheckState::Absent => ("absent", Some("there is nothing to compare yet".to_owned())),
        };
        Self {
            check: report.check.as_str(),
            state,
            why,
            compared: report.compared,
            issues: report.findings.issues,
            differences: report
                .findings
                .differences
                .iter()
                .map(DifferenceBody::of)
                .collect(),
        }
    }
}

impl<'a> DifferenceBody<'a> {
    fn of(difference: &'a Difference) -> Self {
        Self {
            subject: &difference.subject,
            figure: difference.figure,
            expected: &difference.expected,
            found: &difference.found,
            difference: difference.difference_minor,
            seq: difference.seq.0,
            message: difference.to_string(),
        }
    }
}

pub(crate) async fn get(state: Data<State>, request: HttpRequest) -> Reply {
    Reply(last(&state, &request))
}

pub(crate) async fn run(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    Reply(run_now(&state, &request, payload).await)
}

fn last(state: &State, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    Caller::of(state, request)?.operator()?;
    query::none(request)?;
    shown(state, &state.consistency.last())
}

/// The body of a request that says nothing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

async fn run_now(state: &State, request: &HttpRequest, payload: Payload) -> Result<HttpResponse, ApiError> {
    Caller::of(state, request)?.operator()?;
    query::none(request)?;
    let bytes = read_optional_json(state, request, payload).await?;
    let Nothing {} = body::read(&bytes)?;
    let rounds = tokio::time::timeout(WAIT, state.consistency.run()).await;
    let rounds = rounds.map_err(|_| ApiError::Overloaded { retry_after_s: 1 })??;
    Ok(Remembered::mark_if(true, shown(state, &rounds)?))
}

fn shown(state: &State, rounds: &[Arc<Round>]) -> Result<HttpResponse, ApiError> {
    let is_stale = |round: &Round| state.consistency.is_stale(round);
    json(
        StatusCode::OK,
        &ConsistencyBody::of(rounds, state.consistency.shards(), is_stale),
    )
}

pub(crate) fn described_get() -> Endpoint {
    Endpoint::get("/v1/ops/consistency", Access::Operators)
        .called(
            "getConsistency",
            "Read what the consistency monitor found last",
            "Whether recent entries balance, balances are the fold of the journal, payments come to what they posted, and the view shows them so.",
        )
        .in_chapter(chapter::OPERATIONS)
        .answers(
            200,
            "The last round of each shard; none in the first seconds.",
            named("Consistency"),
            consistency_example(),
        )
}

pub(crate) fn described_run() -> Endpoint {
    Endpoint::question("/v1/ops/consistency/run", Access::Operators)
        .called(
            "runConsistency",
            "Run the consistency monitor now",
            "The round begins after this request, and its answer is what it found. It changes nothing.",
        )
        .in_chapter(chapter::OPERATIONS)
        .may_take(strict([]), &[("Nothing", serde_json::json!({}))])
        .answers(
            200,
            "The round of each shard.",
            named("Consistency"),
            consistency_example(),
        )
        .refuses(503, &[Code::Overloaded])
}

#[cfg(test)]
mod tests {
    use super::*;
    use florin_domain::consistency::{Check, Findings};
    use florin_domain::ids::{Seq, ShardId};
    use florin_domain::time::{Millis, Timestamp};

    fn round(state: CheckState, issues: usize) -> Round {
        let mut findings = Findings::default();
        for _ in 0..issues {
            findings.add(Difference {
                subject: "fee_revenue:USD".to_owned(),
                figure: "posted balance",
                expected: "300".to_owned(),
                found: "299".to_owned(),
                difference_minor: Some(1),
                seq: Seq(9),
            });
        }
        Round {
            shard: ShardId(1),
            number: 2,
            began_at: Timestamp::from_unix_ms(3_000),
            took: Millis(4),
            commits: 5,
            through: Seq(9),
            view_lag: 6,
            checks: vec![CheckReport {
                check: Check::Balances,
                state,
                compared: 7,
                findings,
            }],
        }
    }

    #[test]
    fn a_round_is_shown_with_what_differs() {
        let rounds = [Arc::new(round(CheckState::Done, 1))];
        let shown = serde_json::to_string(&ConsistencyBody::of(&rounds, 1, |_| false)).unwrap();
        let expected = concat!(
            r#"{"object":"consistency","consistent":false,"rounds":[{"shard":1,"number":2,"created":3,"took_ms":4,"finished":3,"stale":false,"#,
            r#""commits":5,"#,
            r#""through_seq":9,"view_lag":6,"issues":1,"checks":[{"check":"balances","state":"done","why":null,"compared":7,"issues":1,"#,
            r#""differences":[{"subject":"fee_revenue:USD","figure":"posted balance","expected":"300","found":"299","difference":1,"#,
            r#""seq":9,"message":"posted balance of fee_revenue:USD: 299 instead of 300"}]}]}]}"#,
        );
        assert_eq!(shown, expected);
    }

    #[test]
    fn consistent_is_said_only_when_everything_was_checked_and_agrees() {
        let behind = CheckState::Behind {
            read: Seq(1),
            head: Seq(9),
        };
        let cases = [
            (1, vec![], None),
            (1, vec![round(CheckState::Done, 0)], Some(true)),
            (2, vec![round(CheckState::Done, 0)], None),
            (2, vec![round(CheckState::Done, 1)], Some(false)),
            (1, vec![round(CheckState::Absent, 0)], Some(true)),
            (1, vec![round(behind.clone(), 0)], None),
            (1, vec![round(behind, 1)], Some(false)),
            (1, vec![round(CheckState::Done, 1)], Some(false)),
            (1, vec![round(CheckState::Failed("x".to_owned()), 0)], Some(false)),
            (
                2,
                vec![round(CheckState::Done, 0), round(CheckState::Done, 2)],
                Some(false),
            ),
        ];
        for (shards, rounds, expected) in cases {
            let rounds: Vec<Arc<Round>> = rounds.into_iter().map(Arc::new).collect();
            let shown = |is_stale| ConsistencyBody::of(&rounds, shards, |_| is_stale).consistent;
            assert_eq!(shown(false), expected, "{rounds:?}");
            // What is too old says at most that something differed.
            assert_eq!(
                shown(true),
                expected.filter(|is_well| !is_well || rounds.is_empty())
            );
        }
    }
}
