//! Bracket form encoding: `amount=1&metadata[order]=7&expand[0]=latest_charge`, in bodies and in queries.
//!
//! Parameters are taken one by one; what nobody took is an error, because a misspelt parameter of a payment must not be ignored.

use std::borrow::Cow;

use super::error::ApiError;
use super::keys::{Digest, DigestBuilder};
use super::metadata::MetadataPatch;

const FIELDS_MAX: usize = 1_000;

#[derive(Debug)]
pub(crate) struct Form<'a> {
    fields: Vec<Field<'a>>,
}

#[derive(Debug)]
struct Field<'a> {
    key: Cow<'a, str>,
    value: Cow<'a, str>,
    taken: bool,
}

impl Field<'_> {
    /// `metadata[order]` -> `metadata`.
    fn name(&self) -> &str {
        self.key.split_once('[').map_or(&*self.key, |(name, _)| name)
    }

    /// `metadata[order]` -> `order`; None unless there is exactly one level.
    fn subkey(&self) -> Option<&str> {
        let (_, rest) = self.key.split_once('[')?;
        rest.strip_suffix(']')
            .filter(|subkey| !subkey.contains(['[', ']']))
    }
}

impl<'a> Form<'a> {
    pub(crate) fn decode(text: &'a [u8]) -> Result<Self, ApiError> {
        let mut fields = Vec::with_capacity(16);
        for pair in text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            if fields.len() == FIELDS_MAX {
                let message = format!("A request has at most {FIELDS_MAX} parameters.");
                return Err(ApiError::state("parameter_invalid", message));
            }
            let split = pair.iter().position(|byte| *byte == b'=');
            let (key, value) = split.map_or((pair, &b""[..]), |at| (&pair[..at], &pair[at + 1..]));
            fields.push(Field {
                key: percent_decode(key)?,
                value: percent_decode(value)?,
                taken: false,
            });
        }
        Ok(Self { fields })
    }

    /// The same for every order of the parameters.
    pub(crate) fn fingerprint(&self, method: &str, path: &str) -> Digest {
        let mut order: Vec<&Field<'_>> = self.fields.iter().collect();
        // Stable: the order within `a[]=1&a[]=2` counts.
        order.sort_by(|a, b| a.key.cmp(&b.key));
        let mut digest = DigestBuilder::default();
        digest.text(method);
        digest.text(path);
        for field in order {
            digest.text(&field.key);
            digest.text(&field.value);
        }
        digest.finish()
    }

    /// An empty value counts as absent.
    pub(crate) fn text(&mut self, name: &'static str) -> Result<Option<Cow<'a, str>>, ApiError> {
        let mut found = None;
        for field in self.fields.iter_mut().filter(|field| field.key == name) {
            if found.is_some() {
                return Err(ApiError::invalid(
                    "parameter_invalid",
                    name,
                    format!("{name} was given twice."),
                ));
            }
            field.taken = true;
            found = Some(std::mem::take(&mut field.value));
        }
        Ok(found.filter(|value| !value.is_empty()))
    }

    pub(crate) fn whole(&mut self, name: &'static str) -> Result<Option<u64>, ApiError> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        let digits_only = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| digits_only);
        number.map(Some).ok_or_else(|| {
            ApiError::invalid(
                "parameter_invalid_integer",
                name,
                format!("Invalid integer: {text}"),
            )
        })
    }

    pub(crate) fn flag(&mut self, name: &'static str) -> Result<Option<bool>, ApiError> {
        match self.text(name)?.as_deref() {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(text) => Err(ApiError::invalid(
                "parameter_invalid",
                name,
                format!("Invalid boolean: {text}"),
            )),
        }
    }

    /// `name[key]=value` pairs; `name=` asks for removing all there are.
    pub(crate) fn metadata(&mut self, name: &'static str) -> Result<MetadataPatch, ApiError> {
        let mut clear = false;
        let mut pairs: Vec<(Box<str>, Box<str>)> = Vec::new();
        for field in self.fields.iter_mut().filter(|field| field.name() == name) {
            field.taken = true;
            if field.key == name && field.value.is_empty() {
                clear = true;
                continue;
            }
            let subkey = field.subkey().filter(|subkey| !subkey.is_empty());
            let subkey = subkey.ok_or_else(|| {
                ApiError::invalid("parameter_invalid", name, format!("Invalid hash: {name}"))
            })?;
            if pairs.iter().any(|(known, _)| **known == *subkey) {
                let message = format!("{name}[{subkey}] was given twice.");
                return Err(ApiError::invalid("parameter_invalid", name, message));
            }
            pairs.push((subkey.into(), std::mem::take(&mut field.value).into()));
        }
        Ok(MetadataPatch { clear, pairs })
    }

    /// `name[]=a` or `name[0]=a`.
    pub(crate) fn list(&mut self, name: &'static str) -> Result<Vec<Cow<'a, str>>, ApiError> {
        let mut values = Vec::new();
        for field in self.fields.iter_mut().filter(|field| field.name() == name) {
            field.taken = true;
            let index = field
                .subkey()
                .filter(|index| index.bytes().all(|byte| byte.is_ascii_digit()));
            if index.is_none() {
                return Err(ApiError::invalid(
                    "parameter_invalid",
                    name,
                    format!("Invalid array: {name}"),
                ));
            }
            values.push(std::mem::take(&mut field.value));
        }
        Ok(values)
    }

    /// Accepts parameters that the provider has and the sandbox does not act on.
    pub(crate) fn accept_unused(&mut self, names: &[&str]) {
        for field in &mut self.fields {
            if names.contains(&field.name()) {
                field.taken = true;
            }
        }
    }

    pub(crate) fn finish(self) -> Result<(), ApiError> {
        match self.fields.into_iter().find(|field| !field.taken) {
            None => Ok(()),
            Some(field) => {
                let message = format!("Received unknown parameter: {}", field.key);
                Err(ApiError::invalid(
                    "parameter_unknown",
                    field.key.into_owned(),
                    message,
                ))
            }
        }
    }
}

/// `+` is a space; borrowed when there is nothing to decode.
pub(crate) fn percent_decode(bytes: &[u8]) -> Result<Cow<'_, str>, ApiError> {
    let malformed = || ApiError::state("parameter_invalid", "The request is not valid form encoding.");
    if !bytes.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return std::str::from_utf8(bytes)
            .map(Cow::Borrowed)
            .map_err(|_| malformed());
    }
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'+' => decoded.push(b' '),
            b'%' => {
                let (digits, tail) = rest.split_at_checked(2).ok_or_else(malformed)?;
                let high = hex_value(digits[0]).ok_or_else(malformed)?;
                let low = hex_value(digits[1]).ok_or_else(malformed)?;
                decoded.push(high << 4 | low);
                rest = tail;
            }
            _ => decoded.push(*byte),
        }
    }
    String::from_utf8(decoded)
        .map(Cow::Owned)
        .map_err(|_| malformed())
}

pub(crate) fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(text: &str) -> Form<'_> {
        Form::decode(text.as_bytes()).unwrap()
    }

    #[test]
    fn brackets_decode_raw_and_percent_encoded() {
        for text in [
            "metadata[a+b]=x%20y&metadata[c]=",
            "metadata%5Ba%20b%5D=x+y&metadata%5Bc%5D=",
        ] {
            let mut form = decode(text);
            let MetadataPatch { clear, pairs } = form.metadata("metadata").unwrap();
            assert!(!clear);
            assert_eq!(pairs, [("a b".into(), "x y".into()), ("c".into(), "".into())]);
            form.finish().unwrap();
        }
        assert_eq!(
            decode("metadata=").metadata("metadata").unwrap(),
            MetadataPatch {
                clear: true,
                pairs: Vec::new()
            }
        );
        assert!(decode("metadata=x").metadata("metadata").is_err());
        assert!(decode("metadata[a][b]=x").metadata("metadata").is_err());
        assert!(
            decode("metadata[a]=1&metadata[a]=2")
                .metadata("metadata")
                .is_err()
        );
    }

    #[test]
    fn arrays_decode_with_and_without_index() {
        for text in [
            "expand[]=a&expand[]=b",
            "expand[0]=a&expand[1]=b",
            "expand%5B0%5D=a&expand%5B%5D=b",
        ] {
            assert_eq!(decode(text).list("expand").unwrap(), ["a", "b"]);
        }
        assert!(decode("expand=a").list("expand").is_err());
        assert!(decode("expand[x]=a").list("expand").is_err());
    }

    #[test]
    fn scalars_are_parsed_strictly() {
        assert_eq!(decode("amount=0100").whole("amount").unwrap(), Some(100));
        assert_eq!(decode("amount=").whole("amount").unwrap(), None);
        for bad in ["-1", "+1", "1.0", "1e3", "%2B1", "99999999999999999999"] {
            assert!(decode(&format!("amount={bad}")).whole("amount").is_err(), "{bad}");
        }
        assert_eq!(decode("confirm=true").flag("confirm").unwrap(), Some(true));
        assert!(decode("confirm=1").flag("confirm").is_err());
        assert!(decode("amount=1&amount=2").text("amount").is_err());
    }

    #[test]
    fn what_nobody_took_is_refused_by_name() {
        let mut form = decode("amount=1&amuont=2&shipping[name]=x");
        form.text("amount").unwrap();
        form.accept_unused(&["shipping"]);
        assert_eq!(form.finish().unwrap_err().param.as_deref(), Some("amuont"));
    }

    #[test]
    fn malformed_escapes_are_refused() {
        for bad in ["a=%", "a=%4", "a=%zz", "a=%ff", "%c3=1"] {
            assert!(Form::decode(bad.as_bytes()).is_err(), "{bad}");
        }
        assert_eq!(decode("a=%C3%A9").text("a").unwrap().as_deref(), Some("é"));
    }

    #[test]
    fn the_fingerprint_ignores_order_and_spelling_but_not_content() {
        let fingerprint = |text: &str| decode(text).fingerprint("POST", "/v1/refunds");
        assert_eq!(fingerprint("a=1&b[c]=2"), fingerprint("b%5Bc%5D=2&a=1"));
        assert_ne!(fingerprint("a=1&b=2"), fingerprint("a=1&b=3"));
        assert_ne!(fingerprint("a=1&b=2"), fingerprint("a=12&b="));
        assert_ne!(fingerprint("e[]=1&e[]=2"), fingerprint("e[]=2&e[]=1"));
        assert_ne!(
            decode("a=1").fingerprint("POST", "/v1/x"),
            decode("a=1").fingerprint("POST", "/v1/y")
        );
    }
}
