//! Every bound of the core with its reason. Sizes of queues and caches are configuration; these are what the rules rely on.

use crate::time::Millis;

/// Bytes of an idempotency key; the field's convention.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;
/// Keys are answered from store for this long, then may be reused.
pub const IDEMPOTENCY_RETENTION: Millis = Millis::from_s(24 * 3600);
/// Entries of a payment's metadata.
pub const METADATA_ENTRIES_MAX: usize = 50;
/// Bytes of a metadata key.
pub const METADATA_KEY_BYTES_MAX: usize = 40;
/// Bytes of a metadata value.
pub const METADATA_VALUE_BYTES_MAX: usize = 500;
/// Bytes of a description, statement text or return URL.
pub const TEXT_BYTES_MAX: usize = 1000;
/// Captures, voids and refunds that one payment may collect, so that its state stays small enough to hold in an actor.
pub const OPERATIONS_MAX: usize = 256;
/// Amendments of one payment: each is a request, and all of them together leave room for those that move money.
pub const AMENDMENTS_MAX: usize = 64;
/// Requests with keys of their own that one payment may collect: operations, amendments, and questions about its challenge.
pub const REQUESTS_MAX: usize = 512;
/// Keys under which the end of one payment's challenge may be asked for: a key may ask again, so more are not needed.
pub const CHALLENGE_QUESTIONS_MAX: usize = 64;
/// Attempts of one operation before it needs a person: each is a request at a provider.
pub const ATTEMPTS_MAX: u32 = 16;
/// Matters of one operation that are journaled: a provider that says ever new things is told of beyond that, and kept no longer.
pub const MATTERS_MAX: usize = 64;
/// How long a provider may take to say how that ended which it has taken on, unless it is known better: beyond it a person looks.
pub const SETTLE_TIME: Millis = Millis::from_s(7 * 24 * 3600);
/// Transfers of the general ledger under way at once: 32 of the largest requests, some hundred megabytes.
pub const TRANSFERS_IN_FLIGHT_MAX: usize = 32 * 8_190;
/// How long a charge attempt may be retried with its journaled key; later it is only queried, then cancelled.
pub const ATTEMPT_RETRY_WINDOW: Millis = Millis::from_s(30 * 60);
/// A call of a provider is given up after so many of its time limits: an adapter ends it by itself long before, in several requests at most.
pub const CALL_GIVEN_UP_TIME_LIMITS: u64 = 4;
/// And never before this: a provider with a short time limit may be slow to say so.
pub const CALL_GIVEN_UP_MIN: Millis = Millis::from_s(60);
/// How long an authorization stands unless the provider says otherwise (7 days, the usual card rule).
pub const AUTHORIZATION_LIFETIME: Millis = Millis::from_s(7 * 24 * 3600);
/// How long a customer may take for a challenge.
pub const CHALLENGE_LIFETIME: Millis = Millis::from_s(15 * 60);
/// How long a payment may wait for a reviewer.
pub const REVIEW_LIFETIME: Millis = Millis::from_s(24 * 3600);

/// How long a payment may wait for somebody else; configuration, within the bounds above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// For the holder of an authorization to capture.
    pub authorization: Millis,
    /// For a customer's challenge.
    pub challenge: Millis,
    /// For a reviewer.
    pub review: Millis,
}

impl Lifetimes {
    /// The usual ones.
    pub const STANDARD: Self = Self {
        authorization: AUTHORIZATION_LIFETIME,
        challenge: CHALLENGE_LIFETIME,
        review: REVIEW_LIFETIME,
    };
}

const _: () = assert!(
    ATTEMPT_RETRY_WINDOW.0 < IDEMPOTENCY_RETENTION.0,
    "a provider forgets keys after a day"
);
const _: () = assert!(
    CALL_GIVEN_UP_MIN.0 < ATTEMPT_RETRY_WINDOW.0,
    "what was given up is still asked about under its key"
);
const _: () = assert!(
    ATTEMPT_RETRY_WINDOW.0 < SETTLE_TIME.0,
    "an attempt is overdue only when it is not repeated any more"
);
const _: () = assert!(
    CHALLENGE_LIFETIME.0 < AUTHORIZATION_LIFETIME.0,
    "a challenge ends before an authorization"
);
