//! The API as a collection for Postman (format 2.1), made from the OpenAPI document: a folder for each chapter, and a request for each example
//! of a body. `base_url`, `merchant_key` and `operator_key` are variables, set to what `florin dev` prints.

use super::endpoint::{Access, Endpoint};
use super::shape::{array, must, record, text};
use super::{TEXT, chapter};
use crate::reply::Reply;
use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

const SCHEMA: &str = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json";
/// Of headers that name what is to happen once, a new one for each request.
const FRESH: &str = "{{$guid}}";

/// The collection as it is served and kept: made once.
pub(super) static COLLECTION: LazyLock<String> = LazyLock::new(|| {
    let document = serde_json::from_str(&TEXT).unwrap_or_default();
    let mut text = serde_json::to_string_pretty(&collection(&document)).unwrap_or_default();
    text.push('\n');
    text
});

/// `GET /postman.json`.
pub(crate) async fn handle() -> Reply {
    let kind = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Reply(Ok(HttpResponse::Ok()
        .insert_header(kind)
        .body(COLLECTION.as_str())))
}

pub(super) fn described() -> Endpoint {
    let shape = record([
        must("info", record([must("name", text("Of what API."))])),
        must("item", array(record([]), "Its folders.")),
    ]);
    let example = json!({"info": {"name": "Florin", "schema": SCHEMA}, "item": []});
    Endpoint::get("/postman.json", Access::Everybody)
        .called(
            "getPostmanCollection",
            "A collection for Postman",
            "Every request of this document with its examples, to be imported from this address.",
        )
        .in_chapter(chapter::DOCUMENTS)
        .answers(200, "The collection.", shape, example)
}

fn collection(document: &Value) -> Value {
    let tags = document["tags"].as_array().into_iter().flatten();
    let folders: Vec<Value> = tags
        .map(|tag| {
            let requests: Vec<Value> = operations(document)
                .filter(|(_, _, operation)| operation["tags"][0] == tag["name"])
                .flat_map(|(path, method, operation)| requests(document, path, method, operation))
                .collect();
            json!({"name": tag["name"], "description": tag["description"], "item": requests})
        })
        .collect();
    let variable = |key: &str, value: &str| json!({"key": key, "value": value});
    json!({
        "info": {
            "name": document["info"]["title"],
            "description": document["info"]["description"],
            "version": document["info"]["version"],
            "schema": SCHEMA,
        },
        "auth": bearer("merchant_key"),
        "variable": [
            variable("base_url", "http://127.0.0.1:8080"),
            variable("merchant_key", "sk_test_florin_dev"),
            variable("operator_key", "ok_test_florin_dev"),
        ],
        "item": folders,
    })
}

fn bearer(variable: &str) -> Value {
    let token = format!("{{{{{variable}}}}}");
    json!({"type": "bearer", "bearer": [{"key": "token", "value": token, "type": "string"}]})
}

/// Path, method and operation of each.
fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().into_iter().flatten();
        methods.map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}

/// One for each example of its body; one if it takes none.
fn requests(document: &Value, path: &str, method: &str, operation: &Value) -> Vec<Value> {
    let base = request(document, path, method, operation);
    let content = &operation["requestBody"]["content"]["application/json"];
    let Some(examples) = content["examples"].as_object() else {
        return vec![json!({"name": operation["summary"], "request": base})];
    };
    let with_body = |(name, example): (&String, &Value)| {
        let raw = serde_json::to_string_pretty(&example["value"]).unwrap_or_default();
        let mut request = base.clone();
        request["body"] = json!({"mode": "raw", "raw": raw, "options": {"raw": {"language": "json"}}});
        let summary = operation["summary"].as_str().unwrap_or_default();
        json!({"name": format!("{summary}: {name}"), "request": request})
    };
    examples.iter().map(with_body).collect()
}

fn request(document: &Value, path: &str, method: &str, operation: &Value) -> Value {
    let parameters: Vec<&Value> = operation["parameters"].as_array().into_iter().flatten().collect();
    let of = |place: &'static str| {
        parameters
            .iter()
            .filter(move |parameter| parameter["in"] == place)
    };
    let headers: Vec<Value> = of("header")
        .map(|header| json!({"key": header["name"], "value": FRESH, "disabled": header["required"] != true}))
        .collect();
    // What narrows an answer is listed, and switched on by whoever wants it.
    let query: Vec<Value> = of("query").flat_map(|parameter| listed(parameter)).collect();
    let variables: Vec<Value> = of("path")
        .map(|parameter| json!({"key": parameter["name"], "value": parameter["example"]}))
        .collect();
    let placed = path.replace('{', ":").replace('}', "");
    let parts: Vec<&str> = placed.split('/').skip(1).collect();
    let mut request = Map::new();
    request.insert("method".to_owned(), method.to_ascii_uppercase().into());
    request.insert("description".to_owned(), operation["description"].clone());
    if let Some(auth) = auth(document, operation) {
        request.insert("auth".to_owned(), auth);
    }
    request.insert("header".to_owned(), headers.into());
    request.insert(
        "url".to_owned(),
        json!({
            "raw": format!("{{{{base_url}}}}{placed}"),
            "host": ["{{base_url}}"],
            "path": parts,
            "query": query,
            "variable": variables,
        }),
    );
    request.into()
}

/// A parameter behind the question mark; of one with names of the caller's own, its examples.
fn listed(parameter: &Value) -> Vec<Value> {
    let name = &parameter["name"];
    let entry = |key: Value, value: Value| {
        json!({
            "key": key,
            "value": value,
            "description": parameter["schema"]["description"],
            "disabled": parameter["required"] != true,
        })
    };
    if let Some(pairs) = parameter["example"].as_object() {
        let name = name.as_str().unwrap_or_default();
        let own = |(own, value): (&String, &Value)| entry(format!("{name}[{own}]").into(), value.clone());
        return pairs.iter().map(own).collect();
    }
    let value = parameter.get("example").cloned();
    vec![entry(name.clone(), value.unwrap_or_else(|| "".into()))]
}

/// How a request shows who asks, unless it is as most do.
fn auth(document: &Value, operation: &Value) -> Option<Value> {
    if operation["security"].as_array().is_none_or(Vec::is_empty) {
        return Some(json!({"type": "noauth"}));
    }
    let refused = &operation["responses"]["403"];
    let place = refused["$ref"].as_str().and_then(|place| place.strip_prefix('#'));
    let refused = place.and_then(|place| document.pointer(place)).unwrap_or(refused);
    refused
        .to_string()
        .contains("operator_key_required")
        .then(|| bearer("operator_key"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    fn all(item: &Value) -> Vec<&Value> {
        let folders = item["item"].as_array().unwrap();
        folders
            .iter()
            .flat_map(|folder| folder["item"].as_array().unwrap())
            .collect()
    }

    #[test]
    fn the_kept_collection_is_what_the_document_says() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/postman.json");
        if std::env::var_os("FLORIN_BLESS").is_some_and(|value| value == "1") {
            fs::write(&path, COLLECTION.as_str()).unwrap();
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        let renew = "FLORIN_BLESS=1 cargo test -p florin-api --lib openapi";
        assert!(
            kept == *COLLECTION,
            "docs/postman.json is not fresh; renew it with: {renew}"
        );
    }

    #[test]
    fn every_operation_is_a_request_with_a_body_that_is_json_and_the_key_that_it_needs() {
        let document: Value = serde_json::from_str(&TEXT).unwrap();
        let collection: Value = serde_json::from_str(&COLLECTION).unwrap();
        let mut asked = BTreeSet::new();
        for item in all(&collection) {
            let request = &item["request"];
            let raw = request["url"]["raw"].as_str().unwrap();
            let path = raw.strip_prefix("{{base_url}}").unwrap();
            asked.insert((request["method"].as_str().unwrap().to_owned(), path.to_owned()));
            if let Some(body) = request["body"]["raw"].as_str() {
                let _: Value = serde_json::from_str(body).unwrap();
            }
            let key = request["auth"]["bearer"][0]["value"].as_str();
            // Merchants see their own credentials there as well.
            let is_for_operators = path.starts_with("/v1/ops/") && !path.ends_with("/credentials");
            assert!(!is_for_operators || key == Some("{{operator_key}}"), "{path}");
            for variable in request["url"]["variable"].as_array().unwrap() {
                assert!(variable["value"].is_string(), "{path}: {variable}");
                assert!(path.contains(&format!(":{}", variable["key"].as_str().unwrap())));
            }
        }
        let expected: BTreeSet<(String, String)> = operations(&document)
            .map(|(path, method, _)| {
                (
                    method.to_ascii_uppercase(),
                    path.replace('{', ":").replace('}', ""),
                )
            })
            .collect();
        assert_eq!(asked, expected);
        let listed = all(&collection)
            .into_iter()
            .find(|item| item["name"] == "List payments")
            .and_then(|item| item["request"]["url"]["query"].as_array())
            .into_iter()
            .flatten();
        let pairs: Vec<_> = listed
            .filter(|parameter| parameter["key"].as_str().unwrap().starts_with("metadata"))
            .map(|parameter| (&parameter["key"], &parameter["value"]))
            .collect();
        assert_eq!(pairs, [(&json!("metadata[order_id]"), &json!("6735"))]);
        let payment = all(&collection)
            .into_iter()
            .find(|item| item["name"] == "Take a payment: A sale")
            .map(|item| item["request"]["header"][0].clone());
        assert_eq!(
            payment,
            Some(json!({"key": "Idempotency-Key", "value": FRESH, "disabled": false}))
        );
    }
}
