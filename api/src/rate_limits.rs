//! How much each API key may ask, and how often callers without a valid one may fail.
//!
//! A key has state here only once it has authenticated, so there are never more entries than keys. A payment link, and a payment, has state only
//! while something of it has not come back.
//!
//! Whatever is asked is decided here and at once. What keys and links have spent is told to other processes afterwards, if there is a way (`exchange`).

use crate::errors::ApiError;
use crate::server::RateLimit;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use florin_domain::ids::{ApiKeyId, PaymentId, PaymentLinkId};
use florin_domain::merchant::ApiKey;
use florin_domain::ports::{LimitedBy, SharedLimits, Spent};
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use std::collections::HashMap;
use std::fmt::Write;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio::time::Instant;

mod bucket;
mod exchange;
mod keyed;
mod tries;

use bucket::{Bucket, Pace};
pub(crate) use exchange::Exchanges;
use exchange::Notes;
use keyed::KeyedBuckets;
use tries::{Tries, Try};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// Maps among which keys are spread, so that workers meet in one only for the same key or by chance.
const SHARDS: usize = 64;
/// Addresses whose failures are counted apart.
const ADDRESSES_MAX: usize = 4096;
/// Costly requests a minute of all addresses together from which too many have failed.
const COSTLY_PER_MIN: NonZeroU32 = NonZeroU32::new(60).expect("not zero");
/// Payments under one link that were begun and not made yet, in short order: nobody was asked for anything for them, and many customers come
/// together.
const DRAFTS_AT_ONCE: NonZeroU32 = NonZeroU32::new(500).expect("not zero");
/// After so long, one more.
const DRAFT_EACH: Duration = Duration::from_millis(200);
/// Tokens that customers may make under one link in short order: each is kept, and whoever has a link may make them.
const GUEST_TOKENS_AT_ONCE: NonZeroU32 = NonZeroU32::new(200).expect("not zero");
/// After so long, one more.
const GUEST_TOKEN_EACH: Duration = Duration::from_millis(100);
/// How often a customer's browser may have a provider asked about one payment in short order.
const QUESTIONS_AT_ONCE: NonZeroU32 = NonZeroU32::new(10).expect("not zero");
/// After so long, once more: less than a page that waits takes until it looks again.
const QUESTION_EACH: Duration = Duration::from_secs(2);
/// Where the failures of all further addresses are counted.
const EVERYBODY_ELSE: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// Time since the server was made, by the runtime's clock.
#[derive(Clone, Copy, Debug)]
struct Since(Instant);

impl Clock for Since {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

type Common = RateLimiter<NotKeyed, InMemoryState, Since, NoOpMiddleware<Duration>>;
type Buckets = HashMap<ApiKeyId, Allowance>;
type Failures = RateLimiter<IpAddr, HashMapStateStore<IpAddr>, Since, NoOpMiddleware<Duration>>;

/// What one key may do: decided when it is first seen.
#[derive(Clone, Debug)]
enum Allowance {
    Unlimited,
    Limited(Arc<Mutex<Bucket>>),
}

/// How a limited key stands after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Requests that are left at once.
    left: u32,
    /// Seconds until nothing is owed: another process had let pass what was left here.
    owed_s: u64,
}

/// What came of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// The key has no limit. Nothing is announced then: a policy must have a quota and a standing what is left of it, and headers
    /// without any policy are those that are not there.
    Unlimited,
    /// The request may go on.
    Within(Standing),
    /// It may not, for so many seconds.
    Over(Standing, u64),
}

/// The limits of this server.
#[derive(Debug)]
pub(crate) struct RateLimits {
    clock: Since,
    /// Where it is noted what others are to be told, if there are others.
    notes: Option<Notes>,
    keys: Option<KeyLimits>,
    strangers: Option<Strangers>,
    costly: Common,
    /// Requests of customers.
    link_requests: Option<KeyedBuckets<PaymentLinkId>>,
    /// Cards that they try.
    tries: Tries,
    /// Payments that they begin and do not make.
    drafts: KeyedBuckets<PaymentLinkId>,
    /// Cards that they have kept.
    guest_tokens: KeyedBuckets<PaymentLinkId>,
    /// What providers are asked for them. Of each payment apart: of a link's together, one customer could keep all others waiting.
    questions: KeyedBuckets<PaymentId>,
}

impl RateLimits {
    /// Limits as configured; nothing configured is no limit. With a place that other processes know comes what is to be run to share them.
    pub(crate) fn new(
        limit: Option<RateLimit>,
        failures_per_min: Option<NonZeroU32>,
        shared: Option<Arc<dyn SharedLimits>>,
    ) -> (Self, Option<Exchanges>) {
        let clock = Since(Instant::now());
        // Without a limit nobody spends anything.
        let shared = shared.filter(|_| limit.is_some());
        let (notes, exchanges) = shared.map(Exchanges::new).unzip();
        let limits = Self {
            clock,
            notes,
            keys: limit.map(|limit| KeyLimits::new(limit, clock)),
            strangers: failures_per_min.map(|per_min| Strangers::new(per_min, clock, ADDRESSES_MAX)),
            costly: RateLimiter::direct_with_clock(Quota::per_minute(COSTLY_PER_MIN), clock),
            link_requests: limit.map(|limit| KeyedBuckets::new(limit.pace(), clock)),
            tries: Tries::new(clock),
            drafts: KeyedBuckets::new((DRAFTS_AT_ONCE, DRAFT_EACH), clock),
            guest_tokens: KeyedBuckets::new((GUEST_TOKENS_AT_ONCE, GUEST_TOKEN_EACH), clock),
            questions: KeyedBuckets::new((QUESTIONS_AT_ONCE, QUESTION_EACH), clock),
        };
        (limits, exchanges)
    }

    /// Takes one request of what customers may ask under a link: as much as of an API key.
    pub(crate) fn take_for_link(&self, link: PaymentLinkId) -> Result<(), ApiError> {
        let Some(requests) = &self.link_requests else {
            return Ok(());
        };
        let taken = requests.take_and(link, |bucket| self.note(LimitedBy::Link(link), bucket));
        taken.map_err(over)
    }

    fn note(&self, whose: LimitedBy, bucket: &mut Bucket) {
        if let Some(notes) = &self.notes {
            notes.take(whose, bucket);
        }
    }

    /// What others are to be told of a bucket.
    fn tell(&self, whose: LimitedBy, now: Duration) -> Spent {
        let told = self.with(whose, |bucket, pace| (bucket.tell(now), pace.whole));
        let (untold, in_all) = told.unwrap_or_default();
        Spent {
            whose,
            untold_us: us(untold.spent),
            own_us: us(untold.own),
            whole_us: us(in_all),
        }
    }

    /// Hears when a bucket is full again with what others have taken from it.
    fn hear(&self, whose: LimitedBy, full_at: Duration) {
        let now = self.clock.now();
        self.with(whose, |bucket, pace| bucket.hear(full_at, now, pace));
    }

    fn with<T>(&self, whose: LimitedBy, act: impl FnOnce(&mut Bucket, Pace) -> T) -> Option<T> {
        match whose {
            LimitedBy::Key(key) => self.keys.as_ref()?.with(key, act),
            LimitedBy::Link(link) => Some(self.link_requests.as_ref()?.with(link, act)),
        }
    }

    /// Begins to try a card under a link. It is told afterwards if it was in vain.
    pub(crate) fn begin_try(&self, link: PaymentLinkId) -> Result<Try<'_>, ApiError> {
        self.tries.begin(link)
    }

    /// Takes one payment of those that may be begun under a link. One that was made is given back.
    pub(crate) fn take_draft(&self, link: PaymentLinkId) -> Result<(), ApiError> {
        self.drafts.take(link).map_err(over)
    }

    /// A payment that was begun has led to something, or none was begun.
    pub(crate) fn give_draft_back(&self, link: PaymentLinkId) {
        self.drafts.give_back(link);
    }

    /// Takes one token of those that customers may make under a link, however much they may ask.
    pub(crate) fn take_guest_token(&self, link: PaymentLinkId) -> Result<(), ApiError> {
        self.guest_tokens.take(link).map_err(over)
    }

    /// Whether a provider may be asked now what became of a customer's payment.
    pub(crate) fn may_ask_about(&self, payment: PaymentId) -> bool {
        self.questions.take(payment).is_ok()
    }

    /// Takes one request of what the key may ask. `is_unlimited` is asked once per key.
    pub(crate) fn take(&self, key: &ApiKey, is_unlimited: impl FnOnce() -> bool) -> Taken {
        self.keys.as_ref().map_or(Taken::Unlimited, |keys| {
            keys.take(key, is_unlimited, |bucket| {
                self.note(LimitedBy::Key(key.id), bucket);
            })
        })
    }

    /// How a caller without a valid key is refused.
    pub(crate) fn refuse_stranger(&self, peer: Option<IpAddr>) -> ApiError {
        let Some(strangers) = &self.strangers else {
            return ApiError::Unauthenticated;
        };
        strangers
            .fail(peer.unwrap_or(EVERYBODY_ELSE))
            .map_or(ApiError::Unauthenticated, |retry_after_s| {
                ApiError::TooManyStrangers { retry_after_s }
            })
    }

    /// Whether a caller whom nobody knows yet may cost more than others. Addresses from which too many have failed have a few such requests
    /// together: behind one address may be strangers and those who are believed.
    pub(crate) fn may_cost_more(&self, peer: Option<IpAddr>) -> bool {
        !self.has_failed_too_often(peer) || self.costly.check().is_ok()
    }

    /// Whether a caller without a valid key would be refused for having failed too often. Asking counts nothing.
    fn has_failed_too_often(&self, peer: Option<IpAddr>) -> bool {
        let strangers = self.strangers.as_ref();
        strangers.is_some_and(|strangers| strangers.is_over(peer.unwrap_or(EVERYBODY_ELSE)))
    }

    /// Tells a limited key how it stands.
    pub(crate) fn announce(&self, standing: Standing, headers: &mut HeaderMap) {
        if let Some(keys) = &self.keys {
            headers.insert(RATE_LIMIT_POLICY, keys.policy.clone());
            headers.insert(RATE_LIMIT, keys.announced(standing));
        }
    }
}

#[derive(Debug)]
struct KeyLimits {
    limit: RateLimit,
    pace: Pace,
    policy: HeaderValue,
    clock: Since,
    shards: [RwLock<Buckets>; SHARDS],
}

impl KeyLimits {
    fn new(limit: RateLimit, clock: Since) -> Self {
        let window_s = limit.burst.get().div_ceil(limit.requests_per_s.get());
        let policy = format!("\"default\";q={};w={window_s}", limit.burst);
        Self {
            limit,
            pace: Pace::new(limit.pace()),
            policy: HeaderValue::try_from(policy).expect("digits and quotes are allowed in a header"),
            clock,
            shards: std::array::from_fn(|_| RwLock::default()),
        }
    }

    fn shard(&self, key: ApiKeyId) -> &RwLock<Buckets> {
        // The last bits of an id are random.
        let [.., last] = key.bits().to_be_bytes();
        &self.shards[usize::from(last) % SHARDS]
    }

    fn known(&self, key: ApiKeyId) -> Option<Allowance> {
        let buckets = self.shard(key).read().unwrap_or_else(PoisonError::into_inner);
        buckets.get(&key).cloned()
    }

    /// Takes one. What else is to be done with a bucket of which one was taken is done before anybody else takes another.
    fn take(
        &self,
        key: &ApiKey,
        is_unlimited: impl FnOnce() -> bool,
        then: impl FnOnce(&mut Bucket),
    ) -> Taken {
        let allowance = self.known(key.id).unwrap_or_else(|| {
            let mut buckets = self.shard(key.id).write().unwrap_or_else(PoisonError::into_inner);
            let made = || {
                if is_unlimited() {
                    Allowance::Unlimited
                } else {
                    Allowance::Limited(Arc::default())
                }
            };
            buckets.entry(key.id).or_insert_with(made).clone()
        });
        let Allowance::Limited(bucket) = allowance else {
            return Taken::Unlimited;
        };
        let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        match bucket.take(now, self.pace) {
            Ok(left) => {
                then(&mut bucket);
                Taken::Within(Standing { left, owed_s: 0 })
            }
            Err(wait) => {
                let owed = bucket.owed(now, self.pace);
                let owed_s = if owed.is_zero() { 0 } else { whole_s(owed) };
                Taken::Over(Standing { left: 0, owed_s }, whole_s(wait))
            }
        }
    }

    fn with<T>(&self, key: ApiKeyId, act: impl FnOnce(&mut Bucket, Pace) -> T) -> Option<T> {
        let Some(Allowance::Limited(bucket)) = self.known(key) else {
            return None;
        };
        let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
        Some(act(&mut bucket, self.pace))
    }

    fn announced(&self, standing: Standing) -> HeaderValue {
        let missing = self.limit.burst.get().saturating_sub(standing.left);
        let reset_s = u64::from(missing.div_ceil(self.limit.requests_per_s.get()));
        let reset_s = reset_s.saturating_add(standing.owed_s);
        let mut text = String::with_capacity(40);
        write!(text, "\"default\";r={};t={reset_s}", standing.left).expect("a string takes every text");
        HeaderValue::try_from(text).expect("digits and quotes are allowed in a header")
    }
}

/// Failed authentications by address, of a bounded number of addresses.
#[derive(Debug)]
struct Strangers {
    failures: Failures,
    clock: Since,
    addresses_max: usize,
    /// Until when those have nothing left that were refused for it.
    over_until: Mutex<HashMap<IpAddr, Duration>>,
    /// When addresses that have been quiet were last forgotten.
    swept_s: AtomicU64,
}

impl Strangers {
    fn new(per_min: NonZeroU32, clock: Since, addresses_max: usize) -> Self {
        Self {
            failures: RateLimiter::hashmap_with_clock(Quota::per_minute(per_min), clock),
            clock,
            addresses_max,
            over_until: Mutex::default(),
            swept_s: AtomicU64::new(0),
        }
    }

    /// Counts a failure; beyond the limit, the seconds after which another would be within it.
    fn fail(&self, peer: IpAddr) -> Option<u64> {
        let address = if self.is_full() {
            EVERYBODY_ELSE
        } else {
            origin(peer)
        };
        let refused = self.failures.check_key(&address).err()?;
        let now = self.clock.now();
        let wait = refused.wait_time_from(now);
        let mut over_until = self.over_until.lock().unwrap_or_else(PoisonError::into_inner);
        if over_until.len() >= self.addresses_max {
            over_until.retain(|_, until| *until > now);
        }
        over_until.insert(address, now.saturating_add(wait));
        Some(whole_s(wait))
    }

    /// Whether a failure now would be beyond the limit, as far as an earlier one was.
    fn is_over(&self, peer: IpAddr) -> bool {
        let now = self.clock.now();
        let over_until = self.over_until.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |address| over_until.get(&address).is_some_and(|until| *until > now);
        is_over(origin(peer)) || self.failures.len() >= self.addresses_max && is_over(EVERYBODY_ELSE)
    }

    /// Whether no further address has room, after forgetting those that are quiet. The one for everybody else has a place
    /// of its own. Looking for quiet ones takes a while, so it is done once in a second.
    fn is_full(&self) -> bool {
        if self.failures.len() < self.addresses_max {
            return false;
        }
        let now_s = self.clock.now().as_secs();
        if self.swept_s.fetch_max(now_s, Ordering::Relaxed) < now_s {
            self.failures.retain_recent();
        }
        self.failures.len() >= self.addresses_max
    }
}

/// What stands for a caller: whoever has one IPv6 address has all that share its first 64 bits.
fn origin(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        IpAddr::V4(address) => IpAddr::V4(address),
    }
}

/// Rounded down: rather too little is told than too much.
fn us(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

const fn over(retry_after_s: u64) -> ApiError {
    ApiError::RateLimited { retry_after_s }
}

/// At least one second, since nobody should come back at once.
fn whole_s(wait: Duration) -> u64 {
    let started = u64::from(wait.subsec_nanos() > 0);
    wait.as_secs().saturating_add(started).max(1)
}

#[cfg(test)]
mod tests;
