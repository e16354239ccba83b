//! Owns the comparison: every source is verified for itself, then record by record with the others and with what was signed.

use super::heads::Heads;
use super::lanes::{Lane, Sources};
use super::{IntegrityError, Places, Source};
use crate::data_dir::VIEWS;
use crate::journal::Hash;
use crate::views::{self, ViewsCompared};
use florin_domain::ids::{Seq, ShardId};
use std::collections::BTreeMap;
use std::fmt;

/// How a source is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// A record or the file does not verify; behind it nothing has been looked at.
    Damaged,
    /// Its end is gone.
    Cut,
    /// All of it verifies, and it is another journal than the others or than the one that was signed.
    Other,
}

impl FaultKind {
    /// Its name in results.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Damaged => "damaged",
            Self::Cut => "cut",
            Self::Other => "other",
        }
    }
}

/// What is wrong with a source, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The first commit that is bad or missing; nothing where only the file around the records is.
    pub seq: Option<Seq>,
    /// In what way.
    pub kind: FaultKind,
    /// How it shows.
    pub why: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.seq {
            Some(seq) => write!(f, "{} at commit {seq}: {}", self.kind.as_str(), self.why),
            None => write!(f, "{}: {}", self.kind.as_str(), self.why),
        }
    }
}

/// What was found about one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceReport {
    /// Which one.
    pub source: Source,
    /// Its last record that verifies, and so how many do.
    pub records: Seq,
    /// The chain hash of that record.
    pub hash: Hash,
    /// What is wrong; nothing if all that it has is right. One that ends before the others is not wrong for that: it is late.
    pub fault: Option<Fault>,
}

/// Which source differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Corruption {
    /// None does.
    None,
    /// Only this one.
    One(Source),
    /// More than one, or two of which nobody can say which is right.
    Multiple,
}

impl Corruption {
    /// Its name in results.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::One(source) => source.as_str(),
            Self::Multiple => "multiple",
        }
    }
}

/// The sources of a shard, compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// Whose journal.
    pub shard: ShardId,
    /// Every source that was given, the journal first.
    pub sources: Vec<SourceReport>,
    /// The newest commit that was signed for, if there is a key and a signed head.
    pub signed: Option<Seq>,
    /// Lines that are no signed heads.
    pub bad_heads: Vec<String>,
    /// The views against the journal; nothing if there are none, or no journal to compare them with.
    pub views: Option<ViewsCompared>,
}

impl Comparison {
    /// What was found about a source.
    pub fn source(&self, source: Source) -> Option<&SourceReport> {
        self.sources.iter().find(|report| report.source == source)
    }

    /// What is wrong with a source.
    pub fn fault(&self, source: Source) -> Option<&Fault> {
        self.source(source)?.fault.as_ref()
    }

    /// Which source differs.
    pub fn corruption(&self) -> Corruption {
        let mut wrong = self.sources.iter().filter(|report| report.fault.is_some());
        match (wrong.next(), wrong.next()) {
            (None, _) => Corruption::None,
            (Some(report), None) => Corruption::One(report.source),
            (Some(_), Some(_)) => Corruption::Multiple,
        }
    }

    /// Whether everything that was looked at is right.
    pub fn is_valid(&self) -> bool {
        self.agrees() && self.bad_heads.is_empty()
    }

    /// Whether all copies and the views agree. A bad line among older signed heads is not looked at: no repair mends it, and no node needs it.
    pub fn agrees(&self) -> bool {
        self.corruption() == Corruption::None && self.has_right_views()
    }

    /// Whether a node may run on what is here, whatever its copies are worth: journal and views are right.
    pub fn may_run(&self) -> bool {
        self.fault(Source::Primary).is_none() && self.has_right_views()
    }

    fn has_right_views(&self) -> bool {
        self.views.as_ref().is_none_or(|views| views.differences == 0)
    }
}

/// Where two sources part: the first commit in which they differ.
type Forks = BTreeMap<(Source, Source), Seq>;

/// Compares everything.
pub fn compare(places: &Places<'_>) -> Result<Comparison, IntegrityError> {
    let sources = Sources::open(places)?;
    let mut heads = Heads::open(places, sources.export.as_ref())?;
    // The journal comes last: what a copy of it has, it had before.
    let order = [Source::Replica, Source::Audit, Source::Primary];
    let mut lanes: Vec<Lane<'_>> = order
        .into_iter()
        .filter_map(|source| {
            let records = sources.records(places, source)?;
            Some(Lane::new(places, source, records, sources.export.as_ref()))
        })
        .collect();
    let forks = walk(places, &mut lanes, &mut heads)?;
    heads.finish(places)?;
    judge_contradicted(&mut lanes, &forks);
    judge_forks(&mut lanes, &forks);
    judge_ends(places, &sources, &mut lanes, heads.newest)?;
    lanes.sort_by_key(|lane| lane.source);
    let views = compare_views(places, &sources, &lanes)?;
    let report = |lane: Lane<'_>| SourceReport {
        source: lane.source,
        records: lane.end,
        hash: lane.hash,
        fault: lane.fault,
    };
    Ok(Comparison {
        shard: places.shard,
        sources: lanes.into_iter().map(report).collect(),
        signed: heads.newest,
        bad_heads: heads.bad,
        views,
    })
}

/// Goes along all sources at once until each has ended or failed.
fn walk(places: &Places<'_>, lanes: &mut [Lane<'_>], heads: &mut Heads) -> Result<Forks, IntegrityError> {
    let mut forks = Forks::new();
    let mut seq = Seq::ZERO;
    loop {
        seq = seq.next();
        for lane in lanes.iter_mut() {
            lane.step()?;
        }
        let here: Vec<(Source, Hash)> = lanes
            .iter()
            .filter_map(|lane| Some((lane.source, lane.here?)))
            .collect();
        if here.is_empty() {
            return Ok(forks);
        }
        for (index, (one, hash)) in here.iter().enumerate() {
            for (other, other_hash) in &here[index + 1..] {
                if hash != other_hash {
                    forks.entry((*one, *other)).or_insert(seq);
                }
            }
        }
        while let Some(signed) = heads.up_to(places, seq)? {
            if signed.size != seq {
                continue;
            }
            for lane in lanes.iter_mut() {
                match lane.here {
                    Some(hash) if hash == signed.hash => lane.confirmed = seq,
                    Some(_) => {
                        lane.contradicted.get_or_insert(seq);
                    }
                    None => {}
                }
            }
        }
    }
}

/// The first commit in which two sources differ, whichever way round they are named.
fn fork(forks: &Forks, one: Source, other: Source) -> Option<Seq> {
    forks
        .get(&(one, other))
        .or_else(|| forks.get(&(other, one)))
        .copied()
}

/// Sources of which another commit was signed.
fn judge_contradicted(lanes: &mut [Lane<'_>], forks: &Forks) {
    let right: Vec<Source> = lanes
        .iter()
        .filter(|lane| lane.contradicted.is_none())
        .map(|lane| lane.source)
        .collect();
    for lane in lanes.iter_mut() {
        let Some(signed) = lane.contradicted else { continue };
        let parts_at = right
            .iter()
            .filter_map(|other| fork(forks, lane.source, *other))
            .min();
        lane.fault.get_or_insert(Fault {
            seq: Some(parts_at.unwrap_or(lane.confirmed.next())),
            kind: FaultKind::Other,
            why: format!(
                "another commit {signed} was signed, though each record follows from the one before"
            ),
        });
    }
}

/// Sources that differ though nothing that was signed says which is right: the one that was confirmed behind the fork is, else the one that a
/// third source agrees with, else nobody knows.
fn judge_forks(lanes: &mut [Lane<'_>], forks: &Forks) {
    for (&(one, other), &seq) in forks {
        let of = |source| lanes.iter().find(|lane| lane.source == source);
        let (Some(a), Some(b)) = (of(one), of(other)) else {
            continue;
        };
        if a.contradicted.is_some() || b.contradicted.is_some() {
            continue;
        }
        let third = lanes
            .iter()
            .find(|lane| lane.source != one && lane.source != other);
        let third = third.filter(|lane| lane.contradicted.is_none() && lane.end >= seq);
        let agrees =
            |source| third.is_some_and(|lane| fork(forks, lane.source, source).is_none_or(|at| at > seq));
        let is_right = [(a.confirmed, one), (b.confirmed, other)].map(|(confirmed, _)| confirmed >= seq);
        let wrong: &[Source] = match (is_right, [agrees(one), agrees(other)]) {
            ([true, false], _) | ([false, false], [true, false]) => &[other],
            ([false, true], _) | ([false, false], [false, true]) => &[one],
            _ => &[one, other],
        };
        for lane in lanes.iter_mut().filter(|lane| wrong.contains(&lane.source)) {
            lane.fault.get_or_insert(Fault {
                seq: Some(seq),
                kind: FaultKind::Other,
                why: "another source has another record here, and both follow from the one before".to_owned(),
            });
        }
    }
}

/// A journal that ends before what was signed, or before a copy of it, has lost its end. A copy that ends before the journal is late.
fn judge_ends(
    places: &Places<'_>,
    sources: &Sources<'_>,
    lanes: &mut [Lane<'_>],
    signed: Option<Seq>,
) -> Result<(), IntegrityError> {
    let copies = lanes.iter().filter(|lane| lane.source != Source::Primary);
    let longest = copies
        .filter(|lane| lane.fault.is_none())
        .map(|lane| (lane.end, lane.source))
        .max();
    let Some(primary) = lanes.iter_mut().find(|lane| lane.source == Source::Primary) else {
        return Ok(());
    };
    if primary.fault.is_some() {
        return Ok(());
    }
    let why = match (signed, longest) {
        (Some(signed), _) if signed > primary.end => {
            // The node may have gone on, and signed, after we came to its end.
            if has_gone_on(places, sources, signed)? {
                return Ok(());
            }
            format!("a signed head of commit {signed} exists")
        }
        (_, Some((end, source))) if end > primary.end => format!("the {source} goes on to commit {end}"),
        _ => match places.noted_end() {
            Some(noted) if noted > primary.end && !has_gone_on(places, sources, noted)? => {
                format!("the replica had commit {noted}")
            }
            Some(_) | None => return Ok(()),
        },
    };
    primary.fault = Some(Fault {
        seq: Some(primary.end.next()),
        kind: FaultKind::Cut,
        why,
    });
    Ok(())
}

/// Whether the journal has reached a commit by now.
fn has_gone_on(places: &Places<'_>, sources: &Sources<'_>, seq: Seq) -> Result<bool, IntegrityError> {
    Ok(match sources.journal() {
        Some(journal) => journal.head(places.shard)?.seq >= seq,
        None => false,
    })
}

/// Compares the views with the journal, or with a whole copy of one that is damaged.
fn compare_views(
    places: &Places<'_>,
    sources: &Sources<'_>,
    lanes: &[Lane<'_>],
) -> Result<Option<ViewsCompared>, IntegrityError> {
    let Some(whole) = lanes.iter().find(|lane| lane.fault.is_none()) else {
        return Ok(None);
    };
    let Some(records) = sources.records(places, whole.source) else {
        return Ok(None);
    };
    let is_late = whole.source != Source::Primary;
    Ok(views::compare(&places.data_dir.join(VIEWS), records, is_late)?)
}
