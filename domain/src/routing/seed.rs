//! The routing table that the design of the platform begins with (RTE-1 to RTE-6), as a program.

/// Brands, wallets and bank transfers to the providers that are named for them, everything else to Wise. In force where the configuration
/// asks for it, which takes all six providers.
pub const SEED_TABLE: &str = "\
visa: brand is visa and method is card -> stripe
mastercard: brand is mastercard and method is card -> adyen
apple_pay: method is apple_pay -> apple_pay
us_bank_transfer: method is us_bank_transfer -> plaid
eu_bank_transfer: method is eu_bank_transfer -> mollie
international: otherwise -> wise
";
