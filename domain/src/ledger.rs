//! Double entry: accounts, postings, entries that balance per currency and mode, holds, and the books of one shard.

mod account;
mod alert;
mod applying;
mod books;
mod canonical;
mod carrying;
mod chart;
mod clearing;
mod crossing;
mod entry;
mod event;
mod general;
mod legs;
mod pending;
mod profile;
mod revert;
mod statement;
mod template;
#[cfg(test)]
mod tests;
mod transfer;
mod transfers;
mod watching;

pub use account::{AccountKey, AccountName, AccountType, Side};
pub use alert::{
    ALERT_HISTORY_MAX, ALERTS_OF_ACCOUNT_MAX, ALERTS_OF_SHARD_MAX, AlertChange, AlertCondition, AlertEdge,
    AlertField, AlertId, AlertRefusal, AlertTerms, BalanceAlert,
};
pub use books::{AccountState, Books, CurrencyTotal};
pub use canonical::{Consequences, consequences};
pub use chart::{CHART_ROLES, Chart, ChartAccount, ChartError, ChartRole, LedgerRules, RulesError};
pub use clearing::{ClearingView, Nets, unexplained};
pub use crossing::{AbortReason, CrossOutcome, CrossPhase, CrossTransfer, Crossed, Crossing, CrossingStep};
pub use entry::{Entry, HoldChange, Line, PostedEntry, Posting, PostingError};
pub use event::{LedgerCommit, LedgerEvent};
pub use general::{AccountLimits, GeneralAccount, GeneralLedger};
pub use pending::PendingTransfer;
pub use profile::{FeeRecognition, LifeError, PostingModel, PostingProfile, check_life};
pub use revert::{Irreversible, Revert, newest_first};
pub use statement::Statement;
pub use template::{
    FillError, Measure, Recognition, Stage, Template, TemplateError, TemplateLine, TemplateTerms,
    standard_templates,
};
pub use transfer::{
    EffectiveDate, Legs, Notes, PostedPair, PostedTransfer, Transfer, TransferId, TransferLegs,
    TransferRefusal, TransferStep, exchange_rate,
};
pub use transfers::{Linkage, Once, Transferred, Verdict};
pub use watching::Alerts;
