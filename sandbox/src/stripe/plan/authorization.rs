//! What becomes of reserved money: it is captured, released, or more is reserved.

use super::super::call::{Cancel, Capture, Increment};
use super::super::error::ApiError;
use super::super::methods::Failure;
use super::super::objects::{Canceled, Intent, IntentStatus};
use super::{Money, Plan, unexpected_state};
use crate::witness::RowOperation;

/// Captures of one intent.
const CAPTURES_MAX: u32 = 50;
/// Tries to make an authorization grow, declines included.
const INCREMENTS_MAX: u32 = 10;

pub(super) fn capture(intent: &Intent, capture: &Capture, forced_decline: bool) -> Result<Plan, ApiError> {
    let capturable_minor = intent.capturable_minor();
    if intent.status != IntentStatus::RequiresCapture {
        return Ok(Plan::refused(unexpected_state(intent, "capture"), intent));
    }
    let amount_minor = capture.amount_minor.unwrap_or(capturable_minor);
    if amount_minor > capturable_minor {
        let message =
            format!("The amount to capture is greater than the {capturable_minor} that can be captured.");
        let mut error = ApiError::state("amount_too_large", message);
        error.param = Some("amount_to_capture".into());
        return Ok(Plan::refused(error, intent));
    }
    if let Some(error) = refused_capture(intent, capture, amount_minor) {
        return Ok(Plan::refused(error, intent));
    }
    if forced_decline {
        return Ok(Plan::refused(ApiError::declined(Failure::GenericDecline), intent));
    }
    let mut captured = intent.clone();
    if !capture.metadata.is_empty() {
        captured.metadata = intent.metadata.patched(&capture.metadata)?;
    }
    let charge = captured
        .charge
        .as_mut()
        .expect("an intent that can be captured has a charge");
    charge.captures += 1;
    charge.captured_minor += amount_minor;
    charge.capturable_minor -= amount_minor;
    if capture.is_final || charge.capturable_minor == 0 {
        charge.capturable_minor = 0;
        captured.status = IntentStatus::Succeeded;
    }
    // A capture of nothing takes nothing: it releases the rest.
    let money = match amount_minor {
        0 => Money {
            operation: RowOperation::Void,
            amount_minor: capturable_minor,
        },
        amount_minor => Money {
            operation: RowOperation::Capture,
            amount_minor,
        },
    };
    Ok(Plan::done(captured, Some(money), capture.expand_charge))
}

/// Why an intent that can be captured does not take this capture.
fn refused_capture(intent: &Intent, capture: &Capture, amount_minor: u64) -> Option<ApiError> {
    let captures = intent.charge.as_ref().map_or(0, |charge| charge.captures);
    if !capture.is_final && !intent.multicapture {
        let message =
            "Only a payment intent for which multicapture was requested can be captured more than once.";
        return Some(ApiError::invalid("parameter_invalid", "final_capture", message));
    }
    if amount_minor == 0 && captures == 0 {
        let message = "Nothing was captured yet: cancel the payment intent to release all of it.";
        return Some(ApiError::invalid(
            "parameter_invalid_integer",
            "amount_to_capture",
            message,
        ));
    }
    (amount_minor > 0 && captures >= CAPTURES_MAX).then(|| {
        let message = format!("A payment intent can be captured at most {CAPTURES_MAX} times.");
        ApiError::state("payment_intent_unexpected_state", message)
    })
}

pub(super) fn increment(
    intent: &Intent,
    increment: &Increment,
    forced_decline: bool,
) -> Result<Plan, ApiError> {
    if intent.status != IntentStatus::RequiresCapture || intent.received_minor() > 0 {
        return Ok(Plan::refused(unexpected_state(intent, "increment"), intent));
    }
    let invalid = |message: String| {
        let error = ApiError::invalid("parameter_invalid_integer", "amount", message);
        Ok(Plan::refused(error, intent))
    };
    let added_minor = increment.amount_minor.saturating_sub(intent.amount_minor);
    if added_minor == 0 {
        return invalid(format!(
            "The new amount must be greater than the {} that are authorized.",
            intent.amount_minor
        ));
    }
    let mut grown = intent.clone();
    let charge = grown
        .charge
        .as_mut()
        .expect("an intent that can be captured has a charge");
    if !intent.incremental {
        return invalid("Incremental authorization was not requested for this payment intent.".to_owned());
    }
    if charge.increments >= INCREMENTS_MAX {
        return invalid(format!(
            "An authorization can be incremented at most {INCREMENTS_MAX} times."
        ));
    }
    charge.increments += 1;
    if forced_decline {
        return Ok(Plan::refused(ApiError::declined(Failure::GenericDecline), &grown));
    }
    charge.capturable_minor += added_minor;
    grown.amount_minor = increment.amount_minor;
    if !increment.metadata.is_empty() {
        grown.metadata = intent.metadata.patched(&increment.metadata)?;
    }
    let money = Money {
        operation: RowOperation::Authorize,
        amount_minor: added_minor,
    };
    Ok(Plan::done(grown, Some(money), increment.expand_charge))
}

pub(super) fn cancel(intent: &Intent, cancel: &Cancel, at: u64, forced_decline: bool) -> Plan {
    match intent.status {
        IntentStatus::RequiresPaymentMethod
        | IntentStatus::RequiresConfirmation
        | IntentStatus::RequiresAction
        | IntentStatus::RequiresCapture => {}
        IntentStatus::Succeeded | IntentStatus::Canceled => {
            return Plan::refused(unexpected_state(intent, "cancel"), intent);
        }
    }
    if forced_decline {
        return Plan::refused(ApiError::declined(Failure::GenericDecline), intent);
    }
    let mut canceled = intent.clone();
    let voided_minor = intent.capturable_minor();
    if let Some(charge) = &mut canceled.charge {
        charge.capturable_minor = 0;
    }
    canceled.status = IntentStatus::Canceled;
    canceled.canceled = Some(Canceled {
        at,
        reason: cancel.reason,
    });
    let money = Money {
        operation: RowOperation::Void,
        amount_minor: voided_minor,
    };
    Plan::done(
        canceled,
        (voided_minor > 0).then_some(money),
        cancel.expand_charge,
    )
}
