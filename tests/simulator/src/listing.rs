//! Owns the check of lists: read page by page, they have every payment of a merchant once, as it stands.

use crate::clock::lock;
use crate::life::Run;
use crate::shop::{MERCHANTS, merchant};
use florin_actors::payments_handle::PaymentsHandle;
use florin_domain::ids::{MerchantId, PaymentId};
use florin_domain::payment::Payment;
use florin_domain::ports::{PaymentRow, PaymentsQuery};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Payments of a page.
const PAGE: usize = 7;

impl Run {
    /// Compares the lists of all merchants with the journals.
    pub(crate) async fn check_lists(&self, payments: &PaymentsHandle) {
        for number in 0..MERCHANTS {
            let id = merchant(number, self.world.shards);
            let listed = match self.listed(payments, id).await {
                Ok(listed) => listed,
                Err(what) => return self.world.breach(what),
            };
            let journaled: BTreeMap<PaymentId, Arc<Payment>> = lock(&self.world.journaled)
                .payments
                .values()
                .filter_map(|history| history.states.last())
                .filter(|payment| payment.spec.merchant == id)
                .map(|payment| (payment.id(), Arc::clone(payment)))
                .collect();
            if listed != journaled {
                let (has, lacks) = (listed.len(), journaled.len());
                self.world.breach(format!(
                    "the list of {id} is not what the journals say ({has} of {lacks} payments)"
                ));
            }
            if let Err(what) = self.check_announcements(payments, id).await {
                self.world.breach(what);
            }
        }
    }

    async fn listed(
        &self,
        payments: &PaymentsHandle,
        merchant: MerchantId,
    ) -> Result<BTreeMap<PaymentId, Arc<Payment>>, String> {
        let (mut listed, mut query) = (BTreeMap::new(), PaymentsQuery::newest(merchant, false, PAGE));
        loop {
            let page = payments.list(query.clone()).await;
            let page = page.map_err(|error| format!("the list of {merchant} cannot be read: {error}"))?;
            let last = page.rows.last().map(|row| row.payment.id());
            for PaymentRow { payment, .. } in page.rows {
                if let Some(twice) = listed.insert(payment.id(), payment) {
                    return Err(format!("{} is listed twice", twice.id()));
                }
            }
            match last {
                Some(last) if page.has_more => query = query.behind(last),
                Some(_) | None => return Ok(listed),
            }
        }
    }
}
