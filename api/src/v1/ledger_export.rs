//! `GET /v1/ledger/entries/export.csv` and `.jsonl`: the lines of the whole ledger, oldest first, up to the commit that was the last one
//! when the export began; one shard behind another, each up to its own. The journal is read stretch by stretch, as fast as the client
//! takes them.

use super::ledger_lines::{Format, Writer};
use super::paged_body::{PagedBody, Pages, Read};
use crate::auth::Caller;
use crate::errors::{ApiError, Code};
use crate::openapi::{Access, Endpoint, chapter, text};
use crate::query::{self, EntriesQuery};
use crate::reply::Reply;
use crate::state::State;
use actix_web::http::Method;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use florin_actors::ledger_handle::{LedgerError, LedgerHandle, posted_lines};
use florin_domain::ids::{LedgerAccountId, Seq, ShardId};
use florin_domain::ledger::AccountKey;
use florin_domain::time::{Millis, Timestamp};
use serde_json::Value;
use std::collections::{BTreeSet, VecDeque};
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::time::Duration;

/// Commits of a stretch, if they are small; the journal gives fewer of large ones.
const STRETCH: usize = 256;
/// How often, and after which pause each, a ledger that has too much to do is asked again.
const BUSY_TRIES: usize = 50;
const BUSY_PAUSE: Duration = Duration::from_millis(100);

pub(crate) async fn csv(state: Data<State>, request: HttpRequest) -> Reply {
    Reply(export(&state, &request, Format::Csv).await)
}

pub(crate) async fn json_lines(state: Data<State>, request: HttpRequest) -> Reply {
    Reply(export(&state, &request, Format::JsonLines).await)
}

async fn export(state: &State, request: &HttpRequest, format: Format) -> Result<HttpResponse, ApiError> {
    Caller::of(state, request)?.operator()?;
    let query = query::exported_entries(request, state.ledger.shards())?;
    let (content_type, disposition) = match format {
        Format::Csv => (
            "text/csv; charset=utf-8; header=present",
            "attachment; filename=\"entries.csv\"",
        ),
        Format::JsonLines => ("application/x-ndjson", "attachment; filename=\"entries.jsonl\""),
    };
    let mut response = HttpResponse::Ok();
    response
        .insert_header((CONTENT_TYPE, content_type))
        .insert_header((CONTENT_DISPOSITION, disposition))
        .insert_header((CACHE_CONTROL, "no-store"));
    if request.method() == Method::HEAD {
        return Ok(response.finish());
    }
    let mut parts = VecDeque::new();
    for shard in (0..=u16::MAX).map(ShardId).take(state.ledger.shards()) {
        if query.is_of(shard)
            && let Some(ledger) = state.ledger.in_shard(shard)
        {
            let (after, until) = stretch(&ledger, &query).await?;
            parts.push_back(Part {
                ledger,
                shard,
                after,
                until,
            });
        }
    }
    let lines = Lines {
        account: query.account,
        parts,
        writer: Writer::new(format),
    };
    Ok(response.body(PagedBody::begin(lines, &state.ownership).await?))
}

/// Behind which commit, and up to which one, there are lines that are wanted.
async fn stretch(ledger: &LedgerHandle, query: &EntriesQuery) -> Result<(Seq, Seq), LedgerError> {
    let head = ledger.durable_head().await?;
    let before = |seq: Seq| Seq(seq.0.saturating_sub(1));
    let mut after = query.first.map_or(Seq::ZERO, before);
    let mut until = query.last.map_or(head, |last| last.min(head));
    if let Some(created_s) = &query.created_s {
        let (start, end) = bounds(created_s);
        after = match start {
            Some(start) => after.max(ledger.last_commit_until(start, head).await?),
            None => after,
        };
        until = until.min(ledger.last_commit_until(end, head).await?);
    }
    Ok((after.min(until), until))
}

/// The last instant before some seconds, if there is one, and the last one of them.
fn bounds(seconds: &RangeInclusive<u64>) -> (Option<Timestamp>, Timestamp) {
    let at = |second: u64| Timestamp::from_unix_ms(0).plus(Millis::from_s(second));
    let last_of = |second: u64| at(second).plus(Millis(999));
    if seconds.is_empty() {
        // Nothing is both after the last instant and up to the first one.
        return (
            Some(Timestamp::from_unix_ms(u64::MAX)),
            Timestamp::from_unix_ms(0),
        );
    }
    (
        seconds.start().checked_sub(1).map(last_of),
        last_of(*seconds.end()),
    )
}

/// What is left of a shard.
struct Part {
    ledger: LedgerHandle,
    shard: ShardId,
    after: Seq,
    until: Seq,
}

/// What is left of an export.
struct Lines {
    account: Option<AccountKey>,
    /// In the order in which they are read.
    parts: VecDeque<Part>,
    writer: Writer,
}

impl Pages for Lines {
    const WHAT: &'static str = "the ledger";

    type Error = LedgerError;

    fn next(self) -> Pin<Box<dyn Future<Output = Read<Self>>>> {
        Box::pin(self.read())
    }
}

impl Lines {
    async fn read(mut self) -> Read<Self> {
        match self.page().await {
            Ok(page) => ((!self.parts.is_empty()).then_some(self), Ok(page)),
            Err(error) => (None, Err(error)),
        }
    }

    async fn page(&mut self) -> Result<Bytes, LedgerError> {
        let Some(part) = self.parts.front_mut() else {
            return Ok(self.writer.take());
        };
        let commits = part.ledger.commits(part.after, part.until, STRETCH).await?;
        part.after = commits.last().map_or(part.until, |last| last.seq);
        let (ledger, shard, is_over) = (part.ledger.clone(), part.shard, part.after >= part.until);
        if is_over {
            self.parts.pop_front();
        }
        let wanted = |key: &AccountKey| self.account.is_none_or(|account| account == *key);
        let opened: BTreeSet<LedgerAccountId> = commits
            .iter()
            .flat_map(|commit| posted_lines(commit))
            .map(|posted| posted.line.posting.account)
            .filter(wanted)
            .filter_map(|key| key.name.general())
            .collect();
        let unknown = opened.into_iter().filter(|id| !self.writer.knows(*id)).collect();
        self.writer.learn(names(&ledger, unknown).await?);
        for commit in &commits {
            self.writer.write(commit, shard, wanted);
        }
        Ok(self.writer.take())
    }
}

type Names = std::collections::BTreeMap<LedgerAccountId, std::sync::Arc<str>>;

async fn names(ledger: &LedgerHandle, ids: Vec<LedgerAccountId>) -> Result<Names, LedgerError> {
    if ids.is_empty() {
        return Ok(Names::new());
    }
    for _ in 0..BUSY_TRIES {
        match ledger.account_names(ids.clone()).await {
            Err(LedgerError::Busy) => tokio::time::sleep(BUSY_PAUSE).await,
            answer => return answer,
        }
    }
    Err(LedgerError::Busy)
}

fn described(path: &'static str, name: &str, format: Format) -> Endpoint {
    let (media, summary, what) = match format {
        Format::Csv => (
            "text/csv",
            "Export the ledger as CSV",
            "The file. Its first line names the columns.",
        ),
        Format::JsonLines => (
            "application/x-ndjson",
            "Export the ledger as JSON lines",
            "The file: one JSON object for each line of an account.",
        ),
    };
    query::described_entries(Endpoint::get(path, Access::Operators))
        .called(
            name,
            summary,
            "The lines of all accounts, oldest first, up to the commit that was the last one when the export began. Where there are several shards, those \
             of one follow behind those of another, and the halves of a transfer between two stand in both, each against `shard_clearing`. To go on with a \
             file that broke off, drop the lines of its last `seq` and ask from that on, with its `shard`. A file that ends without the last chunk of its transfer is not \
             whole.",
        )
        .in_chapter(chapter::LEDGER)
        .answers_as(media, 200, what, text("One line for each posting."), Value::Null)
        .refuses(400, &[Code::ParameterInvalidInteger, Code::ParameterMissing])
        .refuses(503, &[Code::Overloaded])
}

pub(crate) fn described_csv() -> Endpoint {
    described("/v1/ledger/entries/export.csv", "exportEntriesCsv", Format::Csv)
}

pub(crate) fn described_json_lines() -> Endpoint {
    described(
        "/v1/ledger/entries/export.jsonl",
        "exportEntriesJsonLines",
        Format::JsonLines,
    )
}
