//! Owns the forms of payment events. People see the names that histories show.

use super::lists::ListMatchDto;
use super::matter::{MatterDto, NoteDto};
use super::request::{RequestDto, ResolutionDto};
use super::route::{AfterDeclineDto, RouteDto};
use super::routing::WishesDto;
use super::scalar::{List, OperationIdDto, Stored, impossible};
use super::spec::{AssessmentDto, MethodDto, SpecDto, words};
use crate::schema::DecodeError;
use florin_domain::decline::NetworkDecline;
use florin_domain::ledger::{FeeRecognition, PostingModel, PostingProfile};
use florin_domain::payment::{Event, OperationKind, Spec};
use florin_domain::routing::{AfterDecline, Route, Wishes};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

words! {
    OperationKindDto of OperationKind { Sale Authorize Capture Void Refund Increment Reversal }
}

words! {
    PostingModelDto of PostingModel { Marketplace MerchantOfRecord }
}

words! {
    FeeRecognitionDto of FeeRecognition { AtPayment AtSettlement }
}

/// How a payment is booked.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct PostingProfileDto {
    posting: PostingModelDto,
    fee_recognition: FeeRecognitionDto,
}

impl Stored<'_> for PostingProfile {
    type Dto = PostingProfileDto;

    fn store(&self) -> PostingProfileDto {
        PostingProfileDto {
            posting: self.posting.store(),
            fee_recognition: self.fee_recognition.store(),
        }
    }

    fn load(dto: PostingProfileDto) -> Result<Self, DecodeError> {
        Ok(Self {
            posting: Stored::load(dto.posting)?,
            fee_recognition: Stored::load(dto.fee_recognition)?,
        })
    }
}

/// Makes the form of [`Event`] and both conversions from one table, so that they cannot differ. Variants are frozen in this order.
///
/// A payment that wants something of routing is created by a form of its own, because a form cannot grow: the fields of `wished` stand
/// in the spec. Whoever wants nothing is written as ever. So is a route whose rule says what follows a decline: `ruled`; and a decline with
/// its network's own codes: `networked`; and a payment whose customer is not there, with what it wants of routing: `unattended`. A draft says what it wants of routing, if only that it wants nothing.
macro_rules! events {
    (
        $one:ident($one_dto:ty) = $one_wire:literal;
        $($name:ident { $($(#[$attribute:meta])* $field:ident: $dto:ty),* } $(without $absent:ident)? = $wire:literal;)*
        @wished $wished:ident = $wished_wire:literal;
        $($later:ident { $($(#[$later_attribute:meta])* $later_field:ident: $later_dto:ty),* } = $later_wire:literal;)*
        @ruled $ruled:ident = $ruled_wire:literal;
        @networked $networked:ident = $networked_wire:literal;
        @drafted $drafted:ident = $drafted_wire:literal;
        $($last:ident { $($(#[$last_attribute:meta])* $last_field:ident: $last_dto:ty),* } = $last_wire:literal;)*
        @unattended $unattended:ident = $unattended_wire:literal;
        $($newest:ident { $($(#[$newest_attribute:meta])* $newest_field:ident: $newest_dto:ty),* } = $newest_wire:literal;)*
    ) => {
        #[derive(Debug, Serialize, Deserialize)]
        pub(crate) enum EventDto<'a> {
            #[serde(rename = $one_wire, borrow)]
            $one($one_dto),
            $(#[serde(rename = $wire)] $name { $($(#[$attribute])* $field: $dto),* },)*
            #[serde(rename = $wished_wire)]
            $wished {
                #[serde(borrow)]
                spec: SpecDto<'a>,
                method: MethodDto<'a>,
                wishes: WishesDto<'a>,
            },
            $(#[serde(rename = $later_wire)] $later { $($(#[$later_attribute])* $later_field: $later_dto),* },)*
            #[serde(rename = $ruled_wire)]
            $ruled {
                operation: OperationIdDto,
                number: u32,
                #[serde(borrow)]
                route: RouteDto<'a>,
                after_decline: AfterDeclineDto,
            },
            #[serde(rename = $networked_wire)]
            $networked {
                operation: OperationIdDto,
                number: u32,
                decline_code: &'a str,
                reference: Option<&'a str>,
                network_decline_code: Option<&'a str>,
                network_advice_code: Option<&'a str>,
            },
            #[serde(rename = $drafted_wire)]
            $drafted {
                #[serde(borrow)]
                spec: SpecDto<'a>,
                method: Option<MethodDto<'a>>,
                wishes: WishesDto<'a>,
            },
            $(#[serde(rename = $last_wire)] $last { $($(#[$last_attribute])* $last_field: $last_dto),* },)*
            #[serde(rename = $unattended_wire)]
            $unattended {
                #[serde(borrow)]
                spec: SpecDto<'a>,
                method: MethodDto<'a>,
                wishes: WishesDto<'a>,
            },
            $(#[serde(rename = $newest_wire)] $newest { $($(#[$newest_attribute])* $newest_field: $newest_dto),* },)*
        }

        impl<'a> Stored<'a> for Event {
            type Dto = EventDto<'a>;

            fn store(&'a self) -> EventDto<'a> {
                match self {
                    Self::$one(value) => EventDto::$one(value.store()),
                    Self::Created { spec, method } if spec.off_session => EventDto::$unattended {
                        spec: spec.store(),
                        method: method.store(),
                        wishes: spec.routing.store(),
                    },
                    Self::Created { spec, method } if !spec.routing.is_empty() => EventDto::$wished {
                        spec: spec.store(),
                        method: method.store(),
                        wishes: spec.routing.store(),
                    },
                    Self::Routed { operation, number, route } if let Some(after_decline) = &route.after_decline => EventDto::$ruled {
                        operation: operation.store(),
                        number: number.store(),
                        route: route.store(),
                        after_decline: after_decline.store(),
                    },
                    Self::AttemptDeclined { operation, number, decline_code, reference, network } if !network.is_empty() => EventDto::$networked {
                        operation: operation.store(),
                        number: number.store(),
                        decline_code: decline_code.store(),
                        reference: reference.store(),
                        network_decline_code: network.decline_code.store(),
                        network_advice_code: network.advice_code.store(),
                    },
                    $(Self::$name { $($field,)* $($absent: _)? } => EventDto::$name { $($field: $field.store()),* },)*
                    $(Self::$later { $($later_field),* } => EventDto::$later { $($later_field: $later_field.store()),* },)*
                    Self::$drafted { spec, method } => EventDto::$drafted {
                        spec: spec.store(),
                        method: method.store(),
                        wishes: spec.routing.store(),
                    },
                    $(Self::$last { $($last_field),* } => EventDto::$last { $($last_field: $last_field.store()),* },)*
                    $(Self::$newest { $($newest_field),* } => EventDto::$newest { $($newest_field: $newest_field.store()),* },)*
                }
            }

            fn load(dto: EventDto<'a>) -> Result<Self, DecodeError> {
                Ok(match dto {
                    EventDto::$one(value) => Self::$one(Stored::load(value)?),
                    $(EventDto::$name { $($field),* } => Self::$name { $($field: Stored::load($field)?,)* $($absent: NetworkDecline::NONE)? },)*
                    EventDto::$wished { spec, method, wishes } => Self::Created {
                        spec: wishing(Stored::load(spec)?, Stored::load(wishes)?)?,
                        method: Stored::load(method)?,
                    },
                    $(EventDto::$later { $($later_field),* } => {
                        Self::$later { $($later_field: Stored::load($later_field)?),* }
                    })*
                    EventDto::$ruled { operation, number, route, after_decline } => Self::Routed {
                        operation: Stored::load(operation)?,
                        number: Stored::load(number)?,
                        route: ruled(Stored::load(route)?, Stored::load(after_decline)?),
                    },
                    EventDto::$networked { operation, number, decline_code, reference, network_decline_code, network_advice_code } => Self::AttemptDeclined {
                        operation: Stored::load(operation)?,
                        number: Stored::load(number)?,
                        decline_code: Stored::load(decline_code)?,
                        reference: Stored::load(reference)?,
                        network: networked(Stored::load(network_decline_code)?, Stored::load(network_advice_code)?)?,
                    },
                    EventDto::$drafted { spec, method, wishes } => {
                        let mut spec: Arc<Spec> = Stored::load(spec)?;
                        Arc::make_mut(&mut spec).routing = Stored::load(wishes)?;
                        Self::$drafted { spec, method: Stored::load(method)? }
                    }
                    $(EventDto::$last { $($last_field),* } => {
                        Self::$last { $($last_field: Stored::load($last_field)?),* }
                    })*
                    EventDto::$unattended { spec, method, wishes } => {
                        let mut spec: Arc<Spec> = Stored::load(spec)?;
                        let own = Arc::make_mut(&mut spec);
                        (own.routing, own.off_session) = (Stored::load(wishes)?, true);
                        Self::Created { spec, method: Stored::load(method)? }
                    }
                    $(EventDto::$newest { $($newest_field),* } => {
                        Self::$newest { $($newest_field: Stored::load($newest_field)?),* }
                    })*
                })
            }
        }
    };
}

/// A spec with what its merchant wants.
fn wishing(mut spec: Arc<Spec>, wishes: Wishes) -> Result<Arc<Spec>, DecodeError> {
    if wishes.is_empty() {
        return Err(impossible("routing")(
            &"a payment that wants nothing is written without it",
        ));
    }
    Arc::make_mut(&mut spec).routing = wishes;
    Ok(spec)
}

/// A route with what its rule wants after a decline.
fn ruled(mut route: Arc<Route>, after_decline: AfterDecline) -> Arc<Route> {
    Arc::make_mut(&mut route).after_decline = Some(after_decline);
    route
}

/// What a network said, which is something.
fn networked(
    decline_code: Option<Arc<str>>,
    advice_code: Option<Arc<str>>,
) -> Result<NetworkDecline, DecodeError> {
    let network = NetworkDecline {
        decline_code,
        advice_code,
    };
    if network.is_empty() {
        return Err(impossible("network")(
            &"a decline without a word of its network is written without it",
        ));
    }
    Ok(network)
}

events! {
    RiskAssessed(AssessmentDto<'a>) = "risk.assessed";
    Created { #[serde(borrow)] spec: SpecDto<'a>, method: MethodDto<'a> } = "payment.created";
    Blocked {} = "payment.blocked";
    ReviewOpened { #[serde(rename = "deadline_ms")] deadline: u64 } = "review.opened";
    ReviewApproved {} = "review.approved";
    ReviewRejected {} = "review.rejected";
    ReviewExpired {} = "review.expired";
    MethodReplaced { #[serde(borrow)] method: MethodDto<'a> } = "payment.method_replaced";
    OperationOpened {
        operation: OperationIdDto,
        kind: OperationKindDto,
        #[serde(rename = "amount_minor")] amount: u64,
        is_final: bool,
        reason: Option<&'a str>,
        #[serde(rename = "at_ms")] at: u64
    } = "operation.opened";
    AttemptPlanned {
        operation: OperationIdDto,
        number: u32,
        provider: &'a str,
        key: &'a str,
        #[serde(rename = "deadline_ms")] deadline: u64
    } = "attempt.planned";
    AttemptReferenced { operation: OperationIdDto, number: u32, reference: &'a str } = "attempt.referenced";
    AttemptSucceeded {
        operation: OperationIdDto,
        number: u32,
        reference: &'a str,
        transaction: &'a str,
        #[serde(rename = "authorization_expires_at_ms")] authorization_expires_at: Option<u64>
    } = "attempt.succeeded";
    AttemptDeclined {
        operation: OperationIdDto,
        number: u32,
        decline_code: &'a str,
        reference: Option<&'a str>
    } without network = "attempt.declined";
    AttemptActionRequired {
        operation: OperationIdDto,
        number: u32,
        reference: &'a str,
        redirect_url: Option<&'a str>,
        #[serde(rename = "expires_at_ms")] expires_at: u64
    } = "attempt.action_required";
    AttemptPending { operation: OperationIdDto, number: u32, reference: &'a str } = "attempt.pending";
    AttemptUnknown {
        operation: OperationIdDto,
        number: u32,
        reason: &'a str,
        reference: Option<&'a str>
    } = "attempt.unknown";
    AttemptNotSent { operation: OperationIdDto, number: u32, reason: &'a str } = "attempt.not_sent";
    AttemptRejected { operation: OperationIdDto, number: u32, reason: &'a str } = "attempt.rejected";
    AttemptCancelled { operation: OperationIdDto, number: u32 } = "attempt.cancelled";
    LateSuccess {
        operation: OperationIdDto,
        number: u32,
        provider: &'a str,
        #[serde(rename = "amount_minor")] amount: u64,
        transaction: &'a str
    } = "attempt.late_success";
    Abandoned {} = "payment.abandoned";
    AuthorizationExpired {} = "authorization.expired";
    Requested { #[serde(borrow)] request: RequestDto<'a> } = "request.accepted";
    ResolutionProposed {
        operation: OperationIdDto,
        number: u32,
        #[serde(borrow)] resolution: ResolutionDto<'a>
    } = "resolution.proposed";
    ResolutionConfirmed {
        operation: OperationIdDto,
        number: u32,
        #[serde(borrow)] resolution: ResolutionDto<'a>
    } = "resolution.confirmed";
    ListMatched { #[serde(borrow)] listed: ListMatchDto<'a> } = "risk.list_matched";
    HeldForReview {} = "review.held";
    PostingProfileChosen { profile: PostingProfileDto } = "payment.posting_profile_chosen";
    Routed { operation: OperationIdDto, number: u32, #[serde(borrow)] route: RouteDto<'a> } = "attempt.routed";
    LateReversal {
        operation: OperationIdDto,
        number: u32,
        provider: &'a str,
        #[serde(rename = "amount_minor")] amount: u64,
        transaction: &'a str
    } = "attempt.late_reversal";
    @wished CreatedAsWished = "payment.created_as_wished";
    ReversalOpened {
        operation: OperationIdDto,
        of: OperationIdDto,
        number: u32,
        provider: &'a str,
        transaction: &'a str,
        reference: &'a str,
        #[serde(rename = "amount_minor")] amount: u64,
        #[serde(rename = "at_ms")] at: u64
    } = "reversal.opened";
    RetryRefused { decline_code: &'a str } = "payment.retry_refused";
    DeclineRetried { operation: OperationIdDto, number: u32 } = "attempt.decline_retried";
    AttemptClosingAsked { operation: OperationIdDto, number: u32, #[serde(rename = "at_ms")] at: u64 } = "attempt.closing_asked";
    AttemptClosingRefused { operation: OperationIdDto, number: u32 } = "attempt.closing_refused";
    AttemptToldMade {
        operation: OperationIdDto,
        number: u32,
        reference: &'a str,
        transaction: &'a str
    } = "attempt.told_made";
    TransactionClosed { operation: OperationIdDto, number: u32, transaction: &'a str } = "attempt.transaction_closed";
    AttemptOverdue { operation: OperationIdDto, number: u32, #[serde(rename = "at_ms")] at: u64 } = "attempt.overdue";
    MatterRaised { operation: OperationIdDto, #[serde(borrow)] matter: MatterDto<'a> } = "matter.raised";
    MattersNoted { operation: OperationIdDto, #[serde(borrow)] note: NoteDto<'a> } = "matters.noted";
    AttemptsExhausted {} = "payment.attempts_exhausted";
    @ruled RoutedByDeclineRule = "attempt.routed_by_decline_rule";
    @networked AttemptDeclinedByNetwork = "attempt.declined_by_network";
    @drafted Drafted = "payment.drafted";
    Amended {
        #[serde(rename = "amount_minor")] amount: u64,
        #[serde(borrow)] method: Option<MethodDto<'a>>,
        description: Option<&'a str>,
        metadata: List<'a, (Arc<str>, Arc<str>)>
    } = "payment.amended";
    Confirmed { #[serde(borrow)] method: MethodDto<'a> } = "payment.confirmed";
    @unattended CreatedOffSession = "payment.created_off_session";
    OperationGivenUp { operation: OperationIdDto } = "operation.given_up";
}
