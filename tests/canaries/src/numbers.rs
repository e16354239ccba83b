//! Card numbers: those that tests, samples and the sandbox know. A test holds the list against every source file that could use another one.

/// Digits in the shortest number that is looked for.
const DIGITS_MIN: usize = 13;

/// Every card number in the tests.
pub const NUMBERS: [&str; 36] = [
    "2223003122003222",
    "3056930009020004",
    "30569309025904",
    "3566002020360505",
    "371449635398431",
    "378282246310005",
    "4000000000000002",
    "4000000000000069",
    "4000000000000101",
    "4000000000000119",
    "4000000000000127",
    "4000000000000259",
    "4000000000000341",
    "4000000000001976",
    "4000000000002685",
    "4000000000003220",
    "4000000000004954",
    "4000000000006975",
    "4000000000009235",
    "4000000000009979",
    "4000000000009987",
    "4000000000009995",
    "4000000000189995",
    "4000002500003155",
    "4000002760003184",
    "4000008400001629",
    "4000056655665556",
    "4100000000000019",
    "4111111111111111",
    "4212345678901237",
    "4222222222222",
    "4242424242424242",
    "5105105105105100",
    "5555555555554444",
    "6011111111111117",
    "6200000000000005",
];

/// Which numbers stand in some bytes.
pub(crate) fn found(bytes: &[u8]) -> Vec<String> {
    let mut found = as_digits(bytes, "");
    for run in runs(bytes, u8::is_ascii_hexdigit, DIGITS_MIN * 2) {
        for start in [0, 1] {
            found.extend(as_digits(&from_hex(&run[start..]), ", in hexadecimal,"));
        }
    }
    for run in runs(bytes, |byte| sextet(*byte).is_some(), DIGITS_MIN.div_ceil(3) * 4) {
        for start in 0..4 {
            found.extend(as_digits(&from_base64(&run[start..]), ", in base64,"));
        }
    }
    found
}

/// Numbers with so many zeros are what a counter makes of an id such as `ch_e4000000000000002`, so they count only where they stand alone.
/// Others count beside anything: in a file of tables, texts stand next to each other.
const ZEROS: &str = "00000000";

fn as_digits(bytes: &[u8], form: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut digits = String::new();
    let mut is_broken = false;
    // Whether a letter stands before the digits.
    let mut is_behind_letter = false;
    let mut last = 0;
    for byte in bytes.iter().copied().chain([0]) {
        if byte.is_ascii_digit() {
            if digits.is_empty() {
                is_behind_letter = is_letter(last);
            }
            digits.push(char::from(byte));
            is_broken = false;
        } else if matches!(byte, b' ' | b'-') && !digits.is_empty() && !is_broken {
            // Grouped, as on the card.
            is_broken = true;
        } else {
            if digits.len() >= DIGITS_MIN {
                let stands_alone = !is_behind_letter && (is_broken || !is_letter(byte));
                let known = NUMBERS.iter().filter(|number| {
                    digits.contains(**number)
                        && (!number.contains(ZEROS) || stands_alone && digits.len() == number.len())
                });
                found
                    .extend(known.map(|number| {
                        format!("the card number ...{}{form} is", &number[number.len() - 4..])
                    }));
            }
            digits.clear();
            is_broken = false;
        }
        last = byte;
    }
    found
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

/// The longest runs of such bytes that are long enough.
fn runs(bytes: &[u8], is_part: impl Fn(&u8) -> bool, min: usize) -> impl Iterator<Item = &[u8]> {
    bytes
        .split(move |byte| !is_part(byte))
        .filter(move |run| run.len() >= min)
}

fn from_hex(text: &[u8]) -> Vec<u8> {
    let value = |byte: u8| char::from(byte).to_digit(16).unwrap_or_default();
    text.chunks_exact(2)
        .map(|pair| u8::try_from(value(pair[0]) * 16 + value(pair[1])).unwrap_or_default())
        .collect()
}

fn from_base64(text: &[u8]) -> Vec<u8> {
    let bits = |chunk: &[u8]| {
        let six = chunk
            .iter()
            .map(|byte| u32::from(sextet(*byte).unwrap_or_default()));
        six.fold(0, |bits, six| bits << 6 | six)
    };
    text.chunks_exact(4)
        .flat_map(|chunk| {
            let [_, first, second, third] = bits(chunk).to_be_bytes();
            [first, second, third]
        })
        .collect()
}

/// In either alphabet.
fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

/// Whether digits could be a card's number: the check digit is right, and some network gives out numbers that begin so.
pub fn is_card_number(digits: &str) -> bool {
    let is_length = (DIGITS_MIN..=19).contains(&digits.len());
    let sum = digits.bytes().rev().enumerate().map(|(place, byte)| {
        let digit = u32::from(byte.wrapping_sub(b'0'));
        let doubled = digit * (1 + u32::from(place % 2 == 1));
        doubled / 10 + doubled % 10
    });
    is_length && digits.starts_with(['2', '3', '4', '5', '6']) && sum.sum::<u32>() % 10 == 0
}
