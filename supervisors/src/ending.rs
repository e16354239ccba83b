//! In which order the children of a supervisor that failed or stops end: in the order of their birth. The actor library ends them in
//! the order of a hash table, so that the same history would be another run in every process.

use ractor::ActorCell;

/// Ends its supervisor's children in order when it is dropped, unless the supervisor is well.
#[derive(Debug)]
pub(crate) struct EndsChildren(Option<ActorCell>);

impl EndsChildren {
    /// For as long as the supervisor does something that may fail.
    pub(crate) fn of(supervisor: ActorCell) -> Self {
        Self(Some(supervisor))
    }

    /// Nothing failed.
    pub(crate) fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for EndsChildren {
    fn drop(&mut self) {
        if let Some(supervisor) = self.0.take() {
            end_children(&supervisor);
        }
    }
}

/// Ends the children of an actor that is about to end, each before its own children.
pub(crate) fn end_children(supervisor: &ActorCell) {
    let mut children = supervisor.get_children();
    children.sort_unstable_by_key(ActorCell::get_id);
    for child in children {
        child.kill();
        end_children(&child);
    }
}
