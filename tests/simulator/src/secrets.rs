//! Owns the check that no journal has the number of a card in it: of the bytes that it keeps, whatever they mean.

use std::sync::LazyLock;

/// The numbers of the cards behind the test methods that are used here.
const CARD_NUMBERS: &[u64] = &[
    4_242_424_242_424_242,
    5_555_555_555_554_444,
    371_449_635_398_431,
    4_000_000_000_004_954,
];

/// What is looked for.
struct Needles {
    all: Vec<Vec<u8>>,
    /// Which of them have a byte at their first place, one bit for each; and which at their second.
    first: [u16; 256],
    second: [u16; 256],
}

/// A card's number as a record would keep it: its digits; and as an integer, without a sign or with one.
static NEEDLES: LazyLock<Needles> = LazyLock::new(|| {
    let forms = |number: &u64| {
        [
            number.to_string().into_bytes(),
            varint(*number),
            varint(number * 2),
        ]
    };
    let all: Vec<Vec<u8>> = CARD_NUMBERS.iter().flat_map(forms).collect();
    let (mut first, mut second) = ([0; 256], [0; 256]);
    for (number, needle) in all.iter().enumerate() {
        first[usize::from(needle[0])] |= 1_u16 << number;
        second[usize::from(needle[1])] |= 1_u16 << number;
    }
    Needles { all, first, second }
});

/// Seven bits a byte, the lowest first, as records have integers.
fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).unwrap_or(0);
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// Whether the number of a card is in a record.
pub(crate) fn has_card(record: &[u8]) -> bool {
    let needles = &*NEEDLES;
    record.array_windows().enumerate().any(|(place, [one, other])| {
        let begun = needles.first[usize::from(*one)] & needles.second[usize::from(*other)];
        begun != 0
            && needles
                .all
                .iter()
                .any(|needle| record[place..].starts_with(needle))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use florin_adapters::schema::encode;
    use florin_domain::commit::{Body, Commit, PaymentCommit};
    use florin_domain::ids::{PaymentId, Seq, ShardId};
    use florin_domain::money::Amount;
    use florin_domain::payment::Event;
    use florin_domain::time::Timestamp;
    use std::sync::Arc;

    /// A commit as journals keep it; no amount may be as large as the number of a card.
    fn record(prev: u64, description: &str, (key, value): (&str, &str)) -> Vec<u8> {
        let event = Event::Amended {
            amount: Amount::new(4_242).unwrap(),
            method: None,
            description: Some(Arc::from(description)),
            metadata: vec![(Arc::from(key), Arc::from(value))],
        };
        let body = PaymentCommit {
            payment: PaymentId::from_bits(1),
            prev: Seq(prev),
            events: vec![event],
            holds: Vec::new(),
            entry: None,
        };
        let commit = Commit {
            shard: ShardId::FIRST,
            seq: Seq(2),
            at: Timestamp::from_unix_ms(1_700_000_000_000),
            body: Body::Payment(body),
        };
        let mut bytes = Vec::new();
        encode(&commit, &mut bytes);
        bytes
    }

    #[test]
    fn a_number_is_found_in_a_record_as_text_and_as_an_integer() {
        assert!(!has_card(&record(1, "a description", ("a key", "a value"))));
        for number in CARD_NUMBERS {
            let text = format!("card {number}.");
            assert!(has_card(&record(*number, "", ("", ""))), "{number}");
            assert!(has_card(&record(1, &text, ("", ""))), "{number}");
            assert!(has_card(&record(1, "", (&text, ""))), "{number}");
            assert!(has_card(&record(1, "", ("", &text))), "{number}");
        }
    }

    #[test]
    fn a_number_is_found_wherever_it_is_and_in_every_form() {
        for needle in &NEEDLES.all {
            for (before, after) in [("", ""), ("42424", "9"), ("", "x"), ("a card: ", "")] {
                let record = [before.as_bytes(), needle, after.as_bytes()].concat();
                assert!(has_card(&record), "{record:?}");
            }
            assert!(!has_card(&needle[..needle.len() - 1]));
            assert!(!has_card(&needle[1..]));
        }
        assert!(!has_card(b""));
        assert!(!has_card(b"4242 4242 and pm_card_visa"));
    }

    #[test]
    fn integers_are_as_records_have_them() {
        assert_eq!(varint(0), [0]);
        assert_eq!(varint(300), [0xac, 2]);
        assert_eq!(varint(u64::MAX).len(), 10);
    }
}
