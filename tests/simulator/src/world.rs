//! Owns what is outside the process: time, chance, what was seen, and whether the process lives.

use crate::clock::{WorldClock, WorldEntropy, WorldKeys, lock};
use crate::dice::Dice;
use crate::fault::{Fault, Plan, Scenario};
use crate::journaled::Journaled;
use crate::notices::Outbox;
use crate::stops::Stopped;
use crate::tally::{Death, Sightings, Tally};
use florin_actors::context::{Fatal, Probe, Step};
use florin_actors::offload::{Chore, Offload};
use florin_domain::ids::PaymentId;
use florin_domain::ports::BoxFuture;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fmt;
use std::future::ready;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

/// What panics that the simulation wants say.
pub(crate) const INJECTED: &str = "a failure of the simulation";

/// An actor or a task fails here: that is the fault.
#[expect(clippy::panic, reason = "failing is what it is for")]
pub(crate) fn fail_here() -> ! {
    panic!("{INJECTED}")
}

/// What happened, as a hash: two runs of a seed are the same run if this is the same.
#[derive(Debug, Default)]
struct Trace {
    hash: Sha256,
    /// What is still to be hashed: lines are short, and there are many.
    text: Vec<u8>,
    lines: u64,
    /// Every line, for whoever looks into a run.
    kept: Option<Vec<String>>,
}

/// Text behind bytes.
struct Text<'a>(&'a mut Vec<u8>);

impl fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// No byte of any text.
const END_OF_LINE: [u8; 1] = [0xff];

/// Text that waits to be hashed, at most, and a line.
const TEXT_MAX: usize = 16 << 10;

impl Trace {
    fn line(&mut self, ms: u64, what: fmt::Arguments<'_>) {
        self.text.extend_from_slice(&ms.to_le_bytes());
        match what.as_str() {
            Some(text) => self.text.extend_from_slice(text.as_bytes()),
            // Nearly every line is written only here, so none is put together first.
            None => fmt::Write::write_fmt(&mut Text(&mut self.text), what).expect("it takes all text"),
        }
        self.end_line(ms, what);
    }

    /// The same line as that of a mark, a space and a name.
    fn named(&mut self, ms: u64, mark: u8, name: &str) {
        self.text.extend_from_slice(&ms.to_le_bytes());
        self.text.extend_from_slice(&[mark, b' ']);
        self.text.extend_from_slice(name.as_bytes());
        self.end_line(ms, format_args!("{} {name}", char::from(mark)));
    }

    fn end_line(&mut self, ms: u64, what: fmt::Arguments<'_>) {
        self.text.extend_from_slice(&END_OF_LINE);
        self.lines = self.lines.saturating_add(1);
        if self.text.len() > TEXT_MAX {
            self.hash.update(&self.text);
            self.text.clear();
        }
        if let Some(kept) = &mut self.kept {
            kept.push(format!("{ms:>9} {what}\n"));
        }
    }

    fn hash(&self) -> [u8; 32] {
        self.hash.clone().chain_update(&self.text).finalize().into()
    }
}

/// Whether and how the present life goes on.
#[derive(Debug, Default)]
struct Flow {
    death: Option<Death>,
    breaches: Vec<String>,
}

/// The world around the process.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) scenario: Scenario,
    pub(crate) shards: u16,
    pub(crate) plan: Plan,
    pub(crate) clock: Arc<WorldClock>,
    pub(crate) entropy: Arc<WorldEntropy>,
    pub(crate) keys: Arc<WorldKeys>,
    /// What the checker knows of the journals.
    pub(crate) journaled: Mutex<Journaled>,
    /// What operators were told is stopped.
    pub(crate) stopped: Stopped,
    /// What providers have to say by themselves.
    pub(crate) outbox: Outbox,
    seen: Mutex<Sightings>,
    trace: Mutex<Trace>,
    flow: Mutex<Flow>,
    /// Whether the present life is over; asked for at every step.
    is_dead: AtomicBool,
    is_healed: AtomicBool,
    /// The stream of each fault.
    dice: Vec<Mutex<Dice>>,
    /// Payments that a provider has charged.
    charged: Mutex<BTreeSet<PaymentId>>,
    ended: Notify,
}

impl World {
    pub(crate) fn new(seed: u64, scenario: Scenario, keeps_trace: bool) -> Self {
        Self {
            seed,
            scenario,
            shards: *Dice::new(seed, "shards").pick(&[1, 1, 2, 3]),
            plan: Plan::of(seed, scenario),
            clock: Arc::new(WorldClock::new()),
            entropy: Arc::new(WorldEntropy::new(seed)),
            keys: Arc::default(),
            journaled: Mutex::default(),
            stopped: Stopped::default(),
            outbox: Outbox::default(),
            seen: Mutex::default(),
            trace: Mutex::new(Trace {
                kept: keeps_trace.then(Vec::new),
                ..Trace::default()
            }),
            flow: Mutex::default(),
            is_dead: AtomicBool::new(false),
            is_healed: AtomicBool::new(false),
            dice: Fault::ALL
                .iter()
                .map(|fault| Mutex::new(Dice::new(seed, fault.name())))
                .collect(),
            charged: Mutex::default(),
            ended: Notify::new(),
        }
    }

    /// Writes down what happened.
    pub(crate) fn note(&self, what: fmt::Arguments<'_>) {
        lock(&self.trace).line(self.clock.true_ms(), what);
    }

    /// Writes down that an actor has reached a step: most lines are of this kind.
    fn note_step(&self, name: &str) {
        lock(&self.trace).named(self.clock.true_ms(), b'.', name);
    }

    /// The hash of all that happened so far.
    pub(crate) fn trace_hash(&self) -> [u8; 32] {
        lock(&self.trace).hash()
    }

    /// The lines that were kept.
    pub(crate) fn kept_trace(&self) -> Vec<String> {
        lock(&self.trace).kept.take().unwrap_or_default()
    }

    /// Counts what was seen.
    pub(crate) fn see(&self, group: &'static str, name: &'static str) {
        lock(&self.seen).see(group, name);
    }

    pub(crate) fn tally(&self) -> Tally {
        lock(&self.seen).tally()
    }

    /// Whether it goes wrong this time, while the process lives.
    pub(crate) fn hits(&self, fault: Fault) -> bool {
        !self.is_dead() && self.hits_at_rest(fault)
    }

    /// Whether it goes wrong this time, also between two processes.
    pub(crate) fn hits_at_rest(&self, fault: Fault) -> bool {
        let rate = self.plan.rate(fault);
        if rate == 0 || self.is_healed() {
            return false;
        }
        let hit = self.chance(fault, |dice| dice.hits(rate));
        if hit {
            self.happens(fault);
        }
        hit
    }

    /// Says that it goes wrong.
    pub(crate) fn happens(&self, fault: Fault) {
        self.see("fault", fault.name());
        self.note(format_args!("! {fault}"));
    }

    /// Draws from the stream of a fault.
    pub(crate) fn chance<T>(&self, fault: Fault, draw: impl FnOnce(&mut Dice) -> T) -> T {
        draw(&mut lock(&self.dice[fault as usize]))
    }

    /// A provider charges a payment: no payment is charged twice, at whatever providers.
    pub(crate) fn charged(&self, payment: PaymentId) {
        if !lock(&self.charged).insert(payment) {
            self.breach(format!("{payment} was charged twice"));
        }
    }

    /// What must never be was found.
    pub(crate) fn breach(&self, what: String) {
        self.note(format_args!("BREACH {what}"));
        let mut flow = lock(&self.flow);
        flow.breaches.push(what);
    }

    pub(crate) fn breaches(&self) -> Vec<String> {
        lock(&self.flow).breaches.clone()
    }

    /// From now on nothing goes wrong.
    pub(crate) fn heal(&self) {
        self.is_healed.store(true, Ordering::SeqCst);
        self.clock.set_right();
        self.note(format_args!("healed"));
    }

    pub(crate) fn is_healed(&self) -> bool {
        self.is_healed.load(Ordering::SeqCst)
    }

    /// A process starts.
    pub(crate) fn live(&self) {
        lock(&self.flow).death = None;
        self.is_dead.store(false, Ordering::SeqCst);
        self.clock.begin();
        self.note(format_args!("a process starts"));
    }

    /// The process ends at this moment: nothing that it still does reaches the world.
    pub(crate) fn die(&self, death: Death) {
        let mut flow = lock(&self.flow);
        if flow.death.is_none() {
            flow.death = Some(death);
            self.is_dead.store(true, Ordering::SeqCst);
            drop(flow);
            self.note(format_args!("the process ends: {death:?}"));
            self.ended.notify_one();
        }
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.is_dead.load(Ordering::SeqCst)
    }

    /// How the present life ended, if it has.
    pub(crate) fn death(&self) -> Option<Death> {
        lock(&self.flow).death
    }

    /// Waits for the end of the present life.
    pub(crate) async fn ended(&self) {
        while !self.is_dead() {
            self.ended.notified().await;
        }
    }

    /// Goes on only if the process lives: what is under way in a dead one never ends.
    pub(crate) async fn alive(&self) {
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
    }
}

/// The step that an actor has reached: a place to fail.
#[derive(Debug)]
pub(crate) struct WorldProbe(pub(crate) Arc<World>);

impl Probe for WorldProbe {
    fn reached(&self, at: Step) {
        if self.0.is_dead() {
            return;
        }
        let name = lock(&self.0.seen).see_step(at);
        self.0.note_step(name);
        // Whoever crashes there is not an actor that comes back, but the start.
        if at != Step::TreeStarting && self.0.hits(Fault::ActorCrash) {
            fail_here();
        }
    }
}

/// The end of the process by its own will.
#[derive(Debug)]
pub(crate) struct WorldFatal(pub(crate) Arc<World>);

impl Fatal for WorldFatal {
    fn fail(&self, why: &str) {
        if self.0.is_dead() {
            return;
        }
        self.0.note(format_args!("fatal: {why}"));
        let causes = [
            Fault::ActorCrash,
            Fault::ActorKill,
            Fault::FsyncError,
            Fault::ViewFails,
            Fault::ReadFails,
            Fault::BitFlip,
            Fault::CallPanics,
        ];
        if self.0.is_healed() || causes.iter().all(|cause| self.0.plan.rate(*cause) == 0) {
            self.0
                .breach(format!("the process ended itself without a cause: {why}"));
        }
        self.0.die(Death::Fatal);
    }
}

/// Heavy work, in its place in the order of things.
#[derive(Debug)]
pub(crate) struct InPlace;

impl Offload for InPlace {
    fn run(&self, chore: Chore) -> BoxFuture<'static, ()> {
        chore();
        Box::pin(ready(()))
    }
}
