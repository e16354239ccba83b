//! The life of a payment: [`decide`] says what may happen, [`evolve`] says what an event makes of the state, and nothing
//! else changes a payment. State is the fold of [`evolve`] over the journal, live and after a restart alike.

mod closing;
mod command;
mod decide;
mod draft;
mod event;
mod evolve;
mod expiry;
mod failover;
mod fold;
mod increment;
mod intent_status;
mod matter;
mod operation;
mod outcome;
mod planning;
mod record;
mod redrive;
mod refusal;
mod request;
mod resolution;
mod reversal;
mod review;
mod state;
#[cfg(test)]
mod tests;
mod unsent;
mod void;
mod wait;

pub use closing::Closing;
pub use command::{AttemptPlan, Command, ReviewMode, Undoing};
pub use decide::{Decision, Effect, decide};
pub use draft::Amendment;
pub use event::Event;
pub use fold::{IllegalEvent, advance, advance_shared, evolve, evolve_all, evolve_announcing, follow_shared};
pub use intent_status::IntentStatus;
pub use matter::{Matter, MatterKind, Note};
pub use operation::{Attempt, AttemptState, Booked, LateCharge, Operation, OperationKind};
pub use refusal::Refusal;
pub use request::{Request, RequestKind, decide_request};
pub use resolution::Resolution;
pub use reversal::{ReversalPlan, Reversed};
pub use state::{
    Answer, CaptureMethod, DeclinePolicy, Device, Failure, FeeReturn, NextAction, Payment, Spec, Status,
};
pub use wait::WaitKind;
