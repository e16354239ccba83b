//! What operators see of the running platform.

use super::BoxFuture;
use crate::health::Health;
use crate::ids::Seq;
use crate::merchant::OperatorAction;
use crate::routing::{Measures, Score};
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

/// An actor or a group of actors in the supervision tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreeNode {
    /// What it is.
    pub kind: &'static str,
    /// Which of its kind.
    pub key: String,
    /// Messages waiting.
    pub mailbox_depth: usize,
    /// How many may wait before new work is refused.
    pub mailbox_soft_cap: usize,
    /// How many may wait before follow-ups are refused.
    pub mailbox_hard_cap: usize,
    /// Restarts since the process started.
    pub restarts: u64,
    /// Failures left in the present window before it is set aside (or the process ends); `None` where a failure ends the process.
    pub restart_budget_left: Option<u32>,
    /// Milliseconds since it was started.
    pub age_ms: u64,
    /// How what it stands for is doing, if that is more than the actor itself; a provider's.
    pub standing: Option<ProviderStanding>,
    /// Children alive, also those not listed.
    pub children_live: usize,
    /// Children, as many as are shown.
    pub children: Vec<TreeNode>,
}

/// How a provider stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderStanding {
    /// What its last minutes were like.
    pub health: Health,
    /// How good it is.
    pub score: Score,
    /// What the score was made of.
    pub measures: Measures,
    /// The circuit breaker before each kind of operation.
    pub breakers: Vec<(&'static str, &'static str)>,
    /// Requests under way.
    pub in_flight: usize,
    /// How many may be.
    pub permits: usize,
    /// Calls that wait for a permit.
    pub waiting: usize,
    /// Whose charges it does not take for their keys: `platform`, or a merchant's id.
    pub refused_keys: Vec<String>,
    /// Under whose keys it has had more requests than it takes.
    pub limited_keys: Vec<String>,
    /// How many may wait before new charges are turned away.
    pub queue_max: usize,
    /// Questions about what is already under way; they have permits of their own.
    pub resolving: usize,
}

/// Why an actor is not killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KillRefusal {
    /// The tree has no such actor.
    #[error("there is no such actor")]
    NoSuchActor,
    /// Its end would be the end of the process: it is never restarted, or has used up its restarts.
    #[error("the end of this actor would end the process")]
    NotRestartable,
    /// Who ordered it could not be recorded.
    #[error("the order could not be recorded")]
    NotRecorded,
}

/// Port of the ops view.
pub trait OpsView: Send + Sync + fmt::Debug {
    /// The live supervision tree; at most `payments_max` payments per guardian are listed.
    fn tree(&self, payments_max: usize) -> BoxFuture<'_, TreeNode>;

    /// All metrics in the Prometheus text format.
    fn metrics(&self) -> String;

    /// Why the platform does not take payments now, or `None` when it does.
    fn not_ready(&self) -> Option<&'static str>;

    /// Crashes an actor, named `kind:key` or, where there is one of its kind, `kind`, as any failure would: it is restarted. The order
    /// is journaled first; its commit is returned.
    fn kill(&self, actor: Arc<str>, action: OperatorAction) -> BoxFuture<'_, Result<Seq, KillRefusal>>;
}
