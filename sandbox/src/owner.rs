//! The one thread that owns the world. It takes whatever is queued, handles it in order, makes it durable with one sync and
//! then answers; meanwhile the next requests queue up. The queue is bounded, so senders wait when the disk does.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::adyen;
use crate::clock::UnixMillis;
use crate::due::Due;
use crate::stripe::{self, Challenged, Digest};
use crate::witness::{LogReader, Provider};
use crate::world::{Answered, World};

const QUEUE_MAX: usize = 4_096;
/// Commands that share one sync.
const BATCH_MAX: usize = 1_024;

#[derive(Debug)]
pub(crate) enum Command {
    Stripe {
        request: stripe::Request,
        reply: oneshot::Sender<Answered>,
    },
    Adyen {
        request: adyen::Request,
        reply: oneshot::Sender<Answered>,
    },
    /// Notifications go there from now on.
    Subscribe {
        target: adyen::WebhookTarget,
        reply: oneshot::Sender<()>,
    },
    /// Events go there from now on.
    TellStripe {
        target: stripe::WebhookTarget,
        reply: oneshot::Sender<()>,
    },
    /// Which notifications were acknowledged and which were not; what is due now, and how long it is to the next one.
    Notices {
        told: Vec<((Provider, u64), bool)>,
        limit: usize,
        reply: oneshot::Sender<(Vec<Due>, Option<u64>)>,
    },
    /// A customer answers the challenge of an intent, or looks at it.
    Challenge {
        intent: String,
        passed: Option<bool>,
        reply: oneshot::Sender<Challenged>,
    },
    Release(Digest),
    AddFault {
        body: Bytes,
        reply: oneshot::Sender<FaultReply>,
    },
    ListFaults {
        reply: oneshot::Sender<FaultReply>,
    },
    ClearFaults {
        reply: oneshot::Sender<FaultReply>,
    },
    Charges {
        reply: oneshot::Sender<LogReader>,
    },
    /// Answered when everything before it is durable.
    Ping {
        reply: oneshot::Sender<()>,
    },
}

#[derive(Debug)]
pub(crate) struct FaultReply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// Starts the owner; it ends when the last sender is gone, or when the log can no longer be written.
///
/// `changed` is told whenever something may be due that was not.
pub(crate) fn spawn(
    world: World,
    changed: Arc<Notify>,
) -> io::Result<(mpsc::Sender<Command>, JoinHandle<()>)> {
    let (sender, receiver) = mpsc::channel(QUEUE_MAX);
    let thread = std::thread::Builder::new()
        .name("sandbox-owner".to_owned())
        .spawn(move || {
            if let Err(error) = run(world, receiver, &changed) {
                tracing::error!(%error, "the witness cannot be written, the sandbox stops answering");
            }
        })?;
    Ok((sender, thread))
}

fn run(mut world: World, mut receiver: mpsc::Receiver<Command>, changed: &Notify) -> io::Result<()> {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    let mut answers: Vec<Answer> = Vec::with_capacity(BATCH_MAX);
    while receiver.blocking_recv_many(&mut batch, BATCH_MAX) > 0 {
        let now = UnixMillis::system_now();
        let mut is_changed = world.catch_up(now);
        for command in batch.drain(..) {
            is_changed |= match &command {
                Command::Adyen { .. } | Command::Subscribe { .. } | Command::TellStripe { .. } => true,
                Command::Stripe { .. } | Command::Challenge { .. } => world.tells_stripe(),
                Command::Notices { .. }
                | Command::Release(_)
                | Command::AddFault { .. }
                | Command::ListFaults { .. }
                | Command::ClearFaults { .. }
                | Command::Charges { .. }
                | Command::Ping { .. } => false,
            };
            answers.extend(execute(&mut world, command, now)?);
        }
        world.commit()?;
        for answer in answers.drain(..) {
            answer.send(&world);
        }
        if is_changed {
            changed.notify_one();
        }
    }
    Ok(())
}

/// An answer that waits for the commit.
enum Answer {
    Provider(oneshot::Sender<Answered>, Answered),
    Notices(oneshot::Sender<(Vec<Due>, Option<u64>)>, (Vec<Due>, Option<u64>)),
    Challenge(oneshot::Sender<Challenged>, Challenged),
    Fault(oneshot::Sender<FaultReply>, FaultReply),
    Charges(oneshot::Sender<LogReader>),
    Ping(oneshot::Sender<()>),
}

impl Answer {
    fn send(self, world: &World) {
        // Whoever asked may have hung up; what was executed stays executed.
        match self {
            Self::Provider(reply, answered) => drop(reply.send(answered)),
            Self::Notices(reply, due) => drop(reply.send(due)),
            Self::Challenge(reply, challenged) => drop(reply.send(challenged)),
            Self::Fault(reply, answered) => drop(reply.send(answered)),
            Self::Charges(reply) => drop(reply.send(world.reader())),
            Self::Ping(reply) => _ = reply.send(()),
        }
    }
}

fn execute(world: &mut World, command: Command, now: UnixMillis) -> io::Result<Option<Answer>> {
    Ok(match command {
        Command::Stripe { request, reply } => Some(Answer::Provider(reply, world.handle(&request, now)?)),
        Command::Adyen { request, reply } => {
            Some(Answer::Provider(reply, world.handle_adyen(&request, now)?))
        }
        Command::Subscribe { target, reply } => {
            world.subscribe(target, now);
            Some(Answer::Ping(reply))
        }
        Command::TellStripe { target, reply } => {
            world.tell_stripe(target);
            Some(Answer::Ping(reply))
        }
        Command::Notices { told, limit, reply } => {
            Some(Answer::Notices(reply, world.notices(&told, limit, now)))
        }
        Command::Challenge {
            intent,
            passed,
            reply,
        } => Some(Answer::Challenge(reply, world.challenge(&intent, passed, now)?)),
        Command::Release(slot) => {
            world.release(slot);
            None
        }
        Command::AddFault { body, reply } => Some(Answer::Fault(reply, add_fault(world, &body))),
        Command::ListFaults { reply } => {
            let body = serde_json::json!({ "data": world.faults.active() });
            Some(Answer::Fault(
                reply,
                FaultReply {
                    status: 200,
                    body: body.to_string().into_bytes(),
                },
            ))
        }
        Command::ClearFaults { reply } => {
            let body = serde_json::json!({ "deleted": world.faults.clear() });
            Some(Answer::Fault(
                reply,
                FaultReply {
                    status: 200,
                    body: body.to_string().into_bytes(),
                },
            ))
        }
        Command::Charges { reply } => Some(Answer::Charges(reply)),
        Command::Ping { reply } => Some(Answer::Ping(reply)),
    })
}

fn add_fault(world: &mut World, body: &[u8]) -> FaultReply {
    let (status, body) = match world.faults.add(body) {
        Ok(fault) => (200, serde_json::json!(fault)),
        Err(rejected) => (
            400,
            serde_json::json!({ "error": {
                "type": "invalid_request_error",
                "param": rejected.param,
                "message": format!("{}: {}", rejected.param, rejected.message),
            } }),
        ),
    };
    FaultReply {
        status,
        body: body.to_string().into_bytes(),
    }
}
