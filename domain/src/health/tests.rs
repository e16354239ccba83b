//! Thresholds, windows, recovery, and what a call says of its provider.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "the numbers of a test are small, and an overflow fails it"
)]

use super::*;
use crate::time::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use std::sync::Arc;

/// A full quarter of a minute, so that slots are easy to count.
const START_MS: u64 = 1_700_000_010_000;

const POLICY: HealthPolicy = HealthPolicy {
    error_bps_max: 500,
    error_window: Millis::from_s(300),
    timeout_bps_max: 1_000,
    timeout_window: Millis::from_s(300),
    success_bps_min: 9_500,
    success_window: Millis::from_s(900),
    recovery_bps: 9_900,
    recovery_window: Millis::from_s(600),
    calls_min: 20,
};

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_ms(START_MS).plus(Millis::from_s(seconds))
}

/// Answered, timed out and failed calls, all at once.
fn calls(windows: &mut Windows, counts: [u32; 3], now: Timestamp) {
    let results = [CallResult::Answered, CallResult::TimedOut, CallResult::Failed];
    for (result, count) in results.into_iter().zip(counts) {
        for _ in 0..count {
            windows.record(result, 100, now);
        }
    }
}

/// A provider of which everything failed at the start.
fn excluded() -> Windows {
    let mut windows = Windows::default();
    calls(&mut windows, [0, 0, 50], at(0));
    assert_eq!(windows.judge(&POLICY, at(0)), Health::Excluded);
    windows
}

#[test]
fn the_defaults_are_those_of_the_rows() {
    assert_eq!(START_MS % 15_000, 0);
    assert_eq!(HealthPolicy::default(), POLICY);
}

#[test]
fn five_minutes_of_errors_degrade_of_timeouts_reduce_and_the_worst_applies() {
    // Good calls eight minutes ago; then answered, timed out and failed ones within the last five.
    let cases = [
        (1_000, [19, 0, 1], Health::Healthy),
        (1_000, [38, 0, 2], Health::Healthy),
        (1_000, [37, 0, 2], Health::Degraded),
        (1_000, [37, 1, 1], Health::Degraded),
        (1_000, [18, 2, 0], Health::Degraded),
        (1_000, [90, 10, 0], Health::Degraded),
        (1_000, [89, 11, 0], Health::Reduced),
        (1_000, [26, 3, 0], Health::Reduced),
        (1_000, [80, 11, 9], Health::Reduced),
        // Too few to go by.
        (1_000, [0, 0, 19], Health::Healthy),
        (1_000, [0, 19, 0], Health::Healthy),
        (0, [0, 19, 0], Health::Healthy),
        (0, [0, 20, 0], Health::Excluded),
        // All of the last quarter of an hour.
        (0, [95, 0, 5], Health::Healthy),
        (0, [95, 5, 0], Health::Healthy),
        (0, [94, 0, 6], Health::Excluded),
        (1_000, [0, 0, 52], Health::Degraded),
        (1_000, [0, 0, 53], Health::Excluded),
        (1_000, [0, 53, 0], Health::Excluded),
        (0, [0, 0, 0], Health::Healthy),
    ];
    for (before, counts, health) in cases {
        let mut windows = Windows::default();
        calls(&mut windows, [before, 0, 0], at(0));
        calls(&mut windows, counts, at(480));
        assert_eq!(windows.judge(&POLICY, at(480)), health, "{before} {counts:?}");
    }
}

#[test]
fn a_window_ends_with_the_slot_in_which_it_is_full() {
    let windows_of = |counts| {
        let mut windows = Windows::default();
        calls(&mut windows, counts, at(0));
        windows
    };
    let windows = windows_of([10, 3, 7]);
    for (window_s, last_seen_s) in [(300, 299), (600, 599), (900, 899), (3_600, 899), (1, 14)] {
        let window = Millis::from_s(window_s);
        assert_eq!(windows.measures(window, at(last_seen_s)).calls, 20, "{window_s}");
        assert_eq!(
            windows.measures(window, at(last_seen_s + 1)).calls,
            0,
            "{window_s}"
        );
    }
    let mut degraded = windows_of([1_000, 0, 0]);
    calls(&mut degraded, [18, 0, 2], at(405));
    assert_eq!(degraded.judge(&POLICY, at(704)), Health::Degraded);
    assert_eq!(
        degraded.judge(&POLICY, at(705)),
        Health::Healthy,
        "it ends by itself"
    );
}

#[test]
fn rates_and_times_are_of_all_calls_that_count() {
    let mut windows = Windows::default();
    let quarter = POLICY.success_window;
    let none = Measures {
        calls: 0,
        success_bps: 10_000,
        error_bps: 0,
        timeout_bps: 0,
        latency_ms: 0,
    };
    assert_eq!(windows.measures(quarter, at(0)), none);
    windows.record(CallResult::NotCounted, 5_000, at(0));
    assert_eq!(windows.measures(quarter, at(0)), none);
    let made = [
        (CallResult::Answered, 100),
        (CallResult::Failed, 20),
        (CallResult::TimedOut, 30_000),
    ];
    for (result, latency_ms) in made {
        windows.record(result, latency_ms, at(7));
    }
    let thirds = Measures {
        calls: 3,
        success_bps: 3_333,
        error_bps: 6_667,
        timeout_bps: 3_333,
        latency_ms: 10_040,
    };
    assert_eq!(windows.measures(quarter, at(7)), thirds);
    windows.record(CallResult::Answered, u64::MAX, at(8));
    windows.record(CallResult::Answered, u64::MAX, at(30));
    assert_eq!(
        windows.measures(quarter, at(30)).latency_ms,
        u64::MAX / 5,
        "not wrapped"
    );
}

#[test]
fn an_excluded_provider_returns_with_more_than_99_percent_of_ten_minutes() {
    let mut windows = excluded();
    calls(&mut windows, [99, 0, 1], at(300));
    // The bad start is over for the ten minutes, not for the quarter of an hour.
    assert_eq!(windows.judge(&POLICY, at(599)), Health::Excluded);
    assert_eq!(
        windows.judge(&POLICY, at(610)),
        Health::Excluded,
        "99 % is not more than 99 %"
    );
    calls(&mut windows, [1, 0, 0], at(610));
    assert_eq!(windows.judge(&POLICY, at(610)), Health::Healthy);
    assert_eq!(windows.judge(&POLICY, at(611)), Health::Healthy, "for good");
    assert_eq!(
        windows.measures(POLICY.success_window, at(611)).calls,
        151,
        "nothing is forgotten"
    );
    // 100 of 105 since then, 100 of 155 with what was before.
    calls(&mut windows, [0, 0, 4], at(620));
    assert_eq!(windows.judge(&POLICY, at(620)), Health::Healthy);
    calls(&mut windows, [0, 0, 2], at(620));
    assert_eq!(windows.judge(&POLICY, at(620)), Health::Excluded);
}

#[test]
fn an_excluded_provider_stays_out_at_98_percent_when_no_window_shows_it_any_more() {
    let mut windows = excluded();
    for minute in 1..60 {
        calls(&mut windows, [98, 0, 2], at(minute * 60));
        assert_eq!(
            windows.judge(&POLICY, at(minute * 60)),
            Health::Excluded,
            "{minute}"
        );
    }
    let mut anew = Windows::default();
    calls(&mut anew, [98, 0, 2], at(0));
    assert_eq!(
        anew.judge(&POLICY, at(0)),
        Health::Healthy,
        "unless it never was out"
    );
}

#[test]
fn a_reduced_provider_stays_so_until_it_has_recovered_or_gets_worse() {
    let reduced = || {
        let mut windows = Windows::default();
        calls(&mut windows, [1_000, 0, 0], at(0));
        calls(&mut windows, [80, 20, 0], at(400));
        assert_eq!(windows.judge(&POLICY, at(400)), Health::Reduced);
        windows
    };
    let mut windows = reduced();
    assert_eq!(
        windows.judge(&POLICY, at(700)),
        Health::Reduced,
        "no timeouts for five minutes"
    );
    assert_eq!(
        windows.judge(&POLICY, at(3_600)),
        Health::Reduced,
        "nothing in sight"
    );
    calls(&mut windows, [19, 0, 0], at(3_600));
    assert_eq!(windows.judge(&POLICY, at(3_600)), Health::Reduced);
    calls(&mut windows, [1, 0, 0], at(3_600));
    assert_eq!(windows.judge(&POLICY, at(3_600)), Health::Healthy);
    let mut windows = reduced();
    calls(&mut windows, [0, 0, 100], at(410));
    assert_eq!(windows.judge(&POLICY, at(410)), Health::Excluded);
}

#[test]
fn what_is_good_now_is_not_excluded_for_what_nobody_judged_before() {
    let mut windows = Windows::default();
    calls(&mut windows, [0, 0, 50], at(0));
    calls(&mut windows, [100, 0, 0], at(300));
    assert_eq!(windows.judge(&POLICY, at(600)), Health::Healthy);
    // But a provider that never was out is judged by the whole quarter of an hour: 209 of 219, then of 221.
    let mut windows = Windows::default();
    calls(&mut windows, [100, 0, 0], at(0));
    calls(&mut windows, [109, 0, 0], at(300));
    assert_eq!(windows.judge(&POLICY, at(600)), Health::Healthy);
    calls(&mut windows, [0, 0, 10], at(610));
    assert_eq!(windows.judge(&POLICY, at(610)), Health::Healthy);
    calls(&mut windows, [0, 0, 2], at(610));
    assert_eq!(windows.judge(&POLICY, at(610)), Health::Excluded);
}

#[test]
fn an_excluded_provider_that_is_quiet_for_ten_minutes_gets_a_trial() {
    let mut windows = excluded();
    assert_eq!(windows.judge(&POLICY, at(599)), Health::Excluded);
    assert_eq!(windows.judge(&POLICY, at(600)), Health::Degraded);
    assert_eq!(
        windows.judge(&POLICY, at(899)),
        Health::Degraded,
        "for five minutes"
    );
    assert_eq!(windows.judge(&POLICY, at(900)), Health::Healthy);

    // What it shows on trial: answered, timed out and failed calls.
    let cases = [
        ([19, 0, 0], Health::Degraded),
        ([20, 0, 0], Health::Healthy),
        ([19, 0, 1], Health::Healthy),
        ([0, 0, 19], Health::Degraded),
        ([0, 0, 20], Health::Excluded),
    ];
    for (counts, health) in cases {
        let mut windows = excluded();
        assert_eq!(windows.judge(&POLICY, at(600)), Health::Degraded);
        calls(&mut windows, counts, at(610));
        assert_eq!(windows.judge(&POLICY, at(610)), health, "{counts:?}");
    }

    // A trickle too small to go by is as good as silence if nothing of it went wrong.
    let cases = [
        ([0, 0, 1], Health::Excluded),
        ([18, 1, 0], Health::Excluded),
        ([19, 0, 0], Health::Degraded),
        ([20, 0, 0], Health::Healthy),
    ];
    for (trickle, health) in cases {
        let mut windows = excluded();
        calls(&mut windows, trickle, at(400));
        assert_eq!(windows.judge(&POLICY, at(600)), health, "{trickle:?}");
    }
}

#[test]
fn a_clock_that_goes_back_stands_still_and_one_that_was_far_ahead_is_not_waited_for() {
    let mut windows = excluded();
    calls(&mut windows, [0, 0, 10], at(30));
    calls(&mut windows, [0, 0, 10], at(0));
    assert_eq!(
        windows.measures(Millis::from_s(15), at(0)).calls,
        20,
        "counted at 30 s"
    );
    assert_eq!(windows.measures(Millis::from_s(45), at(0)).calls, 70);
    let mut ahead = excluded();
    let year = 31_536_000;
    assert_eq!(
        ahead.judge(&POLICY, at(year)),
        Health::Degraded,
        "quiet for a year"
    );
    calls(&mut ahead, [0, 0, 30], at(year));
    calls(&mut ahead, [20, 0, 0], at(60));
    assert_eq!(
        ahead.measures(POLICY.success_window, at(60)).calls,
        20,
        "what it counted there is void"
    );
    assert_eq!(ahead.judge(&POLICY, at(60)), Health::Healthy);
    let mut end = Windows::default();
    calls(&mut end, [0, 0, 20], Timestamp::from_unix_ms(u64::MAX));
    assert_eq!(
        end.judge(&POLICY, Timestamp::from_unix_ms(u64::MAX)),
        Health::Excluded
    );
    assert_eq!(end.judge(&POLICY, Timestamp::default()), Health::Degraded);
}

#[test]
fn every_health_keeps_its_share_and_its_word() {
    let all = [
        (Health::Healthy, 10_000, "healthy"),
        (Health::Degraded, 10_000, "degraded"),
        (Health::Reduced, 5_000, "reduced"),
        (Health::Excluded, 100, "excluded"),
    ];
    for (health, share_bps, word) in all {
        assert_eq!((health.share_bps(), health.as_str()), (share_bps, word));
    }
    assert!(all.is_sorted(), "the worse the later");
}

#[test]
fn only_what_a_provider_does_not_answer_counts_against_it() {
    let text = || Arc::<str>::from("x");
    let unknown = || Outcome::Unknown {
        reason: text(),
        reference: None,
    };
    let succeeded = Outcome::Succeeded {
        reference: text(),
        transaction: text(),
        amount_minor: 1,
    };
    let declined = Outcome::declined(text(), None);
    let action = Outcome::ActionRequired {
        reference: text(),
        redirect_url: None,
    };
    let limited = Outcome::RateLimited {
        retry_after: Millis(1),
    };
    let cases = [
        (succeeded, 99, CallResult::Answered),
        (declined, 99, CallResult::Answered),
        (action, 99, CallResult::Answered),
        (
            Outcome::Pending { reference: text() },
            30_000,
            CallResult::Answered,
        ),
        (Outcome::Cancelled { reference: None }, 99, CallResult::Answered),
        (Outcome::not_sent(text()), 30_000, CallResult::Failed),
        (limited, 99, CallResult::Failed),
        (Outcome::rejected(text()), 99, CallResult::Answered),
        (unknown(), 29_999, CallResult::Failed),
        (unknown(), 30_000, CallResult::TimedOut),
        (unknown(), 30_001, CallResult::TimedOut),
    ];
    for (outcome, took_ms, result) in cases {
        let of = CallResult::of(&outcome, Millis(took_ms), Millis::from_s(30));
        assert_eq!(of, result, "{outcome:?} after {took_ms} ms");
    }
    let words = [
        CallResult::Answered,
        CallResult::TimedOut,
        CallResult::Failed,
        CallResult::NotCounted,
    ];
    assert_eq!(
        words.map(CallResult::as_str),
        ["answered", "timed_out", "failed", "not_counted"]
    );
}

type Call = (CallResult, u64, i64);

/// A result, a time in milliseconds, and by how much the clock moves before it.
fn call() -> impl Strategy<Value = Call> {
    let results = vec![
        CallResult::Answered,
        CallResult::Answered,
        CallResult::Answered,
        CallResult::TimedOut,
        CallResult::Failed,
        CallResult::NotCounted,
    ];
    let moves = prop_oneof![6 => 0_i64..10_000, 1 => 0_i64..700_000, 1 => -800_000_i64..0];
    (select(results), 0_u64..60_000, moves)
}

/// The same from the whole list: slots, results and times.
fn counted(list: &[(u64, CallResult, u64)], latest: u64, slots: u64) -> Measures {
    let within = list
        .iter()
        .filter(|call| call.0 + slots > latest && call.0 <= latest);
    let within: Vec<_> = within.filter(|call| call.1 != CallResult::NotCounted).collect();
    let calls = u64::try_from(within.len()).unwrap();
    let of = |result| u64::try_from(within.iter().filter(|call| call.1 == result).count()).unwrap();
    let bps =
        |part: u64, none: u64| u32::try_from((part * 10_000).checked_div(calls).unwrap_or(none)).unwrap();
    let success_bps = bps(of(CallResult::Answered), 10_000);
    Measures {
        calls,
        success_bps,
        error_bps: 10_000 - success_bps,
        timeout_bps: bps(of(CallResult::TimedOut), 0),
        latency_ms: within
            .iter()
            .map(|call| call.2)
            .sum::<u64>()
            .checked_div(calls)
            .unwrap_or(0),
    }
}

proptest! {
    #[test]
    fn the_ring_measures_what_the_whole_list_does(made in vec(call(), 1..300)) {
        let (mut windows, mut list, mut now) = (Windows::default(), Vec::new(), at(0));
        let mut latest = 0;
        for (result, latency_ms, moved_ms) in made {
            now = Timestamp::from_unix_ms(now.unix_ms().saturating_add_signed(moved_ms));
            let slot = now.unix_ms() / 15_000;
            if slot + 60 < latest {
                list.clear();
                latest = slot;
            }
            latest = latest.max(slot);
            windows.record(result, latency_ms, now);
            list.push((latest, result, latency_ms));
            for slots in [1, 20, 40, 60] {
                let measured = windows.measures(Millis::from_s(slots * 15), now);
                prop_assert_eq!(measured, counted(&list, latest, slots), "{} slots", slots);
            }
        }
    }

    #[test]
    fn no_verdict_is_without_reason_and_none_lasts_for_ever(made in vec(call(), 1..400)) {
        let (mut windows, mut now, mut was) = (Windows::default(), at(0), Health::Healthy);
        let mut forgiven_at = Timestamp::default();
        for (result, latency_ms, moved_ms) in made {
            now = Timestamp::from_unix_ms(now.unix_ms().saturating_add_signed(moved_ms));
            windows.record(result, latency_ms, now);
            let five = windows.measures(POLICY.error_window, now);
            let ten = windows.measures(POLICY.recovery_window, now);
            let fifteen = windows.measures(POLICY.success_window, now);
            let health = windows.judge(&POLICY, now);
            let has_recovered = ten.calls >= 20 && ten.success_bps >= 9_900;
            let is_quiet = ten.calls < 20 && ten.error_bps == 0;
            let looks_bad = was >= Health::Reduced || fifteen.success_bps < 9_500;
            if looks_bad && (has_recovered || is_quiet) {
                forgiven_at = now;
            }
            let is_low = fifteen.success_bps < 9_500 || now.since(forgiven_at) <= POLICY.success_window;
            match health {
                Health::Healthy => prop_assert!(five.calls < 20 || five.error_bps <= 500),
                Health::Degraded => prop_assert!(five.error_bps > 500 || five.calls < 20),
                Health::Reduced => prop_assert!(was == health || five.calls >= 20 && five.timeout_bps >= 1_000),
                Health::Excluded => {
                    prop_assert!(was == health || fifteen.calls >= 20 && is_low);
                    prop_assert!(!is_quiet, "it gets a trial");
                }
            }
            if was >= Health::Reduced && health < was {
                prop_assert!(has_recovered || was == Health::Excluded && is_quiet, "{was:?} -> {health:?}");
            }
            was = health;
        }
        for minute in 0..30 {
            now = now.plus(Millis::from_s(60 * minute));
            was = windows.judge(&POLICY, now);
        }
        prop_assert!(matches!(was, Health::Healthy | Health::Reduced), "{was:?} after hours of nothing");
    }
}
