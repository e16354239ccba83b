//! What an endpoint says of itself. What follows from who may call it and how is filled in here, so that a description
//! is as short as its endpoint.

use super::refusal;
use super::shape::{Shape, bounded_text, text};
use crate::errors::Code;
use florin_domain::limits::IDEMPOTENCY_KEY_BYTES_MAX;
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::openapi::header::Header;
use utoipa::openapi::link::Link;
use utoipa::openapi::path::{
    Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, ParameterStyle,
};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::{
    ContentBuilder, HttpMethod, Ref, RefOr, Required, Response, ResponseBuilder, SecurityRequirement,
};

/// Who may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Merchants.
    Merchants,
    /// Operators.
    Operators,
    /// Both; merchants see what is theirs.
    KeyHolders,
    /// Everybody, without a key.
    Everybody,
}

/// A method and a path with everything that is said of them.
pub(crate) struct Endpoint {
    method: HttpMethod,
    path: &'static str,
    access: Access,
    operation: OperationBuilder,
    answers: BTreeMap<u16, Response>,
    refusals: BTreeMap<u16, Vec<Code>>,
    links: Vec<(&'static str, Link)>,
    takes_key: bool,
}

/// What can be wrong with any body.
const BODY_CODES: [Code; 4] = [
    Code::BodyInvalid,
    Code::ParameterInvalid,
    Code::ParameterMissing,
    Code::ParameterUnknown,
];

impl Endpoint {
    /// `GET`, and `HEAD` with it.
    pub(crate) fn get(path: &'static str, access: Access) -> Self {
        Self::new(HttpMethod::Get, path, access)
    }

    /// `DELETE`.
    pub(crate) fn delete(path: &'static str, access: Access) -> Self {
        Self::new(HttpMethod::Delete, path, access).refuses(
            503,
            &[Code::ReadOnly, Code::Overloaded, Code::TemporarilyUnavailable],
        )
    }

    /// `POST` of something that happens once for its key.
    pub(crate) fn post(path: &'static str, access: Access) -> Self {
        let key = bounded_text(
            "Yours, new for each thing that is to happen, such as `order-1001`. The same key with the same parameters has it happen once and is \
             answered the same for 24 hours.",
            (1, IDEMPOTENCY_KEY_BYTES_MAX),
        );
        let key = ParameterBuilder::new()
            .name("Idempotency-Key")
            .parameter_in(ParameterIn::Header)
            .required(Required::True)
            .schema(Some(key));
        let mut endpoint = Self::question(path, access);
        endpoint.operation = endpoint.operation.parameter(key);
        endpoint.takes_key = true;
        endpoint
            .refuses(400, &[Code::IdempotencyKeyRequired, Code::IdempotencyKeyInvalid])
            .refuses(422, &[Code::IdempotencyKeyReused])
            .refuses(429, &[Code::IdempotencyKeyInUse])
    }

    /// `POST` as Stripe's SDKs send it: a form or JSON, under a key or under none.
    pub(super) fn posted_by_sdk(path: &'static str) -> Self {
        let key = bounded_text(
            "New for each thing that is to happen; SDKs make one by themselves. The same key with the same parameters has it happen once. Without one, \
             nobody can send the request again.",
            (1, IDEMPOTENCY_KEY_BYTES_MAX),
        );
        let key = ParameterBuilder::new()
            .name("Idempotency-Key")
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .schema(Some(key));
        let mut endpoint = Self::question(path, Access::Merchants);
        endpoint.operation = endpoint.operation.parameter(key);
        endpoint.takes_key = true;
        endpoint.refuses(409, &[Code::IdempotencyKeyInUse])
    }

    /// What is the caller's or the card's fault is said as Stripe says it, in codes of its own.
    pub(super) fn refuses_like_stripe(mut self, example: &Value) -> Self {
        for (status, description) in [
            (400, "A parameter is wrong, or the object does not allow it."),
            (402, "Declined; the payment intent is in it."),
            (404, "There is no such object."),
            (409, "Another request under the same key is being answered."),
        ] {
            if self.refusals.remove(&status).is_some() {
                self = self.answers(
                    status,
                    description,
                    Ref::from_schema_name("StripeError"),
                    example.clone(),
                );
            }
        }
        self
    }

    /// `POST` of something that may as well happen twice, and so takes no key.
    pub(crate) fn order(path: &'static str, access: Access) -> Self {
        Self::question(path, access)
    }

    /// `PUT` of something that is replaced.
    pub(crate) fn put(path: &'static str, access: Access) -> Self {
        Self::with_body(HttpMethod::Put, path, access)
    }

    /// `POST` of a question: it changes nothing, and so it takes no key.
    pub(crate) fn question(path: &'static str, access: Access) -> Self {
        Self::with_body(HttpMethod::Post, path, access)
    }

    fn with_body(method: HttpMethod, path: &'static str, access: Access) -> Self {
        let endpoint = Self::new(method, path, access);
        let stopped: &[Code] = match access {
            Access::Merchants | Access::KeyHolders => &[Code::ReadOnly],
            Access::Operators | Access::Everybody => &[],
        };
        endpoint
            .refuses(503, stopped)
            .refuses(400, &BODY_CODES)
            .refuses(408, &[Code::BodyTimeout])
            .refuses(413, &[Code::BodyTooLarge])
            .refuses(415, &[Code::MediaTypeUnsupported])
            .refuses(503, &[Code::Overloaded, Code::TemporarilyUnavailable])
    }

    fn new(method: HttpMethod, path: &'static str, access: Access) -> Self {
        let endpoint = Self {
            method,
            path,
            access,
            operation: OperationBuilder::new(),
            answers: BTreeMap::new(),
            refusals: BTreeMap::new(),
            links: Vec::new(),
            takes_key: false,
        }
        .refuses(431, &[Code::HeadTooLarge]);
        if access == Access::Everybody {
            return endpoint;
        }
        let endpoint = endpoint
            .refuses(400, &[Code::QueryInvalid, Code::ParameterUnknown])
            .refuses(401, &[Code::ApiKeyInvalid])
            .refuses(429, &[Code::RateLimited])
            .refuses(500, &[Code::InternalError])
            .refuses(503, &[Code::NotOwner]);
        let behind = |endpoint: Self| {
            endpoint
                .refuses(400, &[Code::ParameterInvalid])
                .refuses(503, &[Code::NodeBehind])
        };
        match access {
            Access::Merchants => behind(endpoint).refuses(403, &[Code::MerchantKeyRequired]),
            Access::Operators => endpoint.refuses(403, &[Code::OperatorKeyRequired]),
            Access::KeyHolders => behind(endpoint),
            Access::Everybody => endpoint,
        }
    }

    /// Its name for programs, a line about it, and the rest.
    pub(crate) fn called(mut self, name: &str, summary: &str, description: &str) -> Self {
        self.operation = self
            .operation
            .operation_id(Some(name))
            .summary(Some(summary))
            .description(Some(description));
        self
    }

    /// The chapter that it is in.
    pub(crate) fn in_chapter(mut self, tag: &str) -> Self {
        self.operation = self.operation.tags(Some([tag]));
        self
    }

    /// Part of the path; what it names may not be there.
    pub(crate) fn path_part(mut self, name: &str, shape: impl Into<Shape>, example: &str) -> Self {
        self.operation = self.operation.parameter(
            ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Path)
                .required(Required::True)
                .schema(Some(shape))
                .example(Some(example.into())),
        );
        self.refuses(404, &[Code::RouteUnknown])
    }

    /// A header that some send.
    pub(crate) fn may_have_header(mut self, name: &str, shape: impl Into<Shape>, example: &str) -> Self {
        let header = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .schema(Some(shape))
            .example(Some(example.into()));
        self.operation = self.operation.parameter(header);
        self
    }

    /// A parameter behind the question mark.
    pub(crate) fn query(mut self, name: &str, shape: impl Into<Shape>) -> Self {
        let parameter: Parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Query)
            .required(Required::False)
            .schema(Some(shape))
            .build();
        self.operation = self.operation.parameter(parameter);
        self.refuses(400, &[Code::ParameterInvalid])
    }

    /// Parameters behind the question mark whose names are the caller's own, each in brackets behind this one: `name[theirs]=value`.
    pub(crate) fn query_pairs(mut self, name: &str, shape: impl Into<Shape>, example: Value) -> Self {
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Query)
            .required(Required::False)
            .style(Some(ParameterStyle::DeepObject))
            .explode(Some(true))
            .schema(Some(shape))
            .example(Some(example));
        self.operation = self.operation.parameter(parameter);
        self.refuses(400, &[Code::ParameterInvalid])
    }

    /// A parameter behind the question mark that must be there.
    pub(crate) fn must_query(mut self, name: &str, shape: impl Into<Shape>, example: &str) -> Self {
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Query)
            .required(Required::True)
            .schema(Some(shape))
            .example(Some(example.into()));
        self.operation = self.operation.parameter(parameter);
        self.refuses(400, &[Code::ParameterMissing, Code::ParameterInvalid])
    }

    /// A JSON body of this shape, with examples: what each is, and its text.
    pub(crate) fn takes(self, shape: impl Into<Shape>, examples: &[(&str, Value)]) -> Self {
        self.body(shape, examples, Required::True)
    }

    /// A JSON body that may be left out.
    pub(crate) fn may_take(self, shape: impl Into<Shape>, examples: &[(&str, Value)]) -> Self {
        self.body(shape, examples, Required::False)
    }

    fn body(mut self, shape: impl Into<Shape>, examples: &[(&str, Value)], required: Required) -> Self {
        let content = ContentBuilder::new().schema(Some(shape)).examples_from_iter(
            examples
                .iter()
                .map(|(name, value)| (*name, shown(name, value.clone()))),
        );
        let body: RequestBody = RequestBodyBuilder::new()
            .content("application/json", content)
            .required(Some(required))
            .build();
        self.operation = self.operation.request_body(Some(body));
        self
    }

    /// An answer in JSON.
    pub(crate) fn answers(
        self,
        status: u16,
        description: &str,
        shape: impl Into<Shape>,
        example: Value,
    ) -> Self {
        self.answers_as("application/json", status, description, shape, example)
    }

    /// An answer of another kind.
    pub(crate) fn answers_as(
        mut self,
        content_type: &str,
        status: u16,
        description: &str,
        shape: impl Into<Shape>,
        example: Value,
    ) -> Self {
        let content = ContentBuilder::new()
            .schema(Some(shape))
            .example((!example.is_null()).then_some(example));
        let mut response = ResponseBuilder::new()
            .description(description)
            .content(content_type, content);
        response = headers(response, status, self.access);
        if status == 202 {
            response = response.header_ref("Location", header("Location"));
        }
        if self.takes_key && status == 200 {
            response = response.header_ref("Idempotent-Replayed", header("Idempotent-Replayed"));
        }
        self.answers.insert(status, response.build());
        self
    }

    /// A header of the answers said so far.
    pub(crate) fn with_header(mut self, name: &str) -> Self {
        for response in self.answers.values_mut() {
            response.headers.insert(name.to_owned(), RefOr::Ref(header(name)));
        }
        self
    }

    /// Codes that a status may carry, besides those already said.
    pub(crate) fn refuses(mut self, status: u16, codes: &[Code]) -> Self {
        let all = self.refusals.entry(status).or_default();
        for code in codes {
            if !all.contains(code) {
                all.push(*code);
            }
        }
        self
    }

    /// What can be done next with the `id` of the answer.
    pub(crate) fn leads_to(mut self, operations: &[&'static str]) -> Self {
        self.links.extend(operations.iter().map(|name| {
            let link = Link::builder()
                .operation_id(*name)
                .parameter("id", "$response.body#/id");
            (*name, link.build())
        }));
        self
    }

    /// Method, path and the description in the words of OpenAPI.
    /// Refusals are named, since many endpoints refuse alike.
    pub(super) fn into_parts(
        self,
        named: &mut BTreeMap<String, RefOr<Response>>,
    ) -> (HttpMethod, &'static str, Operation) {
        let mut operation = self.operation;
        for (status, mut response) in self.answers {
            if matches!(status, 200 | 202) {
                let links = self.links.iter().cloned();
                response
                    .links
                    .extend(links.map(|(name, link)| (name.to_owned(), RefOr::T(link))));
            }
            operation = operation.response(status.to_string(), response);
        }
        for (status, mut codes) in self.refusals {
            codes.sort_by_key(|code| code.as_str());
            let name = refusal::name(status, &codes, self.access);
            operation = operation.response(status.to_string(), Ref::from_response_name(&name));
            let response = || refusal::response(status, &codes, self.access).into();
            named.entry(name).or_insert_with(response);
        }
        let schemes: &[&str] = match self.access {
            Access::Everybody => &[],
            Access::Merchants | Access::Operators | Access::KeyHolders => &["bearer", "basic"],
        };
        let securities = schemes
            .iter()
            .map(|scheme| SecurityRequirement::new::<_, [&str; 0], &str>(*scheme, []));
        (
            self.method,
            self.path,
            operation.securities(Some(securities)).build(),
        )
    }
}

fn shown(name: &str, value: Value) -> RefOr<utoipa::openapi::example::Example> {
    utoipa::openapi::example::ExampleBuilder::new()
        .summary(name)
        .value(Some(value))
        .into()
}

fn header(name: &str) -> Ref {
    Ref::new(format!("#/components/headers/{name}"))
}

/// Adds the headers that follow from the status and from who may call.
pub(super) fn headers(response: ResponseBuilder, status: u16, access: Access) -> ResponseBuilder {
    let mut names = vec!["Request-Id"];
    if access != Access::Everybody && status != 401 {
        names.extend(["RateLimit", "RateLimit-Policy"]);
    }
    if access == Access::Merchants && status < 400 {
        names.push("Florin-Consistency-Token");
    }
    match status {
        401 => names.push("WWW-Authenticate"),
        402 => names.push("Idempotent-Replayed"),
        429 | 503 => names.push("Retry-After"),
        _ => {}
    }
    names
        .into_iter()
        .fold(response, |response, name| response.header_ref(name, header(name)))
}

/// Headers that are there wherever a response names them.
pub(super) const HEADERS_ALWAYS: [&str; 6] = [
    "Florin-Consistency-Token",
    "Florin-Sequence",
    "Location",
    "Request-Id",
    "Retry-After",
    "WWW-Authenticate",
];

/// The headers that responses name.
pub(super) fn all_headers() -> impl Iterator<Item = (String, RefOr<Header>)> {
    let headers = [
        ("Allow", "The methods that the path has.", None),
        (
            "Florin-Consistency-Token",
            "Up to where the answer may show what there is. Sent with a later request under the same name, that one is answered with at least as much, or refused for the moment (`node_behind`).",
            Some("^[0-9]+-[0-9]+$"),
        ),
        (
            "Florin-Sequence",
            "The commit that made it what is shown.",
            Some("^[0-9]+$"),
        ),
        (
            "Idempotent-Replayed",
            "`true` when the answer was given before.",
            Some("^true$"),
        ),
        ("Location", "Where the payment is.", Some("^/v1/payments/pay_")),
        (
            "RateLimit",
            "How the API key stands: requests left, and seconds until all are back. Absent for a key without a limit.",
            None,
        ),
        (
            "RateLimit-Policy",
            "What the API key may ask. Absent for a key without a limit.",
            None,
        ),
        (
            "Request-Id",
            "The answer's own name, which is also in the log.",
            Some("^req_[0-9a-f]{24,}$"),
        ),
        (
            "Retry-After",
            "Seconds to wait before trying again.",
            Some("^[0-9]+$"),
        ),
        ("WWW-Authenticate", "The scheme to use.", Some("^Bearer$")),
    ];
    headers.into_iter().map(|(name, description, pattern)| {
        let mut header = Header::new(text(description).pattern(pattern));
        header.description = Some(description.to_owned());
        (name.to_owned(), RefOr::T(header))
    })
}
