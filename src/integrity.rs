//! `florin audit compare` and `florin repair`: which copy of the journal is wrong, and restoring it from those that are not.

mod report;
mod shared;

use crate::audit;
use crate::audit::journals::Journals;
use crate::ownership::{self, Held};
use crate::shard_folders;
use anyhow::{Context as _, bail};
use clap::Args;
use florin_adapters::audit::key::{PublicKey, SigningKey};
use florin_adapters::clock::SystemClock;
use florin_adapters::data_dir::DataDir;
use florin_adapters::integrity::compare::{Comparison, compare as compare_sources};
use florin_adapters::integrity::lost::{self, KnownEnd, Lost};
use florin_adapters::integrity::mend::{Repair, Work, finish, mend};
use florin_adapters::integrity::plan::{Plan, plan};
use florin_adapters::integrity::{Places, Replica, unfinished};
use florin_adapters::journal::{JournalTables, StoredJournal};
use florin_adapters::postgres::Server;
use florin_config::Settings;
use florin_domain::ids::ShardId;
use florin_domain::ledger::EffectiveDate;
use florin_domain::ports::Clock as _;
use report::{Report, actions, agree, bad_heads, corruption_source, described, is_valid, result};
use std::io;
use std::path::{Path, PathBuf};

/// The exit code that says that a person must decide.
const EXIT_OPERATOR: i32 = 3;

/// Which copies there are.
#[derive(Args, Clone, Debug)]
pub(crate) struct CopyArguments {
    /// The folder of the replica, if it is not the configured one
    #[arg(long, value_name = "DIR")]
    replica: Option<PathBuf>,
    /// A standby of the database of `database.url`, which is the replica then; that of `database.replica_url` if none is named
    #[arg(long, value_name = "URL", conflicts_with = "replica")]
    replica_url: Option<String>,
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
    /// Restore this shard though its folder is gone and may have commits that no copy has: they are given up
    #[arg(long, value_name = "SHARD")]
    accept_missing: Vec<u16>,
    #[command(flatten)]
    copies: CopyArguments,
}

/// One shard with what was found about it.
struct Shard {
    data_dir: PathBuf,
    id: ShardId,
    /// How the folder was gone when it was compared.
    lost: Option<Lost>,
    found: Comparison,
}

impl Shard {
    /// The folder, if it is gone, and how: it cannot be the first shard's, which is the data folder itself.
    fn missing_folder(&self) -> Option<(&Path, Lost)> {
        self.lost.map(|lost| (self.data_dir.as_path(), lost))
    }

    /// What says that it may be restored if its folder is gone.
    fn known_end(&self, settings: &Settings, arguments: &RepairArguments) -> KnownEnd {
        KnownEnd {
            stopped_at: lost::stopped_at(&settings.data_dir, self.id),
            is_accepted: arguments.accept_missing.contains(&self.id.0),
        }
    }
}

/// Everything that is compared.
struct Check<'a> {
    settings: &'a Settings,
    heads: PathBuf,
    key: Option<PublicKey>,
    journals: Journals<'a>,
    replica: Option<PathBuf>,
    standby: Option<JournalTables>,
    export: Option<PathBuf>,
}

impl<'a> Check<'a> {
    fn new(settings: &'a Settings, copies: &CopyArguments) -> anyhow::Result<Self> {
        let journals = Journals::open(settings)?;
        let standby = standby(settings, copies, &journals)?;
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
            journals,
            standby,
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
            database: self.journals.tables().map(|tables| tables as &dyn StoredJournal),
            replica: match &self.standby {
                Some(tables) => Some(Replica::Standby(tables)),
                None => self.replica.as_deref().map(Replica::Folder),
            },
            export: self.export.as_deref(),
        }
    }

    /// Compares every shard; one whose folder is gone as well, with a journal that has nothing.
    fn compare(&self) -> anyhow::Result<Vec<Shard>> {
        let mut shards = Vec::new();
        for id in self.journals.known(self.replica.as_deref())? {
            let data_dir = shard_folders::folder(&self.settings.data_dir, id);
            let may_be_lost = self.journals.are_in_folders() && id != ShardId::FIRST;
            shards.push(Shard {
                lost: lost::is_lost(&data_dir)
                    .with_context(|| data_dir.display().to_string())?
                    .filter(|_| may_be_lost),
                found: compare_sources(&self.places(&data_dir, id))?,
                data_dir,
                id,
            });
        }
        Ok(shards)
    }
}

/// The standby that was named, if one was: of the same journal, or it is a copy of something else.
fn standby(
    settings: &Settings,
    copies: &CopyArguments,
    journals: &Journals<'_>,
) -> anyhow::Result<Option<JournalTables>> {
    let Some(primary) = journals.tables() else {
        if copies.replica_url.is_some() {
            bail!("--replica-url is for a journal in a database, and `database.url` is not set");
        }
        return Ok(None);
    };
    if copies.replica.is_some() {
        bail!("with `database.url` the replica is a standby: --replica-url");
    }
    let configured = || {
        settings
            .database
            .replica_url
            .as_ref()
            .map(|url| url.expose().to_owned())
    };
    let named = copies.replica_url.clone().or_else(configured);
    let Some(url) = named.filter(|url| !url.is_empty()) else {
        return Ok(None);
    };
    let options = ownership::database_options(settings, &url);
    let standby = JournalTables::open(&options, Server::Standby)?;
    if standby.journal_id()? != primary.journal_id()? {
        bail!(
            "the server at {} has another journal than the one at {}",
            standby.place(),
            primary.place()
        );
    }
    Ok(Some(standby))
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
        bail!("something differs: `florin repair --dry-run` says what can be done; see docs/repair.md");
    }
    Ok(())
}

/// Decides, and with `--apply` repairs. The folder is locked: no node may run on it.
pub(crate) async fn repair(settings: Settings, arguments: RepairArguments) -> anyhow::Result<()> {
    let held = if settings.database.url.is_some() && arguments.apply {
        Some(shared::take(&settings).await?)
    } else {
        None
    };
    let work = move || {
        let code = repair_locked(&settings, &arguments, held.as_ref());
        (code, held)
    };
    let (code, held) = tokio::task::spawn_blocking(work).await?;
    if let Some(held) = held {
        held.lease.release().await;
    }
    let code = code?;
    if code != 0 {
        // Everything was said; only the code is left.
        std::process::exit(code);
    }
    Ok(())
}

/// `held` are the shards of a database that is to be changed.
fn repair_locked(
    settings: &Settings,
    arguments: &RepairArguments,
    held: Option<&Held>,
) -> anyhow::Result<i32> {
    if !settings.data_dir.is_dir() {
        bail!("{} is no data folder", settings.data_dir.display());
    }
    let locked = DataDir::open(&settings.data_dir)?;
    let check = Check::new(settings, &arguments.copies)?;
    let shards = check.compare()?;
    let mut plans = Vec::new();
    for shard in &shards {
        let places = check.places(&shard.data_dir, shard.id);
        plans.push(plan(&places, &shard.found, shard.known_end(settings, arguments))?);
    }
    let mut report = Report {
        json: arguments.copies.json,
        shards: &shards,
        interrupted: unfinished::is_noted(&settings.data_dir)?,
        actions: Vec::new(),
        decide: Vec::new(),
        kept: Vec::new(),
        bad_heads: bad_heads(&shards),
        recovered: false,
    };
    let mut works = Vec::new();
    for (shard, plan) in shards.iter().zip(&plans) {
        match plan {
            Plan::Nothing => {}
            Plan::Mend(mending) => {
                report.actions.extend(actions(shard, mending, &check));
                works.push(Work {
                    places: check.places(&shard.data_dir, shard.id),
                    found: &shard.found,
                    mending,
                });
            }
            Plan::Stop(reasons) => {
                let missing = shard.missing_folder();
                report.decide.extend(missing.map(|(folder, lost)| {
                    let (id, folder) = (shard.id.0, folder.display());
                    format!("shard {id}: its folder {folder} is {lost}: bring it back, or name a copy that has all of it")
                }));
                report.decide.extend(reasons.iter().cloned());
            }
        }
    }
    if report.interrupted {
        let line = "the repair that was interrupted is brought to its end: the node starts again";
        report.actions.push(line.to_owned());
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
        return Ok(i32::from(!agree(&shards) || report.interrupted));
    }
    let after = carry_out(
        (&check, held.map(|held| (held, &locked))),
        (&shards, &works),
        &mut report,
    )?;
    report.print();
    if !report.recovered {
        for shard in &after {
            tracing::error!("{}", described(shard));
        }
        bail!("something still differs after the repair");
    }
    Ok(0)
}

/// Does what was planned, compares everything again, and answers with that. Nodes start again once their journals and views are right: a copy that
/// cannot be made again, and a bad line among older signed heads, stop none.
fn carry_out(
    (check, held): (&Check<'_>, Option<(&Held, &DataDir)>),
    (shards, works): (&[Shard], &[Work<'_>]),
    report: &mut Report<'_>,
) -> anyhow::Result<Vec<Shard>> {
    let done = match held {
        Some(held) => shared::mend(held, check, (shards, works)),
        None => mend_all(check.settings, works),
    };
    let after = match (check.compare(), done.is_ok()) {
        (Ok(after), _) => after,
        (Err(error), true) => return Err(error),
        // The first of the two errors says more.
        (Err(_), false) => Vec::new(),
    };
    let may_run = !after.is_empty() && after.iter().all(|shard| shard.found.may_run());
    if may_run {
        finish(&check.settings.data_dir, &mut |_| Ok(()))?;
    }
    let kept = done.with_context(|| {
        if may_run {
            "the repair failed; journal and views are right, and a node may start"
        } else {
            "the repair failed"
        }
    })?;
    report.kept.extend(kept);
    report.bad_heads = bad_heads(&after);
    report.recovered = agree(&after);
    Ok(after)
}

/// Does what was planned; answers where what was replaced is kept.
fn mend_all(settings: &Settings, works: &[Work<'_>]) -> anyhow::Result<Vec<String>> {
    let stamp = stamp();
    let repair = Repair {
        data_dir: &settings.data_dir,
        works,
        stamp: &stamp,
    };
    let mut renew = |export: &Path| {
        renew_export(settings, export, &stamp).map_err(|error| io::Error::other(format!("{error:#}")))
    };
    let kept = mend(&repair, &mut renew, &mut |_| Ok(()))?.kept;
    Ok(kept.iter().map(|path| path.display().to_string()).collect())
}

/// Makes an export again; answers where the old one is kept. It keeps its name until the new one takes it, so that a repair that is interrupted can
/// be run again as it was.
fn renew_export(settings: &Settings, export: &Path, stamp: &str) -> anyhow::Result<PathBuf> {
    let mut name = export.as_os_str().to_owned();
    name.push(format!(".damaged-{stamp}"));
    let aside = PathBuf::from(name);
    let kept = std::fs::hard_link(export, &aside).or_else(|_| std::fs::copy(export, &aside).map(drop));
    kept.with_context(|| format!("{}", aside.display()))?;
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
