//! The ledger of a shard as a whole, commit by commit from the oldest one on: what an export is made of.

use super::{LedgerError, LedgerHandle, posted_in};
use crate::account_shard::{Question, ShardMail};
use crate::source::{Source as _, ToShow};
use florin_domain::commit::{Body, Commit};
use florin_domain::ids::{LedgerAccountId, PaymentId, Seq};
use florin_domain::ledger::{Line, PostedTransfer};
use florin_domain::ports::PastCommit;
use florin_domain::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A line with what it is part of.
#[derive(Clone, Copy, Debug)]
pub struct PostedLine<'a> {
    /// The line.
    pub line: Line,
    /// The payment that the commit is of, if it is of one.
    pub payment: Option<PaymentId>,
    /// The transfer that it is part of, if it is part of one.
    pub transfer: Option<&'a PostedTransfer>,
}

/// All lines that a commit posted, in order.
pub fn posted_lines(commit: &Commit) -> impl Iterator<Item = PostedLine<'_>> {
    let (payment, entry) = match &commit.body {
        Body::Payment(body) => (Some(body.payment), body.entry.as_ref()),
        Body::Ledger(_) | Body::Control(_) => (None, None),
    };
    let of_payment = entry.map_or(&[][..], |entry| entry.lines()).iter();
    let of_payment = of_payment.map(move |line| PostedLine {
        line: *line,
        payment,
        transfer: None,
    });
    let of_transfers = posted_in(commit).flat_map(|transfer| {
        transfer.lines().into_iter().map(move |line| PostedLine {
            line,
            payment: None,
            transfer: Some(transfer),
        })
    });
    of_payment.chain(of_transfers)
}

impl LedgerHandle {
    /// The last durable commit.
    pub async fn durable_head(&self) -> Result<Seq, LedgerError> {
        let head = self.context.ports.journal.head(self.context.shard).await;
        Ok(head.map_err(LedgerError::Read)?.seq)
    }

    /// Some of the commits behind `after` up to and including `until`, in order, at most so many and at least one if there is one.
    pub async fn commits(
        &self,
        after: Seq,
        until: Seq,
        limit: usize,
    ) -> Result<Vec<PastCommit>, LedgerError> {
        let read = ToShow(&self.context).page((after, until), limit);
        read.await.map_err(LedgerError::Read)
    }

    /// The last commit up to `head` that was recorded up to a time, or zero.
    pub async fn last_commit_until(&self, time: Timestamp, head: Seq) -> Result<Seq, LedgerError> {
        self.last_until(time, head).await
    }

    /// What opened accounts are called.
    pub async fn account_names(
        &self,
        ids: Vec<LedgerAccountId>,
    ) -> Result<BTreeMap<LedgerAccountId, Arc<str>>, LedgerError> {
        self.ask(|reply| ShardMail::Question(Question::Names { ids, reply }))
            .await
    }
}
