//! Owns the verdict over a run of nodes on a shared store: what clients were answered, what the provider charged, what the books have and what the
//! store keeps must be one story. Knows nothing of Florin's code: it reads what was written down, and makes its own sums.
//!
//! A run is a folder of lines of JSON:
//!
//! | file | a line |
//! |---|---|
//! | `acknowledged.jsonl` | a final answer: `key`, `status`, `payment_id`, and the payment as `payment` where the status is 200 |
//! | `payments.jsonl` | a payment as a node shows it in the end; `metadata.key` is the key under which it was asked for |
//! | `charges.jsonl` | a charge of the provider's own log: `payment_id`, `amount`, `currency`, `operation` |
//! | `records.jsonl` | a record of the journal: `shard`, `seq`, `epoch`, and in hexadecimal `hash` and `bytes` |

use anyhow::{Context, Result};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;

/// What is wrong with a run, in numbers; nothing, if all are zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Final answers.
    pub acknowledged: usize,
    /// Of those, how many the node does not stand by any more; and charges of which no books know.
    pub lost: usize,
    /// Charges beyond the first for what was asked for once, and payments beyond the first under one key.
    pub doubled: usize,
    /// Records that do not follow the one before them.
    pub broken: usize,
    /// One line for each, for a person.
    pub findings: Vec<String>,
}

impl Verdict {
    /// Everything fits.
    pub fn is_clean(&self) -> bool {
        (self.lost, self.doubled, self.broken) == (0, 0, 0)
    }

    fn lost(&mut self, why: &str) {
        self.lost += 1;
        self.findings.push(format!("lost: {why}"));
    }

    fn doubled(&mut self, why: &str) {
        self.doubled += 1;
        self.findings.push(format!("doubled: {why}"));
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "acked={} lost={} doubled={} broken={}",
            self.acknowledged, self.lost, self.doubled, self.broken
        )
    }
}

/// Reads a run and compares everything with everything.
///
/// # Errors
/// If a file is missing or a line is not what it should be: nothing is known of the run then.
pub fn check(run: &Path) -> Result<Verdict> {
    let acknowledged = lines(run, "acknowledged.jsonl")?;
    let payments = lines(run, "payments.jsonl")?;
    let charges = lines(run, "charges.jsonl")?;
    let records = lines(run, "records.jsonl")?;
    let mut verdict = Verdict {
        acknowledged: acknowledged.len(),
        ..Verdict::default()
    };
    let kept: BTreeMap<&str, &Value> = payments
        .iter()
        .map(|payment| Ok((text(payment, "id")?, payment)))
        .collect::<Result<_>>()?;
    let keys = keys(&acknowledged, &payments)?;
    compare_answers(&acknowledged, &kept, &mut verdict)?;
    let mut under_key: BTreeMap<&str, &str> = BTreeMap::new();
    for payment in kept.keys() {
        if let Some(key) = keys.get(payment)
            && let Some(other) = under_key.insert(key, payment)
        {
            verdict.doubled(&format!("{payment} and {other} are both for {key}"));
        }
    }
    compare_charges(&charges, &kept, &keys, &mut verdict)?;
    follow(&records, &mut verdict)?;
    Ok(verdict)
}

/// Under which key each payment was asked for, as far as anybody says.
fn keys<'a>(acknowledged: &'a [Value], payments: &'a [Value]) -> Result<BTreeMap<&'a str, &'a str>> {
    let mut keys = BTreeMap::new();
    for payment in payments {
        if let Some(key) = payment["metadata"]["key"].as_str() {
            keys.insert(text(payment, "id")?, key);
        }
    }
    for answer in acknowledged {
        keys.insert(text(answer, "payment_id")?, text(answer, "key")?);
    }
    Ok(keys)
}

fn compare_answers(
    acknowledged: &[Value],
    kept: &BTreeMap<&str, &Value>,
    verdict: &mut Verdict,
) -> Result<()> {
    let mut answered = BTreeMap::new();
    for answer in acknowledged {
        let (key, id) = (text(answer, "key")?, text(answer, "payment_id")?);
        match answered.insert(key, id) {
            Some(other) if other != id => {
                verdict.doubled(&format!("{key} was answered with {other} and with {id}"));
            }
            _ => {}
        }
        match kept.get(id) {
            None => verdict.lost(&format!("{id}, which {key} was answered with, is not there")),
            Some(payment) if answer["status"] == 200 && **payment != answer["payment"] => {
                verdict.lost(&format!(
                    "{id} is not what {key} was answered: {payment} and {}",
                    answer["payment"]
                ));
            }
            Some(payment) if answer["status"] != 200 && payment["status"] != "failed" => {
                verdict.lost(&format!(
                    "{id} was answered as declined and is {}",
                    payment["status"]
                ));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn compare_charges(
    charges: &[Value],
    kept: &BTreeMap<&str, &Value>,
    keys: &BTreeMap<&str, &str>,
    verdict: &mut Verdict,
) -> Result<()> {
    let mut paid = BTreeSet::new();
    for charge in charges {
        let id = text(charge, "payment_id")?;
        // What was asked for once is known by its key, or by its payment where nobody tells the key.
        if !paid.insert(keys.get(id).copied().unwrap_or(id)) {
            verdict.doubled(&format!("{id} is charged once more: {charge}"));
        }
        let Some(payment) = kept.get(id) else {
            verdict.lost(&format!("the books know nothing of {charge}"));
            continue;
        };
        let is_charged = match text(charge, "operation")? {
            "sale" => payment["status"] == "succeeded" && payment["amount_captured"] == charge["amount"],
            "authorize" => payment["status"] == "authorized" && payment["amount"] == charge["amount"],
            _ => false,
        };
        if !is_charged {
            verdict.lost(&format!(
                "the books have {payment} where the provider has {charge}"
            ));
        }
    }
    for (id, payment) in kept {
        let has_money = ["succeeded", "authorized"]
            .iter()
            .any(|status| payment["status"] == *status);
        if has_money && !paid.contains(keys.get(id).copied().unwrap_or(id)) {
            verdict.lost(&format!("{payment} was never charged"));
        }
    }
    Ok(())
}

/// Numbers without a gap, and each record's hash over the one before it (`docs/audit.md`).
fn follow(records: &[Value], verdict: &mut Verdict) -> Result<()> {
    let mut heads: BTreeMap<u16, (u64, [u8; 32], u64)> = BTreeMap::new();
    for record in records {
        let shard = u16::try_from(number(record, "shard")?).context("a shard beyond 65,535")?;
        let (seq, epoch) = (number(record, "seq")?, number(record, "epoch")?);
        let (hash, bytes) = (hex(text(record, "hash")?)?, hex(text(record, "bytes")?)?);
        let (before, prev, last_epoch) = heads.get(&shard).copied().unwrap_or_default();
        let mut sha = Sha256::new();
        sha.update(prev);
        sha.update(shard.to_le_bytes());
        sha.update(seq.to_le_bytes());
        sha.update(epoch.to_le_bytes());
        sha.update((bytes.len() as u64).to_le_bytes());
        sha.update(&bytes);
        let right: [u8; 32] = sha.finalize().into();
        if seq != before + 1 || hash != right || epoch < last_epoch {
            verdict.broken += 1;
            let finding = format!("broken: record {seq} of shard {shard} in epoch {epoch} after {before}");
            verdict.findings.push(finding);
        }
        heads.insert(shard, (seq, hash.try_into().unwrap_or(right), epoch));
    }
    Ok(())
}

fn lines(run: &Path, name: &str) -> Result<Vec<Value>> {
    let path = run.join(name);
    let all = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    all.lines()
        .enumerate()
        .map(|(line, json)| {
            serde_json::from_str(json).with_context(|| format!("line {} of {name} is no JSON", line + 1))
        })
        .collect()
}

fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str> {
    value[field]
        .as_str()
        .with_context(|| format!("no text `{field}` in {value}"))
}

fn number(value: &Value, field: &str) -> Result<u64> {
    value[field]
        .as_u64()
        .with_context(|| format!("no number `{field}` in {value}"))
}

fn hex(text: &str) -> Result<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| {
            let pair = str::from_utf8(pair).context("half a character")?;
            u8::from_str_radix(pair, 16).with_context(|| format!("`{pair}` is not hexadecimal"))
        })
        .collect()
}

#[cfg(test)]
mod tests;
