//! Owns the journal as it can be put together: the records of whole copies, and behind their end those of the damaged journal itself that follow from
//! them. A copy that is late so repairs what it has, and costs no commit that came after it.

use super::heads::Heads;
use super::lanes::Sources;
use super::{IntegrityError, Places, Source};
use crate::journal::{GENESIS, Hash, RawPage, RawRecord, StoredJournal, Verifier};
use florin_domain::ids::{Epoch, Seq, ShardId};
use florin_domain::ports::{Head, ReadError};
use std::collections::{BTreeMap, HashSet, VecDeque};

/// Restored records whose hashes are remembered, to know them again where they stand in the wrong place.
const MISPLACED_MAX: usize = 100_000;

/// What was put together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Spliced {
    /// Its last commit.
    pub(super) end: Seq,
    /// Its hash.
    pub(super) hash: Hash,
    /// Records that the damaged journal does not have like this: how many, the first and the last.
    pub(super) mended: Option<(u64, Seq, Seq)>,
    /// How many of its records came from where.
    pub(super) taken: BTreeMap<Source, u64>,
    /// The newest commit that was signed for.
    pub(super) signed: Option<Seq>,
    /// Whether the damaged journal has records behind its end, which do not follow.
    pub(super) has_leftovers: bool,
    /// The last commit of which the damaged journal had another one: it is a fork, and not only damaged.
    pub(super) forked: Option<Seq>,
}

/// Why nothing can be put together.
#[derive(Debug)]
pub(super) enum SpliceError {
    /// A file failed.
    Failed(IntegrityError),
    /// The copies are not what was signed.
    Refused(String),
}

impl From<IntegrityError> for SpliceError {
    fn from(error: IntegrityError) -> Self {
        Self::Failed(error)
    }
}

impl From<ReadError> for SpliceError {
    fn from(error: ReadError) -> Self {
        Self::Failed(error.into())
    }
}

/// The damaged journal's records by their places, whatever they are worth.
struct Raw<'a> {
    journal: Option<&'a dyn StoredJournal>,
    shard: ShardId,
    page: VecDeque<RawRecord>,
    has_ended: bool,
}

impl Raw<'_> {
    fn at(&mut self, seq: Seq) -> Result<Option<RawRecord>, IntegrityError> {
        while self.page.front().is_some_and(|record| record.seq < seq) {
            self.page.pop_front();
        }
        let journal = self.journal.filter(|_| self.page.is_empty() && !self.has_ended);
        if let Some(journal) = journal {
            let read = raw(journal, self.shard, Seq(seq.0.saturating_sub(1)))?;
            // Where a record cannot be read, the one behind it is tried next.
            self.has_ended = read.records.is_empty() && read.broken.is_none();
            self.page = read.records.into();
        }
        Ok(self.page.pop_front_if(|record| record.seq == seq))
    }

    /// Whether it has records behind `end` that stand nowhere before it. One whose place is damaged does, where it belongs.
    fn has_others_after(&self, end: Seq, known: &HashSet<Vec<u8>>) -> Result<bool, IntegrityError> {
        let Some(journal) = self.journal else {
            return Ok(false);
        };
        let mut last = end;
        loop {
            let page = raw(journal, self.shard, last)?;
            let Some(record) = page.records.last() else {
                return Ok(false);
            };
            last = record.seq;
            if page.records.iter().any(|record| !known.contains(&record.hash)) {
                return Ok(true);
            }
        }
    }
}

/// Records as they are stored. What is somewhere else and out of reach is not missing.
fn raw(journal: &dyn StoredJournal, shard: ShardId, after: Seq) -> Result<RawPage, IntegrityError> {
    let page = journal.raw(shard, after);
    match page.broken {
        Some(ReadError::Store(why)) if journal.is_remote() => {
            Err(IntegrityError::Unreachable(Source::Primary, why))
        }
        _ => Ok(page),
    }
}

/// What a journal says of its own end, if it says something.
pub(super) fn own_end(
    journal: Option<&dyn StoredJournal>,
    shard: ShardId,
) -> Result<Option<Head>, IntegrityError> {
    let Some(journal) = journal else {
        return Ok(None);
    };
    match journal.head(shard) {
        Ok(head) => Ok(Some(head).filter(|head| head.seq > Seq::ZERO)),
        Err(ReadError::Store(why)) if journal.is_remote() => {
            Err(IntegrityError::Unreachable(Source::Primary, why))
        }
        Err(_) => Ok(None),
    }
}

/// What the damaged journal says of its own history, against that of the copies.
struct Own {
    shard: ShardId,
    /// Its end as it noted it, whatever its records are worth.
    head: Option<(Seq, Hash)>,
    /// Hash and epoch of its record before.
    before: Option<(Hash, Epoch)>,
}

impl Own {
    fn new(journal: Option<&dyn StoredJournal>, shard: ShardId) -> Result<Self, IntegrityError> {
        Ok(Self {
            shard,
            head: own_end(journal, shard)?.map(|head| (head.seq, head.hash)),
            before: Some((GENESIS, Epoch::default())),
        })
    }

    /// Whether it had another commit at this place than the copies: a record that follows from its own one before, which no damage makes, or a
    /// noted end with another hash.
    fn is_other(&mut self, own: Option<&RawRecord>, seq: Seq, copied: &[u8]) -> bool {
        let follows = |record: &RawRecord, (hash, epoch): (Hash, Epoch)| {
            let before = Seq(seq.0.saturating_sub(1));
            let mut verifier = Verifier::after(self.shard, before, hash, epoch);
            let followed = verifier.follow(record.seq, record.epoch, &record.hash, &record.bytes);
            followed.is_ok()
        };
        let has_other = own
            .is_some_and(|own| own.hash != copied && self.before.is_some_and(|before| follows(own, before)));
        // A noted hash that is itself damaged is told by the record, which is the copies'.
        let is_same = own.is_some_and(|own| own.hash == copied);
        let ends_otherwise = self
            .head
            .is_some_and(|(end, hash)| end == seq && hash.as_slice() != copied && !is_same);
        self.before = own.and_then(|own| Some((own.hash.as_slice().try_into().ok()?, own.epoch)));
        has_other || ends_otherwise
    }
}

/// Goes along the journal that can be put together from whole copies, and shows each of its records, and whether the damaged journal does not have it
/// like this.
pub(super) fn splice(
    places: &Places<'_>,
    sources: &Sources<'_>,
    copies: &[Source],
    visit: &mut dyn FnMut(&RawRecord, bool) -> Result<(), ReadError>,
) -> Result<Spliced, SpliceError> {
    let mut heads = Heads::open(places, sources.export.as_ref())?;
    let mut copies: Vec<_> = copies
        .iter()
        .filter_map(|source| Some((*source, sources.records(places, *source)?)))
        .collect();
    let mut raw = Raw {
        journal: sources.journal(),
        shard: places.shard,
        page: VecDeque::new(),
        has_ended: false,
    };
    let mut verifier = Verifier::after(places.shard, Seq::ZERO, GENESIS, Epoch::default());
    let mut spliced = Spliced::default();
    let mut history = Own::new(raw.journal, places.shard)?;
    let mut mended_hashes = HashSet::new();
    loop {
        let seq = verifier.last().next();
        let own = raw.at(seq)?;
        let mut taken = None;
        for (source, records) in &mut copies {
            let Some(record) = records.next().transpose()? else {
                continue;
            };
            taken.get_or_insert((
                *source,
                RawRecord {
                    seq: record.seq,
                    epoch: record.epoch,
                    hash: record.hash.to_vec(),
                    bytes: record.bytes,
                },
            ));
        }
        let is_from_copy = taken.is_some();
        let Some((source, record)) = taken.or_else(|| Some((Source::Primary, own.clone()?))) else {
            break;
        };
        match verifier.follow(record.seq, record.epoch, &record.hash, &record.bytes) {
            Ok(()) => {}
            Err(error) if is_from_copy => return Err(error.into()),
            Err(_) => break,
        }
        while let Some(signed) = heads.up_to(places, seq)? {
            if signed.size == seq && signed.hash != verifier.hash() {
                let why = format!("another commit {seq} was signed than the {source} has");
                return Err(SpliceError::Refused(why));
            }
        }
        if history.is_other(own.as_ref(), seq, &record.hash) {
            spliced.forked = Some(seq);
        }
        let is_mended = own.is_none_or(|own| {
            own.epoch != record.epoch || own.hash != record.hash || own.bytes != record.bytes
        });
        if is_mended {
            let (count, first, _) = spliced.mended.unwrap_or((0, seq, seq));
            spliced.mended = Some((count + 1, first, seq));
            if mended_hashes.len() < MISPLACED_MAX {
                mended_hashes.insert(record.hash.clone());
            }
        }
        *spliced.taken.entry(source).or_default() += 1;
        visit(&record, is_mended)?;
    }
    heads.finish(places)?;
    spliced.end = verifier.last();
    spliced.hash = verifier.hash();
    spliced.signed = heads.newest;
    spliced.has_leftovers = raw.has_others_after(spliced.end, &mended_hashes)?;
    Ok(spliced)
}
