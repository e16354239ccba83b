//! `florin audit`: what shows to others, and to ourselves, that the journal is whole. Nothing here needs the node to be stopped.

pub(crate) mod journals;

use crate::integrity::{self, CompareArguments};
use crate::shard_folders;
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use florin_adapters::audit::export::ExportWriter;
use florin_adapters::audit::heads::HeadsReader;
use florin_adapters::audit::key::{PublicKey, SigningKey};
use florin_adapters::audit::proof::{Subject, heads_for, prove, records_of};
use florin_adapters::audit::receipt::issue;
use florin_adapters::audit::verify::{Verified, verify};
use florin_adapters::clock::SystemClock;
use florin_config::Settings;
use florin_domain::ids::{PaymentId, Seq, ShardId};
use florin_domain::ports::Clock as _;
use indicatif::{ProgressBar, ProgressStyle};
use journals::Journals;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// What can be asked.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Check every record and every signed head; 1 if anything is wrong
    Verify(VerifyArguments),
    /// Compare the journal with its replica, an export and the views; 1 if anything differs
    Compare(CompareArguments),
    /// Write every record and every signed head as lines of JSON
    Export(ExportArguments),
    /// Write a proof that a payment's records are in the journal
    Proof(ProofArguments),
    /// Write a signed receipt for a payment
    Receipt(ReceiptArguments),
    /// Print the public key, with which others check what is signed
    Key,
}

/// What is verified.
#[derive(Args, Debug)]
pub(crate) struct VerifyArguments {
    /// Believe the hashes of the commits before this one
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// The key of the signed heads, if it is not the data folder's
    #[arg(long)]
    public_key: Option<String>,
}

/// Where an export goes.
#[derive(Args, Debug)]
pub(crate) struct ExportArguments {
    /// The file to make
    #[arg(long)]
    out: PathBuf,
}

/// What is proved.
#[derive(Args, Debug)]
pub(crate) struct ProofArguments {
    /// The payment, with all its commits
    #[arg(long, required_unless_present = "seq", conflicts_with = "seq")]
    payment: Option<String>,
    /// Or one commit
    #[arg(long)]
    seq: Option<u64>,
    /// The shard of the commit
    #[arg(long, default_value_t = 0)]
    shard: u16,
    /// Prove as well that the journal begins with that of an older signed head, which was of this commit
    #[arg(long, value_name = "OLD_SIZE")]
    consistency: Option<u64>,
    /// The file to make, instead of printing it
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Whose receipt.
#[derive(Args, Debug)]
pub(crate) struct ReceiptArguments {
    /// The payment
    #[arg(long)]
    payment: String,
    /// The file to make, instead of printing it
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Carries a command out. All of them wait for what they read on a thread of their own.
pub(crate) async fn run(command: AuditCommand, settings: Settings) -> anyhow::Result<()> {
    let work = move || match command {
        AuditCommand::Verify(arguments) => verify_all(&settings, &arguments),
        AuditCommand::Compare(arguments) => integrity::compare(&settings, &arguments),
        AuditCommand::Export(arguments) => export(&settings, &arguments.out),
        AuditCommand::Proof(arguments) => proof(&settings, &arguments),
        AuditCommand::Receipt(arguments) => receipt(&settings, &arguments),
        AuditCommand::Key => print_key(&settings),
    };
    tokio::task::spawn_blocking(work).await?
}

fn key(settings: &Settings) -> anyhow::Result<SigningKey> {
    SigningKey::load(&settings.data_dir).with_context(|| {
        format!(
            "{} has no signing key that can be read",
            settings.data_dir.display()
        )
    })
}

fn heads(settings: &Settings, shard: ShardId, key: PublicKey) -> anyhow::Result<HeadsReader> {
    let folder = settings.heads_folder();
    HeadsReader::open(&folder, shard, key)
        .with_context(|| format!("the signed heads in {}", folder.display()))
}

#[expect(clippy::print_stdout, reason = "the key is this command's output")]
fn print_key(settings: &Settings) -> anyhow::Result<()> {
    println!("{}", key(settings)?.public());
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the findings are this command's output")]
fn verify_all(settings: &Settings, arguments: &VerifyArguments) -> anyhow::Result<()> {
    let public = match &arguments.public_key {
        Some(text) => Some(PublicKey::parse(text).context("--public-key must be 64 hexadecimal digits")?),
        None if SigningKey::exists(&settings.data_dir)? => Some(key(settings)?.public()),
        None => {
            println!("there is no signing key here: without --public-key, signed heads are not looked at");
            None
        }
    };
    let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template(
        "verifying {bar:40} {pos}/{len} commits ({eta})",
    )?);
    let progress = |done: u64, total: u64| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let trusted = Seq(arguments.from.saturating_sub(1));
    let mut wrong = 0;
    let journals = Journals::open(settings)?;
    for shard in journals.known(settings.replica_dir.as_deref())? {
        let folder = shard_folders::folder(&settings.data_dir, shard);
        if journals.are_in_folders() && !folder.is_dir() {
            let why = shard_folders::missing(shard, &folder);
            bar.suspend(|| println!("shard {}: WRONG: {why}", shard.0));
            wrong += 1;
            continue;
        }
        let journal = journals.of(shard)?;
        let trusted = trusted.min(journal.head(shard)?.seq);
        let heads = match public {
            Some(public) => heads(settings, shard, public)?,
            None => HeadsReader::none(shard),
        };
        let verified = verify(&*journal, shard, trusted, heads, &progress)?;
        bar.suspend(|| println!("{}", described(&verified)));
        wrong += verified.findings.len();
    }
    bar.finish_and_clear();
    if wrong > 0 {
        bail!(
            "{wrong} wrong in {}: see \"When the journal does not fit\" in docs/audit.md",
            journals.place()
        );
    }
    Ok(())
}

/// What was found in a shard, in lines.
fn described(verified: &Verified) -> String {
    let shard = verified.shard.0;
    let hex = |hash| PublicKey(hash).to_string();
    let newest = verified.newest_head.unwrap_or_default();
    let mut lines = vec![
        format!("shard {shard}: {} commits are whole", verified.end),
        format!("shard {shard}: head {}", hex(verified.hash)),
        format!("shard {shard}: root {}", hex(verified.root)),
        format!(
            "shard {shard}: {} signed heads fit, the newest of commit {newest}",
            verified.heads
        ),
    ];
    if verified.findings.is_empty() && newest < verified.end {
        lines.push(format!(
            "shard {shard}: commits {} to {} are not signed for yet",
            newest.next(),
            verified.end
        ));
    }
    let findings = verified.findings.iter();
    lines.extend(findings.map(|finding| format!("shard {shard}: WRONG: {finding}")));
    lines.join("\n")
}

/// Writes a whole file or none.
fn write_file(path: &Path, write: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let named = || format!("{}", path.display());
    let mut file = BufWriter::new(File::create(&unfinished).with_context(named)?);
    write(&mut file)?;
    let file = file
        .into_inner()
        .map_err(io::IntoInnerError::into_error)
        .with_context(named)?;
    file.sync_all().with_context(named)?;
    std::fs::rename(&unfinished, path).with_context(named)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))
        .and_then(|folder| folder.sync_all())
        .with_context(named)
}

#[expect(clippy::print_stdout, reason = "the document is this command's output")]
fn write_document(out: Option<&Path>, text: &str) -> anyhow::Result<()> {
    match out {
        None => println!("{text}"),
        Some(path) => write_file(path, |file| Ok(writeln!(file, "{text}")?))?,
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the result is this command's output")]
fn export(settings: &Settings, out: &Path) -> anyhow::Result<()> {
    let count = export_to(settings, out)?;
    println!("{count} records in {}", out.display());
    Ok(())
}

/// Writes an export; answers how many records it has.
pub(crate) fn export_to(settings: &Settings, out: &Path) -> anyhow::Result<u64> {
    let public = key(settings)?.public();
    let mut count = 0_u64;
    write_file(out, |file| {
        let mut export = ExportWriter::new(file, &public)?;
        let journals = Journals::open(settings)?;
        for shard in journals.known(settings.replica_dir.as_deref())? {
            let journal = journals.of(shard)?;
            for line in heads(settings, shard, public)? {
                if let Ok(kept) = line? {
                    export.head(&kept.signed)?;
                }
            }
            for record in journal.walk(shard, Seq::ZERO)? {
                export.record(&record?)?;
            }
        }
        count = export.finish()?;
        Ok(())
    })?;
    Ok(count)
}

fn payment(text: &str) -> anyhow::Result<PaymentId> {
    PaymentId::parse(text).context("--payment")
}

fn proof(settings: &Settings, arguments: &ProofArguments) -> anyhow::Result<()> {
    let (shard, subject) = match (&arguments.payment, arguments.seq) {
        (Some(text), _) => {
            let payment = payment(text)?;
            (payment.shard(), Subject::Payment(payment))
        }
        (None, Some(seq)) => (ShardId(arguments.shard), Subject::Commit(Seq(seq))),
        (None, None) => bail!("--payment or --seq"),
    };
    let journals = Journals::open(settings)?;
    let (journal, public) = (journals.of(shard)?, key(settings)?.public());
    let heads = heads_for(heads(settings, shard, public)?, arguments.consistency.map(Seq))?;
    let records = records_of(&*journal, shard, subject, &heads.head)?;
    let proof = prove(&*journal, &records, &heads, &public)?;
    write_document(arguments.out.as_deref(), &serde_json::to_string(&proof)?)
}

fn receipt(settings: &Settings, arguments: &ReceiptArguments) -> anyhow::Result<()> {
    let id = payment(&arguments.payment)?;
    let shard = id.shard();
    let journals = Journals::open(settings)?;
    let (journal, key) = (journals.of(shard)?, key(settings)?);
    let heads = heads_for(heads(settings, shard, key.public())?, None)?;
    let records = records_of(&*journal, shard, Subject::Payment(id), &heads.head)?;
    let now_ms = SystemClock::new().now().unix_ms();
    let receipt = issue(&*journal, &records, &heads, &key, now_ms)?;
    write_document(arguments.out.as_deref(), &serde_json::to_string(&receipt)?)
}
