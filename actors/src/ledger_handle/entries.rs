//! The lines of an account, newest first: from its last commit, or from the one that a page ended in, back along its own lines.

use super::{LedgerError, LedgerHandle, not_posted, posted_in};
use florin_domain::commit::{Body, Commit};
use florin_domain::ids::{PaymentId, Seq};
use florin_domain::ledger::{AccountKey, EffectiveDate, Line, Notes, PostedTransfer, TransferId};
use florin_domain::payment::Event;
use florin_domain::ports::PastCommit;
use florin_domain::time::Timestamp;

/// One line of an account, with what is shown of the commit that posted it. The commit itself may be thousands of times as large.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountEntry {
    /// The commit.
    pub seq: Seq,
    /// When it was decided.
    pub at: Timestamp,
    /// The line.
    pub line: Line,
    /// Its place among the account's lines of that commit.
    pub place: usize,
    /// The payment that the commit is of, if it is of one.
    pub payment: Option<PaymentId>,
    /// What happened in the commit.
    pub events: Vec<&'static str>,
    /// The transfer that the line is part of, if it is part of one.
    pub transfer: Option<TransferId>,
    /// The day on which it counts.
    pub effective: EffectiveDate,
    /// What the transfer says besides its money.
    pub notes: Option<Box<Notes>>,
}

/// A line with the record of the transfer that it is part of.
type LineOf<'a> = (Line, Option<&'a PostedTransfer>);

impl AccountEntry {
    fn of(commit: &Commit, place: usize, (line, transfer): LineOf<'_>) -> Self {
        let (payment, events) = match &commit.body {
            Body::Payment(body) => (Some(body.payment), body.events.iter().map(Event::name).collect()),
            Body::Ledger(ledger) => (None, vec![ledger.event.name()]),
            Body::Control(_) => (None, Vec::new()),
        };
        Self {
            seq: commit.seq,
            at: commit.at,
            line,
            place,
            payment,
            events,
            transfer: transfer.map(|transfer| transfer.id),
            effective: transfer.map_or_else(|| EffectiveDate::of(commit.at), |transfer| transfer.effective),
            notes: transfer.and_then(|transfer| transfer.notes.clone()),
        }
    }
}

/// The lines that a commit posted to an account, in order.
pub(super) fn lines_on(commit: &Commit, key: AccountKey) -> Vec<LineOf<'_>> {
    let is_on = |line: &Line| line.posting.account == key;
    match &commit.body {
        Body::Payment(body) => {
            let lines = body.entry.as_ref().map_or(&[][..], |entry| entry.lines());
            let lines = lines.iter().copied().filter(is_on);
            lines.map(|line| (line, None)).collect()
        }
        Body::Ledger(_) => {
            let lines = posted_in(commit).flat_map(|transfer| {
                let lines = transfer.lines().into_iter().filter(is_on);
                lines.map(move |line| (line, Some(transfer)))
            });
            lines.collect()
        }
        Body::Control(_) => Vec::new(),
    }
}

impl LedgerHandle {
    /// The newest `limit` lines of an account before a commit and a place in it, newest first, and whether more follow.
    pub async fn entries(
        &self,
        key: AccountKey,
        before: Option<(Seq, usize)>,
        limit: usize,
    ) -> Result<(Vec<AccountEntry>, bool), LedgerError> {
        self.part_of(key)?.entries_here(key, before, limit).await
    }

    async fn entries_here(
        &self,
        key: AccountKey,
        before: Option<(Seq, usize)>,
        limit: usize,
    ) -> Result<(Vec<AccountEntry>, bool), LedgerError> {
        let last_posted = self.account_here(key).await?.0.last_posted;
        let mut at_hand = self.where_a_page_ended(key, before, last_posted).await?;
        let mut next = at_hand.as_ref().map_or(last_posted, |commit| commit.seq);
        let mut entries = Vec::new();
        while next != Seq::ZERO && entries.len() < limit {
            let commit = match at_hand.take() {
                Some(commit) => commit,
                None => self.past_commit(next).await?,
            };
            let lines = lines_on(&commit, key);
            let prev = lines.first().ok_or_else(|| not_posted(next))?.0.account_prev;
            for (place, line) in lines.into_iter().enumerate().rev() {
                if before.is_some_and(|before| (commit.seq, place) >= before) {
                    continue;
                }
                if entries.len() == limit {
                    return Ok((entries, true));
                }
                entries.push(AccountEntry::of(&commit, place, line));
            }
            next = prev;
        }
        Ok((entries, next != Seq::ZERO))
    }

    /// The commit that a cursor names, if it posts to the account: then nothing newer has to be walked through to come to it.
    async fn where_a_page_ended(
        &self,
        key: AccountKey,
        before: Option<(Seq, usize)>,
        last_posted: Seq,
    ) -> Result<Option<PastCommit>, LedgerError> {
        let named = before.map(|(seq, _)| seq);
        let Some(seq) = named.filter(|seq| *seq != Seq::ZERO && *seq <= last_posted) else {
            return Ok(None);
        };
        let commit = self.past_commit(seq).await?;
        let posts = !lines_on(&commit, key).is_empty();
        Ok(posts.then_some(commit))
    }
}
