//! Calls and attributes the product does not contain, with what to write instead.

use super::Finding;
use super::source::Source;

#[derive(Debug)]
struct Ban {
    needle: &'static str,
    tests_may: bool,
    fix: &'static str,
}

const BANS: &[Ban] = &[
    Ban {
        needle: "todo!(",
        tests_may: false,
        fix: "write it, or answer with a named refusal",
    },
    Ban {
        needle: "unimplemented!(",
        tests_may: false,
        fix: "write it, or answer with a named refusal",
    },
    Ban {
        needle: "#[ignore",
        tests_may: false,
        fix: "a test runs or is deleted; long runs go behind `cargo xtask nightly`",
    },
    Ban {
        needle: "#[allow(",
        tests_may: false,
        fix: "use `#[expect(lint, reason = \"...\")]`",
    },
    Ban {
        needle: "#![allow(",
        tests_may: false,
        fix: "use `#![expect(lint, reason = \"...\")]`",
    },
    Ban {
        needle: "unbounded_channel",
        tests_may: true,
        fix: "every queue has a bound: use a channel with a capacity",
    },
    Ban {
        needle: "mpsc::channel()",
        tests_may: true,
        fix: "this channel has no bound: use `sync_channel` with a capacity",
    },
];

/// In comments as well; split so that this file does not find itself.
const FIX_ME: &str = concat!("FIX", "ME");

pub(super) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for ban in BANS {
        for offset in source.find(ban.needle) {
            if !(ban.tests_may && source.is_test(offset)) {
                let what = format!("`{}`: {}", ban.needle, ban.fix);
                findings.push(Finding::new(&source.path, source.line(offset), what));
            }
        }
    }
    for (index, line) in source.text.lines().enumerate() {
        if line.contains(FIX_ME) {
            let what = format!("`{FIX_ME}`: repair it now, or write `TODO(#number)` with its issue");
            findings.push(Finding::new(&source.path, index + 1, what));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&Source::new(path, text))
            .into_iter()
            .map(|finding| finding.line)
            .collect()
    }

    #[test]
    fn every_ban_is_found_in_product_code() {
        for ban in BANS {
            assert_eq!(
                lines("api/src/a.rs", &format!("\n{}", ban.needle)),
                [2],
                "{}",
                ban.needle
            );
        }
        assert_eq!(lines("api/src/a.rs", &format!("x();\n// {FIX_ME}: later\n")), [2]);
    }

    #[test]
    fn the_same_words_in_comments_and_literals_are_not_code() {
        for ban in BANS {
            let text = format!("// {0}\nlet s = \"{0}\";", ban.needle);
            assert!(lines("api/src/a.rs", &text).is_empty(), "{}", ban.needle);
        }
    }

    #[test]
    fn tests_may_use_an_unbounded_channel_and_nothing_else_from_the_list() {
        for ban in BANS {
            let found = lines("tests/it/a.rs", ban.needle);
            assert_eq!(found.is_empty(), ban.tests_may, "{}", ban.needle);
        }
    }
}
