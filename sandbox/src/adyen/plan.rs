//! What a call does to its payment, what it is answered with, and what is told of it.

use serde_json::{Value, json};

use super::answer::{self, Refusal, redirect_result};
use super::call::{Call, Modify, Pay};
use super::cards::{Charged, outcome};
use super::notice::{Event, Notice};
use super::state::{Payment, State, Status};
use crate::clock::UnixMillis;
use crate::faults::{Drawn, Hit};
use crate::stripe::Currency;
use crate::witness::RowOperation;

/// What a call comes to, before faults have their say about its answer.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) status: u16,
    pub(super) body: Value,
    pub(super) payment: Option<Payment>,
    pub(super) notice: Option<Notice>,
    pub(super) money: Option<Money>,
}

#[derive(Debug)]
pub(super) struct Money {
    pub(super) operation: RowOperation,
    pub(super) value: u64,
    pub(super) currency: Currency,
    /// The merchant's name of what moved it.
    pub(super) reference: Box<str>,
    pub(super) key: Option<Box<str>>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Moment<'a> {
    pub(super) seq: u64,
    pub(super) now: UnixMillis,
    pub(super) key: Option<&'a str>,
    pub(super) drawn: Drawn,
}

impl Plan {
    pub(super) fn answer(status: u16, body: Value) -> Self {
        Self {
            status,
            body,
            payment: None,
            notice: None,
            money: None,
        }
    }
}

pub(super) fn plan(state: &State, call: &Call, moment: Moment<'_>) -> Result<Plan, Refusal> {
    match call {
        Call::Pay(pay) => Ok(plan_payment(state, pay, moment)),
        Call::Details { redirect_result } => plan_details(state, redirect_result, moment),
        Call::Capture(modify) => plan_capture(state, modify, moment),
        Call::Refund(modify) => plan_refund(state, modify, moment),
        Call::Update(modify) => plan_update(state, modify, moment),
        Call::Cancel(modify) => {
            let payment = found(state, modify)?;
            let (reference, account) = (modify.reference.as_deref(), &*modify.merchant_account);
            let mut plan = plan_cancel(
                state,
                Some(payment),
                Event::Cancellation,
                (account, reference),
                moment,
            );
            plan.body["paymentPspReference"] = json!(modify.psp_reference);
            Ok(plan)
        }
        Call::TechnicalCancel {
            payment_reference,
            merchant_account,
            reference,
        } => {
            let payment = state.by_reference(payment_reference);
            let named = (&**merchant_account, reference.as_deref());
            let mut plan = plan_cancel(state, payment, Event::TechnicalCancel, named, moment);
            plan.body["paymentReference"] = json!(payment_reference);
            Ok(plan)
        }
    }
}

fn found<'a>(state: &'a State, modify: &Modify) -> Result<&'a Payment, Refusal> {
    let payment = state.by_psp_reference(&modify.psp_reference);
    let payment = payment.filter(|payment| payment.status != Status::Challenged);
    payment.ok_or(Refusal::NO_PAYMENT)
}

fn plan_payment(state: &State, pay: &Pay, moment: Moment<'_>) -> Plan {
    let charged = if moment.drawn.hit == Some(Hit::Decline) {
        Charged::Refused("Refused", "2")
    } else {
        match outcome(pay.method, pay.holder.as_deref()) {
            Charged::Challenged if pay.is_unattended => Charged::Refused("Authentication required", "38"),
            decided => decided,
        }
    };
    let payment = Payment {
        seq: moment.seq,
        merchant_account: pay.merchant_account.clone(),
        reference: pay.reference.clone(),
        key: moment.key.map(Into::into),
        method: pay.method,
        value: pay.value,
        currency: pay.currency,
        is_manual: pay.is_manual,
        return_url: pay.return_url.clone(),
        status: Status::Challenged,
        passed: None,
        captured: 0,
        refunded: 0,
        released: 0,
    };
    match charged {
        Charged::Challenged => {
            let body = answer::payment(state, &payment);
            Plan {
                payment: Some(payment),
                ..Plan::answer(200, body)
            }
        }
        Charged::Authorised => settle(state, payment, None, moment),
        Charged::Refused(reason, code) => settle(state, payment, Some((reason, code)), moment),
    }
}

/// The charge of a payment is decided now.
fn settle(
    state: &State,
    mut payment: Payment,
    refusal: Option<(&'static str, &'static str)>,
    moment: Moment<'_>,
) -> Plan {
    payment.status = match refusal {
        None => Status::Authorised,
        Some((reason, code)) => Status::Refused {
            reason: reason.into(),
            code: code.into(),
        },
    };
    if refusal.is_none() && !payment.is_manual {
        payment.captured = payment.value;
    }
    let money = refusal.is_none().then(|| Money {
        operation: if payment.is_manual {
            RowOperation::Authorize
        } else {
            RowOperation::Sale
        },
        value: payment.value,
        currency: payment.currency,
        reference: payment.reference.clone(),
        key: payment.key.clone(),
    });
    let notice = Notice {
        psp_reference: state.psp_reference(payment.seq).into(),
        merchant_reference: payment.reference.clone(),
        value: payment.value,
        failure: refusal.map(|(reason, _)| reason.into()),
        ..notice(Event::Authorisation, &payment, moment)
    };
    let body = answer::payment(state, &payment);
    Plan {
        payment: Some(payment),
        notice: Some(notice),
        money,
        ..Plan::answer(200, body)
    }
}

fn notice(event: Event, payment: &Payment, moment: Moment<'_>) -> Notice {
    let Drawn {
        notice_copies,
        notice_delay_ms,
        ..
    } = moment.drawn;
    Notice {
        event,
        psp_reference: Box::default(),
        original_reference: None,
        merchant_account: payment.merchant_account.clone(),
        merchant_reference: Box::default(),
        value: 0,
        currency: payment.currency,
        failure: None,
        due_ms: moment.now.plus_ms(notice_delay_ms).0,
        copies: 1 + notice_copies,
    }
}

/// The customer is back. Bringing it twice is answered with what it came to.
fn plan_details(state: &State, redirect_result: &str, moment: Moment<'_>) -> Result<Plan, Refusal> {
    let invalid = Refusal::validation("14_006", "Invalid payment details");
    let seq = redirect_result
        .split_once('!')
        .and_then(|(_, seq)| seq.parse().ok());
    let payment = seq
        .and_then(|seq| state.payment(seq))
        .filter(|payment| redirect_result_of(state, payment) == redirect_result)
        .ok_or(invalid.clone())?;
    match (&payment.status, payment.passed) {
        (Status::Challenged, None) => Err(invalid),
        (Status::Challenged, Some(passed)) => {
            let refusal = if moment.drawn.hit == Some(Hit::Decline) {
                Some(("Refused", "2"))
            } else {
                (!passed).then_some(("3D Not Authenticated", "11"))
            };
            Ok(settle(state, payment.clone(), refusal, moment))
        }
        (Status::Authorised | Status::Refused { .. } | Status::Cancelled, _) => {
            Ok(Plan::answer(200, answer::payment(state, payment)))
        }
    }
}

fn redirect_result_of(state: &State, payment: &Payment) -> String {
    redirect_result(state, payment.seq)
}

/// What a modification is acknowledged with; what it comes to is in its notice.
fn acknowledged(state: &State, (account, reference): (&str, Option<&str>), moment: Moment<'_>) -> Plan {
    let mut body = json!({
        "merchantAccount": account, "pspReference": state.psp_reference(moment.seq), "status": "received",
    });
    if let Some(reference) = reference {
        body["reference"] = json!(reference);
    }
    Plan::answer(201, body)
}

/// A modification of a payment that is there.
#[derive(Debug, Clone, Copy)]
struct Change<'a> {
    event: Event,
    operation: RowOperation,
    /// What it moves.
    value: u64,
    /// What is told of it, if that is something else.
    told: Option<u64>,
    /// The merchant's name of it; else the payment's.
    reference: Option<&'a str>,
    failure: Option<&'static str>,
}

fn told(state: &State, payment: Payment, change: Change<'_>, moment: Moment<'_>, mut plan: Plan) -> Plan {
    let reference: Box<str> = change
        .reference
        .map_or_else(|| payment.reference.clone(), Into::into);
    plan.notice = Some(Notice {
        psp_reference: state.psp_reference(moment.seq).into(),
        original_reference: Some(state.psp_reference(payment.seq).into()),
        merchant_reference: reference.clone(),
        value: change.told.unwrap_or(change.value),
        failure: change.failure.map(Into::into),
        ..notice(change.event, &payment, moment)
    });
    if change.failure.is_none() {
        plan.money = (change.value > 0).then(|| Money {
            operation: change.operation,
            value: change.value,
            currency: payment.currency,
            reference,
            key: moment.key.map(Into::into),
        });
        plan.payment = Some(payment);
    }
    plan
}

const DECLINED: &str = "Refused by the acquirer";
const NO_BALANCE: &str = "Insufficient balance on payment";
const NOT_ADJUSTABLE: &str = "Nothing of it may be captured or released";
const NOT_FOUND: &str = "Transaction not found";

fn plan_capture(state: &State, modify: &Modify, moment: Moment<'_>) -> Result<Plan, Refusal> {
    let mut payment = found(state, modify)?.clone();
    let (value, plan) = modified(state, modify, &payment, moment)?;
    let failure = match moment.drawn.hit {
        Some(Hit::Decline) => Some(DECLINED),
        _ => (value > payment.held()).then_some(NO_BALANCE),
    };
    if failure.is_none() {
        payment.captured += value;
    }
    let change = Change {
        event: Event::Capture,
        operation: RowOperation::Capture,
        value,
        told: None,
        reference: modify.reference.as_deref(),
        failure,
    };
    Ok(told(state, payment, change, moment, plan))
}

fn plan_refund(state: &State, modify: &Modify, moment: Moment<'_>) -> Result<Plan, Refusal> {
    let mut payment = found(state, modify)?.clone();
    let (value, plan) = modified(state, modify, &payment, moment)?;
    let failure = match moment.drawn.hit {
        Some(Hit::Decline) => Some(DECLINED),
        _ => (value > payment.captured - payment.refunded).then_some(NO_BALANCE),
    };
    if failure.is_none() {
        payment.refunded += value;
    }
    let change = Change {
        event: Event::Refund,
        operation: RowOperation::Refund,
        value,
        told: None,
        reference: modify.reference.as_deref(),
        failure,
    };
    Ok(told(state, payment, change, moment, plan))
}

/// More is reserved, or less. What was captured of already stays as it is.
fn plan_update(state: &State, modify: &Modify, moment: Moment<'_>) -> Result<Plan, Refusal> {
    let mut payment = found(state, modify)?.clone();
    let (total, plan) = modified(state, modify, &payment, moment)?;
    let failure = match moment.drawn.hit {
        Some(Hit::Decline) => Some(DECLINED),
        _ if payment.status != Status::Authorised || payment.held() != payment.value => Some(NOT_ADJUSTABLE),
        _ => None,
    };
    let (operation, value) = if total >= payment.value {
        (RowOperation::Authorize, total - payment.value)
    } else {
        (RowOperation::Void, payment.value - total)
    };
    if failure.is_none() {
        payment.value = total;
    }
    let change = Change {
        event: Event::AuthorisationAdjustment,
        operation,
        value,
        told: Some(total),
        reference: modify.reference.as_deref(),
        failure,
    };
    Ok(told(state, payment, change, moment, plan))
}

/// The amount of a modification, and its acknowledgement.
fn modified(
    state: &State,
    modify: &Modify,
    payment: &Payment,
    moment: Moment<'_>,
) -> Result<(u64, Plan), Refusal> {
    let invalid = Refusal::validation("137", "Invalid amount specified");
    let (value, currency) = modify.amount.ok_or(invalid.clone())?;
    if currency != payment.currency {
        return Err(invalid);
    }
    let named = (&*modify.merchant_account, modify.reference.as_deref());
    let mut plan = acknowledged(state, named, moment);
    plan.body["paymentPspReference"] = json!(modify.psp_reference);
    plan.body["amount"] = json!({ "currency": currency.as_str().to_uppercase(), "value": value });
    Ok((value, plan))
}

/// Releases what is held, or ends a challenge. A payment that was never seen is not found, and may still come.
fn plan_cancel(
    state: &State,
    payment: Option<&Payment>,
    event: Event,
    (account, reference): (&str, Option<&str>),
    moment: Moment<'_>,
) -> Plan {
    let plan = acknowledged(state, (account, reference), moment);
    let Some(payment) = payment else {
        let unseen = Notice {
            event,
            psp_reference: state.psp_reference(moment.seq).into(),
            original_reference: None,
            merchant_account: account.into(),
            merchant_reference: reference.unwrap_or_default().into(),
            value: 0,
            currency: Currency::named("eur").expect("three letters"),
            failure: Some(NOT_FOUND.into()),
            due_ms: moment.now.plus_ms(moment.drawn.notice_delay_ms).0,
            copies: 1 + moment.drawn.notice_copies,
        };
        return Plan {
            notice: Some(unseen),
            ..plan
        };
    };
    let mut payment = payment.clone();
    let held = payment.held();
    let failure = match (&payment.status, moment.drawn.hit) {
        (_, Some(Hit::Decline)) => Some(DECLINED),
        (Status::Authorised, _) if held == 0 && payment.released == 0 => Some("Transaction was captured"),
        (Status::Authorised | Status::Challenged | Status::Refused { .. } | Status::Cancelled, _) => None,
    };
    if failure.is_none() {
        match payment.status {
            Status::Authorised => payment.released += held,
            Status::Challenged => payment.status = Status::Cancelled,
            Status::Refused { .. } | Status::Cancelled => {}
        }
    }
    let change = Change {
        event,
        operation: RowOperation::Void,
        value: held,
        told: None,
        reference,
        failure,
    };
    told(state, payment, change, moment, plan)
}
