//! What the log says of balance alerts: at most one line for each alert and second, however often it turns. Whoever hands an edge over
//! never waits for whoever reads the log, and what is kept meanwhile is one line for each alert.

use florin_domain::ids::ShardId;
use florin_domain::ledger::{AlertChange, AlertId};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// From what is said of an alert to what is said next of it, at least.
const PAUSE: Duration = Duration::from_secs(1);

/// What one line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The latest edge.
    latest: AlertChange,
    /// How often it was raised since the last line.
    raises: u64,
    /// Edges before the latest one of which no line says more.
    left_out: u64,
}

type Waiting = Arc<Mutex<BTreeMap<AlertId, Line>>>;

fn lines_of(waiting: &Waiting) -> BTreeMap<AlertId, Line> {
    std::mem::take(&mut *waiting.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Where edges are handed over.
#[derive(Clone, Debug)]
pub(super) struct AlertLog {
    waiting: Waiting,
    wake: mpsc::Sender<()>,
}

impl AlertLog {
    /// Begins to write for one shard. It ends with the last who may hand something over.
    pub(super) fn of(shard: ShardId) -> Self {
        Self::start(move |line| say(shard, line))
    }

    fn start(say: impl FnMut(&Line) + Send + 'static) -> Self {
        let (wake, woken) = mpsc::channel(1);
        let waiting = Waiting::default();
        drop(tokio::spawn(keep_saying(Arc::clone(&waiting), woken, say)));
        Self { waiting, wake }
    }

    pub(super) fn hand_over(&self, changes: &[AlertChange]) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            let raises = u64::from(change.edge.is_raised);
            let line = waiting.entry(change.id);
            line.and_modify(|line| {
                line.latest = *change;
                line.raises = line.raises.saturating_add(raises);
                line.left_out = line.left_out.saturating_add(1);
            })
            .or_insert(Line {
                latest: *change,
                raises,
                left_out: 0,
            });
        }
        drop(waiting);
        if self.wake.try_send(()).is_err() {
            tracing::trace!("somebody has woken it, and it has not looked yet");
        }
    }
}

async fn keep_saying(waiting: Waiting, mut woken: mpsc::Receiver<()>, mut say: impl FnMut(&Line)) {
    while woken.recv().await.is_some() {
        loop {
            let lines = lines_of(&waiting);
            if lines.is_empty() {
                break;
            }
            lines.values().for_each(&mut say);
            let nobody_left = async { while woken.recv().await.is_some() {} };
            if tokio::time::timeout(PAUSE, nobody_left).await.is_ok() {
                break;
            }
        }
    }
    lines_of(&waiting).values().for_each(say);
}

fn say(shard: ShardId, line: &Line) {
    let Line {
        latest: AlertChange { id, account, edge },
        raises,
        left_out,
    } = line;
    let (shard, seq, value_minor) = (shard.0, edge.seq.0, edge.value_minor);
    if edge.is_raised {
        tracing::warn!(alert = %id, %account, shard, seq, value_minor, raises, left_out, "a balance alert was raised");
    } else if *raises > 0 {
        tracing::warn!(
            alert = %id, %account, shard, seq, value_minor, raises, left_out, "a balance alert was raised, and is armed again"
        );
    } else {
        tracing::info!(alert = %id, %account, shard, seq, value_minor, left_out, "a balance alert is armed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use florin_domain::ids::Seq;
    use florin_domain::ledger::{AccountKey, AccountName, AlertEdge};
    use florin_domain::money::Currency;
    use florin_domain::time::Timestamp;

    fn edge(alert: u128, seq: u64, is_raised: bool) -> AlertChange {
        AlertChange {
            id: AlertId(alert),
            account: AccountKey {
                name: AccountName::Bank,
                currency: Currency::USD,
                livemode: false,
            },
            edge: AlertEdge {
                is_raised,
                seq: Seq(seq),
                at: Timestamp::from_unix_ms(seq),
                value_minor: i128::from(seq),
            },
        }
    }

    /// Alert, commit, raises and edges left out of each line.
    type Said = Arc<Mutex<Vec<(u128, u64, u64, u64)>>>;

    fn log() -> (AlertLog, Said) {
        let said = Said::default();
        let into = Arc::clone(&said);
        let log = AlertLog::start(move |line| {
            let row = (
                line.latest.id.0,
                line.latest.edge.seq.0,
                line.raises,
                line.left_out,
            );
            into.lock().unwrap().push(row);
        });
        (log, said)
    }

    fn taken(said: &Said) -> Vec<(u128, u64, u64, u64)> {
        std::mem::take(&mut *said.lock().unwrap())
    }

    /// In virtual time, which passes only when nothing else can happen.
    async fn pass(ms: u64) {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn of_an_alert_that_turns_all_the_time_there_is_a_line_a_second_and_a_count_of_the_rest() {
        let (log, said) = log();
        let turn = |seq| log.hand_over(&[edge(1, seq, seq % 2 == 0)]);
        turn(0);
        pass(1).await;
        let mut lines = taken(&said);
        assert_eq!(lines, [(1, 0, 1, 0)], "the first one at once");
        for second in 0..3 {
            (1..=1_000).for_each(|number| turn(second * 1_000 + number));
            pass(500).await;
            assert_eq!(taken(&said), [], "not within the second");
            pass(600).await;
            let next = taken(&said);
            assert_eq!(next, [(1, (second + 1) * 1_000, 500, 999)]);
            lines.extend(next);
        }
        let told: u64 = lines.iter().map(|(_, _, _, left_out)| left_out + 1).sum();
        let raised: u64 = lines.iter().map(|(_, _, raises, _)| raises).sum();
        assert_eq!((told, raised), (3_001, 1_501), "each is in one line");
    }

    #[tokio::test(start_paused = true)]
    async fn alerts_of_one_commit_have_a_line_each_and_after_a_quiet_second_the_next_comes_at_once() {
        let (log, said) = log();
        log.hand_over(&[edge(1, 1, true), edge(2, 1, true)]);
        pass(1).await;
        assert_eq!(taken(&said), [(1, 1, 1, 0), (2, 1, 1, 0)]);
        pass(2_000).await;
        log.hand_over(&[edge(2, 2, false)]);
        pass(1).await;
        assert_eq!(taken(&said), [(2, 2, 0, 0)]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_is_said_at_the_end() {
        let (log, said) = log();
        log.hand_over(&[edge(1, 1, true)]);
        pass(1).await;
        log.hand_over(&[edge(1, 2, false)]);
        drop(log);
        pass(1).await;
        assert_eq!(taken(&said), [(1, 1, 1, 0), (1, 2, 0, 0)]);
    }
}
