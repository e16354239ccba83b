//! Forms and JSON that say the same are read the same; what says nothing certain is refused by name.

use super::*;

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
