//! `GET /docs/errors/{code}`: what a code means, for the people whom an answer sends here. Open to everybody.

use crate::errors::{ApiError, Code};
use crate::openapi::{Access, Endpoint, chapter, text, word};
use crate::reply::Reply;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::Value;

const INDEX: &str = include_str!("../../docs/errors/README.md");

/// The list of all pages.
pub(crate) async fn index() -> Reply {
    Reply(Ok(markdown(INDEX)))
}

/// One page, with or without `.md`, since the pages name each other so.
pub(crate) async fn page(request: HttpRequest) -> Reply {
    let name = request.match_info().query("page");
    let name = name.strip_suffix(".md").unwrap_or(name);
    let text = match name {
        "README" => Some(INDEX),
        name => Code::parse(name).map(Code::page),
    };
    Reply(text.map(markdown).ok_or(ApiError::NoSuchRoute))
}

fn markdown(text: &'static str) -> HttpResponse {
    let kind = HeaderValue::from_static("text/markdown; charset=utf-8");
    HttpResponse::Ok().insert_header((CONTENT_TYPE, kind)).body(text)
}

pub(crate) fn described_index() -> Endpoint {
    Endpoint::get("/docs/errors/", Access::Everybody)
        .called(
            "listErrorPages",
            "List the codes of errors",
            "Every code with its status and a line about it.",
        )
        .in_chapter(chapter::DOCUMENTS)
        .answers_as("text/markdown", 200, "The list.", text("Markdown."), Value::Null)
}

pub(crate) fn described_page() -> Endpoint {
    let codes = word("The code.", Code::ALL.iter().map(|code| code.as_str()));
    Endpoint::get("/docs/errors/{page}", Access::Everybody)
        .called(
            "getErrorPage",
            "Read what a code means",
            "What happened, what to do, and whether the same request may be sent again.",
        )
        .in_chapter(chapter::DOCUMENTS)
        .path_part("page", codes, "card_declined")
        .answers_as("text/markdown", 200, "The page.", text("Markdown."), Value::Null)
}
