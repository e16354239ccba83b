//! The document is whole, its examples are what it says, and the kept copy is fresh.

use super::*;
use crate::errors::Code;
use jsonschema::Validator;
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Set to 1, it has the kept copy written.
const BLESS: &str = "FLORIN_BLESS";
const RENEW: &str = "FLORIN_BLESS=1 cargo test -p florin-api --lib openapi";

/// Pages that people type with or without the slash at the end, and where they are described.
const TYPED_OTHERWISE: [(&str, &str); 2] = [("/docs/", "/docs"), ("/docs/errors", "/docs/errors/")];

fn value() -> Value {
    serde_json::from_str(&TEXT).unwrap()
}

/// The document's own schemas are within reach of `shape`.
fn validator(document: &Value, shape: &Value) -> Validator {
    let whole = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "components": document["components"],
        "allOf": [shape],
    });
    jsonschema::draft202012::new(&whole).unwrap()
}

/// Every example of a media type or a parameter, whether it stands there or is named.
fn examples<'a>(document: &'a Value, content: &'a Value) -> Vec<&'a Value> {
    let several = content["examples"].as_object().into_iter().flatten();
    let named = several.map(|(_, example)| match example["$ref"].as_str() {
        Some(place) => &document.pointer(&place[1..]).unwrap()["value"],
        None => &example["value"],
    });
    content.get("example").into_iter().chain(named).collect()
}

fn walk<'a>(value: &'a Value, seen: &mut impl FnMut(&'a Value)) {
    seen(value);
    match value {
        Value::Object(fields) => fields.values().for_each(|field| walk(field, seen)),
        Value::Array(items) => items.iter().for_each(|item| walk(item, seen)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn the_kept_copy_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    if std::env::var_os(BLESS).is_some_and(|value| value == "1") {
        fs::write(&path, TEXT.as_str()).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == *TEXT,
        "docs/openapi.json is not fresh; renew it with: {RENEW}"
    );
}

#[test]
fn every_route_is_described_and_every_description_has_a_route() {
    let source = include_str!("../routes.rs");
    let quoted = source.split('"').skip(1).step_by(2);
    let mut routes: BTreeSet<&str> = quoted.filter(|text| text.starts_with('/')).collect();
    for (also, itself) in TYPED_OTHERWISE {
        assert!(routes.remove(also) && routes.contains(itself), "{also}");
    }
    let document = value();
    let described: BTreeSet<&str> = document["paths"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        routes, described,
        "left: routes; right: descriptions, see ENDPOINTS in api/src/openapi.rs"
    );
}

#[test]
fn every_example_is_valid_where_it_stands() {
    let document = value();
    let mut checked = 0;
    let mut check = |content: &Value| {
        let shown = examples(&document, content);
        if shown.is_empty() || content["schema"].is_null() {
            return;
        }
        let validator = validator(&document, &content["schema"]);
        for example in shown {
            let faults: Vec<String> = validator
                .iter_errors(example)
                .map(|fault| fault.to_string())
                .collect();
            assert!(faults.is_empty(), "{faults:?} in {example}");
            checked += 1;
        }
    };
    walk(&document["paths"], &mut check);
    walk(&document["components"]["responses"], &mut check);
    assert!(checked > 100, "only {checked} examples");
}

#[test]
fn requests_are_closed_and_json_answers_have_examples() {
    let document = value();
    let mut bodies = 0;
    walk(&document["paths"], &mut |operation| {
        let content = &operation["requestBody"]["content"]["application/json"];
        if !content.is_null() {
            // What a provider sends is in its own form, which may grow.
            if operation["operationId"] != "takeNotices" {
                assert_eq!(content["schema"]["additionalProperties"], false, "{content}");
            }
            assert!(!examples(&document, content).is_empty(), "{content}");
            bodies += 1;
        }
        for (status, response) in operation["responses"].as_object().into_iter().flatten() {
            let content = &response["content"]["application/json"];
            let itself = operation["operationId"] == "getOpenapi";
            assert!(
                itself || content.is_null() || !examples(&document, content).is_empty(),
                "{status} {response}"
            );
        }
    });
    assert!(bodies >= 5, "only {bodies} bodies");
}

#[test]
fn an_unknown_field_a_float_and_a_lone_bound_are_invalid() {
    let document = value();
    let content = &document["paths"]["/v1/payments"]["post"]["requestBody"]["content"]["application/json"];
    let validator = validator(&document, &content["schema"]);
    let sale = json!({"amount": 10_000, "currency": "USD", "payment_method_id": "pm_card_visa"});
    assert!(validator.is_valid(&sale));
    for (name, wrong) in [
        ("amout", json!(1)),
        ("amount", json!(0)),
        ("amount", json!(10.5)),
        ("amount", json!(1_000_000_000_000_i64)),
        ("currency", json!("XAU")),
        ("capture_method", json!("later")),
        ("description", json!("a\u{1}b")),
        ("metadata", json!({"a": 1})),
        ("return_url", json!("ftp://a")),
        ("device", json!({"name": "x"})),
    ] {
        let mut body = sale.clone();
        body[name] = wrong;
        assert!(!validator.is_valid(&body), "{body}");
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = value();
    let ids: BTreeSet<&str> = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|item| item.as_object().unwrap().values())
        .map(|operation| operation["operationId"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), ENDPOINTS.len(), "each operation has a name of its own");
    let mut references = 0;
    walk(&document, &mut |value| {
        if let Some(place) = value["$ref"].as_str() {
            assert!(document.pointer(&place[1..]).is_some(), "{place}");
            references += 1;
        }
        for (name, link) in value["links"].as_object().into_iter().flatten() {
            assert!(ids.contains(link["operationId"].as_str().unwrap()), "{name}");
        }
    });
    assert!(references > 100, "only {references} references");
}

#[test]
fn every_code_is_documented_where_it_can_come() {
    let document = value();
    let text = document["components"]["responses"].to_string();
    // Any path can be answered so; the introduction says it.
    let everywhere = [Code::MethodNotAllowed];
    for code in Code::ALL {
        let quoted = format!("\"{}\"", code.as_str());
        assert!(
            text.contains(&quoted) || everywhere.contains(code),
            "{quoted} is in no operation"
        );
        assert!(
            refusal::example(*code)["error"]["code"] == code.as_str(),
            "{quoted}"
        );
    }
    for code in everywhere {
        assert!(ABOUT.contains(code.location()));
    }
}

#[test]
fn the_page_shows_every_operation_and_loads_nothing_from_elsewhere() {
    let html = page::shown();
    let document = value();
    for (path, item) in document["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(html.contains(&format!("<section id=\"{id}\">")), "{id}");
            assert!(html.contains(&format!("href=\"#{id}\"")), "{id}");
        }
        assert!(html.contains(&path.replace('&', "&amp;")), "{path}");
    }
    assert!(html.contains("name=\"viewport\"") && html.contains("href=\"/docs/errors/card_declined\""));
    for elsewhere in [
        "http://",
        "https://cdn",
        "<script",
        "style=\"",
        "src=",
        "@import",
        "url(",
    ] {
        let found = html.find(elsewhere).map(|at| &html[at..html.len().min(at + 60)]);
        assert_eq!(found, None, "{elsewhere}");
    }
    for link in html.split("href=\"#").skip(1) {
        let id = link.split('"').next().unwrap();
        assert!(html.contains(&format!("id=\"{id}\"")), "#{id} leads nowhere");
    }
}

#[test]
fn a_client_made_from_the_document_has_one_type_for_one_thing() {
    let document = value();
    let refusals = document["components"]["responses"].as_object().unwrap();
    for (name, response) in refusals {
        let kind = &response["content"]["application/json"]["schema"]["$ref"];
        assert_eq!(kind, "#/components/schemas/Error", "{name}");
    }
    let mut operations = 0;
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values() {
            operations += 1;
            assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{path}");
            let shape = &operation["responses"]["200"]["content"]["application/json"]["schema"];
            if shape["properties"]["object"].is_object() {
                let other = seen.insert(shape.to_string(), path);
                assert_eq!(
                    other.filter(|_| shape["properties"]["data"]["items"].is_null()),
                    None,
                    "{path}"
                );
            }
        }
    }
    assert!(operations > 90 && refusals.len() > 50);
}
