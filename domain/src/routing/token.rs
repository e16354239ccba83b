//! Cuts a line of a routing program into words, numbers, texts and signs.

use super::parse::Problem;
use std::fmt;

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    Word(&'a str),
    Number(&'a str),
    Text(String),
    Sign(&'static str),
    End,
}

/// A token and the column it begins in, from 1, counted in characters.
#[derive(Clone, Debug)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind<'a>,
    pub(super) column: u32,
}

/// Longer ones first.
const SIGNS: [&str; 12] = ["->", "<=", ">=", "!=", ":", "(", ")", ",", ".", "<", ">", "="];

/// How much of a word an error repeats.
const SHOWN_CHARS: usize = 40;

impl fmt::Display for Kind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Word(text) | Self::Number(text) => text,
            Self::Text(text) => text.as_str(),
            Self::Sign(sign) => sign,
            Self::End => return f.write_str("the end of the line"),
        };
        let shown: String = text.chars().take(SHOWN_CHARS).collect();
        let more = if shown.len() < text.len() { "..." } else { "" };
        match self {
            Self::Text(_) => write!(f, "\"{shown}{more}\""),
            Self::Word(_) | Self::Number(_) | Self::Sign(_) | Self::End => write!(f, "`{shown}{more}`"),
        }
    }
}

fn is_of_a_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// The tokens of a line, an end behind them; or what is wrong, and in which column.
pub(super) fn tokens(line: &str) -> Result<Vec<Token<'_>>, (u32, Problem)> {
    let mut found = Vec::new();
    let mut rest = line;
    let mut column = 1_u32;
    loop {
        let trimmed = rest.trim_start_matches([' ', '\t', '\r']);
        column = column.saturating_add(width(rest).saturating_sub(width(trimmed)));
        rest = trimmed;
        if rest.is_empty() || rest.starts_with('#') {
            found.push(Token {
                kind: Kind::End,
                column,
            });
            return Ok(found);
        }
        let (kind, taken) = token(rest).map_err(|problem| (column, problem))?;
        found.push(Token { kind, column });
        let (front, behind) = rest.split_at_checked(taken).unwrap_or((rest, ""));
        column = column.saturating_add(width(front));
        rest = behind;
    }
}

fn width(text: &str) -> u32 {
    u32::try_from(text.chars().count()).unwrap_or(u32::MAX)
}

/// The token that `rest` begins with, and how many bytes it takes.
fn token(rest: &str) -> Result<(Kind<'_>, usize), Problem> {
    if let Some(behind) = rest.strip_prefix('"') {
        return text(behind);
    }
    if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
        return Ok((Kind::Sign(sign), sign.len()));
    }
    let bytes = rest.as_bytes();
    // An arrow ends a word: `visa->stripe`.
    let is_inside = |(index, byte): (usize, &u8)| {
        is_of_a_word(*byte) && !bytes.get(index..).is_some_and(|tail| tail.starts_with(b"->"))
    };
    let len = bytes
        .iter()
        .enumerate()
        .take_while(|pair| is_inside(*pair))
        .count();
    let (word, behind) = rest.split_at_checked(len).unwrap_or(("", rest));
    if word.is_empty() || word.starts_with('-') {
        let found = rest.chars().next().unwrap_or(' ');
        return Err(Problem::Unexpected {
            found: format!("`{}`", found.escape_debug()),
            expected: "a word, a number, a text in double quotes or a sign of the language".into(),
        });
    }
    if !word.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok((Kind::Word(word), len));
    }
    let decimals = behind
        .strip_prefix('.')
        .map_or(0, |behind| behind.bytes().take_while(u8::is_ascii_digit).count());
    let len = if decimals == 0 {
        len
    } else {
        len.saturating_add(1).saturating_add(decimals)
    };
    Ok((Kind::Number(rest.get(..len).unwrap_or(word)), len))
}

/// A text up to its closing quote.
fn text<'a>(behind_quote: &str) -> Result<(Kind<'a>, usize), Problem> {
    let mut text = String::new();
    let mut chars = behind_quote.char_indices();
    while let Some((index, char)) = chars.next() {
        match char {
            '"' => return Ok((Kind::Text(text), index.saturating_add(2))),
            '\\' => match chars.next() {
                Some((_, escaped @ ('"' | '\\'))) => text.push(escaped),
                Some((_, other)) => {
                    return Err(Problem::Unexpected {
                        found: format!("`\\{}`", other.escape_debug()),
                        expected: "`\\\"` or `\\\\` behind a backslash in a text".into(),
                    });
                }
                None => break,
            },
            control if control.is_control() => {
                return Err(Problem::Unexpected {
                    found: format!("`{}`", control.escape_debug()),
                    expected: "a text without control characters".into(),
                });
            }
            other => text.push(other),
        }
    }
    Err(Problem::Unexpected {
        found: "a text without an end".into(),
        expected: "a closing `\"` on the same line".into(),
    })
}
