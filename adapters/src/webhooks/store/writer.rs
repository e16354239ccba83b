//! Owns changing the file: one thread, many changes and notes in one transaction, in the order in which they came. Changes are answered when
//! they are on the disk; notes when they are written, because what a crash takes of them is only sent again.

use super::change::{Changing, Failure};
use super::form;
use super::note;
use super::reader::{blob, merchant};
use super::seal::{About, FileKey, Trouble};
use crate::mirror::Mirror;
use crate::store_file::{self, next_letter};
use florin_domain::limits::IDEMPOTENCY_RETENTION;
use florin_domain::ports::{Clock, EndpointChanged, EndpointError};
use florin_domain::time::Timestamp;
use florin_domain::vault::{Once, Owner};
use florin_domain::webhook::{EndpointChange, EndpointRefusal, Noted};
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};
use std::ops::ControlFlow;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Changes and notes of one transaction.
pub(super) const BATCH_MAX: usize = 256;

pub(super) type Changed = Result<EndpointChanged, EndpointError>;

/// What comes to the thread, and who waits for it.
#[derive(Debug)]
pub(super) enum Letter {
    Change(Owner, Box<EndpointChange>, Option<Once>, oneshot::Sender<Changed>),
    Note(Box<Noted>, oneshot::Sender<Result<(), EndpointError>>),
}

/// What is said once the transaction has ended.
enum Answer {
    Change(oneshot::Sender<Changed>, Box<Changed>),
    Note(
        oneshot::Sender<Result<(), EndpointError>>,
        Result<(), EndpointError>,
    ),
}

impl Answer {
    /// Whoever asked may have given up; the change stands all the same.
    fn say(self) {
        match self {
            Self::Change(reply, said) => drop(reply.send(*said)),
            Self::Note(reply, said) => drop(reply.send(said)),
        }
    }
}

impl Letter {
    fn refuse(self, error: EndpointError) {
        match self {
            Self::Change(_, _, _, reply) => drop(reply.send(Err(error))),
            Self::Note(_, reply) => drop(reply.send(Err(error))),
        }
    }
}

/// The only connection that writes.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) file: Connection,
    pub(super) mirror: Mirror,
    pub(super) key: Arc<FileKey>,
    pub(super) clock: Arc<dyn Clock>,
    /// Nobody knows what is durable: nothing is changed any more.
    pub(super) halted: Option<String>,
    /// There is more to erase than one transaction may.
    pub(super) is_sweeping: bool,
}

impl Writer {
    /// Works until there are no more senders.
    pub(super) fn run(mut self, mut inbox: mpsc::Receiver<Letter>) {
        while let ControlFlow::Continue(first) = next_letter(&mut inbox, self.is_sweeping) {
            let mut letters: Vec<Letter> = first.into_iter().collect();
            while letters.len() < BATCH_MAX
                && let Ok(next) = inbox.try_recv()
            {
                letters.push(next);
            }
            self.carry_out(letters);
        }
    }

    fn carry_out(&mut self, letters: Vec<Letter>) {
        if let Some(why) = &self.halted {
            for letter in letters {
                letter.refuse(EndpointError::Store(why.clone()));
            }
            return;
        }
        // Until a transaction has ended well: what fails is tried again with the next change, and not without end.
        let was_sweeping = std::mem::take(&mut self.is_sweeping);
        let has_changes = was_sweeping || letters.iter().any(|letter| matches!(letter, Letter::Change(..)));
        let begun = self.begin(has_changes);
        if let Err(error) = &begun
            && error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
        {
            // Somebody else, such as a copy that is made of the file, holds it longer than we wait: nothing was begun.
            for letter in letters {
                letter.refuse(EndpointError::Busy);
            }
            return;
        }
        let now = self.clock.now();
        let swept = begun.and_then(|()| if has_changes { self.sweep(now) } else { Ok(false) });
        let is_unfinished = *swept.as_ref().unwrap_or(&false);
        let mut trouble = swept.err();
        let mut answers = Vec::with_capacity(letters.len());
        for letter in letters {
            answers.push(match letter {
                Letter::Change(owner, change, once, reply) => {
                    let made = self.tried(&mut trouble, |writer| writer.once(owner, *change, once, now));
                    Answer::Change(reply, Box::new(made))
                }
                Letter::Note(noted, reply) => {
                    let kept = self.tried(&mut trouble, |writer| Ok(note::keep(&writer.file, &noted)?));
                    Answer::Note(reply, kept)
                }
            });
        }
        let ended = match trouble {
            None => self.mirror.commit(&self.file),
            Some(error) => Err(error),
        };
        match ended {
            Ok(()) => {
                self.is_sweeping = is_unfinished;
                answers.into_iter().for_each(Answer::say);
            }
            Err(error) => self.fail(&error, answers),
        }
    }

    /// Begins a transaction, which ends on the disk if it must.
    fn begin(&self, durable: bool) -> rusqlite::Result<()> {
        let level = if durable { "FULL" } else { "NORMAL" };
        self.file.pragma_update(None, "synchronous", level)?;
        self.file.execute_batch("BEGIN IMMEDIATE")
    }

    /// One change or note, all of it or nothing; nothing once the file has made trouble.
    fn tried<T>(
        &self,
        trouble: &mut Option<rusqlite::Error>,
        make: impl FnOnce(&Self) -> Result<T, Failure>,
    ) -> Result<T, EndpointError> {
        if let Some(error) = trouble {
            return Err(EndpointError::Store(error.to_string()));
        }
        self.apart(make).map_err(|failure| match failure {
            Failure::Refused(refusal) => EndpointError::Refused(refusal),
            Failure::Trouble(Trouble::Record(why)) => EndpointError::Store(why),
            Failure::Trouble(Trouble::Store(error)) => {
                let why = EndpointError::Store(error.to_string());
                *trouble = Some(error);
                why
            }
        })
    }

    fn apart<T>(&self, make: impl FnOnce(&Self) -> Result<T, Failure>) -> Result<T, Failure> {
        self.file.execute_batch("SAVEPOINT one")?;
        let result = make(self);
        let end = if result.is_ok() {
            "RELEASE one"
        } else {
            "ROLLBACK TO one; RELEASE one"
        };
        self.file.execute_batch(end)?;
        result
    }

    fn once(
        &self,
        owner: Owner,
        change: EndpointChange,
        once: Option<Once>,
        now: Timestamp,
    ) -> Result<EndpointChanged, Failure> {
        let changing = Changing {
            file: &self.file,
            key: &self.key,
            owner,
        };
        let Some(once) = once else {
            return changing.make(change).map(|kept| EndpointChanged {
                kept,
                was_before: false,
            });
        };
        let (about, asked) = (About::Answer(owner, once.key), self.key.digest(&once.asked));
        let sql = "SELECT asked, sealed FROM answer WHERE merchant = ?1 AND livemode = ?2 AND key = ?3 AND at_ms > ?4";
        let known: Option<([u8; 16], Vec<u8>)> = self
            .file
            .prepare_cached(sql)?
            .query_row(
                params![merchant(owner), owner.livemode, once.key.0, oldest(now)],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        if let Some((before, sealed)) = known {
            if before != asked {
                return Err(EndpointRefusal::KeyMismatch.into());
            }
            if sealed.is_empty() {
                return Err(EndpointRefusal::Deleted.into());
            }
            let kept = form::read_answer(&self.key.open(about, &sealed)?, owner)?;
            return Ok(EndpointChanged {
                kept,
                was_before: true,
            });
        }
        let deletes = matches!(change, EndpointChange::Delete(_));
        let kept = changing.make(change)?;
        let sealed = if deletes {
            Vec::new()
        } else {
            self.key.seal(about, &form::answer_bytes(&kept)?)?
        };
        let sql = "INSERT OR REPLACE INTO answer (merchant, livemode, key, about, asked, at_ms, sealed)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        self.file.prepare_cached(sql)?.execute(params![
            merchant(owner),
            owner.livemode,
            once.key.0,
            blob(kept.endpoint.id),
            asked,
            now.unix_ms().cast_signed(),
            sealed
        ])?;
        Ok(EndpointChanged {
            kept,
            was_before: false,
        })
    }

    /// Erases answers that have outlived their time, as many as one transaction may. Whether there are more.
    fn sweep(&self, now: Timestamp) -> rusqlite::Result<bool> {
        let sql = "DELETE FROM answer WHERE (merchant, livemode, key) IN
                   (SELECT merchant, livemode, key FROM answer WHERE at_ms <= ?1 ORDER BY at_ms LIMIT ?2)";
        let swept = store_file::sweep(&self.file, &[(sql, oldest(now))])?;
        Ok(swept.is_unfinished)
    }

    /// Nothing of the batch was made, or nobody knows. An fsync that failed once may succeed on the second call without the data: after
    /// anything but a full disk nothing is tried again.
    fn fail(&mut self, error: &rusqlite::Error, answers: Vec<Answer>) {
        let is_open = !self.file.is_autocommit();
        let rolled_back = !is_open || self.file.execute_batch("ROLLBACK").is_ok();
        let has_no_room = matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DiskFull | ErrorCode::ReadOnly)
        );
        if !(rolled_back && has_no_room) {
            tracing::error!(%error, "the store of webhook endpoints has halted; the next start opens it again");
            metrics::counter!("florin_alerts_total", "alert" => "webhook_store_halted").increment(1);
            self.mirror.give_up(&error);
            self.halted = Some(error.to_string());
        }
        // Refusals as well: they may be for what the same batch did before them, and that was not done.
        let failed = || EndpointError::Store(error.to_string());
        for answer in answers {
            match answer {
                Answer::Change(reply, _) => Answer::Change(reply, Box::new(Err(failed()))),
                Answer::Note(reply, _) => Answer::Note(reply, Err(failed())),
            }
            .say();
        }
    }
}

/// From when on answers are remembered. Before the first day has passed, always.
fn oldest(now: Timestamp) -> i64 {
    let oldest = now.unix_ms().checked_sub(IDEMPOTENCY_RETENTION.0);
    oldest.map_or(-1, u64::cast_signed)
}
