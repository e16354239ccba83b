//! The stable codes of refusals: one closed list, and the page that explains each.

use florin_domain::ledger::TransferRefusal;
use florin_domain::payment::Refusal;

macro_rules! codes {
    ($($name:ident = $text:literal,)*) => {
        /// What a program may rely on. Codes are added, never renamed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum Code {
            $(#[doc = $text] $name,)*
        }

        impl Code {
            /// All of them.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// As it is written in answers.
            pub(crate) const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// What it means and what to do, as Markdown. A code without its page does not compile.
            pub(crate) const fn page(self) -> &'static str {
                match self {
                    $(Self::$name => include_str!(concat!("../../../docs/errors/", $text, ".md")),)*
                }
            }

            /// Where its page is, on the same origin.
            pub(crate) const fn location(self) -> &'static str {
                match self {
                    $(Self::$name => concat!("/docs/errors/", $text),)*
                }
            }
        }
    };
}

codes! {
    AccountLimitExceeded = "account_limit_exceeded",
    AccountNameTaken = "account_name_taken",
    AccountUnknown = "account_unknown",
    ActorNotRestartable = "actor_not_restartable",
    AlertIdReused = "alert_id_reused",
    AlertsFull = "alerts_full",
    AmountExceedsCapturable = "amount_exceeds_capturable",
    AmountExceedsPending = "amount_exceeds_pending",
    AmountExceedsRefundable = "amount_exceeds_refundable",
    AmountMismatch = "amount_mismatch",
    AmountTooLarge = "amount_too_large",
    AmountTooSmall = "amount_too_small",
    ApiKeyInvalid = "api_key_invalid",
    AttemptMissing = "attempt_missing",
    BalanceOverflow = "balance_overflow",
    BodyInvalid = "body_invalid",
    BodyTimeout = "body_timeout",
    BodyTooLarge = "body_too_large",
    CardDeclined = "card_declined",
    CardNumberMisplaced = "card_number_misplaced",
    CardsNotKept = "cards_not_kept",
    ConsistencyError = "consistency_error",
    CredentialsFull = "credentials_full",
    CredentialsLast = "credentials_last",
    CredentialsNotKept = "credentials_not_kept",
    EffectiveInFuture = "effective_in_future",
    ExpiredCard = "expired_card",
    FraudCheckRefused = "fraud_check_refused",
    HeadTooLarge = "head_too_large",
    IdempotencyKeyInUse = "idempotency_key_in_use",
    IdempotencyKeyInvalid = "idempotency_key_invalid",
    IdempotencyKeyRequired = "idempotency_key_required",
    IdempotencyKeyReused = "idempotency_key_reused",
    IncorrectCvc = "incorrect_cvc",
    IncorrectNumber = "incorrect_number",
    InsufficientFunds = "insufficient_funds",
    InternalError = "internal_error",
    InvalidExpiryMonth = "invalid_expiry_month",
    InvalidExpiryYear = "invalid_expiry_year",
    LinkedChainOpen = "linked_chain_open",
    LinkedTransferFailed = "linked_transfer_failed",
    MattersChanged = "matters_changed",
    MediaTypeUnsupported = "media_type_unsupported",
    MerchantFrozen = "merchant_frozen",
    MerchantKeyRequired = "merchant_key_required",
    MethodNotAllowed = "method_not_allowed",
    NoProviderAvailable = "no_provider_available",
    NodeBehind = "node_behind",
    NotOwner = "not_owner",
    NothingLeft = "nothing_left",
    OperationDeclined = "operation_declined",
    OperationExists = "operation_exists",
    OperationInProgress = "operation_in_progress",
    OperatorKeyRequired = "operator_key_required",
    Overloaded = "overloaded",
    ParameterInvalid = "parameter_invalid",
    ParameterInvalidInteger = "parameter_invalid_integer",
    ParameterMissing = "parameter_missing",
    ParameterUnknown = "parameter_unknown",
    PaymentExists = "payment_exists",
    PaymentMethodUnexpectedState = "payment_method_unexpected_state",
    PaymentUnexpectedState = "payment_unexpected_state",
    PayoutExceedsOwed = "payout_exceeds_owed",
    PendingTransferExpired = "pending_transfer_expired",
    PendingTransferMissing = "pending_transfer_missing",
    PeriodClosed = "period_closed",
    ProviderMismatch = "provider_mismatch",
    QueryInvalid = "query_invalid",
    RateLimited = "rate_limited",
    ReadOnly = "read_only",
    ResourceMissing = "resource_missing",
    RiskListsFull = "risk_lists_full",
    RevertedTransferMissing = "reverted_transfer_missing",
    RouteUnknown = "route_unknown",
    RoutingVersionStale = "routing_version_stale",
    SecondPersonRequired = "second_person_required",
    SetupIntentUnexpectedState = "setup_intent_unexpected_state",
    TemporarilyUnavailable = "temporarily_unavailable",
    TokenAlreadyUsed = "token_already_used",
    TokenInvalid = "token_invalid",
    TooManyAttempts = "too_many_attempts",
    TooManyOperations = "too_many_operations",
    TransferAlreadyReverted = "transfer_already_reverted",
    TransferCrossesShards = "transfer_crosses_shards",
    TransferGivenUp = "transfer_given_up",
    TransferIdReused = "transfer_id_reused",
    TransferMixedCurrencies = "transfer_mixed_currencies",
    TransferMixedModes = "transfer_mixed_modes",
    TransferNotRevertible = "transfer_not_revertible",
    TransferSameAccount = "transfer_same_account",
    TransferTooFewPostings = "transfer_too_few_postings",
    TransferUnbalanced = "transfer_unbalanced",
    VersionStale = "version_stale",
    WebhookEndpointDisabled = "webhook_endpoint_disabled",
    WebhookEndpointsFull = "webhook_endpoints_full",
    WebhookResendsFull = "webhook_resends_full",
    WebhooksNotKept = "webhooks_not_kept",
}

impl Code {
    /// The code of this text, in any case: the seed profile writes one of them in capitals.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|code| code.as_str().eq_ignore_ascii_case(text))
    }

    /// The code of a refused transfer.
    pub(crate) const fn of_transfer(refusal: &TransferRefusal) -> Self {
        match refusal {
            TransferRefusal::Unbalanced(_) => Self::TransferUnbalanced,
            TransferRefusal::TooFewPostings => Self::TransferTooFewPostings,
            TransferRefusal::MixedCurrencies => Self::TransferMixedCurrencies,
            TransferRefusal::MixedModes => Self::TransferMixedModes,
            TransferRefusal::SameAccount => Self::TransferSameAccount,
            TransferRefusal::UnknownAccount(_) => Self::AccountUnknown,
            TransferRefusal::IdReused => Self::TransferIdReused,
            TransferRefusal::PendingNotFound => Self::PendingTransferMissing,
            TransferRefusal::PendingExpired => Self::PendingTransferExpired,
            TransferRefusal::ExceedsPending => Self::AmountExceedsPending,
            TransferRefusal::InsufficientFunds(_) => Self::InsufficientFunds,
            TransferRefusal::ExceedsLimit(_) => Self::AccountLimitExceeded,
            TransferRefusal::PeriodClosed => Self::PeriodClosed,
            TransferRefusal::EffectiveInFuture => Self::EffectiveInFuture,
            TransferRefusal::LinkedFailed => Self::LinkedTransferFailed,
            TransferRefusal::LinkedOpen => Self::LinkedChainOpen,
            TransferRefusal::Overflow => Self::BalanceOverflow,
            TransferRefusal::RevertedNotFound => Self::RevertedTransferMissing,
            TransferRefusal::NothingToRevert => Self::TransferNotRevertible,
            TransferRefusal::AlreadyReverted => Self::TransferAlreadyReverted,
            TransferRefusal::CrossesShards => Self::TransferCrossesShards,
            TransferRefusal::GivenUp => Self::TransferGivenUp,
            TransferRefusal::ExceedsOwed(_) => Self::PayoutExceedsOwed,
            TransferRefusal::FraudCheckRefused => Self::FraudCheckRefused,
        }
    }

    /// The code of a refusal by the payment's rules, which name it the same.
    pub(crate) const fn of(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Exists => Self::PaymentExists,
            Refusal::NoSuchPayment => Self::ResourceMissing,
            Refusal::NoSuchAttempt => Self::AttemptMissing,
            Refusal::WrongStatus => Self::PaymentUnexpectedState,
            Refusal::OperationInProgress => Self::OperationInProgress,
            Refusal::ExceedsCapturable => Self::AmountExceedsCapturable,
            Refusal::ExceedsRefundable => Self::AmountExceedsRefundable,
            Refusal::NotAnIncrement => Self::AmountTooSmall,
            Refusal::NothingLeft => Self::NothingLeft,
            Refusal::WrongProvider => Self::ProviderMismatch,
            Refusal::OperationExists => Self::OperationExists,
            Refusal::TooManyOperations => Self::TooManyOperations,
            Refusal::AmountMismatch => Self::AmountMismatch,
            Refusal::SecondPersonRequired => Self::SecondPersonRequired,
            Refusal::TooManyAttempts => Self::TooManyAttempts,
            Refusal::MattersChanged => Self::MattersChanged,
            Refusal::TooMuchMetadata => Self::ParameterInvalid,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn there_is_one_page_per_code_one_line_in_the_index_and_nothing_else() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors");
        let files: BTreeSet<String> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        let index = std::fs::read_to_string(folder.join("README.md")).unwrap();
        let mut expected = BTreeSet::from(["README.md".to_owned()]);
        for code in Code::ALL {
            let name = code.as_str();
            assert!(expected.insert(format!("{name}.md")), "{name} stands twice");
            assert_eq!(
                index.matches(&format!("[`{name}`]({name}.md)")).count(),
                1,
                "{name}"
            );
        }
        assert_eq!(files, expected);
        assert_eq!(index.matches(".md) |").count(), Code::ALL.len());
    }

    #[test]
    fn every_page_answers_the_same_questions_and_its_example_is_an_answer() {
        for code in Code::ALL {
            let (name, page) = (code.as_str(), code.page());
            assert!(page.starts_with(&format!("# `{name}`: ")), "{name}");
            for question in [
                "**Status** ",
                "**What it means.**",
                "**What to do.**",
                "**May the same",
            ] {
                assert_eq!(page.matches(question).count(), 1, "{name}: {question}");
            }
            let example = page.split("```json").nth(1).unwrap().split("```").next().unwrap();
            let example: serde_json::Value = serde_json::from_str(example).unwrap();
            assert_eq!(example["error"]["code"], name);
            assert_eq!(example["error"]["doc_url"], code.location());
            assert!(example["error"]["message"].is_string(), "{name}");
            assert_eq!(Code::parse(name), Some(*code));
        }
        assert_eq!(Code::parse("CARD_DECLINED"), Some(Code::CardDeclined));
        assert_eq!(Code::parse("../errors"), None);
    }

    #[test]
    fn refusals_of_the_rules_keep_their_codes() {
        for refusal in [
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
            Refusal::TooManyAttempts,
            Refusal::MattersChanged,
            Refusal::TooMuchMetadata,
        ] {
            assert_eq!(Code::of(refusal).as_str(), refusal.code());
        }
    }
}
