//! How an endpoint's announcements are read, begun, ended and noted.

use super::{Again, EndpointMail, EndpointState, Known, Lane, ReadPage, Report, Sent};
use crate::context::Context;
use crate::payments_handle::stretch;
use florin_domain::announcement::EventPlace;
use florin_domain::ids::Seq;
use florin_domain::ports::{DeliveryEnd, EndpointError, EventsQuery, ListOrder, ViewError};
use florin_domain::time::{Millis, Timestamp};
use florin_domain::webhook::deliveries::Deliveries;
use florin_domain::webhook::{DeliveryOutcome, DeliveryRow, Noted, Replay, Then};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Announcements that are read at a time.
const PAGE: usize = 128;
/// Deliveries after which they are noted without waiting for the tick.
pub(super) const ROWS_NOTED: usize = 64;
/// Deliveries that wait to be noted before no more are begun.
pub(super) const ROWS_MAX: usize = 512;
/// Where the index cannot be read it is looked at again after this.
const READ_WAIT: Duration = Duration::from_secs(1);
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

impl Known {
    /// Stretches that are to be sent again, but for those that were heard of before.
    pub(super) fn hear_of(&mut self, replays: Vec<Replay>) {
        for replay in replays {
            if self.newest_replay.is_none_or(|newest| replay.asked_at > newest) {
                self.newest_replay = Some(replay.asked_at);
                self.replays.push_back(replay);
            }
        }
    }

    /// One after the other, and each when it is noted that the one before it is done. Whoever asks has seen to the endpoint.
    fn take_up_replay(&mut self, now: Timestamp) {
        if self.again.is_some() || self.replayed.is_some() {
            return;
        }
        let Some(replay) = self.replays.front() else {
            return;
        };
        let behind = replay.from.previous().unwrap_or(EventPlace::START);
        self.again = Some(Again {
            asked_at: replay.asked_at,
            deliveries: Deliveries::stretch(behind, replay.to),
            is_reading: false,
        });
        self.new.hurry(now);
    }
}

impl EndpointState {
    /// Has the next announcements read, where there is room for them.
    pub(super) fn read(&mut self) {
        let now = self.context.ports.clock.now();
        let Some(known) = &mut self.known else { return };
        if Instant::now() < known.reads_at {
            return;
        }
        known.take_up_replay(now);
        let news = known.news.seq();
        let mut wanted = Vec::new();
        if !known.is_reading && known.looked_at != Some(news) && has_room(&known.new) {
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
            let owed = self.owes(Report::Read(lane, news, Err(died)));
            let (context, run) = (Arc::clone(&self.context), self.run);
            tokio::spawn(async move {
                let page = page(&context, &query).await;
                owed.say(EndpointMail::Told(run, Report::Read(lane, news, page)));
            });
        }
    }

    /// Hears what came of something that this actor had begun.
    pub(super) fn told(&mut self, report: Report) {
        let now = self.context.ports.clock.now();
        match report {
            Report::Read(lane, news, page) => self.read_in(lane, news, page),
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

    fn read_in(&mut self, lane: Lane, news: Seq, page: Result<ReadPage, ViewError>) {
        let Some(known) = &mut self.known else { return };
        known.stops_reading(lane);
        let ReadPage { page, watermark } = match page {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!(endpoint = %self.id, %error, "what was announced cannot be read yet");
                known.reads_at = Instant::now() + READ_WAIT;
                return;
            }
        };
        let is_at_end = !page.has_more;
        if let Some(deliveries) = known.lane(lane) {
            let before = deliveries.read_to();
            let last = page.last.unwrap_or(before);
            // Behind a stretch's end nothing of it comes any more, once the index has been there.
            let is_whole = is_at_end && lane != Lane::New && watermark >= deliveries.end().seq;
            let read_to = if is_whole { deliveries.end() } else { last };
            deliveries.take(&page.rows, read_to);
            if deliveries.read_to() == before && lane != Lane::New {
                known.reads_at = Instant::now() + READ_WAIT;
            } else if deliveries.read_to() != before {
                known.is_changed = true;
            }
        }
        if is_at_end && lane == Lane::New {
            known.looked_at = Some(news);
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

/// A page, read in one of a few places, and how far the index was before it.
async fn page(context: &Context, query: &EventsQuery) -> Result<ReadPage, ViewError> {
    let _place = context.webhook_reads.acquire().await;
    let watermark = context.ports.views.watermark();
    let watermark = watermark.map_err(|error| ViewError::Store(error.to_string()))?;
    let page = stretch(context, query).await?;
    Ok(ReadPage { page, watermark })
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
