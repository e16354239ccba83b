//! Clearing accounts that are read one after the other, at any moments, while transfers are carried, late, repeated or lost.

use super::random::{World, interleaving};
use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// A look under way: each shard as it was read, and how many steps it had when it was read and when it was asked, three times.
#[derive(Default)]
struct Look {
    views: Vec<ClearingView>,
    counts: Vec<usize>,
}

impl Look {
    const TURNS: usize = 12;

    /// The next shard's turn.
    fn go_on(&mut self, world: &World) {
        let shards = world.nodes.len();
        let number = self.counts.len() % shards;
        let node = &world.nodes[number];
        if self.counts.len() < shards {
            let key = usd(AccountName::ShardClearing);
            self.views.push(ClearingView {
                shard: ShardId(u16::try_from(number).unwrap()),
                held_minor: vec![(key, node.books.account(&key).posted.minor())],
                open: node.books.crossings().cloned().collect(),
                since: Vec::new(),
                asked: [0; 2],
            });
        }
        self.counts.push(node.steps().count());
    }

    fn end(mut self, world: &World) -> Vec<ClearingView> {
        let shards = world.nodes.len();
        for (number, view) in self.views.iter_mut().enumerate() {
            let [read, first, second, third] = [0, 1, 2, 3].map(|turn| self.counts[turn * shards + number]);
            view.asked = [first - read, second - read];
            let steps = world.nodes[number].steps();
            view.since = steps.skip(read).take(third - read).cloned().collect();
        }
        self.views
    }
}

/// Where the turns of a look are among the actions.
fn turns() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    vec(any::<prop::sample::Index>(), Look::TURNS)
}

fn look(actions: &[(u8, u8, u8)], turns: &[prop::sample::Index]) -> Vec<ClearingView> {
    let mut places: Vec<usize> = turns.iter().map(|turn| turn.index(actions.len())).collect();
    places.sort_unstable();
    let (mut world, mut look) = (World::new(), Look::default());
    for (place, action) in actions.iter().enumerate() {
        for _ in places.iter().filter(|turn| **turn == place) {
            look.go_on(&world);
        }
        world.act(*action);
    }
    look.end(&world)
}

fn net(nets: &Nets) -> i128 {
    assert!(nets.len() <= 1, "{nets:?}");
    nets.values().sum()
}

proptest! {
    #[test]
    fn whatever_is_under_way_explains_what_the_clearing_accounts_come_to_and_nothing_else_is_hidden(
        actions in interleaving(), turns in turns(), lost in -50_i128..50, shard in 0..3_usize
    ) {
        let mut views = look(&actions, &turns);
        prop_assert_eq!(net(&unexplained(&views)), 0, "{:#?}", views);
        views[shard].held_minor[0].1 += lost;
        prop_assert_eq!(net(&unexplained(&views)), lost);
    }
}

#[test]
fn looks_meet_transfers_with_one_half_on_either_side() {
    let mut runner = TestRunner::deterministic();
    let mut signs = [0; 3];
    for _ in 0..300 {
        let actions = interleaving().new_tree(&mut runner).unwrap().current();
        let turns = turns().new_tree(&mut runner).unwrap().current();
        let views = look(&actions, &turns);
        let sum: i128 = views.iter().map(|view| view.held_minor[0].1).sum();
        signs[usize::try_from(sum.signum() + 1).unwrap()] += 1;
    }
    assert!(signs.iter().all(|count| *count >= 10), "{signs:?}");
}
