//! Webhook endpoints in memory: for nodes that keep nothing, and what the store on disk is compared with.

use super::page::page_of;
use florin_domain::announcement::EventPlace;
use florin_domain::idempotency::KeyDigest;
use florin_domain::ids::{EndpointId, PaymentId, ShardId};
use florin_domain::limits::IDEMPOTENCY_RETENTION;
use florin_domain::ports::{
    BoxFuture, Clock, DeliveryBook, EndpointChanged, EndpointError, EndpointPage, EndpointStore,
    ListedEndpoints, NumberedDeliveries,
};
use florin_domain::time::{Millis, Timestamp};
use florin_domain::vault::{Once, Owner};
use florin_domain::webhook::{
    DELIVERIES_KEPT_MAX, DeliveryRow, ENDPOINTS_MAX, Endpoint, EndpointChange, EndpointRefusal, EndpointSaid,
    EndpointSecrets, EndpointStatus, KeptEndpoint, Noted, Parked, Progress, REPLAYS_MAX, Replay,
    SigningSecret, WhyDisabled,
};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An endpoint and what is known of it.
#[derive(Debug)]
struct One {
    kept: KeptEndpoint,
    progress: Progress,
    rows: VecDeque<(u64, DeliveryRow)>,
    /// Deliveries so far.
    numbered: u64,
}

/// What was answered under an idempotency key.
#[derive(Debug)]
struct Answer {
    at: Timestamp,
    asked: [u8; 32],
    about: EndpointId,
    /// Nothing once the endpoint is deleted.
    kept: Option<KeptEndpoint>,
}

#[derive(Debug, Default)]
struct Inner {
    endpoints: BTreeMap<EndpointId, One>,
    answers: BTreeMap<(Owner, KeyDigest), Answer>,
}

/// Webhook endpoints in memory.
pub struct MemoryEndpoints {
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
}

impl fmt::Debug for MemoryEndpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryEndpoints").finish_non_exhaustive()
    }
}

impl MemoryEndpoints {
    /// None yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            inner: Mutex::default(),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl One {
    fn new(endpoint: Endpoint, secret: SigningSecret, behind: EventPlace) -> Self {
        let secrets = EndpointSecrets {
            current: secret,
            previous: None,
        };
        Self {
            kept: KeptEndpoint { endpoint, secrets },
            progress: Progress {
                generation: 1,
                told: behind,
                parked: Vec::new(),
                failing: None,
                replays: Vec::new(),
            },
            rows: VecDeque::new(),
            numbered: 0,
        }
    }

    fn say(&mut self, said: EndpointSaid) {
        let endpoint = &mut self.kept.endpoint;
        if let Some(url) = said.url {
            endpoint.url = url;
        }
        if let Some(wanted) = said.wanted {
            endpoint.wanted = wanted;
        }
        if let Some(description) = said.description {
            endpoint.description = description;
        }
        if let Some(metadata) = said.metadata {
            endpoint.metadata = metadata;
        }
    }

    fn disable(&mut self, why: WhyDisabled) {
        // Why it was disabled first stays: from that follows where it goes on.
        if self.kept.endpoint.status == EndpointStatus::Enabled {
            self.kept.endpoint.status = EndpointStatus::Disabled(why);
        }
    }

    fn enable(&mut self, behind: EventPlace) {
        let progress = &mut self.progress;
        match self.kept.endpoint.status {
            EndpointStatus::Enabled => return,
            EndpointStatus::Disabled(WhyDisabled::Failing) => {
                for (_, parked) in &mut progress.parked {
                    parked.due = Timestamp::default();
                }
            }
            EndpointStatus::Disabled(WhyDisabled::Asked | WhyDisabled::Gone) => {
                progress.told = behind;
                progress.parked.clear();
                progress.replays.clear();
            }
        }
        progress.failing = None;
        progress.generation = progress.generation.saturating_add(1);
        self.kept.endpoint.status = EndpointStatus::Enabled;
    }

    fn rotate(&mut self, secret: SigningSecret, old_until: Timestamp) {
        let old = std::mem::replace(&mut self.kept.secrets.current, secret);
        self.kept.secrets.previous = Some((old, old_until));
    }

    fn replay(&mut self, replay: Replay) -> Result<(), EndpointRefusal> {
        if self.kept.endpoint.status != EndpointStatus::Enabled {
            return Err(EndpointRefusal::Disabled);
        }
        if self.progress.replays.len() >= REPLAYS_MAX {
            return Err(EndpointRefusal::TooManyReplays);
        }
        // Each is known by its time.
        let last = self.progress.replays.last();
        let free = last.map_or(replay.asked_at, |last| last.asked_at.plus(Millis(1)));
        let asked_at = replay.asked_at.max(free);
        self.progress.replays.push(Replay { asked_at, ..replay });
        Ok(())
    }

    fn park(&mut self, payment: PaymentId, parked: Option<Parked>) {
        let all = &mut self.progress.parked;
        let place = all.binary_search_by_key(&payment, |(payment, _)| *payment);
        match (place, parked) {
            (Ok(place), Some(parked)) => all[place].1 = parked,
            (Ok(place), None) => drop(all.remove(place)),
            (Err(place), Some(parked)) => all.insert(place, (payment, parked)),
            (Err(_), None) => {}
        }
    }

    fn note(&mut self, noted: Noted) {
        for row in noted.rows {
            self.numbered = self.numbered.saturating_add(1);
            self.rows.push_back((self.numbered, row));
            if self.rows.len() > DELIVERIES_KEPT_MAX {
                self.rows.pop_front();
            }
        }
        if noted.generation != self.progress.generation {
            return;
        }
        self.progress.told = noted.told;
        self.progress.failing = noted.failing;
        for (payment, parked) in noted.parked {
            self.park(payment, parked);
        }
        if let Some((asked_at, goes_on)) = noted.replay
            && let Some(first) = self.progress.replays.first_mut()
            && first.asked_at == asked_at
        {
            match goes_on {
                Some(from) => first.from = from,
                None => drop(self.progress.replays.remove(0)),
            }
        }
        if let Some(why) = noted.disabled {
            self.disable(why);
        }
    }
}

impl Inner {
    fn of(&mut self, owner: Owner, id: EndpointId) -> Result<&mut One, EndpointRefusal> {
        let one = self.endpoints.get_mut(&id);
        one.filter(|one| one.kept.endpoint.owner == owner)
            .ok_or(EndpointRefusal::NoSuchEndpoint)
    }

    fn all_of(&self, owner: Owner) -> impl Iterator<Item = &Endpoint> {
        let all = self.endpoints.values().map(|one| &one.kept.endpoint);
        all.filter(move |endpoint| endpoint.owner == owner)
    }

    fn make(&mut self, owner: Owner, change: EndpointChange) -> Result<KeptEndpoint, EndpointError> {
        let one = match change {
            EndpointChange::Create {
                endpoint,
                secret,
                behind,
            } => {
                if self.all_of(owner).count() >= ENDPOINTS_MAX {
                    return Err(EndpointRefusal::TooManyEndpoints.into());
                }
                let id = endpoint.id;
                if self.endpoints.contains_key(&id) {
                    return Err(EndpointError::Store(format!("{id} is there already")));
                }
                let one = One::new(Endpoint { owner, ..endpoint }, secret, behind);
                self.endpoints.entry(id).or_insert(one)
            }
            EndpointChange::Say(id, said) => {
                let one = self.of(owner, id)?;
                one.say(said);
                one
            }
            EndpointChange::Disable(id) => {
                let one = self.of(owner, id)?;
                one.disable(WhyDisabled::Asked);
                one
            }
            EndpointChange::Enable(id, behind) => {
                let one = self.of(owner, id)?;
                one.enable(behind);
                one
            }
            EndpointChange::Rotate {
                id,
                secret,
                old_until,
            } => {
                let one = self.of(owner, id)?;
                one.rotate(secret, old_until);
                one
            }
            EndpointChange::Delete(id) => {
                let kept = self.of(owner, id)?.kept.clone();
                self.endpoints.remove(&id);
                for answer in self.answers.values_mut().filter(|answer| answer.about == id) {
                    answer.kept = None;
                }
                return Ok(kept);
            }
            EndpointChange::Replay(id, replay) => {
                let one = self.of(owner, id)?;
                one.replay(replay)?;
                one
            }
        };
        Ok(one.kept.clone())
    }

    fn change(
        &mut self,
        owner: Owner,
        change: EndpointChange,
        once: Option<Once>,
        now: Timestamp,
    ) -> Result<EndpointChanged, EndpointError> {
        self.answers
            .retain(|_, answer| now.since(answer.at) < IDEMPOTENCY_RETENTION);
        let once = once.map(|once| ((owner, once.key), Sha256::digest(&*once.asked).into()));
        if let Some((key, asked)) = &once
            && let Some(answer) = self.answers.get(key)
        {
            if answer.asked != *asked {
                return Err(EndpointRefusal::KeyMismatch.into());
            }
            let kept = answer.kept.clone().ok_or(EndpointRefusal::Deleted)?;
            return Ok(EndpointChanged {
                kept,
                was_before: true,
            });
        }
        let deletes = matches!(change, EndpointChange::Delete(_));
        let kept = self.make(owner, change)?;
        if let Some((key, asked)) = once {
            let answer = Answer {
                at: now,
                asked,
                about: kept.endpoint.id,
                kept: (!deletes).then(|| kept.clone()),
            };
            self.answers.insert(key, answer);
        }
        Ok(EndpointChanged {
            kept,
            was_before: false,
        })
    }
}

impl EndpointStore for MemoryEndpoints {
    fn change(
        &self,
        owner: Owner,
        change: EndpointChange,
        once: Option<Once>,
    ) -> BoxFuture<'_, Result<EndpointChanged, EndpointError>> {
        let now = self.clock.now();
        Box::pin(ready(self.inner().change(owner, change, once, now)))
    }

    fn get(&self, owner: Owner, id: EndpointId) -> BoxFuture<'_, Result<Option<Endpoint>, EndpointError>> {
        let endpoint = self.inner().of(owner, id).map(|one| one.kept.endpoint.clone());
        Box::pin(ready(Ok(endpoint.ok())))
    }

    fn list(
        &self,
        owner: Owner,
        page: EndpointPage,
    ) -> BoxFuture<'_, Result<Option<ListedEndpoints>, EndpointError>> {
        let all = self.inner().all_of(owner).cloned().collect();
        Box::pin(ready(Ok(page_of(all, page))))
    }

    fn deliveries(
        &self,
        owner: Owner,
        id: EndpointId,
        (limit, before): (usize, Option<u64>),
    ) -> BoxFuture<'_, Result<Option<NumberedDeliveries>, EndpointError>> {
        let found = self.inner().of(owner, id).ok().map(|one| {
            let older = one
                .rows
                .iter()
                .rev()
                .filter(|(number, _)| before.is_none_or(|before| *number < before));
            let mut rows: Vec<_> = older.take(limit.saturating_add(1)).cloned().collect();
            let has_more = rows.len() > limit;
            rows.truncate(limit);
            (rows, has_more)
        });
        Box::pin(ready(Ok(found)))
    }
}

impl DeliveryBook for MemoryEndpoints {
    fn endpoints(&self, shard: ShardId) -> BoxFuture<'_, Result<Vec<EndpointId>, EndpointError>> {
        let inner = self.inner();
        let ids = inner
            .endpoints
            .keys()
            .filter(|id| id.shard() == shard)
            .copied()
            .collect();
        Box::pin(ready(Ok(ids)))
    }

    fn open(&self, id: EndpointId) -> BoxFuture<'_, Result<Option<(KeptEndpoint, Progress)>, EndpointError>> {
        let inner = self.inner();
        let one = inner.endpoints.get(&id);
        let opened = one.map(|one| (one.kept.clone(), one.progress.clone()));
        Box::pin(ready(Ok(opened)))
    }

    fn note(&self, noted: Noted) -> BoxFuture<'_, Result<(), EndpointError>> {
        if let Some(one) = self.inner().endpoints.get_mut(&noted.endpoint) {
            one.note(noted);
        }
        Box::pin(ready(Ok(())))
    }
}

#[cfg(test)]
mod tests;
