//! What a merchant says of an endpoint, parameter by parameter.

use crate::errors::{Code, Invalid};
use crate::stripe::params::Params;
use crate::stripe::tree::{Fields, echoed};
use crate::vault::check_texts;
use actix_web::http::Uri;
use florin_domain::ids::EventId;
use florin_domain::limits::{METADATA_ENTRIES_MAX, METADATA_KEY_BYTES_MAX, METADATA_VALUE_BYTES_MAX};
use florin_domain::time::Millis;
use florin_domain::webhook::{EndpointSaid, EventShape, URL_BYTES_MAX, WANTED_NAMES_MAX, WantedEvents};
use std::sync::Arc;

pub(crate) const DESCRIPTION_BYTES_MAX: usize = 5000;
/// How long an old secret may go on signing: a week.
pub(crate) const LIFETIME_S_MAX: u64 = 604_800;
/// How long it does if nothing is said: a day.
const LIFETIME_S: u64 = 86_400;

/// The merchant's own pairs.
pub(crate) type Pairs = Vec<(Arc<str>, Arc<str>)>;

/// An endpoint as it is made.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NewEndpoint {
    pub(crate) url: Arc<str>,
    pub(crate) wanted: WantedEvents,
    pub(crate) shape: EventShape,
    pub(crate) description: Option<Arc<str>>,
    pub(crate) metadata: Pairs,
}

/// What else is said of one that is there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OtherEndpoint {
    /// All but the pairs.
    pub(crate) said: EndpointSaid,
    /// Pairs to set, and all others if it is not these alone that stay; an empty text takes one away.
    pub(crate) metadata: Option<PairsToSet>,
    pub(crate) disabled: Option<bool>,
}

/// A change of a merchant's own pairs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PairsToSet {
    is_anew: bool,
    pairs: Vec<(String, String)>,
}

impl PairsToSet {
    /// The pairs after it.
    pub(crate) fn on(self, present: &[(Arc<str>, Arc<str>)]) -> Result<Pairs, Invalid> {
        let mut all: Pairs = if self.is_anew {
            Vec::new()
        } else {
            present.to_vec()
        };
        for (name, value) in self.pairs {
            check_pair(&name, &value)?;
            let place = all.iter().position(|pair| *pair.0 == *name);
            match (place, value.is_empty()) {
                (Some(place), true) => drop(all.remove(place)),
                (Some(place), false) => {
                    if let Some(pair) = all.get_mut(place) {
                        pair.1 = value.into();
                    }
                }
                (None, true) => {}
                (None, false) => all.push((name.into(), value.into())),
            }
        }
        if all.len() > METADATA_ENTRIES_MAX {
            return Err(wrong(
                "metadata",
                &format!("holds at most {METADATA_ENTRIES_MAX} entries"),
            ));
        }
        Ok(all)
    }
}

fn wrong(name: &str, why: &str) -> Invalid {
    let name = echoed(name);
    Invalid::new(name.as_str(), Code::ParameterInvalid, format!("`{name}` {why}."))
}

fn missing(name: &str) -> Invalid {
    Invalid::new(name, Code::ParameterMissing, format!("`{name}` is required."))
}

fn check_pair(name: &str, value: &str) -> Result<(), Invalid> {
    if name.is_empty() || name.len() > METADATA_KEY_BYTES_MAX {
        return Err(wrong(
            "metadata",
            &format!("has names of 1 to {METADATA_KEY_BYTES_MAX} bytes"),
        ));
    }
    if value.len() > METADATA_VALUE_BYTES_MAX {
        let why = format!("is at most {METADATA_VALUE_BYTES_MAX} bytes long");
        return Err(wrong(&format!("metadata[{name}]"), &why));
    }
    Ok(())
}

impl NewEndpoint {
    /// Reads a new endpoint. One that is asked for by somebody who knows Stripe's names is told in Stripe's.
    pub(crate) fn read(fields: Fields, allows_clear: bool, is_stripes: bool) -> Result<Self, Invalid> {
        check_texts(&fields)?;
        let mut params = Params::new(fields);
        let url = url(&mut params, allows_clear)?.ok_or_else(|| missing("url"))?;
        let wanted = wanted(&mut params)?.ok_or_else(|| missing("enabled_events"))?;
        let usual = if is_stripes {
            EventShape::Stripe
        } else {
            EventShape::Native
        };
        let shape = params.word("event_shape", &["native", "stripe"])?;
        let description = description(&mut params)?;
        let pairs = params.pairs_to_set("metadata")?;
        // Platforms with connected accounts are not known here.
        params.only_false(&["connect"])?;
        params.finish()?;
        let metadata = PairsToSet { is_anew: true, pairs }.on(&[])?;
        Ok(Self {
            url,
            wanted,
            shape: shape.and_then(EventShape::named).unwrap_or(usual),
            description,
            metadata,
        })
    }
}

impl OtherEndpoint {
    /// Reads what else is said.
    pub(crate) fn read(fields: Fields, allows_clear: bool) -> Result<Self, Invalid> {
        check_texts(&fields)?;
        let is_said = |name: &str| fields.iter().any(|field| field.0 == name);
        let (describes, pairs_are_said) = (is_said("description"), is_said("metadata"));
        let mut params = Params::new(fields);
        for name in ["url", "enabled_events", "disabled"] {
            if params.unsets(name) {
                return Err(wrong(name, "cannot be taken away"));
            }
        }
        let is_anew = params.unsets("metadata");
        let said = Self {
            said: EndpointSaid {
                url: url(&mut params, allows_clear)?,
                wanted: wanted(&mut params)?,
                description: description(&mut params).map(|text| describes.then_some(text))?,
                metadata: None,
            },
            disabled: params.flag("disabled")?,
            metadata: pairs_are_said
                .then(|| params.pairs_to_set("metadata"))
                .transpose()?
                .map(|pairs| PairsToSet { is_anew, pairs }),
        };
        params.finish()?;
        Ok(said)
    }
}

fn description(params: &mut Params) -> Result<Option<Arc<str>>, Invalid> {
    let text = params.text("description")?;
    if text
        .as_ref()
        .is_some_and(|text| text.len() > DESCRIPTION_BYTES_MAX)
    {
        let why = format!("is at most {DESCRIPTION_BYTES_MAX} bytes long");
        return Err(wrong("description", &why));
    }
    Ok(text.map(Arc::from))
}

fn wanted(params: &mut Params) -> Result<Option<WantedEvents>, Invalid> {
    let Some(names) = params.list("enabled_events")? else {
        return Ok(None);
    };
    let count = names.len();
    if count == 0 || count > WANTED_NAMES_MAX {
        let why = format!("holds 1 to {WANTED_NAMES_MAX} names");
        return Err(wrong("enabled_events", &why));
    }
    let shared = names.iter().map(|name| Arc::from(name.as_str()));
    WantedEvents::read(shared.collect()).map(Some).map_err(|place| {
        let name = names.get(place).map_or("", String::as_str);
        let why = format!(
            "names no event that there is: `{}`; a beginning such as `refund.*` and `*` are understood",
            echoed(name)
        );
        wrong(&format!("enabled_events[{place}]"), &why)
    })
}

/// Where an endpoint is. Whether anybody may be connected to there is found out with each delivery, because names change what they stand for.
fn url(params: &mut Params, allows_clear: bool) -> Result<Option<Arc<str>>, Invalid> {
    let Some(text) = params.text("url")? else {
        return Ok(None);
    };
    if text.len() > URL_BYTES_MAX {
        return Err(wrong("url", &format!("is at most {URL_BYTES_MAX} bytes long")));
    }
    let uri = text.parse::<Uri>().ok().filter(|_| text.is_ascii());
    let uri = uri.ok_or_else(|| wrong("url", "is an absolute URL, such as `https://shop.example/hooks`"))?;
    match uri.scheme_str() {
        Some("https") => {}
        Some("http") if allows_clear => {}
        _ => return Err(wrong("url", "begins with `https://`")),
    }
    // The parser would drop it without a word.
    if text.contains('#') {
        return Err(wrong("url", "has no fragment (`#...`)"));
    }
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    if authority.contains('@') {
        return Err(wrong(
            "url",
            "has no user and no password: signatures say who sends",
        ));
    }
    let host = uri.host().unwrap_or_default();
    let port = authority.strip_prefix(host).unwrap_or_default();
    if host.is_empty() || (!port.is_empty() && uri.port_u16().is_none_or(|port| port == 0)) {
        return Err(wrong("url", "names a host, and a port from 1 to 65535 if any"));
    }
    Ok(Some(Arc::from(text)))
}

/// How long the secret before goes on signing.
pub(crate) fn lifetime(fields: Fields) -> Result<Millis, Invalid> {
    let mut params = Params::new(fields);
    let text = params.text("old_secret_lifetime_s")?;
    params.finish()?;
    let Some(text) = text else {
        return Ok(Millis::from_s(LIFETIME_S));
    };
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = text
        .parse()
        .ok()
        .filter(|seconds| digits && *seconds <= LIFETIME_S_MAX);
    let refused = || {
        let message = format!("`old_secret_lifetime_s` is a whole number from 0 to {LIFETIME_S_MAX}.");
        Invalid::new("old_secret_lifetime_s", Code::ParameterInvalidInteger, message)
    };
    seconds.map(Millis::from_s).ok_or_else(refused)
}

/// An event that a parameter names.
pub(crate) fn event_id(params: &mut Params, name: &str) -> Result<Option<EventId>, Invalid> {
    let Some(text) = params.text(name)? else {
        return Ok(None);
    };
    EventId::parse(&text).map(Some).map_err(|_| no_event(name))
}

/// There is no such event of this merchant in this mode.
pub(crate) fn no_event(name: &str) -> Invalid {
    let message = format!("`{name}`: there is no such event.");
    Invalid::new(name, Code::ResourceMissing, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stripe::tree::read_form;

    fn fields(form: &str) -> Fields {
        read_form(form.as_bytes(), Code::BodyInvalid).unwrap()
    }

    fn made(form: &str) -> Result<NewEndpoint, (String, &'static str)> {
        NewEndpoint::read(fields(form), false, false)
            .map_err(|invalid| (invalid.param.unwrap(), invalid.code.as_str()))
    }

    #[test]
    fn addresses_are_whole_public_ones_with_nothing_in_them_that_is_not_sent() {
        for url in [
            "https://shop.example",
            "https://shop.example:8443/hooks%3Fa=1",
            "https://[2606:4700::1111]/hooks",
            "https://8.8.8.8/",
        ] {
            assert!(made(&format!("url={url}&enabled_events[]=*")).is_ok(), "{url}");
        }
        for url in [
            "http://shop.example/",
            "ftp://shop.example/",
            "shop.example",
            "/hooks",
            "https:///hooks",
            "https://",
            "https://shop.example/%23part",
            "https://user@shop.example/",
            "https://user:word@shop.example/",
            "https://shop.example:0/",
            "https://shop.example:65536/",
            "https://shop .example/",
            "https://l%C3%A4den.example/",
            &format!("https://shop.example/{}", "a".repeat(URL_BYTES_MAX)),
        ] {
            let refused = made(&format!("url={url}&enabled_events[]=*"));
            assert_eq!(refused, Err(("url".to_owned(), "parameter_invalid")), "{url}");
        }
        let local = fields("url=http://127.0.0.1:3000/hooks&enabled_events[]=*");
        assert!(NewEndpoint::read(local, true, false).is_ok());
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let url = "url=https://shop.example";
        for (form, param, code) in [
            ("enabled_events[]=*".to_owned(), "url", "parameter_missing"),
            (url.to_owned(), "enabled_events", "parameter_missing"),
            (
                format!("{url}&enabled_events=*"),
                "enabled_events",
                "parameter_invalid",
            ),
            (
                format!("{url}&enabled_events[]=*&enabled_events[]=invoice.paid"),
                "enabled_events[1]",
                "parameter_invalid",
            ),
            (
                format!("{url}&enabled_events[]=*&event_shape=xml"),
                "event_shape",
                "parameter_invalid",
            ),
            (
                format!("{url}&enabled_events[]=*&connect=true"),
                "connect",
                "parameter_invalid",
            ),
            (
                format!("{url}&enabled_events[]=*&api_version=2020-01-01"),
                "api_version",
                "parameter_unknown",
            ),
            (
                format!("{url}&enabled_events[]=*&description=4242424242424242"),
                "description",
                "card_number_misplaced",
            ),
            (
                format!("{url}/4242424242424242&enabled_events[]=*"),
                "url",
                "card_number_misplaced",
            ),
            (
                format!("{url}&enabled_events[]=*&metadata[a]={}", "b".repeat(501)),
                "metadata[a]",
                "parameter_invalid",
            ),
        ] {
            assert_eq!(made(&form), Err((param.to_owned(), code)), "{form}");
        }
    }

    #[test]
    fn whoever_knows_stripe_is_told_in_its_words_unless_they_say_otherwise() {
        let shape = |form: &str, is_stripes| {
            let form = format!("url=https://shop.example&enabled_events[]=*{form}");
            NewEndpoint::read(fields(&form), false, is_stripes).unwrap().shape
        };
        assert_eq!(shape("", false), EventShape::Native);
        assert_eq!(shape("", true), EventShape::Stripe);
        assert_eq!(shape("&event_shape=native", true), EventShape::Native);
        assert_eq!(shape("&event_shape=stripe", false), EventShape::Stripe);
    }

    #[test]
    fn pairs_are_set_one_by_one_and_an_empty_text_takes_away() {
        let present: Pairs = [("a", "1"), ("b", "2")].map(|(a, b)| (a.into(), b.into())).into();
        let after = |form: &str| {
            let said = OtherEndpoint::read(fields(form), false).unwrap();
            said.metadata.map(|pairs| pairs.on(&present).unwrap())
        };
        let pairs = |pairs: &[(&str, &str)]| -> Option<Pairs> {
            Some(pairs.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect())
        };
        assert_eq!(after(""), None);
        assert_eq!(
            after("metadata[a]=3&metadata[c]=4"),
            pairs(&[("a", "3"), ("b", "2"), ("c", "4")])
        );
        assert_eq!(after("metadata[a]="), pairs(&[("b", "2")]));
        assert_eq!(after("metadata="), pairs(&[]));
        let many: Pairs = (0..METADATA_ENTRIES_MAX)
            .map(|number| (number.to_string().into(), "1".into()))
            .collect();
        let said = OtherEndpoint::read(fields("metadata[more]=1"), false).unwrap();
        let refused = said.metadata.unwrap().on(&many).unwrap_err();
        assert_eq!(refused.param.as_deref(), Some("metadata"));
    }

    #[test]
    fn a_description_goes_by_an_empty_text_and_an_address_does_not() {
        let said = |form: &str| OtherEndpoint::read(fields(form), false);
        assert_eq!(said("").unwrap().said.description, None);
        assert_eq!(said("description=").unwrap().said.description, Some(None));
        assert_eq!(
            said("description=words").unwrap().said.description,
            Some(Some(Arc::from("words")))
        );
        for name in ["url", "enabled_events", "disabled"] {
            let refused = said(&format!("{name}=")).unwrap_err();
            assert_eq!(refused.param.as_deref(), Some(name));
        }
        assert_eq!(said("disabled=true").unwrap().disabled, Some(true));
        assert!(said("event_shape=stripe").is_err(), "it stays as it was made");
    }

    #[test]
    fn an_old_secret_signs_for_a_week_at_most() {
        let read = |form: &str| lifetime(fields(form)).map(|span| span.0).ok();
        assert_eq!(read(""), Some(86_400_000));
        assert_eq!(read("old_secret_lifetime_s=0"), Some(0));
        assert_eq!(read("old_secret_lifetime_s=604800"), Some(604_800_000));
        for text in ["604801", "-1", "1.0", "x", "%2B5"] {
            assert_eq!(read(&format!("old_secret_lifetime_s={text}")), None, "{text}");
        }
        assert_eq!(read("other=1"), None);
    }
}
