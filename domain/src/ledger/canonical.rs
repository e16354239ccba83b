//! The canonical postings of a payment, read off the difference between its states before and after a commit. So there is one
//! rule for live work and for replays, and no event can move money in the payment without moving it in the books.

use super::account::{AccountKey, AccountName, Side};
use super::entry::{Entry, HoldChange, Posting, PostingError};
use crate::money::Amount;
use crate::payment::{Event, Payment};
use crate::provider::ProviderId;

/// What a commit on a payment does to the books.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consequences {
    /// Changes of what is expected.
    pub holds: Vec<HoldChange>,
    /// What is posted.
    pub entry: Option<Entry>,
}

struct Draft {
    postings: Vec<Posting>,
    after: AccountKey,
}

impl Draft {
    /// Posts `minor` on `side` of `name`, on the other side if it is negative, nothing if it is zero.
    fn post(&mut self, name: AccountName, side: Side, minor: i128) -> Result<(), PostingError> {
        let side = match (side, minor < 0) {
            (Side::Debit, false) | (Side::Credit, true) => Side::Debit,
            (Side::Credit, false) | (Side::Debit, true) => Side::Credit,
        };
        if minor != 0 {
            let amount = Amount::new(minor.checked_abs().ok_or(PostingError::Overflow)?)
                .map_err(|_| PostingError::Overflow)?;
            let account = AccountKey { name, ..self.after };
            self.postings.push(Posting {
                account,
                side,
                amount,
            });
        }
        Ok(())
    }
}

/// The holds and postings of a commit that took a payment from `before` to `after` by `events`.
///
/// Capture: what the payment's profile says, whose template for it is filled with what was taken and the fee; usually debit the
/// provider's clearing account, credit the merchant with the net and fee revenue with the fee. Refund: the reverse, the fee
/// returned or not as the payment says. A charge on a closed attempt: debit clearing, credit suspense; a refund on one, the
/// reverse. What is our own sale is owed to no merchant, so nothing is expected on its account either.
pub fn consequences(
    before: Option<&Payment>,
    events: &[Event],
    after: &Payment,
) -> Result<Consequences, PostingError> {
    let merchant = AccountName::MerchantPayable(after.spec.merchant);
    let payable = AccountKey {
        name: merchant,
        currency: after.spec.currency,
        livemode: after.spec.livemode,
    };
    let delta = |of: fn(&Payment) -> i128| of(after).saturating_sub(before.map_or(0, of));
    let hold = HoldChange {
        account: payable,
        credit_delta_minor: delta(Payment::hold_credit_minor),
        debit_delta_minor: delta(Payment::hold_debit_minor),
    };
    let profile = after.posting_profile;
    let is_expected = hold.credit_delta_minor != 0 || hold.debit_delta_minor != 0;
    let holds = if !is_expected || !profile.owes_merchant() {
        Vec::new()
    } else {
        vec![hold]
    };

    let captured = delta(|payment| payment.captured.minor());
    let refunded = delta(|payment| payment.refunded.minor());
    let fee = delta(|payment| payment.fee_minor);
    let late = delta(|payment| payment.late_minor);
    if captured == 0 && refunded == 0 && late == 0 {
        return Ok(Consequences { holds, entry: None });
    }
    let taken = captured.saturating_sub(refunded);
    let mut draft = Draft {
        postings: Vec::with_capacity(3),
        after: payable,
    };
    if captured != 0 || refunded != 0 {
        let provider = after.holding_provider().ok_or(PostingError::TooFew)?;
        for line in profile.payment_lines() {
            let account = line.account(after.spec.merchant, provider);
            draft.post(account, line.side, line.minor(taken, fee))?;
        }
    }
    if late != 0 {
        let provider = late_provider(events).ok_or(PostingError::TooFew)?;
        draft.post(AccountName::ProviderClearing(provider), Side::Debit, late)?;
        draft.post(AccountName::Suspense, Side::Credit, late)?;
    }
    let entry = Entry::balanced(&after.id().to_string(), draft.postings)?;
    Ok(Consequences {
        holds,
        entry: Some(entry),
    })
}

/// A late charge, or its undoing, is recorded in a commit of its own.
fn late_provider(events: &[Event]) -> Option<ProviderId> {
    events.iter().find_map(|event| {
        if let Event::LateSuccess { provider, .. } | Event::LateReversal { provider, .. } = event {
            Some(*provider)
        } else {
            None
        }
    })
}
