//! No file names a folder of the machine it was written on.

use super::Finding;
use super::tree::TextFile;

/// First parts of absolute paths on the machines this project is built on.
const MACHINE_FOLDERS: &[&str] = &["work", "root", "farm"];

pub(super) fn check(file: &TextFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        if let Some(folder) = MACHINE_FOLDERS.iter().find(|folder| names_folder(line, folder)) {
            let what = format!(
                "an absolute path into `{folder}` of one machine: use a path relative to the checkout"
            );
            findings.push(Finding::new(&file.path, index + 1, what));
        }
    }
    findings
}

/// Whether `line` holds `/folder/` that begins a path, not one inside a longer path or address.
fn names_folder(line: &str, folder: &str) -> bool {
    let needle = format!("/{folder}/");
    line.match_indices(&needle).any(|(offset, _)| {
        let before = line[..offset].chars().next_back();
        !before.is_some_and(|c| c.is_ascii_lowercase() || matches!(c, '.' | '/'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_machine_paths_are_found_and_inner_ones_are_not() {
        for folder in MACHINE_FOLDERS {
            for (before, expected) in [
                ("", 1),
                ("see ", 1),
                ("\"", 1),
                ("=", 1),
                ("docs", 0),
                (".", 0),
                ("https:/", 0),
            ] {
                let file = TextFile::new("docs/a.md", format!("first\n{before}/{folder}/x\n"));
                let lines: Vec<usize> = check(&file).into_iter().map(|finding| finding.line).collect();
                assert_eq!(lines, vec![2; expected], "{before}/{folder}");
            }
        }
    }
}
