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
    /// What there is to see behind it: of a list of refunds, refunds.
    const fn shows(self) -> Self {
        match self {
            Self::Refunds => Self::Refund,
            Self::PaymentIntent | Self::Charge | Self::Refund | Self::BalanceTransaction => self,
        }
    }

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
    /// It comes back to a kind of object that it has passed.
    Returns,
}

impl Expand {
    /// Nothing is expanded.
    pub const NONE: &'static Self = &Self(BTreeMap::new());

    /// Adds a path that starts at an object of this kind, or at a list of such objects.
    ///
    /// A path comes back to nothing that it has passed, so an answer grows with its paths and not with what they lead around.
    pub(crate) fn add(&mut self, kind: Kind, is_list: bool, path: &str) -> Result<(), ExpandError> {
        if path.split('.').count() > LEVELS_MAX {
            return Err(ExpandError::TooDeep);
        }
        let path = if is_list {
            path.strip_prefix("data.").ok_or(ExpandError::NotExpandable)?
        } else {
            path
        };
        let (mut names, mut kind, mut passed) = (Vec::new(), kind, vec![kind.shows()]);
        for name in path.split('.') {
            let found = kind.references().iter().find(|reference| reference.0 == name);
            let (name, leads_to) = *found.ok_or(ExpandError::NotExpandable)?;
            // The entries of a list are what it has shown already.
            if kind != Kind::Refunds {
                if passed.contains(&leads_to.shows()) {
                    return Err(ExpandError::Returns);
                }
                passed.push(leads_to.shows());
            }
            names.push(name);
            kind = leads_to;
        }
        let mut at = self;
        for name in names {
            at = at.0.entry(name).or_default();
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
            "latest_charge.refunds.data.balance_transaction",
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
                .get("balance_transaction")
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

    #[test]
    fn a_path_comes_back_to_nothing_that_it_has_passed() {
        for (kind, path) in [
            (Kind::PaymentIntent, "latest_charge.payment_intent"),
            (Kind::PaymentIntent, "latest_charge.refunds.data.charge"),
            (Kind::PaymentIntent, "latest_charge.refunds.data.payment_intent"),
            (Kind::Charge, "payment_intent.latest_charge"),
            (Kind::Charge, "refunds.data.charge"),
            (Kind::Refund, "charge.refunds"),
            (Kind::Refund, "charge.refunds.data"),
            (Kind::Refund, "payment_intent.latest_charge.refunds"),
        ] {
            let mut expand = Expand::default();
            assert_eq!(expand.add(kind, false, path), Err(ExpandError::Returns), "{path}");
            assert_eq!(&expand, Expand::NONE, "{path} leaves nothing behind");
        }
        for (kind, path) in [
            (Kind::Charge, "refunds.data.payment_intent"),
            (Kind::Refund, "charge.payment_intent"),
            (Kind::Refund, "payment_intent.latest_charge.balance_transaction"),
        ] {
            assert_eq!(Expand::default().add(kind, false, path), Ok(()), "{path}");
        }
    }
}
