//! What an account once held. Each line says the balance after it, so the last line up to a moment is all that has to be found:
//! from the account's end along its own lines, and at the same time from the moment on backwards through the journal. Busy
//! accounts are found by the one, quiet ones by the other.

use super::entries::lines_on;
use super::{LedgerError, LedgerHandle, not_posted};
use crate::journal_range::read_range;
use crate::source::ToShow;
use florin_domain::commit::Commit;
use florin_domain::ids::Seq;
use florin_domain::ledger::{AccountKey, Line};
use florin_domain::money::Balance;
use florin_domain::ports::PastCommit;
use florin_domain::time::Timestamp;

/// A moment of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// After a commit.
    Commit(Seq),
    /// After all that was recorded up to a time.
    Time(Timestamp),
}

/// What an account held at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PastBalance {
    /// So much, after this commit and until the next one.
    Stood(Balance, Seq),
    /// The moment has not come yet.
    Beyond,
    /// More would have to be read for it than one question may ask for.
    TooFar,
}

/// Steps of one search: each reads one commit along the lines and some from the moment on.
const STEPS_MAX: usize = 4_096;
/// Commits that a step reads from the moment on.
const SCANNED: u64 = 16;

fn last_line(commit: &Commit, key: AccountKey) -> Option<Line> {
    lines_on(commit, key).pop().map(|(line, _)| line)
}

impl LedgerHandle {
    /// What an account held at a moment.
    pub async fn balance_at(&self, key: AccountKey, at: Moment) -> Result<PastBalance, LedgerError> {
        self.part_of(key)?.balance_here(key, at).await
    }

    async fn balance_here(&self, key: AccountKey, at: Moment) -> Result<PastBalance, LedgerError> {
        let (state, head) = self.account_here(key).await?;
        let at = match at {
            Moment::Commit(seq) if seq > head => return Ok(PastBalance::Beyond),
            Moment::Commit(seq) => seq,
            Moment::Time(time) if time > self.now() => return Ok(PastBalance::Beyond),
            Moment::Time(time) => self.last_until(time, head).await?,
        };
        let stood = |balance| Ok(PastBalance::Stood(balance, at));
        if state.last_posted <= at {
            return stood(state.posted);
        }
        let (mut later, mut unread) = (state.last_posted, at);
        for _ in 0..STEPS_MAX {
            let earlier = self.posted_before(later, key).await?;
            if earlier == Seq::ZERO {
                return stood(Balance::ZERO);
            }
            if earlier <= at {
                let line = last_line(&*self.past_commit(earlier).await?, key);
                let line = line.ok_or_else(|| not_posted(earlier))?;
                return stood(line.balance_after);
            }
            later = earlier;
            let first = Seq(unread.0.saturating_sub(SCANNED));
            if let Some(line) = self.last_line_between(first, unread, key).await? {
                return stood(line.balance_after);
            }
            unread = first;
            if unread == Seq::ZERO {
                return stood(Balance::ZERO);
            }
        }
        Ok(PastBalance::TooFar)
    }

    /// The commit that posted to the account before this one did.
    async fn posted_before(&self, seq: Seq, key: AccountKey) -> Result<Seq, LedgerError> {
        let line = last_line(&*self.past_commit(seq).await?, key);
        Ok(line.ok_or_else(|| not_posted(seq))?.account_prev)
    }

    /// The last line on the account in the commits behind `after`, up to and including `last`.
    async fn last_line_between(
        &self,
        after: Seq,
        last: Seq,
        key: AccountKey,
    ) -> Result<Option<Line>, LedgerError> {
        let mut found = None;
        let look = |commit: PastCommit| found = last_line(&commit, key).or(found);
        let read = read_range(ToShow(&self.context), (after, last), look);
        read.await.map_err(LedgerError::Read)?;
        Ok(found)
    }

    /// The last commit that was recorded up to a time.
    pub(super) async fn last_until(&self, time: Timestamp, head: Seq) -> Result<Seq, LedgerError> {
        // Everything up to `until` is, and `from` and what follows is not; commits are recorded in the order of their times.
        let (mut until, mut from) = (Seq::ZERO, head.next());
        while until.next() < from {
            let middle = Seq(u64::midpoint(until.0, from.0));
            if self.past_commit(middle).await?.at <= time {
                until = middle;
            } else {
                from = middle;
            }
        }
        Ok(until)
    }
}
