//! The simulated Adyen without sockets: what is executed, what is told, and what comes back after a restart.

use std::path::Path;

use serde_json::{Value, json};

use crate::adyen;
use crate::charges;
use crate::clock::UnixMillis;
use crate::stripe::{Challenged, Delivery, Limits};
use crate::world::{World, WorldOptions};

const START: UnixMillis = UnixMillis(1_800_000_000_000);

#[derive(Debug)]
struct Client {
    world: World,
    now: UnixMillis,
}

impl Client {
    fn new(dir: Option<&Path>) -> Self {
        let options = WorldOptions {
            limits: Limits {
                intents_max: 100,
                keys_max: 100,
            },
            silence_ms: 1_000,
            origin: "http://sandbox".to_owned(),
        };
        Self {
            world: World::open(dir, &options, START).unwrap(),
            now: START,
        }
    }

    fn listening() -> Self {
        let mut client = Self::new(None);
        client.listen();
        client
    }

    fn listen(&mut self) {
        let body = json!({"url": "http://127.0.0.1:1/x", "hmac_key": "0b".repeat(32)}).to_string();
        let target = adyen::parse_target(body.as_bytes()).unwrap();
        self.world.subscribe(target, self.now);
    }

    /// Nothing when no answer comes.
    fn post(&mut self, path: &str, key: &str, body: &Value) -> Option<(u16, Value)> {
        let request = adyen::parse(path, Some(key), true, body.to_string().as_bytes());
        let request = match request {
            Ok(request) => request,
            Err(refusal) => return Some((refusal.status, refusal.body())),
        };
        let answered = self.world.handle_adyen(&request, self.now).unwrap();
        self.world.commit().unwrap();
        if matches!(answered.delivery, Delivery::Silence { .. } | Delivery::Close) {
            return None;
        }
        let reply = answered.reply.unwrap();
        Some((reply.status, serde_json::from_slice(&reply.body).unwrap()))
    }

    fn pay(&mut self, key: &str, method: &str, is_manual: bool) -> Value {
        let (status, body) = self.post("payments", key, &payment(method, is_manual)).unwrap();
        assert_eq!(status, 200, "{body}");
        body
    }

    /// Event, success and value of what is due, in order; all of it is acknowledged.
    fn told(&mut self) -> Vec<(String, String, u64)> {
        let (due, _) = self.world.notices(&[], 100, self.now);
        let acknowledged: Vec<_> = due.iter().map(|due| (due.of, true)).collect();
        self.world.notices(&acknowledged, 0, self.now);
        self.world.commit().unwrap();
        let copies = due
            .iter()
            .flat_map(|due| std::iter::repeat_n(due, usize::from(due.copies)));
        let item = |due: &crate::due::Due| {
            let body: Value = serde_json::from_slice(&due.body).unwrap();
            let item = &body["notificationItems"][0]["NotificationRequestItem"];
            let text = |field: &str| item[field].as_str().unwrap().to_owned();
            (
                text("eventCode"),
                text("success"),
                item["amount"]["value"].as_u64().unwrap(),
            )
        };
        copies.map(item).collect()
    }

    fn rows(&self) -> Vec<(String, u64)> {
        let mut bytes = Vec::new();
        charges::write_document(&self.world.reader(), |piece| {
            bytes.extend_from_slice(&piece);
            true
        })
        .unwrap();
        let document: Value = serde_json::from_slice(&bytes).unwrap();
        let row = |row: &Value| {
            assert_eq!(row["provider"], "adyen");
            (
                row["operation"].as_str().unwrap().to_owned(),
                row["amount"].as_u64().unwrap(),
            )
        };
        document["data"].as_array().unwrap().iter().map(row).collect()
    }

    fn fault(&mut self, operation: &str, mode: &str, fields: &Value) {
        let mut fault = json!({"provider": "adyen", "operation": operation, "mode": mode, "count": 1});
        fault
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        self.world.faults.add(fault.to_string().as_bytes()).unwrap();
    }
}

fn payment(method: &str, is_manual: bool) -> Value {
    let mut body = json!({
        "merchantAccount": "ShopNL", "reference": "order-1", "amount": {"currency": "USD", "value": 1000},
        "paymentMethod": {"type": "scheme", "storedPaymentMethodId": method}, "returnUrl": "https://shop.example/back?a=b",
    });
    if is_manual {
        body["additionalData"] = json!({"manualCapture": "true"});
    }
    body
}

fn modification(value: u64) -> Value {
    json!({"merchantAccount": "ShopNL", "reference": "m-1", "amount": {"currency": "USD", "value": value}})
}

fn told(event: &str, success: bool, value: u64) -> (String, String, u64) {
    (event.to_owned(), success.to_string(), value)
}

fn row(operation: &str, value: u64) -> (String, u64) {
    (operation.to_owned(), value)
}

#[test]
fn a_hold_is_captured_in_parts_released_and_refunded_and_all_of_it_is_told() {
    let mut client = Client::listening();
    let body = client.pay("k1", "pm_card_visa", true);
    assert_eq!(body["resultCode"], "Authorised");
    let psp = body["pspReference"].as_str().unwrap().to_owned();
    assert_eq!(psp.len(), 16);
    for (key, path, value) in [
        ("k2", "captures", 400),
        ("k3", "captures", 700),
        ("k4", "refunds", 100),
    ] {
        let (status, body) = client
            .post(&format!("payments/{psp}/{path}"), key, &modification(value))
            .unwrap();
        assert_eq!((status, &body["status"]), (201, &json!("received")), "{body}");
        assert_eq!(
            (&body["reference"], &body["paymentPspReference"]),
            (&json!("m-1"), &json!(psp))
        );
    }
    let cancel = json!({"merchantAccount": "ShopNL", "reference": "v-1"});
    client
        .post(&format!("payments/{psp}/cancels"), "k5", &cancel)
        .unwrap();
    assert_eq!(
        client.told(),
        [
            told("AUTHORISATION", true, 1000),
            told("CAPTURE", true, 400),
            told("CAPTURE", false, 700),
            told("REFUND", true, 100),
            told("CANCELLATION", true, 600),
        ]
    );
    assert_eq!(client.told(), []);
    assert_eq!(
        client.rows(),
        [
            row("authorize", 1000),
            row("capture", 400),
            row("refund", 100),
            row("void", 600)
        ]
    );
}

#[test]
fn a_key_is_answered_as_it_was_and_takes_nothing_else() {
    let mut client = Client::listening();
    let first = client.pay("k1", "pm_card_visa", false);
    assert_eq!(client.pay("k1", "pm_card_visa", false), first);
    assert_eq!(client.rows(), [row("sale", 1000)]);
    let (status, body) = client
        .post("payments", "k1", &payment("pm_card_amex", false))
        .unwrap();
    assert_eq!((status, &body["errorCode"]), (422, &json!("703")));
    client.now = client.now.plus_ms(7 * 24 * 3600 * 1000 + 1000);
    assert_ne!(
        client.pay("k1", "pm_card_visa", false),
        first,
        "a week later it is new"
    );
}

#[test]
fn cards_are_declined_as_their_names_say() {
    let mut client = Client::listening();
    for (n, (method, reason, code)) in [
        ("pm_card_visa_chargeDeclined", "Refused", "2"),
        (
            "pm_card_visa_chargeDeclinedInsufficientFunds",
            "Not enough balance",
            "12",
        ),
        ("pm_card_visa_chargeDeclinedExpiredCard", "Expired Card", "6"),
        ("pm_card_visa_chargeDeclinedIncorrectCvc", "CVC Declined", "24"),
        ("pm_card_riskLevelHighest", "FRAUD", "20"),
    ]
    .into_iter()
    .enumerate()
    {
        let body = client.pay(&format!("k{n}"), method, false);
        assert_eq!(
            (
                &body["resultCode"],
                &body["refusalReason"],
                &body["refusalReasonCode"]
            ),
            (&json!("Refused"), &json!(reason), &json!(code))
        );
        assert_eq!(client.told(), [told("AUTHORISATION", false, 1000)]);
    }
    assert_eq!(client.rows(), []);
}

#[test]
fn nobody_is_challenged_whose_merchant_asks_by_itself() {
    for (model, result, code) in [
        ("UnscheduledCardOnFile", "Refused", json!("38")),
        ("CardOnFile", "RedirectShopper", Value::Null),
    ] {
        let mut client = Client::listening();
        let mut body = payment("pm_card_threeDSecure2Required", false);
        body["shopperInteraction"] = json!("ContAuth");
        body["recurringProcessingModel"] = json!(model);
        let (_, answer) = client.post("payments", "k1", &body).unwrap();
        assert_eq!(
            (&answer["resultCode"], &answer["refusalReasonCode"]),
            (&json!(result), &code),
            "{model}"
        );
    }
}

#[test]
fn a_challenge_charges_only_when_its_details_are_handed_over() {
    for (passed, result, rows) in [
        (true, "Authorised", vec![row("sale", 1000)]),
        (false, "Refused", vec![]),
    ] {
        let mut client = Client::listening();
        let body = client.pay("k1", "pm_card_threeDSecure2Required", false);
        assert_eq!(
            (&body["resultCode"], &body["pspReference"]),
            (&json!("RedirectShopper"), &Value::Null)
        );
        let url = body["action"]["url"].as_str().unwrap();
        let name = url.strip_prefix("http://sandbox/3ds/").unwrap();
        let waiting = client.world.challenge(name, None, client.now).unwrap();
        assert!(matches!(waiting, Challenged::Waiting { .. }), "{waiting:?}");
        let over = client.world.challenge(name, Some(passed), client.now).unwrap();
        let Challenged::Over {
            location: Some(location),
            ..
        } = over
        else {
            panic!("{over:?}");
        };
        let (url, brought) = location.split_once("&redirectResult=").unwrap();
        assert_eq!(url, "https://shop.example/back?a=b");
        assert_eq!(client.rows(), [], "nothing before the details");
        for key in ["k2", "k3"] {
            let details = json!({"details": {"redirectResult": brought}});
            let (status, body) = client.post("payments/details", key, &details).unwrap();
            assert_eq!((status, &body["resultCode"]), (200, &json!(result)), "{body}");
        }
        let wrong = json!({"details": {"redirectResult": format!("{brought}1")}});
        assert_eq!(client.post("payments/details", "k4", &wrong).unwrap().0, 422);
        assert_eq!(client.rows(), rows);
        assert_eq!(client.told(), [told("AUTHORISATION", passed, 1000)]);
    }
}

#[test]
fn what_is_held_grows_to_a_new_total_until_something_is_captured() {
    let mut client = Client::listening();
    let body = client.pay("k1", "pm_card_visa", true);
    let psp = body["pspReference"].as_str().unwrap();
    client.told();
    let path = format!("payments/{psp}/amountUpdates");
    for _ in 0..2 {
        let (status, body) = client.post(&path, "k2", &modification(1_500)).unwrap();
        assert_eq!((status, &body["status"]), (201, &json!("received")), "{body}");
        assert_eq!(body["amount"]["value"], 1_500);
    }
    client.post(&path, "k3", &modification(1_200)).unwrap();
    assert_eq!(
        client.told(),
        [
            told("AUTHORISATION_ADJUSTMENT", true, 1_500),
            told("AUTHORISATION_ADJUSTMENT", true, 1_200),
        ]
    );
    let captures = format!("payments/{psp}/captures");
    client.post(&captures, "k4", &modification(1_200)).unwrap();
    client.post(&path, "k5", &modification(2_000)).unwrap();
    assert_eq!(
        client.told(),
        [
            told("CAPTURE", true, 1_200),
            told("AUTHORISATION_ADJUSTMENT", false, 2_000),
        ]
    );
    let rows = [
        row("authorize", 1_000),
        row("authorize", 500),
        row("void", 300),
        row("capture", 1_200),
    ];
    assert_eq!(client.rows(), rows);
}

#[test]
fn a_technical_cancel_closes_what_was_seen_and_finds_nothing_else() {
    let mut client = Client::listening();
    let close = json!({"merchantAccount": "ShopNL", "paymentReference": "order-1", "reference": "c-1"});
    assert_eq!(client.post("cancels", "k0", &close).unwrap().0, 201);
    assert_eq!(client.told(), [told("TECHNICAL_CANCEL", false, 0)]);
    let body = client.pay("k1", "pm_card_visa", true);
    assert_eq!(body["resultCode"], "Authorised", "it may still come");
    assert_eq!(client.rows(), [row("authorize", 1000)]);

    let mut client = Client::listening();
    client.pay("k1", "pm_card_visa", true);
    client.post("cancels", "k2", &close).unwrap();
    assert_eq!(client.rows(), [row("authorize", 1000), row("void", 1000)]);

    let mut client = Client::listening();
    client.pay("k1", "pm_card_visa", false);
    client.post("cancels", "k2", &close).unwrap();
    assert_eq!(
        client.told(),
        [
            told("AUTHORISATION", true, 1000),
            told("TECHNICAL_CANCEL", false, 0)
        ],
        "what was captured is not closed"
    );
    assert_eq!(client.rows(), [row("sale", 1000)]);
}

#[test]
fn what_is_executed_late_fails_now_keeps_its_key_and_is_witnessed_and_told_then() {
    let mut client = Client::listening();
    client.fault("authorize", "late_execution", &json!({"delay_ms": 500}));
    let body = payment("pm_card_visa", false);
    let (status, failed) = client.post("payments", "k1", &body).unwrap();
    assert_eq!((status, &failed["errorType"]), (500, &json!("internal")));
    client.now = client.now.plus_ms(499);
    assert!(!client.world.catch_up(client.now));
    let (_, again) = client.post("payments", "k1", &body).unwrap();
    assert_eq!(again["errorCode"], "704", "the key is in use");
    let close = json!({"merchantAccount": "ShopNL", "paymentReference": "order-1", "reference": "c-1"});
    client.post("cancels", "k2", &close).unwrap();
    assert_eq!(
        (client.rows(), client.told()),
        (vec![], vec![told("TECHNICAL_CANCEL", false, 0)])
    );

    client.now = client.now.plus_ms(1);
    assert!(client.world.catch_up(client.now) && !client.world.catch_up(client.now));
    client.world.commit().unwrap();
    assert_eq!(client.rows(), [row("sale", 1000)]);
    assert_eq!(client.told(), [told("AUTHORISATION", true, 1000)]);
    assert_eq!(
        client.pay("k1", "pm_card_visa", false)["resultCode"],
        "Authorised"
    );
    assert_eq!(client.rows(), [row("sale", 1000)], "and once");
}

#[test]
fn faults_lose_answers_refuse_store_errors_and_tell_twice_or_late() {
    let mut client = Client::listening();
    client.fault("authorize", "timeout_after_charge", &json!({}));
    assert_eq!(
        client.post("payments", "k1", &payment("pm_card_visa", false)),
        None
    );
    assert_eq!(
        client.pay("k1", "pm_card_visa", false)["resultCode"],
        "Authorised"
    );
    assert_eq!(client.rows(), [row("sale", 1000)], "once");

    for (mode, status, again) in [
        ("http_500", 500, 500),
        ("http_503", 503, 200),
        ("rate_limit", 429, 200),
    ] {
        client.fault("authorize", mode, &json!({}));
        let body = payment("pm_card_visa", false);
        assert_eq!(client.post("payments", mode, &body).unwrap().0, status);
        assert_eq!(client.post("payments", mode, &body).unwrap().0, again, "{mode}");
    }
    client.told();

    client.fault("authorize", "late_webhook", &json!({"delay_ms": 500}));
    client.pay("late", "pm_card_visa", false);
    client.fault("authorize", "duplicate_webhook", &json!({}));
    client.pay("twice", "pm_card_amex", false);
    let once = told("AUTHORISATION", true, 1000);
    assert_eq!(
        client.told(),
        [once.clone(), once.clone()],
        "the second is told first, and twice"
    );
    client.now = client.now.plus_ms(500);
    assert_eq!(client.told(), [once]);
}

#[test]
fn payments_keys_and_what_is_still_to_be_told_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut client = Client::new(Some(folder.path()));
    client.listen();
    let first = client.pay("k1", "pm_card_visa", true);
    assert_eq!(client.told().len(), 1);
    let psp = first["pspReference"].as_str().unwrap().to_owned();
    client
        .post(&format!("payments/{psp}/captures"), "k2", &modification(300))
        .unwrap();
    drop(client);

    let mut client = Client::new(Some(folder.path()));
    assert_eq!(client.pay("k1", "pm_card_visa", true), first);
    assert_eq!(client.told(), [told("CAPTURE", true, 300)]);
    drop(client);
    let mut client = Client::new(Some(folder.path()));
    assert_eq!(client.told(), []);
    assert_eq!(client.rows(), [row("authorize", 1000), row("capture", 300)]);
}

#[test]
fn what_is_wrong_with_a_request_is_named() {
    let mut client = Client::listening();
    let without = |field: &str| {
        let mut body = payment("pm_card_visa", false);
        body.as_object_mut().unwrap().remove(field);
        body
    };
    let table = [
        ("payments", without("merchantAccount"), 403, "901"),
        ("payments", without("reference"), 422, "130"),
        ("payments", without("amount"), 422, "137"),
        ("payments", without("paymentMethod"), 422, "800"),
        ("payments", without("returnUrl"), 422, "14_030"),
        ("payments/0000000000000000/captures", modification(1), 422, "167"),
        ("nothing", json!({}), 404, "404"),
    ];
    for (path, body, status, code) in table {
        let (found, body) = client.post(path, "k", &body).unwrap();
        assert_eq!(
            (found, &body["errorCode"]),
            (status, &json!(code)),
            "{path}: {body}"
        );
    }
    let stranger = adyen::parse("payments", None, false, b"{}").unwrap_err();
    assert_eq!(stranger.status, 401);
    for (body, field) in [
        ("[]", "body"),
        (r#"{"url":"ftp://x/","hmac_key":""}"#, "url"),
        (r#"{"url":"http://x/","hmac_key":"0"}"#, "hmac_key"),
    ] {
        assert!(
            adyen::parse_target(body.as_bytes())
                .unwrap_err()
                .starts_with(field),
            "{body}"
        );
    }
}
