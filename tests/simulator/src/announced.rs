//! Owns the check of what merchants are told: every announcement that the journals make of a payment is listed once, under its number,
//! and shows a state that the payment was in.

use crate::clock::lock;
use crate::life::Run;
use florin_actors::payments_handle::PaymentsHandle;
use florin_domain::ids::{MerchantId, PaymentId};
use florin_domain::ports::{EventsQuery, ShownEvent};
use std::collections::BTreeMap;

/// Announcements of a page.
const PAGE: usize = 7;

impl Run {
    /// Compares what was announced to a merchant with the journals.
    pub(crate) async fn check_announcements(
        &self,
        payments: &PaymentsHandle,
        merchant: MerchantId,
    ) -> Result<(), String> {
        // What becomes durable while the list is read may be in it or not.
        let before: BTreeMap<PaymentId, u64> = {
            let journaled = lock(&self.world.journaled);
            let latest = journaled.payments.iter();
            let latest = latest.filter_map(|(id, history)| Some((*id, history.states.last()?.announced)));
            latest.collect()
        };
        let mut told: BTreeMap<PaymentId, Vec<ShownEvent>> = BTreeMap::new();
        for event in all(payments, merchant).await? {
            told.entry(event.row.payment).or_default().push(event);
        }
        let journaled = lock(&self.world.journaled);
        for (id, history) in &journaled.payments {
            let Some(latest) = history.states.last() else {
                continue;
            };
            if latest.spec.merchant != merchant {
                continue;
            }
            let events = told.remove(id).unwrap_or_default();
            // Newest first, as they were listed.
            let numbers = events.iter().rev().map(|event| event.row.number);
            let count = u64::try_from(events.len()).unwrap_or(u64::MAX);
            let due = before.get(id).copied().unwrap_or(0)..=latest.announced;
            if !numbers.eq(1..=count) || !due.contains(&count) {
                let (has, lacks) = (events.len(), latest.announced);
                return Err(format!(
                    "of what the journals say of {id} not all is told once ({has} of {lacks})"
                ));
            }
            if let Some(event) = events
                .iter()
                .find(|event| history.place_of(&event.payment).is_none())
            {
                return Err(format!("{} shows {id} as it never was", event.id));
            }
        }
        match told.first_key_value() {
            None => Ok(()),
            Some((id, _)) => Err(format!(
                "{merchant} is told of {id}, which the journals do not have"
            )),
        }
    }
}

async fn all(payments: &PaymentsHandle, merchant: MerchantId) -> Result<Vec<ShownEvent>, String> {
    let (mut all, mut query) = (Vec::new(), EventsQuery::newest(merchant, false, PAGE));
    loop {
        let page = payments.events(query.clone()).await;
        let page = page.map_err(|error| format!("what {merchant} is told cannot be read: {error}"))?;
        all.extend(page.events);
        match all.last() {
            Some(last) if page.has_more => query = query.behind(last.row.place),
            Some(_) | None => return Ok(all),
        }
    }
}
