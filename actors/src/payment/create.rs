//! Beginning a payment: velocity, rules, provider, and the first decision.

use super::{Assessing, NotStored, PaymentState, Stage};
use crate::context::Step;
use crate::risk::{self, Velocity};
use crate::{risk_profile_handle, routing_handle};
use florin_domain::ids::{OperationId, Seq};
use florin_domain::method::PaymentMethod;
use florin_domain::payment::{AttemptPlan, Command, ReviewMode, Spec};
use florin_domain::provider::ProviderId;
use florin_domain::risk::{Action, Assessment, Features, screen};
use florin_domain::routing::{Bar, Facts, draw_bps, route};
use ractor::ActorProcessingErr;
use std::sync::Arc;
use tokio::time::Instant;

/// A new payment's request, parsed and authenticated.
#[derive(Clone, Debug)]
pub struct Begin {
    /// What is asked for.
    pub spec: Arc<Spec>,
    /// How it begins.
    pub start: Start,
    /// When it was admitted.
    pub admitted_at: Instant,
    /// Nobody had used its key up to this commit, as the owner of the keys found.
    pub missed_behind: Seq,
}

/// How a new payment begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// It is charged at once, with this method.
    Charge(PaymentMethod),
    /// It waits until somebody confirms it, with this method if that is known.
    Draft(Option<PaymentMethod>),
    /// Its method is no longer there, so it does not begin; whoever asked under the key before is answered as then.
    MethodGone,
}

impl PaymentState {
    pub(super) fn begin(&mut self, begin: Box<Begin>) -> Result<(), ActorProcessingErr> {
        self.context.ports.probe.reached(Step::PaymentBegun);
        self.admitted_at = Some(begin.admitted_at);
        self.missed_behind = begin.missed_behind;
        let method = match &begin.start {
            Start::Charge(method) => method,
            Start::MethodGone => {
                self.refuse(NotStored::MethodGone);
                return Ok(());
            }
            Start::Draft(method) => {
                let command = Command::Draft {
                    spec: Arc::clone(&begin.spec),
                    method: method.clone(),
                    profile: self.context.options.ledger.profile(),
                };
                return self.decide(None, command);
            }
        };
        let since = Instant::now();
        let question = self.card_question((&begin.spec, method), Some(begin.spec.created_at), None);
        self.asks_for_card(&question);
        risk::begin(&self.context, &begin.spec, question, &self.mailbox);
        self.stage = Stage::Assessing {
            what: Assessing::Begin(begin),
            since,
        };
        Ok(())
    }

    pub(super) fn assessed(&mut self, velocity: Option<Velocity>) -> Result<(), ActorProcessingErr> {
        let Stage::Assessing { what, since } = std::mem::replace(&mut self.stage, Stage::Idle) else {
            return Ok(());
        };
        let is_late = since.elapsed() > self.context.options.stages.risk;
        // A shard that died answers nothing: the other rules still hold, and velocity starts anew.
        let (velocity, counted) = (velocity.unwrap_or_default(), velocity.is_some());
        match what {
            Assessing::Elsewhere {
                operation,
                number,
                outcome,
            } => {
                let standing = counted.then_some(velocity.card);
                self.go_on_after_decline((operation, number), outcome, standing)
            }
            Assessing::Begin(_) if is_late => {
                self.refuse(NotStored::StageTimeout("risk"));
                Ok(())
            }
            Assessing::Confirmation(operate) if is_late => {
                self.refuse_request(operate.request.key_digest, NotStored::StageTimeout("risk"));
                Ok(())
            }
            Assessing::Approval(operate) if is_late => {
                self.refuse_request(operate.request.key_digest, NotStored::StageTimeout("risk"));
                Ok(())
            }
            Assessing::Approval(operate) => self.approve(*operate, &velocity),
            Assessing::Again => self.drive_again(&velocity, is_late),
            Assessing::Begin(begin) => self.decide_create(*begin, velocity, counted),
            Assessing::Confirmation(operate) => self.confirm(*operate, velocity, counted),
        }
    }

    pub(super) fn assess(
        &self,
        spec: &Spec,
        method: &PaymentMethod,
        velocity: Velocity,
        counted: bool,
    ) -> Assessment {
        let features = Features::of(
            spec,
            method,
            counted.then_some(velocity.hour_count),
            velocity.hour_declines,
        );
        let context = &self.context;
        let (control, now) = (context.directory.load(), context.ports.clock.now());
        let profile = risk_profile_handle::in_force(&context.options, &control, now);
        let listed = control.lists.matching(spec, method, now);
        screen(
            (&profile, &context.options.velocity),
            &features,
            &velocity,
            listed,
        )
    }

    /// The plan of attempt `number` of a charge of this payment with this method, at the provider that routing chooses among those
    /// that take one more and were not tried.
    pub(super) fn plan(
        &mut self,
        (spec, method): (&Spec, &PaymentMethod),
        operation: OperationId,
        number: u32,
        tried: &[ProviderId],
    ) -> Result<AttemptPlan, NotStored> {
        let charge = self
            .payment
            .as_ref()
            .and_then(|payment| payment.operations.first());
        let made_at = charge.map_or_else(|| self.context.ports.clock.now(), |charge| charge.opened_at);
        let mut field = self.context.entrants(Some((spec.merchant, made_at)));
        let mut promises = Vec::with_capacity(field.len());
        for (seat, entrant) in self.context.providers.iter().zip(&mut field) {
            if tried.contains(&entrant.id) {
                entrant.bar = Some(Bar::Tried);
            }
            let promise = match entrant.bar {
                Some(_) => None,
                None => seat.promise(),
            };
            if entrant.bar.is_none() && promise.is_none() {
                entrant.bar = Some(Bar::Busy);
            }
            promises.push(promise);
        }
        let facts = Facts::of(spec, method);
        let program = routing_handle::in_force(&self.context);
        let route = route(&program, &facts, &spec.routing, &field, draw_bps(self.id));
        let Some(provider) = route.first() else {
            let is_busy = route.left_out.iter().any(|(_, bar)| *bar == Bar::Busy);
            return Err(if is_busy {
                NotStored::Busy
            } else {
                NotStored::NoProvider
            });
        };
        self.tell_of_open_breakers(&route, provider);
        let chosen = field.iter().position(|entrant| entrant.id == provider);
        self.promise = chosen.and_then(|index| promises.swap_remove(index));
        let mut plan = self.plan_at(provider, operation, number);
        plan.route = Some(Arc::new(route));
        Ok(plan)
    }

    /// The plan of a charge that risk lets through. What it stops goes to no provider, so none has to be there for it.
    pub(super) fn plan_if_it_charges(
        &mut self,
        charge: (&Spec, &PaymentMethod),
        assessment: &Assessment,
        number: u32,
        (barred, holds_for_review): (bool, bool),
    ) -> Result<AttemptPlan, NotStored> {
        let operation = OperationId::Authorize(self.id);
        let is_stopped = match assessment.action {
            Action::Allow => barred,
            Action::Review => barred || !holds_for_review,
            Action::Block => true,
        };
        match self.context.providers.first() {
            Some(seat) if is_stopped => Ok(self.plan_at(seat.id, operation, number)),
            Some(_) | None => self.plan(charge, operation, number, &[]),
        }
    }

    pub(super) fn plan_at(&self, provider: ProviderId, operation: OperationId, number: u32) -> AttemptPlan {
        let key = self.context.ports.provider_keys.derive(operation, number);
        let deadline = self
            .context
            .ports
            .clock
            .now()
            .plus(florin_domain::limits::ATTEMPT_RETRY_WINDOW);
        AttemptPlan {
            provider,
            key,
            deadline,
            route: None,
        }
    }

    pub(super) fn decide_create(
        &mut self,
        begin: Begin,
        velocity: Velocity,
        counted: bool,
    ) -> Result<(), ActorProcessingErr> {
        self.context.ports.probe.reached(Step::PaymentAssessed);
        let Begin { spec, start, .. } = begin;
        let Start::Charge(method) = start else {
            return Ok(());
        };
        self.heard_of_card(&velocity);
        let barred = velocity.card.bar();
        let assessment = self.assess(&spec, &method, velocity, counted);
        let since = Instant::now();
        let holds = self.context.options.review_mode == ReviewMode::AuthAndHold;
        let stops = (barred.is_some(), holds);
        let plan = match self.plan_if_it_charges((&spec, &method), &assessment, 1, stops) {
            Ok(plan) => plan,
            Err(why) => {
                self.refuse(why);
                return Ok(());
            }
        };
        if since.elapsed() > self.context.options.stages.selection {
            self.refuse(NotStored::StageTimeout("selection"));
            return Ok(());
        }
        let command = Command::Create {
            spec,
            method,
            assessment,
            plan,
            barred,
            review: self.context.options.review_mode,
            profile: self.context.options.ledger.profile(),
        };
        self.decide(None, command)
    }
}
