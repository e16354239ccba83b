//! CPU time of this process, by thread, from `/proc/self/task`.
//!
//! A thread's scheduler statistics count nanoseconds on a core; the ticks of `/proc/self/stat` (10 ms) are too
//! coarse for one thread of a short run, but they are the only figure that still knows threads that have ended.
//! Over loopback the kernel does the receiver's TCP work on the sender's time, so a share of what delivering
//! costs is booked to whoever writes. Elsewhere than on Linux every function here answers an error.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

/// Nanoseconds in one tick of `/proc/*/stat`; the kernel fixes the unit it shows at 100 per second.
const TICK_NS: u64 = 10_000_000;

/// CPU time of the calling thread, in nanoseconds.
pub fn thread_cpu_ns() -> io::Result<u64> {
    parse_schedstat(&fs::read_to_string("/proc/thread-self/schedstat")?)
}

/// CPU time of the process in nanoseconds, ended threads included, in steps of 10 ms.
pub fn process_cpu_ns() -> io::Result<u64> {
    parse_stat(&fs::read_to_string("/proc/self/stat")?)
}

/// What every living thread had used at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CpuSnapshot {
    threads: BTreeMap<u32, ThreadCpu>,
}

/// One thread's name (the kernel keeps 15 bytes of it) and CPU time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThreadCpu {
    pub name: String,
    pub cpu_ns: u64,
}

impl CpuSnapshot {
    /// Reads all threads of this process.
    pub fn take() -> io::Result<Self> {
        Self::take_under(Path::new("/proc/self/task"))
    }

    fn take_under(tasks: &Path) -> io::Result<Self> {
        let mut threads = BTreeMap::new();
        for entry in fs::read_dir(tasks)? {
            let entry = entry?;
            let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let read = |file: &str| fs::read_to_string(entry.path().join(file));
            // A thread may end between being listed and being read.
            let (Ok(name), Ok(schedstat)) = (read("comm"), read("schedstat")) else {
                continue;
            };
            let cpu_ns = parse_schedstat(&schedstat)?;
            threads.insert(
                id,
                ThreadCpu {
                    name: name.trim_end().to_owned(),
                    cpu_ns,
                },
            );
        }
        Ok(Self { threads })
    }

    /// What each thread of this snapshot used since `earlier`; one that is new counts from its start.
    pub fn since(&self, earlier: &Self) -> CpuUse {
        let used = |(id, now): (&u32, &ThreadCpu)| {
            // A smaller figure is another thread under a reused id.
            let before = earlier.threads.get(id).map_or(0, |before| before.cpu_ns);
            let cpu_ns = now.cpu_ns.checked_sub(before).unwrap_or(now.cpu_ns);
            ThreadCpu {
                name: now.name.clone(),
                cpu_ns,
            }
        };
        CpuUse {
            threads: self.threads.iter().map(used).collect(),
        }
    }
}

/// CPU time used between two snapshots by the threads alive at the second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuUse {
    threads: Vec<ThreadCpu>,
}

impl CpuUse {
    /// All threads together.
    pub fn total_ns(&self) -> u64 {
        self.sum_ns(|_| true)
    }

    /// The threads whose name starts with `prefix`.
    pub fn named_ns(&self, prefix: &str) -> u64 {
        self.sum_ns(|name| name.starts_with(prefix))
    }

    /// The threads whose name does not start with `prefix`.
    pub fn others_ns(&self, prefix: &str) -> u64 {
        self.sum_ns(|name| !name.starts_with(prefix))
    }

    /// Sums by name without trailing digits, busiest first: `worker-0` and `worker-1` are one group.
    pub fn groups(&self) -> Vec<ThreadCpu> {
        let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
        for thread in &self.threads {
            let group = thread.name.trim_end_matches(|last: char| last.is_ascii_digit());
            *sums.entry(group).or_default() += thread.cpu_ns;
        }
        let mut groups: Vec<ThreadCpu> = sums
            .into_iter()
            .map(|(name, cpu_ns)| ThreadCpu {
                name: name.to_owned(),
                cpu_ns,
            })
            .collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.cpu_ns));
        groups
    }

    fn sum_ns(&self, wanted: impl Fn(&str) -> bool) -> u64 {
        self.threads
            .iter()
            .filter(|thread| wanted(&thread.name))
            .map(|thread| thread.cpu_ns)
            .sum()
    }
}

/// The first field: nanoseconds on a core.
fn parse_schedstat(text: &str) -> io::Result<u64> {
    text.split_ascii_whitespace()
        .next()
        .and_then(|field| field.parse().ok())
        .ok_or_else(|| malformed("schedstat"))
}

/// User and system ticks, the 14th and 15th field; the second, the command, may hold anything, so fields are
/// counted from its closing parenthesis.
fn parse_stat(text: &str) -> io::Result<u64> {
    let mut fields = text
        .rsplit_once(')')
        .map_or("", |(_, rest)| rest)
        .split_ascii_whitespace()
        .skip(11);
    let mut ticks = || fields.next().and_then(|field| field.parse::<u64>().ok());
    match (ticks(), ticks()) {
        (Some(user), Some(system)) => Ok((user + system) * TICK_NS),
        _ => Err(malformed("stat")),
    }
}

fn malformed(file: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("malformed {file}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(threads: &[(u32, &str, u64)]) -> CpuSnapshot {
        let thread = |&(id, name, cpu_ns): &(u32, &str, u64)| {
            (
                id,
                ThreadCpu {
                    name: name.to_owned(),
                    cpu_ns,
                },
            )
        };
        CpuSnapshot {
            threads: threads.iter().map(thread).collect(),
        }
    }

    #[test]
    fn kernel_files_are_read_by_field() {
        assert_eq!(parse_schedstat("351082923 756392 86\n").unwrap(), 351_082_923);
        assert!(parse_schedstat("").is_err());
        let stat = "7 (a) (b c)) R 1 2 3 4 -1 4194304 2850 6592 13 1 32 2 3 1 20 0 1 0 179101";
        assert_eq!(parse_stat(stat).unwrap(), 340_000_000);
        assert!(parse_stat("7 (x) R 1 2").is_err());
    }

    #[test]
    fn use_is_the_difference_of_living_threads_grouped_by_name() {
        let before = snapshot(&[
            (1, "main", 100),
            (2, "worker-0", 50),
            (3, "ended", 900),
            (5, "reused", 700),
        ]);
        let after = snapshot(&[
            (1, "main", 110),
            (2, "worker-0", 80),
            (4, "worker-1", 7),
            (5, "load-1", 3),
            (6, "load-2", 0),
        ]);
        let used = after.since(&before);
        assert_eq!(used.total_ns(), 10 + 30 + 7 + 3);
        assert_eq!(used.named_ns("worker"), 37);
        assert_eq!(used.others_ns("load-"), 47);
        let groups = used.groups();
        let named: Vec<(&str, u64)> = groups
            .iter()
            .map(|group| (group.name.as_str(), group.cpu_ns))
            .collect();
        assert_eq!(named, [("worker-", 37), ("main", 10), ("load-", 3)]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn living_threads_are_seen_under_their_names() {
        let (ready_tx, ready) = std::sync::mpsc::channel();
        let (release, held) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("cpu-witness-9".to_owned())
            .spawn(move || {
                let used = thread_cpu_ns().unwrap();
                ready_tx.send(used).unwrap();
                held.recv().unwrap();
            })
            .unwrap();
        let used = ready.recv().unwrap();
        let snapshot = CpuSnapshot::take().unwrap();
        let seen = snapshot
            .threads
            .values()
            .find(|seen| seen.name == "cpu-witness-9")
            .unwrap();
        assert!(seen.cpu_ns >= used);
        release.send(()).unwrap();
        thread.join().unwrap();
        assert!(process_cpu_ns().unwrap().is_multiple_of(TICK_NS));
    }
}
