//! Comma-separated values as RFC 4180 has them, safe to open in a spreadsheet.

use std::fmt::{Display, Write};

/// What a spreadsheet takes for the start of a formula.
const FORMULA_STARTS: [char; 7] = ['=', '+', '-', '@', '\t', '\r', '\n'];

/// Lines under construction.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    text: String,
    is_in_line: bool,
}

impl Lines {
    fn separate(&mut self) {
        if self.is_in_line {
            self.text.push(',');
        }
        self.is_in_line = true;
    }

    /// A cell that somebody else wrote. What looks like a formula gets an apostrophe, so that no program computes it.
    pub(crate) fn text(&mut self, value: &str) {
        self.separate();
        let is_formula = value.starts_with(FORMULA_STARTS);
        let is_quoted = value.contains([',', '"', '\r', '\n']);
        if is_quoted {
            self.text.push('"');
        }
        if is_formula {
            self.text.push('\'');
        }
        if is_quoted {
            for (index, part) in value.split('"').enumerate() {
                if index > 0 {
                    self.text.push_str("\"\"");
                }
                self.text.push_str(part);
            }
            self.text.push('"');
        } else {
            self.text.push_str(value);
        }
    }

    /// The same such that whoever reads the file can take the apostrophe away again: one that was there before gets one as well.
    pub(crate) fn reversible(&mut self, value: &str) {
        if value.starts_with('\'') {
            self.text(&format!("'{value}"));
        } else {
            self.text(value);
        }
    }

    /// A cell of ours without commas, quotes and line breaks: a number, an id, a fixed word.
    pub(crate) fn plain(&mut self, value: impl Display) {
        self.separate();
        write!(self.text, "{value}").expect("a string takes every text");
    }

    /// An amount: in minor units, and in the next cell as a decimal with the currency's number of places.
    pub(crate) fn amount(&mut self, minor: i128, exponent: u32) {
        self.plain(minor);
        self.separate();
        let sign = if minor < 0 { "-" } else { "" };
        let digits = format!("{:0width$}", minor.unsigned_abs(), width = exponent as usize + 1);
        let (major, fraction) = digits.split_at(digits.len().saturating_sub(exponent as usize));
        let point = if exponent == 0 { "" } else { "." };
        write!(self.text, "{sign}{major}{point}{fraction}").expect("a string takes every text");
    }

    /// A cell that is perhaps empty.
    pub(crate) fn optional(&mut self, value: Option<&str>) {
        self.text(value.unwrap_or_default());
    }

    /// Ends the line.
    pub(crate) fn end(&mut self) {
        self.text.push_str("\r\n");
        self.is_in_line = false;
    }

    /// Everything so far.
    pub(crate) fn into_text(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(value: &str) -> String {
        let mut lines = Lines::default();
        lines.text(value);
        lines.into_text()
    }

    #[test]
    fn text_is_quoted_and_never_a_formula() {
        for (value, written) in [
            ("", ""),
            ("plain text", "plain text"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("=1+1", "'=1+1"),
            ("+49 30", "'+49 30"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("=HYPERLINK(\"x\",\"y\")", "\"'=HYPERLINK(\"\"x\"\",\"\"y\"\")\""),
            ("\r=1", "\"'\r=1\""),
            ("1=1", "1=1"),
        ] {
            assert_eq!(cell(value), written, "{value:?}");
        }
    }

    #[test]
    fn amounts_have_the_places_of_their_currency() {
        for (minor, exponent, written) in [
            (10_000, 2, "10000,100.00"),
            (5, 2, "5,0.05"),
            (0, 2, "0,0.00"),
            (-320, 2, "-320,-3.20"),
            (-5, 2, "-5,-0.05"),
            (500, 0, "500,500"),
            (-7, 0, "-7,-7"),
            (1_234, 3, "1234,1.234"),
            (34, 3, "34,0.034"),
            (12_345, 4, "12345,1.2345"),
        ] {
            let mut lines = Lines::default();
            lines.amount(minor, exponent);
            assert_eq!(lines.into_text(), written);
        }
    }

    /// Reads what RFC 4180 says.
    fn parse(text: &str) -> Vec<Vec<String>> {
        let (mut lines, mut line, mut cell) = (Vec::new(), Vec::new(), String::new());
        let mut is_quoted = false;
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '"' if is_quoted && characters.peek() == Some(&'"') => {
                    characters.next();
                    cell.push('"');
                }
                '"' => is_quoted = !is_quoted,
                ',' if !is_quoted => line.push(std::mem::take(&mut cell)),
                '\r' if !is_quoted => {
                    assert_eq!(characters.next(), Some('\n'));
                    line.push(std::mem::take(&mut cell));
                    lines.push(std::mem::take(&mut line));
                }
                other => cell.push(other),
            }
        }
        assert!(
            !is_quoted && cell.is_empty() && line.is_empty(),
            "the file ends with a line"
        );
        lines
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut values = vec![String::new()];
        for length in 0..3 {
            let longest: Vec<String> = values
                .iter()
                .filter(|v| v.chars().count() == length)
                .cloned()
                .collect();
            for value in longest {
                values.extend(['a', ',', '"', '\r', '\n', '=', 'ü'].map(|last| format!("{value}{last}")));
            }
        }
        assert_eq!(values.len(), 1 + 7 + 49 + 343);
        let rows: Vec<&[String]> = values.chunks(7).collect();
        let mut lines = Lines::default();
        for row in &rows {
            row.iter().for_each(|value| lines.text(value));
            lines.end();
        }
        let safe = |value: &String| {
            if value.starts_with(FORMULA_STARTS) {
                format!("'{value}")
            } else {
                value.clone()
            }
        };
        let expected: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(safe).collect()).collect();
        assert_eq!(parse(&lines.into_text()), expected);
    }
}
