//! A probe that panics where it is told to, or holds whoever comes there.

use crate::mischief::INJECTED;
use crate::ports::lock;
use florin_actors::context::{Probe, Step};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

/// Panics the `nth` time that a step is reached, for `times` times; or holds whoever reaches it.
#[derive(Debug, Default)]
pub(crate) struct PanicProbe(Mutex<Armed>, Mutex<Vec<Hold>>);

type Holds = Arc<dyn Fn() -> bool + Send + Sync>;

/// Whoever reaches the step waits there, without its thread's other work, while this is true.
struct Hold(Step, Holds);

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hold").field(&self.0).finish()
    }
}

#[derive(Debug, Default)]
struct Armed {
    at: Option<(Step, u64, u64)>,
    reached: HashMap<Step, u64>,
    fired: u64,
}

impl PanicProbe {
    pub(crate) fn arm(&self, step: Step, nth: u64) {
        self.arm_times(step, nth, 1);
    }

    pub(crate) fn arm_times(&self, step: Step, nth: u64, times: u64) {
        *lock(&self.0) = Armed {
            at: Some((step, nth, times)),
            ..Armed::default()
        };
    }

    /// In lives on several threads only: whoever reaches `step` stays there while `holds`.
    pub(crate) fn hold(&self, step: Step, holds: impl Fn() -> bool + Send + Sync + 'static) {
        lock(&self.1).push(Hold(step, Arc::new(holds)));
    }

    fn holds(&self, step: Step) -> Option<Holds> {
        let holds = lock(&self.1);
        let of_step = holds.iter().find(|hold| hold.0 == step);
        of_step.map(|hold| Arc::clone(&hold.1))
    }

    pub(crate) fn disarm(&self) {
        lock(&self.0).at = None;
    }

    /// How often it has panicked since it was armed.
    pub(crate) fn fired(&self) -> u64 {
        lock(&self.0).fired
    }

    pub(crate) fn reached_so_far(&self, step: Step) -> u64 {
        lock(&self.0).reached.get(&step).copied().unwrap_or(0)
    }
}

impl Probe for PanicProbe {
    #[expect(
        clippy::disallowed_methods,
        reason = "an actor is to stand still while the rest goes on: that is the test"
    )]
    fn reached(&self, step: Step) {
        let mut armed = lock(&self.0);
        let count = armed.reached.entry(step).or_default();
        *count += 1;
        let count = *count;
        let (at, holds) = (armed.at, self.holds(step));
        if let Some(holds) = holds {
            drop(armed);
            tokio::task::block_in_place(|| {
                while holds() {
                    std::thread::yield_now();
                }
            });
            return;
        }
        let Some((at, nth, times)) = at else { return };
        if at == step && (nth..nth + times).contains(&count) {
            armed.fired += 1;
            drop(armed);
            panic!("{INJECTED}");
        }
    }
}
