//! Several captures of one authorization, its growth, and the list of its refunds.

use super::*;

fn code(body: &Value) -> &str {
    body["error"]["code"].as_str().unwrap()
}

/// Operation and amount of every row.
fn witnessed(client: &mut Client) -> Vec<(String, u64)> {
    let rows = client.rows();
    rows.iter()
        .map(|row| {
            (
                row["operation"].as_str().unwrap().to_owned(),
                row["amount"].as_u64().unwrap(),
            )
        })
        .collect()
}

#[test]
fn captures_that_are_not_final_need_multicapture() {
    let mut client = client();
    let plain = format!("{}&capture_method=manual", sale("pm_card_visa"));
    let intent = ok(client.post(CREATE, &plain, "a"));
    let path = format!("{CREATE}/{}/capture", id_of(&intent));
    let (status, body) = client.post(&path, "amount_to_capture=400&final_capture=false", "b");
    assert_eq!(
        (status, body["error"]["param"].as_str()),
        (400, Some("final_capture"))
    );
    assert_eq!(body["error"]["payment_intent"]["amount_capturable"], 1500);
    assert_eq!(
        ok(client.post(&path, "amount_to_capture=400", "c"))["status"],
        "succeeded"
    );
    assert_eq!(client.rows().len(), 2);
}

#[test]
fn an_intent_is_captured_at_most_fifty_times() {
    let mut client = client();
    let intent = ok(client.post(CREATE, &authorization("request_multicapture"), "a"));
    let path = format!("{CREATE}/{}/capture", id_of(&intent));
    for number in 0..50 {
        let form = "amount_to_capture=2&final_capture=false";
        ok(client.post(&path, form, &format!("c{number}")));
    }
    let (status, body) = client.post(&path, "amount_to_capture=2", "one more");
    assert_eq!((status, code(&body)), (400, "payment_intent_unexpected_state"));
    assert_eq!(body["error"]["payment_intent"]["amount_received"], 100);
    let released = ok(client.post(&path, "amount_to_capture=0&final_capture=true", "release"));
    assert_eq!(released["status"], "succeeded");
    assert_eq!(client.rows().len(), 52);
}

#[test]
fn a_last_capture_of_nothing_releases_the_rest() {
    let mut client = client();
    let intent = ok(client.post(CREATE, &authorization("request_multicapture"), "a"));
    let path = format!("{CREATE}/{}/capture", id_of(&intent));
    let (status, body) = client.post(&path, "amount_to_capture=0&final_capture=true", "too early");
    assert_eq!((status, code(&body)), (400, "parameter_invalid_integer"));
    ok(client.post(&path, "amount_to_capture=400&final_capture=false", "b"));
    let released = ok(client.post(&path, "amount_to_capture=0&final_capture=true", "c"));
    assert_eq!(
        (
            released["status"].as_str(),
            &released["amount_received"],
            &released["amount_capturable"]
        ),
        (Some("succeeded"), &400.into(), &0.into())
    );
    let row = |operation: &str, amount| (operation.to_owned(), amount);
    assert_eq!(
        witnessed(&mut client),
        [row("authorize", 1500), row("capture", 400), row("void", 1100)]
    );
}

#[test]
fn an_authorization_grows_until_its_first_capture_and_each_addition_is_witnessed() {
    let mut client = client();
    let form = authorization("request_incremental_authorization");
    let intent = ok(client.post(CREATE, &form, "a"));
    let path = format!("{CREATE}/{}", id_of(&intent));
    let grow = format!("{path}/increment_authorization");
    let grown = ok(client.post(&grow, "amount=2000&metadata[operation_id]=inc_1", "b"));
    assert_eq!(
        (&grown["amount"], &grown["amount_capturable"]),
        (&2000.into(), &2000.into())
    );
    assert_eq!(
        ok(client.post(&grow, "amount=2000&metadata[operation_id]=inc_1", "b")),
        grown
    );
    for (amount, key) in [(2000, "same"), (1999, "less")] {
        let (status, body) = client.post(&grow, &format!("amount={amount}"), key);
        assert_eq!(
            (status, code(&body)),
            (400, "parameter_invalid_integer"),
            "{amount}"
        );
    }
    ok(client.post(&grow, "amount=2001", "c"));
    let captured = ok(client.post(&format!("{path}/capture"), "amount_to_capture=2001", "d"));
    assert_eq!(captured["amount_received"], 2001);
    let (status, body) = client.post(&grow, "amount=3000", "e");
    assert_eq!((status, code(&body)), (400, "payment_intent_unexpected_state"));
    let row = |operation: &str, amount| (operation.to_owned(), amount);
    assert_eq!(
        witnessed(&mut client),
        [
            row("authorize", 1500),
            row("authorize", 500),
            row("authorize", 1),
            row("capture", 2001)
        ]
    );
    assert_eq!(client.rows()[1]["reference"], "inc_1");
}

#[test]
fn an_authorization_grows_at_most_ten_times_counting_declines_and_only_if_that_was_asked_for() {
    let mut client = client();
    let plain = format!("{}&capture_method=manual", sale("pm_card_visa"));
    let fixed = ok(client.post(CREATE, &plain, "fixed"));
    let path = format!("{CREATE}/{}/increment_authorization", id_of(&fixed));
    assert_eq!(client.post(&path, "amount=2000", "a").0, 400);

    let form = authorization("request_incremental_authorization");
    let intent = ok(client.post(CREATE, &form, "b"));
    let path = format!("{CREATE}/{}/increment_authorization", id_of(&intent));
    let fault = br#"{"provider":"stripe","operation":"authorize","mode":"decline","count":1}"#;
    client.world.faults.add(fault).unwrap();
    let (status, body) = client.post(&path, "amount=1600", "declined");
    assert_eq!((status, code(&body)), (402, "card_declined"));
    assert_eq!(body["error"]["payment_intent"]["amount_capturable"], 1500);
    for number in 1..10 {
        ok(client.post(&path, &format!("amount={}", 1600 + number), &format!("k{number}")));
    }
    let (status, body) = client.post(&path, "amount=2000", "last");
    assert_eq!((status, code(&body)), (400, "parameter_invalid_integer"));
    assert_eq!(client.rows().len(), 2 + 9);
}

#[test]
fn refunds_are_listed_by_intent_newest_first_page_by_page() {
    let mut client = client();
    let first = ok(client.post(CREATE, &sale("pm_card_visa"), "a"));
    let second = ok(client.post(CREATE, &sale("pm_card_visa"), "b"));
    let mut refunds = Vec::new();
    for (number, intent) in [&first, &second, &first, &first].into_iter().enumerate() {
        let form = format!("payment_intent={}&amount=1", id_of(intent));
        refunds.push(id_of(&ok(client.post(
            "/v1/refunds",
            &form,
            &format!("r{number}"),
        ))));
    }
    let page = |client: &mut Client, query: &str| {
        let body = ok(client.get(&format!("/v1/refunds{query}")));
        let found: Vec<String> = body["data"].as_array().unwrap().iter().map(id_of).collect();
        (found, body["has_more"].as_bool().unwrap())
    };
    let of_first = format!("?payment_intent={}", id_of(&first));
    let known = |indexes: &[usize]| {
        indexes
            .iter()
            .map(|index| refunds[*index].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(page(&mut client, &of_first), (known(&[3, 2, 0]), false));
    assert_eq!(
        page(&mut client, &format!("{of_first}&limit=2")),
        (known(&[3, 2]), true)
    );
    let after = format!("{of_first}&limit=2&starting_after={}", refunds[2]);
    assert_eq!(page(&mut client, &after), (known(&[0]), false));
    assert_eq!(page(&mut client, ""), (known(&[3, 2, 1, 0]), false));
    assert_eq!(client.get("/v1/refunds?payment_intent=pi_unknown").0, 400);
    assert_eq!(client.get("/v1/refunds?starting_after=re_unknown").0, 400);
}

#[test]
fn forgotten_refunds_are_not_listed() {
    let mut client = Client::with_limits(2, 100);
    let intent = ok(client.post(CREATE, &sale("pm_card_visa"), "a"));
    let form = format!("payment_intent={}&amount=1", id_of(&intent));
    for number in 0..3 {
        ok(client.post("/v1/refunds", &form, &format!("r{number}")));
    }
    let listed = ok(client.get(&format!("/v1/refunds?payment_intent={}", id_of(&intent))));
    assert_eq!(listed["data"].as_array().unwrap().len(), 2);
}
