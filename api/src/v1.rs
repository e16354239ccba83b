//! Version 1: one endpoint per file, and what they share.

pub(crate) mod account_create;
pub(crate) mod account_get;
pub(crate) mod account_list;
pub(crate) mod actor_kill;
pub(crate) mod alert_create;
pub(crate) mod alert_delete;
pub(crate) mod alert_get;
pub(crate) mod alert_list;
pub(crate) mod attempt_resolve;
pub(crate) mod consistency;
pub(crate) mod entry_list;
pub(crate) mod health;
pub(crate) mod ledger_export;
pub(crate) mod list_entry_create;
pub(crate) mod list_entry_delete;
pub(crate) mod list_entry_list;
pub(crate) mod merchant_freeze;
pub(crate) mod merchant_list;
pub(crate) mod metrics_get;
pub(crate) mod payment_capture;
pub(crate) mod payment_confirm;
pub(crate) mod payment_create;
pub(crate) mod payment_export;
pub(crate) mod payment_get;
pub(crate) mod payment_history;
pub(crate) mod payment_increment;
pub(crate) mod payment_list;
pub(crate) mod payment_receipt;
pub(crate) mod payment_void;
pub(crate) mod payment_what_if;
pub(crate) mod period_close;
pub(crate) mod period_list;
pub(crate) mod provider_switch;
pub(crate) mod read_only_set;
pub(crate) mod refund_create;
pub(crate) mod review_approve;
pub(crate) mod review_list;
pub(crate) mod review_reject;
pub(crate) mod statement_get;
pub(crate) mod template_list;
pub(crate) mod transfer_create;
pub(crate) mod transfer_get;
pub(crate) mod transfer_revert;
pub(crate) mod tree_get;
pub(crate) mod trial_balance_get;
pub(crate) mod unresolved_list;

pub(crate) mod account_body;
mod alert_body;
mod answer;
mod change;
#[cfg(test)]
mod fuzz;
mod history_row;
mod ledger_lines;
mod list;
mod list_entry_body;
mod operator_action;
mod paged_body;
mod payment_body;
mod payment_csv;
mod payment_request;
mod transfer_request;
mod transfer_template;

/// The end of the year 9999: no deadline is later.
pub(crate) const EXPIRES_AT_MAX_S: i128 = 253_402_300_799;
