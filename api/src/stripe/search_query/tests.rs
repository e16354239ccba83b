//! The language as tables.

use super::*;

fn clause(test: Test) -> Clause {
    Clause {
        is_negated: false,
        test,
    }
}

fn not(test: Test) -> Clause {
    Clause {
        is_negated: true,
        test,
    }
}

fn is(text: &str) -> TextTest {
    TextTest::Is(text.into())
}

fn metadata(key: &str, test: TextTest) -> Test {
    Test::Metadata(key.into(), test)
}

fn customer(text: &str) -> Test {
    Test::Customer(is(text))
}

#[test]
fn a_clause_is_a_field_an_operator_and_a_value() {
    let status = Test::Status;
    let part = |text: &str| TextTest::Contains(text.into());
    let none = RangeInclusive::new(1, 0);
    for (query, wanted) in [
        ("status:\"succeeded\"", clause(status(IntentStatus::Succeeded))),
        (
            "status:'Requires_Capture'",
            clause(status(IntentStatus::RequiresCapture)),
        ),
        ("-status:canceled", not(status(IntentStatus::Canceled))),
        ("currency:\"usd\"", clause(Test::Currency(Currency::USD))),
        ("  currency:JPY ", clause(Test::Currency(Currency::JPY))),
        ("customer:\"cus_1\"", clause(customer("cus_1"))),
        ("customer:cus-1.x/y@z", clause(customer("cus-1.x/y@z"))),
        ("customer:\"null\"", clause(customer("null"))),
        ("customer:null", clause(Test::Customer(TextTest::Absent))),
        ("-customer:NULL", not(Test::Customer(TextTest::Absent))),
        ("customer~\"us_\"", clause(Test::Customer(part("us_")))),
        (
            "metadata[\"order\"]:\"6735\"",
            clause(metadata("order", is("6735"))),
        ),
        (
            "metadata['a \"b\"']:'it\\'s'",
            clause(metadata("a \"b\"", is("it's"))),
        ),
        (
            "metadata[\"a\\\\b\"]:\"\\\"\"",
            clause(metadata("a\\b", is("\""))),
        ),
        (
            "metadata[\"a]\"]:\"x AND y\"",
            clause(metadata("a]", is("x AND y"))),
        ),
        (
            "metadata[\"ключ\"]:значение",
            clause(metadata("ключ", is("значение"))),
        ),
        ("metadata[\"k\"]:\"\"", clause(metadata("k", is("")))),
        ("metadata[\"k\"]:null", clause(metadata("k", TextTest::Absent))),
        ("-metadata[\"k\"]:null", not(metadata("k", TextTest::Absent))),
        ("metadata[\"k\"]~\"foo\"", clause(metadata("k", part("foo")))),
        ("amount:7", clause(Test::AmountMinor(7..=7))),
        ("amount:\"7\"", clause(Test::AmountMinor(7..=7))),
        ("-amount:7", not(Test::AmountMinor(7..=7))),
        ("amount>7", clause(Test::AmountMinor(8..=u64::MAX))),
        ("amount>=7", clause(Test::AmountMinor(7..=u64::MAX))),
        ("amount<7", clause(Test::AmountMinor(0..=6))),
        ("amount<=7", clause(Test::AmountMinor(0..=7))),
        ("amount<0", clause(Test::AmountMinor(none.clone()))),
        ("-amount>7", clause(Test::AmountMinor(0..=7))),
        ("-amount>=7", clause(Test::AmountMinor(0..=6))),
        ("-amount<7", clause(Test::AmountMinor(7..=u64::MAX))),
        ("-amount<=7", clause(Test::AmountMinor(8..=u64::MAX))),
        ("-amount>=0", clause(Test::AmountMinor(none))),
        (
            "created>999999999999",
            clause(Test::CreatedS(1_000_000_000_000..=u64::MAX)),
        ),
    ] {
        let search = read(query);
        let wanted = Search {
            joined: Joined::All,
            clauses: vec![wanted],
        };
        assert_eq!(search, Ok(wanted), "{query}");
    }
}

#[test]
fn clauses_stand_side_by_side_or_are_joined() {
    for (query, joined, names) in [
        ("customer:a customer:b", Joined::All, "ab"),
        ("customer:a AND customer:b", Joined::All, "ab"),
        ("customer:a and customer:b\tcustomer:c", Joined::All, "abc"),
        ("customer:a OR customer:b", Joined::Any, "ab"),
        ("customer:a or customer:b  Or  customer:c", Joined::Any, "abc"),
        ("customer:\"a\" OR customer:\"b\"", Joined::Any, "ab"),
    ] {
        let clauses = names.chars().map(|name| clause(customer(&name.to_string())));
        let wanted = Search {
            joined,
            clauses: clauses.collect(),
        };
        assert_eq!(read(query), Ok(wanted), "{query}");
    }
    let most = ["amount>1"; 10].join(" OR ");
    assert_eq!(read(&most).unwrap().clauses.len(), 10);
}

#[test]
fn what_is_no_query_is_refused_at_its_place() {
    let eleven = ["amount>1"; 11].join(" ");
    let long_key = format!("metadata[\"{}\"]:\"v\"", "k".repeat(41));
    let long_value = format!("metadata[\"k\"]:\"{}\"", "v".repeat(501));
    let long_customer = format!("customer:\"{}\"", "c".repeat(256));
    for (query, code, place) in [
        ("", "parameter_missing", 0),
        ("   ", "parameter_missing", 0),
        ("order 6735", "parameter_invalid", 1),
        ("email:\"a@b.example\"", "parameter_invalid", 1),
        ("payment_method_details.card.last4:4242", "parameter_invalid", 1),
        ("é:1", "parameter_invalid", 1),
        ("amount", "parameter_invalid", 7),
        ("amount:", "parameter_invalid", 8),
        ("amount>=", "parameter_invalid", 9),
        ("amount : 7", "parameter_invalid", 7),
        ("amount=7", "parameter_invalid", 7),
        ("amount~7", "parameter_invalid", 7),
        ("amount:null", "parameter_invalid", 8),
        ("amount:-7", "parameter_invalid", 8),
        ("amount:7.5", "parameter_invalid", 8),
        ("amount:1000000000000", "parameter_invalid", 8),
        ("amount:99999999999999999999999999", "parameter_invalid", 8),
        ("amount:\"\"", "parameter_invalid", 8),
        ("amount:٧", "parameter_invalid", 8),
        ("currency:euro", "parameter_invalid", 14),
        ("currency:null", "parameter_invalid", 14),
        ("currency~\"usd\"", "parameter_invalid", 9),
        ("status:\"paid\"", "parameter_invalid", 14),
        ("status>\"succeeded\"", "parameter_invalid", 7),
        ("customer:\"open", "parameter_invalid", 10),
        ("customer:\"open\\\"", "parameter_invalid", 10),
        ("customer:\"open\\", "parameter_invalid", 10),
        ("customer~\"us\"", "parameter_invalid", 14),
        ("customer~null", "parameter_invalid", 14),
        (&long_customer, "parameter_invalid", 268),
        ("metadata:\"v\"", "parameter_invalid", 9),
        ("metadata[k]:\"v\"", "parameter_invalid", 10),
        ("metadata[\"k\":\"v\"", "parameter_invalid", 13),
        ("metadata[\"\"]:\"v\"", "parameter_invalid", 12),
        (&long_key, "parameter_invalid", 53),
        (&long_value, "parameter_invalid", 518),
        ("(amount:7)", "parameter_invalid", 1),
        ("amount:7 (amount:8)", "parameter_invalid", 10),
        ("--amount:7", "parameter_invalid", 2),
        ("- amount:7", "parameter_invalid", 2),
        ("NOT amount:7", "parameter_invalid", 1),
        ("amount:7AND amount:8", "parameter_invalid", 8),
        ("status:\"canceled\"amount:8", "parameter_invalid", 18),
        ("amount:7 AND", "parameter_invalid", 10),
        ("amount:7 OR  ", "parameter_invalid", 10),
        ("amount:7 AND(amount:8)", "parameter_invalid", 10),
        ("AND amount:7", "parameter_invalid", 1),
        ("amount:7 AND OR amount:8", "parameter_invalid", 14),
        ("amount:7 AND amount:8 OR amount:9", "parameter_invalid", 26),
        ("amount:7 OR amount:8 amount:9", "parameter_invalid", 22),
        (&eleven, "parameter_invalid", 91),
    ] {
        let invalid = read(query).unwrap_err();
        assert_eq!(
            (invalid.param.as_deref(), invalid.code.as_str()),
            (Some("query"), code),
            "{query}"
        );
        let said = format!("`query`, at character {place}: ");
        assert!(
            place == 0 || invalid.message.starts_with(&said),
            "{query}: {} is not at {place}",
            invalid.message
        );
    }
}
