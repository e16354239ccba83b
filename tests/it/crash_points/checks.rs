//! Owns what must hold whatever happened: each check reads the evidence by itself and names what is wrong.

use super::books::{Evidence, Operation, hash, operations, transfers};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A check and what it is called.
pub(crate) type Check = (&'static str, fn(&Evidence) -> Vec<String>);

pub(crate) const CHECKS: [Check; 7] = [
    ("charged once", charged_once),
    ("executed as booked", executed_as_booked),
    ("balanced", balanced),
    ("folded", folded),
    ("chained", chained),
    ("bounded", bounded),
    ("recorded once", recorded_once),
];

/// What all checks find, each finding with its check's name.
pub(crate) fn findings(evidence: &Evidence) -> Vec<String> {
    let named = CHECKS.iter().flat_map(|(name, check)| {
        let found = check(evidence);
        found.into_iter().map(move |finding| format!("{name}: {finding}"))
    });
    named.collect()
}

/// A provider charged a payment at most once, and executed nothing twice.
fn charged_once(evidence: &Evidence) -> Vec<String> {
    let (mut charges, mut keys) = (BTreeMap::<&str, u32>::new(), BTreeMap::<&str, u32>::new());
    for row in &evidence.witness {
        *keys.entry(&row.key).or_default() += 1;
        if ["sale", "authorize"].contains(&row.operation.as_str()) {
            *charges.entry(&row.payment).or_default() += 1;
        }
    }
    let charges = charges.into_iter().filter(|(_, count)| *count > 1);
    let keys = keys.into_iter().filter(|(_, count)| *count > 1);
    charges
        .map(|(payment, count)| format!("{payment} was charged {count} times"))
        .chain(keys.map(|(key, count)| format!("what {key} stands for was executed {count} times")))
        .collect()
}

/// What a provider executed is what the journal says of the attempt that had its key, and comes to what was booked.
fn executed_as_booked(evidence: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    let all = operations(&evidence.records);
    let mut by_key: BTreeMap<&str, (&Operation, bool)> = BTreeMap::new();
    for operation in all.values() {
        if operation.succeeded.len() > 1 {
            wrong.push(format!("an operation succeeded more than once: {operation:?}"));
        }
        for (number, key) in &operation.keys {
            let succeeded = operation.succeeded.contains(number);
            if by_key.insert(key, (operation, succeeded)).is_some() {
                wrong.push(format!("{key} is the key of two attempts"));
            }
        }
    }
    let mut booked: BTreeMap<(String, String), i128> = BTreeMap::new();
    for entry in evidence.entries() {
        let Some(payment) = entry.payment else { continue };
        for line in entry
            .lines
            .iter()
            .filter(|line| line.account.starts_with("provider_clearing:"))
        {
            *booked
                .entry((payment.clone(), line.currency.clone()))
                .or_default() += line.debit;
        }
    }
    for row in &evidence.witness {
        let signed = match row.operation.as_str() {
            "sale" | "capture" => row.amount,
            "refund" => -row.amount,
            _ => 0,
        };
        *booked
            .entry((row.payment.clone(), row.currency.clone()))
            .or_default() -= signed;
        match by_key.remove(row.key.as_str()) {
            Some((operation, true)) => {
                let said = (&operation.payment, operation.kind.as_str(), operation.amount);
                if said != (&row.payment, row.operation.as_str(), row.amount) {
                    wrong.push(format!("{row:?} was asked for as {operation:?}"));
                }
            }
            Some((operation, false)) => wrong.push(format!("{row:?} did not succeed here: {operation:?}")),
            None => wrong.push(format!("nobody asked for {row:?}")),
        }
    }
    let never = by_key.into_iter().filter(|(_, (_, succeeded))| *succeeded);
    wrong.extend(never.map(|(key, operation)| format!("{key} was never executed: {operation:?}")));
    let differs = booked.into_iter().filter(|(_, difference)| *difference != 0);
    wrong.extend(differs.map(|((payment, currency), difference)| {
        format!("{payment}: {difference} {currency} more were booked than the provider moved")
    }));
    wrong
}

/// Debits are credits, in each currency of each entry.
fn balanced(evidence: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    for entry in evidence.entries() {
        let said: BTreeSet<&String> = entry.lines.iter().map(|line| &line.currency).collect();
        // An opened account in a pair does not say its currency; the other side does, or neither.
        let only = said.iter().find(|currency| !currency.is_empty());
        let is_pair = said.iter().any(|currency| currency.is_empty());
        let mut sums: BTreeMap<&str, i128> = BTreeMap::new();
        for line in &entry.lines {
            let currency = if is_pair {
                only.map_or("", |only| only.as_str())
            } else {
                line.currency.as_str()
            };
            *sums.entry(currency).or_default() += line.debit;
        }
        let off = sums.into_iter().filter(|(_, sum)| *sum != 0);
        wrong.extend(off.map(|(currency, sum)| {
            format!(
                "shard {} commit {}: debits exceed credits by {sum} {currency}",
                entry.shard, entry.seq
            )
        }));
    }
    let clearing = evidence
        .accounts
        .iter()
        .filter(|account| account.id.starts_with("shard_clearing:"));
    wrong.extend(
        clearing
            .filter(|account| account.balance != 0)
            .map(|account| format!("money is between shards: {account:?}")),
    );
    wrong
}

/// Balances are what the entries come to, each line's as well as those that are shown.
fn folded(evidence: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    let shown: BTreeMap<&str, _> = evidence
        .accounts
        .iter()
        .map(|account| (account.id.as_str(), account))
        .collect();
    let mut standing: BTreeMap<(u64, String), i128> = BTreeMap::new();
    for entry in evidence.entries() {
        for line in entry.lines {
            let Some(account) = shown.get(line.account.as_str()) else {
                wrong.push(format!("{} is posted to and not shown", line.account));
                continue;
            };
            let signed = if account.is_debit_normal {
                line.debit
            } else {
                -line.debit
            };
            let balance = standing.entry((entry.shard, line.account.clone())).or_default();
            *balance += signed;
            if *balance != line.balance_after {
                wrong.push(format!(
                    "shard {} commit {}: {} stands at {balance}, not at {}",
                    entry.shard, entry.seq, line.account, line.balance_after
                ));
            }
        }
    }
    let mut sums: BTreeMap<String, i128> = BTreeMap::new();
    for ((_, account), balance) in standing {
        *sums.entry(account).or_default() += balance;
    }
    for account in &evidence.accounts {
        let sum = sums.remove(&account.id).unwrap_or_default();
        if sum != account.balance {
            wrong.push(format!(
                "{} is shown with {} and comes to {sum}",
                account.id, account.balance
            ));
        }
    }
    wrong
}

/// Each shard's commits are there from the first one on, each once, and each follows the one before.
fn chained(evidence: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut ends: BTreeMap<u64, (u64, u64, String)> = BTreeMap::new();
    for record in &evidence.records {
        let genesis = || (0, 0, "0".repeat(64));
        let (seq, epoch, last) = ends.entry(record.shard).or_insert_with(genesis);
        let place = format!("shard {} commit {}", record.shard, record.seq);
        if record.seq != *seq + 1 {
            wrong.push(format!("{place} stands behind commit {seq}"));
        }
        if record.prev_hash != *last {
            wrong.push(format!("{place} does not follow the one before"));
        }
        if record.epoch < *epoch {
            wrong.push(format!("{place} is of an earlier owner than the one before"));
        }
        if hash(record).as_ref() != Some(&record.hash) {
            wrong.push(format!("{place} has not the hash of its bytes"));
        }
        (*seq, *epoch, *last) = (record.seq, record.epoch, record.hash.clone());
    }
    wrong
}

/// Nobody gives back more than was taken, or takes more than was authorized; and what is shown is what happened.
fn bounded(evidence: &Evidence) -> Vec<String> {
    let mut sums: BTreeMap<String, [i128; 3]> = BTreeMap::new();
    for operation in operations(&evidence.records).into_values() {
        let [authorized, captured, refunded] = sums.entry(operation.payment).or_default();
        if operation.succeeded.is_empty() {
            continue;
        }
        match operation.kind.as_str() {
            "sale" => {
                (*authorized, *captured) = (*authorized + operation.amount, *captured + operation.amount);
            }
            "authorize" | "increment" => *authorized += operation.amount,
            "capture" => *captured += operation.amount,
            "refund" => *refunded += operation.amount,
            _ => {}
        }
    }
    let mut wrong = Vec::new();
    for (payment, [authorized, captured, refunded]) in &sums {
        if refunded > captured || captured > authorized {
            wrong.push(format!(
                "{payment}: {refunded} refunded of {captured} captured of {authorized} authorized"
            ));
        }
    }
    for shown in &evidence.payments {
        let [_, captured, refunded] = sums.remove(&shown.id).unwrap_or_default();
        if (captured, refunded) != (shown.captured, shown.refunded) {
            wrong.push(format!(
                "{shown:?}, but {captured} were captured and {refunded} refunded"
            ));
        }
    }
    wrong.extend(
        sums.keys()
            .map(|payment| format!("{payment} is in the journal and not shown")),
    );
    wrong
}

/// A transfer is recorded once; one between shards is decided once and applied once, or aborted and neither.
fn recorded_once(evidence: &Evidence) -> Vec<String> {
    let mut told: BTreeMap<String, BTreeMap<&'static str, u32>> = BTreeMap::new();
    for record in &evidence.records {
        for (what, id, _) in transfers(record) {
            *told.entry(id).or_default().entry(what).or_default() += 1;
        }
    }
    let possible: [&[(&str, u32)]; 4] = [
        &[("transferred", 1)],
        &[("applied", 1), ("decided", 1)],
        &[("aborted", 1)],
        &[("aborted", 2)],
    ];
    let is_odd = |steps: &BTreeMap<&'static str, u32>| {
        let steps: Vec<_> = steps.iter().map(|(what, count)| (*what, *count)).collect();
        !possible.contains(&steps.as_slice())
    };
    let odd = told.into_iter().filter(|(_, steps)| is_odd(steps));
    odd.map(|(id, steps)| format!("transfer {id}: {steps:?}"))
        .collect()
}

/// Where any of these words stands in a folder's files.
pub(crate) fn leaks(folder: &Path, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(leaks(&path, words));
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let in_file: BTreeSet<&str> = words_in(&bytes, words).collect();
        found.extend(
            in_file
                .iter()
                .map(|word| format!("{word} is in {}", path.display())),
        );
    }
    found
}

/// Bytes that are looked at together.
const PART_BYTES: usize = 64 * 1024;
static NOTHING: [u8; PART_BYTES] = [0; PART_BYTES];

/// Which of the words stand in some bytes. Parts of nothing but zeros, of which files that were given room in advance have many, are passed over.
pub(crate) fn words_in<'a>(bytes: &'a [u8], words: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
    let parts = (0..bytes.len()).step_by(PART_BYTES);
    let parts = parts.filter(|start| {
        let end = bytes.len().min(start + PART_BYTES);
        bytes[*start..end] != NOTHING[..end - start]
    });
    parts.flat_map(move |start| {
        words.iter().copied().filter(move |word| {
            let end = bytes.len().min(start + PART_BYTES + word.len());
            bytes[start..end]
                .windows(word.len())
                .any(|window| window == word.as_bytes())
        })
    })
}
