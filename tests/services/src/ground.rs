//! Owns the ground that every private server stands on: its package, its folder, the account it runs as, its password and its port.

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Whether what is missing may be installed here: as root, on Debian.
pub(crate) fn may_install() -> bool {
    is_root() && Path::new("/etc/debian_version").exists()
}

/// Installs a package of Debian's, and says so.
pub(crate) fn install(package: &str) -> Result<()> {
    eprintln!("a server is missing; running: apt-get install -y {package}");
    for arguments in [
        ["update"].as_slice(),
        &["install", "-y", "--no-install-recommends", package],
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
    Ok(())
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Whom the server runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    name: String,
    uid: u32,
    gid: u32,
}

impl Account {
    /// The first of these that exists; none unless this is root, as whom no server of ours runs.
    pub(crate) fn instead_of_root(names: &[&str]) -> Result<Option<Self>> {
        if !is_root() {
            return Ok(None);
        }
        let all = fs::read_to_string("/etc/passwd").context("/etc/passwd cannot be read")?;
        let account = names.iter().find_map(|name| Self::read(&all, name));
        account.map(Some).with_context(|| {
            format!(
                "a private server does not run as root, and there is none of the accounts {}",
                names.join(", ")
            )
        })
    }

    /// The one of that name in the lines of `/etc/passwd`; never root's.
    fn read(all: &str, name: &str) -> Option<Self> {
        let line = all.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut numbers = line.split(':').skip(2).map(str::parse);
        let (uid, gid) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
        let name = name.to_owned();
        (uid != 0).then_some(Self { name, uid, gid })
    }

    /// Has the command run as this account, without the groups of root.
    pub(crate) fn runs(&self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }

    /// Gives it the folder, which it must be able to reach.
    pub(crate) fn owns(&self, folder: &Path) -> Result<()> {
        for above in folder.ancestors().skip(1) {
            let mode = fs::metadata(above)
                .with_context(|| format!("{} cannot be looked at", above.display()))?
                .mode();
            if mode & 0o001 == 0 {
                bail!(
                    "a private server must run as `{}` instead of root, who may not enter {}: \
                     run this as another user, or in a checkout elsewhere",
                    self.name,
                    above.display()
                );
            }
        }
        self.gets(folder)
    }

    /// Gives it a file, or a folder that it is known to reach.
    pub(crate) fn gets(&self, path: &Path) -> Result<()> {
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
            .with_context(|| format!("{} cannot be given to `{}`", path.display(), self.name))
    }
}

/// Makes a folder for a server, and says who the server is to be.
pub(crate) fn begin(folder: &Path, accounts: &[&str]) -> Result<(Option<Account>, PathBuf)> {
    let runs_as = Account::instead_of_root(accounts)?;
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let folder = folder
        .canonicalize()
        .with_context(|| format!("{} cannot be found again", folder.display()))?;
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))
        .with_context(|| format!("{} cannot be kept from others", folder.display()))?;
    if let Some(account) = &runs_as {
        account.owns(&folder)?;
    }
    Ok((runs_as, folder))
}

/// Whoever else is on this machine must not get in.
pub(crate) fn password() -> Result<String> {
    let mut bytes = [0; 16];
    fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .context("/dev/urandom cannot be read")?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}

/// Free now; whoever takes it before the server does makes the start fail.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no port is free")?;
    Ok(listener.local_addr().context("a port without a number")?.port())
}

#[cfg(test)]
mod tests {
    use super::{Account, password};

    #[test]
    fn passwords_are_long_and_not_the_same_twice() {
        let (first, second) = (password().unwrap(), password().unwrap());
        assert_eq!(first.len(), 32);
        assert_ne!(first, second);
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
