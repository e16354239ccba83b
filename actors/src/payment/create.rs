//! Beginning a payment: velocity, rules, provider, and the first decision.

use super::{Assessing, Begin, NotStored, PaymentState, Stage};
use crate::context::Step;
use crate::risk::{RiskMail, Subject, Velocity, VelocityReply};
use florin_domain::ids::OperationId;
use florin_domain::method::PaymentMethod;
use florin_domain::payment::{AttemptPlan, Command, Spec};
use florin_domain::provider::ProviderId;
use florin_domain::risk::{Assessment, Features, assess};
use florin_domain::routing::{self, Candidate};
use ractor::ActorProcessingErr;
use std::sync::atomic::Ordering;
use tokio::time::Instant;

impl PaymentState {
    pub(super) fn begin(&mut self, begin: Box<Begin>) -> Result<(), ActorProcessingErr> {
        self.context.ports.probe.reached(Step::PaymentBegun);
        self.admitted_at = Some(begin.admitted_at);
        let since = Instant::now();
        match Subject::of(&begin.spec) {
            None => self.decide_create(*begin, Velocity::default(), false),
            Some(subject) => {
                let shard = &self.context.risk[subject.shard(self.context.risk.len())];
                let reply = VelocityReply::new(self.mailbox.clone());
                let at = begin.spec.created_at;
                self.stage = Stage::Assessing {
                    what: Assessing::Begin(begin),
                    since,
                };
                shard.step(RiskMail::Count { subject, at, reply });
                Ok(())
            }
        }
    }

    pub(super) fn assessed(&mut self, velocity: Option<Velocity>) -> Result<(), ActorProcessingErr> {
        let Stage::Assessing { what, since } = std::mem::replace(&mut self.stage, Stage::Idle) else {
            return Ok(());
        };
        let is_late = since.elapsed() > self.context.options.stages.risk;
        // A shard that died answers nothing: the other rules still hold, and velocity starts anew.
        let (velocity, counted) = (velocity.unwrap_or_default(), velocity.is_some());
        match what {
            Assessing::Begin(_) if is_late => {
                self.refuse(NotStored::StageTimeout("risk"));
                Ok(())
            }
            Assessing::Confirmation(operate) if is_late => {
                self.refuse_request(operate.request.key_digest, NotStored::StageTimeout("risk"));
                Ok(())
            }
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
        let features = Features {
            amount: spec.amount,
            currency: spec.currency,
            hour_count: counted.then_some(velocity.hour_count),
            hour_declines: velocity.hour_declines,
            device_country: spec.device.country,
            card_country: method.country,
            method_is_new: method.is_new,
            method_is_highest_risk: method.is_highest_risk,
        };
        assess(&self.context.options.risk, &features)
    }

    /// The plan of attempt `number` of an operation at the provider that routing chooses.
    pub(super) fn plan(&self, operation: OperationId, number: u32) -> Option<AttemptPlan> {
        let enabled = |seat: &crate::context::ProviderSeat| !seat.disabled.load(Ordering::Relaxed);
        let seats = self.context.providers.iter();
        let candidates: Vec<Candidate> = seats
            .map(|seat| Candidate {
                id: seat.id,
                enabled: enabled(seat),
            })
            .collect();
        let provider = routing::select(&candidates)?;
        Some(self.plan_at(provider, operation, number))
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
        }
    }

    pub(super) fn decide_create(
        &mut self,
        begin: Begin,
        velocity: Velocity,
        counted: bool,
    ) -> Result<(), ActorProcessingErr> {
        self.context.ports.probe.reached(Step::PaymentAssessed);
        let Begin { spec, method, .. } = begin;
        let assessment = self.assess(&spec, &method, velocity, counted);
        let since = Instant::now();
        let Some(plan) = self.plan(OperationId::Authorize(self.id), 1) else {
            self.refuse(NotStored::NoProvider);
            return Ok(());
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
        };
        self.decide(None, command)
    }
}
