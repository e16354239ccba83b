//! A client of Florin's own API, for commands that speak to a running node.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::time::timeout;

/// The largest answer taken: thousands of refusals with their reasons.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const REQUEST_TIMEOUT: Duration = Duration::from_mins(2);

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ApiClientError {
    /// No request can be made with this address or key.
    #[error("{0}")]
    Unusable(String),
    /// The node did not answer; whether it did what was asked is not known.
    #[error("no answer from the node: {0}")]
    NoAnswer(String),
}

/// What the node answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiAnswer {
    /// The HTTP status.
    pub status: u16,
    /// How long it asks to wait.
    pub retry_after_s: Option<u64>,
    /// The body.
    pub body: Bytes,
}

/// Speaks to one node with one key.
#[derive(Debug)]
pub struct ApiClient {
    pool: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: Uri,
    authorization: HeaderValue,
}

impl ApiClient {
    /// A client of the node at `url` (`http://` or `https://`, without a path). Connects to nothing yet.
    pub fn new(url: &str, key: &str) -> Result<Self, ApiClientError> {
        let unusable = |why: String| ApiClientError::Unusable(why);
        let base: Uri = url.parse().map_err(|error| unusable(format!("{url}: {error}")))?;
        let is_http = matches!(base.scheme_str(), Some("http" | "https"));
        if !is_http || base.authority().is_none() || base.path() != "/" || base.query().is_some() {
            let why = format!("{url}: an address is written as http://host:port or https://host:port");
            return Err(unusable(why));
        }
        let mut authorization = HeaderValue::try_from(format!("Bearer {key}"))
            .map_err(|_| unusable("the API key has characters that no key has".to_owned()))?;
        authorization.set_sensitive(true);
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(base.scheme() == Some(&Scheme::HTTPS))?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        Ok(Self {
            pool: Client::builder(TokioExecutor::new()).build(connector),
            base,
            authorization,
        })
    }

    /// Reads a path.
    pub async fn get(&self, path: &str) -> Result<ApiAnswer, ApiClientError> {
        self.send(Method::GET, path, Bytes::new(), None).await
    }

    /// Reads a path with one more header, whose name is in lower case.
    pub async fn get_with(
        &self,
        path: &str,
        header: (&'static str, &str),
    ) -> Result<ApiAnswer, ApiClientError> {
        self.send(Method::GET, path, Bytes::new(), Some(header)).await
    }

    /// Posts JSON to a path.
    pub async fn post(&self, path: &str, json: Bytes) -> Result<ApiAnswer, ApiClientError> {
        self.send(Method::POST, path, json, None).await
    }

    /// Posts JSON to a path with one more header, whose name is in lower case.
    pub async fn post_with(
        &self,
        path: &str,
        json: Bytes,
        header: (&'static str, &str),
    ) -> Result<ApiAnswer, ApiClientError> {
        self.send(Method::POST, path, json, Some(header)).await
    }

    /// Puts JSON at a path.
    pub async fn put(&self, path: &str, json: Bytes) -> Result<ApiAnswer, ApiClientError> {
        self.send(Method::PUT, path, json, None).await
    }

    /// Deletes what is at a path.
    pub async fn delete(&self, path: &str) -> Result<ApiAnswer, ApiClientError> {
        self.send(Method::DELETE, path, Bytes::new(), None).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        header: Option<(&'static str, &str)>,
    ) -> Result<ApiAnswer, ApiClientError> {
        let request = self
            .request(&method, path, body, header)
            .map_err(|error| ApiClientError::Unusable(error.to_string()))?;
        match timeout(REQUEST_TIMEOUT, self.exchange(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(ApiClientError::NoAnswer("it takes too long".to_owned())),
        }
    }

    fn request(
        &self,
        method: &Method,
        path: &str,
        body: Bytes,
        header: Option<(&'static str, &str)>,
    ) -> Result<Request<Full<Bytes>>, http::Error> {
        let mut parts = self.base.clone().into_parts();
        parts.path_and_query = Some(PathAndQuery::try_from(path)?);
        let mut request = Request::builder()
            .method(method.clone())
            .uri(Uri::from_parts(parts)?)
            .body(Full::from(body))?;
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, self.authorization.clone());
        if let Some((name, value)) = header {
            headers.insert(HeaderName::from_static(name), HeaderValue::try_from(value)?);
        }
        if matches!(*method, Method::POST | Method::PUT) {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        Ok(request)
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<ApiAnswer, ApiClientError> {
        let no_answer = |error: &dyn std::error::Error| ApiClientError::NoAnswer(chain(error));
        let response = self.pool.request(request).await;
        let response = response.map_err(|error| no_answer(&error))?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER);
        let retry_after_s = retry_after
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.trim().parse().ok());
        let body = Limited::new(response.into_body(), BODY_BYTES_MAX).collect().await;
        Ok(ApiAnswer {
            status,
            retry_after_s,
            body: body.map_err(|error| no_answer(&*error))?.to_bytes(),
        })
    }
}

/// Trust in the system's certificates; plain HTTP needs none.
fn tls(is_needed: bool) -> Result<ClientConfig, ApiClientError> {
    let unusable = |why: String| ApiClientError::Unusable(why);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(error.to_string()))?;
    let builder = if is_needed {
        let roots = builder.with_native_roots();
        roots.map_err(|error| unusable(format!("the system's certificates: {error}")))?
    } else {
        builder.with_root_certificates(RootCertStore::empty())
    };
    Ok(builder.with_no_client_auth())
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_nodes_are_taken() {
        for good in ["http://127.0.0.1:8080", "http://localhost/", "http://[::1]:1"] {
            assert!(ApiClient::new(good, "ok_test_x").is_ok(), "{good}");
        }
        for bad in [
            "",
            "127.0.0.1:8080",
            "ftp://localhost",
            "http://localhost/v1",
            "http://localhost/?a=b",
            "http://",
        ] {
            let refused = ApiClient::new(bad, "ok_test_x").unwrap_err();
            assert!(matches!(refused, ApiClientError::Unusable(_)), "{bad}: {refused}");
        }
        assert!(ApiClient::new("http://localhost", "a\nb").is_err());
    }
}
