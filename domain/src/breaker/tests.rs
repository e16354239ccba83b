//! What opens a breaker, what closes it, and what has no say.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "the numbers of a test are small, and an overflow fails it"
)]

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

const NOON: Timestamp = Timestamp::from_unix_ms(1_700_000_000_000);

const POLICY: BreakerPolicy = BreakerPolicy {
    failures_max: 5,
    open: Millis::from_s(60),
};

fn after(seconds: u64) -> Timestamp {
    NOON.plus(Millis::from_s(seconds))
}

/// A call that goes and comes back at once.
fn call(breaker: &mut Breaker, result: CallResult, now: Timestamp) -> Option<Change> {
    let pass = breaker.admit(now).pass().expect("the call may go");
    breaker.ended(&POLICY, pass, result, now)
}

/// A breaker that opened at noon.
fn opened() -> Breaker {
    let mut breaker = Breaker::default();
    for _ in 0..4 {
        assert_eq!(call(&mut breaker, CallResult::Failed, NOON), None);
    }
    assert_eq!(
        call(&mut breaker, CallResult::TimedOut, NOON),
        Some(Change::Opened)
    );
    breaker
}

/// A breaker whose probe is under way, a minute after noon.
fn probing() -> (Breaker, Pass) {
    let mut breaker = opened();
    match breaker.admit(after(60)) {
        Admit::Probe(pass) => (breaker, pass),
        Admit::Go(_) | Admit::Refused { .. } => panic!("no probe"),
    }
}

#[test]
fn the_defaults_are_five_failures_and_a_minute() {
    assert_eq!(BreakerPolicy::default(), POLICY);
}

#[test]
fn the_fifth_failure_in_a_row_opens_it_and_an_answer_begins_the_count_anew() {
    let cases = [
        ("ffff", BreakerState::Closed { failures: 4 }),
        ("fffff", BreakerState::Open { until: after(60) }),
        ("ttttt", BreakerState::Open { until: after(60) }),
        ("ftftf", BreakerState::Open { until: after(60) }),
        ("ffffa", BreakerState::Closed { failures: 0 }),
        ("ffffaffff", BreakerState::Closed { failures: 4 }),
        ("ffffafffff", BreakerState::Open { until: after(60) }),
        ("ffffnf", BreakerState::Open { until: after(60) }),
        ("nnnnnn", BreakerState::Closed { failures: 0 }),
        ("fffnnn", BreakerState::Closed { failures: 3 }),
    ];
    for (script, state) in cases {
        let mut breaker = Breaker::default();
        for letter in script.chars() {
            let result = match letter {
                'a' => CallResult::Answered,
                't' => CallResult::TimedOut,
                'f' => CallResult::Failed,
                _ => CallResult::NotCounted,
            };
            call(&mut breaker, result, NOON);
        }
        assert_eq!(breaker.state(NOON), state, "{script}");
    }
}

#[test]
fn an_open_breaker_refuses_for_a_minute_and_then_lets_one_call_through() {
    let mut breaker = opened();
    for ms in [0, 1, 30_000, 59_999] {
        let now = NOON.plus(Millis(ms));
        assert_eq!(breaker.state(now), BreakerState::Open { until: after(60) });
        assert!(!breaker.takes(now), "{ms}");
        assert_eq!(breaker.admit(now), Admit::Refused { until: after(60) }, "{ms}");
    }
    assert_eq!(
        breaker.state(after(60)),
        BreakerState::HalfOpen { is_probing: false }
    );
    assert!(breaker.takes(after(60)));
    assert!(matches!(breaker.admit(after(60)), Admit::Probe(_)));
    assert_eq!(
        breaker.state(after(61)),
        BreakerState::HalfOpen { is_probing: true }
    );
    for seconds in [60, 61, 3_600] {
        let now = after(seconds);
        assert!(!breaker.takes(now));
        assert_eq!(
            breaker.admit(now),
            Admit::Refused { until: now },
            "the probe is out"
        );
    }
}

#[test]
fn the_result_of_the_probe_closes_it_or_opens_it_for_another_minute() {
    let (mut breaker, pass) = probing();
    let change = breaker.ended(&POLICY, pass, CallResult::Answered, after(62));
    assert_eq!(change, Some(Change::Closed));
    assert_eq!(breaker.state(after(62)), BreakerState::Closed { failures: 0 });
    assert!(matches!(breaker.admit(after(62)), Admit::Go(_)));

    for result in [CallResult::Failed, CallResult::TimedOut] {
        let (mut breaker, pass) = probing();
        assert_eq!(
            breaker.ended(&POLICY, pass, result, after(62)),
            Some(Change::Opened)
        );
        assert_eq!(
            breaker.admit(after(121)),
            Admit::Refused { until: after(122) },
            "{result:?}"
        );
        assert!(matches!(breaker.admit(after(122)), Admit::Probe(_)), "{result:?}");
    }
}

#[test]
fn a_probe_that_came_to_nothing_makes_room_for_another_and_has_no_second_say() {
    let (mut breaker, lost) = probing();
    assert_eq!(
        breaker.ended(&POLICY, lost, CallResult::NotCounted, after(61)),
        None
    );
    assert_eq!(
        breaker.state(after(61)),
        BreakerState::HalfOpen { is_probing: false }
    );
    let next = breaker.admit(after(61));
    assert!(matches!(next, Admit::Probe(_)), "at once, not a minute later");
    for result in [CallResult::Failed, CallResult::Answered, CallResult::NotCounted] {
        assert_eq!(breaker.ended(&POLICY, lost, result, after(62)), None);
        assert_eq!(
            breaker.state(after(62)),
            BreakerState::HalfOpen { is_probing: true },
            "{result:?}"
        );
    }
    let pass = next.pass().unwrap();
    assert_eq!(
        breaker.ended(&POLICY, pass, CallResult::Answered, after(63)),
        Some(Change::Closed)
    );
}

#[test]
fn calls_from_before_a_change_change_nothing() {
    let results = [CallResult::Answered, CallResult::TimedOut, CallResult::Failed];
    let mut breaker = Breaker::default();
    let early = breaker.admit(NOON).pass().unwrap();
    for _ in 0..5 {
        call(&mut breaker, CallResult::Failed, NOON);
    }
    let stays = |breaker: &mut Breaker, state: BreakerState| {
        for result in results {
            assert_eq!(breaker.ended(&POLICY, early, result, after(60)), None);
            assert_eq!(breaker.state(after(59)), state, "{result:?}");
        }
    };
    stays(&mut breaker, BreakerState::Open { until: after(60) });
    let probe = breaker.admit(after(60)).pass().unwrap();
    stays(&mut breaker, BreakerState::HalfOpen { is_probing: true });
    breaker.ended(&POLICY, probe, CallResult::Answered, after(60));
    stays(&mut breaker, BreakerState::Closed { failures: 0 });
    call(&mut breaker, CallResult::Failed, after(60));
    stays(&mut breaker, BreakerState::Closed { failures: 1 });
}

#[test]
fn a_clock_that_goes_back_neither_opens_it_nor_keeps_it_open_for_the_difference() {
    let mut breaker = opened();
    let back = |seconds: u64| Timestamp::from_unix_ms(NOON.unix_ms() - seconds * 1000);
    // Read in another order by two threads, or corrected a little: it stays open, for at most its time on either side.
    for now in [back(1), back(59)] {
        assert_eq!(breaker.admit(now), Admit::Refused { until: after(60) });
    }
    for now in [back(60), back(3_600), Timestamp::default()] {
        let mut breaker = breaker.clone();
        assert!(matches!(breaker.admit(now), Admit::Probe(_)), "{now}");
    }
    let (mut breaker, pass) = probing();
    assert_eq!(breaker.admit(back(3_600)), Admit::Refused { until: back(3_600) });
    breaker.ended(&POLICY, pass, CallResult::NotCounted, back(3_600));
    assert!(
        breaker.takes(after(1)),
        "half-open it stays, in what was its open time"
    );
    let pass = breaker.admit(after(1)).pass().unwrap();
    breaker.ended(&POLICY, pass, CallResult::Answered, after(1));
    assert!(
        breaker.takes(back(1)) && breaker.takes(after(1)),
        "closed it stays"
    );
    let at_the_end = Timestamp::from_unix_ms(u64::MAX);
    for _ in 0..5 {
        call(&mut breaker, CallResult::Failed, at_the_end);
    }
    assert!(breaker.takes(at_the_end), "there is no time left to be open in");
}

#[test]
fn states_and_changes_have_words() {
    let words = [
        BreakerState::Closed { failures: 3 }.as_str(),
        BreakerState::Open { until: NOON }.as_str(),
        BreakerState::HalfOpen { is_probing: true }.as_str(),
        Change::Opened.as_str(),
        Change::HalfOpened.as_str(),
        Change::Closed.as_str(),
    ];
    assert_eq!(
        words,
        ["closed", "open", "half_open", "opened", "half_opened", "closed"]
    );
}

#[derive(Clone, Debug)]
enum Step {
    Ask,
    /// The call at this place of those under way ends.
    End(usize, CallResult),
    /// The clock moves by this many milliseconds.
    Move(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let results = vec![
        CallResult::Answered,
        CallResult::TimedOut,
        CallResult::Failed,
        CallResult::Failed,
        CallResult::Failed,
        CallResult::NotCounted,
    ];
    prop_oneof![
        4 => Just(Step::Ask),
        4 => (0_usize..8, select(results)).prop_map(|(place, result)| Step::End(place, result)),
        1 => (-5_000_i64..70_000).prop_map(Step::Move),
        1 => (-200_000_i64..200_000).prop_map(Step::Move),
    ]
}

/// What happened, kept as a plain list from which the state can be told.
#[derive(Default)]
struct History {
    /// Results of calls that were let through since the last change, in order.
    results: Vec<CallResult>,
    /// How often the state has changed.
    changes: usize,
    /// Calls under way: pass, changes when it was let through, whether it is a probe.
    under_way: Vec<(Pass, usize, bool)>,
    opened_at: Option<Timestamp>,
    is_half_open: bool,
}

impl History {
    fn failures(&self) -> usize {
        let counted = self.results.iter().rev();
        counted
            .filter(|result| **result != CallResult::NotCounted)
            .take_while(|result| **result != CallResult::Answered)
            .count()
    }

    fn changed(&mut self, change: Change, now: Timestamp) {
        self.changes += 1;
        self.results.clear();
        self.opened_at = (change == Change::Opened).then_some(now);
        self.is_half_open = change == Change::HalfOpened;
    }

    fn probes(&self) -> usize {
        let changes = self.changes;
        let probes = self.under_way.iter();
        probes.filter(|call| call.2 && call.1 == changes).count()
    }

    fn admitted(&mut self, admit: Admit, now: Timestamp) {
        let was_open = self.opened_at;
        match admit {
            Admit::Go(pass) => {
                assert_eq!((was_open, self.is_half_open), (None, false), "only when closed");
                self.under_way.push((pass, self.changes, false));
            }
            Admit::Probe(pass) => {
                assert_eq!(self.probes(), 0, "one probe at a time");
                if let Some(opened_at) = was_open {
                    let is_open = now >= opened_at && now.since(opened_at) < POLICY.open;
                    assert!(!is_open, "let through while open");
                }
                assert!(was_open.is_some() || self.is_half_open, "a probe of a closed one");
                self.changed(Change::HalfOpened, now);
                self.under_way.push((pass, self.changes, true));
            }
            Admit::Refused { .. } => assert!(was_open.is_some() || self.probes() == 1, "refused for nothing"),
        }
    }

    fn ended(&mut self, place: usize, result: CallResult, change: Option<Change>, now: Timestamp) {
        let (_, admitted_at, is_probe) = self.under_way.remove(place);
        if admitted_at != self.changes {
            assert_eq!(change, None, "an older call has no say");
            return;
        }
        let expected = match (is_probe, result) {
            (_, CallResult::NotCounted) => None,
            (true, CallResult::Answered) => Some(Change::Closed),
            (true, CallResult::TimedOut | CallResult::Failed) => Some(Change::Opened),
            (false, _) => {
                self.results.push(result);
                (self.failures() == 5).then_some(Change::Opened)
            }
        };
        assert_eq!(change, expected);
        if let Some(change) = change {
            self.changed(change, now);
        }
    }
}

proptest! {
    #[test]
    fn at_most_one_probe_nothing_while_open_and_only_this_generation_counts(steps in vec(step(), 1..400)) {
        let (mut breaker, mut history, mut now) = (Breaker::default(), History::default(), NOON);
        for step in steps {
            match step {
                Step::Ask => {
                    let takes = breaker.takes(now);
                    let admit = breaker.admit(now);
                    prop_assert_eq!(takes, admit.pass().is_some());
                    history.admitted(admit, now);
                }
                Step::End(place, result) => {
                    if let Some(place) = place.checked_rem(history.under_way.len()) {
                        let pass = history.under_way[place].0;
                        let change = breaker.ended(&POLICY, pass, result, now);
                        history.ended(place, result, change, now);
                    }
                }
                Step::Move(ms) => now = Timestamp::from_unix_ms(now.unix_ms().saturating_add_signed(ms)),
            }
            match breaker.state(now) {
                BreakerState::Closed { failures } => {
                    prop_assert_eq!(usize::try_from(failures).unwrap(), history.failures());
                }
                BreakerState::HalfOpen { is_probing } => prop_assert_eq!(usize::from(is_probing), history.probes()),
                BreakerState::Open { .. } => prop_assert!(history.opened_at.is_some()),
            }
            // Whatever the clock has done, twice the open time is enough.
            let later = [0, 60, 120].map(|seconds| breaker.takes(now.plus(Millis::from_s(seconds))));
            prop_assert!(history.probes() == 1 || later.contains(&true));
        }
    }
}
