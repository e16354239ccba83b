//! A request for transfers: what may be written, and what it means.

use super::payment_request::{metadata, text};
use super::transfer_template::Booking;
use crate::errors::{Code, Invalid};
use crate::json::{AtMost, Number, Numbers, Object, Pairs, Text};
use florin_actors::ledger_handle::AccountTitle;
use florin_domain::ledger::{
    AccountKey, EffectiveDate, Irreversible, LedgerRules, Linkage, Notes, Posting, Side, Transfer,
    TransferId, TransferLegs, TransferStep, exchange_rate,
};
use florin_domain::limits::TEXT_BYTES_MAX;
use florin_domain::money::Amount;
use florin_domain::time::{Millis, Timestamp};
use serde::Deserialize;
use std::collections::BTreeSet;

/// Transfers in one request.
pub(super) const TRANSFERS_MAX: usize = 8_190;
/// Postings of all transfers of a request.
pub(super) const LINES_MAX: usize = 2 * TRANSFERS_MAX;
/// Postings of one transfer.
pub(super) const POSTINGS_MAX: usize = 64;

/// The body as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TransfersRequest<'a> {
    #[serde(default)]
    atomic: Option<bool>,
    #[serde(default)]
    dry_run: Option<bool>,
    #[serde(borrow)]
    transfers: AtMost<Object<TransferRequest<'a>>, TRANSFERS_MAX>,
}

/// One transfer as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TransferRequest<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow, default)]
    pub(super) template: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) accounts: Option<Pairs<'a>>,
    #[serde(borrow, default)]
    pub(super) amounts: Option<Numbers<'a>>,
    #[serde(borrow, default)]
    pub(super) debit_account: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) credit_account: Option<Text<'a>>,
    #[serde(default)]
    pub(super) amount: Option<Number>,
    #[serde(borrow, default)]
    pub(super) postings: Option<AtMost<Object<PostingRequest<'a>>, POSTINGS_MAX>>,
    #[serde(default)]
    pending: Option<bool>,
    #[serde(default)]
    expires_at: Option<Number>,
    #[serde(borrow, default)]
    post_pending: Option<Text<'a>>,
    #[serde(borrow, default)]
    void_pending: Option<Text<'a>>,
    #[serde(default)]
    linked: Option<bool>,
    #[serde(borrow, default)]
    effective_date: Option<Text<'a>>,
    #[serde(borrow, default)]
    description: Option<Text<'a>>,
    #[serde(borrow, default)]
    exchange_rate: Option<Text<'a>>,
    #[serde(borrow, default)]
    metadata: Option<Pairs<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PostingRequest<'a> {
    #[serde(borrow)]
    account: Text<'a>,
    #[serde(borrow)]
    side: Text<'a>,
    amount: Number,
}

/// What the request means.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) transfers: Vec<Transfer>,
    pub(super) linkage: Linkage,
    pub(super) is_dry_run: bool,
}

impl TransfersRequest<'_> {
    /// The opened accounts that its templates need from the chart.
    pub(super) fn titles(&self, rules: &LedgerRules) -> BTreeSet<AccountTitle> {
        let mut titles = BTreeSet::new();
        for transfer in &self.transfers.0 {
            transfer.0.titles(rules, &mut titles);
        }
        titles
    }

    pub(super) fn check(&self, booking: &Booking<'_>) -> Result<Checked, Invalid> {
        let count = self.transfers.0.len();
        if count == 0 {
            let message = format!("`transfers` has 1 to {TRANSFERS_MAX} elements, not {count}.");
            return Err(Invalid::new("transfers", Code::ParameterInvalid, message));
        }
        let postings = self.transfers.0.iter().map(|transfer| {
            let postings = transfer.0.postings.as_ref();
            let lines = transfer.0.template_lines(booking.rules);
            postings.map_or(lines.unwrap_or(2), |postings| postings.0.len())
        });
        if postings.sum::<usize>() > LINES_MAX {
            let message = format!("`transfers` has at most {LINES_MAX} postings in all.");
            return Err(Invalid::new("transfers", Code::ParameterInvalid, message));
        }
        let transfers = self.transfers.0.iter().enumerate();
        let transfers = transfers.map(|(index, transfer)| {
            transfer
                .0
                .check(booking)
                .map_err(|invalid| within(&format!("transfers.{index}"), invalid))
        });
        Ok(Checked {
            transfers: transfers.collect::<Result<_, _>>()?,
            linkage: if self.atomic.unwrap_or(false) {
                Linkage::Atomic
            } else {
                Linkage::Independent
            },
            is_dry_run: self.dry_run.unwrap_or(false),
        })
    }
}

/// Names the element in which something is wrong.
pub(super) fn within(place: &str, invalid: Invalid) -> Invalid {
    let Invalid { param, code, message } = invalid;
    let name = param.as_deref().unwrap_or_default();
    let full = format!("{place}.{name}");
    Invalid {
        message: message.replacen(&format!("`{name}`"), &format!("`{full}`"), 1),
        param: Some(full),
        code,
    }
}

pub(super) fn wrong(name: &'static str, message: &str) -> Invalid {
    Invalid::new(name, Code::ParameterInvalid, message)
}

impl TransferRequest<'_> {
    fn check(&self, booking: &Booking<'_>) -> Result<Transfer, Invalid> {
        let step = self.step()?;
        let legs = match step {
            TransferStep::Single | TransferStep::Pending { .. } => self.legs(booking)?,
            TransferStep::Post { .. } => {
                self.forbid_accounts()?;
                TransferLegs::OfPending(self.amount.map(amount).transpose()?)
            }
            TransferStep::Void { .. } => {
                self.forbid_accounts()?;
                if self.amount.is_some() {
                    return Err(wrong(
                        "amount",
                        "`amount` has no place in a void: it releases all.",
                    ));
                }
                TransferLegs::OfPending(None)
            }
            // A request of its own, which looks up what is reverted.
            TransferStep::Revert { .. } => TransferLegs::Irreversible(Irreversible::Unknown),
        };
        Ok(Transfer {
            id: transfer_id("id", &self.id)?,
            step,
            legs,
            linked: self.linked.unwrap_or(false),
            is_payout: self.is_payout(booking.rules),
            effective: self.effective_date.as_ref().map(day).transpose()?,
            notes: notes(
                self.description.as_ref(),
                self.exchange_rate.as_ref(),
                self.metadata.as_ref(),
            )?,
        })
    }

    fn step(&self) -> Result<TransferStep, Invalid> {
        let is_pending = self.pending.unwrap_or(false);
        let step = match (&self.post_pending, &self.void_pending) {
            (Some(_), Some(_)) => {
                return Err(wrong("void_pending", "`void_pending` excludes `post_pending`."));
            }
            (Some(pending), None) => TransferStep::Post {
                pending: transfer_id("post_pending", pending)?,
            },
            (None, Some(pending)) => TransferStep::Void {
                pending: transfer_id("void_pending", pending)?,
            },
            (None, None) if is_pending => TransferStep::Pending {
                expires_at: self.expires_at.map(instant).transpose()?,
            },
            (None, None) => TransferStep::Single,
        };
        let is_second = matches!(step, TransferStep::Post { .. } | TransferStep::Void { .. });
        if is_pending && is_second {
            return Err(wrong("pending", "`pending` is for the first of the two steps."));
        }
        if self.expires_at.is_some() && !matches!(step, TransferStep::Pending { .. }) {
            return Err(wrong("expires_at", "`expires_at` needs `pending`: true."));
        }
        Ok(step)
    }

    fn forbid_accounts(&self) -> Result<(), Invalid> {
        self.forbid_template("has no place here: the pending transfer names the accounts")?;
        for (name, is_there) in [
            ("debit_account", self.debit_account.is_some()),
            ("credit_account", self.credit_account.is_some()),
            ("postings", self.postings.is_some()),
        ] {
            if is_there {
                let message = format!("`{name}` has no place here: the pending transfer names the accounts.");
                return Err(wrong(name, &message));
            }
        }
        Ok(())
    }

    fn legs(&self, booking: &Booking<'_>) -> Result<TransferLegs, Invalid> {
        if let Some(template) = &self.template {
            return self.filled(template, booking);
        }
        self.forbid_template("needs `template`")?;
        if let Some(postings) = &self.postings {
            for (name, is_there) in [
                ("debit_account", self.debit_account.is_some()),
                ("credit_account", self.credit_account.is_some()),
                ("amount", self.amount.is_some()),
            ] {
                if is_there {
                    let message = format!("`{name}` has no place beside `postings`.");
                    return Err(wrong(name, &message));
                }
            }
            let postings = postings.0.iter().enumerate().map(|(index, posting)| {
                let posting = posting.0.check();
                posting.map_err(|invalid| within(&format!("postings.{index}"), invalid))
            });
            return Ok(TransferLegs::Many(postings.collect::<Result<_, _>>()?));
        }
        let required = |name: &'static str| {
            let message = format!("`{name}` is required.");
            Invalid::new(name, Code::ParameterMissing, message)
        };
        let (debit, credit) = (self.debit_account.as_ref(), self.credit_account.as_ref());
        Ok(TransferLegs::Pair {
            debit: account("debit_account", debit.ok_or_else(|| required("debit_account"))?)?,
            credit: account(
                "credit_account",
                credit.ok_or_else(|| required("credit_account"))?,
            )?,
            amount: amount(self.amount.ok_or_else(|| required("amount"))?)?,
        })
    }
}

impl PostingRequest<'_> {
    fn check(&self) -> Result<Posting, Invalid> {
        Ok(Posting {
            account: account("account", &self.account)?,
            side: match self.side.as_str() {
                "debit" => Side::Debit,
                "credit" => Side::Credit,
                _ => return Err(wrong("side", "`side` is `debit` or `credit`.")),
            },
            amount: amount(self.amount)?,
        })
    }
}

/// What says nothing is left out, so that the same transfer asked for again is the same however it is written.
pub(super) fn notes(
    description: Option<&Text<'_>>,
    exchange_rate_text: Option<&Text<'_>>,
    pairs: Option<&Pairs<'_>>,
) -> Result<Option<Box<Notes>>, Invalid> {
    let mut metadata = metadata(pairs)?;
    // The order in which an object is written means nothing.
    metadata.sort();
    let description = text("description", description, TEXT_BYTES_MAX)?;
    let rate = |text: &Text<'_>| {
        let rate = Some(text.as_str()).filter(|text| is_plain_decimal(text));
        let message = "`exchange_rate` is a positive decimal, as a string.";
        rate.and_then(exchange_rate)
            .ok_or_else(|| wrong("exchange_rate", message))
    };
    let notes = Notes {
        description: description.filter(|text| !text.is_empty()),
        exchange_rate: exchange_rate_text.map(rate).transpose()?,
        metadata,
    };
    Ok((notes != Notes::default()).then(|| Box::new(notes)))
}

pub(super) fn amount(number: Number) -> Result<Amount, Invalid> {
    super::payment_request::amount(number)
}

pub(super) fn account(name: &'static str, text: &Text<'_>) -> Result<AccountKey, Invalid> {
    let message = || format!("`{name}` is the id of an account, as `/v1/ledger/accounts` shows it.");
    AccountKey::parse(text.as_str()).map_err(|_| wrong(name, &message()))
}

pub(super) fn transfer_id(name: &'static str, text: &Text<'_>) -> Result<TransferId, Invalid> {
    TransferId::parse(text.as_str()).ok_or_else(|| wrong(name, &format!("`{name}` is a UUID.")))
}

fn is_plain_decimal(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && text.ends_with(|last: char| last.is_ascii_digit())
}

pub(super) fn day(text: &Text<'_>) -> Result<EffectiveDate, Invalid> {
    let message = "`effective_date` is a day, written as YYYY-MM-DD.";
    EffectiveDate::parse(text.as_str()).ok_or_else(|| wrong("effective_date", message))
}

fn instant(number: Number) -> Result<Timestamp, Invalid> {
    let seconds = match number {
        Number::Whole(seconds) if (0..=super::EXPIRES_AT_MAX_S).contains(&seconds) => {
            u64::try_from(seconds).ok()
        }
        Number::Whole(_) | Number::Beyond { .. } | Number::Float => None,
    };
    let message = "`expires_at` is a whole number of seconds since the Unix epoch.";
    let refused = || Invalid::new("expires_at", Code::ParameterInvalidInteger, message);
    Ok(Timestamp::from_unix_ms(0).plus(Millis::from_s(seconds.ok_or_else(refused)?)))
}
