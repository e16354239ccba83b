//! What `florin audit compare` and `florin repair` say: to people in lines, to machines as JSON.

use super::{Check, Shard};
use florin_adapters::audit::key::PublicKey;
use florin_adapters::integrity::Source;
use florin_adapters::integrity::plan::Mending;
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub(super) fn is_valid(shards: &[Shard]) -> bool {
    shards.iter().all(|shard| shard.found.is_valid())
}

/// Whether all copies and views agree; bad lines among older signed heads are said besides.
pub(super) fn agree(shards: &[Shard]) -> bool {
    shards.iter().all(|shard| shard.found.agrees())
}

/// The bad lines among the signed heads of all shards.
pub(super) fn bad_heads(shards: &[Shard]) -> Vec<String> {
    let of_shard = |shard: &Shard| {
        let (id, bad) = (shard.id.0, shard.found.bad_heads.clone());
        bad.into_iter().map(move |bad| format!("shard {id}: {bad}"))
    };
    shards.iter().flat_map(of_shard).collect()
}

/// Over all shards: the one copy that differs, if it is the same in each.
pub(super) fn corruption_source(shards: &[Shard]) -> &'static str {
    let found: BTreeSet<&'static str> = shards
        .iter()
        .map(|shard| shard.found.corruption().as_str())
        .filter(|name| *name != "none")
        .collect();
    match (found.first(), found.len()) {
        (None, _) => "none",
        (Some(name), 1) => name,
        (Some(_), _) => "multiple",
    }
}

/// What will be done, in lines.
pub(super) fn actions(shard: &Shard, mending: &Mending, check: &Check<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    let id = shard.id.0;
    if let Some(restoration) = &mending.primary {
        let end = restoration.end;
        let what = match restoration.mended {
            Some((count, first, last)) => {
                format!("{count} records between commits {first} and {last} are restored")
            }
            None => "no record of it changes".to_owned(),
        };
        let taken = restoration.taken.iter();
        let taken: Vec<String> = taken
            .map(|(source, count)| format!("{count} copied from the {source}"))
            .collect();
        let (whole, rest) = if check.journals.are_in_folders() {
            (
                "a new journal takes the place of the old one, which is kept",
                "views, key index and snapshots are deleted",
            )
        } else {
            (
                "records of copies take the place of those in the database, which are kept",
                "what this folder has made of the journal is deleted",
            )
        };
        lines.push(format!(
            "shard {id}: up to commit {end} {whole}; {what} ({})",
            taken.join(", ")
        ));
        lines.extend(shard.missing_folder().map(|(folder, lost)| {
            format!(
                "shard {id}: the journal is put into {}, which is {lost}",
                folder.display()
            )
        }));
        if let Some(signed) = restoration.signed.filter(|signed| *signed < end) {
            lines.push(format!(
                "shard {id}: commits {} to {end} are in no signed head and are believed because they follow",
                signed.next()
            ));
        }
        lines.push(format!("shard {id}: {rest}; the next start makes it again"));
    }
    if let (Some(from), Some(folder)) = (mending.replica_from, &check.replica) {
        lines.push(format!(
            "shard {id}: the replica in {} is written again from commit {from} on; its old files are kept",
            folder.display()
        ));
    }
    if let (true, Some(export)) = (mending.audit, &check.export) {
        lines.push(format!(
            "shard {id}: {} is made again; the old one is kept",
            export.display()
        ));
    }
    if mending.views {
        lines.push(format!(
            "shard {id}: the views are deleted; the next start makes them again"
        ));
    }
    lines
}

/// What a repair says.
pub(super) struct Report<'a> {
    pub(super) json: bool,
    pub(super) shards: &'a [Shard],
    /// Whether an earlier repair was interrupted.
    pub(super) interrupted: bool,
    pub(super) actions: Vec<String>,
    pub(super) decide: Vec<String>,
    pub(super) kept: Vec<String>,
    /// Bad lines among older signed heads, which no repair mends.
    pub(super) bad_heads: Vec<String>,
    pub(super) recovered: bool,
}

impl Report<'_> {
    #[expect(clippy::print_stdout, reason = "the result is this command's output")]
    pub(super) fn print(&self) {
        if self.json {
            let mut result = result(self.shards);
            if let Some(fields) = result.as_object_mut() {
                fields.insert("recovered".to_owned(), json!(self.recovered));
                fields.insert("interrupted".to_owned(), json!(self.interrupted));
                fields.insert("actions".to_owned(), json!(self.actions));
                fields.insert("decide".to_owned(), json!(self.decide));
                fields.insert("kept".to_owned(), json!(self.kept));
                fields.insert("bad_heads".to_owned(), json!(self.bad_heads));
            }
            println!("{result}");
            return;
        }
        for shard in self.shards {
            println!("{}", described(shard));
        }
        println!("corruption source: {}", corruption_source(self.shards));
        if self.interrupted {
            println!("an earlier repair was interrupted: the node does not start until one has ended");
        }
        for line in &self.actions {
            println!("{} {line}", if self.recovered { "done:" } else { "to do:" });
        }
        for place in &self.kept {
            println!("kept: {place}");
        }
        for line in &self.decide {
            println!("decide: {line}");
        }
        for bad in &self.bad_heads {
            println!("left as it is: bad signed head: {bad}");
        }
        if self.recovered {
            println!("repaired: everything that was compared agrees");
        } else if !self.decide.is_empty() {
            println!("nothing was touched: a person must decide; see docs/repair.md");
        } else if self.actions.is_empty() {
            println!("nothing to repair");
        } else {
            println!("nothing was touched: `florin repair --apply` does it");
        }
    }
}

/// What was found, for machines.
pub(super) fn result(shards: &[Shard]) -> Value {
    json!({
        "object": "florin.integrity",
        "valid": is_valid(shards),
        "corruption_source": corruption_source(shards),
        "shards": shards.iter().map(shard_result).collect::<Vec<_>>(),
    })
}

fn shard_result(shard: &Shard) -> Value {
    let found = &shard.found;
    let source = |source: Source| {
        found.source(source).map(|report| {
            let fault = report.fault.as_ref();
            json!({
                "records": report.records.0,
                "hash": PublicKey(report.hash).to_string(),
                "fault": fault.map(|fault| fault.kind.as_str()),
                "first_bad": fault.and_then(|fault| fault.seq).map(|seq| seq.0),
                "why": fault.map(|fault| fault.why.as_str()),
            })
        })
    };
    let views = found.views.as_ref().map(|views| {
        json!({
            "watermark": views.watermark.0,
            "payments": views.payments,
            "differences": views.differences,
            "example": views.example.map(|id| id.to_string()),
            "unreadable": views.unreadable,
        })
    });
    json!({
        "shard": shard.id.0,
        "missing_folder": shard.missing_folder().map(|(folder, _)| folder),
        "valid": found.is_valid(),
        "corruption_source": found.corruption().as_str(),
        "sources": {
            "primary": source(Source::Primary),
            "replica": source(Source::Replica),
            "audit": source(Source::Audit),
        },
        "signed": found.signed.map(|signed| signed.0),
        "bad_heads": found.bad_heads,
        "views": views,
    })
}

/// What was found, in lines.
pub(super) fn described(shard: &Shard) -> String {
    let (id, found) = (shard.id.0, &shard.found);
    let end = found.source(Source::Primary).map(|report| report.records);
    let mut lines: Vec<String> = Vec::new();
    lines.extend(shard.missing_folder().map(|(folder, lost)| {
        format!(
            "shard {id}: WRONG: its folder {} is {lost}, though it was signed for or has a replica: bring it back (is a disk not mounted?), or have \
             its journal restored from a copy by `florin repair --apply`",
            folder.display()
        )
    }));
    for report in &found.sources {
        let (source, records) = (report.source, report.records);
        lines.push(match &report.fault {
            Some(fault) => {
                format!("shard {id}: {source}: WRONG: {fault}; {records} records before that verify")
            }
            None if end.is_some_and(|end| records < end) => {
                format!("shard {id}: {source}: {records} records verify; the journal goes on")
            }
            None => format!("shard {id}: {source}: {records} records verify"),
        });
    }
    match found.signed {
        Some(signed) => lines.push(format!(
            "shard {id}: the newest signed head is of commit {signed}"
        )),
        None => lines.push(format!("shard {id}: no signed head")),
    }
    lines.extend(
        found
            .bad_heads
            .iter()
            .map(|bad| format!("shard {id}: WRONG: bad signed head: {bad}")),
    );
    match &found.views {
        None => lines.push(format!("shard {id}: views: not compared")),
        Some(views) => lines.push(match (&views.unreadable, views.differences) {
            (Some(why), _) => format!("shard {id}: views: WRONG: they cannot be read: {why}"),
            (None, 0) => format!(
                "shard {id}: views: {} payments up to commit {} are what the journal says",
                views.payments, views.watermark
            ),
            (None, count) => format!(
                "shard {id}: views: WRONG: {count} of {} payments are not what the journal says",
                views.payments
            ),
        }),
    }
    lines.join("\n")
}
