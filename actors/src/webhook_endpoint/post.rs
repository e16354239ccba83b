//! What is on its way: announcements are read, written, signed and sent, each in a task that reports how it ended.

use super::telling::took_ms;
use super::{EndpointMail, EndpointState, Lane, Report, Run, Sent};
use crate::context::{Context, Webhooks};
use crate::mailbox::Mailbox;
use crate::owed::Owed;
use crate::payments_handle::{announced_from, shown};
use florin_domain::announcement::EventPlace;
use florin_domain::ports::{Delivery, DeliveryEnd, EventRow, ShownEvent};
use florin_domain::webhook::KeptEndpoint;
use florin_domain::webhook::deliveries::{Deliveries, Task};
use std::sync::Arc;

/// What every task of an endpoint needs.
#[derive(Clone)]
struct Sender {
    context: Arc<Context>,
    webhooks: Webhooks,
    kept: Arc<KeptEndpoint>,
    mailbox: Mailbox<EndpointMail>,
    run: Run,
    lane: Lane,
}

impl EndpointState {
    /// Begins whatever is due.
    pub(super) fn begin(&mut self) {
        let now = self.context.ports.clock.now();
        let Some(known) = &mut self.known else { return };
        let sender = |lane| Sender {
            context: Arc::clone(&self.context),
            webhooks: self.webhooks.clone(),
            kept: Arc::clone(&known.kept),
            mailbox: self.mailbox.clone(),
            run: self.run,
            lane,
        };
        let begin = |lane, deliveries: &mut Deliveries| {
            let tasks = deliveries.due(now);
            if !tasks.is_empty() {
                sender(lane).begin(tasks, deliveries.read_to());
            }
        };
        begin(Lane::New, &mut known.new);
        if let Some(again) = &mut known.again {
            begin(Lane::Again(again.asked_at), &mut again.deliveries);
        }
    }
}

impl Sender {
    fn begin(&self, tasks: Vec<Task>, read_to: EventPlace) {
        let mut rows = Vec::new();
        for task in tasks {
            match task {
                Task::Send(row) => rows.push(row),
                Task::Resume(payment, next) => {
                    let (sender, owed) = (self.clone(), self.owes(Report::Unreadable(self.lane, task)));
                    tokio::spawn(async move {
                        let endpoint = &sender.kept.endpoint;
                        let wanted = (endpoint.wanted.kinds, next, read_to);
                        match announced_from(&sender.context, payment, wanted).await {
                            Ok(Some(event)) => sender.send(&event, task, owed).await,
                            Ok(None) => {
                                owed.say(sender.told(Report::CaughtUp(sender.lane, payment, read_to)));
                            }
                            Err(error) => {
                                tracing::warn!(endpoint = %endpoint.id, %payment, %error, "an event cannot be read");
                                owed.say(sender.told(Report::Unreadable(sender.lane, task)));
                            }
                        }
                    });
                }
            }
        }
        if !rows.is_empty() {
            self.begin_all(rows);
        }
    }

    /// Reads them together, as payments of the same page often lie beside each other, and sends each by itself.
    fn begin_all(&self, rows: Vec<EventRow>) {
        let sender = self.clone();
        let unreadable = |row: &EventRow| {
            let task = Task::Send(*row);
            (task, self.owes(Report::Unreadable(self.lane, task)))
        };
        let owed: Vec<_> = rows.iter().map(unreadable).collect();
        tokio::spawn(async move {
            match shown(&sender.context, &rows).await {
                Ok(events) => {
                    for (event, (task, owed)) in events.into_iter().zip(owed) {
                        let sender = sender.clone();
                        tokio::spawn(async move { sender.send(&event, task, owed).await });
                    }
                }
                Err(error) => {
                    tracing::warn!(endpoint = %sender.kept.endpoint.id, %error, "events cannot be read");
                    for (task, owed) in owed {
                        owed.say(sender.told(Report::Unreadable(sender.lane, task)));
                    }
                }
            }
        });
    }

    fn told(&self, report: Report) -> EndpointMail {
        EndpointMail::Told(self.run, report)
    }

    fn owes(&self, instead: Report) -> Owed<EndpointMail> {
        Owed::new(self.mailbox.clone(), self.told(instead))
    }

    async fn send(&self, event: &ShownEvent, task: Task, owed: Owed<EndpointMail>) {
        let clock = &self.context.ports.clock;
        let at = clock.now();
        let Some(delivery) = self.delivery(event) else {
            tracing::error!(event = %event.id, "an event cannot be written");
            return owed.say(self.told(Report::Unreadable(self.lane, task)));
        };
        let end: DeliveryEnd = self.webhooks.client.post(delivery).await;
        let sent = Sent {
            row: event.row,
            at,
            took_ms: took_ms(at, clock.now()),
        };
        owed.say(self.told(Report::Ended(self.lane, sent, end)));
    }

    fn delivery(&self, event: &ShownEvent) -> Option<Delivery> {
        let (endpoint, now) = (&self.kept.endpoint, self.context.ports.clock.now());
        let body = self.webhooks.bodies.body(event, endpoint.shape)?;
        let secrets: Vec<_> = self.kept.secrets.signing(now).collect();
        Some(Delivery {
            owner: endpoint.owner,
            url: Arc::clone(&endpoint.url),
            headers: self.webhooks.signer.sign(&secrets, event.id, now, &body),
            body,
        })
    }
}
