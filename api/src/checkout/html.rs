//! HTML while it is written: what comes from elsewhere goes in through one place, which escapes it.

use std::fmt::Write as _;

/// A document, or a part of one.
#[derive(Debug, Default)]
pub(super) struct Html(String);

impl Html {
    /// Adds what is written here, and so is HTML.
    pub(super) fn put(&mut self, html: &'static str) -> &mut Self {
        self.0.push_str(html);
        self
    }

    /// Adds what somebody said: as a text, or between the quotes of an attribute.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        for character in text.chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                // What turns the direction of writing around could show another amount, and controls are nothing to read.
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' => {}
                other if other.is_control() => self.0.push(' '),
                other => self.0.push(other),
            }
        }
        self
    }

    /// Adds a number.
    pub(super) fn number(&mut self, number: u64) -> &mut Self {
        write!(self.0, "{number}").expect("a string takes every text");
        self
    }

    /// Adds a part.
    pub(super) fn part(&mut self, part: &Self) -> &mut Self {
        self.0.push_str(&part.0);
        self
    }

    /// All of it.
    pub(super) fn into_text(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_somebody_said_becomes_html() {
        let mut html = Html::default();
        html.put("<p title=\"")
            .text("\"><script>alert('1')</script>&amp;\u{202e}\n\0")
            .put("\">")
            .number(7);
        assert_eq!(
            html.into_text(),
            "<p title=\"&quot;&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;amp;  \">7"
        );
    }
}
