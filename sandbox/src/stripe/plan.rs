//! What each command would do to its objects, were nothing to go wrong on the way.

use super::call::{Cancel, Capture, Command, Confirm, Create, CreateRefund, RefundTarget};
use super::engine::Answer;
use super::error::ApiError;
use super::metadata::Metadata;
use super::methods::{ChargeOutcome, Failure, TestMethod};
use super::objects::{Canceled, CaptureMethod, Charge, Intent, IntentStatus, Refund};
use super::state::State;
use crate::witness::RowOperation;

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) answer: Answer,
    pub(crate) expand_charge: bool,
    pub(crate) intent: Option<Intent>,
    pub(crate) refund: Option<Refund>,
    /// None when no money moves.
    pub(crate) money: Option<Money>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Money {
    pub(crate) operation: RowOperation,
    pub(crate) amount_minor: u64,
}

impl Plan {
    pub(crate) fn failed(error: ApiError) -> Self {
        Self {
            answer: Answer::Error(error),
            expand_charge: false,
            intent: None,
            refund: None,
            money: None,
        }
    }

    /// A refusal that depends on the intent, which stays as it is.
    fn refused(error: ApiError, intent: &Intent) -> Self {
        Self {
            intent: Some(intent.clone()),
            ..Self::failed(error)
        }
    }

    fn done(intent: Intent, money: Option<Money>, expand_charge: bool) -> Self {
        Self {
            answer: Answer::Intent,
            expand_charge,
            intent: Some(intent),
            refund: None,
            money,
        }
    }
}

/// What a line numbered `seq` at `at` (unix seconds) would say. An error stores nothing.
///
/// With `forced_decline` the issuer refuses what it would otherwise allow.
pub(crate) fn plan(
    state: &State,
    command: &Command,
    seq: u64,
    at: u64,
    forced_decline: bool,
) -> Result<Plan, ApiError> {
    match command {
        Command::Create(create) => plan_create(create, seq, at, forced_decline),
        Command::Confirm(confirm) => Ok(plan_confirm(
            state.intent_in_path(&confirm.id)?,
            confirm,
            seq,
            at,
            forced_decline,
        )),
        Command::Capture(capture) => {
            plan_capture(state.intent_in_path(&capture.id)?, capture, forced_decline)
        }
        Command::Cancel(cancel) => Ok(plan_cancel(
            state.intent_in_path(&cancel.id)?,
            cancel,
            at,
            forced_decline,
        )),
        Command::Refund(refund) => plan_refund(state, refund, seq, at, forced_decline),
    }
}

fn plan_create(create: &Create, seq: u64, at: u64, forced_decline: bool) -> Result<Plan, ApiError> {
    let intent = Intent {
        seq,
        created: at,
        amount_minor: create.amount_minor,
        currency: create.currency,
        capture_method: create.capture_method,
        status: match create.method {
            Some(_) => IntentStatus::RequiresConfirmation,
            None => IntentStatus::RequiresPaymentMethod,
        },
        method: create.method,
        customer: create.customer.clone(),
        description: create.description.clone(),
        metadata: Metadata::new(&create.metadata),
        charge: None,
        canceled: None,
    };
    if !create.confirm {
        return Ok(Plan::done(intent, None, create.expand_charge));
    }
    let method = create.method.ok_or_else(|| ApiError::missing("payment_method"))?;
    let attempt = Attempt {
        seq,
        at,
        forced_decline,
        error_on_requires_action: create.error_on_requires_action,
        expand_charge: create.expand_charge,
    };
    Ok(attempt.charge(intent, method))
}

fn plan_confirm(intent: &Intent, confirm: &Confirm, seq: u64, at: u64, forced_decline: bool) -> Plan {
    match intent.status {
        IntentStatus::RequiresPaymentMethod
        | IntentStatus::RequiresConfirmation
        | IntentStatus::RequiresAction => {}
        IntentStatus::RequiresCapture | IntentStatus::Succeeded | IntentStatus::Canceled => {
            return Plan::refused(unexpected_state(intent, "confirm"), intent);
        }
    }
    let Some(method) = confirm.method.or(intent.method) else {
        let message = "You cannot confirm this PaymentIntent because it's missing a payment method.";
        return Plan::refused(
            ApiError::state("payment_intent_unexpected_state", message),
            intent,
        );
    };
    let mut intent = intent.clone();
    intent.capture_method = confirm.capture_method.unwrap_or(intent.capture_method);
    let attempt = Attempt {
        seq,
        at,
        forced_decline,
        error_on_requires_action: confirm.error_on_requires_action,
        expand_charge: confirm.expand_charge,
    };
    attempt.charge(intent, method)
}

/// One try to charge an intent.
struct Attempt {
    seq: u64,
    at: u64,
    forced_decline: bool,
    error_on_requires_action: bool,
    expand_charge: bool,
}

impl Attempt {
    fn charge(self, mut intent: Intent, method: TestMethod) -> Plan {
        intent.method = Some(method);
        let failure = match method.outcome() {
            _ if self.forced_decline => Some(Failure::GenericDecline),
            ChargeOutcome::Approved | ChargeOutcome::ApprovedThenDisputed => None,
            ChargeOutcome::Failed(failure) => Some(failure),
            ChargeOutcome::AuthenticationNeeded if self.error_on_requires_action => {
                Some(Failure::AuthenticationRequired)
            }
            ChargeOutcome::AuthenticationNeeded => {
                intent.status = IntentStatus::RequiresAction;
                return Plan::done(intent, None, self.expand_charge);
            }
        };
        let amount_minor = intent.amount_minor;
        let (capturable_minor, captured_minor) = match (failure, intent.capture_method) {
            (Some(_), _) => (0, 0),
            (None, CaptureMethod::Automatic) => (0, amount_minor),
            (None, CaptureMethod::Manual) => (amount_minor, 0),
        };
        intent.charge = Some(Charge {
            seq: self.seq,
            created: self.at,
            method,
            failure,
            capturable_minor,
            captured_minor,
            refunded_minor: 0,
        });
        if let Some(failure) = failure {
            intent.status = IntentStatus::RequiresPaymentMethod;
            intent.method = None;
            return Plan {
                intent: Some(intent),
                ..Plan::failed(ApiError::declined(failure))
            };
        }
        let (status, operation) = match intent.capture_method {
            CaptureMethod::Automatic => (IntentStatus::Succeeded, RowOperation::Sale),
            CaptureMethod::Manual => (IntentStatus::RequiresCapture, RowOperation::Authorize),
        };
        intent.status = status;
        Plan::done(
            intent,
            Some(Money {
                operation,
                amount_minor,
            }),
            self.expand_charge,
        )
    }
}

fn plan_capture(intent: &Intent, capture: &Capture, forced_decline: bool) -> Result<Plan, ApiError> {
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
    charge.captured_minor += amount_minor;
    charge.capturable_minor -= amount_minor;
    if capture.is_final || charge.capturable_minor == 0 {
        charge.capturable_minor = 0;
        captured.status = IntentStatus::Succeeded;
    }
    let money = Money {
        operation: RowOperation::Capture,
        amount_minor,
    };
    Ok(Plan::done(captured, Some(money), capture.expand_charge))
}

fn plan_cancel(intent: &Intent, cancel: &Cancel, at: u64, forced_decline: bool) -> Plan {
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

fn plan_refund(
    state: &State,
    request: &CreateRefund,
    seq: u64,
    at: u64,
    forced_decline: bool,
) -> Result<Plan, ApiError> {
    let intent = match &request.target {
        RefundTarget::Intent(id) => state
            .intent(id)
            .ok_or_else(|| ApiError::no_such("payment_intent", id, "payment_intent", false))?,
        RefundTarget::Charge(id) => state
            .intent_of_charge(id)
            .ok_or_else(|| ApiError::no_such("charge", id, "charge", false))?,
    };
    let refused = |code, message: String| Ok(Plan::refused(ApiError::state(code, message), intent));
    let Some(charge) = intent.charge.as_ref().filter(|charge| charge.captured_minor > 0) else {
        let message = "This PaymentIntent does not have a successful charge to refund.".to_owned();
        return refused("payment_intent_unexpected_state", message);
    };
    match charge.method.outcome() {
        ChargeOutcome::ApprovedThenDisputed => {
            return refused("charge_disputed", "The charge has been charged back.".to_owned());
        }
        ChargeOutcome::Approved | ChargeOutcome::Failed(_) | ChargeOutcome::AuthenticationNeeded => {}
    }
    let refundable_minor = charge.refundable_minor();
    if refundable_minor == 0 {
        return refused(
            "charge_already_refunded",
            "The charge has already been refunded.".to_owned(),
        );
    }
    let amount_minor = request.amount_minor.unwrap_or(refundable_minor);
    if amount_minor > refundable_minor {
        let message = format!(
            "Refund amount ({amount_minor}) is greater than unrefunded amount on charge ({refundable_minor})"
        );
        return refused("amount_too_large", message);
    }
    if forced_decline {
        return Ok(Plan::refused(ApiError::declined(Failure::GenericDecline), intent));
    }
    let refund = Refund {
        seq,
        created: at,
        amount_minor,
        currency: intent.currency,
        intent_seq: intent.seq,
        charge_seq: charge.seq,
        method: charge.method,
        reason: request.reason,
        metadata: Metadata::new(&request.metadata),
    };
    let mut refunded = intent.clone();
    refunded
        .charge
        .as_mut()
        .expect("the charge was just read")
        .refunded_minor += amount_minor;
    Ok(Plan {
        answer: Answer::Refund,
        expand_charge: false,
        intent: Some(refunded),
        refund: Some(refund),
        money: Some(Money {
            operation: RowOperation::Refund,
            amount_minor,
        }),
    })
}

fn unexpected_state(intent: &Intent, verb: &str) -> ApiError {
    let message = format!(
        "You cannot {verb} this PaymentIntent because it has a status of {}.",
        intent.status.name()
    );
    ApiError::state("payment_intent_unexpected_state", message)
}
