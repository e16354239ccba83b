//! The last guard against two payments under one key. Whoever begins a payment has looked its key up and found it free, but another
//! payment may have been put in order under it since: an actor that was given up and still had a commit to send, a request that came
//! again at the wrong moment. The sequencer alone sees both, so the second one is refused here.

use super::ShardState;
use florin_domain::idempotency::KeyDigest;
use florin_domain::ids::{PaymentId, Seq};
use florin_domain::payment::Payment;
use florin_domain::ports::ReadError;
use std::collections::{HashMap, VecDeque};

/// Keys that are remembered beyond those on their way to the disk: some seconds of full load, a few megabytes.
const REMEMBERED_MAX: usize = 65_536;

/// The keys under which payments were put in order lately.
#[derive(Debug)]
pub(super) struct FirstUses {
    by_key: HashMap<KeyDigest, (PaymentId, Seq)>,
    oldest_first: VecDeque<(Seq, KeyDigest)>,
    /// Of commits up to this one nothing is remembered.
    forgotten: Seq,
    remembered_max: usize,
}

impl FirstUses {
    /// Of what follows `head`.
    pub(super) fn behind(head: Seq) -> Self {
        Self::with_room_for(head, REMEMBERED_MAX)
    }

    fn with_room_for(head: Seq, remembered_max: usize) -> Self {
        Self {
            by_key: HashMap::new(),
            oldest_first: VecDeque::new(),
            forgotten: head,
            remembered_max,
        }
    }

    /// A payment was put in order under its key. Keys are forgotten only once the index has them.
    fn note(&mut self, key: KeyDigest, (payment, seq): (PaymentId, Seq), published: Seq) {
        self.by_key.insert(key, (payment, seq));
        self.oldest_first.push_back((seq, key));
        while self.oldest_first.len() > self.remembered_max {
            let Some((seq, key)) = self.oldest_first.pop_front_if(|(seq, _)| *seq <= published) else {
                return;
            };
            self.forgotten = seq;
            // Used again after its retention, it is remembered for its later use.
            if self.by_key.get(&key).is_some_and(|(_, latest)| *latest == seq) {
                self.by_key.remove(&key);
            }
        }
    }

    /// What is remembered of a key that nobody had used up to `missed_behind`.
    fn of(&self, key: KeyDigest, missed_behind: Seq, published: Seq) -> Known {
        match self.by_key.get(&key) {
            Some((payment, seq)) if *seq > published => Known::Used(*payment),
            // The index knows whether the use counts still.
            Some(_) => Known::AskIndex,
            None if missed_behind < self.forgotten => Known::AskIndex,
            None => Known::Free,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Free,
    /// By this payment, whose commit the index does not have yet.
    Used(PaymentId),
    AskIndex,
}

impl ShardState {
    /// Whether the key of a payment that is about to begin belongs to another one. An error says that nobody can tell.
    fn key_is_taken(&self, payment: &Payment, missed_behind: Seq) -> Result<bool, ReadError> {
        let key = payment.spec.key_digest;
        match self.first_uses.of(key, missed_behind, self.context.published()) {
            Known::Free => Ok(false),
            Known::Used(other) => Ok(other != payment.id()),
            Known::AskIndex => {
                let now = self.context.ports.clock.now();
                let owner = self.context.ports.keys.lookup(key, now)?;
                Ok(owner.is_some_and(|owner| owner.payment != payment.id()))
            }
        }
    }

    /// Whether a payment may begin under its key.
    pub(super) fn may_begin(&self, payment: &Payment, missed_behind: Seq) -> bool {
        match self.key_is_taken(payment, missed_behind) {
            Ok(false) => true,
            Ok(true) => {
                tracing::error!(payment = %payment.id(), "a second payment under one key was refused");
                metrics::counter!("florin_alerts_total", "alert" => "second_payment_under_key").increment(1);
                false
            }
            Err(error) => {
                tracing::error!(payment = %payment.id(), %error, "a payment was refused: the key index cannot be read");
                false
            }
        }
    }

    /// A payment was put in order under its key.
    pub(super) fn note_first_use(&mut self, payment: &Payment, seq: Seq) {
        let published = self.context.published();
        self.first_uses
            .note(payment.spec.key_digest, (payment.id(), seq), published);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> KeyDigest {
        KeyDigest([number; 16])
    }

    fn payment(number: u8) -> PaymentId {
        PaymentId::from_bits(u128::from(number))
    }

    #[test]
    fn a_key_is_used_from_the_moment_its_payment_is_in_order() {
        let mut uses = FirstUses::behind(Seq(7));
        assert_eq!(uses.of(key(1), Seq(7), Seq(7)), Known::Free);
        uses.note(key(1), (payment(1), Seq(8)), Seq(7));
        assert_eq!(uses.of(key(1), Seq(7), Seq(7)), Known::Used(payment(1)));
        assert_eq!(uses.of(key(2), Seq(7), Seq(7)), Known::Free);
        // Durable, and shown by the index, which knows how long it counts.
        assert_eq!(uses.of(key(1), Seq(7), Seq(8)), Known::AskIndex);
    }

    #[test]
    fn a_miss_older_than_what_is_remembered_proves_nothing() {
        let mut uses = FirstUses::with_room_for(Seq(7), 2);
        assert_eq!(
            uses.of(key(9), Seq(6), Seq(7)),
            Known::AskIndex,
            "before the start"
        );
        for number in 1..=4 {
            uses.note(
                key(number),
                (payment(number), Seq(7 + u64::from(number))),
                Seq(20),
            );
        }
        assert_eq!((uses.by_key.len(), uses.oldest_first.len()), (2, 2));
        assert_eq!(
            uses.of(key(1), Seq(8), Seq(20)),
            Known::AskIndex,
            "forgotten up to 9"
        );
        assert_eq!(
            uses.of(key(1), Seq(9), Seq(20)),
            Known::Free,
            "missed behind its use"
        );
    }

    #[test]
    fn what_the_index_does_not_have_is_never_forgotten() {
        let mut uses = FirstUses::with_room_for(Seq(0), 2);
        for number in 1..=9 {
            uses.note(key(number), (payment(number), Seq(u64::from(number))), Seq(3));
        }
        assert_eq!(uses.of(key(4), Seq(0), Seq(3)), Known::Used(payment(4)));
        assert_eq!(uses.of(key(3), Seq(3), Seq(3)), Known::Free);
        assert_eq!(uses.of(key(3), Seq(2), Seq(3)), Known::AskIndex);
    }

    #[test]
    fn a_key_used_again_is_remembered_for_its_later_use() {
        let mut uses = FirstUses::with_room_for(Seq(0), 2);
        uses.note(key(1), (payment(1), Seq(1)), Seq(9));
        uses.note(key(1), (payment(2), Seq(2)), Seq(9));
        uses.note(key(3), (payment(3), Seq(3)), Seq(9));
        assert_eq!(uses.of(key(1), Seq(1), Seq(1)), Known::Used(payment(2)));
    }
}
