//! Owns repairing: what was planned is done, and what is replaced is kept under another name. The data folder must be locked by the caller.

use super::compare::Comparison;
use super::lanes::Sources;
use super::plan::{Mending, Restoration, whole_copies};
use super::splice::{SpliceError, splice};
use super::{IntegrityError, Places, io_error, swap, unfinished};
use crate::journal::{Hash, JournalBuilder, JournalFile};
use crate::replica::follower::Replica;
use crate::replica::set_aside;
use florin_domain::ids::Seq;
use std::io;
use std::path::{Path, PathBuf};

pub use super::swap::{BeforeStep, Step};

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mended {
    /// Where what was replaced is kept.
    pub kept: Vec<PathBuf>,
}

/// What is to be done in one shard.
#[derive(Clone, Copy, Debug)]
pub struct Work<'a> {
    /// Where its copies are.
    pub places: Places<'a>,
    /// What was found about them.
    pub found: &'a Comparison,
    /// What was planned.
    pub mending: &'a Mending,
}

/// What is repaired together.
#[derive(Clone, Copy, Debug)]
pub struct Repair<'a> {
    /// The data folder, where it is noted that a repair is under way.
    pub data_dir: &'a Path,
    /// Each shard in which something is to be done.
    pub works: &'a [Work<'a>],
    /// A part of the names under which the replaced files are kept.
    pub stamp: &'a str,
}

/// Makes the export again at its place, and answers where the old one is kept.
pub type RenewExport<'a> = &'a mut dyn FnMut(&Path) -> io::Result<PathBuf>;

/// Repairs everything that was planned: the node's own files first, and then the copies. Until every new journal is built and verified nothing has
/// changed, and nothing is noted. A folder in which a node's own files were touched stays noted as one under repair: [`finish`] ends that, once they
/// have been compared again.
pub fn mend(
    repair: &Repair<'_>,
    renew: RenewExport<'_>,
    before: BeforeStep<'_>,
) -> Result<Mended, IntegrityError> {
    let prepared = prepare(repair, before);
    if prepared.is_err() {
        for work in repair.works.iter().filter(|work| work.mending.primary.is_some()) {
            swap::discard_unfinished(work.places.data_dir);
        }
    }
    prepared?;
    let mut mended = Mended::default();
    for work in repair.works {
        mended.kept.extend(mend_own(work, repair.stamp, before)?);
    }
    for work in repair.works {
        mended.kept.extend(mend_replica(work, repair.stamp, before)?);
    }
    let mut exports = repair.works.iter().filter(|work| work.mending.audit);
    // One file has the records of all shards.
    if let Some(export) = exports.find_map(|work| work.places.export) {
        let renewed = before(Step::RenewExport).and_then(|()| renew(export));
        mended.kept.push(renewed.map_err(io_error(export))?);
    }
    Ok(mended)
}

/// Ends a repair: nodes start again.
pub fn finish(data_dir: &Path, before: BeforeStep<'_>) -> Result<(), IntegrityError> {
    before(Step::Finish)
        .and_then(|()| unfinished::clear(data_dir))
        .map_err(io_error(data_dir))
}

/// Builds all that is needed, and then notes that the node's own files are about to be touched, if any are.
fn prepare(repair: &Repair<'_>, before: BeforeStep<'_>) -> Result<(), IntegrityError> {
    let data_dir = repair.data_dir;
    for Work {
        places,
        found,
        mending,
    } in repair.works
    {
        if let Some(restoration) = &mending.primary {
            let refused = |step| before(step).map_err(io_error(places.data_dir));
            build(places, found, restoration, refused)?;
        }
    }
    let is_own = |work: &Work<'_>| work.mending.primary.is_some() || work.mending.views;
    if repair.works.iter().any(is_own) {
        before(Step::Note)
            .and_then(|()| unfinished::note(data_dir, repair.stamp))
            .map_err(io_error(data_dir))?;
    }
    Ok(())
}

/// Repairs what the node runs on.
fn mend_own(work: &Work<'_>, stamp: &str, before: BeforeStep<'_>) -> Result<Option<PathBuf>, IntegrityError> {
    let (data_dir, mending) = (work.places.data_dir, work.mending);
    let kept = match mending.primary {
        Some(_) => Some(swap::swap(data_dir, stamp, before)?),
        None => None,
    };
    if mending.views {
        before(Step::DiscardWrongViews).map_err(io_error(data_dir))?;
        swap::discard_views(data_dir)?;
    }
    Ok(kept)
}

fn mend_replica(
    work: &Work<'_>,
    stamp: &str,
    before: BeforeStep<'_>,
) -> Result<Vec<PathBuf>, IntegrityError> {
    let places = &work.places;
    let mut kept = Vec::new();
    if let (Some(from), Some(folder)) = (work.mending.replica_from, places.replica_folder()) {
        let mark = format!("damaged-{stamp}");
        let aside = before(Step::SetReplicaAside).and_then(|()| set_aside(folder, places.shard, from, &mark));
        kept.extend(aside.map_err(io_error(folder))?);
        before(Step::WriteReplica).map_err(io_error(folder))?;
        let mut replica = Replica::open(places.data_dir, folder, places.shard)?;
        loop {
            let progress = replica.step()?;
            if progress.copied >= progress.head {
                break;
            }
        }
    }
    Ok(kept)
}

/// Writes the restored journal beside the damaged one and reads all of it back.
fn build(
    places: &Places<'_>,
    found: &Comparison,
    planned: &Restoration,
    mut before: impl FnMut(Step) -> Result<(), IntegrityError>,
) -> Result<(), IntegrityError> {
    let path = swap::unfinished(places.data_dir);
    before(Step::Build)?;
    swap::make_staging(places.data_dir)?;
    let sources = Sources::open(places)?;
    let mut builder = JournalBuilder::create(&path, places.shard)?;
    let spliced = splice(places, &sources, &whole_copies(found), &mut |record, _| {
        builder.push(record.seq, record.epoch, &record.hash, &record.bytes)
    });
    match spliced {
        Ok(_) => {}
        Err(SpliceError::Failed(error)) => return Err(error),
        Err(SpliceError::Refused(why)) => return Err(IntegrityError::NotRestored(why)),
    }
    let built = builder.finish()?;
    before(Step::Verify)?;
    let planned = (planned.end, planned.hash);
    let read = read_back(places, path)?;
    if built != planned || read != planned {
        let why = format!("it ends at commit {}, and not at commit {}", read.0, planned.0);
        return Err(IntegrityError::NotRestored(why));
    }
    Ok(())
}

/// The end of a journal's file of which every record was verified.
fn read_back(places: &Places<'_>, path: PathBuf) -> Result<(Seq, Hash), IntegrityError> {
    let file = JournalFile::open_file(path)?;
    let mut end = (Seq::ZERO, Hash::default());
    for record in file.walk(places.shard, Seq::ZERO)? {
        let record = record?;
        end = (record.seq, record.hash);
    }
    Ok(end)
}
