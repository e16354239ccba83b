//! The index of announcements: one small row for each commit that announces something, in the order of the journal for each merchant and
//! mode. It is written in the transaction of the payments that it is about.
//!
//! As with the lists, rows go into a small table first, see [`super::writer`]: straight into the large one, every row of another merchant
//! would rewrite a page of its own.

use florin_domain::announcement::AnnouncementKind;
use florin_domain::ids::{MerchantId, PaymentId, Seq};
use florin_domain::ports::{AnnouncingCommit, EventsPage, EventsQuery, ListOrder};
use florin_domain::time::Timestamp;
use rusqlite::{Connection, Row, Transaction, params};

/// The tables.
pub(super) const TABLES: &str = "
    CREATE TABLE announced (tenant INTEGER, seq INTEGER, at_ms INTEGER NOT NULL, payment BLOB NOT NULL, first_number INTEGER NOT NULL,
        kinds BLOB NOT NULL, PRIMARY KEY (tenant, seq)) STRICT, WITHOUT ROWID;
    CREATE TABLE announced_recent (tenant INTEGER, seq INTEGER, at_ms INTEGER NOT NULL, payment BLOB NOT NULL,
        first_number INTEGER NOT NULL, kinds BLOB NOT NULL, PRIMARY KEY (tenant, seq)) STRICT, WITHOUT ROWID;";
const ENTER: &str = "INSERT INTO announced_recent (tenant, seq, at_ms, payment, first_number, kinds) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT (tenant, seq) DO NOTHING";
const MERGE: &str = "INSERT OR IGNORE INTO announced SELECT * FROM announced_recent ORDER BY tenant, seq; DELETE FROM announced_recent;";
const OLDEST_FIRST: &str = "SELECT seq, at_ms, payment, first_number, kinds FROM announced_recent WHERE tenant = ?1 AND seq BETWEEN ?2 AND ?3
    UNION ALL SELECT seq, at_ms, payment, first_number, kinds FROM announced WHERE tenant = ?1 AND seq BETWEEN ?2 AND ?3 ORDER BY seq";
const NEWEST_FIRST: &str = "SELECT seq, at_ms, payment, first_number, kinds FROM announced_recent WHERE tenant = ?1 AND seq BETWEEN ?2 AND ?3
    UNION ALL SELECT seq, at_ms, payment, first_number, kinds FROM announced WHERE tenant = ?1 AND seq BETWEEN ?2 AND ?3 ORDER BY seq DESC";
const ALL: &str = "SELECT seq, at_ms, payment, first_number, kinds, merchant, livemode
    FROM (SELECT * FROM announced_recent UNION ALL SELECT * FROM announced) JOIN tenant ON tenant.number = tenant";
/// Rows of `announced_recent` that are worth moving.
const RECENT_MAX: u32 = if cfg!(test) { 8 } else { 65_536 };
/// Rows that one read looks at, so that a filter with rare hits does not keep the reads behind it waiting.
pub(super) const ROWS_MAX: usize = if cfg!(test) { 7 } else { 20_000 };

/// How many rows wait to be moved.
pub(super) fn count_recent(connection: &Connection) -> Result<u32, rusqlite::Error> {
    connection.query_row("SELECT count(*) FROM announced_recent", [], |row| row.get(0))
}

/// Enters a commit; the same one once more changes nothing.
pub(super) fn enter(
    transaction: &Transaction<'_>,
    tenant: i64,
    commit: &AnnouncingCommit,
) -> Result<(), rusqlite::Error> {
    let kinds: Vec<u8> = commit.kinds.iter().map(|kind| kind.number()).collect();
    transaction.prepare_cached(ENTER)?.execute(params![
        tenant,
        commit.seq.0.cast_signed(),
        commit.at.unix_ms().cast_signed(),
        commit.payment.bits().to_be_bytes(),
        commit.first_number.cast_signed(),
        kinds
    ])?;
    Ok(())
}

/// Moves what has gathered, if that is worth it. `recent` is how much there is, which may be too many; the answer is how much is left.
pub(super) fn merge(transaction: &Transaction<'_>, recent: u32) -> Result<u32, rusqlite::Error> {
    if recent < RECENT_MAX {
        return Ok(recent);
    }
    transaction.execute_batch(MERGE)?;
    Ok(0)
}

/// Reads a stretch of what was announced to a tenant.
pub(super) fn read(
    connection: &Connection,
    tenant: (i64, &EventsQuery),
) -> Result<EventsPage, rusqlite::Error> {
    let (tenant, query) = tenant;
    let mut page = EventsPage::default();
    if query.places.is_empty() || query.limit == 0 {
        return Ok(page);
    }
    let mut statement = connection.prepare_cached(match query.order {
        ListOrder::NewestFirst => NEWEST_FIRST,
        ListOrder::OldestFirst => OLDEST_FIRST,
    })?;
    let (first, last) = (query.places.start().seq, query.places.end().seq);
    let mut rows = statement.query(params![tenant, first.0.cast_signed(), last.0.cast_signed()])?;
    let mut looked_at = 0_usize;
    let mut latest = None;
    while let Some(row) = rows.next()? {
        let commit = commit(row, (query.merchant, query.livemode))?;
        // Entered again after it was moved.
        if latest.replace(commit.seq) == Some(commit.seq) {
            continue;
        }
        page.look_at(query, &commit);
        looked_at = looked_at.saturating_add(1);
        if page.is_full(query) || looked_at == ROWS_MAX {
            page.has_more = true;
            break;
        }
    }
    Ok(page)
}

/// Looks at every commit of the index, in no order; at one that was entered again after it was moved, twice.
pub(super) fn each(
    connection: &Connection,
    mut look: impl FnMut(AnnouncingCommit),
) -> Result<(), rusqlite::Error> {
    let mut statement = connection.prepare(ALL)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let merchant = MerchantId::from_bits(u128::from_be_bytes(row.get(5)?));
        look(commit(row, (merchant, row.get(6)?))?);
    }
    Ok(())
}

fn commit(
    row: &Row<'_>,
    (merchant, livemode): (MerchantId, bool),
) -> Result<AnnouncingCommit, rusqlite::Error> {
    let (seq, at_ms, first_number): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(3)?);
    let kinds = row.get_ref(4)?.as_blob()?;
    let kinds = kinds.iter().map(|number| {
        let unknown = || rusqlite::Error::IntegralValueOutOfRange(4, i64::from(*number));
        AnnouncementKind::numbered(*number).ok_or_else(unknown)
    });
    Ok(AnnouncingCommit {
        seq: Seq(seq.cast_unsigned()),
        at: Timestamp::from_unix_ms(at_ms.cast_unsigned()),
        merchant,
        livemode,
        payment: PaymentId::from_bits(u128::from_be_bytes(row.get(2)?)),
        first_number: first_number.cast_unsigned(),
        kinds: kinds.collect::<Result<_, _>>()?,
    })
}
