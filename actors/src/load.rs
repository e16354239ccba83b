//! Reading a payment back from the journal: the truth, found through the tail and the views, folded from its own commits.

use crate::account_shard::ShardMail;
use crate::context::Context;
use crate::mailbox::Class;
use crate::projection::ProjectionMail;
use crate::source::{Source, ToDecide, ToShow};
use florin_domain::commit::{Body, Commit};
use florin_domain::idempotency::KeyDigest;
use florin_domain::ids::{PaymentId, Seq};
use florin_domain::payment::{Payment, follow_shared};
use florin_domain::ports::{PastCommit, PaymentRow, ReadError, ViewError};
use std::ops::Deref;
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

/// A payment as it is, or once was, to be shown.
#[derive(Clone, Debug)]
pub struct PastPayment {
    /// Its state.
    pub payment: Arc<Payment>,
    /// The commit that made it so.
    pub seq: Seq,
    /// Its commits up to there, oldest first.
    pub commits: Vec<PastCommit>,
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
pub(crate) async fn stream(context: &Context, id: PaymentId, head: Seq) -> Result<Loaded, ReadError> {
    let commits = walk(ToDecide(context), id, head).await?;
    let mut answers = Answers::default();
    let payment = fold(head, &commits, |payment| answers.note(payment))?;
    Ok(Loaded {
        payment,
        seq: head,
        answers,
        commits,
    })
}

/// A payment after `until`, or after its last commit before that, which is at or before `head`; `None` if it began later. Only to be shown.
pub(crate) async fn past(
    context: &Context,
    id: PaymentId,
    (head, until): (Seq, Seq),
) -> Result<Option<PastPayment>, ReadError> {
    let mut commits = walk(ToShow(context), id, head).await?;
    commits.retain(|commit| commit.seq <= until);
    let Some(seq) = commits.last().map(|last| last.seq) else {
        return Ok(None);
    };
    Ok(Some(PastPayment {
        payment: fold(seq, &commits, |_| {})?,
        seq,
        commits,
    }))
}

/// The commits of a payment, oldest first.
pub(crate) async fn walk<S: Source>(
    source: S,
    id: PaymentId,
    head: Seq,
) -> Result<Vec<S::Commit>, ReadError> {
    let mut commits = Vec::new();
    let mut next = head;
    while next != Seq::ZERO {
        let commit = source.commit(next).await?.ok_or_else(|| ReadError::Damaged {
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

/// The payment after its commits, the last of which is `seq`; `note` sees each state on the way.
fn fold(
    seq: Seq,
    commits: &[impl Deref<Target = Commit>],
    mut note: impl FnMut(&Arc<Payment>),
) -> Result<Arc<Payment>, ReadError> {
    let mut payment: Option<Arc<Payment>> = None;
    for commit in commits {
        let Body::Payment(body) = &commit.body else {
            continue;
        };
        // Copied only where an answer shows it.
        let followed = follow_shared(&mut payment, &body.events, commit.at);
        followed.map_err(|error| ReadError::Damaged {
            seq: commit.seq,
            why: error.to_string(),
        })?;
        if let Some(payment) = &payment {
            note(payment);
        }
    }
    payment.ok_or_else(|| ReadError::Damaged {
        seq,
        why: "a payment without events".to_owned(),
    })
}
