//! Reading a payment back from the journal: the truth, found through the tail and the views, folded from its own commits.

use crate::account_shard::ShardMail;
use crate::context::Context;
use crate::mailbox::Class;
use crate::projection::ProjectionMail;
use florin_domain::commit::{Body, Commit};
use florin_domain::idempotency::KeyDigest;
use florin_domain::ids::{PaymentId, Seq};
use florin_domain::payment::{Payment, advance_shared};
use florin_domain::ports::{PaymentRow, ReadError, ViewError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// A payment as its commits say.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Its state.
    pub payment: Arc<Payment>,
    /// Its last commit.
    pub seq: Seq,
    /// Its states at the first final answers to its keys.
    pub answers: Answers,
    /// Its commits, oldest first.
    pub commits: Vec<Arc<Commit>>,
}

/// The states that first final answers showed: what replays show.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// Of the key that made the payment.
    pub creation: Option<Arc<Payment>>,
    requests: Vec<(KeyDigest, Arc<Payment>)>,
}

impl Answers {
    /// Looks at the state after a commit.
    pub fn note(&mut self, payment: &Arc<Payment>) {
        if self.creation.is_none() && payment.answer().is_final() {
            self.creation = Some(Arc::clone(payment));
        }
        for request in &payment.requests {
            let key = request.key_digest;
            if self.of(key).is_none() && payment.request_answer(request).is_final() {
                self.requests.push((key, Arc::clone(payment)));
            }
        }
    }

    /// The state that answers the request under a key for good.
    pub fn of(&self, key: KeyDigest) -> Option<&Arc<Payment>> {
        let found = self.requests.iter().find(|(answered, _)| *answered == key);
        found.map(|(_, payment)| payment)
    }
}

fn store(why: &str) -> ReadError {
    ReadError::Store(why.to_owned())
}

/// Waits until everything that was put in order before this call is durable and visible.
pub async fn barrier(context: &Context) -> Result<Seq, ReadError> {
    let (reply, waits) = oneshot::channel();
    let sent = context
        .account_shard
        .send(Class::Internal, ShardMail::Barrier(reply));
    sent.map_err(|_| store("the account shard is gone"))?;
    waits.await.map_err(|_| store("the account shard is gone"))
}

/// The latest durable row of a payment, from the tail or the view.
pub async fn locate(context: &Context, id: PaymentId) -> Result<Option<PaymentRow>, ViewError> {
    match in_tail(context, id).await? {
        Some(row) => Ok(Some(row)),
        None => context.ports.views.payment(id).await,
    }
}

/// The same for whoever only shows it: what the tail does not have may come from a copy of the view's.
pub async fn locate_shown(context: &Context, id: PaymentId) -> Result<Option<PaymentRow>, ViewError> {
    match in_tail(context, id).await? {
        Some(row) => Ok(Some(row)),
        None => context.ports.shown.payment_shown(id).await,
    }
}

async fn in_tail(context: &Context, id: PaymentId) -> Result<Option<PaymentRow>, ViewError> {
    let (reply, waits) = oneshot::channel();
    let gone = |_| ViewError::Store("the projection is gone".to_owned());
    let sent = context
        .projection
        .send(Class::Internal, ProjectionMail::Locate { id, reply });
    sent.map_err(|_| ViewError::Store("the projection is gone".to_owned()))?;
    waits.await.map_err(gone)
}

/// Loads a payment that may have been committed a moment ago. `None` is proof that nothing of it is stored.
pub async fn load(context: &Context, id: PaymentId) -> Result<Option<Loaded>, ReadError> {
    barrier(context).await?;
    let row = locate(context, id)
        .await
        .map_err(|error| store(&error.to_string()))?;
    match row {
        None => Ok(None),
        Some(row) => stream(context, id, row.seq).await.map(Some),
    }
}

/// What cannot be read now is read again after this wait; it doubles each time.
const WAIT: Duration = Duration::from_millis(20);
const WAIT_MAX: Duration = Duration::from_secs(1);
/// Longer than a projection that failed takes to come back.
const PATIENCE: Duration = Duration::from_secs(10);

/// The same for a payment that cannot do without: while store, tail or views are away for a moment it is read again, unless nobody
/// asks any more. Damage is not waited for.
pub(crate) async fn load_patiently(
    context: &Context,
    id: PaymentId,
    still_asks: impl Fn() -> bool,
) -> Result<Option<Loaded>, ReadError> {
    let (began, mut wait) = (Instant::now(), WAIT);
    loop {
        match load(context, id).await {
            Err(ReadError::Store(why)) if began.elapsed() < PATIENCE && still_asks() => {
                tracing::debug!(payment = %id, why, "a payment cannot be read now and is read again");
                tokio::time::sleep(wait).await;
                wait = wait.saturating_mul(2).min(WAIT_MAX);
            }
            loaded => return loaded,
        }
    }
}

/// Folds the commits of a payment, walking back from its last one.
pub async fn stream(context: &Context, id: PaymentId, head: Seq) -> Result<Loaded, ReadError> {
    fold(head, walk(context, id, head).await?)
}

/// The same up to and including `until`; `None` if the payment began later.
pub async fn stream_until(
    context: &Context,
    id: PaymentId,
    head: Seq,
    until: Seq,
) -> Result<Option<Loaded>, ReadError> {
    let mut commits = walk(context, id, head).await?;
    commits.retain(|commit| commit.seq <= until);
    match commits.last().map(|last| last.seq) {
        None => Ok(None),
        Some(seq) => fold(seq, commits).map(Some),
    }
}

/// The commits of a payment, oldest first.
pub(crate) async fn walk(context: &Context, id: PaymentId, head: Seq) -> Result<Vec<Arc<Commit>>, ReadError> {
    let mut commits = Vec::new();
    let mut next = head;
    while next != Seq::ZERO {
        let read = context.ports.journal.read(context.shard, next, 1).await?;
        let commit = read.into_iter().next().ok_or_else(|| ReadError::Damaged {
            seq: next,
            why: "a commit that another one refers to is missing".to_owned(),
        })?;
        let prev = match &commit.body {
            Body::Payment(body) if body.payment == id && body.prev < commit.seq => body.prev,
            Body::Payment(_) | Body::Control(_) | Body::Ledger(_) => {
                let why = format!("expected a commit of {id}");
                return Err(ReadError::Damaged { seq: commit.seq, why });
            }
        };
        commits.push(commit);
        next = prev;
    }
    commits.reverse();
    Ok(commits)
}

fn fold(seq: Seq, commits: Vec<Arc<Commit>>) -> Result<Loaded, ReadError> {
    let mut payment: Option<Arc<Payment>> = None;
    let mut answers = Answers::default();
    for commit in &commits {
        let Body::Payment(body) = &commit.body else {
            continue;
        };
        // Copied only where an answer shows it.
        let followed = advance_shared(&mut payment, &body.events, commit.at);
        followed.map_err(|error| ReadError::Damaged {
            seq: commit.seq,
            why: error.to_string(),
        })?;
        if let Some(payment) = &payment {
            answers.note(payment);
        }
    }
    let payment = payment.ok_or_else(|| ReadError::Damaged {
        seq,
        why: "a payment without events".to_owned(),
    })?;
    Ok(Loaded {
        payment,
        seq,
        answers,
        commits,
    })
}
