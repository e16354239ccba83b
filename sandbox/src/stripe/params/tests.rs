//! Tests of the module above.

use super::*;

#[test]
fn search_queries_are_understood_exactly() {
    for query in [
        "metadata['operation_id']:'pay_1'",
        r#" metadata["operation_id"]:"pay_1""#,
    ] {
        assert_eq!(operation_id_of(query).as_deref(), Some("pay_1"), "{query}");
    }
    assert_eq!(
        operation_id_of(r"metadata['operation_id']:'a\'b'").as_deref(),
        Some("a'b")
    );
    for query in [
        "",
        "metadata['operation_id']:''",
        "metadata['operation_id']:'x",
        "metadata['operation_id']:'x' AND amount:1",
        "metadata['order']:'x'",
        "metadata['operation_id']~'x'",
        "metadata[operation_id]:'x'",
    ] {
        assert_eq!(operation_id_of(query), None, "{query}");
    }
}

#[test]
fn unknown_urls_are_404_and_bad_parameters_400() {
    let table = [
        ("DELETE", "/v1/payment_intents", "", 404),
        ("GET", "/v1/payment_intentsx", "", 404),
        ("POST", "/v1/payment_intents/pi_1/explode", "", 404),
        ("GET", "/v1/payment_intents/pi_1/confirm", "", 404),
        ("DELETE", "/v1/refunds", "", 404),
        ("GET", "/v1/customers", "", 404),
        ("POST", "/v1/payment_intents", "currency=usd", 400),
        ("POST", "/v1/payment_intents", "amount=1", 400),
        ("POST", "/v1/payment_intents", "amount=0&currency=usd", 400),
        (
            "POST",
            "/v1/payment_intents",
            "amount=1000000000000&currency=usd",
            400,
        ),
        ("POST", "/v1/payment_intents", "amount=1&currency=us", 400),
        (
            "POST",
            "/v1/payment_intents",
            "amount=1&currency=usd&colour=red",
            400,
        ),
        (
            "POST",
            "/v1/payment_intents",
            "amount=1&currency=usd&payment_method=pm_x",
            400,
        ),
        (
            "POST",
            "/v1/payment_intents",
            "amount=1&currency=usd&capture_method=later",
            400,
        ),
        (
            "POST",
            "/v1/payment_intents",
            "amount=1&currency=usd&expand[]=customer",
            400,
        ),
        (
            "POST",
            "/v1/payment_intents/pi_1/cancel",
            "metadata[operation_id]=x",
            400,
        ),
        (
            "POST",
            "/v1/payment_intents/pi_1/capture",
            "amount_to_capture=0&final_capture=false",
            400,
        ),
        (
            "POST",
            "/v1/payment_intents/pi_1/increment_authorization",
            "",
            400,
        ),
        ("POST", "/v1/payment_intents/pi_1/confirm", "return_url=shop", 400),
        (
            "POST",
            "/v1/payment_intents/pi_1/confirm",
            "payment_method_options[card][request_multicapture]=always",
            400,
        ),
        ("GET", "/v1/refunds", "limit=0", 400),
        ("GET", "/v1/refunds", "created[gte]=1", 400),
        ("POST", "/v1/refunds", "amount=1", 400),
        ("POST", "/v1/refunds", "payment_intent=pi_1&charge=ch_1", 400),
        ("GET", "/v1/payment_intents", "limit=101", 400),
        ("GET", "/v1/payment_intents/search", "", 400),
    ];
    for (method, path, text, status) in table {
        let raw = RawRequest {
            method,
            path,
            query: text,
            body: text.as_bytes(),
        };
        assert_eq!(parse(raw).unwrap_err().status, status, "{method} {path} {text}");
    }
}
