//! Query strings, cursors and headers that were changed: what they ask for is within bounds, or they are refused by name.

use super::*;
use crate::{auth, idempotency_key};
use actix_web::http::Uri;
use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use actix_web::test::TestRequest;
use florin_domain::ids::{MerchantId, PaymentId};
use florin_domain::risk::ListOwner;
use florin_fuzz::{Target, any_of};
use std::sync::Arc;

const QUERIES: [&str; 14] = [
    "",
    "limit=10&starting_after=pay_00000000000000000000000007",
    "limit=%31%30&ending_before=pay_00000000000000000000000007&status=succeeded",
    "created[gte]=1795255200&created[lt]=1795255300&currency=usd&customer_id=c%201",
    "amount[gt]=0&amount[lte]=999999999999",
    "metadata[order%20id]=6735&metadata[a[b]]=&status=failed",
    "at=2026-11-21T10:00:00.5%2B01:00",
    "at=2026-11-21",
    "at=18446744073709551615",
    "account=merchant_payable:mer_00000000000000000000000009:USD&state=raised&limit=5",
    "account=bank:USD:live&shard=1&seq[gte]=1&seq[lte]=9223372036854775807",
    "account=bank:USD@1&limit=5",
    "list=block&kind=ip&starting_after=rle_00000000000000000000000001",
    "starting_after=123e4567-e89b-12d3-a456-426614174000",
];
const WORDS: [&str; 15] = [
    "limit",
    "starting_after",
    "ending_before",
    "created[gte]",
    "metadata[k]=v&",
    "at",
    "account",
    "shard",
    "%2B",
    "%C3%A9",
    "Z",
    "23:59:60",
    "+",
    "100",
    "101",
];

/// A refusal names the parameter, unless the string as a whole is none.
fn named<T>(answer: Result<T, Invalid>, query: &str) -> Option<T> {
    answer
        .map_err(|Invalid { param, code, message }| {
            assert!(
                param.is_some() || matches!(code, Code::QueryInvalid),
                "{query}: {message}"
            );
            assert!(
                message.ends_with('.') && message.len() < 2_000,
                "{query}: {message}"
            );
        })
        .ok()
}

#[test]
fn query_strings_ask_for_what_is_within_bounds_or_are_refused_by_name() {
    let target = Target::of_text("api_query", any_of(QUERIES))
        .words(WORDS)
        .cases(15_000);
    target.run(|bytes| {
        let Ok(query) = str::from_utf8(bytes) else { return };
        let uri = format!("/v1/x?{query}");
        // What is no address never comes as far as this.
        if uri.parse::<Uri>().is_err() {
            return;
        }
        let request = TestRequest::with_uri(&uri).to_http_request();
        let owner = (MerchantId::from_bits(9), true);
        if let Some(page) = named(page(&request, |text| PaymentId::parse(text).ok()), query) {
            assert!((1..=LIMIT_MAX).contains(&page.limit));
        }
        if let Some(payments) = named(listed_payments(&request, owner), query) {
            assert!((1..=LIMIT_MAX).contains(&payments.limit));
            assert!(payments.starting_after.is_none() || payments.ending_before.is_none());
            let is_possible =
                |(key, value): &(Arc<str>, Arc<str>)| (1..=40).contains(&key.len()) && value.len() <= 500;
            let wanted = &payments.filter.metadata;
            assert!(wanted.len() <= 50 && wanted.iter().all(is_possible), "{query}");
        }
        if let Some(payments) = named(exported_payments(&request, owner, 7), query) {
            assert_eq!(payments.limit, 7);
        }
        if let Some((page, _)) = named(alerts(&request), query) {
            assert!((1..=LIMIT_MAX).contains(&page.limit));
        }
        if let Some(entries) = named(exported_entries(&request, 2), query) {
            assert!(entries.shard.is_none_or(|shard| shard.0 < 2), "{query}");
        }
        named(list_entries(&request, ListOwner::Platform), query);
        if let Some(number) = named(only_number(&request, "limit", 5, 1), query) {
            assert!(number <= 5);
        }
        named(at(&request), query);
        named(moment(&request), query);
        named(none(&request), query);
    });
}

#[test]
fn moments_are_read_as_rfc_3339_has_them_or_refused() {
    let seeds = [
        "2026-11-21T10:00:00Z",
        "1970-01-01t00:30:00.125+01:00",
        "2024-02-29",
        "9999-12-31T23:59:60-23:59",
        "1970-01-02T00:00:00.5z",
    ];
    let target = Target::of_text("api_moment", any_of(seeds)).words([
        "Z",
        "T",
        "-00:00",
        "+24:00",
        ":60",
        ".999999999",
        "60",
        "24",
    ]);
    target.cases(15_000).run(|bytes| {
        let Ok(text) = str::from_utf8(bytes) else { return };
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        if is_number || moment::read(text).is_none() || text.len() == 10 {
            return;
        }
        // The shape as the standard draws it, by place.
        let bytes = text.as_bytes();
        let is_shaped = bytes
            .iter()
            .zip(b"0000-00-00T00:00:00")
            .all(|(byte, shape)| match shape {
                b'0' => byte.is_ascii_digit(),
                b'T' => matches!(byte, b'T' | b't'),
                _ => byte == shape,
            });
        let rest = text.get(19..).unwrap_or("");
        let zone = rest.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
        let is_offset = zone.len() == 6 && zone.starts_with(['+', '-']) && zone.as_bytes()[3] == b':';
        assert!(
            is_shaped && (is_offset || zone.eq_ignore_ascii_case("z")),
            "{text}"
        );
    });
}

#[test]
fn headers_are_read_or_refused() {
    let seeds = [
        "a key",
        "7b1f-ключ",
        "Bearer sk_test_abc",
        "Basic c2tfdGVzdF9hYmM6",
        "basic c2s=",
        " ",
    ];
    let target = Target::of_text("api_header", any_of(seeds)).words(["Bearer ", "Basic ", "=", "==", "c2s6"]);
    target.cases(15_000).run(|bytes| {
        let Ok(value) = HeaderValue::from_bytes(bytes) else {
            return;
        };
        let mut headers = HeaderMap::new();
        headers.append(HeaderName::from_static("idempotency-key"), value.clone());
        headers.append(AUTHORIZATION, value);
        if let Ok(key) = idempotency_key::read(&headers) {
            assert!((1..=255).contains(&key.as_str().len()) && !key.as_str().contains(char::is_control));
        }
        if let Some(secret) = auth::secret(&headers) {
            assert!((1..=256).contains(&secret.len()));
        }
    });
}
