//! A store that loses what a store of this kind may lose: what came last, single entries, everything, answers, and time.

use super::PATIENCE;
use crate::cache::shared::{KeyValues, Numbered, Put};
use crate::redis::Unreachable;
use florin_domain::ports::BoxFuture;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

/// What becomes of the next write.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// It is refused.
    Refused,
    /// It is done, and the answer is lost.
    Unanswered,
    /// It is not answered, and done when [`Lossy::arrive`] says so.
    Late,
}

type Write = (Numbered, Vec<Put>);

#[derive(Debug, Default)]
struct State {
    writes: Vec<Write>,
    now: HashMap<String, Vec<u8>>,
    late: Vec<Write>,
    fault: Option<Fault>,
    is_read_lost: bool,
    reads: usize,
    /// How long a write is under way before it is done, and its answer after that. Answers of reads take three times as long.
    write_takes: Duration,
    /// For the control: says of every count that nothing is missing.
    hides_losses: bool,
}

/// The store.
#[derive(Debug, Default)]
pub(super) struct Lossy(Mutex<State>);

impl State {
    fn put(&mut self, (numbered, puts): Write) -> bool {
        let number = self
            .now
            .get(&numbered.key)
            .map_or(0, |text| std::str::from_utf8(text).unwrap().parse().unwrap());
        if number != numbered.before && !self.hides_losses {
            return false;
        }
        self.done(&(numbered.clone(), puts.clone()));
        self.writes.push((numbered, puts));
        true
    }

    fn done(&mut self, (numbered, puts): &Write) {
        for put in puts {
            match &put.value {
                Some(value) => drop(self.now.insert(put.key.clone(), value.clone())),
                None => drop(self.now.remove(&put.key)),
            }
        }
        let number = numbered.number.to_string().into_bytes();
        self.now.insert(numbered.key.clone(), number);
    }
}

impl Lossy {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// One whose losses nobody can see.
    pub(super) fn hiding() -> Self {
        let lossy = Self::default();
        lossy.lock().hides_losses = true;
        lossy
    }

    /// One whose writes take so long, and their answers once more.
    pub(super) fn slow(write_takes: Duration) -> Self {
        let lossy = Self::default();
        lossy.lock().write_takes = write_takes;
        lossy
    }

    pub(super) fn reads(&self) -> usize {
        self.lock().reads
    }

    /// Everything that is kept.
    pub(super) fn kept(&self) -> HashMap<String, Vec<u8>> {
        self.lock().now.clone()
    }

    /// The last writes, as after the end of a server, or of the one of two that had them.
    pub(super) fn lose(&self, writes: usize) {
        let mut state = self.lock();
        let left = state.writes.len().saturating_sub(writes);
        state.writes.truncate(left);
        state.now.clear();
        for write in state.writes.clone() {
            state.done(&write);
        }
    }

    pub(super) fn flush(&self) {
        self.lock().now.clear();
    }

    /// One entry, whichever that is.
    pub(super) fn evict(&self, which: usize) {
        let mut state = self.lock();
        let mut keys: Vec<String> = state.now.keys().cloned().collect();
        keys.sort();
        if !keys.is_empty() {
            state.now.remove(&keys[which % keys.len()]);
        }
    }

    pub(super) fn fail_write(&self, fault: Fault) {
        self.lock().fault = Some(fault);
    }

    pub(super) fn fail_read(&self) {
        self.lock().is_read_lost = true;
    }

    /// What was on its way comes.
    pub(super) fn arrive(&self) {
        let mut state = self.lock();
        for write in std::mem::take(&mut state.late) {
            state.put(write);
        }
    }
}

impl KeyValues for Lossy {
    fn read(&self, keys: Vec<String>) -> BoxFuture<'_, Result<Vec<Option<Vec<u8>>>, Unreachable>> {
        Box::pin(async move {
            let (values, takes) = {
                let mut state = self.lock();
                state.reads += 1;
                if std::mem::take(&mut state.is_read_lost) {
                    return Err(Unreachable("lost".to_owned()));
                }
                let value = |key: &String| {
                    if state.hides_losses && key.ends_with("written") {
                        return Some(u64::MAX.to_string().into_bytes());
                    }
                    state.now.get(key).cloned()
                };
                let values = keys.iter().map(value).collect();
                (values, state.write_takes)
            };
            // It comes after the answer of a write that was under way when this was read.
            tokio::time::sleep(takes * 3).await;
            Ok(values)
        })
    }

    fn write(&self, numbered: Numbered, puts: Vec<Put>) -> BoxFuture<'_, Result<bool, Unreachable>> {
        Box::pin(async move {
            let lost = || Err(Unreachable("lost".to_owned()));
            let (fault, takes) = {
                let mut state = self.lock();
                (state.fault.take(), state.write_takes)
            };
            match fault {
                None => {
                    tokio::time::sleep(takes).await;
                    let is_done = self.lock().put((numbered, puts));
                    tokio::time::sleep(takes).await;
                    Ok(is_done)
                }
                Some(Fault::Refused) => lost(),
                Some(Fault::Unanswered) => {
                    self.lock().put((numbered, puts));
                    lost()
                }
                Some(Fault::Late) => {
                    self.lock().late.push((numbered, puts));
                    tokio::time::sleep(PATIENCE).await;
                    lost()
                }
            }
        })
    }
}
