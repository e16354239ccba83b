//! What merchants are told of a payment: a pure function of its events and of the state that each of them made, so that announcements are
//! derived from the journal and stored nowhere twice. One announcement has two names, Florin's own and Stripe's.
//!
//! An announcement's identity says where it comes from: [`EventPlace`] reads shard, commit and index back from it.

use crate::ids::{EventId, OperationId, PaymentId, Seq, ShardId, compose};
use crate::payment::{AttemptState, Event, Operation, OperationKind, Payment, Status};
use crate::time::Timestamp;
use std::mem::{Discriminant, discriminant};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $number:literal $native:literal $stripe:literal;)*) => {
        /// What an announcement says.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum AnnouncementKind { $($(#[$doc])* $name,)* }

        impl AnnouncementKind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its number where it is stored; never given anew.
            pub const fn number(self) -> u8 {
                match self { $(Self::$name => $number,)* }
            }

            /// Its name in Florin's own shape.
            pub const fn native(self) -> &'static str {
                match self { $(Self::$name => $native,)* }
            }

            /// Its name in Stripe's shape.
            pub const fn stripe(self) -> &'static str {
                match self { $(Self::$name => $stripe,)* }
            }
        }
    };
}

kinds! {
    /// The provider has taken it on, or does not say how it ended.
    Processing = 1 "payment.processing" "payment_intent.processing";
    /// The customer must act.
    RequiresAction = 2 "payment.requires_action" "payment_intent.requires_action";
    /// What may be captured has changed.
    AmountCapturableUpdated = 3 "payment.amount_capturable_updated" "payment_intent.amount_capturable_updated";
    /// All that will be taken was taken.
    Succeeded = 4 "payment.succeeded" "payment_intent.succeeded";
    /// It was declined, forbidden or given up.
    Failed = 5 "payment.failed" "payment_intent.payment_failed";
    /// Given up before any capture.
    Canceled = 6 "payment.voided" "payment_intent.canceled";
    /// Authorized, or taken at once.
    ChargeSucceeded = 7 "payment.charged" "charge.succeeded";
    /// Reserved money was taken.
    ChargeCaptured = 8 "payment.captured" "charge.captured";
    /// The issuer declined.
    ChargeFailed = 9 "payment.charge_failed" "charge.failed";
    /// Taken money was given back.
    ChargeRefunded = 10 "payment.refunded" "charge.refunded";
    /// A refund was asked for.
    RefundCreated = 11 "refund.created" "refund.created";
    /// A refund was made.
    RefundUpdated = 12 "refund.updated" "refund.updated";
    /// A refund was not made.
    RefundFailed = 13 "refund.failed" "refund.failed";
    /// A person must decide.
    ReviewOpened = 14 "payment.review_opened" "review.opened";
    /// A person has decided, nobody did in time, or it was given up.
    ReviewClosed = 15 "payment.review_closed" "review.closed";
}

impl AnnouncementKind {
    /// The kind with this number.
    pub fn numbered(number: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.number() == number)
    }
}

/// Kinds of which some are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnnouncementKinds(u32);

impl AnnouncementKinds {
    /// None.
    pub const NONE: Self = Self(0);
    /// Every kind, later ones included.
    pub const ALL: Self = Self(u32::MAX);

    /// These and one more.
    #[must_use]
    pub const fn and(self, kind: AnnouncementKind) -> Self {
        Self(self.0 | 1_u32.wrapping_shl(kind.number() as u32))
    }

    /// Whether a kind is among them.
    pub const fn has(self, kind: AnnouncementKind) -> bool {
        self.0 & 1_u32.wrapping_shl(kind.number() as u32) != 0
    }

    /// These and those that a text names: a name of either shape, the beginning of names followed by `.*`, or `*` for all. `None` if it
    /// names nothing.
    #[must_use]
    pub fn named(self, text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::ALL);
        }
        let family = text.strip_suffix('*').filter(|rest| rest.ends_with('.'));
        let is_meant = |name: &str| match family {
            Some(family) => name.starts_with(family),
            None => name == text,
        };
        let mut meant = AnnouncementKind::ALL
            .iter()
            .filter(|kind| is_meant(kind.native()) || is_meant(kind.stripe()))
            .peekable();
        meant.peek()?;
        Some(meant.fold(self, |kinds, kind| kinds.and(*kind)))
    }
}

/// Something that merchants are told of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// What.
    pub kind: AnnouncementKind,
    /// The operation that it is about, unless it is the payment as a whole.
    pub operation: Option<OperationId>,
}

/// As much of a payment before an event as decides what the event announces.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before {
    status: Discriminant<Status>,
    attempt: Option<AttemptState>,
    is_in_review: bool,
}

impl Before {
    pub(crate) fn of(payment: &Payment) -> Self {
        let charge = payment.operation(payment.authorize_id());
        Self {
            status: discriminant(&payment.status),
            attempt: charge.and_then(Operation::state),
            is_in_review: is_in_review(payment),
        }
    }

    fn leaves_review(self, after: &Payment) -> bool {
        self.is_in_review && !is_in_review(after)
    }
}

const fn is_in_review(payment: &Payment) -> bool {
    matches!(payment.status, Status::InReview { .. })
}

/// What a decline of a charge announces, and what is taken back again when the charge goes on elsewhere in the same commit.
const DECLINED: [AnnouncementKind; 2] = [AnnouncementKind::ChargeFailed, AnnouncementKind::Failed];

/// Adds what an event announces to what its commit has announced so far, and counts it in the payment's state.
pub(crate) fn announce(
    before: Before,
    event: &Event,
    after: &mut Payment,
    mut said: Option<&mut Vec<Announcement>>,
) -> Result<(), &'static str> {
    if let Event::DeclineRetried { .. } = event {
        // A decline that is not the end is nobody's news: both are in one commit, so nobody has been told.
        if let Some(said) = said {
            said.truncate(said.len().saturating_sub(DECLINED.len()));
        }
        let taken_back = after.announced.checked_sub(DECLINED.len() as u64);
        after.announced = taken_back.ok_or("no decline was announced")?;
        return Ok(());
    }
    let (kinds, operation) = announced(before, event, after);
    // However a payment leaves its review, that is over before anything else is said.
    let closed = before
        .leaves_review(after)
        .then_some(AnnouncementKind::ReviewClosed);
    let kinds = closed.into_iter().chain(kinds.into_iter().flatten());
    let announcements = kinds.map(|kind| {
        let is_of_refund = matches!(operation, Some(OperationId::Refund(_)));
        let operation = operation.filter(|_| is_of_refund || kind == AnnouncementKind::ChargeCaptured);
        Announcement { kind, operation }
    });
    for announcement in announcements {
        after.announced = after.announced.saturating_add(1);
        if let Some(said) = &mut said {
            said.push(announcement);
        }
    }
    Ok(())
}

type Kinds = [Option<AnnouncementKind>; 2];

const NOTHING: Kinds = [None, None];

fn announced(before: Before, event: &Event, after: &Payment) -> (Kinds, Option<OperationId>) {
    use AnnouncementKind::{
        AmountCapturableUpdated, Canceled, Failed, Processing, RefundCreated, RequiresAction, ReviewOpened,
    };
    let one = |kind| [Some(kind), None];
    let has_moved = discriminant(&after.status) != before.status;
    match event {
        Event::Blocked | Event::ReviewRejected | Event::RetryRefused { .. } | Event::AttemptsExhausted => {
            (one(Failed), None)
        }
        Event::ReviewOpened { .. } => (one(ReviewOpened), None),
        Event::ReviewApproved => {
            let freed = (after.status == Status::Authorized).then_some(AmountCapturableUpdated);
            ([None, freed], None)
        }
        Event::ReviewExpired | Event::Abandoned => (one(Canceled), None),
        Event::AuthorizationExpired => ([None, ended(after)], None),
        Event::OperationOpened { operation, kind, .. } => match kind {
            OperationKind::Refund => (one(RefundCreated), Some(*operation)),
            OperationKind::Sale
            | OperationKind::Authorize
            | OperationKind::Capture
            | OperationKind::Void
            | OperationKind::Increment
            | OperationKind::Reversal => (NOTHING, None),
        },
        Event::AttemptSucceeded { operation, .. } => {
            (succeeded(has_moved, *operation, after), Some(*operation))
        }
        Event::AttemptDeclined {
            operation: OperationId::Authorize(_),
            ..
        } => (DECLINED.map(Some), None),
        // The same key still sends it: whoever took that for the end could give the money back twice.
        Event::AttemptNotSent { operation, .. }
            if after.operation(*operation).is_some_and(Operation::is_unsent) =>
        {
            (NOTHING, None)
        }
        Event::AttemptDeclined { operation, .. }
        | Event::AttemptNotSent { operation, .. }
        | Event::AttemptRejected { operation, .. }
        | Event::AttemptCancelled { operation, .. }
        | Event::OperationGivenUp { operation } => (not_made(*operation), Some(*operation)),
        Event::AttemptActionRequired { .. } => {
            let asks = has_moved && matches!(after.status, Status::RequiresAction(_));
            ([asks.then_some(RequiresAction), None], None)
        }
        Event::AttemptPending { operation, .. } | Event::AttemptUnknown { operation, .. } => {
            // Told once for each attempt, however often its provider is asked in vain.
            let charges = matches!(operation, OperationId::Authorize(_));
            let is_news = matches!(
                before.attempt,
                Some(AttemptState::Open | AttemptState::ActionRequired)
            );
            ([(charges && is_news).then_some(Processing), None], None)
        }
        // What moves nothing that a merchant sees, and what is in suspense: the payment stays as it was.
        Event::Created { .. }
        | Event::Drafted { .. }
        | Event::Amended { .. }
        | Event::Confirmed { .. }
        | Event::RiskAssessed(_)
        | Event::MethodReplaced { .. }
        | Event::AttemptPlanned { .. }
        | Event::AttemptReferenced { .. }
        | Event::LateSuccess { .. }
        | Event::Requested { .. }
        | Event::ResolutionProposed { .. }
        | Event::ResolutionConfirmed { .. }
        | Event::ListMatched { .. }
        | Event::HeldForReview
        | Event::PostingProfileChosen { .. }
        | Event::Routed { .. }
        | Event::LateReversal { .. }
        | Event::ReversalOpened { .. }
        | Event::DeclineRetried { .. }
        | Event::AttemptClosingAsked { .. }
        | Event::AttemptClosingRefused { .. }
        | Event::AttemptToldMade { .. }
        | Event::TransactionClosed { .. }
        | Event::AttemptOverdue { .. }
        | Event::MatterRaised { .. }
        | Event::MattersNoted { .. } => (NOTHING, None),
    }
}

/// How a payment ended of which no more will be taken.
fn ended(after: &Payment) -> Option<AnnouncementKind> {
    match after.status {
        Status::Voided => Some(AnnouncementKind::Canceled),
        Status::Succeeded => Some(AnnouncementKind::Succeeded),
        Status::RequiresPaymentMethod
        | Status::RequiresConfirmation
        | Status::RequiresAction(_)
        | Status::InReview { .. }
        | Status::Processing
        | Status::Authorized
        | Status::Failed
        | Status::Blocked => None,
    }
}

fn succeeded(has_moved: bool, id: OperationId, after: &Payment) -> Kinds {
    use AnnouncementKind::{
        AmountCapturableUpdated, ChargeCaptured, ChargeRefunded, ChargeSucceeded, RefundUpdated, Succeeded,
    };
    let capturable = (after.status == Status::Authorized).then_some(AmountCapturableUpdated);
    match after.operation(id).map(|op| op.kind) {
        Some(OperationKind::Sale) => [Some(ChargeSucceeded), Some(Succeeded)],
        // What waits for a person may not be captured yet.
        Some(OperationKind::Authorize) => [
            Some(ChargeSucceeded),
            capturable.filter(|_| !after.held_for_review),
        ],
        Some(OperationKind::Capture) if has_moved => [Some(ChargeCaptured), ended(after)],
        Some(OperationKind::Capture) => [Some(ChargeCaptured), capturable],
        Some(OperationKind::Void) => [None, ended(after).filter(|_| has_moved)],
        Some(OperationKind::Refund) => [Some(ChargeRefunded), Some(RefundUpdated)],
        Some(OperationKind::Increment) => [None, capturable],
        Some(OperationKind::Reversal) | None => NOTHING,
    }
}

/// A refund that was not made. Of all else that was not made the payment shows nothing, or will by a later event.
const fn not_made(operation: OperationId) -> Kinds {
    match operation {
        OperationId::Refund(_) => [Some(AnnouncementKind::RefundFailed), None],
        OperationId::Authorize(_)
        | OperationId::Capture(_)
        | OperationId::Void(_)
        | OperationId::Increment(_)
        | OperationId::Reversal(_) => NOTHING,
    }
}

/// Where in a shard's journal an announcement comes from. Places are in the order of the journal, whatever clocks did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventPlace {
    /// The commit.
    pub seq: Seq,
    /// Which of its announcements; the first is 0.
    pub index: u8,
}

impl EventPlace {
    /// Before all announcements.
    pub const START: Self = Self {
        seq: Seq::ZERO,
        index: 0,
    };
    /// Behind all announcements.
    pub const END: Self = Self {
        seq: Seq(u64::MAX >> 8),
        index: u8::MAX,
    };

    /// The identity of the announcement here, of a commit made at `at`.
    pub const fn id(self, at: Timestamp, shard: ShardId) -> EventId {
        EventId::from_bits(compose(at, shard, (self.seq.0 << 8) | self.index as u64))
    }

    /// The place that an identity names.
    pub const fn of(id: EventId) -> Self {
        let low = (id.bits() & 0xffff_ffff_ffff_ffff) as u64;
        Self {
            seq: Seq(low >> 8),
            index: (low & 0xff) as u8,
        }
    }

    /// The place right behind.
    #[must_use]
    pub const fn next(self) -> Self {
        match self.index.checked_add(1) {
            Some(index) => Self { seq: self.seq, index },
            None => Self {
                seq: self.seq.next(),
                index: 0,
            },
        }
    }

    /// The place right before; the first has none.
    pub const fn previous(self) -> Option<Self> {
        match (self.index.checked_sub(1), self.seq.0.checked_sub(1)) {
            (Some(index), _) => Some(Self { seq: self.seq, index }),
            (None, Some(seq)) => Some(Self {
                seq: Seq(seq),
                index: u8::MAX,
            }),
            (None, None) => None,
        }
    }
}

/// One announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventRow {
    /// Where in its shard's journal it comes from.
    pub place: EventPlace,
    /// When its commit was decided.
    pub at: Timestamp,
    /// Of which payment.
    pub payment: PaymentId,
    /// Its number among the payment's announcements: 1, 2, 3 and so on without a gap.
    pub number: u64,
    /// What it says.
    pub kind: AnnouncementKind,
}

impl EventRow {
    /// Its identity in a shard.
    pub const fn id(&self, shard: ShardId) -> EventId {
        self.place.id(self.at, shard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_and_numbers_are_each_given_once() {
        let all = AnnouncementKind::ALL;
        let numbers: BTreeSet<u8> = all.iter().map(|kind| kind.number()).collect();
        let native: BTreeSet<&str> = all.iter().map(|kind| kind.native()).collect();
        let stripe: BTreeSet<&str> = all.iter().map(|kind| kind.stripe()).collect();
        assert_eq!([numbers.len(), native.len(), stripe.len()], [all.len(); 3]);
        for kind in all {
            assert_eq!(AnnouncementKind::numbered(kind.number()), Some(*kind));
        }
        assert_eq!(AnnouncementKind::numbered(0), None);
        assert!(
            numbers.last().is_some_and(|last| *last < 32),
            "a set has a bit for each"
        );
    }

    #[test]
    fn sets_are_named_by_names_of_both_shapes_and_by_families() {
        let named = |text: &str| {
            let kinds = AnnouncementKinds::NONE.named(text)?;
            let all = AnnouncementKind::ALL.iter();
            Some(all.filter(|kind| kinds.has(**kind)).count())
        };
        assert_eq!(named("payment.succeeded"), Some(1));
        assert_eq!(named("payment_intent.succeeded"), Some(1));
        assert_eq!(named("refund.*"), Some(3));
        assert_eq!(named("payment.*"), Some(12));
        assert_eq!(named("*"), Some(AnnouncementKind::ALL.len()));
        for text in [
            "",
            "payment",
            "payment.",
            "payment*",
            "payment.suc*",
            ".*",
            "invoice.paid",
            "invoice.*",
        ] {
            assert_eq!(named(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_identity_says_where_its_announcement_comes_from(
            ms in 0_u64..1 << 48, shard: u16, seq in 0_u64..1 << 56, index: u8
        ) {
            let place = EventPlace { seq: Seq(seq), index };
            let id = place.id(Timestamp::from_unix_ms(ms), ShardId(shard));
            prop_assert_eq!(EventPlace::of(id), place);
            prop_assert_eq!((id.shard(), id.drawn_at().unix_ms()), (ShardId(shard), ms));
            let written = EventId::parse(&id.to_string());
            prop_assert_eq!(written, Ok(id));
            prop_assert_eq!(place.next().previous(), Some(place));
            prop_assert!(place.next() > place);
        }
    }
}
