//! Postings that come at once are made as if one came after the other.

use crate::deployment::{Caller, Dev, assert_balanced};
use crate::ledger_transfers::{account, entries, made, open, pair, try_make, with};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;

const CLIENTS: u64 = 4;
const REQUESTS: u64 = 40;
const GRANT: u64 = 250;

/// What a client asked and was told, and between which commits.
struct Asked {
    debit: String,
    amount: i64,
    is_made: bool,
    commits: (u64, u64),
}

/// A client that moves money between accounts that cannot be overdrawn: two transfers at a time that happen together or not at all.
fn client(operator: &Caller, api: SocketAddr, client: u64, accounts: &[String]) -> Vec<Asked> {
    let place = |number: u64| &accounts[usize::try_from(number % 4).unwrap()];
    let mut all = Vec::new();
    for number in 0..REQUESTS {
        let (debit, through) = (place(client + number), place(client + number + 1));
        let (credit, amount) = (place(client + number + 2), 1 + (client * 53 + number * 37) % 400);
        let first = client * 10_000 + number * 2 + 1_000;
        let linked = with(pair(first, debit, through, amount), &json!({"linked": true}));
        let path = format!("/v1/ledger/accounts/{debit}");
        let as_of = || operator.read(&path)["as_of_seq"].as_u64().unwrap();
        let before = as_of();
        let answer = try_make(api, &[linked, pair(first + 1, through, credit, amount)])
            .unwrap()
            .expect(200)
            .json();
        let is_made = answer["recorded"] == 2;
        if !is_made {
            let exceptions = &answer["exceptions"];
            assert_eq!(
                (&exceptions[0]["code"], &exceptions[0]["message"]),
                (&json!("insufficient_funds"), &json!("Insufficient funds"))
            );
            // The second one alone might have been possible, or not either.
            let codes = ["linked_transfer_failed", "insufficient_funds"].map(Value::from);
            assert!(codes.contains(&exceptions[1]["code"]), "{answer}");
        }
        let debit = debit.clone();
        all.push(Asked {
            debit,
            amount: amount.cast_signed(),
            is_made,
            commits: (before, as_of()),
        });
    }
    all
}

#[test]
fn postings_at_once_are_as_if_one_came_after_the_other() {
    let (_folder, dev) = Dev::fresh(&[]);
    let bank = open(&dev, "bank", "asset", &json!({}));
    let accounts: Vec<String> = (0..4)
        .map(|number| {
            open(
                &dev,
                &format!("account:{number}"),
                "liability",
                &json!({"min_balance": 0}),
            )
        })
        .collect();
    for (number, account) in (0..).zip(&accounts) {
        made(&dev, pair(number, &bank, account, GRANT));
    }
    let (operator, api) = (dev.operator(), dev.api);
    let asked: Vec<Asked> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let (operator, accounts) = (&operator, &accounts);
                scope.spawn(move || client(operator, api, number, accounts))
            })
            .collect();
        clients
            .into_iter()
            .flat_map(|client| client.join().unwrap())
            .collect()
    });

    // In the order of their commits, each line continues from the one before it, and none goes below the limit.
    let mut history: BTreeMap<&str, BTreeMap<u64, i64>> = BTreeMap::new();
    let mut by_commit: BTreeMap<u64, Vec<Value>> = BTreeMap::new();
    for account in &accounts {
        let mut running = 0;
        let mut lines = entries(&dev, account);
        lines.reverse();
        for line in lines {
            let amount = line["amount"].as_i64().unwrap();
            running += if line["side"] == "credit" { amount } else { -amount };
            assert_eq!(line["balance_after"], running, "{line}");
            assert!(running >= 0, "{line}");
            let seq = line["seq"].as_u64().unwrap();
            history.entry(account).or_default().insert(seq, running);
            by_commit.entry(seq).or_default().push(line);
        }
    }
    // What was asked together is in one commit, whole, and nothing else is in it.
    let made_at_all = asked.iter().filter(|asked| asked.is_made).count();
    let of_clients: Vec<_> = by_commit.values().filter(|lines| lines.len() > 1).collect();
    assert_eq!(of_clients.len(), made_at_all);
    for lines in of_clients {
        assert_eq!(lines.len(), 4, "{lines:?}");
    }
    // Who was refused had too little at some moment between the question and the answer.
    let refused: Vec<&Asked> = asked.iter().filter(|asked| !asked.is_made).collect();
    for asked in &refused {
        let of_account = &history[asked.debit.as_str()];
        let (before, after) = asked.commits;
        let at_first = of_account
            .range(..=before)
            .next_back()
            .map_or(0, |(_, balance)| *balance);
        let later = of_account.range(before..=after).map(|(_, balance)| *balance);
        let least = later.fold(at_first, i64::min);
        assert!(
            least < asked.amount,
            "{} of {}: {of_account:?}",
            asked.amount,
            asked.debit
        );
    }
    assert!(
        made_at_all > 10 && refused.len() > 10,
        "{made_at_all} and {}",
        refused.len()
    );
    let total: i64 = accounts
        .iter()
        .map(|id| account(&dev, id)["balance"].as_i64().unwrap())
        .sum();
    assert_eq!(total, 4 * GRANT.cast_signed());

    assert_balanced(&dev.operator());
    dev.stop();
}
