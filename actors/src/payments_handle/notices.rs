//! What providers say by themselves, on its way to the payments that it is about.

use super::PaymentsHandle;
use crate::admission::Shed;
use crate::guardian::GuardianMail;
use crate::load::locate;
use crate::mailbox::Class;
use crate::payment::Noticed;
use florin_domain::ports::{PaymentRow, ViewError};
use florin_domain::provider::Notice;
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

impl PaymentsHandle {
    /// Has a notice recorded. `true` once it is durable, `false` if it is about nothing that was ever asked for here, or about
    /// another merchant's payment than its signer's.
    pub async fn notice(&self, notice: Notice) -> Result<bool, NoticeError> {
        let context = self.at(notice.payment.shard()).context;
        let _in_flight = context.admission.enter().map_err(NoticeError::Shed)?;
        let row = locate(&context, notice.payment).await?;
        let is_theirs = |row: &PaymentRow| notice.signer.may_speak_of(row.payment.spec.merchant);
        if !row.as_ref().is_some_and(is_theirs) {
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
