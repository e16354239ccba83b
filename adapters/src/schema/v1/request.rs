//! Owns the form of requests about a payment that exists.

use super::scalar::{OperationIdDto, Raw, Stored, impossible};
use super::spec::words;
use crate::schema::DecodeError;
use florin_domain::idempotency::{Fingerprint, IdempotencyKey, KeyDigest};
use florin_domain::payment::{Request, RequestKind, Resolution};
use serde::{Deserialize, Serialize};

words! {
    RequestKindDto of RequestKind { Capture Void Refund Confirm Complete ApproveReview RejectReview Resolve Increment Amend }
}

/// A request under its key.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RequestDto<'a> {
    key: &'a str,
    key_digest: Raw<16>,
    fingerprint: Raw<16>,
    kind: RequestKindDto,
    operation: OperationIdDto,
    operator: Option<&'a str>,
}

impl<'a> Stored<'a> for Request {
    type Dto = RequestDto<'a>;

    fn store(&'a self) -> RequestDto<'a> {
        RequestDto {
            key: self.key.as_str(),
            key_digest: self.key_digest.0.store(),
            fingerprint: self.fingerprint.0.store(),
            kind: self.kind.store(),
            operation: self.operation.store(),
            operator: self.operator.store(),
        }
    }

    fn load(dto: RequestDto<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            key: IdempotencyKey::parse(dto.key).map_err(|error| impossible("idempotency key")(&error))?,
            key_digest: KeyDigest(Stored::load(dto.key_digest)?),
            fingerprint: Fingerprint(Stored::load(dto.fingerprint)?),
            kind: Stored::load(dto.kind)?,
            operation: Stored::load(dto.operation)?,
            operator: Stored::load(dto.operator)?,
        })
    }
}

/// What a person says became of an attempt.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ResolutionDto<'a> {
    transaction: Option<&'a str>,
    evidence: &'a str,
    reason: &'a str,
    operator: &'a str,
}

impl<'a> Stored<'a> for Resolution {
    type Dto = ResolutionDto<'a>;

    fn store(&'a self) -> ResolutionDto<'a> {
        ResolutionDto {
            transaction: self.transaction.store(),
            evidence: &self.evidence,
            reason: &self.reason,
            operator: &self.operator,
        }
    }

    fn load(dto: ResolutionDto<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            transaction: Stored::load(dto.transaction)?,
            evidence: dto.evidence.into(),
            reason: dto.reason.into(),
            operator: dto.operator.into(),
        })
    }
}
