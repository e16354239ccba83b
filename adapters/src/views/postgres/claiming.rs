//! Owns the begin of a turn at a shard's view: who may change it from now on, whether what it has is believed, and clearing what is not.

use super::FORM;
use super::writer::{Writer, cell};
use florin_domain::ids::Seq;
use florin_domain::ports::ViewError;
use tokio_postgres::types::Type;

const CLAIM: &str = "SELECT watermark, standing FROM florin.claim_view($1, $2, $3)";
const CLEAR: &str = "SELECT florin.clear_view($1, $2, $3, $4)";

/// Rows of each table that one call deletes, so that it ends long before a statement's time is over.
const CLEARED_MAX: i64 = if cfg!(test) { 3 } else { 10_000 };

/// A view that nobody believes.
const NOT_WHOLE: i64 = 0;

/// Claims the view and clears it unless it is believed; says how far it has come.
pub(super) async fn begin(writer: &mut Writer) -> Result<Seq, ViewError> {
    let (watermark, found) = claim(writer, FORM).await?;
    let shard = writer.turn().shard;
    match found.as_str() {
        "whole" => {
            tracing::info!(
                shard,
                commit = watermark.0,
                "the payments view in the database goes on from a commit that it has"
            );
            return Ok(watermark);
        }
        "nothing" => {}
        "another history" => {
            tracing::error!(
                shard,
                "the payments view in the database was not made from the journal as it is now; it is made anew"
            );
            metrics::counter!("florin_alerts_total", "alert" => "indexes_discarded").increment(1);
        }
        why => tracing::warn!(shard, why, "the payments view in the database starts anew"),
    }
    clear(writer).await?;
    Ok(Seq::ZERO)
}

/// Claims the view and marks it to be cleared.
pub(super) async fn discard(writer: &mut Writer) -> Result<(), ViewError> {
    claim(writer, NOT_WHOLE).await.map(drop)
}

async fn claim(writer: &mut Writer, form: i64) -> Result<(Seq, String), ViewError> {
    let turn = writer.turn();
    let types = [Type::INT4, Type::INT8, Type::INT8];
    let found = writer
        .call(CLAIM, &types, &[&turn.shard, &turn.epoch, &form])
        .await?;
    let row = found.first().ok_or_else(fenced)?;
    let watermark: i64 = cell(row, 0)?;
    Ok((Seq(watermark.cast_unsigned()), cell(row, 1)?))
}

async fn clear(writer: &mut Writer) -> Result<(), ViewError> {
    let turn = writer.turn();
    let types = [Type::INT4, Type::INT8, Type::INT8, Type::INT8];
    loop {
        let asked = writer
            .call(CLEAR, &types, &[&turn.shard, &turn.epoch, &FORM, &CLEARED_MAX])
            .await?;
        let cleared: i64 = cell(asked.first().ok_or_else(fenced)?, 0)?;
        match cleared {
            0 => return Ok(()),
            1.. => {}
            _ => return Err(fenced()),
        }
    }
}

/// What a process is told that no longer has the shard.
pub(super) fn fenced() -> ViewError {
    ViewError::Store("another process has the shard, and its view".to_owned())
}
