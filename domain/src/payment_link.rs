//! Payment links: what a merchant asks for on a page of ours, and which payment is that of a link that is paid once.

use crate::ids::{PaymentId, PaymentLinkId};
use crate::money::{Amount, Currency};
use crate::payment::CaptureMethod;
use crate::time::Timestamp;
use crate::vault::Owner;
use std::sync::Arc;
use thiserror::Error;

/// The name under which a payment's metadata has its link; no link may say something else under it.
pub const LINK_METADATA: &str = "payment_link";

/// The merchant's own pairs, in the order sent.
pub type LinkMetadata = Vec<(Arc<str>, Arc<str>)>;

/// What is asked for under a link. Amount and currency never change: a customer may have the page open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkTerms {
    /// How much.
    pub amount: Amount,
    /// Of what.
    pub currency: Currency,
    /// What for, as customers read it.
    pub description: Option<Arc<str>>,
    /// The merchant's pairs; every payment gets them.
    pub metadata: LinkMetadata,
    /// When the money is taken.
    pub capture_method: CaptureMethod,
    /// The merchant's name for the customer.
    pub customer: Option<Arc<str>>,
    /// Where customers go on after they have paid.
    pub redirect_url: Option<Arc<str>>,
    /// At most one payment ever succeeds.
    pub single_use: bool,
}

/// A payment link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentLink {
    /// Its id.
    pub id: PaymentLinkId,
    /// Whose.
    pub owner: Owner,
    /// When it was made.
    pub created_at: Timestamp,
    /// It may be paid now.
    pub is_active: bool,
    /// What is asked for.
    pub terms: LinkTerms,
    /// Of a link that is paid once: the payment that answers it, if it has one.
    pub payment: Option<PaymentId>,
    /// How many payments it had in this place, one after the other.
    pub claims: u32,
}

/// A change that a merchant wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkChange {
    /// A new link.
    Create(Box<LinkTerms>),
    /// More is said of one.
    Update {
        /// Which.
        id: PaymentLinkId,
        /// Whether it may be paid from now on.
        is_active: Option<bool>,
        /// Another description, or none any more.
        description: Option<Option<Arc<str>>>,
        /// Pairs to be set; one with an empty value is taken away.
        metadata: LinkMetadata,
    },
}

/// Why nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LinkRefusal {
    /// There is no such link.
    #[error("there is no such payment link")]
    NoSuchLink,
    /// So many pairs cannot be said of one link.
    #[error("too many pairs of metadata")]
    TooMuchMetadata,
    /// The key was used for another request.
    #[error("the idempotency key was used with other parameters")]
    KeyMismatch,
}

/// Pairs of one link: one place is kept for the link's own name.
pub const LINK_METADATA_ENTRIES_MAX: usize = crate::limits::METADATA_ENTRIES_MAX - 1;

impl PaymentLink {
    /// More is said of it.
    ///
    /// # Errors
    /// [`LinkRefusal::TooMuchMetadata`]; then nothing is changed.
    pub fn update(
        &mut self,
        is_active: Option<bool>,
        description: Option<Option<Arc<str>>>,
        metadata: LinkMetadata,
    ) -> Result<(), LinkRefusal> {
        let mut pairs = self.terms.metadata.clone();
        for (name, value) in metadata {
            pairs.retain(|(known, _)| *known != name);
            if !value.is_empty() {
                pairs.push((name, value));
            }
        }
        if pairs.len() > LINK_METADATA_ENTRIES_MAX {
            return Err(LinkRefusal::TooMuchMetadata);
        }
        self.terms.metadata = pairs;
        self.is_active = is_active.unwrap_or(self.is_active);
        if let Some(description) = description {
            self.terms.description = description;
        }
        Ok(())
    }

    /// A payment takes the place in a link that is paid once, if what stands there is what its maker saw. Two that come at the same
    /// time both have theirs only as drafts, and only the one whose payment is here afterwards may be confirmed.
    pub fn claim(&mut self, instead_of: Option<PaymentId>, payment: PaymentId) -> bool {
        if self.payment != instead_of || self.payment == Some(payment) {
            return false;
        }
        self.payment = Some(payment);
        self.claims = self.claims.saturating_add(1);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::MerchantId;

    fn link() -> PaymentLink {
        PaymentLink {
            id: PaymentLinkId::from_bits(1),
            owner: Owner {
                merchant: MerchantId::from_bits(1),
                livemode: false,
            },
            created_at: Timestamp::from_unix_ms(1),
            is_active: true,
            terms: LinkTerms {
                amount: Amount::new(100).unwrap(),
                currency: Currency::EUR,
                description: Some("A chair".into()),
                metadata: vec![("a".into(), "1".into()), ("b".into(), "2".into())],
                capture_method: CaptureMethod::Automatic,
                customer: None,
                redirect_url: None,
                single_use: true,
            },
            payment: None,
            claims: 0,
        }
    }

    #[test]
    fn what_is_not_named_stays_and_an_empty_value_takes_a_pair_away() {
        let mut changed = link();
        changed.update(None, None, Vec::new()).unwrap();
        assert_eq!(changed, link());
        let pairs = vec![
            ("a".into(), "".into()),
            ("b".into(), "3".into()),
            ("c".into(), "4".into()),
        ];
        changed.update(Some(false), Some(None), pairs).unwrap();
        assert!(!changed.is_active && changed.terms.description.is_none());
        let pairs: Vec<(&str, &str)> = changed
            .terms
            .metadata
            .iter()
            .map(|(name, value)| (name.as_ref(), value.as_ref()))
            .collect();
        assert_eq!(pairs, [("b", "3"), ("c", "4")]);
    }

    #[test]
    fn too_many_pairs_change_nothing() {
        let mut changed = link();
        let many = (0..LINK_METADATA_ENTRIES_MAX).map(|n| (format!("n{n}").into(), "1".into()));
        let refused = changed.update(Some(false), None, many.collect());
        assert_eq!(refused, Err(LinkRefusal::TooMuchMetadata));
        assert_eq!(changed, link());
    }

    #[test]
    fn of_two_payments_for_one_place_the_first_has_it_and_only_who_saw_it_may_follow() {
        let (first, second) = (PaymentId::from_bits(1), PaymentId::from_bits(2));
        let mut link = link();
        assert!(link.claim(None, first));
        assert!(!link.claim(None, second), "it came too late");
        assert!(!link.claim(Some(first), first), "it has its place already");
        assert_eq!((link.payment, link.claims), (Some(first), 1));
        assert!(link.claim(Some(first), second));
        assert!(!link.claim(Some(first), PaymentId::from_bits(3)));
        assert_eq!((link.payment, link.claims), (Some(second), 2));
    }
}
