//! Owns how a valid input is changed: bytes are flipped, cut, repeated and replaced by what troubles readers; texts also word by word.

use std::ops::Range;

/// What inputs are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Bytes,
    Text,
}

/// One way of changing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// One bit.
    Flip,
    /// One byte becomes another one.
    Set,
    /// One byte becomes its neighbour.
    Step,
    /// A length, a count or an amount, as numbers are written in binary.
    Number,
    /// Everything behind a place goes.
    End,
    /// A range goes.
    Cut,
    /// A range comes again, at once.
    Repeat,
    /// A range of another input is put in.
    Insert,
    /// A range of another input is put over this one's.
    Overwrite,
    /// A troublesome word is put in.
    Word,
    /// A token goes.
    DropToken,
    /// A token comes again.
    RepeatToken,
    /// Two tokens change places.
    SwapTokens,
    /// A token becomes a troublesome word.
    TokenToWord,
    /// A token becomes one of another input.
    TakeToken,
}

const OF_BYTES: &[What] = &[
    What::Flip,
    What::Set,
    What::Step,
    What::Number,
    What::End,
    What::Cut,
    What::Repeat,
    What::Insert,
    What::Overwrite,
    What::Word,
];
/// Changes of tokens stand twice: they leave a text well formed more often.
const OF_TEXT: &[What] = &[
    What::Flip,
    What::Set,
    What::Step,
    What::End,
    What::Cut,
    What::Repeat,
    What::Insert,
    What::Overwrite,
    What::Word,
    What::DropToken,
    What::DropToken,
    What::RepeatToken,
    What::RepeatToken,
    What::SwapTokens,
    What::SwapTokens,
    What::TokenToWord,
    What::TokenToWord,
    What::TokenToWord,
    What::TakeToken,
    What::TakeToken,
];

/// Numbers at which readers err.
const NUMBERS: [u64; 16] = [
    0,
    1,
    63,
    64,
    127,
    128,
    255,
    256,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    999_999_999_999,
    1_000_000_000_000,
    i64::MAX.unsigned_abs(),
    u64::MAX,
];

/// Words at which readers of texts err.
const WORDS: [&[u8]; 44] = [
    b"0",
    b"-0",
    b"-1",
    b"+1",
    b"1.0",
    b"1e3",
    b"0.1",
    b"00",
    b"999999999999",
    b"1000000000000",
    b"9223372036854775807",
    b"9223372036854775808",
    b"18446744073709551615",
    b"18446744073709551616",
    b"170141183460469231731687303715884105728",
    b"1e309",
    b"null",
    b"true",
    b"[]",
    b"{}",
    b"\"\"",
    b"\"\\u0000\"",
    b"\"\\ud800\"",
    b"\"\\\"\"",
    b"\"",
    b"\\",
    b",",
    b":",
    b"=",
    b"&",
    b"%",
    b"%00",
    b"%ff",
    b"\0",
    b"\n",
    b"\r\n",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\xc3\xa9",
    b"\xf0\x9f\x92\xb6",
    b"\xe2\x80\xae",
    b"' or 1=1 --",
    b"../../etc/passwd",
    b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
];

/// No input grows beyond this.
const INPUT_BYTES_MAX: usize = 64 << 10;

impl Kind {
    pub(crate) fn changes(self) -> &'static [What] {
        match self {
            Self::Bytes => OF_BYTES,
            Self::Text => OF_TEXT,
        }
    }
}

/// One change, with all that it needs drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    what: What,
    places: [u32; 3],
    number: u64,
}

impl Change {
    pub(crate) fn of((what, places, number): (What, [u32; 3], u64)) -> Self {
        Self { what, places, number }
    }

    pub(crate) fn apply(&self, input: &mut Vec<u8>, donor: &[u8], words: &[Vec<u8>]) {
        let place = self.place(0, input.len());
        match self.what {
            What::Flip => self.at(input, |byte, number| byte ^ (1 << (number % 8))),
            What::Set => self.at(input, |_, number| number.to_le_bytes()[0]),
            What::Step => self.at(input, |byte, number| match number % 2 {
                0 => byte.wrapping_add(1),
                _ => byte.wrapping_sub(1),
            }),
            What::Number => {
                let bytes = self.encoded();
                let over = if self.places[1].is_multiple_of(2) {
                    bytes.len()
                } else {
                    0
                };
                replace(input, place..place + over, &bytes);
            }
            What::End => input.truncate(place),
            What::Cut => replace(input, self.range(input.len()), &[]),
            What::Repeat => {
                let range = self.range(input.len());
                let times = 1 + usize::from(self.number.to_le_bytes()[0] % 8);
                let piece = input[range.clone()].repeat(times);
                replace(input, range.end..range.end, &piece);
            }
            What::Insert => replace(input, place..place, &donor[self.range(donor.len())]),
            What::Overwrite => {
                let piece = &donor[self.range(donor.len())];
                replace(input, place..place + piece.len(), piece);
            }
            What::Word => {
                let word = self.word(words);
                replace(input, place..place, word);
            }
            What::DropToken => {
                if let Some(token) = self.token(0, input) {
                    replace(input, token, &[]);
                }
            }
            What::RepeatToken => {
                if let Some(token) = self.token(0, input) {
                    let times = 1 + usize::from(self.number.to_le_bytes()[0] % 8);
                    let piece = input[token.clone()].repeat(times);
                    replace(input, token.end..token.end, &piece);
                }
            }
            What::SwapTokens => {
                if let (Some(one), Some(other)) = (self.token(0, input), self.token(1, input)) {
                    let (first, second) = if one.start < other.start {
                        (one, other)
                    } else {
                        (other, one)
                    };
                    let (early, late) = (input[first.clone()].to_vec(), input[second.clone()].to_vec());
                    if first.end <= second.start {
                        replace(input, second, &early);
                        replace(input, first, &late);
                    }
                }
            }
            What::TokenToWord => {
                if let Some(token) = self.token(0, input) {
                    replace(input, token, self.word(words));
                }
            }
            What::TakeToken => {
                if let (Some(token), Some(other)) = (self.token(0, input), self.token(1, donor)) {
                    replace(input, token, &donor[other]);
                }
            }
        }
        input.truncate(INPUT_BYTES_MAX);
    }

    /// Somewhere from 0 to `len`.
    fn place(&self, index: usize, len: usize) -> usize {
        self.places[index] as usize % (len + 1)
    }

    /// A range, more often a short one.
    fn range(&self, len: usize) -> Range<usize> {
        let start = self.place(1, len);
        let most = if self.number.is_multiple_of(4) { len } else { 16 };
        let count = self.places[2] as usize % (most + 1);
        start..(start + count).min(len)
    }

    fn at(&self, input: &mut [u8], change: impl Fn(u8, u64) -> u8) {
        let place = self.places[0] as usize;
        if let Some(place) = place.checked_rem(input.len()) {
            input[place] = change(input[place], self.number);
        }
    }

    /// A troublesome number as a varint or in a fixed width, or any number.
    fn encoded(&self) -> Vec<u8> {
        let pick = self.places[2] as usize;
        let number = NUMBERS.get(pick % 24).copied().unwrap_or(self.number);
        let fixed = number.to_le_bytes();
        match (pick / 24) % 6 {
            0 => fixed.to_vec(),
            1 => fixed[..4].to_vec(),
            2 => fixed[..2].to_vec(),
            3 => number.to_be_bytes().to_vec(),
            _ => varint(number),
        }
    }

    fn word<'a>(&self, words: &'a [Vec<u8>]) -> &'a [u8] {
        let own = words.len();
        // The target's own words half of the time.
        let pick = self.places[2] as usize;
        match pick.checked_rem(own).filter(|_| self.number.is_multiple_of(2)) {
            Some(index) => &words[index],
            None => WORDS[pick % WORDS.len()],
        }
    }

    /// One of the tokens, if there are any.
    fn token(&self, index: usize, text: &[u8]) -> Option<Range<usize>> {
        let tokens = tokens(text);
        let place = (self.places[index] as usize).checked_rem(tokens.len())?;
        Some(tokens[place].clone())
    }
}

/// Puts bytes in the place of a range, as far as that is there.
fn replace(input: &mut Vec<u8>, range: Range<usize>, bytes: &[u8]) {
    let end = range.end.min(input.len());
    input.splice(range.start.min(end)..end, bytes.iter().copied());
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
    bytes
}

/// Words, quoted strings whole, and every other character alone, white space left out: near enough to the tokens of JSON, CSV, TOML
/// and query strings.
fn tokens(text: &[u8]) -> Vec<Range<usize>> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte >= 0x80 || b"_.-+".contains(&byte);
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(byte) = text.get(at).copied() {
        let start = at;
        at += 1;
        if byte.is_ascii_whitespace() {
            continue;
        }
        if byte == b'"' {
            while let Some(inner) = text.get(at) {
                at += 1;
                match inner {
                    b'"' => break,
                    b'\\' => at += 1,
                    _ => {}
                }
            }
            at = at.min(text.len());
        } else if is_word(byte) {
            while text.get(at).copied().is_some_and(is_word) {
                at += 1;
            }
        }
        found.push(start..at);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_falls_into_its_words() {
        let cut = |text: &str| -> Vec<String> {
            let of = |range: Range<usize>| text[range].to_owned();
            tokens(text.as_bytes()).into_iter().map(of).collect()
        };
        assert_eq!(
            cut(r#"{"a b": -1.5e3, "q\"x":[]"#),
            ["{", "\"a b\"", ":", "-1.5e3", ",", "\"q\\\"x\"", ":", "[", "]"]
        );
        assert_eq!(
            cut("limit=5&at=x%20"),
            ["limit", "=", "5", "&", "at", "=", "x", "%", "20"]
        );
        assert_eq!(cut("\"open\\"), ["\"open\\"]);
    }

    #[test]
    fn every_change_leaves_an_input_and_some_of_each_kind_change_it() {
        let words = [b"word".to_vec()];
        for what in OF_BYTES.iter().chain(OF_TEXT).copied() {
            let mut has_changed = false;
            for number in 0_u32..200 {
                let drawn = number.wrapping_mul(2_654_435_761);
                let places = [drawn, drawn >> 7, drawn >> 13];
                let change = Change::of((what, places, u64::from(drawn) << 3));
                for seed in [&b""[..], b"{\"a\":1,\"b\":[2,\"c\"]}"] {
                    let mut input = seed.to_vec();
                    change.apply(&mut input, b"{\"d\":7}", &words);
                    has_changed |= input != seed;
                }
            }
            assert!(has_changed, "{what:?}");
        }
    }
}
