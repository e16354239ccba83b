//! Owns the random load: many clients, kills at random moments, and one long life of a process whose memory, handles and actors stay as many.

use super::asked_for;
use super::checks::findings;
use super::disk::Random;
use super::script::{
    ASKED_MAX, Addresses, CARD_NUMBER, Parties, RETRY, Step, Who, held, is_open, keyed, pair, payment,
    payment_of, refused, transfer_id, transfers,
};
use super::world::{Node, Template, World};
use crate::deployment::{Caller, add_fault};
use crate::http::Answer;
use crate::ops::figure;
use crate::process::wait_for;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const CLIENTS: u64 = 6;
/// What each client does in a round.
const TASKS: u64 = 14;
/// Rounds in ordinary runs, and the process is killed twice in each; by time in longer runs.
const ROUNDS: u64 = 6;
const KILLS: usize = 2;
/// Answers of earlier rounds that are asked for again after each round.
const SAMPLE: usize = 200;

/// What clients share.
#[derive(Debug)]
struct Shared<'a> {
    to: Mutex<Addresses>,
    parties: &'a Parties,
    answered: AtomicUsize,
    asked: AtomicU64,
    /// Every request with its final answer.
    acknowledged: Mutex<Vec<(Step, Answer)>>,
    broken: Mutex<Vec<String>>,
}

impl Shared<'_> {
    fn to(&self) -> Addresses {
        *self.to.lock().unwrap()
    }

    /// Asks until the answer is final.
    #[track_caller]
    fn ask(&self, step: Step) -> Answer {
        let answer = self.insist(&step);
        self.acknowledged.lock().unwrap().push((step, answer.clone()));
        self.answered.fetch_add(1, Ordering::Relaxed);
        answer
    }

    #[track_caller]
    fn insist(&self, step: &Step) -> Answer {
        for _ in 0..ASKED_MAX {
            self.asked.fetch_add(1, Ordering::Relaxed);
            match step.send(self.to().api, self.parties.secret(step.who)) {
                Ok(answer) if step.is_final(&answer) => return answer,
                Ok(answer) => assert!(is_open(&answer), "{step:?}: {answer:?}"),
                // The process is gone, and will be back.
                Err(_) => {}
            }
            thread::sleep(RETRY);
        }
        panic!("never answered: {step:?}");
    }

    /// Asks again for what was answered before.
    fn replay(&self, step: &Step, first: &Answer) {
        let second = self.insist(step);
        if !step.holds(first, &second) {
            let broken = format!("{step:?} was answered {first:?}, and then {second:?}");
            self.broken.lock().unwrap().push(broken);
        }
    }
}

/// One thing that a client does: some requests, the later ones about what the first one made.
fn task(shared: &Shared<'_>, random: &mut Random, name: &str, number: u64) {
    let who = [Who::Near, Who::Near, Who::Far][usize::try_from(random.below(3)).unwrap()];
    let amount = 100 + random.below(9_000);
    let about = |made: &Answer, what: &str, nth: u64, body: Value| {
        let path = format!("/v1/payments/{}/{what}", payment_of(made));
        shared.ask(keyed(&format!("{name}-{nth}"), who, path, &body))
    };
    let [bank, one, two, far_bank, far] = &shared.parties.accounts;
    match random.below(9) {
        0..=2 => {
            let made = shared.ask(payment(name, who, amount, "USD", "pm_card_visa"));
            for nth in 0..random.below(3) {
                about(&made, "refunds", nth, json!({"amount": 1 + amount / 4}));
            }
        }
        3 => {
            let made = shared.ask(held(name, who, amount, "EUR"));
            about(&made, "capture", 0, json!({"amount": amount / 3}));
            // Nothing may be left to capture, or the payment would rightly stay in memory.
            match random.below(2) {
                0 => about(&made, "void", 1, json!({})),
                _ => about(&made, "capture", 1, json!({"amount": amount / 3, "final": true})),
            };
            about(&made, "refunds", 2, json!({"amount": 1 + amount / 5}));
        }
        4 => {
            let made = shared.ask(payment(name, who, amount, "JPY", "pm_card_visa_chargeDeclined"));
            about(
                &made,
                "confirm",
                0,
                json!({"payment_method_id": "pm_card_mastercard"}),
            );
        }
        5 => {
            let batch = json!([pair(number, bank, one, amount), pair(number + 1, one, two, 1)]);
            shared.ask(transfers(name, batch, 2));
        }
        6 => {
            let (from, to) = if amount.is_multiple_of(2) {
                (bank, far)
            } else {
                (far_bank, two)
            };
            shared.ask(transfers(name, json!([pair(number, from, to, amount)]), 1));
        }
        7 => {
            let mut reserve = pair(number, bank, one, amount);
            reserve["pending"] = json!(true);
            shared.ask(transfers(name, json!([reserve]), 1));
            let how = ["post_pending", "void_pending"][usize::try_from(amount % 2).unwrap()];
            let end = json!([{"id": transfer_id(number + 1), how: transfer_id(number)}]);
            shared.ask(transfers(&format!("{name}-end"), end, 1));
        }
        _ => {
            let body = json!({"amount": amount, "currency": "USD", "card": {"number": CARD_NUMBER}});
            shared.ask(refused(name, "/v1/payments", body.to_string(), 400));
        }
    }
    let known = {
        let all = shared.acknowledged.lock().unwrap();
        all[usize::try_from(random.below(all.len() as u64)).unwrap()].clone()
    };
    shared.replay(&known.0, &known.1);
}

/// All clients do so many tasks, while `meanwhile` runs beside them.
fn round(shared: &Shared<'_>, seed: u64, (round, tasks): (u64, u64), meanwhile: impl FnOnce()) {
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            scope.spawn(move || {
                let place = round * CLIENTS + client;
                let mut random = Random(seed ^ (place << 32));
                for nth in 0..tasks {
                    let number = 1_000_000 + (place * 100_000 + nth) * 2;
                    task(shared, &mut random, &format!("{seed}-{place}-{nth}"), number);
                }
            });
        }
        meanwhile();
    });
}

/// What a process holds when nobody asks it anything.
#[derive(Clone, Debug, PartialEq)]
struct Held {
    resident_bytes: u64,
    sockets: usize,
    files: usize,
    actors: BTreeMap<String, String>,
}

impl Held {
    /// Once everything that was under way has ended.
    #[track_caller]
    fn of(node: &Node, parties: &Parties) -> Self {
        let operator = Caller::new(node.to.api, &parties.operator);
        let metrics = wait_for("calm", || {
            let metrics = operator.get("/metrics").expect(200).text();
            let zero = |name: &str| figure(&metrics, name, "").is_none_or(|figure| figure < 0.5);
            let is_calm = [
                "florin_in_flight",
                "florin_index_lag_commits",
                "florin_idempotency_keys_held",
            ]
            .into_iter()
            .all(zero);
            is_calm.then_some(metrics)
        });
        let lives = metrics
            .lines()
            .filter_map(|line| line.strip_prefix("florin_actors_live{"));
        let actors = lives
            .filter_map(|line| line.rsplit_once(' '))
            .map(|(kind, count)| (kind.to_owned(), count.to_owned()));
        let process = format!("/proc/{}", node.process.id());
        let status = fs::read_to_string(format!("{process}/statm")).unwrap();
        let pages: u64 = status.split(' ').nth(1).unwrap().parse().unwrap();
        let open = fs::read_dir(format!("{process}/fd")).unwrap();
        let targets: Vec<String> = open
            .filter_map(|handle| fs::read_link(handle.ok()?.path()).ok())
            .map(|target| target.to_string_lossy().into_owned())
            .collect();
        let sockets = targets
            .iter()
            .filter(|target| target.starts_with("socket:"))
            .count();
        Self {
            resident_bytes: pages * 4_096,
            sockets,
            files: targets.len() - sockets,
            actors: actors.collect(),
        }
    }

    /// What has grown since then, beyond what caches and the store's own files may take.
    fn grown_since(&self, before: &Self) -> Vec<String> {
        let mut grown = Vec::new();
        if self.resident_bytes > before.resident_bytes * 2 + MEMORY_MARGIN_BYTES {
            grown.push(format!(
                "memory: {} bytes after {}",
                self.resident_bytes, before.resident_bytes
            ));
        }
        if self.sockets > before.sockets + SOCKETS_MARGIN || self.files > before.files + FILES_MARGIN {
            grown.push(format!("handles: {self:?} after {before:?}"));
        }
        if self.actors != before.actors {
            grown.push(format!("actors: {:?} after {:?}", self.actors, before.actors));
        }
        grown
    }
}

/// The allocator keeps what it once had, and each thread keeps a part of its own.
const MEMORY_MARGIN_BYTES: u64 = 64 << 20;
/// Connections to the provider are kept, as many as were needed at once.
const SOCKETS_MARGIN: usize = 12;
/// The key index has a file for each of its tables, whose number comes and goes.
const FILES_MARGIN: usize = 24;

/// Seeds are printed, and can be given.
fn seed() -> u64 {
    let given = std::env::var("FLORIN_SOAK_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        now.as_secs()
    })
}

/// The provider misbehaves now and then.
fn trouble(to: Addresses, seed: u64) {
    for operation in ["authorize", "capture", "refund"] {
        for mode in ["timeout_after_charge", "drop_connection"] {
            let fields = json!({"operation": operation, "probability": 0.02, "seed": seed});
            add_fault(to.sandbox, mode, &fields);
        }
    }
}

#[test]
fn a_random_load_that_is_killed_again_and_again_loses_and_doubles_nothing_and_a_long_life_holds_no_more() {
    let (template, seed) = (Template::make(), seed());
    println!("soak: FLORIN_SOAK_SEED={seed}");
    let (world, parties) = (World::of(&template), &template.parties);
    let (ends, lasts) = (Instant::now(), asked_for("FLORIN_SOAK_SECONDS"));
    let lasts = lasts.map(|seconds| Duration::from_secs(seconds as u64));
    let mut random = Random(seed);
    let mut node = world.start();
    trouble(node.to, seed);
    let shared = Shared {
        to: Mutex::new(node.to),
        parties,
        answered: AtomicUsize::new(0),
        asked: AtomicU64::new(0),
        acknowledged: Mutex::default(),
        broken: Mutex::default(),
    };
    let (mut kills, mut wrong, mut rounds) = (0, Vec::new(), 0);
    while wrong.is_empty() && lasts.map_or(rounds < ROUNDS, |lasts| ends.elapsed() < lasts) {
        let mut next = None;
        round(&shared, seed, (rounds, TASKS), || {
            let mut node = node;
            for _ in 0..KILLS {
                let goal =
                    shared.answered.load(Ordering::Relaxed) + 10 + usize::try_from(random.below(30)).unwrap();
                wait_for("answers", || {
                    (shared.answered.load(Ordering::Relaxed) >= goal).then_some(())
                });
                node.process.kill_9();
                kills += 1;
                node = world.start();
                *shared.to.lock().unwrap() = node.to;
            }
            next = Some(node);
        });
        let last = next.expect("a round ends with a node that runs");
        wrong.extend(examine(&shared, &world, last, &mut random));
        node = world.start();
        *shared.to.lock().unwrap() = node.to;
        rounds += 1;
    }
    // One life: what it holds after a quarter of its work is what it holds at the end.
    round(&shared, seed, (rounds, TASKS), || {});
    let early = Held::of(&node, parties);
    for more in 1..=3 {
        round(&shared, seed, (rounds + more, TASKS), || {});
    }
    let late = Held::of(&node, parties);
    wrong.extend(late.grown_since(&early));
    wrong.extend(examine(&shared, &world, node, &mut random));
    let doubled = wrong.iter().filter(|finding| finding.contains(" once: ")).count();
    for finding in &wrong {
        println!("{finding}");
    }
    world.stop();
    println!(
        "soak seed={seed} ops={} kills={kills} acked={} lost={} doubled={doubled}",
        shared.asked.load(Ordering::Relaxed),
        shared.answered.load(Ordering::Relaxed),
        wrong.len() - doubled
    );
    assert!(
        wrong.is_empty(),
        "again: FLORIN_SOAK_SEED={seed} cargo test --test it crash_points::soak -- --nocapture"
    );
}

/// Asks again for what was answered, as much of it as is bearable, and holds everything against each other. Ends the node.
fn examine(shared: &Shared<'_>, world: &World, node: Node, random: &mut Random) -> Vec<String> {
    let all = shared.acknowledged.lock().unwrap().clone();
    let recent = all.len().saturating_sub(SAMPLE);
    for (place, (step, first)) in all.iter().enumerate() {
        if place >= recent || random.below(all.len() as u64) < SAMPLE as u64 {
            shared.replay(step, first);
        }
    }
    let evidence = world.evidence(node, shared.parties);
    let mut wrong: Vec<String> = shared.broken.lock().unwrap().drain(..).collect();
    wrong.extend(findings(&evidence));
    wrong.extend(world.verified());
    wrong
}
