//! Idempotency keys: which request each one was used for, where its answer is stored, and which ones are still running.

use std::collections::{HashMap, VecDeque};
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use super::credentials::Account;
use super::form::hex_value;
use crate::clock::UnixMillis;
use crate::witness::Span;

const RETENTION_S: u64 = 24 * 60 * 60;

/// The first half of a SHA-256; hexadecimal in the log.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Digest([u8; 16]);

/// Hashes texts so that no two different sequences of texts look the same.
#[derive(Debug, Default)]
pub(crate) struct DigestBuilder(Sha256);

impl DigestBuilder {
    pub(crate) fn text(&mut self, text: &str) {
        self.0.update(text.len().to_le_bytes());
        self.0.update(text.as_bytes());
    }

    pub(crate) fn finish(self) -> Digest {
        let full = self.0.finalize();
        Digest(full[..16].try_into().expect("a SHA-256 has 32 bytes"))
    }
}

/// The key of one request.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "StoredKey")]
pub(crate) struct Idempotency {
    account: Account,
    pub(crate) key: Box<str>,
    /// Of method, path and parameters.
    fingerprint: Digest,
    #[serde(skip_serializing)]
    slot: Digest,
}

#[derive(Deserialize)]
struct StoredKey {
    account: Account,
    key: Box<str>,
    fingerprint: Digest,
}

impl From<StoredKey> for Idempotency {
    fn from(stored: StoredKey) -> Self {
        Self::new(stored.account, &stored.key, stored.fingerprint)
    }
}

impl Idempotency {
    pub(crate) fn new(account: Account, key: &str, fingerprint: Digest) -> Self {
        let mut digest = DigestBuilder::default();
        digest.text(account.name());
        digest.text(key);
        Self {
            account,
            key: key.into(),
            fingerprint,
            slot: digest.finish(),
        }
    }

    /// Names the key within its account.
    pub(crate) fn slot(&self) -> Digest {
        self.slot
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// Never used, or forgotten.
    Free,
    /// A request with this key has no answer yet.
    Running,
    /// Used for other parameters.
    Mismatch,
    /// Answered; the line at this place says how.
    Answered(Span),
}

#[derive(Debug)]
pub(crate) struct Keys {
    answered: HashMap<Digest, Answered>,
    /// The keys of `answered`, oldest first.
    order: VecDeque<Digest>,
    running: HashMap<Digest, Running>,
    answered_max: usize,
}

#[derive(Debug, Clone, Copy)]
struct Answered {
    fingerprint: Digest,
    /// Unix seconds.
    at: u64,
    span: Span,
}

#[derive(Debug, Clone, Copy)]
struct Running {
    fingerprint: Digest,
    until: UnixMillis,
}

impl Keys {
    pub(crate) fn new(answered_max: usize) -> Self {
        let answered_max = answered_max.max(1);
        Self {
            answered: HashMap::new(),
            order: VecDeque::new(),
            running: HashMap::new(),
            answered_max,
        }
    }

    pub(crate) fn look_up(&mut self, idempotency: &Idempotency, now: UnixMillis) -> Known {
        self.forget_expired(now.seconds());
        if let Some(running) = self.running.get(&idempotency.slot) {
            if now < running.until {
                let same = running.fingerprint == idempotency.fingerprint;
                return if same { Known::Running } else { Known::Mismatch };
            }
            self.running.remove(&idempotency.slot);
        }
        match self.answered.get(&idempotency.slot) {
            None => Known::Free,
            Some(answered) if answered.fingerprint != idempotency.fingerprint => Known::Mismatch,
            Some(answered) => Known::Answered(answered.span),
        }
    }

    /// `at` in unix seconds never goes back from call to call.
    pub(crate) fn answer(&mut self, idempotency: &Idempotency, at: u64, span: Span) {
        self.forget_expired(at);
        let answered = Answered {
            fingerprint: idempotency.fingerprint,
            at,
            span,
        };
        if self.answered.insert(idempotency.slot, answered).is_none() {
            self.order.push_back(idempotency.slot);
        }
        if self.answered.len() > self.answered_max {
            self.forget_oldest();
        }
    }

    /// The key is in use until then, or until it is released.
    pub(crate) fn run(&mut self, idempotency: &Idempotency, now: UnixMillis, until: UnixMillis) {
        self.running.retain(|_, running| now < running.until);
        self.running.insert(
            idempotency.slot,
            Running {
                fingerprint: idempotency.fingerprint,
                until,
            },
        );
    }

    pub(crate) fn release(&mut self, slot: Digest) {
        self.running.remove(&slot);
    }

    fn forget_expired(&mut self, now_s: u64) {
        while let Some(oldest) = self.order.front() {
            let expires = self
                .answered
                .get(oldest)
                .map_or(0, |answered| answered.at + RETENTION_S);
            if now_s < expires {
                return;
            }
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.order.pop_front() {
            self.answered.remove(&oldest);
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        let invalid = || serde::de::Error::custom("expected 32 hexadecimal digits");
        if text.len() != 32 {
            return Err(invalid());
        }
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let high = hex_value(pair[0]).ok_or_else(invalid)?;
            let low = hex_value(pair[1]).ok_or_else(invalid)?;
            *byte = high << 4 | low;
        }
        Ok(Self(bytes))
    }
}
