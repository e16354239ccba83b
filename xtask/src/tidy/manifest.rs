//! The `Cargo.toml` files of the workspace, read down to what the rules ask about.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::Finding;
use super::tree::TextFile;

/// Why a crate needs another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// `[dependencies]` and `[build-dependencies]`, also under `[target]`.
    Product,
    /// `[dev-dependencies]`, also under `[target]`.
    Development,
}

/// One dependency under its real package name, whatever it is renamed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dependency {
    pub(super) package: String,
    pub(super) need: Need,
    pub(super) line: usize,
}

/// One crate of the workspace.
#[derive(Clone, Debug)]
pub(super) struct Manifest {
    pub(super) path: String,
    pub(super) name: String,
    pub(super) dependencies: Vec<Dependency>,
    lints_from_workspace: bool,
}

/// Real package names of `[workspace.dependencies]` entries that rename a package.
type Renames = BTreeMap<String, String>;

impl Manifest {
    /// Reads one manifest; `None` if it declares no package.
    fn parse(path: &str, text: &str, renames: &Renames) -> Result<Option<Self>, Finding> {
        let table = parse_table(path, text)?;
        let Some(name) = table
            .get("package")
            .and_then(|package| package.get("name"))
            .and_then(Value::as_str)
        else {
            return Ok(None);
        };
        let lints_from_workspace = table
            .get("lints")
            .and_then(|lints| lints.get("workspace"))
            .and_then(Value::as_bool)
            == Some(true);
        let mut sections = vec![&table];
        if let Some(Value::Table(targets)) = table.get("target") {
            sections.extend(targets.values().filter_map(Value::as_table));
        }
        let mut dependencies = Vec::new();
        for section in sections {
            for (title, need) in [
                ("dependencies", Need::Product),
                ("build-dependencies", Need::Product),
                ("dev-dependencies", Need::Development),
            ] {
                let Some(entries) = section.get(title).and_then(Value::as_table) else {
                    continue;
                };
                for (key, value) in entries {
                    let package = renamed(value)
                        .or_else(|| renames.get(key).cloned())
                        .unwrap_or_else(|| key.clone());
                    dependencies.push(Dependency {
                        package,
                        need,
                        line: line_of_key(text, title, key),
                    });
                }
            }
        }
        Ok(Some(Self {
            path: path.to_owned(),
            name: name.to_owned(),
            dependencies,
            lints_from_workspace,
        }))
    }

    /// The crate's folder; empty for the root package.
    pub(super) fn folder(&self) -> &str {
        self.path
            .strip_suffix("Cargo.toml")
            .unwrap_or_default()
            .trim_end_matches('/')
    }

    pub(super) fn product_dependencies(&self) -> impl Iterator<Item = &Dependency> {
        self.dependencies
            .iter()
            .filter(|dependency| dependency.need == Need::Product)
    }

    pub(super) fn inherits_lints(&self) -> Option<Finding> {
        (!self.lints_from_workspace).then(|| {
            Finding::new(
                &self.path,
                1,
                "the shared lints are missing: add `[lints]` with `workspace = true`",
            )
        })
    }

    #[cfg(test)]
    pub(super) fn sample(path: &str, text: &str) -> Self {
        Self::parse(path, text, &Renames::new())
            .expect("the sample is TOML")
            .expect("the sample is a package")
    }
}

/// Every crate of the workspace, and what could not be read.
pub(super) fn read_all(files: &[TextFile]) -> (Vec<Manifest>, Vec<Finding>) {
    let renames = files
        .iter()
        .find(|file| file.path == "Cargo.toml")
        .map(workspace_renames)
        .unwrap_or_default();
    let mut manifests = Vec::new();
    let mut findings = Vec::new();
    for file in files
        .iter()
        .filter(|file| file.path.rsplit('/').next() == Some("Cargo.toml"))
    {
        match Manifest::parse(&file.path, &file.text, &renames) {
            Ok(manifest) => manifests.extend(manifest),
            Err(finding) => findings.push(finding),
        }
    }
    (manifests, findings)
}

fn parse_table(path: &str, text: &str) -> Result<Table, Finding> {
    text.parse::<Table>().map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        let line = text.bytes().take(offset).filter(|&byte| byte == b'\n').count() + 1;
        Finding::new(path, line, format!("not readable as TOML: {}", error.message()))
    })
}

/// A root manifest that is not TOML renames nothing; reading it as a manifest reports it.
fn workspace_renames(root: &TextFile) -> Renames {
    let Ok(table) = root.text.parse::<Table>() else {
        return Renames::new();
    };
    table
        .get("workspace")
        .and_then(|workspace| workspace.get("dependencies"))
        .and_then(Value::as_table)
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| renamed(value).map(|package| (key.clone(), package)))
        .collect()
}

fn renamed(value: &Value) -> Option<String> {
    value.get("package").and_then(Value::as_str).map(str::to_owned)
}

/// The line that declares `key` below a header that ends in `title`; 1 if it is written in an unusual way.
fn line_of_key(text: &str, title: &str, key: &str) -> usize {
    let mut inside = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[') {
            let header = header.trim_end_matches(']');
            let parts: Vec<&str> = header
                .split('.')
                .map(|part| part.trim_matches(['"', '\'']))
                .collect();
            inside = parts.last() == Some(&title);
            if parts.last() == Some(&key) && parts.iter().rev().nth(1) == Some(&title) {
                return index + 1;
            }
        } else if inside
            && line
                .split(['=', '.', ' '])
                .next()
                .map(|word| word.trim_matches('"'))
                == Some(key)
        {
            return index + 1;
        }
    }
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(manifest: &Manifest) -> Vec<(&str, Need, usize)> {
        manifest
            .dependencies
            .iter()
            .map(|found| (found.package.as_str(), found.need, found.line))
            .collect()
    }

    #[test]
    fn every_kind_of_dependency_table_is_read_with_its_line() {
        let text = "[package]\nname = \"a\"\n[dependencies]\nractor.workspace = true\ntoml = \"1\"\n\
                    [dev-dependencies]\nhyper = { version = \"1\" }\n[target.'cfg(unix)'.dependencies]\nlibc = \"0.2\"\n\
                    [build-dependencies.cc]\nversion = \"1\"\n";
        let manifest = Manifest::sample("a/Cargo.toml", text);
        let expected = [
            ("ractor", Need::Product, 4),
            ("toml", Need::Product, 5),
            ("cc", Need::Product, 10),
            ("hyper", Need::Development, 7),
            ("libc", Need::Product, 9),
        ];
        assert_eq!(found(&manifest), expected);
        assert_eq!(manifest.folder(), "a");
    }

    #[test]
    fn a_rename_does_not_hide_the_package() {
        let files = [
            TextFile::new(
                "Cargo.toml",
                "[workspace.dependencies]\nweb = { package = \"actix-web\", version = \"4\" }\n",
            ),
            TextFile::new(
                "a/Cargo.toml",
                "[package]\nname = \"a\"\n[dependencies]\nweb.workspace = true\nq = { package = \"rusqlite\" }\n",
            ),
        ];
        let (manifests, findings) = read_all(&files);
        assert!(findings.is_empty(), "{findings:?}");
        let packages: Vec<&str> = manifests[0]
            .dependencies
            .iter()
            .map(|found| found.package.as_str())
            .collect();
        assert_eq!(packages, ["rusqlite", "actix-web"]);
    }

    #[test]
    fn shared_lints_must_be_inherited() {
        assert!(
            Manifest::sample("a/Cargo.toml", "[package]\nname = \"a\"\n")
                .inherits_lints()
                .is_some()
        );
        let inherits = Manifest::sample(
            "a/Cargo.toml",
            "[package]\nname = \"a\"\n[lints]\nworkspace = true\n",
        );
        assert_eq!(inherits.inherits_lints(), None);
    }

    #[test]
    fn broken_toml_is_a_finding_with_its_line() {
        let (manifests, findings) = read_all(&[TextFile::new("a/Cargo.toml", "[package]\nname = \n")]);
        assert!(manifests.is_empty());
        assert_eq!((findings[0].path.as_str(), findings[0].line), ("a/Cargo.toml", 2));
    }
}
