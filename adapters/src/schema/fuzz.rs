//! Stored bytes that were changed, cut or put together of several: reading them ends in a commit or in an error.

use super::tests::{encoded, golden_bytes};
use super::{decode, strategies, to_json};
use florin_domain::ids::{Seq, ShardId};
use florin_fuzz::{Target, any_of};
use proptest::prelude::*;

#[test]
fn journal_records_are_read_or_refused() {
    let made = strategies::commit().prop_map(|commit| encoded(&commit));
    let seeds = prop_oneof![3 => any_of(golden_bytes()), 1 => made];
    Target::of_bytes("journal_record", seeds)
        .cases(15_000)
        .run(|bytes| {
            let Ok(commit) = decode(ShardId::FIRST, Seq(7), bytes) else {
                return;
            };
            assert_eq!((commit.shard, commit.seq), (ShardId::FIRST, Seq(7)));
            assert!(to_json(&commit)["body"].is_object());
            let again = decode(ShardId::FIRST, Seq(7), &encoded(&commit));
            assert_eq!(again, Ok(commit), "what was read is not written as it was");
        });
}
