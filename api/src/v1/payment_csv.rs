//! The lines of an exported file. Columns keep their names and places; a new one is added at the end.

use super::payment_body::PaymentBody;
use crate::csv::Lines;
use florin_domain::ids::PaymentId;
use florin_domain::payment::Payment;
use florin_domain::ports::PaymentRow;

/// The first line.
const NAMES: [&str; 29] = [
    "id",
    "created",
    "created_utc",
    "status",
    "currency",
    "amount_minor",
    "amount",
    "captured_minor",
    "captured",
    "refunded_minor",
    "refunded",
    "fee_minor",
    "fee",
    "net_minor",
    "net",
    "capture_method",
    "customer_id",
    "payment_method_id",
    "card_brand",
    "card_last4",
    "card_country",
    "provider",
    "processor_transaction_id",
    "risk_action",
    "failure_code",
    "decline_code",
    "livemode",
    "description",
    "metadata",
];

/// Whether the file may have further lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It may.
    MayGoOn,
    /// It has as many as it may have, and says so in its last line.
    IsCut,
}

/// Writes pages of payments as lines.
#[derive(Debug)]
pub(super) struct Columns {
    payments_max: usize,
    written: usize,
    last: Option<PaymentId>,
    has_names: bool,
}

impl Columns {
    /// A file of at most so many payments.
    pub(super) fn new(payments_max: usize) -> Self {
        Self {
            payments_max,
            written: 0,
            last: None,
            has_names: false,
        }
    }

    /// The lines of a page, after the names of the columns if it is the first.
    pub(super) fn write(&mut self, page: &[PaymentRow]) -> (String, Progress) {
        let mut lines = Lines::default();
        if !self.has_names {
            for name in NAMES {
                lines.plain(name);
            }
            lines.end();
            self.has_names = true;
        }
        for row in page {
            if self.written == self.payments_max {
                self.cut(&mut lines);
                return (lines.into_text(), Progress::IsCut);
            }
            cells(&mut lines, &row.payment);
            lines.end();
            self.written = self.written.saturating_add(1);
            self.last = Some(row.payment.id());
        }
        (lines.into_text(), Progress::MayGoOn)
    }

    /// The last line of a file that is not whole; as wide as the others, so that every program reads it.
    fn cut(&self, lines: &mut Lines) {
        let written = self.written;
        let last = self.last.map(|id| id.to_string()).unwrap_or_default();
        lines.plain(format_args!(
            "# cut after {written} payments; the rest follows with starting_after={last}"
        ));
        for _ in NAMES.iter().skip(1) {
            lines.plain("");
        }
        lines.end();
    }
}

fn cells(lines: &mut Lines, payment: &Payment) {
    let body = PaymentBody::of(payment);
    let exponent = payment.spec.currency.exponent();
    lines.plain(payment.id());
    lines.plain(body.created);
    lines.plain(utc(body.created));
    lines.plain(body.status);
    lines.plain(body.currency);
    lines.amount(body.amount, exponent);
    lines.amount(body.amount_captured, exponent);
    lines.amount(body.amount_refunded, exponent);
    lines.amount(body.fee, exponent);
    lines.amount(body.net, exponent);
    lines.plain(body.capture_method);
    lines.optional(body.customer_id);
    let card = body.payment_method_details.as_ref().map(|details| &details.card);
    lines.optional(body.payment_method_id);
    lines.plain(card.map_or("", |card| card.brand));
    lines.optional(card.map(|card| card.last4));
    lines.optional(card.map(|card| card.country));
    lines.optional(body.provider);
    lines.optional(body.processor_transaction_id);
    lines.plain(body.risk.as_ref().map_or("", |risk| risk.action));
    lines.optional(body.failure_code);
    lines.optional(body.decline_code);
    lines.plain(body.livemode);
    lines.optional(body.description);
    // Keys and values are texts, which serde_json always takes.
    lines.text(&serde_json::to_string(&body.metadata).unwrap_or_default());
}

/// A time as RFC 3339 has it, in UTC. Days become dates in years that start in March, so that the leap day comes last.
pub(super) fn utc(unix_s: u64) -> String {
    let (days, second) = (unix_s / 86_400, unix_s % 86_400);
    let day = days.saturating_add(719_468);
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    let year = era * 400 + year + next;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests;
