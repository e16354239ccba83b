//! How an endpoint's announcements are read, begun, ended and noted.

use super::{Again, EndpointMail, EndpointState, Known, Lane, Report, Sent};
use crate::payments_handle::stretch;
use florin_domain::announcement::EventPlace;
use florin_domain::ids::Seq;
use florin_domain::ports::{DeliveryEnd, EndpointError, EventsPage, EventsQuery, ListOrder, ViewError};
use florin_domain::time::{Millis, Timestamp};
use florin_domain::webhook::deliveries::Deliveries;
use florin_domain::webhook::{DeliveryOutcome, DeliveryRow, Noted, Then};
use std::sync::Arc;

/// Announcements that are read at a time.
const PAGE: usize = 128;
/// Deliveries after which they are noted without waiting for the tick.
pub(super) const ROWS_NOTED: usize = 64;
/// Deliveries that wait to be noted before no more are begun.
pub(super) const ROWS_MAX: usize = 512;
/// What cannot be read now is tried again after this.
const UNREADABLE_WAIT: Millis = Millis::from_s(5);

impl Known {
    fn lane(&mut self, lane: Lane) -> Option<&mut Deliveries> {
        match lane {
            Lane::New => Some(&mut self.new),
            Lane::Again(asked_at) => {
                let again = self.again.as_mut().filter(|again| again.asked_at == asked_at);
                again.map(|again| &mut again.deliveries)
            }
        }
    }

    fn stops_reading(&mut self, lane: Lane) {
        match (lane, &mut self.again) {
            (Lane::New, _) => self.is_reading = false,
            (Lane::Again(asked_at), Some(again)) if again.asked_at == asked_at => again.is_reading = false,
            (Lane::Again(_), _) => {}
        }
    }
}

impl EndpointState {
    /// Has the next announcements read, where there is room for them.
    pub(super) fn read(&mut self) {
        let announced = self.context.lag.announced();
        let Some(known) = &mut self.known else { return };
        // One after the other, and each when it is noted that the one before it is done.
        if known.again.is_none()
            && known.replayed.is_none()
            && let Some(replay) = known.replays.front()
        {
            let behind = replay.from.previous().unwrap_or(EventPlace::START);
            known.again = Some(Again {
                asked_at: replay.asked_at,
                deliveries: Deliveries::stretch(behind, replay.to),
                is_reading: false,
            });
        }
        let mut wanted = Vec::new();
        if !known.is_reading && known.looked_at != Some(announced) && has_room(&known.new) {
            known.is_reading = true;
            wanted.push((Lane::New, known.new.read_to(), known.new.end(), known.new.room()));
        }
        if let Some(again) = &mut known.again
            && !again.is_reading
            && has_room(&again.deliveries)
        {
            again.is_reading = true;
            let (deliveries, lane) = (&again.deliveries, Lane::Again(again.asked_at));
            wanted.push((lane, deliveries.read_to(), deliveries.end(), deliveries.room()));
        }
        let owner = known.kept.endpoint.owner;
        let kinds = known.kept.endpoint.wanted.kinds;
        for (lane, behind, end, room) in wanted {
            let query = EventsQuery {
                kinds,
                places: EventPlace::START..=end,
                order: ListOrder::OldestFirst,
                ..EventsQuery::newest(owner.merchant, owner.livemode, room.min(PAGE))
            };
            let query = query.newer_than(behind);
            let died = ViewError::Store("the task that reads it died".to_owned());
            let owed = self.owes(Report::Read(lane, announced, Err(died)));
            let (context, run) = (Arc::clone(&self.context), self.run);
            tokio::spawn(async move {
                let page = stretch(&context, &query).await;
                owed.say(EndpointMail::Told(run, Report::Read(lane, announced, page)));
            });
        }
    }

    /// Hears what came of something that this actor had begun.
    pub(super) fn told(&mut self, report: Report) {
        let now = self.context.ports.clock.now();
        match report {
            Report::Read(lane, announced, page) => self.read_in(lane, announced, page),
            Report::Ended(lane, sent, end) => self.ended(lane, sent, end),
            Report::CaughtUp(lane, payment, up_to) => {
                if let Some(known) = &mut self.known {
                    known.is_changed = true;
                    if let Some(deliveries) = known.lane(lane) {
                        deliveries.caught_up(payment, up_to, now);
                    }
                    known.goes_to_its_end(lane);
                }
            }
            Report::Unreadable(lane, task) => {
                let until = now.plus(UNREADABLE_WAIT);
                if let Some(deliveries) = self.known.as_mut().and_then(|known| known.lane(lane)) {
                    deliveries.put_off(task, until);
                }
            }
            Report::Opened(_) | Report::Noted(_) => {}
        }
    }

    fn read_in(&mut self, lane: Lane, announced: Seq, page: Result<EventsPage, ViewError>) {
        let Some(known) = &mut self.known else { return };
        known.stops_reading(lane);
        let page = match page {
            Ok(page) => page,
            Err(ViewError::Busy) => return,
            Err(error) => {
                tracing::warn!(endpoint = %self.id, %error, "what was announced cannot be read");
                return;
            }
        };
        let is_at_end = !page.has_more;
        if let Some(deliveries) = known.lane(lane) {
            // Behind a stretch's end nothing of it comes any more.
            let read_to = match (lane, is_at_end) {
                (Lane::Again(_), true) => deliveries.end(),
                (Lane::Again(_) | Lane::New, _) => page.last.unwrap_or(deliveries.read_to()),
            };
            deliveries.take(&page.rows, read_to);
            known.is_changed = true;
        }
        if is_at_end && lane == Lane::New {
            known.looked_at = Some(announced);
        }
        known.goes_to_its_end(lane);
    }

    fn ended(&mut self, lane: Lane, sent: Sent, end: DeliveryEnd) {
        let (now, random) = (
            self.context.ports.clock.now(),
            self.context.ports.entropy.next_u64(),
        );
        let shard = self.context.shard;
        let Some(known) = &mut self.known else { return };
        let (outcome, retry_after) = match end {
            DeliveryEnd::Answered { status, retry_after } => (DeliveryOutcome::Status(status), retry_after),
            DeliveryEnd::Unanswered { why } => (DeliveryOutcome::Unanswered(why), None),
            DeliveryEnd::NotSent { why } => {
                tracing::warn!(endpoint = %self.id, %why, "a webhook could not be sent from here");
                if let Some(deliveries) = known.lane(lane) {
                    deliveries.not_sent(&sent.row, now.plus(UNREADABLE_WAIT));
                }
                return;
            }
        };
        let Some(deliveries) = known.lane(lane) else {
            return;
        };
        let attempt = deliveries.attempts(sent.row.payment).saturating_add(1);
        let then = deliveries.ended(&sent.row, (&outcome, retry_after), now, random);
        count(then);
        if let Then::Disabled(why) = then {
            tracing::warn!(endpoint = %self.id, why = why.as_str(), "a webhook endpoint is disabled");
            known.disabled.get_or_insert(why);
        }
        known.rows.push(DeliveryRow {
            at: sent.at,
            event: sent.row.id(shard),
            kind: sent.row.kind,
            payment: sent.row.payment,
            number: sent.row.number,
            attempt,
            took_ms: sent.took_ms,
            outcome,
            then,
            is_replay: lane != Lane::New,
        });
        known.goes_to_its_end(lane);
    }

    /// Has everything noted that is not yet, one note after the other.
    pub(super) fn note(&mut self) {
        if self.is_noting {
            return;
        }
        if self.noting.is_none() {
            self.noting = self.known.as_mut().and_then(|known| known.noted(self.id));
        }
        let Some(noted) = self.noting.clone() else { return };
        self.is_noting = true;
        let died = EndpointError::Store("the task that notes it died".to_owned());
        let owed = self.owes(Report::Noted(Err(died)));
        let (book, run) = (Arc::clone(&self.webhooks.book), self.run);
        tokio::spawn(async move {
            let noted = book.note(noted).await;
            owed.say(EndpointMail::Told(run, Report::Noted(noted)));
        });
    }
}

fn has_room(deliveries: &Deliveries) -> bool {
    deliveries.room() >= PAGE
}

impl Known {
    /// A stretch that is done makes room for the next one.
    fn goes_to_its_end(&mut self, lane: Lane) {
        if lane == Lane::New {
            return;
        }
        let Some(again) = &self.again else { return };
        let is_done = again.deliveries.is_done();
        let place = (!is_done).then(|| again.deliveries.settled().next());
        self.replayed = Some((again.asked_at, place));
        if is_done {
            self.again = None;
            self.replays.pop_front();
        }
    }

    /// What is not noted yet; nothing if nothing happened.
    fn noted(&mut self, endpoint: florin_domain::ids::EndpointId) -> Option<Noted> {
        let parked = self.new.changes();
        let has_news =
            self.is_changed || !self.rows.is_empty() || !parked.is_empty() || self.replayed.is_some();
        self.is_changed = false;
        has_news.then(|| Noted {
            endpoint,
            generation: self.generation,
            told: self.new.told(),
            parked,
            failing: self.new.failing(),
            replay: self.replayed.take(),
            disabled: self.disabled,
            rows: std::mem::take(&mut self.rows),
        })
    }
}

fn count(then: Then) {
    let end = match then {
        Then::Delivered => "delivered",
        Then::Again(_) => "failed",
        Then::GivenUp => "given_up",
        Then::Disabled(_) => {
            metrics::counter!("florin_alerts_total", "alert" => "webhook_endpoint_disabled").increment(1);
            "failed"
        }
    };
    metrics::counter!("florin_webhook_deliveries_total", "end" => end).increment(1);
}

/// Milliseconds between two times of the wall clock.
pub(super) fn took_ms(from: Timestamp, to: Timestamp) -> u64 {
    to.since(from).0
}
