//! Owns the files of shard snapshots: `shard-<shard>-<seq>.snap`, the newest two of each shard. A file is a mark, the versioned form,
//! and the SHA-256 of both; one that does not verify is never loaded. Snapshots only save time: without any, the journal is read
//! from its start.

use crate::schema::v1::{
    EarlierSnapshotDto, EarliestSnapshotDto, OneKeySnapshotDto, OneShardSnapshotDto, SnapshotDto, Stored,
    UnroutedSnapshotDto, UntimedSnapshotDto, UnversionedSnapshotDto, UnwatchedSnapshotDto,
};
use crate::schema::{self, DecodeError};
use florin_domain::ids::{Seq, ShardId};
use florin_domain::ledger::GeneralLedger;
use florin_domain::merchant::Stops;
use florin_domain::ports::{ReadError, ShardSnapshot, SnapshotError, Snapshots};
use florin_domain::risk::RiskLists;
use sha2::{Digest, Sha256};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What every snapshot starts with.
const MARK: &[u8; 8] = b"FLORSNAP";

const DIGEST_BYTES: usize = 32;

/// Snapshots in a folder.
#[derive(Debug)]
pub struct FileSnapshots {
    folder: PathBuf,
}

impl FileSnapshots {
    /// Uses a folder, which is made with the first snapshot.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    fn path(&self, shard: ShardId, seq: Seq) -> PathBuf {
        self.folder.join(format!("shard-{}-{seq}.snap", shard.0))
    }

    /// The shard's snapshots, newest first.
    fn list(&self, shard: ShardId) -> io::Result<Vec<Seq>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let prefix = format!("shard-{}-", shard.0);
        let mut found = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            let seq = name
                .to_str()
                .and_then(|name| name.strip_prefix(&prefix)?.strip_suffix(".snap"));
            found.extend(seq.and_then(|seq| seq.parse().ok()).map(Seq));
        }
        found.sort_unstable_by(|a, b| b.cmp(a));
        Ok(found)
    }

    fn write(&self, shard: ShardId, snapshot: &ShardSnapshot) -> io::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)?;
        let path = self.path(shard, snapshot.seq);
        // Under this name no reader looks at it, and the next attempt overwrites it.
        let unfinished = self.folder.join(format!("shard-{}.part", shard.0));
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)?;
        file.write_all(&seal(snapshot))?;
        file.sync_all()?;
        fs::rename(&unfinished, &path)?;
        File::open(&self.folder)?.sync_all()
    }

    /// Removes all but the snapshot just saved and the newest one before it that can be read: one that cannot is nothing to fall
    /// back to. Those of a later seq are not of this journal: its owner saves in order.
    fn tidy(&self, shard: ShardId, saved: Seq) -> io::Result<()> {
        let is_whole = |seq: Seq| read(&self.path(shard, seq)).is_ok_and(|snapshot| snapshot.seq == seq);
        let before = self
            .list(shard)?
            .into_iter()
            .find(|seq| *seq < saved && is_whole(*seq));
        for seq in self.list(shard)? {
            if seq != saved && Some(seq) != before {
                fs::remove_file(self.path(shard, seq))?;
            }
        }
        Ok(())
    }
}

impl Snapshots for FileSnapshots {
    fn save(&self, shard: ShardId, snapshot: &ShardSnapshot) -> Result<(), ReadError> {
        let store = |error: io::Error| ReadError::Store(format!("{}: {error}", self.folder.display()));
        self.write(shard, snapshot).map_err(store)?;
        self.tidy(shard, snapshot.seq).map_err(store)
    }

    fn kept(&self, shard: ShardId) -> Result<Vec<Seq>, ReadError> {
        let store = |error: io::Error| ReadError::Store(format!("{}: {error}", self.folder.display()));
        self.list(shard).map_err(store)
    }

    fn load(&self, shard: ShardId, seq: Seq) -> Result<ShardSnapshot, SnapshotError> {
        let path = self.path(shard, seq);
        read(&path).map_err(|why| SnapshotError(format!("{}: {why}", path.display())))
    }
}

fn seal(snapshot: &ShardSnapshot) -> Vec<u8> {
    let mut bytes = MARK.to_vec();
    schema::write(&snapshot.store(), &mut bytes);
    let digest = Sha256::digest(&bytes);
    bytes.extend_from_slice(&digest);
    bytes
}

fn read(path: &Path) -> Result<ShardSnapshot, String> {
    unseal(&fs::read(path).map_err(|error| error.to_string())?)
}

fn unseal(bytes: &[u8]) -> Result<ShardSnapshot, String> {
    let (sealed, digest) = bytes
        .split_last_chunk::<DIGEST_BYTES>()
        .ok_or("the file is too short")?;
    if Sha256::digest(sealed).as_slice() != digest {
        return Err("the digest does not fit the bytes".to_owned());
    }
    let form = sealed.strip_prefix(MARK).ok_or("the file is no snapshot")?;
    let read = |form| ShardSnapshot::load(schema::read::<SnapshotDto<'_>>(form)?);
    // The digest says that the file is whole: a form that ends early is an earlier one.
    let read_unversioned = |form| schema::read::<UnversionedSnapshotDto<'_>>(form)?.into_snapshot();
    let read_untimed = |form| schema::read::<UntimedSnapshotDto<'_>>(form)?.into_snapshot();
    let read_of_one_key = |form| schema::read::<OneKeySnapshotDto<'_>>(form)?.into_snapshot();
    let read_unrouted = |form| schema::read::<UnroutedSnapshotDto<'_>>(form)?.into_snapshot();
    let read_unwatched = |form| schema::read::<UnwatchedSnapshotDto<'_>>(form)?.into_snapshot();
    let read_of_one_shard = |form| schema::read::<OneShardSnapshotDto<'_>>(form)?.into_snapshot();
    let read_earlier =
        |form| schema::read::<EarlierSnapshotDto<'_>>(form)?.into_snapshot(GeneralLedger::default());
    let read_earliest = |form| {
        schema::read::<EarliestSnapshotDto<'_>>(form)?.into_snapshot(Stops::default(), RiskLists::default())
    };
    read(form).or_else(|error: DecodeError| {
        let earlier = read_unversioned(form)
            .or_else(|_: DecodeError| read_untimed(form))
            .or_else(|_: DecodeError| read_of_one_key(form))
            .or_else(|_: DecodeError| read_unrouted(form))
            .or_else(|_: DecodeError| read_unwatched(form))
            .or_else(|_: DecodeError| read_of_one_shard(form))
            .or_else(|_: DecodeError| read_earlier(form))
            .or_else(|_: DecodeError| read_earliest(form));
        earlier.map_err(|_| error.to_string())
    })
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::*;
    use florin_domain::ids::{ApiKeyId, MerchantId, PaymentId};
    use florin_domain::ledger::{AccountKey, AccountName, AccountState};
    use florin_domain::merchant::{
        ApiKey, ApiKeyRole, Control, Merchant, NO_PROFILE, NO_ROUTING, OperatorAction,
    };
    use florin_domain::money::{Balance, Currency, FeeSchedule};
    use florin_domain::provider::ProviderId;
    use florin_domain::versions::Versions;
    use rust_decimal::Decimal;
    use serde::Serialize;
    use tempfile::TempDir;

    const SHARD: ShardId = ShardId::FIRST;

    pub(super) fn snapshot(seq: u64) -> ShardSnapshot {
        let merchant = MerchantId::from_bits(7);
        let state = AccountState {
            posted: Balance::from_minor(-9_680).unwrap(),
            pending_credit_minor: 10_i128.pow(26),
            pending_debit_minor: 12,
            last_posted: Seq(seq),
        };
        let name = AccountName::MerchantPayable(merchant);
        let key = ApiKey {
            id: ApiKeyId::from_bits(u128::MAX),
            role: ApiKeyRole::Merchant(merchant),
            livemode: true,
            secret_sha256: [9; 32],
        };
        let fee = FeeSchedule::new(290, Decimal::new(30, 2)).unwrap();
        let action = |reason: Option<&str>| OperatorAction {
            operator: ApiKeyId::from_bits(5),
            reason: reason.map(Into::into),
        };
        let stops = Stops {
            providers: [(ProviderId::parse("stripe").unwrap(), action(None))].into(),
            merchants: [(merchant, action(Some("chargebacks")))].into(),
            read_only: Some(action(Some("moving house"))),
        };
        let mut lists = RiskLists::default();
        lists.add(&schema::samples::list_entry());
        ShardSnapshot {
            seq: Seq(seq),
            hash: [3; 32],
            accounts: vec![(
                AccountKey {
                    name,
                    currency: Currency::BHD,
                    livemode: true,
                },
                state,
            )],
            open_payments: vec![(PaymentId::from_bits(1 << 100), Seq(seq - 1))],
            control: Control {
                merchants: vec![Merchant {
                    id: merchant,
                    name: "Añil".to_owned(),
                    first_fee: fee,
                }],
                keys: vec![key],
                stops,
                lists,
                routing: schema::samples::routing_versions(),
                fees: [(merchant, schema::samples::fee_versions())].into(),
                profile: schema::samples::profile_versions(),
                credentials: schema::samples::journaled_credentials(),
            },
            general: schema::samples::general_ledger(),
        }
    }

    fn saved(seqs: &[u64]) -> (TempDir, FileSnapshots) {
        let folder = tempfile::tempdir().unwrap();
        let snapshots = FileSnapshots::new(folder.path().join("snapshots"));
        for seq in seqs {
            snapshots.save(SHARD, &snapshot(*seq)).unwrap();
        }
        (folder, snapshots)
    }

    #[test]
    fn the_newest_two_snapshots_are_kept() {
        let (_folder, snapshots) = saved(&[9, 10, 11]);
        assert_eq!(snapshots.kept(SHARD).unwrap(), [Seq(11), Seq(10)]);
        for seq in [10, 11] {
            assert_eq!(snapshots.load(SHARD, Seq(seq)), Ok(snapshot(seq)));
        }
        assert!(snapshots.load(SHARD, Seq(9)).is_err(), "removed");
        assert_eq!(snapshots.kept(ShardId(1)).unwrap(), [], "another shard");
        assert!(snapshots.load(ShardId(1), Seq(11)).is_err(), "another shard");
        assert_eq!(saved(&[]).1.kept(SHARD).unwrap(), [], "no folder yet");
    }

    #[test]
    fn a_snapshot_of_a_longer_journal_gives_way_to_one_of_this_journal() {
        let (_folder, snapshots) = saved(&[90, 95, 20]);
        assert_eq!(snapshots.kept(SHARD).unwrap(), [Seq(20)]);
    }

    /// A whole file with this form.
    fn sealed(form: &impl Serialize) -> Vec<u8> {
        let mut bytes = MARK.to_vec();
        schema::write(form, &mut bytes);
        let digest = Sha256::digest(&bytes);
        bytes.extend_from_slice(&digest);
        bytes
    }

    /// Without what earlier releases did not have in their snapshots.
    fn unroute(snapshot: &mut ShardSnapshot) {
        let control = &mut snapshot.control;
        (control.routing, control.profile) = (NO_ROUTING, NO_PROFILE);
        control.fees.clear();
    }

    /// With the rules that were in force, and nothing else that has versions.
    fn at_once_alone(snapshot: &mut ShardSnapshot) {
        let in_force = snapshot.control.routing.kept()[0].clone();
        unroute(snapshot);
        snapshot.control.routing = Versions::kept_after(0, vec![in_force]).unwrap();
    }

    #[test]
    fn a_snapshot_from_before_operators_could_stop_anything_is_read_with_nothing_stopped() {
        let mut snapshot = snapshot(5);
        let bytes = sealed(&EarliestSnapshotDto::of(&snapshot));
        assert_ne!(unseal(&bytes), Ok(snapshot.clone()));
        unroute(&mut snapshot);
        snapshot.control.stops = Stops::default();
        snapshot.control.lists = RiskLists::default();
        snapshot.control.credentials.clear();
        snapshot.general = GeneralLedger::default();
        assert_eq!(unseal(&bytes), Ok(snapshot));
    }

    #[test]
    fn a_snapshot_from_before_there_was_a_general_ledger_is_read_with_an_empty_one() {
        let mut snapshot = snapshot(5);
        let bytes = sealed(&EarlierSnapshotDto::of(&snapshot));
        assert_ne!(unseal(&bytes), Ok(snapshot.clone()));
        unroute(&mut snapshot);
        snapshot.control.credentials.clear();
        snapshot.general = GeneralLedger::default();
        assert_eq!(unseal(&bytes), Ok(snapshot));
    }

    #[test]
    fn a_snapshot_from_before_there_were_several_shards_is_read_with_no_transfer_between_them() {
        let mut snapshot = snapshot(5);
        let bytes = sealed(&OneShardSnapshotDto::of(&snapshot));
        assert_ne!(unseal(&bytes), Ok(snapshot.clone()));
        unroute(&mut snapshot);
        snapshot.control.credentials.clear();
        snapshot.general.crossings.clear();
        snapshot.general.alerts.clear();
        snapshot.general.alerts_raised_total = 0;
        assert_eq!(unseal(&bytes), Ok(snapshot));
    }

    #[test]
    fn a_snapshot_from_before_there_were_alerts_is_read_with_none() {
        let mut snapshot = snapshot(5);
        let bytes = sealed(&UnwatchedSnapshotDto::of(&snapshot));
        assert_ne!(unseal(&bytes), Ok(snapshot.clone()));
        unroute(&mut snapshot);
        snapshot.control.credentials.clear();
        snapshot.general.alerts.clear();
        snapshot.general.alerts_raised_total = 0;
        assert_eq!(unseal(&bytes), Ok(snapshot));
    }

    #[test]
    fn a_snapshot_from_before_merchants_had_credentials_is_read_with_none() {
        let mut snapshot = snapshot(5);
        let bytes = sealed(&OneKeySnapshotDto::of(&snapshot));
        assert_ne!(unseal(&bytes), Ok(snapshot.clone()));
        at_once_alone(&mut snapshot);
        snapshot.control.credentials.clear();
        assert_eq!(unseal(&bytes), Ok(snapshot));
    }

    #[test]
    fn a_snapshot_from_before_the_times_of_credentials_is_read_only_if_it_has_no_credentials() {
        let mut snapshot = snapshot(5);
        let untimed = sealed(&UntimedSnapshotDto::of(&snapshot));
        assert!(unseal(&untimed).is_err(), "the journal has the times");
        snapshot.control.credentials.clear();
        let untimed = sealed(&UntimedSnapshotDto::of(&snapshot));
        at_once_alone(&mut snapshot);
        assert_eq!(unseal(&untimed), Ok(snapshot));
    }

    #[test]
    fn a_snapshot_from_before_anything_had_versions_to_come_is_read_with_what_was_in_force() {
        let mut snapshot = snapshot(5);
        let bytes = sealed(&UnversionedSnapshotDto::of(&snapshot));
        assert_ne!(unseal(&bytes), Ok(snapshot.clone()));
        at_once_alone(&mut snapshot);
        assert_eq!(snapshot.control.routing.latest(), 3);
        assert_eq!(unseal(&bytes), Ok(snapshot));
    }

    #[test]
    fn a_snapshot_from_before_there_were_routing_rules_is_read_with_none() {
        let mut snapshot = snapshot(5);
        let bytes = sealed(&UnroutedSnapshotDto::of(&snapshot));
        assert_ne!(unseal(&bytes), Ok(snapshot.clone()));
        unroute(&mut snapshot);
        snapshot.control.credentials.clear();
        assert_eq!(unseal(&bytes), Ok(snapshot.clone()));
        assert_eq!(unseal(&seal(&snapshot)), Ok(snapshot), "nor are there any today");
    }

    #[test]
    fn a_snapshot_of_today_is_read_whole_and_never_as_an_earlier_one() {
        let snapshot = snapshot(5);
        let bytes = sealed(&snapshot.store());
        assert_eq!(bytes, seal(&snapshot));
        assert_eq!(unseal(&bytes), Ok(snapshot.clone()));
        let empty = ShardSnapshot {
            general: GeneralLedger::default(),
            ..snapshot.clone()
        };
        assert_eq!(unseal(&seal(&empty)), Ok(empty));
        let mut form = Vec::new();
        schema::write(&snapshot.store(), &mut form);
        assert!(schema::read::<UnversionedSnapshotDto<'_>>(&form).is_err());
        assert!(schema::read::<UntimedSnapshotDto<'_>>(&form).is_err());
        assert!(schema::read::<OneKeySnapshotDto<'_>>(&form).is_err());
        assert!(schema::read::<UnroutedSnapshotDto<'_>>(&form).is_err());
        assert!(schema::read::<UnwatchedSnapshotDto<'_>>(&form).is_err());
        assert!(schema::read::<EarlierSnapshotDto<'_>>(&form).is_err());
        assert!(schema::read::<EarliestSnapshotDto<'_>>(&form).is_err());
    }

    #[test]
    fn a_torn_or_damaged_snapshot_is_named_and_not_loaded() {
        let whole = seal(&snapshot(5));
        for end in 0..whole.len() {
            assert!(unseal(&whole[..end]).is_err(), "cut at {end}");
        }
        for index in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[index] ^= 0x10;
            assert!(unseal(&damaged).is_err(), "damaged at {index}");
        }
        let (_folder, snapshots) = saved(&[4, 5]);
        let newest = snapshots.path(SHARD, Seq(5));
        fs::write(&newest, &whole[..whole.len() / 2]).unwrap();
        let error = snapshots.load(SHARD, Seq(5)).unwrap_err().to_string();
        assert!(error.contains("shard-0-5.snap"), "{error}");
        assert_eq!(snapshots.load(SHARD, Seq(4)), Ok(snapshot(4)));
        assert_eq!(
            snapshots.kept(SHARD).unwrap(),
            [Seq(5), Seq(4)],
            "it still says how far the journal had come"
        );
    }

    #[test]
    fn a_snapshot_that_cannot_be_used_does_not_take_the_place_of_the_one_before() {
        let (_folder, snapshots) = saved(&[4, 5]);
        fs::write(snapshots.path(SHARD, Seq(5)), "rotten").unwrap();
        snapshots.save(SHARD, &snapshot(7)).unwrap();
        assert_eq!(snapshots.kept(SHARD).unwrap(), [Seq(7), Seq(4)]);
        fs::copy(snapshots.path(SHARD, Seq(7)), snapshots.path(SHARD, Seq(8))).unwrap();
        snapshots.save(SHARD, &snapshot(9)).unwrap();
        assert_eq!(
            snapshots.kept(SHARD).unwrap(),
            [Seq(9), Seq(7)],
            "under another one's name"
        );
    }

    #[test]
    fn a_save_that_was_cut_off_leaves_the_earlier_snapshot_and_does_not_stop_the_next() {
        let (_folder, snapshots) = saved(&[4]);
        fs::write(snapshots.folder.join("shard-0.part"), "cut o").unwrap();
        assert_eq!(snapshots.kept(SHARD).unwrap(), [Seq(4)]);
        snapshots.save(SHARD, &snapshot(5)).unwrap();
        assert_eq!(snapshots.load(SHARD, Seq(5)), Ok(snapshot(5)));
    }
}
