//! The table of errors, in both formats.

use super::*;
use actix_web::body::MessageBody;
use florin_domain::ledger::AccountKey;

fn rendered(error: &ApiError, accept: Option<&'static str>) -> (HttpResponse<()>, String) {
    let mut headers = HeaderMap::new();
    if let Some(accept) = accept {
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
    }
    let (head, body) = error.rendered(&headers, ErrorProfile::Stripe).into_parts();
    let body = body.try_into_bytes().unwrap();
    (head.set_body(()), String::from_utf8(body.to_vec()).unwrap())
}

#[test]
fn a_decline_reads_the_same_in_both_formats() {
    let payment = PaymentId::from_bits(1);
    let declined = ApiError::Declined {
        payment,
        decline_code: Some(Arc::from("insufficient_funds")),
        network: NetworkDecline::NONE,
    };
    let (head, body) = rendered(&declined, None);
    assert_eq!(head.status(), StatusCode::PAYMENT_REQUIRED);
    assert_eq!(
        head.headers().get(header::CONTENT_TYPE).unwrap(),
        "application/json"
    );
    assert_eq!(
        body,
        concat!(
            r#"{"error":{"type":"card_error","code":"card_declined","decline_code":"insufficient_funds","#,
            r#""advice_code":"try_again_later","retry_after_s":86400,"#,
            r#""message":"Your card was declined.","payment_id":"pay_00000000000000000000000001","doc_url":"/docs/errors/card_declined"}}"#
        )
    );
    let (head, body) = rendered(&declined, Some("text/html;q=0.9, Application/Problem+JSON;q=0.5"));
    assert_eq!(head.status(), StatusCode::PAYMENT_REQUIRED);
    assert_eq!(
        head.headers().get(header::CONTENT_TYPE).unwrap(),
        "application/problem+json"
    );
    assert_eq!(
        body,
        concat!(
            r#"{"type":"/docs/errors/card_declined","title":"Payment Required","status":402,"#,
            r#""detail":"Your card was declined.","error_type":"card_error","code":"card_declined","#,
            r#""decline_code":"insufficient_funds","advice_code":"try_again_later","retry_after_s":86400,"#,
            r#""payment_id":"pay_00000000000000000000000001"}"#
        )
    );
}

#[test]
fn a_refusal_by_the_status_says_which_it_is_in_both_formats() {
    let refused = ApiError::UnexpectedState {
        status: "voided",
        cannot: "cannot be captured",
    };
    let (head, body) = rendered(&refused, None);
    assert_eq!(head.status(), StatusCode::CONFLICT);
    assert_eq!(
        body,
        concat!(
            r#"{"error":{"type":"invalid_request_error","code":"payment_unexpected_state","#,
            r#""message":"A payment that is `voided` cannot be captured.","payment_status":"voided","#,
            r#""doc_url":"/docs/errors/payment_unexpected_state"}}"#
        )
    );
    let (_, problem) = rendered(&refused, Some("application/problem+json"));
    let problem: serde_json::Value = serde_json::from_str(&problem).unwrap();
    assert_eq!(problem["payment_status"], "voided");
    assert_eq!(
        problem["detail"],
        "A payment that is `voided` cannot be captured."
    );
}

#[test]
fn the_seed_profile_writes_a_decline_in_its_own_way_and_nothing_else() {
    let declined = ApiError::Declined {
        payment: PaymentId::from_bits(1),
        decline_code: None,
        network: NetworkDecline::NONE,
    };
    let answer = |error: &ApiError, profile| {
        let (head, body) = error.rendered(&HeaderMap::new(), profile).into_parts();
        (head.status(), body.try_into_bytes().unwrap())
    };
    let (status, body) = answer(&declined, ErrorProfile::Seed);
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(body["error"]["code"], "CARD_DECLINED");
    assert_eq!(body["error"]["message"], "Your card was declined.");
    assert_eq!(body["error"]["doc_url"], "/docs/errors/card_declined");
    for error in [ApiError::Internal, ApiError::KeyMismatch, ApiError::TryAgain] {
        assert_eq!(
            answer(&error, ErrorProfile::Seed),
            answer(&error, ErrorProfile::Stripe)
        );
    }
}

#[test]
fn a_problem_is_sent_only_to_those_who_ask_for_it() {
    let kind = |accept| {
        let (head, _) = rendered(&ApiError::NoSuchRoute, Some(accept));
        head.headers()
            .get(header::CONTENT_TYPE)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
    };
    for accept in [
        "*/*",
        "application/json",
        "application/problem+json;q=0",
        "application/problem+json; q=0.000",
    ] {
        assert_eq!(kind(accept), "application/json", "{accept}");
    }
    assert_eq!(kind("application/problem+json;q=0.1"), "application/problem+json");
}

#[test]
fn waiting_is_asked_for_where_it_helps() {
    let retry_after = |error: &ApiError| {
        let (head, _) = rendered(error, None);
        head.headers()
            .get(header::RETRY_AFTER)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    let payment = Some(PaymentId::from_bits(1));
    for (error, seconds) in [
        (ApiError::Overloaded { retry_after_s: 5 }, Some("5")),
        (ApiError::TooManyWaiters, Some("1")),
        (ApiError::NoProvider { payment }, Some("1")),
        (ApiError::TryAgain, Some("1")),
        (ApiError::NodeBehind, Some("1")),
        (ApiError::NotOwner { owner: None }, Some("1")),
        (ApiError::RateLimited { retry_after_s: 2 }, Some("2")),
        (ApiError::TooManyStreams { retry_after_s: 5 }, Some("5")),
        (ApiError::ReadOnly, Some("30")),
        (ApiError::MerchantFrozen, None),
        (ApiError::KeyMismatch, None),
        (ApiError::Internal, None),
    ] {
        assert_eq!(retry_after(&error).as_deref(), seconds, "{error:?}");
    }
}

#[test]
fn a_refusal_says_what_would_be_accepted() {
    let (head, body) = rendered(&ApiError::MethodNotAllowed { allow: "GET, HEAD" }, None);
    assert_eq!(head.headers().get(header::ALLOW).unwrap(), "GET, HEAD");
    assert!(body.contains("GET, HEAD"), "{body}");
    let (head, body) = rendered(&ApiError::Unauthenticated, None);
    assert_eq!(head.headers().get(header::WWW_AUTHENTICATE).unwrap(), "Bearer");
    assert!(body.contains("invalid_request_error"), "{body}");
    let (_, body) = rendered(&ApiError::IdempotencyKey(KeyError::Empty), None);
    assert_eq!(
        body,
        concat!(
            r#"{"error":{"type":"invalid_request_error","code":"idempotency_key_required","#,
            r#""message":"Idempotency-Key header required","param":"Idempotency-Key","#,
            r#""doc_url":"/docs/errors/idempotency_key_required"}}"#
        )
    );
}

#[test]
fn declines_count_as_such_however_they_are_written_and_only_our_own_failures_as_failures() {
    for error in one_of_each() {
        let (status, _, code) = error.class();
        let expected = match code {
            Code::CardDeclined | Code::OperationDeclined => Outcome::Declined,
            _ if status.is_server_error() => Outcome::Failed,
            _ => Outcome::Refused,
        };
        assert_eq!(error.outcome(), expected, "{error:?}");
    }
    let request = actix_web::test::TestRequest::default().to_http_request();
    let counted = |error: ApiError| error.response(&request).extensions().get::<Outcome>().copied();
    assert_eq!(
        counted(ApiError::NoProvider { payment: None }),
        Some(Outcome::Failed)
    );
    assert_eq!(counted(ApiError::KeyMismatch), Some(Outcome::Refused));
}

/// Each refusal of a transfer.
fn transfer_refusals() -> [TransferRefusal; 24] {
    let account = account();
    [
        TransferRefusal::Unbalanced("b".to_owned()),
        TransferRefusal::TooFewPostings,
        TransferRefusal::MixedCurrencies,
        TransferRefusal::MixedModes,
        TransferRefusal::SameAccount,
        TransferRefusal::UnknownAccount(account),
        TransferRefusal::IdReused,
        TransferRefusal::PendingNotFound,
        TransferRefusal::PendingExpired,
        TransferRefusal::ExceedsPending,
        TransferRefusal::InsufficientFunds(account),
        TransferRefusal::ExceedsLimit(account),
        TransferRefusal::PeriodClosed,
        TransferRefusal::EffectiveInFuture,
        TransferRefusal::LinkedFailed,
        TransferRefusal::LinkedOpen,
        TransferRefusal::CrossesShards,
        TransferRefusal::GivenUp,
        TransferRefusal::ExceedsOwed(account),
        TransferRefusal::FraudCheckRefused,
        TransferRefusal::Overflow,
        TransferRefusal::RevertedNotFound,
        TransferRefusal::NothingToRevert,
        TransferRefusal::AlreadyReverted,
    ]
}

fn account() -> AccountKey {
    AccountKey::parse("bank:USD").unwrap()
}

/// Each refusal of an alert.
fn alerts() -> [AlertRefusal; 4] {
    [
        AlertRefusal::UnknownAccount(account()),
        AlertRefusal::IdReused,
        AlertRefusal::AccountFull,
        AlertRefusal::ShardFull,
    ]
}

/// The refusals of the rules.
const REFUSALS: &[Refusal] = &[
    Refusal::Exists,
    Refusal::NoSuchPayment,
    Refusal::NoSuchAttempt,
    Refusal::WrongStatus,
    Refusal::OperationInProgress,
    Refusal::ExceedsCapturable,
    Refusal::ExceedsRefundable,
    Refusal::NotAnIncrement,
    Refusal::NothingLeft,
    Refusal::WrongProvider,
    Refusal::OperationExists,
    Refusal::TooManyOperations,
    Refusal::AmountMismatch,
    Refusal::SecondPersonRequired,
    Refusal::TooManyAttempts,
    Refusal::MattersChanged,
    Refusal::TooMuchMetadata,
];

/// What operators have stopped, or changed before.
fn of_operators() -> [ApiError; 4] {
    let (what, latest) = ("fee", 2);
    [
        ApiError::RoutingVersionStale { latest: 3 },
        ApiError::VersionStale { what, latest },
        ApiError::MerchantFrozen,
        ApiError::ReadOnly,
    ]
}

/// One of each kind, and each refusal of the rules.
fn one_of_each() -> Vec<ApiError> {
    let payment = PaymentId::from_bits(1);
    let invalid = |code| ApiError::Invalid(Invalid::new("a", code, "b"));
    let mut errors = vec![
        ApiError::AccountNameTaken,
        ApiError::MethodGone,
        ApiError::Unauthenticated,
        ApiError::OperatorOnly,
        ApiError::MerchantOnly,
        ApiError::NoSuchRoute,
        ApiError::MethodNotAllowed { allow: "GET" },
        ApiError::NoSuchObject { kind: "payment" },
        ApiError::UnsupportedMedia("b"),
        ApiError::BodyTooLarge { limit_bytes: 1 },
        ApiError::BodyTimeout,
        ApiError::BodyBroken,
        ApiError::HeadTooLarge { limit_bytes: 1 },
        ApiError::RateLimited { retry_after_s: 1 },
        ApiError::TooManyStrangers { retry_after_s: 1 },
        ApiError::TooManyStreams { retry_after_s: 1 },
        ApiError::IdempotencyKey(KeyError::Empty),
        ApiError::IdempotencyKey(KeyError::TooLong),
        ApiError::IdempotencyKeyUnreadable,
        ApiError::KeyMismatch,
        ApiError::TooManyWaiters,
        ApiError::Overloaded { retry_after_s: 1 },
        ApiError::NoProvider { payment: None },
        ApiError::TryAgain,
        ApiError::AccountNotAgreed { retry_after_s: 1 },
        ApiError::NodeBehind,
        ApiError::NotOwner {
            owner: Some("https://east.example".into()),
        },
        ApiError::UnexpectedState {
            status: "voided",
            cannot: "cannot be captured",
        },
        ApiError::OperationDeclined { payment },
        ApiError::Exhausted { payment },
        ApiError::Declined {
            payment,
            decline_code: None,
            network: NetworkDecline::NONE,
        },
        ApiError::CredentialsLast { livemode: true },
        ApiError::ActorNotRestartable,
        ApiError::Internal,
    ];
    errors.extend(of_operators());
    errors.extend(REFUSALS.iter().copied().map(ApiError::Refused));
    errors.extend(alerts().map(ApiError::AlertRefused));
    let endpoints = [
        EndpointRefusal::NoSuchEndpoint,
        EndpointRefusal::TooManyEndpoints,
        EndpointRefusal::TooManyReplays,
        EndpointRefusal::Disabled,
        EndpointRefusal::KeyMismatch,
        EndpointRefusal::Deleted,
    ];
    errors.extend(endpoints.map(ApiError::EndpointRefused));
    errors.extend(transfer_refusals().map(|refusal| ApiError::TransferRefused {
        param: "transfers.0".to_owned(),
        refusal,
    }));
    let given = [
        Code::ParameterInvalid,
        Code::ParameterInvalidInteger,
        Code::ParameterMissing,
        Code::ParameterUnknown,
        Code::QueryInvalid,
        Code::BodyInvalid,
        Code::AmountTooLarge,
        Code::AmountTooSmall,
        Code::ResourceMissing,
        Code::RiskListsFull,
        Code::CredentialsFull,
        Code::CredentialsNotKept,
        Code::CardNumberMisplaced,
        Code::CardsNotKept,
        Code::PaymentMethodUnexpectedState,
        Code::SetupIntentUnexpectedState,
        Code::TokenAlreadyUsed,
        Code::TokenInvalid,
        Code::WebhooksNotKept,
    ];
    errors.extend(given.map(invalid));
    let cards = [
        Code::ExpiredCard,
        Code::IncorrectCvc,
        Code::IncorrectNumber,
        Code::InvalidExpiryMonth,
        Code::InvalidExpiryYear,
    ];
    errors.extend(cards.map(|code| ApiError::CardRefused {
        code,
        param: "card[number]",
        message: "b",
    }));
    errors.push(ApiError::KeyReused);
    errors
}

#[test]
fn every_code_is_given_and_its_page_has_the_status_it_is_given_with() {
    let mut given = std::collections::HashSet::new();
    for error in one_of_each() {
        let (status, _, code) = error.class();
        let line = code.page().lines().find(|line| line.starts_with("**Status** "));
        let line = line.unwrap_or_default();
        assert!(
            line.contains(status.as_str()),
            "{error:?}: {status}, but the page says {line}"
        );
        given.insert(code);
    }
    for code in Code::ALL {
        assert!(given.contains(code), "nothing gives {}", code.as_str());
    }
}
