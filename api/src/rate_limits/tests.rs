//! What is taken, what is told, what comes back with time, and that the number of entries is bounded.

use super::*;
use florin_domain::merchant::ApiKeyRole;
use std::net::Ipv4Addr;
use tokio::time::advance;

pub(super) fn key(bits: u128) -> ApiKey {
    let mut secret_sha256 = [0; 32];
    secret_sha256[..16].copy_from_slice(&bits.to_le_bytes());
    ApiKey {
        id: ApiKeyId::from_bits(bits),
        role: ApiKeyRole::Operator,
        livemode: false,
        secret_sha256,
    }
}

pub(super) fn limit(requests_per_s: u32, burst: u32) -> RateLimit {
    RateLimit {
        requests_per_s: NonZeroU32::new(requests_per_s).unwrap(),
        burst: NonZeroU32::new(burst).unwrap(),
    }
}

pub(super) fn local(limit: Option<RateLimit>, failures_per_min: Option<NonZeroU32>) -> RateLimits {
    RateLimits::new(limit, failures_per_min, None).0
}

pub(super) fn told(limits: &RateLimits, standing: Standing) -> [String; 2] {
    let mut headers = HeaderMap::new();
    limits.announce(standing, &mut headers);
    [RATE_LIMIT_POLICY, RATE_LIMIT].map(|name| headers.get(name).unwrap().to_str().unwrap().to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_key_has_its_burst_and_others_have_theirs() {
    let limits = local(Some(limit(1, 3)), None);
    let take = |bits| match limits.take(&key(bits), || false) {
        Taken::Within(standing) | Taken::Over(standing, _) => standing,
        Taken::Unlimited => panic!("it is limited"),
    };
    assert_eq!(
        [take(1), take(1), take(1)].map(|standing| standing.left),
        [2, 1, 0]
    );
    let over = Taken::Over(Standing { left: 0, owed_s: 0 }, 1);
    assert_eq!(limits.take(&key(1), || false), over);
    // The same shard, another key.
    assert_eq!(take(1 + (1 << 64)).left, 2);
    assert_eq!(take(2).left, 2);
    advance(Duration::from_millis(999)).await;
    assert_eq!(
        limits.take(&key(1), || false),
        over,
        "what was refused took nothing"
    );
    advance(Duration::from_millis(1)).await;
    assert_eq!(take(1).left, 0, "one came back");
    advance(Duration::from_mins(1)).await;
    assert_eq!(take(1).left, 2, "and never more than the burst");
}

#[test]
fn what_is_told_has_the_form_of_structured_fields() {
    for (rate, burst, left, policy, state) in [
        (
            1000,
            1000,
            999,
            r#""default";q=1000;w=1"#,
            r#""default";r=999;t=1"#,
        ),
        (1000, 1500, 0, r#""default";q=1500;w=2"#, r#""default";r=0;t=2"#),
        (5, 50, 44, r#""default";q=50;w=10"#, r#""default";r=44;t=2"#),
    ] {
        let limits = local(Some(limit(rate, burst)), None);
        assert_eq!(told(&limits, Standing { left, owed_s: 0 }), [policy, state]);
    }
}

#[test]
fn a_key_without_a_limit_is_asked_about_once_and_never_refused() {
    let limits = local(Some(limit(1, 1)), None);
    for number in 0..100 {
        let asked = || {
            assert_eq!(number, 0, "what a key is does not change");
            true
        };
        assert_eq!(limits.take(&key(1), asked), Taken::Unlimited);
    }
    let off = local(None, None);
    assert_eq!(
        off.take(&key(1), || panic!("there is no limit")),
        Taken::Unlimited
    );
}

#[tokio::test(start_paused = true)]
async fn failures_are_counted_by_address_and_answered_with_a_wait_beyond_the_limit() {
    let limits = local(None, NonZeroU32::new(2));
    let fail = |peer: &str| limits.refuse_stranger(Some(peer.parse().unwrap()));
    let over = |error: &ApiError| {
        matches!(
            error,
            ApiError::TooManyStrangers {
                retry_after_s: 1..=30
            }
        )
    };
    for peer in ["192.0.2.1", "2001:db8:0:1::1"] {
        assert_eq!(
            [fail(peer), fail(peer)],
            [ApiError::Unauthenticated, ApiError::Unauthenticated]
        );
        assert!(over(&fail(peer)), "{peer}");
    }
    assert!(
        over(&fail("::ffff:192.0.2.1")),
        "the same address, written as IPv6"
    );
    assert!(over(&fail("2001:db8:0:1:ffff::9")), "the same network");
    assert_eq!(fail("2001:db8:0:2::1"), ApiError::Unauthenticated);
    advance(Duration::from_secs(30)).await;
    assert_eq!(
        fail("192.0.2.1"),
        ApiError::Unauthenticated,
        "half a minute, half of two"
    );
    assert!(over(&fail("192.0.2.1")));
    let off = local(None, None);
    for _ in 0..100 {
        assert_eq!(off.refuse_stranger(None), ApiError::Unauthenticated);
    }
}

#[tokio::test(start_paused = true)]
async fn more_addresses_than_there_is_room_for_share_one_allowance() {
    let clock = Since(Instant::now());
    let strangers = Strangers::new(NonZeroU32::new(3).unwrap(), clock, 8);
    let address = |number: u32| IpAddr::V4(Ipv4Addr::from_bits(number));
    for number in 0..8 {
        assert_eq!(strangers.fail(address(number)), None);
    }
    let refused = (8..1000).filter(|number| strangers.fail(address(*number)).is_some());
    assert_eq!(refused.count(), 992 - 3);
    assert_eq!(strangers.failures.len(), 9);
    advance(Duration::from_mins(2)).await;
    assert_eq!(strangers.fail(address(5000)), None);
    assert_eq!(strangers.failures.len(), 1, "the quiet ones were forgotten");
}

#[tokio::test(start_paused = true)]
async fn a_link_takes_so_many_tries_in_vain_and_any_number_that_lead_to_something() {
    let limits = local(None, None);
    let (link, other) = (PaymentLinkId::from_bits(1), PaymentLinkId::from_bits(2));
    let in_vain = |link| limits.begin_try(link).map(Try::was_in_vain);
    for _ in 0..1000 {
        drop(limits.begin_try(link).unwrap());
        limits.take_for_link(link).unwrap();
    }
    for _ in 0..20 {
        in_vain(link).unwrap();
    }
    let refused = |retry_after_s| Err(ApiError::RateLimited { retry_after_s });
    assert_eq!(in_vain(link), refused(6));
    in_vain(other).unwrap();
    advance(Duration::from_secs(5)).await;
    assert_eq!(in_vain(link), refused(1), "what was refused took nothing");
    advance(Duration::from_secs(1)).await;
    in_vain(link).unwrap();
    assert_eq!(in_vain(link), refused(6));
    advance(Duration::from_hours(1)).await;
    for _ in 0..20 {
        in_vain(link).unwrap();
    }
    assert_eq!(in_vain(link), refused(6), "and never more than at first");
}

#[tokio::test(start_paused = true)]
async fn tries_that_are_under_way_are_bounded_and_owed_if_they_come_to_nothing() {
    let limits = local(None, None);
    let link = PaymentLinkId::from_bits(1);
    let mut under_way: Vec<Try<'_>> = (0..50).map(|_| limits.begin_try(link).unwrap()).collect();
    let refused = |retry_after_s| Some(ApiError::RateLimited { retry_after_s });
    assert_eq!(limits.begin_try(link).err(), refused(1));
    drop(limits.begin_try(PaymentLinkId::from_bits(2)).unwrap());
    drop(under_way.pop());
    under_way.push(limits.begin_try(link).unwrap());
    for one in under_way {
        one.was_in_vain();
    }
    // Twenty at once, and one each six seconds.
    assert_eq!(limits.begin_try(link).err(), refused(31 * 6));
    advance(Duration::from_secs(31 * 6)).await;
    assert!(limits.begin_try(link).is_ok());
}

#[tokio::test(start_paused = true)]
async fn far_more_payments_are_begun_under_a_link_than_cards_are_tried_in_vain() {
    let limits = local(None, None);
    let link = PaymentLinkId::from_bits(1);
    for _ in 0..500 {
        limits.take_draft(link).unwrap();
    }
    limits.begin_try(link).unwrap().was_in_vain();
    assert_eq!(
        limits.take_draft(link),
        Err(ApiError::RateLimited { retry_after_s: 1 })
    );
    limits.give_draft_back(link);
    limits.take_draft(link).unwrap();
    advance(Duration::from_millis(200)).await;
    limits.take_draft(link).unwrap();
    assert!(limits.take_draft(link).is_err());
}

#[tokio::test(start_paused = true)]
async fn customers_tokens_and_questions_are_limited_whatever_is_configured() {
    let limits = local(None, None);
    let (link, payment) = (PaymentLinkId::from_bits(1), PaymentId::from_bits(1));
    for _ in 0..200 {
        limits.take_guest_token(link).unwrap();
    }
    assert_eq!(
        limits.take_guest_token(link),
        Err(ApiError::RateLimited { retry_after_s: 1 })
    );
    limits.take_guest_token(PaymentLinkId::from_bits(2)).unwrap();
    assert_eq!((0..20).filter(|_| limits.may_ask_about(payment)).count(), 10);
    assert!(limits.may_ask_about(PaymentId::from_bits(2)));
    advance(Duration::from_secs(2)).await;
    assert_eq!((0..20).filter(|_| limits.may_ask_about(payment)).count(), 1);
    assert_eq!(
        (0..30).filter(|_| limits.take_guest_token(link).is_ok()).count(),
        20
    );
}

#[tokio::test(start_paused = true)]
async fn customers_ask_as_much_under_a_link_as_a_key_does() {
    let limits = local(Some(limit(2, 3)), None);
    let link = PaymentLinkId::from_bits(1);
    for _ in 0..3 {
        limits.take_for_link(link).unwrap();
    }
    assert_eq!(
        limits.take_for_link(link),
        Err(ApiError::RateLimited { retry_after_s: 1 })
    );
    advance(Duration::from_millis(500)).await;
    limits.take_for_link(link).unwrap();
}

#[tokio::test(start_paused = true)]
async fn links_whose_buckets_are_full_again_are_forgotten() {
    let limits = local(None, None);
    for bits in 0..100_000 {
        limits.take_draft(PaymentLinkId::from_bits(bits)).unwrap();
        // A hundred of them are not full again yet.
        advance(DRAFT_EACH / 100).await;
        assert!(limits.drafts.kept() <= 1024, "{bits}");
    }
}
