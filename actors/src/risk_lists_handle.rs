//! The face of block and allow lists: what is on them, and changes of them. A change is answered when it is durable and in force.

use crate::context::Context;
use crate::ledger_handle::{LedgerError, LedgerHandle};
use crate::shards::Shards;
use florin_domain::ids::{ApiKeyId, ListEntryId};
use florin_domain::merchant::ControlEvent;
use florin_domain::risk::{ListEntry, ListKind, ListName, ListOwner, Target};
use florin_domain::time::Timestamp;
use std::sync::Arc;
use thiserror::Error;

/// Why an entry was not made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AddError {
    /// It would have ended before it began.
    #[error("the entry would have ended already")]
    Ended,
    /// There is no room, not even that of an entry that has ended.
    #[error("the lists are full")]
    Full,
    /// It could not be made durable.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// What an entry is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewListEntry {
    /// Whose it is.
    pub owner: ListOwner,
    /// On which list.
    pub list: ListName,
    /// What it is about.
    pub target: Target,
    /// Why.
    pub reason: Arc<str>,
    /// Until when it holds.
    pub expires_at: Option<Timestamp>,
    /// Which key says so.
    pub by: ApiKeyId,
}

/// Which entries to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListQuery {
    /// Whose.
    pub owner: ListOwner,
    /// On this list only.
    pub list: Option<ListName>,
    /// About this kind of thing only.
    pub kind: Option<ListKind>,
    /// Only those made before this one.
    pub starting_after: Option<ListEntryId>,
    /// At most so many.
    pub limit: usize,
}

/// The face of block and allow lists.
#[derive(Clone, Debug)]
pub struct RiskListsHandle {
    shards: Shards,
    context: Arc<Context>,
}

impl RiskListsHandle {
    pub(crate) fn new(shards: Shards) -> Self {
        let context = Arc::clone(shards.home());
        Self { shards, context }
    }

    /// Makes an entry, or has the one about the same thing say this. The same again changes nothing.
    ///
    /// # Errors
    /// If it would say nothing, there is no room, or it could not be made durable.
    pub async fn add(&self, new: NewListEntry) -> Result<Arc<ListEntry>, AddError> {
        let now = self.context.ports.clock.now();
        let entry = ListEntry {
            id: ListEntryId::from_bits(self.context.new_id_bits()),
            owner: new.owner,
            list: new.list,
            target: new.target,
            reason: new.reason,
            expires_at: new.expires_at,
            by: new.by,
        };
        if !entry.is_in_force(now) {
            return Err(AddError::Ended);
        }
        match self.standing(&entry) {
            Some(known) if known.reason == entry.reason && known.expires_at == entry.expires_at => {
                return Ok(known);
            }
            Some(_) => {}
            None => self.make_room(&entry, now).await?,
        }
        let ledger = LedgerHandle::new(self.shards.clone());
        ledger
            .record_control(ControlEvent::ListEntryAdded(entry.clone()))
            .await?;
        // Others may have taken the last room meanwhile: then the addition changed nothing.
        self.standing(&entry).ok_or(AddError::Full)
    }

    fn standing(&self, entry: &ListEntry) -> Option<Arc<ListEntry>> {
        let control = self.context.directory.load();
        let found = control.lists.find(entry.owner, entry.list, &entry.target);
        found.map(Arc::clone)
    }

    /// Takes away an entry that has ended if there is no room otherwise; the owner's own first.
    async fn make_room(&self, entry: &ListEntry, now: Timestamp) -> Result<(), AddError> {
        let control = self.context.directory.load_full();
        let lists = &control.lists;
        if lists.has_room(entry.owner) {
            return Ok(());
        }
        let mut ended = lists.iter().filter(|other| !other.is_in_force(now));
        let own = ended.find(|other| other.owner == entry.owner);
        let ended = own.ok_or(AddError::Full)?;
        let removal = ControlEvent::ListEntryRemoved {
            entry: ended.id,
            by: entry.by,
        };
        LedgerHandle::new(self.shards.clone())
            .record_control(removal)
            .await?;
        Ok(())
    }

    /// Takes an entry of this owner away. Says whether there was one.
    ///
    /// # Errors
    /// If it could not be made durable.
    pub async fn remove(
        &self,
        owner: ListOwner,
        entry: ListEntryId,
        by: ApiKeyId,
    ) -> Result<bool, LedgerError> {
        let is_there = {
            let control = self.context.directory.load();
            control.lists.get(entry).is_some_and(|known| known.owner == owner)
        };
        if is_there {
            LedgerHandle::new(self.shards.clone())
                .record_control(ControlEvent::ListEntryRemoved { entry, by })
                .await?;
        }
        Ok(is_there)
    }

    /// A page of entries, newest first, and whether more follow; nothing if the cursor is no entry of this owner.
    pub fn page(&self, query: &ListQuery) -> Option<(Vec<Arc<ListEntry>>, bool)> {
        let control = self.context.directory.load_full();
        let lists = &control.lists;
        if let Some(after) = query.starting_after {
            lists.get(after).filter(|entry| entry.owner == query.owner)?;
        }
        let mut found = lists.iter().rev().filter(|entry| {
            entry.owner == query.owner
                && query.list.is_none_or(|list| list == entry.list)
                && query.kind.is_none_or(|kind| kind == entry.target.kind())
                && query.starting_after.is_none_or(|after| entry.id < after)
        });
        let page = found.by_ref().take(query.limit).map(Arc::clone).collect();
        Some((page, found.next().is_some()))
    }
}
