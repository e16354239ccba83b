//! The scrub: reads the whole journal behind live traffic and lets the port verify it, because recovery verifies only what follows a
//! snapshot. Damage is shown to people and changes nothing else: balances come from a snapshot and the tail verified after it.
//! Where it is outlives its restarts, in [`ScrubPlace`].

use crate::context::{Context, Step};
use crate::mailbox::Envelope;
use florin_domain::ids::{Seq, ShardId};
use florin_domain::ports::ReadError;
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What the scrub is told.
#[derive(Debug)]
pub enum ScrubMail {
    /// What this incarnation's task has found.
    Found(ActorId, Result<Found, ReadError>),
}

/// What the journal answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Its head: a pass begins, and ends there.
    Head(Seq),
    /// The commits up to this one are whole.
    Whole(Seq),
}

/// Where the scrub is. Only the scrub changes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScrubPlace {
    pass: Option<Pass>,
    /// When to read on; at once if nothing was read yet.
    due: Option<Instant>,
    /// Reads in vain since the last one that was answered.
    failures: u32,
    damaged: Option<Seq>,
    passes: u64,
}

/// One reading of the journal from its first commit to where it ended when the reading began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pass {
    began: Instant,
    verified: Seq,
    target: Seq,
}

/// What follows from what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    /// Read on.
    Goes { verified: Seq, commits: u64 },
    /// The pass came to its end.
    Passed { verified: Seq, commits: u64 },
    /// The pass ends here; this many commits before the damage are whole.
    Damaged {
        verified: Seq,
        commits: u64,
        seq: Seq,
        why: String,
    },
    /// The store did not answer: that says nothing about the journal.
    Unanswered { failures: u32, why: String },
}

/// How fast, and how often.
#[derive(Clone, Copy, Debug)]
struct Pace {
    commits_per_s: u64,
    every: Duration,
}

/// The scrub's state. Its task ends with it.
#[derive(Debug)]
pub struct ScrubState {
    context: Arc<Context>,
    id: ActorId,
    task: JoinSet<()>,
}

/// The scrub.
#[derive(Clone, Copy, Debug)]
pub struct Scrub;

/// After a start, payments that were open come first.
const START_WAIT: Duration = Duration::from_secs(1);
/// Pages are so small that others who read the journal hardly wait for one.
const PAGES_PER_S: u64 = 80;
const PAGE_MAX: u64 = 256;
/// The first wait after a read in vain; it doubles up to the longest.
const RETRY: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_mins(5);
/// After so many reads in vain in a row, about four minutes, a person should look at the store.
const FAILURES_ALERT: u32 = 8;

impl Actor for Scrub {
    type Msg = Envelope<ScrubMail>;
    type State = ScrubState;
    type Arguments = Arc<Context>;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        context: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let id = myself.get_id();
        // Attached before anything is asked: the answer must find this incarnation.
        context.scrub.attach(myself);
        let mut state = ScrubState {
            context,
            id,
            task: JoinSet::new(),
        };
        if state.pace().commits_per_s > 0 {
            show_damage(
                state.context.shard,
                state.context.scrub_place.load().damaged.is_some(),
            );
            state.read_on();
        }
        Ok(state)
    }

    async fn handle(
        &self,
        _myself: ActorRef<Self::Msg>,
        envelope: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let (ScrubMail::Found(id, found), _slot) = envelope.open();
        if id == state.id {
            state.context.ports.probe.reached(Step::JournalScrubbed);
            let mut place = **state.context.scrub_place.load();
            let verdict = place.hear(found, Instant::now(), state.pace());
            state.context.scrub_place.store(Arc::new(place));
            verdict.show(state.context.shard);
            state.read_on();
        }
        Ok(())
    }
}

impl ScrubState {
    fn pace(&self) -> Pace {
        let options = &self.context.options;
        Pace {
            commits_per_s: options.scrub_commits_per_s,
            every: options.scrub_every,
        }
    }

    /// Waits until the next read is due, in a task that ends with this incarnation, and reads.
    fn read_on(&mut self) {
        let (context, id, page) = (Arc::clone(&self.context), self.id, self.pace().page());
        let place = **context.scrub_place.load();
        self.task = JoinSet::new();
        self.task.spawn(async move {
            let due = place.due.unwrap_or_else(|| Instant::now() + START_WAIT);
            tokio::time::sleep_until(due).await;
            let found = match place.pass {
                None => head(&context).await,
                Some(pass) => verify(&context, pass, page).await,
            };
            context.scrub.step(ScrubMail::Found(id, found));
        });
    }
}

async fn head(context: &Context) -> Result<Found, ReadError> {
    let head = context.ports.journal.head(context.shard).await?;
    Ok(Found::Head(head.seq))
}

async fn verify(context: &Context, pass: Pass, page: u64) -> Result<Found, ReadError> {
    let (next, left) = (pass.verified.next(), pass.target.0 - pass.verified.0);
    let limit = usize::try_from(left.min(page)).unwrap_or(usize::MAX);
    let commits = context.ports.journal.read(context.shard, next, limit).await?;
    let Some(last) = commits.last() else {
        let why = format!("the journal ends before {}, which was its head", pass.target);
        return Err(ReadError::Damaged { seq: next, why });
    };
    Ok(Found::Whole(last.seq))
}

impl Pace {
    /// Commits read at once.
    fn page(self) -> u64 {
        (self.commits_per_s / PAGES_PER_S).clamp(1, PAGE_MAX)
    }

    /// The time that so many commits may take.
    fn time_for(self, commits: u64) -> Duration {
        Duration::from_micros(commits.saturating_mul(1_000_000) / self.commits_per_s.max(1))
    }
}

impl ScrubPlace {
    /// The first commit found damaged, unless a later pass found the whole journal well.
    pub fn damaged(&self) -> Option<Seq> {
        self.damaged
    }

    /// Passes that came to their end since the process started.
    pub fn passes(&self) -> u64 {
        self.passes
    }

    fn hear(&mut self, found: Result<Found, ReadError>, now: Instant, pace: Pace) -> Verdict {
        let pass = self.pass.unwrap_or(Pass {
            began: now,
            verified: Seq::ZERO,
            target: Seq::ZERO,
        });
        let (verified, target) = match found {
            Ok(Found::Head(target)) => (Seq::ZERO, target),
            Ok(Found::Whole(verified)) => (verified, pass.target),
            Err(ReadError::Store(why)) => {
                self.failures = self.failures.saturating_add(1);
                self.due = Some(now + retry_after(self.failures));
                let failures = self.failures;
                return Verdict::Unanswered { failures, why };
            }
            Err(ReadError::Damaged { seq, why }) => {
                // A page is verified in order: what stands before the damage is whole.
                let verified = Seq(seq.0.saturating_sub(1)).min(pass.target).max(pass.verified);
                let commits = verified.0 - pass.verified.0;
                self.rest(pass, now, pace);
                self.damaged = Some(seq);
                return Verdict::Damaged {
                    verified,
                    commits,
                    seq,
                    why,
                };
            }
        };
        let commits = verified.0.saturating_sub(pass.verified.0);
        let pass = Pass {
            verified,
            target,
            ..pass
        };
        if verified < target {
            self.failures = 0;
            self.pass = Some(pass);
            self.due = Some(now + pace.time_for(commits));
            return Verdict::Goes { verified, commits };
        }
        self.rest(pass, now, pace);
        self.damaged = None;
        Verdict::Passed { verified, commits }
    }

    /// Ends a pass: the next one begins in its turn, or at once if this one took longer than that.
    fn rest(&mut self, pass: Pass, now: Instant, pace: Pace) {
        self.failures = 0;
        self.pass = None;
        self.due = Some(now.max(pass.began + pace.every));
        self.passes = self.passes.saturating_add(1);
    }
}

fn retry_after(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    RETRY.saturating_mul(1 << doublings).min(RETRY_MAX)
}

impl Verdict {
    fn show(&self, shard: ShardId) {
        match self {
            Self::Goes { verified, commits } => show_progress(shard, *verified, *commits),
            Self::Passed { verified, commits } => {
                show_progress(shard, *verified, *commits);
                show_damage(shard, false);
                tracing::info!(head = verified.0, "the whole journal was read and is whole");
            }
            Self::Damaged {
                verified,
                commits,
                seq,
                why,
            } => {
                show_progress(shard, *verified, *commits);
                show_damage(shard, true);
                metrics::counter!("florin_alerts_total", "alert" => "journal_damaged").increment(1);
                tracing::error!(
                    seq = seq.0,
                    why,
                    "the journal is damaged here; payments go on, as balances come from what was verified at the start; compare it with a copy"
                );
            }
            Self::Unanswered { failures, why } if *failures == FAILURES_ALERT => {
                metrics::counter!("florin_alerts_total", "alert" => "journal_unreadable").increment(1);
                tracing::error!(
                    failures,
                    why,
                    "the journal cannot be read through; the scrub goes on trying"
                );
            }
            Self::Unanswered { failures, why } => {
                tracing::warn!(failures, why, "the journal was not read; the scrub tries again");
            }
        }
    }
}

fn show_progress(shard: ShardId, verified: Seq, commits: u64) {
    metrics::counter!("florin_journal_scrubbed_commits_total").increment(commits);
    #[expect(clippy::cast_precision_loss, reason = "a gauge")]
    metrics::gauge!("florin_journal_scrubbed_seq", "shard" => shard.0.to_string()).set(verified.0 as f64);
}

fn show_damage(shard: ShardId, is_damaged: bool) {
    metrics::gauge!("florin_journal_damaged", "shard" => shard.0.to_string())
        .set(f64::from(u8::from(is_damaged)));
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace {
        commits_per_s: 1000,
        every: Duration::from_hours(1),
    };

    fn damaged(seq: u64) -> Result<Found, ReadError> {
        let why = "rot".to_owned();
        Err(ReadError::Damaged { seq: Seq(seq), why })
    }

    fn busy() -> Result<Found, ReadError> {
        Err(ReadError::Store("busy".to_owned()))
    }

    fn whole(seq: u64) -> Found {
        Found::Whole(Seq(seq))
    }

    fn goes(verified: u64, commits: u64) -> Verdict {
        let verified = Seq(verified);
        Verdict::Goes { verified, commits }
    }

    fn passed(verified: u64, commits: u64) -> Verdict {
        let verified = Seq(verified);
        Verdict::Passed { verified, commits }
    }

    fn found_damaged(verified: u64, commits: u64, seq: u64) -> Verdict {
        Verdict::Damaged {
            verified: Seq(verified),
            commits,
            seq: Seq(seq),
            why: "rot".to_owned(),
        }
    }

    fn unanswered(failures: u32) -> Verdict {
        let why = "busy".to_owned();
        Verdict::Unanswered { failures, why }
    }

    /// What is heard, what follows, after how many milliseconds it is read on, and which commit is shown as damaged.
    type Row = (Result<Found, ReadError>, Verdict, u64, Option<u64>);

    fn check(rows: Vec<Row>) {
        let (mut place, began) = (ScrubPlace::default(), Instant::now());
        for (number, (found, expected, wait_ms, is_damaged)) in rows.into_iter().enumerate() {
            assert_eq!(place.hear(found, began, PACE), expected, "row {number}");
            let due = began + Duration::from_millis(wait_ms);
            assert_eq!(place.due, Some(due), "row {number}");
            assert_eq!(place.damaged(), is_damaged.map(Seq), "row {number}");
        }
    }

    const HOUR_MS: u64 = 3_600_000;

    #[test]
    fn a_pass_goes_to_the_head_that_it_began_with_at_its_pace_and_begins_anew_in_its_turn() {
        check(vec![
            (Ok(Found::Head(Seq(25))), goes(0, 0), 0, None),
            (Ok(whole(12)), goes(12, 12), 12, None),
            (Ok(whole(24)), goes(24, 12), 12, None),
            (Ok(whole(25)), passed(25, 1), HOUR_MS, None),
            (Ok(Found::Head(Seq(40))), goes(0, 0), 0, None),
            (Ok(whole(40)), passed(40, 40), HOUR_MS, None),
            (Ok(Found::Head(Seq(0))), passed(0, 0), HOUR_MS, None),
        ]);
    }

    #[test]
    fn damage_ends_a_pass_and_is_shown_until_a_whole_pass_finds_none() {
        check(vec![
            (Ok(Found::Head(Seq(30))), goes(0, 0), 0, None),
            (Ok(whole(12)), goes(12, 12), 12, None),
            (damaged(15), found_damaged(14, 2, 15), HOUR_MS, Some(15)),
            (Ok(Found::Head(Seq(40))), goes(0, 0), 0, Some(15)),
            (Ok(whole(12)), goes(12, 12), 12, Some(15)),
            (damaged(13), found_damaged(12, 0, 13), HOUR_MS, Some(13)),
            (damaged(40), found_damaged(0, 0, 40), HOUR_MS, Some(40)),
            (Ok(Found::Head(Seq(3))), goes(0, 0), 0, Some(40)),
            (Ok(whole(3)), passed(3, 3), HOUR_MS, None),
        ]);
    }

    #[test]
    fn a_read_in_vain_is_repeated_after_growing_waits_and_is_no_damage() {
        check(vec![
            (busy(), unanswered(1), 1000, None),
            (busy(), unanswered(2), 2000, None),
            (Ok(Found::Head(Seq(30))), goes(0, 0), 0, None),
            (busy(), unanswered(1), 1000, None),
            (Ok(whole(12)), goes(12, 12), 12, None),
            (busy(), unanswered(1), 1000, None),
            (Ok(whole(30)), passed(30, 18), HOUR_MS, None),
        ]);
        let waits_s = [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300];
        for (failures, wait_s) in (1..).zip(waits_s) {
            assert_eq!(retry_after(failures), Duration::from_secs(wait_s));
        }
        assert_eq!(retry_after(u32::MAX), RETRY_MAX);
    }

    #[test]
    fn a_pass_that_took_longer_than_its_turn_is_followed_at_once() {
        let (mut place, began) = (ScrubPlace::default(), Instant::now());
        place.hear(Ok(Found::Head(Seq(2))), began, PACE);
        let later = began + Duration::from_hours(2);
        assert_eq!(place.hear(Ok(whole(2)), later, PACE), passed(2, 2));
        assert_eq!((place.due, place.passes()), (Some(later), 1));
    }

    #[test]
    fn pages_are_small_and_pauses_keep_the_rate() {
        let cases = [(1, 1, 1_000_000), (1000, 12, 12_000), (20_000, 250, 12_500)];
        for (commits_per_s, page, pause_us) in cases {
            let pace = Pace {
                commits_per_s,
                ..PACE
            };
            assert_eq!(pace.page(), page, "{commits_per_s}");
            assert_eq!(pace.time_for(page), Duration::from_micros(pause_us));
        }
        let fast = Pace {
            commits_per_s: 10_000_000,
            ..PACE
        };
        assert_eq!(fast.page(), PAGE_MAX);
    }
}
