//! Owns the books of a payment provider of the simulated world: what it has under each key, and what it has really done, which is the
//! witness of all that happened to money.

mod saying;

use crate::dice::Dice;
use crate::fault::Fault;
use crate::shop::is_charge;
use crate::world::World;
use florin_domain::money::Currency;
use florin_domain::payment::OperationKind;
use florin_domain::ports::AttemptRequest;
use florin_domain::provider::{Capabilities, Outcome, ProviderId, ProviderKey, ProviderReference};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What its names for objects begin with.
const REFERENCE: &str = "obj_";

pub(crate) fn reference(key: &ProviderKey) -> ProviderReference {
    Arc::from(format!("{REFERENCE}{key}"))
}

/// No usable answer.
pub(crate) fn silence(why: &str) -> Outcome {
    Outcome::Unknown {
        reason: Arc::from(why),
        reference: None,
    }
}

/// How far an object has come.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Made, and not confirmed.
    Fresh,
    /// The customer must act.
    Challenged,
    /// The bank will say; not before this time.
    Pending { until_ms: u64, succeeds: bool },
    /// Done.
    Done,
    /// Refused for good.
    Declined(&'static str),
    /// It can no longer charge.
    Closed,
}

/// What the provider has under one key.
#[derive(Clone, Debug)]
struct Object {
    state: State,
    /// It answers its own error to every request under this key.
    stored_error: bool,
    /// Until when nothing is found under this key.
    hidden_until_ms: u64,
    since_ms: u64,
    /// How much it did, if that is not what it was asked for.
    other_minor: Option<i128>,
    /// What it was made for.
    request: Option<AttemptRequest>,
}

/// Something that moved money, or reserved it.
#[derive(Clone, Debug)]
pub(crate) struct Deed {
    pub(crate) kind: OperationKind,
    pub(crate) currency: Currency,
    pub(crate) minor: i128,
    /// It is not what was asked for.
    pub(crate) is_other: bool,
    /// Under which key.
    pub(crate) key: ProviderKey,
    /// The provider said that it did not do it.
    pub(crate) is_denied: bool,
    /// The provider undid it by itself.
    pub(crate) is_taken_back: bool,
    charge: ProviderReference,
}

/// Money of one authorization.
#[derive(Clone, Copy, Debug, Default)]
struct Charge {
    authorized_minor: i128,
    captured_minor: i128,
    refunded_minor: i128,
    released: bool,
}

/// Whether and how a provider says by itself what becomes of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// It only answers.
    Never,
    /// By the key of the request.
    OfKeys,
    /// By the object that a request made, as it stands, or the one that it changed.
    OfObjects,
}

/// What the provider has, and has done.
#[derive(Debug)]
pub(crate) struct Books {
    world: Arc<World>,
    id: ProviderId,
    /// How long a key is remembered.
    lifetime_ms: u64,
    /// Whether and how it says by itself what becomes of requests.
    pub(crate) speaks: Speaks,
    /// Keys under which it said that nothing was done, or will be, although it will.
    denied: BTreeSet<ProviderKey>,
    objects: BTreeMap<ProviderKey, Object>,
    charges: BTreeMap<ProviderReference, Charge>,
    deeds: Vec<Deed>,
    /// Requests that have arrived and are not carried out yet, by when they will be.
    queued: Vec<(u64, u64, AttemptRequest)>,
    arrived: u64,
    /// When banks will have decided of what is pending.
    banks: BTreeSet<(u64, ProviderKey)>,
    pub(crate) out_until_ms: u64,
    pub(crate) silent_until_ms: u64,
}

impl Books {
    pub(crate) fn new(world: &Arc<World>, capabilities: &Capabilities, speaks: Speaks) -> Self {
        Self {
            world: Arc::clone(world),
            id: capabilities.id,
            lifetime_ms: capabilities.key_lifetime.0,
            speaks,
            denied: BTreeSet::new(),
            objects: BTreeMap::new(),
            charges: BTreeMap::new(),
            deeds: Vec::new(),
            queued: Vec::new(),
            arrived: 0,
            banks: BTreeSet::new(),
            out_until_ms: 0,
            silent_until_ms: 0,
        }
    }

    /// Everything that was really done, each with whether it was let go of again.
    pub(crate) fn deeds(&mut self) -> Vec<(Deed, bool)> {
        self.settle();
        let released = |deed: &Deed| {
            self.charges
                .get(&deed.charge)
                .is_some_and(|charge| charge.released)
        };
        self.deeds
            .iter()
            .map(|deed| (deed.clone(), released(deed)))
            .collect()
    }

    /// A request arrives, and will be carried out at this time, whether or not anybody waits.
    pub(crate) fn queue(&mut self, request: &AttemptRequest, due_ms: u64) {
        self.arrived += 1;
        self.queued.push((due_ms, self.arrived, request.clone()));
        self.wake_at(due_ms);
    }

    /// A bank will have decided by then.
    fn pends(&mut self, key: &ProviderKey, until_ms: u64) {
        self.banks.insert((until_ms, Arc::clone(key)));
        self.wake_at(until_ms);
    }

    /// Somebody has to look at this time.
    fn wake_at(&self, due_ms: u64) {
        if self.speaks != Speaks::Never {
            self.world.outbox.wake_at(due_ms);
        }
    }

    /// Carries out what is due.
    pub(crate) fn settle(&mut self) {
        let now_ms = self.world.clock.true_ms();
        self.queued.sort_by_key(|(due_ms, number, _)| (*due_ms, *number));
        while self
            .queued
            .first()
            .is_some_and(|(due_ms, _, _)| *due_ms <= now_ms)
        {
            let (_, _, request) = self.queued.remove(0);
            self.execute(&request, now_ms);
        }
        // What a bank has decided is carried out whether or not anybody asks.
        let bound: (u64, ProviderKey) = (now_ms.saturating_add(1), Arc::default());
        let later = self.banks.split_off(&bound);
        for (_, key) in std::mem::replace(&mut self.banks, later) {
            let object = self.objects.get(&key);
            let is_due = object.is_some_and(
                |object| matches!(object.state, State::Pending { until_ms, .. } if until_ms <= now_ms),
            );
            let request = object.and_then(|object| object.request.clone());
            if let Some(request) = request.filter(|_| is_due) {
                self.execute(&request, now_ms);
            }
        }
    }

    /// The object under a key; a fresh one if there is none.
    fn object(&mut self, key: &ProviderKey) -> &mut Object {
        let since_ms = self.world.clock.true_ms();
        self.objects.entry(Arc::clone(key)).or_insert(Object {
            state: State::Fresh,
            stored_error: false,
            hidden_until_ms: 0,
            since_ms,
            other_minor: None,
            request: None,
        })
    }

    /// Makes an object that cannot charge before it is confirmed.
    pub(crate) fn prepare(&mut self, key: &ProviderKey) {
        self.object(key);
    }

    /// From now on every request under this key is answered by the same error.
    pub(crate) fn store_error(&mut self, key: &ProviderKey) {
        self.object(key).stored_error = true;
    }

    /// Nothing is found under this key before this time, whoever asks and for whatever.
    pub(crate) fn hide(&mut self, key: &ProviderKey, until_ms: u64) {
        self.object(key).hidden_until_ms = until_ms;
    }

    pub(crate) fn is_hidden(&self, key: &ProviderKey) -> bool {
        let now_ms = self.world.clock.true_ms();
        let object = self.objects.get(key);
        !self.world.is_healed() && object.is_some_and(|object| now_ms < object.hidden_until_ms)
    }

    pub(crate) fn has_stored_error(&self, key: &ProviderKey) -> bool {
        self.objects.get(key).is_some_and(|object| object.stored_error)
    }

    /// Whether a bank is still to say what becomes of it.
    pub(crate) fn is_pending(&mut self, key: &ProviderKey) -> bool {
        self.settle();
        self.objects
            .get(key)
            .is_some_and(|object| matches!(object.state, State::Pending { .. }))
    }

    /// The customer passes the challenge.
    pub(crate) fn pass(&mut self, key: &ProviderKey) {
        let until_ms = self.world.clock.true_ms();
        if let Some(object) = self.objects.get_mut(key)
            && object.state == State::Challenged
        {
            let succeeds = true;
            object.state = State::Pending { until_ms, succeeds };
            self.pends(key, until_ms);
        }
    }

    /// What a bank has decided is carried out when somebody asks, which is when it can be known.
    pub(crate) fn hear_bank(&mut self, request: &AttemptRequest) {
        let now_ms = self.world.clock.true_ms();
        let due = |state: &State| matches!(state, State::Pending { until_ms, .. } if *until_ms <= now_ms);
        if self
            .objects
            .get(&request.key)
            .is_some_and(|object| due(&object.state))
        {
            self.execute(request, now_ms);
        }
    }

    /// Makes sure that what is not charged yet never will be.
    pub(crate) fn close(&mut self, key: &ProviderKey) {
        let object = self.object(key);
        match object.state {
            State::Fresh | State::Challenged => {
                object.state = State::Closed;
                self.tell(key);
            }
            State::Pending { .. } | State::Done | State::Declined(_) | State::Closed => {}
        }
    }

    pub(crate) fn execute(&mut self, request: &AttemptRequest, now_ms: u64) {
        let lifetime_ms = self.lifetime_ms;
        let known = self.objects.get(&request.key);
        let is_forgotten = known.is_some_and(|object| now_ms.saturating_sub(object.since_ms) > lifetime_ms);
        let state = known.filter(|_| !is_forgotten).map(|object| object.state.clone());
        let next = match state {
            None | Some(State::Fresh) => self.decide(request, now_ms),
            Some(State::Pending { until_ms, succeeds }) if until_ms <= now_ms => {
                if succeeds {
                    self.carry_out(request)
                } else {
                    State::Declined("bank_declined")
                }
            }
            Some(
                state @ (State::Challenged
                | State::Pending { .. }
                | State::Done
                | State::Declined(_)
                | State::Closed),
            ) => state,
        };
        if let State::Pending { until_ms, .. } = next {
            self.pends(&request.key, until_ms);
        }
        let object = self.object(&request.key);
        let is_news = object.state != next;
        object.state = next;
        object.request.get_or_insert_with(|| request.clone());
        if is_news {
            self.tell(&request.key);
        }
    }

    /// What becomes of a request that is new here.
    fn decide(&mut self, request: &AttemptRequest, now_ms: u64) -> State {
        let number = request.key.bytes().fold(0_u64, |hash, byte| {
            hash.wrapping_mul(0x0100_0000_01b3).wrapping_add(u64::from(byte))
        });
        let mut dice = Dice::of(self.world.seed, "issuer", number);
        let charges = is_charge(request.kind);
        if dice.hits(if charges { 800 } else { 300 }) {
            // A stream of its own: what is decided below stays as it is.
            let codes = [
                "insufficient_funds",
                "do_not_honor",
                "generic_decline",
                "lost_card",
            ];
            let code = Dice::of(self.world.seed, "decline code", number)
                .pick(&codes)
                .to_owned();
            return State::Declined(if charges { code } else { "insufficient_funds" });
        }
        if charges && dice.hits(700) {
            return State::Challenged;
        }
        if matches!(request.kind, OperationKind::Sale | OperationKind::Refund) && dice.hits(500) {
            return State::Pending {
                until_ms: now_ms + dice.within(1_000, 120_000),
                succeeds: dice.hits(8_000),
            };
        }
        self.carry_out(request)
    }

    /// Moves the money, unless there is none.
    fn carry_out(&mut self, request: &AttemptRequest) -> State {
        if request.kind == OperationKind::Void && !self.release(request) {
            return State::Declined("not_possible_now");
        }
        let asked = request.amount.minor();
        let is_other = request.kind != OperationKind::Void && asked > 1 && self.world.hits(Fault::CallShort);
        let minor = if is_other { asked - 1 } else { asked };
        let parent = request
            .parent
            .as_ref()
            .map(|parent| Arc::clone(&parent.reference));
        let name = parent.unwrap_or_else(|| reference(&request.key));
        let charge = self.charges.entry(Arc::clone(&name)).or_default();
        match request.kind {
            OperationKind::Sale => {
                charge.authorized_minor += minor;
                charge.captured_minor += minor;
            }
            OperationKind::Authorize => charge.authorized_minor += minor,
            OperationKind::Increment if !charge.released => charge.authorized_minor += minor,
            // It gives back and takes whatever it is told to: that this is never too much is what the platform promises.
            OperationKind::Capture if !charge.released => charge.captured_minor += minor,
            OperationKind::Refund => charge.refunded_minor += minor,
            OperationKind::Void => charge.released = true,
            OperationKind::Increment | OperationKind::Capture => return State::Declined("not_possible_now"),
            // It is asked for as a refund or a void.
            OperationKind::Reversal => return State::Declined("not_understood"),
        }
        let is_too_much =
            charge.captured_minor > charge.authorized_minor || charge.refunded_minor > charge.captured_minor;
        self.world
            .note(format_args!("done {:?} {} {minor}", request.kind, request.key));
        if is_too_much {
            self.world.breach(format!(
                "{} makes the provider do too much: {charge:?}",
                request.key
            ));
        }
        let is_denied = self.denied.contains(&request.key);
        if is_charge(request.kind) && !is_denied {
            self.world.charged(request.payment);
        }
        self.deeds.push(Deed {
            kind: request.kind,
            currency: request.currency,
            minor,
            is_other,
            key: Arc::clone(&request.key),
            is_denied,
            is_taken_back: false,
            charge: name,
        });
        self.take_back(request);
        if is_other {
            self.object(&request.key).other_minor = Some(minor);
        }
        State::Done
    }

    /// Lets go of what a void is about; what is not charged yet never will be. Not once something is taken, or on its way.
    fn release(&mut self, request: &AttemptRequest) -> bool {
        let Some(parent) = &request.parent else {
            return false;
        };
        let captured = self
            .charges
            .get(&parent.reference)
            .map_or(0, |charge| charge.captured_minor);
        let key = parent.reference.strip_prefix(REFERENCE).unwrap_or_default();
        let Some((key, object)) = self.objects.get_key_value(key) else {
            return false;
        };
        match object.state {
            State::Fresh | State::Challenged => {
                let key = Arc::clone(key);
                self.close(&key);
                true
            }
            State::Done => captured == 0,
            State::Pending { .. } | State::Declined(_) | State::Closed => false,
        }
    }

    /// What it says of a key.
    pub(crate) fn word(&self, request: &AttemptRequest) -> Outcome {
        let known = reference(&request.key);
        let Some(object) = self.objects.get(&request.key) else {
            return silence("there is no such object");
        };
        match &object.state {
            State::Fresh => Outcome::Unknown {
                reason: Arc::from("not confirmed"),
                reference: Some(known),
            },
            State::Challenged => Outcome::ActionRequired {
                reference: known,
                redirect_url: None,
            },
            State::Pending { .. } => Outcome::Pending { reference: known },
            State::Done => Outcome::Succeeded {
                transaction: self.transaction(request),
                amount_minor: object.other_minor.unwrap_or(request.amount.minor()),
                reference: known,
            },
            State::Declined(code) => Outcome::declined(Arc::from(*code), Some(known)),
            State::Closed => Outcome::Cancelled {
                reference: Some(known),
            },
        }
    }
}
