//! What processes hear of each other, and that whatever becomes of the place between them one process alone decides as it would without it.

use super::*;
use crate::errors::ApiError;
use crate::rate_limits::tests::{key, limit, local, told};
use crate::rate_limits::{Standing, Taken, us};
use florin_domain::ids::PaymentLinkId;
use florin_domain::ports::BoxFuture;
use proptest::prelude::*;
use std::collections::HashMap;
use std::sync::Mutex;
use tokio::time::{Instant, advance};

/// What the place between processes does with what it is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mood {
    /// Counts and answers.
    #[default]
    Well,
    /// Counts it, and nobody hears.
    Mute,
    /// Hears nothing, and nobody hears it.
    Gone,
}

/// The place between processes: what its script does, by the clock of the test.
#[derive(Debug, Default)]
struct Place {
    full_at: Mutex<HashMap<LimitedBy, Instant>>,
    mood: Mutex<Mood>,
    /// Whom it was told of, and when.
    told: Mutex<Vec<(LimitedBy, Instant)>>,
}

impl Place {
    fn count(&self, spent: &Spent) -> u64 {
        let now = Instant::now();
        self.told.lock().unwrap().push((spent.whose, now));
        let mut full_at = self.full_at.lock().unwrap();
        let kept = full_at
            .get(&spent.whose)
            .map(|at| *at + Duration::from_micros(spent.untold_us));
        let own = now + Duration::from_micros(spent.own_us);
        let at = kept
            .unwrap_or(own)
            .max(own)
            .min(now + 2 * Duration::from_micros(spent.whole_us));
        full_at.insert(spent.whose, at);
        us(at.saturating_duration_since(now))
    }

    fn told(&self) -> Vec<(LimitedBy, Instant)> {
        std::mem::take(&mut *self.told.lock().unwrap())
    }
}

impl SharedLimits for Place {
    fn exchange(&self, spent: Vec<Spent>) -> BoxFuture<'_, Option<Vec<u64>>> {
        Box::pin(async move {
            let mood = *self.mood.lock().unwrap();
            if mood == Mood::Gone {
                return None;
            }
            let full_after = spent.iter().map(|spent| self.count(spent)).collect();
            (mood == Mood::Well).then_some(full_after)
        })
    }
}

/// One process.
struct Process {
    limits: Arc<RateLimits>,
    exchanges: Exchanges,
}

impl Process {
    fn new(place: &Arc<Place>, (requests_per_s, burst): (u32, u32)) -> Self {
        let place = Some(Arc::clone(place) as _);
        let (limits, exchanges) = RateLimits::new(Some(limit(requests_per_s, burst)), None, place);
        Self {
            limits: Arc::new(limits),
            exchanges: exchanges.unwrap(),
        }
    }

    fn take(&self) -> Taken {
        self.limits.take(&key(1), || false)
    }

    /// How many of so many requests may go on.
    fn within(&self, requests: usize) -> usize {
        let taken = (0..requests).map(|_| self.take());
        taken.filter(|taken| matches!(taken, Taken::Within(_))).count()
    }

    async fn exchange(&mut self) {
        if !self.exchanges.waiting.is_empty() {
            self.exchanges.next(&self.limits).await;
        }
    }
}

fn pair(place: &Arc<Place>, limited_to: (u32, u32)) -> [Process; 2] {
    [Process::new(place, limited_to), Process::new(place, limited_to)]
}

#[tokio::test(start_paused = true)]
async fn what_was_spent_elsewhere_is_missing_here_from_the_first_exchange_on_and_comes_back_with_time() {
    let place = Arc::default();
    let [mut one, mut other] = pair(&place, (1, 50));
    assert_eq!(one.within(40), 40);
    one.exchange().await;
    let left = |process: &Process| match process.take() {
        Taken::Within(standing) => told(&process.limits, standing)[1].clone(),
        taken => panic!("{taken:?}"),
    };
    assert_eq!(left(&other), r#""default";r=49;t=1"#, "nothing was heard yet");
    other.exchange().await;
    assert_eq!(left(&other), r#""default";r=8;t=42"#, "40, and two of its own");
    assert_eq!(other.within(20), 8);
    let over = Taken::Over(Standing { left: 0, owed_s: 0 }, 1);
    assert_eq!(other.take(), over);
    advance(Duration::from_secs(20)).await;
    assert_eq!(
        left(&other),
        r#""default";r=19;t=31"#,
        "twenty came back, to both"
    );
    other.exchange().await;
    assert_eq!(
        left(&one),
        r#""default";r=29;t=21"#,
        "it has not heard of ten yet"
    );
    one.exchange().await;
    assert_eq!(left(&one), r#""default";r=17;t=33"#);
    advance(Duration::from_secs(50)).await;
    assert_eq!(left(&other), r#""default";r=49;t=1"#);
}

#[tokio::test(start_paused = true)]
async fn the_requests_under_a_link_are_counted_together_and_apart_from_those_of_others() {
    let place = Arc::default();
    let [mut one, mut other] = pair(&place, (1, 10));
    let [link, another] = [1, 2].map(PaymentLinkId::from_bits);
    for _ in 0..10 {
        one.limits.take_for_link(link).unwrap();
    }
    one.exchange().await;
    other.limits.take_for_link(link).unwrap();
    other.exchange().await;
    let refused = Err(ApiError::RateLimited { retry_after_s: 2 });
    assert_eq!(other.limits.take_for_link(link), refused, "of eleven one is owed");
    assert_eq!(other.limits.take_for_link(another), Ok(()));
    assert_eq!(other.within(10), 10, "a key of the same number");
}

#[tokio::test(start_paused = true)]
async fn two_together_let_pass_one_burst_and_what_came_between_two_exchanges() {
    let (burst, each_round) = (100, 7);
    let run = async |is_shared: bool| {
        let place = Arc::default();
        let mut processes = pair(&place, (1, burst));
        let mut passed = 0;
        for _ in 0..40 {
            for process in &mut processes {
                passed += process.within(each_round);
                if is_shared {
                    process.exchange().await;
                }
            }
        }
        // As steadily as both are asked, no more comes back than one allowance has.
        for _ in 0..60 {
            advance(Duration::from_secs(1)).await;
            for process in &mut processes {
                passed += process.within(each_round);
                if is_shared {
                    process.exchange().await;
                }
            }
        }
        passed
    };
    let (burst, alone, shared) = (100, run(false).await, run(true).await);
    assert_eq!(alone, 2 * (burst + 60));
    // One asks before it hears what the other has just taken, in a second as in the burst.
    assert!(
        (burst + 60..=burst + 60 + 2 * each_round).contains(&shared),
        "{shared}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_two_let_pass_of_one_allowance_is_owed_once_and_said() {
    let place = Arc::default();
    let mut processes = pair(&place, (1, 50));
    for process in &processes {
        assert_eq!(process.within(60), 50);
    }
    for _ in 0..2 {
        for process in &mut processes {
            process.exchange().await;
        }
    }
    // The first of them has not heard of the second yet, which owes all that there is.
    let [first, second] = &processes;
    assert_eq!(first.take(), Taken::Over(Standing { left: 0, owed_s: 0 }, 1));
    let over = Standing { left: 0, owed_s: 50 };
    assert_eq!(second.take(), Taken::Over(over, 51));
    assert_eq!(told(&second.limits, over)[1], r#""default";r=0;t=100"#);
    advance(Duration::from_secs(51)).await;
    assert_eq!(second.within(9), 1);
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_is_new_is_told_of_at_once_and_others_ten_times_a_second() {
    let place = Arc::<Place>::default();
    let process = Process::new(&place, (10, 50));
    let begun = Instant::now();
    let limits = Arc::clone(&process.limits);
    let running = tokio::spawn(process.exchanges.run(Arc::clone(&limits)));
    let told_after = async |number: u128, wait_ms: u64| {
        assert!(matches!(limits.take(&key(number), || false), Taken::Within(_)));
        let from = Instant::now();
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        let told = place.told();
        let [(whose, at)] = told[..] else {
            panic!("{told:?}");
        };
        assert_eq!(whose, LimitedBy::Key(key(number).id));
        at - from
    };
    assert_eq!(told_after(1, 10).await, Duration::ZERO);
    assert_eq!(told_after(2, 10).await, Duration::ZERO, "in the pause");
    assert!(
        told_after(1, 250).await > Duration::from_millis(50),
        "in the pause as well"
    );
    assert_eq!(told_after(2, 20).await, Duration::ZERO, "after it");
    assert_eq!(begun.elapsed(), Duration::from_millis(290));
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn more_buckets_than_may_wait_are_told_of_when_something_is_taken_from_them_again() {
    let place = Arc::<Place>::default();
    let mut process = Process::new(&place, (1, 50));
    let more = 100;
    let links = || (0..WAITING_MAX as u128 + more).map(PaymentLinkId::from_bits);
    for _ in 0..3 {
        for link in links() {
            process.limits.take_for_link(link).unwrap();
        }
    }
    let mut tell_all = async || {
        while !process.exchanges.waiting.is_empty() {
            assert!(process.exchanges.next(&process.limits).await <= AT_ONCE);
        }
        place.told().len()
    };
    assert_eq!(tell_all().await, WAITING_MAX);
    for link in links().skip(WAITING_MAX) {
        process.limits.take_for_link(link).unwrap();
    }
    assert_eq!(tell_all().await, 100);
    let full_at = place.full_at.lock().unwrap();
    let after = |bits| full_at[&LimitedBy::Link(PaymentLinkId::from_bits(bits))] - Instant::now();
    assert_eq!(after(0), Duration::from_secs(3));
    assert_eq!(after(WAITING_MAX as u128), Duration::from_secs(4), "all of it");
}

#[tokio::test(start_paused = true)]
async fn what_the_place_lost_is_told_anew_by_whoever_spends_next() {
    let place = Arc::<Place>::default();
    let [mut one, mut other] = pair(&place, (1, 50));
    assert_eq!(one.within(30), 30);
    one.exchange().await;
    place.full_at.lock().unwrap().clear();
    assert_eq!(one.within(1), 1);
    one.exchange().await;
    assert_eq!(other.within(1), 1);
    other.exchange().await;
    assert_eq!(other.within(50), 50 - 32);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Ask(usize),
    Wait(u64),
    Exchange,
    Become(Mood),
    /// It has what it had in the beginning.
    Forget,
}

fn step() -> impl Strategy<Value = Step> {
    let mood = prop_oneof![Just(Mood::Well), Just(Mood::Mute), Just(Mood::Gone)];
    prop_oneof![
        4 => (1_usize..12).prop_map(Step::Ask),
        3 => (0_u64..4_000).prop_map(Step::Wait),
        4 => Just(Step::Exchange),
        1 => mood.prop_map(Step::Become),
        1 => Just(Step::Forget),
    ]
}

proptest! {
    #[test]
    fn one_process_alone_decides_as_without_the_place_whatever_becomes_of_that(
        steps in proptest::collection::vec(step(), 1..60),
        limited_to in (1_u32..9, 9_u32..30),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let place = Arc::<Place>::default();
            let mut process = Process::new(&place, limited_to);
            let without = local(Some(limit(limited_to.0, limited_to.1)), None);
            for step in steps {
                match step {
                    Step::Ask(requests) => for _ in 0..requests {
                        prop_assert_eq!(process.take(), without.take(&key(1), || false));
                    },
                    Step::Wait(ms) => advance(Duration::from_millis(ms)).await,
                    Step::Exchange => process.exchange().await,
                    Step::Become(mood) => *place.mood.lock().unwrap() = mood,
                    Step::Forget => place.full_at.lock().unwrap().clear(),
                }
            }
            Ok(())
        })?;
    }
}
