//! A platform in memory, the API in front of it, and a small HTTP client.

use crate::credentials::store;
use crate::fake_provider::FakeProvider;
use crate::journal;
use crate::stand_ins::{NoSnapshots, Ours, Receivers, ShortBodies, SumSigner, two_threads};
use crate::stores;
use florin_actors::context::{Fatal, NoCopies, NoProbe, Ports, Webhooks};
use florin_actors::credentials_handle::CredentialsHandle;
use florin_actors::directory_handle::DirectoryHandle;
use florin_actors::offload::BlockingThreads;
use florin_actors::options::{Options, StageTimeouts};
use florin_actors::payment::Start;
use florin_actors::payments_handle::NewPayment;
use florin_actors::webhooks_handle::WebhooksHandle;
use florin_adapters::clock::SystemClock;
use florin_adapters::digests;
use florin_adapters::entropy::OsEntropy;
use florin_adapters::journal::{FromJournal, MemoryJournal, MemoryStore};
use florin_adapters::keys::MemoryKeyIndex;
use florin_adapters::payment_links::LinkStore;
use florin_adapters::provider_keys::HmacProviderKeys;
use florin_adapters::webhooks::store::NoEndpoints;
use florin_adapters::webhooks::{MemoryEndpoints, TwoSchemes};
use florin_api::server::{Api, ApiOptions, ApiParts, Digests, RunningApi};
use florin_domain::idempotency::{Fingerprint, IdempotencyKey};
use florin_domain::ids::{ApiKeyId, MerchantId, ShardId};
use florin_domain::merchant::{ApiKey, ApiKeyRole, ControlEvent, Merchant};
use florin_domain::method::PaymentMethod;
use florin_domain::money::{Amount, Currency, FeeSchedule};
use florin_domain::payment::{Answer as Outlook, CaptureMethod, DeclinePolicy, Device};
use florin_domain::ports::{Clock, Entropy, Journal, Provider};
use florin_supervisors::platform::Platform;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Runtime;

#[derive(Debug)]
struct Abort;

impl Fatal for Abort {
    fn fail(&self, why: &str) {
        eprintln!("the platform failed: {why}");
        std::process::abort();
    }
}

/// What a world stands on.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    /// None for the one that decides by the payment method.
    pub(crate) providers: Vec<Arc<dyn Provider>>,
    /// There is a key to seal the secrets of webhook endpoints under.
    pub(crate) keeps_webhooks: bool,
}

/// Everything that a test talks to.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) platform: Platform,
    api: RunningApi,
    provider: Arc<FakeProvider>,
    /// Webhook endpoints.
    pub(crate) endpoints: Arc<MemoryEndpoints>,
    /// What is delivered to them.
    pub(crate) receivers: Arc<Receivers>,
    /// Whether the shards are this process's.
    pub(crate) ownership: Arc<Ours>,
    /// Where credentials are kept.
    pub(crate) folder: TempDir,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub(crate) fn error(&self, name: &str) -> String {
        let body = self.json();
        body["error"][name]
            .as_str()
            .unwrap_or_else(|| panic!("no `{name}`: {body}"))
            .to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|header| header.0 == name)
            .map(|header| header.1.as_str())
    }
}

/// A machine under load may be slow; what is tested here is not time.
fn patient() -> Options {
    let mut options = Options {
        answer_budget: Duration::from_secs(2),
        ..Options::default()
    };
    options.retry.tries_max = 1;
    let generous = Duration::from_mins(1);
    options.stages = StageTimeouts {
        idempotency: generous,
        risk: generous,
        selection: generous,
        authorization: Duration::from_secs(1),
        ..StageTimeouts::default()
    };
    options
}

/// How merchants are told in a world that keeps endpoints, or keeps none.
fn webhooks(keeps: bool, endpoints: &Arc<MemoryEndpoints>, receivers: &Arc<Receivers>) -> Webhooks {
    Webhooks {
        endpoints: if keeps {
            Arc::clone(endpoints) as _
        } else {
            Arc::new(NoEndpoints)
        },
        book: Arc::clone(endpoints) as _,
        client: Arc::clone(receivers) as _,
        signer: Arc::new(TwoSchemes),
        bodies: Arc::new(ShortBodies),
    }
}

/// What a node makes of keys, requests and secrets.
fn hashes() -> Digests {
    Digests {
        key: digests::key_digest,
        fingerprint: digests::fingerprint,
        secret: digests::secret_sha256,
    }
}

fn fee() -> FeeSchedule {
    FeeSchedule::new(290, "0.30".parse().unwrap()).unwrap()
}

/// Two merchants and their keys, and an operator's.
async fn register(platform: &Platform) {
    for (name, bits) in [("a", 1_u128), ("b", 2)] {
        let id = MerchantId::from_bits(bits);
        let merchant = Merchant {
            id,
            name: name.to_owned(),
            first_fee: fee(),
        };
        platform
            .ledger()
            .record_control(ControlEvent::MerchantCreated(merchant))
            .await
            .unwrap();
    }
    let merchant = |bits| ApiKeyRole::Merchant(MerchantId::from_bits(bits));
    let keys = [
        ("sk_test_a", merchant(1), false),
        ("sk_test_b", merchant(2), false),
        ("ok_test_op", ApiKeyRole::Operator, false),
        ("sk_live_real_a", merchant(1), true),
        // A test key whose text claims live mode, and the key that only development mode takes.
        ("sk_live_a", merchant(1), false),
        ("sk_test_florin_dev", merchant(1), false),
        ("ok_test_op_2", ApiKeyRole::Operator, false),
    ];
    for (number, (secret, role, livemode)) in (1_u128..).zip(keys) {
        let secret_sha256 = digests::secret_sha256(secret);
        let key = ApiKey {
            id: ApiKeyId::from_bits(number),
            role,
            livemode,
            secret_sha256,
        };
        platform
            .ledger()
            .record_control(ControlEvent::ApiKeyCreated(key))
            .await
            .unwrap();
    }
}

impl World {
    pub(crate) fn start() -> Self {
        Self::start_with(|_| {})
    }

    /// With other options of the server.
    pub(crate) fn start_with(change: impl FnOnce(&mut ApiOptions)) -> Self {
        Self::start_as(change, |_| {})
    }

    /// With other options of the actors.
    pub(crate) fn start_with_actors(change: impl FnOnce(&mut Options)) -> Self {
        Self::start_as(|_| {}, change)
    }

    fn start_as(change: impl FnOnce(&mut ApiOptions), change_actors: impl FnOnce(&mut Options)) -> Self {
        Self::start_at(Arc::new(SystemClock::new()), change, change_actors)
    }

    /// By a clock.
    pub(crate) fn start_at(
        clock: Arc<dyn Clock>,
        change: impl FnOnce(&mut ApiOptions),
        change_actors: impl FnOnce(&mut Options),
    ) -> Self {
        let runtime = two_threads();
        let journal = journal::fresh(&runtime);
        Self::start_with_journal((runtime, journal, clock), change, change_actors)
    }

    /// On a journal that is in memory, and a clock. Merchants and keys are made if the journal has none.
    pub(crate) fn start_on(
        (medium, clock): (&MemoryStore, Arc<dyn Clock>),
        change: impl FnOnce(&mut ApiOptions),
        change_actors: impl FnOnce(&mut Options),
    ) -> Self {
        let journal = Arc::new(MemoryJournal::open(medium, ShardId::FIRST));
        Self::start_with_journal((two_threads(), journal, clock), change, change_actors)
    }

    fn start_with_journal(
        (runtime, journal, clock): (Runtime, Arc<dyn Journal>, Arc<dyn Clock>),
        change: impl FnOnce(&mut ApiOptions),
        change_actors: impl FnOnce(&mut Options),
    ) -> Self {
        let ground = Ground {
            runtime: Arc::new(runtime),
            journal,
            clock,
            entropy: Arc::new(OsEntropy::new()),
            providers: Vec::new(),
            keeps_webhooks: true,
        };
        Self::on(ground, change, change_actors)
    }

    /// Without a key to seal the secrets of webhook endpoints under.
    pub(crate) fn start_without_webhooks() -> Self {
        let runtime = two_threads();
        let ground = Ground {
            journal: journal::fresh(&runtime),
            runtime: Arc::new(runtime),
            clock: Arc::new(SystemClock::new()),
            entropy: Arc::new(OsEntropy::new()),
            providers: Vec::new(),
            keeps_webhooks: false,
        };
        Self::on(ground, |_| {}, |_| {})
    }

    /// On all that a world stands on.
    pub(crate) fn on(
        ground: Ground,
        change: impl FnOnce(&mut ApiOptions),
        change_actors: impl FnOnce(&mut Options),
    ) -> Self {
        let Ground {
            runtime,
            journal,
            clock,
            entropy,
            mut providers,
            keeps_webhooks,
        } = ground;
        let provider = Arc::<FakeProvider>::default();
        if providers.is_empty() {
            providers.push(Arc::clone(&provider) as _);
        }
        let keys = Arc::new(MemoryKeyIndex::default());
        let of_links = (Arc::clone(&clock), Arc::clone(&entropy));
        let endpoints = Arc::new(MemoryEndpoints::new(Arc::clone(&clock)));
        let receivers = Arc::<Receivers>::default();
        let views = stores::views();
        let ports = Ports {
            past: Arc::new(FromJournal(Arc::clone(&journal) as _)),
            journal,
            transfers: Arc::clone(&keys) as _,
            keys,
            shown: Arc::clone(&views) as _,
            views,
            velocity: Arc::new(NoCopies),
            snapshots: Arc::new(NoSnapshots),
            clock,
            entropy,
            provider_keys: Arc::new(HmacProviderKeys::new(b"a secret of this test, long enough")),
            providers,
            probe: Arc::new(NoProbe),
            fatal: Arc::new(Abort),
            offload: Arc::new(BlockingThreads),
            webhooks: Some(webhooks(keeps_webhooks, &endpoints, &receivers)),
        };
        let mut options = patient();
        change_actors(&mut options);
        let platform = runtime
            .block_on(Platform::start(ports, options, &|_, _| {}))
            .unwrap();
        if platform.context().directory.load().keys.is_empty() {
            runtime.block_on(register(&platform));
        }
        let folder = tempfile::tempdir().unwrap();
        let ownership = Arc::new(Ours::default());
        let cards = stores::cards(folder.path());
        let faces = ApiParts {
            ownership: Arc::clone(&ownership) as _,
            payments: platform.payments(),
            ledger: platform.ledger(),
            consistency: platform.consistency(),
            ops: Arc::new(platform.ops(Box::new(|| "florin_up 1\n".to_owned()))),
            receipts: Arc::new(SumSigner),
            client_secrets: Arc::new(SumSigner),
            notices: Arc::new(crate::notices::FakeNotices),
            directory: DirectoryHandle::new(platform.shards().clone()),
            credentials: CredentialsHandle::new(
                platform.shards().clone(),
                store(folder.path()),
                runtime.handle().clone(),
            ),
            shown_cards: Arc::clone(&cards) as _,
            cards,
            links: Arc::new(LinkStore::open(None, of_links).unwrap()),
            entropy: Arc::new(OsEntropy::new()),
            public_url: Some("http://florin".into()),
            shared_limits: None,
            webhooks: WebhooksHandle::new(platform.shards().clone()),
            digests: hashes(),
            request_seed: 7,
        };
        let mut options = ApiOptions {
            workers: 1,
            body_timeout: Duration::from_millis(300),
            ..ApiOptions::default()
        };
        change(&mut options);
        let api = Api::serve(TcpListener::bind("127.0.0.1:0").unwrap(), faces, options).unwrap();
        Self {
            runtime,
            platform,
            api,
            provider,
            endpoints,
            receivers,
            ownership,
            folder,
        }
    }

    /// From now on no request reaches the provider, or all do again.
    pub(crate) fn provider_leaves(&self, is_away: bool) {
        self.provider.leaves(is_away);
    }

    pub(crate) fn stop(self) {
        let Self {
            runtime,
            platform,
            api,
            ..
        } = self;
        runtime.block_on(async {
            api.stop().await.unwrap();
            platform.drain(Duration::from_secs(5)).await;
        });
    }

    /// A live sale of merchant a. The provider here is not real and takes test methods in either mode; the API does not.
    pub(crate) fn sell_live(&self, amount_minor: i128) {
        let (merchant, key) = (MerchantId::from_bits(1), IdempotencyKey::parse("live").unwrap());
        let new = NewPayment {
            id: None,
            merchant,
            livemode: true,
            fee: fee(),
            key_digest: digests::key_digest(merchant, true, key.as_str()),
            key,
            fingerprint: Fingerprint([1; 16]),
            amount: Amount::new(amount_minor).unwrap(),
            currency: Currency::USD,
            start: Start::Charge(PaymentMethod::test("pm_card_visa").unwrap()),
            after_decline: DeclinePolicy::Fail,
            capture_method: CaptureMethod::Automatic,
            customer: None,
            description: None,
            metadata: Vec::new(),
            return_url: None,
            routing: florin_domain::routing::Wishes::default(),
            off_session: false,
            device: Device::default(),
        };
        let created = self.runtime.block_on(self.platform.payments().create(new));
        assert_eq!(created.unwrap().answer, Outlook::Shown);
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.api.local_addr()
    }

    /// Charges that the provider executed.
    pub(crate) fn charges(&self) -> usize {
        self.provider.charges()
    }

    pub(crate) fn get(&self, path: &str, key: Option<&str>) -> Answer {
        self.send("GET", path, key, &[], b"")
    }

    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        key: Option<&str>,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: florin\r\nConnection: close\r\n");
        if let Some(key) = key {
            write!(head, "Authorization: Bearer {key}\r\n").unwrap();
        }
        for (name, value) in headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        if !body.is_empty() {
            write!(head, "Content-Length: {}\r\n", body.len()).unwrap();
        }
        head.push_str("\r\n");
        self.raw(&[head.as_bytes(), body].concat())
    }

    /// Sends these bytes and reads one answer.
    pub(crate) fn raw(&self, request: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        // A server that has seen enough may close before it has read everything.
        drop(stream.write_all(request));
        let mut bytes = Vec::new();
        let mut chunk = [0; 16 * 1024];
        loop {
            match stream.read(&mut chunk) {
                Ok(0) | Err(_) => break,
                Ok(count) => bytes.extend_from_slice(&chunk[..count]),
            }
            if whole(&bytes) {
                break;
            }
        }
        parse(&bytes)
    }
}

fn split(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some((str::from_utf8(&bytes[..end]).unwrap(), &bytes[end + 4..]))
}

fn length(head: &str) -> Option<usize> {
    head.lines().find_map(|line| {
        line.to_ascii_lowercase()
            .strip_prefix("content-length: ")?
            .parse()
            .ok()
    })
}

fn whole(bytes: &[u8]) -> bool {
    split(bytes).is_some_and(|(head, body)| length(head).is_some_and(|length| body.len() >= length))
}

fn parse(bytes: &[u8]) -> Answer {
    let (head, body) =
        split(bytes).unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(bytes)));
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let header = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_ascii_lowercase(), value.to_owned())
    };
    Answer {
        status,
        headers: lines.map(header).collect(),
        body: body.to_vec(),
    }
}
