//! Paying a draft, or trying again with another method after a decline: risk looks at the method first.

use super::{Action, Assessing, NotStored, Operate, PaymentState, Stage};
use crate::context::Step;
use crate::risk::{self, Velocity};
use florin_domain::money::{Amount, Currency};
use florin_domain::payment::{Command, Payment, Refusal};
use ractor::ActorProcessingErr;
use tokio::time::Instant;

/// It costs what whoever confirms it was shown, if they say what that is.
fn costs(payment: &Payment, price: Option<(Amount, Currency)>) -> bool {
    price.is_none_or(|price| price == (payment.spec.amount, payment.spec.currency))
}

impl PaymentState {
    /// Another method is assessed like the first one.
    pub(super) fn assess_confirmation(&mut self, operate: Box<Operate>) {
        let (Some(payment), Action::Confirm(named, price)) = (self.payment.clone(), &operate.action) else {
            return;
        };
        // While risk is asked it takes no other request, so that it costs the same afterwards.
        if !costs(&payment, *price) {
            self.refuse_request(
                operate.request.key_digest,
                NotStored::Refused(Refusal::WrongStatus),
            );
            return;
        }
        let named = named.as_ref().or(payment.method_to_confirm());
        // Risk is asked only about what can be: what it then counts for this payment may be the try that is under way.
        let Some(method) = named.filter(|_| payment.may_be_confirmed()) else {
            let why = if named.is_some() && payment.takes_method() {
                Refusal::OperationInProgress
            } else {
                Refusal::WrongStatus
            };
            self.refuse_request(operate.request.key_digest, NotStored::Refused(why));
            return;
        };
        // A draft is new to risk when it is to be paid.
        let begun_at = payment.is_draft().then(|| self.context.ports.clock.now());
        let question = self.card_question((&payment.spec, method), begun_at, None);
        self.asks_for_card(&question);
        self.stage = Stage::Assessing {
            what: Assessing::Confirmation(operate),
            since: Instant::now(),
        };
        if begun_at.is_some() {
            risk::begin(&self.context, &payment.spec, question, &self.mailbox);
        } else {
            risk::confirm(&self.context, &payment.spec, question, &self.mailbox);
        }
    }

    pub(super) fn confirm(
        &mut self,
        operate: Operate,
        velocity: Velocity,
        counted: bool,
    ) -> Result<(), ActorProcessingErr> {
        let Operate { request, action, .. } = operate;
        let (key, operation) = (request.key_digest, request.operation);
        let (Action::Confirm(named, _), Some(payment)) = (action, self.payment.clone()) else {
            return Ok(());
        };
        let Some(method) = named.or_else(|| payment.method_to_confirm().cloned()) else {
            self.refuse_request(key, NotStored::Refused(Refusal::WrongStatus));
            return Ok(());
        };
        self.context.ports.probe.reached(Step::PaymentAssessed);
        self.heard_of_card(&velocity);
        let barred = velocity.card.bar();
        let assessment = self.assess(&payment.spec, &method, velocity, counted);
        let number = self.next_attempt(operation);
        let charge = (payment.spec.as_ref(), &method);
        let plan = match self.plan_if_it_charges(charge, &assessment, number, (barred.is_some(), false)) {
            Ok(plan) => plan,
            Err(why) => {
                self.refuse_request(key, why);
                return Ok(());
            }
        };
        self.begin_round(operation);
        self.asked.push(key);
        let command = Command::Confirm {
            method,
            assessment,
            plan,
            barred,
        };
        self.decide(Some(request), command)
    }
}
