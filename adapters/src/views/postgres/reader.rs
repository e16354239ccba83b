//! Owns reading payments and lists of them. Entries are looked at in stretches, as many as a page needs, and the states of those that may be in the
//! list are fetched for them; of both there is a limit for one page.

use super::PostgresViews;
use super::known::of_known;
use super::writer::cell;
use crate::schema::v1;
use crate::views::entry::{self, Entry, Wanted};
use crate::views::mask::Mask;
use crate::views::reader::{ENTRIES_MAX, MISSED_BYTES_MAX, MISSES_MAX};
use crate::views::waiting::{millis, number};
use florin_domain::ids::{PaymentId, Seq};
use florin_domain::money::Currency;
use florin_domain::ports::{
    ListOrder, PaymentRow, PaymentsPage, PaymentsQuery, StatusName, ViewError, WaitingQuery,
};
use std::collections::HashMap;
use std::sync::Arc;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

const ONE: &str = of_known!(
    "SELECT id, seq, state FROM florin.view_payment WHERE shard = $1 AND id = $5",
    "id"
);
const SOME: &str = of_known!(
    "SELECT id, seq, state FROM florin.view_payment WHERE shard = $1 AND id = ANY ($5)",
    "id"
);
const WAITING: &str = of_known!(
    "SELECT id, seq, state, due_ms FROM florin.view_payment
    WHERE shard = $1 AND waits_for = $5 AND due_ms <= $6 AND (due_ms, id) > ($7, $8) ORDER BY due_ms, id LIMIT $9",
    "due_ms, id"
);
const NEWEST_FIRST: &str = of_known!(
    "SELECT id, status, currency, amount_minor, customer_digest, metadata_mask FROM florin.view_payment
    WHERE shard = $1 AND merchant = $5 AND livemode = $6 AND id BETWEEN $7 AND $8 ORDER BY id DESC LIMIT $9",
    "id DESC"
);
const OLDEST_FIRST: &str = of_known!(
    "SELECT id, status, currency, amount_minor, customer_digest, metadata_mask FROM florin.view_payment
    WHERE shard = $1 AND merchant = $5 AND livemode = $6 AND id BETWEEN $7 AND $8 ORDER BY id LIMIT $9",
    "id"
);

/// Entries of the first stretch at least, and of one at most.
const STRETCH: (usize, usize) = (20, 5_000);
/// States that are fetched at once.
const STATES_MAX: usize = 100;

/// How many rows a stretch has for one who wants so many more and has looked at so many.
pub(super) fn stretch(wanted: usize, looked_at: usize, looked_at_max: usize) -> usize {
    let (least, most) = STRETCH;
    // Who was not served by what came before is rarely served by as much again.
    wanted
        .max(least)
        .max(looked_at.saturating_mul(2))
        .min(most)
        .min(looked_at_max.saturating_sub(looked_at))
}

/// As a `LIMIT` has it.
pub(super) fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

pub(super) async fn payment(views: &PostgresViews, id: PaymentId) -> Result<Option<PaymentRow>, ViewError> {
    let text = id.to_string();
    let found = views.ask(ONE, &[(&text, Type::TEXT)]).await?;
    found.first().map(decoded).transpose()
}

pub(super) async fn waiting(
    views: &PostgresViews,
    query: &WaitingQuery,
) -> Result<Vec<PaymentRow>, ViewError> {
    // Before every deadline, and every text.
    let after = query.after.map(|(due, id)| (millis(due), id.to_string()));
    let (due, id) = after.unwrap_or((-1, String::new()));
    let kind = i16::try_from(number(query.kind)).unwrap_or(i16::MAX);
    let found = views
        .ask(
            WAITING,
            &[
                (&kind, Type::INT2),
                (&millis(query.until), Type::INT8),
                (&due, Type::INT8),
                (&id, Type::TEXT),
                (&limit(query.limit), Type::INT8),
            ],
        )
        .await?;
    found.iter().map(decoded).collect()
}

/// A page that is being made.
#[derive(Debug, Default)]
struct Making {
    page: PaymentsPage,
    looked_at: usize,
    misses: usize,
    missed_bytes: usize,
}

impl Making {
    fn is_over(&self, query: &PaymentsQuery) -> bool {
        self.page.rows.len() == query.limit
            || self.looked_at >= ENTRIES_MAX
            || self.misses >= MISSES_MAX
            || self.missed_bytes >= MISSED_BYTES_MAX
    }

    /// States that may be fetched at once without one too many.
    fn states_max(&self, query: &PaymentsQuery) -> usize {
        let wanted = query.limit.saturating_sub(self.page.rows.len());
        wanted.min(MISSES_MAX.saturating_sub(self.misses)).min(STATES_MAX)
    }
}

pub(super) async fn payments(
    views: &PostgresViews,
    query: &PaymentsQuery,
) -> Result<PaymentsPage, ViewError> {
    let wanted = Wanted::by(&query.filter);
    let mut making = Making::default();
    let mut query = query.clone();
    let asked = query.clone();
    while !query.ids().is_empty() && query.limit > 0 {
        let rows = stretch(query.limit, making.looked_at, ENTRIES_MAX);
        let entries = stretch_of(views, &query, rows).await?;
        let is_last = entries.len() < rows;
        let mut left = entries.as_slice();
        while let Some((last, part)) = next_part(&mut left, &wanted, making.states_max(&asked)) {
            look_at(views, (&asked, &mut making), part).await?;
            if making.is_over(&asked) {
                making.page.stopped_at = Some(last);
                return Ok(making.page);
            }
        }
        match entries.last() {
            Some((last, _)) if !is_last => query = query.behind(*last),
            Some(_) | None => break,
        }
    }
    Ok(making.page)
}

/// Payments of a list by their entries.
type Listed = (PaymentId, Entry);
/// Entries in order, with whether their states are to be fetched.
type Part = Vec<(PaymentId, bool)>;

/// Takes entries up to the last one whose state may still be fetched, and says which is the last.
fn next_part(left: &mut &[Listed], wanted: &Wanted<'_>, states_max: usize) -> Option<(PaymentId, Part)> {
    let (mut part, mut states) = (Part::new(), 0_usize);
    while let Some(((id, entry), rest)) = left.split_first() {
        let is_wanted = wanted.takes_entry(*id, entry);
        part.push((*id, is_wanted));
        *left = rest;
        states = states.saturating_add(usize::from(is_wanted));
        if states >= states_max {
            break;
        }
    }
    part.last().map(|(last, _)| *last).map(|last| (last, part))
}

async fn look_at(
    views: &PostgresViews,
    (query, making): (&PaymentsQuery, &mut Making),
    part: Part,
) -> Result<(), ViewError> {
    let ids: Vec<String> = part
        .iter()
        .filter(|(_, is_wanted)| *is_wanted)
        .map(|(id, _)| id.to_string())
        .collect();
    let mut states = if ids.is_empty() {
        HashMap::new()
    } else {
        states(views, &ids).await?
    };
    for (id, is_wanted) in part {
        making.looked_at = making.looked_at.saturating_add(1);
        if !is_wanted {
            continue;
        }
        let found = states.remove(&id);
        let bytes = found.as_ref().map_or(0, |(_, bytes)| *bytes);
        if let Some((row, _)) = found.filter(|(row, _)| query.filter.takes(&row.payment)) {
            making.page.rows.push(row);
        } else {
            making.misses = making.misses.saturating_add(1);
            making.missed_bytes = making.missed_bytes.saturating_add(bytes);
        }
    }
    Ok(())
}

/// Payments, and how many bytes each is stored in.
async fn states(
    views: &PostgresViews,
    ids: &[String],
) -> Result<HashMap<PaymentId, (PaymentRow, usize)>, ViewError> {
    let found = views.ask(SOME, &[(&ids, Type::TEXT_ARRAY)]).await?;
    let state = |row: &Row| {
        let bytes = cell::<&[u8]>(row, 2)?.len();
        decoded(row).map(|row| (row.payment.id(), (row, bytes)))
    };
    found.iter().map(state).collect()
}

async fn stretch_of(
    views: &PostgresViews,
    query: &PaymentsQuery,
    rows: usize,
) -> Result<Vec<Listed>, ViewError> {
    let sql = match query.order {
        ListOrder::NewestFirst => NEWEST_FIRST,
        ListOrder::OldestFirst => OLDEST_FIRST,
    };
    let ids = query.ids();
    let (merchant, livemode) = (query.merchant.to_string(), query.livemode);
    let (first, last) = (ids.start().to_string(), ids.end().to_string());
    let found = views
        .ask(
            sql,
            &[
                (&merchant, Type::TEXT),
                (&livemode, Type::BOOL),
                (&first, Type::TEXT),
                (&last, Type::TEXT),
                (&limit(rows), Type::INT8),
            ],
        )
        .await?;
    found.iter().map(listed).collect()
}

fn listed(row: &Row) -> Result<Listed, ViewError> {
    let (status, currency): (&str, &str) = (cell(row, 1)?, cell(row, 2)?);
    let status = StatusName::parse(status).ok_or_else(|| damaged("a status", status))?;
    let known = Currency::parse(currency).map_err(|_| damaged("a currency", currency))?;
    let entry = Entry {
        status: entry::status(status),
        currency: known.numeric().into(),
        amount_minor: cell(row, 3)?,
        customer: cell(row, 4)?,
        metadata: Mask::stored(cell(row, 5)?),
    };
    Ok((payment_id(cell(row, 0)?)?, entry))
}

fn decoded(row: &Row) -> Result<PaymentRow, ViewError> {
    let (seq, state): (i64, &[u8]) = (cell(row, 1)?, cell(row, 2)?);
    let payment = v1::payment::decode(state).map_err(|error| ViewError::Store(error.to_string()))?;
    Ok(PaymentRow {
        seq: Seq(seq.cast_unsigned()),
        payment: Arc::new(payment),
    })
}

pub(super) fn payment_id(text: &str) -> Result<PaymentId, ViewError> {
    PaymentId::parse(text).map_err(|_| damaged("a payment's id", text))
}

/// What a column cannot have.
pub(super) fn damaged(what: &str, found: impl std::fmt::Debug) -> ViewError {
    ViewError::Store(format!("a row of the view is damaged: {found:?} is not {what}"))
}
