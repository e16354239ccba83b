//! Providers that charge what they have closed, and say so later: in the end a customer has paid once or not at all.

use super::super::Command;
use super::random::Word;
use super::script::{Script, TOTAL_MINOR, operation_id, plan};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::BTreeSet;

/// A provider that closes what it has charged, and says so later.
#[derive(Clone, Copy, Debug)]
enum Lie {
    /// A word about the latest attempt; whether the attempt charges is its coin's.
    Says(Word),
    /// The truth about an attempt that it closed.
    Reveals(u32),
    /// A word about a reversal.
    OfReversal(u32, Word),
    Redrive(&'static str),
    Confirm(&'static str),
    Abandon(u32),
}

fn lies() -> impl Strategy<Value = Lie> {
    let done = Word::Succeeded {
        transaction: 0,
        amount_off_minor: 0,
    };
    let unsure = Word::Unknown {
        with_reference: false,
    };
    let words = vec![
        done,
        Word::Declined,
        Word::Cancelled,
        Word::NotSent,
        Word::Rejected,
        Word::RateLimited,
        unsure,
    ];
    let of_reversals = vec![done, Word::NotSent, Word::RateLimited, Word::Pending, unsure];
    let at = || select(vec!["a", "b"]);
    prop_oneof![
        8 => select(words).prop_map(Lie::Says),
        6 => (1..6_u32).prop_map(Lie::Reveals),
        6 => (1..4_u32, select(of_reversals)).prop_map(|(id, word)| Lie::OfReversal(id, word)),
        4 => at().prop_map(Lie::Redrive),
        3 => at().prop_map(Lie::Confirm),
        1 => (1..4_u32).prop_map(Lie::Abandon),
    ]
}

/// The payment, and what its providers did.
struct Witness {
    script: Script,
    coins: Vec<bool>,
    reversed: BTreeSet<u32>,
}

impl Witness {
    fn charges(&self, number: u32) -> bool {
        self.coins[number as usize % self.coins.len()]
    }

    fn say(&mut self, name: &str, number: u32, word: Word) {
        let operation = operation_id(name);
        let outcome = word.outcome(&self.script, operation, number);
        let command = Command::Record {
            operation,
            number,
            outcome,
            next: Some(plan(
                if number.is_multiple_of(2) { "a" } else { "b" },
                self.script.now,
            )),
            reversal: self.script.next_reversal((operation, number)),
        };
        drop(self.script.decide(command));
    }

    fn latest(&self) -> u32 {
        self.script.state().operations[0].attempts
    }

    fn end(charged: bool) -> Word {
        if charged {
            Word::Succeeded {
                transaction: 0,
                amount_off_minor: 0,
            }
        } else {
            Word::Declined
        }
    }

    fn live(&mut self, lie: Lie) {
        match lie {
            Lie::Says(word) => {
                let number = self.latest();
                let is_truth = matches!(word, Word::Succeeded { .. });
                let word = if is_truth {
                    Self::end(self.charges(number))
                } else {
                    word
                };
                self.say("auth", number, word);
            }
            Lie::Reveals(number) if number <= self.latest() && self.charges(number) => {
                self.say("auth", number, Self::end(true));
            }
            Lie::Reveals(_) => {}
            Lie::OfReversal(id, word) => {
                let name = format!("rev{id}");
                if self.script.state().operation(operation_id(&name)).is_some() {
                    if matches!(word, Word::Succeeded { .. }) {
                        self.reversed.insert(id);
                    }
                    self.say(&name, 1, word);
                }
            }
            Lie::Redrive(at) => drop(self.step(&format!("redrive @{at}"))),
            Lie::Confirm(at) => drop(self.step(&format!("confirm @{at}"))),
            Lie::Abandon(id) => drop(self.step(&format!("void {id}"))),
        }
    }

    fn step(&mut self, step: &str) -> Option<()> {
        let command = self.script.command(step);
        self.script.decide(command).ok().map(drop)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn whatever_providers_close_and_charge_all_the_same_a_customer_pays_once_or_not_at_all(
        coins in vec(any::<bool>(), 1..8), lies in vec(lies(), 0..40)
    ) {
        let script = Script::after("create sale");
        let mut witness = Witness { script, coins, reversed: BTreeSet::new() };
        for lie in lies {
            witness.live(lie);
        }
        // In the end every provider tells the truth.
        // What is declined goes on elsewhere, as long as there are attempts left.
        let mut latest = 0;
        while latest < witness.latest() {
            latest = witness.latest();
            let charges = witness.charges(latest);
            witness.say("auth", latest, Witness::end(charges));
        }
        for number in 1..=latest {
            witness.live(Lie::Reveals(number));
        }
        for id in 1..=latest {
            witness.live(Lie::OfReversal(id, Witness::end(true)));
        }

        let payment = witness.script.state();
        let charged = (1..=latest).filter(|number| witness.charges(*number)).count();
        let net = charged - witness.reversed.len();
        prop_assert!(net <= 1, "{} charges, {} reversals: {:?}", charged, witness.reversed.len(), payment);
        prop_assert_eq!(payment.captured.minor(), TOTAL_MINOR * i128::try_from(net).unwrap());
        prop_assert_eq!(payment.late_minor, 0);
        prop_assert_eq!(payment.unresolved().count(), 0);
    }
}
