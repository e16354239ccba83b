//! Defects planted into what a node that works has left behind: each check finds those that it is there for.

use super::books::{Evidence, Record, Row};
use super::checks::{findings, leaks, words_in};
use super::script::{CARD_NUMBER, SECURITY_CODE, ask_until_answered, broken_promises};
use super::world::{Template, World};
use crate::http::Answer;
use serde_json::{Value, json};
use std::fs;

/// The check that must find it, what it is, and how it is planted.
type Defect = (&'static str, &'static str, fn(&mut Evidence));

fn row<'a>(evidence: &'a mut Evidence, operation: &str) -> &'a mut Row {
    evidence
        .witness
        .iter_mut()
        .find(|row| row.operation == operation)
        .unwrap()
}

/// The first record whose body has this at a path, and that place.
fn at<'a>(evidence: &'a mut Evidence, path: &str) -> &'a mut Value {
    let mut bodies = evidence.records.iter_mut().map(|record| &mut record.body);
    bodies.find_map(|body| body.pointer_mut(path)).unwrap()
}

/// The fields of the last event of a kind that say this.
fn event<'a>(evidence: &'a mut Evidence, name: &str, (field, value): (&str, Value)) -> &'a mut Value {
    let bodies = evidence.records.iter_mut().rev().map(|record| &mut record.body);
    let events = bodies.filter_map(|body| body.pointer_mut("/payment/events")?.as_array_mut());
    let mut fields = events.flatten().filter_map(|event| event.get_mut(name));
    fields
        .find(|fields| value.is_null() || fields[field] == value)
        .unwrap()
}

fn record_with<'a>(evidence: &'a Evidence, path: &str) -> (usize, &'a Record) {
    let mut records = evidence.records.iter().enumerate();
    records
        .find(|(_, record)| record.body.pointer(path).is_some())
        .unwrap()
}

const TRANSFERRED: &str = "/ledger/event/ledger.transferred/0/id";
const APPLIED: &str = "/ledger/event/ledger.crossed/0/applied";

const DEFECTS: [Defect; 26] = [
    ("charged once", "a second sale under another key", |evidence| {
        let mut second = row(evidence, "sale").clone();
        second.key.push('x');
        evidence.witness.push(second);
    }),
    (
        "charged once",
        "a capture that was executed twice under its key",
        |evidence| {
            let second = row(evidence, "capture").clone();
            evidence.witness.push(second);
        },
    ),
    ("charged once", "an authorization beside a sale", |evidence| {
        let payment = row(evidence, "sale").payment.clone();
        row(evidence, "authorize").payment = payment;
    }),
    ("executed as booked", "a sale that never happened", |evidence| {
        evidence.witness.retain(|row| row.operation != "sale");
    }),
    ("executed as booked", "a refund of another amount", |evidence| {
        row(evidence, "refund").amount += 1;
    }),
    ("executed as booked", "a void of another amount", |evidence| {
        row(evidence, "void").amount -= 1;
    }),
    (
        "executed as booked",
        "a capture that nobody asked for",
        |evidence| {
            let mut more = row(evidence, "capture").clone();
            (more.key, more.amount) = ("another".to_owned(), 1);
            evidence.witness.push(more);
        },
    ),
    ("executed as booked", "a charge in another currency", |evidence| {
        "CHF".clone_into(&mut row(evidence, "sale").currency);
    }),
    ("executed as booked", "a success that was lost", |evidence| {
        let (place, _) = record_with(evidence, "/payment/events/0/attempt.succeeded");
        evidence.records[place].body["payment"]["events"] = json!([]);
    }),
    ("executed as booked", "an entry that was lost", |evidence| {
        let (place, _) = record_with(evidence, "/payment/entry/0");
        evidence.records[place].body["payment"]["entry"] = Value::Null;
    }),
    (
        "balanced",
        "a line of an entry that is a cent short",
        |evidence| {
            *at(evidence, "/payment/entry/1/amount_minor") = json!(1);
        },
    ),
    ("balanced", "a line on the wrong side", |evidence| {
        *at(evidence, "/payment/entry/0/side") = json!("credit");
    }),
    ("balanced", "money that stays between shards", |evidence| {
        let clearing = evidence
            .accounts
            .iter_mut()
            .find(|account| account.id.starts_with("shard_clearing:"));
        clearing.unwrap().balance = 5;
    }),
    ("folded", "an account that shows a cent more", |evidence| {
        evidence.accounts[0].balance += 1;
    }),
    ("folded", "an account that is not shown", |evidence| {
        drop(evidence.accounts.remove(0));
    }),
    ("folded", "a line with another balance", |evidence| {
        *at(evidence, "/payment/entry/0/balance_after_minor") = json!(1);
    }),
    ("folded", "an entry that is there twice", |evidence| {
        let again = record_with(evidence, "/payment/entry/0").1.clone();
        evidence.records.push(again);
    }),
    ("chained", "a commit that is missing", |evidence| {
        drop(evidence.records.remove(4));
    }),
    ("chained", "two commits in the wrong order", |evidence| {
        evidence.records.swap(3, 4);
    }),
    ("chained", "a changed byte", |evidence| {
        evidence.records[5].bytes.replace_range(2..4, "ff");
    }),
    ("chained", "a changed hash", |evidence| {
        evidence.records[5].hash.replace_range(0..8, "00000000");
    }),
    ("chained", "an owner that was fenced out", |evidence| {
        evidence.records[1].epoch += 7;
    }),
    ("bounded", "more refunded than was captured", |evidence| {
        event(evidence, "operation.opened", ("kind", json!("refund")))["amount_minor"] = json!(1_000_000);
    }),
    ("bounded", "a payment that shows another refund", |evidence| {
        evidence.payments[0].refunded += 1;
    }),
    ("recorded once", "a transfer that is recorded twice", |evidence| {
        let again = record_with(evidence, TRANSFERRED).1.clone();
        evidence.records.push(again);
    }),
    ("recorded once", "a transfer that arrived nowhere", |evidence| {
        let (place, _) = record_with(evidence, APPLIED);
        evidence.records.remove(place);
    }),
];

/// A change of a second answer, which the first one does not allow.
type Lie = (&'static str, &'static str, fn(&mut Answer));

const LIES: [Lie; 6] = [
    ("sale", "a byte of the body", |answer| answer.body.push(b' ')),
    ("sale", "the status", |answer| answer.status = 202),
    ("sale", "an answer that is not a replay", |answer| {
        answer.headers.retain(|(name, _)| name != "idempotent-replayed");
    }),
    ("void", "a field", |answer| {
        answer.body = answer
            .text()
            .replace("\"amount_captured\":500", "\"amount_captured\":501")
            .into();
    }),
    ("batch", "a transfer that is not there any more", |answer| {
        answer.body = answer.text().replace("\"existed\":4", "\"existed\":3").into();
    }),
    (
        "cross",
        "a transfer that was answered and then given up",
        |answer| answer.status = 409,
    ),
];

#[test]
fn every_planted_defect_is_found_by_the_check_that_is_there_for_it() {
    let template = Template::make();
    let (world, parties) = (World::of(&template), &template.parties);
    let node = world.start();
    let told = ask_until_answered(node.to, parties);
    let again = ask_until_answered(node.to, parties);
    assert_eq!(broken_promises(parties, &told, &again), Vec::<String>::new());
    for (name, what, lie) in LIES {
        let mut changed = again.clone();
        let answer = changed.get_mut(name).unwrap();
        lie(answer);
        assert_ne!(answer, &again[name], "{what} of {name} was not changed");
        let broken = broken_promises(parties, &told, &changed);
        let is_found =
            matches!(broken.as_slice(), [only] if only.starts_with(&format!("{name} was answered")));
        assert!(is_found, "{what} of {name}: {broken:?}");
    }
    let mut fewer = again.clone();
    fewer.remove("refund-2");
    assert_eq!(
        broken_promises(parties, &told, &fewer).len(),
        1,
        "an answer that never came"
    );

    let evidence = world.evidence(node, parties);
    assert_eq!(
        findings(&evidence),
        Vec::<String>::new(),
        "nothing is planted yet"
    );
    for (check, what, plant) in DEFECTS {
        let mut planted = evidence.clone();
        plant(&mut planted);
        let found = findings(&planted);
        let start = format!("{check}: ");
        assert!(
            found.iter().any(|finding| finding.starts_with(&start)),
            "{what}: {found:?}"
        );
    }
    assert_eq!(world.verified(), Vec::<String>::new());
    let planted = world.data().join("heads/planted");
    let mut bytes = vec![0; 64 * 1024 - 5];
    bytes.extend_from_slice(CARD_NUMBER.as_bytes());
    fs::write(&planted, bytes).unwrap();
    let words = [CARD_NUMBER, SECURITY_CODE];
    assert_eq!(
        leaks(&world.data(), &words).len(),
        1,
        "across two parts of a file"
    );
    let line = format!("cvc={SECURITY_CODE}");
    let found: Vec<&str> = words_in(line.as_bytes(), &words).collect();
    assert_eq!(found, [SECURITY_CODE]);
    world.stop();
}
