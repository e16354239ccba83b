//! Configuration: defaults, then the file, then `FLORIN_*` variables, checked as a whole before anything starts.
//!
//! What [`Settings::load`] returns is right in itself: every value is known, of its type, within its range, and fits the
//! others. Whatever is wrong is one [`ConfigError`] that names the key, the value and what is allowed. Secrets are in no
//! error, no `Debug` text and no [`Settings::describe`].
//!
//! # Layout
//! * `settings` the typed result and how it is loaded
//! * `keys` the table of every key: name, environment variable, what it may be
//! * `kind` the checks of single values
//! * `layers` lays the file and the environment over the defaults, value by value
//! * `raw` the serialized shape; `checked` its way into [`Settings`], where values meet each other
//! * `retries` repetitions; `ledger` what the books follow; `templates` the operators' own posting templates
//! * `secret` text that shows itself only on request
//! * `error` what can be wrong

mod checked;
mod database;
mod error;
mod keys;
mod kind;
mod layers;
mod ledger;
mod provider_terms;
mod raw;
mod redis;
mod retries;
mod secret;
mod settings;
mod templates;
#[cfg(test)]
mod tests;

pub use database::DatabaseSettings;
pub use error::ConfigError;
pub use redis::RedisSettings;
pub use secret::{KeySecret, Secret};
pub use settings::{
    AdyenSettings, ApiSettings, ErrorProfile, LogFormat, Mode, ProviderKind, ProviderSettings, RateSettings,
    RoutingProfile, SandboxSettings, Settings,
};
