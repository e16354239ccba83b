//! What the simulated Adyen knows: the fold of its lines, bounded to the newest ones.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::call::{Idempotency, Request, WebhookTarget};
use super::notice::{Notice, Outbox};
use crate::clock::UnixMillis;
use crate::stripe::{Currency, Limits, TestMethod};
use crate::witness::Span;

/// A week, in seconds.
const KEYS_KEPT_S: u64 = 7 * 24 * 3600;

/// What was executed and what it was answered with, or what became of the telling.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) seq: u64,
    /// Unix seconds.
    pub(crate) at: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) call: Option<Idempotency>,
    /// Nothing was answered to a customer's button or to ourselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) answer: Option<Answer>,
    /// As it is afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) payment: Option<Payment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) notice: Option<Notice>,
    /// The notice of this line was acknowledged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) delivered: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<WebhookTarget>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Payment {
    /// The line that made it.
    pub(crate) seq: u64,
    pub(crate) merchant_account: Box<str>,
    pub(crate) reference: Box<str>,
    /// The key under which it was made, and under which its charge is witnessed.
    pub(crate) key: Option<Box<str>>,
    pub(crate) method: TestMethod,
    /// What was asked for, in Adyen's minor units.
    pub(crate) value: u64,
    pub(crate) currency: Currency,
    pub(crate) is_manual: bool,
    pub(crate) return_url: Box<str>,
    pub(crate) status: Status,
    /// How the customer's challenge ended.
    pub(crate) passed: Option<bool>,
    pub(crate) captured: u64,
    pub(crate) refunded: u64,
    pub(crate) released: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// Waits for its customer, and then for the details.
    Challenged,
    Authorised,
    Refused {
        reason: Box<str>,
        code: Box<str>,
    },
    Cancelled,
}

impl Payment {
    /// What may still be captured or released.
    pub(crate) fn held(&self) -> u64 {
        match self.status {
            Status::Authorised => self.value.saturating_sub(self.captured + self.released),
            Status::Challenged | Status::Refused { .. } | Status::Cancelled => 0,
        }
    }
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) outbox: Outbox,
    salt: u32,
    origin: Box<str>,
    next_seq: u64,
    limits: Limits,
    payments: BTreeMap<u64, Payment>,
    /// The newest payment under a reference.
    by_reference: HashMap<Box<str>, u64>,
    answered: HashMap<Box<str>, Answered>,
    /// The keys of `answered`, oldest first.
    order: VecDeque<Box<str>>,
    /// Keys that are in use until then.
    running: HashMap<Box<str>, UnixMillis>,
    /// What was answered with an error and is executed then. Like the fault that made it so, it does not survive a restart.
    late: Vec<(UnixMillis, Request)>,
}

#[derive(Debug)]
struct Answered {
    fingerprint: Box<str>,
    at: u64,
    span: Span,
}

/// What a key is to a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Known {
    Free,
    Running,
    Answered(Span),
    /// It was used for something else.
    Mismatch,
}

impl State {
    pub(crate) fn new(salt: u32, limits: Limits, origin: &str) -> Self {
        Self {
            outbox: Outbox::default(),
            salt,
            origin: origin.into(),
            next_seq: 1,
            limits,
            payments: BTreeMap::new(),
            by_reference: HashMap::new(),
            answered: HashMap::new(),
            order: VecDeque::new(),
            running: HashMap::new(),
            late: Vec::new(),
        }
    }

    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// The number of the line that comes next.
    pub(crate) fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Sixteen characters: the salt of the log and the number of the line.
    pub(crate) fn psp_reference(&self, seq: u64) -> String {
        format!("{:08X}{seq:08X}", self.salt)
    }

    pub(crate) fn payment(&self, seq: u64) -> Option<&Payment> {
        self.payments.get(&seq)
    }

    /// Only the exact spelling counts.
    pub(crate) fn by_psp_reference(&self, psp_reference: &str) -> Option<&Payment> {
        let seq = u64::from_str_radix(psp_reference.get(8..)?, 16).ok()?;
        (self.psp_reference(seq) == psp_reference)
            .then(|| self.payments.get(&seq))
            .flatten()
    }

    pub(crate) fn by_reference(&self, reference: &str) -> Option<&Payment> {
        self.payments.get(self.by_reference.get(reference)?)
    }

    pub(crate) fn look_up(&mut self, idempotency: &Idempotency, now: UnixMillis) -> Known {
        self.forget_keys(now.seconds());
        self.running.retain(|_, until| now < *until);
        match self.answered.get(&idempotency.key) {
            Some(answered) if answered.fingerprint != idempotency.fingerprint => Known::Mismatch,
            _ if self.running.contains_key(&idempotency.key) => Known::Running,
            Some(answered) => Known::Answered(answered.span),
            None => Known::Free,
        }
    }

    /// The key is in use until then.
    pub(crate) fn run(&mut self, idempotency: &Idempotency, until: UnixMillis) {
        self.running.insert(idempotency.key.clone(), until);
    }

    /// It is executed then.
    pub(crate) fn postpone(&mut self, request: &Request, until: UnixMillis) {
        if let Some(idempotency) = &request.idempotency {
            self.run(idempotency, until);
        }
        self.late.push((until, request.clone()));
    }

    /// What is to be executed by now, the earliest first.
    pub(crate) fn take_late(&mut self, now: UnixMillis) -> Option<(UnixMillis, Request)> {
        let (place, _) = self
            .late
            .iter()
            .enumerate()
            .min_by_key(|(_, (until, _))| *until)?;
        (self.late[place].0 <= now).then(|| self.late.remove(place))
    }

    /// How long it is to the next of them.
    pub(crate) fn next_late_ms(&self, now: UnixMillis) -> Option<u64> {
        let next = self.late.iter().map(|(until, _)| until.0).min()?;
        Some(next.saturating_sub(now.0))
    }

    /// Takes over what a line says. Lines come in order, live and in recovery alike.
    pub(crate) fn apply(&mut self, line: Line, span: Span) {
        assert_eq!(
            line.seq, self.next_seq,
            "lines are applied in the order in which they were numbered"
        );
        self.next_seq += 1;
        if let Some(Idempotency { key, fingerprint }) = line.call {
            let answered = Answered {
                fingerprint,
                at: line.at,
                span,
            };
            if self.answered.insert(key.clone(), answered).is_none() {
                self.order.push_back(key);
            }
            self.forget_keys(line.at);
        }
        if let Some(payment) = line.payment {
            self.by_reference.insert(payment.reference.clone(), payment.seq);
            self.payments.insert(payment.seq, payment);
            if self.payments.len() > self.limits.intents_max.max(1)
                && let Some((seq, oldest)) = self.payments.pop_first()
                && self.by_reference.get(&oldest.reference) == Some(&seq)
            {
                self.by_reference.remove(&oldest.reference);
            }
        }
        if let Some(notice) = line.notice {
            self.outbox.put(line.seq, notice);
        }
        if let Some(seq) = line.delivered {
            self.outbox.delivered(seq);
        }
        if let Some(target) = line.target {
            self.outbox.target = Some(target);
        }
    }

    fn forget_keys(&mut self, now_s: u64) {
        while let Some(oldest) = self.order.front() {
            let is_old = self
                .answered
                .get(oldest)
                .is_none_or(|answered| now_s >= answered.at + KEYS_KEPT_S);
            if !is_old && self.answered.len() <= self.limits.keys_max.max(1) {
                return;
            }
            if let Some(key) = self.order.pop_front() {
                self.answered.remove(&key);
            }
        }
    }
}
