//! What an event makes of a payment: the one place where legality is checked and state changes.

use super::closing::{self, Closing};
use super::draft::{self, Terms};
use super::event::Event;
use super::matter;
use super::operation::{Attempt, AttemptState, Operation, OperationKind};
use super::outcome::{
    Direction, close, close_attempt, late, late_charge, release, settle, succeed, unresolved_attempt,
};
use super::planning::{open, plan, retry_elsewhere};
use super::reversal;
use super::state::{DeclinePolicy, Failure, NextAction, Payment, Status};
use super::unsent;
use crate::decline::NetworkDecline;
use crate::ids::OperationId;
use crate::money::MinorSum;
use crate::time::Timestamp;
use std::sync::Arc;

#[expect(
    clippy::too_many_lines,
    reason = "one flat table: every event with what it does"
)]
pub(super) fn change(payment: &mut Payment, event: &Event, at: Timestamp) -> Result<(), &'static str> {
    match event {
        Event::Created { .. } | Event::Drafted { .. } => return Err("the payment exists already"),
        Event::Amended {
            amount,
            method,
            description,
            metadata,
        } => {
            let terms = Terms {
                amount: *amount,
                method: method.as_ref(),
                description: description.as_ref(),
                metadata,
            };
            draft::amended(payment, terms)?;
        }
        Event::Confirmed { method } => draft::confirmed(payment, method)?,
        Event::ResolutionProposed {
            operation,
            number,
            resolution,
        } => {
            unresolved_attempt(payment, *operation, *number)?;
            let op = payment.operation_mut(*operation).ok_or("no such operation")?;
            op.proposal = Some(resolution.clone());
        }
        Event::ResolutionConfirmed {
            operation,
            number,
            resolution,
        } => {
            unresolved_attempt(payment, *operation, *number)?;
            let op = payment.operation_mut(*operation).ok_or("no such operation")?;
            let proposed = op.proposal.as_ref().map(|proposal| &proposal.operator);
            if proposed.is_none_or(|operator| *operator == resolution.operator) {
                return Err("a resolution takes two people");
            }
            op.proposal = None;
        }
        Event::Requested { request } => {
            if payment.request(request.key_digest).is_some() {
                return Err("the key was used before");
            }
            payment.requests.push(request.clone());
        }
        // The assessment that follows says what comes of it.
        Event::ListMatched { .. } => {}
        Event::RiskAssessed(assessment) => payment.risk = Some(assessment.clone()),
        Event::Blocked => {
            check_nothing_charges(payment)?;
            block(payment);
        }
        Event::RetryRefused { decline_code } => {
            // Or it has reached nobody so far, and is driven on.
            if payment.status != Status::RequiresConfirmation || !payment.may_charge() {
                check_nothing_charges(payment)?;
            }
            decline(payment, decline_code, &NetworkDecline::NONE);
        }
        Event::DeclineRetried { operation, number } => retry_elsewhere(payment, *operation, *number)?,
        Event::HeldForReview => {
            check_nothing_charges(payment)?;
            payment.held_for_review = true;
        }
        // The plan that follows says where it goes.
        Event::Routed {
            operation, number, ..
        } => {
            if payment.next_attempt(*operation) != *number {
                return Err("the route is not that of the next attempt");
            }
        }
        Event::PostingProfileChosen { profile } => {
            // It belongs to the payment's creation: no two of its entries follow different rules.
            if !payment.operations.is_empty() || payment.risk.is_some() {
                return Err("the payment has begun");
            }
            payment.posting_profile = *profile;
        }
        Event::ReviewOpened { deadline } => {
            if !(payment.held_for_review && payment.status == Status::Authorized) {
                check_nothing_charges(payment)?;
            }
            payment.status = Status::InReview { deadline: *deadline };
        }
        Event::ReviewApproved => {
            check_review(payment)?;
            payment.status = if payment.authorized == MinorSum::ZERO {
                Status::Processing
            } else {
                Status::Authorized
            };
        }
        Event::ReviewRejected => {
            check_review(payment)?;
            block(payment);
        }
        Event::ReviewExpired => {
            check_review(payment)?;
            close(payment)?;
        }
        Event::Abandoned => close(payment)?,
        Event::MethodReplaced { method } => {
            if !payment.status.takes_method() || !payment.may_charge() {
                return Err("an earlier method may have charged");
            }
            if payment.is_draft() {
                return Err("it was not confirmed yet");
            }
            payment.method = Some(method.clone());
            payment.failure = None;
            payment.status = Status::Processing;
        }
        Event::OperationOpened {
            operation,
            kind,
            amount,
            is_final,
            reason,
            at,
        } => {
            let opened = Operation {
                is_final: *is_final,
                reason: reason.clone(),
                ..Operation::opened((*operation, *kind), *amount, *at)
            };
            open(payment, opened)?;
        }
        Event::ReversalOpened {
            operation,
            of,
            number,
            provider,
            transaction,
            reference,
            amount,
            at,
        } => {
            let charge = late_charge(*number, *provider, *amount, transaction);
            let reverses = reversal::opened(payment, *of, &charge, reference)?;
            let opened = Operation {
                reverses: Some(reverses),
                ..Operation::opened((*operation, OperationKind::Reversal), *amount, *at)
            };
            open(payment, opened)?;
        }
        Event::AttemptPlanned {
            operation,
            number,
            provider,
            key,
            deadline,
        } => {
            let attempt = Attempt {
                number: *number,
                provider: *provider,
                key: Arc::clone(key),
                reference: None,
                deadline: *deadline,
                state: AttemptState::Open,
                unknown_reason: None,
                closing: Closing::default(),
                overdue_since: None,
            };
            plan(payment, *operation, attempt)?;
        }
        Event::AttemptReferenced {
            operation,
            number,
            reference,
        } => {
            unresolved_attempt(payment, *operation, *number)?.reference = Some(Arc::clone(reference));
        }
        Event::LateSuccess {
            operation,
            number,
            provider,
            amount,
            transaction,
        } => {
            let charge = late_charge(*number, *provider, *amount, transaction);
            late(payment, *operation, charge, Direction::Done)?;
        }
        Event::LateReversal {
            operation,
            number,
            provider,
            amount,
            transaction,
        } => {
            let charge = late_charge(*number, *provider, *amount, transaction);
            late(payment, *operation, charge, Direction::Undone)?;
        }
        Event::AuthorizationExpired => {
            if payment.status != Status::Authorized {
                return Err("no authorization stands");
            }
            release(payment);
        }
        Event::AttemptSucceeded {
            operation,
            number,
            reference,
            transaction,
            authorization_expires_at,
        } => {
            let attempt = unresolved_attempt(payment, *operation, *number)?;
            attempt.state = AttemptState::Succeeded;
            attempt.reference = Some(Arc::clone(reference));
            let op = payment.operation_mut(*operation).ok_or("no such operation")?;
            op.transaction = Some(Arc::clone(transaction));
            let op = op.clone();
            succeed(payment, &op, at)?;
            payment.authorization_expires_at = authorization_expires_at.or(payment.authorization_expires_at);
        }
        Event::AttemptDeclined {
            operation,
            number,
            decline_code,
            reference,
            network,
        } => {
            settle(
                payment,
                (*operation, *number),
                AttemptState::Declined,
                reference.as_ref(),
            )?;
            if operation_authorizes(*operation) {
                closing::expired(payment, *operation, decline_code);
                decline(payment, decline_code, network);
            }
        }
        Event::AttemptActionRequired {
            operation,
            number,
            reference,
            redirect_url,
            expires_at,
        } => {
            settle(
                payment,
                (*operation, *number),
                AttemptState::ActionRequired,
                Some(reference),
            )?;
            if operation_authorizes(*operation) {
                let redirect_url = redirect_url.clone();
                payment.status = Status::RequiresAction(NextAction {
                    redirect_url,
                    expires_at: *expires_at,
                });
            }
        }
        Event::AttemptPending {
            operation,
            number,
            reference,
        } => {
            settle(
                payment,
                (*operation, *number),
                AttemptState::Pending,
                Some(reference),
            )?;
            if operation_authorizes(*operation) {
                payment.status = Status::Processing;
            }
        }
        Event::AttemptUnknown {
            operation,
            number,
            reason,
            reference,
        } => {
            settle(
                payment,
                (*operation, *number),
                AttemptState::Unknown,
                reference.as_ref(),
            )?;
            unresolved_attempt(payment, *operation, *number)?.unknown_reason = Some(Arc::clone(reason));
            if operation_authorizes(*operation) {
                payment.status = Status::Processing;
            }
        }
        Event::AttemptNotSent {
            operation, number, ..
        } => {
            close_attempt(payment, *operation, *number, AttemptState::NotSent)?;
        }
        Event::AttemptRejected {
            operation, number, ..
        } => {
            close_attempt(payment, *operation, *number, AttemptState::Rejected)?;
        }
        Event::AttemptCancelled { operation, number } => {
            close_attempt(payment, *operation, *number, AttemptState::Cancelled)?;
        }
        Event::AttemptClosingAsked {
            operation,
            number,
            at,
        } => {
            let attempt = unresolved_attempt(payment, *operation, *number)?;
            attempt.closing.asked_at = Some(*at);
        }
        Event::AttemptClosingRefused { operation, number } => {
            let attempt = unresolved_attempt(payment, *operation, *number)?;
            attempt.closing.is_refused = true;
        }
        Event::AttemptToldMade {
            operation,
            number,
            reference,
            transaction,
        } => closing::told_made(payment, (*operation, *number), reference, transaction)?,
        Event::TransactionClosed {
            operation,
            number,
            transaction,
        } => closing::transaction_closed(payment, (*operation, *number), transaction)?,
        Event::AttemptOverdue {
            operation,
            number,
            at,
        } => {
            let attempt = unresolved_attempt(payment, *operation, *number)?;
            if attempt.state != AttemptState::Pending {
                return Err("nothing was taken on that could be overdue");
            }
            attempt.overdue_since = Some(*at);
        }
        Event::MatterRaised { operation, matter } => {
            let op = payment.operation_mut(*operation).ok_or("no such operation")?;
            matter::raised(op, matter)?;
        }
        Event::MattersNoted { operation, .. } => {
            matter::noted(payment.operation_mut(*operation).ok_or("no such operation")?)?;
        }
        Event::AttemptsExhausted => exhaust(payment)?,
        Event::OperationGivenUp { operation } => unsent::give_up(payment, *operation)?,
    }
    Ok(())
}

/// No attempt is left, and none charged: nobody can pay under this payment any more.
fn exhaust(payment: &mut Payment) -> Result<(), &'static str> {
    if payment.status != Status::RequiresConfirmation || !payment.has_used_up_attempts() {
        return Err("it may still be charged");
    }
    if !payment.may_charge() {
        return Err("it is charged already, or may be");
    }
    payment.status = Status::Failed;
    payment.failure = Some(Failure {
        code: Failure::ATTEMPTS_EXHAUSTED,
        decline_code: None,
        network: NetworkDecline::NONE,
    });
    Ok(())
}

pub(super) const fn operation_authorizes(id: OperationId) -> bool {
    matches!(id, OperationId::Authorize(_))
}

fn block(payment: &mut Payment) {
    payment.status = Status::Blocked;
    payment.failure = Some(Failure {
        code: "card_declined",
        decline_code: Some(Arc::from("fraudulent")),
        network: NetworkDecline::NONE,
    });
}

fn decline(payment: &mut Payment, decline_code: &Arc<str>, network: &NetworkDecline) {
    payment.status = match payment.spec.after_decline {
        DeclinePolicy::Fail => Status::Failed,
        DeclinePolicy::AwaitMethod => Status::RequiresPaymentMethod,
    };
    payment.failure = Some(Failure {
        code: "card_declined",
        decline_code: Some(Arc::clone(decline_code)),
        network: network.clone(),
    });
}

fn check_nothing_charges(payment: &Payment) -> Result<(), &'static str> {
    if payment.status == Status::Processing && payment.unresolved().next().is_none() {
        Ok(())
    } else {
        Err("it is charged already, or may be")
    }
}

fn check_review(payment: &Payment) -> Result<(), &'static str> {
    if matches!(payment.status, Status::InReview { .. }) {
        Ok(())
    } else {
        Err("no review is open")
    }
}
