//! Templates: what is one, what the worked examples come to, and what accounts and amounts do not fit.

use super::requests::key;
use super::*;
use crate::money::decimal_string;
use proptest::prelude::*;

/// A template of these roles (each with its types), parameters, derived amounts and lines, in words.
pub(super) fn terms(roles: &str, parameters: &str, derived: &str, lines: &str) -> TemplateTerms {
    let entries = |text: &str| -> Vec<(String, String)> {
        let entries = text.split(';').filter(|entry| !entry.trim().is_empty());
        let pair = |entry: &str| {
            let (name, value) = entry.split_once(':').unwrap();
            (name.trim().to_owned(), value.trim().to_owned())
        };
        entries.map(pair).collect()
    };
    let type_of = |word: &str| match word {
        "asset" => AccountType::Asset,
        "liability" => AccountType::Liability,
        "equity" => AccountType::Equity,
        "revenue" => AccountType::Revenue,
        _ => AccountType::Expense,
    };
    let measure = |word: &str| {
        let found = Measure::ALL.into_iter().find(|measure| measure.as_str() == word);
        found.unwrap()
    };
    TemplateTerms {
        name: "sample".into(),
        description: "".into(),
        stage: None,
        roles: entries(roles)
            .iter()
            .map(|(role, types)| {
                (
                    role.as_str().into(),
                    types.split_whitespace().map(type_of).collect(),
                )
            })
            .collect(),
        parameters: entries(parameters)
            .iter()
            .map(|(name, word)| (name.as_str().into(), measure(word)))
            .collect(),
        derived: entries(derived)
            .iter()
            .map(|(name, sum)| (name.as_str().into(), sum.as_str().into()))
            .collect(),
        lines: entries(lines)
            .iter()
            .map(|(role, line)| {
                let (side, amount) = line.split_once(' ').unwrap();
                let side = if side == "debit" {
                    Side::Debit
                } else {
                    Side::Credit
                };
                TemplateLine {
                    role: role.as_str().into(),
                    side,
                    amount: amount.into(),
                }
            })
            .collect(),
    }
}

pub(super) fn template(roles: &str, parameters: &str, derived: &str, lines: &str) -> Template {
    Template::checked(terms(roles, parameters, derived, lines)).unwrap()
}

/// Where it is wrong, and how.
fn refusal(roles: &str, parameters: &str, derived: &str, lines: &str) -> String {
    Template::checked(terms(roles, parameters, derived, lines))
        .unwrap_err()
        .to_string()
}

#[test]
fn what_is_no_template_is_refused_by_the_field() {
    const TWO: &str = "a: asset; b: liability";
    const GROSS: &str = "gross: gross";
    const BOTH: &str = "a: debit gross; b: credit gross";
    const WORD: &str = "must be 1 to 64 characters of a-z, 0-9 and _ that start with a letter";
    let no_amount = |name: &str| format!("names `{name}`, which is no amount of the template");
    let no_sum = |text: &str| format!("is `{text}`, and must be names of amounts with + and - between them");
    let said = ToOwned::to_owned;
    #[rustfmt::skip]
    let cases = [
        (TWO, GROSS, "", "a: debit gross; b: credit net", "lines.2.amount", no_amount("net")),
        (TWO, GROSS, "net: gross - fee", "a: debit gross; b: credit net", "derived.net", no_amount("fee")),
        (TWO, GROSS, "x: y; y: x", BOTH, "derived.x", said("is derived from itself")),
        (TWO, GROSS, "gross: gross", BOTH, "derived.gross", said("is the name of a parameter")),
        (TWO, GROSS, "", "a: debit gross; c: credit gross", "lines.2.role", said("is `c`, which is not among the roles")),
        ("a: asset; b: liability; c: equity", GROSS, "", BOTH, "roles.c", said("is in no line")),
        (TWO, "gross: gross; tip: other", "", BOTH, "parameters.tip", said("is in no line")),
        (TWO, GROSS, "", "a: debit gross; b: credit gross; b: credit gross - gross", "lines.3.amount", said("is always zero")),
        (TWO, GROSS, "", "a: debit gross; b: credit 2 gross", "lines.2.amount", no_sum("2 gross")),
        (TWO, GROSS, "", "a: debit gross; b: credit gross -", "lines.2.amount", no_sum("gross -")),
        ("a: asset revenue; b: liability", GROSS, "", BOTH, "roles.a", said("may stand for revenue or for other types, but not for both")),
        ("a:; b: liability", GROSS, "", BOTH, "roles.a", said("needs a type of account")),
        ("a: asset; a: asset; b: liability", GROSS, "", BOTH, "roles.a", said("is there twice")),
        ("A: asset; b: liability", GROSS, "", BOTH, "roles.A", format!("has a name that {WORD}")),
        (TWO, GROSS, "", "a: debit gross", "lines", said("must be 2 to 64")),
        ("a: asset; b: revenue", "cut: fee", "", "a: debit cut; b: credit cut", "stage",
            said("is required: the template recognises the fee of payments, on `b`")),
    ];
    for (roles, parameters, derived, lines, field, why) in cases {
        let found = refusal(roles, parameters, derived, lines);
        assert_eq!(found, format!("template `sample`: `{field}` {why}"));
    }
}

/// The sides of the first are equal for a fee of zero, those of the second for a fee that is half of what is paid; neither balances.
#[test]
fn a_template_balances_for_all_amounts_or_it_is_none() {
    let roles = "customer: liability; merchant: liability; fees: revenue";
    let both = "gross: gross; fee: fee";
    let unbalanced = refusal(
        roles,
        both,
        "",
        "customer: debit gross; merchant: credit gross; fees: credit fee",
    );
    assert_eq!(
        unbalanced,
        "template `sample`: `lines` do not balance: `fee` is debited 0 times and credited 1 times"
    );
    let lucky = refusal(
        roles,
        both,
        "",
        "customer: debit gross; merchant: credit fee; fees: credit fee",
    );
    assert_eq!(
        lucky,
        "template `sample`: `lines` do not balance: `gross` is debited 1 times and credited 0 times"
    );
}

fn opened(number: u32, account_type: AccountType) -> AccountKey {
    key(number, account_type, Currency::USD, false)
}

fn standard(name: &str) -> &'static Template {
    let found = standard_templates()
        .iter()
        .find(|template| template.name() == name);
    found.unwrap_or_else(|| panic!("no template {name}"))
}

/// What a standard template makes of these amounts, each role in an account of a type that it takes: `Dr role 1.00`.
fn posted(name: &str, amounts: &[(&str, i128)]) -> Vec<String> {
    let template = standard(name);
    let roles = &template.terms().roles;
    let accounts: Vec<(&str, AccountKey)> = (0..)
        .zip(roles)
        .map(|(number, (role, types))| (&**role, opened(number, types[0])))
        .collect();
    let postings = match template.fill(&accounts, amounts).unwrap() {
        TransferLegs::Pair {
            debit: from,
            credit: to,
            amount,
        } => vec![debit(from, amount.minor()), credit(to, amount.minor())],
        TransferLegs::Many(postings) => Entry::balanced(name, postings).unwrap().postings().to_vec(),
        TransferLegs::OfPending(_) | TransferLegs::Irreversible(_) => panic!("a template names accounts"),
    };
    let line = |posting: &Posting| {
        let (role, _) = accounts.iter().find(|(_, key)| *key == posting.account).unwrap();
        let side = if posting.side == Side::Debit { "Dr" } else { "Cr" };
        format!(
            "{side} {role} {}",
            decimal_string(posting.amount.minor(), Currency::USD)
        )
    };
    postings.iter().map(line).collect()
}

/// Template, amounts in minor units, and the lines in the words of an accountant.
const EXAMPLES: &[(&str, &str, &str)] = &[
    (
        "payment_with_fee",
        "gross 10000 fee 300",
        "Dr customer 100.00, Cr merchant_receivable 97.00, Cr platform_fee 3.00",
    ),
    (
        "merchant_payout",
        "amount 9700",
        "Dr merchant_receivable 97.00, Cr bank 97.00",
    ),
    (
        "payment_recorded",
        "gross 10000",
        "Dr customer 100.00, Cr payment_revenue 100.00",
    ),
    (
        "settlement_with_fee",
        "gross 1000000 fee 30000",
        "Dr merchant_receivable 10000.00, Cr merchant_payable 9700.00, Cr platform_fee 300.00",
    ),
    (
        "payment_gross",
        "gross 10000",
        "Dr customer 100.00, Cr merchant_receivable 100.00",
    ),
    (
        "refund_with_fee",
        "gross 10000 fee 300",
        "Cr customer 100.00, Dr merchant_receivable 97.00, Dr platform_fee 3.00",
    ),
    // A refund that keeps the fee, and a payment that has none.
    (
        "refund_with_fee",
        "gross 10000 fee 0",
        "Dr merchant_receivable 100.00, Cr customer 100.00",
    ),
    (
        "payment_with_fee",
        "gross 10000 fee 0",
        "Dr customer 100.00, Cr merchant_receivable 100.00",
    ),
    (
        "refund_gross",
        "gross 10000",
        "Dr merchant_receivable 100.00, Cr customer 100.00",
    ),
    (
        "refund_recorded",
        "gross 10000",
        "Dr payment_revenue 100.00, Cr customer 100.00",
    ),
    (
        "settled_fee_returned",
        "fee 30000",
        "Dr platform_fee 300.00, Cr merchant_receivable 300.00",
    ),
    (
        "late_charge",
        "amount 10000",
        "Dr customer 100.00, Cr suspense 100.00",
    ),
    (
        "settlement",
        "amount 970000",
        "Dr merchant_receivable 9700.00, Cr merchant_payable 9700.00",
    ),
    (
        "settled_payout",
        "amount 970000",
        "Dr merchant_payable 9700.00, Cr bank 9700.00",
    ),
    (
        "refund_owed",
        "amount 10000",
        "Dr merchant_receivable 100.00, Cr refunds_payable 100.00",
    ),
    (
        "refund_paid",
        "amount 10000",
        "Dr refunds_payable 100.00, Cr bank 100.00",
    ),
    (
        "chargeback",
        "amount 10000",
        "Dr chargebacks 100.00, Cr customer 100.00",
    ),
    (
        "processing_fee",
        "amount 320",
        "Dr processing_fees 3.20, Cr bank 3.20",
    ),
    ("capital", "amount 100000", "Dr bank 1000.00, Cr equity 1000.00"),
    (
        "rounding_residue",
        "amount 1",
        "Dr merchant_receivable 0.01, Cr rounding 0.01",
    ),
];

#[test]
fn the_standard_templates_come_to_the_worked_examples() {
    for (name, amounts, lines) in EXAMPLES {
        let words: Vec<&str> = amounts.split(' ').collect();
        let amounts: Vec<(&str, i128)> = words
            .chunks(2)
            .map(|pair| (pair[0], pair[1].parse().unwrap()))
            .collect();
        assert_eq!(posted(name, &amounts).join(", "), *lines, "{name}");
    }
    for template in standard_templates() {
        let has_example = EXAMPLES.iter().any(|(name, ..)| *name == template.name());
        assert!(has_example, "{}", template.name());
    }
}

#[test]
fn what_does_not_fit_a_template_is_named() {
    let template = standard("payment_with_fee");
    let (customer, merchant) = (opened(0, AccountType::Asset), opened(1, AccountType::Liability));
    let fees = usd(AccountName::FeeRevenue);
    let all = [
        ("customer", customer),
        ("merchant_receivable", merchant),
        ("platform_fee", fees),
    ];
    let with = |role: &'static str, account| {
        all.map(|(name, key)| {
            if name == role {
                (name, account)
            } else {
                (name, key)
            }
        })
    };
    let amounts = [("gross", 10_000), ("fee", 300)];
    let euro = key(2, AccountType::Liability, Currency::EUR, false);
    let real = key(2, AccountType::Liability, Currency::USD, true);
    let wrong = |accounts: &[(&str, AccountKey)], amounts: &[(&str, i128)]| {
        let error = template.fill(accounts, amounts).unwrap_err();
        (error.field(), error.to_string())
    };
    let max = Amount::MAX_MINOR;
    for ((field, message), expected, part) in [
        (wrong(&all[..2], &amounts), "accounts.platform_fee", "is required"),
        (
            wrong(&[all[0], all[1], all[2], ("bank", fees)], &amounts),
            "accounts.bank",
            "is no role",
        ),
        (
            wrong(&with("platform_fee", merchant), &amounts),
            "accounts.platform_fee",
            "must be of type revenue",
        ),
        (
            wrong(&with("customer", fees), &amounts),
            "accounts.customer",
            "must be of type asset or liability",
        ),
        (
            wrong(&with("merchant_receivable", euro), &amounts),
            "accounts.merchant_receivable",
            "one currency",
        ),
        (
            wrong(&with("merchant_receivable", real), &amounts),
            "accounts.merchant_receivable",
            "one mode",
        ),
        (wrong(&all, &amounts[..1]), "amounts.fee", "is required"),
        (
            wrong(&all, &[amounts[0], amounts[1], ("tip", 1)]),
            "amounts.tip",
            "is no parameter",
        ),
        (
            wrong(&all, &[("gross", 300), ("fee", 301)]),
            "amounts",
            "`net` of `merchant_receivable` less than zero",
        ),
        (
            wrong(&all, &[("gross", max + 1), ("fee", 0)]),
            "amounts",
            "`gross` of `customer` more than an amount can be",
        ),
        (
            wrong(&all, &[("gross", i128::MAX), ("fee", i128::MIN)]),
            "amounts",
            "more than an amount can be",
        ),
    ] {
        assert_eq!(field, expected, "{message}");
        assert!(
            message.starts_with(&format!("`{field}`")) && message.contains(part),
            "{message}"
        );
    }
    let nothing = template.fill(&all, &[("gross", 0), ("fee", 0)]).unwrap();
    assert_eq!(nothing, TransferLegs::Many(Vec::new()), "which the books refuse");
}

/// Three parties share what two others pay, by random sums.
fn sums() -> impl Strategy<Value = [String; 4]> {
    let term = prop_oneof![Just("a"), Just("b"), Just("c")];
    let sum = proptest::collection::vec((any::<bool>(), term), 1..5).prop_map(|terms| {
        terms
            .iter()
            .map(|(plus, name)| format!("{} {name}", if *plus { "+" } else { "-" }))
            .collect::<Vec<_>>()
            .join(" ")
            .trim_start_matches("+ ")
            .to_owned()
    });
    [sum.clone(), sum.clone(), sum.clone(), sum]
}

proptest! {
    /// The proof by coefficients against the sums of many amounts: what it lets pass always balances, and what it refuses for
    /// its balance does not for some of them.
    #[test]
    fn the_proof_of_balance_is_what_amounts_show(
        sums in sums(), closes: bool, amounts in proptest::collection::vec([1..1_000_i128, 1..1_000, 1..1_000], 8)
    ) {
        let [first, second, third, fourth] = &sums;
        // Half of them are made to balance: the last line is what is missing.
        let last = if closes {
            let less = |sum: &str| format!(" {sum}").replace(" - ", " # ").replace(" + ", " - ").replace(" # ", " + ");
            let signed = if third.starts_with('-') { format!(" {third}") } else { format!(" + {third}") };
            let lead = |sum: &str| if sum.starts_with('-') { format!(" {sum}") } else { format!(" + {sum}") };
            format!("x{}{}{}", lead(first), lead(second), less(&signed)).replacen("x + ", "", 1).replacen("x ", "", 1)
        } else {
            fourth.clone()
        };
        let lines = format!("p: debit {first}; q: debit {second}; r: credit {third}; s: credit {last}");
        let found = Template::checked(terms(
            "p: asset; q: asset; r: liability; s: liability", "a: other; b: other; c: other", "", &lines,
        ));
        let value = |sum: &str, [a, b, c]: [i128; 3]| -> i128 {
            let mut sign = 1;
            let mut total = 0;
            for word in sum.split_whitespace() {
                match word {
                    "+" => sign = 1,
                    "-" => sign = -1,
                    name => total += sign * match name.trim_start_matches('-') { "a" => a, "b" => b, _ => c },
                }
            }
            total
        };
        let balances = |amounts: [i128; 3]| {
            value(first, amounts) + value(second, amounts) == value(third, amounts) + value(&last, amounts)
        };
        match found {
            Ok(_) => prop_assert!(amounts.iter().all(|amounts| balances(*amounts))),
            Err(error) if error.why.contains("do not balance") => {
                let bases = [[1, 0, 0], [0, 1, 0], [0, 0, 1]];
                prop_assert!(!bases.iter().all(|amounts| balances(*amounts)), "{}", lines);
            }
            // Always zero, or a parameter of no line.
            Err(_) => {}
        }
    }

    #[test]
    fn what_a_standard_template_makes_balances(gross in 0..=Amount::MAX_MINOR, fee in 0..=Amount::MAX_MINOR) {
        for template in standard_templates() {
            let roles = &template.terms().roles;
            let accounts: Vec<(&str, AccountKey)> =
                (0..).zip(roles).map(|(number, (role, types))| (&**role, opened(number, types[0]))).collect();
            let amounts: Vec<(&str, i128)> = template.terms().parameters.iter().map(|(name, measure)| {
                (&**name, if *measure == Measure::Fee { fee } else { gross })
            }).collect();
            match template.fill(&accounts, &amounts) {
                Ok(TransferLegs::Many(postings)) if !postings.is_empty() => {
                    prop_assert!(Entry::balanced(template.name(), postings).is_ok());
                }
                Ok(_) => {}
                Err(error) => {
                    let is_negative = matches!(error, FillError::Negative { .. });
                    prop_assert!(is_negative && fee > gross, "{}", error);
                }
            }
        }
    }
}
