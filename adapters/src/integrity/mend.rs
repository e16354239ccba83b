//! Owns repairing: what was planned is done, and what is replaced is kept under another name. The data folder must be locked by the caller.

use super::compare::Comparison;
use super::lanes::Sources;
use super::plan::{Mending, Restoration, whole_copies};
use super::splice::{SpliceError, splice};
use super::{IntegrityError, Places, swap};
use crate::journal::{Hash, JournalBuilder, JournalFile};
use crate::replica::follower::Replica;
use crate::replica::set_aside;
use florin_domain::ids::Seq;
use std::path::PathBuf;

pub use super::swap::{BeforeStep, Step};

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mended {
    /// Where what was replaced is kept.
    pub kept: Vec<PathBuf>,
}

/// Repairs journal, replica and views. `stamp` is part of the names under which the replaced files are kept. The export is its maker's to make again.
pub fn mend(
    places: &Places<'_>,
    found: &Comparison,
    mending: &Mending,
    stamp: &str,
    before: BeforeStep<'_>,
) -> Result<Mended, IntegrityError> {
    let mut mended = Mended::default();
    if let Some(restoration) = &mending.primary {
        let refused = |step| before(step).map_err(super::io_error(places.data_dir));
        build(places, found, restoration, refused)?;
        mended.kept.push(swap::swap(places.data_dir, stamp, before)?);
    }
    if let (Some(from), Some(folder)) = (mending.replica_from, places.replica) {
        let mark = format!("damaged-{stamp}");
        let aside = set_aside(folder, places.shard, from, &mark).map_err(super::io_error(folder))?;
        mended.kept.extend(aside);
        let mut replica = Replica::open(places.data_dir, folder, places.shard)?;
        loop {
            let progress = replica.step()?;
            if progress.copied >= progress.head {
                break;
            }
        }
    }
    if mending.views {
        swap::discard_views(places.data_dir)?;
    }
    Ok(mended)
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
    let sources = Sources::open(places)?;
    let mut builder = JournalBuilder::create(&path, places.shard)?;
    let spliced = splice(places, &sources, &whole_copies(found), &mut |record| {
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
