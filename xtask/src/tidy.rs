//! The rules no compiler checks, one family per file; every finding says where it is and how to fix it.
//!
//! # Layout
//! - `tree`: which files are looked at. `source`: Rust text with comments and literals blanked out.
//! - `manifest`, `arrows`, `fences`: what each `Cargo.toml` may depend on.
//! - `shape`, `calls`, `clocks`, `purity`, `ports`: rules over Rust files.
//! - `paths`, `papers`: rules over every text file and over the documents.

mod arrows;
mod calls;
mod clocks;
mod fences;
mod manifest;
mod papers;
mod paths;
mod ports;
mod purity;
mod shape;
mod source;
mod tree;

use std::fmt;
use std::path::Path;

use anyhow::{Result, bail};

use manifest::Manifest;
use source::Source;
use tree::TextFile;

/// One broken rule: where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    path: String,
    /// One-based.
    line: usize,
    what: String,
}

impl Finding {
    fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            what: what.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// Checks the whole tree, prints every finding, and fails if there is one.
pub(crate) fn run(root: &Path) -> Result<()> {
    let files = tree::read(root)?;
    let findings = check(&files);
    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        bail!("tidy found {} to repair", findings.len());
    }
    println!("tidy: {} files, nothing to report", files.len());
    Ok(())
}

fn check(files: &[TextFile]) -> Vec<Finding> {
    let (manifests, mut findings) = manifest::read_all(files);
    for manifest in &manifests {
        findings.extend(manifest.inherits_lints());
        findings.extend(arrows::check(manifest));
        findings.extend(fences::check(manifest));
    }
    for file in files {
        findings.extend(paths::check(file));
        if is_rust(&file.path) {
            findings.extend(check_rust(&Source::new(&file.path, &file.text)));
        }
    }
    let crate_folders: Vec<&str> = manifests.iter().map(Manifest::folder).collect();
    findings.extend(papers::check(files, &crate_folders));
    findings.sort();
    findings.dedup();
    findings
}

fn is_rust(path: &str) -> bool {
    Path::new(path)
        .extension()
        .is_some_and(|extension| extension == "rs")
}

fn check_rust(source: &Source) -> Vec<Finding> {
    [
        shape::check,
        calls::check,
        clocks::check,
        purity::check,
        ports::check,
    ]
    .iter()
    .flat_map(|rule| rule(source))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_reads_as_path_line_and_fix() {
        let finding = Finding::new("domain/src/money.rs", 7, "no floats here");
        assert_eq!(finding.to_string(), "domain/src/money.rs:7: no floats here");
    }

    #[test]
    fn findings_of_all_families_come_out_sorted_by_path() {
        let files = [
            TextFile::new(
                "Cargo.toml",
                "[workspace]\nmembers = [\"domain\"]\n[package]\nname = \"florin\"\n",
            ),
            TextFile::new(
                "domain/Cargo.toml",
                "[package]\nname = \"florin-domain\"\n[lints]\nworkspace = true\n",
            ),
            TextFile::new("domain/src/lib.rs", "//! Pure.\nfn rate() -> f64 { 0.0 }\n"),
            TextFile::new("notes.txt", "nothing\n"),
            TextFile::new("domain/notes.md", "stray\n"),
        ];
        let found: Vec<(String, usize)> = check(&files)
            .into_iter()
            .map(|finding| (finding.path, finding.line))
            .collect();
        let expected = [
            ("Cargo.toml", 1),
            ("domain/notes.md", 1),
            ("domain/src/lib.rs", 2),
        ];
        assert_eq!(found, expected.map(|(path, line)| (path.to_owned(), line)));
    }
}
