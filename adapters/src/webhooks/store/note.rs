//! What is noted of deliveries, within a transaction of the writer, and the rows of single deliveries.

use super::change::disable;
use super::form;
use super::reader::{blob, unsigned};
use super::seal::Trouble;
use florin_domain::announcement::AnnouncementKind;
use florin_domain::ids::{EndpointId, EventId, PaymentId};
use florin_domain::time::Timestamp;
use florin_domain::webhook::{
    DELIVERIES_KEPT_MAX, DeliveryOutcome, DeliveryRow, Noted, Parked, Then, WhyDisabled,
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::sync::Arc;

/// Keeps what happened.
pub(super) fn keep(file: &Connection, noted: &Noted) -> Result<(), Trouble> {
    let id = blob(noted.endpoint);
    let generation: Option<i64> = file
        .prepare_cached("SELECT generation FROM progress WHERE endpoint = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    let Some(generation) = generation else {
        return Ok(());
    };
    add_rows(file, noted.endpoint, &noted.rows)?;
    if generation.cast_unsigned() != noted.generation {
        return Ok(());
    }
    let (told, failing) = (noted.told, noted.failing);
    let sql = "UPDATE progress SET told_seq = ?2, told_index = ?3, failing_since_ms = ?4, failing_in_a_row = ?5 WHERE endpoint = ?1";
    file.prepare_cached(sql)?.execute(params![
        id,
        told.seq.0.cast_signed(),
        told.index,
        failing.map(|failing| failing.since.unix_ms().cast_signed()),
        failing.map(|failing| failing.in_a_row),
    ])?;
    for (payment, parked) in &noted.parked {
        park(file, noted.endpoint, *payment, *parked)?;
    }
    if let Some((asked_at, goes_on)) = noted.replay {
        // Only the one under way.
        let under_way =
            "endpoint = ?1 AND asked_ms = ?2 AND place = (SELECT min(place) FROM replay WHERE endpoint = ?1)";
        let asked_ms = asked_at.unix_ms().cast_signed();
        if let Some(from) = goes_on {
            let sql = format!("UPDATE replay SET from_seq = ?3, from_index = ?4 WHERE {under_way}");
            file.prepare_cached(&sql)?.execute(params![
                id,
                asked_ms,
                from.seq.0.cast_signed(),
                from.index
            ])?;
        } else {
            let sql = format!("DELETE FROM replay WHERE {under_way}");
            file.prepare_cached(&sql)?.execute(params![id, asked_ms])?;
        }
    }
    if let Some(why) = noted.disabled {
        disable(file, noted.endpoint, why)?;
    }
    Ok(())
}

fn park(
    file: &Connection,
    endpoint: EndpointId,
    payment: PaymentId,
    parked: Option<Parked>,
) -> Result<(), Trouble> {
    let (id, payment) = (blob(endpoint), payment.bits().to_be_bytes());
    let Some(parked) = parked else {
        let sql = "DELETE FROM parked WHERE endpoint = ?1 AND payment = ?2";
        file.prepare_cached(sql)?.execute(params![id, payment])?;
        return Ok(());
    };
    let sql = "INSERT OR REPLACE INTO parked (endpoint, payment, next, attempts, due_ms) VALUES (?1, ?2, ?3, ?4, ?5)";
    file.prepare_cached(sql)?.execute(params![
        id,
        payment,
        parked.next.cast_signed(),
        parked.attempts,
        parked.due.unix_ms().cast_signed(),
    ])?;
    Ok(())
}

/// Numbers deliveries on, and forgets the oldest beyond those that are kept.
fn add_rows(file: &Connection, endpoint: EndpointId, rows: &[DeliveryRow]) -> Result<(), Trouble> {
    if rows.is_empty() {
        return Ok(());
    }
    let id = blob(endpoint);
    // The newest is always there.
    let mut number: i64 = file
        .prepare_cached("SELECT coalesce(max(number), 0) FROM delivery WHERE endpoint = ?1")?
        .query_row([id], |row| row.get(0))?;
    let sql = "INSERT INTO delivery (endpoint, number, at_ms, event, kind, payment, payment_number, attempt, took_ms, status, unanswered,
               follows, again_ms, is_replay) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
    let mut insert = file.prepare_cached(sql)?;
    for row in rows {
        number = number.saturating_add(1);
        let (status, unanswered) = match &row.outcome {
            DeliveryOutcome::Status(status) => (Some(*status), None),
            DeliveryOutcome::Unanswered(why) => (None, Some(&**why)),
        };
        let (follows, again) = follows(row.then);
        insert.execute(params![
            id,
            number,
            row.at.unix_ms().cast_signed(),
            row.event.bits().to_be_bytes(),
            row.kind.number(),
            row.payment.bits().to_be_bytes(),
            row.number.cast_signed(),
            row.attempt,
            row.took_ms.cast_signed(),
            status,
            unanswered,
            follows,
            again.map(|again| again.unix_ms().cast_signed()),
            row.is_replay,
        ])?;
    }
    let oldest = number.saturating_sub(i64::try_from(DELIVERIES_KEPT_MAX).unwrap_or(i64::MAX));
    let sql = "DELETE FROM delivery WHERE endpoint = ?1 AND number <= ?2";
    file.prepare_cached(sql)?.execute(params![id, oldest])?;
    Ok(())
}

/// Deliveries of an endpoint before a number, newest first.
pub(super) const SELECT_ROWS: &str =
    "SELECT number, at_ms, event, kind, payment, payment_number, attempt, took_ms, status, unanswered, follows, again_ms, is_replay
     FROM delivery WHERE endpoint = ?1 AND number < ?2 ORDER BY number DESC LIMIT ?3";

/// A delivery with its number.
pub(super) fn row(row: &Row<'_>) -> Result<(u64, DeliveryRow), Trouble> {
    let (status, unanswered): (Option<u16>, Option<String>) = (row.get(8)?, row.get(9)?);
    let outcome = match (status, unanswered) {
        (Some(status), None) => DeliveryOutcome::Status(status),
        (None, Some(why)) => DeliveryOutcome::Unanswered(Arc::from(why)),
        (Some(_), Some(_)) | (None, None) => return Err(form::unreadable()),
    };
    let (name, again): (String, Option<i64>) = (row.get(10)?, row.get(11)?);
    let delivery = DeliveryRow {
        at: Timestamp::from_unix_ms(unsigned(row, 1)?),
        event: EventId::from_bits(u128::from_be_bytes(row.get(2)?)),
        kind: AnnouncementKind::numbered(row.get(3)?).ok_or_else(form::unreadable)?,
        payment: PaymentId::from_bits(u128::from_be_bytes(row.get(4)?)),
        number: unsigned(row, 5)?,
        attempt: row.get(6)?,
        took_ms: unsigned(row, 7)?,
        outcome,
        then: then(&name, again).ok_or_else(form::unreadable)?,
        is_replay: row.get(12)?,
    };
    Ok((unsigned(row, 0)?, delivery))
}

const DELIVERED: &str = "delivered";
const AGAIN: &str = "again";
const GIVEN_UP: &str = "given_up";

/// What follows a delivery, as its columns have it; why an endpoint was disabled has no other name than that.
const fn follows(then: Then) -> (&'static str, Option<Timestamp>) {
    match then {
        Then::Delivered => (DELIVERED, None),
        Then::Again(at) => (AGAIN, Some(at)),
        Then::GivenUp => (GIVEN_UP, None),
        Then::Disabled(why) => (why.as_str(), None),
    }
}

fn then(name: &str, again_ms: Option<i64>) -> Option<Then> {
    match name {
        DELIVERED => Some(Then::Delivered),
        AGAIN => again_ms.map(|ms| Then::Again(Timestamp::from_unix_ms(ms.cast_unsigned()))),
        GIVEN_UP => Some(Then::GivenUp),
        why => WhyDisabled::ALL
            .into_iter()
            .find(|known| known.as_str() == why)
            .map(Then::Disabled),
    }
}
