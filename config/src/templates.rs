//! The operators' own posting templates: `[[ledger.templates]]`. Their shape is checked field by field, so that an error names the
//! template and the field; what they mean, the domain checks.

use crate::error::ConfigError;
use crate::keys;
use florin_domain::ledger::{AccountType, Measure, Side, Stage, Template, TemplateLine, TemplateTerms};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use toml::{Table, Value};

/// The list of templates.
pub(crate) const TEMPLATES: &str = "ledger.templates";
/// The fields of one.
const FIELDS: [&str; 7] = [
    "name",
    "description",
    "stage",
    "roles",
    "parameters",
    "derived",
    "lines",
];
const LINE_FIELDS: [&str; 3] = ["role", "side", "amount"];
const TYPES: [AccountType; 5] = [
    AccountType::Asset,
    AccountType::Liability,
    AccountType::Equity,
    AccountType::Revenue,
    AccountType::Expense,
];
const SIDES: [Side; 2] = [Side::Debit, Side::Credit];

/// A template as it is serialized. Every word in it is known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawTemplate {
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    stage: String,
    roles: BTreeMap<String, Vec<String>>,
    parameters: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    derived: BTreeMap<String, String>,
    lines: Vec<RawLine>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLine {
    role: String,
    side: String,
    amount: String,
}

/// Where something stands: the file, and the name that errors give the place.
struct Place<'a> {
    origin: &'a str,
    name: String,
}

impl Place<'_> {
    fn at(&self, field: &str) -> Self {
        Self {
            origin: self.origin,
            name: format!("{}.{field}", self.name),
        }
    }

    fn wrong(&self, value: &Value, allowed: &str) -> ConfigError {
        let is_nested = value.is_table() || value.is_array();
        let shown = if is_nested {
            format!("of type {}", value.type_str())
        } else {
            value.to_string()
        };
        ConfigError::Invalid {
            key: self.name.clone(),
            origin: self.origin.to_owned(),
            value: shown,
            allowed: allowed.to_owned(),
        }
    }

    fn missing(&self, field: &str) -> ConfigError {
        ConfigError::Missing {
            key: format!("{}.{field}", self.name),
            why: "every template needs it".to_owned(),
        }
    }

    fn text(&self, value: &Value) -> Result<String, ConfigError> {
        let text = value.as_str().map(ToOwned::to_owned);
        text.ok_or_else(|| self.wrong(value, "text"))
    }

    /// One of these words.
    fn word<'w>(&self, value: &Value, words: impl Iterator<Item = &'w str>) -> Result<String, ConfigError> {
        let words: Vec<&str> = words.collect();
        let known = value.as_str().filter(|text| words.contains(text));
        known.map(ToOwned::to_owned).ok_or_else(|| {
            let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
            self.wrong(value, &quoted.join(" or "))
        })
    }

    fn table<'v>(&self, value: &'v Value, allowed: &str) -> Result<&'v Table, ConfigError> {
        value.as_table().ok_or_else(|| self.wrong(value, allowed))
    }

    /// Refuses a field that there is not.
    fn check_fields(&self, table: &Table, fields: &[&str]) -> Result<(), ConfigError> {
        match table.keys().find(|field| !fields.contains(&field.as_str())) {
            None => Ok(()),
            Some(unknown) => {
                let nearest = keys::nearest(unknown, fields.iter().copied());
                Err(ConfigError::UnknownKey {
                    origin: self.origin.to_owned(),
                    key: format!("{}.{unknown}", self.name),
                    nearest: format!("{}.{nearest}", self.name),
                })
            }
        }
    }

    /// Every entry of a table that may be left out.
    fn entries<T>(
        &self,
        table: Option<&Value>,
        read: impl Fn(&Self, &Value) -> Result<T, ConfigError>,
    ) -> Result<BTreeMap<String, T>, ConfigError> {
        let Some(value) = table else {
            return Ok(BTreeMap::new());
        };
        let entries = self.table(value, "a table")?.iter();
        entries
            .map(|(name, value)| Ok((name.clone(), read(&self.at(name), value)?)))
            .collect()
    }
}

/// Reads the list of a file.
pub(crate) fn read(origin: &str, list: &Value) -> Result<Vec<RawTemplate>, ConfigError> {
    let allowed = "a list of tables, each under [[ledger.templates]]";
    let whole = Place {
        origin,
        name: TEMPLATES.to_owned(),
    };
    let list = list.as_array().ok_or_else(|| whole.wrong(list, allowed))?;
    let read = |(place, value): (usize, &Value)| {
        let numbered = Place {
            origin,
            name: format!("{TEMPLATES}[{place}]"),
        };
        one(&numbered, numbered.table(value, allowed)?)
    };
    (1..).zip(list).map(read).collect()
}

fn one(numbered: &Place<'_>, table: &Table) -> Result<RawTemplate, ConfigError> {
    let name = table.get("name").ok_or_else(|| numbered.missing("name"))?;
    let name = numbered.at("name").text(name)?;
    let place = Place {
        origin: numbered.origin,
        name: format!("{TEMPLATES}.{name}"),
    };
    place.check_fields(table, &FIELDS)?;
    let required = |field: &str| table.get(field).ok_or_else(|| place.missing(field));
    let types = |place: &Place<'_>, value: &Value| match value {
        Value::Array(types) => types.iter().map(|one| type_word(place, one)).collect(),
        one => Ok(vec![type_word(place, one)?]),
    };
    let measure = |place: &Place<'_>, value: &Value| {
        place.word(value, Measure::ALL.iter().map(|measure| measure.as_str()))
    };
    let lines = required("lines")?;
    let of_lines = place.at("lines");
    let list = lines
        .as_array()
        .ok_or_else(|| of_lines.wrong(lines, "a list of tables"))?;
    let lines = (1..)
        .zip(list)
        .map(|(number, value)| line(&of_lines.at(&usize::to_string(&number)), value));
    let text = |field: &str| table.get(field).map(|value| place.at(field).text(value));
    let stage = table.get("stage").map(|value| {
        let words = Stage::ALL.iter().map(|stage| stage.as_str());
        place.at("stage").word(value, words)
    });
    Ok(RawTemplate {
        description: text("description").transpose()?.unwrap_or_default(),
        stage: stage.transpose()?.unwrap_or_default(),
        roles: place.at("roles").entries(Some(required("roles")?), types)?,
        parameters: place
            .at("parameters")
            .entries(Some(required("parameters")?), measure)?,
        derived: place.at("derived").entries(table.get("derived"), Place::text)?,
        lines: lines.collect::<Result<_, _>>()?,
        name,
    })
}

fn type_word(place: &Place<'_>, value: &Value) -> Result<String, ConfigError> {
    place.word(value, TYPES.iter().map(|one| one.as_str()))
}

fn line(place: &Place<'_>, value: &Value) -> Result<RawLine, ConfigError> {
    let table = place.table(value, "a table with `role`, `side` and `amount`")?;
    place.check_fields(table, &LINE_FIELDS)?;
    let field = |field: &str| table.get(field).ok_or_else(|| place.missing(field));
    Ok(RawLine {
        role: place.at("role").text(field("role")?)?,
        side: place
            .at("side")
            .word(field("side")?, SIDES.iter().map(|side| side.as_str()))?,
        amount: place.at("amount").text(field("amount")?)?,
    })
}

impl RawTemplate {
    /// The template, checked.
    pub(crate) fn checked(&self) -> Result<Template, ConfigError> {
        let named = |(name, text): (&String, &String)| (Arc::from(name.as_str()), Arc::from(text.as_str()));
        let measure = |word: &str| Measure::ALL.into_iter().find(|measure| measure.as_str() == word);
        let types = |words: &Vec<String>| {
            let types = TYPES.into_iter();
            types
                .filter(|one| words.iter().any(|word| word == one.as_str()))
                .collect()
        };
        let terms = TemplateTerms {
            name: Arc::from(self.name.as_str()),
            description: Arc::from(self.description.as_str()),
            stage: Stage::ALL.into_iter().find(|stage| stage.as_str() == self.stage),
            roles: self
                .roles
                .iter()
                .map(|(role, words)| (Arc::from(role.as_str()), types(words)))
                .collect(),
            parameters: self
                .parameters
                .iter()
                .map(|(name, word)| {
                    let measure = measure(word).expect("accepted as a word");
                    (Arc::from(name.as_str()), measure)
                })
                .collect(),
            derived: self.derived.iter().map(named).collect(),
            lines: self
                .lines
                .iter()
                .map(|line| TemplateLine {
                    role: Arc::from(line.role.as_str()),
                    side: if line.side == Side::Debit.as_str() {
                        Side::Debit
                    } else {
                        Side::Credit
                    },
                    amount: Arc::from(line.amount.as_str()),
                })
                .collect(),
        };
        Template::checked(terms).map_err(|error| ConfigError::Template {
            key: format!("{TEMPLATES}.{}.{}", self.name, error.field),
            why: error.why,
        })
    }
}

impl From<&Template> for RawTemplate {
    fn from(template: &Template) -> Self {
        let terms = template.terms();
        Self {
            name: terms.name.to_string(),
            description: terms.description.to_string(),
            stage: terms.stage.map_or("", Stage::as_str).to_owned(),
            roles: terms
                .roles
                .iter()
                .map(|(role, types)| {
                    let words = types.iter().map(|one| one.as_str().to_owned());
                    (role.to_string(), words.collect())
                })
                .collect(),
            parameters: terms
                .parameters
                .iter()
                .map(|(name, measure)| (name.to_string(), measure.as_str().to_owned()))
                .collect(),
            derived: terms
                .derived
                .iter()
                .map(|(name, sum)| (name.to_string(), sum.to_string()))
                .collect(),
            lines: terms
                .lines
                .iter()
                .map(|line| RawLine {
                    role: line.role.to_string(),
                    side: line.side.as_str().to_owned(),
                    amount: line.amount.to_string(),
                })
                .collect(),
        }
    }
}
