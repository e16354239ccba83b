//! Amounts as Adyen counts them. It follows ISO 4217 but for four currencies
//! (<https://docs.adyen.com/development-resources/currency-codes>): the Chilean peso and the Icelandic krona have two decimals there,
//! the Cape Verdean escudo and the Indonesian rupiah none.

use super::request::Unsendable;
use florin_domain::money::{Amount, Currency};

/// Where Adyen's number of decimals is not the one of ISO 4217.
const DECIMALS: [(&str, u32); 4] = [("CLP", 2), ("CVE", 0), ("IDR", 0), ("ISK", 2)];

/// How many decimals the currency has at Adyen.
fn decimals(currency: Currency) -> u32 {
    DECIMALS
        .iter()
        .find_map(|(code, decimals)| (*code == currency.code()).then_some(*decimals))
        .unwrap_or_else(|| currency.exponent())
}

/// Our minor units as Adyen's, exactly.
pub(super) fn to_wire(amount: Amount, currency: Currency) -> Result<i64, Unsendable> {
    let (ours, theirs) = (currency.exponent(), decimals(currency));
    let minor = amount.minor();
    let scaled = if theirs >= ours {
        minor.checked_mul(10_i128.pow(theirs - ours))
    } else {
        let unit = 10_i128.pow(ours - theirs);
        if minor % unit != 0 {
            return Err(Unsendable("Adyen takes only whole units of this currency"));
        }
        Some(minor / unit)
    };
    scaled
        .and_then(|value| i64::try_from(value).ok())
        .ok_or(Unsendable("the amount is more than Adyen takes"))
}

/// Adyen's minor units as ours; nothing if they are no whole number of ours.
pub(super) fn from_wire(value: i64, currency: Currency) -> Option<i128> {
    let (ours, theirs) = (currency.exponent(), decimals(currency));
    let value = i128::from(value);
    if theirs <= ours {
        return value.checked_mul(10_i128.pow(ours - theirs));
    }
    let unit = 10_i128.pow(theirs - ours);
    (value % unit == 0).then_some(value / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minor(amount_minor: i128) -> Amount {
        Amount::new(amount_minor).unwrap()
    }

    #[test]
    fn four_currencies_are_counted_otherwise_and_all_come_back_as_they_were() {
        let table = [
            ("USD", 1_234, Ok(1_234)),
            ("JPY", 1_234, Ok(1_234)),
            ("BHD", 1_234, Ok(1_234)),
            ("CLP", 1_234, Ok(123_400)),
            ("ISK", 1_234, Ok(123_400)),
            ("IDR", 1_234_500, Ok(12_345)),
            ("CVE", 1_200, Ok(12)),
            ("IDR", 1_234_501, Err(())),
            ("CVE", 99, Err(())),
        ];
        for (code, ours, theirs) in table {
            let currency = Currency::parse(code).unwrap();
            let sent = to_wire(minor(ours), currency).map_err(|_| ());
            assert_eq!(sent, theirs, "{ours} {code}");
            if let Ok(sent) = sent {
                assert_eq!(from_wire(sent, currency), Some(ours), "{ours} {code}");
            }
        }
        let peso = Currency::parse("CLP").unwrap();
        assert_eq!(from_wire(123_450, peso), None);
    }

    #[test]
    fn every_currency_in_whole_units_survives_the_way_there_and_back() {
        for currency in Currency::all() {
            let amount = minor(10_i128.pow(currency.exponent()) * 7);
            let sent = to_wire(amount, currency).unwrap();
            assert_eq!(from_wire(sent, currency), Some(amount.minor()), "{currency}");
        }
    }
}
