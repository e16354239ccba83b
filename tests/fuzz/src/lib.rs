//! Runs fuzz targets inside ordinary tests: takes something valid, changes it, and watches what the code that reads it does.
//!
//! A target lives beside the code that it tests and has three things: a name, valid inputs (golden files, or values made at random and
//! encoded), and a check, which panics if an answer is wrong. An input that panics, or that takes more memory than its size explains, is
//! made small, kept in `tests/data/fuzz/<target>/`, and replayed before anything else from then on.
//!
//! # Layout
//! * [`Target`] one target and how long it runs; `change` how inputs are changed; `corpus` inputs that once failed

mod change;
mod corpus;

use change::{Change, Kind};
use corpus::Corpus;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};
use std::any::Any;
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How many cases a target has in an ordinary run.
const CASES: u32 = 1_000;

/// Seconds that each target goes on for, in place of a number of cases.
const SECONDS: &str = "FLORIN_FUZZ_S";

/// Changes made to one input at most.
const CHANGES_MAX: usize = 6;

/// What reading an input may hold at a time, in bytes: something fixed, and so much for each byte of the input.
#[derive(Clone, Copy, Debug)]
struct Memory {
    fixed: usize,
    per_byte: usize,
}

/// Something that reads what comes from outside, and inputs that it understands.
#[derive(Debug)]
pub struct Target {
    name: &'static str,
    kind: Kind,
    seeds: BoxedStrategy<Vec<u8>>,
    words: Vec<Vec<u8>>,
    cases: u32,
    memory: Memory,
    folder: PathBuf,
}

impl Target {
    fn new(name: &'static str, kind: Kind, seeds: BoxedStrategy<Vec<u8>>) -> Self {
        Self {
            name,
            kind,
            seeds,
            words: Vec::new(),
            cases: CASES,
            memory: Memory {
                fixed: 256 << 10,
                per_byte: 256,
            },
            folder: Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/fuzz"),
        }
    }

    /// A target whose inputs are binary.
    pub fn of_bytes(name: &'static str, seeds: impl Strategy<Value = Vec<u8>> + 'static) -> Self {
        Self::new(name, Kind::Bytes, seeds.boxed())
    }

    /// A target whose inputs are text, which is also changed word by word. Not all of what comes out is UTF-8.
    pub fn of_text(name: &'static str, seeds: impl Strategy<Value = Vec<u8>> + 'static) -> Self {
        Self::new(name, Kind::Text, seeds.boxed())
    }

    /// Words that mean something to the target, beside those that trouble every reader.
    #[must_use]
    pub fn words<'a>(mut self, words: impl IntoIterator<Item = &'a str>) -> Self {
        self.words
            .extend(words.into_iter().map(|word| word.as_bytes().to_vec()));
        self
    }

    /// How many cases an ordinary run has.
    #[must_use]
    pub fn cases(mut self, cases: u32) -> Self {
        self.cases = cases;
        self
    }

    /// How much memory an input may take: `fixed` bytes, and `per_byte` for each of its own.
    #[must_use]
    pub fn memory(mut self, fixed: usize, per_byte: usize) -> Self {
        self.memory = Memory { fixed, per_byte };
        self
    }

    /// Keeps failing inputs in another folder.
    #[must_use]
    pub fn kept_in(mut self, folder: &Path) -> Self {
        folder.clone_into(&mut self.folder);
        self
    }

    /// Replays what once failed, then changes inputs at random.
    ///
    /// # Panics
    /// If the check panics or takes too much memory, with the input and where it is kept.
    pub fn run(self, check: impl Fn(&[u8])) {
        let corpus = Corpus::of(&self.folder, self.name);
        for (path, input) in corpus.read() {
            if let Err(why) = self.holds(&check, &input) {
                fail(&format!("{}: {} fails: {why}", self.name, path.display()));
            }
        }
        let seconds: Option<u64> = env::var(SECONDS).ok().map(|text| {
            text.parse()
                .unwrap_or_else(|_| fail(&format!("{SECONDS} is a whole number, not `{text}`")))
        });
        let started = Instant::now();
        let mut done = 0_u64;
        loop {
            self.round(&check, &corpus);
            done += u64::from(self.cases);
            let elapsed = started.elapsed();
            if seconds.is_none_or(|seconds| elapsed >= Duration::from_secs(seconds)) {
                let per_s = f64::from(u32::try_from(done).unwrap_or(u32::MAX)) / elapsed.as_secs_f64();
                println!("fuzz {}: {done} cases, {per_s:.0} a second", self.name);
                return;
            }
        }
    }

    fn round(&self, check: &impl Fn(&[u8]), corpus: &Corpus) {
        let config = Config {
            cases: self.cases,
            failure_persistence: None,
            max_shrink_iters: 4_096,
            ..Config::default()
        };
        let changes = prop::collection::vec(
            (select(self.kind.changes()), any::<[u32; 3]>(), any::<u64>()).prop_map(Change::of),
            0..=CHANGES_MAX,
        );
        let inputs = (self.seeds.clone(), self.seeds.clone(), changes);
        let input_of = |(seed, donor, changes): &(Vec<u8>, Vec<u8>, Vec<Change>)| {
            let mut input = seed.clone();
            for change in changes {
                change.apply(&mut input, donor, &self.words);
            }
            input
        };
        let outcome = TestRunner::new(config).run(&inputs, |case| {
            self.holds(check, &input_of(&case)).map_err(TestCaseError::fail)
        });
        match outcome {
            Ok(()) => {}
            Err(TestError::Fail(why, case)) => {
                let input = input_of(&case);
                let kept = corpus.keep(&input);
                let shown = input.escape_ascii();
                fail(&format!("{}: {why}\n  input: b\"{shown}\"\n  {kept}", self.name));
            }
            Err(TestError::Abort(why)) => fail(&format!("{}: {why}", self.name)),
        }
    }

    /// Whether the check passes, within the memory that it may take.
    fn holds(&self, check: &impl Fn(&[u8]), input: &[u8]) -> Result<(), String> {
        let mut outcome = Ok(());
        let used = allocation_counter::measure(|| {
            outcome = catch_unwind(AssertUnwindSafe(|| check(input)));
        });
        outcome.map_err(|panic| said(panic.as_ref()))?;
        let allowed = self.memory.fixed + self.memory.per_byte * input.len();
        if usize::try_from(used.bytes_max).is_ok_and(|bytes| bytes <= allowed) {
            return Ok(());
        }
        Err(format!(
            "{} bytes of input took {} bytes of memory, and may take {allowed}",
            input.len(),
            used.bytes_max
        ))
    }
}

#[expect(clippy::panic, reason = "this is how a test fails")]
fn fail(why: &str) -> ! {
    panic!("{why}")
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without words").to_owned()
}

/// Any of these.
pub fn any_of(inputs: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> impl Strategy<Value = Vec<u8>> {
    select(inputs.into_iter().map(Into::into).collect::<Vec<Vec<u8>>>())
}
