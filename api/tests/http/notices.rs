//! What providers send by themselves: who is not believed is told why, by the header or the field; strangers who fail too often cost no more
//! than the platform's own secrets; and of a letter everything is taken that can be.

use crate::unresolved::{page, unknown};
use crate::world::{Answer, World};
use crate::{VISA, pay};
use florin_domain::ids::{MerchantId, OperationId, PaymentId};
use florin_domain::money::Currency;
use florin_domain::ports::NoticeReader;
use florin_domain::provider::{
    Compared, Letter, Named, Notice, NoticeRefusal, Outcome, ProviderId, Said, Signer,
};
use serde_json::{Value, json};
use std::num::NonZeroU32;
use std::sync::Arc;

/// Reads what tests write: a letter says whose payment it names and what it is about, its seal by whom it is signed.
#[derive(Debug)]
pub(crate) struct FakeNotices;

/// Signed by somebody who is found only by comparing with everybody's secrets.
const SOMEBODY: &str = "somebody";

fn is_signed(seal: Option<&str>, compared: Compared) -> bool {
    match seal {
        Some("platform") => true,
        Some(SOMEBODY) => compared == Compared::Everybodys,
        Some(merchant) => MerchantId::parse(merchant).is_ok_and(|merchant| compared.is_with(merchant)),
        None => false,
    }
}

fn told(said: &Value) -> Option<Notice> {
    let payment = PaymentId::parse(said["payment"].as_str()?).ok()?;
    let minor = said["amount"].as_i64()?.into();
    let name: Arc<str> = Arc::from(said["transaction"].as_str()?);
    let early = Said::TakenBack {
        unheard: None,
        reference: Arc::clone(&name),
        amount_minor: minor,
    };
    let done = Said::Became(Outcome::Succeeded {
        reference: Arc::clone(&name),
        transaction: name,
        amount_minor: minor,
    });
    Some(Notice {
        provider: ProviderId::parse("fake").ok()?,
        signer: Signer::Platform,
        payment,
        operation: OperationId::Authorize(payment),
        attempt: Named::KeyEnd(Arc::from(said["key"].as_str()?)),
        currency: Currency::EUR,
        said: if said["is_early"] == true { early } else { done },
    })
}

impl NoticeReader for FakeNotices {
    fn seal(&self, _provider: ProviderId) -> Option<&'static str> {
        Some("Fake-Seal")
    }

    fn names(&self, _provider: ProviderId, letter: Letter<'_>) -> Option<PaymentId> {
        let body: Value = serde_json::from_slice(letter.body).ok()?;
        PaymentId::parse(body["names"].as_str()?).ok()
    }

    fn read(
        &self,
        provider: ProviderId,
        letter: Letter<'_>,
        compared: Compared,
    ) -> Result<Vec<Notice>, NoticeRefusal> {
        let malformed = NoticeRefusal::Malformed {
            field: "notificationItems",
            why: "must be a list",
        };
        if provider.as_str() != "fake" {
            return Err(NoticeRefusal::NoSuchProvider);
        }
        match (letter.body, letter.seal) {
            (_, Some("broken")) => Err(NoticeRefusal::Seal {
                header: "Fake-Seal",
                why: "is broken",
            }),
            (b"{}", _) => Err(malformed),
            (body, seal) if is_signed(seal, compared) => {
                let body: Value = serde_json::from_slice(body).map_err(|_| malformed)?;
                let items = body["items"].as_array().ok_or(malformed)?;
                Ok(items.iter().filter_map(told).collect())
            }
            _ => Err(NoticeRefusal::Unsigned),
        }
    }
}

fn post(world: &World, provider: &str, seal: Option<&str>, body: &str) -> Answer {
    let json = ("Content-Type", "application/json");
    let seal = seal.map(|seal| ("Fake-Seal", seal));
    let headers: Vec<(&str, &str)> = [json].into_iter().chain(seal).collect();
    let path = format!("/v1/providers/{provider}/notices");
    world.send("POST", &path, None, &headers, body.as_bytes())
}

#[test]
fn a_letter_that_is_not_believed_is_refused_by_its_header_or_its_field() {
    let world = World::start();
    for (seal, body, field) in [
        (Some("broken"), "[]", "Fake-Seal"),
        (Some("broken"), "{}", "Fake-Seal"),
        (Some("whole"), "{}", "notificationItems"),
    ] {
        let refused = post(&world, "fake", seal, body);
        let error = refused.json()["error"].clone();
        assert_eq!(
            (refused.status, &error["code"]),
            (400, &"parameter_invalid".into()),
            "{refused:?}"
        );
        assert_eq!(error["param"], field, "{refused:?}");
    }
    assert_eq!(post(&world, "fake", None, "[]").status, 401);
    assert_eq!(post(&world, "other", None, "[]").status, 404);
    world.stop();
}

#[test]
fn strangers_who_fail_too_often_are_compared_with_nobody_elses_secrets_and_stop_nobody_else() {
    let world = World::start_with(|options| options.failed_auth_per_min = NonZeroU32::new(1));
    let sold = pay(&world, "sold", VISA).json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let nothing = json!({"items": []}).to_string();
    let about = json!({"names": sold, "items": []}).to_string();
    let of_nobody = json!({"names": "pay_00000000000000000000000007", "items": []}).to_string();
    let (own, other) = (MerchantId::from_bits(1), MerchantId::from_bits(2));
    let (own, other) = (own.to_string(), other.to_string());
    let status = |seal: &str, body: &str| post(&world, "fake", Some(seal), body).status;
    for body in [&nothing, &of_nobody] {
        assert_eq!(status(SOMEBODY, body), 200);
        assert_eq!(status(&own, body), 200);
    }
    // A letter that names a payment is compared with its merchant's secrets only.
    assert_eq!(status(&other, &about), 401);
    assert_eq!(status(SOMEBODY, &about), 429);
    for body in [&nothing, &of_nobody] {
        assert_eq!(status(SOMEBODY, body), 429);
    }
    // Strangers may share an address with those who are believed.
    for _ in 0..5 {
        assert_eq!(status(&own, &about), 200);
        assert_eq!(status("platform", &nothing), 200);
    }
    world.stop();
}

/// What is undone before it was heard that it was done has to come again; what comes with it must not wait for that.
#[test]
fn of_a_letter_everything_is_taken_that_can_be_and_all_of_it_comes_again() {
    let world = World::start();
    let stuck = unknown(&world, "stuck");
    let sold = pay(&world, "sold", VISA);
    let key = sold.json()["processor_transaction_id"].clone();
    let key = key.as_str().unwrap().trim_start_matches("ch_").to_owned();
    let sold = sold.json()["id"].as_str().unwrap().to_owned();
    let open = world
        .runtime
        .block_on(world.platform.payments().unresolved(None, 10));
    let open = open.unwrap().unwrap();
    let open_key = open.attempts[0].0.payment.operations[0]
        .attempt
        .clone()
        .unwrap()
        .key;
    let early =
        json!({"payment": stuck, "key": &*open_key, "transaction": "psp_1", "amount": 900, "is_early": true});
    let strange = json!({"payment": sold, "key": key, "transaction": "psp_2", "amount": 900});
    let body = json!({"items": [early, strange]}).to_string();
    assert_eq!(page(&world, ""), (vec![stuck.clone()], false));
    for _ in 0..2 {
        let answer = post(&world, "fake", Some("platform"), &body);
        assert_eq!(answer.status, 503, "{answer:?}");
        let mut both = vec![stuck.clone(), sold.clone()];
        both.sort_unstable();
        assert_eq!(page(&world, ""), (both, false), "for a person to look at");
    }
    world.stop();
}
