//! The index of refunds: which payment each is of, by merchant and mode and in the order in which they were asked for. It is written in the
//! transaction of the payments that it is about, and only ever grows, as a refund is never taken out of its payment.

use florin_domain::ids::{MerchantId, PaymentId, RefundId};
use florin_domain::payment::Payment;
use florin_domain::ports::{ListOrder, RefundPlace, RefundsQuery, refunds_of};
use rusqlite::{Connection, Transaction, params};

/// The table.
pub(super) const TABLE: &str = "
    CREATE TABLE refund (tenant INTEGER, id BLOB, payment BLOB NOT NULL, PRIMARY KEY (tenant, id)) STRICT, WITHOUT ROWID;";
const ENTER: &str = "INSERT OR IGNORE INTO refund (tenant, id, payment) VALUES (?1, ?2, ?3)";
const NEWEST_FIRST: &str =
    "SELECT id, payment FROM refund WHERE tenant = ?1 AND id BETWEEN ?2 AND ?3 ORDER BY id DESC LIMIT ?4";
const OLDEST_FIRST: &str =
    "SELECT id, payment FROM refund WHERE tenant = ?1 AND id BETWEEN ?2 AND ?3 ORDER BY id LIMIT ?4";

const ALL: &str = "SELECT id, payment, merchant, livemode FROM refund JOIN tenant ON number = tenant";

/// Enters the refunds of a payment; those that are there stay.
pub(super) fn enter(
    transaction: &Transaction<'_>,
    tenant: i64,
    payment: &Payment,
) -> Result<(), rusqlite::Error> {
    for id in refunds_of(payment) {
        transaction.prepare_cached(ENTER)?.execute(params![
            tenant,
            id.bits().to_be_bytes(),
            payment.id().bits().to_be_bytes()
        ])?;
    }
    Ok(())
}

/// Reads a stretch of a tenant's refunds.
pub(super) fn read(
    connection: &Connection,
    (tenant, query): (i64, &RefundsQuery),
) -> Result<Vec<RefundPlace>, rusqlite::Error> {
    if query.ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare_cached(match query.order {
        ListOrder::NewestFirst => NEWEST_FIRST,
        ListOrder::OldestFirst => OLDEST_FIRST,
    })?;
    let range = params![
        tenant,
        query.ids.start().bits().to_be_bytes(),
        query.ids.end().bits().to_be_bytes(),
        i64::try_from(query.limit).unwrap_or(i64::MAX)
    ];
    let rows = statement.query_map(range, |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.map(|row| row.map(place)).collect()
}

/// Whose refund, in which mode, and of which payment.
type OwnedRefund = ((MerchantId, bool), RefundPlace);

/// All of it with its tenants, in no order.
pub(super) fn all(connection: &Connection) -> Result<Vec<OwnedRefund>, rusqlite::Error> {
    let mut statement = connection.prepare(ALL)?;
    let rows = statement.query_map([], |row| {
        let merchant = MerchantId::from_bits(u128::from_be_bytes(row.get(2)?));
        Ok(((merchant, row.get(3)?), place((row.get(0)?, row.get(1)?))))
    })?;
    rows.collect()
}

fn place((id, payment): ([u8; 16], [u8; 16])) -> RefundPlace {
    (
        RefundId::from_bits(u128::from_be_bytes(id)),
        PaymentId::from_bits(u128::from_be_bytes(payment)),
    )
}
