//! What each command would do to its objects, were nothing to go wrong on the way.

use super::call::{Authenticate, ChallengeTerms, Command, Confirm, Create, CreateRefund, RefundTarget};
use super::engine::Answer;
use super::error::ApiError;
use super::metadata::Metadata;
use super::methods::{ChargeOutcome, Failure, TestMethod};
use super::objects::{CaptureMethod, Challenge, Charge, Intent, IntentStatus, Refund};
use super::state::State;
use crate::witness::RowOperation;

mod authorization;

/// When and as what a request is executed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment<'a> {
    /// Of the line.
    pub(crate) seq: u64,
    /// Unix seconds.
    pub(crate) at: u64,
    /// The idempotency key.
    pub(crate) key: Option<&'a str>,
}

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) answer: Answer,
    pub(crate) expand_charge: bool,
    pub(crate) intent: Option<Intent>,
    pub(crate) refund: Option<Refund>,
    /// None when no money moves.
    pub(crate) money: Option<Money>,
    /// The key that the row shows when the request itself has none.
    pub(crate) witness_key: Option<Box<str>>,
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
            witness_key: None,
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
            witness_key: None,
        }
    }
}

/// What the line of this moment would say. An error stores nothing.
///
/// With `forced_decline` the issuer refuses what it would otherwise allow.
pub(crate) fn plan(
    state: &State,
    command: &Command,
    moment: Moment<'_>,
    forced_decline: bool,
) -> Result<Plan, ApiError> {
    match command {
        Command::Create(create) => plan_create(create, moment, forced_decline),
        Command::Confirm(confirm) => Ok(plan_confirm(
            state.intent_in_path(&confirm.id)?,
            confirm,
            moment,
            forced_decline,
        )),
        Command::Capture(capture) => {
            authorization::capture(state.intent_in_path(&capture.id)?, capture, forced_decline)
        }
        Command::Cancel(cancel) => Ok(authorization::cancel(
            state.intent_in_path(&cancel.id)?,
            cancel,
            moment.at,
            forced_decline,
        )),
        Command::Increment(increment) => {
            authorization::increment(state.intent_in_path(&increment.id)?, increment, forced_decline)
        }
        Command::Refund(refund) => plan_refund(state, refund, moment, forced_decline),
        Command::Authenticate(authenticate) => {
            plan_authenticate(state.intent_in_path(&authenticate.id)?, authenticate, moment)
        }
    }
}

fn plan_create(create: &Create, moment: Moment<'_>, forced_decline: bool) -> Result<Plan, ApiError> {
    let intent = Intent {
        seq: moment.seq,
        created: moment.at,
        amount_minor: create.amount_minor,
        currency: create.currency,
        capture_method: create.capture_method,
        multicapture: create.card_options.multicapture.unwrap_or(false),
        incremental: create.card_options.incremental.unwrap_or(false),
        status: match create.method {
            Some(_) => IntentStatus::RequiresConfirmation,
            None => IntentStatus::RequiresPaymentMethod,
        },
        method: create.method,
        customer: create.customer.clone(),
        description: create.description.clone(),
        metadata: Metadata::new(&create.metadata),
        charge: None,
        challenge: None,
        unauthenticated: None,
        canceled: None,
    };
    if !create.confirm {
        return Ok(Plan::done(intent, None, create.expand_charge));
    }
    let method = create.method.ok_or_else(|| ApiError::missing("payment_method"))?;
    let attempt = Attempt {
        moment,
        forced_decline,
        terms: Some(&create.challenge),
        expand_charge: create.expand_charge,
    };
    Ok(attempt.charge(intent, method))
}

fn plan_confirm(intent: &Intent, confirm: &Confirm, moment: Moment<'_>, forced_decline: bool) -> Plan {
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
    intent.multicapture = confirm.card_options.multicapture.unwrap_or(intent.multicapture);
    intent.incremental = confirm.card_options.incremental.unwrap_or(intent.incremental);
    let attempt = Attempt {
        moment,
        forced_decline,
        terms: Some(&confirm.challenge),
        expand_charge: confirm.expand_charge,
    };
    attempt.charge(intent, method)
}

/// The customer has answered the challenge: now the intent is charged, or waits for another method.
fn plan_authenticate(intent: &Intent, answer: &Authenticate, moment: Moment<'_>) -> Result<Plan, ApiError> {
    let (IntentStatus::RequiresAction, Some(method)) = (intent.status, intent.method) else {
        return Err(unexpected_state(intent, "authenticate"));
    };
    let mut intent = intent.clone();
    if !answer.passed {
        intent.status = IntentStatus::RequiresPaymentMethod;
        intent.unauthenticated = Some(method);
        intent.method = None;
        return Ok(Plan::done(intent, None, false));
    }
    let witness_key = intent
        .challenge
        .as_ref()
        .and_then(|challenge| challenge.key.clone());
    let attempt = Attempt {
        moment,
        forced_decline: false,
        terms: None,
        expand_charge: false,
    };
    Ok(Plan {
        witness_key,
        ..attempt.charge(intent, method)
    })
}

/// One try to charge an intent.
struct Attempt<'a> {
    moment: Moment<'a>,
    forced_decline: bool,
    /// Of a challenge, should the method ask for one; none when the customer has passed it.
    terms: Option<&'a ChallengeTerms>,
    expand_charge: bool,
}

impl Attempt<'_> {
    fn charge(self, mut intent: Intent, method: TestMethod) -> Plan {
        intent.method = Some(method);
        intent.unauthenticated = None;
        let failure = match (method.outcome(), self.terms) {
            _ if self.forced_decline => Some(Failure::GenericDecline),
            (ChargeOutcome::Approved | ChargeOutcome::ApprovedThenDisputed, _)
            | (ChargeOutcome::AuthenticationNeeded, None) => None,
            (ChargeOutcome::Failed(failure), _) => Some(failure),
            (ChargeOutcome::AuthenticationNeeded, Some(terms)) if terms.is_error => {
                Some(Failure::AuthenticationRequired)
            }
            (ChargeOutcome::AuthenticationNeeded, Some(terms)) => {
                intent.status = IntentStatus::RequiresAction;
                intent.challenge = Some(Challenge {
                    key: self.moment.key.map(Into::into),
                    return_url: terms.return_url.clone(),
                });
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
            seq: self.moment.seq,
            created: self.moment.at,
            method,
            failure,
            capturable_minor,
            captured_minor,
            refunded_minor: 0,
            captures: 0,
            increments: 0,
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

fn plan_refund(
    state: &State,
    request: &CreateRefund,
    moment: Moment<'_>,
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
        seq: moment.seq,
        created: moment.at,
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
        witness_key: None,
    })
}

fn unexpected_state(intent: &Intent, verb: &str) -> ApiError {
    let message = format!(
        "You cannot {verb} this PaymentIntent because it has a status of {}.",
        intent.status.name()
    );
    ApiError::state("payment_intent_unexpected_state", message)
}
