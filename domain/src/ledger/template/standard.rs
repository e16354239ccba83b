//! The templates that every node has: a payment's life under each profile, and what else a payment platform books every day.

use super::super::account::{AccountType, Side};
use super::{Measure, Stage, Template, TemplateLine, TemplateTerms};
use std::sync::{Arc, LazyLock};

const ASSET: &[AccountType] = &[AccountType::Asset];
const LIABILITY: &[AccountType] = &[AccountType::Liability];
const REVENUE: &[AccountType] = &[AccountType::Revenue];
const EXPENSE: &[AccountType] = &[AccountType::Expense];
const EQUITY: &[AccountType] = &[AccountType::Equity];
/// A customer owes us, or has money with us.
const EITHER: &[AccountType] = &[AccountType::Asset, AccountType::Liability];

type Role = (&'static str, &'static [AccountType], Side, &'static str);

const fn debit(role: &'static str, types: &'static [AccountType], amount: &'static str) -> Role {
    (role, types, Side::Debit, amount)
}

const fn credit(role: &'static str, types: &'static [AccountType], amount: &'static str) -> Role {
    (role, types, Side::Credit, amount)
}

const GROSS_AND_FEE: &[(&str, Measure)] = &[("gross", Measure::Gross), ("fee", Measure::Fee)];
const GROSS: &[(&str, Measure)] = &[("gross", Measure::Gross)];
const AMOUNT: &[(&str, Measure)] = &[("amount", Measure::Other)];

/// A template in which every role has one line.
fn template(
    name: &str,
    description: &str,
    stage: Option<Stage>,
    parameters: &[(&str, Measure)],
    lines: &[Role],
) -> Arc<Template> {
    let uses_net = lines.iter().any(|(.., amount)| *amount == "net");
    let derived = uses_net.then(|| (Arc::from("net"), Arc::from("gross - fee")));
    let terms = TemplateTerms {
        name: Arc::from(name),
        description: Arc::from(description),
        stage,
        roles: lines
            .iter()
            .map(|(role, types, ..)| (Arc::from(*role), types.to_vec()))
            .collect(),
        parameters: parameters
            .iter()
            .map(|(name, measure)| (Arc::from(*name), *measure))
            .collect(),
        derived: derived.into_iter().collect(),
        lines: lines
            .iter()
            .map(|(role, _, side, amount)| TemplateLine {
                role: Arc::from(*role),
                side: *side,
                amount: Arc::from(*amount),
            })
            .collect(),
    };
    Arc::new(Template::checked(terms).expect("each of these is checked by a test"))
}

static STANDARD: LazyLock<Vec<Arc<Template>>> = LazyLock::new(|| {
    let mut all = payments_and_refunds();
    all.extend(settlements_and_payouts());
    all.extend(every_day());
    all
});

/// All of them, in the order of their names in the documentation.
pub fn standard_templates() -> &'static [Arc<Template>] {
    &STANDARD
}

/// The standard template with this name.
pub(in crate::ledger) fn payment_template(name: &str) -> Option<&'static Template> {
    let found = STANDARD.iter().find(|template| template.name() == name);
    found.map(AsRef::as_ref)
}

fn payments_and_refunds() -> Vec<Arc<Template>> {
    let (payment, refund) = (Some(Stage::Payment), Some(Stage::Refund));
    vec![
        template(
            "payment_with_fee",
            "A customer pays a merchant, and the platform earns its fee at once.",
            payment,
            GROSS_AND_FEE,
            &[
                debit("customer", EITHER, "gross"),
                credit("merchant_receivable", LIABILITY, "net"),
                credit("platform_fee", REVENUE, "fee"),
            ],
        ),
        template(
            "payment_gross",
            "A customer pays a merchant; the fee is taken when it is settled.",
            payment,
            GROSS,
            &[
                debit("customer", EITHER, "gross"),
                credit("merchant_receivable", LIABILITY, "gross"),
            ],
        ),
        template(
            "payment_recorded",
            "A customer pays us: all of it is our revenue.",
            payment,
            GROSS,
            &[
                debit("customer", EITHER, "gross"),
                credit("payment_revenue", REVENUE, "gross"),
            ],
        ),
        template(
            "refund_with_fee",
            "Reverses payment_with_fee; a fee of zero leaves the fee with the platform.",
            refund,
            GROSS_AND_FEE,
            &[
                credit("customer", EITHER, "gross"),
                debit("merchant_receivable", LIABILITY, "net"),
                debit("platform_fee", REVENUE, "fee"),
            ],
        ),
        template(
            "refund_gross",
            "Reverses payment_gross.",
            refund,
            GROSS,
            &[
                credit("customer", EITHER, "gross"),
                debit("merchant_receivable", LIABILITY, "gross"),
            ],
        ),
        template(
            "refund_recorded",
            "Reverses payment_recorded.",
            refund,
            GROSS,
            &[
                credit("customer", EITHER, "gross"),
                debit("payment_revenue", REVENUE, "gross"),
            ],
        ),
        template(
            "settled_fee_returned",
            "Gives back the fee of a payment that was settled before it was refunded, beside refund_gross.",
            refund,
            &[("fee", Measure::Fee)],
            &[
                debit("platform_fee", REVENUE, "fee"),
                credit("merchant_receivable", LIABILITY, "fee"),
            ],
        ),
        template(
            "late_charge",
            "A provider took money on an attempt that was given up: nobody's until a person settles it.",
            Some(Stage::LateCharge),
            AMOUNT,
            &[
                debit("customer", EITHER, "amount"),
                credit("suspense", LIABILITY, "amount"),
            ],
        ),
    ]
}

fn settlements_and_payouts() -> Vec<Arc<Template>> {
    let (settlement, payout) = (Some(Stage::Settlement), Some(Stage::Payout));
    vec![
        template(
            "settlement",
            "What a merchant is owed becomes due, its fees taken already.",
            settlement,
            AMOUNT,
            &[
                debit("merchant_receivable", LIABILITY, "amount"),
                credit("merchant_payable", LIABILITY, "amount"),
            ],
        ),
        template(
            "settlement_with_fee",
            "What a merchant is owed becomes due, and the platform earns its fee now.",
            settlement,
            GROSS_AND_FEE,
            &[
                debit("merchant_receivable", LIABILITY, "gross"),
                credit("merchant_payable", LIABILITY, "net"),
                credit("platform_fee", REVENUE, "fee"),
            ],
        ),
        template(
            "merchant_payout",
            "A merchant is paid what it is owed.",
            payout,
            AMOUNT,
            &[
                debit("merchant_receivable", LIABILITY, "amount"),
                credit("bank", ASSET, "amount"),
            ],
        ),
        template(
            "settled_payout",
            "A merchant is paid what is due to it after a settlement.",
            payout,
            AMOUNT,
            &[
                debit("merchant_payable", LIABILITY, "amount"),
                credit("bank", ASSET, "amount"),
            ],
        ),
    ]
}

fn every_day() -> Vec<Arc<Template>> {
    vec![
        template(
            "refund_owed",
            "A refund is agreed on at a merchant's expense and not paid yet.",
            None,
            AMOUNT,
            &[
                debit("merchant_receivable", LIABILITY, "amount"),
                credit("refunds_payable", LIABILITY, "amount"),
            ],
        ),
        template(
            "refund_paid",
            "A refund that was owed is paid.",
            None,
            AMOUNT,
            &[
                debit("refunds_payable", LIABILITY, "amount"),
                credit("bank", ASSET, "amount"),
            ],
        ),
        template(
            "chargeback",
            "A customer's bank takes a payment back at our expense.",
            None,
            AMOUNT,
            &[
                debit("chargebacks", EXPENSE, "amount"),
                credit("customer", EITHER, "amount"),
            ],
        ),
        template(
            "processing_fee",
            "A provider charges us for its service.",
            None,
            AMOUNT,
            &[
                debit("processing_fees", EXPENSE, "amount"),
                credit("bank", ASSET, "amount"),
            ],
        ),
        template(
            "capital",
            "The owners put money in.",
            None,
            AMOUNT,
            &[debit("bank", ASSET, "amount"), credit("equity", EQUITY, "amount")],
        ),
        template(
            "rounding_residue",
            "What dividing an amount left over stays with the house.",
            None,
            AMOUNT,
            &[
                debit("merchant_receivable", LIABILITY, "amount"),
                credit("rounding", EQUITY, "amount"),
            ],
        ),
    ]
}
