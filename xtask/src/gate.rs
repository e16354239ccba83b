//! The gate behind `cargo xtask test`: its stages in order, timed, stopped at the first failure.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use crate::browser;
use crate::contract;
use crate::counts::{Counts, Runner};
use crate::on_postgres::{self, Extent};
use crate::sdk;
use crate::tidy;

#[derive(Debug)]
struct Stage {
    name: &'static str,
    work: Work,
}

#[derive(Debug)]
enum Work {
    /// One call of cargo with these arguments.
    Cargo {
        args: &'static str,
        deny_rustdoc_warnings: bool,
    },
    /// One call of a test runner, whose summary lines are counted while its output is shown.
    Tests {
        runner: Runner,
        args: &'static str,
    },
    /// The tests of the API and of recovery, with journals in PostgreSQL.
    OnPostgres {
        runner: Runner,
    },
    Tidy,
    /// A running server against its OpenAPI document.
    Contract,
    /// The SDKs of providers against the sandbox.
    Sdk,
    /// The checkout page in a real browser.
    Browser,
}

impl Stage {
    /// What to type to run this stage alone.
    fn by_hand(&self) -> String {
        match self.work {
            Work::Cargo {
                args,
                deny_rustdoc_warnings: true,
            } => {
                format!("RUSTDOCFLAGS=\"-D warnings\" cargo {args}")
            }
            Work::Cargo {
                args,
                deny_rustdoc_warnings: false,
            }
            | Work::Tests { args, .. } => format!("cargo {args}"),
            Work::OnPostgres { .. } => "cargo xtask on-postgres".to_owned(),
            Work::Tidy => "cargo xtask tidy".to_owned(),
            Work::Contract => "cargo xtask contract".to_owned(),
            Work::Sdk => "cargo xtask sdk".to_owned(),
            Work::Browser => "cargo xtask browser".to_owned(),
        }
    }
}

const fn cargo(name: &'static str, args: &'static str) -> Stage {
    Stage {
        name,
        work: Work::Cargo {
            args,
            deny_rustdoc_warnings: false,
        },
    }
}

/// The tests that end and starve a node at one point after the other. They have a stage of their own, which shows what they say.
pub(crate) const CRASH_TESTS: &str =
    "test --workspace --locked --no-fail-fast --color never --test it crash_points:: -- --nocapture";

/// The simulation has a stage of its own as well: an optimized build runs fifteen times as much of it in the same time. So it has a
/// profile of its own (docs/adr/0034).
pub(crate) const SIMULATION: &str =
    "test --profile simulation --locked --no-fail-fast --color never -p florin-simulator -- --nocapture";

/// The stage whose tests want databases.
const TESTS: &str = "tests";

fn stages(nextest: bool) -> Vec<Stage> {
    let tests = if nextest {
        Work::Tests {
            runner: Runner::Nextest,
            args: "nextest run --workspace --exclude florin-simulator --locked --color never -- --skip crash_points::",
        }
    } else {
        Work::Tests {
            runner: Runner::Harness,
            args: "test --workspace --exclude florin-simulator --locked --no-fail-fast --color never -- --skip crash_points::",
        }
    };
    vec![
        cargo("format", "fmt --all --check"),
        cargo(
            "clippy",
            "clippy --workspace --all-targets --locked -- -D warnings",
        ),
        Stage {
            name: TESTS,
            work: tests,
        },
        Stage {
            name: "crash",
            work: Work::Tests {
                runner: Runner::Harness,
                args: CRASH_TESTS,
            },
        },
        Stage {
            name: "simulation",
            work: Work::Tests {
                runner: Runner::Harness,
                args: SIMULATION,
            },
        },
        Stage {
            name: "postgres",
            work: Work::OnPostgres {
                runner: runner(nextest),
            },
        },
        Stage {
            name: "doc tests",
            work: Work::Tests {
                runner: Runner::Harness,
                args: "test --doc -p florin-domain --locked --color never",
            },
        },
        Stage {
            name: "docs",
            work: Work::Cargo {
                args: "doc --workspace --no-deps --locked",
                deny_rustdoc_warnings: true,
            },
        },
        Stage {
            name: "tidy",
            work: Work::Tidy,
        },
        Stage {
            name: "contract",
            work: Work::Contract,
        },
        Stage {
            name: "sdk",
            work: Work::Sdk,
        },
        Stage {
            name: "browser",
            work: Work::Browser,
        },
    ]
}

/// Runs every stage in order; the first failure ends the gate with an error that names the stage.
pub(crate) fn run(root: &Path, proptest_cases: Option<u32>) -> Result<()> {
    let nextest = nextest_is_installed(root);
    if !nextest {
        println!("cargo-nextest is not installed: the tests run under cargo's own harness");
    }
    let stages = stages(nextest);
    let mut times: Vec<Duration> = Vec::new();
    let mut counts = None;
    let mut failure = None;
    for stage in &stages {
        println!("\n=== {}: {}", stage.name, stage.by_hand());
        let started = Instant::now();
        let outcome = perform(stage, root, proptest_cases, &mut counts);
        times.push(started.elapsed());
        if let Err(error) = outcome {
            failure = Some(anyhow!(
                "`{}` failed: {error:#}. Alone: {}",
                stage.name,
                stage.by_hand()
            ));
            break;
        }
    }
    print!("\n{}", time_table(&stages, &times, failure.is_some()));
    if let Some(Counts { passed, failed }) = counts {
        println!("{passed} passed, {failed} failed");
    }
    failure.map_or(Ok(()), Err)
}

fn perform(
    stage: &Stage,
    root: &Path,
    proptest_cases: Option<u32>,
    counts: &mut Option<Counts>,
) -> Result<()> {
    match stage.work {
        Work::OnPostgres { runner } => {
            on_postgres::run(root, runner, Extent::Everyday, counts.get_or_insert_default())
        }
        Work::Tidy => tidy::run(root),
        Work::Contract => contract::run(root),
        Work::Sdk => sdk::run(root),
        Work::Browser => browser::run(root),
        Work::Cargo {
            args,
            deny_rustdoc_warnings,
        } => {
            let mut command = cargo_command(root, args);
            if deny_rustdoc_warnings {
                command.env("RUSTDOCFLAGS", "-D warnings");
            }
            let status = command.status().context("cargo cannot be started")?;
            if !status.success() {
                bail!("cargo ended with {status}");
            }
            Ok(())
        }
        Work::Tests { runner, args } => {
            let mut command = cargo_command(root, args);
            // One server of a kind for all that want one; without it each would start its own.
            let (database, redis) = if stage.name == TESTS {
                (florin_services::shared()?, florin_services::shared_redis()?)
            } else {
                (None, None)
            };
            if let Some(server) = &database {
                command.env(florin_services::GIVEN, server.server_url());
            }
            if let Some(server) = &redis {
                command.env(florin_services::GIVEN_REDIS, server.url());
            }
            if let Some(cases) = proptest_cases {
                command.env("PROPTEST_CASES", cases.to_string());
            }
            run_counted(&mut command, runner, counts.get_or_insert_default())
        }
    }
}

pub(crate) fn cargo_command(root: &Path, args: &str) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(args.split(' ')).current_dir(root);
    command
}

/// What runs tests here.
pub(crate) fn installed_runner(root: &Path) -> Runner {
    runner(nextest_is_installed(root))
}

fn runner(nextest: bool) -> Runner {
    if nextest { Runner::Nextest } else { Runner::Harness }
}

fn nextest_is_installed(root: &Path) -> bool {
    cargo_command(root, "nextest --version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Shows both outputs of a test runner as they come and adds up its summary lines.
pub(crate) fn run_counted(command: &mut Command, runner: Runner, counts: &mut Counts) -> Result<()> {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cargo cannot be started")?;
    let out = child.stdout.take().context("the runner's output is not piped")?;
    let err = child
        .stderr
        .take()
        .context("the runner's error output is not piped")?;
    let (from_out, from_err) = std::thread::scope(|scope| {
        let reader = scope.spawn(|| copy_and_count(runner, out, &mut std::io::stdout()));
        let from_err = copy_and_count(runner, err, &mut std::io::stderr());
        let from_out = reader
            .join()
            .unwrap_or_else(|_| Err(anyhow!("the thread that shows the output died")));
        (from_out, from_err)
    });
    let status = child.wait().context("the runner cannot be waited for")?;
    counts.add(from_out?);
    counts.add(from_err?);
    if !status.success() {
        bail!("the test runner ended with {status}");
    }
    Ok(())
}

fn copy_and_count(runner: Runner, from: impl Read, to: &mut impl Write) -> Result<Counts> {
    let mut from = BufReader::new(from);
    let mut counts = Counts::default();
    let mut line = Vec::new();
    while from
        .read_until(b'\n', &mut line)
        .context("the runner's output cannot be read")?
        > 0
    {
        to.write_all(&line)
            .and_then(|()| to.flush())
            .context("the runner's output cannot be shown")?;
        counts.add(Counts::of_line(runner, &String::from_utf8_lossy(&line)));
        line.clear();
    }
    Ok(counts)
}

fn time_table(stages: &[Stage], times: &[Duration], failed: bool) -> String {
    let mut table = String::new();
    for (index, stage) in stages.iter().enumerate() {
        let last = index + 1 == times.len();
        let line = match times.get(index) {
            Some(time) if failed && last => format!("{:>8.1} s  FAILED", time.as_secs_f64()),
            Some(time) => format!("{:>8.1} s  ok", time.as_secs_f64()),
            None => format!("{:>8}    not run", "-"),
        };
        writeln!(table, "  {:<10}{line}", stage.name).expect("writing to a string cannot fail");
    }
    let total: Duration = times.iter().sum();
    writeln!(table, "  {:<10}{:>8.1} s", "total", total.as_secs_f64())
        .expect("writing to a string cannot fail");
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_marks_the_failed_stage_and_the_ones_behind_it() {
        let stages = stages(true);
        let table = time_table(
            &stages,
            &[Duration::from_secs(1), Duration::from_millis(2500)],
            true,
        );
        let lines: Vec<&str> = table.lines().map(str::trim).collect();
        assert!(
            lines[0].starts_with("format") && lines[0].ends_with("1.0 s  ok"),
            "{table}"
        );
        assert!(
            lines[1].starts_with("clippy") && lines[1].ends_with("2.5 s  FAILED"),
            "{table}"
        );
        assert!(
            lines[2].starts_with("tests") && lines[2].ends_with("not run"),
            "{table}"
        );
        assert!(
            lines[12].starts_with("total") && lines[12].ends_with("3.5 s"),
            "{table}"
        );
    }

    #[test]
    fn the_runners_output_is_shown_whole_while_it_is_counted() {
        let output =
            "running\n  Summary [ 0.1s] 2 tests run: 1 passed, 1 failed, 0 skipped\nno newline at the end";
        let mut shown = Vec::new();
        let counts = copy_and_count(Runner::Nextest, output.as_bytes(), &mut shown).unwrap();
        assert_eq!(counts, Counts { passed: 1, failed: 1 });
        assert_eq!(shown, output.as_bytes());
    }

    #[test]
    fn without_nextest_the_tests_run_under_cargos_own_harness() {
        let by_hand: Vec<String> = stages(false).iter().map(Stage::by_hand).collect();
        assert!(
            by_hand[2].starts_with("cargo test --workspace --exclude florin-simulator"),
            "{by_hand:?}"
        );
        assert_eq!(by_hand[5], "cargo xtask on-postgres");
        assert_eq!(by_hand[8], "cargo xtask tidy");
        assert_eq!(by_hand[9], "cargo xtask contract");
        assert_eq!(by_hand[10], "cargo xtask sdk");
        assert_eq!(by_hand[11], "cargo xtask browser");
    }

    #[test]
    fn the_crash_tests_and_the_simulation_run_once_and_in_stages_of_their_own() {
        for nextest in [true, false] {
            let by_hand: Vec<String> = stages(nextest).iter().map(Stage::by_hand).collect();
            assert!(by_hand[2].ends_with(" -- --skip crash_points::"), "{by_hand:?}");
            assert_eq!(by_hand[3], format!("cargo {CRASH_TESTS}"));
            assert!(by_hand[2].contains(" --exclude florin-simulator "), "{by_hand:?}");
            assert_eq!(by_hand[4], format!("cargo {SIMULATION}"));
        }
    }
}
