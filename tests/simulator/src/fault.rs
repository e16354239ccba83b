//! Owns what may go wrong in the simulated world, and how often each of it does in the run of a seed.

use crate::dice::Dice;
use std::fmt;
use std::time::Duration;

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident = $word:literal, $most:literal;)*) => {
        /// Something that goes wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault {
            $($(#[$doc])* $name,)*
        }

        impl Fault {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name in reports.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }

            /// How often in 10,000 opportunities at most.
            const fn most(self) -> u64 {
                match self {
                    $(Self::$name => $most,)*
                }
            }
        }
    };
}

faults! {
    /// A client's request never arrives; the client sends it again.
    RequestLost = "request lost", 800;
    /// A client leaves before its answer, and asks again.
    ReplyLost = "reply lost", 1_500;
    /// A client's request arrives long after it was sent.
    RequestLate = "request late", 1_500;
    /// A client's request arrives twice at once.
    RequestDuplicated = "request duplicated", 1_500;
    /// A client's request arrives before one that was sent earlier.
    RequestReordered = "request reordered", 1_500;
    /// A request to a provider is lost on the way.
    CallLost = "provider call lost", 800;
    /// A provider did what was asked, and its answer is lost.
    ChargedThenSilent = "provider charges, then silence", 800;
    /// A provider does what was asked long after the caller gave up.
    CallLate = "provider executes late", 600;
    /// A provider answers with an error that it stores under the key, having done it or not.
    StoredError = "provider stores a 500", 500;
    /// No connection to a provider.
    CallNotSent = "provider not reached", 800;
    /// A provider has too much to do.
    CallRateLimited = "provider limits the rate", 500;
    /// A provider refuses as our mistake.
    CallRejected = "provider rejects", 150;
    /// A provider is out for a while.
    Outage = "provider outage", 60;
    /// For a while a provider does what it is asked for, or not, and no answer comes back.
    Silence = "provider silent for a while", 60;
    /// A provider does less than it was asked for, and says so.
    CallShort = "provider takes another amount", 100;
    /// A provider takes its time.
    CallSlow = "provider slow", 1_000;
    /// A provider has forgotten an object that it has.
    QueryWrong = "status query wrong", 1_500;
    /// For a while a provider finds nothing under a key under which it has done something.
    Hidden = "provider finds an object only later", 400;
    /// A provider cannot be asked about an object.
    QueryDown = "status query unavailable", 1_500;
    /// A provider says that it did not, or will not, and charges all the same.
    Lie = "provider charges what it said it did not", 1_000;
    /// A provider undoes by itself what it did.
    TakenBack = "provider takes back what it did", 400;
    /// A notice is never sent.
    NoticeLost = "notice lost", 4_000;
    /// A notice comes hours later, or after everything else.
    NoticeLate = "notice late", 2_000;
    /// A notice is sent several times.
    NoticeTwice = "notice doubled", 2_000;
    /// A notice is overtaken by later ones.
    NoticeOvertaken = "notice overtaken", 3_000;
    /// A notice comes before the answer to the request that it is about.
    NoticeEarly = "notice before the answer", 3_000;
    /// A notice is acknowledged, and its sender does not hear of it.
    NoticeUnheard = "acknowledgement of a notice lost", 2_000;
    /// Somebody sends a notice who may not speak of that payment.
    NoticeForged = "notice of a stranger", 500;
    /// The task that calls a provider dies.
    CallPanics = "provider task panics", 200;
    /// An actor fails at some step.
    ActorCrash = "actor crash", 40;
    /// An operator has an actor killed.
    ActorKill = "actor killed by an operator", 5_000;
    /// The process ends at some moment.
    CrashAnywhere = "process crash at any moment", 5_000;
    /// The process ends before a batch is durable; nothing of it is there.
    CrashBeforeAppend = "process crash before the batch", 60;
    /// The process ends while a batch is written; some of its commits are there.
    CrashTornAppend = "process crash with a torn tail", 60;
    /// The process ends when a batch is durable and nobody knows.
    CrashAfterAppend = "process crash after the batch", 60;
    /// An operator stops the process.
    Shutdown = "shutdown at any moment", 5_000;
    /// The journal's disk fails; what it has of the batch is not known.
    FsyncError = "fsync error", 40;
    /// The journal's disk is full for a while.
    DiskFull = "disk full", 80;
    /// The journal's disk takes its time.
    DiskSlow = "disk slow", 600;
    /// A bit of a record flips; the record is damaged until it is repaired.
    BitFlip = "bit flip", 3_000;
    /// A page of the journal ends before it is full.
    PageShort = "short page", 2_000;
    /// The journal cannot be read for a moment.
    ReadFails = "journal read fails", 60;
    /// The view cannot be written.
    ViewFails = "view fails", 60;
    /// Views and key index are lost with the process.
    IndexesLost = "indexes lost", 3_000;
    /// The secret under which provider keys are derived is lost with the process.
    SecretLost = "secret of provider keys lost", 3_000;
    /// A snapshot is lost, or not kept at all.
    SnapshotLost = "snapshot lost", 3_000;
    /// A snapshot cannot be read.
    SnapshotUnreadable = "snapshot unreadable", 3_000;
    /// Beside the journal is something of a later time, or of another journal: its end is lost, or what is there was mixed up.
    Mixed = "data folders mixed up", 2_500;
    /// The clock jumps ahead.
    ClockAhead = "clock jumps ahead", 3_000;
    /// The clock jumps back.
    ClockBack = "clock jumps back", 3_000;
    /// Everything has so little room that requests are refused.
    NoCapacity = "mailboxes full", 10_000;
    /// What is sent to a merchant's server never arrives.
    WebhookLost = "webhook lost", 600;
    /// A merchant's server has it, and its answer is lost.
    WebhookUnheard = "answer to a webhook lost", 600;
    /// A merchant's server has it, and says that it fails.
    WebhookRefused = "webhook server fails", 1_000;
    /// What was sent to merchants' servers cannot be noted or read.
    BookFails = "book of deliveries fails", 300;
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How often what goes wrong in the run of one seed: a random half of all faults, each at a random rate. What is always a
/// little wrong hides what goes wrong much.
#[derive(Clone, Debug)]
pub(crate) struct Plan(Vec<u64>);

/// Which things go wrong in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scenario {
    /// Other ones at other rates in every seed, none in some.
    #[default]
    Swarm,
    /// The same at a third of the rates, with customers who come one after the other and mostly only buy: many payments under way at
    /// any moment, in fewer processes.
    Sales,
    /// Providers charge and then say nothing (three requests in ten), and refuse connections (two in ten); nothing else.
    Failover,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Swarm, Self::Sales, Self::Failover];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Swarm => "swarm",
            Self::Sales => "sales",
            Self::Failover => "failover",
        }
    }

    /// The one with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scenario| scenario.name() == name)
    }

    /// How many of so many requests are transfers and not purchases.
    pub(crate) const fn errands(self, ops: u64) -> u64 {
        match self {
            Self::Swarm => ops / 3,
            Self::Sales | Self::Failover => 0,
        }
    }

    /// How often in 10,000 a customer is content with what it has.
    pub(crate) const fn content(self) -> u64 {
        match self {
            Self::Swarm => 1_000,
            Self::Failover => 6_000,
            Self::Sales => 8_500,
        }
    }

    /// How long after the one before it a customer comes.
    pub(crate) const fn between_customers(self) -> Duration {
        match self {
            Self::Swarm => Duration::ZERO,
            Self::Sales | Self::Failover => Duration::from_millis(20),
        }
    }

    /// How long a customer waits at most before it asks for the first time, or again after so many times. Most are as
    /// patient as official clients: each wait is twice the one before it. Those of the swarm come back at once, as careless ones do;
    /// much of what is simulated there is their being refused.
    pub(crate) fn wait_max_ms(self, sent: u32) -> u64 {
        match self {
            _ if sent == 0 => 4_000,
            Self::Swarm => 8_000,
            Self::Sales | Self::Failover => 8_000 << sent.saturating_sub(1).min(4),
        }
    }

    /// How many calls a provider takes at once where few are meant to fit: as many times that as let a day's trade through.
    pub(crate) const fn provider_room(self, permits: usize) -> usize {
        match self {
            Self::Swarm => permits,
            Self::Sales | Self::Failover => permits * 8,
        }
    }
}

impl Plan {
    pub(crate) fn of(seed: u64, scenario: Scenario) -> Self {
        match scenario {
            Scenario::Swarm => Self::swarm(seed),
            Scenario::Sales => Self(
                Self::swarm(seed)
                    .0
                    .into_iter()
                    .map(|rate| rate.div_ceil(3))
                    .collect(),
            ),
            Scenario::Failover => {
                let rate = |fault: &Fault| match fault {
                    Fault::ChargedThenSilent => 3_000,
                    Fault::CallNotSent => 2_000,
                    _ => 0,
                };
                Self(Fault::ALL.iter().map(rate).collect())
            }
        }
    }

    fn swarm(seed: u64) -> Self {
        let mut dice = Dice::new(seed, "plan");
        // One seed in eight is all calm, so that what needs no fault is seen without any.
        let calm = dice.below(8) == 0;
        let rate = |fault: &Fault| {
            let (wanted, eighths) = (dice.below(2) == 0, dice.within(1, 8));
            if wanted && !calm {
                fault.most() * eighths / 8
            } else {
                0
            }
        };
        Self(Fault::ALL.iter().map(rate).collect())
    }

    /// In 10,000 opportunities.
    pub(crate) fn rate(&self, fault: Fault) -> u64 {
        self.0.get(fault as usize).copied().unwrap_or(0)
    }
}
