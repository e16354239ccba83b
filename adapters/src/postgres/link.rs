//! Owns one connection for one user, with the schema's statements prepared as they are needed, and an ear for what the server warns of.

use super::address::Address;
use super::described;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use tokio::task::JoinHandle;
use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Error, Row, Statement};

/// A connection. Dropping it ends it.
pub(crate) struct Link {
    client: Client,
    /// The statement that was called last, and its text.
    statement: Option<(&'static str, Statement)>,
    /// Set by what was said outside of answers.
    warned: Arc<AtomicBool>,
    driving: JoinHandle<()>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

/// What a call that changes something came to.
#[derive(Debug)]
pub(crate) enum Outcome<T> {
    /// It is durable.
    Done(T),
    /// It is not known to be, or not durable everywhere.
    Failed(Trouble, String),
}

/// What a failure means for the change that met it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It was refused for want of room, and nothing of it is there.
    NoRoom,
    /// Nobody knows: it may be asked again, since a batch that is there already is recognized.
    Again,
    /// Nobody knows, and asking again would not tell.
    Halt,
}

impl Link {
    pub(super) async fn open(address: &Address) -> Result<Self, String> {
        let (client, mut connection) = address.reach().await?;
        let warned = Arc::new(AtomicBool::new(false));
        let heard = Arc::clone(&warned);
        let driving = tokio::spawn(async move {
            let ended = std::future::poll_fn(|context| {
                loop {
                    match std::task::ready!(connection.poll_message(context)) {
                        Some(Ok(AsyncMessage::Notice(notice))) => {
                            if is_warning(&notice) {
                                tracing::warn!(said = notice.message(), "the database warns");
                                heard.store(true, Ordering::Release);
                            }
                        }
                        Some(Ok(_)) => {}
                        Some(Err(error)) => return Poll::Ready(Some(error)),
                        None => return Poll::Ready(None),
                    }
                }
            });
            if let Some(error) = ended.await {
                tracing::debug!(
                    error = described(&error),
                    "a connection to the database has ended"
                );
            }
        });
        Ok(Self {
            client,
            statement: None,
            warned,
            driving,
        })
    }

    /// Calls one statement, mostly the same on this connection, and waits until the database has ended its transaction.
    pub(crate) async fn call(
        &mut self,
        sql: &'static str,
        types: &[Type],
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Outcome<Vec<Row>> {
        match self.rows(sql, types, parameters).await {
            // A commit whose copies were not waited for, because somebody cancelled the waiting. The server says so before its
            // `ReadyForQuery`, and whoever drives hands that on only after it has heard what stood before it: no warning comes too late.
            Ok(_) if self.warned.load(Ordering::Acquire) => {
                let why = "the database warned while it committed: its copies may not have what it has";
                Outcome::Failed(Trouble::Halt, why.to_owned())
            }
            Ok(rows) => Outcome::Done(rows),
            Err(error) => Outcome::Failed(trouble(&error), described(&error)),
        }
    }

    async fn rows(
        &mut self,
        sql: &'static str,
        types: &[Type],
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Error> {
        let statement = match &self.statement {
            Some((text, prepared)) if *text == sql => prepared.clone(),
            _ => {
                let prepared = self.client.prepare_typed(sql, types).await?;
                self.statement.insert((sql, prepared)).1.clone()
            }
        };
        // What it warned of before, as of the version of a collation, is not about this call.
        self.warned.store(false, Ordering::Release);
        // Waits for `ReadyForQuery`, which comes after the commit; rows come before it.
        self.client.query(&statement, parameters).await
    }

    /// Whether it can be used.
    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driving.abort();
    }
}

fn is_warning(notice: &DbError) -> bool {
    use tokio_postgres::error::Severity;
    match notice.parsed_severity() {
        Some(Severity::Debug | Severity::Info | Severity::Notice | Severity::Log) => false,
        // Without the field that no language changes there is nothing to tell them apart by.
        Some(_) | None => true,
    }
}

/// Judges an error of a call.
pub(super) fn trouble(error: &Error) -> Trouble {
    let Some(said) = error.as_db_error() else {
        return if error.is_closed() || is_about_the_connection(error) {
            Trouble::Again
        } else {
            Trouble::Halt
        };
    };
    let code = said.code();
    if *code == SqlState::DISK_FULL {
        return Trouble::NoRoom;
    }
    let passing = [
        SqlState::READ_ONLY_SQL_TRANSACTION,
        SqlState::QUERY_CANCELED,
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
    ];
    // Connections (08), too many of them and too little memory (53), and a server that stops, crashed or starts (57P).
    let is_passing = passing.contains(code)
        || ["08", "53", "57P"]
            .iter()
            .any(|class| code.code().starts_with(class));
    if is_passing { Trouble::Again } else { Trouble::Halt }
}

/// An error of the socket, or of reaching it.
fn is_about_the_connection(error: &Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        if next.is::<std::io::Error>() {
            return true;
        }
        cause = next.source();
    }
    false
}
