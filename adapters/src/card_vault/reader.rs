//! Looking things up in the file, through any connection of it.

use super::form;
use super::tables::Kind;
use super::tenant::{KeyRing, Part, Trouble, merchant};
use florin_domain::card_details::CardDetails;
use florin_domain::ids::{MerchantId, MethodId};
use florin_domain::ports::VaultKey;
use florin_domain::time::Timestamp;
use florin_domain::vault::{Listed, Owner, VaultObject, VaultPage};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

/// An object of the file, opened, and its sealed number if it has one.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) object: VaultObject,
    card: Option<Vec<u8>>,
}

fn place(key: VaultKey) -> (Kind, Vec<u8>) {
    match key {
        VaultKey::Customer(id) => (Kind::Customer, id.bits().to_be_bytes().to_vec()),
        VaultKey::Method(id) => (Kind::Method, id.bits().to_be_bytes().to_vec()),
        VaultKey::Token(token) => (Kind::Token, token.body().as_bytes().to_vec()),
        VaultKey::Setup(id) => (Kind::Setup, id.bits().to_be_bytes().to_vec()),
        VaultKey::Mandate(id) => (Kind::Mandate, id.bits().to_be_bytes().to_vec()),
    }
}

/// One object; what has outlived its time is not there, nor is a card before its token is used.
pub(super) fn row(
    file: &Connection,
    keys: &mut KeyRing,
    owner: Owner,
    key: VaultKey,
    now: Timestamp,
) -> Result<Option<Row>, Trouble> {
    let Some(tenant) = keys.known(file, owner)? else {
        return Ok(None);
    };
    let (kind, id) = place(key);
    let sql =
        "SELECT sealed, card FROM object WHERE merchant = ?1 AND livemode = ?2 AND kind = ?3 AND id = ?4
               AND (expires_ms IS NULL OR (kind = 3 AND expires_ms > ?5))";
    let now_ms = now.unix_ms().cast_signed();
    let found: Option<(Vec<u8>, Option<Vec<u8>>)> = file
        .prepare_cached(sql)?
        .query_row(
            params![merchant(owner), owner.livemode, kind as u8, id, now_ms],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let Some((sealed, card)) = found else {
        return Ok(None);
    };
    let mut object = form::read(&tenant.open(Part::Said(kind), &id, &sealed)?)?;
    if let VaultObject::Mandate(mandate) = &mut object {
        // Without its number the card is detached, or erased with its row.
        let sql = "SELECT EXISTS (SELECT 1 FROM object WHERE merchant = ?1 AND livemode = ?2 AND kind = 2 AND id = ?3
                   AND card IS NOT NULL)";
        let method = mandate.method.bits().to_be_bytes();
        mandate.is_active = file
            .prepare_cached(sql)?
            .query_row(params![merchant(owner), owner.livemode, method], |row| row.get(0))?;
    }
    Ok(Some(Row { object, card }))
}

/// A page of a list, and whether there are more.
pub(super) fn page(
    file: &Connection,
    keys: &mut KeyRing,
    owner: Owner,
    page: VaultPage,
    now: Timestamp,
) -> Result<Option<(Vec<VaultObject>, bool)>, Trouble> {
    let (kind, mut wanted, mut values) = match page.listed {
        Listed::Customers => (Kind::Customer, String::new(), Vec::new()),
        Listed::MethodsOf(customer) => {
            if row(file, keys, owner, VaultKey::Customer(customer), now)?.is_none() {
                return Ok(None);
            }
            let bits = customer.bits().to_be_bytes().to_vec();
            // Without its number it is detached.
            (
                Kind::Method,
                " AND customer = ? AND card IS NOT NULL".to_owned(),
                vec![Value::Blob(bits)],
            )
        }
        Listed::Setups(None) => (Kind::Setup, String::new(), Vec::new()),
        Listed::Setups(Some(customer)) => {
            if row(file, keys, owner, VaultKey::Customer(customer), now)?.is_none() {
                return Ok(None);
            }
            let bits = customer.bits().to_be_bytes().to_vec();
            (
                Kind::Setup,
                " AND customer = ?".to_owned(),
                vec![Value::Blob(bits)],
            )
        }
    };
    let Some(tenant) = keys.known(file, owner)? else {
        return Ok(Some((Vec::new(), false)));
    };
    for (bound, sign) in [(page.starting_after, '<'), (page.ending_before, '>')] {
        if let Some(bits) = bound {
            wanted.push_str(" AND id ");
            wanted.push(sign);
            wanted.push_str(" ?");
            values.push(Value::Blob(bits.to_be_bytes().to_vec()));
        }
    }
    // The nearest after it come first, and are turned around.
    let backwards = page.ending_before.is_some();
    let order = if backwards { "ASC" } else { "DESC" };
    let sql = format!(
        "SELECT id, sealed FROM object WHERE merchant = ? AND livemode = ? AND kind = ?{wanted} ORDER BY id {order} LIMIT ?"
    );
    let limit = i64::try_from(page.limit + 1).unwrap_or(i64::MAX);
    let head = [
        Value::Blob(merchant(owner).to_vec()),
        Value::Integer(i64::from(owner.livemode)),
        Value::Integer(kind as i64),
    ];
    let all = head.into_iter().chain(values).chain([Value::Integer(limit)]);
    let mut statement = file.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(all))?;
    let mut objects = Vec::new();
    while let Some(row) = rows.next()? {
        let (id, sealed): (Vec<u8>, Vec<u8>) = (row.get(0)?, row.get(1)?);
        objects.push(form::read(&tenant.open(Part::Said(kind), &id, &sealed)?)?);
    }
    let has_more = objects.len() > page.limit;
    objects.truncate(page.limit);
    if backwards {
        objects.reverse();
    }
    Ok(Some((objects, has_more)))
}

/// A card with its number, whichever mode it is of.
pub(super) fn card(
    file: &Connection,
    keys: &mut KeyRing,
    (merchant, method): (MerchantId, MethodId),
    now: Timestamp,
) -> Result<Option<CardDetails>, Trouble> {
    for livemode in [true, false] {
        let owner = Owner { merchant, livemode };
        let Some(found) = row(file, keys, owner, VaultKey::Method(method), now)? else {
            continue;
        };
        let (VaultObject::Method(saved), Some(sealed)) = (found.object, found.card) else {
            return Ok(None);
        };
        let Some(tenant) = keys.known(file, owner)? else {
            return Ok(None);
        };
        let plain = tenant.open(Part::Number, &method.bits().to_be_bytes(), &sealed)?;
        return form::read_card(&plain, saved.card.expiry).map(Some);
    }
    Ok(None)
}
