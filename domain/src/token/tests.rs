//! Whether a mistyped token is always found out: every change of one character and every swap of two, exhaustively.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "the numbers of a test are small, and an overflow fails it"
)]

use super::*;
use proptest::prelude::*;

fn with(text: &str, at: usize, byte: u8) -> String {
    let mut bytes = text.as_bytes().to_vec();
    bytes[at] = byte;
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_token_is_written_with_prefix_version_random_id_and_checksum() {
    let token = CardToken::draw([1, 2, 3]);
    let text = token.to_string();
    assert_eq!((text.len(), &text[..5]), (4 + 1 + 24 + 4, "tok_1"));
    assert_eq!(CardToken::parse(&text), Ok(token));
    assert_eq!(format!("{token:?}"), "tok_***");
}

#[test]
fn the_generator_is_the_product_of_its_four_factors_and_two_is_a_primitive_root() {
    let mut product = vec![1_u16];
    for root in [2, 4, 8, 16] {
        let mut next = vec![0; product.len() + 1];
        for (place, coefficient) in product.iter().enumerate() {
            next[place] = (next[place] + coefficient) % MODULUS;
            next[place + 1] = (next[place + 1] + MODULUS * MODULUS - coefficient * root) % MODULUS;
        }
        product = next;
    }
    assert_eq!(product[1..], GENERATOR);
    let mut powers = std::collections::BTreeSet::new();
    let mut power = 1;
    for _ in 1..MODULUS {
        power = power * 2 % MODULUS;
        powers.insert(power);
    }
    assert_eq!(
        powers.len(),
        60,
        "the powers of two are all of the numbers but zero"
    );
}

#[test]
fn the_checksum_of_a_token_stays_what_it_was() {
    // Tokens that were given out must be read by every later version.
    assert_eq!(
        CardToken::draw([0, 0, 0]).to_string(),
        "tok_1000000000000000000000000rxhi"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_changed_character_and_every_swap_is_refused(entropy: [u64; 3]) {
        let text = CardToken::draw(entropy).to_string();
        prop_assert!(CardToken::parse(&text).is_ok());
        for at in 0..text.len() {
            for byte in 0x20..0x7f {
                if byte != text.as_bytes()[at] {
                    prop_assert!(CardToken::parse(&with(&text, at, byte)).is_err(), "{text} at {at}");
                }
            }
            for other in at + 1..text.len() {
                let mut bytes = text.as_bytes().to_vec();
                bytes.swap(at, other);
                let swapped = String::from_utf8(bytes).unwrap();
                prop_assert_eq!(CardToken::parse(&swapped).is_ok(), swapped == text, "{} {} {}", text, at, other);
            }
        }
    }

    #[test]
    fn up_to_four_changed_characters_are_refused(
        entropy: [u64; 3],
        changes in prop::collection::btree_map(4_usize..33, 1_usize..61, 1..=4),
    ) {
        let text = CardToken::draw(entropy).to_string();
        let changed = changes.iter().fold(text.clone(), |changed, (at, by)| {
            let digit = ALPHABET.iter().position(|byte| *byte == text.as_bytes()[*at]).unwrap();
            with(&changed, *at, ALPHABET[(digit + by) % 61])
        });
        prop_assert!(CardToken::parse(&changed).is_err());
    }

    #[test]
    fn other_randomness_is_another_token(a: [u64; 3], b: [u64; 3]) {
        let drawn = |bits: u64| (0..8).fold((bits, Vec::new()), |(bits, mut digits), _| {
            digits.push(bits % 61);
            (bits / 61, digits)
        }).1;
        let differ = a.map(drawn) != b.map(drawn);
        prop_assert_eq!(CardToken::draw(a) != CardToken::draw(b), differ);
    }
}
