//! Version 1: one endpoint per file, and what they share.

pub(crate) mod account_get;
pub(crate) mod account_list;
pub(crate) mod entry_list;
pub(crate) mod health;
pub(crate) mod metrics_get;
pub(crate) mod payment_capture;
pub(crate) mod payment_confirm;
pub(crate) mod payment_create;
pub(crate) mod payment_export;
pub(crate) mod payment_get;
pub(crate) mod payment_history;
pub(crate) mod payment_list;
pub(crate) mod payment_void;
pub(crate) mod refund_create;
pub(crate) mod tree_get;
pub(crate) mod trial_balance_get;

mod account_body;
mod answer;
mod change;
mod history_row;
mod list;
mod payment_body;
mod payment_csv;
mod payment_request;
