//! Where pages end, and that nothing is lost behind them.

use super::{Folder, Medium, SHARD, batch, commits};
use crate::journal::MemoryStore;
use crate::schema::samples::commit_of_ledger_event;
use florin_domain::commit::Commit;
use florin_domain::ids::{Epoch, Seq};
use florin_domain::ledger::{LedgerEvent, TransferId};
use florin_domain::ports::{Batch, Journal, ReadError};
use std::sync::Arc;

on_every_medium! {
    a_page_ends_before_the_record_that_has_no_place_in_it
    what_follows_a_page_that_was_cut_is_noticed_when_it_is_read
    a_page_holds_eight_mebibytes
}

fn stored_len(commit: &Commit) -> usize {
    let mut bytes = Vec::new();
    crate::schema::encode(commit, &mut bytes);
    bytes.len()
}

async fn a_page_ends_before_the_record_that_has_no_place_in_it(medium: impl Medium) {
    let journal = medium.open(SHARD).await;
    journal.append(batch(1, Epoch(1), 0, 40)).await.unwrap();
    drop(journal);
    let len_of = |seqs| {
        commits(seqs)
            .iter()
            .map(|commit| stored_len(commit))
            .sum::<usize>()
    };
    let cases = [
        (0, 1, 100, 1..2),
        (1, 7, 100, 7..8),
        (len_of(1..3) - 1, 1, 100, 1..2),
        (len_of(1..3), 1, 100, 1..3),
        (len_of(1..3) + 1, 1, 100, 1..3),
        (len_of(5..12), 5, 100, 5..12),
        (len_of(5..12), 5, 6, 5..11),
        (len_of(5..12), 5, 0, 0..0),
        (len_of(30..41) - 1, 30, 100, 30..40),
        (len_of(30..41), 30, 100, 30..41),
        (0, 40, 100, 40..41),
        (0, 41, 100, 0..0),
    ];
    for (bytes_max, from, limit, expected) in cases {
        let read = medium
            .open_paged(bytes_max)
            .await
            .read(SHARD, Seq(from), limit)
            .await;
        let what = format!("{bytes_max} bytes from {from}, {limit}");
        assert_eq!(read.unwrap(), commits(expected), "{what}");
    }
    for bytes_max in [0, len_of(1..2), len_of(1..5), len_of(1..8) - 1, 1 << 20] {
        let journal = medium.open_paged(bytes_max).await;
        let (mut read, mut next) = (Vec::new(), Seq(1));
        while next <= Seq(40) {
            let page = journal.read(SHARD, next, 9).await.unwrap();
            let len: usize = page.iter().map(|commit| stored_len(commit)).sum();
            assert!(page.len() == 1 || len <= bytes_max, "{len} of {bytes_max} bytes");
            next = page.last().unwrap().seq.next();
            read.extend(page);
        }
        assert_eq!(read, commits(1..41), "{bytes_max}");
    }
}

async fn what_follows_a_page_that_was_cut_is_noticed_when_it_is_read(medium: impl Medium) {
    let journal = medium.open(SHARD).await;
    journal.append(batch(1, Epoch(1), 0, 5)).await.unwrap();
    drop(journal);
    let journal = medium.open_paged(0).await;
    medium.damage(3, 0, 0xff).await;
    medium.remove(5).await;
    for (from, expected) in [
        (1, Ok(commits([1]))),
        (2, Ok(commits([2]))),
        (3, Err(3)),
        (4, Err(5)),
        (5, Err(5)),
    ] {
        let read = journal
            .read(SHARD, Seq(from), 9)
            .await
            .map_err(|error| match error {
                ReadError::Damaged { seq, .. } => seq.0,
                ReadError::Store(why) => panic!("{why}"),
            });
        assert_eq!(read, expected, "from {from}");
    }
}

/// Twelve commits, each a little above one mebibyte as it is stored.
pub(in crate::journal) fn large_batch(epoch: Epoch) -> Batch {
    let ended = vec![TransferId(u128::MAX); (1 << 20) / 16];
    let sample = commit_of_ledger_event(LedgerEvent::PendingExpired(ended));
    let commits: Vec<_> = (1..=12)
        .map(|seq| {
            Arc::new(Commit {
                shard: SHARD,
                seq: Seq(seq),
                ..sample.clone()
            })
        })
        .collect();
    Batch {
        commits: commits.into(),
        ..batch(1, epoch, 0, 0)
    }
}

async fn a_page_holds_eight_mebibytes(medium: impl Medium) {
    let journal = medium.open(SHARD).await;
    let large = large_batch(Epoch(1));
    let len = stored_len(&large.commits[0]);
    assert!((1 << 20..(8 << 20) / 7).contains(&len), "{len}");
    let all = Arc::clone(&large.commits);
    journal.append(large).await.unwrap();
    // Not with `assert_eq`, which would print them.
    for (from, limit, expected) in [(1, 8192, 0..7), (8, 8192, 7..12), (1, 3, 0..3), (6, 7, 5..12)] {
        let read = journal.read(SHARD, Seq(from), limit).await.unwrap();
        assert!(read == all[expected], "from {from}: {} commits", read.len());
    }
}
