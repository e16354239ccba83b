//! Objects and errors as Stripe's JSON, written straight into a buffer: fields that are null in the sandbox are constant text.

use std::fmt::Display;
use std::io::Write;

use super::engine::{Answer, Line};
use super::error::{ApiError, ErrorKind};
use super::ids::{Id, Ids};
use super::methods::{ChargeOutcome, Failure, TestMethod};
use super::objects::{CancellationReason, Charge, Intent, IntentStatus, Refund, RefundReason};
use outcome::outcome;

mod outcome;

/// What ids and addresses are made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site<'a> {
    pub(crate) ids: Ids,
    /// Scheme and authority, as browsers reach the sandbox.
    pub(crate) origin: &'a str,
}

const OBJECT_BYTES: usize = 3 * 1024;

/// Status and body of the answer that a line stands for.
pub(crate) fn line_body(site: Site<'_>, line: &Line) -> (u16, Vec<u8>) {
    match (&line.answer, &line.intent, &line.refund) {
        (Answer::Error(error), intent, _) => (error.status, error_body(site, error, intent.as_ref())),
        (Answer::Refund, _, Some(refund)) => (200, refund_body(site, refund)),
        (Answer::Intent, Some(intent), _) => (200, intent_body(site, intent, line.expand_charge)),
        (Answer::Refund, _, None) | (Answer::Intent, None, _) => {
            // Only a log that somebody edited gets here.
            let error = ApiError::internal();
            (error.status, error_body(site, &error, None))
        }
    }
}

pub(crate) fn intent_body(site: Site<'_>, intent: &Intent, expand_charge: bool) -> Vec<u8> {
    let mut json = Json::new(site);
    json.intent(intent, expand_charge);
    json.out
}

pub(crate) fn refund_body(site: Site<'_>, refund: &Refund) -> Vec<u8> {
    let mut json = Json::new(site);
    json.refund(refund);
    json.out
}

pub(crate) fn list_body(site: Site<'_>, page: &[&Intent], has_more: bool, expand_charge: bool) -> Vec<u8> {
    let mut json = Json::new(site);
    json.raw(r#"{"object":"list","url":"/v1/payment_intents","has_more":"#)
        .show(has_more);
    json.page(page, expand_charge);
    json.out
}

pub(crate) fn search_body(site: Site<'_>, page: &[&Intent], has_more: bool, expand_charge: bool) -> Vec<u8> {
    let mut json = Json::new(site);
    json.raw(r#"{"object":"search_result","url":"/v1/payment_intents/search","next_page":null,"has_more":"#)
        .show(has_more);
    json.page(page, expand_charge);
    json.out
}

pub(crate) fn refund_list_body(site: Site<'_>, page: &[&Refund], has_more: bool) -> Vec<u8> {
    let mut json = Json::new(site);
    json.raw(r#"{"object":"list","url":"/v1/refunds","has_more":"#)
        .show(has_more)
        .raw(r#","data":["#);
    for (index, refund) in page.iter().enumerate() {
        json.raw(if index == 0 { "" } else { "," });
        json.refund(refund);
    }
    json.raw("]}");
    json.out
}

/// What an event shows.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shown<'a> {
    Intent(&'a Intent),
    /// The latest charge of this intent.
    Charge(&'a Intent),
    Refund(&'a Refund),
}

pub(crate) fn event_body(
    site: Site<'_>,
    (number, kind): (u64, &str),
    created: u64,
    shown: Shown<'_>,
) -> Vec<u8> {
    let mut json = Json::new(site);
    json.raw(r#"{"id":"#)
        .id(site.ids.event(number))
        .raw(r#","object":"event","api_version":"2026-06-24.dahlia","created":"#)
        .show(created)
        .raw(r#","data":{"object":"#);
    match shown {
        Shown::Intent(intent) => json.intent(intent, false),
        Shown::Charge(intent) => match &intent.charge {
            Some(charge) => json.charge(intent, charge),
            None => _ = json.raw("null"),
        },
        Shown::Refund(refund) => json.refund(refund),
    }
    json.raw(
        r#"},"livemode":false,"pending_webhooks":1,"request":{"id":null,"idempotency_key":null},"type":"#,
    )
    .text(kind)
    .raw("}");
    json.out
}

/// The page on which the customer proves who they are.
fn challenge_url(site: Site<'_>, intent: &Intent) -> String {
    format!("{}/3ds/{}", site.origin, site.ids.intent(intent.seq))
}

/// What lets a browser ask about an intent; always the same, so that replays agree.
pub(crate) fn client_secret(ids: Ids, intent: &Intent) -> String {
    let secret = intent.seq.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("{}_secret_{secret:016x}", ids.intent(intent.seq))
}

/// An error that names no object.
pub(crate) fn refusal_body(error: &ApiError) -> Vec<u8> {
    let nowhere = Site {
        ids: Ids::new(0),
        origin: "",
    };
    error_body(nowhere, error, None)
}

fn error_body(site: Site<'_>, error: &ApiError, intent: Option<&Intent>) -> Vec<u8> {
    let mut json = Json::new(site);
    json.raw(r#"{"error":{"type":""#).raw(error.kind.name()).raw("\"");
    let texts = [
        (r#","code":"#, &error.code),
        (r#","decline_code":"#, &error.decline_code),
        (r#","param":"#, &error.param),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            json.raw(name).text(text);
        }
    }
    if let Some(codes) = error.decline_code.as_deref().and_then(Failure::network_codes) {
        json.network_codes(codes);
    }
    json.raw(r#","message":"#).text(&error.message);
    if let Some(intent) = intent {
        if let (ErrorKind::Card, Some(charge)) = (error.kind, &intent.charge) {
            json.raw(r#","charge":"#).id(site.ids.charge(charge.seq));
            json.raw(r#","payment_method":"#)
                .payment_method(charge.method, charge.created);
        }
        json.raw(r#","payment_intent":"#).intent(intent, false);
    }
    json.raw("}}");
    json.out
}

struct Json<'a> {
    out: Vec<u8>,
    ids: Ids,
    site: Site<'a>,
}

impl<'a> Json<'a> {
    fn new(site: Site<'a>) -> Self {
        Self {
            out: Vec::with_capacity(OBJECT_BYTES),
            ids: site.ids,
            site,
        }
    }

    fn raw(&mut self, text: &str) -> &mut Self {
        self.out.extend_from_slice(text.as_bytes());
        self
    }

    /// A value whose `Display` is already JSON.
    fn show(&mut self, value: impl Display) -> &mut Self {
        write!(self.out, "{value}").expect("writing into memory cannot fail");
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        serde_json::to_writer(&mut self.out, text).expect("a string serializes into memory");
        self
    }

    fn text_or_null(&mut self, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.text(text),
            None => self.raw("null"),
        }
    }

    fn id(&mut self, id: Id) -> &mut Self {
        self.raw("\"").show(id).raw("\"")
    }

    fn id_or_null(&mut self, id: Option<Id>) -> &mut Self {
        match id {
            Some(id) => self.id(id),
            None => self.raw("null"),
        }
    }

    fn page(&mut self, page: &[&Intent], expand_charge: bool) {
        self.raw(r#","data":["#);
        for (index, intent) in page.iter().enumerate() {
            self.raw(if index == 0 { "" } else { "," });
            self.intent(intent, expand_charge);
        }
        self.raw("]}");
    }

    fn intent(&mut self, intent: &Intent, expand_charge: bool) {
        let ids = self.ids;
        let id = ids.intent(intent.seq);
        self.raw(r#"{"id":"#)
            .id(id)
            .raw(r#","object":"payment_intent","amount":"#)
            .show(intent.amount_minor);
        self.raw(r#","amount_capturable":"#)
            .show(intent.capturable_minor());
        self.raw(r#","amount_details":{"tip":{}},"amount_received":"#)
            .show(intent.received_minor());
        self.raw(r#","application":null,"application_fee_amount":null,"automatic_payment_methods":null,"canceled_at":"#);
        match intent.canceled {
            Some(canceled) => self.show(canceled.at),
            None => self.raw("null"),
        };
        let reason = intent.canceled.and_then(|canceled| canceled.reason);
        self.raw(r#","cancellation_reason":"#)
            .text_or_null(reason.map(CancellationReason::name));
        self.raw(r#","capture_method":""#)
            .raw(intent.capture_method.name());
        self.raw(r#"","client_secret":""#)
            .raw(&client_secret(ids, intent));
        self.raw(r#"","confirmation_method":"automatic","created":"#)
            .show(intent.created);
        self.raw(r#","currency":""#).raw(intent.currency.as_str());
        self.raw(r#"","customer":"#)
            .text_or_null(intent.customer.as_deref());
        self.raw(r#","customer_account":null,"description":"#)
            .text_or_null(intent.description.as_deref());
        self.raw(r#","excluded_payment_method_types":null,"last_payment_error":"#);
        let failed = intent
            .charge
            .as_ref()
            .and_then(|charge| charge.failure.map(|failure| (charge, failure)));
        match (intent.unauthenticated, failed) {
            (Some(method), _) => self.authentication_error(method, intent.created),
            (None, Some((charge, failure))) => self.payment_error(charge, failure),
            (None, None) => _ = self.raw("null"),
        }
        self.raw(r#","latest_charge":"#);
        match &intent.charge {
            None => _ = self.raw("null"),
            Some(charge) if expand_charge => self.charge(intent, charge),
            Some(charge) => _ = self.id(ids.charge(charge.seq)),
        }
        self.raw(r#","livemode":false,"managed_payments":null,"metadata":"#)
            .raw(intent.metadata.json());
        self.raw(r#","next_action":"#);
        match intent.status {
            IntentStatus::RequiresAction => {
                let url = challenge_url(self.site, intent);
                let challenge = intent.challenge.as_ref();
                self.raw(r#"{"redirect_to_url":{"return_url":"#)
                    .text_or_null(challenge.and_then(|challenge| challenge.return_url.as_deref()))
                    .raw(r#","url":"#)
                    .text(&url)
                    .raw(r#"},"type":"redirect_to_url"}"#)
            }
            IntentStatus::RequiresPaymentMethod
            | IntentStatus::RequiresConfirmation
            | IntentStatus::RequiresCapture
            | IntentStatus::Canceled
            | IntentStatus::Succeeded => self.raw("null"),
        };
        self.raw(r#","on_behalf_of":null,"payment_method":"#)
            .text_or_null(intent.method.map(TestMethod::name));
        self.raw(concat!(
            r#","payment_method_configuration_details":null,"payment_method_options":{"card":{"installments":null,"#,
            r#""mandate_options":null,"network":null,"#,
        ));
        for (name, asked) in [
            ("request_incremental_authorization", intent.incremental),
            ("request_multicapture", intent.multicapture),
        ] {
            if asked {
                self.text(name).raw(r#":"if_available","#);
            }
        }
        self.raw(concat!(
            r#""request_three_d_secure":"automatic"}},"#,
            r#""payment_method_types":["card"],"processing":null,"receipt_email":null,"review":null,"#,
            r#""setup_future_usage":null,"shipping":null,"source":null,"statement_descriptor":null,"#,
            r#""statement_descriptor_suffix":null,"status":""#,
        ));
        self.raw(intent.status.name())
            .raw(r#"","transfer_data":null,"transfer_group":null}"#);
    }

    fn network_codes(&mut self, (decline_code, advice_code): (&str, &str)) {
        self.raw(r#","network_decline_code":""#).raw(decline_code);
        self.raw(r#"","network_advice_code":""#)
            .raw(advice_code)
            .raw("\"");
    }

    fn payment_error(&mut self, charge: &Charge, failure: Failure) {
        let id = self.ids.charge(charge.seq);
        self.raw(r#"{"charge":"#)
            .id(id)
            .raw(r#","code":""#)
            .raw(failure.code());
        let decline_code = failure.decline_code();
        self.raw(r#"","decline_code":""#).raw(decline_code).raw("\"");
        if let Some(codes) = Failure::network_codes(decline_code) {
            self.network_codes(codes);
        }
        self.raw(r#","message":"#).text(failure.message());
        self.raw(r#","payment_method":"#)
            .payment_method(charge.method, charge.created);
        self.raw(r#","type":"card_error"}"#);
    }

    fn authentication_error(&mut self, method: TestMethod, created: u64) {
        self.raw(concat!(
            r#"{"code":"payment_intent_authentication_failure","#,
            r#""message":"The customer did not authenticate the payment method.","payment_method":"#,
        ))
        .payment_method(method, created);
        self.raw(r#","type":"invalid_request_error"}"#);
    }

    fn payment_method(&mut self, method: TestMethod, created: u64) {
        let card = method.card();
        self.raw(r#"{"id":""#).raw(method.name());
        self.raw(concat!(
            r#"","object":"payment_method","allow_redisplay":"unspecified","billing_details":{"address":{"city":null,"#,
            r#""country":null,"line1":null,"line2":null,"postal_code":null,"state":null},"email":null,"name":null,"#,
            r#""phone":null,"tax_id":null},"card":{"brand":""#,
        ));
        self.raw(card.brand).raw(concat!(
            r#"","checks":{"address_line1_check":null,"address_postal_code_check":null,"cvc_check":"pass"},"#,
            r#""country":"US","exp_month":12,"exp_year":2040,"funding":"credit","last4":""#,
        ));
        self.raw(card.last4)
            .raw(r#"","networks":{"available":[""#)
            .raw(card.brand);
        self.raw(r#""],"preferred":null},"wallet":null},"created":"#)
            .show(created);
        self.raw(r#","customer":null,"customer_account":null,"livemode":false,"metadata":{},"type":"card"}"#);
    }

    fn charge(&mut self, intent: &Intent, charge: &Charge) {
        let ids = self.ids;
        let paid = charge.failure.is_none();
        // Authorized counts as the whole amount; a failed charge shows what was asked for.
        self.raw(r#"{"id":"#)
            .id(ids.charge(charge.seq))
            .raw(r#","object":"charge","amount":"#);
        self.show(intent.amount_minor)
            .raw(r#","amount_captured":"#)
            .show(charge.captured_minor);
        self.raw(r#","amount_refunded":"#).show(charge.refunded_minor);
        self.raw(r#","application":null,"application_fee":null,"application_fee_amount":null,"balance_transaction":"#);
        let captured = charge.captured_minor > 0;
        self.id_or_null(captured.then(|| ids.transaction(charge.seq)));
        self.raw(concat!(
            r#","billing_details":{"address":{"city":null,"country":null,"line1":null,"line2":null,"postal_code":null,"#,
            r#""state":null},"email":null,"name":null,"phone":null,"tax_id":null},"calculated_statement_descriptor":"FLORIN","#,
            r#""captured":"#,
        ));
        self.show(captured).raw(r#","created":"#).show(charge.created);
        self.raw(r#","currency":""#).raw(intent.currency.as_str());
        self.raw(r#"","customer":"#)
            .text_or_null(intent.customer.as_deref());
        self.raw(r#","description":"#)
            .text_or_null(intent.description.as_deref());
        let disputed = match charge.method.outcome() {
            ChargeOutcome::ApprovedThenDisputed => captured,
            ChargeOutcome::Approved | ChargeOutcome::Failed(_) | ChargeOutcome::AuthenticationNeeded => false,
        };
        self.raw(r#","disputed":"#).show(disputed);
        self.raw(r#","failure_balance_transaction":null,"failure_code":"#);
        self.text_or_null(charge.failure.map(Failure::code));
        self.raw(r#","failure_message":"#)
            .text_or_null(charge.failure.map(Failure::message));
        self.raw(r#","fraud_details":{},"livemode":false,"metadata":"#)
            .raw(intent.metadata.json());
        self.raw(r#","on_behalf_of":null,"outcome":"#)
            .raw(outcome(charge.failure));
        self.raw(r#","paid":"#)
            .show(paid)
            .raw(r#","payment_intent":"#)
            .id(ids.intent(intent.seq));
        self.raw(r#","payment_method":""#).raw(charge.method.name());
        let card = charge.method.card();
        let authorized_minor = if paid { intent.amount_minor } else { 0 };
        self.raw(r#"","payment_method_details":{"card":{"amount_authorized":"#)
            .show(authorized_minor)
            .raw(r#","brand":""#)
            .raw(card.brand);
        self.raw(r#"","country":"US","exp_month":12,"exp_year":2040,"funding":"credit","last4":""#)
            .raw(card.last4);
        let availability = |available| if available { "available" } else { "unavailable" };
        self.raw(r#"","incremental_authorization":{"status":""#)
            .raw(availability(intent.incremental && !captured))
            .raw(r#""},"multicapture":{"status":""#)
            .raw(availability(intent.multicapture))
            .raw(r#""},"network":""#)
            .raw(card.brand)
            .raw(r#"","three_d_secure":null,"wallet":null},"type":"card"}"#);
        let fully_refunded = captured && charge.refundable_minor() == 0;
        self.raw(r#","receipt_email":null,"receipt_number":null,"receipt_url":null,"refunded":"#)
            .show(fully_refunded);
        self.raw(concat!(
            r#","refunds":null,"review":null,"shipping":null,"source":null,"source_transfer":null,"#,
            r#""statement_descriptor":null,"statement_descriptor_suffix":null,"status":""#,
        ));
        self.raw(if paid { "succeeded" } else { "failed" });
        self.raw(r#"","transfer_data":null,"transfer_group":null}"#);
    }

    fn refund(&mut self, refund: &Refund) {
        let ids = self.ids;
        self.raw(r#"{"id":"#)
            .id(ids.refund(refund.seq))
            .raw(r#","object":"refund","amount":"#);
        self.show(refund.amount_minor)
            .raw(r#","balance_transaction":"#)
            .id(ids.transaction(refund.seq));
        self.raw(r#","charge":"#)
            .id(ids.charge(refund.charge_seq))
            .raw(r#","created":"#)
            .show(refund.created);
        self.raw(r#","currency":""#).raw(refund.currency.as_str());
        self.raw(concat!(
            r#"","customer":null,"customer_account":null,"destination_details":{"card":{"reference_status":"pending","#,
            r#""reference_type":"acquirer_reference_number","type":"refund"},"type":"card"},"metadata":"#,
        ));
        self.raw(refund.metadata.json())
            .raw(r#","payment_intent":"#)
            .id(ids.intent(refund.intent_seq));
        self.raw(r#","payment_method":""#).raw(refund.method.name());
        self.raw(r#"","reason":"#)
            .text_or_null(refund.reason.map(RefundReason::name));
        self.raw(
            r#","receipt_number":null,"source_transfer_reversal":null,"status":"succeeded","transfer_reversal":null}"#,
        );
    }
}
