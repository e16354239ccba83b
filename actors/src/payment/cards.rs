//! What a payment asks about its card before each try, and what it says of the end: card networks limit how often a card that was
//! declined is tried again, and the counts are kept where all payments of one card meet (`risk/cards.rs`).

use super::{Assessing, NotStored, Operate, PaymentState, Stage};
use crate::risk::{self, Card, CardEnd, CardQuestion, Payer, RiskMail, Velocity, VelocityReply};
use crate::routing_handle;
use florin_domain::decline::Decline;
use florin_domain::ids::OperationId;
use florin_domain::method::PaymentMethod;
use florin_domain::payment::{Answer, Command, Operation, Payment, Spec};
use florin_domain::ports::CountedEvent;
use florin_domain::provider::Outcome;
use florin_domain::risk::CardStanding;
use florin_domain::routing::{AfterDecline, Facts, after_decline};
use florin_domain::time::Timestamp;
use ractor::ActorProcessingErr;
use std::sync::Arc;
use tokio::time::Instant;

/// What this incarnation knows of the present try of its card.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CardTry {
    /// It is counted as under way.
    repeats: bool,
    /// Its decline was counted before it was recorded.
    is_counted: bool,
    /// It was asked for, and nothing of the payment that followed from that is stored.
    asked: Option<Card>,
}

impl PaymentState {
    /// May this card be tried for this payment? `begun_at` if it is the payment's first try, `declined` if it was at another provider, just now.
    pub(super) fn card_question(
        &self,
        (spec, method): (&Spec, &PaymentMethod),
        begun_at: Option<Timestamp>,
        declined: Option<bool>,
    ) -> CardQuestion {
        let (is_new, now) = (begun_at.is_some(), || self.context.ports.clock.now());
        let at = begun_at.unwrap_or_else(now);
        CardQuestion {
            card: Card::of(spec, method),
            payment: spec.id,
            brand: method.brand,
            at,
            is_new,
            declined,
        }
    }

    /// A question about the card goes out.
    pub(super) const fn asks_for_card(&mut self, question: &CardQuestion) {
        self.card_try.asked = Some(question.card);
    }

    /// Nothing is stored of what its card was asked for: it takes no place there, and is nobody's twin.
    pub(super) fn lets_go_of_card(&mut self) {
        let Some(card) = self.card_try.asked.take() else {
            return;
        };
        self.card_try = CardTry::default();
        let mail = RiskMail::CardEnded {
            card,
            payment: self.id,
            at: self.context.ports.clock.now(),
            end: CardEnd::Uncharged,
        };
        risk::send(&self.context, card.subject, mail);
    }

    /// Takes what was said of the card, and tells operators what they may want to know.
    pub(super) fn heard_of_card(&mut self, velocity: &Velocity) {
        self.card_try.repeats = velocity.card == CardStanding::Repeats;
        if let Some(bar) = velocity.card.bar() {
            let reason = bar.decline_code();
            metrics::counter!("florin_card_retries_refused_total", "reason" => reason).increment(1);
            tracing::info!(payment = %self.id, reason, "a card was declined as often as its network allows: it is not tried");
        }
        if velocity.twins > 0 {
            metrics::counter!("florin_duplicates_suspected_total").increment(1);
            let (twins, twin) = (velocity.twins, velocity.twin.map(|twin| twin.to_string()));
            // The first pair is news; whoever repeats it all day is counted.
            if twins == 1 {
                tracing::warn!(payment = %self.id, twin, "the same merchant, card and amount a moment ago under another key: a duplicate?");
            } else {
                tracing::debug!(payment = %self.id, twin, twins, "a payment like others of a moment ago");
            }
        }
    }

    /// Whether a soft decline is to be followed by the next provider: by the rule that applies to the charge now, else as configured.
    fn goes_on_after_decline(&self, payment: &Payment) -> bool {
        let Some(method) = &payment.method else {
            return false;
        };
        let facts = Facts::of(&payment.spec, method);
        let program = routing_handle::in_force(&self.context);
        match after_decline(&program, &facts, &payment.spec.routing) {
            Some(AfterDecline::NextProvider) => true,
            Some(AfterDecline::Answer) => false,
            None => self.context.options.soft_declines_go_on,
        }
    }

    /// Asks whether the card may be tried elsewhere, if that is what follows from a decline. Nothing is recorded before the answer: a
    /// crash finds the attempt open, and its provider says the same again.
    pub(super) fn asks_to_go_on(&mut self, operation: OperationId, number: u32, outcome: &Outcome) -> bool {
        let (Outcome::Declined { decline_code, .. }, Some(payment)) = (outcome, self.payment.clone()) else {
            return false;
        };
        let now = self.context.ports.clock.now();
        let is_wanted = self.goes_on_after_decline(&payment)
            && self.context.providers.len() > 1
            && payment.may_go_elsewhere(operation, number, outcome, now);
        // Of a request that was made before and not answered a decline under the same key says only what became of one of the two.
        let is_doubtful = self.doubts(operation, number).tainted;
        let is_wanted = is_wanted && !is_doubtful;
        let Some(is_final) = Decline::of(decline_code).at_network().filter(|_| is_wanted) else {
            return false;
        };
        let Some(method) = &payment.method else {
            return false;
        };
        let question = self.card_question((&payment.spec, method), None, Some(is_final));
        self.stage = Stage::Assessing {
            what: Assessing::Elsewhere {
                operation,
                number,
                outcome: outcome.clone(),
            },
            since: Instant::now(),
        };
        let reply = VelocityReply::new(self.mailbox.clone());
        risk::ask_card(&self.context, question, Velocity::default(), reply);
        true
    }

    /// The same charge is asked for anew after it reached nobody. Others may have tried its card meanwhile.
    pub(super) fn asks_to_drive_again(&mut self, payment: &Payment) {
        self.asks_again_for_card(payment, Assessing::Again);
    }

    /// A person lets a payment pass that no provider has heard of.
    pub(super) fn assess_approval(&mut self, operate: Box<Operate>) {
        if let Some(payment) = self.payment.clone() {
            self.asks_again_for_card(&payment, Assessing::Approval(operate));
        }
    }

    fn asks_again_for_card(&mut self, payment: &Payment, what: Assessing) {
        let Some(method) = &payment.method else { return };
        let question = self.card_question((&payment.spec, method), None, None);
        self.asks_for_card(&question);
        let since = Instant::now();
        self.stage = Stage::Assessing { what, since };
        let reply = VelocityReply::new(self.mailbox.clone());
        risk::ask_card(&self.context, question, Velocity::default(), reply);
    }

    /// Goes once more if the card may be tried. What others hold for a moment ends nothing: the same key may ask again.
    pub(super) fn drive_again(
        &mut self,
        velocity: &Velocity,
        is_late: bool,
    ) -> Result<(), ActorProcessingErr> {
        let Some(payment) = self.payment.clone() else {
            return Ok(());
        };
        let Some(method) = &payment.method else {
            return Ok(());
        };
        self.heard_of_card(velocity);
        let operation = payment.authorize_id();
        let number = payment.next_attempt(operation);
        let charge = (payment.spec.as_ref(), method);
        let plan = match velocity.card {
            _ if is_late => None,
            CardStanding::Taken(_) => None,
            CardStanding::Barred(_) => self.plan_at_holder(operation, number),
            CardStanding::Fresh | CardStanding::Repeats => self.plan(charge, operation, number, &[]).ok(),
        };
        if let Some(plan) = plan {
            self.begin_round(operation);
            let barred = velocity.card.bar();
            self.decide(None, Command::Redrive { plan, barred })?;
        }
        if !matches!(self.stage, Stage::Committing { .. }) {
            self.lets_go_of_card();
            if self.answers.creation.is_none() && !self.is_driving_any() {
                self.resume();
            }
            self.answer();
        }
        Ok(())
    }

    /// Decides an approval, now that it is known whether the card may be tried.
    pub(super) fn approve(
        &mut self,
        operate: Operate,
        velocity: &Velocity,
    ) -> Result<(), ActorProcessingErr> {
        self.heard_of_card(velocity);
        match velocity.card {
            CardStanding::Taken(_) => {
                self.refuse_request(operate.request.key_digest, NotStored::Busy);
                Ok(())
            }
            CardStanding::Fresh | CardStanding::Repeats | CardStanding::Barred(_) => {
                self.take_request(operate, velocity.card.bar())
            }
        }
    }

    /// Records the decline, and goes on if the card may be tried once more. Nobody knowing is no permission.
    pub(super) fn go_on_after_decline(
        &mut self,
        (operation, number): (OperationId, u32),
        outcome: Outcome,
        standing: Option<CardStanding>,
    ) -> Result<(), ActorProcessingErr> {
        let may = standing.is_some_and(|standing| standing.bar().is_none());
        self.card_try = CardTry {
            repeats: standing == Some(CardStanding::Repeats),
            is_counted: standing.is_some(),
            asked: None,
        };
        let next = may.then(|| self.elsewhere(operation, number, &outcome)).flatten();
        self.record_and_go_on(operation, number, outcome, next)
    }

    /// Tells risk what a durable commit made of the payment.
    pub(super) fn tell_risk(&mut self, after: &Arc<Payment>) {
        self.card_try.asked = None;
        let before = self.payment.as_deref();
        let at = self.context.ports.clock.now();
        let is_declined = after.declined_charges() > before.map_or(0, Payment::declined_charges);
        if is_declined {
            self.context
                .ports
                .velocity
                .tell(&after.spec, CountedEvent::Decline);
        }
        if is_declined && let Some(payer) = Payer::of(&after.spec) {
            risk::send(&self.context, payer.subject, RiskMail::Declined { payer, at });
        }
        let is_over = |payment: &Payment| matches!(payment.answer(), Answer::Declined | Answer::Blocked);
        let has_ended = is_over(after) && !before.is_some_and(is_over);
        let waits = after
            .operation(after.authorize_id())
            .is_some_and(Operation::is_unresolved);
        let was_counted = is_declined && std::mem::take(&mut self.card_try.is_counted);
        let code = after
            .failure
            .as_ref()
            .and_then(|failure| failure.decline_code.as_deref());
        let is_final = code.and_then(|code| Decline::of(code).at_network());
        let end = match is_final {
            // It went on elsewhere: that is the present try.
            _ if was_counted && waits => return,
            Some(is_final) if is_declined && !was_counted => CardEnd::Declined { is_final },
            Some(_) | None if is_declined || has_ended => CardEnd::Uncharged,
            Some(_) | None if self.card_try.repeats && !waits => CardEnd::Ended,
            Some(_) | None => return,
        };
        self.card_try = CardTry::default();
        let Some(method) = &after.method else { return };
        let (card, payment) = (Card::of(&after.spec, method), self.id);
        let mail = RiskMail::CardEnded {
            card,
            payment,
            at,
            end,
        };
        risk::send(&self.context, card.subject, mail);
    }
}
