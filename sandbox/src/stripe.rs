//! The simulated Stripe. A pure core with the real wire format around it.
//!
//! ```text
//! form        bracket form encoding            metadata  the key-value pairs that callers attach
//! call        one typed call for each endpoint methods   the test payment methods and what they do
//! params      parses requests into calls       ids       prefixed ids
//! credentials who calls, from the headers      objects   payment intent, charge, refund
//! error       the error envelope               render    objects as Stripe's JSON
//! plan        what a call does to its objects  keys      idempotency keys: stored, running, expired
//! engine      decides: refuse, replay, execute state     applies: the fold of all lines
//! ```
//!
//! A request is decided against the state and either refused or turned into a [`Line`]: what was executed, with the objects
//! as they are afterwards. The line alone determines the answer, so a replay renders the stored line again.
//!
//! Known differences to the real thing: amounts up to 999,999,999,999 and from one minor unit up, any three-letter currency, test
//! payment methods keep their name as id, a search sees an intent at once, any `sk_test_` key sees the same account (idempotency keys
//! are kept apart), and an intent that waits for the customer's authentication can be confirmed with another method or
//! cancelled but nobody can complete the challenge.

mod call;
mod credentials;
mod engine;
mod error;
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

pub(crate) use credentials::account_of;
pub(crate) use engine::{Decision, Delivery, Execution, Line, Request, decide};
pub(crate) use error::ApiError;
pub(crate) use keys::{Digest, Idempotency};
pub(crate) use objects::Currency;
pub(crate) use params::{Parsed, RawRequest, parse};
pub(crate) use render::{line_body, refusal_body};
pub(crate) use state::{Limits, State};
