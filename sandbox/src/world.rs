//! Everything behind the sockets, without any socket: the providers, the faults and the log, and the order in which they meet.
//!
//! Answers of [`World::handle`] must not leave before the next [`World::commit`] has succeeded.

use std::io;
use std::path::Path;

use crate::clock::UnixMillis;
use crate::faults::Faults;
use crate::stripe::{self, ApiError, Challenged, Decision, Delivery, Digest, Limits};
use crate::witness::{Entry, EntryRef, Log, LogReader, Span};

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) faults: Faults,
    stripe: stripe::State,
    log: Log,
    silence_ms: u64,
    /// Time never goes back, whatever the system clock does, not even over a restart.
    latest: UnixMillis,
}

#[derive(Debug, Clone)]
pub(crate) struct WorldOptions {
    pub(crate) limits: Limits,
    pub(crate) silence_ms: u64,
    /// Scheme and authority under which browsers find the sandbox.
    pub(crate) origin: String,
}

#[derive(Debug)]
pub(crate) struct Answered {
    /// None when the answer never arrives.
    pub(crate) reply: Option<Reply>,
    pub(crate) delivery: Delivery,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    /// The id of the execution, when there was one: of this request, or of the one that this replays.
    pub(crate) executed_as: Option<String>,
    pub(crate) replayed: bool,
}

impl World {
    /// Recovers from the log in `data_dir`, or starts empty in memory.
    pub(crate) fn open(data_dir: Option<&Path>, options: &WorldOptions, now: UnixMillis) -> io::Result<Self> {
        // Logs made within 50 days of each other differ unless they were made in the same millisecond.
        let fresh_salt = u32::try_from(now.0 & u64::from(u32::MAX)).expect("the value was just masked");
        let mut latest = now;
        let mut recovered: Option<stripe::State> = None;
        let log = match data_dir {
            None => Log::in_memory(fresh_salt),
            Some(dir) => Log::open(dir, fresh_salt, |entry, span, salt| {
                let state = recovered
                    .get_or_insert_with(|| stripe::State::new(salt, options.limits, &options.origin));
                let Entry::Stripe(line) = entry;
                if line.seq != state.next_seq() {
                    return Err(io::Error::other(format!(
                        "line {} follows {}",
                        line.seq,
                        state.next_seq() - 1
                    )));
                }
                latest = latest.max(UnixMillis(line.at * 1000));
                state.apply(line, span);
                Ok(())
            })?,
        };
        let stripe =
            recovered.unwrap_or_else(|| stripe::State::new(log.salt(), options.limits, &options.origin));
        Ok(Self {
            faults: Faults::default(),
            stripe,
            log,
            silence_ms: options.silence_ms,
            latest,
        })
    }

    pub(crate) fn salt(&self) -> u32 {
        self.log.salt()
    }

    pub(crate) fn handle(&mut self, request: &stripe::Request, now: UnixMillis) -> io::Result<Answered> {
        self.latest = self.latest.max(now);
        let decision = stripe::decide(
            &mut self.stripe,
            &mut self.faults,
            request,
            self.latest,
            self.silence_ms,
        );
        Ok(match decision {
            Decision::Query { body, delivery } => Answered {
                reply: Some(Reply {
                    status: 200,
                    body,
                    executed_as: None,
                    replayed: false,
                }),
                delivery,
            },
            Decision::Refuse { error, delivery } => Answered {
                reply: Some(refusal(&error)),
                delivery,
            },
            Decision::Vanish(delivery) => Answered {
                reply: None,
                delivery,
            },
            Decision::Replay(span) => Answered {
                reply: Some(self.replay(span)?),
                delivery: Delivery::Now,
            },
            Decision::Execute { execution, delivery } => {
                let stripe::Execution { row, line } = *execution;
                let span = self.log.push(row.as_ref(), EntryRef::Stripe(&line));
                let reply = match delivery {
                    Delivery::Now | Delivery::After { .. } => Some(self.reply(&line, false)),
                    Delivery::Silence { .. } | Delivery::Close => None,
                };
                self.stripe.apply(line, span);
                Answered { reply, delivery }
            }
        })
    }

    /// The customer answers a challenge, or only looks at it.
    pub(crate) fn challenge(
        &mut self,
        intent: &str,
        passed: Option<bool>,
        now: UnixMillis,
    ) -> io::Result<Challenged> {
        if let Some(passed) = passed {
            // What this would answer to a program is not what the customer is told.
            self.handle(&stripe::authentication(intent, passed), now)?;
        }
        Ok(stripe::challenged(&self.stripe, intent))
    }

    fn replay(&self, span: Span) -> io::Result<Reply> {
        let Entry::Stripe(line) = self.log.entry(span)?;
        Ok(self.reply(&line, true))
    }

    fn reply(&self, line: &stripe::Line, replayed: bool) -> Reply {
        let site = self.stripe.site();
        let (status, body) = stripe::line_body(site, line);
        Reply {
            status,
            body,
            executed_as: Some(site.ids.request(line.seq).to_string()),
            replayed,
        }
    }

    /// The silent connection that kept this key in use is gone.
    pub(crate) fn release(&mut self, slot: Digest) {
        self.stripe.keys.release(slot);
    }

    /// Makes everything handled so far durable. After an error the world must not be used again.
    pub(crate) fn commit(&mut self) -> io::Result<()> {
        self.log.commit()
    }

    /// What is durable now.
    pub(crate) fn reader(&self) -> LogReader {
        self.log.reader()
    }
}

fn refusal(error: &ApiError) -> Reply {
    Reply {
        status: error.status,
        body: stripe::refusal_body(error),
        executed_as: None,
        replayed: false,
    }
}

#[cfg(test)]
pub(crate) mod tests;
