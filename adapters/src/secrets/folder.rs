//! A folder of files, each replaced as a whole: after a crash at any step it is the old one or the new one.

use florin_domain::ids::MerchantId;
use std::fmt;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const SEALED: &str = "sealed";
const UNFINISHED: &str = "new";

/// What is about to happen. A test may refuse it, and thereby end everything there as a crash would.
pub(super) type Steps = Arc<dyn Fn(&'static str) -> io::Result<()> + Send + Sync>;

/// The folder of sealed files.
#[derive(Clone)]
pub(super) struct Folder {
    path: PathBuf,
    steps: Steps,
}

impl fmt::Debug for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Folder")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// What nobody watches.
pub(super) fn unwatched() -> Steps {
    Arc::new(|_| Ok(()))
}

impl Folder {
    pub(super) fn new(path: impl Into<PathBuf>, steps: Steps) -> Self {
        Self {
            path: path.into(),
            steps,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a merchant's file.
    pub(super) fn file(&self, merchant: MerchantId) -> PathBuf {
        self.path.join(format!("{merchant}.{SEALED}"))
    }

    /// Every merchant with a file, in the order of their ids. None if there is no folder yet.
    pub(super) fn merchants(&self) -> io::Result<Vec<MerchantId>> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut merchants = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != SEALED) {
                continue;
            }
            let name = path.file_stem().and_then(|stem| stem.to_str());
            let merchant = name.and_then(|name| MerchantId::parse(name).ok());
            let stranger = || io::Error::other(format!("{} is no merchant's file", path.display()));
            merchants.push(merchant.ok_or_else(stranger)?);
        }
        merchants.sort_unstable();
        Ok(merchants)
    }

    pub(super) fn read(&self, merchant: MerchantId) -> io::Result<Vec<u8>> {
        fs::read(self.file(merchant))
    }

    /// Takes a merchant's file away, durably.
    pub(super) fn remove(&self, merchant: MerchantId) -> io::Result<()> {
        fs::remove_file(self.file(merchant))?;
        sync_folder(&self.path)
    }

    /// Puts these bytes in the place of a merchant's file, for our user only, and makes that durable.
    pub(super) fn replace(&self, merchant: MerchantId, bytes: &[u8]) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.path)?;
        replace(&self.file(merchant), bytes, &self.steps)?;
        // The folder's own name may be new.
        self.path.parent().map_or(Ok(()), sync_folder)
    }
}

/// Puts these bytes in the place of a file, and makes that durable. Whoever could read what was there can read what is there then, and
/// nobody else; what is new is for our user only.
pub(super) fn replace(path: &Path, bytes: &[u8], steps: &Steps) -> io::Result<()> {
    replace_as(path, path, bytes, steps)
}

/// The same with the owner, the group and the mode of another file.
pub(super) fn replace_as(path: &Path, like: &Path, bytes: &[u8], steps: &Steps) -> io::Result<()> {
    let unfinished = path.with_extension(UNFINISHED);
    steps("write")?;
    let like = match fs::metadata(like) {
        Ok(like) => Some(like),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)?;
    if let Some(like) = like
        && let Err(error) = hand_over(&file, &like)
    {
        fs::remove_file(&unfinished)?;
        let why = format!(
            "{} would not belong to whom it belongs now: {error}",
            path.display()
        );
        return Err(io::Error::new(error.kind(), why));
    }
    file.write_all(bytes)?;
    steps("sync")?;
    file.sync_all()?;
    rename(&unfinished, path, steps)
}

/// Gives a file to the owner and the group of another one, with its mode; before anything is in it.
fn hand_over(file: &File, like: &Metadata) -> io::Result<()> {
    let now = file.metadata()?;
    if (now.uid(), now.gid()) != (like.uid(), like.gid()) {
        fchown(file, Some(like.uid()), Some(like.gid()))?;
    }
    file.set_permissions(like.permissions())
}

/// Gives a file the name of another one, which is gone thereby, and makes that durable.
pub(super) fn rename(from: &Path, to: &Path, steps: &Steps) -> io::Result<()> {
    steps("rename")?;
    fs::rename(from, to)?;
    steps("sync the folder")?;
    to.parent().map_or(Ok(()), sync_folder)
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    // A path without a folder is in the present one.
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    File::open(folder)?.sync_all()
}
