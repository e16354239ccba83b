//! The face of routing: the rules in force, changes of them, and what would come of others. A change is answered when it is durable and
//! in force.

use crate::context::Context;
use crate::ledger_handle::{LedgerError, LedgerHandle};
use crate::payments_handle::PaymentsHandle;
use crate::shards::Shards;
use florin_domain::health::Health;
use florin_domain::ids::{MerchantId, PaymentId};
use florin_domain::merchant::{Control, ControlEvent, OperatorAction};
use florin_domain::payment::Payment;
use florin_domain::ports::{PaymentRow, PaymentsQuery, ViewError};
use florin_domain::provider::ProviderId;
use florin_domain::routing::{
    Bar, Entrant, Facts, Program, ProgramError, Route, RoutingVersion, Wishes, draw_bps, route,
};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::Mutex;

/// Payments that one comparison looks at.
pub const COMPARED_MAX: usize = 1_000;
/// Merchants whose payments one comparison looks through; each is a question to the view.
pub const MERCHANTS_MAX: usize = 1_000;

/// The rules by which charges are routed now: those that operators put in force, else the configuration's.
pub(crate) fn in_force(context: &Context) -> Arc<Program> {
    in_force_by(context, &context.directory.load())
}

fn in_force_by(context: &Context, control: &Control) -> Arc<Program> {
    let version = control.routing.as_ref();
    version.map_or_else(
        || Arc::clone(&context.options.routing),
        |version| Arc::clone(version.program()),
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
    /// Who put them in force, and why.
    pub by: Option<OperatorAction>,
    /// They name a provider that is not configured any more, and charges are routed as if it were out.
    pub problem: Option<ProgramError>,
}

/// Why rules were not put in force.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SetError {
    /// They are no rules, or name a provider that is not there.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// Others are in force than was thought.
    #[error("version {present} is in force")]
    Stale {
        /// Those that are.
        present: u32,
    },
    /// They could not be made durable.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
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
    /// One change at a time, so that each knows which version it follows.
    turn: Arc<Mutex<()>>,
}

impl RoutingHandle {
    pub(crate) fn new(shards: Shards, turn: Arc<Mutex<()>>) -> Self {
        let context = Arc::clone(shards.home());
        Self {
            shards,
            context,
            turn,
        }
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
        let control = self.context.directory.load();
        let program = in_force_by(&self.context, &control);
        let problem = program.check(&self.configured()).err();
        let version = control.routing.as_ref();
        RulesInForce {
            version: control.routing_version(),
            text: version.map_or_else(|| Arc::from(program.to_string()), |set| Arc::clone(set.text())),
            by: version.map(|set| set.by().clone()),
            program,
            problem,
        }
    }

    /// Puts rules in force, if those in force are still the ones that are thought to be.
    ///
    /// # Errors
    /// If they are no rules, others are in force, or they could not be made durable.
    pub async fn set(
        &self,
        text: &str,
        expected_version: u32,
        by: OperatorAction,
    ) -> Result<RulesInForce, SetError> {
        self.read(text)?;
        let turn = self.turn.lock().await;
        let present = self.context.directory.load().routing_version();
        let stale = SetError::Stale { present };
        if present != expected_version {
            return Err(stale);
        }
        let Some(number) = present.checked_add(1) else {
            return Err(stale);
        };
        let version = RoutingVersion::new(number, Arc::from(text), by)?;
        LedgerHandle::new(self.shards.clone())
            .record_control(ControlEvent::RoutingSet(version))
            .await?;
        let set = self.in_force();
        drop(turn);
        Ok(set)
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
