//! Which files tidy looks at: every UTF-8 file of the checkout outside `.git` and the ignored root folders.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// One file with its path from the root, written with `/`.
#[derive(Clone, Debug)]
pub(super) struct TextFile {
    pub(super) path: String,
    pub(super) text: String,
}

#[cfg(test)]
impl TextFile {
    pub(super) fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            text: text.into(),
        }
    }
}

/// Reads the tree, sorted by path. Walking instead of asking git keeps an unpacked archive checkable.
pub(super) fn read(root: &Path) -> Result<Vec<TextFile>> {
    let ignored = match fs::read_to_string(root.join(".gitignore")) {
        Ok(text) => ignored_names(&text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error).context(".gitignore cannot be read"),
    };
    let mut files = Vec::new();
    walk(root, "", &ignored, &mut files)?;
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

/// The plain `/name` lines of a root `.gitignore`; anything cleverer is looked at rather than skipped.
fn ignored_names(gitignore: &str) -> Vec<String> {
    gitignore
        .lines()
        .filter_map(|line| line.trim().strip_prefix('/'))
        .map(|name| name.trim_end_matches('/').to_owned())
        .filter(|name| !name.is_empty() && !name.contains(['*', '?', '[']))
        .collect()
}

fn walk(folder: &Path, prefix: &str, ignored: &[String], files: &mut Vec<TextFile>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("{} cannot be listed", folder.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("{} cannot be listed", folder.display()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}/{name}")
        };
        if name == ".git" || ignored.contains(&path) {
            continue;
        }
        let kind = entry
            .file_type()
            .with_context(|| format!("{path} has no readable kind"))?;
        if kind.is_dir() {
            walk(&entry.path(), &path, ignored, files)?;
        } else if kind.is_file() {
            let bytes = fs::read(entry.path()).with_context(|| format!("{path} cannot be read"))?;
            // What is not UTF-8 is data, not text.
            if let Ok(text) = String::from_utf8(bytes) {
                files.push(TextFile { path, text });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_root_names_are_taken_from_the_ignore_file() {
        let names = ignored_names("/target\n/florin-data/\n# a comment\n*.log\n/tmp*\n");
        assert_eq!(names, ["target", "florin-data"]);
    }

    #[test]
    fn this_crate_is_read_and_build_output_is_not() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let files = read(root).unwrap();
        assert!(files.iter().any(|file| file.path == "xtask/src/tidy/tree.rs"));
        assert!(
            files
                .iter()
                .all(|file| !file.path.starts_with("target/") && !file.path.starts_with(".git/"))
        );
        assert!(files.is_sorted_by(|one, other| one.path < other.path));
    }
}
