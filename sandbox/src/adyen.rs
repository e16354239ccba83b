//! The simulated Adyen: its Checkout API of version 72, below `/adyen/v72`. A pure core with the real wire format around it.
//!
//! ```text
//! call      parses requests into calls         cards    the test cards and what they do
//! plan      what a call does to its payment    answer   what is answered, as Adyen's JSON
//! engine    decides: refuse, replay, execute   state    applies: the fold of all lines
//! notice    notifications, signed, and when they are due
//! ```
//!
//! Every answer that executed something is stored under the `Idempotency-Key` for a week. Captures, cancels and refunds are only
//! acknowledged: what became of them is told in a notification, as is every authorization. Notifications are sent, at least once and
//! in any order, to the address that `PUT /adyen/webhook` names (`{"url": ..., "hmac_key": ...}`, plain HTTP), until it answers 200;
//! both the address and what is still to be told survive a restart.
//!
//! A challenged payment leads its customer to the same pages as a Stripe's does, at `/3ds/adyen_{n}`; the browser then goes to the `returnUrl`
//! with a `redirectResult`, and only `POST /payments/details` with that charges the card.
//!
//! # Known differences to the real thing
//!
//! Any API key sees the same account, whatever merchant account it names; all methods are test cards; several partial captures are allowed,
//! an authorization may be adjusted as long as nothing was captured, whatever its type, and a cancel releases what is left after them; what was executed is executed at once, only told later, unless the fault `late_execution` has
//! it wait. A technical cancel of a reference that was never seen fails, and a payment under it is executed when it comes later: of the
//! real one nothing better is documented.

mod answer;
mod call;
mod cards;
mod engine;
mod notice;
mod plan;
mod state;

pub(crate) use answer::{Refusal, challenged};
pub(crate) use call::{Request, WebhookTarget, parse, parse_target};
pub(crate) use engine::{Decision, decide, delivered, late, pressed, subscribed};
pub(crate) use state::{Line, State};
