//! What the consistency monitor found, as a schema.

use super::ledger_shapes::ACCOUNT_ID;
use super::shape::{Shape, array, count, flag, must, or_null, record, text, time, word};
use serde_json::{Value, json};
use utoipa::openapi::schema::ObjectBuilder;

const CHECKS: [&str; 5] = ["ledger", "balances", "payments", "views", "settlement"];

/// A round that found an account which does not hold what the journal comes to.
pub(crate) fn consistency_example() -> Value {
    let clean = |check: &str, compared: u64| {
        json!({
            "check": check, "state": "done", "why": null, "compared": compared, "issues": 0, "differences": [],
        })
    };
    json!({
        "object": "consistency", "consistent": false,
        "rounds": [{
            "shard": 0, "number": 17, "created": 1_775_000_000, "took_ms": 38, "finished": 1_775_000_000, "stale": false,
            "commits": 412, "through_seq": 90_112, "view_lag": 0, "issues": 1,
            "checks": [
                clean("ledger", 206),
                {
                    "check": "balances", "state": "done", "why": null, "compared": 64, "issues": 1,
                    "differences": [{
                        "subject": ACCOUNT_ID, "figure": "posted balance", "expected": "1010000", "found": "1009900", "difference": 100,
                        "seq": 90_112, "message": format!("posted balance of {ACCOUNT_ID}: 1009900 instead of 1010000"),
                    }],
                },
                clean("payments", 206),
                clean("views", 206),
                {
                    "check": "settlement", "state": "absent", "why": "there is nothing to compare yet", "compared": 0, "issues": 0,
                    "differences": [],
                },
            ],
        }],
    })
}

fn consistency() -> ObjectBuilder {
    let difference = record([
        must(
            "subject",
            text("The account, payment or transaction that differs, as its id."),
        ),
        must("figure", text("What of it.")),
        must("expected", text("What it should be; of an entry, its debits.")),
        must("found", text("What it is; of an entry, its credits.")),
        must(
            "difference",
            or_null(count("How far apart they are, in minor units, if they are sums.")),
        ),
        must("seq", count("The commit as of which they differ.")),
        must("message", text("The same for people.")),
    ]);
    let check = record([
        must("check", word("Which.", CHECKS)),
        must(
            "state",
            word(
                "`behind`: it goes on in the next round. `failed`: it could not be run. `absent`: there is nothing to compare yet.",
                ["done", "behind", "failed", "absent"],
            ),
        ),
        must("why", or_null(text("Why it is not done."))),
        must(
            "compared",
            count("Entries, accounts, payments or rows that it compared."),
        ),
        must("issues", count("What differs, all of it.")),
        must("differences", array(difference, "The first 20 of them.")),
    ]);
    let round = record([
        must("shard", count("Of which shard.")),
        must("number", count("1, 2, ... since the process started.")),
        must("created", time("When it began.")),
        must("took_ms", count("How long it took.")),
        must("finished", time("When it ended.")),
        must(
            "stale",
            flag(
                "It is so old that more than three rounds should have followed it: nobody knows what it would find now.",
            ),
        ),
        must(
            "commits",
            count("Commits of the recent window that were looked at."),
        ),
        must("through_seq", count("The last of them.")),
        must(
            "view_lag",
            count("Commits that the payments view was behind the journal."),
        ),
        must("issues", count("What differs, of all checks.")),
        must("checks", array(check, "One for each check.")),
    ]);
    record([
        must("object", word("What it is.", ["consistency"])),
        must(
            "consistent",
            or_null(flag(
                "Every check came to its end and nothing differs; null while that is not known: before the first round, while one reads on, or when the last one is stale.",
            )),
        ),
        must("rounds", array(round, "One for each shard.")),
    ])
}

/// Named shapes.
pub(super) fn all() -> Vec<(&'static str, Shape)> {
    vec![("Consistency", consistency().into())]
}
