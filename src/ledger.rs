//! `florin ledger import`: history from a file into a running node.

mod line;
mod records;
mod sending;
mod transfers;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use florin_adapters::api_client::ApiClient;
use indicatif::{ProgressBar, ProgressStyle};
use sending::{Counts, How, Sender};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use transfers::{FileFormat, Item, Items};

/// What can be asked.
#[derive(Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    /// Send a file of transfers to a running node; 1 if any line was refused
    Import(ImportArguments),
}

/// What is imported, and where.
#[derive(Args, Debug)]
pub(crate) struct ImportArguments {
    /// JSON lines or CSV, as docs/ledger.md describes them and as an export writes them
    file: PathBuf,
    /// The node
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
    /// A file that holds an operator's API key
    #[arg(long)]
    api_key_file: PathBuf,
    /// How the file is written, if its name does not say it
    #[arg(long, value_enum)]
    format: Option<FileFormat>,
    /// Each batch of up to 8,190 transfers is recorded as a whole or not at all; the first one refused ends the import
    #[arg(long)]
    atomic: bool,
    /// Only say what would become of it
    #[arg(long)]
    dry_run: bool,
}

/// Wrong lines that are shown.
const WRONG_SHOWN_MAX: u64 = 100;

/// Carries a command out.
pub(crate) async fn run(command: LedgerCommand) -> anyhow::Result<()> {
    match command {
        LedgerCommand::Import(arguments) => import(arguments).await,
    }
}

async fn import(arguments: ImportArguments) -> anyhow::Result<()> {
    let path = arguments.file.as_path();
    let format = match arguments.format {
        Some(format) => format,
        None => format_of(path)?,
    };
    let key_file = &arguments.api_key_file;
    let key = std::fs::read_to_string(key_file).with_context(|| key_file.display().to_string())?;
    let client = ApiClient::new(&arguments.url, key.trim())?;
    // All of it is read before anything is sent, so that a slip in the last line does not leave half of a history behind.
    let names_accounts = check(path, format)?;
    let how = How {
        is_atomic: arguments.atomic,
        is_dry_run: arguments.dry_run,
    };
    let mut sender = Sender::new(client, how);
    if names_accounts {
        sender.learn_accounts().await?;
    }
    let sent = send(path, format, &mut sender).await;
    report(&sender.counts, arguments.dry_run);
    sent?;
    if sender.counts.refused > 0 {
        bail!(
            "{} refused; everything else is in the ledger",
            sender.counts.refused
        );
    }
    Ok(())
}

fn format_of(path: &Path) -> anyhow::Result<FileFormat> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("jsonl" | "ndjson") => Ok(FileFormat::Jsonl),
        Some("csv") => Ok(FileFormat::Csv),
        _ => bail!("{}: say --format jsonl or --format csv", path.display()),
    }
}

fn open(
    path: &Path,
    format: FileFormat,
    verb: &str,
) -> anyhow::Result<(Items<BufReader<File>>, ProgressBar)> {
    let named = || path.display().to_string();
    let file = File::open(path).with_context(named)?;
    let bar = ProgressBar::new(file.metadata().with_context(named)?.len());
    bar.set_style(ProgressStyle::with_template(&format!(
        "{verb} {{bar:40}} {{bytes}}/{{total_bytes}} ({{eta}})"
    ))?);
    Ok((Items::new(BufReader::with_capacity(1 << 20, file), format), bar))
}

/// Reads all of it; whether accounts are named, or what is wrong.
#[expect(clippy::print_stderr, reason = "what is wrong is for the person who imports")]
fn check(path: &Path, format: FileFormat) -> anyhow::Result<bool> {
    let (mut items, bar) = open(path, format, "reading")?;
    let (mut wrongs, mut names_accounts) = (0_u64, false);
    while let Some(item) = items.next().with_context(|| path.display().to_string())? {
        bar.set_position(items.read());
        match item {
            Ok(Item::Transfer(transfer)) => {
                let is_named =
                    |posting: &line::Posting| matches!(posting.account, line::AccountRef::Named(_));
                names_accounts |= transfer.postings.iter().any(is_named);
            }
            Ok(Item::Account(..)) => names_accounts = true,
            Ok(Item::OfPayment) => {}
            Err(wrong) => {
                wrongs += 1;
                if wrongs <= WRONG_SHOWN_MAX {
                    bar.suspend(|| eprintln!("line {}: {}", wrong.line, wrong.why));
                }
            }
        }
    }
    bar.finish_and_clear();
    if wrongs > 0 {
        bail!("{wrongs} wrong in {}; nothing was sent", path.display());
    }
    Ok(names_accounts)
}

async fn send(path: &Path, format: FileFormat, sender: &mut Sender) -> anyhow::Result<()> {
    let (mut items, bar) = open(path, format, "sending")?;
    while let Some(item) = items.next()? {
        bar.set_position(items.read());
        match item {
            Ok(Item::Transfer(transfer)) => sender.take(&transfer).await?,
            Ok(Item::Account(line, account)) => sender.open(line, &account).await?,
            Ok(Item::OfPayment) => sender.counts.of_payments += 1,
            Err(wrong) => bail!(
                "line {}: {}: the file was changed meanwhile",
                wrong.line,
                wrong.why
            ),
        }
    }
    sender.flush().await?;
    bar.finish_and_clear();
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the sums are this command's output")]
fn report(counts: &Counts, is_dry_run: bool) {
    let verb = if is_dry_run { "would be created" } else { "created" };
    println!(
        "transfers: {} {verb}, {} existed, {} refused",
        counts.created, counts.existed, counts.refused
    );
    if counts.accounts_opened + counts.accounts_existed > 0 {
        let verb = if is_dry_run { "would be opened" } else { "opened" };
        println!(
            "accounts: {} {verb}, {} existed",
            counts.accounts_opened, counts.accounts_existed
        );
    }
    if counts.unasked > 0 {
        println!(
            "{} transfers are on accounts that would be opened, so the node was not asked about them",
            counts.unasked
        );
    }
    if counts.of_payments > 0 {
        println!(
            "{} lines of payments were left out: their own node books them",
            counts.of_payments
        );
    }
}
