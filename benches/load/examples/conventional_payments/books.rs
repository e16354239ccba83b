//! The books of the conventional design: its tables on PostgreSQL, a payment in one serializable transaction, and the check that all is
//! right afterwards. Taste is decided in its favour: no foreign keys, room for updates in place, prepared statements, one statement for
//! everything that can be one, accounts of the platform that never meet.

use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, IsolationLevel, NoTls, Statement};

use crate::Fault;

/// Of each merchant: what it is owed, and its own part of what providers owe and of what the fees came to. In the seed all payments meet
/// in one `revenue_account`; as stripes of merchants they meet only where the merchant is the same.
const ACCOUNTS_OF_MERCHANT: i64 = 3;

const TABLES: &str = "
DROP TABLE IF EXISTS ledger_entry, payment, account;
CREATE TABLE account (
    id bigint PRIMARY KEY,
    balance bigint NOT NULL
) WITH (fillfactor = 50);
CREATE TABLE payment (
    id bigint PRIMARY KEY,
    idempotency_key text NOT NULL UNIQUE,
    fingerprint bytea NOT NULL,
    merchant bigint NOT NULL,
    customer text NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    fee bigint NOT NULL,
    currency text NOT NULL,
    status text NOT NULL,
    provider text NOT NULL,
    provider_reference text NOT NULL,
    created timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE ledger_entry (
    payment bigint NOT NULL,
    account bigint NOT NULL,
    amount bigint NOT NULL,
    balance bigint NOT NULL,
    PRIMARY KEY (payment, account)
);";

const FIND: &str = "SELECT id, amount, fee, status FROM payment WHERE idempotency_key = $1";
const POST: &str = "UPDATE account SET balance = balance + CASE id WHEN $1 THEN $4::bigint WHEN $2 THEN $5::bigint ELSE $6::bigint END
WHERE id IN ($1, $2, $3) RETURNING id, balance";
const ADD_PAYMENT: &str = "INSERT INTO payment
(id, idempotency_key, fingerprint, merchant, customer, amount, fee, currency, status, provider, provider_reference)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
const ADD_ENTRIES: &str = "INSERT INTO ledger_entry (payment, account, amount, balance)
VALUES ($1, $2, $5, $8), ($1, $3, $6, $9), ($1, $4, $7, $10)";
const VERIFY: &str = "SELECT count(*), sum(amount)::bigint FROM ledger_entry WHERE payment = $1";

/// Payments, entries, what all entries add up to, and accounts whose balance is not what their entries say.
const AUDIT: &str = "
SELECT (SELECT count(*) FROM payment),
    (SELECT count(*) FROM ledger_entry),
    (SELECT coalesce(sum(amount), 0)::bigint FROM ledger_entry),
    (SELECT count(*) FROM account
        LEFT JOIN (SELECT account, sum(amount) AS amount FROM ledger_entry GROUP BY account) AS total
            ON total.account = account.id
        WHERE account.balance <> coalesce(total.amount, 0))";

/// A payment as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Payment {
    pub(crate) id: i64,
    pub(crate) key: String,
    pub(crate) fingerprint: [u8; 32],
    pub(crate) merchant: i64,
    pub(crate) customer: String,
    pub(crate) amount_minor: i64,
    pub(crate) fee_minor: i64,
    /// What the provider calls it.
    pub(crate) reference: String,
}

impl Payment {
    /// Accounts and what each gets, debits above zero: the provider owes the amount, the merchant is owed it less the fee.
    fn postings(&self) -> [(i64, i64); 3] {
        let first = self.merchant * ACCOUNTS_OF_MERCHANT;
        [
            (first, self.amount_minor),
            (first + 1, self.fee_minor - self.amount_minor),
            (first + 2, -self.fee_minor),
        ]
    }
}

/// What the books have of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) id: i64,
    pub(crate) amount_minor: i64,
    pub(crate) fee_minor: i64,
    pub(crate) status: String,
}

/// Why a payment was not written.
#[derive(Debug)]
pub(crate) enum Unwritten {
    /// Another transaction was in the way: the same again may succeed.
    Conflict,
    Failed(Fault),
}

impl From<tokio_postgres::Error> for Unwritten {
    fn from(error: tokio_postgres::Error) -> Self {
        let in_the_way = [
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
        ];
        if error.code().is_some_and(|code| in_the_way.contains(code)) {
            Self::Conflict
        } else {
            Self::Failed(error.into())
        }
    }
}

/// A connection with its statements.
pub(crate) struct Books {
    client: Client,
    find: Statement,
    post: Statement,
    add_payment: Statement,
    add_entries: Statement,
    verify: Statement,
}

impl Books {
    async fn connect(database: &str) -> Result<Self, tokio_postgres::Error> {
        let client = client(database).await?;
        Ok(Self {
            find: client.prepare(FIND).await?,
            post: client.prepare(POST).await?,
            add_payment: client.prepare(ADD_PAYMENT).await?,
            add_entries: client.prepare(ADD_ENTRIES).await?,
            verify: client.prepare(VERIFY).await?,
            client,
        })
    }

    pub(crate) async fn find(&self, key: &str) -> Result<Option<Found>, Fault> {
        let Some(row) = self.client.query_opt(&self.find, &[&key]).await? else {
            return Ok(None);
        };
        Ok(Some(Found {
            id: row.try_get(0)?,
            amount_minor: row.try_get(1)?,
            fee_minor: row.try_get(2)?,
            status: row.try_get(3)?,
        }))
    }

    /// Writes it and its entries, in one serializable transaction of five round trips.
    pub(crate) async fn write(&mut self, payment: &Payment) -> Result<(), Unwritten> {
        let [(clearing, owed), (payable, to_merchant), (fees, earned)] = payment.postings();
        let transaction = self
            .client
            .build_transaction()
            .isolation_level(IsolationLevel::Serializable)
            .start()
            .await?;
        let rows = transaction
            .query(
                &self.post,
                &[&clearing, &payable, &fees, &owed, &to_merchant, &earned],
            )
            .await?;
        let balance = |account: i64| -> Result<i64, Unwritten> {
            for row in &rows {
                if row.try_get::<_, i64>(0)? == account {
                    return Ok(row.try_get(1)?);
                }
            }
            Err(Unwritten::Failed(format!("no account {account}").into()))
        };
        let (after_owed, after_merchant, after_fees) =
            (balance(clearing)?, balance(payable)?, balance(fees)?);
        let fingerprint = payment.fingerprint.as_slice();
        let row: [&(dyn ToSql + Sync); 11] = [
            &payment.id,
            &payment.key,
            &fingerprint,
            &payment.merchant,
            &payment.customer,
            &payment.amount_minor,
            &payment.fee_minor,
            &"USD",
            &"succeeded",
            &"instant",
            &payment.reference,
        ];
        let entries: [&(dyn ToSql + Sync); 10] = [
            &payment.id,
            &clearing,
            &payable,
            &fees,
            &owed,
            &to_merchant,
            &earned,
            &after_owed,
            &after_merchant,
            &after_fees,
        ];
        // Sent together, answered together. If the first fails, the second says only that something did.
        let (added, entered) = tokio::join!(
            transaction.execute(&self.add_payment, &row),
            transaction.execute(&self.add_entries, &entries),
        );
        added?;
        entered?;
        let row = transaction.query_one(&self.verify, &[&payment.id]).await?;
        let found: (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        if found != (3, 0) {
            return Err(Unwritten::Failed(
                format!("payment {}: {found:?} is not balanced", payment.id).into(),
            ));
        }
        transaction.commit().await?;
        Ok(())
    }
}

/// Makes connections for a pool.
#[derive(Debug)]
pub(crate) struct Connector(pub(crate) String);

impl bb8::ManageConnection for Connector {
    type Connection = Books;
    type Error = tokio_postgres::Error;

    async fn connect(&self) -> Result<Books, tokio_postgres::Error> {
        Books::connect(&self.0).await
    }

    async fn is_valid(&self, books: &mut Books) -> Result<(), tokio_postgres::Error> {
        books.client.simple_query("").await.map(drop)
    }

    fn has_broken(&self, books: &mut Books) -> bool {
        books.client.is_closed()
    }
}

/// New tables with accounts for so many merchants, and nothing left to write from what was before.
pub(crate) async fn make_tables(database: &str, merchants: u64) -> Result<(), Fault> {
    let client = client(database).await?;
    client.batch_execute(TABLES).await?;
    let last = i64::try_from(merchants)? * ACCOUNTS_OF_MERCHANT - 1;
    let fill =
        "INSERT INTO account (id, balance) SELECT number, 0 FROM generate_series(0, $1::bigint) AS number";
    client.execute(fill, &[&last]).await?;
    // Neither may stand in a transaction, so each is a call of its own.
    for order in ["VACUUM ANALYZE account", "CHECKPOINT"] {
        client.batch_execute(order).await?;
    }
    Ok(())
}

/// Whether the books are right and hold exactly the payments that were answered.
pub(crate) async fn audit(database: &str, payments: u64) -> Result<(), Fault> {
    let row = client(database).await?.query_one(AUDIT, &[]).await?;
    let mut found = [0_i64; 4];
    for (column, value) in found.iter_mut().enumerate() {
        *value = row.try_get(column)?;
    }
    let answered = i64::try_from(payments)?;
    if found == [answered, 3 * answered, 0, 0] {
        return Ok(());
    }
    let [noted, entries, sum, wrong] = found;
    Err(format!(
        "{answered} payments were answered, but there are {noted} with {entries} entries that add up to {sum}, \
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

async fn client(database: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(database, NoTls).await?;
    // Ends with its client; what goes wrong in between, the client's calls report.
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}
