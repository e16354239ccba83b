//! What the index of announcements holds and is asked for. It lies beside the payments view, behind the journal, and can be rebuilt from it.

use super::ListOrder;
use crate::announcement::{Announcement, AnnouncementKind, AnnouncementKinds, EventPlace, EventRow};
use crate::commit::Commit;
use crate::ids::{EventId, MerchantId, OperationId, PaymentId, Seq};
use crate::payment::Payment;
use crate::time::Timestamp;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// A commit that merchants are told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnnouncingCommit {
    /// Where it is in its shard's journal.
    pub seq: Seq,
    /// When it was decided.
    pub at: Timestamp,
    /// Whose payment it is about.
    pub merchant: MerchantId,
    /// Live or test mode.
    pub livemode: bool,
    /// Which payment.
    pub payment: PaymentId,
    /// The number, among the announcements of the payment, of the first one of this commit.
    pub first_number: u64,
    /// What it announces, in order.
    pub kinds: Vec<AnnouncementKind>,
}

impl AnnouncingCommit {
    /// What the index holds of a commit after which its payment stood like this; nothing if it announces nothing.
    pub fn of(commit: &Commit, after: &Payment, said: &[Announcement]) -> Option<Self> {
        let before = after.announced.saturating_sub(said.len() as u64);
        (!said.is_empty()).then(|| Self {
            seq: commit.seq,
            at: commit.at,
            merchant: after.spec.merchant,
            livemode: after.spec.livemode,
            payment: after.id(),
            first_number: before.saturating_add(1),
            kinds: said.iter().map(|one| one.kind).collect(),
        })
    }

    /// Its announcements, in order.
    pub fn rows(&self) -> impl DoubleEndedIterator<Item = EventRow> {
        let numbered = (0..=u8::MAX).zip(&self.kinds).map(|(index, kind)| EventRow {
            place: EventPlace { seq: self.seq, index },
            at: self.at,
            payment: self.payment,
            number: self.first_number.saturating_add(index.into()),
            kind: *kind,
        });
        numbered.collect::<Vec<_>>().into_iter()
    }
}

/// An announcement with the payment as it stood then.
#[derive(Clone, Debug)]
pub struct ShownEvent {
    /// Its identity.
    pub id: EventId,
    /// What the index says of it.
    pub row: EventRow,
    /// The payment after its commit.
    pub payment: Arc<Payment>,
    /// The operation that it is about, unless it is the payment as a whole.
    pub operation: Option<OperationId>,
}

/// A stretch of what was announced to a merchant, in the order of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventsQuery {
    /// To whom.
    pub merchant: MerchantId,
    /// Live or test mode.
    pub livemode: bool,
    /// What.
    pub kinds: AnnouncementKinds,
    /// Announced in these seconds since the Unix epoch.
    pub created_s: Option<RangeInclusive<u64>>,
    /// Only what comes from here.
    pub places: RangeInclusive<EventPlace>,
    /// From which end.
    pub order: ListOrder,
    /// At most so many.
    pub limit: usize,
}

impl EventsQuery {
    /// Everything that was announced to a merchant, the newest first.
    pub const fn newest(merchant: MerchantId, livemode: bool, limit: usize) -> Self {
        Self {
            merchant,
            livemode,
            kinds: AnnouncementKinds::ALL,
            created_s: None,
            places: EventPlace::START..=EventPlace::END,
            order: ListOrder::NewestFirst,
            limit,
        }
    }

    /// Only what is newer than an announcement.
    #[must_use]
    pub fn newer_than(mut self, place: EventPlace) -> Self {
        self.places = place.next().max(*self.places.start())..=*self.places.end();
        self
    }

    /// Only what is older than an announcement.
    #[must_use]
    pub fn older_than(mut self, place: EventPlace) -> Self {
        self.places = match place.previous() {
            Some(last) => *self.places.start()..=last.min(*self.places.end()),
            None => EventPlace::END..=EventPlace::START,
        };
        self
    }

    /// The same stretch behind an announcement of it.
    #[must_use]
    pub fn behind(self, place: EventPlace) -> Self {
        match self.order {
            ListOrder::NewestFirst => self.older_than(place),
            ListOrder::OldestFirst => self.newer_than(place),
        }
    }

    /// Whether an announcement to the merchant is wanted.
    pub fn takes(&self, row: &EventRow) -> bool {
        let created_s = row.at.unix_s();
        self.kinds.has(row.kind)
            && self.places.contains(&row.place)
            && self
                .created_s
                .as_ref()
                .is_none_or(|range| range.contains(&created_s))
    }

    /// The announcements of a commit in the order of the stretch.
    pub fn rows_of(&self, commit: &AnnouncingCommit) -> Vec<EventRow> {
        let rows = commit.rows();
        match self.order {
            ListOrder::NewestFirst => rows.rev().collect(),
            ListOrder::OldestFirst => rows.collect(),
        }
    }
}

/// A stretch as a store has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventsPage {
    /// In the order asked for.
    pub rows: Vec<EventRow>,
    /// The announcement looked at last, whether it was wanted or not: where to go on.
    pub last: Option<EventPlace>,
    /// There may be more behind that.
    pub has_more: bool,
}

impl EventsPage {
    /// Looks at the next commit of a stretch, unless the page is full.
    pub fn look_at(&mut self, query: &EventsQuery, commit: &AnnouncingCommit) {
        for row in query.rows_of(commit) {
            if self.is_full(query) {
                return;
            }
            if query.takes(&row) {
                self.rows.push(row);
            }
            self.last = Some(row.place);
        }
    }

    /// It has as much as was asked for.
    pub fn is_full(&self, query: &EventsQuery) -> bool {
        self.rows.len() >= query.limit
    }
}
