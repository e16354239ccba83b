//! Velocity as others may see it: copies of what risk counts. Risk itself decides by what it counted, never by a copy.

use crate::payment::Spec;
use std::fmt;

/// What is counted of a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CountedEvent {
    /// A payment was asked for.
    Payment,
    /// A charge was declined.
    Decline,
}

/// Port of the copies. They are written behind what happens, so that some of it may be missing in them.
pub trait VelocityCopies: Send + Sync + fmt::Debug {
    /// Takes a note of what happened to the customer of a payment, if it has one, or leaves it out when too much waits. Returns at once.
    fn tell(&self, spec: &Spec, event: CountedEvent);
}
