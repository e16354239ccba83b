//! Adyen's standard notifications: signed one by one, told at least once, in any order.

use super::amounts::from_wire;
use super::config::HmacKey;
use super::names::{self, Named};
use super::request::is_psp_reference;
use super::response::{decline_code, snake};
use super::wire::{Notification, Notifications, networks};
use crate::base64;
use crate::secrets::{Book, Held};
use aws_lc_rs::{constant_time, hmac};
use florin_domain::credentials::{CredentialKind, Credentials};
use florin_domain::ids::{MerchantId, OperationId, PaymentId};
use florin_domain::money::Currency;
use florin_domain::ports::NoticeReader;
use florin_domain::provider::{
    Compared, Letter, Named as AttemptName, Notice, NoticeRefusal, Outcome, ProviderId, ProviderReference,
    Said, Signer,
};
use std::sync::Arc;

/// What a body is not.
const MALFORMED: NoticeRefusal = NoticeRefusal::Malformed {
    field: "notificationItems",
    why: "must be a list of notification items",
};

/// A set that a merchant has present.
type OwnSet = (MerchantId, Held);

/// Who reads the notifications of one merchant account.
#[derive(Clone, Debug)]
struct Sender {
    provider: ProviderId,
    merchant_account: Arc<str>,
    key: HmacKey,
}

/// Reads the notifications of all configured accounts.
#[derive(Clone, Debug, Default)]
pub struct AdyenNotices {
    configured: Vec<Sender>,
    /// What merchants have of their own.
    book: Option<Arc<Book>>,
}

impl AdyenNotices {
    /// Reads those of one more account.
    #[must_use]
    pub fn with(mut self, provider: ProviderId, merchant_account: &str, key: HmacKey) -> Self {
        self.configured.push(Sender {
            provider,
            merchant_account: Arc::from(merchant_account),
            key,
        });
        self
    }

    /// Reads those of merchants with accounts or keys of their own, too.
    #[must_use]
    pub fn with_credentials(self, book: Arc<Book>) -> Self {
        let book = Some(book);
        Self { book, ..self }
    }

    /// The sets that merchants have present at this provider.
    fn own_sets(&self, provider: ProviderId) -> Vec<OwnSet> {
        let mut own = Vec::new();
        for (merchant, held) in self.book.iter().flat_map(|book| book.everybodys(provider)) {
            if held.credentials.kind() == CredentialKind::Adyen {
                own.push((merchant, held));
            }
        }
        own
    }

    /// Whose signature an item carries: the platform's, or that of every merchant with a set of the account that it names, any of whose keys
    /// fits. Nobody else's keys are touched.
    fn signer(&self, provider: ProviderId, own: &[OwnSet], item: &Notification<'_>) -> Option<Signer> {
        let account = &item.merchant_account_code;
        let of_account =
            |sender: &&Sender| sender.provider == provider && account.is(&sender.merchant_account);
        let mut is_platform = false;
        for sender in self.configured.iter().filter(of_account) {
            is_platform |= is_signed(item, &sender.key);
        }
        if is_platform {
            return Some(Signer::Platform);
        }
        // The versions of each merchant for that account, and whether any of its keys fits: a charge under one of them may be told of under
        // the keys of another.
        let mut accounts: Vec<(MerchantId, Vec<u32>, bool)> = Vec::new();
        for (merchant, held) in own {
            let Credentials::Adyen(set) = &*held.credentials else {
                continue;
            };
            if !account.is(set.merchant_account.expose()) {
                continue;
            }
            let mut fits = false;
            for key in &set.hmac_keys {
                fits |= HmacKey::from_hex(key.expose()).is_some_and(|key| is_signed(item, &key));
            }
            match accounts.iter_mut().find(|known| known.0 == *merchant) {
                Some((_, versions, is_signer)) => {
                    versions.push(held.version);
                    *is_signer |= fits;
                }
                None => accounts.push((*merchant, vec![held.version], fits)),
            }
        }
        let signers = accounts.into_iter().filter(|(_, _, is_signer)| *is_signer);
        let signers: Vec<(MerchantId, u32)> = signers
            .flat_map(|(merchant, versions, _)| versions.into_iter().map(move |version| (merchant, version)))
            .collect();
        (!signers.is_empty()).then_some(Signer::Accounts(signers))
    }
}

impl NoticeReader for AdyenNotices {
    fn seal(&self, _provider: ProviderId) -> Option<&'static str> {
        None
    }

    /// Each item names its merchant account, and only the keys of that one are compared.
    fn names(&self, _provider: ProviderId, _letter: Letter<'_>) -> Option<PaymentId> {
        None
    }

    /// However little is compared, the keys of the account that an item names are.
    fn read(
        &self,
        provider: ProviderId,
        letter: Letter<'_>,
        _compared: Compared,
    ) -> Result<Vec<Notice>, NoticeRefusal> {
        let own = self.own_sets(provider);
        if own.is_empty() && self.configured.iter().all(|sender| sender.provider != provider) {
            return Err(NoticeRefusal::NoSuchProvider);
        }
        let body: Notifications<'_> = serde_json::from_slice(letter.body).map_err(|_| MALFORMED)?;
        let mut items = body.notification_items;
        for (item, network) in items.iter_mut().zip(networks(letter.body)) {
            item.item.network = network;
        }
        if items.is_empty() {
            return Err(MALFORMED);
        }
        // One that is not signed is reason enough to believe none.
        let mut notices = Vec::new();
        for item in &items {
            let item = &item.item;
            let signer = self.signer(provider, &own, item).ok_or(NoticeRefusal::Unsigned)?;
            notices.extend(notice(item, provider, signer));
        }
        Ok(notices)
    }
}

/// HMAC-SHA-256 over eight fields with colons between them, in base 64.
fn is_signed(item: &Notification<'_>, key: &HmacKey) -> bool {
    let Some(signature) = item
        .additional_data
        .as_ref()
        .and_then(|data| data.hmac_signature.as_deref())
    else {
        return false;
    };
    let payload = format!(
        "{}:{}:{}:{}:{}:{}:{}:{}",
        &*item.psp_reference,
        item.original_reference.as_deref().unwrap_or_default(),
        &*item.merchant_account_code,
        &*item.merchant_reference,
        item.amount.value,
        &*item.amount.currency,
        &*item.event_code,
        &*item.success,
    );
    let tag = hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA256, key.bytes()),
        payload.as_bytes(),
    );
    let expected = base64::encode(tag.as_ref());
    constant_time::verify_slices_are_equal(expected.as_bytes(), signature.as_bytes()).is_ok()
}

/// Nothing if it is about nothing of ours, or says nothing that decides.
fn notice(item: &Notification<'_>, provider: ProviderId, signer: Signer) -> Option<Notice> {
    let named = names::parse(&item.merchant_reference)?;
    let currency = Currency::parse(&item.amount.currency).ok()?;
    // The fields are signed with nothing but colons between them, so what may not hold one must not.
    let original = item.original_reference.as_deref().unwrap_or_default();
    let is_whole = original.is_empty() || is_psp_reference(original);
    let said = said(item, &named, currency).filter(|_| is_whole && is_psp_reference(&item.psp_reference));
    if said.is_none() && item.success.is("true") && is_unasked(&item.event_code) {
        tracing::error!(
            event = &*item.event_code,
            success = &*item.success,
            reference = &*item.merchant_reference,
            "Adyen did what nobody asked for here; the books do not show it",
        );
    }
    Some(Notice {
        provider,
        signer,
        payment: named.payment,
        operation: named.operation,
        attempt: AttemptName::KeyEnd(Arc::from(named.key_end)),
        currency,
        said: said?,
    })
}

fn said(item: &Notification<'_>, named: &Named<'_>, currency: Currency) -> Option<Said> {
    let is_success = match &*item.success {
        "true" => true,
        "false" => false,
        _ => return None,
    };
    let of_charge = !named.closes;
    match (&*item.event_code, named.operation, is_success) {
        ("AUTHORISATION", OperationId::Authorize(_), true) if of_charge => succeeded(item, currency),
        ("AUTHORISATION", OperationId::Authorize(_), false) if of_charge => {
            Some(Said::Became(declined(item)))
        }
        // The customer did not come back in time.
        ("OFFER_CLOSED", OperationId::Authorize(_), true) if of_charge => {
            Some(Said::Became(Outcome::Cancelled { reference: None }))
        }
        // It may have been heard of that the charge was made, and only then that it was closed. A closing that names no charge found none,
        // and what it did not find may still come.
        (code, OperationId::Authorize(_), true) if named.closes && is_closing(code) => {
            let closed = item.original_reference.as_deref().map(Arc::from)?;
            let reference = Some(closed);
            taken_back(item, Some(Outcome::Cancelled { reference }), currency)
        }
        // It found nothing, or what it found could not be closed: what will be said of the charge stands.
        (code, OperationId::Authorize(_), false) if named.closes && is_closing(code) => Some(Said::NotClosed),
        ("CANCELLATION" | "TECHNICAL_CANCEL", OperationId::Void(_), true) => released(item, currency),
        ("CAPTURE", OperationId::Capture(_), true)
        | ("AUTHORISATION_ADJUSTMENT", OperationId::Increment(_), true)
        | ("CANCELLATION" | "TECHNICAL_CANCEL", OperationId::Reversal(_), true)
        | ("REFUND", OperationId::Refund(_) | OperationId::Reversal(_), true) => succeeded(item, currency),
        ("AUTHORISATION_ADJUSTMENT", OperationId::Increment(_), false) => Some(Said::Became(declined(item))),
        ("CAPTURE", OperationId::Capture(_), false)
        | ("CANCELLATION" | "TECHNICAL_CANCEL", OperationId::Void(_) | OperationId::Reversal(_), false)
        | ("REFUND", OperationId::Refund(_) | OperationId::Reversal(_), false)
        | ("CAPTURE_FAILED", OperationId::Capture(_), _)
        | ("REFUND_FAILED" | "REFUNDED_REVERSED", OperationId::Refund(_) | OperationId::Reversal(_), _) => {
            taken_back(item, Some(declined(item)), currency)
        }
        // Adyen takes the money of a sale by itself.
        ("CAPTURE", OperationId::Authorize(_), false) | ("CAPTURE_FAILED", OperationId::Authorize(_), _)
            if of_charge =>
        {
            taken_back(item, None, currency)
        }
        _ => None,
    }
}

fn succeeded(item: &Notification<'_>, currency: Currency) -> Option<Said> {
    let reference: ProviderReference = Arc::from(&*item.psp_reference);
    Some(Said::Became(Outcome::Succeeded {
        transaction: Arc::clone(&reference),
        reference,
        amount_minor: from_wire(item.amount.value, currency)?,
    }))
}

/// A void is of the charge that it released: hearing only later that this one was made must not look like another charge.
fn released(item: &Notification<'_>, currency: Currency) -> Option<Said> {
    let transaction: ProviderReference = Arc::from(&*item.psp_reference);
    let reference = item.original_reference.as_deref().map(Arc::from);
    Some(Said::Became(Outcome::Succeeded {
        reference: reference.unwrap_or_else(|| Arc::clone(&transaction)),
        transaction,
        amount_minor: from_wire(item.amount.value, currency)?,
    }))
}

/// A charge is closed by our own reference; Adyen may tell it by any of these names.
fn is_closing(code: &str) -> bool {
    matches!(code, "CANCELLATION" | "TECHNICAL_CANCEL" | "CANCEL_OR_REFUND")
}

fn taken_back(item: &Notification<'_>, unheard: Option<Outcome>, currency: Currency) -> Option<Said> {
    Some(Said::TakenBack {
        unheard,
        reference: Arc::from(&*item.psp_reference),
        amount_minor: from_wire(item.amount.value, currency)?,
    })
}

fn declined(item: &Notification<'_>) -> Outcome {
    let reason = item.reason.as_deref().unwrap_or_default();
    // A refused charge is told as its reason, sometimes with its code in front.
    let decline_code = match reason.split_once(':') {
        Some((code, reason)) => decline_code(Some(code.trim()), Some(reason)),
        None => match reason {
            "Refused" => decline_code(Some("2"), None),
            "Not enough balance" => decline_code(Some("12"), None),
            "3D Not Authenticated" => decline_code(Some("11"), None),
            reason => Arc::from(snake(reason)),
        },
    };
    Outcome::Declined {
        decline_code,
        reference: Some(Arc::from(&*item.psp_reference)),
        network: item.network.clone(),
    }
}

/// What moves money although no operation of ours asks for it: disputes, and what people do at Adyen themselves.
fn is_unasked(event: &str) -> bool {
    matches!(
        event,
        "CHARGEBACK"
            | "SECOND_CHARGEBACK"
            | "PREARBITRATION_LOST"
            | "CHARGEBACK_REVERSED"
            | "PREARBITRATION_WON"
            | "REFUND"
            | "REFUND_FAILED"
            | "REFUNDED_REVERSED"
            | "CANCEL_OR_REFUND"
            | "CANCELLATION"
            | "AUTHORISATION_ADJUSTMENT"
    )
}

#[cfg(test)]
mod tests;
