//! `POST /v1/ledger/transfers/revert`: 1 to 8,190 transfers are undone. Each is reverted at most once, whatever the id of the revert,
//! so the same request may be sent again without a key.

use super::transfer_create::{TransfersBody, culprit, transfers_example};
use super::transfer_request::{LINES_MAX, TRANSFERS_MAX, day, notes, transfer_id as read_id, within};
use crate::auth::Caller;
use crate::errors::{ApiError, Code, Invalid};
use crate::json::{AtMost, Object, Pairs, Text};
use crate::openapi::{
    Access, Endpoint, TRANSFER_ID as ID, array, bounded_text, chapter, day as day_shape, flag, may, metadata,
    must, named, strict, transfer_id,
};
use crate::reply::{Remembered, Reply, json as answered};
use crate::state::State;
use crate::{body, json as strictly, query};
use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use florin_actors::ledger_handle::{RevertError, RevertRequest, Told};
use florin_domain::ledger::{Linkage, Revert};
use florin_domain::limits::TEXT_BYTES_MAX;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::openapi::schema::ObjectBuilder;

/// A request may hold this many bytes.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RevertsBody<'a> {
    #[serde(default)]
    atomic: Option<bool>,
    #[serde(default)]
    dry_run: Option<bool>,
    #[serde(borrow)]
    transfers: AtMost<Object<RevertBody<'a>>, TRANSFERS_MAX>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RevertBody<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    reverts: Text<'a>,
    #[serde(borrow, default)]
    effective_date: Option<Text<'a>>,
    #[serde(borrow, default)]
    description: Option<Text<'a>>,
    #[serde(borrow, default)]
    metadata: Option<Pairs<'a>>,
}

impl RevertBody<'_> {
    fn check(&self) -> Result<Revert, Invalid> {
        Ok(Revert {
            id: read_id("id", &self.id)?,
            reverts: read_id("reverts", &self.reverts)?,
            effective: self.effective_date.as_ref().map(day).transpose()?,
            notes: notes(self.description.as_ref(), None, self.metadata.as_ref())?,
        })
    }
}

impl RevertsBody<'_> {
    pub(super) fn check(&self) -> Result<Vec<Revert>, Invalid> {
        if self.transfers.0.is_empty() {
            let message = format!("`transfers` has 1 to {TRANSFERS_MAX} elements, not 0.");
            return Err(Invalid::new("transfers", Code::ParameterInvalid, message));
        }
        let reverts = self.transfers.0.iter().enumerate().map(|(index, revert)| {
            let checked = revert.0.check();
            checked.map_err(|invalid| within(&format!("transfers.{index}"), invalid))
        });
        reverts.collect()
    }
}

pub(crate) async fn handle(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    Reply(revert(&state, &request, payload).await)
}

async fn revert(state: &State, request: &HttpRequest, payload: Payload) -> Result<HttpResponse, ApiError> {
    let by = Caller::of(state, request)?.operator_id()?;
    query::none(request)?;
    let bytes = body::read_json_up_to(state, request, payload, BODY_BYTES_MAX).await?;
    let body: RevertsBody<'_> = strictly::read(&bytes)?;
    let reverts = body.check()?;
    let (is_atomic, is_dry_run) = (body.atomic.unwrap_or(false), body.dry_run.unwrap_or(false));
    drop(body);
    drop(bytes);
    let is_one = is_atomic || reverts.len() == 1;
    let names: Vec<_> = reverts.iter().map(|revert| revert.id).collect();
    let asked = RevertRequest {
        reverts,
        linkage: if is_atomic {
            Linkage::Atomic
        } else {
            Linkage::Independent
        },
        is_dry_run,
        by,
        lines_max: LINES_MAX,
    };
    let answer = state.ledger.revert(asked).await.map_err(refused)?;
    if is_one && let Some(refused) = culprit(&answer) {
        return Err(refused);
    }
    let is_remembered = is_dry_run || !answer.told.contains(&Told::Done);
    let body = answered(StatusCode::OK, &TransfersBody::of(&answer, &names, is_dry_run))?;
    Ok(Remembered::mark_if(is_remembered, body))
}

fn refused(error: RevertError) -> ApiError {
    match error {
        RevertError::Ledger(error) => error.into(),
        RevertError::TooManyLines => {
            let message = format!("What `transfers` reverts has at most {LINES_MAX} postings in all.");
            Invalid::new("transfers", Code::ParameterInvalid, message).into()
        }
    }
}

fn shape() -> ObjectBuilder {
    let revert = strict([
        must("id", transfer_id("Yours, new for each revert.")),
        must("reverts", transfer_id("The recorded transfer that is undone.")),
        may(
            "effective_date",
            day_shape("The day on which it counts; today (UTC) when absent. Neither to come nor closed."),
        ),
        may("description", bounded_text("Why.", (0, TEXT_BYTES_MAX))),
        may("metadata", metadata()),
    ]);
    strict([
        may(
            "atomic",
            flag("All are recorded together or none is; `false` when absent."),
        ),
        may("dry_run", flag("Only says what would become of them.")),
        must(
            "transfers",
            array(revert, "In any order: what was recorded last is undone first, and each sees what those made before it left. The answer is in the order of the request.")
                .min_items(Some(1))
                .max_items(Some(TRANSFERS_MAX)),
        ),
    ])
}

const ID_OTHER: &str = "123e4567-e89b-12d3-a456-426614174005";

fn examples() -> [(&'static str, Value); 2] {
    let noted = json!({
        "id": ID_OTHER, "reverts": ID, "effective_date": "2026-11-20", "description": "Booked twice.",
        "metadata": {"ticket": "4711"},
    });
    [
        (
            "Undo a transfer",
            json!({"transfers": [{"id": ID_OTHER, "reverts": ID}]}),
        ),
        (
            "Say why, all or nothing",
            json!({"atomic": true, "dry_run": true, "transfers": [noted]}),
        ),
    ]
}

pub(crate) fn described() -> Endpoint {
    Endpoint::order("/v1/ledger/transfers/revert", Access::Operators)
        .called(
            "revertTransfers",
            "Revert transfers",
            "Each is undone by a transfer of its own with the sides swapped, for the whole amount and under the id that you give it. A transfer is \
             reverted at most once, a revert too. What is pending is voided instead; what was posted of it can be reverted. Limits and closed days \
             hold as for any transfer. A transfer between two shards cannot be reverted, and \
             `atomic` reverts must be of one shard. The answer is that of making transfers.",
        )
        .in_chapter(chapter::LEDGER)
        .takes(shape(), &examples())
        .answers(
            200,
            "What became of them; what is recorded is durable.",
            named("Transfers"),
            transfers_example("transfer_already_reverted", "the transfer is reverted already"),
        )
        .refuses(400, &[Code::EffectiveInFuture, Code::TransferCrossesShards])
        .refuses(404, &[Code::RevertedTransferMissing])
        .refuses(
            409,
            &[
                Code::TransferIdReused,
                Code::TransferAlreadyReverted,
                Code::TransferNotRevertible,
                Code::InsufficientFunds,
                Code::AccountLimitExceeded,
                Code::PeriodClosed,
                Code::LinkedTransferFailed,
                Code::BalanceOverflow,
            ],
        )
}
