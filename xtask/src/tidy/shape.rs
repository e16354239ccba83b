//! How a Rust file looks from outside: its name, its length, its first line, its white space.

use super::Finding;
use super::source::Source;

const LINES_MAX: usize = 500;
const ROOT_MAIN_LINES_MAX: usize = 150;

/// Names that say nothing about what is inside.
const BANNED_NAMES: &[&str] = &[
    "utils", "util", "helpers", "helper", "common", "misc", "types", "core",
];

pub(super) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = length(source);
    findings.extend(names(source));
    findings.extend(module_doc(source));
    findings.extend(white_space(source));
    findings
}

fn length(source: &Source) -> Vec<Finding> {
    let lines = source.text.lines().count();
    let (limit, fix) = if source.path == "src/main.rs" {
        (
            ROOT_MAIN_LINES_MAX,
            "main.rs only wires: move the rest into a file per command",
        )
    } else {
        (LINES_MAX, "split the file along its nouns")
    };
    if lines <= limit {
        return Vec::new();
    }
    vec![Finding::new(
        &source.path,
        limit + 1,
        format!("{lines} lines, at most {limit}: {fix}"),
    )]
}

fn names(source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    let stem = source.path.strip_suffix(".rs").unwrap_or(&source.path);
    found.extend(
        stem.split('/')
            .filter(|part| BANNED_NAMES.contains(part))
            .map(|part| (1, part)),
    );
    for banned in BANNED_NAMES {
        let declaration = format!("mod {banned}");
        found.extend(
            source
                .find(&declaration)
                .map(|offset| (source.line(offset), *banned)),
        );
    }
    found
        .into_iter()
        .map(|(line, name)| {
            let what = format!("`{name}` names no noun: call the module by what it owns");
            Finding::new(&source.path, line, what)
        })
        .collect()
}

fn module_doc(source: &Source) -> Option<Finding> {
    (!source.text.starts_with("//!")).then(|| {
        Finding::new(
            &source.path,
            1,
            "start the file with `//!` and one sentence on what it owns",
        )
    })
}

fn white_space(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        if line.ends_with(char::is_whitespace) {
            findings.push(Finding::new(
                &source.path,
                index + 1,
                "white space at the end of the line: remove it",
            ));
        }
        if line.contains('\t') {
            findings.push(Finding::new(
                &source.path,
                index + 1,
                "a tab: use spaces, or `\\t` inside a literal",
            ));
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
    fn a_file_may_have_500_lines_and_the_root_main_150() {
        let text = |lines: usize| format!("//! Doc.\n{}", "x();\n".repeat(lines - 1));
        assert!(lines("api/src/a.rs", &text(500)).is_empty());
        assert_eq!(lines("api/src/a.rs", &text(501)), [501]);
        assert!(lines("src/main.rs", &text(150)).is_empty());
        assert_eq!(lines("src/main.rs", &text(151)), [151]);
    }

    #[test]
    fn names_that_say_nothing_are_found_as_file_folder_and_module() {
        for path in [
            "api/src/utils.rs",
            "domain/src/core/money.rs",
            "tests/it/common/mod.rs",
        ] {
            assert_eq!(lines(path, "//! Doc.\n"), [1], "{path}");
        }
        assert_eq!(
            lines(
                "api/src/a.rs",
                "//! Doc.\npub mod helpers {}\nmod types;\nmod typeset;\n"
            ),
            [2, 3]
        );
    }

    #[test]
    fn a_file_without_its_sentence_is_found() {
        assert_eq!(lines("api/src/a.rs", "use x;\n"), [1]);
        assert_eq!(lines("api/src/a.rs", ""), [1]);
    }

    #[test]
    fn stray_white_space_is_found() {
        assert_eq!(lines("api/src/a.rs", "//! Doc. \nfn f() {\n\tg();\n}\n"), [1, 3]);
    }
}
