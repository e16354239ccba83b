//! Everything behind the sockets, without any socket: the providers, the faults and the log, and the order in which they meet.
//!
//! Answers of [`World::handle`] must not leave before the next [`World::commit`] has succeeded.

use std::io;
use std::path::Path;

use crate::adyen;
use crate::clock::UnixMillis;
use crate::due::Due;
use crate::faults::Faults;
use crate::stripe::{self, ApiError, Challenged, Decision, Delivery, Digest, Limits};
use crate::witness::{Entry, EntryRef, Log, LogReader, Provider, Span};

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) faults: Faults,
    stripe: stripe::State,
    adyen: adyen::State,
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

impl WorldOptions {
    fn states(&self, salt: u32) -> (stripe::State, adyen::State) {
        (
            stripe::State::new(salt, self.limits, &self.origin),
            adyen::State::new(salt, self.limits, &self.origin),
        )
    }
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
        let mut recovered: Option<(stripe::State, adyen::State)> = None;
        let log = match data_dir {
            None => Log::in_memory(fresh_salt),
            Some(dir) => Log::open(dir, fresh_salt, |entry, span, salt| {
                let (stripe, adyen) = recovered.get_or_insert_with(|| options.states(salt));
                let (seq, next_seq, at) = match &entry {
                    Entry::Stripe(line) => (line.seq, stripe.next_seq(), line.at),
                    Entry::Adyen(line) => (line.seq, adyen.next_seq(), line.at),
                };
                if seq != next_seq {
                    return Err(io::Error::other(format!("line {seq} follows {}", next_seq - 1)));
                }
                latest = latest.max(UnixMillis(at * 1000));
                match entry {
                    Entry::Stripe(line) => stripe.apply(*line, span),
                    Entry::Adyen(line) => adyen.apply(*line, span),
                }
                Ok(())
            })?,
        };
        let (stripe, adyen) = recovered.unwrap_or_else(|| options.states(log.salt()));
        Ok(Self {
            faults: Faults::default(),
            stripe,
            adyen,
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
                let stripe::Execution { row, line, telling } = *execution;
                self.stripe.tell(&line, telling, self.latest);
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

    /// Executes what was to be executed by now. Says whether there was any.
    pub(crate) fn catch_up(&mut self, now: UnixMillis) -> bool {
        let now = self.at(now);
        let mut is_any = false;
        while let Some(execution) = adyen::late(&mut self.adyen, now) {
            is_any = true;
            let span = self
                .log
                .push(execution.row.as_ref(), EntryRef::Adyen(&execution.line));
            self.adyen.apply(execution.line, span);
        }
        is_any
    }

    /// The same for the simulated Adyen.
    pub(crate) fn handle_adyen(&mut self, request: &adyen::Request, now: UnixMillis) -> io::Result<Answered> {
        let now = self.at(now);
        let decision = adyen::decide(&mut self.adyen, &mut self.faults, request, now);
        Ok(match decision {
            adyen::Decision::Refuse { refusal, delivery } => Answered {
                reply: Some(Reply {
                    status: refusal.status,
                    body: refusal.body().to_string().into_bytes(),
                    executed_as: None,
                    replayed: false,
                }),
                delivery,
            },
            adyen::Decision::Vanish(delivery) => Answered {
                reply: None,
                delivery,
            },
            adyen::Decision::Replay(span) => Answered {
                reply: Some(self.replay(span)?),
                delivery: Delivery::Now,
            },
            adyen::Decision::Execute { execution, delivery } => {
                let span = self
                    .log
                    .push(execution.row.as_ref(), EntryRef::Adyen(&execution.line));
                let reply = match delivery {
                    Delivery::Now | Delivery::After { .. } => Some(self.reply_of(&execution.line, false)),
                    Delivery::Silence { .. } | Delivery::Close => None,
                };
                self.adyen.apply(execution.line, span);
                Answered { reply, delivery }
            }
        })
    }

    /// Events go there from now on.
    pub(crate) fn tell_stripe(&mut self, target: stripe::WebhookTarget) {
        self.stripe.outbox.tell(target);
    }

    /// Anybody is told of what happens at the simulated Stripe.
    pub(crate) fn tells_stripe(&self) -> bool {
        self.stripe.outbox.is_told()
    }

    /// Notifications go there from now on.
    pub(crate) fn subscribe(&mut self, target: adyen::WebhookTarget, now: UnixMillis) {
        let now = self.at(now);
        let line = adyen::subscribed(&self.adyen, target, now);
        self.record(line);
    }

    /// Takes note of which notifications were acknowledged, and hands out what is due and how long it is to the next one, or to what is
    /// executed late.
    pub(crate) fn notices(
        &mut self,
        told: &[((Provider, u64), bool)],
        limit: usize,
        now: UnixMillis,
    ) -> (Vec<Due>, Option<u64>) {
        let now = self.at(now);
        for ((provider, number), acknowledged) in told {
            match (provider, acknowledged) {
                (Provider::Adyen, true) => {
                    let line = adyen::delivered(&self.adyen, *number, now);
                    self.record(line);
                }
                (Provider::Adyen, false) => self.adyen.outbox.failed(*number, now),
                (Provider::Stripe, true) => self.stripe.outbox.delivered(*number),
                (Provider::Stripe, false) => self.stripe.outbox.failed(*number, now),
            }
        }
        let (mut due, next_ms) = self.adyen.outbox.take(now, limit);
        let (events, next_event_ms) = self.stripe.outbox.take(now, limit.saturating_sub(due.len()));
        due.extend(events);
        let next_late_ms = self.adyen.next_late_ms(now);
        let all = [next_ms, next_event_ms, next_late_ms];
        (due, all.into_iter().flatten().min())
    }

    /// A line that answers nobody.
    fn record(&mut self, line: Option<adyen::Line>) {
        if let Some(line) = line {
            let span = self.log.push(None, EntryRef::Adyen(&line));
            self.adyen.apply(line, span);
        }
    }

    fn at(&mut self, now: UnixMillis) -> UnixMillis {
        self.latest = self.latest.max(now);
        self.latest
    }

    fn reply_of(&self, line: &adyen::Line, replayed: bool) -> Reply {
        let (status, body) = line.answer.as_ref().map_or((500, Vec::new()), |answer| {
            (answer.status, answer.body.clone().into_bytes())
        });
        Reply {
            status,
            body,
            executed_as: Some(self.adyen.psp_reference(line.seq)),
            replayed,
        }
    }

    /// The customer answers a challenge, or only looks at it.
    pub(crate) fn challenge(
        &mut self,
        intent: &str,
        passed: Option<bool>,
        now: UnixMillis,
    ) -> io::Result<Challenged> {
        if intent.starts_with("adyen_") {
            let now = self.at(now);
            let line = passed.and_then(|passed| adyen::pressed(&self.adyen, intent, passed, now));
            self.record(line);
            return Ok(adyen::challenged(&self.adyen, intent));
        }
        if let Some(passed) = passed {
            // What this would answer to a program is not what the customer is told.
            self.handle(&stripe::authentication(intent, passed), now)?;
        }
        Ok(stripe::challenged(&self.stripe, intent))
    }

    fn replay(&self, span: Span) -> io::Result<Reply> {
        match self.log.entry(span)? {
            Entry::Stripe(line) => Ok(self.reply(&line, true)),
            Entry::Adyen(line) => Ok(self.reply_of(&line, true)),
        }
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
