//! What keeps `domain` deterministic: no floats, no unordered maps, no async bodies, no operating system.

use super::Finding;
use super::source::Source;

const BANS: &[(&str, &str)] = &[
    (
        "f64",
        "money and rates are integers or decimals; floats live only in domain/src/risk",
    ),
    (
        "f32",
        "money and rates are integers or decimals; floats live only in domain/src/risk",
    ),
    ("HashMap", "its order differs between runs: use a BTreeMap"),
    ("HashSet", "its order differs between runs: use a BTreeSet"),
    (
        "async fn",
        "domain decides and performs nothing; a port returns a boxed future",
    ),
    (
        "std::time",
        "durations and instants arrive as numbers with their unit in the name",
    ),
    ("std::fs", "files belong to adapters"),
    ("std::env", "configuration arrives as arguments"),
    ("std::net", "sockets belong to adapters"),
];

pub(super) fn check(source: &Source) -> Vec<Finding> {
    if !source.path.starts_with("domain/src/") {
        return Vec::new();
    }
    let floats_allowed = source.path.starts_with("domain/src/risk");
    let mut findings = Vec::new();
    for (needle, fix) in BANS {
        if floats_allowed && matches!(*needle, "f64" | "f32") {
            continue;
        }
        for offset in offsets(source, needle)
            .into_iter()
            .filter(|&offset| !source.is_test(offset))
        {
            findings.push(Finding::new(
                &source.path,
                source.line(offset),
                format!("`{needle}`: {fix}"),
            ));
        }
    }
    findings
}

/// Where `needle` stands, written out or inside a grouped import such as `use std::{fs, fmt}`.
fn offsets(source: &Source, needle: &str) -> Vec<usize> {
    let mut found: Vec<usize> = source.find(needle).collect();
    if let Some(module) = needle.strip_prefix("std::") {
        let grouped = source.imports().into_iter().filter(|(_, item)| {
            item.strip_prefix("std::{")
                .is_some_and(|group| top_level_names(group).any(|name| name == module))
        });
        found.extend(grouped.map(|(offset, _)| offset));
    }
    // A literal such as `0.5f64` has its suffix glued to the number.
    if matches!(needle, "f64" | "f32") {
        let suffixes = source
            .code
            .match_indices(needle)
            .map(|(offset, _)| offset)
            .filter(|&offset| {
                let before = source.code[..offset]
                    .trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '_'));
                let number = &source.code[before.len()..offset];
                number.starts_with(|c: char| c.is_ascii_digit()) && !before.ends_with(char::is_alphanumeric)
            });
        found.extend(suffixes);
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// The first path segment of every entry of an import group, nested groups left out.
fn top_level_names(group: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    group
        .split(move |c: char| {
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            c == ',' && depth == 0
        })
        .map(|entry| {
            entry
                .split("::")
                .next()
                .unwrap_or_default()
                .trim_matches([' ', '}'])
        })
        .map(|entry| entry.split(' ').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        let mut lines: Vec<usize> = check(&Source::new(path, text))
            .into_iter()
            .map(|finding| finding.line)
            .collect();
        lines.sort_unstable();
        lines
    }

    #[test]
    fn every_ban_holds_in_domain_and_nowhere_else() {
        for (needle, _) in BANS {
            let text = format!("\nx {needle} y");
            assert_eq!(lines("domain/src/a.rs", &text), [2], "{needle}");
            assert!(lines("adapters/src/a.rs", &text).is_empty(), "{needle}");
            assert!(
                lines("domain/src/a.rs", &format!("// {needle}")).is_empty(),
                "{needle}"
            );
        }
    }

    #[test]
    fn grouped_imports_hide_nothing() {
        assert_eq!(
            lines(
                "domain/src/a.rs",
                "use std::{fmt, fs};\nuse std::{time::Duration, fmt};\n"
            ),
            [1, 2]
        );
        assert!(
            lines(
                "domain/src/a.rs",
                "use std::{fmt, collections::{BTreeMap, BTreeSet}};\n"
            )
            .is_empty()
        );
    }

    #[test]
    fn a_suffix_on_a_number_is_a_float_too() {
        assert_eq!(
            lines(
                "domain/src/a.rs",
                "let a = 0.5f64;\nlet b = 1_f32;\nlet xf64 = 1;\n"
            ),
            [1, 2]
        );
    }

    #[test]
    fn risk_may_use_floats_and_tests_may_use_anything() {
        assert!(lines("domain/src/risk/score.rs", "f64").is_empty());
        assert_eq!(lines("domain/src/risk/score.rs", "HashMap"), [1]);
        assert!(
            lines(
                "domain/src/money.rs",
                "#[cfg(test)]\nmod tests {\n use std::collections::HashSet;\n}"
            )
            .is_empty()
        );
        assert!(lines("domain/src/money/tests.rs", "HashSet").is_empty());
    }
}
