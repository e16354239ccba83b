//! Transfers at once, as serializable as one after the other: what weaker isolation would let through, asked for on purpose. A lost
//! update spends a balance twice, write skew reserves it twice, a phantom books into a day that is being closed, and a torn read
//! shows one side of a transfer without the other.

use crate::deployment::{Dev, assert_balanced};
use crate::http::Answer;
use crate::ledger_transfers::{
    account, balance, entries, id, made, open, pair, refused, try_ask, try_make, with,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};

const ROUNDS: u64 = 12;

/// Everybody acts in the same moment, in a thread of their own; what each got, in order.
fn at_once<T: Send>(count: u64, act: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let start = Barrier::new(usize::try_from(count).unwrap());
    std::thread::scope(|scope| {
        let everybody: Vec<_> = (0..count)
            .map(|number| {
                let (start, act) = (&start, &act);
                scope.spawn(move || {
                    start.wait();
                    act(number)
                })
            })
            .collect();
        everybody.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

/// How many were made; the others must be refused for want of money.
#[track_caller]
fn made_of(answers: &[Answer]) -> usize {
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        refused(answer, 409, "insufficient_funds");
    }
    answers.iter().filter(|answer| answer.status == 200).count()
}

fn purse(dev: &Dev, bank: &str, round: u64, amount: u64) -> String {
    let name = format!("purse:{round}");
    let purse = open(dev, &name, "liability", &json!({"min_balance": 0}));
    made(dev, pair(round * 1_000, bank, &purse, amount));
    purse
}

#[test]
fn led_14_a_balance_that_is_enough_for_three_withdrawals_pays_three_of_eight_at_once() {
    const CLIENTS: u64 = 8;
    let (_folder, dev) = Dev::fresh(&[]);
    let bank = open(&dev, "bank", "asset", &json!({}));
    let api = dev.api;
    for round in 1..=ROUNDS {
        let purse = purse(&dev, &bank, round, 399);
        let answers = at_once(CLIENTS, |client| {
            try_make(api, &[pair(round * 1_000 + 1 + client, &purse, &bank, 100)]).unwrap()
        });
        assert_eq!(made_of(&answers), 3, "{answers:?}");
        assert_eq!(balance(&dev, &purse), 99);
        let mut left: Vec<i64> = entries(&dev, &purse)
            .iter()
            .map(|line| line["balance_after"].as_i64().unwrap())
            .collect();
        left.reverse();
        assert_eq!(left, [399, 299, 199, 99], "no update is lost");
    }
    assert_balanced(&dev.operator());
    dev.stop();
}

#[test]
fn led_14_of_two_transfers_that_together_overdraw_exactly_one_is_made() {
    let (_folder, dev) = Dev::fresh(&[]);
    let bank = open(&dev, "bank", "asset", &json!({}));
    let shops = ["shop:a", "shop:b"].map(|name| open(&dev, name, "liability", &json!({})));
    let amounts = [80_u64, 70];
    let api = dev.api;
    let mut paid = [0; 2];
    for round in 1..=ROUNDS {
        let purse = purse(&dev, &bank, round, 100);
        let answers = at_once(2, |client| {
            let place = usize::try_from(client).unwrap();
            let transfer = pair(round * 1_000 + 1 + client, &purse, &shops[place], amounts[place]);
            try_make(api, &[transfer]).unwrap()
        });
        assert_eq!(made_of(&answers), 1, "{answers:?}");
        let winner = answers.iter().position(|answer| answer.status == 200).unwrap();
        paid[winner] += amounts[winner].cast_signed();
        assert_eq!(balance(&dev, &purse), 100 - amounts[winner].cast_signed());
    }
    for (shop, paid) in shops.iter().zip(paid) {
        assert_eq!(balance(&dev, shop), paid);
    }
    assert_balanced(&dev.operator());
    dev.stop();
}

/// Each reservation is a record of its own, and a withdrawal writes the balance: nobody writes what the other writes, and each
/// depends on what the other does. Snapshots of a moment ago would let both through.
#[test]
fn led_14_reservations_and_withdrawals_at_once_are_never_both_made_of_the_same_money() {
    let (_folder, dev) = Dev::fresh(&[]);
    let bank = open(&dev, "bank", "asset", &json!({}));
    let (api, pending) = (dev.api, json!({"pending": true}));
    for round in 1..=ROUNDS {
        let purse = purse(&dev, &bank, round, 150);
        let first = round * 1_000 + 1;
        let answers = at_once(3, |client| {
            let transfer = pair(first + client, &purse, &bank, 100);
            let transfer = if client == 2 {
                transfer
            } else {
                with(transfer, &pending)
            };
            try_make(api, &[transfer]).unwrap()
        });
        assert_eq!(made_of(&answers), 1, "{answers:?}");
        let shown = account(&dev, &purse);
        assert_eq!(shown["available"], 50, "{shown}");
        let Some(reserved) = (0..2).find(|client| answers[*client].status == 200) else {
            continue;
        };
        // It is ended once: posted or voided, never both.
        let reserved = id(first + u64::try_from(reserved).unwrap());
        let ends = at_once(2, |client| {
            let field = ["post_pending", "void_pending"][usize::try_from(client).unwrap()];
            try_make(api, &[json!({"id": id(first + 10 + client), field: reserved})]).unwrap()
        });
        let [posted, voided] = [0, 1].map(|place: usize| ends[place].status == 200);
        assert_ne!(posted, voided, "{ends:?}");
        for answer in ends.iter().filter(|answer| answer.status != 200) {
            refused(answer, 404, "pending_transfer_missing");
        }
        assert_eq!(balance(&dev, &purse), if posted { 50 } else { 150 });
    }
    assert_balanced(&dev.operator());
    dev.stop();
}

/// Who closes a day and who books into it write different things, and each depends on the other.
#[test]
fn led_14_nothing_is_booked_into_a_day_behind_somebody_who_saw_it_closed() {
    let (_folder, dev) = Dev::fresh(&[]);
    let bank = open(&dev, "bank", "asset", &json!({}));
    let customer = open(&dev, "customer", "liability", &json!({}));
    let api = dev.api;
    for round in 0..6 {
        let year = 2_010 + round;
        let day = json!({"effective_date": format!("{year}-06-30")});
        let booking = AtomicBool::new(false);
        // Two book into the day until it is closed, and then into today; the third closes the year once somebody has booked.
        let markers = at_once(3, |client| {
            if client == 2 {
                while !booking.load(Ordering::Acquire) {
                    std::thread::yield_now();
                }
                let close = json!({"through": format!("{year}-12-31")});
                try_ask(api, "periods/close", &close).unwrap().expect(200);
                return None;
            }
            let first = (round * 2 + client + 1) * 1_000_000;
            for number in first.. {
                let late = with(pair(number, &bank, &customer, 1), &day);
                let answer = try_make(api, &[late]).unwrap();
                booking.store(true, Ordering::Release);
                if answer.status != 200 {
                    refused(&answer, 409, "period_closed");
                    let marker = try_make(api, &[pair(number, &bank, &customer, 1)]).unwrap();
                    return marker.expect(200).json()["seq"].as_u64();
                }
            }
            None
        });
        let seen_closed = markers.into_iter().flatten().min().unwrap();
        let late = entries(&dev, &customer).into_iter().filter(|line| {
            line["effective_date"]
                .as_str()
                .unwrap()
                .starts_with(&year.to_string())
        });
        let late: Vec<u64> = late.map(|line| line["seq"].as_u64().unwrap()).collect();
        assert!(!late.is_empty(), "the day was open at first");
        assert!(
            late.iter().all(|seq| *seq < seen_closed),
            "{seen_closed}: {late:?}"
        );
    }
    assert_balanced(&dev.operator());
    dev.stop();
}

#[test]
fn led_14_no_reader_sees_one_side_of_a_transfer_without_the_other() {
    const WRITERS: u64 = 3;
    const TRANSFERS: u64 = 60;
    let (_folder, dev) = Dev::fresh(&[]);
    let bank = open(&dev, "bank", "asset", &json!({}));
    let accounts: Vec<String> = (0..4)
        .map(|number| open(&dev, &format!("account:{number}"), "liability", &json!({})))
        .collect();
    for (number, account) in (1..).zip(&accounts) {
        made(&dev, pair(number, &bank, account, 1_000));
    }
    let (api, operator, writing) = (dev.api, dev.operator(), AtomicBool::new(true));
    let place = |number: u64| &accounts[usize::try_from(number % 4).unwrap()];
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let (mut seen, mut debits_before, mut moments) = (0, 0, BTreeSet::new());
                    while writing.load(Ordering::Acquire) || moments.is_empty() {
                        let totals = operator.read("/v1/ledger/trial_balance");
                        let total = &totals["data"][0];
                        assert_eq!(
                            (&total["difference"], &total["debits"]),
                            (&json!(0), &total["credits"])
                        );
                        let debits = total["debits"].as_i64().unwrap();
                        assert!(debits >= debits_before, "it goes forward: {totals}");
                        debits_before = debits;
                        // Between these five money only goes round, in one moment as in the next.
                        let page = operator.read("/v1/ledger/accounts?limit=100");
                        let rows: Vec<&Value> = page["data"]
                            .as_array()
                            .unwrap()
                            .iter()
                            .filter(|row| row["name"].is_string())
                            .collect();
                        assert_eq!(rows.len(), 5, "{page}");
                        let as_of: BTreeSet<u64> = rows
                            .iter()
                            .map(|row| row["as_of_seq"].as_u64().unwrap())
                            .collect();
                        assert_eq!(as_of.len(), 1, "one moment: {page}");
                        let owed: i64 = rows[1..].iter().map(|row| row["balance"].as_i64().unwrap()).sum();
                        assert_eq!((&rows[0]["balance"], owed), (&json!(4_000), 4_000), "{page}");
                        let now = *as_of.first().unwrap();
                        assert!(now >= seen, "it goes forward: {page}");
                        seen = now;
                        moments.insert(now);
                    }
                    moments.len()
                })
            })
            .collect();
        at_once(WRITERS, |writer| {
            for number in 0..TRANSFERS {
                let transfer = pair(
                    10_000 + writer * 1_000 + number,
                    place(writer + number),
                    place(writer + number + 1),
                    1 + number,
                );
                let seq = try_make(api, &[transfer]).unwrap().expect(200).json()["seq"].as_u64();
                let path = format!("/v1/ledger/accounts/{}", place(writer + number));
                let read = operator.read(&path)["as_of_seq"].as_u64();
                assert!(read >= seq, "whoever was answered finds it: {read:?} {seq:?}");
            }
        });
        writing.store(false, Ordering::Release);
        for reader in readers {
            assert!(reader.join().unwrap() > 0);
        }
    });
    assert_eq!(balance(&dev, &bank), 4_000);
    assert_balanced(&dev.operator());
    dev.stop();
}
