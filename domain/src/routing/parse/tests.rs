//! The language of rules: what it takes, and what is said of what it does not take.

use super::condition::{BRANDS, CAPTURES};
use super::*;
use crate::ids::MerchantId;
use crate::money::Currency;
use crate::routing::{AfterDecline, Among, Comparison, MethodKind, Order, Target};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

fn parsed(text: &str) -> Program {
    Program::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"))
}

fn refused(text: &str) -> String {
    Program::parse(text).unwrap_err().to_string()
}

fn provider(name: &str) -> ProviderId {
    ProviderId::parse(name).unwrap()
}

#[test]
fn programs_are_read_and_written_in_one_way() {
    let cases = [
        ("", ""),
        ("\n  # nothing\n\r\n", ""),
        ("visa:  brand is visa -> stripe", "visa: brand is visa -> stripe"),
        ("1:brand is visa->stripe", "1: brand is visa -> stripe"),
        (
            "mc: brand is mastercard and country in (US, CA) and amount >= 100.00 USD -> adyen, stripe",
            "mc: brand is mastercard and country in (US, CA) and amount >= 100.00 USD -> adyen, stripe",
        ),
        (
            "eu: currency is eur -> split adyen 70, stripe 30 # by lot",
            "eu: currency is EUR -> split adyen 70, stripe 30",
        ),
        (
            r#"shop: merchant is mer_00000000000000000000000009 and metadata.tier is "gold # \"1\"" -> score(adyen, stripe)"#,
            r#"shop: merchant is mer_00000000000000000000000009 and metadata.tier is "gold # \"1\"" -> score(adyen, stripe)"#,
        ),
        (
            r#"key: metadata."a b" not in ("1", "2") or metadata."12" is "x" -> score"#,
            r#"key: metadata."a b" not in ("1", "2") or metadata."12" is "x" -> score"#,
        ),
        (
            "shop: merchant is mer_00000000000000000000000009 -> adyen, after   after decline next_provider",
            "shop: merchant is mer_00000000000000000000000009 -> adyen, after after decline next_provider",
        ),
        (
            "strict: otherwise -> score after decline answer",
            "strict: otherwise -> score after decline answer",
        ),
        (
            "cheap: amount < 5 USD -> only adyen",
            "cheap: amount < 5.00 USD -> only adyen",
        ),
        (
            "none: amount = 0 JPY -> only split a 100, b 0",
            "none: amount = 0 JPY -> only split a 100, b 0",
        ),
        (
            "rest: otherwise -> only score(a)",
            "rest: otherwise -> only score(a)",
        ),
        ("one: brand in (visa) -> a", "one: brand is visa -> a"),
        ("no: brand not in (visa) -> a", "no: brand is not visa -> a"),
        (
            "not: not (not customer is present and capture is manual) -> a",
            "not: not (not customer is present and capture is manual) -> a",
        ),
        (
            "or: (brand is visa or brand is amex) and ((method is apple_pay)) -> a",
            "or: (brand is visa or brand is amex) and method is apple_pay -> a",
        ),
        (
            "flat: brand is visa and (brand is amex and brand is visa) or (brand is visa and brand is amex) -> a",
            "flat: brand is visa and (brand is amex and brand is visa) or brand is visa and brand is amex -> a",
        ),
        (
            "method: method in (card, us_bank_transfer, eu_bank_transfer) -> plaid",
            "method: method in (card, us_bank_transfer, eu_bank_transfer) -> plaid",
        ),
    ];
    for (text, written) in cases {
        assert_eq!(parsed(text).to_string().trim_end(), written, "{text}");
        assert_eq!(parsed(written).to_string().trim_end(), written, "{text}");
    }
    let program = parsed("# two\na: otherwise -> x\n\nb: otherwise -> y");
    let lines: Vec<(&str, u32)> = program
        .rules()
        .iter()
        .map(|rule| (&*rule.name, rule.line))
        .collect();
    assert_eq!(lines, [("a", 2), ("b", 4)]);
}

#[test]
fn the_refusal_of_a_condition_says_where_what_was_found_and_what_was_expected() {
    let cases = [
        ("a", "line 1, column 2: found the end of the line, expected `:`"),
        (
            "ok: otherwise -> a\n  \"b\": otherwise -> a",
            "line 2, column 3: found \"b\", expected the rule's name, 1 to 32 letters, digits, `_` and `-`, and a `:`",
        ),
        (
            "a: color is red -> x",
            "line 1, column 4: found `color`, expected `brand`, `country`, `currency`, `amount`, `merchant`, `metadata`, \
             `customer`, `capture`, `method`, `not`, `otherwise` or `(`",
        ),
        (
            "a: brand equals visa -> x",
            "line 1, column 10: found `equals`, expected `is`, `is not`, `in` or `not in`",
        ),
        (
            "a: brand not visa -> x",
            "line 1, column 14: found `visa`, expected `in`",
        ),
        (
            "a: brand is viza -> x",
            "line 1, column 13: found `viza`, expected `visa`, `mastercard` or `amex`",
        ),
        (
            "a: country in (US, germany) -> x",
            "line 1, column 20: found `germany`, expected two letters such as `DE`",
        ),
        (
            "a: country in (US -> x",
            "line 1, column 19: found `->`, expected `,` or `)`",
        ),
        (
            "a: country in US -> x",
            "line 1, column 15: found `US`, expected `(`",
        ),
        (
            "a: currency is XXQ -> x",
            "line 1, column 16: found `XXQ`, expected a currency such as `EUR`",
        ),
        (
            "a: merchant is shop -> x",
            "line 1, column 16: found `shop`, expected a merchant's id, which begins with `mer_`",
        ),
        (
            "a: metadata is \"x\" -> x",
            "line 1, column 13: found `is`, expected `.` and a key of the metadata, such as `metadata.tier` or \
             `metadata.\"the tier\"`",
        ),
        (
            "a: metadata.tier is gold -> x",
            "line 1, column 21: found `gold`, expected a text in double quotes",
        ),
        (
            "a: customer is cus_1 -> x",
            "line 1, column 16: found `cus_1`, expected `present`",
        ),
        (
            "a: capture is later -> x",
            "line 1, column 15: found `later`, expected `automatic` or `manual`",
        ),
        (
            "a: method is cash -> x",
            "line 1, column 14: found `cash`, expected `card`, `apple_pay`, `us_bank_transfer` or `eu_bank_transfer`",
        ),
        (
            "a: amount is 5 USD -> x",
            "line 1, column 11: found `is`, expected `<`, `<=`, `>`, `>=`, `=` or `!=`",
        ),
        (
            "a: amount < 5 -> x",
            "line 1, column 15: found `->`, expected the amount's currency: an amount with its currency, such as `100.00 USD`",
        ),
        (
            "a: amount < USD -> x",
            "line 1, column 13: found `USD`, expected an amount with its currency, such as `100.00 USD`",
        ),
    ];
    for (text, message) in cases {
        assert_eq!(refused(text), message, "{text}");
    }
}

#[test]
fn so_does_the_refusal_of_a_target_a_name_or_a_sign() {
    let cases = [
        (
            "a: otherwise and brand is visa -> x",
            "line 1, column 14: found `and`, expected `->`",
        ),
        (
            "a: brand is visa stripe",
            "line 1, column 18: found `stripe`, expected `and`, `or` or `->`",
        ),
        (
            "a: (brand is visa -> x",
            "line 1, column 19: found `->`, expected `and`, `or` or `)`",
        ),
        (
            "a: otherwise ->",
            "line 1, column 16: found the end of the line, expected a provider's name, `only`, `split` or `score`",
        ),
        (
            "a: otherwise -> x, ",
            "line 1, column 20: found the end of the line, expected a provider's name",
        ),
        (
            "a: otherwise -> x, Y",
            "line 1, column 20: found `Y`, expected a provider's name",
        ),
        (
            "a: otherwise -> x y",
            "line 1, column 19: found `y`, expected `after decline` or the end of the line",
        ),
        (
            "a: otherwise -> x after y",
            "line 1, column 25: found `y`, expected `decline`",
        ),
        (
            "a: otherwise -> x after decline retry",
            "line 1, column 33: found `retry`, expected `next_provider` or `answer`",
        ),
        (
            "a: otherwise -> x after decline answer y",
            "line 1, column 40: found `y`, expected the end of the line",
        ),
        ("a: otherwise -> x, x", "line 1, column 20: `x` is named twice"),
        (
            "a: otherwise -> only score",
            "line 1, column 27: found the end of the line, expected `(` and the providers that are the only ones",
        ),
        (
            "a: otherwise -> score(x",
            "line 1, column 24: found the end of the line, expected `,` or `)`",
        ),
        (
            "a: otherwise -> split x 70, y 20",
            "line 1, column 23: the shares come to 90 percent, expected 100",
        ),
        (
            "a: otherwise -> split x 33.3, y 66.7",
            "line 1, column 25: found `33.3`, expected a share in whole percent, from 0 to 100",
        ),
        (
            "a: otherwise -> split x 101",
            "line 1, column 25: found `101`, expected a share in whole percent, from 0 to 100",
        ),
        (
            "a: otherwise -> x\na: otherwise -> y",
            "line 2, column 1: there is a rule `a` already",
        ),
        (
            "é: otherwise -> x",
            "line 1, column 1: found `é`, expected a word, a number, a text in double quotes or a sign of the language",
        ),
        (
            "a: metadata.x is \"é\" & -> x",
            "line 1, column 22: found `&`, expected a word, a number, a text in double quotes or a sign of the language",
        ),
        (
            "a: metadata.x is \"open -> x",
            "line 1, column 18: found a text without an end, expected a closing `\"` on the same line",
        ),
        (
            r#"a: metadata.x is "\n" -> x"#,
            "line 1, column 18: found `\\n`, expected `\\\"` or `\\\\` behind a backslash in a text",
        ),
    ];
    for (text, message) in cases {
        assert_eq!(refused(text), message, "{text}");
    }
    for text in [
        "a: amount < 5.001 USD -> x",
        "a: amount < 99999999999999999999 USD -> x",
    ] {
        let message = refused(text);
        assert!(
            message.starts_with("line 1, column 13: the amount is none of its currency: "),
            "{message}"
        );
    }
}

#[test]
fn a_provider_that_is_not_configured_is_named_with_its_rule_and_those_that_are() {
    let program =
        parsed("visa: brand is visa -> stripe\n\nmc: brand is mastercard -> split stripe 50, adyen 50");
    let configured = [provider("stripe"), provider("wise")];
    assert_eq!(
        program.check(&configured).unwrap_err().to_string(),
        "line 3, column 28: the rule `mc` names the provider `adyen`, which is not configured; configured: stripe, wise"
    );
    assert!(
        program
            .check(&[])
            .unwrap_err()
            .to_string()
            .ends_with("configured: none")
    );
    assert_eq!(program.check(&[provider("adyen"), provider("stripe")]), Ok(()));
    assert_eq!(Program::default().check(&[]), Ok(()));
}

#[test]
fn the_bounds_are_reached_and_not_passed() {
    let rules = |count: usize| {
        let rules: Vec<String> = (0..count).map(|n| format!("r{n}: otherwise -> a\n")).collect();
        rules.concat()
    };
    assert_eq!(parsed(&rules(RULES_MAX)).rules().len(), RULES_MAX);
    assert_eq!(
        refused(&rules(RULES_MAX + 1)),
        "line 65, column 1: there are more than 64 rules"
    );
    let text = "#".repeat(PROGRAM_BYTES_MAX);
    assert_eq!(parsed(&text), Program::default());
    assert_eq!(
        refused(&(text + "#")),
        "line 1, column 1: the program is longer than 16384 bytes"
    );
    for (open, close) in [("(", ")"), ("not ", ""), ("not (", ")")] {
        let width = if open == "not (" { 2 } else { 1 };
        let nested = |depth: usize| {
            let (open, close) = (open.repeat(depth / width), close.repeat(depth / width));
            format!("a: {open}brand is visa{close} -> x")
        };
        assert_eq!(parsed(&nested(32)).rules().len(), 1);
        let message = refused(&nested(34));
        assert!(message.ends_with("nested more than 32 deep"), "{message}");
    }
    let deep = format!("a: {} -> x", "(".repeat(15_000));
    assert!(refused(&deep).ends_with("nested more than 32 deep"));
    let names = |count: usize| (0..count).map(|n| format!("p{n}")).collect::<Vec<_>>().join(", ");
    assert_eq!(parsed(&format!("a: otherwise -> {}", names(32))).rules().len(), 1);
    assert!(refused(&format!("a: otherwise -> {}", names(33))).ends_with("expected at most 32 providers"));
    let long = format!("{}: otherwise -> a", "n".repeat(33));
    assert!(refused(&long).contains("the rule's name, 1 to 32 letters"));
    assert!(
        refused(&"x".repeat(5_000)).len() < 200,
        "what was found is shown in part"
    );
}

fn some<T: Clone + std::fmt::Debug + 'static>(values: &[T]) -> impl Strategy<Value = Vec<T>> + use<T> {
    subsequence(values.to_vec(), 1..=values.len())
}

fn among() -> impl Strategy<Value = Among> {
    let currencies = [Currency::USD, Currency::EUR, Currency::JPY, Currency::BHD];
    let merchants = [1, 9, u128::MAX].map(MerchantId::from_bits);
    let texts = proptest::collection::vec("[ -~é]{0,6}", 1..4);
    let texts = texts.prop_map(|texts| texts.iter().map(|text| Arc::from(text.as_str())).collect());
    prop_oneof![
        some(&BRANDS).prop_map(Among::Brand),
        some(&[*b"US", *b"DE", *b"CA"]).prop_map(Among::Country),
        some(&currencies).prop_map(Among::Currency),
        some(&merchants).prop_map(Among::Merchant),
        ("[a-z0-9_. \"\\\\-]{1,5}", texts).prop_map(|(key, texts)| Among::Metadata(Arc::from(key), texts)),
        some(&CAPTURES).prop_map(Among::Capture),
        some(&MethodKind::ALL).prop_map(Among::Method),
        Just(Among::CustomerPresent),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    let amount = (
        select(&Comparison::ALL[..]),
        0..1_000_000_i128,
        select(vec![Currency::USD, Currency::JPY, Currency::BHD]),
    );
    let leaf = prop_oneof![
        among().prop_map(Condition::Among),
        among().prop_map(Condition::NotAmong),
        amount.prop_map(|(comparison, minor, currency)| Condition::Amount(comparison, minor, currency)),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| Condition::Not(Box::new(inner))),
            proptest::collection::vec(inner.clone(), 2..4).prop_map(Condition::All),
            proptest::collection::vec(inner, 2..4).prop_map(Condition::Any),
        ]
    })
}

fn target() -> impl Strategy<Value = Target> {
    let names = ["stripe", "adyen", "wise", "p_1", "9"].map(provider);
    let split = (0..=100_u32, 0..=100_u32).prop_map(|(a, b)| {
        let (low, high) = (a.min(b), a.max(b));
        let shares = [low, high.saturating_sub(low), 100_u32.saturating_sub(high)];
        Order::Split(
            ["stripe", "adyen", "wise"]
                .map(provider)
                .into_iter()
                .zip(shares)
                .collect(),
        )
    });
    let order = prop_oneof![
        some(&names).prop_map(Order::Named),
        split,
        some(&names).prop_map(Order::ByScore),
    ];
    prop_oneof![
        1 => Just(Target { only: false, order: Order::ByScore(Vec::new()) }),
        4 => (any::<bool>(), order).prop_map(|(only, order)| Target { only, order }),
    ]
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let condition = prop_oneof![1 => Just(Condition::Otherwise), 5 => condition()];
    let after = prop_oneof![Just(None), select(&AfterDecline::ALL).prop_map(Some)];
    proptest::collection::vec((condition, target(), after), 0..6).prop_map(|parts| {
        (1_u32..)
            .zip(parts)
            .map(|(line, (condition, target, after_decline))| {
                let name: Arc<str> = Arc::from(format!("rule-{line}"));
                let before = format!("{name}: {condition} -> ");
                Rule {
                    name,
                    target_column: u32::try_from(before.chars().count()).unwrap().saturating_add(1),
                    condition,
                    target,
                    after_decline,
                    line,
                }
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_it_was(rules in rules()) {
        let program = Program { rules };
        let written = program.to_string();
        prop_assert_eq!(Program::parse(&written), Ok(program), "{}", written);
    }

    #[test]
    fn no_text_is_too_much_for_the_reader(text in any::<String>(), lines in "([a-z:>()<=,.\"\\\\# \n0-9-]|is |not |and |-> ){0,80}") {
        for text in [text, lines] {
            if let Err(why) = Program::parse(&text) {
                prop_assert!(why.line >= 1 && why.column >= 1);
            }
        }
    }
}
