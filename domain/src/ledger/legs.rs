//! What a transfer's legs come to, judged by themselves: before any account is looked at.

use super::account::{AccountKey, Side};
use super::entry::{Entry, Posting, PostingError};
use super::pending::PendingTransfer;
use super::transfer::{TransferId, TransferLegs, TransferRefusal};
use crate::money::Amount;

pub(super) fn check_pair(debit: &AccountKey, credit: &AccountKey) -> Result<(), TransferRefusal> {
    if debit == credit {
        return Err(TransferRefusal::SameAccount);
    }
    if debit.livemode != credit.livemode {
        return Err(TransferRefusal::MixedModes);
    }
    if debit.currency != credit.currency {
        return Err(TransferRefusal::MixedCurrencies);
    }
    Ok(())
}

pub(super) fn balanced(id: TransferId, postings: &[Posting]) -> Result<Entry, TransferRefusal> {
    let live = postings.iter().filter(|posting| posting.account.livemode).count();
    if live != 0 && live != postings.len() {
        return Err(TransferRefusal::MixedModes);
    }
    Entry::balanced(&id.to_string(), postings.to_vec()).map_err(|error| refusal_of(&error))
}

/// The postings that legs come to, judged by themselves.
pub(super) fn postings_of(id: TransferId, legs: &TransferLegs) -> Result<Vec<Posting>, TransferRefusal> {
    match legs {
        TransferLegs::Pair {
            debit,
            credit,
            amount,
        } => {
            check_pair(debit, credit)?;
            let posting = |account: &AccountKey, side| Posting {
                account: *account,
                side,
                amount: *amount,
            };
            Ok(vec![posting(debit, Side::Debit), posting(credit, Side::Credit)])
        }
        TransferLegs::Many(postings) => Ok(balanced(id, postings)?.postings().to_vec()),
        TransferLegs::OfPending(_) => Err(TransferRefusal::PendingNotFound),
        TransferLegs::Irreversible(why) => Err(why.refusal()),
    }
}

/// What of a reservation is posted.
pub(super) fn part_of(
    reserved: PendingTransfer,
    legs: &TransferLegs,
) -> Result<TransferLegs, TransferRefusal> {
    let TransferLegs::OfPending(amount) = legs else {
        return Err(TransferRefusal::PendingNotFound);
    };
    match (reserved.postings.as_slice(), amount) {
        ([debit, credit], amount)
            if (debit.side, credit.side) == (Side::Debit, Side::Credit)
                && debit.account != credit.account =>
        {
            let amount: Amount = amount.unwrap_or(debit.amount);
            if amount > debit.amount {
                return Err(TransferRefusal::ExceedsPending);
            }
            Ok(TransferLegs::Pair {
                debit: debit.account,
                credit: credit.account,
                amount,
            })
        }
        (_, None) => Ok(TransferLegs::Many(reserved.postings)),
        (_, Some(amount)) if amount.minor() == reserved.total_minor() => {
            Ok(TransferLegs::Many(reserved.postings))
        }
        (_, Some(_)) => Err(TransferRefusal::ExceedsPending),
    }
}

pub(super) fn refusal_of(error: &PostingError) -> TransferRefusal {
    match error {
        PostingError::Imbalance { .. } => TransferRefusal::Unbalanced(error.to_string()),
        PostingError::TooFew => TransferRefusal::TooFewPostings,
        PostingError::Overflow | PostingError::BalanceMismatch(_) | PostingError::IllegalRecord(_) => {
            TransferRefusal::Overflow
        }
    }
}
