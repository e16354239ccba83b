//! Reading from the payments view: a bounded queue and the threads that serve it.

use crate::schema::v1;
use florin_domain::ids::{PaymentId, Seq};
use florin_domain::ports::{PaymentRow, PaymentsQuery, ViewError};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

const ONE: &str = "SELECT seq, state FROM payment WHERE id = ?1";
const NEWEST: &str = "SELECT payment.seq, payment.state FROM (
        SELECT id FROM recent
            WHERE tenant = (SELECT number FROM tenant WHERE merchant = ?1 AND livemode = ?2) AND id <= ?3
        UNION ALL
        SELECT id FROM listed
            WHERE tenant = (SELECT number FROM tenant WHERE merchant = ?1 AND livemode = ?2) AND id <= ?3
        ORDER BY id DESC LIMIT ?4
    ) AS newest CROSS JOIN payment ON payment.id = newest.id
    ORDER BY newest.id DESC";

type Reply<T> = oneshot::Sender<Result<T, ViewError>>;

/// A question to the view.
#[derive(Debug)]
pub(super) enum Read {
    Payment {
        id: PaymentId,
        reply: Reply<Option<PaymentRow>>,
    },
    Payments {
        query: PaymentsQuery,
        reply: Reply<Vec<PaymentRow>>,
    },
}

#[derive(Debug, Default)]
struct Waiting {
    reads: VecDeque<Read>,
    readers: usize,
    is_closed: bool,
}

/// Reads that wait for a thread.
#[derive(Debug)]
pub(super) struct ReadQueue {
    waiting: Mutex<Waiting>,
    more: Condvar,
    waiting_max: usize,
}

impl ReadQueue {
    pub(super) fn new(waiting_max: usize) -> Self {
        Self {
            waiting: Mutex::default(),
            more: Condvar::new(),
            waiting_max,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a read, or says at once that it cannot.
    pub(super) fn push(&self, read: Read) -> Result<(), ViewError> {
        let mut waiting = self.lock();
        if waiting.is_closed {
            return Err(ViewError::Store("the view is closed".to_owned()));
        }
        if waiting.reads.len() >= self.waiting_max {
            return Err(ViewError::Busy);
        }
        waiting.reads.push_back(read);
        drop(waiting);
        self.more.notify_one();
        Ok(())
    }

    fn pop(&self) -> Option<Read> {
        let mut waiting = self.lock();
        loop {
            if let Some(read) = waiting.reads.pop_front() {
                return Some(read);
            }
            if waiting.is_closed {
                return None;
            }
            waiting = self.more.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes no further reads; those that wait are still answered.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.more.notify_all();
    }

    /// A reader of the file at `path`.
    pub(super) fn reader(queue: &Arc<Self>, path: &Path, cache_kib: u32) -> Result<Reader, ViewError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = || {
            let connection = Connection::open_with_flags(path, flags)?;
            connection.pragma_update(None, "cache_size", -i64::from(cache_kib))?;
            Ok(connection)
        };
        let connection = open().map_err(|error| store(&error))?;
        queue.lock().readers += 1;
        Ok(Reader {
            queue: Arc::clone(queue),
            connection,
        })
    }
}

fn store(error: &rusqlite::Error) -> ViewError {
    ViewError::Store(error.to_string())
}

/// One thread's connection.
pub(super) struct Reader {
    queue: Arc<ReadQueue>,
    connection: Connection,
}

impl Reader {
    /// Answers reads until the queue is closed. Nobody listens any longer to an answer that cannot be delivered.
    pub(super) fn run(self) {
        while let Some(read) = self.queue.pop() {
            match read {
                Read::Payment { reply, .. } if reply.is_closed() => {}
                Read::Payments { reply, .. } if reply.is_closed() => {}
                Read::Payment { id, reply } => drop(reply.send(self.payment(id))),
                Read::Payments { query, reply } => drop(reply.send(self.payments(&query))),
            }
        }
    }

    fn payment(&self, id: PaymentId) -> Result<Option<PaymentRow>, ViewError> {
        let select = || {
            let mut statement = self.connection.prepare_cached(ONE)?;
            statement
                .query_row(params![id.bits().to_be_bytes()], stored)
                .optional()
        };
        select().map_err(|error| store(&error))?.map(decode).transpose()
    }

    fn payments(&self, query: &PaymentsQuery) -> Result<Vec<PaymentRow>, ViewError> {
        let newest = match query.starting_after.map(PaymentId::bits) {
            None => u128::MAX,
            Some(0) => return Ok(Vec::new()),
            Some(bits) => bits - 1,
        };
        let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
        let merchant = query.merchant.bits().to_be_bytes();
        let select = || {
            let mut statement = self.connection.prepare_cached(NEWEST)?;
            let rows = statement.query_map(
                params![merchant, query.livemode, newest.to_be_bytes(), limit],
                stored,
            )?;
            rows.collect::<Result<Vec<_>, _>>()
        };
        select()
            .map_err(|error| store(&error))?
            .into_iter()
            .map(decode)
            .collect()
    }
}

impl Drop for Reader {
    /// Without any reader nobody is left to answer.
    fn drop(&mut self) {
        let mut waiting = self.queue.lock();
        waiting.readers -= 1;
        if waiting.readers == 0 {
            waiting.is_closed = true;
            waiting.reads.clear();
        }
    }
}

fn stored(row: &Row<'_>) -> Result<(i64, Vec<u8>), rusqlite::Error> {
    Ok((row.get(0)?, row.get(1)?))
}

fn decode((seq, state): (i64, Vec<u8>)) -> Result<PaymentRow, ViewError> {
    let payment = v1::payment::decode(&state).map_err(|error| ViewError::Store(error.to_string()))?;
    Ok(PaymentRow {
        seq: Seq(seq.cast_unsigned()),
        payment: Arc::new(payment),
    })
}
