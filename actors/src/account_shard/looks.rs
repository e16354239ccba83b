//! The shard's part in a look at the clearing accounts: it is read, and for as long as the look lasts it remembers the steps that it records. One look
//! at a time: the next one takes the place of one that nobody brings to its end.

use super::{PaymentAccounts, ShardState};
use crate::reply::tell;
use florin_domain::ledger::{AccountKey, AccountName, Crossing, CrossingStep};
use tokio::sync::oneshot;

/// Steps that are remembered for a look. With more it is broken off.
const STEPS_MAX: usize = 65_536;

/// What a look asks. Each answer is given when what it says is durable; nothing is said of a look that was broken off.
#[derive(Debug)]
pub enum LookMail {
    /// A look begins.
    Begin(oneshot::Sender<Begun>),
    /// How many steps were recorded since?
    Count {
        /// In which look.
        look: u64,
        /// Who asks.
        reply: oneshot::Sender<Option<usize>>,
    },
    /// Which were they? The look ends.
    End {
        /// Which look.
        look: u64,
        /// Who asks.
        reply: oneshot::Sender<Option<Vec<CrossingStep>>>,
    },
}

/// A shard as it was read.
#[derive(Debug)]
pub struct Begun {
    /// Which look this is.
    pub look: u64,
    /// What its clearing accounts hold, in minor units.
    pub held_minor: Vec<(AccountKey, i128)>,
    /// What is open.
    pub open: Vec<Crossing>,
}

/// The look under way, if there is one.
#[derive(Debug, Default)]
pub(super) struct LookedAt {
    look: u64,
    since: Option<Vec<CrossingStep>>,
}

impl LookedAt {
    /// Remembers steps that are recorded now.
    pub(super) fn record(&mut self, steps: &[CrossingStep]) {
        if let Some(since) = &mut self.since {
            if since.len() + steps.len() > STEPS_MAX {
                self.since = None;
            } else {
                since.extend_from_slice(steps);
            }
        }
    }

    fn begin(&mut self) -> u64 {
        self.look += 1;
        self.since = Some(Vec::new());
        self.look
    }

    fn of(&self, look: u64) -> Option<&Vec<CrossingStep>> {
        self.since.as_ref().filter(|_| look == self.look)
    }
}

impl ShardState {
    pub(super) fn look(&mut self, mail: LookMail) {
        match mail {
            LookMail::Begin(reply) => {
                let begun = Begun {
                    look: self.looked_at.begin(),
                    held_minor: self.clearing(),
                    open: self.books.crossings().cloned().collect(),
                };
                self.after_durable(move |_| tell(reply, begun));
            }
            LookMail::Count { look, reply } => {
                let count = self.looked_at.of(look).map(Vec::len);
                self.after_durable(move |_| tell(reply, count));
            }
            LookMail::End { look, reply } => {
                let is_it = self.looked_at.of(look).is_some();
                let steps = self.looked_at.since.take_if(|_| is_it);
                self.after_durable(move |_| tell(reply, steps));
            }
        }
    }

    /// What the clearing accounts hold, credits above zero.
    fn clearing(&self) -> Vec<(AccountKey, i128)> {
        let of_mode = |livemode| PaymentAccounts {
            of: Some((AccountName::ShardClearing, livemode)),
            after: None,
            limit: usize::MAX,
        };
        let accounts = [false, true].map(|livemode| self.payment_accounts(&of_mode(livemode)));
        let held = accounts.into_iter().flatten();
        held.map(|(key, state)| (key, state.posted.minor())).collect()
    }
}
