//! Owns where PostgreSQL's programs are, and who may run its server.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

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
        if found.is_ok() || !is_root() || !Path::new("/etc/debian_version").exists() {
            return found;
        }
        eprintln!("no PostgreSQL server is installed; running: apt-get install -y {PACKAGE}");
        for arguments in [
            ["update"].as_slice(),
            &["install", "-y", "--no-install-recommends", PACKAGE],
        ] {
            let mut command = Command::new("apt-get");
            let status = command
                .args(arguments)
                .env("DEBIAN_FRONTEND", "noninteractive")
                .stdin(Stdio::null())
                .status()
                .context("apt-get cannot be started")?;
            if !status.success() {
                bail!("{command:?} ended with {status}");
            }
        }
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
            // Also gives up the groups of root.
            command.uid(account.uid).gid(account.gid);
        }
        command.current_dir(folder).stdin(Stdio::null());
        command
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Versions by their number, the newest first; what is no version is left out.
fn newest_first(names: impl Iterator<Item = String>) -> Vec<String> {
    let number = |name: &str| -> Option<Vec<u32>> { name.split('.').map(|part| part.parse().ok()).collect() };
    let mut versions: Vec<(Vec<u32>, String)> =
        names.filter_map(|name| Some((number(&name)?, name))).collect();
    versions.sort_unstable();
    versions.into_iter().rev().map(|(_, name)| name).collect()
}

/// Whom the server runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    name: String,
    uid: u32,
    gid: u32,
}

impl Account {
    /// None unless this is root, as whom the server refuses to run.
    pub(crate) fn instead_of_root() -> Result<Option<Self>> {
        if !is_root() {
            return Ok(None);
        }
        let all = fs::read_to_string("/etc/passwd").context("/etc/passwd cannot be read")?;
        let account = ["postgres", "nobody"]
            .iter()
            .find_map(|name| Self::read(&all, name));
        account.map(Some).context(
            "PostgreSQL does not run as root, and there is neither an account `postgres` nor `nobody`",
        )
    }

    /// The one of that name in the lines of `/etc/passwd`; never root's.
    fn read(all: &str, name: &str) -> Option<Self> {
        let line = all.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut numbers = line.split(':').skip(2).map(str::parse);
        let (uid, gid) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
        let name = name.to_owned();
        (uid != 0).then_some(Self { name, uid, gid })
    }

    /// Gives it the folder, which it must be able to reach.
    pub(crate) fn owns(&self, folder: &Path) -> Result<()> {
        for above in folder.ancestors().skip(1) {
            let mode = fs::metadata(above)
                .with_context(|| format!("{} cannot be looked at", above.display()))?
                .mode();
            if mode & 0o001 == 0 {
                bail!(
                    "PostgreSQL must run as `{}` instead of root, who may not enter {}: \
                     run this as another user, or in a checkout elsewhere",
                    self.name,
                    above.display()
                );
            }
        }
        std::os::unix::fs::chown(folder, Some(self.uid), Some(self.gid))
            .with_context(|| format!("{} cannot be given to `{}`", folder.display(), self.name))
    }
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

    #[test]
    fn an_account_is_read_by_its_whole_name_and_is_never_root() {
        let all = "root:x:0:0:root:/root:/bin/bash\npostgres2:x:7:8::/:/bin/sh\n\
                   postgres:x:101:104:a,b:/var/lib/postgresql:/bin/bash\nbad:x:many:1::/:\n";
        let found = Account::read(all, "postgres").map(|account| (account.uid, account.gid));
        assert_eq!(found, Some((101, 104)));
        for name in ["root", "nobody", "bad"] {
            assert_eq!(Account::read(all, name), None, "{name}");
        }
    }
}
