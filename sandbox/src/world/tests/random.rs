//! The property that no key executes twice.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

/// One step of a caller that retries, mistakes parameters and meets faults.
#[derive(Debug, Clone)]
enum Step {
    Sale {
        key: u8,
        amount: u8,
    },
    Authorize {
        key: u8,
    },
    Capture {
        key: u8,
        target: u8,
        amount: u8,
    },
    Cancel {
        key: u8,
        target: u8,
    },
    Refund {
        key: u8,
        target: u8,
        amount: u8,
    },
    Increment {
        key: u8,
        target: u8,
        amount: u8,
    },
    /// A sale that asks for a challenge, which is answered twice.
    Challenged {
        key: u8,
        passed: bool,
    },
    Fault {
        operation: u8,
        mode: u8,
    },
    ClearFaults,
    Wait {
        seconds: u8,
    },
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = 0..6_u8;
    let target = 0..4_u8;
    let step = prop_oneof![
        4 => (key.clone(), 1..3_u8).prop_map(|(key, amount)| Step::Sale { key, amount }),
        3 => key.clone().prop_map(|key| Step::Authorize { key }),
        3 => (key.clone(), target.clone(), 1..120_u8)
            .prop_map(|(key, target, amount)| Step::Capture { key, target, amount }),
        2 => (key.clone(), target.clone()).prop_map(|(key, target)| Step::Cancel { key, target }),
        3 => (key.clone(), target.clone(), 1..120_u8)
            .prop_map(|(key, target, amount)| Step::Refund { key, target, amount }),
        2 => (key.clone(), target, 1..120_u8)
            .prop_map(|(key, target, amount)| Step::Increment { key, target, amount }),
        2 => (key, any::<bool>()).prop_map(|(key, passed)| Step::Challenged { key, passed }),
        2 => (0..4_u8, 0..7_u8).prop_map(|(operation, mode)| Step::Fault { operation, mode }),
        1 => Just(Step::ClearFaults),
        1 => (0..60_u8).prop_map(|seconds| Step::Wait { seconds }),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..60)
}

fn intent_ids(client: &mut Client) -> Vec<String> {
    // Not through a query: those would use up faults.
    client
        .rows()
        .iter()
        .filter_map(|row| {
            row["id"]
                .as_str()?
                .strip_prefix("ch_")
                .map(|id| format!("pi_{id}"))
        })
        .collect()
}

/// A key charges at most once, so it can stand for the payment.
fn charged(key: u8) -> String {
    format!("currency=usd&payment_method=pm_card_visa&confirm=true&metadata[payment_id]={key}")
}

const OPTIONS: &str = "payment_method_options[card][request_multicapture]=if_available\
    &payment_method_options[card][request_incremental_authorization]=if_available";

fn take(client: &mut Client, dir: &Path, step: &Step) {
    let intents = "/v1/payment_intents";
    let ids = intent_ids(client);
    let target = |index: u8| {
        ids.get(usize::from(index))
            .cloned()
            .unwrap_or_else(|| "pi_none".to_owned())
    };
    let (path, form, key) = match step {
        Step::Sale { key, amount } => {
            let form = format!("amount={amount}&{}", charged(*key));
            (intents.to_owned(), form, key)
        }
        Step::Authorize { key } => {
            let form = format!("amount=100&capture_method=manual&{OPTIONS}&{}", charged(*key));
            (intents.to_owned(), form, key)
        }
        Step::Capture {
            key,
            target: index,
            amount,
        } => {
            let form = format!("amount_to_capture={amount}&final_capture=false");
            (format!("{intents}/{}/capture", target(*index)), form, key)
        }
        Step::Cancel { key, target: index } => {
            (format!("{intents}/{}/cancel", target(*index)), String::new(), key)
        }
        Step::Refund {
            key,
            target: index,
            amount,
        } => (
            "/v1/refunds".to_owned(),
            format!("payment_intent={}&amount={amount}", target(*index)),
            key,
        ),
        Step::Increment {
            key,
            target: index,
            amount,
        } => (
            format!("{intents}/{}/increment_authorization", target(*index)),
            format!("amount={}", 100 + u32::from(*amount)),
            key,
        ),
        Step::Challenged { key, passed } => {
            let form =
                format!("amount=7&{}", charged(*key)).replace("card_visa", "card_threeDSecure2Required");
            let answered = client.send("POST", intents, &form, Some(&key.to_string()));
            if let Some(reply) = answered.reply {
                let intent = parsed(&reply).1;
                for passed in [*passed, true] {
                    let id = intent["id"].as_str().unwrap_or("pi_none");
                    client.world.challenge(id, Some(passed), client.now).unwrap();
                    client.world.commit().unwrap();
                }
            }
            return;
        }
        Step::Fault { operation, mode } => {
            let operation = ["authorize", "capture", "void", "refund"][usize::from(*operation)];
            let mode = [
                "decline",
                "timeout_before",
                "timeout_after_charge",
                "http_500",
                "rate_limit",
                "slow",
                "drop_connection",
            ][usize::from(*mode)];
            return client.fault(operation, mode, r#","count":2,"probability":0.7"#);
        }
        Step::ClearFaults => {
            client.world.faults.clear();
            return;
        }
        Step::Wait { seconds } => {
            client.now = client.now.plus_ms(u64::from(*seconds) * 1000);
            return;
        }
        Step::Restart => {
            // The lock on the directory must be gone before it is opened again.
            client.world = World::open(None, &options(1, 1), START).unwrap();
            client.world = World::open(Some(dir), &options(1000, 1000), START).unwrap();
            return;
        }
    };
    client.send("POST", &path, &form, Some(&key.to_string()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_interleaving_gives_a_key_two_rows_or_refunds_more_than_was_captured(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let mut client = Client::in_dir(dir.path());
        let mut seen: Vec<Value> = Vec::new();
        for step in &steps {
            take(&mut client, dir.path(), step);
            let rows = client.rows();
            prop_assert_eq!(&rows[..seen.len()], &seen[..], "rows are only ever appended");
            seen = rows;
        }
        let mut by_key: HashMap<&str, usize> = HashMap::new();
        let mut net: HashMap<(&str, &str), i64> = HashMap::new();
        for row in &seen {
            *by_key.entry(row["idempotency_key"].as_str().unwrap()).or_default() += 1;
            let amount = row["amount"].as_i64().unwrap();
            let (bucket, signed) = match row["operation"].as_str().unwrap() {
                "sale" | "capture" => ("captured", amount),
                "refund" => ("captured", -amount),
                "authorize" => ("authorized", amount),
                "void" => ("authorized", -amount),
                other => panic!("unknown operation {other}"),
            };
            *net.entry((row["payment_id"].as_str().unwrap(), bucket)).or_default() += signed;
        }
        prop_assert!(by_key.values().all(|rows| *rows == 1), "{:?}", by_key);
        prop_assert!(net.values().all(|amount| *amount >= 0), "{:?}", net);
    }
}
