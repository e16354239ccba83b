//! Owns reading what lies beside the payments: their refunds, what captures and refunds moved, and what was announced of them.

use super::PostgresViews;
use super::columns::{CAPTURE, REFUND, SALE};
use super::known::of_known;
use super::reader::{damaged, limit, payment_id, stretch};
use super::writer::cell;
use crate::views::announced::ROWS_MAX;
use crate::views::waiting::millis;
use florin_domain::announcement::AnnouncementKind;
use florin_domain::ids::{CaptureId, MerchantId, RefundId, Seq};
use florin_domain::money::Currency;
use florin_domain::ports::{
    AnnouncingCommit, EventsPage, EventsQuery, ListOrder, MovedBy, MovedPage, MovedPlace, MovedQuery,
    MovedRow, RefundPlace, RefundsQuery, ViewError,
};
use florin_domain::time::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

const REFUNDS_NEWEST: &str = of_known!(
    "SELECT id, payment FROM florin.view_refund
    WHERE shard = $1 AND merchant = $5 AND livemode = $6 AND id BETWEEN $7 AND $8 ORDER BY id DESC LIMIT $9",
    "id DESC"
);
const REFUNDS_OLDEST: &str = of_known!(
    "SELECT id, payment FROM florin.view_refund
    WHERE shard = $1 AND merchant = $5 AND livemode = $6 AND id BETWEEN $7 AND $8 ORDER BY id LIMIT $9",
    "id"
);

const MOVED_NAMED: &str = of_known!(
    "SELECT at_ms, place_id, kind, payment, currency FROM florin.view_moved
    WHERE shard = $1 AND merchant = $5 AND livemode = $6 AND place_id = $7 AND kind <> 'sale' ORDER BY at_ms",
    "at_ms"
);
const MOVED_NEWEST: &str = of_known!(
    "SELECT at_ms, place_id, kind, payment, currency FROM florin.view_moved
    WHERE shard = $1 AND merchant = $5 AND livemode = $6 AND (at_ms, place_id) >= ($7, $8) AND (at_ms, place_id) <= ($9, $10)
    ORDER BY at_ms DESC, place_id DESC LIMIT $11",
    "at_ms DESC, place_id DESC"
);
const MOVED_OLDEST: &str = of_known!(
    "SELECT at_ms, place_id, kind, payment, currency FROM florin.view_moved
    WHERE shard = $1 AND merchant = $5 AND livemode = $6 AND (at_ms, place_id) >= ($7, $8) AND (at_ms, place_id) <= ($9, $10)
    ORDER BY at_ms, place_id LIMIT $11",
    "at_ms, place_id"
);

const ANNOUNCED_NEWEST: &str = of_known!(
    "SELECT seq, at_ms, payment, first_number, kinds FROM florin.view_announced
    WHERE shard = $1 AND merchant = $5 AND livemode = $6 AND seq BETWEEN $7 AND $8 ORDER BY seq DESC LIMIT $9",
    "seq DESC"
);
const ANNOUNCED_OLDEST: &str = of_known!(
    "SELECT seq, at_ms, payment, first_number, kinds FROM florin.view_announced
    WHERE shard = $1 AND merchant = $5 AND livemode = $6 AND seq BETWEEN $7 AND $8 ORDER BY seq LIMIT $9",
    "seq"
);

pub(super) async fn refunds(
    views: &PostgresViews,
    query: &RefundsQuery,
) -> Result<Vec<RefundPlace>, ViewError> {
    if query.ids.is_empty() {
        return Ok(Vec::new());
    }
    let sql = match query.order {
        ListOrder::NewestFirst => REFUNDS_NEWEST,
        ListOrder::OldestFirst => REFUNDS_OLDEST,
    };
    let (first, last) = (query.ids.start().to_string(), query.ids.end().to_string());
    let found = views
        .ask(
            sql,
            &[
                (&query.merchant.to_string(), Type::TEXT),
                (&query.livemode, Type::BOOL),
                (&first, Type::TEXT),
                (&last, Type::TEXT),
                (&limit(query.limit), Type::INT8),
            ],
        )
        .await?;
    let place = |row: &Row| {
        let id: &str = cell(row, 0)?;
        let id = RefundId::parse(id).map_err(|_| damaged("a refund's id", id))?;
        Ok((id, payment_id(cell(row, 1)?)?))
    };
    found.iter().map(place).collect()
}

pub(super) async fn moved(views: &PostgresViews, query: &MovedQuery) -> Result<MovedPage, ViewError> {
    if query.places.is_empty() || query.limit == 0 {
        return Ok(MovedPage::default());
    }
    if let Some(id) = query.operation {
        return named(views, query, id).await;
    }
    let mut page = MovedPage::default();
    let mut places = query.clone();
    let mut looked_at = 0_usize;
    while !places.places.is_empty() {
        let wanted = query.limit.saturating_sub(page.rows.len());
        let rows = stretch(wanted, looked_at, ROWS_MAX);
        let found = moved_stretch(views, &places, rows).await?;
        let is_last = found.len() < rows;
        let mut last = None;
        for row in found {
            page.rows.extend(query.takes(&row).then_some(row));
            looked_at = looked_at.saturating_add(1);
            if page.rows.len() == query.limit || looked_at == ROWS_MAX {
                page.stopped_at = Some(row.place);
                return Ok(page);
            }
            last = Some(row.place);
        }
        match last {
            Some(place) if !is_last => places = places.behind(place),
            Some(_) | None => break,
        }
    }
    Ok(page)
}

/// The one capture or refund with this id.
async fn named(views: &PostgresViews, query: &MovedQuery, id: u128) -> Result<MovedPage, ViewError> {
    let found = views
        .ask(
            MOVED_NAMED,
            &[
                (&query.merchant.to_string(), Type::TEXT),
                (&query.livemode, Type::BOOL),
                (&id.to_be_bytes().as_slice(), Type::BYTEA),
            ],
        )
        .await?;
    let mut page = MovedPage::default();
    for row in &found {
        let row = moved_row(row)?;
        let is_meant = query.places.contains(&row.place) && query.takes(&row);
        page.rows.extend(is_meant.then_some(row));
    }
    if query.order == ListOrder::NewestFirst {
        page.rows.reverse();
    }
    page.rows.truncate(query.limit);
    Ok(page)
}

async fn moved_stretch(
    views: &PostgresViews,
    query: &MovedQuery,
    rows: usize,
) -> Result<Vec<MovedRow>, ViewError> {
    let sql = match query.order {
        ListOrder::NewestFirst => MOVED_NEWEST,
        ListOrder::OldestFirst => MOVED_OLDEST,
    };
    let (first, last) = (query.places.start(), query.places.end());
    let found = views
        .ask(
            sql,
            &[
                (&query.merchant.to_string(), Type::TEXT),
                (&query.livemode, Type::BOOL),
                (&millis(first.at), Type::INT8),
                (&first.id.to_be_bytes().as_slice(), Type::BYTEA),
                (&millis(last.at), Type::INT8),
                (&last.id.to_be_bytes().as_slice(), Type::BYTEA),
                (&limit(rows), Type::INT8),
            ],
        )
        .await?;
    found.iter().map(moved_row).collect()
}

fn moved_row(row: &Row) -> Result<MovedRow, ViewError> {
    let (at_ms, id, kind): (i64, &[u8], &str) = (cell(row, 0)?, cell(row, 1)?, cell(row, 2)?);
    let id = id.try_into().map_err(|_| damaged("a place", id))?;
    let id = u128::from_be_bytes(id);
    let by = match kind {
        SALE => MovedBy::Sale,
        CAPTURE => MovedBy::Capture(CaptureId::from_bits(id)),
        REFUND => MovedBy::Refund(RefundId::from_bits(id)),
        other => return Err(damaged("what moves money", other)),
    };
    let currency: &str = cell(row, 4)?;
    Ok(MovedRow {
        place: MovedPlace {
            at: Timestamp::from_unix_ms(at_ms.cast_unsigned()),
            id,
        },
        payment: payment_id(cell(row, 3)?)?,
        by,
        currency: Currency::parse(currency).map_err(|_| damaged("a currency", currency))?,
    })
}

pub(super) async fn events(views: &PostgresViews, query: &EventsQuery) -> Result<EventsPage, ViewError> {
    let mut page = EventsPage::default();
    let mut seqs = (query.places.start().seq, query.places.end().seq);
    let mut looked_at = 0_usize;
    while !query.places.is_empty() && query.limit > 0 && seqs.0 <= seqs.1 {
        let wanted = query.limit.saturating_sub(page.rows.len());
        let rows = stretch(wanted, looked_at, ROWS_MAX);
        let found = announced_stretch(views, (query, seqs), rows).await?;
        for commit in &found {
            page.look_at(query, commit);
            looked_at = looked_at.saturating_add(1);
            if page.is_full(query) || looked_at == ROWS_MAX {
                page.has_more = true;
                return Ok(page);
            }
        }
        let Some(last) = found.last().filter(|_| found.len() == rows) else {
            break;
        };
        match (query.order, last.seq.0.checked_sub(1)) {
            (ListOrder::OldestFirst, _) => seqs.0 = last.seq.next(),
            (ListOrder::NewestFirst, Some(before)) => seqs.1 = Seq(before),
            (ListOrder::NewestFirst, None) => break,
        }
    }
    Ok(page)
}

async fn announced_stretch(
    views: &PostgresViews,
    (query, (first, last)): (&EventsQuery, (Seq, Seq)),
    rows: usize,
) -> Result<Vec<AnnouncingCommit>, ViewError> {
    let sql = match query.order {
        ListOrder::NewestFirst => ANNOUNCED_NEWEST,
        ListOrder::OldestFirst => ANNOUNCED_OLDEST,
    };
    let column = |seq: Seq| i64::try_from(seq.0).unwrap_or(i64::MAX);
    let found = views
        .ask(
            sql,
            &[
                (&query.merchant.to_string(), Type::TEXT),
                (&query.livemode, Type::BOOL),
                (&column(first), Type::INT8),
                (&column(last), Type::INT8),
                (&limit(rows), Type::INT8),
            ],
        )
        .await?;
    let tenant = (query.merchant, query.livemode);
    found.iter().map(|row| commit(row, tenant)).collect()
}

fn commit(row: &Row, (merchant, livemode): (MerchantId, bool)) -> Result<AnnouncingCommit, ViewError> {
    let (seq, at_ms, first_number): (i64, i64, i64) = (cell(row, 0)?, cell(row, 1)?, cell(row, 3)?);
    let kinds: &[u8] = cell(row, 4)?;
    let kind =
        |number: &u8| AnnouncementKind::numbered(*number).ok_or_else(|| damaged("an announcement", number));
    Ok(AnnouncingCommit {
        seq: Seq(seq.cast_unsigned()),
        at: Timestamp::from_unix_ms(at_ms.cast_unsigned()),
        merchant,
        livemode,
        payment: payment_id(cell(row, 2)?)?,
        first_number: first_number.cast_unsigned(),
        kinds: kinds.iter().map(kind).collect::<Result<_, _>>()?,
    })
}
