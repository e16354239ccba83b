//! Reading from the payments view: a bounded queue and the threads that serve it.

use super::entry::{COLUMNS, Wanted};
use super::waiting::{millis, number};
use super::{announced, moved, refunded};
use crate::schema::v1;
use florin_domain::ids::{MerchantId, PaymentId, Seq};
use florin_domain::ports::{
    EventsPage, EventsQuery, ListOrder, MovedPage, MovedQuery, PaymentRow, PaymentsPage, PaymentsQuery,
    RefundPlace, RefundsQuery, ViewError, WaitingQuery,
};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

const ONE: &str = "SELECT seq, state FROM payment WHERE id = ?1";
const TENANT: &str = "SELECT number FROM tenant WHERE merchant = ?1 AND livemode = ?2";
const ENTRIES: &str = "SELECT id, {entry} FROM recent WHERE tenant = ?1 AND id BETWEEN ?2 AND ?3
    UNION ALL SELECT id, {entry} FROM listed WHERE tenant = ?1 AND id BETWEEN ?2 AND ?3
    ORDER BY id ";

const WAITING: &str = "SELECT seq, state FROM waiting JOIN payment ON payment.id = waiting.id
    WHERE kind = ?1 AND due_ms <= ?2 AND (due_ms, waiting.id) > (?3, ?4) ORDER BY due_ms, waiting.id LIMIT ?5";

/// Entries that one read looks at: some 2 ms if none is taken, so that a list with rare hits does not keep the reads behind it waiting.
pub(super) const ENTRIES_MAX: usize = if cfg!(test) { 7 } else { 20_000 };
/// States that one read fetches in vain because their entries could not tell.
pub(super) const MISSES_MAX: usize = if cfg!(test) { 3 } else { 500 };
/// Bytes of such states, so that large ones do not take longer.
pub(super) const MISSED_BYTES_MAX: usize = 1024 * 1024;

/// The commit that made a state, and the state as it is stored.
type Stored = (i64, Vec<u8>);
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
        reply: Reply<PaymentsPage>,
    },
    Waiting {
        query: WaitingQuery,
        reply: Reply<Vec<PaymentRow>>,
    },
    Events {
        query: EventsQuery,
        reply: Reply<EventsPage>,
    },
    Refunds {
        query: RefundsQuery,
        reply: Reply<Vec<RefundPlace>>,
    },
    Moved {
        query: MovedQuery,
        reply: Reply<MovedPage>,
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
        let entries = ENTRIES.replace("{entry}", COLUMNS);
        Ok(Reader {
            queue: Arc::clone(queue),
            connection,
            newest_first: format!("{entries} DESC"),
            oldest_first: entries,
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
    newest_first: String,
    oldest_first: String,
}

impl Reader {
    /// Answers reads until the queue is closed. Nobody listens any longer to an answer that cannot be delivered.
    pub(super) fn run(self) {
        while let Some(read) = self.queue.pop() {
            match read {
                Read::Payment { reply, .. } if reply.is_closed() => {}
                Read::Payments { reply, .. } if reply.is_closed() => {}
                Read::Waiting { reply, .. } if reply.is_closed() => {}
                Read::Events { reply, .. } if reply.is_closed() => {}
                Read::Refunds { reply, .. } if reply.is_closed() => {}
                Read::Moved { reply, .. } if reply.is_closed() => {}
                Read::Moved { query, reply } => drop(reply.send(self.moved(&query))),
                Read::Refunds { query, reply } => drop(reply.send(self.refunds(&query))),
                Read::Events { query, reply } => drop(reply.send(self.events(&query))),
                Read::Waiting { query, reply } => drop(reply.send(self.waiting(&query))),
                Read::Payment { id, reply } => drop(reply.send(self.payment(id))),
                Read::Payments { query, reply } => drop(reply.send(self.payments(&query))),
            }
        }
    }

    fn payment(&self, id: PaymentId) -> Result<Option<PaymentRow>, ViewError> {
        self.state(id)?.map(decode).transpose()
    }

    /// The same as it is stored.
    fn state(&self, id: PaymentId) -> Result<Option<Stored>, ViewError> {
        let select = || {
            let mut statement = self.connection.prepare_cached(ONE)?;
            statement
                .query_row(params![id.bits().to_be_bytes()], stored)
                .optional()
        };
        select().map_err(|error| store(&error))
    }

    /// Entries whose payments wait no longer take up room in a page, so a page that is not full may not be the last one.
    fn waiting(&self, query: &WaitingQuery) -> Result<Vec<PaymentRow>, ViewError> {
        let (due, id) = query.after.map_or((-1, 0), |(due, id)| (millis(due), id.bits()));
        let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
        let select = || {
            let mut statement = self.connection.prepare_cached(WAITING)?;
            let found = params![
                number(query.kind),
                millis(query.until),
                due,
                id.to_be_bytes(),
                limit
            ];
            statement
                .query_map(found, stored)?
                .collect::<Result<Vec<_>, rusqlite::Error>>()
        };
        let rows = select().map_err(|error| store(&error))?;
        rows.into_iter().map(decode).collect()
    }

    /// A tenant's number, if the view has anything of it.
    fn tenant(&self, merchant: MerchantId, livemode: bool) -> Result<Option<i64>, ViewError> {
        let merchant = merchant.bits().to_be_bytes();
        let select = || {
            let mut statement = self.connection.prepare_cached(TENANT)?;
            statement
                .query_row(params![merchant, livemode], |row| row.get(0))
                .optional()
        };
        select().map_err(|error| store(&error))
    }

    fn events(&self, query: &EventsQuery) -> Result<EventsPage, ViewError> {
        match self.tenant(query.merchant, query.livemode)? {
            None => Ok(EventsPage::default()),
            Some(tenant) => announced::read(&self.connection, (tenant, query)).map_err(|error| store(&error)),
        }
    }

    fn refunds(&self, query: &RefundsQuery) -> Result<Vec<RefundPlace>, ViewError> {
        match self.tenant(query.merchant, query.livemode)? {
            None => Ok(Vec::new()),
            Some(tenant) => refunded::read(&self.connection, (tenant, query)).map_err(|error| store(&error)),
        }
    }

    fn moved(&self, query: &MovedQuery) -> Result<MovedPage, ViewError> {
        match self.tenant(query.merchant, query.livemode)? {
            None => Ok(MovedPage::default()),
            Some(tenant) => moved::read(&self.connection, (tenant, query)).map_err(|error| store(&error)),
        }
    }

    fn payments(&self, query: &PaymentsQuery) -> Result<PaymentsPage, ViewError> {
        let ids = query.ids();
        if ids.is_empty() || query.limit == 0 {
            return Ok(PaymentsPage::default());
        }
        let Some(tenant) = self.tenant(query.merchant, query.livemode)? else {
            return Ok(PaymentsPage::default());
        };
        let sql = match query.order {
            ListOrder::NewestFirst => &self.newest_first,
            ListOrder::OldestFirst => &self.oldest_first,
        };
        let wanted = Wanted::by(&query.filter);
        let mut page = PaymentsPage::default();
        let mut entries = self
            .connection
            .prepare_cached(sql)
            .map_err(|error| store(&error))?;
        let range = params![
            tenant,
            ids.start().bits().to_be_bytes(),
            ids.end().bits().to_be_bytes()
        ];
        // As long as entries are open, everything is read from one snapshot.
        let mut entries = entries.query(range).map_err(|error| store(&error))?;
        let (mut looked_at, mut misses, mut missed_bytes) = (0_usize, 0_usize, 0_usize);
        while let Some(entry) = entries.next().map_err(|error| store(&error))? {
            let id = entry.get(0).map_err(|error| store(&error))?;
            let id = PaymentId::from_bits(u128::from_be_bytes(id));
            if wanted.takes(id, entry).map_err(|error| store(&error))? {
                let found = self.state(id)?;
                let bytes = found.as_ref().map_or(0, |(_, state)| state.len());
                let row = found.map(decode).transpose()?;
                if let Some(row) = row.filter(|row| query.filter.takes(&row.payment)) {
                    page.rows.push(row);
                } else {
                    misses += 1;
                    missed_bytes += bytes;
                }
            }
            looked_at += 1;
            let is_dear = misses == MISSES_MAX || missed_bytes >= MISSED_BYTES_MAX;
            if page.rows.len() == query.limit || looked_at == ENTRIES_MAX || is_dear {
                page.stopped_at = Some(id);
                break;
            }
        }
        Ok(page)
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

fn stored(row: &Row<'_>) -> Result<Stored, rusqlite::Error> {
    Ok((row.get(0)?, row.get(1)?))
}

fn decode((seq, state): Stored) -> Result<PaymentRow, ViewError> {
    let payment = v1::payment::decode(&state).map_err(|error| ViewError::Store(error.to_string()))?;
    Ok(PaymentRow {
        seq: Seq(seq.cast_unsigned()),
        payment: Arc::new(payment),
    })
}
