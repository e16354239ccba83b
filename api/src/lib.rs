//! The HTTP face of Florin. Handlers parse, authenticate, await one handle and serialize; they own nothing and start nothing.
//!
//! # Layout
//! * [`server`] the running server, its parts and options; [`standby`] what a process answers that waits for another's shards; `routes` which path is answered by which file
//! * [`stripe`] the same payments under the names that Stripe's SDKs know
//! * `v1` one endpoint per file, with what they share: the payment on the wire, the list
//! * `vault` what the endpoints of customers, saved cards and tokens share; `webhook_endpoints` the same of webhooks
//! * `checkout` the page under a payment link, and what its customer's browser may do
//! * `auth` whose key it is; `rate_limits` how much it may ask; `body`, `json`, `query` strict reading of what arrives; `errors` every refusal in both formats,
//!   `error_page` what each of them means
//! * [`event_bodies`] what merchants' servers are sent
//! * `openapi` what every endpoint says of itself, as a document and as a page
//! * `state` what handlers share; `reply` an answer or a refusal as a response; `request_id` the name of each answer
//!
//! Nothing of a request that is refused here is stored, so its idempotency key stays free.

mod auth;
mod body;
mod checkout;
mod consistency_token;
mod csv;
mod error_page;
mod errors;
pub mod event_bodies;
mod idempotency_key;
mod json;
mod openapi;
mod query;
mod rate_limits;
mod reply;
mod request_id;
mod routes;
pub mod server;
mod slo;
pub mod standby;
mod state;
mod streams;
pub mod stripe;
mod v1;
mod vault;
mod webhook_endpoints;
