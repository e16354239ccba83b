//! Owns deciding: what can be repaired without losing a commit, and what only a person may decide.

use super::compare::{Comparison, Corruption, FaultKind};
use super::heads::{has_heads, may_hide_newer};
use super::lanes::Sources;
use super::lost::{KnownEnd, Lost, is_lost};
use super::splice::{SpliceError, Spliced, own_end, splice};
use super::{IntegrityError, Places, Source, io_error};
use crate::journal::Hash;
use florin_domain::ids::Seq;
use florin_domain::ports::Head;
use std::collections::BTreeMap;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Nothing is wrong.
    Nothing,
    /// What can be repaired.
    Mend(Mending),
    /// Nothing may be touched before a person has decided; these are the reasons.
    Stop(Vec<String>),
}

/// What can be repaired. Each part is there only if it is needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mending {
    /// A new journal in the place of the old one. What is derived from it is made again.
    pub primary: Option<Restoration>,
    /// The replica is written again from this commit on.
    pub replica_from: Option<Seq>,
    /// The export is to be made again.
    pub audit: bool,
    /// The views are to be made again.
    pub views: bool,
}

/// The journal that will be put in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restoration {
    /// Its last commit.
    pub end: Seq,
    /// The chain hash of that.
    pub hash: Hash,
    /// Records that are restored: how many, the first and the last.
    pub mended: Option<(u64, Seq, Seq)>,
    /// How many of its records are copied from where.
    pub taken: BTreeMap<Source, u64>,
    /// The newest commit that was signed for: those behind it are believed because they follow.
    pub signed: Option<Seq>,
}

/// Decides what follows from a comparison, and from what is known of the end of a shard whose folder is gone. It reads, and changes nothing.
pub fn plan(places: &Places<'_>, found: &Comparison, end: KnownEnd) -> Result<Plan, IntegrityError> {
    if may_hide_newer(places)? {
        let why = "the newest signed head may be hidden by a bad line behind it: restore the file of heads, or put it away and know that \
                   nothing then says how far the journal went";
        return Ok(Plan::Stop(vec![why.to_owned()]));
    }
    let views = found.views.as_ref().is_some_and(|views| views.differences > 0);
    let mut mending = Mending {
        views,
        ..Mending::default()
    };
    match found.corruption() {
        Corruption::None => {}
        Corruption::One(Source::Replica) if places.replica_folder().is_none() => {
            let why = "only the replica is wrong, and nothing can be written to a standby: take it out of service, and make it again from the primary \
                       (`pg_basebackup`)";
            return Ok(Plan::Stop(reasons(found, why)));
        }
        Corruption::One(Source::Replica) => {
            let fault = found.fault(Source::Replica).and_then(|fault| fault.seq);
            mending.replica_from = Some(fault.unwrap_or(Seq(1)));
        }
        Corruption::One(Source::Audit) => mending.audit = true,
        Corruption::One(Source::Primary) => match restoration(places, found, end)? {
            Ok(restoration) => {
                mending.primary = Some(restoration);
                mending.views = false;
            }
            Err(why) => return Ok(Plan::Stop(vec![why])),
        },
        Corruption::Multiple => {
            let why = "more than one copy is wrong, so none may be restored from another without a person";
            return Ok(Plan::Stop(reasons(found, why)));
        }
    }
    Ok(if mending == Mending::default() {
        Plan::Nothing
    } else {
        Plan::Mend(mending)
    })
}

/// Why nothing is done, and what every source has and lacks, for whoever has to decide.
fn reasons(found: &Comparison, why: &str) -> Vec<String> {
    let mut reasons = vec![why.to_owned()];
    reasons.extend(found.sources.iter().map(|report| match &report.fault {
        Some(fault) => format!(
            "{}: {fault}; {} records before that verify",
            report.source, report.records
        ),
        None => format!(
            "{}: {} records, all of which verify",
            report.source, report.records
        ),
    }));
    if let Some(signed) = found.signed {
        reasons.push(format!("the newest signed head is of commit {signed}"));
    }
    reasons
}

/// The journal that can be put together, or why it must not be.
fn restoration(
    places: &Places<'_>,
    found: &Comparison,
    end: KnownEnd,
) -> Result<Result<Restoration, String>, IntegrityError> {
    let copies = whole_copies(found);
    if copies.is_empty() {
        let why = "the journal is wrong, and no other copy was given: name one with --replica or --export, or restore a whole copy of the data \
                   folder";
        return Ok(Err(why.to_owned()));
    }
    if places.key.is_none() && has_heads(places)? {
        let why = "signed heads are there, and no key to check them with: put audit_key.secret back, or name --public-key";
        return Ok(Err(why.to_owned()));
    }
    let sources = Sources::open(places)?;
    if let Some(journal) = sources.journal()
        && journal.has_other_shards(places.shard).unwrap_or(false)
    {
        let why = "the journal's file has records of other shards, which would be lost";
        return Ok(Err(why.to_owned()));
    }
    let spliced = match splice(places, &sources, &copies, &mut |_, _| Ok(())) {
        Ok(spliced) => spliced,
        Err(SpliceError::Refused(why)) => return Ok(Err(why)),
        Err(SpliceError::Failed(error)) => return Err(error),
    };
    let lost = match places.database {
        Some(_) => None,
        None => is_lost(places.data_dir).map_err(io_error(places.data_dir))?,
    };
    let lost = lost.or_else(|| is_begun_anew(places, &sources).then_some(Lost::Empty));
    let own = own_end(sources.journal(), places.shard)?;
    let refused = loses_commits(places, own, &spliced)
        .or_else(|| match lost {
            Some(lost) => may_have_gone_on(places, lost, &spliced, end),
            None => has_no_known_end(places, own, found, &spliced),
        })
        .or_else(|| is_other(found, &spliced));
    Ok(match refused {
        Some(why) => Err(why),
        None => Ok(Restoration {
            end: spliced.end,
            hash: spliced.hash,
            mended: spliced.mended,
            taken: spliced.taken,
            signed: spliced.signed,
        }),
    })
}

/// The copies of which nothing is wrong.
pub(super) fn whole_copies(found: &Comparison) -> Vec<Source> {
    let is_copy = |source| source != Source::Primary;
    let whole = found.sources.iter().filter(|report| report.fault.is_none());
    whole
        .map(|report| report.source)
        .filter(|source| is_copy(*source))
        .collect()
}

/// Whether the journal has a log: one is left only by a node that did not stop by itself.
fn has_log(data_dir: &std::path::Path) -> bool {
    let log = data_dir.join("journal.db-wal");
    std::fs::metadata(log).is_ok_and(|log| log.len() > 0)
}

/// Why commits would be lost that somebody may have been told of.
fn loses_commits(places: &Places<'_>, own: Option<Head>, spliced: &Spliced) -> Option<String> {
    let end = spliced.end;
    if let Some(signed) = spliced.signed
        && signed > end
    {
        return Some(format!(
            "what can be restored ends at commit {end}, and a signed head of commit {signed} exists: find a copy that has it"
        ));
    }
    if let Some(noted) = places.noted_end().filter(|noted| *noted > end) {
        return Some(format!(
            "what can be restored ends at commit {end}, and the replica had commit {noted}: find a copy that has it"
        ));
    }
    if spliced.has_leftovers {
        return Some(format!(
            "what can be restored ends at commit {end}, and the journal has records behind it that only a later copy could connect"
        ));
    }
    // A damaged number with the right hash, or a damaged hash with the right number, is damage of the end's own record.
    if let Some(own) = own
        && own.seq > end
        && own.hash != spliced.hash
    {
        return Some(format!(
            "what can be restored ends at commit {end}, and the journal itself went on to commit {}: find a copy that has it",
            own.seq
        ));
    }
    None
}

/// Whether the journal has nothing at all, as one that a node has begun where another one should have been.
fn is_begun_anew(places: &Places<'_>, sources: &Sources<'_>) -> bool {
    sources.journal().is_some_and(|journal| {
        let raw = journal.raw(places.shard, Seq::ZERO);
        let head = journal.head(places.shard);
        head.is_ok_and(|head| head.seq == Seq::ZERO) && raw.records.is_empty() && raw.broken.is_none()
    })
}

/// Why a journal that is somewhere else may have commits that no copy and no signed head has heard of: those of the last second of a node that was
/// killed. One that stopped by itself signed last, and noted it.
fn may_have_gone_on(places: &Places<'_>, lost: Lost, spliced: &Spliced, known: KnownEnd) -> Option<String> {
    let end = spliced.end;
    if known.is_accepted || (known.stopped_at == Some(end) && spliced.signed == Some(end)) {
        return None;
    }
    let signed = match spliced.signed {
        Some(signed) => format!("the newest signed head is of commit {signed}"),
        None => "there is no signed head, or no key to check it with".to_owned(),
    };
    let stopped = match known.stopped_at {
        Some(stopped) => format!("the node noted at its last stop that the journal ends at commit {stopped}"),
        None => "nothing says that the node stopped by itself".to_owned(),
    };
    let (folder, shard) = (places.data_dir.display(), places.shard.0);
    Some(format!(
        "{folder} is {lost}, and the journal that was in it may have commits that were answered and that no copy has: the copies end at commit {end}; \
         {signed}; {stopped}. Look whether the disk is mounted, and bring the folder back. If it is lost for good, `--accept-missing {shard}` restores \
         the shard up to commit {end}, and gives up what came after it"
    ))
}

/// Why nobody can say where a journal ended that is there and does not say it.
fn has_no_known_end(
    places: &Places<'_>,
    own: Option<Head>,
    found: &Comparison,
    spliced: &Spliced,
) -> Option<String> {
    let end = spliced.end;
    if own.is_none() && has_log(places.data_dir) {
        return Some(format!(
            "what can be restored ends at commit {end}; the journal cannot be read, and its log may have commits that no copy and no signed head \
             has heard of: the node did not stop by itself"
        ));
    }
    let ends: Vec<_> = found
        .sources
        .iter()
        .filter(|report| report.source != Source::Primary && report.fault.is_none())
        .map(|report| (report.records, report.hash))
        .collect();
    let copies_agree = ends.len() > 1 && ends.windows(2).all(|pair| pair[0] == pair[1]);
    if spliced.signed.is_none() && own.is_none() && !copies_agree {
        return Some(format!(
            "nothing says whether commit {end} is the last one: there is no signed head (or no key to check it with), and the journal's own end \
             cannot be read"
        ));
    }
    None
}

/// Why the journal that is there may have commits that the copies know nothing of.
fn is_other(found: &Comparison, spliced: &Spliced) -> Option<String> {
    let report = found.source(Source::Primary)?;
    let fault = report.fault.as_ref()?;
    let is_signed_up_to = |seq| spliced.signed.is_some_and(|signed| signed >= seq);
    if fault.kind == FaultKind::Other && !is_signed_up_to(report.records) {
        return Some(format!(
            "the journal verifies up to commit {} and is another one than the copies: its commits would be lost, and no signed head says that they \
             are not real",
            report.records
        ));
    }
    // However long a copy is, and however damaged the journal: what the journal had may have been answered.
    let forked = spliced.forked.filter(|forked| !is_signed_up_to(*forked))?;
    Some(format!(
        "the journal has another commit {forked} than the copies, and is another one than they are: its commits would be lost, and no signed head \
         says that they are not real"
    ))
}
