//! Owns the security codes of cards: in memory, a bounded number, each until its card's first charge is answered or a quarter of an hour has
//! passed. They are wiped when they go, and never written.

use florin_domain::card_details::SecurityCode;
use florin_domain::ids::MethodId;
use florin_domain::time::Timestamp;
use florin_domain::vault::SECURITY_CODE_LIFETIME;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Cards that were typed within the last quarter of an hour and not charged yet; beyond it the oldest codes go first.
pub(super) const CODES_MAX: usize = if cfg!(test) { 8 } else { 65_536 };

#[derive(Debug, Default)]
pub(super) struct Codes {
    codes: HashMap<MethodId, (Timestamp, Arc<SecurityCode>)>,
    /// In the order of their coming.
    order: VecDeque<(Timestamp, MethodId)>,
}

impl Codes {
    pub(super) fn keep(&mut self, method: MethodId, code: SecurityCode, now: Timestamp) {
        self.sweep(now);
        while self.order.len() >= CODES_MAX {
            let Some((at, oldest)) = self.order.pop_front() else {
                break;
            };
            self.drop_if_of(oldest, at);
        }
        self.order.push_back((now, method));
        self.codes.insert(method, (now, Arc::new(code)));
    }

    pub(super) fn of(&mut self, method: MethodId, now: Timestamp) -> Option<Arc<SecurityCode>> {
        self.sweep(now);
        self.codes.get(&method).map(|(_, code)| Arc::clone(code))
    }

    pub(super) fn forget(&mut self, method: MethodId) {
        self.codes.remove(&method);
    }

    /// Those whose time is over.
    pub(super) fn sweep(&mut self, now: Timestamp) {
        while let Some((at, method)) = self.order.front().copied() {
            if now.since(at) < SECURITY_CODE_LIFETIME {
                break;
            }
            self.order.pop_front();
            self.drop_if_of(method, at);
        }
    }

    fn drop_if_of(&mut self, method: MethodId, at: Timestamp) {
        if self.codes.get(&method).is_some_and(|(kept, _)| *kept == at) {
            self.codes.remove(&method);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.codes.len()
    }
}
