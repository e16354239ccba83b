//! A sandbox with the adapter on it, attempts of every kind, and what was really executed.

use crate::subject::Subject;
use bytes::Bytes;
use florin_domain::ids::{
    CaptureId, IncrementId, MerchantId, OperationId, PaymentId, RefundId, ReversalId, VoidId,
};
use florin_domain::method::PaymentMethod;
use florin_domain::money::{Amount, Currency, MinorSum};
use florin_domain::payment::OperationKind;
use florin_domain::ports::{AttemptRequest, ParentCharge, Provider};
use florin_domain::provider::Outcome;
use florin_domain::time::Timestamp;
use florin_sandbox::{Options, Sandbox, SandboxHandle};
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;

pub(crate) const APPROVED: &str = "pm_card_visa";
const AMOUNT_MINOR: i128 = 1500;

#[derive(Debug)]
pub(crate) struct Stage {
    subject: Subject,
    sandbox: SandboxHandle,
    pub(crate) provider: Arc<dyn Provider>,
    http: Client<HttpConnector, Full<Bytes>>,
}

impl Stage {
    pub(crate) async fn set(subject: &Subject) -> Self {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let sandbox = Sandbox::start(Options::new(anywhere, None)).await.unwrap();
        let provider = subject.patient(format!("http://{}{}", sandbox.local_addr(), subject.base));
        Self {
            subject: *subject,
            sandbox,
            provider,
            http: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    pub(crate) async fn strike(self) {
        drop(self.provider);
        drop(self.http);
        self.sandbox.stop().await.unwrap();
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.sandbox.local_addr()
    }

    async fn ask(&self, method: &str, path: &str, body: String) -> Value {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address()))
            .body(Full::from(body))
            .unwrap();
        let (head, body) = self.http.request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        assert_eq!(head.status, 200, "{method} {path}: {body:?}");
        serde_json::from_slice(&body).unwrap()
    }

    /// From now on this goes wrong with requests of this kind.
    pub(crate) async fn fault(&self, kind: OperationKind, mode: &str) {
        let provider = self.provider.capabilities().id;
        let operation = match kind {
            OperationKind::Sale | OperationKind::Authorize | OperationKind::Increment => "authorize",
            OperationKind::Capture => "capture",
            OperationKind::Void => "void",
            // A reversal is asked for as a refund or a void.
            OperationKind::Refund | OperationKind::Reversal => "refund",
        };
        let fault = json!({"provider": provider.as_str(), "operation": operation, "mode": mode});
        self.ask("POST", "/faults", fault.to_string()).await;
    }

    pub(crate) async fn clear_faults(&self) {
        self.ask("DELETE", "/faults", String::new()).await;
    }

    /// How often the witness saw this kind of operation.
    pub(crate) async fn executed(&self, kind: OperationKind) -> usize {
        let operation = match kind {
            OperationKind::Sale => "sale",
            OperationKind::Authorize | OperationKind::Increment => "authorize",
            OperationKind::Capture => "capture",
            OperationKind::Void => "void",
            // A reversal is asked for as a refund or a void.
            OperationKind::Refund | OperationKind::Reversal => "refund",
        };
        let charges = self.ask("GET", "/charges", String::new()).await;
        let rows = charges["data"].as_array().unwrap();
        rows.iter().filter(|row| row["operation"] == operation).count()
    }

    /// An attempt that can be executed: its charge made or its object prepared, as the core does before.
    pub(crate) async fn attempt(&self, kind: OperationKind, method: &str) -> AttemptRequest {
        let request = attempt(kind, method);
        let parent = match kind {
            OperationKind::Sale | OperationKind::Authorize => None,
            OperationKind::Capture | OperationKind::Void | OperationKind::Increment => {
                Some(self.charged(OperationKind::Authorize).await)
            }
            OperationKind::Refund | OperationKind::Reversal => Some(self.charged(OperationKind::Sale).await),
        };
        self.prepared(AttemptRequest { parent, ..request }).await
    }

    async fn charged(&self, kind: OperationKind) -> ParentCharge {
        let mut request = attempt(kind, APPROVED);
        request.key = Arc::from("flo_parent");
        let request = self.prepared(request).await;
        match self.provider.execute(&request).await {
            Outcome::Succeeded { reference, .. } => ParentCharge {
                reference,
                authorized: MinorSum::ZERO.checked_add(request.amount).unwrap(),
            },
            outcome => panic!("the charge that the attempt is about did not succeed: {outcome:?}"),
        }
    }

    async fn prepared(&self, request: AttemptRequest) -> AttemptRequest {
        let charges = matches!(request.kind, OperationKind::Sale | OperationKind::Authorize);
        if !charges || !self.provider.capabilities().prepares {
            return request;
        }
        let reference = self.provider.prepare(&request).await.unwrap();
        AttemptRequest {
            reference: Some(reference),
            ..request
        }
    }

    /// The adapter, with somebody else in the place of the sandbox.
    pub(crate) fn before(&self, peer: SocketAddr) -> Arc<dyn Provider> {
        self.subject
            .patient(format!("http://{peer}{}", self.subject.base))
    }

    pub(crate) fn impatient_before(&self, peer: SocketAddr) -> Arc<dyn Provider> {
        self.subject
            .impatient(format!("http://{peer}{}", self.subject.base))
    }
}

/// Over 1500 US cents; about no charge yet.
pub(crate) fn attempt(kind: OperationKind, method: &str) -> AttemptRequest {
    let payment = PaymentId::from_bits(7);
    let operation = match kind {
        OperationKind::Sale | OperationKind::Authorize => OperationId::Authorize(payment),
        OperationKind::Capture => OperationId::Capture(CaptureId::from_bits(1)),
        OperationKind::Void => OperationId::Void(VoidId::from_bits(3)),
        OperationKind::Refund => OperationId::Refund(RefundId::from_bits(4)),
        OperationKind::Increment => OperationId::Increment(IncrementId::from_bits(5)),
        OperationKind::Reversal => OperationId::Reversal(ReversalId::from_bits(6)),
    };
    AttemptRequest {
        merchant: MerchantId::from_bits(1),
        made_at: Timestamp::from_unix_ms(1_000),
        payment,
        operation,
        kind,
        amount: Amount::new(AMOUNT_MINOR).unwrap(),
        currency: Currency::USD,
        method: PaymentMethod::test(method).unwrap(),
        key: Arc::from("flo_k"),
        reference: None,
        parent: None,
        is_final: true,
        return_url: Some(Arc::from("https://shop.example/back")),
        off_session: false,
        details: None,
    }
}
