//! What is on its way: announcements are read, written, signed and sent, each in a task that reports how it ended.

use super::telling::took_ms;
use super::{EndpointMail, EndpointState, Lane, Report, Run, Sent};
use crate::context::{Context, Webhooks};
use crate::mailbox::Mailbox;
use crate::owed::Owed;
use crate::payments_handle::{PastError, announced_from, shown};
use florin_domain::announcement::EventPlace;
use florin_domain::ports::{Delivery, DeliveryEnd, ShownEvent};
use florin_domain::webhook::KeptEndpoint;
use florin_domain::webhook::deliveries::Task;
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
        let tasks = known.new.due(now, |_| false);
        sender(Lane::New).begin(tasks, known.new.read_to());
        if let Some(again) = &mut known.again {
            // What is new of an object comes first, or it would be told out of its order.
            let tasks = again.deliveries.due(now, |payment| known.new.has(payment));
            sender(Lane::Again(again.asked_at)).begin(tasks, again.deliveries.read_to());
        }
    }
}

impl Sender {
    /// Each in a task of its own.
    fn begin(&self, tasks: Vec<Task>, read_to: EventPlace) {
        for task in tasks {
            let (sender, owed) = (self.clone(), self.owes(Report::Unreadable(self.lane, task)));
            tokio::spawn(async move {
                let report = match sender.found(task, read_to).await {
                    Ok(Some(event)) => sender.sent(&event, task).await,
                    Ok(None) => match task {
                        Task::Resume(payment, _) => Report::CaughtUp(sender.lane, payment, read_to),
                        Task::Send(_) => Report::Unreadable(sender.lane, task),
                    },
                    Err(error) => {
                        tracing::warn!(endpoint = %sender.kept.endpoint.id, %error, "an event cannot be read");
                        Report::Unreadable(sender.lane, task)
                    }
                };
                owed.say(sender.told(report));
            });
        }
    }

    /// What is to be sent, read in one of a few places.
    async fn found(&self, task: Task, read_to: EventPlace) -> Result<Option<ShownEvent>, PastError> {
        let _place = self.context.webhook_reads.acquire().await;
        match task {
            Task::Send(row) => Ok(shown(&self.context, &[row]).await?.pop()),
            Task::Resume(payment, next) => {
                let wanted = (self.kept.endpoint.wanted.kinds, next, read_to);
                announced_from(&self.context, payment, wanted).await
            }
        }
    }

    fn told(&self, report: Report) -> EndpointMail {
        EndpointMail::Told(self.run, report)
    }

    fn owes(&self, instead: Report) -> Owed<EndpointMail> {
        Owed::new(self.mailbox.clone(), self.told(instead))
    }

    async fn sent(&self, event: &ShownEvent, task: Task) -> Report {
        let clock = &self.context.ports.clock;
        let at = clock.now();
        let Some(delivery) = self.delivery(event) else {
            tracing::error!(event = %event.id, "an event cannot be written");
            return Report::Unreadable(self.lane, task);
        };
        let end: DeliveryEnd = self.webhooks.client.post(delivery).await;
        let sent = Sent {
            row: event.row,
            at,
            took_ms: took_ms(at, clock.now()),
        };
        Report::Ended(self.lane, sent, end)
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
