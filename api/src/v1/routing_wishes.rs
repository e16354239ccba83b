//! What a request may want of routing: `{"pin": "stripe"}`, or `{"prefer": [...], "exclude": [...]}`.

use crate::errors::{Code, Invalid};
use crate::json::Text;
use crate::openapi::{array, may, strict, text};
use florin_domain::provider::ProviderId;
use florin_domain::routing::{NAMES_MAX, Wishes};
use serde::Deserialize;
use utoipa::openapi::schema::ObjectBuilder;

/// As written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WishesRequest<'a> {
    #[serde(borrow, default)]
    pin: Option<Text<'a>>,
    #[serde(borrow, default)]
    prefer: Option<Vec<Text<'a>>>,
    #[serde(borrow, default)]
    exclude: Option<Vec<Text<'a>>>,
}

impl WishesRequest<'_> {
    /// What is wanted; `place` is the name of the object in the body. Who is configured is asked by [`check_known`].
    pub(super) fn check(&self, place: &str) -> Result<Wishes, Invalid> {
        let pin = self.pin.as_ref();
        let pin = pin.map(|name| named(&format!("{place}.pin"), name)).transpose()?;
        let prefer = names(&format!("{place}.prefer"), self.prefer.as_deref())?;
        let mut exclude = names(&format!("{place}.exclude"), self.exclude.as_deref())?;
        // Their order means nothing.
        exclude.sort_unstable();
        if pin.is_some() && !(prefer.is_empty() && exclude.is_empty()) {
            let name = format!("{place}.pin");
            let message = format!(
                "`{name}` stands alone: nobody else is asked, so there is nothing to prefer or to exclude."
            );
            return Err(Invalid::new(name, Code::ParameterInvalid, message));
        }
        if let Some(both) = prefer.iter().find(|name| exclude.contains(name)) {
            let name = format!("{place}.exclude");
            let message = format!("`{name}` names `{both}`, which `{place}.prefer` prefers.");
            return Err(Invalid::new(name, Code::ParameterInvalid, message));
        }
        Ok(Wishes { pin, prefer, exclude })
    }
}

/// Refuses names of providers that are not configured.
pub(super) fn check_known(
    wishes: &Wishes,
    place: &str,
    is_known: impl Fn(ProviderId) -> bool,
) -> Result<(), Invalid> {
    let pin = wishes.pin.iter().map(|name| ("pin", name));
    let prefer = wishes.prefer.iter().map(|name| ("prefer", name));
    let exclude = wishes.exclude.iter().map(|name| ("exclude", name));
    let mut named = pin.chain(prefer).chain(exclude);
    match named.find(|(_, name)| !is_known(**name)) {
        Some((field, _)) => Err(not_configured(&format!("{place}.{field}"))),
        None => Ok(()),
    }
}

/// The providers of a list, none of them twice.
pub(super) fn names(place: &str, list: Option<&[Text<'_>]>) -> Result<Vec<ProviderId>, Invalid> {
    let list = list.unwrap_or_default();
    if list.len() > NAMES_MAX {
        let message = format!("`{place}` names at most {NAMES_MAX} providers.");
        return Err(Invalid::new(place, Code::ParameterInvalid, message));
    }
    let mut names = Vec::with_capacity(list.len());
    for text in list {
        let name = named(place, text)?;
        if names.contains(&name) {
            let message = format!("`{place}` names `{name}` twice.");
            return Err(Invalid::new(place, Code::ParameterInvalid, message));
        }
        names.push(name);
    }
    Ok(names)
}

fn named(place: &str, text: &Text<'_>) -> Result<ProviderId, Invalid> {
    ProviderId::parse(text.as_str()).map_err(|_| not_configured(place))
}

pub(super) fn not_configured(place: &str) -> Invalid {
    let message = format!("`{place}` names a provider that is not configured.");
    Invalid::new(place, Code::ParameterInvalid, message)
}

/// A provider's name.
pub(super) fn provider_name(description: &str) -> ObjectBuilder {
    text(description).pattern(Some("^[a-z0-9_]{1,16}$"))
}

/// How it is written.
pub(super) fn shape() -> ObjectBuilder {
    let list = |description: &str| {
        array(provider_name("A configured provider."), description)
            .max_items(Some(NAMES_MAX))
            .unique_items(true)
    };
    strict([
        may("pin", provider_name("This provider or none. Stands alone.")),
        may("prefer", list("These first, in this order, if they can take it.")),
        may("exclude", list("None of these.")),
    ])
    .description(Some("Which provider is to charge, above all routing rules."))
}
