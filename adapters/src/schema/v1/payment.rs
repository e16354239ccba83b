//! Owns the form of a payment's folded state, which views keep. Views are rebuilt when it changes, so nothing else reads it.

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;

use super::event::{OperationKindDto, PostingProfileDto};
use super::request::ResolutionDto;
use super::routing::WishesDto;
use super::scalar::{List, MinorDto, OperationIdDto, Stored, impossible};
use super::spec::{AssessmentDto, MethodDto, SpecDto, words};
use crate::schema::{self, DecodeError};
use florin_domain::decline::NetworkDecline;
use florin_domain::money::MinorSum;
use florin_domain::payment::{
    Attempt, AttemptState, Booked, Closing, Failure, LateCharge, Matter, NextAction, Operation, Payment,
    Request, Reversed, Spec, Status,
};
use florin_domain::routing::Wishes;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

words! {
    AttemptStateDto of AttemptState {
        Open Pending ActionRequired Unknown Succeeded Declined NotSent Rejected Cancelled GivenUp
    }
}

/// The codes that a failure can have.
const FAILURE_CODES: &[&str] = &["card_declined", Failure::ATTEMPTS_EXHAUSTED];

/// A payment's state.
#[derive(Debug, Serialize, Deserialize)]
struct PaymentDto<'a> {
    #[serde(borrow)]
    spec: SpecDto<'a>,
    method: Option<MethodDto<'a>>,
    risk: Option<AssessmentDto<'a>>,
    status: StatusDto<'a>,
    failure: Option<FailureDto<'a>>,
    authorized_minor: MinorDto,
    captured_minor: MinorDto,
    refunded_minor: MinorDto,
    fee_minor: MinorDto,
    held_for_review: bool,
    capture_closed: bool,
    authorization_expires_at_ms: Option<u64>,
    operations: List<'a, Operation>,
    late_minor: MinorDto,
    requests: List<'a, Request>,
    posting_profile: PostingProfileDto,
    routing: WishesDto<'a>,
    announced: u64,
    off_session: bool,
}

/// Where a payment stands.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StatusDto<'a> {
    RequiresPaymentMethod,
    RequiresConfirmation,
    RequiresAction {
        redirect_url: Option<&'a str>,
        expires_at_ms: u64,
    },
    InReview {
        deadline_ms: u64,
    },
    Processing,
    Authorized,
    Succeeded,
    Failed,
    Blocked,
    Voided,
}

/// Why a payment is not charged.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FailureDto<'a> {
    code: &'a str,
    decline_code: Option<&'a str>,
    network_decline_code: Option<&'a str>,
    network_advice_code: Option<&'a str>,
}

/// Something asked of a provider.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OperationDto<'a> {
    id: OperationIdDto,
    kind: OperationKindDto,
    amount_minor: u64,
    is_final: bool,
    reason: Option<&'a str>,
    opened_at_ms: u64,
    attempts: u32,
    #[serde(borrow)]
    attempt: Option<AttemptDto<'a>>,
    earlier: List<'a, Attempt>,
    late: List<'a, LateCharge>,
    transaction: Option<&'a str>,
    #[serde(borrow)]
    proposal: Option<ResolutionDto<'a>>,
    #[serde(borrow)]
    reverses: Option<ReversedDto<'a>>,
    booked: Option<BookedDto>,
    matters: List<'a, Matter>,
    matters_noted: u32,
}

/// That its money was booked.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct BookedDto {
    at_ms: u64,
    fee_minor: MinorDto,
}

/// The late charge that it gives back.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ReversedDto<'a> {
    of: OperationIdDto,
    number: u32,
    provider: &'a str,
    transaction: &'a str,
    reference: &'a str,
    asked: OperationKindDto,
    given_minor: MinorDto,
}

/// One attempt of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AttemptDto<'a> {
    number: u32,
    provider: &'a str,
    key: &'a str,
    reference: Option<&'a str>,
    deadline_ms: u64,
    state: AttemptStateDto,
    unknown_reason: Option<&'a str>,
    #[serde(borrow)]
    closing: ClosingDto<'a>,
    overdue_since_ms: Option<u64>,
}

/// What is known of its closing.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ClosingDto<'a> {
    asked_at_ms: Option<u64>,
    is_refused: bool,
    made: Option<&'a str>,
    closed: Option<&'a str>,
    has_expired: bool,
}

/// A success that came too late.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LateChargeDto<'a> {
    number: u32,
    provider: &'a str,
    amount_minor: u64,
    transaction: &'a str,
}

/// Appends the stored form of a payment.
pub(crate) fn encode(payment: &Payment, out: &mut Vec<u8>) {
    let form = PaymentDto {
        spec: payment.spec.store(),
        method: payment.method.store(),
        risk: payment.risk.store(),
        status: payment.status.store(),
        failure: payment.failure.store(),
        authorized_minor: payment.authorized.store(),
        captured_minor: payment.captured.store(),
        refunded_minor: payment.refunded.store(),
        fee_minor: payment.fee_minor.store(),
        held_for_review: payment.held_for_review,
        capture_closed: payment.capture_closed,
        authorization_expires_at_ms: payment.authorization_expires_at.store(),
        operations: List::Values(&payment.operations),
        late_minor: payment.late_minor.store(),
        requests: List::Values(&payment.requests),
        posting_profile: payment.posting_profile.store(),
        routing: payment.spec.routing.store(),
        announced: payment.announced,
        off_session: payment.spec.off_session,
    };
    schema::write(&form, out);
}

/// Reads a payment back, through the same checks as when it was made.
pub(crate) fn decode(bytes: &[u8]) -> Result<Payment, DecodeError> {
    let form: PaymentDto<'_> = schema::read(bytes)?;
    let mut spec: Arc<Spec> = Stored::load(form.spec)?;
    let routing: Wishes = Stored::load(form.routing)?;
    if !routing.is_empty() {
        Arc::make_mut(&mut spec).routing = routing;
    }
    if form.off_session {
        Arc::make_mut(&mut spec).off_session = true;
    }
    Ok(Payment {
        spec,
        method: Stored::load(form.method)?,
        risk: Stored::load(form.risk)?,
        status: Stored::load(form.status)?,
        failure: Stored::load(form.failure)?,
        authorized: Stored::load(form.authorized_minor)?,
        captured: Stored::load(form.captured_minor)?,
        refunded: Stored::load(form.refunded_minor)?,
        fee_minor: Stored::load(form.fee_minor)?,
        held_for_review: form.held_for_review,
        capture_closed: form.capture_closed,
        authorization_expires_at: Stored::load(form.authorization_expires_at_ms)?,
        operations: form.operations.load()?,
        late_minor: Stored::load(form.late_minor)?,
        requests: form.requests.load()?,
        posting_profile: Stored::load(form.posting_profile)?,
        announced: form.announced,
    })
}

impl Stored<'_> for MinorSum {
    type Dto = MinorDto;

    fn store(&self) -> MinorDto {
        MinorDto(self.minor())
    }

    fn load(dto: MinorDto) -> Result<Self, DecodeError> {
        Self::from_minor(dto.0).map_err(|why| impossible("sum")(&why))
    }
}

impl<'a> Stored<'a> for Status {
    type Dto = StatusDto<'a>;

    fn store(&'a self) -> StatusDto<'a> {
        match self {
            Self::RequiresPaymentMethod => StatusDto::RequiresPaymentMethod,
            Self::RequiresConfirmation => StatusDto::RequiresConfirmation,
            Self::RequiresAction(next) => StatusDto::RequiresAction {
                redirect_url: next.redirect_url.store(),
                expires_at_ms: next.expires_at.store(),
            },
            Self::InReview { deadline } => StatusDto::InReview {
                deadline_ms: deadline.store(),
            },
            Self::Processing => StatusDto::Processing,
            Self::Authorized => StatusDto::Authorized,
            Self::Succeeded => StatusDto::Succeeded,
            Self::Failed => StatusDto::Failed,
            Self::Blocked => StatusDto::Blocked,
            Self::Voided => StatusDto::Voided,
        }
    }

    fn load(dto: StatusDto<'a>) -> Result<Self, DecodeError> {
        Ok(match dto {
            StatusDto::RequiresPaymentMethod => Self::RequiresPaymentMethod,
            StatusDto::RequiresConfirmation => Self::RequiresConfirmation,
            StatusDto::RequiresAction {
                redirect_url,
                expires_at_ms,
            } => Self::RequiresAction(NextAction {
                redirect_url: Stored::load(redirect_url)?,
                expires_at: Stored::load(expires_at_ms)?,
            }),
            StatusDto::InReview { deadline_ms } => Self::InReview {
                deadline: Stored::load(deadline_ms)?,
            },
            StatusDto::Processing => Self::Processing,
            StatusDto::Authorized => Self::Authorized,
            StatusDto::Succeeded => Self::Succeeded,
            StatusDto::Failed => Self::Failed,
            StatusDto::Blocked => Self::Blocked,
            StatusDto::Voided => Self::Voided,
        })
    }
}

impl<'a> Stored<'a> for Failure {
    type Dto = FailureDto<'a>;

    fn store(&'a self) -> FailureDto<'a> {
        FailureDto {
            code: self.code,
            decline_code: self.decline_code.store(),
            network_decline_code: self.network.decline_code.store(),
            network_advice_code: self.network.advice_code.store(),
        }
    }

    fn load(dto: FailureDto<'a>) -> Result<Self, DecodeError> {
        let code = FAILURE_CODES.iter().find(|code| **code == dto.code);
        Ok(Self {
            code: code.ok_or_else(|| impossible("failure code")(&dto.code))?,
            decline_code: Stored::load(dto.decline_code)?,
            network: NetworkDecline {
                decline_code: Stored::load(dto.network_decline_code)?,
                advice_code: Stored::load(dto.network_advice_code)?,
            },
        })
    }
}

impl<'a> Stored<'a> for Operation {
    type Dto = OperationDto<'a>;

    fn store(&'a self) -> OperationDto<'a> {
        OperationDto {
            id: self.id.store(),
            kind: self.kind.store(),
            amount_minor: self.amount.store(),
            is_final: self.is_final,
            reason: self.reason.store(),
            opened_at_ms: self.opened_at.store(),
            attempts: self.attempts,
            attempt: self.attempt.store(),
            earlier: List::Values(&self.earlier),
            late: List::Values(&self.late),
            transaction: self.transaction.store(),
            proposal: self.proposal.store(),
            reverses: self.reverses.store(),
            booked: self.booked.store(),
            matters: List::Values(&self.matters),
            matters_noted: u32::try_from(self.matters_noted).unwrap_or(u32::MAX),
        }
    }

    fn load(dto: OperationDto<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: Stored::load(dto.id)?,
            kind: Stored::load(dto.kind)?,
            amount: Stored::load(dto.amount_minor)?,
            is_final: dto.is_final,
            reason: Stored::load(dto.reason)?,
            opened_at: Stored::load(dto.opened_at_ms)?,
            attempts: dto.attempts,
            attempt: Stored::load(dto.attempt)?,
            earlier: dto.earlier.load()?,
            late: dto.late.load()?,
            transaction: Stored::load(dto.transaction)?,
            proposal: Stored::load(dto.proposal)?,
            reverses: Stored::load(dto.reverses)?,
            booked: Stored::load(dto.booked)?,
            matters: dto.matters.load()?,
            matters_noted: usize::try_from(dto.matters_noted).unwrap_or(usize::MAX),
        })
    }
}

impl Stored<'_> for Booked {
    type Dto = BookedDto;

    fn store(&self) -> BookedDto {
        BookedDto {
            at_ms: self.at.store(),
            fee_minor: self.fee_minor.store(),
        }
    }

    fn load(dto: BookedDto) -> Result<Self, DecodeError> {
        Ok(Self {
            at: Stored::load(dto.at_ms)?,
            fee_minor: Stored::load(dto.fee_minor)?,
        })
    }
}

impl<'a> Stored<'a> for Reversed {
    type Dto = ReversedDto<'a>;

    fn store(&'a self) -> ReversedDto<'a> {
        ReversedDto {
            of: self.of.store(),
            number: self.number,
            provider: self.provider.store(),
            transaction: self.transaction.store(),
            reference: self.reference.store(),
            asked: self.asked.store(),
            given_minor: self.given_minor.store(),
        }
    }

    fn load(dto: ReversedDto<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            of: Stored::load(dto.of)?,
            number: dto.number,
            provider: Stored::load(dto.provider)?,
            transaction: Stored::load(dto.transaction)?,
            reference: Stored::load(dto.reference)?,
            asked: Stored::load(dto.asked)?,
            given_minor: Stored::load(dto.given_minor)?,
        })
    }
}

impl<'a> Stored<'a> for Attempt {
    type Dto = AttemptDto<'a>;

    fn store(&'a self) -> AttemptDto<'a> {
        AttemptDto {
            number: self.number,
            provider: self.provider.store(),
            key: self.key.store(),
            reference: self.reference.store(),
            deadline_ms: self.deadline.store(),
            state: self.state.store(),
            unknown_reason: self.unknown_reason.store(),
            closing: self.closing.store(),
            overdue_since_ms: self.overdue_since.store(),
        }
    }

    fn load(dto: AttemptDto<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            number: dto.number,
            provider: Stored::load(dto.provider)?,
            key: Stored::load(dto.key)?,
            reference: Stored::load(dto.reference)?,
            deadline: Stored::load(dto.deadline_ms)?,
            state: Stored::load(dto.state)?,
            unknown_reason: Stored::load(dto.unknown_reason)?,
            closing: Stored::load(dto.closing)?,
            overdue_since: Stored::load(dto.overdue_since_ms)?,
        })
    }
}

impl<'a> Stored<'a> for Closing {
    type Dto = ClosingDto<'a>;

    fn store(&'a self) -> ClosingDto<'a> {
        ClosingDto {
            asked_at_ms: self.asked_at.store(),
            is_refused: self.is_refused,
            made: self.made.store(),
            closed: self.closed.store(),
            has_expired: self.has_expired,
        }
    }

    fn load(dto: ClosingDto<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            asked_at: Stored::load(dto.asked_at_ms)?,
            is_refused: dto.is_refused,
            made: Stored::load(dto.made)?,
            closed: Stored::load(dto.closed)?,
            has_expired: dto.has_expired,
        })
    }
}

impl<'a> Stored<'a> for LateCharge {
    type Dto = LateChargeDto<'a>;

    fn store(&'a self) -> LateChargeDto<'a> {
        LateChargeDto {
            number: self.number,
            provider: self.provider.store(),
            amount_minor: self.amount.store(),
            transaction: self.transaction.store(),
        }
    }

    fn load(dto: LateChargeDto<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            number: dto.number,
            provider: Stored::load(dto.provider)?,
            amount: Stored::load(dto.amount_minor)?,
            transaction: Stored::load(dto.transaction)?,
        })
    }
}
