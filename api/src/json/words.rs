//! What is wrong with a body, in words of JSON. The parser's errors are texts and nothing else, made for whoever wrote the
//! program; here they are taken apart, and what is not known of them is not repeated.

/// Characters of a body's own text that a message repeats.
const ECHO_CHARS_MAX: usize = 200;

/// Of a name or place that the body gave.
pub(super) fn shortened(text: &str) -> String {
    if text.chars().nth(ECHO_CHARS_MAX).is_none() {
        return text.to_owned();
    }
    text.chars().take(ECHO_CHARS_MAX).chain(['.', '.', '.']).collect()
}

/// The parser's text without the place in the body, which it puts at the end.
pub(super) fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    match text.strip_suffix(place.as_str()) {
        Some(text) => text.to_owned(),
        None => text,
    }
}

/// Where the body stops being JSON, and why.
pub(super) fn malformed(error: &serde_json::Error, param: Option<&str>) -> String {
    let why = why_malformed(&without_place(error));
    let (line, column) = (error.line(), error.column());
    match param {
        None => format!("The body is not valid JSON at line {line}, column {column}: {why}."),
        Some(param) => {
            format!("The body is not valid JSON at line {line}, column {column}, in `{param}`: {why}.")
        }
    }
}

fn why_malformed(text: &str) -> &'static str {
    match text {
        "EOF while parsing a list"
        | "EOF while parsing an object"
        | "EOF while parsing a string"
        | "EOF while parsing a value" => "it ends too early",
        "expected `:`" => "a colon is due behind a name",
        "expected `,` or `]`" => "a comma or a closing bracket is due",
        "expected `,` or `}`" => "a comma or a closing brace is due",
        "expected ident" | "expected value" => "a value is due",
        "expected `\"`" | "key must be a string" => "a name in double quotes is due",
        "invalid escape" | "unexpected end of hex escape" | "lone leading surrogate in hex escape" => {
            "an escape in a string is not one of JSON's"
        }
        "invalid number" => "a number is not written as JSON writes it",
        "number out of range" => "a number is too large to be read",
        "invalid unicode code point" => "a string is not UTF-8",
        "trailing comma" => "a comma is followed by nothing",
        "trailing characters" => "something follows its end",
        "recursion limit exceeded" => "it is nested too deeply",
        _ if text.starts_with("control character") => {
            "a string holds a control character, which must be escaped"
        }
        _ => "it breaks JSON's rules",
    }
}

/// What must be at a place, and what is there instead.
pub(super) fn misfit(subject: &str, text: &str) -> String {
    let wrong = text
        .strip_prefix("invalid type: ")
        .or_else(|| text.strip_prefix("invalid value: "));
    let Some((came, due)) = wrong.and_then(|rest| rest.rsplit_once(", expected ")) else {
        // What is left is said by visitors of ours, as the rest of a sentence.
        return match text.strip_prefix(OURS) {
            Some(said) => format!("{subject} {}.", shortened(said)),
            None => format!("{subject} has a value that it cannot have."),
        };
    };
    match (due_in_words(due), came_in_words(came)) {
        (Some(due), Some(came)) => format!("{subject} must be {due}; {came} was sent."),
        (Some(due), None) => format!("{subject} must be {due}."),
        (None, _) => format!("{subject} has a value that it cannot have."),
    }
}

/// What texts of our own visitors start with, so that they are told from the parser's.
pub(super) const OURS: &str = "\u{1}";

/// What our own visitors expect, and what the parser's do.
fn due_in_words(due: &str) -> Option<&str> {
    match due {
        "a boolean" => Some("`true` or `false`"),
        "f64" => Some("a number"),
        "a sequence" => Some("a list of strings"),
        super::OBJECT
        | super::ARRAY
        | super::STRING
        | super::INTEGER
        | super::STRINGS
        | super::NUMBERS
        | super::INTEGERS => Some(due),
        _ => None,
    }
}

/// Only the kind: the value may be a card's number in the wrong place.
fn came_in_words(came: &str) -> Option<&'static str> {
    let kinds = [
        ("null", "`null`"),
        ("boolean", "a boolean"),
        ("integer", "a number"),
        ("floating point", "a number with a fraction or an exponent"),
        ("string", "a string"),
        ("map", "an object"),
        ("sequence", "a list"),
    ];
    kinds
        .iter()
        .find(|(kind, _)| came.starts_with(kind))
        .map(|(_, words)| *words)
}
