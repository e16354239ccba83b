//! The face of routing: the rules in force, changes of them, and what would come of others. A change is answered when it is durable and
//! in force.

use crate::context::Context;
use crate::ledger_handle::LedgerHandle;
use crate::next_version::{NextVersion, PutError};
use crate::payments_handle::PaymentsHandle;
use crate::shards::Shards;
use florin_domain::health::Health;
use florin_domain::ids::{MerchantId, PaymentId};
use florin_domain::merchant::ControlEvent;
use florin_domain::payment::Payment;
use florin_domain::ports::{PaymentRow, PaymentsQuery, ViewError};
use florin_domain::provider::ProviderId;
use florin_domain::routing::{
    Bar, Entrant, Facts, Program, ProgramError, Route, RoutingVersion, Wishes, WrittenProgram, draw_bps,
    route,
};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use thiserror::Error;

/// Payments that one comparison looks at.
pub const COMPARED_MAX: usize = 1_000;
/// Merchants whose payments one comparison looks through; each is a question to the view.
pub const MERCHANTS_MAX: usize = 1_000;

/// The rules by which charges are routed now: those that operators put in force, else the configuration's.
pub(crate) fn in_force(context: &Context) -> Arc<Program> {
    let (control, now) = (context.directory.load(), context.ports.clock.now());
    let version = control.routing.in_force(now);
    version.map_or_else(
        || Arc::clone(&context.options.routing),
        |version| Arc::clone(version.value.program()),
    )
}

/// The rules in force, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulesInForce {
    /// Their number; 0 for the configuration's.
    pub version: u32,
    /// As they were written.
    pub text: Arc<str>,
    /// What they say.
    pub program: Arc<Program>,
    /// The version that brought them; nothing for the configuration's.
    pub change: Option<RoutingVersion>,
    /// They name a provider that is not configured any more, and charges are routed as if it were out.
    pub problem: Option<ProgramError>,
    /// The number that the next change must follow.
    pub latest: u32,
    /// Rules to come, the earliest first.
    pub to_come: Vec<RoutingVersion>,
}

/// Why rules were not put in force.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SetError {
    /// They are no rules, or name a provider that is not there.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// They are not the next version.
    #[error(transparent)]
    Put(#[from] PutError),
}

/// What is to be otherwise than it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoutingChange {
    /// Other rules.
    pub program: Option<Arc<Program>>,
    /// Providers that get nothing.
    pub disabled: Vec<ProviderId>,
    /// Providers that hardly get anything, because too little succeeds there.
    pub excluded: Vec<ProviderId>,
}

/// Where some payments go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// How many were looked at.
    pub payments: usize,
    /// How many of them go to somebody else.
    pub moved: usize,
    /// How many go to each under the rules in force; to nobody under `None`.
    pub before: BTreeMap<Option<ProviderId>, usize>,
    /// How many go to each under the change.
    pub after: BTreeMap<Option<ProviderId>, usize>,
}

/// Why payments were not compared.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CompareError {
    /// There are too many merchants to look through.
    #[error("there are more than {MERCHANTS_MAX} merchants")]
    TooManyMerchants,
    /// The view cannot answer.
    #[error(transparent)]
    View(#[from] ViewError),
}

/// The face of routing.
#[derive(Clone, Debug)]
pub struct RoutingHandle {
    shards: Shards,
    context: Arc<Context>,
}

impl RoutingHandle {
    pub(crate) fn new(shards: Shards) -> Self {
        let context = Arc::clone(shards.home());
        Self { shards, context }
    }

    /// The names of the configured providers.
    pub fn configured(&self) -> Vec<ProviderId> {
        self.context.providers.iter().map(|seat| seat.id).collect()
    }

    /// The providers as they stand.
    pub fn field(&self) -> Vec<Entrant> {
        self.context.entrants(None)
    }

    /// The rules of a text.
    ///
    /// # Errors
    /// If they are none, or name a provider that is not configured.
    pub fn read(&self, text: &str) -> Result<Program, ProgramError> {
        let program = Program::parse(text)?;
        program.check(&self.configured())?;
        Ok(program)
    }

    /// The rules in force.
    pub fn in_force(&self) -> RulesInForce {
        let (control, now) = (self.context.directory.load(), self.context.ports.clock.now());
        let change = control.routing.in_force(now);
        let program = change.map_or_else(
            || Arc::clone(&self.context.options.routing),
            |change| Arc::clone(change.value.program()),
        );
        let problem = program.check(&self.configured()).err();
        RulesInForce {
            version: control.routing.number_in_force(now),
            text: change.map_or_else(
                || Arc::from(program.to_string()),
                |change| Arc::clone(change.value.text()),
            ),
            change: change.cloned(),
            program,
            problem,
            latest: control.routing.latest(),
            to_come: control.routing.to_come(now).cloned().collect(),
        }
    }

    /// Puts rules in force, if the latest ones are still those that are thought to be.
    ///
    /// # Errors
    /// If they are no rules, others came first, they would begin in the past, there are too many, or they could not be made durable.
    pub async fn set(&self, text: &str, next: NextVersion) -> Result<RulesInForce, SetError> {
        self.read(text)?;
        let written = WrittenProgram::new(Arc::from(text))?;
        let now = self.context.ports.clock.now();
        let version = next.of(&self.context.directory.load().routing, now, written)?;
        let recorded = LedgerHandle::new(self.shards.clone())
            .record_version(ControlEvent::RoutingSet(version))
            .await
            .map_err(PutError::from)?;
        let set = self.in_force();
        match recorded {
            Some(_) => Ok(set),
            None => Err(PutError::Stale { latest: set.latest }.into()),
        }
    }

    /// Where a payment of these facts would go.
    pub fn evaluate(
        &self,
        facts: &Facts<'_>,
        wishes: &Wishes,
        change: &RoutingChange,
        draw_bps: u32,
    ) -> Route {
        let program = self.program(change);
        route(&program, facts, wishes, &changed(self.field(), change), draw_bps)
    }

    fn program(&self, change: &RoutingChange) -> Arc<Program> {
        let other = change.program.as_ref();
        other.map_or_else(|| in_force(&self.context), Arc::clone)
    }

    /// Where the latest payments would go, under the rules in force and under a change; those of one merchant, or of all.
    ///
    /// # Errors
    /// If the view cannot answer, or there are too many merchants.
    pub async fn compare(
        &self,
        merchant: Option<MerchantId>,
        latest: usize,
        change: &RoutingChange,
    ) -> Result<Comparison, CompareError> {
        let rows = self.latest(merchant, latest.min(COMPARED_MAX)).await?;
        let (field, present) = (self.field(), in_force(&self.context));
        let (changed, other) = (changed(field.clone(), change), self.program(change));
        let mut comparison = Comparison::default();
        for row in rows {
            let before = first(&present, &row.payment, &field);
            let after = first(&other, &row.payment, &changed);
            comparison.payments = comparison.payments.saturating_add(1);
            if before != after {
                comparison.moved = comparison.moved.saturating_add(1);
            }
            for (counts, to) in [(&mut comparison.before, before), (&mut comparison.after, after)] {
                let count = counts.entry(to).or_default();
                *count = count.saturating_add(1);
            }
        }
        Ok(comparison)
    }

    /// The latest payments in both modes, newest first.
    async fn latest(
        &self,
        merchant: Option<MerchantId>,
        limit: usize,
    ) -> Result<Vec<PaymentRow>, CompareError> {
        let everybody = || {
            let control = self.context.directory.load();
            control.merchants.iter().map(|merchant| merchant.id).collect()
        };
        let merchants: Vec<MerchantId> = merchant.map_or_else(everybody, |merchant| vec![merchant]);
        if merchants.len() > MERCHANTS_MAX {
            return Err(CompareError::TooManyMerchants);
        }
        let payments = PaymentsHandle::new(self.shards.clone());
        let mut latest: Vec<PaymentRow> = Vec::new();
        for merchant in merchants {
            for livemode in [false, true] {
                let query = PaymentsQuery::newest(merchant, livemode, limit);
                latest.extend(payments.stretch(&query).await?.rows);
                latest.sort_unstable_by_key(|row| Reverse(age(row.payment.id())));
                latest.truncate(limit);
            }
        }
        Ok(latest)
    }
}

/// Ids of one shard are in the order of time; those of several are compared by it.
fn age(id: PaymentId) -> (u64, u128) {
    (id.drawn_at().unix_ms(), id.bits())
}

fn first(program: &Program, payment: &Payment, field: &[Entrant]) -> Option<ProviderId> {
    let facts = Facts::of(&payment.spec, payment.method.as_ref()?);
    let draw = draw_bps(payment.id());
    route(program, &facts, &payment.spec.routing, field, draw).first()
}

fn changed(mut field: Vec<Entrant>, change: &RoutingChange) -> Vec<Entrant> {
    for entrant in &mut field {
        if change.disabled.contains(&entrant.id) {
            entrant.bar = Some(Bar::Disabled);
        }
        if change.excluded.contains(&entrant.id) {
            entrant.health = Health::Excluded;
        }
    }
    field
}
