//! A Rust file prepared for scanning: comments and literals blanked out, test code marked.

use std::path::Path;

/// One Rust file. Offsets and lines of `code` and `text` agree line by line.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: String,
    pub(super) text: String,
    /// The text with every comment, string and character literal replaced by spaces.
    pub(super) code: String,
    /// Byte ranges of `code` that only exist in test builds.
    test_ranges: Vec<(usize, usize)>,
    test_file: bool,
}

impl Source {
    pub(super) fn new(path: &str, text: &str) -> Self {
        let code = blank(text);
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            test_ranges: test_ranges(&code),
            test_file: is_test_file(path),
            code,
        }
    }

    /// The folder that decides which rules hold: a crate's folder, `src` of the root package, `tests`, ...
    pub(super) fn area(&self) -> &str {
        if self.path.starts_with("benches/load/") {
            return "benches/load";
        }
        self.path.split('/').next().unwrap_or_default()
    }

    pub(super) fn is_test(&self, offset: usize) -> bool {
        self.test_file
            || self
                .test_ranges
                .iter()
                .any(|&(start, end)| (start..end).contains(&offset))
    }

    /// The one-based line of an offset in `code`.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.code
            .bytes()
            .take(offset)
            .filter(|&byte| byte == b'\n')
            .count()
            + 1
    }

    /// Offsets where `needle` stands in the code, not as a part of a longer name.
    pub(super) fn find<'a>(&'a self, needle: &'a str) -> impl Iterator<Item = usize> + 'a {
        word_offsets(&self.code, needle)
    }

    /// The `use` items with their offsets, white space removed except between words.
    pub(super) fn imports(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        for start in self.find("use") {
            let rest = &self.code[start + "use".len()..];
            let item: Vec<&str> = rest
                .split(';')
                .next()
                .unwrap_or_default()
                .split_whitespace()
                .collect();
            found.push((start, item.join(" ")));
        }
        found
    }
}

/// Offsets where `needle` stands in `text` with no name character glued to either end.
pub(super) fn word_offsets<'a>(text: &'a str, needle: &'a str) -> impl Iterator<Item = usize> + 'a {
    let open_start = needle.starts_with(is_name_char);
    let open_end = needle.ends_with(is_name_char);
    text.match_indices(needle)
        .map(|(offset, _)| offset)
        .filter(move |&offset| {
            let glued_before = open_start && text[..offset].ends_with(is_name_char);
            let glued_after = open_end && text[offset + needle.len()..].starts_with(is_name_char);
            !glued_before && !glued_after
        })
}

fn is_name_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn is_test_file(path: &str) -> bool {
    let path = Path::new(path);
    let stem = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or_default();
    let in_test_folder = path
        .parent()
        .is_some_and(|folder| folder.iter().any(|part| part == "tests"));
    in_test_folder || stem == "tests" || stem.ends_with("_tests")
}

fn test_ranges(code: &str) -> Vec<(usize, usize)> {
    const MARK: &str = "#[cfg(test)]";
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for (start, _) in code.match_indices(MARK) {
        let body = start + MARK.len();
        let end = match code[body..].find(['{', ';']) {
            Some(at) if code[body + at..].starts_with('{') => block_end(code, body + at),
            Some(at) => body + at + 1,
            None => code.len(),
        };
        ranges.push((start, end));
    }
    ranges
}

/// The offset behind the brace that closes the block opened at `open`.
pub(super) fn block_end(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    code.len()
}

/// Replaces comments and literals by spaces and keeps every line break.
fn blank(text: &str) -> String {
    let mut blanker = Blanker {
        chars: text.chars().collect(),
        at: 0,
        out: String::with_capacity(text.len()),
    };
    blanker.run();
    blanker.out
}

struct Blanker {
    chars: Vec<char>,
    at: usize,
    out: String,
}

impl Blanker {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn keep(&mut self) {
        self.out.extend(self.peek(0));
        self.at += 1;
    }

    fn hide(&mut self, count: usize) {
        for _ in 0..count {
            let Some(c) = self.peek(0) else { return };
            self.out.push(if c == '\n' { '\n' } else { ' ' });
            self.at += 1;
        }
    }

    fn run(&mut self) {
        while let Some(c) = self.peek(0) {
            match (c, self.peek(1)) {
                ('/', Some('/')) => self.line_comment(),
                ('/', Some('*')) => self.block_comment(),
                ('"', _) => self.string(),
                ('r', Some('"' | '#')) => self.raw_string_or_name(),
                ('\'', _) => self.character_or_lifetime(),
                _ => self.keep(),
            }
        }
    }

    fn line_comment(&mut self) {
        while self.peek(0).is_some_and(|c| c != '\n') {
            self.hide(1);
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        while self.peek(0).is_some() {
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => {
                    depth += 1;
                    self.hide(2);
                }
                (Some('*'), Some('/')) => {
                    depth -= 1;
                    self.hide(2);
                    if depth == 0 {
                        return;
                    }
                }
                _ => self.hide(1),
            }
        }
    }

    fn string(&mut self) {
        self.hide(1);
        while let Some(c) = self.peek(0) {
            match c {
                '\\' => self.hide(2),
                '"' => return self.hide(1),
                _ => self.hide(1),
            }
        }
    }

    /// `r"..."` and `r#"..."#` are literals, `r#type` is a name, and the `r` of `for` is neither.
    fn raw_string_or_name(&mut self) {
        let hashes = self.chars[self.at + 1..]
            .iter()
            .take_while(|&&c| c == '#')
            .count();
        let before = |back: usize| {
            self.at
                .checked_sub(back)
                .and_then(|at| self.chars.get(at))
                .copied()
        };
        let prefixed = matches!(before(1), Some('b' | 'c')) && !before(2).is_some_and(is_name_char);
        let starts_here = prefixed || !before(1).is_some_and(is_name_char);
        if !starts_here || self.peek(1 + hashes) != Some('"') {
            return self.keep();
        }
        self.hide(2 + hashes);
        while let Some(c) = self.peek(0) {
            let closes = c == '"' && (1..=hashes).all(|ahead| self.peek(ahead) == Some('#'));
            if closes {
                return self.hide(1 + hashes);
            }
            self.hide(1);
        }
    }

    fn character_or_lifetime(&mut self) {
        if self.peek(1) == Some('\\') {
            self.hide(3);
            while self.peek(0).is_some_and(|c| c != '\'') {
                self.hide(1);
            }
            self.hide(1);
        } else if self.peek(2) == Some('\'') {
            self.hide(3);
        } else {
            self.keep();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_code_is_kept() {
        let rows = [
            ("let a = 1; // gone", "let a = 1;"),
            ("/* a /* b */ c */ fn f() {}", "fn f() {}"),
            (r#"say("it's \" gone") ; x"#, "say( ) ; x"),
            (r##"say(r#"gone " too"#) ; x"##, "say( ) ; x"),
            (r#"say(br"gone") ; for"#, "say(b ) ; for"),
            ("r#type + var\"\"", "r#type + var"),
            (
                r"match c { '\'' => 1, '{' => 2, '\u{1F600}' => 3 }",
                "match c { => 1, => 2, => 3 }",
            ),
            ("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}"),
        ];
        for (text, expected) in rows {
            let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert_eq!(words(&blank(text)), words(expected), "{text}");
        }
    }

    #[test]
    fn blanking_keeps_every_line_where_it_was() {
        let source = Source::new("a.rs", "/*\n\n*/ let s = \"\n\n\";\nInstant::now();");
        let offset = source.find("Instant::now").next().unwrap();
        assert_eq!(source.line(offset), 6);
        assert_eq!(source.code.lines().count(), source.text.lines().count());
    }

    #[test]
    fn only_whole_names_are_found() {
        let source = Source::new("a.rs", "operand::x; rand::y; brand; rand_core; f64x; f64");
        assert_eq!(source.find("rand::").count(), 1);
        assert_eq!(source.find("f64").count(), 1);
    }

    #[test]
    fn test_modules_and_test_files_are_told_from_product_code() {
        let source = Source::new(
            "a/src/b.rs",
            "one();\n#[cfg(test)]\nmod tests {\n fn f() { two() }\n}\nthree();\n",
        );
        let at = |needle: &str| source.is_test(source.code.find(needle).unwrap());
        assert!(!at("one") && at("two") && !at("three"));
        let declared = Source::new("a/src/b.rs", "#[cfg(test)]\nmod tests;\nthree();\n");
        assert!(!declared.is_test(declared.code.find("three").unwrap()));
        for path in [
            "tests/it/main.rs",
            "domain/src/money/tests.rs",
            "api/tests/a.rs",
            "a/src/decide_tests.rs",
        ] {
            assert!(Source::new(path, "x").is_test(0), "{path}");
        }
        for path in [
            "src/main.rs",
            "domain/src/attests.rs",
            "sandbox/src/contests/a.rs",
        ] {
            assert!(!Source::new(path, "x").is_test(0), "{path}");
        }
    }
}
