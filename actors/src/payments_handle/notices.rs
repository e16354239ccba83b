//! What providers say by themselves, on its way to the payments that it is about.

use super::PaymentsHandle;
use crate::admission::Shed;
use crate::context::Context;
use crate::guardian::GuardianMail;
use crate::load::locate;
use crate::mailbox::Class;
use crate::payment::Noticed;
use florin_domain::credentials::KeyOwner;
use florin_domain::payment::Payment;
use florin_domain::ports::ViewError;
use florin_domain::provider::{Named, Notice, Signer};
use std::time::Duration;
use thiserror::Error;
use tokio::sync::oneshot;

/// Providers wait about ten seconds for an answer; then they send it again, which is never wrong.
const TAKEN_WITHIN: Duration = Duration::from_secs(8);

/// Why a notice is not known to be durable. It must be sent again.
#[derive(Debug, Error)]
pub enum NoticeError {
    /// Refused at the edge.
    #[error("the platform takes no more work now")]
    Shed(Shed),
    /// The payment cannot be looked for.
    #[error(transparent)]
    View(#[from] ViewError),
    /// It is not known whether it was taken.
    #[error("the notice was not taken in time")]
    NotTaken,
}

/// Whether whoever signed may speak of this payment. An object carries no account's name, as a key does: a merchant's own secret speaks only
/// of what was charged under the merchant's own credentials.
fn may_speak(context: &Context, notice: &Notice, payment: &Payment) -> Result<bool, NoticeError> {
    let merchant = payment.spec.merchant;
    if !notice.signer.may_speak_of(merchant) {
        return Ok(false);
    }
    match (&notice.signer, &notice.attempt) {
        (Signer::Platform, _) | (Signer::Merchants(_), Named::KeyEnd(_)) => return Ok(true),
        (Signer::Merchants(_), Named::Charge(_) | Named::Refund { .. }) => {}
    }
    let (Some(seat), Some(charge)) = (context.provider(notice.provider), payment.operations.first()) else {
        return Ok(false);
    };
    match seat.port.key_owner(merchant, charge.opened_at) {
        Some(KeyOwner::Merchant { merchant: owner, .. }) => Ok(owner == merchant),
        Some(KeyOwner::Platform) => Ok(false),
        // They are being changed: by the time it comes again that is over.
        None => Err(NoticeError::NotTaken),
    }
}

impl PaymentsHandle {
    /// Has a notice recorded. `true` once it is durable, `false` if it is about nothing that was ever asked for here, or about
    /// another merchant's payment than its signer's.
    pub async fn notice(&self, notice: Notice) -> Result<bool, NoticeError> {
        let context = self.at(notice.payment.shard()).context;
        let _in_flight = context.admission.enter().map_err(NoticeError::Shed)?;
        let row = locate(&context, notice.payment).await?;
        let Some(payment) = row.map(|row| row.payment) else {
            return Ok(false);
        };
        if !may_speak(&context, &notice, &payment)? {
            return Ok(false);
        }
        let (taken, waits) = oneshot::channel();
        let guardian = context.guardian(notice.payment);
        let mail = GuardianMail::Noticed(Box::new(Noticed { notice, taken }));
        guardian
            .send(Class::New, mail)
            .map_err(|_| NoticeError::NotTaken)?;
        match tokio::time::timeout(TAKEN_WITHIN, waits).await {
            Ok(Ok(taken)) => Ok(taken),
            Ok(Err(_)) | Err(_) => Err(NoticeError::NotTaken),
        }
    }
}
