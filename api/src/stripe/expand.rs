//! Which references of an object are shown as the objects themselves: `expand[]=latest_charge.balance_transaction`.

use std::collections::BTreeMap;

/// Levels of one path, `data` of a list included.
pub(crate) const LEVELS_MAX: usize = 4;

/// The references to expand, with what to expand in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expand(BTreeMap<&'static str, Expand>);

/// What a reference leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A payment intent.
    PaymentIntent,
    /// A charge.
    Charge,
    /// A refund.
    Refund,
    /// A balance transaction.
    BalanceTransaction,
    /// A list of refunds that is itself a reference.
    Refunds,
}

impl Kind {
    /// The references that it has.
    const fn references(self) -> &'static [(&'static str, Self)] {
        match self {
            Self::PaymentIntent => &[("latest_charge", Self::Charge)],
            Self::Charge => &[
                ("balance_transaction", Self::BalanceTransaction),
                ("payment_intent", Self::PaymentIntent),
                ("refunds", Self::Refunds),
            ],
            Self::Refund => &[
                ("balance_transaction", Self::BalanceTransaction),
                ("charge", Self::Charge),
                ("payment_intent", Self::PaymentIntent),
            ],
            // Its source is the object that was asked about, of which there may be two kinds.
            Self::BalanceTransaction => &[],
            Self::Refunds => &[("data", Self::Refund)],
        }
    }
}

/// Why a path is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExpandError {
    /// It leads through something that is no reference.
    NotExpandable,
    /// It has too many levels.
    TooDeep,
}

impl Expand {
    /// Nothing is expanded.
    pub const NONE: &'static Self = &Self(BTreeMap::new());

    /// Adds a path that starts at an object of this kind, or at a list of such objects.
    pub(crate) fn add(&mut self, kind: Kind, is_list: bool, path: &str) -> Result<(), ExpandError> {
        if path.split('.').count() > LEVELS_MAX {
            return Err(ExpandError::TooDeep);
        }
        let path = if is_list {
            path.strip_prefix("data.").ok_or(ExpandError::NotExpandable)?
        } else {
            path
        };
        let (mut at, mut kind) = (self, kind);
        for name in path.split('.') {
            let found = kind.references().iter().find(|reference| reference.0 == name);
            let (name, leads_to) = *found.ok_or(ExpandError::NotExpandable)?;
            at = at.0.entry(name).or_default();
            kind = leads_to;
        }
        Ok(())
    }

    /// What to expand in this reference, if it is to be expanded.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        self.0.get(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_along_references() {
        let mut expand = Expand::default();
        for path in [
            "latest_charge",
            "latest_charge.balance_transaction",
            "latest_charge.refunds.data.charge",
        ] {
            assert_eq!(expand.add(Kind::PaymentIntent, false, path), Ok(()), "{path}");
        }
        let charge = expand.get("latest_charge").unwrap();
        assert_eq!(charge.get("balance_transaction"), Some(Expand::NONE));
        assert_eq!(charge.get("payment_intent"), None);
        assert!(
            charge
                .get("refunds")
                .unwrap()
                .get("data")
                .unwrap()
                .get("charge")
                .is_some()
        );
        let mut listed = Expand::default();
        assert_eq!(
            listed.add(Kind::PaymentIntent, true, "data.latest_charge"),
            Ok(())
        );
        assert!(listed.get("latest_charge").is_some());
        let refused = |path: &str, is_list| Expand::default().add(Kind::PaymentIntent, is_list, path);
        for path in [
            "",
            "amount",
            "latest_charge.",
            "latest_charge.amount",
            "data.latest_charge",
            ".latest_charge",
        ] {
            assert_eq!(refused(path, false), Err(ExpandError::NotExpandable), "{path}");
        }
        assert_eq!(refused("latest_charge", true), Err(ExpandError::NotExpandable));
        assert_eq!(
            refused(
                "latest_charge.payment_intent.latest_charge.payment_intent.latest_charge",
                false
            ),
            Err(ExpandError::TooDeep)
        );
    }
}
