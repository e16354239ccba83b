//! Payment methods as the core sees them: a name at the provider and what may be shown, never a card number.

use std::fmt;
use std::sync::Arc;

/// A card scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CardBrand {
    /// Visa.
    Visa,
    /// Mastercard.
    Mastercard,
    /// American Express.
    Amex,
    /// Discover.
    Discover,
    /// Diners Club.
    Diners,
    /// JCB.
    Jcb,
    /// UnionPay.
    Unionpay,
}

impl CardBrand {
    /// Every scheme.
    pub const ALL: [Self; 7] = [
        Self::Visa,
        Self::Mastercard,
        Self::Amex,
        Self::Discover,
        Self::Diners,
        Self::Jcb,
        Self::Unionpay,
    ];

    /// Lower-case name used on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Visa => "visa",
            Self::Mastercard => "mastercard",
            Self::Amex => "amex",
            Self::Discover => "discover",
            Self::Diners => "diners",
            Self::Jcb => "jcb",
            Self::Unionpay => "unionpay",
        }
    }
}

impl fmt::Display for CardBrand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A usable payment method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentMethod {
    /// Our id (`pm_...`).
    pub id: Arc<str>,
    /// Card scheme.
    pub brand: CardBrand,
    /// Last four digits, the only part of the number that is ever shown.
    pub last4: [u8; 4],
    /// ISO 3166 alpha-2 of the issuer.
    pub country: [u8; 2],
    /// A method first seen less than a day ago; test methods count as old.
    pub is_new: bool,
    /// The issuer or network already calls this card highly risky.
    pub is_highest_risk: bool,
    /// What is counted of a card that was saved here.
    pub stored: Option<Arc<StoredCard>>,
}

/// What risk knows of a saved card, also after the card itself is erased: too little to charge anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCard {
    /// The first six or eight digits.
    pub first_digits: Box<str>,
    /// The same for the same number of one merchant in one mode.
    pub fingerprint: [u8; 16],
}

impl StoredCard {
    /// The fingerprint as it is shown, and as risk lists name it.
    pub fn fingerprint_text(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.fingerprint))
    }
}

/// A test method of the sandbox: name, brand, first eight digits and last four of its card, highest risk.
type TestMethod = (&'static str, CardBrand, &'static str, &'static [u8; 4], bool);

const TEST_METHODS: &[TestMethod] = &[
    ("pm_card_amex", CardBrand::Amex, "37144963", b"8431", false),
    (
        "pm_card_authenticationRequired",
        CardBrand::Visa,
        "40000027",
        b"3184",
        false,
    ),
    (
        "pm_card_chargeCustomerFail",
        CardBrand::Visa,
        "40000000",
        b"0341",
        false,
    ),
    (
        "pm_card_createDispute",
        CardBrand::Visa,
        "40000000",
        b"0259",
        false,
    ),
    (
        "pm_card_mastercard",
        CardBrand::Mastercard,
        "55555555",
        b"4444",
        false,
    ),
    (
        "pm_card_riskLevelHighest",
        CardBrand::Visa,
        "40000000",
        b"4954",
        true,
    ),
    (
        "pm_card_threeDSecure2Required",
        CardBrand::Visa,
        "40000000",
        b"3220",
        false,
    ),
    ("pm_card_visa", CardBrand::Visa, "42424242", b"4242", false),
    (
        "pm_card_visa_chargeDeclined",
        CardBrand::Visa,
        "40000000",
        b"0002",
        false,
    ),
    (
        "pm_card_visa_chargeDeclinedExpiredCard",
        CardBrand::Visa,
        "40000000",
        b"0069",
        false,
    ),
    (
        "pm_card_visa_chargeDeclinedIncorrectCvc",
        CardBrand::Visa,
        "40000000",
        b"0127",
        false,
    ),
    (
        "pm_card_visa_chargeDeclinedInsufficientFunds",
        CardBrand::Visa,
        "40000000",
        b"9995",
        false,
    ),
];

impl PaymentMethod {
    /// Stands where nobody knows the issuer's country; ISO 3166 leaves it to its users.
    pub const UNKNOWN_COUNTRY: [u8; 2] = *b"XX";

    /// In place of a saved card that is gone, where nothing but its name matters.
    pub fn gone(id: &str) -> Self {
        Self {
            id: Arc::from(id),
            brand: CardBrand::Visa,
            last4: *b"0000",
            country: Self::UNKNOWN_COUNTRY,
            is_new: false,
            is_highest_risk: false,
            stored: None,
        }
    }

    /// The test method of this name; test mode only.
    pub fn test(name: &str) -> Option<Self> {
        let (name, brand, _, last4, is_highest_risk) = TEST_METHODS.iter().find(|row| row.0 == name)?;
        Some(Self {
            id: Arc::from(*name),
            brand: *brand,
            last4: **last4,
            country: *b"US",
            is_new: false,
            is_highest_risk: *is_highest_risk,
            stored: None,
        })
    }

    /// A method of the sandbox: whoever tests uses the same one.
    pub fn is_test(&self) -> bool {
        TEST_METHODS.iter().any(|row| row.0 == &*self.id)
    }

    /// The first six or eight digits of the card, which say who issued it.
    pub fn first_digits(&self) -> Option<&str> {
        if let Some(stored) = &self.stored {
            return Some(&stored.first_digits);
        }
        let row = TEST_METHODS.iter().find(|row| row.0 == &*self.id)?;
        Some(row.2)
    }

    /// The last four digits as text.
    pub fn last4(&self) -> &str {
        str::from_utf8(&self.last4).unwrap_or("????")
    }

    /// The issuer's country as text.
    pub fn country(&self) -> &str {
        str::from_utf8(&self.country).unwrap_or("??")
    }
}
