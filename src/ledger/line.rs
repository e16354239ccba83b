//! What one record of an import says: a posting as an export writes it, a whole transfer, or an account to open.

use florin_domain::ledger::{
    AccountKey, AccountName, AccountType, EffectiveDate, Side, TransferId, exchange_rate as read_rate,
};
use florin_domain::limits::{
    METADATA_ENTRIES_MAX, METADATA_KEY_BYTES_MAX, METADATA_VALUE_BYTES_MAX, TEXT_BYTES_MAX,
};
use florin_domain::money::{Amount, Currency};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// An account that a line names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum AccountRef {
    /// By its id.
    Id(AccountKey),
    /// By what its owner calls it.
    Named(NamedAccount),
}

/// The name of an opened account, which is there once for each currency and mode.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NamedAccount {
    pub(crate) name: String,
    pub(crate) currency: Currency,
    pub(crate) livemode: bool,
}

/// An account that is opened if it is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccountLine {
    pub(crate) name: NamedAccount,
    pub(crate) account_type: &'static str,
    pub(crate) min_balance: Option<i64>,
    pub(crate) max_balance: Option<i64>,
    pub(crate) metadata: BTreeMap<String, String>,
}

/// One side of a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Posting {
    pub(crate) account: AccountRef,
    /// Its type, if the line says it: then the account is opened if it is not there.
    pub(crate) account_type: Option<&'static str>,
    pub(crate) side: Side,
    pub(crate) amount: Amount,
}

/// What a transfer says besides its money.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) effective_date: Option<String>,
    pub(crate) exchange_rate: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    /// The shard that an export found it in.
    pub(crate) shard: Option<u16>,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// One posting of a transfer, whose others are next to it, and its place among the lines of an export if it is one of those.
    Posting(TransferId, Posting, Said, Option<String>),
    /// A whole transfer.
    Transfer(TransferId, Vec<Posting>, Said),
    /// An account.
    Account(AccountLine),
    /// A posting of a payment, which its own node books.
    OfPayment,
}

/// Every field that any record may have.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Fields {
    object: Option<String>,
    id: Option<String>,
    transfer_id: Option<String>,
    payment_id: Option<String>,
    account: Option<String>,
    account_name: Option<String>,
    account_type: Option<String>,
    currency: Option<String>,
    livemode: Option<bool>,
    side: Option<String>,
    amount_minor: Option<i64>,
    debit_account: Option<String>,
    credit_account: Option<String>,
    amount: Option<i64>,
    postings: Option<Vec<PostingFields>>,
    effective_date: Option<String>,
    exchange_rate: Option<String>,
    description: Option<String>,
    metadata: Option<BTreeMap<String, String>>,
    name: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    min_balance: Option<i64>,
    max_balance: Option<i64>,
    shard: Option<u16>,
    // An export says these for people.
    seq: Option<IgnoredAny>,
    recorded: Option<IgnoredAny>,
    step: Option<IgnoredAny>,
    balance_after_minor: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PostingFields {
    account: String,
    side: String,
    amount: i64,
}

/// Reads a line of JSON.
pub(crate) fn of_json(text: &str) -> Result<Parsed, String> {
    let mut json = serde_json::Deserializer::from_str(text);
    let fields: Fields = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let place = error.path().to_string();
        let why = error.into_inner();
        if matches!(place.as_str(), "." | "?") {
            why.to_string()
        } else {
            format!("{place}: {why}")
        }
    })?;
    json.end().map_err(|error| error.to_string())?;
    fields.parse()
}

/// The columns of a CSV file.
#[derive(Debug)]
pub(crate) struct Columns(Vec<String>);

/// Columns that an export writes for people.
const FOR_PEOPLE: [&str; 4] = ["recorded_utc", "amount", "balance_after", "step"];
const NUMBERS: [&str; 4] = ["amount_minor", "min_balance", "max_balance", "shard"];
const TEXTS: [&str; 17] = [
    "id",
    "transfer_id",
    "payment_id",
    "account",
    "account_name",
    "account_type",
    "currency",
    "side",
    "debit_account",
    "credit_account",
    "effective_date",
    "exchange_rate",
    "description",
    "name",
    "type",
    "livemode",
    "metadata",
];
const IGNORED: [&str; 3] = ["seq", "recorded", "balance_after_minor"];

impl Columns {
    /// Reads the first line.
    pub(crate) fn of(names: Vec<String>) -> Result<Self, String> {
        let is_export = names.iter().any(|name| name == "side");
        for (place, name) in names.iter().enumerate() {
            let known = [&NUMBERS[..], &TEXTS, &IGNORED].concat();
            let name_is_in = |names: &[&str]| names.contains(&name.as_str());
            if !name_is_in(&known) && (!is_export || !name_is_in(&FOR_PEOPLE)) {
                let hint = if name == "amount" {
                    "; amounts are in minor units, in a column `amount_minor`"
                } else {
                    ""
                };
                return Err(format!("no column is called `{name}`{hint}"));
            }
            if names[..place].contains(name) {
                return Err(format!("two columns are called `{name}`"));
            }
        }
        Ok(Self(names))
    }

    /// Reads a line. An empty cell says nothing.
    pub(crate) fn parse(&self, cells: Vec<String>) -> Result<Parsed, String> {
        if cells.len() != self.0.len() {
            return Err(format!("it has {} cells and not {}", cells.len(), self.0.len()));
        }
        let mut fields = Map::new();
        for (name, cell) in self.0.iter().zip(cells) {
            let is_read = NUMBERS.contains(&name.as_str()) || TEXTS.contains(&name.as_str());
            if cell.is_empty() || !is_read {
                continue;
            }
            let value = match name.as_str() {
                "amount_minor" | "min_balance" | "max_balance" | "shard" => cell
                    .parse::<i64>()
                    .map(Value::from)
                    .map_err(|_| format!("{name}: {cell} is no whole number"))?,
                "livemode" => match cell.as_str() {
                    "true" => true.into(),
                    "false" => false.into(),
                    _ => return Err(format!("livemode: {cell} is neither true nor false")),
                },
                "metadata" => serde_json::from_str(&cell).map_err(|error| format!("metadata: {error}"))?,
                "description" => plain(cell).into(),
                _ => cell.into(),
            };
            fields.insert(name.clone(), value);
        }
        let fields = serde_path_to_error::deserialize::<_, Fields>(Value::Object(fields));
        let mut fields = fields.map_err(|error| error.to_string())?;
        // In a file for spreadsheets, an amount is always called by its unit.
        if fields.side.is_none() {
            fields.amount = fields.amount_minor.take();
        }
        let parsed = fields.parse();
        parsed.map_err(|why| match why.strip_prefix("amount: ") {
            Some(rest) => format!("amount_minor: {rest}"),
            None => why,
        })
    }
}

/// Takes away the apostrophe that keeps a spreadsheet from computing a text.
fn plain(cell: String) -> String {
    match cell.strip_prefix('\'') {
        Some(rest) if rest.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\'']) => rest.to_owned(),
        Some(_) | None => cell,
    }
}

impl Fields {
    fn parse(self) -> Result<Parsed, String> {
        let kind = match self.object.as_deref() {
            Some(word @ ("entry" | "transfer" | "account")) => word,
            Some(other) => return Err(format!("object: {other} is no `entry`, `transfer` or `account`")),
            None if self.side.is_some() => "entry",
            None if self.kind.is_some() => "account",
            None => "transfer",
        };
        let kind = kind.to_owned();
        self.check_places(&kind)?;
        match kind.as_str() {
            "entry" => self.posting(),
            "account" => self.account(),
            _ => self.transfer(),
        }
    }

    /// A field that means nothing here may be a mistake that costs money.
    fn check_places(&self, kind: &str) -> Result<(), String> {
        let entry = kind == "entry";
        let (transfer, account) = (kind == "transfer", kind == "account");
        let places = [
            ("transfer_id", self.transfer_id.is_some(), entry),
            ("payment_id", self.payment_id.is_some(), entry),
            ("account", self.account.is_some(), entry),
            ("account_name", self.account_name.is_some(), entry),
            ("account_type", self.account_type.is_some(), entry),
            ("side", self.side.is_some(), entry),
            ("amount_minor", self.amount_minor.is_some(), entry),
            ("shard", self.shard.is_some(), entry),
            ("id", self.id.is_some(), entry || transfer),
            ("debit_account", self.debit_account.is_some(), transfer),
            ("credit_account", self.credit_account.is_some(), transfer),
            ("amount", self.amount.is_some(), transfer),
            ("postings", self.postings.is_some(), transfer),
            ("effective_date", self.effective_date.is_some(), !account),
            ("exchange_rate", self.exchange_rate.is_some(), !account),
            ("description", self.description.is_some(), !account),
            ("name", self.name.is_some(), account),
            ("type", self.kind.is_some(), account),
            ("min_balance", self.min_balance.is_some(), account),
            ("max_balance", self.max_balance.is_some(), account),
        ];
        match places.iter().find(|(_, is_there, fits)| *is_there && !fits) {
            Some((name, ..)) => Err(format!("{name}: has no place in an {kind} line")),
            None => Ok(()),
        }
    }

    fn posting(self) -> Result<Parsed, String> {
        if self.payment_id.is_some() && self.transfer_id.is_none() {
            return Ok(Parsed::OfPayment);
        }
        let id = transfer_id("transfer_id", self.transfer_id.as_deref())?;
        let account_type = self.account_type.as_deref().map(account_type).transpose()?;
        let account = match (&self.account_name, &self.account) {
            (Some(_), _) => AccountRef::Named(self.named("account_name", self.account_name.as_deref())?),
            (None, Some(text)) => self.reference("account", text)?,
            (None, None) => return Err("account: is missing".to_owned()),
        };
        let side = side("side", self.side.as_deref().unwrap_or_default())?;
        let minor = self.amount_minor.ok_or("amount_minor: is missing")?;
        let posting = Posting {
            account_type: account_type.filter(|_| matches!(account, AccountRef::Named(_))),
            account,
            side,
            amount: amount("amount_minor", minor)?,
        };
        // A line's id is its place among those of its account.
        let account = self.account.as_deref().or(self.account_name.as_deref());
        let place = self.id.as_deref().zip(account);
        let place = place.map(|(id, account)| format!("{id} {account}"));
        Ok(Parsed::Posting(id, posting, self.said()?, place))
    }

    fn transfer(self) -> Result<Parsed, String> {
        let id = transfer_id("id", self.id.as_deref())?;
        let pair = (&self.debit_account, &self.credit_account, self.amount);
        let posting = |name: &str, text: &str, side, amount| {
            Ok::<_, String>(Posting {
                account: self.reference(name, text)?,
                account_type: None,
                side,
                amount,
            })
        };
        let postings = match (&self.postings, pair) {
            (Some(postings), (None, None, None)) => {
                let read = postings.iter().enumerate().map(|(place, fields)| {
                    let side = side(&format!("postings.{place}.side"), &fields.side)?;
                    let amount = amount(&format!("postings.{place}.amount"), fields.amount)?;
                    posting(
                        &format!("postings.{place}.account"),
                        &fields.account,
                        side,
                        amount,
                    )
                });
                read.collect::<Result<Vec<_>, _>>()?
            }
            (Some(_), _) => return Err("postings: has no place beside a pair of accounts".to_owned()),
            (None, (debit, credit, minor)) => {
                let missing = |name: &str| format!("{name}: is missing");
                let debit = debit.as_deref().ok_or_else(|| missing("debit_account"))?;
                let credit = credit.as_deref().ok_or_else(|| missing("credit_account"))?;
                let amount = amount("amount", minor.ok_or_else(|| missing("amount"))?)?;
                vec![
                    posting("debit_account", debit, Side::Debit, amount)?,
                    posting("credit_account", credit, Side::Credit, amount)?,
                ]
            }
        };
        Ok(Parsed::Transfer(id, postings, self.said()?))
    }

    fn account(self) -> Result<Parsed, String> {
        let kind = self.kind.as_deref().ok_or("type: is missing")?;
        Ok(Parsed::Account(AccountLine {
            name: self.named("name", self.name.as_deref())?,
            account_type: account_type(kind).map_err(|why| why.replace("account_type", "type"))?,
            min_balance: self.min_balance,
            max_balance: self.max_balance,
            metadata: metadata(self.metadata)?,
        }))
    }

    /// An id, or else the name of an account in the currency of the line.
    fn reference(&self, field: &str, text: &str) -> Result<AccountRef, String> {
        match AccountKey::parse(text) {
            Ok(key) if key.name == AccountName::ShardClearing => Err(format!(
                "{field}: {text} has half of a transfer between two shards; such a transfer is imported as one line with both of its accounts"
            )),
            // Postings of several currencies may stand in one record.
            Ok(key) if self.postings.is_some() => Ok(AccountRef::Id(key)),
            Ok(key) => self.agreed(field, text, key).map(AccountRef::Id),
            Err(_) if text.starts_with("acc_") => Err(format!("{field}: {text} is no id of an account")),
            Err(_) => self.named(field, Some(text)).map(AccountRef::Named),
        }
    }

    /// An account whose id says its currency and mode: a line that says otherwise may be about other money.
    fn agreed(&self, field: &str, text: &str, key: AccountKey) -> Result<AccountKey, String> {
        if let Some(currency) = self
            .currency
            .as_deref()
            .filter(|said| *said != key.currency.code())
        {
            return Err(format!("currency: {currency} is not that of {field} {text}"));
        }
        if self.livemode.is_some_and(|said| said != key.livemode) {
            return Err(format!("livemode: it is not that of {field} {text}"));
        }
        Ok(key)
    }

    fn named(&self, field: &str, name: Option<&str>) -> Result<NamedAccount, String> {
        let name = name.ok_or_else(|| format!("{field}: is missing"))?;
        let is_fit = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b':' | b'-');
        if !(1..=64).contains(&name.len()) || !name.bytes().all(is_fit) {
            return Err(format!(
                "{field}: {name} is neither the id nor the name of an account"
            ));
        }
        let currency = self
            .currency
            .as_deref()
            .ok_or("currency: is missing, and accounts are named")?;
        let currency = Currency::parse(currency).map_err(|error| format!("currency: {error}"))?;
        Ok(NamedAccount {
            name: name.to_owned(),
            currency,
            livemode: self.livemode.unwrap_or(false),
        })
    }

    fn said(self) -> Result<Said, String> {
        if let Some(day) = &self.effective_date
            && EffectiveDate::parse(day).is_none()
        {
            return Err(format!("effective_date: {day} is no day written as YYYY-MM-DD"));
        }
        if let Some(rate) = &self.exchange_rate
            && read_rate(rate).is_none()
        {
            return Err(format!("exchange_rate: {rate} is no positive decimal"));
        }
        if self
            .description
            .as_ref()
            .is_some_and(|text| text.len() > TEXT_BYTES_MAX)
        {
            return Err(format!("description: is longer than {TEXT_BYTES_MAX} bytes"));
        }
        if let Some(text) = &self.description
            && text.chars().any(char::is_control)
        {
            return Err("description: holds control characters".to_owned());
        }
        Ok(Said {
            effective_date: self.effective_date,
            exchange_rate: self.exchange_rate,
            description: self.description.filter(|text| !text.is_empty()),
            metadata: metadata(self.metadata)?,
            shard: self.shard,
        })
    }
}

fn metadata(pairs: Option<BTreeMap<String, String>>) -> Result<BTreeMap<String, String>, String> {
    let pairs = pairs.unwrap_or_default();
    let is_long = |(key, value): (&String, &String)| {
        key.len() > METADATA_KEY_BYTES_MAX || value.len() > METADATA_VALUE_BYTES_MAX
    };
    if pairs.len() > METADATA_ENTRIES_MAX || pairs.iter().any(is_long) {
        return Err(format!(
            "metadata: holds at most {METADATA_ENTRIES_MAX} pairs of {METADATA_KEY_BYTES_MAX} and {METADATA_VALUE_BYTES_MAX} bytes"
        ));
    }
    let is_control = |text: &String| text.chars().any(char::is_control);
    if pairs
        .iter()
        .any(|(key, value)| is_control(key) || is_control(value))
    {
        return Err("metadata: holds control characters".to_owned());
    }
    Ok(pairs)
}

fn transfer_id(field: &str, text: Option<&str>) -> Result<TransferId, String> {
    let text = text.ok_or_else(|| format!("{field}: is missing"))?;
    TransferId::parse(text).ok_or_else(|| format!("{field}: {text} is no UUID"))
}

fn side(field: &str, word: &str) -> Result<Side, String> {
    match word {
        "debit" => Ok(Side::Debit),
        "credit" => Ok(Side::Credit),
        _ => Err(format!("{field}: {word} is neither debit nor credit")),
    }
}

fn amount(field: &str, minor: i64) -> Result<Amount, String> {
    Amount::new(i128::from(minor)).map_err(|error| format!("{field}: {error}"))
}

fn account_type(word: &str) -> Result<&'static str, String> {
    let types = [
        AccountType::Asset,
        AccountType::Liability,
        AccountType::Equity,
        AccountType::Revenue,
        AccountType::Expense,
    ];
    let found = types
        .into_iter()
        .map(AccountType::as_str)
        .find(|known| *known == word);
    found.ok_or_else(|| format!("account_type: {word} is no type of account"))
}
