//! What may be said of a customer or a card, text by text. A card number stands nowhere but in its own field: elsewhere it would be
//! shown, listed and kept unsealed, so it is refused where it stands.

use crate::errors::{Code, Invalid};
use crate::stripe::tree::{Fields, Node, echoed, joined};
use florin_domain::card_details::has_number;
use florin_domain::limits::{METADATA_ENTRIES_MAX, METADATA_KEY_BYTES_MAX, METADATA_VALUE_BYTES_MAX};
use florin_domain::vault::Profile;

/// A text and how many bytes it may have.
type Place = (&'static str, usize);

const ADDRESS: [&str; 6] = ["city", "country", "line1", "line2", "postal_code", "state"];
const NAME_BYTES_MAX: usize = 256;
const PHONE_BYTES_MAX: usize = 50;
const EMAIL_BYTES_MAX: usize = 512;
const LOCALES_MAX: usize = 16;

const CUSTOMER: [Place; 9] = [
    ("name", NAME_BYTES_MAX),
    ("email", EMAIL_BYTES_MAX),
    ("phone", PHONE_BYTES_MAX),
    ("description", 1000),
    ("shipping[name]", NAME_BYTES_MAX),
    ("shipping[phone]", PHONE_BYTES_MAX),
    ("tax_exempt", 16),
    ("invoice_settings[default_payment_method]", 64),
    ("preferred_locales", 0),
];
const CUSTOMER_ADDRESSES: [&str; 2] = ["address", "shipping[address]"];
const CUSTOMER_WHOLE: [&str; 3] = ["address", "shipping", "metadata"];
const METHOD: [Place; 4] = [
    ("billing_details[name]", NAME_BYTES_MAX),
    ("billing_details[email]", EMAIL_BYTES_MAX),
    ("billing_details[phone]", PHONE_BYTES_MAX),
    ("allow_redisplay", 16),
];
const METHOD_ADDRESSES: [&str; 1] = ["billing_details[address]"];
const METHOD_WHOLE: [&str; 2] = ["billing_details[address]", "metadata"];
const SETUP: [Place; 1] = [("description", 1000)];
const ADDRESS_BYTES_MAX: usize = 500;

/// What is said of a customer.
pub(crate) fn customer(fields: Fields) -> Result<Profile, Invalid> {
    read(fields, &CUSTOMER, &CUSTOMER_ADDRESSES, &CUSTOMER_WHOLE)
}

/// What is said of a card.
pub(crate) fn method(fields: Fields) -> Result<Profile, Invalid> {
    read(fields, &METHOD, &METHOD_ADDRESSES, &METHOD_WHOLE)
}

/// What is said of a card that is set up.
pub(crate) fn setup(fields: Fields) -> Result<Profile, Invalid> {
    read(fields, &SETUP, &[], &["metadata"])
}

fn wrong(name: &str, why: &str) -> Invalid {
    let name = echoed(name);
    Invalid::new(name.as_str(), Code::ParameterInvalid, format!("`{name}` {why}."))
}

/// A text of the merchant's own that holds no card number.
pub(crate) fn check_text(name: &str, text: &str) -> Result<(), Invalid> {
    if has_number(text) || has_number(name) {
        let name = echoed(name);
        let message = format!(
            "`{name}` holds what looks like a card number; those go into `card[number]` only, where they are sealed."
        );
        return Err(Invalid::new(name.as_str(), Code::CardNumberMisplaced, message));
    }
    Ok(())
}

/// The same of all that a request says, each text under its whole name.
pub(crate) fn check_texts(fields: &Fields) -> Result<(), Invalid> {
    fields.iter().try_for_each(|(name, node)| check_node(name, node))
}

fn check_node(name: &str, node: &Node) -> Result<(), Invalid> {
    match node {
        Node::Text(text) => check_text(name, text),
        Node::List(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(place, item)| check_node(&joined(name, &place.to_string()), item)),
        // Also a name that has nothing inside.
        Node::Map(inside) if inside.is_empty() => check_text(name, ""),
        Node::Map(inside) => inside
            .iter()
            .try_for_each(|(own, node)| check_node(&joined(name, own), node)),
    }
}

fn read(fields: Fields, places: &[Place], addresses: &[&str], whole: &[&str]) -> Result<Profile, Invalid> {
    let mut texts = Vec::new();
    for (name, node) in fields {
        flatten(&name, node, &mut texts);
    }
    let mut profile = Profile::default();
    for (name, text) in texts {
        check_text(&name, &text)?;
        let bytes_max = bytes_max(&name, places, addresses, whole, text.is_empty())?;
        if text.len() > bytes_max {
            return Err(wrong(&name, &format!("is at most {bytes_max} bytes long")));
        }
        check_word(&name, &text)?;
        if name.starts_with("preferred_locales[") {
            // A list is replaced as a whole.
            profile.0.insert("preferred_locales".to_owned(), String::new());
        }
        profile.0.insert(name, text);
    }
    let pairs = profile.below("metadata").count();
    if pairs > METADATA_ENTRIES_MAX {
        return Err(wrong(
            "metadata",
            &format!("holds at most {METADATA_ENTRIES_MAX} entries"),
        ));
    }
    Ok(profile)
}

/// Each text under its whole name; a list has its places as names.
fn flatten(name: &str, node: Node, texts: &mut Vec<(String, String)>) {
    match node {
        Node::Text(text) => texts.push((name.to_owned(), text)),
        Node::List(items) => {
            for (place, item) in items.into_iter().enumerate() {
                flatten(&joined(name, &place.to_string()), item, texts);
            }
        }
        Node::Map(fields) => {
            for (own, node) in fields {
                flatten(&joined(name, &own), node, texts);
            }
        }
    }
}

/// How long a text may be, if there is one of this name.
fn bytes_max(
    name: &str,
    places: &[Place],
    addresses: &[&str],
    whole: &[&str],
    unsets: bool,
) -> Result<usize, Invalid> {
    if let Some((_, bytes_max)) = places.iter().find(|(place, _)| *place == name) {
        return Ok(*bytes_max);
    }
    if unsets && whole.contains(&name) {
        return Ok(0);
    }
    let inside = |outer: &str| name.strip_prefix(outer)?.strip_prefix('[')?.strip_suffix(']');
    if addresses
        .iter()
        .filter_map(|address| inside(address))
        .any(|part| ADDRESS.contains(&part))
    {
        return Ok(ADDRESS_BYTES_MAX);
    }
    if let Some(key) = inside("metadata").filter(|key| !key.contains('[')) {
        if key.is_empty() || key.len() > METADATA_KEY_BYTES_MAX {
            return Err(wrong(
                "metadata",
                &format!("has names of 1 to {METADATA_KEY_BYTES_MAX} bytes"),
            ));
        }
        return Ok(METADATA_VALUE_BYTES_MAX);
    }
    let locale = inside("preferred_locales").and_then(|place| place.parse::<usize>().ok());
    let lists = places.iter().any(|(place, _)| *place == "preferred_locales");
    if lists && locale.is_some_and(|place| place < LOCALES_MAX) {
        return Ok(16);
    }
    let shown = echoed(name);
    Err(Invalid::new(
        shown.as_str(),
        Code::ParameterUnknown,
        format!("Unknown parameter `{shown}`."),
    ))
}

/// Texts that are one of a few words, or look like something.
fn check_word(name: &str, text: &str) -> Result<(), Invalid> {
    if text.is_empty() {
        return Ok(());
    }
    let words: &[&str] = match name {
        "tax_exempt" => &["none", "exempt", "reverse"],
        "allow_redisplay" => &["always", "limited", "unspecified"],
        "email" | "billing_details[email]" if !text.contains('@') => {
            return Err(wrong(name, "is no e-mail address"));
        }
        _ => return Ok(()),
    };
    if words.contains(&text) {
        return Ok(());
    }
    Err(wrong(name, &format!("is one of `{}`", words.join("`, `"))))
}
