//! Owns reading a range of the journal, however short its pages are cut.

use crate::context::Context;
use florin_domain::commit::Commit;
use florin_domain::ids::Seq;
use florin_domain::ports::ReadError;
use std::sync::Arc;

/// Shows the commits behind `after` up to and including `until`, which must be there, in order. Only one page of them is held at a time.
pub(crate) async fn read_range(
    context: &Context,
    after: Seq,
    until: Seq,
    mut visit: impl FnMut(Arc<Commit>) + Send,
) -> Result<(), ReadError> {
    let mut last = after;
    while last < until {
        let limit = usize::try_from(until.0 - last.0).unwrap_or(usize::MAX);
        let page = context.ports.journal.read(context.shard, last.next(), limit);
        let before = last;
        for commit in page.await? {
            last = commit.seq;
            visit(commit);
        }
        if last == before {
            let why = "a commit that was durable is missing".to_owned();
            return Err(ReadError::Damaged {
                seq: last.next(),
                why,
            });
        }
    }
    Ok(())
}
