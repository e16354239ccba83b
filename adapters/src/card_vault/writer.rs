//! Owns changing the file: one thread, many changes in one transaction, answered when it is on the disk.

use super::change::{Changing, Done, Failure, about};
use super::codes::Codes;
use super::form;
use super::reader::{card, page, row};
use super::tables::Kind;
use super::tenant::{KeyRing, Part, Trouble};
use crate::mirror::Mirror;
use crate::store_file::{self, BUSY_WAIT, next_letter};
use florin_domain::card_details::CardDetails;
use florin_domain::ids::{MerchantId, MethodId};
use florin_domain::limits::IDEMPOTENCY_RETENTION;
use florin_domain::ports::{Clock, Entropy, VaultError, VaultKey};
use florin_domain::time::Timestamp;
use florin_domain::vault::{Changed, Once, Owner, VaultChange, VaultObject, VaultPage, VaultRefusal};
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Changes of one transaction.
const BATCH_MAX: usize = 256;

/// A change and who waits for it.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) owner: Owner,
    pub(super) change: VaultChange,
    pub(super) once: Option<Once>,
    pub(super) reply: oneshot::Sender<Result<Changed, VaultError>>,
}

/// Something is looked up.
#[derive(Debug)]
pub(super) enum Question {
    One(Owner, VaultKey),
    Page(Owner, VaultPage),
    Card(MerchantId, MethodId),
}

/// What was found.
#[derive(Debug)]
pub(super) enum Found {
    One(Option<VaultObject>),
    Page(Option<(Vec<VaultObject>, bool)>),
    Card(Option<CardDetails>),
}

/// Looks something up through a connection.
pub(super) fn find(
    file: &Connection,
    keys: &mut KeyRing,
    question: &Question,
    now: Timestamp,
) -> Result<Found, VaultError> {
    let found = match *question {
        Question::One(owner, key) => {
            row(file, keys, owner, key, now).map(|row| Found::One(row.map(|row| row.object)))
        }
        Question::Page(owner, wanted) => page(file, keys, owner, wanted, now).map(Found::Page),
        Question::Card(merchant, method) => card(file, keys, (merchant, method), now).map(Found::Card),
    };
    found.map_err(|trouble| VaultError::Store(trouble.to_string()))
}

/// What comes to the thread.
#[derive(Debug)]
pub(super) enum Letter {
    Change(Box<Order>),
    /// Where only one connection can be.
    Question(Question, oneshot::Sender<Result<Found, VaultError>>),
}

/// The only connection that writes.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) file: Connection,
    pub(super) mirror: Mirror,
    pub(super) keys: KeyRing,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) codes: Arc<Mutex<Codes>>,
    /// Nobody knows what is durable: nothing is changed any more.
    pub(super) halted: Option<String>,
    /// There is more to erase than one transaction may.
    pub(super) is_sweeping: bool,
    /// The log still has what was erased.
    pub(super) must_empty_log: bool,
}

type Answered = (
    oneshot::Sender<Result<Changed, VaultError>>,
    Result<Settled, VaultError>,
);

/// A change that waits for its transaction.
#[derive(Debug)]
enum Settled {
    Now(Done),
    Before(VaultObject),
}

impl Writer {
    /// Works until there are no more senders.
    pub(super) fn run(mut self, mut inbox: mpsc::Receiver<Letter>) {
        while let ControlFlow::Continue(first) = next_letter(&mut inbox, self.is_sweeping) {
            let mut orders = Vec::new();
            let mut next = first;
            while let Some(letter) = next {
                match letter {
                    Letter::Change(order) => orders.push(*order),
                    Letter::Question(question, reply) => {
                        let now = self.clock.now();
                        drop(reply.send(find(&self.file, &mut self.keys, &question, now)));
                    }
                }
                next = if orders.len() < BATCH_MAX {
                    inbox.try_recv().ok()
                } else {
                    None
                };
            }
            if !orders.is_empty() || self.is_sweeping {
                self.carry_out(orders);
            }
            self.empty_log();
        }
    }

    fn carry_out(&mut self, orders: Vec<Order>) {
        // Until a transaction has ended well: what fails is tried again with the next change, and not without end.
        self.is_sweeping = false;
        if let Some(why) = &self.halted {
            for order in orders {
                drop(order.reply.send(Err(VaultError::Store(why.clone()))));
            }
            return;
        }
        let now = self.clock.now();
        let mut answers: Vec<Answered> = Vec::with_capacity(orders.len());
        let begun = self.file.execute_batch("BEGIN IMMEDIATE");
        if let Err(error) = &begun
            && error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
        {
            // Somebody else, such as a copy that is made of the file, holds it longer than we wait: nothing was begun.
            for order in orders {
                drop(order.reply.send(Err(VaultError::Busy)));
            }
            return;
        }
        let swept = begun.and_then(|()| self.sweep(now));
        let is_unfinished = *swept.as_ref().unwrap_or(&false);
        let mut trouble = swept.err();
        for order in orders {
            let Order {
                owner,
                change,
                once,
                reply,
            } = order;
            let answer = match &trouble {
                Some(error) => Err(VaultError::Store(error.to_string())),
                None => match self.one(owner, change, once, now) {
                    Ok(settled) => Ok(settled),
                    Err(Failure::Refused(refusal)) => Err(VaultError::Refused(refusal)),
                    Err(Failure::Trouble(Trouble::Sealing(why))) => Err(VaultError::Store(why)),
                    Err(Failure::Trouble(Trouble::Store(error))) => {
                        let why = VaultError::Store(error.to_string());
                        trouble = Some(error);
                        Err(why)
                    }
                },
            };
            answers.push((reply, answer));
        }
        let ended = match trouble {
            None => self.mirror.commit(&self.file),
            Some(error) => Err(error),
        };
        match ended {
            Ok(()) => {
                self.is_sweeping = is_unfinished;
                self.tell(answers, now);
            }
            Err(error) => self.fail(&error, answers),
        }
    }

    /// What is durable now is believed, and said.
    fn tell(&mut self, answers: Vec<Answered>, now: Timestamp) {
        for (reply, answer) in answers {
            let answer = answer.map(|settled| match settled {
                Settled::Before(object) => Changed {
                    object,
                    was_before: true,
                },
                Settled::Now(Done { object, code, erased }) => {
                    let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
                    self.must_empty_log |=
                        !erased.is_empty() || matches!(object, VaultObject::CustomerDeleted(_));
                    for method in erased {
                        codes.forget(method);
                    }
                    if let Some((method, code)) = code {
                        codes.keep(method, code, now);
                    }
                    Changed {
                        object,
                        was_before: false,
                    }
                }
            });
            // Whoever asked may have given up; the change stands all the same.
            drop(reply.send(answer));
        }
    }

    /// Nothing of the batch was made, or nobody knows. An fsync that failed once may succeed on the second call without the data: after
    /// anything but a full disk nothing is tried again.
    fn fail(&mut self, error: &rusqlite::Error, answers: Vec<Answered>) {
        self.keys.forget();
        let is_open = !self.file.is_autocommit();
        let rolled_back = !is_open || self.file.execute_batch("ROLLBACK").is_ok();
        // Without a code it is a row that is not what it should be.
        let may_go_on = matches!(
            error.sqlite_error_code(),
            None | Some(ErrorCode::DiskFull | ErrorCode::ReadOnly)
        );
        if !(rolled_back && may_go_on) {
            tracing::error!(%error, "the card vault has halted; the next start opens it again");
            self.mirror.give_up(&error);
            self.halted = Some(error.to_string());
        }
        // Refusals as well: they may be for what the same batch did before them, and that was not done.
        for (reply, _) in answers {
            drop(reply.send(Err(VaultError::Store(error.to_string()))));
        }
    }

    /// One change, all of it or nothing.
    fn one(
        &mut self,
        owner: Owner,
        change: VaultChange,
        once: Option<Once>,
        now: Timestamp,
    ) -> Result<Settled, Failure> {
        self.file.execute_batch("SAVEPOINT change")?;
        let made = self.once(owner, change, once, now);
        let end = if made.is_ok() {
            "RELEASE change"
        } else {
            // A key that was made within it is gone with it.
            self.keys.forget();
            "ROLLBACK TO change; RELEASE change"
        };
        self.file.execute_batch(end)?;
        made
    }

    fn once(
        &mut self,
        owner: Owner,
        change: VaultChange,
        once: Option<Once>,
        now: Timestamp,
    ) -> Result<Settled, Failure> {
        let Some(once) = once else {
            return self.make(owner, change, now).map(Settled::Now);
        };
        let tenant = self.keys.made(&self.file, owner)?;
        let (key, asked) = (once.key.0, tenant.digest(&once.asked));
        let known: Option<([u8; 16], Vec<u8>)> = self
            .file
            .prepare_cached("SELECT asked, sealed FROM answer WHERE key = ?1 AND at_ms > ?2")?
            .query_row(params![key, oldest(now)], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        if let Some((before, sealed)) = known {
            if sealed.is_empty() {
                return Err(VaultRefusal::Erased.into());
            }
            if before != asked {
                return Err(VaultRefusal::KeyMismatch.into());
            }
            let object = form::read(&tenant.open(Part::Answer, &key, &sealed)?)?;
            return Ok(Settled::Before(object));
        }
        let done = self.make(owner, change, now)?;
        let sealed = tenant.seal(Part::Answer, &key, &form::bytes(&done.object)?)?;
        let sql =
            "INSERT OR REPLACE INTO answer (key, about, asked, at_ms, sealed) VALUES (?1, ?2, ?3, ?4, ?5)";
        self.file.prepare_cached(sql)?.execute(params![
            key,
            about(&done.object),
            asked,
            now.unix_ms().cast_signed(),
            sealed
        ])?;
        Ok(Settled::Now(done))
    }

    fn make(&mut self, owner: Owner, change: VaultChange, now: Timestamp) -> Result<Done, Failure> {
        let (file, keys, entropy) = (&self.file, &mut self.keys, &*self.entropy);
        Changing {
            file,
            keys,
            entropy,
            now,
            owner,
        }
        .make(change)
    }

    /// Erases what has outlived its time: answers, tokens that nobody used, and their cards; as many as one transaction may. Whether there
    /// are more.
    fn sweep(&mut self, now: Timestamp) -> rusqlite::Result<bool> {
        let now_ms = now.unix_ms().cast_signed();
        let tokens = "DELETE FROM object WHERE (merchant, livemode, kind, id) IN
                      (SELECT merchant, livemode, kind, id FROM object WHERE expires_ms <= ?1 ORDER BY expires_ms LIMIT ?2)";
        let answers = "DELETE FROM answer WHERE key IN (SELECT key FROM answer WHERE at_ms <= ?1 ORDER BY at_ms LIMIT ?2)";
        let swept = store_file::sweep(&self.file, &[(tokens, now_ms), (answers, oldest(now))])?;
        self.must_empty_log |= swept.rows > 0;
        Ok(swept.is_unfinished)
    }

    /// Moves the log into the file and cuts it off, so that it has nothing of what was erased. While somebody reads, it is tried again
    /// after the next change.
    fn empty_log(&mut self) {
        if !self.must_empty_log || self.halted.is_some() {
            return;
        }
        let emptied = self.cut_log();
        match emptied {
            Ok(was_busy) => self.must_empty_log = was_busy,
            Err(error) => {
                let code = error.sqlite_error_code();
                let passes = [
                    ErrorCode::DatabaseBusy,
                    ErrorCode::DatabaseLocked,
                    ErrorCode::DiskFull,
                ];
                if !code.is_some_and(|code| passes.contains(&code)) {
                    tracing::error!(%error, "the card vault has halted; the next start opens it again");
                    self.mirror.give_up(&error);
                    self.halted = Some(error.to_string());
                }
            }
        }
    }

    /// Whether somebody was in the way. Changes wait for this thread, so it waits for nobody.
    fn cut_log(&self) -> rusqlite::Result<bool> {
        self.file.busy_timeout(Duration::ZERO)?;
        let was_busy = self
            .file
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
        self.file.busy_timeout(BUSY_WAIT)?;
        was_busy
    }
}

/// From when on answers are remembered.
fn oldest(now: Timestamp) -> i64 {
    now.unix_ms()
        .saturating_sub(IDEMPOTENCY_RETENTION.0)
        .cast_signed()
}

const _: () = assert!(
    Kind::Token as u8 == 3 && Kind::Method as u8 == 2,
    "the statements that keep a row's time, and that look for a card, say so by number"
);
