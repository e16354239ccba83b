//! Owns the currencies that payments may use: the active ISO 4217 codes whose minor unit is defined.
//!
//! Metals, bond units, the test code and "no currency" (`XAU`, `XBA`, `XTS`, `XXX`, ...) have no minor unit, so an amount
//! in them would have no meaning; they are not here. Journals name currencies by code: a row may be added, but a released
//! row keeps its code, number and exponent for good, or old entries could no longer be read.

use std::fmt;

use thiserror::Error;

/// A currency that payments may use, by its ISO 4217 entry; ordered by code.
///
/// ```
/// use florin_domain::money::Currency;
///
/// let dinar = Currency::parse("bhd")?;
/// assert_eq!((dinar.code(), dinar.numeric(), dinar.exponent()), ("BHD", 48, 3));
/// assert_eq!(Currency::from_numeric(392), Some(Currency::JPY));
/// assert!(Currency::parse("XAU").is_err(), "gold has no minor unit");
/// # Ok::<(), florin_domain::money::CurrencyError>(())
/// ```
// The place in TABLE: meaningless outside this process, hence never exposed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency(u8);

/// Why a text names no payment currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CurrencyError {
    /// Anything but three ASCII letters.
    #[error("a currency code is three letters")]
    Malformed,
    /// Three letters that are no active ISO 4217 code with a minor unit.
    #[error("not an active ISO 4217 currency with a minor unit")]
    Unknown,
}

impl Currency {
    /// US dollar, exponent 2.
    pub const USD: Self = Self::listed(*b"USD");
    /// Euro, exponent 2.
    pub const EUR: Self = Self::listed(*b"EUR");
    /// Japanese yen, exponent 0.
    pub const JPY: Self = Self::listed(*b"JPY");
    /// Bahraini dinar, exponent 3.
    pub const BHD: Self = Self::listed(*b"BHD");
    /// Chilean unidad de fomento, exponent 4.
    pub const CLF: Self = Self::listed(*b"CLF");

    /// The currency with this code, in upper or lower case.
    ///
    /// # Errors
    /// [`CurrencyError::Malformed`] unless the text is three ASCII letters, [`CurrencyError::Unknown`] if no currency has the code.
    pub fn parse(code: &str) -> Result<Self, CurrencyError> {
        let &[a, b, c] = code.as_bytes() else {
            return Err(CurrencyError::Malformed);
        };
        let letters = [
            a.to_ascii_uppercase(),
            b.to_ascii_uppercase(),
            c.to_ascii_uppercase(),
        ];
        if !letters.iter().all(u8::is_ascii_uppercase) {
            return Err(CurrencyError::Malformed);
        }
        let place = KEYS
            .binary_search(&key(letters))
            .map_err(|_| CurrencyError::Unknown)?;
        u8::try_from(place).map(Self).map_err(|_| CurrencyError::Unknown)
    }

    /// The currency with this ISO 4217 number.
    pub fn from_numeric(numeric: u16) -> Option<Self> {
        BY_NUMERIC
            .get(usize::from(numeric))
            .copied()
            .filter(|place| *place != ABSENT)
            .map(Self)
    }

    /// Every currency, in the order of the codes.
    pub fn all() -> impl Iterator<Item = Self> {
        (0_u8..).map(Self).take(COUNT)
    }

    /// The three-letter code, in upper case.
    pub fn code(self) -> &'static str {
        self.row().0
    }

    /// The ISO 4217 number, 1 to 999.
    pub fn numeric(self) -> u16 {
        self.row().1
    }

    /// How many decimals a major unit has: 0, 2, 3 or 4, so one major unit is 10^exponent minor units.
    pub fn exponent(self) -> u32 {
        u32::from(self.row().2)
    }

    fn row(self) -> Row {
        TABLE[usize::from(self.0)]
    }

    /// For constants only: a code that is not in the table fails the build.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "evaluated by the compiler, which refuses an overflow"
    )]
    const fn listed(code: [u8; 3]) -> Self {
        let mut place: u8 = 0;
        while KEYS[place as usize] != key(code) {
            place += 1;
        }
        Self(place)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Currency({})", self.code())
    }
}

/// Code, number, exponent.
type Row = (&'static str, u16, u8);

const COUNT: usize = TABLE.len();
const ABSENT: u8 = u8::MAX;

/// The codes as numbers that sort like the codes, so that a search compares integers.
static KEYS: [u32; COUNT] = {
    let mut keys = [0; COUNT];
    let mut place = 0;
    while place < COUNT {
        let bytes = TABLE[place].0.as_bytes();
        assert!(bytes.len() == 3);
        keys[place] = key([bytes[0], bytes[1], bytes[2]]);
        assert!(
            place == 0 || keys[place - 1] < keys[place],
            "sorted and unique, as the search needs"
        );
        place += 1;
    }
    keys
};

/// The place in the table of each ISO number.
static BY_NUMERIC: [u8; 1000] = {
    assert!(COUNT <= ABSENT as usize);
    let mut places = [ABSENT; 1000];
    let mut place: u8 = 0;
    while (place as usize) < COUNT {
        let numeric = TABLE[place as usize].1 as usize;
        assert!(places[numeric] == ABSENT, "one currency per number");
        places[numeric] = place;
        place += 1;
    }
    places
};

const fn key(letters: [u8; 3]) -> u32 {
    u32::from_be_bytes([0, letters[0], letters[1], letters[2]])
}

// Sorted by code; the build checks it.
#[rustfmt::skip]
const TABLE: [Row; 165] = [
    ("AED", 784, 2), ("AFN", 971, 2), ("ALL", 8, 2), ("AMD", 51, 2), ("AOA", 973, 2),
    ("ARS", 32, 2), ("AUD", 36, 2), ("AWG", 533, 2), ("AZN", 944, 2), ("BAM", 977, 2),
    ("BBD", 52, 2), ("BDT", 50, 2), ("BHD", 48, 3), ("BIF", 108, 0), ("BMD", 60, 2),
    ("BND", 96, 2), ("BOB", 68, 2), ("BOV", 984, 2), ("BRL", 986, 2), ("BSD", 44, 2),
    ("BTN", 64, 2), ("BWP", 72, 2), ("BYN", 933, 2), ("BZD", 84, 2), ("CAD", 124, 2),
    ("CDF", 976, 2), ("CHE", 947, 2), ("CHF", 756, 2), ("CHW", 948, 2), ("CLF", 990, 4),
    ("CLP", 152, 0), ("CNY", 156, 2), ("COP", 170, 2), ("COU", 970, 2), ("CRC", 188, 2),
    ("CUP", 192, 2), ("CVE", 132, 2), ("CZK", 203, 2), ("DJF", 262, 0), ("DKK", 208, 2),
    ("DOP", 214, 2), ("DZD", 12, 2), ("EGP", 818, 2), ("ERN", 232, 2), ("ETB", 230, 2),
    ("EUR", 978, 2), ("FJD", 242, 2), ("FKP", 238, 2), ("GBP", 826, 2), ("GEL", 981, 2),
    ("GHS", 936, 2), ("GIP", 292, 2), ("GMD", 270, 2), ("GNF", 324, 0), ("GTQ", 320, 2),
    ("GYD", 328, 2), ("HKD", 344, 2), ("HNL", 340, 2), ("HTG", 332, 2), ("HUF", 348, 2),
    ("IDR", 360, 2), ("ILS", 376, 2), ("INR", 356, 2), ("IQD", 368, 3), ("IRR", 364, 2),
    ("ISK", 352, 0), ("JMD", 388, 2), ("JOD", 400, 3), ("JPY", 392, 0), ("KES", 404, 2),
    ("KGS", 417, 2), ("KHR", 116, 2), ("KMF", 174, 0), ("KPW", 408, 2), ("KRW", 410, 0),
    ("KWD", 414, 3), ("KYD", 136, 2), ("KZT", 398, 2), ("LAK", 418, 2), ("LBP", 422, 2),
    ("LKR", 144, 2), ("LRD", 430, 2), ("LSL", 426, 2), ("LYD", 434, 3), ("MAD", 504, 2),
    ("MDL", 498, 2), ("MGA", 969, 2), ("MKD", 807, 2), ("MMK", 104, 2), ("MNT", 496, 2),
    ("MOP", 446, 2), ("MRU", 929, 2), ("MUR", 480, 2), ("MVR", 462, 2), ("MWK", 454, 2),
    ("MXN", 484, 2), ("MXV", 979, 2), ("MYR", 458, 2), ("MZN", 943, 2), ("NAD", 516, 2),
    ("NGN", 566, 2), ("NIO", 558, 2), ("NOK", 578, 2), ("NPR", 524, 2), ("NZD", 554, 2),
    ("OMR", 512, 3), ("PAB", 590, 2), ("PEN", 604, 2), ("PGK", 598, 2), ("PHP", 608, 2),
    ("PKR", 586, 2), ("PLN", 985, 2), ("PYG", 600, 0), ("QAR", 634, 2), ("RON", 946, 2),
    ("RSD", 941, 2), ("RUB", 643, 2), ("RWF", 646, 0), ("SAR", 682, 2), ("SBD", 90, 2),
    ("SCR", 690, 2), ("SDG", 938, 2), ("SEK", 752, 2), ("SGD", 702, 2), ("SHP", 654, 2),
    ("SLE", 925, 2), ("SOS", 706, 2), ("SRD", 968, 2), ("SSP", 728, 2), ("STN", 930, 2),
    ("SVC", 222, 2), ("SYP", 760, 2), ("SZL", 748, 2), ("THB", 764, 2), ("TJS", 972, 2),
    ("TMT", 934, 2), ("TND", 788, 3), ("TOP", 776, 2), ("TRY", 949, 2), ("TTD", 780, 2),
    ("TWD", 901, 2), ("TZS", 834, 2), ("UAH", 980, 2), ("UGX", 800, 0), ("USD", 840, 2),
    ("USN", 997, 2), ("UYI", 940, 0), ("UYU", 858, 2), ("UYW", 927, 4), ("UZS", 860, 2),
    ("VED", 926, 2), ("VES", 928, 2), ("VND", 704, 0), ("VUV", 548, 0), ("WST", 882, 2),
    ("XAD", 396, 2), ("XAF", 950, 0), ("XCD", 951, 2), ("XCG", 532, 2), ("XOF", 952, 0),
    ("XPF", 953, 0), ("YER", 886, 2), ("ZAR", 710, 2), ("ZMW", 967, 2), ("ZWG", 924, 2),
];
