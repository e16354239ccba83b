//! `GET /docs`: the OpenAPI document for people. One page without scripts; it loads nothing but its own style sheet.

use super::endpoint::{Access, Endpoint};
use super::shape::text;
use super::{TEXT, chapter};
use crate::reply::Reply;
use actix_web::HttpResponse;
use actix_web::http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use serde_json::{Map, Value};
use std::fmt::Write as _;
use std::sync::LazyLock;

const STYLE: &str = include_str!("style.css");
/// Nothing may be loaded, sent or framed, but for the style sheet.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// Schemas within schemas that are shown in place; deeper ones are named only.
const DEPTH_MAX: usize = 4;

static PAGE: LazyLock<String> = LazyLock::new(|| {
    let document = serde_json::from_str(&TEXT).unwrap_or_default();
    Page::of(&document).text
});

/// The page as it is sent.
#[cfg(test)]
pub(super) fn shown() -> &'static str {
    &PAGE
}

/// The page.
pub(crate) async fn page() -> Reply {
    Reply(Ok(guarded("text/html; charset=utf-8", &PAGE)))
}

/// Its style sheet.
pub(crate) async fn style() -> Reply {
    Reply(Ok(guarded("text/css; charset=utf-8", STYLE)))
}

fn guarded(kind: &'static str, body: &'static str) -> HttpResponse {
    let headers: [(HeaderName, &'static str); 4] = [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    let mut response = HttpResponse::Ok();
    for (name, value) in headers {
        response.insert_header((name, HeaderValue::from_static(value)));
    }
    response.body(body)
}

pub(super) fn described() -> Endpoint {
    Endpoint::get("/docs", Access::Everybody)
        .called(
            "getDocs",
            "Read this document as a page",
            "For people, also on a phone and without a network.",
        )
        .in_chapter(chapter::DOCUMENTS)
        .answers_as("text/html", 200, "The page.", text("HTML."), Value::Null)
}

pub(super) fn described_style() -> Endpoint {
    Endpoint::get("/docs/style.css", Access::Everybody)
        .called(
            "getDocsStyle",
            "Read the page's style sheet",
            "The one thing that the page loads.",
        )
        .in_chapter(chapter::DOCUMENTS)
        .answers_as("text/css", 200, "The style sheet.", text("CSS."), Value::Null)
}

/// A page while it is written.
struct Page<'a> {
    document: &'a Value,
    text: String,
}

/// A method, its path and its operation.
type Row<'a> = (&'a str, &'a str, &'a Value);

impl<'a> Page<'a> {
    fn of(document: &'a Value) -> Self {
        let mut page = Page {
            document,
            text: String::with_capacity(128 * 1024),
        };
        page.put("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">");
        page.put("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
        page.put("<title>Florin API</title><link rel=\"stylesheet\" href=\"/docs/style.css\"></head><body>");
        page.put("<header><h1>Florin API ");
        page.put_text(word(document, "/info/version"));
        page.put("</h1>");
        page.put_prose(word(document, "/info/description"));
        page.put("<p><a href=\"/openapi.json\">OpenAPI document</a> · <a href=\"/docs/errors/\">All error codes</a></p></header>");
        let rows = page.rows();
        page.put_contents(&rows);
        page.put("<main>");
        for (name, about) in chapter::ALL {
            page.put("<h2>");
            page.put_text(name);
            page.put("</h2>");
            page.put_prose(about);
            for row in rows.iter().filter(|row| row.2["tags"][0] == name) {
                page.put_operation(row);
            }
        }
        page.put("<h2 id=\"schemas\">Objects</h2>");
        let named = document["components"]["schemas"].as_object();
        for (name, shape) in named.into_iter().flatten() {
            write!(
                page.text,
                "<details id=\"schema-{name}\"><summary><b>{name}</b></summary>"
            )
            .expect("a string takes every text");
            page.put_shape(shape, 0);
            page.put("</details>");
        }
        page.put("</main></body></html>\n");
        page
    }

    fn rows(&self) -> Vec<Row<'a>> {
        let paths = self.document["paths"].as_object();
        let rows = paths.into_iter().flatten().flat_map(|(path, item)| {
            let operations = item.as_object();
            let row = move |(method, operation): (&'a String, &'a Value)| {
                (method.as_str(), path.as_str(), operation)
            };
            operations.into_iter().flatten().map(row)
        });
        rows.collect()
    }

    fn put(&mut self, html: &str) {
        self.text.push_str(html);
    }

    /// Plain text, escaped.
    fn put_text(&mut self, text: &str) {
        for character in text.chars() {
            match character {
                '&' => self.text.push_str("&amp;"),
                '<' => self.text.push_str("&lt;"),
                '>' => self.text.push_str("&gt;"),
                '"' => self.text.push_str("&quot;"),
                other => self.text.push(other),
            }
        }
    }

    /// Paragraphs with `code` and links to places on this origin, which is all of Markdown that the descriptions use.
    fn put_prose(&mut self, text: &str) {
        for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.is_empty()) {
            self.put("<p>");
            self.put_line(paragraph);
            self.put("</p>");
        }
    }

    fn put_line(&mut self, text: &str) {
        let mut rest = text;
        while let Some((before, link)) = rest.split_once('[') {
            let parts = link.split_once("](/").and_then(|(title, tail)| {
                let (place, after) = tail.split_once(')')?;
                Some((title, place, after))
            });
            let Some((title, place, after)) = parts else {
                break;
            };
            self.put_code(before);
            self.put("<a href=\"/");
            self.put_text(place);
            self.put("\">");
            self.put_code(title);
            self.put("</a>");
            rest = after;
        }
        self.put_code(rest);
    }

    fn put_code(&mut self, text: &str) {
        for (index, part) in text.split('`').enumerate() {
            let is_code = index % 2 == 1;
            self.put(if is_code { "<code>" } else { "" });
            self.put_text(part);
            self.put(if is_code { "</code>" } else { "" });
        }
    }

    fn put_contents(&mut self, rows: &[Row<'a>]) {
        self.put("<nav><details><summary>Contents</summary><ul>");
        for (method, path, operation) in rows {
            self.put("<li><a href=\"#");
            self.put_text(word(operation, "/operationId"));
            write!(self.text, "\"><b>{}</b> ", method.to_uppercase()).expect("a string takes every text");
            self.put_text(path);
            self.put("</a></li>");
        }
        self.put("<li><a href=\"#schemas\">Objects</a></li></ul></details></nav>");
    }

    fn put_operation(&mut self, (method, path, operation): &Row<'a>) {
        self.put("<section id=\"");
        self.put_text(word(operation, "/operationId"));
        write!(self.text, "\"><h3><b>{}</b> <code>", method.to_uppercase())
            .expect("a string takes every text");
        self.put_text(path);
        self.put("</code></h3><p><strong>");
        self.put_text(word(operation, "/summary"));
        self.put(".</strong></p>");
        self.put_prose(word(operation, "/description"));
        let open = operation["security"].as_array().is_none_or(Vec::is_empty);
        let forbidden = &operation["responses"]["403"];
        let who = if forbidden.is_null() {
            "Any API key."
        } else if word(self.found(forbidden), "/description").contains("operator_key_required") {
            "An operator's API key."
        } else {
            "A merchant's API key."
        };
        self.put("<p class=\"who\">");
        self.put(if open { "No API key." } else { who });
        self.put("</p>");
        self.put_parameters(&operation["parameters"]);
        let body = &operation["requestBody"]["content"]["application/json"];
        if !body.is_null() {
            self.put("<h4>Body</h4>");
            self.put_shape(&body["schema"], 0);
            self.put_examples(body);
        }
        self.put("<h4>Answers</h4>");
        for (status, response) in operation["responses"].as_object().into_iter().flatten() {
            self.put_response(status, response);
        }
        self.put("</section>");
    }

    fn put_parameters(&mut self, parameters: &Value) {
        let Some(parameters) = parameters.as_array().filter(|all| !all.is_empty()) else {
            return;
        };
        self.put("<h4>Parameters</h4><dl>");
        for parameter in parameters {
            self.put("<dt><code>");
            self.put_text(word(parameter, "/name"));
            self.put("</code> <small>");
            self.put_text(word(parameter, "/in"));
            if parameter["required"] == true {
                self.put(", required");
            }
            self.put("</small></dt><dd>");
            self.put_shape(&parameter["schema"], 0);
            if let Some(example) = parameter["example"].as_str() {
                self.put("<p>Example: <code>");
                self.put_text(example);
                self.put("</code></p>");
            }
            self.put("</dd>");
        }
        self.put("</dl>");
    }

    fn put_response(&mut self, status: &str, response: &Value) {
        let response = if response["$ref"].is_null() {
            response
        } else {
            self.found(response)
        };
        write!(self.text, "<details><summary><b>{status}</b> ").expect("a string takes every text");
        self.put_line(word(response, "/description"));
        self.put("</summary>");
        let headers: Vec<&str> = response["headers"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str())
            .collect();
        self.put("<p>Headers: <code>");
        self.put_text(&headers.join(", "));
        self.put("</code></p>");
        for (kind, content) in response["content"].as_object().into_iter().flatten() {
            self.put("<p><code>");
            self.put_text(kind);
            self.put("</code></p>");
            self.put_shape(&content["schema"], 1);
            self.put_examples(content);
        }
        self.put("</details>");
    }

    fn put_examples(&mut self, content: &Value) {
        let single = content.get("example").into_iter();
        let several = content["examples"].as_object().into_iter().flatten();
        let named = several.map(|(_, example)| {
            example
                .get("value")
                .unwrap_or_else(|| &self.found(example)["value"])
        });
        let all: Vec<&Value> = single.chain(named).collect();
        for example in all {
            self.put("<pre>");
            self.put_text(&serde_json::to_string_pretty(example).unwrap_or_default());
            self.put("</pre>");
        }
    }

    /// What a reference names.
    fn found(&self, reference: &Value) -> &'a Value {
        static NOTHING: Value = Value::Null;
        let place = reference["$ref"]
            .as_str()
            .and_then(|place| place.strip_prefix('#'));
        place
            .and_then(|place| self.document.pointer(place))
            .unwrap_or(&NOTHING)
    }

    fn put_shape(&mut self, shape: &Value, depth: usize) {
        if let Some(name) = shape["$ref"].as_str().and_then(|place| place.rsplit('/').next()) {
            write!(self.text, "<p><a href=\"#schema-{name}\">{name}</a></p>")
                .expect("a string takes every text");
            // What stands beside a name narrows it.
            if shape["properties"].is_null() {
                return;
            }
        }
        for several in ["allOf", "anyOf"] {
            for part in shape[several].as_array().into_iter().flatten() {
                self.put_shape(part, depth.saturating_add(1));
            }
        }
        if depth > DEPTH_MAX {
            return;
        }
        if let Some(limits) = limits(shape) {
            self.put("<p class=\"limits\">");
            self.put_code(&limits);
            self.put("</p>");
        }
        self.put_prose(word(shape, "/description"));
        if !shape["items"].is_null() {
            self.put_shape(&shape["items"], depth.saturating_add(1));
        }
        if let Some(fields) = shape["properties"].as_object() {
            self.put_fields(fields, shape, depth);
        }
    }

    fn put_fields(&mut self, fields: &Map<String, Value>, shape: &Value, depth: usize) {
        let required = shape["required"].as_array();
        self.put("<dl>");
        for (name, field) in fields {
            self.put("<dt><code>");
            self.put_text(name);
            self.put("</code>");
            if required.is_some_and(|all| all.iter().any(|one| one == name)) {
                self.put(" <small>required</small>");
            }
            self.put("</dt><dd>");
            self.put_shape(field, depth.saturating_add(1));
            self.put("</dd>");
        }
        self.put("</dl>");
    }
}

fn word<'v>(value: &'v Value, place: &str) -> &'v str {
    value.pointer(place).and_then(Value::as_str).unwrap_or_default()
}

/// Type and limits of a schema in a line.
fn limits(shape: &Value) -> Option<String> {
    let kind = match &shape["type"] {
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) => kinds
            .iter()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(" or "),
        _ => return None,
    };
    let mut parts = vec![kind];
    for (name, said) in [
        ("minimum", "from"),
        ("maximum", "to"),
        ("minLength", "length from"),
        ("maxLength", "length to"),
        ("maxProperties", "entries to"),
        ("default", "if absent"),
    ] {
        match &shape[name] {
            Value::Null => {}
            Value::String(text) => parts.push(format!("{said} `{text}`")),
            other => parts.push(format!("{said} {other}")),
        }
    }
    // A list of everything is no help on a page.
    if let Some(words) = shape["enum"].as_array() {
        let shown: Vec<String> = words
            .iter()
            .take(50)
            .map(|word| format!("`{}`", word.as_str().unwrap_or("null")))
            .collect();
        let more = if words.len() > shown.len() { " …" } else { "" };
        parts.push(format!("one of {}{more}", shown.join(" ")));
    }
    if shape["additionalProperties"] == false {
        parts.push("nothing else".to_owned());
    }
    Some(parts.join(", "))
}
