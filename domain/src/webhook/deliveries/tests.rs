//! Deliveries by hand, and any history of servers that fail and actors that crash.

#![expect(clippy::arithmetic_side_effects, reason = "small numbers")]

use super::*;
use crate::announcement::AnnouncementKind;
use crate::ids::Seq;
use proptest::prelude::*;
use std::sync::Arc;

const OK: DeliveryOutcome = DeliveryOutcome::Status(200);
const BAD: DeliveryOutcome = DeliveryOutcome::Status(500);

fn now(s: u64) -> Timestamp {
    Timestamp::from_unix_ms(1_000_000 + s * 1000)
}

fn payment(number: u128) -> PaymentId {
    PaymentId::from_bits(number)
}

fn row(seq: u64, of: u128, number: u64) -> EventRow {
    EventRow {
        place: EventPlace {
            seq: Seq(seq),
            index: 0,
        },
        at: now(0),
        payment: payment(of),
        number,
        kind: AnnouncementKind::Succeeded,
    }
}

fn place(seq: u64) -> EventPlace {
    EventPlace {
        seq: Seq(seq),
        index: u8::MAX,
    }
}

fn fresh() -> Deliveries {
    Deliveries::new(EventPlace::START, &[], None)
}

fn sends(tasks: &[Task]) -> Vec<EventRow> {
    let row = |task: &Task| match task {
        Task::Send(row) => *row,
        Task::Resume(..) => panic!("{task:?}"),
    };
    tasks.iter().map(row).collect()
}

#[test]
fn an_object_has_one_delivery_at_a_time_and_others_go_beside_it() {
    let mut deliveries = fresh();
    let rows = [row(1, 1, 1), row(2, 1, 2), row(3, 2, 1)];
    deliveries.take(&rows, place(3));
    assert_eq!(sends(&deliveries.due(now(0), |_| false)), [rows[0], rows[2]]);
    assert_eq!(
        deliveries.ended(&rows[2], (&OK, None), now(0), 0),
        Then::Delivered
    );
    assert_eq!(deliveries.due(now(0), |_| false), []);
    deliveries.ended(&rows[0], (&OK, None), now(0), 0);
    assert_eq!(sends(&deliveries.due(now(0), |_| false)), [rows[1]]);
    assert_eq!(
        deliveries.told(),
        EventPlace {
            seq: Seq(1),
            index: u8::MAX
        }
    );
    deliveries.ended(&rows[1], (&OK, None), now(0), 0);
    assert_eq!(deliveries.told(), place(3));
}

#[test]
fn what_fails_waits_and_holds_back_its_own_object_alone() {
    let mut deliveries = fresh();
    let rows = [row(1, 1, 1), row(2, 1, 2), row(3, 2, 1)];
    deliveries.take(&rows, place(3));
    deliveries.due(now(0), |_| false);
    let then = deliveries.ended(&rows[0], (&BAD, None), now(0), 0);
    assert_eq!(then, Then::Again(now(5)));
    deliveries.ended(&rows[2], (&OK, None), now(0), 0);
    let more = [row(4, 1, 3), row(5, 2, 2)];
    deliveries.take(&more, place(5));
    assert_eq!(sends(&deliveries.due(now(4), |_| false)), [more[1]]);
    assert_eq!(deliveries.due(now(5), |_| false), [Task::Resume(payment(1), 1)]);
    assert_eq!(deliveries.attempts(payment(1)), 1);
    // All that is missing comes one after the other, and then there is nothing more.
    for (missing, next) in [(rows[0], 2), (rows[1], 3), (more[0], 4)] {
        deliveries.ended(&missing, (&OK, None), now(5), 0);
        assert_eq!(
            deliveries.due(now(5), |_| false),
            [Task::Resume(payment(1), next)]
        );
    }
    let read_to = deliveries.read_to();
    deliveries.caught_up(payment(1), read_to, now(5));
    deliveries.take(&[row(6, 1, 4)], place(6));
    assert_eq!(sends(&deliveries.due(now(5), |_| false)), [row(6, 1, 4)]);
}

#[test]
fn an_endpoint_that_is_down_gets_one_at_a_time_and_everything_once_it_is_back() {
    let mut deliveries = fresh();
    let rows: Vec<_> = (1..=40).map(|n| row(n, n.into(), 1)).collect();
    deliveries.take(&rows, place(40));
    for row in sends(&deliveries.due(now(0), |_| false)) {
        deliveries.ended(&row, (&BAD, None), now(0), 0);
    }
    assert_eq!((deliveries.parked(), deliveries.room()), (SENT_MAX, 0));
    assert_eq!(deliveries.due(now(1), |_| false), []);
    let probe = deliveries.due(now(6), |_| false);
    assert_eq!(probe, [Task::Resume(payment(1), 1)]);
    deliveries.ended(&rows[0], (&BAD, None), now(6), 0);
    assert_eq!(deliveries.due(now(6), |_| false), [Task::Resume(payment(2), 1)]);
    deliveries.ended(&rows[1], (&OK, None), now(6), 0);
    assert!(deliveries.failing().is_none());
    // Whatever waits is due at once, also what was to wait for minutes.
    assert_eq!(deliveries.due(now(6), |_| false).len(), SENT_MAX);
    assert!(deliveries.room() > 0);
}

#[test]
fn three_days_of_nothing_but_failures_disable_and_so_does_a_410_at_once() {
    let mut deliveries = fresh();
    deliveries.take(&[row(1, 1, 1)], place(1));
    let mut time = now(0);
    let mut deliveries_in_vain = 0;
    let end = loop {
        let tasks = deliveries.due(time, |_| false);
        assert_eq!(tasks.len(), 1);
        deliveries_in_vain += 1;
        match deliveries.ended(&row(1, 1, 1), (&BAD, None), time, 0) {
            Then::Again(due) => time = due,
            then @ (Then::Delivered | Then::GivenUp | Then::Disabled(_)) => break then,
        }
    };
    assert_eq!(end, Then::Disabled(WhyDisabled::Failing));
    assert!(time.since(now(0)) >= DISABLED_AFTER);
    assert_eq!(deliveries_in_vain, 10);
    let mut deliveries = fresh();
    deliveries.take(&[row(1, 1, 1)], place(1));
    deliveries.due(now(0), |_| false);
    let gone = deliveries.ended(&row(1, 1, 1), (&DeliveryOutcome::Status(410), None), now(0), 0);
    assert_eq!(gone, Then::Disabled(WhyDisabled::Gone));
}

#[test]
fn one_poisonous_announcement_is_given_up_while_others_arrive_and_those_behind_it_go_on() {
    let mut deliveries = fresh();
    deliveries.take(&[row(1, 1, 1), row(2, 1, 2)], place(2));
    let (mut time, mut seq) = (now(0), 10);
    deliveries.due(time, |_| false);
    let mut then = deliveries.ended(&row(1, 1, 1), (&BAD, None), time, 0);
    while let Then::Again(due) = then {
        // Something else arrives meanwhile, so the endpoint is well.
        seq += 1;
        let other = row(seq, seq.into(), 1);
        deliveries.take(&[other], place(seq));
        assert_eq!(deliveries.due(time, |_| false), [Task::Send(other)]);
        deliveries.ended(&other, (&OK, None), time, 0);
        time = due;
        assert_eq!(deliveries.due(time, |_| false), [Task::Resume(payment(1), 1)]);
        then = deliveries.ended(&row(1, 1, 1), (&BAD, None), time, 0);
    }
    assert_eq!(then, Then::GivenUp);
    assert_eq!(deliveries.due(time, |_| false), [Task::Resume(payment(1), 2)]);
}

#[test]
fn what_cannot_be_read_is_put_off_and_is_nobodys_failure() {
    let mut deliveries = fresh();
    deliveries.take(&[row(1, 1, 1)], place(1));
    let task = deliveries.due(now(0), |_| false)[0];
    deliveries.put_off(task, now(2));
    assert!(deliveries.failing().is_none());
    assert_eq!(deliveries.due(now(1), |_| false), []);
    let task = deliveries.due(now(2), |_| false)[0];
    assert_eq!(task, Task::Resume(payment(1), 1));
    deliveries.put_off(task, now(3));
    assert_eq!(deliveries.due(now(3), |_| false), [Task::Resume(payment(1), 1)]);
    assert_eq!(deliveries.attempts(payment(1)), 0);
}

/// A merchant's journal of announcements, a server, and an endpoint actor that crashes now and then.
#[derive(Debug)]
struct World {
    journal: Vec<EventRow>,
    arrived: BTreeMap<PaymentId, Vec<u64>>,
    kept: (EventPlace, BTreeMap<PaymentId, Parked>, Option<Failing>),
    time: Timestamp,
    deliveries: Deliveries,
    on_their_way: VecDeque<EventRow>,
    /// Parked objects that are being looked at: from which number, and up to where.
    looking: VecDeque<(PaymentId, u64, EventPlace)>,
}

impl World {
    fn new(objects: &[u128]) -> Self {
        let mut numbers = BTreeMap::new();
        let mut journal = Vec::new();
        for (seq, object) in (1..).zip(objects) {
            let number = numbers.entry(*object).or_insert(0);
            *number += 1;
            journal.push(row(seq, *object, *number));
        }
        Self {
            journal,
            arrived: BTreeMap::new(),
            kept: (EventPlace::START, BTreeMap::new(), None),
            time: now(0),
            deliveries: fresh(),
            on_their_way: VecDeque::new(),
            looking: VecDeque::new(),
        }
    }

    fn read(&mut self, most: usize) {
        let room = self.deliveries.room().min(most);
        let behind = self.deliveries.read_to();
        let rows: Vec<_> = self
            .journal
            .iter()
            .filter(|row| row.place > behind)
            .take(room)
            .copied()
            .collect();
        if let Some(last) = rows.last() {
            self.deliveries.take(&rows, last.place);
        }
    }

    fn begin(&mut self) {
        for task in self.deliveries.due(self.time, |_| false) {
            match task {
                Task::Send(row) => self.on_their_way.push_back(row),
                Task::Resume(payment, next) => {
                    self.looking.push_back((payment, next, self.deliveries.read_to()));
                }
            }
        }
    }

    /// What was looked for is found, or not; more may have been read since.
    fn find(&mut self) {
        let Some((payment, next, read_to)) = self.looking.pop_front() else {
            return;
        };
        let mut rows = self.journal.iter();
        let found = rows.find(|row| row.payment == payment && row.number >= next && row.place <= read_to);
        match found {
            Some(row) => self.on_their_way.push_back(*row),
            None => self.deliveries.caught_up(payment, read_to, self.time),
        }
    }

    fn check(&self) {
        let objects: BTreeSet<_> = self.on_their_way.iter().map(|row| row.payment).collect();
        assert_eq!(
            objects.len(),
            self.on_their_way.len(),
            "two of one object on their way"
        );
        assert!(self.on_their_way.len() <= SENT_MAX);
        assert!(self.deliveries.parked.len() <= PARKED_MAX + WINDOW_MAX);
    }

    fn end(&mut self, which: usize, arrives: bool, is_told: bool) {
        if self.on_their_way.is_empty() {
            return;
        }
        let Some(row) = self.on_their_way.remove(which % self.on_their_way.len()) else {
            return;
        };
        if arrives {
            self.arrived.entry(row.payment).or_default().push(row.number);
        }
        // An answer may be lost on its way back.
        let outcome = if arrives && is_told { OK } else { BAD };
        self.deliveries
            .ended(&row, (&outcome, None), self.time, which as u64);
    }

    fn note(&mut self) {
        self.kept.0 = self.deliveries.told();
        for (payment, parked) in self.deliveries.changes() {
            match parked {
                Some(parked) => self.kept.1.insert(payment, parked),
                None => self.kept.1.remove(&payment),
            };
        }
        self.kept.2 = self.deliveries.failing();
    }

    fn crash(&mut self) {
        let parked: Vec<_> = self
            .kept
            .1
            .iter()
            .map(|(payment, parked)| (*payment, *parked))
            .collect();
        self.deliveries = Deliveries::new(self.kept.0, &parked, self.kept.2);
        self.on_their_way.clear();
        self.looking.clear();
    }

    /// Everything arrives from now on.
    fn finish(&mut self) {
        for _ in 0..100_000 {
            self.read(usize::MAX);
            self.begin();
            self.find();
            if self.on_their_way.is_empty() && self.looking.is_empty() {
                let Some((due, _)) = self.deliveries.dues.first() else {
                    if self.deliveries.read_to()
                        >= self.journal.last().map_or(EventPlace::START, |row| row.place)
                    {
                        return;
                    }
                    continue;
                };
                self.time = self.time.max(*due);
            }
            self.end(0, true, true);
        }
        panic!("it never ends: {:?}", self.deliveries);
    }
}

#[derive(Clone, Debug)]
enum Act {
    Read(usize),
    Begin,
    Find,
    End(usize, bool, bool),
    Note,
    Crash,
    Wait(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (1_usize..8).prop_map(Act::Read),
        5 => Just(Act::Begin),
        4 => Just(Act::Find),
        8 => (0_usize..16, any::<bool>(), prop::bool::weighted(0.9)).prop_map(|(which, ok, told)| Act::End(which, ok, told)),
        3 => Just(Act::Note),
        1 => Just(Act::Crash),
        2 => (0_u64..400).prop_map(Act::Wait),
    ]
}

proptest! {
    /// Whatever fails, is lost or crashes: each object's announcements arrive all of them, for the first time in their order.
    #[test]
    fn everything_arrives_and_each_objects_own_in_their_order(
        objects in prop::collection::vec(1_u128..12, 1..120),
        acts in prop::collection::vec(act(), 0..300),
    ) {
        let mut world = World::new(&objects);
        for act in acts {
            match act {
                Act::Read(most) => world.read(most),
                Act::Begin => world.begin(),
                Act::Find => world.find(),
                Act::End(which, arrives, is_told) => world.end(which, arrives, is_told),
                Act::Note => world.note(),
                Act::Crash => world.crash(),
                Act::Wait(s) => world.time = world.time.plus(Millis::from_s(s)),
            }
            world.check();
        }
        world.finish();
        for (payment, numbers) in &world.arrived {
            let mut seen = 0;
            for number in numbers {
                prop_assert!(*number <= seen + 1, "{payment}: {number} after {seen}");
                seen = seen.max(*number);
            }
        }
        for row in &world.journal {
            let arrived = world.arrived.get(&row.payment);
            prop_assert!(arrived.is_some_and(|numbers| numbers.contains(&row.number)), "{row:?}");
        }
    }
}

#[test]
fn a_stretch_is_done_when_all_of_it_is_settled_and_begins_again_before_what_is_parked() {
    let mut stretch = Deliveries::stretch(place(1), place(3));
    let rows = [row(2, 1, 2), row(3, 2, 1)];
    assert_eq!(stretch.room(), WINDOW_MAX);
    stretch.take(&rows, place(3));
    assert_eq!(stretch.room(), 0);
    stretch.due(now(0), |_| false);
    stretch.ended(
        &rows[0],
        (&DeliveryOutcome::Unanswered(Arc::from("nobody")), None),
        now(0),
        0,
    );
    stretch.ended(&rows[1], (&OK, None), now(0), 0);
    assert!(!stretch.is_done());
    assert_eq!(stretch.told(), place(3));
    assert_eq!(
        stretch.settled(),
        EventPlace {
            seq: Seq(1),
            index: u8::MAX
        }
    );
    assert_eq!(stretch.due(now(5), |_| false), [Task::Resume(payment(1), 2)]);
    stretch.ended(&rows[0], (&OK, None), now(5), 0);
    assert_eq!(stretch.due(now(5), |_| false), [Task::Resume(payment(1), 3)]);
    stretch.caught_up(payment(1), place(3), now(5));
    assert!(stretch.is_done());
    assert_eq!(stretch.settled(), place(3));
}

#[test]
fn two_failures_that_lie_days_apart_disable_nothing() {
    let mut deliveries = fresh();
    deliveries.take(&[row(1, 1, 1)], place(1));
    deliveries.due(now(0), |_| false);
    deliveries.ended(&row(1, 1, 1), (&BAD, None), now(0), 0);
    // Nobody was here to send for four days.
    let late = now(4 * 24 * 3600);
    assert_eq!(deliveries.due(late, |_| false).len(), 1);
    let then = deliveries.ended(&row(1, 1, 1), (&BAD, None), late, 0);
    assert!(matches!(then, Then::Again(_)), "{then:?}");
}

#[test]
fn an_endpoint_that_is_down_is_tried_every_quarter_of_an_hour_though_everything_waits_longer() {
    let mut deliveries = fresh();
    let rows: Vec<_> = (1..=16).map(|n| row(n, n.into(), 1)).collect();
    deliveries.take(&rows, place(16));
    for row in sends(&deliveries.due(now(0), |_| false)) {
        let hour = Some(Millis::from_s(24 * 3600));
        deliveries.ended(&row, (&BAD, hour), now(0), 0);
    }
    assert_eq!(deliveries.due(now(899), |_| false), []);
    assert_eq!(deliveries.due(now(900), |_| false), [Task::Resume(payment(1), 1)]);
    assert_eq!(deliveries.due(now(2000), |_| false), []);
}

#[test]
fn what_is_sent_again_is_tried_four_times_disables_nothing_and_waits_for_what_is_new_of_its_object() {
    let mut stretch = Deliveries::stretch(EventPlace::START, place(2));
    stretch.take(&[row(1, 1, 1), row(2, 2, 1)], place(2));
    assert_eq!(
        stretch.due(now(0), |held| held == payment(1)),
        [Task::Send(row(2, 2, 1))]
    );
    stretch.ended(&row(2, 2, 1), (&OK, None), now(0), 0);
    let mut time = now(0);
    assert_eq!(stretch.due(time, |_| false).len(), 1);
    let mut then = stretch.ended(&row(1, 1, 1), (&BAD, None), time, 0);
    let mut tries = 1;
    while let Then::Again(due) = then {
        time = due;
        assert_eq!(stretch.due(time, |held| held == payment(1)), []);
        assert_eq!(stretch.due(time, |_| false), [Task::Resume(payment(1), 1)]);
        then = stretch.ended(&row(1, 1, 1), (&BAD, None), time.plus(DISABLED_AFTER), 0);
        tries += 1;
    }
    assert_eq!((tries, then), (REPLAY_TRIES_MAX, Then::GivenUp));
    stretch.due(time.plus(DISABLED_AFTER), |_| false);
    stretch.caught_up(payment(1), place(2), time);
    assert!(stretch.is_done());
}

#[test]
fn an_endpoint_that_somebody_has_seen_to_is_sent_everything_at_once() {
    let mut deliveries = fresh();
    let rows: Vec<_> = (1..=16).map(|n| row(n, n.into(), 1)).collect();
    deliveries.take(&rows, place(16));
    for row in sends(&deliveries.due(now(0), |_| false)) {
        deliveries.ended(&row, (&BAD, None), now(0), 0);
    }
    deliveries.hurry(now(1));
    assert_eq!(deliveries.due(now(1), |_| false).len(), SENT_MAX);
}
