//! Owns where PostgreSQL's programs are, and who may run its server.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::ground::{Account, install, may_install};
use anyhow::{Context, Result};

/// Everything that is called here; where `initdb` is, the others usually are.
const PROGRAMS: [&str; 8] = [
    "initdb",
    "postgres",
    "pg_ctl",
    "pg_isready",
    "createdb",
    "dropdb",
    "pg_basebackup",
    "psql",
];
/// Debian's package that has them.
const PACKAGE: &str = "postgresql";
/// Where a server's programs are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    programs: PathBuf,
}

impl Installation {
    /// The newest one of Debian's folders, or else the one in the search path.
    pub fn find() -> Result<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        Self::find_in(Path::new("/usr/lib/postgresql"), &path)
    }

    /// The same. As root on Debian, what is missing is installed, and said.
    pub fn find_or_install() -> Result<Self> {
        let found = Self::find();
        if found.is_ok() || !may_install() {
            return found;
        }
        install(PACKAGE)?;
        Self::find()
    }

    fn find_in(debian: &Path, path: &OsStr) -> Result<Self> {
        let versions = fs::read_dir(debian)
            .map(|entries| entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()))
            .map(newest_first)
            .unwrap_or_default();
        let installed = versions.iter().map(|version| debian.join(version).join("bin"));
        installed
            .chain(std::env::split_paths(path))
            .find(|folder| PROGRAMS.iter().all(|program| folder.join(program).is_file()))
            .map(|programs| Self { programs })
            .with_context(|| {
                format!(
                    "no PostgreSQL server is installed: neither {}/*/bin nor the search path has {}. \
                     On Debian and Ubuntu: apt-get install postgresql",
                    debian.display(),
                    PROGRAMS.join(", ")
                )
            })
    }

    pub(crate) fn call(&self, program: &str, runs_as: Option<&Account>, folder: &Path) -> Command {
        let mut command = Command::new(self.programs.join(program));
        for (name, _) in std::env::vars_os() {
            // Settings of whoever calls are for other servers.
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        if let Some(account) = runs_as {
            account.runs(&mut command);
        }
        command.current_dir(folder).stdin(Stdio::null());
        command
    }
}

/// Versions by their number, the newest first; what is no version is left out.
fn newest_first(names: impl Iterator<Item = String>) -> Vec<String> {
    let number = |name: &str| -> Option<Vec<u32>> { name.split('.').map(|part| part.parse().ok()).collect() };
    let mut versions: Vec<(Vec<u32>, String)> =
        names.filter_map(|name| Some((number(&name)?, name))).collect();
    versions.sort_unstable();
    versions.into_iter().rev().map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_number_and_not_by_letter() {
        let names = ["9.6", "17", "common", "9.10", "15"].map(str::to_owned);
        assert_eq!(newest_first(names.into_iter()), ["17", "15", "9.10", "9.6"]);
    }

    #[test]
    fn the_newest_whole_installation_is_found_and_a_missing_one_says_what_to_install() {
        let debian = std::env::temp_dir().join(format!("florin-postgres-{}", std::process::id()));
        let install = |version: &str, programs: &[&str]| {
            let folder = debian.join(version).join("bin");
            fs::create_dir_all(&folder).unwrap();
            for program in programs {
                fs::write(folder.join(program), "").unwrap();
            }
        };
        let found = |path: &Path| Installation::find_in(&debian, path.as_os_str());
        let missing = found(Path::new("")).unwrap_err().to_string();
        // Only clients, without a server.
        install("17", &["pg_isready"]);
        install("9.6", &PROGRAMS);
        install("15", &PROGRAMS);
        let newest = found(Path::new("")).unwrap().programs;
        let elsewhere = Installation::find_in(&debian.join("none"), debian.join("9.6/bin").as_os_str());
        fs::remove_dir_all(&debian).unwrap();
        assert!(missing.contains("apt-get install postgresql"), "{missing}");
        assert_eq!(newest, debian.join("15/bin"));
        assert_eq!(elsewhere.unwrap().programs, debian.join("9.6/bin"));
    }
}
