//! Owns the commits of the last minutes: each is looked at once, its entries and its payment, and what was wrong with it is kept
//! for as long as it is recent.

use super::pace::{Budget, PAGE, pause};
use super::round::{Failure, Work};
use super::rows::Sample;
use crate::context::Context;
use crate::load::walk;
use crate::source::{Source as _, ToShow};
use florin_domain::commit::{Body, Commit, PaymentCommit};
use florin_domain::consistency::{Difference, Findings, PaymentTrace, check_entries};
use florin_domain::ids::{PaymentId, Seq};
use florin_domain::ports::{PastCommit, ReadError};
use florin_domain::time::{Millis, Timestamp};
use std::collections::{BTreeMap, VecDeque};
use tokio::time::Instant;

/// How many payments with differences are remembered; the others are counted.
const WRONG_MAX: usize = 4_096;

/// One page of commits that was looked at.
#[derive(Debug)]
struct Seen {
    last_at: Timestamp,
    commits: u64,
    entries: u64,
    payments: u64,
    ledger: Findings,
    /// Payments with differences that were not remembered.
    beyond: u64,
}

/// What was looked at.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// The last commit that was looked at, and when it was made.
    read: Option<(Seq, Timestamp)>,
    seen: VecDeque<Seen>,
    wrong: BTreeMap<PaymentId, (Timestamp, Vec<Difference>)>,
}

/// Commits, with those before them of the payments that they are about.
struct Page {
    commits: Vec<PastCommit>,
    earlier: BTreeMap<PaymentId, Vec<PastCommit>>,
}

impl Recent {
    /// The last commit that was looked at.
    pub(super) fn through(&self) -> Seq {
        self.read.map(|(seq, _)| seq).unwrap_or_default()
    }

    fn sum(&self, of: impl Fn(&Seen) -> u64) -> u64 {
        self.seen.iter().map(of).fold(0, u64::saturating_add)
    }

    pub(super) fn commits(&self) -> u64 {
        self.sum(|seen| seen.commits)
    }

    pub(super) fn entries(&self) -> u64 {
        self.sum(|seen| seen.entries)
    }

    /// Payments looked at; one whose commits lie in several pages counts in each.
    pub(super) fn payments(&self) -> u64 {
        self.sum(|seen| seen.payments)
    }

    pub(super) fn ledger(&self) -> Findings {
        let mut findings = Findings::default();
        self.seen.iter().for_each(|seen| findings.merge(&seen.ledger));
        findings
    }

    pub(super) fn of_payments(&self) -> Findings {
        let mut findings = Findings::default();
        for (_, differences) in self.wrong.values() {
            findings.extend(differences.iter().cloned());
        }
        findings.issues = findings.issues.saturating_add(self.sum(|seen| seen.beyond));
        findings
    }

    /// Forgets what is not recent any more.
    fn forget(&mut self, from: Timestamp) {
        self.seen.retain(|seen| seen.last_at >= from);
        self.wrong.retain(|_, (at, _)| *at >= from);
    }
}

/// Looks at the recent commits that were not looked at yet.
pub(super) async fn look(
    context: &Context,
    work: &mut Box<Work>,
    (head, round_began): (Seq, Instant),
    sample: &mut Sample,
) -> Result<(), Failure> {
    let window = u64::try_from(context.options.monitor_window.as_millis()).unwrap_or(u64::MAX);
    let now = context.ports.clock.now();
    let from = Timestamp::from_unix_ms(now.unix_ms().saturating_sub(Millis(window).0));
    work.recent.forget(from);
    // Whoever fell behind by more than the window goes on where it begins.
    if work.recent.read.is_none_or(|(seq, at)| at < from && seq < head) {
        let before = last_before(context, from, (work.recent.through(), head)).await?;
        let passed_over = before.0 - work.recent.through().0;
        tracing::debug!(
            passed_over,
            "commits that are not recent any more are not looked at"
        );
        work.recent.read = Some((before, from));
    }
    let budget = Budget::of_recent(round_began, work.folds_along());
    while work.recent.through() < head && !budget.is_over() {
        let (next, left) = (work.recent.through().next(), head.0 - work.recent.through().0);
        let commits = read_page(context, next, left).await?;
        let earlier = earlier(context, &commits).await?;
        let count = commits.len() + earlier.values().map(Vec::len).sum::<usize>();
        let page = Page { commits, earlier };
        let (mut taken, mut drawn) = (std::mem::take(work), std::mem::take(sample));
        let (entries, taken, drawn) = context
            .aside(move || {
                let entries = take(&page, &mut taken, &mut drawn);
                (entries, taken, drawn)
            })
            .await;
        (*work, *sample) = (taken, drawn);
        pause(count, entries).await;
    }
    Ok(())
}

/// At least one and at most `left` commits.
pub(super) async fn read_page(context: &Context, next: Seq, left: u64) -> Result<Vec<PastCommit>, ReadError> {
    let after = Seq(next.0.saturating_sub(1));
    let until = Seq(after.0.saturating_add(left.min(PAGE)));
    let commits = ToShow(context).page((after, until), usize::MAX).await?;
    if commits.is_empty() {
        let why = "the journal ends here, and it was longer".to_owned();
        return Err(ReadError::Damaged { seq: next, why });
    }
    Ok(commits)
}

/// The last commit that was made before `from`; commits are recorded nearly in the order of their times.
async fn last_before(
    context: &Context,
    from: Timestamp,
    (after, head): (Seq, Seq),
) -> Result<Seq, ReadError> {
    let (mut before, mut since) = (after, head.next());
    while before.next() < since {
        let middle = Seq(u64::midpoint(before.0, since.0));
        let read = read_page(context, middle, 1).await?;
        if read.first().is_some_and(|commit| commit.at < from) {
            before = middle;
        } else {
            since = middle;
        }
    }
    Ok(before)
}

/// What payments did before these commits.
async fn earlier(
    context: &Context,
    commits: &[PastCommit],
) -> Result<BTreeMap<PaymentId, Vec<PastCommit>>, ReadError> {
    let mut befores = BTreeMap::new();
    for body in commits.iter().filter_map(|commit| of_payment(commit)) {
        befores.entry(body.payment).or_insert(body.prev);
    }
    let mut earlier = BTreeMap::new();
    for (payment, before) in befores {
        earlier.insert(payment, walk(ToShow(context), payment, before).await?);
    }
    Ok(earlier)
}

fn of_payment(commit: &Commit) -> Option<&PaymentCommit> {
    match &commit.body {
        Body::Payment(body) => Some(body),
        Body::Control(_) | Body::Ledger(_) => None,
    }
}

/// A payment as these commits make it.
pub(super) fn trace(id: PaymentId, commits: &[PastCommit]) -> PaymentTrace {
    let mut trace = PaymentTrace::new(id);
    for commit in commits {
        if let Some(body) = of_payment(commit) {
            trace.follow((commit.seq, commit.at), body);
        }
    }
    trace
}

/// Looks at a page. Returns how many entries it has.
fn take(page: &Page, work: &mut Work, sample: &mut Sample) -> u64 {
    let Some(last) = page.commits.last() else { return 0 };
    let (mut ledger, mut entries) = (Findings::default(), 0_u64);
    let mut traces = BTreeMap::new();
    for commit in &page.commits {
        entries = entries.saturating_add(check_entries(commit, &mut ledger));
        if work.fold.seq().next() == commit.seq && work.fold.fold(commit).is_err() {
            tracing::debug!(seq = commit.seq.0, "the fold reads this commit by itself");
        }
        if let Some(body) = of_payment(commit) {
            let before = page.earlier.get(&body.payment).map(Vec::as_slice);
            let followed = traces
                .entry(body.payment)
                .or_insert_with(|| trace(body.payment, before.unwrap_or_default()));
            followed.follow((commit.seq, commit.at), body);
        }
    }
    let (payments, mut beyond) = (u64::try_from(traces.len()).unwrap_or(u64::MAX), 0);
    let recent = &mut work.recent;
    for (id, traced) in traces {
        let differences = traced.differences();
        if differences.is_empty() {
            recent.wrong.remove(&id);
        } else if recent.wrong.len() < WRONG_MAX || recent.wrong.contains_key(&id) {
            recent.wrong.insert(id, (last.at, differences));
        } else {
            beyond += 1;
        }
        sample.offer(traced);
    }
    recent.read = Some((last.seq, last.at));
    recent.seen.push_back(Seen {
        last_at: last.at,
        commits: u64::try_from(page.commits.len()).unwrap_or(u64::MAX),
        entries,
        payments,
        ledger,
        beyond,
    });
    entries
}
