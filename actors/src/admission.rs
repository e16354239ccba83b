//! Admission: the one place where new work is refused, before anything of it is stored. What is admitted has paid in advance
//! for every message that it will cause.

use crate::context::IndexLag;
use florin_domain::ids::ShardId;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Bounds of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdmissionCaps {
    /// Operations in flight.
    pub in_flight_max: usize,
    /// Commits that an index may lag behind the journal before new work is refused.
    pub index_lag_max: u64,
}

/// Why new work is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shed {
    /// As much as may be is in flight.
    InFlight,
    /// An index has fallen too far behind the journal.
    IndexLag,
    /// The platform drains.
    Draining,
    /// The journal's store has no room.
    NoRoom,
}

impl Shed {
    /// How long a caller should wait.
    pub const fn retry_after(self) -> Duration {
        match self {
            Self::InFlight | Self::IndexLag => Duration::from_secs(1),
            Self::Draining | Self::NoRoom => Duration::from_secs(5),
        }
    }
}

/// Counts operations in flight.
#[derive(Debug)]
pub struct Admission {
    caps: AdmissionCaps,
    in_flight: AtomicUsize,
    draining: AtomicBool,
    /// Of each shard.
    no_room: Vec<AtomicBool>,
    /// Of each shard.
    lags: Vec<Arc<IndexLag>>,
    shed: metrics::Counter,
}

impl Admission {
    /// Opens admission with these caps.
    pub fn new(caps: AdmissionCaps, lags: Vec<Arc<IndexLag>>) -> Self {
        Self {
            caps,
            in_flight: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            no_room: lags.iter().map(|_| AtomicBool::new(false)).collect(),
            lags,
            shed: metrics::counter!("florin_admission_shed_total"),
        }
    }

    /// Admits one operation; it stays in flight until the ticket is dropped.
    pub fn enter(self: &Arc<Self>) -> Result<InFlight, Shed> {
        let refuse = |why| {
            self.shed.increment(1);
            Err(why)
        };
        if let Some(why) = self.shut() {
            return refuse(why);
        }
        let before = self.in_flight.fetch_add(1, Ordering::AcqRel);
        if before >= self.caps.in_flight_max {
            self.in_flight.fetch_sub(1, Ordering::AcqRel);
            return refuse(Shed::InFlight);
        }
        Ok(InFlight(Arc::clone(self)))
    }

    /// Why all new work is refused now, however little is in flight.
    pub fn shut(&self) -> Option<Shed> {
        let is_full = || self.no_room.iter().any(|no_room| no_room.load(Ordering::Relaxed));
        let index_lag_max = self.caps.index_lag_max;
        let is_behind = || self.lags.iter().any(|lag| lag.commits() > index_lag_max);
        if self.draining.load(Ordering::Acquire) {
            Some(Shed::Draining)
        } else if is_full() {
            Some(Shed::NoRoom)
        } else if is_behind() {
            Some(Shed::IndexLag)
        } else {
            None
        }
    }

    /// Refuses all new work from now on.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Refuses new work while the store of a shard's journal has no room.
    pub fn set_no_room(&self, shard: ShardId, no_room: bool) {
        if let Some(of_shard) = self.no_room.get(usize::from(shard.0)) {
            of_shard.store(no_room, Ordering::Relaxed);
        }
    }

    /// Operations in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }

    /// The caps.
    pub fn caps(&self) -> AdmissionCaps {
        self.caps
    }

    /// Whether new work would be refused for good.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }
}

/// An operation in flight.
#[derive(Debug)]
pub struct InFlight(Arc<Admission>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}
