//! What a list of payments may be asked for, as tables.

use super::{exported_payments, listed_payments};
use crate::errors::Invalid;
use actix_web::test::TestRequest;
use florin_domain::ids::{MerchantId, PaymentId};
use florin_domain::money::Currency;
use florin_domain::ports::{PaymentsFilter, PaymentsQuery, StatusName};

const OWNER: (MerchantId, bool) = (MerchantId::from_bits(1), false);

fn list(query: &str) -> Result<PaymentsQuery, Invalid> {
    let request = TestRequest::with_uri(&format!("/v1/payments?{query}")).to_http_request();
    listed_payments(&request, OWNER)
}

fn filter(query: &str) -> PaymentsFilter {
    list(query).unwrap().filter
}

#[test]
fn nothing_said_is_the_first_ten_of_everything() {
    assert_eq!(list(""), Ok(PaymentsQuery::newest(OWNER.0, OWNER.1, 10)));
}

#[test]
fn filters_and_cursors_are_read() {
    let id = PaymentId::from_bits(7);
    let query = list(&format!(
        "status=requires_action&customer_id=cus%201&currency=jpy&limit=3&ending_before={id}&amount[gt]=5"
    ))
    .unwrap();
    assert_eq!(
        (query.limit, query.ending_before, query.starting_after),
        (3, Some(id), None)
    );
    assert_eq!(
        query.filter,
        PaymentsFilter {
            status: Some(StatusName::RequiresAction),
            customer: Some("cus 1".into()),
            currency: Some(Currency::JPY),
            amount_minor: Some(6..=u64::MAX),
            ..PaymentsFilter::default()
        }
    );
    assert_eq!(
        list(&format!("starting_after={id}")).unwrap().starting_after,
        Some(id)
    );
    for status in StatusName::ALL {
        assert_eq!(filter(&format!("status={status}")).status, Some(status));
    }
}

#[test]
fn metadata_is_asked_for_pair_by_pair() {
    for (query, wanted) in [
        ("metadata[order_id]=6735", &[("order_id", "6735")][..]),
        ("metadata%5Border%20id%5D=a%26b", &[("order id", "a&b")]),
        (
            "metadata[a]=1&status=failed&metadata[b]=",
            &[("a", "1"), ("b", "")],
        ),
        ("metadata[a[b]]=x", &[("a[b]", "x")]),
        ("metadata[]]=x", &[("]", "x")]),
        ("metadata[A]=1&metadata[a]=2", &[("A", "1"), ("a", "2")]),
        ("metadata[%C3%A9]=%C3%A9", &[("é", "é")]),
    ] {
        let pair = |(key, value): &(&str, &str)| ((*key).into(), (*value).into());
        let wanted: Vec<_> = wanted.iter().map(pair).collect();
        assert_eq!(filter(query).metadata, wanted, "{query}");
    }
    let many = |count: usize| {
        let pairs: Vec<String> = (0..count).map(|n| format!("metadata[k{n}]=v")).collect();
        pairs.join("&")
    };
    assert_eq!(filter(&many(50)).metadata.len(), 50);
    let longest = format!("metadata[{}]={}", "k".repeat(40), "v".repeat(500));
    assert_eq!(filter(&longest).metadata.len(), 1);
    let long_key = format!("metadata[{}]", "k".repeat(41));
    let too_long_key = format!("{long_key}=v");
    let too_long_value = format!("metadata[k]={}", "v".repeat(501));
    for (query, param, code) in [
        (many(51).as_str(), "metadata[k50]", "parameter_invalid"),
        (&too_long_key, &long_key, "parameter_invalid"),
        (&too_long_value, "metadata[k]", "parameter_invalid"),
        ("metadata[]=v", "metadata[]", "parameter_invalid"),
        ("metadata[k]=1&metadata[k]=1", "metadata[k]", "parameter_invalid"),
        ("metadata=v", "metadata", "parameter_unknown"),
        ("metadata[k=v", "metadata[k", "parameter_unknown"),
        ("metadata[k]x=v", "metadata[k]x", "parameter_unknown"),
        ("Metadata[k]=v", "Metadata[k]", "parameter_unknown"),
    ] {
        let invalid = list(query).unwrap_err();
        assert_eq!(
            (invalid.param.as_deref(), invalid.code.as_str()),
            (Some(param), code),
            "{query}"
        );
    }
    let endless = format!("metadata[{}]=v", "k".repeat(5_000));
    let named = list(&endless).unwrap_err().param.unwrap();
    assert_eq!(named.chars().count(), 100);
}

#[test]
fn bounds_are_combined_to_what_they_leave() {
    for (query, range) in [
        ("created=7", 7..=7),
        ("created[gte]=7", 7..=u64::MAX),
        ("created%5Bgte%5D=7", 7..=u64::MAX),
        ("created[gt]=7", 8..=u64::MAX),
        ("created[lte]=7", 0..=7),
        ("created[lt]=7", 0..=6),
        ("created[gte]=3&created[lt]=9", 3..=8),
        ("created[gte]=3&created[gt]=3&created[lte]=9&created[lt]=9", 4..=8),
        ("created=5&created[gte]=3", 5..=5),
        ("created[lt]=1", 0..=0),
        ("created[gte]=999999999999", 999_999_999_999..=u64::MAX),
    ] {
        let wanted = filter(query);
        assert_eq!(wanted.created_s, Some(range.clone()), "{query}");
        assert_eq!(wanted.amount_minor, None, "{query}");
        let of_amount = filter(&query.replace("created", "amount"));
        assert_eq!(
            (of_amount.amount_minor, of_amount.created_s),
            (Some(range), None),
            "{query}"
        );
    }
    for query in [
        "created[lt]=0",
        "created[gt]=7&created[lt]=8",
        "created=7&created[gt]=7",
        "created[gte]=8&created[lte]=7",
        "created[gte]=8&created[lt]=0",
    ] {
        assert!(filter(query).created_s.unwrap().is_empty(), "{query}");
    }
}

#[test]
fn what_is_wrong_is_refused_by_name() {
    let id = PaymentId::from_bits(7);
    let both = format!("starting_after={id}&ending_before={id}");
    let long = format!("customer_id={}", "x".repeat(256));
    for (query, param, code) in [
        ("status=", "status", "parameter_invalid"),
        ("status=paid", "status", "parameter_invalid"),
        ("status=Succeeded", "status", "parameter_invalid"),
        ("status=failed,blocked", "status", "parameter_invalid"),
        ("status=failed&status=blocked", "status", "parameter_invalid"),
        ("status[]=failed", "status[]", "parameter_unknown"),
        ("customer=cus_1", "customer", "parameter_unknown"),
        ("customer_id=", "customer_id", "parameter_invalid"),
        (&long, "customer_id", "parameter_invalid"),
        ("currency=xau", "currency", "parameter_invalid"),
        ("currency=euro", "currency", "parameter_invalid"),
        ("amount[gte]=ten", "amount[gte]", "parameter_invalid_integer"),
        ("amount[gte]=-1", "amount[gte]", "parameter_invalid_integer"),
        ("amount[lt]=1.5", "amount[lt]", "parameter_invalid_integer"),
        ("amount=", "amount", "parameter_invalid_integer"),
        ("amount=1000000000000", "amount", "parameter_invalid_integer"),
        (
            "created[gte]=2024-01-01",
            "created[gte]",
            "parameter_invalid_integer",
        ),
        ("created[ge]=1", "created[ge]", "parameter_unknown"),
        (
            "created[gte]=1&created[gte]=2",
            "created[gte]",
            "parameter_invalid",
        ),
        ("starting_after=pay_x", "starting_after", "parameter_invalid"),
        ("ending_before=", "ending_before", "parameter_invalid"),
        (&both, "ending_before", "parameter_invalid"),
        ("limit=0", "limit", "parameter_invalid_integer"),
        ("format=csv", "format", "parameter_unknown"),
    ] {
        let invalid = list(query).unwrap_err();
        assert_eq!(
            (invalid.param.as_deref(), invalid.code.as_str()),
            (Some(param), code),
            "{query}"
        );
    }
}

#[test]
fn a_file_takes_the_same_filters_but_is_not_paged() {
    let export = |query: &str| {
        let request = TestRequest::with_uri(&format!("/v1/payments/export.csv?{query}")).to_http_request();
        exported_payments(&request, OWNER, 500)
    };
    let id = PaymentId::from_bits(7);
    let query = export(&format!(
        "status=failed&created[lt]=9&metadata[a]=b&starting_after={id}"
    ))
    .unwrap();
    assert_eq!((query.limit, query.starting_after), (500, Some(id)));
    assert_eq!(query.filter, filter("status=failed&created[lt]=9&metadata[a]=b"));
    for name in ["limit", "ending_before"] {
        let invalid = export(&format!("{name}=1")).unwrap_err();
        assert_eq!(
            (invalid.param.as_deref(), invalid.code.as_str()),
            (Some(name), "parameter_unknown")
        );
    }
}
