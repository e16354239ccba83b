//! Where the wall clock, the monotonic clock and randomness may be read.

use super::Finding;
use super::source::Source;

const CLOCK_FIX: &str = "time arrives through the clock port (inside domain: as an argument)";
const RANDOM_FIX: &str = "randomness arrives through a port that adapters implement";

/// Areas that are the outside world, or that measure it.
const CLOCK_AREAS: &[&str] = &["adapters", "benches", "benches/load", "sandbox", "tests", "xtask"];
/// Areas that may ask the runtime's clock, which a test can pause.
const TOKIO_CLOCK_AREAS: &[&str] = &["actors", "api", "supervisors"];
const RANDOM_AREAS: &[&str] = &["adapters", "benches/load"];

pub(super) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |offset: usize, what: String| {
        findings.push(Finding::new(&source.path, source.line(offset), what));
    };
    if !clock_is_free(source) {
        for needle in ["SystemTime::now", "UNIX_EPOCH.elapsed"] {
            for offset in source.find(needle).filter(|&offset| !source.is_test(offset)) {
                add(offset, format!("`{needle}`: {CLOCK_FIX}"));
            }
        }
        // Not by whole name, so that `StdInstant::now` is seen too.
        for (offset, _) in source.code.match_indices("Instant::now") {
            let allowed = TOKIO_CLOCK_AREAS.contains(&source.area()) && is_tokio_instant(source, offset);
            if !allowed && !source.is_test(offset) {
                add(
                    offset,
                    format!(
                        "`Instant::now`: {CLOCK_FIX}; tokio's is allowed in {}",
                        TOKIO_CLOCK_AREAS.join(", ")
                    ),
                );
            }
        }
    }
    if !RANDOM_AREAS.contains(&source.area()) {
        for needle in ["rand::", "getrandom"] {
            for offset in source.find(needle) {
                add(offset, format!("`{needle}`: {RANDOM_FIX}"));
            }
        }
    }
    findings
}

fn clock_is_free(source: &Source) -> bool {
    let bench_command = source.path == "src/bench.rs" || source.path.starts_with("src/bench/");
    bench_command || CLOCK_AREAS.contains(&source.area())
}

/// Whether the `Instant` named at `offset` is tokio's: by its own path, or by the file's imports.
fn is_tokio_instant(source: &Source, offset: usize) -> bool {
    let before = &source.code[..offset];
    let start = before
        .rfind(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
        .map_or(0, |at| at + 1);
    match &before[start..] {
        "tokio::time::" => true,
        "" => {
            let imports = source.imports();
            let from = |root: &str| {
                imports
                    .iter()
                    .any(|(_, item)| item.starts_with(root) && names(item, "Instant"))
            };
            from("tokio::") && !from("std::")
        }
        "time::" => source
            .imports()
            .iter()
            .any(|(_, item)| item.starts_with("tokio::") && names(item, "time")),
        _ => false,
    }
}

fn names(import: &str, name: &str) -> bool {
    super::source::word_offsets(import, name).next().is_some()
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
    fn the_wall_clock_is_read_only_outside_the_core() {
        let text = "let now = SystemTime::now();\nlet then = UNIX_EPOCH.elapsed();\n";
        for path in [
            "domain/src/a.rs",
            "actors/src/a.rs",
            "api/src/a.rs",
            "supervisors/src/a.rs",
            "src/serve.rs",
        ] {
            assert_eq!(lines(path, text), [1, 2], "{path}");
        }
        for path in [
            "adapters/src/clock.rs",
            "sandbox/src/a.rs",
            "benches/load/src/a.rs",
            "src/bench.rs",
            "xtask/src/a.rs",
        ] {
            assert!(lines(path, text).is_empty(), "{path}");
        }
    }

    #[test]
    fn tokios_instant_is_told_from_the_one_of_std() {
        let rows: [(&str, &[usize]); 8] = [
            ("use tokio::time::Instant;\nInstant::now();", &[]),
            (
                "use tokio::{sync, time::{Duration, Instant}};\nInstant::now();",
                &[],
            ),
            ("use tokio::time;\ntime::Instant::now();", &[]),
            ("\ntokio::time::Instant::now();", &[]),
            ("use std::time::Instant;\nInstant::now();", &[2]),
            ("\nstd::time::Instant::now();", &[2]),
            ("use std::time::Instant as StdInstant;\nStdInstant::now();", &[2]),
            ("\nInstant::now();", &[2]),
        ];
        for (text, expected) in rows {
            assert_eq!(lines("actors/src/a.rs", text), expected, "{text}");
        }
        assert_eq!(lines("domain/src/a.rs", "tokio::time::Instant::now();"), [1]);
    }

    #[test]
    fn a_test_module_may_look_at_the_clock() {
        let text = "#[cfg(test)]\nmod tests {\n fn f() { std::time::Instant::now(); }\n}\n";
        assert!(lines("actors/src/a.rs", text).is_empty());
    }

    #[test]
    fn randomness_is_drawn_only_in_adapters() {
        assert_eq!(
            lines(
                "actors/src/a.rs",
                "aws_lc_rs::rand::fill(b);\ngetrandom::fill(b);"
            ),
            [1, 2]
        );
        assert!(lines("adapters/src/ids.rs", "aws_lc_rs::rand::fill(b);").is_empty());
        assert!(lines("actors/src/a.rs", "operand::x();").is_empty());
    }
}
