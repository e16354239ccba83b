//! Owns the customers' side: payments that merchants ask for, what they ask of them later, and what they were told. It outlives
//! the processes: whoever got no answer asks again under the same key.

use crate::clock::lock;
use crate::dice::Dice;
use crate::world::World;
use florin_actors::payment::Start;
use florin_actors::payments_handle::{Answered, Change, ChangeRequest, NewPayment, RequestError};
use florin_domain::idempotency::{Fingerprint, IdempotencyKey, KeyDigest};
use florin_domain::ids::{MerchantId, OperationId, PaymentId, ShardId, compose};
use florin_domain::method::PaymentMethod;
use florin_domain::money::{Amount, Currency, FeeSchedule};
use florin_domain::payment::{
    Amendment, CaptureMethod, DeclinePolicy, Device, Note, Operation, OperationKind, Payment, Resolution,
    Status,
};
use florin_domain::ports::PaymentRow;
use florin_domain::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

pub(crate) type Reply = Result<Answered, RequestError>;

/// What is asked of a payment at most.
const CHANGES_MAX: u64 = 6;

/// A request with a key of its own; it is large, kept in several places and sent more than once.
#[derive(Clone)]
pub(crate) enum Wish {
    /// A new payment.
    Create(Arc<NewPayment>),
    /// Something about it.
    Change(Arc<ChangeRequest>),
}

impl Wish {
    pub(crate) fn key(&self) -> KeyDigest {
        match self {
            Self::Create(new) => new.key_digest,
            Self::Change(change) => change.key_digest,
        }
    }
}

impl Wish {
    /// The same key for something else, as a careless client sends it.
    pub(crate) fn misused(&self) -> Self {
        let mut misused = self.clone();
        let print = match &mut misused {
            Self::Create(new) => &mut Arc::make_mut(new).fingerprint,
            Self::Change(change) => &mut Arc::make_mut(change).fingerprint,
        };
        print.0[0] ^= 1;
        misused
    }
}

/// One customer's purchase, and what became of it.
#[derive(Debug)]
pub(crate) struct Purchase {
    dice: Dice,
    number: u64,
    /// How often in 10,000 it wants nothing more.
    content: u64,
    wishes: u64,
    /// What is asked now; nothing when all is done.
    pub(crate) wish: Option<Wish>,
    pub(crate) payment: Option<PaymentId>,
    pub(crate) merchant: MerchantId,
    /// Times that the present wish was sent since somebody had patience again.
    pub(crate) sent: u32,
    /// It was never sent before.
    pub(crate) is_new: bool,
}

/// All purchases, and every final answer.
#[derive(Debug)]
pub(crate) struct Shop {
    pub(crate) purchases: Vec<Mutex<Purchase>>,
    /// What each key was finally answered, and for which wish.
    pub(crate) finals: Mutex<BTreeMap<KeyDigest, (Wish, Answered)>>,
    resolutions: AtomicU64,
}

/// The merchants: some in each shard.
pub(crate) fn merchant(number: u64, shards: u16) -> MerchantId {
    let shard = ShardId(u16::try_from(number % u64::from(shards)).unwrap_or(0));
    MerchantId::from_bits(compose(Timestamp::from_unix_ms(1), shard, number))
}

pub(crate) const MERCHANTS: u64 = 5;
pub(crate) const CUSTOMERS: u64 = 25;

/// What a customer is called.
pub(crate) fn customer_name(number: u64) -> String {
    format!("customer-{number}")
}

fn digest(number: u64, wish: u64) -> KeyDigest {
    KeyDigest(((u128::from(number) << 64) | u128::from(wish)).to_be_bytes())
}

fn amount(minor: u64) -> Amount {
    Amount::new(i128::from(minor.max(1))).expect("small and positive")
}

/// FNV-1a over what is asked.
fn fingerprint(text: &str) -> Fingerprint {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    Fingerprint(u128::from(hash).to_be_bytes())
}

fn method(dice: &mut Dice) -> PaymentMethod {
    let names = [
        "pm_card_visa",
        "pm_card_visa",
        "pm_card_mastercard",
        "pm_card_amex",
        "pm_card_riskLevelHighest",
    ];
    PaymentMethod::test(dice.pick::<&str>(&names)).expect("a test method")
}

impl Purchase {
    fn new(seed: u64, number: u64, world: &World) -> Self {
        let mut dice = Dice::of(seed, "purchase", number);
        let merchant = merchant(dice.below(MERCHANTS), world.shards);
        let minor = if dice.hits(300) {
            dice.within(300_000, 2_000_000)
        } else {
            dice.within(50, 40_000)
        };
        let key_digest = digest(number, 0);
        let method = method(&mut dice);
        // A stream of its own: what is decided above and below stays as it is.
        let mut drafts = Dice::of(seed, "draft", number);
        let start = match drafts.below(20) {
            0 | 1 => Start::Draft(None),
            2 => Start::Draft(Some(method)),
            _ => Start::Charge(method),
        };
        let after_decline = if drafts.hits(2_000) {
            DeclinePolicy::AwaitMethod
        } else {
            DeclinePolicy::Fail
        };
        let new = NewPayment {
            id: None,
            merchant,
            livemode: false,
            fee: FeeSchedule::new(290, 30.into()).expect("a usual fee"),
            key: IdempotencyKey::parse(&format!("purchase-{number}")).expect("a short key"),
            key_digest,
            fingerprint: fingerprint(&format!("purchase {number}")),
            amount: amount(minor),
            currency: *dice.pick(&[Currency::USD, Currency::USD, Currency::EUR]),
            start,
            after_decline,
            capture_method: *dice.pick(&[CaptureMethod::Automatic, CaptureMethod::Manual]),
            customer: Some(Arc::from(customer_name(dice.below(CUSTOMERS)))),
            description: None,
            metadata: Vec::new(),
            return_url: None,
            routing: florin_domain::routing::Wishes::default(),
            off_session: false,
            device: Device {
                country: dice.hits(2_000).then_some(*b"BR"),
                ..Device::default()
            },
        };
        Self {
            dice,
            number,
            content: world.scenario.content(),
            wishes: 0,
            wish: Some(Wish::Create(Arc::new(new))),
            payment: None,
            merchant,
            sent: 0,
            is_new: true,
        }
    }

    /// Milliseconds until somebody asks.
    pub(crate) fn wait_ms(&mut self, most: u64) -> u64 {
        self.dice.within(0, most)
    }

    fn change(&mut self, payment: PaymentId, change: Change, operator: Option<&str>) -> Wish {
        self.wishes += 1;
        let key_digest = digest(self.number, self.wishes);
        let name = format!("purchase-{}-{}", self.number, self.wishes);
        // Some who give money back name no key, as SDKs that are told to retry nothing.
        let is_keyless =
            matches!(change, Change::Refund { .. }) && (self.number + self.wishes).is_multiple_of(4);
        let key = if is_keyless {
            IdempotencyKey::own(&name)
        } else {
            IdempotencyKey::given(&name)
        };
        Wish::Change(Arc::new(ChangeRequest {
            payment,
            owner: operator.is_none().then_some((self.merchant, false)),
            operator: operator.map(Arc::from),
            key: key.expect("a short key"),
            key_digest,
            fingerprint: fingerprint(&format!("{payment} {change:?}")),
            change,
        }))
    }

    /// What a second clerk of the merchant asks at the same time, under a key of its own.
    pub(crate) fn rival(&mut self, payment: &Payment) -> Wish {
        let total = u64::try_from(payment.amount_minor()).unwrap_or(u64::MAX);
        let some = amount(self.dice.within(total / 2, total));
        let change = match self.dice.below(6) {
            0 => Change::Void,
            1 | 2 => Change::Capture {
                amount: Some(some),
                is_final: self.dice.hits(3_000),
            },
            3 => Change::Increment {
                total: amount(total + self.dice.within(1, 5_000)),
            },
            _ => Change::Refund {
                amount: Some(some),
                reason: None,
            },
        };
        self.change(payment.id(), change, None)
    }

    /// What is wanted of a payment that waits to be confirmed.
    fn of_draft(&mut self, payment: &Payment) -> Change {
        let total = u64::try_from(payment.amount_minor()).unwrap_or(u64::MAX);
        match self.dice.below(10) {
            0 => Change::Void,
            1..4 => Change::Amend(Amendment {
                amount: self
                    .dice
                    .hits(7_000)
                    .then(|| amount(self.dice.within(1, total.saturating_mul(2)))),
                method: self.dice.hits(4_000).then(|| method(&mut self.dice)),
                description: None,
                metadata: vec![(Arc::from("order_id"), Arc::from(self.wishes.to_string()))],
            }),
            4..7 => Change::Confirm(None),
            _ => Change::Confirm(Some(method(&mut self.dice))),
        }
    }

    /// What is wanted next of a payment that stands like this.
    pub(crate) fn next(&mut self, payment: &Payment) {
        self.sent = 0;
        self.is_new = true;
        self.payment = Some(payment.id());
        self.wish = None;
        if self.wishes >= CHANGES_MAX || self.dice.hits(self.content) {
            return;
        }
        let id = payment.id();
        let total = u64::try_from(payment.amount_minor()).unwrap_or(u64::MAX);
        let some = amount(self.dice.within(1, total));
        let wish = match &payment.status {
            _ if payment.is_draft() && self.dice.hits(9_000) => {
                let change = self.of_draft(payment);
                self.change(id, change, None)
            }
            _ if self.dice.hits(200) => {
                let amendment = Amendment {
                    description: Some(Some(Arc::from(format!("order {}", self.wishes)))),
                    ..Amendment::default()
                };
                self.change(id, Change::Amend(amendment), None)
            }
            Status::RequiresAction(_) if self.dice.hits(8_000) => {
                self.change(id, Change::Complete { details: None }, None)
            }
            Status::InReview { .. } if self.dice.hits(7_000) => {
                let change = if self.dice.hits(6_000) {
                    Change::ApproveReview
                } else {
                    Change::RejectReview
                };
                self.change(id, change, Some("reviewer"))
            }
            Status::Failed | Status::RequiresConfirmation | Status::RequiresPaymentMethod => {
                let method = method(&mut self.dice);
                self.change(id, Change::Confirm(Some(method)), None)
            }
            Status::Authorized | Status::Succeeded | Status::Voided => {
                let change = match self.dice.below(10) {
                    0 => Change::Void,
                    1 => Change::Increment {
                        total: amount(total + self.dice.within(1, 5_000)),
                    },
                    2..5 => Change::Capture {
                        amount: self.dice.hits(7_000).then_some(some),
                        is_final: self.dice.hits(3_000),
                    },
                    _ => Change::Refund {
                        amount: self.dice.hits(8_000).then_some(some),
                        reason: None,
                    },
                };
                self.change(id, change, None)
            }
            Status::Processing | Status::RequiresAction(_) | Status::InReview { .. } => {
                self.change(id, Change::Void, None)
            }
            Status::Blocked => return,
        };
        self.wish = Some(wish);
    }
}

impl Shop {
    pub(crate) fn new(seed: u64, purchases: u64, world: &World) -> Self {
        let purchase = |number| Mutex::new(Purchase::new(seed, number, world));
        Self {
            purchases: (0..purchases).map(purchase).collect(),
            finals: Mutex::default(),
            resolutions: AtomicU64::new(0),
        }
    }

    /// What an operator says of an operation that nobody resolves: what really happened.
    pub(crate) fn resolution(
        &self,
        payment: PaymentId,
        operation: OperationId,
        transaction: Option<Arc<str>>,
        operator: &str,
    ) -> Wish {
        let number = self.resolutions.fetch_add(1, Ordering::Relaxed);
        let resolution = Resolution {
            transaction,
            evidence: Arc::from("the provider's report"),
            reason: Arc::from("it was looked up"),
            operator: Arc::from(operator),
        };
        Wish::Change(Arc::new(ChangeRequest {
            payment,
            owner: None,
            operator: Some(Arc::from(operator)),
            key: IdempotencyKey::parse(&format!("resolution-{number}")).expect("a short key"),
            key_digest: digest(u64::MAX, number),
            fingerprint: fingerprint(&format!("{operation} {resolution:?}")),
            change: Change::Resolve {
                operation,
                resolution,
            },
        }))
    }

    /// What an operator says who has looked at what is open about an operation, if something is.
    pub(crate) fn note(&self, payment: &Payment, operation: OperationId) -> Option<Wish> {
        let operation_state = payment.operation(operation)?;
        if operation_state.open_matters().is_empty() {
            return None;
        }
        let seen = operation_state.matters.len();
        let number = self.resolutions.fetch_add(1, Ordering::Relaxed);
        let operator: Arc<str> = Arc::from("first");
        let note = Note {
            evidence: Arc::from("the provider's report"),
            reason: Arc::from("it was settled by hand"),
            operator: Arc::clone(&operator),
        };
        Some(Wish::Change(Arc::new(ChangeRequest {
            payment: payment.id(),
            owner: None,
            operator: Some(operator),
            key: IdempotencyKey::parse(&format!("note-{number}")).expect("a short key"),
            key_digest: digest(u64::MAX, number),
            fingerprint: fingerprint(&format!("{operation} {note:?}")),
            change: Change::Note {
                operation,
                note,
                seen,
            },
        })))
    }

    /// Purchases that want something still.
    pub(crate) fn open(&self) -> Vec<usize> {
        let purchases = self.purchases.iter().enumerate();
        let open = purchases.filter(|(_, purchase)| lock(purchase).wish.is_some());
        open.map(|(number, _)| number).collect()
    }
}

/// Who resolves what no provider says.
pub(crate) fn resolution_of(words: &[(&str, bool)]) -> &'static str {
    match words {
        [(first, _), (second, _), ..] if first == second => "alone",
        [(_, false), ..] => "against another",
        _ => "agreed",
    }
}

/// A provider's word about it is awaited; else it is listed for a person to look at.
pub(crate) fn waits(row: &PaymentRow, operation: OperationId) -> bool {
    row.payment
        .operation(operation)
        .is_some_and(Operation::is_unresolved)
}

/// Whether an operation of this kind takes money or reserves it.
pub(crate) fn is_charge(kind: OperationKind) -> bool {
    match kind {
        OperationKind::Sale | OperationKind::Authorize => true,
        OperationKind::Capture
        | OperationKind::Void
        | OperationKind::Refund
        | OperationKind::Increment
        | OperationKind::Reversal => false,
    }
}
