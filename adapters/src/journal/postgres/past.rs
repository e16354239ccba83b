//! Owns reading what decides nothing: from a standby that has it, and from the journal if there is none, or if it does not answer with it in time.
//!
//! A record is believed of a standby only if it stands at or before one that both of us have under the same hash (see `anchors`): after a failover a server may
//! have followed one that was left, and has other records under our numbers.

use super::PostgresJournal;
use super::reader::{head, link_at, page};
use crate::postgres::{Lent, Replica};
use florin_domain::ids::{Seq, ShardId};
use florin_domain::ports::{BoxFuture, Journal as _, Past, PastCommit, ReadError};
use metrics::Counter;
use std::sync::Arc;

/// Why a standby does not answer for a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Miss {
    /// It does not have so much yet, or nobody can say now whether what it has is ours.
    Behind,
    /// It cannot be asked, or not in time.
    Away(String),
    /// It is left alone since it was so.
    Resting,
    /// It has another record in this place.
    OtherHistory(Seq),
    /// Its records do not follow from each other.
    Damaged(String),
}

/// The past of one shard.
#[derive(Debug)]
pub struct PostgresPast {
    journal: Arc<PostgresJournal>,
    pub(super) replica: Option<Replica>,
    from_replica: Counter,
    from_primary: Counter,
    fallen_back: Counter,
}

impl PostgresPast {
    /// That of a journal, and of a standby that may be asked for it.
    pub fn new(journal: Arc<PostgresJournal>, replica: Option<Replica>) -> Self {
        let reads = |source| metrics::counter!("florin_past_reads_total", "source" => source);
        Self {
            journal,
            replica,
            from_replica: reads("replica"),
            from_primary: reads("primary"),
            fallen_back: reads("fallback"),
        }
    }

    async fn read(
        &self,
        shard: ShardId,
        (after, until): (Seq, Seq),
        limit: usize,
    ) -> Result<Vec<PastCommit>, ReadError> {
        let left = usize::try_from(until.0.saturating_sub(after.0)).unwrap_or(usize::MAX);
        let limit = limit.min(left);
        if limit == 0 {
            return Ok(Vec::new());
        }
        if let Some(replica) = &self.replica {
            match self.at_replica(replica, shard, (after, until), limit).await {
                Ok(commits) => {
                    self.from_replica.increment(1);
                    return Ok(commits);
                }
                Err(miss) => self.fall_back(replica, &miss),
            }
        } else {
            self.from_primary.increment(1);
        }
        let commits = self.journal.read(shard, after.next(), limit).await?;
        Ok(commits.into_iter().map(PastCommit::from).collect())
    }

    pub(super) async fn at_replica(
        &self,
        replica: &Replica,
        shard: ShardId,
        range: (Seq, Seq),
        limit: usize,
    ) -> Result<Vec<PastCommit>, Miss> {
        if replica.is_resting() {
            return Err(Miss::Resting);
        }
        let asked = async {
            let client = replica.lend().await.map_err(Miss::Away)?;
            self.agree(&client, shard, range.1).await?;
            let read = page(&client, shard, range, (limit, self.journal.reader.page_bytes_max)).await;
            let page = read.map_err(missed)?;
            // Up to `until` it has them all, as its head says.
            if page.commits.is_empty() || (page.is_over && page.verifier.last() != range.1) {
                return Err(Miss::Damaged("records are missing before its head".to_owned()));
            }
            Ok(page.commits.into_iter().map(PastCommit::from).collect())
        };
        tokio::time::timeout(replica.answer_max(), asked)
            .await
            .unwrap_or_else(|_| Err(Miss::Away("it does not answer in time".to_owned())))
    }

    /// Makes sure that the server behind a connection has our history at least up to `until`. What was once so stays so: records are never
    /// changed, and a connection ends with its server.
    async fn agree(&self, client: &Lent<'_>, shard: ShardId, until: Seq) -> Result<(), Miss> {
        if client.agreed(shard) >= until {
            return Ok(());
        }
        let there = head(client, shard).await.map_err(missed)?;
        if there.seq < until {
            return Err(Miss::Behind);
        }
        let (seq, is_same) = if let Some(anchor) = self.journal.anchors.latest(until, there.seq) {
            let hash = if anchor.seq == there.seq {
                Some(there.hash)
            } else {
                link_at(client, shard, anchor.seq)
                    .await
                    .map_err(missed)?
                    .map(|(_, hash)| hash)
            };
            (anchor.seq, hash == Some(anchor.hash))
        } else {
            // Too far behind, or what is being acknowledged just now: the primary says which record it has there.
            let ours = self.journal.link_at(shard, there.seq).await;
            let (_, hash) = ours.ok().flatten().ok_or(Miss::Behind)?;
            (there.seq, hash == there.hash)
        };
        if !is_same {
            client.forsake();
            return Err(Miss::OtherHistory(seq));
        }
        client.agree(shard, seq);
        Ok(())
    }

    fn fall_back(&self, replica: &Replica, miss: &Miss) {
        self.fallen_back.increment(1);
        let why = match miss {
            Miss::Behind => "behind",
            Miss::Resting => "resting",
            Miss::Away(why) => {
                replica.did_not_answer(why);
                "away"
            }
            Miss::OtherHistory(seq) => {
                replica.has_another_history(seq.0);
                "other_history"
            }
            Miss::Damaged(why) => {
                replica.did_not_answer(why);
                "damaged"
            }
        };
        metrics::counter!("florin_past_fallbacks_total", "why" => why).increment(1);
    }
}

fn missed(error: ReadError) -> Miss {
    match error {
        ReadError::Store(why) => Miss::Away(why),
        damaged @ ReadError::Damaged { .. } => Miss::Damaged(damaged.to_string()),
    }
}

impl Past for PostgresPast {
    fn read_past(
        &self,
        shard: ShardId,
        range: (Seq, Seq),
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<PastCommit>, ReadError>> {
        Box::pin(self.read(shard, range, limit))
    }
}
