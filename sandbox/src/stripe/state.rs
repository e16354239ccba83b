//! What the simulated Stripe knows: the fold of its lines, bounded to the newest ones.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::call::{List, ListRefunds};
use super::engine::Line;
use super::error::ApiError;
use super::events::{Outbox, Telling};
use super::ids::Ids;
use super::keys::Keys;
use super::objects::{Intent, Refund};
use super::render::Site;
use crate::clock::UnixMillis;
use crate::witness::Span;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bounds the refunds as well.
    pub(crate) intents_max: usize,
    pub(crate) keys_max: usize,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) keys: Keys,
    /// What is told of the objects.
    pub(crate) outbox: Outbox,
    ids: Ids,
    /// Where browsers find this sandbox: scheme and authority.
    origin: Box<str>,
    next_seq: u64,
    objects_max: usize,
    intents: BTreeMap<u64, Box<Intent>>,
    refunds: BTreeMap<u64, Box<Refund>>,
    /// (intent, refund) of every refund that is known.
    by_intent: BTreeSet<(u64, u64)>,
    /// (hash of `metadata[operation_id]`, intent): finds candidates, which are then compared.
    by_operation: BTreeSet<(u64, u64)>,
}

impl State {
    pub(crate) fn new(salt: u32, limits: Limits, origin: &str) -> Self {
        Self {
            keys: Keys::new(limits.keys_max),
            outbox: Outbox::default(),
            ids: Ids::new(salt),
            origin: origin.into(),
            next_seq: 1,
            objects_max: limits.intents_max.max(1),
            intents: BTreeMap::new(),
            refunds: BTreeMap::new(),
            by_intent: BTreeSet::new(),
            by_operation: BTreeSet::new(),
        }
    }

    pub(crate) fn ids(&self) -> Ids {
        self.ids
    }

    /// What objects are rendered with.
    pub(crate) fn site(&self) -> Site<'_> {
        Site {
            ids: self.ids,
            origin: &self.origin,
        }
    }

    /// The number of the line that comes next; its objects are named after it.
    pub(crate) fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Takes over what a line says. Lines come in order, live and in recovery alike.
    pub(crate) fn apply(&mut self, line: Line, span: Span) {
        assert_eq!(
            line.seq, self.next_seq,
            "lines are applied in the order in which they were numbered"
        );
        self.next_seq += 1;
        if let Some(idempotency) = &line.idempotency {
            self.keys.answer(idempotency, line.at, span);
        }
        if let Some(intent) = line.intent {
            self.put_intent(intent);
        }
        if let Some(refund) = line.refund {
            self.by_intent.insert((refund.intent_seq, refund.seq));
            self.refunds.insert(refund.seq, Box::new(refund));
            if self.refunds.len() > self.objects_max
                && let Some((oldest, forgotten)) = self.refunds.pop_first()
            {
                self.by_intent.remove(&(forgotten.intent_seq, oldest));
            }
        }
    }

    /// What the execution of a line is told as, before it is applied.
    pub(crate) fn tell(&mut self, line: &Line, telling: Telling, now: UnixMillis) {
        let site = Site {
            ids: self.ids,
            origin: &self.origin,
        };
        let before = line
            .intent
            .as_ref()
            .and_then(|intent| self.intents.get(&intent.seq));
        let before = before.map(|intent| &**intent);
        self.outbox.put(site, (before, line), telling, now);
    }

    fn put_intent(&mut self, intent: Intent) {
        let seq = intent.seq;
        match self.intents.get_mut(&seq) {
            Some(known) if known.metadata.json() == intent.metadata.json() => {
                **known = intent;
                return;
            }
            Some(known) => {
                if let Some(operation) = operation_hash(known) {
                    self.by_operation.remove(&(operation, seq));
                }
            }
            None => {}
        }
        if let Some(operation) = operation_hash(&intent) {
            self.by_operation.insert((operation, seq));
        }
        self.intents.insert(seq, Box::new(intent));
        if self.intents.len() > self.objects_max
            && let Some((oldest, forgotten)) = self.intents.pop_first()
            && let Some(operation) = operation_hash(&forgotten)
        {
            self.by_operation.remove(&(operation, oldest));
        }
    }

    /// An intent named in the URL.
    pub(crate) fn intent_in_path(&self, id: &str) -> Result<&Intent, ApiError> {
        self.intent(id)
            .ok_or_else(|| ApiError::no_such("payment_intent", id, "intent", true))
    }

    pub(crate) fn intent(&self, id: &str) -> Option<&Intent> {
        self.intents
            .get(&self.ids.parse_intent(id)?)
            .map(|intent| &**intent)
    }

    /// The intent whose latest charge has this id. A charge is numbered after its intent, or with it.
    pub(crate) fn intent_of_charge(&self, id: &str) -> Option<&Intent> {
        let charge_seq = self.ids.parse_charge(id)?;
        self.intents
            .range(..=charge_seq)
            .rev()
            .map(|(_, intent)| &**intent)
            .find(|intent| {
                intent
                    .charge
                    .as_ref()
                    .is_some_and(|charge| charge.seq == charge_seq)
            })
    }

    pub(crate) fn refund(&self, id: &str) -> Option<&Refund> {
        self.refunds
            .get(&self.ids.parse_refund(id)?)
            .map(|refund| &**refund)
    }

    /// A page, newest first, and whether there is more.
    pub(crate) fn list(&self, list: &List) -> Result<(Vec<&Intent>, bool), ApiError> {
        let before = match &list.starting_after {
            None => self.next_seq,
            Some(id) => {
                let cursor = self.intent(id);
                let missing = || ApiError::no_such("payment_intent", id, "starting_after", false);
                cursor.ok_or_else(missing)?.seq
            }
        };
        // Time never goes back from one line to the next.
        let mut matching = self
            .intents
            .range(..before)
            .rev()
            .map(|(_, intent)| &**intent)
            .skip_while(|intent| intent.created > list.created_to)
            .take_while(|intent| intent.created >= list.created_from);
        let page = matching.by_ref().take(list.limit).collect();
        Ok((page, matching.next().is_some()))
    }

    /// A page of refunds, newest first, and whether there is more.
    pub(crate) fn list_refunds(&self, list: &ListRefunds) -> Result<(Vec<&Refund>, bool), ApiError> {
        let before = match &list.starting_after {
            None => self.next_seq,
            Some(id) => {
                let cursor = self.refund(id);
                let missing = || ApiError::no_such("refund", id, "starting_after", false);
                cursor.ok_or_else(missing)?.seq
            }
        };
        let of_one = match &list.intent {
            None => None,
            Some(id) => {
                let missing = || ApiError::no_such("payment_intent", id, "payment_intent", false);
                Some(self.intent(id).ok_or_else(missing)?.seq)
            }
        };
        let mut matching: Box<dyn Iterator<Item = &Refund>> = match of_one {
            None => Box::new(self.refunds.range(..before).rev().map(|(_, refund)| &**refund)),
            Some(intent) => Box::new(
                self.by_intent
                    .range((intent, 0)..(intent, before))
                    .rev()
                    .filter_map(|(_, seq)| self.refunds.get(seq))
                    .map(|refund| &**refund),
            ),
        };
        let page = matching.by_ref().take(list.limit).collect();
        Ok((page, matching.next().is_some()))
    }

    /// Intents with this `metadata[operation_id]`, newest first, and whether there is more.
    pub(crate) fn search(&self, operation_id: &str, limit: usize) -> (Vec<&Intent>, bool) {
        let operation = hash_of(operation_id);
        let mut matching = self
            .by_operation
            .range((operation, 0)..=(operation, u64::MAX))
            .rev()
            .filter_map(|(_, seq)| self.intents.get(seq))
            .map(|intent| &**intent)
            .filter(|intent| intent.metadata.references().operation_id.as_deref() == Some(operation_id));
        let page = matching.by_ref().take(limit).collect();
        (page, matching.next().is_some())
    }
}

fn operation_hash(intent: &Intent) -> Option<u64> {
    intent.metadata.references().operation_id.as_deref().map(hash_of)
}

fn hash_of(operation_id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    operation_id.hash(&mut hasher);
    hasher.finish()
}
