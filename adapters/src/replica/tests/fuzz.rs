//! Files of a replica that were changed, with checks that fit in places. What is read of them is the begin of what was written.

use super::super::segment::{FRAME_HEAD_BYTES, HEADER_BYTES, check};
use super::*;
use florin_fuzz::{Target, any_of};

/// The check behind a header or the head of a frame, made to fit again.
fn sealed_again(bytes: &mut [u8], start: usize, len: usize) {
    if let Some(piece) = bytes.get_mut(start..start + len) {
        let (body, found) = piece.split_at_mut(len - 8);
        found.copy_from_slice(&check(body));
    }
}

/// As if whoever changed the lengths had known how to write them.
fn with_fitting_checks(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    sealed_again(&mut bytes, 0, HEADER_BYTES);
    let mut at = HEADER_BYTES;
    while let Some(len) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let len = u32::from_le_bytes(*len) as usize;
        sealed_again(&mut bytes, at, FRAME_HEAD_BYTES);
        at += FRAME_HEAD_BYTES + len;
    }
    bytes
}

#[test]
fn what_is_read_of_a_changed_replica_is_the_begin_of_what_was_written() {
    let world = World::new(6);
    drop(world.follow(1 << 20));
    let (written, newest) = (world.journal(), world.newest());
    let seeds = any_of([fs::read(&newest).unwrap()]);
    Target::of_bytes("replica_segment", seeds)
        .cases(1_000)
        .run(|bytes| {
            for bytes in [bytes, &with_fitting_checks(bytes)] {
                fs::write(&newest, bytes).unwrap();
                let reader = ReplicaReader::open(world.data.path(), world.second.path(), SHARD).unwrap();
                let mut expected = written.iter();
                let mut is_whole = true;
                for record in reader {
                    match record {
                        Ok(record) => assert_eq!(Some(&record), expected.next()),
                        Err(_) => is_whole = false,
                    }
                }
                assert!(
                    !is_whole || expected.next().is_none(),
                    "the end was lost, and nobody said so"
                );
            }
        });
}
