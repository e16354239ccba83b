//! A sandbox with a provider that speaks to it, attempts of every kind, and outcomes in a line.

use bytes::Bytes;
use florin_adapters::providers::stripe::{SecretKey, StripeConfig, StripeProvider};
use florin_domain::ids::{CaptureId, IncrementId, MerchantId, OperationId, PaymentId, RefundId, VoidId};
use florin_domain::method::PaymentMethod;
use florin_domain::money::{Amount, Currency, MinorSum};
use florin_domain::payment::OperationKind;
use florin_domain::ports::{AttemptRequest, ParentCharge, Provider};
use florin_domain::provider::{Outcome, ProviderId, ProviderReference};
use florin_domain::time::Timestamp;
use florin_sandbox::{Options, Sandbox, SandboxHandle};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Long enough never to matter.
const PATIENT: Duration = Duration::from_mins(1);
/// For requests that end only by it.
const IMPATIENT: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(crate) struct World {
    sandbox: SandboxHandle,
    pub(crate) provider: StripeProvider,
    impatient: StripeProvider,
    http: Client<HttpConnector, Full<Bytes>>,
}

fn provider(address: SocketAddr, request_timeout: Duration) -> StripeProvider {
    let config = StripeConfig {
        request_timeout,
        ..StripeConfig::new(format!("http://{address}"), SecretKey::new("sk_test_florin"))
    };
    StripeProvider::new(ProviderId::parse("stripe").unwrap(), config).unwrap()
}

impl World {
    pub(crate) async fn in_memory() -> Self {
        Self::start(None).await
    }

    pub(crate) async fn in_folder(folder: &Path) -> Self {
        Self::start(Some(folder)).await
    }

    async fn start(folder: Option<&Path>) -> Self {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let sandbox = Sandbox::start(Options::new(anywhere, folder.map(Path::to_owned)))
            .await
            .unwrap();
        let address = sandbox.local_addr();
        Self {
            sandbox,
            provider: provider(address, PATIENT),
            impatient: provider(address, IMPATIENT),
            http: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    pub(crate) async fn stop(self) {
        self.sandbox.stop().await.unwrap();
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.sandbox.local_addr()
    }

    /// What a browser or an operator sees.
    pub(crate) async fn visit(&self, method: &str, url: &str, body: &str) -> Response<Bytes> {
        let request = Request::builder()
            .method(method)
            .uri(url)
            .body(Full::from(body.to_owned()))
            .unwrap();
        let (head, body) = self.http.request(request).await.unwrap().into_parts();
        Response::from_parts(head, body.collect().await.unwrap().to_bytes())
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> Value {
        let answer = self
            .visit(method, &format!("http://{}{path}", self.address()), body)
            .await;
        assert_eq!(answer.status(), 200, "{answer:?}");
        serde_json::from_slice(answer.body()).unwrap()
    }

    /// What an older version sent about the charge, under its key with this ending.
    pub(crate) async fn post_as_of_old(&self, path: &str, ending: &str, form: &'static str) -> Value {
        let operation = OperationId::Authorize(PaymentId::from_bits(1));
        let request = Request::post(format!("http://{}{path}", self.address()))
            .header("Authorization", "Bearer sk_test_florin")
            .header("Idempotency-Key", key(operation) + ending)
            .body(Full::from(form))
            .unwrap();
        let answer = self.http.request(request).await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        serde_json::from_slice(&answer.collect().await.unwrap().to_bytes()).unwrap()
    }

    pub(crate) async fn fault(&self, operation: &str, mode: &str) {
        let fault = format!(r#"{{"provider":"stripe","operation":"{operation}","mode":"{mode}"}}"#);
        self.ask("POST", "/faults", &fault).await;
    }

    /// Returns when the fault has fired: what timed out here may arrive there later.
    pub(crate) async fn fault_fired(&self) {
        while self.ask("GET", "/faults", "").await["data"][0]["fired"] == 0 {}
    }

    pub(crate) async fn clear_faults(&self) {
        self.ask("DELETE", "/faults", "").await;
    }

    /// What was really executed, as operation, amount and key.
    pub(crate) async fn witnessed(&self) -> Vec<String> {
        let charges = self.ask("GET", "/charges", "").await;
        let rows = charges["data"].as_array().unwrap();
        rows.iter()
            .map(|row| {
                let key = row["idempotency_key"].as_str().unwrap_or("-");
                format!("{} {} {key}", row["operation"].as_str().unwrap(), row["amount"])
            })
            .collect()
    }

    /// With its object made, as the core does before it executes.
    pub(crate) async fn prepared(&self, request: AttemptRequest) -> AttemptRequest {
        let reference = self.provider.prepare(&request).await.unwrap();
        AttemptRequest {
            reference: Some(reference),
            ..request
        }
    }

    pub(crate) async fn execute(&self, request: &AttemptRequest) -> String {
        brief(&self.provider.execute(request).await)
    }

    /// Without the patience to wait for an answer that never comes.
    pub(crate) async fn execute_impatiently(&self, request: &AttemptRequest) -> String {
        brief(&self.impatient.execute(request).await)
    }

    pub(crate) async fn query(&self, request: &AttemptRequest) -> String {
        brief(&self.provider.query(request).await)
    }

    pub(crate) async fn query_impatiently(&self, request: &AttemptRequest) -> String {
        brief(&self.impatient.query(request).await)
    }

    pub(crate) async fn cancel(&self, request: &AttemptRequest) -> String {
        brief(&self.provider.cancel(request).await)
    }

    pub(crate) async fn cancel_impatiently(&self, request: &AttemptRequest) -> String {
        brief(&self.impatient.cancel(request).await)
    }

    /// An intent that was charged or authorized.
    pub(crate) async fn charged(&self, kind: OperationKind, amount_minor: i128) -> ProviderReference {
        let request = self.prepared(charge(kind, amount_minor, "pm_card_visa")).await;
        assert_eq!(self.execute(&request).await, format!("succeeded {amount_minor}"));
        request.reference.unwrap()
    }
}

/// Like the core's: one for each operation.
pub(crate) fn key(operation: OperationId) -> String {
    format!("flo_{operation}")
}

fn request(operation: OperationId, kind: OperationKind, amount_minor: i128, method: &str) -> AttemptRequest {
    AttemptRequest {
        merchant: MerchantId::from_bits(1),
        made_at: Timestamp::from_unix_ms(1_000),
        payment: PaymentId::from_bits(1),
        operation,
        kind,
        amount: Amount::new(amount_minor).unwrap(),
        currency: Currency::USD,
        method: PaymentMethod::test(method).unwrap(),
        key: Arc::from(key(operation)),
        reference: None,
        parent: None,
        is_final: false,
        return_url: None,
        off_session: false,
        details: None,
    }
}

pub(crate) fn charge(kind: OperationKind, amount_minor: i128, method: &str) -> AttemptRequest {
    let operation = OperationId::Authorize(PaymentId::from_bits(1));
    request(operation, kind, amount_minor, method)
}

/// The numbered capture, void or refund of an intent.
pub(crate) fn about(
    intent: &ProviderReference,
    kind: OperationKind,
    number: u128,
    amount_minor: i128,
) -> AttemptRequest {
    let operation = match kind {
        OperationKind::Capture => OperationId::Capture(CaptureId::from_bits(number)),
        OperationKind::Void => OperationId::Void(VoidId::from_bits(number)),
        OperationKind::Refund => OperationId::Refund(RefundId::from_bits(number)),
        OperationKind::Increment => OperationId::Increment(IncrementId::from_bits(number)),
        OperationKind::Sale | OperationKind::Authorize | OperationKind::Reversal => {
            panic!("{kind:?} is not asked about an intent")
        }
    };
    AttemptRequest {
        parent: Some(ParentCharge {
            reference: Arc::clone(intent),
            // What increments are about here; nothing else looks at it.
            authorized: MinorSum::ZERO.checked_add(Amount::new(1000).unwrap()).unwrap(),
        }),
        ..request(operation, kind, amount_minor, "pm_card_visa")
    }
}

/// What the core decides by, in a line.
pub(crate) fn brief(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Succeeded { amount_minor, .. } => format!("succeeded {amount_minor}"),
        Outcome::Declined { decline_code, .. } => format!("declined {decline_code}"),
        Outcome::ActionRequired { .. } => "action required".to_owned(),
        Outcome::Pending { .. } => "pending".to_owned(),
        Outcome::Cancelled { .. } => "cancelled".to_owned(),
        Outcome::NotSent { .. } => "not sent".to_owned(),
        Outcome::RateLimited { .. } => "rate limited".to_owned(),
        Outcome::Rejected { .. } => "rejected".to_owned(),
        Outcome::Unknown { .. } => "unknown".to_owned(),
    }
}
