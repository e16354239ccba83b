//! `GET /docs/errors/{code}`: what a code means, for the people whom an answer sends here. Open to everybody.

use crate::errors::{ApiError, Code};
use crate::reply::Reply;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};

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
