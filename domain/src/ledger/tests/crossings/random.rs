//! Random interleavings: any command at any time against the plain shard, and transfers carried by their rules over three shards
//! while messages are late, come twice or get lost, carriers are lost, and shards start again.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

const SHARDS: u16 = 3;

fn byte(id: TransferId) -> u8 {
    u8::try_from(id.0).unwrap()
}

/// The transfer that an id names; one name, one transfer.
fn named(id: u8) -> CrossTransfer {
    let drawn = |shift: u32| u32::from(id).wrapping_mul(2_654_435_761) >> shift;
    let (from, hop) = (u16::from(id) % SHARDS, 1 + u16::from(id / 3) % (SHARDS - 1));
    let (debit, credit) = (
        account(from, drawn(7) % 2),
        account((from + hop) % SHARDS, drawn(11) % 2),
    );
    crossing(u128::from(id), debit, credit, 1 + i128::from(drawn(15) % 50))
}

const REASONS: [AbortReason; 4] = [
    AbortReason::GivenUp,
    AbortReason::FraudCheck,
    AbortReason::ExceedsLimit,
    AbortReason::IdReused,
];

/// What, of which transfers, and how.
type Command = (u8, Vec<u8>, u8);

fn obey(node: &mut Node, (what, ids, how): &Command) {
    let mut seen = BTreeSet::new();
    let ids: Vec<u8> = ids.iter().copied().filter(|id| seen.insert(*id)).collect();
    let transfers: Vec<CrossTransfer> = ids.iter().map(|id| named(*id)).collect();
    let outcome = |transfer: &CrossTransfer| match (how ^ byte(transfer.id)) % 5 {
        0..3 => CrossOutcome::Decided,
        _ => CrossOutcome::Aborted(REASONS[usize::from(*how) % 4]),
    };
    match what % 16 {
        0..5 => drop(node.prepare(&transfers)),
        5..9 => drop(node.reserve(&transfers)),
        9..11 => {
            let wanted = transfers.iter().map(|transfer| (transfer.id, outcome(transfer)));
            drop(node.decide(&wanted.collect::<Vec<_>>()));
        }
        11..13 => {
            let decided = transfers
                .iter()
                .map(|transfer| (transfer.clone(), outcome(transfer)));
            node.finish(&decided.collect::<Vec<_>>());
        }
        13 => node.settle(&transfers.iter().map(|transfer| transfer.id).collect::<Vec<_>>()),
        14 => node.restart(),
        _ if *how == 0 => node.close(TODAY),
        _ => node.shift(account(1, u32::from(how % 2)), i128::from(how / 2) - 60),
    }
}

/// What a message asks of a shard.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ask {
    Prepare,
    Reserve,
    Decide(CrossOutcome),
    Finish(CrossOutcome),
    Settle,
}

#[derive(Clone, Debug)]
struct Message {
    /// The carrier that waits, and for which of its questions.
    from: (usize, u32),
    transfer: CrossTransfer,
    ask: Ask,
}

/// Carries one transfer on.
#[derive(Clone, Debug)]
struct Carrier {
    transfer: CrossTransfer,
    asked: u32,
    /// Nobody hears what a lost one would do next.
    is_lost: bool,
    /// Whether a caller waits; nobody does where something left is taken up.
    has_caller: bool,
    has_prepared: bool,
}

pub(super) struct World {
    pub(super) nodes: Vec<Node>,
    carriers: Vec<Carrier>,
    soup: Vec<Message>,
    /// Decided transfers as callers were told.
    told: BTreeMap<u128, bool>,
    drawn: Vec<u8>,
    said: BTreeMap<&'static str, u32>,
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            nodes: (0..SHARDS).map(Node::new).collect(),
            carriers: Vec::new(),
            soup: Vec::new(),
            told: BTreeMap::new(),
            drawn: Vec::new(),
            said: BTreeMap::new(),
        }
    }

    fn say(&mut self, word: &'static str) {
        *self.said.entry(word).or_default() += 1;
    }

    fn carry(&mut self, transfer: CrossTransfer, has_caller: bool, first: Ask) {
        self.carriers.push(Carrier {
            transfer,
            asked: 0,
            is_lost: false,
            has_caller,
            has_prepared: false,
        });
        self.ask(self.carriers.len() - 1, first);
    }

    fn ask(&mut self, number: usize, ask: Ask) {
        let carrier = &mut self.carriers[number];
        carrier.asked += 1;
        self.soup.push(Message {
            from: (number, carrier.asked),
            transfer: carrier.transfer.clone(),
            ask,
        });
    }

    /// What a caller is told once holds for good.
    fn tell(&mut self, number: usize, outcome: CrossOutcome) {
        let carrier = &self.carriers[number];
        let (id, is_decided) = (carrier.transfer.id.0, outcome == CrossOutcome::Decided);
        if carrier.has_caller {
            assert_eq!(*self.told.entry(id).or_insert(is_decided), is_decided, "{id}");
            self.say(if is_decided { "decided" } else { "aborted" });
        }
    }

    /// A message arrives; whoever still waits for just this answer goes on.
    fn deliver(&mut self, message: Message) {
        let Message { from, transfer, ask } = message;
        let (source, target) = (transfer.debit.home().unwrap(), transfer.credit.home().unwrap());
        let [source, target] = [source, target].map(|shard| usize::from(shard.0));
        let (number, asked) = from;
        let waits = !self.carriers[number].is_lost && self.carriers[number].asked == asked;
        if !waits {
            self.say("nobody waits");
        }
        let next = match ask {
            Ask::Prepare => match self.nodes[source].prepare(std::slice::from_ref(&transfer))[0] {
                "done" => {
                    if waits {
                        self.carriers[number].has_prepared = true;
                    }
                    Some(Ask::Reserve)
                }
                "exists" => match self.nodes[source].outcome(transfer.id) {
                    Some(outcome) => {
                        if waits {
                            self.tell(number, outcome);
                        }
                        None
                    }
                    None => Some(Ask::Decide(CrossOutcome::Aborted(AbortReason::GivenUp))),
                },
                word => {
                    self.say(word);
                    None
                }
            },
            Ask::Reserve => match self.nodes[target].reserve(std::slice::from_ref(&transfer))[0] {
                Ok(()) => Some(Ask::Decide(CrossOutcome::Decided)),
                Err(why) => {
                    self.say(if why == AbortReason::IdReused {
                        "too late"
                    } else {
                        "other side refuses"
                    });
                    Some(Ask::Decide(CrossOutcome::Aborted(why)))
                }
            },
            Ask::Decide(outcome) => {
                let decided = self.nodes[source].decide(&[(transfer.id, outcome)])[0];
                if waits && (decided.is_some() || self.carriers[number].has_prepared) {
                    let given_up = CrossOutcome::Aborted(AbortReason::GivenUp);
                    self.tell(number, decided.unwrap_or(given_up));
                }
                if decided.is_some_and(|decided| decided != outcome) {
                    self.say("decided before");
                }
                decided.map(Ask::Finish)
            }
            Ask::Finish(outcome) => {
                self.nodes[target].finish(&[(transfer, outcome)]);
                Some(Ask::Settle)
            }
            Ask::Settle => {
                self.nodes[source].settle(&[transfer.id]);
                None
            }
        };
        match next {
            _ if !waits => {}
            Some(next) => self.ask(number, next),
            // Nobody waits for what was asked last any more.
            None => self.carriers[number].is_lost = true,
        }
    }

    /// Takes up all that a shard still has to do with, whoever may be at it.
    fn sweep(&mut self, shard: usize) {
        let open: Vec<Crossing> = self.nodes[shard].books.crossings().cloned().collect();
        for Crossing { transfer, phase, .. } in open {
            let first = match phase {
                CrossPhase::Over(outcome) => Ask::Finish(outcome),
                CrossPhase::Prepared | CrossPhase::Reserved => {
                    Ask::Decide(CrossOutcome::Aborted(AbortReason::GivenUp))
                }
            };
            self.carry(transfer, false, first);
        }
    }

    pub(super) fn act(&mut self, (what, which, how): (u8, u8, u8)) {
        let place = usize::from(which) % self.soup.len().max(1);
        match what {
            0..50 => {
                let again = self.drawn.get(usize::from(how) / 4).filter(|_| which > 200);
                let id = again.copied().unwrap_or(which);
                self.drawn.push(id);
                self.carry(named(id), true, Ask::Prepare);
            }
            50..200 if !self.soup.is_empty() => {
                let message = self.soup.remove(place);
                self.deliver(message);
            }
            200..215 if !self.soup.is_empty() => {
                let twice = self.soup[place].clone();
                self.deliver(twice);
            }
            215..222 if !self.soup.is_empty() => drop(self.soup.remove(place)),
            222..230 if !self.carriers.is_empty() => {
                let number = usize::from(which) % self.carriers.len();
                self.carriers[number].is_lost = true;
            }
            230..236 => self.sweep(usize::from(which) % self.nodes.len()),
            236..239 => {
                for carrier in &mut self.carriers {
                    carrier.is_lost = true;
                }
                self.soup.clear();
                self.nodes.iter_mut().for_each(Node::restart);
            }
            239.. => {
                let shard = u16::from(which) % SHARDS;
                self.nodes[usize::from(shard)]
                    .shift(account(shard, u32::from(how % 2)), i128::from(how / 8) - 15);
            }
            _ => {}
        }
        self.check();
    }

    /// Each half at most once, none without its decision, and clearing is what is between two shards.
    fn check(&self) {
        let mut between = 0;
        let (mut decided, mut applied) = (BTreeSet::new(), BTreeSet::new());
        for step in self.nodes.iter().flat_map(Node::steps) {
            match step {
                CrossingStep::Decided { posted, .. } => {
                    assert!(decided.insert(posted.id), "decided twice");
                    between += named(byte(posted.id)).amount.minor();
                }
                CrossingStep::Applied { posted, .. } => {
                    assert!(applied.insert(posted.id), "applied twice");
                    between -= named(byte(posted.id)).amount.minor();
                }
                CrossingStep::Prepared(_)
                | CrossingStep::Reserved(_)
                | CrossingStep::Aborted { .. }
                | CrossingStep::Settled(_) => {}
            }
        }
        assert!(applied.is_subset(&decided));
        let total = |name: AccountName| {
            let standing = |node: &Node| node.books.account(&usd(name)).posted.minor();
            self.nodes.iter().map(standing).sum::<i128>()
        };
        assert_eq!(total(AccountName::ShardClearing), between);
        assert_eq!(total(AccountName::Suspense), 0);
    }

    /// Everything left is taken up, with nobody in the way: it takes one sweep.
    fn come_to_rest(&mut self) {
        let late: Vec<Message> = std::mem::take(&mut self.soup);
        for message in late {
            self.deliver(message);
        }
        while let Some(message) = self.soup.pop() {
            self.deliver(message);
        }
        for shard in 0..self.nodes.len() {
            self.sweep(shard);
        }
        while !self.soup.is_empty() {
            let message = self.soup.remove(0);
            self.deliver(message);
        }
        self.check();
        let mut moved: BTreeMap<AccountKey, i128> = BTreeMap::new();
        let mut decided = BTreeSet::new();
        for step in self.nodes.iter().flat_map(Node::steps) {
            if let CrossingStep::Decided { posted, .. } = step {
                let transfer = named(byte(posted.id));
                decided.insert(posted.id.0);
                *moved.entry(transfer.debit).or_default() -= transfer.amount.minor();
                *moved.entry(transfer.credit).or_default() += transfer.amount.minor();
            }
        }
        for (id, is_decided) in &self.told {
            assert_eq!(decided.contains(id), *is_decided, "{id}: told and done differ");
        }
        let mut all = 0;
        for node in &self.nodes {
            assert_eq!(node.books.crossings().len(), 0);
            for (key, state) in node.books.accounts() {
                assert_eq!((state.pending_credit_minor, state.pending_debit_minor), (0, 0));
                let is_liability = key.name.account_type() == AccountType::Liability;
                all += if is_liability { 1 } else { -1 } * state.posted.minor();
                if key.name == AccountName::ShardClearing {
                    continue;
                }
                let own = node.own_minor(&key);
                let moved = moved.get(&key).copied().unwrap_or(0);
                let moved = if is_liability { moved } else { -moved };
                assert_eq!(state.posted.minor(), own + moved, "{key}");
            }
        }
        assert_eq!(all, 0, "money came or went");
    }
}

pub(super) fn interleaving() -> impl Strategy<Value = Vec<(u8, u8, u8)>> {
    vec(any::<(u8, u8, u8)>(), 1..250)
}

proptest! {
    #[test]
    fn whatever_a_shard_is_told_in_whatever_order_it_is_the_plain_shard(
        commands in vec((any::<u8>(), vec(0..24_u8, 1..4), any::<u8>()), 1..80)
    ) {
        let mut node = Node::new(1);
        for command in &commands {
            obey(&mut node, command);
        }
        node.restart();
    }

    #[test]
    fn whatever_is_late_repeated_or_lost_each_transfer_is_whole_or_undone(actions in interleaving()) {
        let mut world = World::new();
        for action in actions {
            world.act(action);
        }
        world.come_to_rest();
    }
}

#[test]
fn the_interleavings_come_to_every_outcome_often() {
    let mut said: BTreeMap<&str, u32> = BTreeMap::new();
    let mut runner = TestRunner::deterministic();
    for _ in 0..60 {
        let mut world = World::new();
        let actions = interleaving().new_tree(&mut runner).unwrap().current();
        for action in actions {
            world.act(action);
        }
        world.come_to_rest();
        for (word, count) in world.said {
            *said.entry(word).or_default() += count;
        }
    }
    for word in [
        "decided",
        "aborted",
        "insufficient_funds",
        "account_limit_exceeded",
        "other side refuses",
        "too late",
        "decided before",
        "nobody waits",
    ] {
        let count = said.get(word).copied().unwrap_or(0);
        assert!(count >= 20, "{word}: {said:?}");
    }
}
