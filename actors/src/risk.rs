//! Velocity shards: how often a customer (else a device) paid and was declined lately, and for how much. A subject lives in one shard,
//! so its counters need no lock. What is remembered is bounded. It is lost with the process and with a shard that fails, and what the
//! journal's end still tells of it comes back ([`recall`]): until then risk knows less, money is not touched. What is known of a payment's card is asked for last
//! (`risk/cards.rs`), because it is kept by another subject: the card with the amount.

mod cards;
mod declines;
mod memory;
pub mod recall;
mod record;
mod shares;

use crate::context::{Context, Step};
use crate::mailbox::{Envelope, Mailbox};
use crate::payment::PaymentMail;
use crate::reply::tell;
pub use cards::{Card, CardEnd, CardQuestion};
pub use declines::Book;
use florin_domain::ids::PaymentId;
use florin_domain::ledger::AccountKey;
use florin_domain::money::{Amount, Currency};
use florin_domain::payment::Spec;
use florin_domain::ports::CountedEvent;
pub use florin_domain::risk::VelocityCounts as Velocity;
use florin_domain::time::Timestamp;
use memory::Counters;
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef};
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hasher};
use std::sync::Arc;
use tokio::sync::oneshot;

/// Whom velocity is counted for: a digest of merchant, mode and customer, device or address; or of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject(u64);

/// Hashes a text while it is written.
struct NameHasher(DefaultHasher);

impl fmt::Write for NameHasher {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

impl Subject {
    /// The subject of a customer (else a device) of a merchant; `None` when nothing identifies one.
    pub fn of(spec: &Spec) -> Option<Self> {
        let name = spec.customer.as_deref().or(spec.device.fingerprint.as_deref())?;
        Some(Self::digest(spec, 0, name))
    }

    /// The subject of the address that a merchant's customer comes from.
    pub fn of_address(spec: &Spec) -> Option<Self> {
        let address: std::net::IpAddr = spec.device.ip.as_deref()?.parse().ok()?;
        Some(Self::digest(spec, 1, &address.to_canonical().to_string()))
    }

    fn digest(spec: &Spec, kind: u8, name: &str) -> Self {
        let mut hasher = Self::hasher(spec, kind);
        hasher.write(name.as_bytes());
        Self(hasher.finish())
    }

    /// The same of a name that is put together.
    fn digest_of(spec: &Spec, kind: u8, name: fmt::Arguments<'_>) -> Self {
        let mut name_hasher = NameHasher(Self::hasher(spec, kind));
        fmt::Write::write_fmt(&mut name_hasher, name).expect("a hasher takes every text");
        Self(name_hasher.0.finish())
    }

    fn hasher(spec: &Spec, kind: u8) -> DefaultHasher {
        let mut hasher = BuildHasherDefault::<DefaultHasher>::default().build_hasher();
        hasher.write_u128(spec.merchant.bits());
        hasher.write_u8(u8::from(spec.livemode));
        hasher.write_u8(kind);
        hasher
    }

    /// The subject of an account that transfers between shards debit.
    pub fn of_account(account: &AccountKey) -> Self {
        let mut hasher = BuildHasherDefault::<DefaultHasher>::default().build_hasher();
        hasher.write_u8(2);
        hasher.write(account.to_string().as_bytes());
        Self(hasher.finish())
    }

    /// Which of `shards` owns it.
    pub fn shard(self, shards: usize) -> usize {
        usize::try_from(self.0 % shards.max(1) as u64).unwrap_or(0)
    }
}

/// A customer, a device or an address with the merchant whose it is: what is remembered of it is in that merchant's share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payer {
    /// Whose.
    pub book: Book,
    /// Who.
    pub subject: Subject,
}

impl Payer {
    /// The customer (else the device) of a payment; `None` when nothing identifies one.
    pub fn of(spec: &Spec) -> Option<Self> {
        let (book, subject) = (Book::of(spec), Subject::of(spec)?);
        Some(Self { book, subject })
    }

    /// The address that a payment came from.
    pub fn of_address(spec: &Spec) -> Option<Self> {
        let (book, subject) = (Book::of(spec), Subject::of_address(spec)?);
        Some(Self { book, subject })
    }

    const fn place(self) -> (Book, Subject) {
        (self.book, self.subject)
    }
}

/// Answers a payment; when it is dropped unanswered (the shard died) the payment is told that nothing is known.
#[derive(Debug)]
pub struct VelocityReply(Option<Mailbox<PaymentMail>>);

impl VelocityReply {
    /// For this payment.
    pub fn new(payment: Mailbox<PaymentMail>) -> Self {
        Self(Some(payment))
    }

    fn answer(mut self, velocity: Velocity) {
        if let Some(payment) = self.0.take() {
            payment.step(PaymentMail::Assessed(Some(velocity)));
        }
    }
}

impl Drop for VelocityReply {
    fn drop(&mut self) {
        if let Some(payment) = self.0.take() {
            payment.step(PaymentMail::Assessed(None));
        }
    }
}

/// What a shard is told.
#[derive(Debug)]
pub enum RiskMail {
    /// Count a payment and say how many there are.
    Count {
        /// Of whom.
        payer: Payer,
        /// When.
        at: Timestamp,
        /// What its card is asked next.
        question: CardQuestion,
        /// Who asks.
        reply: VelocityReply,
    },
    /// Count a new payment with its amount, have its address counted as well, and say how many there are.
    Begin {
        /// Of whom.
        payer: Payer,
        /// When.
        at: Timestamp,
        /// How much.
        asked: (Currency, Amount),
        /// From where, if that is counted.
        address: Option<Payer>,
        /// What its card is asked next.
        question: CardQuestion,
        /// Who asks.
        reply: VelocityReply,
    },
    /// Count a payment's address; what was counted before is answered with it.
    CountAddress {
        /// Which.
        payer: Payer,
        /// When.
        at: Timestamp,
        /// What is known already.
        counted: Velocity,
        /// What its card is asked next.
        question: CardQuestion,
        /// Who asks.
        reply: VelocityReply,
    },
    /// Say whether a card may be tried; what was counted before is answered with it.
    AskCard {
        /// Which, and by whom.
        question: CardQuestion,
        /// What is known already.
        counted: Velocity,
        /// Who asks.
        reply: VelocityReply,
    },
    /// A payment's try of its card has ended.
    CardEnded {
        /// Which.
        card: Card,
        /// Whose try.
        payment: PaymentId,
        /// When.
        at: Timestamp,
        /// How.
        end: CardEnd,
    },
    /// Count a decline.
    Declined {
        /// Of whom.
        payer: Payer,
        /// When.
        at: Timestamp,
    },
    /// Count transfers between shards, and say how many there were before.
    CountTransfers {
        /// From which accounts, all of this velocity shard.
        counts: Vec<TransferCount>,
        /// When.
        at: Timestamp,
        /// One number for each: how many went from it within an hour.
        reply: oneshot::Sender<Vec<u32>>,
    },
    /// Count what happened before this incarnation was there. For another one it is not: that one is told everything by itself.
    Recalled(ActorId, Vec<Recalled>),
}

/// Transfers between shards that debit one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferCount {
    /// The account.
    pub subject: Subject,
    /// How many there are now; none if somebody only asks.
    pub times: u32,
}

/// Something that the journal tells of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recalled {
    /// Of whom.
    pub subject: Subject,
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: What,
}

/// What a subject did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It paid.
    Paid {
        /// Where that is counted.
        book: Book,
        /// How much, if it went on from there.
        asked: Option<(Currency, Amount)>,
    },
    /// It was declined, which is counted there.
    Declined(Book),
    /// A transfer to another shard debited it.
    Transferred,
    /// This payment was asked for with this card.
    Seen(PaymentId),
    /// This card was declined, for good or not.
    CardDeclined {
        /// Where that is counted.
        book: Book,
        /// For good.
        is_final: bool,
    },
}

/// Has a new payment counted: by its customer (else its device), by its address if there is a limit on that, and by its card. The
/// answer comes to `payment`.
pub(crate) fn begin(context: &Context, spec: &Spec, question: CardQuestion, payment: &Mailbox<PaymentMail>) {
    context.ports.velocity.tell(spec, CountedEvent::Payment);
    let counts_addresses = context.options.velocity.ip_hour_count_max.is_some();
    let address = counts_addresses.then(|| Payer::of_address(spec)).flatten();
    let (at, reply) = (question.at, VelocityReply::new(payment.clone()));
    let (subject, mail) = match (Payer::of(spec), address) {
        (Some(payer), address) => {
            let mail = RiskMail::Begin {
                payer,
                at,
                asked: (spec.currency, spec.amount),
                address,
                question,
                reply,
            };
            (payer.subject, mail)
        }
        (None, Some(payer)) => {
            let mail = RiskMail::CountAddress {
                payer,
                at,
                counted: Velocity::default(),
                question,
                reply,
            };
            (payer.subject, mail)
        }
        (None, None) => return ask_card(context, question, Velocity::default(), reply),
    };
    send(context, subject, mail);
}

/// Has a confirmation counted like a payment, by its customer (else its device), and its card asked.
pub(crate) fn confirm(
    context: &Context,
    spec: &Spec,
    question: CardQuestion,
    payment: &Mailbox<PaymentMail>,
) {
    let reply = VelocityReply::new(payment.clone());
    match Payer::of(spec) {
        Some(payer) => {
            let at = question.at;
            let mail = RiskMail::Count {
                payer,
                at,
                question,
                reply,
            };
            send(context, payer.subject, mail);
        }
        None => ask_card(context, question, Velocity::default(), reply),
    }
}

/// Asks what is known of a card; the rest is known already.
pub(crate) fn ask_card(context: &Context, question: CardQuestion, counted: Velocity, reply: VelocityReply) {
    let mail = RiskMail::AskCard {
        question,
        counted,
        reply,
    };
    send(context, question.card.subject, mail);
}

/// Tells the shard of a subject.
pub(crate) fn send(context: &Context, subject: Subject, mail: RiskMail) {
    context.risk[subject.shard(context.risk.len())].step(mail);
}

/// A shard's state.
#[derive(Debug)]
pub struct RiskState {
    context: Arc<Context>,
    counters: Counters,
}

/// A velocity shard.
#[derive(Clone, Copy, Debug)]
pub struct RiskShard;

impl Actor for RiskShard {
    type Msg = Envelope<RiskMail>;
    type State = RiskState;
    type Arguments = Arc<Context>;

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        context: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let counters = Counters::of(&context.options);
        Ok(RiskState { context, counters })
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        envelope: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let (mail, _slot) = envelope.open();
        let context = Arc::clone(&state.context);
        match mail {
            RiskMail::Count {
                payer,
                at,
                question,
                reply,
            } => {
                context.ports.probe.reached(Step::RiskAssessing);
                let counted = state.counters.paid(payer, at);
                ask_card(&context, question, counted, reply);
            }
            RiskMail::Begin {
                payer,
                at,
                asked,
                address,
                question,
                reply,
            } => {
                context.ports.probe.reached(Step::RiskAssessing);
                let counted = state.counters.began(payer, at, asked);
                match address {
                    None => ask_card(&context, question, counted, reply),
                    Some(payer) => {
                        let mail = RiskMail::CountAddress {
                            payer,
                            at,
                            counted,
                            question,
                            reply,
                        };
                        send(&context, payer.subject, mail);
                    }
                }
            }
            RiskMail::CountAddress {
                payer,
                at,
                counted,
                question,
                reply,
            } => {
                let counted = state.counters.address(payer, at, counted);
                ask_card(&context, question, counted, reply);
            }
            RiskMail::AskCard {
                question,
                counted,
                reply,
            } => reply.answer(state.counters.card(&question, counted)),
            RiskMail::CardEnded {
                card,
                payment,
                at,
                end,
            } => state.counters.cards.ended(card, payment, at, end),
            RiskMail::Declined { payer, at } => state.counters.declined(payer, at),
            RiskMail::CountTransfers { counts, at, reply } => {
                context.ports.probe.reached(Step::RiskAssessing);
                let counters = &mut state.counters;
                let before = counts.into_iter().map(|count| counters.transfers(count, at));
                tell(reply, before.collect());
            }
            RiskMail::Recalled(incarnation, _) if incarnation != myself.get_id() => {
                crate::payment::count_stale("recalled");
            }
            RiskMail::Recalled(_, all) => state.counters.recall_all(&all),
        }
        Ok(())
    }
}
