//! Security codes where they are named, and secrets that begin with a word of their own.

/// A code by itself is any three digits; behind its name it is none by chance.
const CODE_NAMES: [&str; 2] = ["cvc", "security_code"];
/// What may stand between the name and the code: quotes, also escaped, brackets, and their forms in an address.
const BETWEEN: [&str; 14] = [
    "\\", "\"", "'", "]", "[", ":", "=", " ", "%5D", "%5d", "%22", "%3A", "Some(", "(",
];
/// Secrets of endpoints, and API keys. The two published keys of `florin dev` are no secrets, and not as long as one.
const PREFIXES: [&str; 5] = ["whsec_", "sk_test_", "sk_live_", "ok_test_", "ok_live_"];
/// Shorter ones are words of a test.
const SECRET_CHARS_MIN: usize = 20;

pub(crate) fn found(bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for (start, byte) in bytes.iter().enumerate() {
        if !matches!(byte, b'c' | b's' | b'w' | b'o') {
            continue;
        }
        let rest = &bytes[start..];
        for name in CODE_NAMES {
            if rest.strip_prefix(name.as_bytes()).is_some_and(begins_with_code) {
                found.push("a security code is".to_owned());
            }
        }
        for prefix in PREFIXES {
            if rest
                .strip_prefix(prefix.as_bytes())
                .is_some_and(begins_with_secret)
            {
                found.push(format!("a secret {prefix}... is"));
            }
        }
    }
    found
}

fn begins_with_code(mut rest: &[u8]) -> bool {
    let mut is_apart = false;
    while let Some(after) = BETWEEN.iter().find_map(|part| rest.strip_prefix(part.as_bytes())) {
        (rest, is_apart) = (after, true);
    }
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    is_apart && (3..=4).contains(&digits)
}

fn begins_with_secret(rest: &[u8]) -> bool {
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-');
    rest.iter().take_while(is_part).count() >= SECRET_CHARS_MIN
}
