//! The names of what is answered, for clients that are made from the document: one thing is one type there, whichever operation answers it.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Prefixed to what says of an object only that it is gone.
const GONE: &str = "Deleted";
/// The shape of no one thing.
const LIST: &str = "list";

/// Names what several operations answer, and every refusal.
pub(super) fn name(document: &mut Value) {
    name_objects(document);
    if let Some(components) = document.get_mut("components") {
        within(components, "responses").for_each(name_refusal);
    }
}

/// What a field of this object holds, itself an object.
fn within<'v>(value: &'v mut Value, field: &str) -> impl Iterator<Item = &'v mut Value> {
    let found = value.get_mut(field).and_then(Value::as_object_mut);
    found.into_iter().flat_map(Map::values_mut)
}

/// A refusal is `Error`, or `Problem`, and narrows its codes beside the name: a schema of its own for each list of codes would be a type of its own
/// in a client, and no two operations would refuse alike.
fn name_refusal(response: &mut Value) {
    for content in within(response, "content") {
        let Some(parts) = content.pointer("/schema/allOf").and_then(Value::as_array) else {
            continue;
        };
        let joined: Map<String, Value> = parts
            .iter()
            .filter_map(Value::as_object)
            .flat_map(Clone::clone)
            .collect();
        content["schema"] = joined.into();
    }
}

/// An object that says what it is in its field `object` has that name. Where several shapes say the same, the one that most operations answer has it.
fn name_objects(document: &mut Value) {
    let mut counts: BTreeMap<(String, String), (usize, Value)> = BTreeMap::new();
    on_answers(document, &mut |shape| {
        if let Some(name) = own_name(shape) {
            let entry = counts.entry((name, shape.to_string()));
            entry.or_insert_with(|| (0, shape.clone())).0 += 1;
        }
    });
    let mut named: BTreeMap<String, (usize, Value)> = BTreeMap::new();
    for ((name, _), (count, shape)) in counts {
        let is_taken = !document["components"]["schemas"][&name].is_null();
        let is_rarer = named.get(&name).is_some_and(|(others, _)| *others >= count);
        if !is_taken && !is_rarer {
            named.insert(name, (count, shape));
        }
    }
    on_answers(document, &mut |shape| {
        if let Some(name) = own_name(shape)
            && named.get(&name).is_some_and(|(_, found)| found == shape)
        {
            *shape = json!({"$ref": format!("#/components/schemas/{name}")});
        }
    });
    for (name, (_, shape)) in named {
        document["components"]["schemas"][name] = shape;
    }
}

/// Every schema of an answer that is no refusal, from the inside to the outside.
fn on_answers(document: &mut Value, work: &mut impl FnMut(&mut Value)) {
    for operation in
        within(document, "paths").flat_map(|item| item.as_object_mut().into_iter().flat_map(Map::values_mut))
    {
        for response in within(operation, "responses") {
            for content in within(response, "content") {
                if let Some(shape) = content.get_mut("schema") {
                    on_shapes(shape, work);
                }
            }
        }
    }
}

fn on_shapes(shape: &mut Value, work: &mut impl FnMut(&mut Value)) {
    for field in within(shape, "properties") {
        on_shapes(field, work);
    }
    if let Some(items) = shape.get_mut("items") {
        on_shapes(items, work);
    }
    work(shape);
}

/// `payment_method` is `PaymentMethod`.
fn own_name(shape: &Value) -> Option<String> {
    let words = shape["properties"]["object"]["enum"].as_array()?;
    let [Value::String(word)] = words.as_slice() else {
        return None;
    };
    if word == LIST {
        return None;
    }
    let word = word.rsplit('.').next().unwrap_or(word);
    let is_gone = !shape["properties"]["deleted"].is_null();
    let capitalized = word.split('_').map(|part| {
        let (first, rest) = part.split_at_checked(1).unwrap_or((part, ""));
        first.to_ascii_uppercase() + rest
    });
    Some(
        is_gone
            .then_some(GONE.to_owned())
            .into_iter()
            .chain(capitalized)
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thing(more: &str) -> Value {
        json!({"type": "object", "properties": {"object": {"enum": ["small_thing"]}, more: {"type": "string"}}})
    }

    fn answering(shape: &Value) -> Value {
        json!({"get": {"responses": {"200": {"content": {"application/json": {"schema": shape}}}}}})
    }

    #[test]
    fn what_most_operations_answer_gets_the_name_and_what_is_gone_another() {
        let list = json!({"properties": {"object": {"enum": ["list"]}, "data": {"items": thing("a")}}});
        let mut document = json!({
            "paths": {"/0": answering(&thing("b")), "/1": answering(&thing("a")), "/2": answering(&list), "/3": answering(&thing("deleted"))},
            "components": {"schemas": {}, "responses": {}},
        });
        name(&mut document);
        let at = |path: &str| {
            document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
                .clone()
        };
        let named = json!({"$ref": "#/components/schemas/SmallThing"});
        assert_eq!(at("/0"), thing("b"));
        assert_eq!(at("/1"), named);
        assert_eq!(at("/2")["properties"]["data"]["items"], named);
        assert_eq!(
            at("/3"),
            json!({"$ref": "#/components/schemas/DeletedSmallThing"})
        );
        assert_eq!(document["components"]["schemas"]["SmallThing"], thing("a"));
    }

    #[test]
    fn a_refusal_has_its_name_and_its_codes_beside_it() {
        let codes = json!({"properties": {"code": {"enum": ["a"]}}, "type": "object"});
        let error = json!({"$ref": "#/components/schemas/Error"});
        let refusal = json!({"content": {"application/json": {"schema": {"allOf": [error, codes]}}}});
        let mut document =
            json!({"paths": {}, "components": {"schemas": {}, "responses": {"Refused": refusal}}});
        name(&mut document);
        assert_eq!(
            document["components"]["responses"]["Refused"]["content"]["application/json"]["schema"],
            json!({"$ref": "#/components/schemas/Error", "properties": {"code": {"enum": ["a"]}}, "type": "object"})
        );
    }
}
