//! Lays the file and the environment over the defaults, value by value: an unknown name or a value that its key does not
//! allow ends it, so what comes out has only known keys with allowed values.

use crate::error::ConfigError;
use crate::keys::{self, PROVIDER_KEYS, PROVIDERS};
use crate::kind::Kind;
use crate::templates::{self, RawTemplate};
use std::collections::HashMap;
use toml::{Table, Value};

/// What the environment is called in errors about no single variable.
const ENVIRONMENT: &str = "the environment";

/// Where the list of templates stands.
const LEDGER: &str = "ledger";
const TEMPLATES_FIELD: &str = "templates";

/// Values by their full names, and the providers with a flat table each.
#[derive(Debug)]
pub(crate) struct Layers {
    values: Table,
    templates: Vec<RawTemplate>,
    providers: Vec<Table>,
}

/// Variables that belong to no key outside the provider list: name and text.
pub(crate) type Leftover<'a> = Vec<&'a (String, String)>;

impl Layers {
    /// Starts with the defaults, which are nested tables without providers.
    pub(crate) fn new(defaults: Table) -> Self {
        let mut values = Table::new();
        flatten("", defaults, &mut values);
        Self {
            values,
            templates: Vec::new(),
            providers: Vec::new(),
        }
    }

    /// Lays a file's text over what is there. Providers are listed in one place, so a file's list is the list.
    pub(crate) fn lay_file(&mut self, origin: &str, text: &str) -> Result<(), ConfigError> {
        let mut table: Table = text.parse().map_err(|error| syntax_error(origin, text, &error))?;
        if let Some(list) = table.remove(PROVIDERS) {
            self.providers = read_providers(origin, list)?;
        }
        if let Some(Value::Table(ledger)) = table.get_mut(LEDGER)
            && let Some(list) = ledger.remove(TEMPLATES_FIELD)
        {
            self.templates = templates::read(origin, &list)?;
        }
        let mut layer = Table::new();
        read_section(origin, "", table, &mut layer)?;
        overlay(&mut self.values, layer, origin, "", "provider_key_secret")
    }

    /// Lays over what is there the variables that belong to keys outside the provider list, and returns the others.
    pub(crate) fn lay_variables<'a>(
        &mut self,
        env: &'a [(String, String)],
    ) -> Result<Leftover<'a>, ConfigError> {
        let names = keys::all_names();
        let by_variable: HashMap<String, (&str, Kind)> = names
            .iter()
            .filter_map(|name| Some((keys::variable(name), (name.as_str(), keys::kind_of(name)?))))
            .collect();
        let mut layer = Table::new();
        let mut leftover = Leftover::new();
        for entry in env.iter().filter(|(variable, _)| variable.starts_with("FLORIN_")) {
            let (variable, text) = entry;
            match by_variable.get(variable) {
                Some((name, kind)) => {
                    let value = accept(*kind, &kind.read_variable(text), name, variable)?;
                    layer.insert((*name).to_owned(), value);
                }
                None => leftover.push(entry),
            }
        }
        overlay(&mut self.values, layer, ENVIRONMENT, "", "provider_key_secret")?;
        Ok(leftover)
    }

    /// Lays the remaining variables over the providers: `FLORIN_PROVIDER_<ID>_<KEY>`.
    pub(crate) fn lay_provider_variables(&mut self, leftover: &Leftover<'_>) -> Result<(), ConfigError> {
        let mut by_variable: HashMap<String, (usize, &str, Kind)> = HashMap::new();
        for (place, provider) in self.providers.iter().enumerate() {
            let label = label(provider, place);
            // A provider's id says which one is meant, so it cannot be set this way.
            for key in PROVIDER_KEYS.iter().filter(|key| key.name != "id") {
                by_variable.insert(
                    keys::variable(&format!("{label}.{}", key.name)),
                    (place, key.name, key.kind),
                );
            }
        }
        let mut layers = vec![Table::new(); self.providers.len()];
        for (variable, text) in leftover {
            let Some((place, field, kind)) = by_variable.get(variable) else {
                return Err(unknown_variable(variable, by_variable.into_keys().collect()));
            };
            let name = format!("{}.{field}", label(&self.providers[*place], *place));
            let value = accept(*kind, &kind.read_variable(text), &name, variable)?;
            layers[*place].insert((*field).to_owned(), value);
        }
        for (place, (provider, layer)) in self.providers.iter_mut().zip(layers).enumerate() {
            let prefix = format!("{}.", label(provider, place));
            overlay(provider, layer, ENVIRONMENT, &prefix, "secret_key")?;
        }
        Ok(())
    }

    /// Adds a provider that nobody wrote down.
    pub(crate) fn add_provider(&mut self, provider: Table) {
        self.providers.push(provider);
    }

    /// Whether there is any provider.
    pub(crate) fn has_providers(&self) -> bool {
        !self.providers.is_empty()
    }

    /// The text of a value, if it is one.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name)?.as_str()
    }

    /// Gives every provider what it did not set, and refuses one without what has no default.
    pub(crate) fn complete_providers(&mut self, defaults: &Table) -> Result<(), ConfigError> {
        for (place, provider) in self.providers.iter_mut().enumerate() {
            for (field, value) in defaults {
                provider.entry(field.clone()).or_insert_with(|| value.clone());
            }
            for field in ["kind", "base_url"] {
                if !provider.contains_key(field) {
                    return Err(ConfigError::Missing {
                        key: format!("{}.{field}", label(provider, place)),
                        why: "it has no default".to_owned(),
                    });
                }
            }
        }
        Ok(())
    }

    /// Everything as one nested table.
    pub(crate) fn into_table(self) -> Table {
        let mut root = Table::new();
        for (name, value) in self.values {
            let mut table = &mut root;
            let mut rest = name.as_str();
            while let Some((section, below)) = rest.split_once('.') {
                let nested = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
                table = nested.as_table_mut().expect("no key is also a section");
                rest = below;
            }
            table.insert(rest.to_owned(), value);
        }
        if !self.templates.is_empty()
            && let Some(Value::Table(ledger)) = root.get_mut(LEDGER)
        {
            let templates = Value::try_from(&self.templates);
            let templates = templates.expect("a template is made of text");
            ledger.insert(TEMPLATES_FIELD.to_owned(), templates);
        }
        let providers = self.providers.into_iter().map(Value::Table).collect();
        root.insert(PROVIDERS.to_owned(), Value::Array(providers));
        root
    }
}

/// A value of one provider or key, in the form that its kind gives it.
fn accept(kind: Kind, value: &Value, name: &str, origin: &str) -> Result<Value, ConfigError> {
    kind.accept(value).ok_or_else(|| ConfigError::Invalid {
        key: name.to_owned(),
        origin: origin.to_owned(),
        value: kind.show(value),
        allowed: kind.allowed(),
    })
}

fn read_section(origin: &str, prefix: &str, table: Table, layer: &mut Table) -> Result<(), ConfigError> {
    for (segment, value) in table {
        if segment.contains('.') {
            return Err(unknown_key(origin, format!("{prefix}\"{segment}\"")));
        }
        let name = format!("{prefix}{segment}");
        if let Some(kind) = keys::kind_of(&name) {
            let value = accept(kind, &value, &name, origin)?;
            layer.insert(name, value);
            continue;
        }
        match value {
            // Also below unknown tables, so that the error names a whole key.
            Value::Table(inner) if keys::is_section(&name) || !inner.is_empty() => {
                read_section(origin, &format!("{name}."), inner, layer)?;
            }
            other if keys::is_section(&name) => return Err(no_table(origin, name, &other, "a table")),
            _ => return Err(unknown_key(origin, name)),
        }
    }
    Ok(())
}

fn read_providers(origin: &str, list: Value) -> Result<Vec<Table>, ConfigError> {
    let allowed = "a list of tables, each under [[provider]]";
    let Value::Array(list) = list else {
        return Err(no_table(origin, PROVIDERS.to_owned(), &list, allowed));
    };
    let mut providers = Vec::new();
    for (place, entry) in list.into_iter().enumerate() {
        let Value::Table(entry) = entry else {
            return Err(no_table(
                origin,
                format!("{PROVIDERS}[{}]", place + 1),
                &entry,
                allowed,
            ));
        };
        let label = label(&entry, place);
        let mut layer = Table::new();
        for (field, value) in entry {
            let name = format!("{label}.{field}");
            let Some(kind) = keys::provider_kind_of(&field) else {
                let nearest = keys::nearest(&field, PROVIDER_KEYS.iter().map(|key| key.name));
                let nearest = format!("{label}.{nearest}");
                return Err(ConfigError::UnknownKey {
                    origin: origin.to_owned(),
                    key: name,
                    nearest,
                });
            };
            layer.insert(field, accept(kind, &value, &name, origin)?);
        }
        let Some(id) = layer.get("id").cloned() else {
            let why = "every provider needs a name".to_owned();
            return Err(ConfigError::Missing {
                key: format!("{label}.id"),
                why,
            });
        };
        if providers.iter().any(|other: &Table| other.get("id") == Some(&id)) {
            let why = "two providers need two names".to_owned();
            return Err(ConfigError::Conflict {
                key: format!("{label}.id"),
                value: id.to_string(),
                why,
            });
        }
        let mut provider = Table::new();
        overlay(&mut provider, layer, origin, &format!("{label}."), "secret_key")?;
        providers.push(provider);
    }
    Ok(providers)
}

/// How errors and variables call a provider: by its id, or by its place, counted from one, as long as it has none.
fn label(provider: &Table, place: usize) -> String {
    match provider.get("id").and_then(Value::as_str) {
        Some(id) if Kind::ProviderName.accept(&Value::from(id)).is_some() => format!("{PROVIDERS}.{id}"),
        _ => format!("{PROVIDERS}[{}]", place + 1),
    }
}

/// Lays one layer over the others. A secret and the file that holds it are one setting: the upper layer's way counts.
fn overlay(
    base: &mut Table,
    layer: Table,
    origin: &str,
    prefix: &str,
    secret: &str,
) -> Result<(), ConfigError> {
    let file = format!("{secret}_file");
    let gives = |name: &str| {
        layer
            .get(name)
            .and_then(Value::as_str)
            .is_some_and(|text| !text.is_empty())
    };
    match (gives(secret), gives(&file)) {
        (true, true) => {
            return Err(ConfigError::Twice {
                origin: origin.to_owned(),
                key: format!("{prefix}{secret}"),
            });
        }
        (true, false) => drop(base.remove(&file)),
        (false, true) => drop(base.remove(secret)),
        (false, false) => {}
    }
    base.extend(layer);
    Ok(())
}

fn flatten(prefix: &str, table: Table, into: &mut Table) {
    for (segment, value) in table {
        let name = format!("{prefix}{segment}");
        match value {
            Value::Table(inner) => flatten(&format!("{name}."), inner, into),
            other => drop(into.insert(name, other)),
        }
    }
}

/// The parser's own text would show the line, and with it perhaps a secret.
fn syntax_error(origin: &str, text: &str, error: &toml::de::Error) -> ConfigError {
    let start = error.span().map_or(0, |span| span.start.min(text.len()));
    let before = text.get(..start).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    ConfigError::Syntax {
        origin: origin.to_owned(),
        line: before.matches('\n').count() + 1,
        column: line.chars().count() + 1,
        message: error.message().to_owned(),
    }
}

fn unknown_key(origin: &str, key: String) -> ConfigError {
    let names = keys::all_names();
    let nearest = keys::nearest(&key, names.iter().map(String::as_str));
    ConfigError::UnknownKey {
        origin: origin.to_owned(),
        key,
        nearest,
    }
}

fn unknown_variable(name: &str, of_providers: Vec<String>) -> ConfigError {
    let mut known: Vec<String> = keys::all_names()
        .iter()
        .filter(|name| keys::kind_of(name).is_some())
        .map(|name| keys::variable(name))
        .collect();
    known.extend(of_providers);
    known.sort();
    let nearest = keys::nearest(name, known.iter().map(String::as_str));
    ConfigError::UnknownVariable {
        name: name.to_owned(),
        nearest,
    }
}

/// Something stands where tables belong. Only its type is shown: it may be anything, a secret as well.
fn no_table(origin: &str, key: String, value: &Value, allowed: &str) -> ConfigError {
    ConfigError::Invalid {
        key,
        origin: origin.to_owned(),
        value: format!("of type {}", value.type_str()),
        allowed: allowed.to_owned(),
    }
}
