//! What moved money, entry by entry: as it was booked, and never otherwise afterwards.

use crate::stripe_listed::{MOVED, STEP, Timed, text};
use florin_domain::ledger::{Chart, FeeRecognition, LedgerRules, PostingModel, PostingProfile};
use florin_domain::payment::FeeReturn;
use florin_domain::ports::Clock as _;
use serde_json::{Value, json};
use std::sync::Arc;

impl Timed {
    /// Two operators say that a refund was made.
    #[track_caller]
    fn resolved(&self, payment: &Value, refund: &Value) {
        let [payment, refund] = [payment, refund].map(|object| text(object, "id"));
        let attempt = format!("{payment}:{refund}")
            .replace("pi_", "pay_")
            .replace("re_", "ref_");
        let path = format!("/v1/ops/attempts/{attempt}/resolve");
        let body = format!(
            r#"{{"outcome":"executed","transaction":"{refund}","evidence":"line 12","reason":"ticket 7"}}"#
        );
        for operator in ["ok_test_op", "ok_test_op_2"] {
            let key = format!("{refund} {operator}");
            let headers = [
                ("Content-Type", "application/json"),
                ("Idempotency-Key", key.as_str()),
            ];
            let answer = self
                .world
                .send("POST", &path, Some(operator), &headers, body.as_bytes());
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    }

    /// All that moved, the newest first.
    #[track_caller]
    fn moved(&self) -> Vec<Value> {
        let page = self.get(&format!("{MOVED}?limit=100")).json();
        assert_eq!(page["has_more"], false);
        page["data"].as_array().unwrap().clone()
    }

    /// What is available in dollars.
    fn available(&self) -> i64 {
        let balance = self.get("/v1/balance").json();
        let available = balance["available"].as_array().unwrap().iter();
        let mut usd = available.filter(|one| one["currency"] == "usd");
        usd.next().map_or(0, |one| one["amount"].as_i64().unwrap())
    }
}

#[test]
fn each_capture_is_an_entry_of_its_own_and_none_ever_changes() {
    let timed = Timed::start();
    let body = "amount=5000&currency=usd&payment_method=pm_card_visa&confirm=true&capture_method=manual";
    let held = [0, 1].map(|_| timed.told_at_once("/v1/payment_intents", body));
    let charges = held
        .each_ref()
        .map(|intent| text(intent, "latest_charge").to_owned());
    let mut known: Vec<Value> = Vec::new();
    let mut of_charges = [Vec::new(), Vec::new()];
    // By which charge, how much, the fee of it and whether the clock goes on afterwards. The fixed part of the fee comes with the first capture.
    for (payment, amount, fee, goes_on) in [
        (0, 1_000, 59, false),
        (1, 700, 50, false),
        (0, 2_000, 58, false),
        (1, 100, 3, true),
        (0, 400, 12, true),
        (1, 300, 9, false),
        (1, 600, 17, false),
    ] {
        let path = format!("/v1/payment_intents/{}/capture", text(&held[payment], "id"));
        let body = format!(
            "amount_to_capture={amount}&final_capture=false&expand[]=latest_charge.balance_transaction"
        );
        let told = timed.told_at_once(&path, &body);
        let listed = timed.moved();
        let own = told["latest_charge"]["balance_transaction"].clone();
        // All of before, as it was, and the new one.
        let fresh: Vec<&Value> = listed.iter().filter(|entry| !known.contains(entry)).collect();
        let [fresh] = fresh[..] else {
            panic!("{fresh:?}");
        };
        assert_eq!(listed.len(), known.len() + 1);
        assert_eq!(
            (&fresh["amount"], &fresh["fee"], &fresh["net"]),
            (&json!(amount), &json!(fee), &json!(amount - fee))
        );
        let now_s = json!(timed.clock.now().unix_s());
        assert_eq!((&fresh["created"], &fresh["available_on"]), (&now_s, &now_s));
        assert_eq!(fresh["source"], charges[payment]);
        of_charges[payment].push(fresh.clone());
        // The charge names its newest entry in the order of the list.
        let newest = listed.iter().find(|entry| entry["source"] == charges[payment]);
        assert_eq!(newest, Some(&own));
        if goes_on {
            timed.clock.advance(STEP);
        }
        known = listed;
    }
    let order: Vec<(u64, &str)> = known
        .iter()
        .map(|entry| (entry["created"].as_u64().unwrap(), text(entry, "id")))
        .collect();
    let mut sorted = order.clone();
    sorted.sort_unstable_by(|one, other| other.cmp(one));
    assert_eq!(order, sorted, "by when they were booked, and then by their ids");
    let ids = |entries: &[&Value]| -> Vec<String> {
        let ids = entries.iter().map(|entry| text(entry, "id").to_owned());
        ids.collect()
    };
    let all: Vec<&Value> = known.iter().collect();
    timed.assert_listed(MOVED, "", &ids(&all));
    timed.assert_listed(MOVED, "&type=charge&currency=usd", &ids(&all));
    for (charge, own) in charges.iter().zip(&of_charges) {
        let expected: Vec<&Value> = known.iter().filter(|entry| own.contains(entry)).collect();
        assert_eq!(expected.len(), own.len());
        timed.assert_listed(MOVED, &format!("&source={charge}"), &ids(&expected));
    }
    for entry in &known {
        let alone = timed.get(&format!("{MOVED}/{}", text(entry, "id")));
        assert_eq!((alone.status, &alone.json()), (200, entry));
        let other = timed
            .world
            .get(&format!("{MOVED}/{}", text(entry, "id")), Some("sk_test_b"));
        assert_eq!(other.status, 404);
    }
    let nets = known.iter().map(|entry| entry["net"].as_i64().unwrap());
    assert_eq!(nets.sum::<i64>(), timed.available());
    timed.world.stop();
}

#[test]
fn refunds_are_entered_when_they_are_booked_and_return_the_fee_in_that_order() {
    let timed = Timed::start_with(|options| options.fee_return = FeeReturn::Returned);
    let body = "amount=10000&currency=usd&payment_method=pm_card_visa&confirm=true";
    let (sale, _) = timed.told("/v1/payment_intents", body);
    let back = |amount: u32| {
        let body = format!("payment_intent={}&amount={amount}", text(&sale, "id"));
        timed.told("/v1/refunds", &body).0
    };
    // Both take days, and the one that was asked for later ends first.
    let (first, later) = (back(93), back(9_031));
    let sold = timed.moved();
    assert_eq!(sold.len(), 1);
    let mut booked_s = Vec::new();
    for refund in [&later, &first] {
        assert_eq!(refund["balance_transaction"], Value::Null, "{refund}");
        booked_s.push(timed.clock.now().unix_s());
        timed.resolved(&sale, refund);
        timed.clock.advance(STEP);
    }
    let listed = timed.moved();
    let shown: Vec<Value> = listed
        .iter()
        .map(|entry| json!([entry["source"], entry["created"], entry["amount"], entry["fee"]]))
        .collect();
    // Of 320 the first to be booked returns 288 and the other one 3 of 32; in the order in which they were asked for it would be 2 and 289.
    assert_eq!(
        shown[..2],
        [
            json!([first["id"], booked_s[1], -93, -3]),
            json!([later["id"], booked_s[0], -9_031, -288]),
        ]
    );
    assert_eq!(listed[2..], sold, "what was there stays");
    let nets = listed.iter().map(|entry| entry["net"].as_i64().unwrap());
    assert_eq!(nets.sum::<i64>(), timed.available());
    for (entry, refund) in listed.iter().zip([&first, &later]) {
        let path = format!("/v1/refunds/{}?expand[]=balance_transaction", text(refund, "id"));
        let shown = timed.get(&path).json();
        assert_eq!(
            (&shown["balance_transaction"], &shown["created"]),
            (entry, &refund["created"])
        );
    }
    timed.world.stop();
}

#[test]
fn what_nobody_is_owed_moves_nothing_and_a_fee_that_is_not_earned_yet_is_none() {
    for (posting, fee_recognition, nets) in [
        (PostingModel::MerchantOfRecord, FeeRecognition::AtPayment, vec![]),
        (
            PostingModel::Marketplace,
            FeeRecognition::AtSettlement,
            vec![-2_500, 10_000],
        ),
        (
            PostingModel::Marketplace,
            FeeRecognition::AtPayment,
            vec![-2_500, 9_680],
        ),
    ] {
        let profile = PostingProfile {
            posting,
            fee_recognition,
        };
        let rules = LedgerRules::new(profile, Chart::default(), Vec::new()).unwrap();
        let timed = Timed::start_with(|options| options.ledger = Arc::new(rules));
        let body = "amount=10000&currency=usd&payment_method=pm_card_visa&confirm=true";
        let (sale, _) = timed.told("/v1/payment_intents", body);
        let body = format!("payment_intent={}&amount=2500", text(&sale, "id"));
        let (refund, _) = timed.told("/v1/refunds", &body);
        let listed: Vec<i64> = timed
            .moved()
            .iter()
            .map(|entry| entry["net"].as_i64().unwrap())
            .collect();
        assert_eq!(listed, nets, "{profile:?}");
        assert_eq!(listed.iter().sum::<i64>(), timed.available(), "{profile:?}");
        let charge = timed
            .get(&format!("/v1/charges/{}", text(&sale, "latest_charge")))
            .json();
        assert_eq!(
            (
                charge["balance_transaction"].is_null(),
                refund["balance_transaction"].is_null()
            ),
            (nets.is_empty(), nets.is_empty()),
            "{profile:?}"
        );
        let named = text(&sale, "id").replace("pi_", "txn_");
        let alone = timed.get(&format!("{MOVED}/{named}"));
        assert_eq!(
            alone.status,
            if nets.is_empty() { 404 } else { 200 },
            "{profile:?}"
        );
        timed.world.stop();
    }
}
