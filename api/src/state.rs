//! What handlers share: handles, digests, options, counters.

use crate::rate_limits::{Exchanges, RateLimits};
use crate::request_id::RequestIds;
use crate::server::{ApiOptions, ApiParts, Digests};
use crate::slo::{self, Outcome, SloCounters};
use crate::streams::Streams;
use actix_web::http::StatusCode;
use florin_actors::consistency_handle::ConsistencyHandle;
use florin_actors::credentials_handle::CredentialsHandle;
use florin_actors::directory_handle::DirectoryHandle;
use florin_actors::ledger_handle::LedgerHandle;
use florin_actors::payments_handle::PaymentsHandle;
use florin_actors::webhooks_handle::WebhooksHandle;
use florin_domain::ports::{
    CardVault, ClientSecrets, Entropy, NoticeReader, OpsView, Ownership, PaymentLinks, ReceiptSigner,
    ShownCards,
};
use metrics::Counter;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio::sync::Semaphore;

/// Letters whose payments are looked for at the same time, before anything in them is believed.
const LETTERS_MAX: usize = 32;

/// One for the process, shared by all workers.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) ownership: Arc<dyn Ownership>,
    pub(crate) payments: PaymentsHandle,
    pub(crate) ledger: LedgerHandle,
    pub(crate) consistency: ConsistencyHandle,
    pub(crate) ops: Arc<dyn OpsView>,
    pub(crate) receipts: Arc<dyn ReceiptSigner>,
    pub(crate) client_secrets: Arc<dyn ClientSecrets>,
    pub(crate) notices: Arc<dyn NoticeReader>,
    pub(crate) directory: DirectoryHandle,
    pub(crate) credentials: CredentialsHandle,
    pub(crate) cards: Arc<dyn CardVault>,
    pub(crate) shown_cards: Arc<dyn ShownCards>,
    pub(crate) links: Arc<dyn PaymentLinks>,
    pub(crate) entropy: Arc<dyn Entropy>,
    /// Where customers reach the server, without a slash at the end.
    pub(crate) public_url: Arc<str>,
    pub(crate) webhooks: WebhooksHandle,
    pub(crate) digests: Digests,
    pub(crate) options: ApiOptions,
    pub(crate) request_ids: RequestIds,
    pub(crate) rate_limits: Arc<RateLimits>,
    /// Places in which the payments of letters are looked for that nobody has believed yet.
    pub(crate) letters: Semaphore,
    /// Places of streams of events.
    pub(crate) streams: Arc<Streams>,
    /// The server stops: what would never end by itself ends now.
    pub(crate) is_closing: Arc<AtomicBool>,
    responses: [Counter; 5],
    slo: SloCounters,
}

impl State {
    /// With it comes what is to be run to share its limits, if they are shared.
    pub(crate) fn new(parts: ApiParts, options: ApiOptions) -> (Self, Option<Exchanges>) {
        let ApiParts {
            ownership,
            payments,
            ledger,
            consistency,
            ops,
            receipts,
            client_secrets,
            notices,
            directory,
            credentials,
            cards,
            shown_cards,
            links,
            entropy,
            public_url,
            shared_limits,
            webhooks,
            digests,
            request_seed,
        } = parts;
        let (rate_limits, exchanges) =
            RateLimits::new(options.rate_limit, options.failed_auth_per_min, shared_limits);
        let counter = |class| metrics::counter!("florin_http_responses_total", "class" => class);
        let state = Self {
            ownership,
            payments,
            ledger,
            consistency,
            ops,
            receipts,
            client_secrets,
            notices,
            directory,
            credentials,
            cards,
            shown_cards,
            links,
            entropy,
            public_url: public_url.unwrap_or_default(),
            webhooks,
            digests,
            options,
            request_ids: RequestIds::new(request_seed),
            letters: Semaphore::new(LETTERS_MAX),
            streams: Arc::default(),
            is_closing: Arc::default(),
            rate_limits: Arc::new(rate_limits),
            responses: ["1xx", "2xx", "3xx", "4xx", "5xx"].map(counter),
            slo: SloCounters::new(),
        };
        (state, exchanges)
    }

    /// Counts an answer; how it ended is what its refusal says, else what its status says.
    pub(crate) fn count(&self, path: &str, status: StatusCode, refused: Option<Outcome>) {
        if slo::counts(path) {
            self.slo.count(refused.unwrap_or_else(|| Outcome::of(status)));
        }
        let class = usize::from(status.as_u16() / 100).saturating_sub(1);
        if let Some(counter) = self.responses.get(class) {
            counter.increment(1);
        }
    }
}
