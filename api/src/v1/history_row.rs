//! One line of a payment's history. What belongs to others (keys, the platform's own balances) is left out.

use super::list::Displayed;
use super::payment_body::score;
use super::route_row::RouteRow;
use florin_domain::commit::{Body, Commit};
use florin_domain::ids::{ListEntryId, MerchantId, OperationId};
use florin_domain::ledger::{AccountKey, AccountName, Line, PostedEntry};
use florin_domain::method::PaymentMethod;
use florin_domain::payment::{Event, OperationKind, Spec};
use florin_domain::provider::ProviderKey;
use florin_domain::risk::Assessment;
use florin_domain::time::Timestamp;
use serde::Serialize;
use std::fmt;
use std::sync::Arc;

/// Characters of a provider key that are shown: enough to find it at the provider, too few to use it.
const PROVIDER_KEY_CHARS: usize = 8;

/// Names a row for good: commits never change, and what a later version tells of one comes behind what is told of it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowId {
    seq: u64,
    /// Its place in the commit.
    index: usize,
}

impl RowId {
    /// Reads the written form, and no other form of the same numbers.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (seq, index) = text.split_once('-')?;
        let id = Self {
            seq: seq.parse().ok()?,
            index: index.parse().ok()?,
        };
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for RowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.seq, self.index)
    }
}

/// An event or a posted entry.
#[derive(Debug, Serialize)]
pub(crate) struct Row<'a> {
    id: Displayed<RowId>,
    seq: u64,
    #[serde(rename = "type")]
    kind: &'static str,
    at: u64,
    #[serde(flatten)]
    details: Details<'a>,
}

impl Row<'_> {
    pub(crate) fn id(&self) -> RowId {
        self.id.0
    }
}

/// What there is to say; each row says what it has.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "snake_case")]
struct Details<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    operation_id: Option<Displayed<OperationId>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operator: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    processor_transaction_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_method_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_final: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decline_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network_decline_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network_advice_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    list: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry_id: Option<Displayed<ListEntryId>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasons: Option<Vec<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<RouteRow<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    posting: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fee_recognition: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lines: Option<Vec<LineBody>>,
}

/// One line of an entry.
#[derive(Debug, Serialize)]
struct LineBody {
    account: Displayed<AccountKey>,
    side: &'static str,
    amount: i64,
    currency: &'static str,
    /// Of the merchant's own accounts only.
    balance_after: Option<i128>,
}

/// What a commit did to a payment, as its merchant sees it, or an operator (`None`), who also sees what other operators said.
pub(crate) fn rows(commit: &Commit, merchant: Option<MerchantId>) -> Vec<Row<'_>> {
    let Body::Payment(body) = &commit.body else {
        return Vec::new();
    };
    let row = |(index, (kind, details))| Row {
        id: Displayed(RowId {
            seq: commit.seq.0,
            index,
        }),
        seq: commit.seq.0,
        kind,
        at: commit.at.unix_s(),
        details,
    };
    let events = body
        .events
        .iter()
        .map(|event| (event.name(), details(event, merchant.is_none())));
    let entry = body.entry.as_ref().map(|entry| {
        let details = Details {
            lines: Some(lines(entry, merchant)),
            ..Details::default()
        };
        ("ledger.entry_posted", details)
    });
    events.chain(entry).enumerate().map(row).collect()
}

fn lines(entry: &PostedEntry, merchant: Option<MerchantId>) -> Vec<LineBody> {
    let line = |line: &Line| LineBody {
        account: Displayed(line.posting.account),
        side: line.posting.side.as_str(),
        amount: minor(line.posting.amount),
        currency: line.posting.account.currency.code(),
        balance_after: merchant
            .is_none_or(|merchant| line.posting.account.name == AccountName::MerchantPayable(merchant))
            .then(|| line.balance_after.minor()),
    };
    entry.lines().iter().map(line).collect()
}

/// An amount has at most 12 digits.
fn minor(amount: florin_domain::money::Amount) -> i64 {
    i64::try_from(amount.minor()).unwrap_or(i64::MAX)
}

fn attempt<'a>(operation: OperationId, number: u32) -> Details<'a> {
    Details {
        operation_id: Some(Displayed(operation)),
        attempt: Some(number),
        ..Details::default()
    }
}

fn created<'a>(spec: &'a Spec, method: Option<&'a PaymentMethod>) -> Details<'a> {
    Details {
        amount: Some(minor(spec.amount)),
        currency: Some(spec.currency.code()),
        payment_method_id: method.map(|method| &*method.id),
        ..Details::default()
    }
}

fn assessed(assessment: &Assessment) -> Details<'_> {
    Details {
        score: Some(score(assessment.score_bps)),
        action: Some(assessment.action.as_str()),
        reasons: Some(assessment.reasons.iter().map(AsRef::as_ref).collect()),
        ..Details::default()
    }
}

fn shortened(key: &ProviderKey) -> String {
    key.chars().take(PROVIDER_KEY_CHARS).collect()
}

fn reason<'a>(details: Details<'a>, reason: &'a Arc<str>) -> Details<'a> {
    Details {
        reason: Some(reason),
        ..details
    }
}

#[expect(clippy::too_many_lines, reason = "a flat table: one row per event")]
fn details(event: &Event, to_operator: bool) -> Details<'_> {
    match event {
        Event::Created { spec, method } => created(spec, Some(method)),
        Event::Drafted { spec, method } => created(spec, method.as_ref()),
        Event::Amended { amount, method, .. } => Details {
            amount: Some(minor(*amount)),
            payment_method_id: method.as_ref().map(|method| &*method.id),
            ..Details::default()
        },
        Event::RiskAssessed(assessment) => assessed(assessment),
        Event::ListMatched { listed } => Details {
            list: Some(listed.list.as_str()),
            kind: Some(listed.kind.as_str()),
            entry_id: Some(Displayed(listed.entry)),
            // Why the platform made an entry is its own business.
            reason: (to_operator || !listed.is_of_platform).then_some(&*listed.reason),
            ..Details::default()
        },
        Event::Routed {
            operation,
            number,
            route,
        } => Details {
            operation_id: Some(Displayed(*operation)),
            attempt: Some(*number),
            route: Some(if to_operator {
                RouteRow::from(&**route)
            } else {
                RouteRow::from(&**route).for_merchant()
            }),
            ..Details::default()
        },
        Event::PostingProfileChosen { profile } => Details {
            posting: Some(profile.posting.as_str()),
            fee_recognition: Some(profile.fee_recognition.as_str()),
            ..Details::default()
        },
        Event::Blocked
        | Event::HeldForReview
        | Event::ReviewApproved
        | Event::ReviewRejected
        | Event::ReviewExpired
        | Event::Abandoned
        | Event::AttemptsExhausted
        | Event::AuthorizationExpired => Details::default(),
        Event::Requested { request } => Details {
            operation_id: Some(Displayed(request.operation)),
            operation: Some(request.kind.as_str()),
            // Who decides for the platform, and under which key, is its own business.
            idempotency_key: (to_operator || request.operator.is_none()).then_some(request.key.as_str()),
            operator: request.operator.as_deref().filter(|_| to_operator),
            by: request.operator.as_ref().map(|_| "operator"),
            ..Details::default()
        },
        Event::ResolutionProposed {
            operation,
            number,
            resolution,
        }
        | Event::ResolutionConfirmed {
            operation,
            number,
            resolution,
        } => Details {
            outcome: Some(if resolution.transaction.is_some() {
                "executed"
            } else {
                "not_executed"
            }),
            processor_transaction_id: resolution.transaction.as_deref(),
            evidence: to_operator.then_some(&*resolution.evidence),
            reason: to_operator.then_some(&*resolution.reason),
            operator: to_operator.then_some(&*resolution.operator),
            by: Some("operator"),
            ..attempt(*operation, *number)
        },
        Event::ReviewOpened { deadline } => Details {
            deadline: Some(deadline.unix_s()),
            ..Details::default()
        },
        Event::MethodReplaced { method } | Event::Confirmed { method } => Details {
            payment_method_id: Some(&method.id),
            ..Details::default()
        },
        Event::OperationOpened {
            operation,
            kind,
            amount,
            is_final,
            reason,
            at: _,
        } => Details {
            operation_id: Some(Displayed(*operation)),
            operation: Some(kind.as_str()),
            amount: Some(minor(*amount)),
            is_final: Some(*is_final),
            reason: reason.as_deref(),
            ..Details::default()
        },
        Event::AttemptPlanned {
            operation,
            number,
            provider,
            key,
            deadline,
        } => Details {
            provider: Some(provider.to_string()),
            provider_key: Some(shortened(key)),
            deadline: Some(deadline.unix_s()),
            ..attempt(*operation, *number)
        },
        Event::AttemptReferenced {
            operation,
            number,
            reference,
        }
        | Event::AttemptPending {
            operation,
            number,
            reference,
        } => Details {
            reference: Some(reference),
            ..attempt(*operation, *number)
        },
        Event::AttemptSucceeded {
            operation,
            number,
            reference,
            transaction,
            authorization_expires_at,
        } => Details {
            reference: Some(reference),
            processor_transaction_id: Some(transaction),
            expires_at: authorization_expires_at.map(Timestamp::unix_s),
            ..attempt(*operation, *number)
        },
        Event::AttemptDeclined {
            operation,
            number,
            decline_code,
            reference,
            network,
        } => Details {
            decline_code: Some(decline_code),
            network_decline_code: network.decline_code.as_deref(),
            network_advice_code: network.advice_code.as_deref(),
            reference: reference.as_deref(),
            ..attempt(*operation, *number)
        },
        Event::AttemptActionRequired {
            operation,
            number,
            reference,
            redirect_url,
            expires_at,
        } => Details {
            reference: Some(reference),
            redirect_url: redirect_url.as_deref(),
            expires_at: Some(expires_at.unix_s()),
            ..attempt(*operation, *number)
        },
        Event::AttemptUnknown {
            operation,
            number,
            reason: why,
            reference,
        } => Details {
            reference: reference.as_deref(),
            ..reason(attempt(*operation, *number), why)
        },
        Event::AttemptNotSent {
            operation,
            number,
            reason: why,
        }
        | Event::AttemptRejected {
            operation,
            number,
            reason: why,
        } => reason(attempt(*operation, *number), why),
        Event::OperationGivenUp { operation } => Details {
            operation_id: Some(Displayed(*operation)),
            ..Details::default()
        },
        Event::AttemptCancelled { operation, number }
        | Event::AttemptClosingAsked {
            operation, number, ..
        }
        | Event::AttemptClosingRefused { operation, number }
        | Event::AttemptOverdue {
            operation, number, ..
        }
        | Event::DeclineRetried { operation, number } => attempt(*operation, *number),
        Event::AttemptToldMade {
            operation,
            number,
            reference,
            transaction,
        } => Details {
            reference: Some(reference),
            processor_transaction_id: Some(transaction),
            ..attempt(*operation, *number)
        },
        Event::TransactionClosed {
            operation,
            number,
            transaction,
        } => Details {
            processor_transaction_id: Some(transaction),
            ..attempt(*operation, *number)
        },
        Event::RetryRefused { decline_code } => Details {
            decline_code: Some(decline_code),
            ..Details::default()
        },
        Event::MatterRaised { operation, matter } => Details {
            kind: Some(matter.kind.as_str()),
            reference: Some(&matter.said),
            amount: i64::try_from(matter.amount_minor).ok(),
            currency: Some(matter.currency.code()),
            ..attempt(*operation, matter.number)
        },
        Event::MattersNoted { operation, note } => Details {
            operation_id: Some(Displayed(*operation)),
            evidence: to_operator.then_some(&*note.evidence),
            reason: to_operator.then_some(&*note.reason),
            operator: to_operator.then_some(&*note.operator),
            by: Some("operator"),
            ..Details::default()
        },
        Event::LateSuccess {
            operation,
            number,
            provider,
            amount,
            transaction,
        }
        | Event::LateReversal {
            operation,
            number,
            provider,
            amount,
            transaction,
        } => Details {
            provider: Some(provider.to_string()),
            amount: Some(minor(*amount)),
            processor_transaction_id: Some(transaction),
            ..attempt(*operation, *number)
        },
        // Which attempt of the charge it gives back is said by its transaction.
        Event::ReversalOpened {
            operation,
            provider,
            transaction,
            reference,
            amount,
            ..
        } => Details {
            operation_id: Some(Displayed(*operation)),
            operation: Some(OperationKind::Reversal.as_str()),
            provider: Some(provider.to_string()),
            amount: Some(minor(*amount)),
            processor_transaction_id: Some(transaction),
            reference: Some(reference),
            ..Details::default()
        },
    }
}
