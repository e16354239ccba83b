//! One shard's part in transfers between shards, as plain as it can be. It shares no code with the books.

use super::*;

type Legs = [(AccountKey, bool, i128); 2];

/// How far a transfer has come in this shard.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Standing {
    Prepared,
    Reserved,
    Decided,
    Aborted(AbortReason),
    /// Nothing is left to do here.
    Over,
}

#[derive(Clone, Debug, Default)]
pub(super) struct PlainShard {
    pub(super) ledger: PlainLedger,
    pub(super) ids: BTreeMap<u128, (Standing, Legs)>,
}

fn clearing(of: AccountKey) -> AccountKey {
    AccountKey {
        name: AccountName::ShardClearing,
        ..of
    }
}

/// What the leading shard posts.
fn leading(transfer: &CrossTransfer) -> Legs {
    let minor = transfer.amount.minor();
    [
        (transfer.debit, true, minor),
        (clearing(transfer.debit), false, minor),
    ]
}

/// What the other one posts.
fn other(transfer: &CrossTransfer) -> Legs {
    let minor = transfer.amount.minor();
    [
        (clearing(transfer.credit), true, minor),
        (transfer.credit, false, minor),
    ]
}

impl PlainShard {
    pub(super) fn prepare(&mut self, transfer: &CrossTransfer) -> Result<(), &'static str> {
        if transfer.effective > TODAY {
            return Err("effective_in_future");
        }
        self.hold(leading(transfer), transfer.effective)?;
        self.ids
            .insert(transfer.id.0, (Standing::Prepared, leading(transfer)));
        Ok(())
    }

    pub(super) fn reserve(&mut self, transfer: &CrossTransfer) -> Result<(), &'static str> {
        if self.ids.contains_key(&transfer.id.0) {
            return Err("transfer_id_reused");
        }
        self.hold(other(transfer), transfer.effective)?;
        self.ids
            .insert(transfer.id.0, (Standing::Reserved, other(transfer)));
        Ok(())
    }

    pub(super) fn decide(&mut self, id: TransferId, wanted: CrossOutcome) -> Option<CrossOutcome> {
        let (standing, legs) = *self.ids.get(&id.0)?;
        match (standing, wanted) {
            (Standing::Reserved | Standing::Over, _) => None,
            (Standing::Decided, _) => Some(CrossOutcome::Decided),
            (Standing::Aborted(why), _) => Some(CrossOutcome::Aborted(why)),
            (Standing::Prepared, CrossOutcome::Decided) => {
                self.release(legs);
                for leg in legs {
                    self.ledger.add(leg);
                }
                self.ids.insert(id.0, (Standing::Decided, legs));
                Some(wanted)
            }
            (Standing::Prepared, CrossOutcome::Aborted(why)) => {
                self.release(legs);
                self.ids.insert(id.0, (Standing::Aborted(why), legs));
                Some(wanted)
            }
        }
    }

    pub(super) fn finish(&mut self, transfer: &CrossTransfer, outcome: CrossOutcome) {
        let (id, mut legs) = (transfer.id.0, other(transfer));
        match self.ids.get(&id) {
            Some((Standing::Reserved, reserved)) => self.release(*reserved),
            Some(_) => return,
            None => {}
        }
        self.ids.insert(id, (Standing::Over, legs));
        if outcome == CrossOutcome::Decided {
            let before = self.ledger.clone();
            let fits = self.ledger.there.contains(&transfer.credit) && {
                for leg in legs {
                    self.ledger.add(leg);
                }
                self.fits_as(&before, &transfer.credit).is_ok()
            };
            if !fits {
                self.ledger = before;
                legs[1].0 = AccountKey {
                    name: AccountName::Suspense,
                    ..transfer.credit
                };
                for leg in legs {
                    self.ledger.add(leg);
                }
            }
        }
    }

    pub(super) fn settle(&mut self, id: TransferId) {
        if let Some((standing, _)) = self.ids.get_mut(&id.0)
            && matches!(standing, Standing::Decided | Standing::Aborted(_))
        {
            *standing = Standing::Over;
        }
    }

    /// What it still has to do with.
    pub(super) fn open(&self) -> BTreeMap<u128, Standing> {
        let open = self
            .ids
            .iter()
            .filter(|(_, (standing, _))| *standing != Standing::Over);
        open.map(|(id, (standing, _))| (*id, *standing)).collect()
    }

    fn release(&mut self, legs: Legs) {
        for (key, is_debit, minor) in legs {
            self.ledger.expect((key, is_debit, -minor));
        }
    }

    fn hold(&mut self, legs: Legs, day: EffectiveDate) -> Result<(), &'static str> {
        if self
            .ledger
            .closed_through
            .get(&legs[0].0.livemode)
            .is_some_and(|closed| day.0 <= *closed)
        {
            return Err("period_closed");
        }
        let before = self.ledger.clone();
        for leg in legs {
            let is_there = leg.0.name == AccountName::ShardClearing || before.there.contains(&leg.0);
            let held = if is_there {
                self.ledger.expect(leg);
                self.fits_as(&before, &leg.0)
            } else {
                Err("account_unknown")
            };
            if let Err(word) = held {
                self.ledger = before;
                return Err(word);
            }
        }
        Ok(())
    }

    /// A limit forbids to go further beyond it.
    fn fits_as(&self, before: &PlainLedger, key: &AccountKey) -> Result<(), &'static str> {
        let limits = self.ledger.limits(key);
        let (least, most) = (self.ledger.available(key), self.ledger.reached(key));
        if least < before.available(key) && limits.min_minor.is_some_and(|min| least < min) {
            return Err("insufficient_funds");
        }
        if most > before.reached(key) && limits.max_minor.is_some_and(|max| most > max) {
            return Err("account_limit_exceeded");
        }
        Ok(())
    }
}
