//! Forms and JSON that say the same are read the same; what says nothing certain is refused by name.

use super::*;
use florin_fuzz::{Target, any_of};

fn form(text: &str) -> Result<Fields, Invalid> {
    read_form(text.as_bytes(), Code::BodyInvalid)
}

fn canonical(fields: Fields) -> Vec<u8> {
    let mut bytes = Vec::new();
    Node::Map(fields).write_canonical(&mut bytes);
    bytes
}

#[test]
fn every_way_of_writing_the_same_is_read_the_same() {
    let json = r#"{"amount":1000,"confirm":true,"metadata":{"a b":"Zwei Stühle","n":null},"expand":["x","y"],"o":{"card":{"z":"1"}}}"#;
    let wanted = canonical(read_json(json.as_bytes()).unwrap());
    for written in [
        "amount=1000&confirm=true&metadata[a b]=Zwei Stühle&metadata[n]=&expand[0]=x&expand[1]=y&o[card][z]=1",
        "o%5Bcard%5D%5Bz%5D=1&expand[]=x&expand%5b%5d=y&metadata[n]&metadata%5Ba+b%5D=Zwei+St%C3%BChle&confirm=true&amount=1000",
        "&amount=1000&&confirm=true&expand[1]=y&expand[0]=x&metadata[n]=&metadata[a+b]=Zwei%20St%c3%bchle&o[card][z]=1&",
    ] {
        assert_eq!(canonical(form(written).unwrap()), wanted, "{written}");
    }
    for other in ["amount=1001", "amount=1000&confirm=false", "amount=10&00=", ""] {
        assert_ne!(canonical(form(other).unwrap()), wanted, "{other}");
    }
    assert_ne!(
        canonical(form("a=b&c=").unwrap()),
        canonical(form("a=&b=c").unwrap())
    );
}

#[test]
fn a_list_has_places_and_a_map_names() {
    let list = |text: &str| {
        let (_, node) = form(text).unwrap().remove(0);
        node.into_list().map(|items| {
            items
                .into_iter()
                .map(|item| canonical(vec![(String::new(), item)]))
                .collect::<Vec<_>>()
        })
    };
    assert_eq!(list("a[]=x&a[]=y"), list("a[1]=y&a[0]=x"));
    assert!(
        list("a[2]=x&a[10]=y") == list("a[]=x&a[]=y"),
        "by number and not by text"
    );
    for none in ["a=x", "a[b]=x", "a[01]=x", "a[-1]=x"] {
        assert_eq!(list(none), None, "{none}");
    }
}

#[test]
fn what_says_nothing_certain_is_refused_by_name() {
    let deep = format!("a{}=1", "[b]".repeat(DEPTH_MAX));
    for (text, param) in [
        ("amount=1&amount=2", Some("amount")),
        ("a=1&a[b]=2", Some("a[b]")),
        ("a[b]=1&a=2", Some("a")),
        ("a[]=1&a[b]=2", Some("a[b]")),
        ("a[b]=1&a[b]=1", Some("a[b]")),
        ("a[b=1", Some("a[b")),
        ("a]b=1", Some("a]b")),
        ("a[b]c=1", Some("a[b]c")),
        ("a[[b]]=1", Some("a[[b]]")),
        ("a[][b]=1", Some("a[][b]")),
        ("[b]=1", Some("[b]")),
        ("=1", Some("")),
        ("a=%0a", Some("a")),
        ("a%00=1", Some("a")),
        (deep.as_str(), Some(deep.trim_end_matches("=1"))),
        ("a=%zz", None),
        ("a=%f", None),
        ("a=%ff", None),
    ] {
        let refused = form(text).unwrap_err();
        assert_eq!(refused.param.as_deref(), param, "{text}: {refused:?}");
    }
    let many = "a[]=1&".repeat(TEXTS_MAX);
    assert!(form(&many).is_ok());
    assert_eq!(form(&format!("{many}b=1")).unwrap_err().code, Code::BodyInvalid);
    let nested = format!(
        "{}1{}",
        r#"{"a":"#.repeat(DEPTH_MAX + 1),
        "}".repeat(DEPTH_MAX + 1)
    );
    let listed = format!(r#"{{"a":[{}1]}}"#, "1,".repeat(TEXTS_MAX));
    for (text, param) in [
        (r#"{"a":1,"a":2}"#, None),
        (r#"{"a":{"b":1,"b":1}}"#, None),
        (r#"{"a[b]":1}"#, Some("a[b]")),
        (r#"{"":1}"#, Some("")),
        ("{\"a\":\"\\n\"}", Some("a")),
        ("[1]", None),
        ("1", None),
        ("{\"a\":1}x", None),
        (nested.as_str(), Some("a[a][a][a][a][a]")),
        (listed.as_str(), None),
    ] {
        let refused = read_json(text.as_bytes()).unwrap_err();
        assert_eq!(
            refused.param.as_deref().map(|name| name.trim_end_matches("[a]")),
            param.map(|name| name.trim_end_matches("[a]")),
            "{text}: {refused:?}"
        );
    }
    assert_eq!(read_json(b"  "), Ok(Fields::new()));
}

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
