//! Looking things up in the file, through any connection of it.

use super::form;
use super::note;
use super::seal::{About, FileKey, Trouble};
use crate::webhooks::page::page_of;
use florin_domain::announcement::EventPlace;
use florin_domain::ids::{EndpointId, MerchantId, PaymentId, Seq, ShardId};
use florin_domain::ports::{EndpointPage, NumberedDeliveries};
use florin_domain::time::Timestamp;
use florin_domain::vault::Owner;
use florin_domain::webhook::{Endpoint, Failing, KeptEndpoint, Parked, Progress, Replay};
use rusqlite::{Connection, OptionalExtension, Row, params};

pub(super) const fn blob(id: EndpointId) -> [u8; 16] {
    id.bits().to_be_bytes()
}

/// As rows name a merchant.
pub(super) fn merchant(owner: Owner) -> [u8; 16] {
    owner.merchant.bits().to_be_bytes()
}

pub(super) fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get(column).map(i64::cast_unsigned)
}

fn place(row: &Row<'_>, column: usize) -> rusqlite::Result<EventPlace> {
    Ok(EventPlace {
        seq: Seq(unsigned(row, column)?),
        index: row.get(column + 1)?,
    })
}

/// An endpoint with its secrets, whoever's it is.
pub(super) fn kept(
    file: &Connection,
    key: &FileKey,
    id: EndpointId,
) -> Result<Option<KeptEndpoint>, Trouble> {
    let sql = "SELECT merchant, livemode, disabled, sealed FROM endpoint WHERE id = ?1";
    let found = file
        .prepare_cached(sql)?
        .query_row([blob(id)], |row| {
            let owner = Owner {
                merchant: MerchantId::from_bits(u128::from_be_bytes(row.get(0)?)),
                livemode: row.get(1)?,
            };
            let (disabled, sealed): (Option<String>, Vec<u8>) = (row.get(2)?, row.get(3)?);
            Ok((owner, disabled, sealed))
        })
        .optional()?;
    let Some((owner, disabled, sealed)) = found else {
        return Ok(None);
    };
    let plain = key.open(About::Endpoint(owner, id), &sealed)?;
    form::read(&plain, (owner, id), form::status(disabled.as_deref())?).map(Some)
}

/// The same if it is this owner's.
pub(super) fn kept_of(
    file: &Connection,
    key: &FileKey,
    (owner, id): (Owner, EndpointId),
) -> Result<Option<KeptEndpoint>, Trouble> {
    let kept = kept(file, key, id)?;
    Ok(kept.filter(|kept| kept.endpoint.owner == owner))
}

/// The endpoints of an owner, oldest first.
pub(super) fn ids_of(file: &Connection, owner: Owner) -> Result<Vec<EndpointId>, Trouble> {
    let sql = "SELECT id FROM endpoint WHERE merchant = ?1 AND livemode = ?2 ORDER BY id";
    let mut statement = file.prepare_cached(sql)?;
    let ids = statement.query_map(params![merchant(owner), owner.livemode], id)?;
    Ok(ids.collect::<Result<_, _>>()?)
}

/// The endpoints that are at home in a shard.
pub(super) fn ids_in(file: &Connection, shard: ShardId) -> Result<Vec<EndpointId>, Trouble> {
    let mut statement = file.prepare_cached("SELECT id FROM endpoint WHERE shard = ?1 ORDER BY id")?;
    let ids = statement.query_map([shard.0], id)?;
    Ok(ids.collect::<Result<_, _>>()?)
}

fn id(row: &Row<'_>) -> rusqlite::Result<EndpointId> {
    row.get(0)
        .map(|bits| EndpointId::from_bits(u128::from_be_bytes(bits)))
}

/// A page of an owner's endpoints.
pub(super) fn list(
    file: &Connection,
    key: &FileKey,
    owner: Owner,
    page: EndpointPage,
) -> Result<Option<(Vec<Endpoint>, bool)>, Trouble> {
    let mut all = Vec::new();
    for id in ids_of(file, owner)? {
        // One that was deleted between the two looks is no longer listed.
        all.extend(kept(file, key, id)?.map(|kept| kept.endpoint));
    }
    Ok(page_of(all, page))
}

/// The newest deliveries of an endpoint.
pub(super) fn deliveries(
    file: &Connection,
    (owner, id): (Owner, EndpointId),
    (limit, before): (usize, Option<u64>),
) -> Result<Option<NumberedDeliveries>, Trouble> {
    let sql = "SELECT EXISTS (SELECT 1 FROM endpoint WHERE id = ?1 AND merchant = ?2 AND livemode = ?3)";
    let is_there: bool = file
        .prepare_cached(sql)?
        .query_row(params![blob(id), merchant(owner), owner.livemode], |row| {
            row.get(0)
        })?;
    if !is_there {
        return Ok(None);
    }
    let before = before.map_or(i64::MAX, |before| i64::try_from(before).unwrap_or(i64::MAX));
    let take = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
    let mut statement = file.prepare_cached(note::SELECT_ROWS)?;
    let mut found = statement.query(params![blob(id), before, take])?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        rows.push(note::row(row)?);
    }
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    Ok(Some((rows, has_more)))
}

/// How far an endpoint has been told.
pub(super) fn progress(file: &Connection, id: EndpointId) -> Result<Option<Progress>, Trouble> {
    let sql = "SELECT generation, told_seq, told_index, failing_since_ms, failing_in_a_row FROM progress WHERE endpoint = ?1";
    let found = file
        .prepare_cached(sql)?
        .query_row([blob(id)], |row| {
            let since: Option<i64> = row.get(3)?;
            let failing = since.map(|since| -> rusqlite::Result<Failing> {
                Ok(Failing {
                    since: Timestamp::from_unix_ms(since.cast_unsigned()),
                    in_a_row: row.get(4)?,
                })
            });
            Ok(Progress {
                generation: unsigned(row, 0)?,
                told: place(row, 1)?,
                parked: Vec::new(),
                failing: failing.transpose()?,
                replays: Vec::new(),
            })
        })
        .optional()?;
    let Some(mut progress) = found else {
        return Ok(None);
    };
    let sql = "SELECT payment, next, attempts, due_ms FROM parked WHERE endpoint = ?1 ORDER BY payment";
    progress.parked = file
        .prepare_cached(sql)?
        .query_map([blob(id)], |row| {
            let parked = Parked {
                next: unsigned(row, 1)?,
                attempts: row.get(2)?,
                due: Timestamp::from_unix_ms(unsigned(row, 3)?),
            };
            let payment = PaymentId::from_bits(u128::from_be_bytes(row.get(0)?));
            Ok((payment, parked))
        })?
        .collect::<Result<_, _>>()?;
    let sql = "SELECT asked_ms, from_seq, from_index, to_seq, to_index FROM replay WHERE endpoint = ?1 ORDER BY place";
    progress.replays = file
        .prepare_cached(sql)?
        .query_map([blob(id)], |row| {
            Ok(Replay {
                asked_at: Timestamp::from_unix_ms(unsigned(row, 0)?),
                from: place(row, 1)?,
                to: place(row, 3)?,
            })
        })?
        .collect::<Result<_, _>>()?;
    Ok(Some(progress))
}

/// An endpoint, and how far it has been told, both as of one moment.
pub(super) fn open(
    file: &Connection,
    key: &FileKey,
    id: EndpointId,
) -> Result<Option<(KeptEndpoint, Progress)>, Trouble> {
    let moment = file.unchecked_transaction()?;
    let Some(kept) = kept(&moment, key, id)? else {
        return Ok(None);
    };
    let progress = progress(&moment, id)?.ok_or_else(form::unreadable)?;
    Ok(Some((kept, progress)))
}
