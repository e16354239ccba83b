//! The project's own commands, run as `cargo xtask <command>`: the test gate, the tidy rules and the side-by-side benchmark.
//!
//! Everything that guards a change lives here, in the language of the project, so that a laptop and the
//! build machine run the same thing.

mod bench_compare;
mod browser;
mod clients;
mod contract;
mod counts;
mod fuzz;
mod gate;
mod memory;
mod new_provider;
mod nightly;
mod node;
mod on_postgres;
mod python;
mod release;
mod sdk;
mod store_test;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

const HELP: &str = "\
cargo xtask <command>

  test      the whole gate: format, clippy, tests, doc tests, docs, tidy, contract, sdk, browser; stops at the first failure
  contract  schemathesis against a running `florin dev` and its OpenAPI document
  sdk       the official SDKs of providers against `florin sandbox`, and Stripe's, clients made of docs/openapi.json, and what README and docs show
            against `florin dev`
  browser   a real Chromium against the checkout page of a running `florin dev`; pictures in target/browser
  tidy      the rules no compiler checks: arrows between crates, fences around dependencies, source rules
  nightly [--minutes N] [--only PART]...
            the same gate as `test` with PROPTEST_CASES=2000, so every property sees far more cases; then every fuzz target for a while, a
            crash at every point of the fixed load, an adapter from the templates, memory under ten million payments, and the random load with kills for what is left of N (60)
            minutes, at least one. With --only just the parts that are named: gate, fuzz, crash-points, simulation, postgres, new-provider,
            memory, soak
  new-provider NAME
            an adapter for another provider from the templates, and where to go on (docs/new-provider.md); with --rehearse in place of
            the name one is made in a copy of the checkout, and checked there
  fuzz [--seconds N]
            every fuzz target for N (60) seconds, one after the other
  store-test [--short]
            nodes on private PostgreSQL servers, which are killed, stopped and promoted under load; a checker of its own compares what was
            answered, charged, booked and kept, and a run without the fence must be found; without --short twenty times
  on-postgres [--all]
            the tests of the API and of recovery with journals in a private PostgreSQL server; with --all also those that take long, as `nightly` does
  bench-compare [--payments] [--ledger] [--seconds N] [--rounds N]
            `florin bench engine` beside the seed's design on PostgreSQL and Redis, each N (3) times in turn, and `florin bench ledger`
            beside a conventional ledger, on servers of its own, N (8) seconds a load
  memory [--payments N]
            N (10,000,000) payments through `florin bench engine`; fails when memory is not flat after the first tenth
  help      this text
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<()> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        ["test"] => gate::run(&workspace_root()?, None),
        ["nightly", words @ ..] => nightly::run(&workspace_root()?, words),
        ["contract"] => contract::run(&workspace_root()?),
        ["browser"] => browser::run(&workspace_root()?),
        ["sdk"] => sdk::run(&workspace_root()?),
        ["on-postgres", words @ ..] => on_postgres::by_hand(&workspace_root()?, words),
        ["store-test", words @ ..] => store_test::run(&workspace_root()?, words),
        ["bench-compare", words @ ..] => bench_compare::run(&workspace_root()?, words),
        ["new-provider", "--rehearse"] => new_provider::rehearse(&workspace_root()?),
        ["new-provider", words @ ..] => new_provider::run(&workspace_root()?, words),
        ["memory", words @ ..] => memory::run(&workspace_root()?, words),
        ["fuzz", words @ ..] => fuzz::run(&workspace_root()?, words),
        ["tidy"] => tidy::run(&workspace_root()?),
        _ => bail!("unknown command `{}`\n\n{HELP}", words.join(" ")),
    }
}

/// The checkout this command was started in: the nearest folder upwards that holds `xtask/Cargo.toml`.
fn workspace_root() -> Result<PathBuf> {
    let here = std::env::current_dir().context("the current folder cannot be read")?;
    here.ancestors()
        .find(|folder| folder.join("xtask/Cargo.toml").is_file())
        .map(PathBuf::from)
        .context("run this inside the checkout: no folder upwards holds xtask/Cargo.toml")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_command_is_refused_with_the_help_text() {
        let error = run(&["tset".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("`tset`") && error.contains("nightly"), "{error}");
    }

    #[test]
    fn the_workspace_root_is_found_from_inside_a_crate() {
        let root = workspace_root().unwrap();
        assert!(root.join("Cargo.toml").is_file());
    }
}
