//! Sends transfers to a running node, batch by batch. A batch whose answer was lost is sent again: each transfer is made once for
//! its id.

use super::line::{AccountLine, AccountRef, NamedAccount, Posting};
use super::transfers::FileTransfer;
use anyhow::{Context as _, bail};
use florin_adapters::api_client::{ApiAnswer, ApiClient, ApiClientError};
use florin_domain::ledger::Side;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What one request may hold.
const TRANSFERS_MAX: usize = 8_190;
const POSTINGS_MAX: usize = 2 * TRANSFERS_MAX;
const BYTES_MAX: usize = 6 * 1024 * 1024;
/// How often a node that does not answer, or asks to wait, is asked again, and how long is waited at most.
const TRIES: u32 = 12;
const PAUSE_MAX: Duration = Duration::from_secs(20);
/// Transfers of one request that the node may refuse to read before the rest is not sent.
const MALFORMED_MAX: usize = 100;
/// Refusals that are shown one by one.
const SHOWN_MAX: u64 = 1_000;

/// What became of everything so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) created: u64,
    pub(crate) existed: u64,
    pub(crate) refused: u64,
    pub(crate) accounts_opened: u64,
    pub(crate) accounts_existed: u64,
    pub(crate) of_payments: u64,
    /// In a dry run: transfers on accounts that would be opened, which the node cannot be asked about.
    pub(crate) unasked: u64,
}

/// How it is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct How {
    pub(crate) is_atomic: bool,
    pub(crate) is_dry_run: bool,
}

/// Transfers on their way.
#[derive(Debug, Default)]
struct Batch {
    lines: Vec<u64>,
    written: Vec<String>,
    postings: usize,
    bytes: usize,
}

/// Sends to one node.
#[derive(Debug)]
pub(crate) struct Sender {
    client: ApiClient,
    how: How,
    /// Opened accounts: their ids and types.
    accounts: BTreeMap<NamedAccount, (String, String)>,
    /// Names that accounts of several shards have.
    ambiguous: BTreeSet<NamedAccount>,
    /// Those that a dry run would open.
    unopened: BTreeSet<NamedAccount>,
    batch: Batch,
    pub(crate) counts: Counts,
    shown: u64,
}

impl Sender {
    pub(crate) fn new(client: ApiClient, how: How) -> Self {
        Self {
            client,
            how,
            accounts: BTreeMap::new(),
            ambiguous: BTreeSet::new(),
            unopened: BTreeSet::new(),
            batch: Batch::default(),
            counts: Counts::default(),
            shown: 0,
        }
    }

    /// Learns which accounts are open, page by page.
    pub(crate) async fn learn_accounts(&mut self) -> anyhow::Result<()> {
        let mut after: Option<String> = None;
        loop {
            let cursor = after.map_or(String::new(), |id| format!("&starting_after={id}"));
            let path = format!("/v1/ledger/accounts?limit=100{cursor}");
            let answer = self.patiently(&path, None).await?;
            let page = expected(&answer, &path)?;
            let rows = page["data"].as_array().context("a list without its page")?;
            for row in rows {
                let text = |field: &str| row[field].as_str().map(str::to_owned);
                let (Some(name), Some(id), Some(kind)) = (text("name"), text("id"), text("type")) else {
                    continue;
                };
                let currency = row["currency"].as_str().unwrap_or_default();
                let name = NamedAccount {
                    name,
                    currency: florin_domain::money::Currency::parse(currency)?,
                    livemode: row["livemode"] == true,
                };
                if self.accounts.insert(name.clone(), (id, kind)).is_some() {
                    self.ambiguous.insert(name);
                }
            }
            after = rows.last().and_then(|row| row["id"].as_str()).map(str::to_owned);
            if page["has_more"] != true || after.is_none() {
                return Ok(());
            }
        }
    }

    /// Opens an account if it is not there. `Err` says why that cannot be.
    pub(crate) async fn open(&mut self, line: u64, account: &AccountLine) -> anyhow::Result<()> {
        let name = &account.name;
        if self.ambiguous.contains(name) {
            self.refuse(line, &ambiguous(name));
            return Ok(());
        }
        if let Some((_, kind)) = self.accounts.get(name) {
            if kind == account.account_type {
                self.counts.accounts_existed += 1;
            } else {
                let why = format!("account {} is open, of type {kind}", name.name);
                self.refuse(line, &why);
            }
            return Ok(());
        }
        if self.how.is_dry_run {
            self.counts.accounts_opened += 1;
            self.unopened.insert(name.clone());
            return Ok(());
        }
        let mut body = json!({
            "name": name.name, "type": account.account_type, "currency": name.currency.code(), "livemode": name.livemode,
            "metadata": account.metadata,
        });
        for (field, limit) in [
            ("min_balance", account.min_balance),
            ("max_balance", account.max_balance),
        ] {
            if let Some(limit) = limit {
                body[field] = limit.into();
            }
        }
        let path = "/v1/ledger/accounts";
        let answer = self.patiently(path, Some(body.to_string())).await?;
        if answer.status != 200 {
            let (code, message, _) = refusal(&answer)?;
            self.refuse(line, &format!("{code}: {message}"));
            return Ok(());
        }
        let opened = expected(&answer, path)?;
        let id = opened["id"]
            .as_str()
            .context("an account without an id")?
            .to_owned();
        self.accounts
            .insert(name.clone(), (id, account.account_type.to_owned()));
        self.counts.accounts_opened += 1;
        Ok(())
    }

    /// Takes a transfer, and sends what is full.
    pub(crate) async fn take(&mut self, transfer: &FileTransfer) -> anyhow::Result<()> {
        for posting in &transfer.postings {
            let (AccountRef::Named(name), Some(account_type)) = (&posting.account, posting.account_type)
            else {
                continue;
            };
            if !self.accounts.contains_key(name) && !self.unopened.contains(name) {
                let account = AccountLine {
                    name: name.clone(),
                    account_type,
                    min_balance: None,
                    max_balance: None,
                    metadata: BTreeMap::new(),
                };
                self.open(transfer.line, &account).await?;
            }
        }
        let written = match self.written(transfer) {
            Ok(Some(written)) => written,
            Ok(None) => {
                self.counts.unasked += 1;
                return Ok(());
            }
            Err(why) => {
                self.refuse(transfer.line, &why);
                return Ok(());
            }
        };
        let (count, bytes) = (transfer.postings.len(), written.len() + 1);
        let is_full = self.batch.lines.len() == TRANSFERS_MAX
            || self.batch.postings + count > POSTINGS_MAX
            || self.batch.bytes + bytes > BYTES_MAX;
        if is_full {
            self.flush().await?;
        }
        self.batch.lines.push(transfer.line);
        self.batch.written.push(written);
        self.batch.postings += count;
        self.batch.bytes += bytes;
        Ok(())
    }

    /// As the API takes it; nothing if its accounts are not open yet.
    fn written(&self, transfer: &FileTransfer) -> Result<Option<String>, String> {
        let mut ids = Vec::with_capacity(transfer.postings.len());
        for posting in &transfer.postings {
            match self.id_of(posting)? {
                Some(id) => ids.push(id),
                None => return Ok(None),
            }
        }
        let mut body = Map::new();
        body.insert("id".to_owned(), transfer.id.to_string().into());
        let mut say = |field: &str, value: Value| body.insert(field.to_owned(), value);
        match (transfer.postings.as_slice(), ids.as_slice()) {
            ([debit, credit], [from, to])
                if (debit.side, credit.side) == (Side::Debit, Side::Credit)
                    && debit.amount == credit.amount
                    && from != to =>
            {
                say("debit_account", from.as_str().into());
                say("credit_account", to.as_str().into());
                say("amount", minor(debit));
            }
            (postings, ids) => {
                let postings = postings.iter().zip(ids).map(|(posting, id)| {
                    json!({"account": id, "side": posting.side.as_str(), "amount": minor(posting)})
                });
                say("postings", postings.collect());
            }
        }
        let said = &transfer.said;
        for (field, text) in [
            ("effective_date", &said.effective_date),
            ("exchange_rate", &said.exchange_rate),
            ("description", &said.description),
        ] {
            if let Some(text) = text {
                say(field, text.as_str().into());
            }
        }
        if !said.metadata.is_empty() {
            say("metadata", json!(said.metadata));
        }
        Ok(Some(Value::Object(body).to_string()))
    }

    fn id_of(&self, posting: &Posting) -> Result<Option<String>, String> {
        match &posting.account {
            AccountRef::Id(key) => Ok(Some(key.to_string())),
            AccountRef::Named(name) if self.ambiguous.contains(name) => Err(ambiguous(name)),
            AccountRef::Named(name) => match self.accounts.get(name) {
                Some((_, kind)) if posting.account_type.is_some_and(|wanted| wanted != kind) => {
                    Err(format!("account {} is open, of type {kind}", name.name))
                }
                Some((id, _)) => Ok(Some(id.clone())),
                None if self.unopened.contains(name) => Ok(None),
                None => Err(format!(
                    "no account is called {} in {}",
                    name.name,
                    name.currency.code()
                )),
            },
        }
    }

    /// Sends what was taken.
    pub(crate) async fn flush(&mut self) -> anyhow::Result<()> {
        let mut batch = std::mem::take(&mut self.batch);
        for _ in 0..MALFORMED_MAX {
            if batch.lines.is_empty() {
                return Ok(());
            }
            let body = format!(
                "{{\"atomic\":{},\"dry_run\":{},\"transfers\":[{}]}}",
                self.how.is_atomic,
                self.how.is_dry_run,
                batch.written.join(",")
            );
            let path = "/v1/ledger/transfers";
            let answer = self.patiently(path, Some(body)).await?;
            if answer.status == 200 {
                return self.count(&batch, &expected(&answer, path)?);
            }
            let (code, message, place) = refusal(&answer)?;
            let place = place.filter(|place| *place < batch.lines.len());
            let Some(place) = place else {
                bail!("the node refuses to be sent transfers: {code}: {message}");
            };
            self.refuse(batch.lines[place], &format!("{code}: {message}"));
            if self.how.is_atomic {
                let (first, last) = (batch.lines[0], batch.lines[batch.lines.len() - 1]);
                self.counts.refused += batch.lines.len() as u64 - 1;
                bail!(
                    "nothing of the batch from line {first} to {last} is recorded, and nothing behind it is sent"
                );
            }
            // The others stand for themselves.
            batch.lines.remove(place);
            batch.written.remove(place);
        }
        bail!("the node cannot read {MALFORMED_MAX} transfers of one batch; the rest is not sent");
    }

    fn count(&mut self, batch: &Batch, answer: &Value) -> anyhow::Result<()> {
        let number = |field: &str| answer[field].as_u64().with_context(|| format!("no `{field}`"));
        self.counts.created += number("recorded")?;
        self.counts.existed += number("existed")?;
        let refused = self.counts.refused + number("refused")?;
        let exceptions = answer["exceptions"].as_array().context("no `exceptions`")?;
        for exception in exceptions.iter().filter(|row| row["status"] == "refused") {
            let index = exception["index"]
                .as_u64()
                .and_then(|index| usize::try_from(index).ok());
            let line = index
                .and_then(|index| batch.lines.get(index))
                .context("no such line")?;
            let text = |field: &str| exception[field].as_str().unwrap_or_default().to_owned();
            self.refuse(*line, &format!("{}: {}", text("code"), text("message")));
        }
        self.counts.refused = refused;
        Ok(())
    }

    /// Counts a refusal and shows it, unless there are too many.
    #[expect(clippy::print_stderr, reason = "refusals are for the person who imports")]
    pub(crate) fn refuse(&mut self, line: u64, why: &str) {
        self.counts.refused += 1;
        self.shown += 1;
        match self.shown {
            ..=SHOWN_MAX => eprintln!("line {line}: {why}"),
            shown if shown == SHOWN_MAX + 1 => eprintln!("further refusals are only counted"),
            _ => {}
        }
    }

    /// Asks, and asks again while the node does not answer or asks to wait.
    async fn patiently(&self, path: &str, body: Option<String>) -> anyhow::Result<ApiAnswer> {
        let body = body.map(|text| text.into_bytes().into());
        let mut pause = Duration::from_millis(250);
        let mut last = String::new();
        for _ in 0..TRIES {
            let asked = match &body {
                Some(body) => self.client.post(path, Clone::clone(body)).await,
                None => self.client.get(path).await,
            };
            let wait = match asked {
                Ok(answer) if matches!(answer.status, 408 | 429 | 500 | 503) => {
                    last = format!("status {}", answer.status);
                    answer.retry_after_s.map_or(pause, Duration::from_secs)
                }
                Ok(answer) => return Ok(answer),
                Err(error @ ApiClientError::Unusable(_)) => return Err(error.into()),
                Err(error @ ApiClientError::NoAnswer(_)) => {
                    last = error.to_string();
                    pause
                }
            };
            tokio::time::sleep(wait.clamp(pause, PAUSE_MAX)).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        bail!(
            "{last}; run the same command again when the node is well: what is recorded is not recorded twice"
        )
    }
}

fn ambiguous(name: &NamedAccount) -> String {
    format!(
        "several shards have an account called {} in {}: say its id",
        name.name,
        name.currency.code()
    )
}

fn minor(posting: &Posting) -> Value {
    // An amount has twelve digits at most.
    i64::try_from(posting.amount.minor()).unwrap_or(i64::MAX).into()
}

fn expected(answer: &ApiAnswer, path: &str) -> anyhow::Result<Value> {
    if answer.status != 200 {
        let (code, message, _) = refusal(answer)?;
        bail!("{path}: {code}: {message}");
    }
    serde_json::from_slice(&answer.body).with_context(|| format!("{path}: the answer is no JSON"))
}

/// Code and message, and which transfer of the request is at fault.
fn refusal(answer: &ApiAnswer) -> anyhow::Result<(String, String, Option<usize>)> {
    let body: Value = serde_json::from_slice(&answer.body)
        .with_context(|| format!("status {} without a reason: is this a node?", answer.status))?;
    let error = &body["error"];
    let text = |field: &str| error[field].as_str().unwrap_or_default().to_owned();
    let param = text("param");
    let place = param
        .strip_prefix("transfers.")
        .map(|rest| rest.split('.').next());
    let place = place.flatten().and_then(|number| number.parse().ok());
    Ok((text("code"), text("message"), place))
}
