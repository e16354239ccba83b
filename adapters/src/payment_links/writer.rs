//! Owns the only connection that writes: one thread, many changes in one transaction, answered when it is on the disk. Look-ups have a thread and a
//! connection of their own, so that neither waits for the other; in memory, where there is one connection, they come here too.

use super::file::{self, Trouble};
use crate::mirror::Mirror;
use crate::store_file::next_letter;
use florin_domain::ids::{PaymentLinkId, ShardId, compose};
use florin_domain::limits::IDEMPOTENCY_RETENTION;
use florin_domain::payment_link::{LinkChange, LinkRefusal, PaymentLink};
use florin_domain::ports::{ChangedLink, Clock, Entropy, LinkClaim, LinkOnce, LinkPage, LinksError};
use florin_domain::time::Timestamp;
use florin_domain::vault::Owner;
use rusqlite::{Connection, ErrorCode};
use std::ops::ControlFlow;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Letters that are looked at before what is to be changed is.
const BATCH_MAX: usize = 256;

/// To whom an answer goes.
pub(super) type ReplyTo<T> = oneshot::Sender<Result<T, LinksError>>;

/// What comes to the thread.
#[derive(Debug)]
pub(super) enum Letter {
    Change(Order, ReplyTo<ChangedLink>),
    LookUp(LookUp),
}

/// What is to be looked up.
#[derive(Debug)]
pub(super) enum LookUp {
    Find(PaymentLinkId, ReplyTo<Option<PaymentLink>>),
    List(Owner, LinkPage, ReplyTo<(Vec<PaymentLink>, bool)>),
}

impl LookUp {
    fn answer(self, file: &Connection) {
        // Whoever asked may have given up.
        match self {
            Self::Find(id, reply) => drop(reply.send(file::find(file, id).map_err(|why| failed(&why)))),
            Self::List(owner, page, reply) => {
                drop(reply.send(file::page(file, owner, page).map_err(|why| failed(&why))));
            }
        }
    }

    /// Answers until there are no more senders.
    pub(super) fn answer_all(file: &Connection, mut inbox: mpsc::Receiver<Self>) {
        while let Some(asked) = inbox.blocking_recv() {
            asked.answer(file);
        }
    }
}

/// What is to be changed.
#[derive(Debug)]
pub(super) enum Order {
    Merchant(Owner, LinkChange, Option<LinkOnce>),
    Claim(LinkClaim),
}

/// Why one change was not made.
enum Failure {
    Refused(LinkRefusal),
    Trouble(Trouble),
}

impl From<LinkRefusal> for Failure {
    fn from(refusal: LinkRefusal) -> Self {
        Self::Refused(refusal)
    }
}

impl<T: Into<Trouble>> From<T> for Failure {
    fn from(trouble: T) -> Self {
        Self::Trouble(trouble.into())
    }
}

/// The thread.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) file: Connection,
    pub(super) mirror: Mirror,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    /// Nobody knows what is durable: nothing is changed any more.
    pub(super) halted: Option<String>,
    /// There is more to forget than one transaction may.
    pub(super) is_sweeping: bool,
}

impl Writer {
    /// Works until there are no more senders.
    pub(super) fn run(mut self, mut inbox: mpsc::Receiver<Letter>) {
        while let ControlFlow::Continue(first) = next_letter(&mut inbox, self.is_sweeping) {
            let mut orders = Vec::new();
            let (mut next, mut seen) = (first, 0);
            while let Some(letter) = next {
                match letter {
                    Letter::Change(order, reply) => orders.push((order, reply)),
                    // Before the changes of this batch, of which nobody has been told yet.
                    Letter::LookUp(asked) => asked.answer(&self.file),
                }
                seen += 1;
                // However much is asked, those who change something wait no longer than for so many.
                next = if seen < BATCH_MAX {
                    inbox.try_recv().ok()
                } else {
                    None
                };
            }
            if !orders.is_empty() || self.is_sweeping {
                self.carry_out(orders);
            }
        }
    }

    fn carry_out(&mut self, orders: Vec<(Order, ReplyTo<ChangedLink>)>) {
        // Until a transaction has ended well: what fails is tried again with the next change, and not without end.
        self.is_sweeping = false;
        if let Some(why) = &self.halted {
            for (_, reply) in orders {
                drop(reply.send(Err(LinksError::Store(why.clone()))));
            }
            return;
        }
        let now = self.clock.now();
        let begun = self.file.execute_batch("BEGIN IMMEDIATE");
        if let Err(error) = &begun
            && error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
        {
            // Somebody else, such as a copy that is made of the file, holds it longer than we wait: nothing was begun.
            for (_, reply) in orders {
                drop(reply.send(Err(LinksError::Busy)));
            }
            return;
        }
        let swept = begun.and_then(|()| file::sweep(&self.file, oldest(now)));
        let is_unfinished = swept.as_ref().is_ok_and(|swept| swept.is_unfinished);
        let mut trouble = swept.err().map(Trouble::from);
        let mut answers = Vec::with_capacity(orders.len());
        for (order, reply) in orders {
            let answer = match &trouble {
                Some(why) => Err(failed(why)),
                None => match self.one(order, now) {
                    Ok(changed) => Ok(changed),
                    Err(Failure::Refused(refusal)) => Err(LinksError::Refused(refusal)),
                    Err(Failure::Trouble(why)) => {
                        let answer = failed(&why);
                        trouble = Some(why);
                        Err(answer)
                    }
                },
            };
            answers.push((reply, answer));
        }
        let ended = match trouble {
            None => self
                .mirror
                .commit(&self.file)
                .map_err(|error| (error.to_string(), error.sqlite_error_code())),
            Some(why) => Err((why.to_string(), why.code())),
        };
        match ended {
            // Whoever asked may have given up; the change stands all the same.
            Ok(()) => {
                self.is_sweeping = is_unfinished;
                for (reply, answer) in answers {
                    drop(reply.send(answer));
                }
            }
            Err((why, code)) => {
                self.fail(&why, code);
                // Refusals as well: they may be for what the same batch did before them, and that was not done.
                for (reply, _) in answers {
                    drop(reply.send(Err(LinksError::Store(why.clone()))));
                }
            }
        }
    }

    /// Nothing of the batch was made, or nobody knows. After anything but a full disk, or a row that cannot be read, nothing is tried again.
    fn fail(&mut self, why: &str, code: Option<ErrorCode>) {
        let is_open = !self.file.is_autocommit();
        let rolled_back = !is_open || self.file.execute_batch("ROLLBACK").is_ok();
        let may_go_on = matches!(code, None | Some(ErrorCode::DiskFull | ErrorCode::ReadOnly));
        if !(rolled_back && may_go_on) {
            tracing::error!(
                why,
                "the store of payment links has halted; the next start opens it again"
            );
            self.mirror.give_up(&why);
            self.halted = Some(why.to_owned());
        }
    }

    /// One change. What is refused has written nothing: each looks before it writes.
    fn one(&self, order: Order, now: Timestamp) -> Result<ChangedLink, Failure> {
        let (owner, change, once) = match order {
            Order::Claim(claim) => return self.claim(claim),
            Order::Merchant(owner, change, once) => (owner, change, once),
        };
        if let Some(once) = once
            && let Some((asked, link)) = file::answered(&self.file, once, (owner, oldest(now)))?
        {
            if asked != once.asked.0 {
                return Err(LinkRefusal::KeyMismatch.into());
            }
            return Ok(ChangedLink {
                link,
                was_before: true,
            });
        }
        let link = match change {
            LinkChange::Create(terms) => {
                let bits = compose(now, ShardId::FIRST, self.entropy.next_u64());
                PaymentLink {
                    id: PaymentLinkId::from_bits(bits),
                    owner,
                    created_at: now,
                    is_active: true,
                    terms: *terms,
                    payment: None,
                    claims: 0,
                }
            }
            LinkChange::Update {
                id,
                is_active,
                description,
                metadata,
            } => {
                let known = file::find(&self.file, id)?.filter(|link| link.owner == owner);
                let mut link = known.ok_or(LinkRefusal::NoSuchLink)?;
                link.update(is_active, description, metadata)?;
                link
            }
        };
        file::put(&self.file, &link)?;
        if let Some(once) = once {
            file::answer(&self.file, once, (&link, now.unix_ms().cast_signed()))?;
        }
        Ok(ChangedLink {
            link,
            was_before: false,
        })
    }

    fn claim(&self, claim: LinkClaim) -> Result<ChangedLink, Failure> {
        let mut link = file::find(&self.file, claim.link)?.ok_or(LinkRefusal::NoSuchLink)?;
        let claims = link.claim(claim.instead_of, claim.payment);
        if claims {
            file::put(&self.file, &link)?;
        }
        Ok(ChangedLink {
            link,
            was_before: !claims,
        })
    }
}

fn failed(trouble: &Trouble) -> LinksError {
    LinksError::Store(trouble.to_string())
}

/// From when on answers are remembered.
fn oldest(now: Timestamp) -> i64 {
    now.unix_ms()
        .saturating_sub(IDEMPOTENCY_RETENTION.0)
        .cast_signed()
}

#[cfg(test)]
mod tests;
