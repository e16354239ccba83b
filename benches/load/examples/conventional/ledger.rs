//! The conventional ledger: its tables, a transfer in a transaction of its own, a hundred in one statement, and the check that the
//! books are right afterwards. Everything that is a matter of taste is chosen in its favour: no foreign keys, one index
//! per table, room for updates in place, prepared statements.

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Statement};

use crate::Fault;

/// What every account begins with, in minor units: no load of minutes empties one.
const OPENING_MINOR: i64 = 1_000_000_000_000;

const TABLES: &str = "
DROP TABLE IF EXISTS entry, transfer, account;
CREATE TABLE account (
    id bigint PRIMARY KEY,
    balance bigint NOT NULL CHECK (balance >= 0)
) WITH (fillfactor = 50);
CREATE TABLE transfer (
    id bigint PRIMARY KEY,
    debit bigint NOT NULL,
    credit bigint NOT NULL CHECK (credit <> debit),
    amount bigint NOT NULL CHECK (amount > 0),
    created timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE entry (
    account bigint NOT NULL,
    transfer bigint NOT NULL,
    amount bigint NOT NULL,
    balance bigint NOT NULL CHECK (balance >= 0),
    PRIMARY KEY (account, transfer)
);";

/// In the order of their ids, or two transfers between the same accounts could wait for each other.
const LOCK: &str = "SELECT id, balance FROM account WHERE id IN ($1, $2) ORDER BY id FOR UPDATE";
const SET_BALANCE: &str = "UPDATE account SET balance = $2 WHERE id = $1";
const ADD_TRANSFER: &str = "INSERT INTO transfer (id, debit, credit, amount) VALUES ($1, $2, $3, $4)";
const ADD_ENTRIES: &str = "INSERT INTO entry (account, transfer, amount, balance)
VALUES ($2, $1, -$4::bigint, $5), ($3, $1, $4::bigint, $6)";

/// Locks in the same order; every entry gets the balance that its account has after it, in the order of the batch.
const BATCH: &str = "
WITH wanted AS MATERIALIZED (
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[])
        WITH ORDINALITY AS row (id, debit, credit, amount, place)
), locked AS MATERIALIZED (
    SELECT id, balance FROM account
    WHERE id IN (SELECT debit FROM wanted UNION SELECT credit FROM wanted)
    ORDER BY id FOR UPDATE
), leg AS MATERIALIZED (
    SELECT side.account, side.transfer, side.amount,
        (locked.balance + sum(side.amount) OVER (PARTITION BY side.account ORDER BY side.place))::bigint AS balance
    FROM (
        SELECT debit AS account, id AS transfer, -amount AS amount, place FROM wanted
        UNION ALL
        SELECT credit, id, amount, place FROM wanted
    ) AS side JOIN locked ON locked.id = side.account
), moved AS (
    UPDATE account SET balance = account.balance + total.amount
    FROM (SELECT account, sum(amount)::bigint AS amount FROM leg GROUP BY account) AS total
    WHERE account.id = total.account
), noted AS (
    INSERT INTO transfer (id, debit, credit, amount) SELECT id, debit, credit, amount FROM wanted
)
INSERT INTO entry (account, transfer, amount, balance) SELECT account, transfer, amount, balance FROM leg";

/// Transfers, entries, what all entries add up to, and accounts whose balance is not what their entries say.
const AUDIT: &str = "
SELECT (SELECT count(*) FROM transfer),
    (SELECT count(*) FROM entry),
    (SELECT coalesce(sum(amount), 0)::bigint FROM entry),
    (SELECT count(*) FROM account
        LEFT JOIN (SELECT account, sum(amount) AS amount FROM entry GROUP BY account) AS total
            ON total.account = account.id
        WHERE account.balance <> $1::bigint + coalesce(total.amount, 0)
            OR (total.account IS NOT NULL AND NOT EXISTS (
                SELECT FROM entry WHERE entry.account = account.id AND entry.balance = account.balance)))";

/// One movement between two accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transfer {
    pub(crate) id: i64,
    pub(crate) debit: i64,
    pub(crate) credit: i64,
    pub(crate) amount_minor: i64,
}

/// A connection with its statements.
#[derive(Debug)]
pub(crate) struct Ledger {
    client: Client,
    lock: Statement,
    set_balance: Statement,
    add_transfer: Statement,
    add_entries: Statement,
    batch: Statement,
}

impl Ledger {
    /// Connects, and prepares the statements; the tables exist.
    pub(crate) async fn connect(database: &str) -> Result<Self, Fault> {
        let client = client(database).await?;
        Ok(Self {
            lock: client.prepare(LOCK).await?,
            set_balance: client.prepare(SET_BALANCE).await?,
            add_transfer: client.prepare(ADD_TRANSFER).await?,
            add_entries: client.prepare(ADD_ENTRIES).await?,
            batch: client.prepare(BATCH).await?,
            client,
        })
    }

    /// One transfer in one transaction: seven round trips.
    pub(crate) async fn transfer(&mut self, transfer: Transfer) -> Result<(), Fault> {
        let Transfer {
            id,
            debit,
            credit,
            amount_minor,
        } = transfer;
        let transaction = self.client.transaction().await?;
        let rows = transaction.query(&self.lock, &[&debit, &credit]).await?;
        let balance = |account: i64| -> Result<i64, Fault> {
            for row in &rows {
                if row.try_get::<_, i64>(0)? == account {
                    return Ok(row.try_get(1)?);
                }
            }
            Err(format!("no account {account}").into())
        };
        let left_minor = balance(debit)?
            .checked_sub(amount_minor)
            .filter(|left| *left >= 0);
        let left_minor = left_minor.ok_or_else(|| format!("account {debit} has too little"))?;
        let reached_minor = balance(credit)?.checked_add(amount_minor);
        let reached_minor = reached_minor.ok_or_else(|| format!("account {credit} has too much"))?;
        transaction
            .execute(&self.set_balance, &[&debit, &left_minor])
            .await?;
        transaction
            .execute(&self.set_balance, &[&credit, &reached_minor])
            .await?;
        transaction
            .execute(&self.add_transfer, &[&id, &debit, &credit, &amount_minor])
            .await?;
        let entries: [&(dyn ToSql + Sync); 6] =
            [&id, &debit, &credit, &amount_minor, &left_minor, &reached_minor];
        transaction.execute(&self.add_entries, &entries).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// All of them in one statement, which is a transaction of its own: one round trip.
    pub(crate) async fn transfer_all(&mut self, transfers: &[Transfer]) -> Result<(), Fault> {
        let column = |of: fn(&Transfer) -> i64| transfers.iter().map(of).collect::<Vec<i64>>();
        let ids = column(|transfer| transfer.id);
        let debits = column(|transfer| transfer.debit);
        let credits = column(|transfer| transfer.credit);
        let amounts = column(|transfer| transfer.amount_minor);
        let entries = self
            .client
            .execute(&self.batch, &[&ids, &debits, &credits, &amounts])
            .await?;
        if entries != 2 * transfers.len() as u64 {
            return Err(format!("{} transfers made {entries} entries", transfers.len()).into());
        }
        Ok(())
    }
}

/// New tables with accounts from 0, and nothing left to write from what was before.
pub(crate) async fn make_tables(database: &str, accounts: u64) -> Result<(), Fault> {
    let client = client(database).await?;
    client.batch_execute(TABLES).await?;
    let last = i64::try_from(accounts)? - 1;
    let fill =
        "INSERT INTO account (id, balance) SELECT number, $1 FROM generate_series(0, $2::bigint) AS number";
    client.execute(fill, &[&OPENING_MINOR, &last]).await?;
    // Neither may stand in a transaction, so each is a call of its own.
    for order in ["VACUUM ANALYZE account", "CHECKPOINT"] {
        client.batch_execute(order).await?;
    }
    Ok(())
}

/// Whether the books are right and hold exactly the transfers that were answered.
pub(crate) async fn audit(database: &str, transfers: u64) -> Result<(), Fault> {
    let row = client(database)
        .await?
        .query_one(AUDIT, &[&OPENING_MINOR])
        .await?;
    let mut found = [0_i64; 4];
    for (column, value) in found.iter_mut().enumerate() {
        *value = row.try_get(column)?;
    }
    let answered = i64::try_from(transfers)?;
    if found == [answered, 2 * answered, 0, 0] {
        return Ok(());
    }
    let [noted, entries, sum, wrong] = found;
    Err(format!(
        "{answered} transfers were answered, but there are {noted} with {entries} entries that add up to {sum}, \
         and {wrong} accounts with another balance than their entries say"
    )
    .into())
}

/// What the server says of one of its settings.
pub(crate) async fn setting(database: &str, name: &str) -> Result<String, Fault> {
    let row = client(database)
        .await?
        .query_one("SELECT current_setting($1)", &[&name])
        .await?;
    Ok(row.try_get(0)?)
}

async fn client(database: &str) -> Result<Client, Fault> {
    let (client, connection) = tokio_postgres::connect(database, NoTls).await?;
    // Ends with its client; what goes wrong in between, the client's calls report.
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}
