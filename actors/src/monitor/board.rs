//! Owns what people see of the monitor: the last round, its figures and its alerts.

use crate::context::Context;
use florin_domain::consistency::{Check, CheckReport, CheckState, Round, Unfinished};
use florin_domain::ids::ShardId;
use std::sync::Arc;
use std::time::Duration;

/// The last round, and how many there were. Only the monitor changes it.
#[derive(Clone, Debug, Default)]
pub struct MonitorBoard {
    /// The last round.
    pub last: Option<Arc<Round>>,
    /// Rounds since the process started.
    pub rounds: u64,
    /// Rounds with a check that could not be run, and ends of the monitor itself.
    pub failures: u64,
    /// Incarnations of the monitor since then.
    lives: u64,
    /// For how many rounds each check has not come to its end.
    unfinished: Unfinished,
}

/// An incarnation began. It is not the first if an earlier one failed, and with it perhaps a round.
pub(super) fn started(context: &Context) {
    let mut board = MonitorBoard::clone(&context.monitor_board.load());
    board.lives = board.lives.saturating_add(1);
    if board.lives > 1 {
        alert_failure(&mut board, "monitor", "it ended and was started again");
    }
    context.monitor_board.store(Arc::new(board));
}

/// Makes a round what everybody sees.
pub(super) fn publish(context: &Context, round: &Arc<Round>) {
    let mut board = MonitorBoard::clone(&context.monitor_board.load());
    (board.last, board.rounds) = (Some(Arc::clone(round)), round.number);
    for report in &round.checks {
        show(report, round.shard);
    }
    if let Some((check, why)) = round.failures().next() {
        alert_failure(&mut board, check.as_str(), why);
    }
    for (check, rounds) in board.unfinished.follow(round) {
        alert_behind(check, rounds, round.shard);
    }
    context.monitor_board.store(Arc::new(board));
    let shard = label(round.shard);
    #[expect(clippy::cast_precision_loss, reason = "gauges")]
    {
        metrics::gauge!("florin_consistency_last_round_timestamp_seconds", "shard" => shard.clone())
            .set(context.ports.clock.now().unix_ms() as f64 / 1e3);
        metrics::gauge!("florin_consistency_round_seconds", "shard" => shard).set(round.took.0 as f64 / 1e3);
    }
    tracing::debug!(
        round = round.number,
        commits = round.commits,
        issues = round.issues(),
        "a round of the monitor has ended"
    );
}

/// A round is under way that should have ended long ago; whoever asks sees how old the last one is.
pub(super) fn overdue(context: &Context, waited: Duration) {
    let mut board = MonitorBoard::clone(&context.monitor_board.load());
    let why = format!(
        "a round has been under way for {} s and does not end",
        waited.as_secs()
    );
    alert_failure(&mut board, "monitor", &why);
    context.monitor_board.store(Arc::new(board));
}

fn label(shard: ShardId) -> String {
    shard.0.to_string()
}

fn show(report: &CheckReport, shard: ShardId) {
    let name = report.check.as_str();
    let checks = metrics::counter!("florin_consistency_checks_total", "check" => name);
    match &report.state {
        CheckState::Done => checks.increment(1),
        // How far it is says more than that it ran.
        CheckState::Behind { read, head } => tracing::info!(
            check = name,
            read = read.0,
            head = head.0,
            "a check of the monitor goes on in the next round"
        ),
        // What the last round that ran had found still stands.
        CheckState::Failed(_) => return,
        CheckState::Absent => {}
    }
    let issues = report.findings.issues;
    #[expect(clippy::cast_precision_loss, reason = "a gauge")]
    metrics::gauge!("florin_consistency_issues", "check" => name, "shard" => label(shard)).set(issues as f64);
    if issues > 0 {
        alert_issues(report.check, report, shard);
    }
}

fn alert_issues(check: Check, report: &CheckReport, shard: ShardId) {
    metrics::counter!("florin_alerts_total", "alert" => check.alert()).increment(1);
    let first = report.findings.differences.first();
    tracing::error!(
        check = check.as_str(),
        shard = shard.0,
        issues = report.findings.issues,
        first = first.map(ToString::to_string),
        seq = first.map(|difference| difference.seq.0),
        "the monitor found what does not agree; payments go on, a person must look"
    );
}

/// It is on its way and found nothing wrong so far, but nobody knows what it has not come to.
fn alert_behind(check: Check, rounds: u32, shard: ShardId) {
    metrics::counter!("florin_alerts_total", "alert" => "consistency_behind").increment(1);
    tracing::error!(
        check = check.as_str(),
        shard = shard.0,
        rounds,
        "a check of the monitor has not come to its end for many rounds; what it did not come to is not checked"
    );
}

/// Once for a round, however many of its checks could not be run.
fn alert_failure(board: &mut MonitorBoard, check: &str, why: &str) {
    board.failures = board.failures.saturating_add(1);
    metrics::counter!("florin_alerts_total", "alert" => "consistency_monitoring_failure").increment(1);
    tracing::error!(
        severity = "critical",
        check,
        why,
        "Consistency monitoring failure"
    );
}
