//! Shards by the alphabet, as their users meet them: names say where accounts and merchants begin, and a transfer has one posting in
//! each of two shards.

use crate::deployment::{Caller, Dev, assert_balanced, sale};
use crate::http::Answer;
use crate::ledger_crossings::at_rest;
use crate::ledger_transfers::{account, ask, balance, entries, id, made, make, open, pair, refused};
use crate::process::{run, run_well};
use serde_json::json;

/// A to D, E to H, I to L, and so on to W to Z.
const LETTERS: [(&str, &str); 3] = [
    ("FLORIN_JOURNAL_SHARDS", "7"),
    ("FLORIN_JOURNAL_PLACEMENT", "ranges"),
    ("FLORIN_JOURNAL_RANGES", "A-D,E-H,I-L,M-P,Q-S,T-V,W-Z"),
];
const LAST: u64 = 6;

/// Debits less credits of the lines of one shard, and how many lines there are.
#[track_caller]
fn lines_of_shard(operator: &Caller, shard: u64) -> (i64, usize) {
    let path = format!("/v1/ledger/entries/export.jsonl?shard={shard}");
    let body = operator.get(&path).expect(200).text();
    let lines = body.lines().map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["shard"], shard, "{line}");
        let amount = line["amount_minor"].as_i64().unwrap();
        if line["side"] == "debit" { amount } else { -amount }
    });
    let signed: Vec<i64> = lines.collect();
    (signed.iter().sum(), signed.len())
}

#[test]
fn led_6_accounts_are_in_the_shard_of_their_letter_and_one_transfer_debits_one_and_credits_another() {
    let (_folder, dev) = Dev::fresh(&LETTERS);
    let operator = dev.operator();
    let no_overdraft = json!({"min_balance": 0});
    let names = [
        ("alice", 0),
        ("dora", 0),
        ("customer:emil", 1),
        ("hans", 1),
        ("ines", 2),
        ("lola", 2),
        ("walter", LAST),
        ("customer:zoe", LAST),
        ("customer:4711", 0),
    ];
    for (name, shard) in names {
        let opened = open(&dev, name, "liability", &no_overdraft);
        assert_eq!(account(&dev, &opened)["shard"], shard, "{name}");
    }
    let (alice, walter) = (
        open(&dev, "alice", "liability", &no_overdraft),
        open(&dev, "walter", "liability", &no_overdraft),
    );
    let bank = open(&dev, "bank", "asset", &json!({}));
    made(&dev, pair(1, &bank, &alice, 10_000));
    made(&dev, pair(2, &alice, &walter, 2_500));
    at_rest(&dev);

    assert_eq!((balance(&dev, &alice), balance(&dev, &walter)), (7_500, 2_500));
    for (account, side) in [(&alice, "debit"), (&walter, "credit")] {
        let line = &entries(&dev, account)[0];
        assert_eq!(
            (&line["side"], &line["amount"], &line["transfer_id"]),
            (&json!(side), &json!(2_500), &json!(id(2))),
            "{line}"
        );
    }
    // Each shard has its posting against its own part of the clearing account, and balances by itself.
    assert_eq!(lines_of_shard(&operator, 0), (0, 4));
    assert_eq!(lines_of_shard(&operator, LAST), (0, 2));
    for shard in 1..LAST {
        assert_eq!(lines_of_shard(&operator, shard), (0, 0));
    }
    assert_eq!(
        account(&dev, "shard_clearing:USD")["balance"],
        0,
        "nothing is on the way"
    );
    refused(
        &make(&dev, &[pair(3, &walter, &alice, 2_501)]),
        409,
        "insufficient_funds",
    );
    assert_balanced(&operator);
    dev.stop();
}

#[test]
fn led_6_a_shard_that_contradicts_the_letter_is_refused_and_merchants_begin_by_theirs() {
    let folder = tempfile::tempdir().unwrap();
    let create = |name: &str, shard: &[&str]| {
        let arguments = [&["merchant", "create", "--name", name], shard].concat();
        run(&arguments, folder.path(), &LETTERS)
    };
    let wrong = create("Walter & Sons", &["--shard", "0"]);
    assert!(
        !wrong.status.success()
            && wrong
                .stderr
                .contains("--shard: names that begin with W belong to shard 6 (`journal.ranges`)"),
        "{wrong:?}"
    );
    let mut keys = Vec::new();
    for (name, shard) in [
        ("Adler", &[][..]),
        ("Walter & Sons", &["--shard", "6"]),
        ("Wanda", &[]),
    ] {
        let made = create(name, shard);
        assert!(made.status.success(), "{made:?}");
        let merchant = made.stdout.trim().to_owned();
        let key = run_well(
            &["key", "create", "--merchant", &merchant],
            folder.path(),
            &LETTERS,
        );
        keys.push((merchant, key));
    }
    let dev = Dev::start(folder.path(), &LETTERS);
    for ((merchant, key), shard) in keys.iter().zip([0, LAST, LAST]) {
        Caller::new(dev.api, key)
            .pay("1", &sale(10_000, "USD"))
            .expect(200);
        let payable = account(&dev, &format!("merchant_payable:{merchant}:USD"));
        assert_eq!(payable["shard"], shard);
    }
    let misplaced = json!({"name": "customer:walter", "type": "liability", "currency": "USD", "shard": 0});
    let answer = ask(&dev, "accounts", &misplaced);
    refused(&answer, 400, "parameter_invalid");
    assert_eq!(
        (answer.error("param").as_str(), answer.error("message").as_str()),
        ("shard", "`shard`: names that begin with W belong to shard 6.")
    );
    dev.stop();
}

#[test]
fn led_6_what_was_placed_before_stays_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let shards = &LETTERS[..1];
    let merchant = run_well(
        &["merchant", "create", "--name", "Walter", "--shard", "2"],
        folder.path(),
        shards,
    );
    let key = run_well(&["key", "create", "--merchant", &merchant], folder.path(), shards);
    let dev = Dev::start(folder.path(), shards);
    let walter = open(&dev, "walter", "liability", &json!({"shard": 3}));
    Caller::new(dev.api, &key)
        .pay("1", &sale(10_000, "USD"))
        .expect(200);
    dev.stop();

    let dev = Dev::start(folder.path(), &LETTERS);
    for same in [json!({}), json!({"shard": 3})] {
        assert_eq!(open(&dev, "walter", "liability", &same), walter);
    }
    let elsewhere = json!({"name": "walter", "type": "liability", "currency": "USD", "shard": 1});
    refused(&ask(&dev, "accounts", &elsewhere), 400, "parameter_invalid");
    let wanda = open(&dev, "wanda", "liability", &json!({}));
    assert_eq!(account(&dev, &wanda)["shard"], LAST);
    Caller::new(dev.api, &key)
        .pay("2", &sale(10_000, "USD"))
        .expect(200);
    let payable = account(&dev, &format!("merchant_payable:{merchant}:USD"));
    assert_eq!(payable["shard"], 2);
    dev.stop();
}

#[test]
fn led_6_a_name_that_accounts_of_several_shards_have_is_refused_until_one_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(folder.path(), &LETTERS[..1]);
    let first = open(&dev, "walter", "liability", &json!({}));
    let last = open(&dev, "walter", "liability", &json!({"shard": LAST}));
    assert_eq!(open(&dev, "walter", "liability", &json!({})), first, "as before");
    open(&dev, "emil", "liability", &json!({"shard": 4}));
    dev.stop();

    let dev = Dev::start(folder.path(), &LETTERS);
    let ask_for = |name: &str, also: &serde_json::Value| {
        let mut body = json!({"name": name, "type": "liability", "currency": "USD"});
        body.as_object_mut()
            .unwrap()
            .extend(also.as_object().unwrap().clone());
        ask(&dev, "accounts", &body)
    };
    let refused_as = |answer: &Answer, why: &str| {
        refused(answer, 400, "parameter_invalid");
        assert_eq!(
            (answer.error("param").as_str(), answer.error("message").as_str()),
            ("shard", why)
        );
    };
    refused_as(
        &ask_for("walter", &json!({})),
        "`shard`: several shards have an account of this name (0, 6): say which one.",
    );
    for (shard, expected) in [(0, &first), (LAST, &last)] {
        let found = open(&dev, "walter", "liability", &json!({"shard": shard}));
        assert_eq!(&found, expected);
    }
    refused_as(
        &ask_for("emil", &json!({"shard": 1})),
        "`shard`: the account is open in shard 4, and stays there.",
    );
    let zoe = open(&dev, "zoe", "liability", &json!({}));
    dev.stop();

    // Letters decide no longer: what they placed is found where it is.
    let dev = Dev::start(folder.path(), &LETTERS[..1]);
    assert_eq!(open(&dev, "zoe", "liability", &json!({})), zoe);
    dev.stop();
}

#[test]
fn led_6_ranges_that_leave_out_a_letter_or_have_it_twice_do_not_start() {
    let folder = tempfile::tempdir().unwrap();
    for (ranges, why) in [
        (
            "A-D,E-H,I-L,M-P,Q-S,T-V",
            "there are 6 for 7 shards, and each needs one",
        ),
        ("A-D,E-H,I-L,M-P,Q-S,T-V,X-Z", "no range has W"),
        ("A-D,E-H,I-L,L-P,Q-S,T-V,W-Z", "two ranges have L"),
    ] {
        let variables = [LETTERS[0], LETTERS[1], ("FLORIN_JOURNAL_RANGES", ranges)];
        let refused = run(&["dev"], folder.path(), &variables);
        assert!(
            !refused.status.success()
                && refused.stderr.contains("`journal.ranges` is ")
                && refused.stderr.contains(why),
            "{refused:?}"
        );
    }
}
