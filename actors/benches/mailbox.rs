//! What the bound costs: a message through a gated mailbox against one cast straight to the actor.

#![expect(clippy::unwrap_used, reason = "a bench ends with its first surprise")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use florin_actors::kind::{Kind, KindStats};
use florin_actors::mailbox::{Caps, Class, Envelope, Mailbox};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::sync::Arc;
use tokio::sync::oneshot;

const MESSAGES: u64 = 10_000;

enum Mail {
    Count,
    Done(oneshot::Sender<u64>),
}

struct Gated;

impl Actor for Gated {
    type Msg = Envelope<Mail>;
    type State = u64;
    type Arguments = ();

    async fn pre_start(&self, _myself: ActorRef<Self::Msg>, (): ()) -> Result<u64, ActorProcessingErr> {
        Ok(0)
    }

    async fn handle(
        &self,
        _myself: ActorRef<Self::Msg>,
        envelope: Self::Msg,
        count: &mut u64,
    ) -> Result<(), ActorProcessingErr> {
        let (mail, _slot) = envelope.open();
        count_mail(mail, count);
        Ok(())
    }
}

struct Bare;

impl Actor for Bare {
    type Msg = Mail;
    type State = u64;
    type Arguments = ();

    async fn pre_start(&self, _myself: ActorRef<Self::Msg>, (): ()) -> Result<u64, ActorProcessingErr> {
        Ok(0)
    }

    async fn handle(
        &self,
        _myself: ActorRef<Self::Msg>,
        mail: Mail,
        count: &mut u64,
    ) -> Result<(), ActorProcessingErr> {
        count_mail(mail, count);
        Ok(())
    }
}

fn count_mail(mail: Mail, count: &mut u64) {
    match mail {
        Mail::Count => *count += 1,
        Mail::Done(reply) => drop(reply.send(std::mem::take(count))),
    }
}

fn benches(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let (bare, mailbox) = runtime.block_on(async {
        let (bare, _) = Actor::spawn(None, Bare, ()).await.unwrap();
        let (gated, _) = Actor::spawn(None, Gated, ()).await.unwrap();
        let caps = Caps {
            soft: 1 << 20,
            hard: 1 << 20,
        };
        let mailbox = Mailbox::new(caps, Arc::new(KindStats::new(Kind::Payment)));
        mailbox.attach(gated);
        (bare, mailbox)
    });
    let mut group = criterion.benchmark_group("mailbox");
    group.throughput(Throughput::Elements(MESSAGES));
    group.bench_function("bare cast", |bencher| {
        bencher.iter(|| {
            for _ in 0..MESSAGES {
                bare.send_message(Mail::Count).unwrap();
            }
            let (reply, done) = oneshot::channel();
            bare.send_message(Mail::Done(reply)).unwrap();
            assert_eq!(runtime.block_on(done).unwrap(), MESSAGES);
        });
    });
    group.bench_function("gated", |bencher| {
        bencher.iter(|| {
            for _ in 0..MESSAGES {
                assert!(mailbox.send(Class::New, Mail::Count).is_ok());
            }
            let (reply, done) = oneshot::channel();
            mailbox.step(Mail::Done(reply));
            assert_eq!(runtime.block_on(done).unwrap(), MESSAGES);
        });
    });
    group.finish();
}

criterion_group!(mailbox_benches, benches);
criterion_main!(mailbox_benches);
