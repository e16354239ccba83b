//! Owns the comparison of the payments view with the journal: a sample of the payments of each round, and the rows that differed
//! before, until they are right.

use super::pace::pause;
use super::recent::trace;
use super::round::{Failure, Outcome, Work};
use crate::context::Context;
use crate::load::walk;
use crate::source::{Source as _, ToShow};
use florin_domain::commit::Body;
use florin_domain::consistency::{Difference, Findings, PaymentTrace, differing_row};
use florin_domain::ids::{PaymentId, Seq};
use florin_domain::payment::Payment;
use florin_domain::ports::{PaymentRow, ViewError};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Payments that a round compares.
const SAMPLE: usize = 512;
/// Rows that differed and are remembered.
const SUSPECTS_MAX: usize = 256;
/// Rows read in a row; others read the view as well.
const BURST: usize = 32;

/// Payments drawn from a round, each with the same chance.
#[derive(Debug, Default)]
pub(super) struct Sample {
    salt: u64,
    drawn: BTreeMap<u64, (PaymentId, Seq, Arc<Payment>)>,
}

impl Sample {
    /// Another one for every head.
    pub(super) fn new(head: Seq) -> Self {
        Self {
            salt: head.0,
            drawn: BTreeMap::new(),
        }
    }

    /// Takes a payment if it is among those with the lowest ranks. Half of an id is random, so its rank is.
    pub(super) fn offer(&mut self, traced: PaymentTrace) {
        let seq = traced.seq();
        let Some(payment) = traced.into_payment() else {
            return;
        };
        #[expect(clippy::cast_possible_truncation, reason = "the low bits are random")]
        let rank = (payment.id().bits() as u64 ^ self.salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let is_low = self
            .drawn
            .last_key_value()
            .is_none_or(|(highest, _)| rank <= *highest);
        if self.drawn.len() < SAMPLE || is_low {
            self.drawn.insert(rank, (payment.id(), seq, payment));
        }
        if self.drawn.len() > SAMPLE {
            self.drawn.pop_last();
        }
    }
}

/// What a row says.
enum Row {
    Right,
    Wrong(Difference),
    /// The view does not have the payment's last commit yet.
    Behind,
}

/// Compares the sample and the rows that differed before. Also says how many commits the view is behind.
pub(super) async fn check(
    context: &Context,
    work: &mut Work,
    sample: Sample,
) -> (Result<Outcome, Failure>, u64) {
    let lag = context.lag.views();
    let mut asked: BTreeMap<PaymentId, (Seq, Option<Arc<Payment>>)> = BTreeMap::new();
    asked.extend(work.suspects.iter().map(|(id, seq)| (*id, (*seq, None))));
    let drawn = sample.drawn.into_values();
    asked.extend(drawn.map(|(id, seq, payment)| (id, (seq, Some(payment)))));
    let (mut compared, mut findings) = (0_u64, Findings::default());
    for (index, (id, (seq, folded))) in asked.into_iter().enumerate() {
        if (index + 1).is_multiple_of(BURST) {
            pause(BURST, 0).await;
        }
        match compare(context, id, seq, folded).await {
            Ok(Row::Right) => drop(work.suspects.remove(&id)),
            Ok(Row::Wrong(difference)) => {
                if work.suspects.len() < SUSPECTS_MAX {
                    work.suspects.insert(id, seq);
                }
                findings.add(difference);
            }
            Ok(Row::Behind) => continue,
            Err(failure) => return (Err(failure), lag),
        }
        compared += 1;
    }
    let outcome = Outcome {
        behind: None,
        compared,
        findings,
    };
    (Ok(outcome), lag)
}

/// Compares one row with the payment as of commit `seq`, or as of the row's own commit if that is a later one.
async fn compare(
    context: &Context,
    id: PaymentId,
    seq: Seq,
    folded: Option<Arc<Payment>>,
) -> Result<Row, Failure> {
    let watermark = context.ports.views.watermark()?;
    let shown = match context.ports.views.payment(id).await {
        Ok(shown) => shown,
        // Whoever asks for payments goes first.
        Err(ViewError::Busy) => return Ok(Row::Behind),
        Err(error @ ViewError::Store(_)) => return Err(error.into()),
    };
    let has_it = seq <= watermark;
    let place = |found| Row::Wrong(Difference::of_place(&id, seq, found, watermark));
    let shown = match shown {
        Some(shown) if shown.seq >= seq => shown,
        None if has_it => return Ok(place(None)),
        Some(shown) if has_it => return Ok(place(Some(shown.seq))),
        None | Some(_) => return Ok(Row::Behind),
    };
    let folded = match folded {
        Some(folded) if shown.seq == seq => folded,
        Some(_) | None => match folded_at(context, id, &shown).await? {
            Some(folded) => folded,
            None => return Ok(place(Some(shown.seq))),
        },
    };
    Ok(differing_row(&folded, &shown.payment, shown.seq).map_or(Row::Right, Row::Wrong))
}

/// The payment as of the commit that a row names; nothing if that commit is not about it.
async fn folded_at(
    context: &Context,
    id: PaymentId,
    shown: &PaymentRow,
) -> Result<Option<Arc<Payment>>, Failure> {
    let source = ToShow(context);
    let is_its = source
        .commit(shown.seq)
        .await?
        .is_some_and(|commit| match &commit.body {
            Body::Payment(body) => body.payment == id,
            Body::Control(_) | Body::Ledger(_) => false,
        });
    if !is_its {
        return Ok(None);
    }
    Ok(trace(id, &walk(source, id, shown.seq).await?).into_payment())
}
