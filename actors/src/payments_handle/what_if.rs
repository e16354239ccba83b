//! A payment's first steps under other rules: the same inputs, the same functions, and nothing stored.

use super::{PastError, PaymentsHandle};
use crate::risk::Subject;
use crate::{risk_profile_handle, routing_handle};
use florin_domain::commit::Body;
use florin_domain::ids::{MerchantId, PaymentId};
use florin_domain::payment::{Event, ReviewMode};
use florin_domain::ports::PastCommit;
use florin_domain::provider::ProviderId;
use florin_domain::risk::{
    Action, Assessment, AssumedVelocity, Features, ListMatch, ProfileChange, ProfileError, Recorded, reassess,
};
use florin_domain::routing::{Bar, Facts, draw_bps, route};
use thiserror::Error;

/// What is to be otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alternative {
    /// About risk.
    pub profile: ProfileChange,
    /// Providers that get nothing.
    pub disabled: Vec<ProviderId>,
}

/// What risk and routing come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Course {
    /// What risk says.
    pub assessment: Assessment,
    /// Who is asked to charge at once; nobody if risk does not let the payment pass, or nobody is there.
    pub provider: Option<ProviderId>,
}

/// What happened, and what would have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhatIf {
    /// As recorded, at the payment's latest assessment.
    pub was: Course,
    /// Under the alternative.
    pub would_be: Course,
    /// The velocity that was assumed, because it is not recorded.
    pub velocity: Option<AssumedVelocity>,
    /// The profile in force, if it does not give what is recorded: then another one was in force.
    pub other_profile: Option<&'static str>,
    /// The providers among which a choice was made, if one was: those that are enabled now.
    pub candidates: Option<Vec<ProviderId>>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WhatIfError {
    /// There is no such provider.
    #[error("there is no provider `{0}`")]
    NoSuchProvider(ProviderId),
    /// The profile makes no sense.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// What is stored cannot be read.
    #[error(transparent)]
    Past(#[from] PastError),
}

impl PaymentsHandle {
    /// Decides a payment's latest assessment again under an alternative. `None` if it is not there or was never assessed.
    pub async fn what_if(
        &self,
        owner: Option<(MerchantId, bool)>,
        id: PaymentId,
        alternative: &Alternative,
    ) -> Result<Option<WhatIf>, WhatIfError> {
        let is_known = |name: &&ProviderId| self.context.provider(**name).is_some();
        if let Some(unknown) = alternative.disabled.iter().find(|name| !is_known(name)) {
            return Err(WhatIfError::NoSuchProvider(*unknown));
        }
        let now = self.context.ports.clock.now();
        let present =
            risk_profile_handle::in_force(&self.context.options, &self.context.directory.load(), now);
        let other = present.changed(&alternative.profile)?;
        let Some(past) = self.past(owner, id).await? else {
            return Ok(None);
        };
        let payment = past.payment;
        let (Some(was), Some(method)) = (payment.risk.clone(), &payment.method) else {
            return Ok(None);
        };
        let decided = decided(&past.commits);
        let recorded = Recorded {
            features: Features::of(&payment.spec, method, None, 0),
            assessment: &was,
            listed: listed(decided),
            is_counted: Subject::of(&payment.spec).is_some(),
        };
        let again = reassess(recorded, &self.context.options.velocity, &present, &other);
        let mut candidates = self.context.entrants(Some((payment.spec.merchant, now)));
        let enabled_now = candidates.iter().filter(|candidate| candidate.bar.is_none());
        let enabled_now = enabled_now.map(|candidate| candidate.id).collect();
        for candidate in &mut candidates {
            if alternative.disabled.contains(&candidate.id) {
                candidate.bar = Some(Bar::Disabled);
            }
        }
        // A new payment may be authorized at once and held for review; one with another method is always reviewed first.
        let is_new = decided.iter().any(|event| matches!(event, Event::Created { .. }));
        let charges = match again.assessment.action {
            Action::Allow => true,
            Action::Review => is_new && self.context.options.review_mode == ReviewMode::AuthAndHold,
            Action::Block => false,
        };
        let chosen_now = || {
            let facts = Facts::of(&payment.spec, method);
            let program = routing_handle::in_force(&self.context);
            let wishes = &payment.spec.routing;
            route(&program, &facts, wishes, &candidates, draw_bps(id)).first()
        };
        let provider = charges.then(chosen_now).flatten();
        Ok(Some(WhatIf {
            was: Course {
                assessment: was,
                provider: chosen(decided),
            },
            would_be: Course {
                assessment: again.assessment,
                provider,
            },
            velocity: again.velocity,
            other_profile: (!again.is_reproduced).then_some(present.name),
            candidates: charges.then_some(enabled_now),
        }))
    }
}

/// The events of the commit with the latest assessment.
fn decided(commits: &[PastCommit]) -> &[Event] {
    for commit in commits.iter().rev() {
        let Body::Payment(body) = &commit.body else {
            continue;
        };
        let mut events = body.events.iter();
        if events.any(|event| matches!(event, Event::RiskAssessed(_))) {
            return &body.events;
        }
    }
    &[]
}

/// The provider that was chosen with the assessment.
fn chosen(decided: &[Event]) -> Option<ProviderId> {
    decided.iter().find_map(|event| {
        let Event::AttemptPlanned { provider, .. } = event else {
            return None;
        };
        Some(*provider)
    })
}

/// The entry of a list that decided.
fn listed(decided: &[Event]) -> Option<&ListMatch> {
    decided.iter().find_map(|event| {
        let Event::ListMatched { listed } = event else {
            return None;
        };
        Some(listed)
    })
}
