//! Owns reading a range of the journal, however short its pages are cut.

use crate::source::Source;
use florin_domain::ids::Seq;
use florin_domain::ports::ReadError;

/// Shows the commits behind `after` up to and including `until`, which must be there, in order. Only one page of them is held at a time.
pub(crate) async fn read_range<S: Source>(
    source: S,
    (after, until): (Seq, Seq),
    mut visit: impl FnMut(S::Commit) + Send,
) -> Result<(), ReadError> {
    let mut last = after;
    while last < until {
        let before = last;
        for commit in source.page((last, until), usize::MAX).await? {
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
