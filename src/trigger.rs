//! `florin trigger`: makes an event happen at a running node in test mode, through its public API, with the simulated providers' test cards and,
//! for the one event that needs a provider in trouble, with a fault of theirs.

use crate::test_node::{TestNode, read, refusal};
use anyhow::{Context as _, bail};
use clap::Args;
use florin_adapters::api_client::{ApiAnswer, ApiClient};
use florin_adapters::entropy::OsEntropy;
use florin_config::Settings;
use florin_domain::announcement::AnnouncementKind;
use florin_domain::ports::Entropy as _;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::sleep;

/// Between two looks at what was announced.
const PAUSE: Duration = Duration::from_millis(100);
/// What is recorded is announced within a fraction of a second; after so many looks it is not.
const LOOKS_MAX: usize = 100;

/// What is to happen, and where.
#[derive(Args, Debug)]
pub(crate) struct TriggerArguments {
    /// The event, by Florin's name or Stripe's: payment.succeeded, payment_intent.succeeded...
    event: String,
    #[command(flatten)]
    node: TestNode,
    /// The node's simulated Stripe, which a provider in trouble is played by; that of `florin dev` if it is left out
    #[arg(long)]
    sandbox: Option<String>,
}

/// What leads to an event.
#[derive(Clone, Copy, Debug)]
enum Recipe {
    /// A payment with this card, and then perhaps something that is asked of it.
    Payment(Payment),
    /// A payment that the usual rules give to a reviewer, and then perhaps something that is asked of it.
    Review(Option<&'static str>),
    /// A payment whose provider does not say how it ended.
    Trouble,
}

#[derive(Clone, Copy, Debug)]
struct Payment {
    method: &'static str,
    capture: &'static str,
    then: Option<&'static str>,
}

/// How an event is made.
const fn recipe(kind: AnnouncementKind) -> Recipe {
    use AnnouncementKind as Kind;
    let (method, capture, then) = match kind {
        Kind::Succeeded | Kind::ChargeSucceeded => ("pm_card_visa", "automatic", None),
        Kind::AmountCapturableUpdated => ("pm_card_visa", "manual", None),
        Kind::ChargeCaptured => ("pm_card_visa", "manual", Some("capture")),
        Kind::Canceled => ("pm_card_visa", "manual", Some("void")),
        Kind::RequiresAction => ("pm_card_threeDSecure2Required", "automatic", None),
        Kind::Failed | Kind::ChargeFailed => ("pm_card_visa_chargeDeclined", "automatic", None),
        Kind::RefundCreated | Kind::RefundUpdated | Kind::ChargeRefunded => {
            ("pm_card_visa", "automatic", Some("refunds"))
        }
        // What its holder has disputed is given back by nobody else.
        Kind::RefundFailed => ("pm_card_createDispute", "automatic", Some("refunds")),
        Kind::ReviewOpened => return Recipe::Review(None),
        Kind::ReviewClosed => return Recipe::Review(Some("void")),
        Kind::Processing => return Recipe::Trouble,
    };
    Recipe::Payment(Payment {
        method,
        capture,
        then,
    })
}

/// Payments of one customer in an hour that are many by the usual rules.
const MANY: u32 = 10;
/// As often as a node usually sends a charge for those who wait. The provider's card is one that little else is tried with.
const TRIES: u32 = 3;
const TROUBLED: &str = "pm_card_amex";

/// Makes the event and prints what was made.
#[expect(clippy::print_stdout, reason = "the ids are this command's output")]
pub(crate) async fn run(arguments: TriggerArguments, settings: &Settings) -> anyhow::Result<()> {
    let (kind, recipe) = find(&arguments.event)?;
    let (client, _) = arguments.node.client(settings)?;
    // A key and a customer of its own each time, so that neither velocity nor earlier declines are in the way.
    let run = format!("trigger_{:016x}", OsEntropy::new().next_u64());
    let asked = |method: &str, capture: &str| {
        json!({
            "amount": 2000, "currency": "USD", "payment_method_id": method, "capture_method": capture, "customer_id": run,
        })
    };
    let (body, then) = match recipe {
        Recipe::Payment(payment) => (asked(payment.method, payment.capture), payment.then),
        Recipe::Review(then) => {
            make_many(&client, &run, &asked("pm_card_visa", "automatic")).await?;
            (suspicious(asked("pm_card_visa", "automatic")), then)
        }
        Recipe::Trouble => {
            let given = (arguments.sandbox.as_deref(), "--sandbox");
            let sandbox = arguments.node.client_of(given, settings.sandbox.listen)?;
            trouble(sandbox).await?;
            (asked(TROUBLED, "automatic"), None)
        }
    };
    let made = post(&client, &run, "/v1/payments", &body).await?;
    let payment: Value = read(&made)?;
    let payment = match made.status {
        200 | 202 => &payment["id"],
        _ => &payment["error"]["payment_id"],
    };
    let Some(payment) = payment.as_str() else {
        return Err(refusal(&made));
    };
    println!("payment {payment}");
    if let Some(then) = then {
        let path = format!("/v1/payments/{payment}/{then}");
        let answer = post(&client, &format!("{run}_{then}"), &path, &json!({})).await?;
        if !matches!(answer.status, 200 | 202) && kind != AnnouncementKind::RefundFailed {
            return Err(refusal(&answer)).context(path);
        }
    }
    let event = announced(&client, kind, payment).await?;
    let object = &event["data"]["object"];
    let refunds = object["refunds"].as_array().into_iter().flatten();
    let refunds = refunds.chain(Some(object).filter(|object| object["object"] == "refund"));
    for refund in refunds.filter_map(|refund| refund["id"].as_str()) {
        println!("refund {refund}");
    }
    println!(
        "event {} {}",
        event["id"].as_str().unwrap_or_default(),
        arguments.event
    );
    Ok(())
}

fn find(name: &str) -> anyhow::Result<(AnnouncementKind, Recipe)> {
    let mut known = Vec::new();
    for kind in AnnouncementKind::ALL.iter().copied() {
        if [kind.native(), kind.stripe()].contains(&name) {
            return Ok((kind, recipe(kind)));
        }
        known.push(format!("  {}  {}", kind.native(), kind.stripe()));
    }
    bail!(
        "`{name}` is no event that can be made to happen; these are, by either name:\n{}",
        known.join("\n")
    )
}

/// All but the last of so many payments of one customer that the next one is flagged for it.
async fn make_many(client: &ApiClient, run: &str, body: &Value) -> anyhow::Result<()> {
    for number in 1..MANY {
        let made = post(client, &format!("{run}_{number}"), "/v1/payments", body).await?;
        if !matches!(made.status, 200 | 202) {
            return Err(refusal(&made)).context("the payments before it");
        }
    }
    Ok(())
}

/// A payment of an unusual sum that comes from another country than its card.
fn suspicious(mut body: Value) -> Value {
    body["amount"] = json!(200_000);
    body["device"] = json!({"country": "NZ"});
    body
}

/// Has the simulated Stripe answer that it cannot say, as often as the next charge of this card is sent. Afterwards it can, so that the node
/// finds out how the payment ends when it asks again.
async fn trouble((client, url): (ApiClient, String)) -> anyhow::Result<()> {
    let fault = json!({
        "provider": "stripe", "operation": "authorize", "mode": "http_503", "payment_method": TROUBLED, "probability": 1.0, "seed": 1,
        "count": TRIES,
    });
    let answer = client.post("/faults", fault.to_string().into()).await;
    let answer = answer.with_context(|| format!("there is no simulated Stripe at {url}; see --sandbox"))?;
    if !(200..300).contains(&answer.status) {
        return Err(refusal(&answer)).context("--sandbox");
    }
    Ok(())
}

async fn post(client: &ApiClient, key: &str, path: &str, body: &Value) -> anyhow::Result<ApiAnswer> {
    let key = ("idempotency-key", key);
    Ok(client.post_with(path, body.to_string().into(), key).await?)
}

/// The payment's event of this kind, once it is there.
async fn announced(client: &ApiClient, kind: AnnouncementKind, payment: &str) -> anyhow::Result<Value> {
    let path = format!("/v1/events?limit=100&type={}", kind.native());
    for _ in 0..LOOKS_MAX {
        let answer = client.get(&path).await?;
        if answer.status != 200 {
            return Err(refusal(&answer)).context("its event");
        }
        let mut page: Value = read(&answer)?;
        let events = page["data"].as_array_mut().into_iter().flatten();
        if let Some(event) = events.into_iter().find(|event| event["payment_id"] == payment) {
            return Ok(event.take());
        }
        sleep(PAUSE).await;
    }
    bail!(
        "{payment} came to another end: the node has announced no `{}` of it",
        kind.native()
    )
}
