//! `florin audit compare` and `florin repair`: which copy of the journal is wrong, and restoring it from those that are not.

use crate::audit;
use crate::shard_folders;
use anyhow::{Context as _, bail};
use clap::Args;
use florin_adapters::audit::key::{PublicKey, SigningKey};
use florin_adapters::clock::SystemClock;
use florin_adapters::data_dir::DataDir;
use florin_adapters::integrity::compare::{Comparison, compare as compare_sources};
use florin_adapters::integrity::mend::mend;
use florin_adapters::integrity::plan::{Mending, Plan, plan};
use florin_adapters::integrity::{Places, Source};
use florin_config::Settings;
use florin_domain::ids::ShardId;
use florin_domain::ledger::EffectiveDate;
use florin_domain::ports::Clock as _;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The exit code that says that a person must decide.
const EXIT_OPERATOR: i32 = 3;

/// Which copies there are.
#[derive(Args, Clone, Debug)]
pub(crate) struct CopyArguments {
    /// The folder of the replica, if it is not the configured one
    #[arg(long, value_name = "DIR")]
    replica: Option<PathBuf>,
    /// A file that `florin audit export` has made
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// The key of the signed heads, if it is not the data folder's
    #[arg(long)]
    public_key: Option<String>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// What is compared.
#[derive(Args, Debug)]
pub(crate) struct CompareArguments {
    #[command(flatten)]
    copies: CopyArguments,
}

/// What is repaired.
#[derive(Args, Debug)]
pub(crate) struct RepairArguments {
    /// Say what would be done, and change nothing
    #[arg(long, required_unless_present = "apply", conflicts_with = "apply")]
    dry_run: bool,
    /// Do it
    #[arg(long)]
    apply: bool,
    #[command(flatten)]
    copies: CopyArguments,
}

/// One shard with what was found about it.
struct Shard {
    data_dir: PathBuf,
    id: ShardId,
    found: Comparison,
}

/// Everything that is compared.
struct Check<'a> {
    settings: &'a Settings,
    heads: PathBuf,
    key: Option<PublicKey>,
    replica: Option<PathBuf>,
    export: Option<PathBuf>,
}

impl<'a> Check<'a> {
    fn new(settings: &'a Settings, copies: &CopyArguments) -> anyhow::Result<Self> {
        let key = match &copies.public_key {
            Some(text) => Some(PublicKey::parse(text).context("--public-key must be 64 hexadecimal digits")?),
            None if SigningKey::exists(&settings.data_dir)? => Some(
                SigningKey::load(&settings.data_dir)
                    .context("the signing key")?
                    .public(),
            ),
            None => {
                tracing::warn!(
                    "there is no signing key here: without --public-key, signed heads are not looked at"
                );
                None
            }
        };
        Ok(Self {
            settings,
            heads: settings.heads_folder(),
            key,
            replica: copies.replica.clone().or_else(|| settings.replica_dir.clone()),
            export: copies.export.clone(),
        })
    }

    fn places<'b>(&'b self, data_dir: &'b Path, shard: ShardId) -> Places<'b> {
        Places {
            data_dir,
            shard,
            heads: &self.heads,
            key: self.key,
            replica: self.replica.as_deref(),
            export: self.export.as_deref(),
        }
    }

    /// Compares every shard.
    fn compare(&self) -> anyhow::Result<Vec<Shard>> {
        let mut shards = Vec::new();
        for id in shard_folders::known(&self.settings.data_dir, &self.heads)? {
            let data_dir = shard_folders::folder(&self.settings.data_dir, id);
            if !data_dir.is_dir() {
                bail!(
                    "shard {} was signed for, and {} is not there: make that folder, empty, to have the shard restored from its copies",
                    id.0,
                    data_dir.display()
                );
            }
            let found = compare_sources(&self.places(&data_dir, id))?;
            shards.push(Shard { data_dir, id, found });
        }
        Ok(shards)
    }
}

/// Prints the comparison; an error if anything differs.
#[expect(clippy::print_stdout, reason = "the findings are this command's output")]
pub(crate) fn compare(settings: &Settings, arguments: &CompareArguments) -> anyhow::Result<()> {
    if !settings.data_dir.is_dir() {
        bail!("{} is no data folder", settings.data_dir.display());
    }
    let shards = Check::new(settings, &arguments.copies)?.compare()?;
    if arguments.copies.json {
        println!("{}", result(&shards));
    } else {
        for shard in &shards {
            println!("{}", described(shard));
        }
        println!("corruption source: {}", corruption_source(&shards));
    }
    if !is_valid(&shards) {
        bail!("something differs: `florin repair --dry-run` says what can be done; see docs/audit.md");
    }
    Ok(())
}

/// Decides, and with `--apply` repairs. The folder is locked: no node may run on it.
pub(crate) async fn repair(settings: Settings, arguments: RepairArguments) -> anyhow::Result<()> {
    let work = move || repair_locked(&settings, &arguments);
    let code = tokio::task::spawn_blocking(work).await??;
    if code != 0 {
        // Everything was said; only the code is left.
        std::process::exit(code);
    }
    Ok(())
}

fn repair_locked(settings: &Settings, arguments: &RepairArguments) -> anyhow::Result<i32> {
    if !settings.data_dir.is_dir() {
        bail!("{} is no data folder", settings.data_dir.display());
    }
    let _locked = DataDir::open(&settings.data_dir)?;
    let check = Check::new(settings, &arguments.copies)?;
    let shards = check.compare()?;
    let mut plans = Vec::new();
    for shard in &shards {
        plans.push(plan(&check.places(&shard.data_dir, shard.id), &shard.found)?);
    }
    let mut report = Report {
        json: arguments.copies.json,
        shards: &shards,
        actions: Vec::new(),
        decide: Vec::new(),
        kept: Vec::new(),
        recovered: false,
    };
    for (shard, plan) in shards.iter().zip(&plans) {
        match plan {
            Plan::Nothing => {}
            Plan::Mend(mending) => report.actions.extend(actions(shard, mending, &check)),
            Plan::Stop(reasons) => report.decide.extend(reasons.iter().cloned()),
        }
    }
    if !report.decide.is_empty() {
        // All or nothing: a shard that can be repaired waits for the one that cannot.
        report.actions.clear();
        tracing::error!(
            alert = "repair_needs_operator",
            "nothing was touched: a person must decide how the journal is repaired"
        );
        report.print();
        return Ok(EXIT_OPERATOR);
    }
    if report.actions.is_empty() || !arguments.apply {
        report.print();
        return Ok(i32::from(!is_valid(&shards)));
    }
    let stamp = stamp();
    let mut renews_export = false;
    for (shard, plan) in shards.iter().zip(&plans) {
        if let Plan::Mend(mending) = plan {
            let places = check.places(&shard.data_dir, shard.id);
            let mended = mend(&places, &shard.found, mending, &stamp, &mut |_| Ok(()))?;
            report.kept.extend(mended.kept);
            renews_export |= mending.audit;
        }
    }
    if let (true, Some(export)) = (renews_export, &check.export) {
        report.kept.push(renew_export(settings, export, &stamp)?);
    }
    let after = check.compare()?;
    report.recovered = is_valid(&after);
    report.print();
    if !report.recovered {
        for shard in &after {
            tracing::error!("{}", described(shard));
        }
        bail!("something still differs after the repair");
    }
    Ok(0)
}

/// Makes an export again; answers where the old one is kept.
fn renew_export(settings: &Settings, export: &Path, stamp: &str) -> anyhow::Result<PathBuf> {
    let mut name = export.as_os_str().to_owned();
    name.push(format!(".damaged-{stamp}"));
    let aside = PathBuf::from(name);
    std::fs::rename(export, &aside).with_context(|| format!("{}", aside.display()))?;
    audit::export_to(settings, export)?;
    Ok(aside)
}

/// Day and time, as a part of file names.
fn stamp() -> String {
    let now = SystemClock::new().now();
    let seconds = now.unix_s() % 86_400;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let (seconds, millis) = (seconds % 60, now.unix_ms() % 1000);
    let day = EffectiveDate::of(now);
    format!("{day}-{hours:02}{minutes:02}{seconds:02}-{millis:03}")
}

fn is_valid(shards: &[Shard]) -> bool {
    shards.iter().all(|shard| shard.found.is_valid())
}

/// Over all shards: the one copy that differs, if it is the same in each.
fn corruption_source(shards: &[Shard]) -> &'static str {
    let found: BTreeSet<&'static str> = shards
        .iter()
        .map(|shard| shard.found.corruption().as_str())
        .filter(|name| *name != "none")
        .collect();
    match (found.first(), found.len()) {
        (None, _) => "none",
        (Some(name), 1) => name,
        (Some(_), _) => "multiple",
    }
}

/// What will be done, in lines.
fn actions(shard: &Shard, mending: &Mending, check: &Check<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    let id = shard.id.0;
    if let Some(restoration) = &mending.primary {
        let end = restoration.end;
        let what = match restoration.mended {
            Some((count, first, last)) => {
                format!("{count} records between commits {first} and {last} are restored")
            }
            None => "no record of it changes".to_owned(),
        };
        let taken = restoration.taken.iter();
        let taken: Vec<String> = taken
            .map(|(source, count)| format!("{count} copied from the {source}"))
            .collect();
        lines.push(format!(
            "shard {id}: a new journal up to commit {end} takes the place of the old one, which is kept; {what} ({})",
            taken.join(", ")
        ));
        if let Some(signed) = restoration.signed.filter(|signed| *signed < end) {
            lines.push(format!(
                "shard {id}: commits {} to {end} are in no signed head and are believed because they follow",
                signed.next()
            ));
        }
        lines.push(format!(
            "shard {id}: views, key index and snapshots are deleted; the next start makes them again"
        ));
    }
    if let (Some(from), Some(folder)) = (mending.replica_from, &check.replica) {
        lines.push(format!(
            "shard {id}: the replica in {} is written again from commit {from} on; its old files are kept",
            folder.display()
        ));
    }
    if let (true, Some(export)) = (mending.audit, &check.export) {
        lines.push(format!(
            "shard {id}: {} is made again; the old one is kept",
            export.display()
        ));
    }
    if mending.views {
        lines.push(format!(
            "shard {id}: the views are deleted; the next start makes them again"
        ));
    }
    lines
}

/// What a repair says.
struct Report<'a> {
    json: bool,
    shards: &'a [Shard],
    actions: Vec<String>,
    decide: Vec<String>,
    kept: Vec<PathBuf>,
    recovered: bool,
}

impl Report<'_> {
    #[expect(clippy::print_stdout, reason = "the result is this command's output")]
    fn print(&self) {
        if self.json {
            let mut result = result(self.shards);
            if let Some(fields) = result.as_object_mut() {
                fields.insert("recovered".to_owned(), json!(self.recovered));
                fields.insert("actions".to_owned(), json!(self.actions));
                fields.insert("decide".to_owned(), json!(self.decide));
                fields.insert("kept".to_owned(), json!(self.kept));
            }
            println!("{result}");
            return;
        }
        for shard in self.shards {
            println!("{}", described(shard));
        }
        println!("corruption source: {}", corruption_source(self.shards));
        for line in &self.actions {
            println!("{} {line}", if self.recovered { "done:" } else { "to do:" });
        }
        for path in &self.kept {
            println!("kept: {}", path.display());
        }
        for line in &self.decide {
            println!("decide: {line}");
        }
        if self.recovered {
            println!("repaired: everything that was compared agrees");
        } else if !self.decide.is_empty() {
            println!("nothing was touched: a person must decide; see docs/audit.md");
        } else if self.actions.is_empty() {
            println!("nothing to repair");
        } else {
            println!("nothing was touched: `florin repair --apply` does it");
        }
    }
}

/// What was found, for machines.
fn result(shards: &[Shard]) -> Value {
    json!({
        "object": "florin.integrity",
        "valid": is_valid(shards),
        "corruption_source": corruption_source(shards),
        "shards": shards.iter().map(shard_result).collect::<Vec<_>>(),
    })
}

fn shard_result(shard: &Shard) -> Value {
    let found = &shard.found;
    let source = |source: Source| {
        found.source(source).map(|report| {
            let fault = report.fault.as_ref();
            json!({
                "records": report.records.0,
                "hash": PublicKey(report.hash).to_string(),
                "fault": fault.map(|fault| fault.kind.as_str()),
                "first_bad": fault.and_then(|fault| fault.seq).map(|seq| seq.0),
                "why": fault.map(|fault| fault.why.as_str()),
            })
        })
    };
    let views = found.views.as_ref().map(|views| {
        json!({
            "watermark": views.watermark.0,
            "payments": views.payments,
            "differences": views.differences,
            "example": views.example.map(|id| id.to_string()),
            "unreadable": views.unreadable,
        })
    });
    json!({
        "shard": shard.id.0,
        "valid": found.is_valid(),
        "corruption_source": found.corruption().as_str(),
        "sources": {
            "primary": source(Source::Primary),
            "replica": source(Source::Replica),
            "audit": source(Source::Audit),
        },
        "signed": found.signed.map(|signed| signed.0),
        "bad_heads": found.bad_heads,
        "views": views,
    })
}

/// What was found, in lines.
fn described(shard: &Shard) -> String {
    let (id, found) = (shard.id.0, &shard.found);
    let end = found.source(Source::Primary).map(|report| report.records);
    let mut lines: Vec<String> = Vec::new();
    for report in &found.sources {
        let (source, records) = (report.source, report.records);
        lines.push(match &report.fault {
            Some(fault) => {
                format!("shard {id}: {source}: WRONG: {fault}; {records} records before that verify")
            }
            None if end.is_some_and(|end| records < end) => {
                format!("shard {id}: {source}: {records} records verify; the journal goes on")
            }
            None => format!("shard {id}: {source}: {records} records verify"),
        });
    }
    match found.signed {
        Some(signed) => lines.push(format!(
            "shard {id}: the newest signed head is of commit {signed}"
        )),
        None => lines.push(format!("shard {id}: no signed head")),
    }
    lines.extend(
        found
            .bad_heads
            .iter()
            .map(|bad| format!("shard {id}: WRONG: bad signed head: {bad}")),
    );
    match &found.views {
        None => lines.push(format!("shard {id}: views: not compared")),
        Some(views) => lines.push(match (&views.unreadable, views.differences) {
            (Some(why), _) => format!("shard {id}: views: WRONG: they cannot be read: {why}"),
            (None, 0) => format!(
                "shard {id}: views: {} payments up to commit {} are what the journal says",
                views.payments, views.watermark
            ),
            (None, count) => format!(
                "shard {id}: views: WRONG: {count} of {} payments are not what the journal says",
                views.payments
            ),
        }),
    }
    lines.join("\n")
}
