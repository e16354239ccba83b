//! Forms and JSON that were changed: each comes to a tree that can be written again, or to a refusal that a person can use.

use super::*;
use florin_fuzz::{Target, any_of};

const WRITTEN: [&str; 6] = [
    "amount=1000&currency=usd&payment_method=pm_card_visa&confirm=true&expand[0]=latest_charge.balance_transaction",
    "amount=500&metadata[order+id]=7&metadata[b]=Zwei%20St%C3%BChle&payment_method_types[]=card&payment_method_types[]=link",
    "created%5Bgte%5D=1790000000&limit=3&starting_after=pi_00000000000000000000000007",
    "payment_method_options[card][request_three_d_secure]=automatic&description=",
    r#"{"amount":1000,"currency":"usd","metadata":{"a":"b"},"expand":["latest_charge"],"confirm":true}"#,
    r#"{"payment_method_options":{"card":{"request_three_d_secure":"automatic"}},"description":null}"#,
];

/// The texts of a tree with their whole names.
fn texts(fields: &Fields, prefix: &str, found: &mut Vec<(String, String)>) {
    for (name, node) in fields {
        let whole = joined(prefix, name);
        match node {
            Node::Text(text) => found.push((whole, text.clone())),
            Node::Map(inside) => texts(inside, &whole, found),
            Node::List(items) => {
                let named = items
                    .iter()
                    .enumerate()
                    .map(|(place, item)| (place.to_string(), item.clone()));
                texts(&named.collect(), &whole, found);
            }
        }
    }
}

#[test]
fn whatever_is_sent_is_a_tree_that_can_be_written_again_or_a_refusal_that_a_person_can_use() {
    let words = [
        "[", "]", "[]", "[0]", "[a]", "=", "&", "%", "%5B", "%00", "+", "\"", "{", "}", ":", ",", "null",
        "1e9", "-1", "\u{fc}",
    ];
    Target::of_text("stripe_parameters", any_of(WRITTEN))
        .words(words)
        .cases(20_000)
        .run(|bytes| {
            for read in [read_form(bytes, Code::BodyInvalid), read_json(bytes)] {
                match read {
                    Err(Invalid { message, param, .. }) => {
                        assert!(message.ends_with('.') && message.len() < 2_000, "{message}");
                        assert!(param.is_none_or(|param| param.len() < 2_000));
                    }
                    Ok(fields) => {
                        let mut found = Vec::new();
                        texts(&fields, "", &mut found);
                        assert!(found.len() <= TEXTS_MAX);
                        let hex = |text: &str| {
                            text.bytes()
                                .map(|byte| format!("%{byte:02X}"))
                                .collect::<String>()
                        };
                        let again: Vec<String> = found
                            .iter()
                            .map(|(name, text)| format!("{}={}", hex(name), hex(text)))
                            .collect();
                        let again = read_form(again.join("&").as_bytes(), Code::BodyInvalid).unwrap();
                        let mut found_again = Vec::new();
                        texts(&again, "", &mut found_again);
                        found.sort();
                        found_again.sort();
                        assert_eq!(found, found_again);
                    }
                }
            }
        });
}
