//! A database whose records are restored from an export: all at once, or not at all.

use crate::audit::export::ExportWriter;
use crate::audit::key::SigningKey;
use crate::audit::tests::shared::Shared;
use crate::integrity::compare::{Comparison, Corruption, compare};
use crate::integrity::lost::KnownEnd;
use crate::integrity::plan::{Plan, Restoration, plan};
use crate::integrity::restore::{self, Restoring};
use crate::integrity::{IntegrityError, Places, Source};
use crate::journal::{JournalTables, StoredJournal as _};
use crate::postgres::WriteLink;
use florin_domain::ids::{Seq, ShardId};
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

const SHARD: ShardId = ShardId::FIRST;

const COUNT: u64 = 1_500;

/// A database, and an export of it as it was.
struct World {
    shared: Shared,
    tables: JournalTables,
    export: PathBuf,
    rows: String,
}

impl World {
    fn new() -> Self {
        let shared = Shared::with(COUNT);
        let tables = shared.tables();
        let data = shared.folders.data.path();
        let key = SigningKey::load_or_create(data).unwrap().public();
        let export = data.join("export.jsonl");
        let mut file = BufWriter::new(File::create(&export).unwrap());
        let mut writer = ExportWriter::new(&mut file, &key).unwrap();
        for record in tables.walk(SHARD, Seq::ZERO).unwrap() {
            writer.record(&record.unwrap()).unwrap();
        }
        assert_eq!(writer.finish().unwrap(), COUNT);
        file.into_inner().unwrap();
        let rows = rows(&shared);
        Self {
            shared,
            tables,
            export,
            rows,
        }
    }

    fn places(&self) -> Places<'_> {
        Places {
            data_dir: self.shared.folders.data.path(),
            shard: SHARD,
            heads: Path::new("/nonexistent"),
            key: Some(self.shared.folders.key().public()),
            database: Some(&self.tables),
            replica: None,
            export: Some(&self.export),
        }
    }

    /// What is found and planned.
    fn planned(&self) -> (Comparison, Restoration) {
        let found = compare(&self.places()).unwrap();
        assert_eq!(found.corruption(), Corruption::One(Source::Primary), "{found:?}");
        match plan(&self.places(), &found, KnownEnd::default()).unwrap() {
            Plan::Mend(mending) => (found, mending.primary.unwrap()),
            other => panic!("{other:?}"),
        }
    }

    fn restore(&self, found: &Comparison, planned: &Restoration) -> Result<u64, IntegrityError> {
        let shards = [restore::Shard {
            places: self.places(),
            found,
            planned,
        }];
        let restoring = Restoring {
            lease: self.shared.lease.as_ref().unwrap(),
            stamp: "then",
            shards: &shards,
        };
        restoring.restore(&mut WriteLink::open(&self.shared.database).unwrap())
    }

    fn kept(&self) -> String {
        let sql = "SELECT repair, seq FROM florin.damaged_record ORDER BY seq";
        self.shared.server.query(sql).unwrap().trim().replace('\n', " ")
    }

    #[track_caller]
    fn assert_unchanged(&self, before: &str) {
        assert_eq!(rows(&self.shared), before);
        let sql = "SELECT to_regclass('florin.damaged_record') IS NULL";
        assert_eq!(self.shared.server.query(sql).unwrap().trim(), "t");
        let guarded = self.shared.server.query("DELETE FROM florin.commit_record");
        let guarded = guarded.unwrap_err().to_string();
        assert!(guarded.contains("never changed or deleted"), "{guarded}");
    }
}

fn rows(shared: &Shared) -> String {
    let sql = "SELECT seq, epoch, hash, bytes FROM florin.commit_record ORDER BY seq";
    let records = shared.server.query(sql).unwrap();
    records
        + &shared
            .server
            .query("SELECT id, head, hash FROM florin.shard")
            .unwrap()
}

/// Every way in which rows can be wrong, over more than one page of them.
const HURT: &str = "UPDATE florin.commit_record SET bytes = set_byte(bytes, 9, get_byte(bytes, 9) # 1) WHERE seq IN (1, 7, 8);
    UPDATE florin.commit_record SET epoch = epoch - 1 WHERE seq BETWEEN 20 AND 800;
    UPDATE florin.commit_record SET hash = 'short' WHERE seq = 900;
    DELETE FROM florin.commit_record WHERE seq BETWEEN 1000 AND 1010;
    UPDATE florin.commit_record SET seq = 5000 WHERE seq = 1200;
    UPDATE florin.shard SET head = 1499 WHERE id = 0;";

#[test]
fn all_that_is_wrong_is_restored_and_what_it_was_is_kept() {
    let world = World::new();
    world.shared.tampers(HURT);
    let (found, planned) = world.planned();
    assert_eq!(planned.end, Seq(COUNT));
    // Three with other bytes, 781 with another epoch, one with another hash, and one in another place; eleven are missing.
    assert_eq!(world.restore(&found, &planned).unwrap(), 3 + 781 + 1 + 1);
    assert_eq!(rows(&world.shared), world.rows);
    let kept = world.kept();
    assert!(kept.starts_with("then|1 then|7 then|8 then|20"), "{kept}");
    assert!(kept.ends_with("then|900 then|5000"), "{kept}");
    assert!(compare(&world.places()).unwrap().is_valid());
    let guarded = world.shared.server.query("DELETE FROM florin.commit_record");
    assert!(guarded.is_err());
}

#[test]
fn what_does_not_come_to_what_was_planned_or_is_another_processs_has_not_happened() {
    let world = World::new();
    world.shared.tampers(HURT);
    let hurt = rows(&world.shared);
    let (found, planned) = world.planned();
    let other_end = Restoration {
        hash: [7; 32],
        ..planned.clone()
    };
    let early = Restoration {
        end: Seq(COUNT - 1),
        ..planned.clone()
    };
    for wrong in [other_end, early] {
        let refused = world.restore(&found, &wrong).unwrap_err();
        assert!(matches!(refused, IntegrityError::NotRestored(_)), "{refused}");
        world.assert_unchanged(&hurt);
    }
    world.shared.tampers("UPDATE florin.shard SET owner = 'another'");
    let refused = world.restore(&found, &planned).unwrap_err().to_string();
    assert!(
        refused.contains("another process has taken the shards"),
        "{refused}"
    );
    world.assert_unchanged(&hurt);
}
