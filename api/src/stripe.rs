//! The surface that Stripe's official SDKs speak to, unmodified: the same payments under Stripe's names. It has no state and no rule of
//! its own: what it reads becomes the same commands that the native endpoints make, and what it shows is the same payment.
//!
//! # Layout
//! * [`body`] a payment as Stripe's objects: pure functions, with nothing left out
//! * [`expand`] which of an object's references are shown as objects themselves
//! * `ids` the same object under two names
//! * one endpoint per file; `request` what they read, `answer` what they tell, `method` what they pay with
//! * `tree` forms, queries and JSON as one; `params` reads it by name; `search_query` the language of searches

pub(crate) mod answer;
pub(crate) mod balance_get;
pub(crate) mod balance_transaction_get;
pub(crate) mod balance_transaction_list;
pub mod body;
pub(crate) mod charge_capture;
pub(crate) mod charge_get;
pub(crate) mod charge_list;
pub(crate) mod dispute_get;
pub(crate) mod dispute_list;
pub mod expand;
pub(crate) mod ids;
mod method;
pub(crate) mod params;
pub(crate) mod payment_intent_cancel;
pub(crate) mod payment_intent_capture;
pub(crate) mod payment_intent_confirm;
pub(crate) mod payment_intent_create;
pub(crate) mod payment_intent_get;
pub(crate) mod payment_intent_increment;
pub(crate) mod payment_intent_list;
pub(crate) mod payment_intent_search;
pub(crate) mod payment_intent_update;
pub(crate) mod refund_create;
pub(crate) mod refund_get;
pub(crate) mod refund_list;
mod request;
mod search_query;
pub(crate) mod tree;

/// The version of Stripe's API whose fields are shown.
pub(crate) const API_VERSION: &str = "2026-10-28.endive";

pub(crate) use payment_intent_create::{kinds_of_method, method_options};
