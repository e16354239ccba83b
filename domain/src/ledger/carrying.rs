//! Steps of transfers between shards, carried out on the books of one of them.

use super::account::{AccountKey, AccountName, Side};
use super::applying::{Applying, Mark};
use super::books::Books;
use super::crossing::{
    AbortReason, CrossOutcome, CrossPhase, CrossTransfer, Crossed, Crossing, CrossingStep,
};
use super::entry::{Posting, PostingError};
use super::legs::postings_of;
use super::transfer::{
    EffectiveDate, Legs, PostedTransfer, Transfer, TransferId, TransferLegs, TransferRefusal, TransferStep,
};
use super::transfers::Verdict;
use crate::ids::Seq;
use crate::time::Timestamp;
use std::collections::BTreeSet;

const MISSING: PostingError = PostingError::IllegalRecord("no such transfer between shards is open");

impl Books {
    /// Transfers between shards that this one still has to do with, by id.
    pub fn crossings(&self) -> impl ExactSizeIterator<Item = &Crossing> {
        self.crossings.values()
    }

    /// One of them.
    pub fn crossing(&self, id: TransferId) -> Option<&Crossing> {
        self.crossings.get(&id)
    }

    /// Puts one back as a snapshot has it; what it reserves is in the accounts' standings already.
    pub fn restore_crossing(&mut self, crossing: Crossing) {
        self.crossings.insert(crossing.transfer.id, crossing);
    }

    fn cross(&mut self, transfer: &CrossTransfer, phase: CrossPhase, since: Timestamp) {
        self.restore_crossing(Crossing {
            transfer: transfer.clone(),
            phase,
            since,
        });
    }

    /// Reserves the leading side of transfers. A dry run changes nothing.
    pub fn prepare_crossings(
        &mut self,
        asked: &[Transfer],
        (at, seq): (Timestamp, Seq),
        is_dry_run: bool,
        is_known: impl Fn(TransferId) -> bool,
    ) -> Crossed<Verdict> {
        let mut applying = Applying::crossing(self, at, seq);
        let (mut steps, mut said) = (Vec::new(), Vec::new());
        let mut seen = BTreeSet::new();
        for transfer in asked {
            let is_asked_twice = !seen.insert(transfer.id);
            said.push(if is_known(transfer.id) {
                Verdict::Exists
            } else if is_asked_twice {
                Verdict::Refused(TransferRefusal::IdReused)
            } else {
                match applying.prepare(transfer) {
                    Ok(prepared) => {
                        steps.push(CrossingStep::Prepared(prepared));
                        Verdict::Done
                    }
                    Err(refusal) => Verdict::Refused(refusal),
                }
            });
        }
        if is_dry_run {
            applying.undo(Mark::default());
            return Crossed { steps, said };
        }
        self.note_reserved(&steps, CrossPhase::Prepared, at);
        Crossed { steps, said }
    }

    /// Reserves the other side of transfers, or refuses. A dry run changes nothing.
    pub fn reserve_crossings(
        &mut self,
        asked: &[CrossTransfer],
        (at, seq): (Timestamp, Seq),
        is_dry_run: bool,
        is_known: impl Fn(TransferId) -> bool,
    ) -> Crossed<Result<(), AbortReason>> {
        let mut applying = Applying::crossing(self, at, seq);
        let (mut steps, mut said) = (Vec::new(), Vec::new());
        for transfer in asked {
            let reserved = if is_known(transfer.id) {
                Err(AbortReason::IdReused)
            } else {
                let half = transfer.target_half();
                let reserved = applying.reserve_half(transfer.id, &half, transfer.effective);
                reserved.map_err(|refusal| AbortReason::of(&refusal))
            };
            if reserved.is_ok() {
                steps.push(CrossingStep::Reserved(transfer.clone()));
            }
            said.push(reserved);
        }
        if is_dry_run {
            applying.undo(Mark::default());
            return Crossed { steps, said };
        }
        self.note_reserved(&steps, CrossPhase::Reserved, at);
        Crossed { steps, said }
    }

    fn note_reserved(&mut self, steps: &[CrossingStep], phase: CrossPhase, at: Timestamp) {
        for step in steps {
            if let CrossingStep::Prepared(transfer) | CrossingStep::Reserved(transfer) = step {
                self.cross(transfer, phase, at);
            }
        }
    }

    /// Decides prepared transfers; one that is decided already stays as it is, and of an unknown one nothing is said.
    pub fn decide_crossings(
        &mut self,
        asked: &[(TransferId, CrossOutcome)],
        (at, seq): (Timestamp, Seq),
    ) -> Crossed<Option<CrossOutcome>> {
        let open: Vec<Option<Crossing>> = asked
            .iter()
            .map(|(id, _)| self.crossings.get(id).cloned())
            .collect();
        let mut applying = Applying::crossing(self, at, seq);
        let (mut steps, mut said) = (Vec::new(), Vec::new());
        let mut seen = BTreeSet::new();
        for (crossing, (id, wanted)) in open.into_iter().zip(asked) {
            let is_decided_here = !seen.insert(*id);
            let crossing = crossing.filter(|_| !is_decided_here);
            said.push(crossing.and_then(|crossing| match crossing.phase {
                CrossPhase::Over(outcome) => Some(outcome),
                // Another shard leads it.
                CrossPhase::Reserved => None,
                CrossPhase::Prepared => {
                    let (step, outcome) = applying.decide(crossing.transfer, *wanted);
                    steps.push(step);
                    Some(outcome)
                }
            }));
        }
        for step in &steps {
            if let (Some(transfer), Some(outcome)) = (step.transfer(), step.outcome()) {
                self.cross(&transfer, CrossPhase::Over(outcome), at);
            }
        }
        Crossed { steps, said }
    }

    /// Carries out what the leading shards decided: each once, whatever came before. What does not fit its account any more goes to
    /// suspense, because the other half has landed.
    pub fn finish_crossings(
        &mut self,
        asked: &[(CrossTransfer, CrossOutcome)],
        (at, seq): (Timestamp, Seq),
        is_known: impl Fn(TransferId) -> bool,
    ) -> Result<Vec<CrossingStep>, PostingError> {
        let is_reserved: Vec<bool> = asked
            .iter()
            .map(|(transfer, _)| {
                let found = self.crossings.get(&transfer.id);
                // Another shard may lead another transfer under the same id; its end is none of the one that is reserved here.
                found.is_some_and(|crossing| {
                    crossing.phase == CrossPhase::Reserved && crossing.transfer == *transfer
                })
            })
            .collect();
        let mut applying = Applying::crossing(self, at, seq);
        let mut steps: Vec<CrossingStep> = Vec::new();
        let mut seen = BTreeSet::new();
        for ((transfer, outcome), is_reserved) in asked.iter().zip(is_reserved) {
            let is_done_here = !seen.insert(transfer.id);
            if is_done_here || (!is_reserved && is_known(transfer.id)) {
                continue;
            }
            if is_reserved {
                applying.release_half(&transfer.target_half())?;
            }
            steps.push(match outcome {
                CrossOutcome::Decided => applying.apply_half(transfer)?,
                CrossOutcome::Aborted(why) => CrossingStep::Aborted {
                    transfer: transfer.clone(),
                    why: *why,
                },
            });
        }
        for step in &steps {
            self.crossings.remove(&step.id());
        }
        Ok(steps)
    }

    /// Forgets decided transfers that the other shard has carried out.
    pub fn settle_crossings(&mut self, ids: &[TransferId]) -> Vec<CrossingStep> {
        let mut steps = Vec::new();
        for id in ids {
            let open = self.crossings.get(id);
            if open.is_some_and(|crossing| matches!(crossing.phase, CrossPhase::Over(_))) {
                self.crossings.remove(id);
                steps.push(CrossingStep::Settled(*id));
            }
        }
        steps
    }

    /// Folds a commit's recorded steps, and checks that they can follow.
    pub fn replay_crossings(
        &mut self,
        steps: &[CrossingStep],
        (at, seq): (Timestamp, Seq),
    ) -> Result<(), PostingError> {
        steps
            .iter()
            .try_for_each(|step| self.replay_crossing(step, (at, seq)))
    }

    fn replay_crossing(
        &mut self,
        step: &CrossingStep,
        (at, seq): (Timestamp, Seq),
    ) -> Result<(), PostingError> {
        let open = self.crossings.get(&step.id()).cloned();
        let mut applying = Applying::crossing(self, at, seq);
        let hold = |applying: &mut Applying<'_>, half: &TransferLegs| {
            applying
                .hold_half(step.id(), half)
                .map_err(|_| PostingError::Overflow)
        };
        let half_of = |crossing: &Crossing| match crossing.phase {
            CrossPhase::Prepared => Some(crossing.transfer.source_half()),
            CrossPhase::Reserved => Some(crossing.transfer.target_half()),
            CrossPhase::Over(_) => None,
        };
        match step {
            CrossingStep::Prepared(transfer) => {
                hold(&mut applying, &transfer.source_half())?;
                self.cross(transfer, CrossPhase::Prepared, at);
            }
            CrossingStep::Reserved(transfer) => {
                hold(&mut applying, &transfer.target_half())?;
                self.cross(transfer, CrossPhase::Reserved, at);
            }
            CrossingStep::Decided { posted, .. } => {
                let crossing = open.ok_or(MISSING)?;
                if crossing.phase != CrossPhase::Prepared {
                    return Err(MISSING);
                }
                applying.release_half(&crossing.transfer.source_half())?;
                applying.replay(&posted.lines())?;
                let decided = CrossPhase::Over(CrossOutcome::Decided);
                self.cross(&crossing.transfer, decided, at);
            }
            CrossingStep::Applied { posted, .. } => {
                if let Some(half) = open.as_ref().and_then(half_of) {
                    applying.release_half(&half)?;
                }
                applying.replay(&posted.lines())?;
                self.crossings.remove(&posted.id);
            }
            CrossingStep::Aborted { transfer, why } => {
                if let Some(half) = open.as_ref().and_then(half_of) {
                    applying.release_half(&half)?;
                }
                if open.is_some_and(|crossing| crossing.phase == CrossPhase::Prepared) {
                    let aborted = CrossPhase::Over(CrossOutcome::Aborted(*why));
                    self.cross(transfer, aborted, at);
                } else {
                    self.crossings.remove(&transfer.id);
                }
            }
            CrossingStep::Settled(id) => {
                self.crossings.remove(id).ok_or(MISSING)?;
            }
        }
        Ok(())
    }
}

impl Applying<'_> {
    /// Reserves the leading side. Refused, it has changed nothing.
    fn prepare(&mut self, asked: &Transfer) -> Result<CrossTransfer, TransferRefusal> {
        let TransferLegs::Pair {
            debit,
            credit,
            amount,
        } = asked.legs
        else {
            return Err(TransferRefusal::CrossesShards);
        };
        self.begin(asked);
        let effective = self.effective(asked)?;
        let transfer = CrossTransfer {
            id: asked.id,
            debit,
            credit,
            amount,
            effective,
            notes: asked.notes.clone(),
        };
        // What it says by itself is judged as a whole, before either half.
        postings_of(asked.id, &asked.legs)?;
        self.reserve_half(asked.id, &transfer.source_half(), effective)?;
        Ok(transfer)
    }

    /// Reserves one side, if its day is open and its account is there. Refused, it has changed nothing.
    fn reserve_half(
        &mut self,
        id: TransferId,
        half: &TransferLegs,
        effective: EffectiveDate,
    ) -> Result<(), TransferRefusal> {
        self.check_open(half, effective)?;
        let mark = self.mark();
        let held = self.hold_half(id, half);
        if held.is_err() {
            self.undo(mark);
        }
        held
    }

    fn hold_half(&mut self, id: TransferId, half: &TransferLegs) -> Result<(), TransferRefusal> {
        let postings = postings_of(id, half)?;
        self.check_accounts(&postings)?;
        postings
            .iter()
            .try_for_each(|posting| self.hold(posting, posting.amount.minor()))
    }

    fn release_half(&mut self, half: &TransferLegs) -> Result<(), PostingError> {
        let TransferLegs::Pair {
            debit,
            credit,
            amount,
        } = half
        else {
            return Err(MISSING);
        };
        for (account, side) in [(*debit, Side::Debit), (*credit, Side::Credit)] {
            let posting = Posting {
                account,
                side,
                amount: *amount,
            };
            let released = self.hold(&posting, amount.minor().saturating_neg());
            released.map_err(|_| PostingError::Overflow)?;
        }
        Ok(())
    }

    /// Posts the leading half, or lets it go. What cannot be posted after all is given up: nothing has moved yet.
    fn decide(&mut self, transfer: CrossTransfer, wanted: CrossOutcome) -> (CrossingStep, CrossOutcome) {
        let half = transfer.source_half();
        let aborted = |transfer, why| {
            (
                CrossingStep::Aborted { transfer, why },
                CrossOutcome::Aborted(why),
            )
        };
        // A hold that was placed can be taken back.
        let released = self.release_half(&half);
        match wanted {
            CrossOutcome::Aborted(why) => aborted(transfer, why),
            CrossOutcome::Decided if released.is_err() => aborted(transfer, AbortReason::Overflow),
            CrossOutcome::Decided => {
                let mark = self.mark();
                match self.post(transfer.id, &half) {
                    Ok(legs) => {
                        let posted = posted(&transfer, legs);
                        let credit = transfer.credit;
                        (CrossingStep::Decided { posted, credit }, CrossOutcome::Decided)
                    }
                    Err(refusal) => {
                        self.undo(mark);
                        aborted(transfer, AbortReason::of(&refusal))
                    }
                }
            }
        }
    }

    /// Posts the other half; to suspense, if it does not fit its account.
    fn apply_half(&mut self, transfer: &CrossTransfer) -> Result<CrossingStep, PostingError> {
        let mark = self.mark();
        let legs = if let Ok(legs) = self.post(transfer.id, &transfer.target_half()) {
            legs
        } else {
            self.undo(mark);
            let to_suspense = TransferLegs::Pair {
                debit: transfer.clearing(),
                credit: AccountKey {
                    name: AccountName::Suspense,
                    ..transfer.debit
                },
                amount: transfer.amount,
            };
            let posted = self.post(transfer.id, &to_suspense);
            posted.map_err(|_| PostingError::Overflow)?
        };
        Ok(CrossingStep::Applied {
            posted: posted(transfer, legs),
            debit: transfer.debit,
        })
    }
}

fn posted(transfer: &CrossTransfer, legs: Legs) -> PostedTransfer {
    PostedTransfer {
        id: transfer.id,
        step: TransferStep::Single,
        legs,
        effective: transfer.effective,
        notes: transfer.notes.clone(),
    }
}
