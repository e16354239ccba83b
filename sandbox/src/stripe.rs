//! The simulated Stripe. A pure core with the real wire format around it.
//!
//! ```text
//! form        bracket form encoding            metadata  the key-value pairs that callers attach
//! call        one typed call for each endpoint methods   the test payment methods and what they do
//! params      parses requests into calls       ids       prefixed ids
//! credentials who calls, from the headers      objects   payment intent, charge, refund
//! error       the error envelope               render    objects as Stripe's JSON
//! events      what is told of objects, and when
//! plan        what a call does to its objects  keys      idempotency keys: stored, running, expired
//! engine      decides: refuse, replay, execute state     applies: the fold of all lines
//! challenge   the customer's side of 3-D Secure
//! ```
//!
//! A request is decided against the state and either refused or turned into a [`Line`]: what was executed, with the objects
//! as they are afterwards. The line alone determines the answer, so a replay renders the stored line again.
//!
//! # Several captures and growing authorizations
//!
//! `payment_method_options[card][request_multicapture]=if_available` lets an intent take up to 50 captures; every one but the
//! last says `final_capture=false`. A final capture of 0 after another releases the rest and is witnessed as `void`. With
//! `request_incremental_authorization=if_available`, `POST /v1/payment_intents/{id}/increment_authorization` raises the
//! amount to a new total, at most ten times and only until the first capture. What was added is witnessed as `authorize`.
//!
//! # Challenges
//!
//! `pm_card_threeDSecure2Required` and `pm_card_authenticationRequired` leave the intent in `requires_action` with
//! `next_action.redirect_to_url.url` = `GET /3ds/{intent}`, a page with two buttons. They POST to `/3ds/{intent}/complete`
//! (the charge is executed and witnessed under the key of the confirmation) or `/3ds/{intent}/fail` (the intent waits for another
//! method, `last_payment_error.code` is `payment_intent_authentication_failure`). Either way the browser is sent to the
//! confirmation's `return_url`; a challenge that is over, also by `cancel`, changes nothing and sends it there again.
//! Faults do not cover these pages.
//!
//! # Events
//!
//! They are sent to the address that `PUT /stripe/webhook` names (`{"url": ..., "secret": ...}`, plain HTTP), signed in
//! `Stripe-Signature`, at least once and in any order, until it answers 200: `payment_intent.succeeded`, `.payment_failed`,
//! `.canceled`, `.amount_capturable_updated`, `.requires_action`; `charge.succeeded`, `.failed`, `.captured`, `.refunded`;
//! `refund.created`. They are not in the log.
//!
//! # Known differences to the real thing
//!
//! Amounts up to 999,999,999,999 and from one minor unit up; any three-letter currency; test payment methods keep their name as id; a
//! search sees an intent at once; any `sk_test_` key sees the same account (idempotency keys are kept apart); every account may
//! capture several times and increment; a challenge redirects also where no `return_url` was given (the real one then needs its
//! browser library); an intent that was captured in part can be cancelled, which leaves it `canceled`.

mod call;
mod challenge;
mod credentials;
mod engine;
mod error;
mod events;
mod form;
mod ids;
mod keys;
mod metadata;
mod methods;
mod objects;
mod params;
mod plan;
mod render;
mod state;

pub(crate) use challenge::{Challenged, authentication, challenged};
pub(crate) use credentials::account_of;
pub(crate) use engine::{Decision, Delivery, Execution, Line, Request, decide};
pub(crate) use error::ApiError;
pub(crate) use events::{WebhookTarget, parse_target};
pub(crate) use keys::{Digest, Idempotency};
pub(crate) use methods::{ChargeOutcome, Failure, TestMethod};
pub(crate) use objects::Currency;
pub(crate) use params::{Parsed, RawRequest, parse};
pub(crate) use render::{line_body, refusal_body};
pub(crate) use state::{Limits, State};
