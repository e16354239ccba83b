//! Owns the run of a seed: lives one after the other until nobody wants anything, then the verdict.

use crate::acquirer::Acquirer;
use crate::alarms::Alarms;
use crate::clock::lock;
use crate::dice::Dice;
use crate::disk::Disks;
use crate::fault::{Fault, Scenario};
use crate::life::{Run, Wiring};
use crate::provider_books::Speaks;
use crate::receiver::Receivers;
use crate::shop::Shop;
use crate::tally::{Death, Tally};
use crate::treasury::Treasury;
use crate::watcher::Watcher;
use crate::world::{INJECTED, World};
use florin_actors::admission::AdmissionCaps;
use florin_actors::options::{Options, ProviderCaps, ProviderTerms, RestartPolicy, Ticks};
use florin_domain::breaker::BreakerPolicy;
use florin_domain::health::HealthPolicy;
use florin_domain::ledger::{Chart, FeeRecognition, LedgerRules, PostingModel, PostingProfile};
use florin_domain::limits::Lifetimes;
use florin_domain::payment::{FeeReturn, ReviewMode};
use florin_domain::provider::{Capabilities, ProviderId, Recovery};
use florin_domain::risk::{Profile, TransferLimits};
use florin_domain::time::Millis;
use sha2::{Digest, Sha256};
use std::io;
use std::panic;
use std::sync::{Arc, Once};
use std::time::Duration;

/// Lives of a run at most; who is not done by then is done in the healed one.
const LIVES_MAX: u64 = 40;

/// What to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Everything follows from it.
    pub seed: u64,
    /// Purchases and errands.
    pub ops: u64,
    /// What may go wrong.
    pub scenario: Scenario,
    /// Keeps a line for everything that happens.
    pub keeps_trace: bool,
    /// Goes on to the end although something happened that must never happen.
    pub goes_on: bool,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// Of which seed.
    pub seed: u64,
    /// Purchases and errands.
    pub ops: u64,
    /// SHA-256 of all that happened.
    pub trace_hash: [u8; 32],
    /// What was seen.
    pub tally: Tally,
    /// What must never be, and was.
    pub breaches: Vec<String>,
    /// Processes that lived.
    pub lives: u64,
    /// Every line, if they were to be kept.
    pub trace: Vec<String>,
}

/// The hash of one run in hexadecimal digits, or that of several runs.
pub fn hash_of(runs: &[[u8; 32]]) -> String {
    let hash = match runs {
        [one] => *one,
        several => Sha256::digest(several.as_flattened()).into(),
    };
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('0');
    hash.iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

static QUIET: Once = Once::new();

/// Failures that the simulation wants are not worth a message; all others are.
pub fn quiet_failures() {
    QUIET.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if info.payload_as_str() != Some(INJECTED) {
                usual(info);
            }
        }));
    });
}

/// Runs a seed to its end. An error says that the machine has no runtime to run it on.
pub fn simulate(settings: Settings, wiring: &Wiring) -> Result<Report, io::Error> {
    quiet_failures();
    let Settings {
        seed,
        ops,
        scenario,
        keeps_trace,
        goes_on,
    } = settings;
    let world = Arc::new(World::new(seed, scenario, keeps_trace));
    let errands = scenario.errands(ops);
    let run = Arc::new(Run {
        disks: Disks::new(&world),
        providers: providers(&world),
        receivers: Receivers::of(&world),
        shop: Shop::new(seed, ops - errands, &world),
        treasury: Treasury::new(seed, errands, world.shards),
        watcher: Watcher::new(seed),
        alarms: Alarms::default(),
        options: options(&world),
        world: Arc::clone(&world),
    });
    // Counters that fail begin anew, and clocks that jump make another hour of it.
    let unsure = [
        Fault::ActorCrash,
        Fault::ActorKill,
        Fault::CallPanics,
        Fault::ClockAhead,
        Fault::ClockBack,
    ];
    if unsure.iter().all(|fault| world.plan.rate(*fault) == 0) {
        lock(&world.journaled).votes.hour_count_max = run.options.transfer_limits.hour_count_max;
    }
    let mut lives = 0;
    while lives < LIVES_MAX && (goes_on || world.breaches().is_empty()) {
        let end = run.life(async |run| run.live(wiring, lives).await)?;
        lives += 1;
        if end == Death::Done {
            break;
        }
    }
    if goes_on || world.breaches().is_empty() {
        run.conclude(wiring, lives)?;
    }
    Ok(Report {
        seed,
        ops,
        trace_hash: world.trace_hash(),
        tally: world.tally(),
        breaches: world.breaches(),
        lives: lives + 1,
        trace: world.kept_trace(),
    })
}

fn providers(world: &Arc<World>) -> Vec<Arc<Acquirer>> {
    let mut dice = Dice::new(world.seed, "providers");
    // A stream of its own. Where nothing but silence and refused connections goes wrong, nobody writes either.
    let mut letters = Dice::new(world.seed, "notices");
    ["alpha", "beta"]
        .into_iter()
        .map(|name| {
            let writes = letters.hits(6_000) && world.scenario != Scenario::Failover;
            let capabilities = Capabilities {
                id: ProviderId::parse(name).expect("a short name"),
                prepares: dice.hits(5_000),
                key_lifetime: Millis::from_s(24 * 3600),
                query_by_reference: true,
                cancel_closes: dice.hits(8_000),
                time_limit: Millis::from_s(5),
                recovery: Recovery::default(),
            };
            // Only what was prepared has a name that is known before anything is said of it.
            let of_objects = Dice::new(world.seed, "notices of objects").hits(5_000);
            let speaks = match (writes, capabilities.prepares && of_objects) {
                (false, _) => Speaks::Never,
                (true, false) => Speaks::OfKeys,
                (true, true) => Speaks::OfObjects,
            };
            Arc::new(Acquirer::new(world, capabilities, speaks))
        })
        .collect()
}

/// Few of everything, so that things meet; in some seeds so few that requests are refused.
fn options(world: &World) -> Options {
    let mut dice = Dice::new(world.seed, "options");
    let usual = Options::default();
    let is_narrow = world.plan.rate(Fault::NoCapacity) > 0;
    if is_narrow {
        world.happens(Fault::NoCapacity);
    }
    let few_in_flight = is_narrow && dice.hits(5_000);
    let in_flight_max = if few_in_flight {
        usize::try_from(dice.within(2, 12)).unwrap_or(2)
    } else {
        1_024
    };
    let place = |dice: &mut Dice, from, to| usize::try_from(dice.within(from, to)).unwrap_or(1);
    let resolution_waits = if dice.hits(5_000) {
        usual.resolution_waits.clone()
    } else {
        [1, 2, 5, 10, 30, 120].map(Millis::from_s).to_vec()
    };
    let reviews = dice.hits(4_000);
    let profile = PostingProfile {
        posting: *dice.pick(&[
            PostingModel::Marketplace,
            PostingModel::Marketplace,
            PostingModel::MerchantOfRecord,
        ]),
        fee_recognition: FeeRecognition::AtPayment,
    };
    // Streams of their own: what is decided above and below stays as it is.
    let fee_return = *Dice::new(world.seed, "fees").pick(&[FeeReturn::Kept, FeeReturn::Returned]);
    let mut limits = Dice::new(world.seed, "transfer limits");
    let is_limited = limits.hits(4_000);
    let hour_count_max = is_limited.then(|| u32::try_from(limits.within(1, 6)).unwrap_or(1));
    let ticks = ticks(world.seed);
    let soft_declines_go_on = Dice::new(world.seed, "soft declines").hits(5_000);
    let ledger = LedgerRules::new(profile, Chart::default(), Vec::new()).unwrap_or_default();
    Options {
        admission: AdmissionCaps {
            in_flight_max,
            ..usual.admission
        },
        ticks,
        lifetimes: Lifetimes {
            authorization: Millis::from_s(dice.within(30, 3_600)),
            challenge: Millis::from_s(dice.within(10, 1_800)),
            review: Millis::from_s(dice.within(20, 3_600)),
        },
        waiters_per_key_max: if is_narrow { 1 } else { usual.waiters_per_key_max },
        ledger: Arc::new(ledger),
        review_mode: *dice.pick(&[ReviewMode::BeforeAuth, ReviewMode::AuthAndHold]),
        fee_return,
        soft_declines_go_on,
        // Here what is never taken is never heard of, and one seed may have more of it than real merchants in a year.
        own_matters_day_max: u32::MAX,
        transfer_limits: TransferLimits { hour_count_max },
        risk: Profile {
            review_above_bps: if reviews { 1_200 } else { 5_000 },
            ..usual.risk.clone()
        },
        payment_restarts: RestartPolicy {
            restarts_max: *dice.pick(&[1, 3]),
            ..usual.payment_restarts
        },
        guardians: place(&mut dice, 2, 4),
        idle_payments_max: place(&mut dice, 0, 64),
        provider_terms: ProviderTerms {
            caps: ProviderCaps {
                permits: if is_narrow {
                    1
                } else {
                    world.scenario.provider_room(place(&mut dice, 1, 16))
                },
                queue_max: if is_narrow { 0 } else { 200 },
            },
            cost_bps: 290,
            settles_within: None,
        },
        breaker: breaker(world.seed),
        health: HealthPolicy {
            calls_min: u32::try_from(Dice::new(world.seed, "health").within(2, 20)).unwrap_or(20),
            ..usual.health
        },
        snapshot_every_commits: *dice.pick(&[7, 40, 300, 100_000]),
        batch_commits_max: place(&mut dice, 1, 64),
        risk_shards: place(&mut dice, 1, 3),
        // Failures are frequent here, and an operator would start the process again.
        singleton_restarts: RestartPolicy {
            restarts_max: 30,
            ..usual.singleton_restarts
        },
        scrub_every: Duration::from_secs(dice.within(20, 600)),
        resolution_waits,
        ..usual
    }
}

/// The product's own in some seeds, and slower ones in most: quiet time costs the simulator little then, and more meets between two
/// looks.
fn ticks(seed: u64) -> Ticks {
    let slower = *Dice::new(seed, "ticks").pick(&[1, 8, 40, 40, 40, 40, 40, 40]);
    let usual = Ticks::default();
    Ticks {
        projection: usual.projection * slower,
        idempotency: usual.idempotency * slower.min(20),
        resolution: usual.resolution * slower.min(20),
        deadlines: usual.deadlines * slower.min(20),
        crossings: usual.crossings * slower.min(4),
        providers: usual.providers * slower.min(10),
        webhooks: usual.webhooks * slower.min(10),
    }
}

/// Quick to open in some seeds, as the product has it in others, and never open in some: then what is behind it is tried harder.
fn breaker(seed: u64) -> BreakerPolicy {
    let mut dice = Dice::new(seed, "breaker");
    BreakerPolicy {
        failures_max: *dice.pick(&[2, 5, 5, u32::MAX]),
        open: Millis::from_s(*dice.pick(&[2, 60])),
    }
}
