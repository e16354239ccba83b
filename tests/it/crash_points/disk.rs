//! Owns what stands between a node and its disk: `disk.c`, loaded before the C library, and the files that it leaves behind.

use crate::preload;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What happens at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing: points are counted.
    None,
    /// The process is killed before the call.
    Kill,
    /// The same, and what was not synced is lost, in part or whole.
    PowerCut,
    /// The same, with a disk that only says that it synced the journal.
    PowerCutAfterLies,
    /// Half of what is written arrives, and the process is killed.
    Torn,
    /// The call fails, once.
    Eio,
    /// The call fails, once, for lack of room.
    Enospc,
    /// From that call on, all fail for lack of room.
    Full,
}

impl Fault {
    pub(crate) const ALL: [(Self, &'static str); 6] = [
        (Self::Kill, "kill"),
        (Self::PowerCut, "powercut"),
        (Self::Torn, "torn"),
        (Self::Eio, "eio"),
        (Self::Enospc, "enospc"),
        (Self::Full, "full"),
    ];

    pub(crate) fn name(self) -> &'static str {
        let named = Self::ALL.into_iter().find(|(fault, _)| *fault == self);
        named.map_or("none", |(_, name)| name)
    }

    fn told_to_the_shim(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Kill | Self::PowerCut | Self::PowerCutAfterLies => "kill",
            Self::Torn => "torn",
            Self::Eio => "EIO",
            Self::Enospc => "ENOSPC",
            Self::Full => "ENOSPC+",
        }
    }

    pub(crate) fn cuts_power(self) -> bool {
        matches!(self, Self::PowerCut | Self::PowerCutAfterLies)
    }

    /// Whether the process ends there by a signal.
    pub(crate) fn kills(self) -> bool {
        matches!(self, Self::Kill | Self::Torn) || self.cuts_power()
    }
}

/// One place in the life of a process at which its disk misbehaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    pub(crate) fault: Fault,
    /// Which calls are counted: `sync`, `write`, `name`.
    pub(crate) calls: &'static str,
    /// Words of which one stands in the paths that are meant; empty for all.
    pub(crate) paths: &'static str,
    /// From 1; 0 for nowhere.
    pub(crate) number: usize,
}

/// The shim and its two files.
#[derive(Debug)]
pub(crate) struct Disk {
    root: PathBuf,
    log: PathBuf,
    lost: PathBuf,
    point: Point,
}

/// The built shim; one of each process of ours.
fn library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| preload::build("crash_points/disk.c"))
}

impl Disk {
    /// For a process on the folder `root`; the shim's own files go into `beside`.
    pub(crate) fn new(root: &Path, beside: &Path, point: Point) -> Self {
        Self {
            root: root.canonicalize().unwrap(),
            log: beside.join("points.log"),
            lost: beside.join("lost.bin"),
            point,
        }
    }

    /// Puts the shim before a command.
    pub(crate) fn stand_before(&self, command: &mut Command) {
        let point = &self.point;
        let keeps_lost = point.fault.cuts_power() || point.fault == Fault::Eio;
        command
            .env("LD_PRELOAD", library())
            .env("DISK_ROOT", &self.root)
            .env("DISK_CALLS", point.calls)
            .env("DISK_PATHS", point.paths)
            .env("DISK_AT", point.number.to_string())
            .env("DISK_FAULT", point.fault.told_to_the_shim())
            .env("DISK_LOG", &self.log);
        if point.fault == Fault::PowerCutAfterLies {
            command.env("DISK_LIES", "journal.db-wal");
        }
        if keeps_lost {
            command.env("DISK_LOST", &self.lost);
        }
    }

    /// The numbered calls so far, each with its path.
    pub(crate) fn calls(&self) -> Vec<String> {
        let told = fs::read_to_string(&self.log).unwrap_or_default();
        let lines = told.lines().filter_map(|line| line.split_once(' '));
        lines.map(|(_, call)| call.to_owned()).collect()
    }

    /// The call at which the fault was to happen, if the process came so far.
    pub(crate) fn met(&self) -> Option<String> {
        self.calls().get(self.point.number.checked_sub(1)?).cloned()
    }

    /// Takes away what was not synced. A power cut loses any part of it: nothing survives at every third point, else what the seed says,
    /// and of what survives sectors may be missing at the end.
    pub(crate) fn lose_unsynced(&self, seed: u64) {
        let Ok(bytes) = fs::read(&self.lost) else {
            return;
        };
        let changes = changes(&bytes);
        for change in changes.iter().rev() {
            change.undo();
        }
        if seed.is_multiple_of(3) {
            return;
        }
        let mut random = Random(seed);
        for change in &changes {
            change.redo(&mut random);
        }
    }
}

/// A change of a file that was never synced.
#[derive(Debug)]
struct Change<'a> {
    path: PathBuf,
    truncates: bool,
    offset: u64,
    old_size: u64,
    old: &'a [u8],
    new: &'a [u8],
}

const SECTOR_BYTES: u64 = 512;

impl Change<'_> {
    /// The file, unless it has been removed.
    fn file(&self) -> Option<File> {
        OpenOptions::new().write(true).open(&self.path).ok()
    }

    fn undo(&self) {
        if let Some(file) = self.file() {
            if self.truncates {
                file.set_len(self.old_size).unwrap();
            }
            file.write_all_at(self.old, self.offset).unwrap();
            file.set_len(self.old_size).unwrap();
        }
    }

    fn redo(&self, random: &mut Random) {
        let fate = random.below(4);
        let Some(file) = self.file().filter(|_| fate != 0) else {
            return;
        };
        if self.truncates {
            file.set_len(self.offset).unwrap();
            return;
        }
        let len = self.new.len() as u64;
        let sectors = len / SECTOR_BYTES;
        let kept = if fate == 1 && sectors > 0 {
            random.below(sectors) * SECTOR_BYTES
        } else {
            len
        };
        let kept = usize::try_from(kept).unwrap();
        file.write_all_at(&self.new[..kept], self.offset).unwrap();
    }
}

fn changes(mut bytes: &[u8]) -> Vec<Change<'_>> {
    let mut changes = Vec::new();
    while !bytes.is_empty() {
        let mut number = || {
            let (head, rest) = bytes
                .split_first_chunk::<8>()
                .expect("the shim writes whole changes");
            bytes = rest;
            u64::from_le_bytes(*head)
        };
        let [path, kind, offset, old_size, old, new] = [(); 6].map(|()| number());
        let mut part = |len: u64| {
            let (part, rest) = bytes.split_at(usize::try_from(len).unwrap());
            bytes = rest;
            part
        };
        changes.push(Change {
            path: String::from_utf8(part(path).to_vec()).unwrap().into(),
            truncates: kind == 1,
            offset,
            old_size,
            old: part(old),
            new: part(new),
        });
    }
    changes
}

/// SplitMix64.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// Writes, syncs, writes twice more, and says whether the sync went well.
const WRITER: &str = r#"
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
int main(void) {
    int file = open("f", O_CREAT | O_RDWR, 0600);
    write(file, "1111", 4);
    if (fsync(file)) perror("fsync");
    if (write(file, "2222", 4) < 0) perror("second");
    if (write(file, "3333", 4) < 0) perror("third");
    rename("f", "g");
    rename("g", "f");
    return 0;
}
"#;

#[test]
fn the_shim_numbers_calls_ends_processes_and_takes_away_what_was_not_synced() {
    let folder = tempfile::tempdir().unwrap();
    let (source, writer) = (folder.path().join("writer.c"), folder.path().join("writer"));
    fs::write(&source, WRITER).unwrap();
    let built = Command::new("cc").arg(&source).arg("-o").arg(&writer).status();
    assert!(built.unwrap().success());
    let root = folder.path().join("root");
    let meet = |fault, number| {
        drop(fs::remove_dir_all(&root));
        drop(fs::remove_file(folder.path().join("points.log")));
        fs::create_dir(&root).unwrap();
        let point = Point {
            fault,
            calls: "sync,write",
            paths: "",
            number,
        };
        let disk = Disk::new(&root, folder.path(), point);
        let mut command = Command::new(&writer);
        disk.stand_before(command.current_dir(&root));
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (disk, output.status.code(), said)
    };
    let has = || fs::read_to_string(root.join("f")).unwrap();
    let (disk, code, _) = meet(Fault::None, 0);
    assert_eq!(code, Some(0));
    assert_eq!(disk.calls(), ["write f", "fsync f", "write f", "write f"]);
    let (disk, code, _) = meet(Fault::PowerCut, 4);
    assert_eq!((code, disk.met().as_deref()), (None, Some("write f")));
    assert_eq!(has(), "11112222");
    disk.lose_unsynced(3);
    assert_eq!(has(), "1111", "only the first block was synced");
    let (_, code, _) = meet(Fault::Torn, 3);
    assert_eq!((code, has().as_str()), (None, "111122"));
    let (disk, code, said) = meet(Fault::Eio, 2);
    assert_eq!((code, said.as_str()), (Some(0), "fsync: Input/output error\n"));
    disk.lose_unsynced(3);
    assert!(!has().starts_with('1'), "a sync that failed has kept nothing");
    let (_, _, said) = meet(Fault::Full, 3);
    assert_eq!(
        said,
        "second: No space left on device\nthird: No space left on device\n"
    );
}
