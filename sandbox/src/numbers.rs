//! Which test card a number is. Numbers come in, and nothing of them is kept: from here on there is only the test method.

use crate::stripe::TestMethod;

/// Stripe's and Adyen's published numbers that do something else than succeed. 4000008400001629 is challenged like the others; that it
/// is declined afterwards is not simulated.
const NUMBERS: [(&str, TestMethod); 21] = [
    ("4000000000000002", TestMethod::Declined),
    ("4000000000009995", TestMethod::InsufficientFunds),
    ("4000000000009987", TestMethod::LostCard),
    ("4000000000009979", TestMethod::StolenCard),
    ("4000000000000069", TestMethod::ExpiredCard),
    ("4000000000000127", TestMethod::IncorrectCvc),
    ("4000000000000101", TestMethod::IncorrectCvc),
    ("4000000000000119", TestMethod::ProcessingError),
    ("4000000000006975", TestMethod::VelocityExceeded),
    ("4000000000000341", TestMethod::CustomerFail),
    ("4000002500003155", TestMethod::AuthenticationRequired),
    ("4000002760003184", TestMethod::AuthenticationRequired),
    ("4000008400001629", TestMethod::AuthenticationRequired),
    ("4000000000003220", TestMethod::ThreeDSecure2Required),
    ("4212345678901237", TestMethod::ThreeDSecure2Required),
    ("4100000000000019", TestMethod::RiskLevelHighest),
    ("4000000000004954", TestMethod::RiskLevelHighest),
    ("4000000000009235", TestMethod::Visa),
    ("4000000000000259", TestMethod::CreateDispute),
    ("4000000000002685", TestMethod::CreateDispute),
    ("4000000000001976", TestMethod::CreateDispute),
];

/// Any other number is a card that succeeds, of the network that its first digits say.
pub(crate) fn test_method(number: &str) -> TestMethod {
    if let Some((_, method)) = NUMBERS.iter().find(|(known, _)| *known == number) {
        return *method;
    }
    match number.as_bytes() {
        [b'3', b'4' | b'7', ..] => TestMethod::Amex,
        [b'2' | b'5', ..] => TestMethod::Mastercard,
        _ => TestMethod::Visa,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_its_method_and_others_succeed() {
        assert_eq!(test_method("4000000000009995"), TestMethod::InsufficientFunds);
        assert_eq!(test_method("4111111111111111"), TestMethod::Visa);
        assert_eq!(test_method("2223003122003222"), TestMethod::Mastercard);
        assert_eq!(test_method("378282246310005"), TestMethod::Amex);
        for (number, _) in NUMBERS {
            assert_eq!(
                NUMBERS.iter().filter(|row| row.0 == number).count(),
                1,
                "{number}"
            );
        }
    }
}
