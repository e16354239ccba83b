//! The lines of an exported ledger. Columns keep their names and places; a new one is added at the end.

use super::list::Displayed;
use super::payment_body::Metadata;
use super::payment_csv::utc;
use crate::csv;
use bytes::Bytes;
use florin_actors::ledger_handle::{PostedLine, posted_lines};
use florin_domain::commit::Commit;
use florin_domain::ids::{LedgerAccountId, PaymentId, ShardId};
use florin_domain::ledger::{AccountKey, EffectiveDate, TransferId, TransferStep};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Comma-separated values behind a line of names.
    Csv,
    /// One JSON object a line.
    JsonLines,
}

/// The first line of a CSV file.
const NAMES: [&str; 22] = [
    "id",
    "seq",
    "recorded",
    "recorded_utc",
    "effective_date",
    "account",
    "account_name",
    "account_type",
    "livemode",
    "side",
    "currency",
    "amount_minor",
    "amount",
    "balance_after_minor",
    "balance_after",
    "payment_id",
    "transfer_id",
    "step",
    "exchange_rate",
    "description",
    "metadata",
    "shard",
];

/// Names of accounts kept at hand; beyond so many they are asked for again.
const NAMES_KEPT: usize = 65_536;

/// One line.
#[derive(Debug, Serialize)]
struct LineBody<'a> {
    object: &'static str,
    id: String,
    seq: u64,
    recorded: u64,
    effective_date: Displayed<EffectiveDate>,
    account: Displayed<AccountKey>,
    account_name: Option<&'a str>,
    account_type: &'static str,
    livemode: bool,
    side: &'static str,
    currency: &'static str,
    amount_minor: i128,
    balance_after_minor: i128,
    payment_id: Option<Displayed<PaymentId>>,
    transfer_id: Option<Displayed<TransferId>>,
    step: Option<&'static str>,
    exchange_rate: Option<String>,
    description: Option<&'a str>,
    metadata: Metadata<'a>,
    shard: u16,
}

/// The word for a step.
pub(super) const fn step_word(step: TransferStep) -> &'static str {
    match step {
        TransferStep::Single => "single",
        TransferStep::Pending { .. } => "pending",
        TransferStep::Post { .. } => "post_pending",
        TransferStep::Void { .. } => "void_pending",
        TransferStep::Revert { .. } => "revert",
    }
}

impl<'a> LineBody<'a> {
    fn of(
        (commit, shard): (&Commit, ShardId),
        place: usize,
        posted: &PostedLine<'a>,
        account_name: Option<&'a str>,
    ) -> Self {
        let posting = &posted.line.posting;
        let notes = posted.transfer.and_then(|transfer| transfer.notes.as_deref());
        Self {
            object: "entry",
            id: format!("{}-{place}", commit.seq.0),
            seq: commit.seq.0,
            recorded: commit.at.unix_s(),
            effective_date: Displayed(
                posted
                    .transfer
                    .map_or_else(|| EffectiveDate::of(commit.at), |transfer| transfer.effective),
            ),
            account: Displayed(posting.account),
            account_name,
            account_type: posting.account.name.account_type().as_str(),
            livemode: posting.account.livemode,
            side: posting.side.as_str(),
            currency: posting.account.currency.code(),
            amount_minor: posting.amount.minor(),
            balance_after_minor: posted.line.balance_after.minor(),
            payment_id: posted.payment.map(Displayed),
            transfer_id: posted.transfer.map(|transfer| Displayed(transfer.id)),
            step: posted.transfer.map(|transfer| step_word(transfer.step)),
            exchange_rate: notes
                .and_then(|notes| notes.exchange_rate)
                .map(|rate| rate.to_string()),
            description: notes.and_then(|notes| notes.description.as_deref()),
            metadata: Metadata(notes.map_or(&[], |notes| notes.metadata.as_slice())),
            shard: shard.0,
        }
    }

    fn write_csv(&self, lines: &mut csv::Lines, exponent: u32) {
        lines.plain(&self.id);
        lines.plain(self.seq);
        lines.plain(self.recorded);
        lines.plain(utc(self.recorded));
        lines.plain(self.effective_date.0);
        lines.plain(self.account.0);
        lines.optional(self.account_name);
        lines.plain(self.account_type);
        lines.plain(self.livemode);
        lines.plain(self.side);
        lines.plain(self.currency);
        lines.amount(self.amount_minor, exponent);
        lines.amount(self.balance_after_minor, exponent);
        let payment = self.payment_id.map(|id| id.0.to_string());
        let transfer = self.transfer_id.map(|id| id.0.to_string());
        lines.plain(payment.unwrap_or_default());
        lines.plain(transfer.unwrap_or_default());
        lines.plain(self.step.unwrap_or_default());
        lines.plain(self.exchange_rate.as_deref().unwrap_or_default());
        lines.reversible(self.description.unwrap_or_default());
        // Keys and values are texts, which serde_json always takes.
        lines.text(&serde_json::to_string(&self.metadata).unwrap_or_default());
        lines.plain(self.shard);
        lines.end();
    }
}

/// Writes commits as lines.
#[derive(Debug)]
pub(super) struct Writer {
    format: Format,
    names: BTreeMap<LedgerAccountId, Arc<str>>,
    csv: csv::Lines,
    json: Vec<u8>,
}

impl Writer {
    /// A new file.
    pub(super) fn new(format: Format) -> Self {
        let mut csv = csv::Lines::default();
        if format == Format::Csv {
            for name in NAMES {
                csv.plain(name);
            }
            csv.end();
        }
        Self {
            format,
            names: BTreeMap::new(),
            csv,
            json: Vec::new(),
        }
    }

    /// Whether the name of an account is at hand.
    pub(super) fn knows(&self, id: LedgerAccountId) -> bool {
        self.names.contains_key(&id)
    }

    /// Takes names of accounts. Those at hand give way if they are too many, and are asked for again.
    pub(super) fn learn(&mut self, names: BTreeMap<LedgerAccountId, Arc<str>>) {
        self.names.extend(names);
    }

    /// Writes the lines of a shard's commit that are on accounts which are wanted.
    pub(super) fn write(&mut self, commit: &Commit, shard: ShardId, wanted: impl Fn(&AccountKey) -> bool) {
        let mut places: BTreeMap<AccountKey, usize> = BTreeMap::new();
        for posted in posted_lines(commit) {
            let key = posted.line.posting.account;
            if !wanted(&key) {
                continue;
            }
            let next = places.entry(key).or_default();
            let place = *next;
            *next = next.saturating_add(1);
            let name = key.name.general().and_then(|id| self.names.get(&id));
            let line = LineBody::of((commit, shard), place, &posted, name.map(AsRef::as_ref));
            match self.format {
                Format::Csv => line.write_csv(&mut self.csv, key.currency.exponent()),
                Format::JsonLines => {
                    // It has texts, numbers and words only, which serde_json always takes, and a vector takes all bytes.
                    let written = serde_json::to_writer(&mut self.json, &line);
                    debug_assert!(written.is_ok(), "{written:?}");
                    self.json.push(b'\n');
                }
            }
        }
    }

    /// What was written since.
    pub(super) fn take(&mut self) -> Bytes {
        if self.names.len() > NAMES_KEPT {
            self.names.clear();
        }
        match self.format {
            Format::Csv => std::mem::take(&mut self.csv).into_text().into(),
            Format::JsonLines => std::mem::take(&mut self.json).into(),
        }
    }
}
