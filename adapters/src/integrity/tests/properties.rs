//! Whichever byte of whichever source changes, and wherever one is cut off: it is seen, blamed on that source, and repaired to the same bytes.

use super::world::World;
use crate::data_dir::JOURNAL;
use crate::integrity::Source;
use crate::integrity::compare::FaultKind;
use florin_domain::ids::Seq;
use proptest::prelude::*;
use std::fs;
use std::path::PathBuf;

/// Changes a file at one place.
fn hurt(path: &PathBuf, place: prop::sample::Index, bit: u8, is_cut: bool) -> usize {
    let mut bytes = fs::read(path).unwrap();
    let at = place.index(bytes.len());
    if is_cut {
        bytes.truncate(at);
    } else {
        bytes[at] ^= 1 << bit;
    }
    fs::write(path, bytes).unwrap();
    at
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_changed_byte_of_the_journals_file_is_repaired_or_changes_nothing(place: prop::sample::Index, bit in 0..8_u8) {
        let world = World::fresh();
        let before = world.journal();
        let at = hurt(&world.data().join(JOURNAL), place, bit, false);
        // Much of the file is empty, and counters in it say nothing about records.
        if !world.compare().is_valid() {
            world.repair(Source::Primary);
        }
        prop_assert_eq!(world.journal(), before, "byte {}", at);
    }

    #[test]
    fn a_changed_record_is_found_where_it_is_and_repaired(seq in 1..=World::COMMITS, column in 0..3_usize, place in 0..70_usize, bit in 0..8_u8) {
        let world = World::fresh();
        let before = world.journal();
        let record = &before[usize::try_from(seq).unwrap() - 1];
        let (name, bytes) = match column {
            0 => ("hash", record.hash.to_vec()),
            1 => ("bytes", record.bytes.clone()),
            _ => ("epoch", vec![0]),
        };
        let sql = if column == 2 {
            format!("UPDATE commit_record SET epoch = epoch + {} WHERE position = {seq}", 1 << bit)
        } else {
            let mut bytes = bytes;
            let at = place % bytes.len();
            bytes[at] ^= 1 << bit;
            let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
            let digits: String = nibbles.filter_map(|nibble| char::from_digit(nibble.into(), 16)).collect();
            format!("UPDATE commit_record SET {name} = x'{digits}' WHERE position = {seq}")
        };
        world.sql(&sql);
        let found = world.compare();
        prop_assert_eq!(found.fault(Source::Primary).and_then(|fault| fault.seq), Some(Seq(seq)));
        world.repair(Source::Primary);
        prop_assert_eq!(world.journal(), before);
    }

    #[test]
    fn a_journal_that_was_cut_off_is_restored_to_its_end(end in 0..World::COMMITS, keeps_head: bool) {
        let mut world = World::fresh();
        let before = world.journal();
        if keeps_head || end == 0 {
            world.sql(&format!("DELETE FROM commit_record WHERE position > {end}"));
        } else {
            world.cut(end);
        }
        let found = world.compare();
        prop_assert_eq!(found.fault(Source::Primary).and_then(|fault| fault.seq), Some(Seq(end + 1)));
        world.repair(Source::Primary);
        prop_assert_eq!(world.journal(), before);
    }

    #[test]
    fn a_replica_that_changed_or_was_cut_off_is_written_again(place: prop::sample::Index, bit in 0..8_u8, is_cut: bool) {
        let world = World::fresh();
        let before = world.journal();
        let file = fs::read_dir(world.replica()).unwrap().next().unwrap().unwrap().path();
        let whole = fs::read(&file).unwrap();
        hurt(&file, place, bit, is_cut);
        world.repair(Source::Replica);
        prop_assert_eq!(fs::read(&file).unwrap(), whole);
        prop_assert_eq!(world.journal(), before);
    }

    #[test]
    fn an_export_that_changed_or_was_cut_off_is_made_again(place: prop::sample::Index, bit in 0..8_u8, is_cut: bool) {
        let world = World::fresh();
        let whole = fs::read(world.export()).unwrap();
        let at = hurt(&world.export(), place, bit, is_cut);
        let found = world.compare();
        let fault = found.fault(Source::Audit).unwrap();
        if is_cut {
            prop_assert!(fault.seq.is_some(), "{}", fault);
        }
        // A record that is hurt is the one that is named.
        let line = whole[..at].split(|byte| *byte == b'\n').count() as u64 - 1;
        let heads = 4;
        let is_in_record = line >= heads && line < heads + World::COMMITS && whole[at] != b'\n';
        if is_in_record && !is_cut {
            let seqs = [Some(Seq(line - heads + 1)), Some(Seq(line - heads + 2))];
            prop_assert!(seqs.contains(&fault.seq), "line {}: {}", line, fault);
            prop_assert_eq!(fault.kind, FaultKind::Damaged);
        }
        world.repair(Source::Audit);
        prop_assert_eq!(fs::read(world.export()).unwrap(), whole);
    }
}

#[test]
fn an_export_that_ends_before_a_line_break_was_cut_off() {
    let world = World::fresh();
    let whole = fs::read(world.export()).unwrap();
    let breaks = (0..whole.len()).filter(|at| whole[*at] == b'\n');
    for at in breaks {
        fs::write(world.export(), &whole[..at]).unwrap();
        let found = world.compare();
        let fault = found.fault(Source::Audit).unwrap();
        assert!(fault.seq.is_some(), "byte {at}: {fault}");
    }
}
