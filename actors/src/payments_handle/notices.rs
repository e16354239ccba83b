//! What providers say by themselves, on its way to the payments that it is about.

use super::PaymentsHandle;
use crate::admission::Shed;
use crate::context::Context;
use crate::guardian::GuardianMail;
use crate::load::locate;
use crate::mailbox::Class;
use crate::payment::Noticed;
use florin_domain::ids::{MerchantId, OperationId, PaymentId};
use florin_domain::payment::Payment;
use florin_domain::ports::ViewError;
use florin_domain::provider::{Notice, Outcome, ProviderId, Said, Signer};
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

/// Whether whoever signed may speak of this payment. A merchant's own secret speaks only of what was charged under the merchant's own
/// credentials: whoever has it could else say what became of charges in the platform's account. Under which a charge goes is decided when it
/// is opened, which may be long after its payment was made.
fn may_speak(context: &Context, notice: &Notice, payment: &Payment) -> Result<bool, NoticeError> {
    let merchant = payment.spec.merchant;
    if notice.signer == Signer::Platform {
        return Ok(true);
    }
    if !notice.signer.may_speak_of(merchant) {
        return Ok(false);
    }
    let (Some(seat), Some(charge)) = (context.provider(notice.provider), payment.operations.first()) else {
        return Ok(false);
    };
    // While they are being changed nobody knows: by the time it comes again that is over.
    let key = seat.port.key_owner(merchant, charge.opened_at);
    key.map(|key| notice.signer.may_speak_under(key))
        .ok_or(NoticeError::NotTaken)
}

/// What is said of a notice that is about nothing here.
#[derive(Debug)]
struct Orphan {
    provider: ProviderId,
    payment: PaymentId,
    operation: OperationId,
    /// By its word money moved.
    moved: bool,
    /// Whose own key it is signed with.
    signer: Option<MerchantId>,
}

impl Orphan {
    fn of(notice: &Notice) -> Self {
        let moved = match &notice.said {
            Said::Became(outcome) => matches!(outcome, Outcome::Succeeded { .. }),
            Said::TakenBack { .. } | Said::Reserved { .. } => true,
            // What was let go never moved.
            Said::NotClosed | Said::Released { .. } | Said::Changed => false,
        };
        Self {
            provider: notice.provider,
            payment: notice.payment,
            operation: notice.operation,
            moved,
            signer: notice.signer.merchant(),
        }
    }
}

impl PaymentsHandle {
    /// Whose payment this is; nothing if it is not here.
    pub async fn merchant_of(&self, payment: PaymentId) -> Result<Option<MerchantId>, NoticeError> {
        let context = self.at(payment.shard()).context;
        let _in_flight = context.admission.enter().map_err(NoticeError::Shed)?;
        let row = locate(&context, payment).await?;
        Ok(row.map(|row| row.payment.spec.merchant))
    }

    /// Has a notice recorded. `true` once it is durable, `false` if it is about nothing that was ever asked for here, or about
    /// another merchant's payment than its signer's.
    pub async fn notice(&self, notice: Notice) -> Result<bool, NoticeError> {
        let orphan = Orphan::of(&notice);
        let taken = self.take(notice).await?;
        if !taken {
            self.tell_of(&orphan);
        }
        Ok(taken)
    }

    /// Whoever lost the end of a journal must hear of what is about nothing here, and whoever has a merchant's own key must not be able to
    /// bury that: what it says counts as whatever else it raises.
    fn tell_of(&self, orphan: &Orphan) {
        let Orphan {
            provider,
            payment,
            operation,
            signer,
            ..
        } = *orphan;
        let has_room = signer.is_none_or(|merchant| {
            let context = self.at(merchant.shard()).context;
            let (day_max, now) = (context.options.own_matters_day_max, context.ports.clock.now());
            !orphan.moved || context.own_matters.take(merchant, day_max, now)
        });
        if orphan.moved && has_room {
            metrics::counter!("florin_alerts_total", "alert" => "notice_orphaned").increment(1);
            tracing::error!(%provider, %payment, %operation, "money moved for an operation that is not here");
        } else {
            tracing::warn!(%provider, %payment, %operation, "a notice is about an operation that is not here");
        }
    }

    async fn take(&self, notice: Notice) -> Result<bool, NoticeError> {
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
