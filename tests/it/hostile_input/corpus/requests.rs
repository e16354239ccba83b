//! Paths, methods, queries and headers that nobody should send.

use super::{Hostile, Refusal, at, bytes, named, usual};
use crate::deployment::{OPERATOR, sale};

const ROUTE: &str = "route_unknown";
const MISSING: &str = "resource_missing";
const METHOD: &str = "method_not_allowed";
const UNKNOWN: &str = "parameter_unknown";
const INVALID: &str = "parameter_invalid";
const INTEGER: &str = "parameter_invalid_integer";

/// Paths that lead nowhere.
const NOWHERE: &[&str] = &[
    "/",
    "/v1",
    "/v1/",
    "/v2/payments",
    "/V1/payments",
    "/v1/Payments",
    "/v1//payments",
    "//v1/payments",
    "/v1/payments/",
    "/v1/payments;a=b",
    "/v1/payments%20",
    "/v1/payments%00",
    "/v1/payments.json",
    "/v1/./payments",
    "/v1/payments/../payments",
    "/v1/ledger/../payments",
    "/../../etc/passwd",
    "/..%2f..%2fetc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/etc/passwd",
    "/.git/config",
    "/.env",
    "/journal.db",
    "/docs/errors/..%2f..%2fflorin.toml",
    "/docs/errors/nothing",
    "/v1/ops/tree/root",
    "/healthz/",
];

/// Names of payments that there cannot be, or are not.
const PAYMENTS: &[&str] = &[
    "pay_",
    "pay_x",
    "pay_01m7y8dg6p0000emgyq7269te1",
    "PAY_01M7Y8DG6P0000EMGYQ7269TE1",
    "pay_01m7y8dg6p0000emgyq7269te1x",
    "pay_zzzzzzzzzzzzzzzzzzzzzzzzzz",
    "pay_00000000000000000000000000",
    "pay_01m7y8dg6p0000emgyq7269te%31",
    "01m7y8dg6p0000emgyq7269te1",
    "mer_01m7y8dg6p0000emgyq7269te1",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e",
    "%00",
    "%ff",
    "'%20OR%201=1--",
    "%F0%9F%92%B3",
    "null",
    "-1",
];

/// Queries, with the code and the parameter.
const QUERIES: &[(&str, &str, &str)] = &[
    ("/v1/payments?limit=0", INTEGER, "limit"),
    ("/v1/payments?limit=-1", INTEGER, "limit"),
    ("/v1/payments?limit=%2B1", INTEGER, "limit"),
    ("/v1/payments?limit=101", INTEGER, "limit"),
    ("/v1/payments?limit=1.0", INTEGER, "limit"),
    ("/v1/payments?limit=1e1", INTEGER, "limit"),
    ("/v1/payments?limit=0x10", INTEGER, "limit"),
    ("/v1/payments?limit=", INTEGER, "limit"),
    ("/v1/payments?limit", INTEGER, "limit"),
    ("/v1/payments?limit=%00", INTEGER, "limit"),
    ("/v1/payments?limit=%ff", INTEGER, "limit"),
    ("/v1/payments?limit=%D9%A3", INTEGER, "limit"),
    ("/v1/payments?limit=1%20", INTEGER, "limit"),
    ("/v1/payments?limit=18446744073709551617", INTEGER, "limit"),
    ("/v1/payments?limit=1&limit=1", INVALID, "limit"),
    ("/v1/payments?limit=1&%6Cimit=2", INVALID, "limit"),
    ("/v1/payments?limit[]=1", UNKNOWN, "limit[]"),
    ("/v1/payments?Limit=1", UNKNOWN, "Limit"),
    ("/v1/payments?limit%00=1", UNKNOWN, "limit\0"),
    ("/v1/payments?=1", UNKNOWN, ""),
    ("/v1/payments?page=2", UNKNOWN, "page"),
    ("/v1/payments?merchant=x", UNKNOWN, "merchant"),
    ("/v1/payments?__proto__=x", UNKNOWN, "__proto__"),
    ("/v1/payments?starting_after=", INVALID, "starting_after"),
    ("/v1/payments?starting_after=x", INVALID, "starting_after"),
    ("/v1/payments?starting_after=pay_%00", INVALID, "starting_after"),
    ("/v1/payments?starting_after=..%2f", INVALID, "starting_after"),
    ("/v1/payments/pay_x?expand=charges", UNKNOWN, "expand"),
    ("/v1/ledger/accounts?limit=0", INTEGER, "limit"),
    ("/v1/ledger/accounts?starting_after=x", INVALID, "starting_after"),
    ("/v1/ledger/accounts?owner=x", UNKNOWN, "owner"),
    ("/v1/ledger/accounts/x/entries?limit=ten", INTEGER, "limit"),
    (
        "/v1/ledger/accounts/x/entries?starting_after=-1",
        INVALID,
        "starting_after",
    ),
];

/// Methods of the collection that it does not have.
const METHODS: &[&str] = &[
    "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get", "POSTX",
];

/// Content types that are not ours.
const TYPES: &[&str] = &[
    "",
    "text/plain",
    "text/json",
    "application/x-www-form-urlencoded",
    "application/jsonx",
    "application/json2",
    "application/vnd.api+json",
    "application/json; charset=utf-16",
    "application/json; charset=latin1",
    "application/json; charset=utf-8; charset=utf-7",
    "multipart/form-data; boundary=x",
    "application/xml",
    "*/*",
    "json",
];

/// What stands in for an API key, with its scheme.
const KEYS: &[&str] = &[
    "",
    "Bearer",
    "Bearer ",
    "Bearer sk_test_wrong",
    "Bearer sk_live_florin_dev",
    "Bearer SK_TEST_FLORIN_DEV",
    "Bearer sk_test_florin_dev x",
    "Bearer sk_test_florin_dev,sk_test_florin_dev",
    "Bearer 'sk_test_florin_dev'",
    "Bearer sk_test_florin_de%76",
    "Bearer ../sk_test_florin_dev",
    "Basic",
    "Basic !!!",
    "Basic c2tfdGVzdF93cm9uZzo=",
    "Basic OnNrX3Rlc3RfZmxvcmluX2Rldg==",
    "Digest sk_test_florin_dev",
    "Token sk_test_florin_dev",
    "sk_test_florin_dev",
];

/// A request of the merchant without a body.
fn plain(method: &str, path: &str, refusal: Refusal) -> Hostile {
    Hostile {
        name: format!("{method} {path}"),
        bytes: bytes(method, path, &usual()[..1], b""),
        refusal,
    }
}

/// The payment that would be made, with one header written differently, or added.
fn header(name: &'static str, values: &[String], refusal: Refusal) -> Hostile {
    let mut headers = usual();
    headers.retain(|known| known.0 != name);
    headers.extend(values.iter().map(|value| (name, value.clone())));
    let shown: String = format!("{values:?}").chars().take(80).collect();
    Hostile {
        name: format!("{name}: {shown}"),
        bytes: bytes(
            "POST",
            "/v1/payments",
            &headers,
            sale(10_000, "USD").to_string().as_bytes(),
        ),
        refusal,
    }
}

pub(super) fn all() -> Vec<Hostile> {
    let nowhere = NOWHERE.iter().map(|path| plain("GET", path, named(404, ROUTE)));
    let payments = PAYMENTS.iter().flat_map(|id| {
        let missing = at(404, MISSING, "id");
        let path = format!("/v1/payments/{id}");
        let history = format!("{path}/history");
        [
            plain("GET", &path, missing.clone()),
            plain("GET", &history, missing),
        ]
    });
    let queries = QUERIES
        .iter()
        .map(|(path, code, param)| plain("GET", path, at(400, code, param)));
    let methods = METHODS
        .iter()
        .map(|method| plain(method, "/v1/payments", named(405, METHOD)));
    let types = TYPES.iter().map(|kind| {
        header(
            "Content-Type",
            &[(*kind).to_owned()],
            named(415, "media_type_unsupported"),
        )
    });
    let keys = KEYS.iter().map(|key| {
        header(
            "Authorization",
            &[(*key).to_owned()],
            named(401, "api_key_invalid"),
        )
    });
    let tables = nowhere.chain(payments).chain(queries).chain(methods);
    tables.chain(types).chain(keys).chain(single()).collect()
}

/// What needs more than a line of a table.
fn single() -> Vec<Hostile> {
    let texts = |values: &[&str]| -> Vec<String> { values.iter().map(|text| (*text).to_owned()).collect() };
    let key_at_fault = |code| at(400, code, "Idempotency-Key");
    let (required, invalid) = ("idempotency_key_required", "idempotency_key_invalid");
    let encoded = || named(415, "media_type_unsupported");
    let account = "/v1/ledger/accounts";
    let mut all = vec![
        plain("POST", "/healthz", named(405, METHOD)),
        plain("DELETE", "/v1/ledger/trial_balance", named(405, METHOD)),
        plain("PUT", "/v1/ledger/accounts", named(405, METHOD)),
        plain("PATCH", "/v1/payments/pay_x", named(405, METHOD)),
        plain("GET", "/metrics", named(403, "operator_key_required")),
        plain("GET", "/v1/ops/tree", named(403, "operator_key_required")),
        plain(
            "GET",
            "/v1/ledger/trial_balance",
            named(403, "operator_key_required"),
        ),
        plain("GET", &format!("{account}/x"), at(404, MISSING, "id")),
        plain("GET", &format!("{account}/%2e%2e"), at(404, MISSING, "id")),
        plain(
            "GET",
            &format!("{account}/fee_revenue:USD"),
            at(404, MISSING, "id"),
        ),
        plain(
            "GET",
            &format!("{account}/fee_revenue:USD/entries"),
            at(404, MISSING, "id"),
        ),
        plain(
            "GET",
            &format!("/v1/payments/{}", "x".repeat(4000)),
            at(404, MISSING, "id"),
        ),
        plain(
            "GET",
            &format!("/{}", "x".repeat(20_000)),
            named(431, "head_too_large"),
        ),
        header("Idempotency-Key", &[], key_at_fault(required)),
        header("Idempotency-Key", &texts(&[""]), key_at_fault(required)),
        header("Idempotency-Key", &texts(&["   "]), key_at_fault(required)),
        header("Idempotency-Key", &["x".repeat(256)], key_at_fault(invalid)),
        header("Idempotency-Key", &texts(&["a", "a"]), key_at_fault(invalid)),
        header("Content-Type", &[], encoded()),
        header("Content-Encoding", &texts(&["gzip"]), encoded()),
        header("Content-Encoding", &texts(&["br"]), encoded()),
        header("Content-Encoding", &texts(&["identity, gzip"]), encoded()),
        header("Authorization", &[], named(401, "api_key_invalid")),
        header(
            "Authorization",
            &texts(&["Bearer sk_test_florin_dev", "Bearer sk_test_florin_dev"]),
            named(401, "api_key_invalid"),
        ),
        header(
            "Authorization",
            &[format!("Bearer {OPERATOR}")],
            named(403, "merchant_key_required"),
        ),
        header("X-Filling", &["x".repeat(17_000)], named(431, "head_too_large")),
    ];
    let mut posted = plain("POST", "/v1/payments?amount=1", at(400, UNKNOWN, "amount"));
    posted.bytes = bytes(
        "POST",
        "/v1/payments?amount=1",
        &usual(),
        sale(10_000, "USD").to_string().as_bytes(),
    );
    all.push(posted);
    all
}
