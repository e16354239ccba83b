//! Where documents live, and that every decision record is numbered and listed.

use super::Finding;
use super::tree::TextFile;

const ADR_FOLDER: &str = "docs/adr/";
const ADR_INDEX: &str = "docs/adr/README.md";

pub(super) fn check(files: &[TextFile], crate_folders: &[&str]) -> Vec<Finding> {
    let mut findings = stray_documents(files, crate_folders);
    findings.extend(decision_records(files));
    findings
}

fn stray_documents(files: &[TextFile], crate_folders: &[&str]) -> Vec<Finding> {
    const FIX: &str = "documents live in the root, in docs/, or are a crate's README.md: move it there";
    files
        .iter()
        .filter_map(|file| Some((file, file.path.strip_suffix(".md")?)))
        .filter(|(_, stem)| {
            let crate_readme = stem
                .strip_suffix("/README")
                .is_some_and(|folder| crate_folders.contains(&folder));
            stem.contains('/') && !stem.starts_with("docs/") && !crate_readme
        })
        .map(|(file, _)| Finding::new(&file.path, 1, FIX))
        .collect()
}

fn decision_records(files: &[TextFile]) -> Vec<Finding> {
    let index = files
        .iter()
        .find(|file| file.path == ADR_INDEX)
        .map_or("", |file| file.text.as_str());
    let mut findings = Vec::new();
    let mut expected = 1_u32;
    for file in files {
        let Some(name) = file.path.strip_prefix(ADR_FOLDER) else {
            continue;
        };
        if name == "README.md" || name.contains('/') {
            continue;
        }
        if !index.contains(&format!("({name})")) {
            findings.push(Finding::new(
                &file.path,
                1,
                format!("not listed: add a link to it in {ADR_INDEX}"),
            ));
        }
        match number(name) {
            Some(number) if number == expected => expected += 1,
            Some(number) => {
                let what = format!("numbered {number:04}, but the next free number is {expected:04}");
                findings.push(Finding::new(&file.path, 1, what));
                // One gap is one finding: the records behind it follow on from here.
                expected = number + 1;
            }
            None => findings.push(Finding::new(&file.path, 1, "name it NNNN-what-was-decided.md")),
        }
    }
    for (line, name) in linked_records(index) {
        if !files
            .iter()
            .any(|file| file.path.strip_prefix(ADR_FOLDER) == Some(name))
        {
            findings.push(Finding::new(
                ADR_INDEX,
                line,
                format!("links to `{name}`, which does not exist: remove the row"),
            ));
        }
    }
    findings
}

/// The number of a record called `NNNN-some-words.md`.
fn number(name: &str) -> Option<u32> {
    let (digits, title) = name.strip_suffix(".md")?.split_once('-')?;
    let well_formed =
        digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit()) && !title.is_empty();
    if well_formed { digits.parse().ok() } else { None }
}

fn linked_records(index: &str) -> impl Iterator<Item = (usize, &str)> {
    index.lines().enumerate().flat_map(|(at, line)| {
        line.split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
            .filter(|target| number(target).is_some())
            .map(move |target| (at + 1, target))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<TextFile> = files
            .iter()
            .map(|&(path, text)| TextFile::new(path, text))
            .collect();
        check(&files, &["", "api"])
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn documents_live_in_the_root_in_docs_or_beside_a_crate() {
        let fine = [
            ("README.md", ""),
            ("docs/errors/a.md", ""),
            ("api/README.md", ""),
            ("api/src/a.rs", ""),
        ];
        assert!(paths(&fine).is_empty());
        for stray in ["api/NOTES.md", "api/src/README.md", "tests/plan.md"] {
            assert_eq!(paths(&[(stray, "")]).len(), 1, "{stray}");
        }
    }

    #[test]
    fn records_are_listed_and_numbered_without_gaps() {
        let index = "[1](0001-a.md)\n[2](0002-b.md)\n";
        let good = [
            ("docs/adr/0001-a.md", ""),
            ("docs/adr/0002-b.md", ""),
            ("docs/adr/README.md", index),
        ];
        assert!(paths(&good).is_empty());
        let unlisted = paths(&[("docs/adr/0001-a.md", ""), ("docs/adr/README.md", "")]);
        assert!(
            unlisted.len() == 1 && unlisted[0].contains("not listed"),
            "{unlisted:?}"
        );
        let gap = paths(&[
            ("docs/adr/0002-b.md", ""),
            ("docs/adr/README.md", "[2](0002-b.md)"),
        ]);
        assert!(
            gap.len() == 1 && gap[0].contains("next free number is 0001"),
            "{gap:?}"
        );
        let twice = paths(&[
            ("docs/adr/0001-a.md", ""),
            ("docs/adr/0001-b.md", ""),
            ("docs/adr/README.md", "[a](0001-a.md) [b](0001-b.md)"),
        ]);
        assert!(
            twice.len() == 1 && twice[0].starts_with("docs/adr/0001-b.md:1:"),
            "{twice:?}"
        );
        let nameless = paths(&[
            ("docs/adr/mailbox.md", ""),
            ("docs/adr/README.md", "(mailbox.md)"),
        ]);
        assert!(
            nameless.len() == 1 && nameless[0].contains("NNNN"),
            "{nameless:?}"
        );
    }

    #[test]
    fn a_link_to_a_missing_record_is_found() {
        let found = paths(&[("docs/adr/README.md", "# Index\n[1](0001-gone.md)\n")]);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("docs/adr/README.md:2:"), "{found:?}");
    }
}
