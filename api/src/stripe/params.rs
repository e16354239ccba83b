//! Reading parameters by name: what was not asked for in the end is unknown, and a wrong one is named as it was written, with brackets.

use super::expand::{Expand, ExpandError, Kind, LEVELS_MAX};
use super::tree::{Fields, Node, echoed, joined};
use crate::errors::{Code, Invalid};
use crate::json::Number;
use crate::query;
use std::ops::RangeInclusive;

/// Paths of `expand` in one request.
const EXPANDED_MAX: usize = 20;

/// What is left to read.
#[derive(Debug, Default)]
pub(crate) struct Params {
    fields: Fields,
    /// The name that all of these are inside.
    inside: String,
}

impl Params {
    /// All parameters of a request.
    pub(crate) fn new(fields: Fields) -> Self {
        Self {
            fields,
            inside: String::new(),
        }
    }

    /// One byte string per meaning of what is left.
    pub(crate) fn canonical(&self) -> Vec<u8> {
        let mut bytes = vec![1];
        Node::Map(self.fields.clone()).write_canonical(&mut bytes);
        bytes
    }

    /// A parameter's whole name.
    pub(crate) fn name(&self, name: &str) -> String {
        echoed(&joined(&self.inside, name))
    }

    /// A refusal of a parameter.
    pub(crate) fn refused(&self, name: &str, code: Code, why: &str) -> Invalid {
        let name = self.name(name);
        Invalid::new(name.as_str(), code, format!("`{name}` {why}."))
    }

    fn wrong(&self, name: &str, why: &str) -> Invalid {
        self.refused(name, Code::ParameterInvalid, why)
    }

    /// Takes what is under a name; an empty text is nothing.
    fn take(&mut self, name: &str) -> Option<Node> {
        let at = self.fields.iter().position(|field| field.0 == name)?;
        let (_, node) = self.fields.remove(at);
        match node {
            Node::Text(text) if text.is_empty() => None,
            other => Some(other),
        }
    }

    /// Whether a name is there with an empty text, which unsets what a change may unset.
    pub(crate) fn unsets(&self, name: &str) -> bool {
        self.fields
            .iter()
            .any(|(own, node)| own == name && matches!(node, Node::Text(text) if text.is_empty()))
    }

    /// A text.
    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, Invalid> {
        match self.take(name) {
            None => Ok(None),
            Some(Node::Text(text)) => Ok(Some(text)),
            Some(Node::List(_) | Node::Map(_)) => Err(self.wrong(name, "must be a text")),
        }
    }

    /// One of these words.
    pub(crate) fn word(
        &mut self,
        name: &str,
        words: &[&'static str],
    ) -> Result<Option<&'static str>, Invalid> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        let found = words.iter().copied().find(|word| *word == text);
        let why = || format!("is one of `{}`", words.join("`, `"));
        found.map(Some).ok_or_else(|| self.wrong(name, &why()))
    }

    /// Yes or no.
    pub(crate) fn flag(&mut self, name: &str) -> Result<Option<bool>, Invalid> {
        Ok(self.word(name, &["true", "false"])?.map(|word| word == "true"))
    }

    /// An amount, as far as it is a number at all.
    pub(crate) fn number(&mut self, name: &str) -> Result<Option<Number>, Invalid> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        let (negative, digits) = text
            .strip_prefix('-')
            .map_or((false, text.as_str()), |digits| (true, digits));
        let is_whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !is_whole {
            return Err(self.refused(
                name,
                Code::ParameterInvalidInteger,
                "is an integer in minor units, such as 1000",
            ));
        }
        Ok(Some(
            text.parse().map_or(Number::Beyond { negative }, Number::Whole),
        ))
    }

    /// Parameters inside this one.
    pub(crate) fn inner(&mut self, name: &str) -> Result<Option<Self>, Invalid> {
        match self.take(name) {
            None => Ok(None),
            Some(Node::Map(fields)) => Ok(Some(Self {
                fields,
                inside: joined(&self.inside, name),
            })),
            Some(Node::Text(_) | Node::List(_)) => Err(self.wrong(name, "must have names inside it")),
        }
    }

    /// Texts without names.
    pub(crate) fn list(&mut self, name: &str) -> Result<Option<Vec<String>>, Invalid> {
        let Some(node) = self.take(name) else {
            return Ok(None);
        };
        let texts = node.into_list().and_then(|items| {
            let text = |item| match item {
                Node::Text(text) => Some(text),
                Node::List(_) | Node::Map(_) => None,
            };
            items.into_iter().map(text).collect::<Option<Vec<_>>>()
        });
        texts
            .map(Some)
            .ok_or_else(|| self.wrong(name, "must be a list of texts"))
    }

    /// Names and texts of the caller's own; an empty text is no entry.
    pub(crate) fn pairs(&mut self, name: &str) -> Result<Vec<(String, String)>, Invalid> {
        let mut pairs = self.pairs_to_set(name)?;
        pairs.retain(|(_, text)| !text.is_empty());
        Ok(pairs)
    }

    /// The same of a change: an empty text takes an entry away.
    pub(crate) fn pairs_to_set(&mut self, name: &str) -> Result<Vec<(String, String)>, Invalid> {
        let Some(inner) = self.inner(name)? else {
            return Ok(Vec::new());
        };
        let mut pairs = Vec::with_capacity(inner.fields.len());
        for (own, node) in inner.fields {
            match node {
                Node::Text(text) => pairs.push((own, text)),
                Node::List(_) | Node::Map(_) => {
                    return Err(self.wrong(&format!("{name}[{own}]"), "must be a text"));
                }
            }
        }
        Ok(pairs)
    }

    /// How many entries a page of a list may have.
    pub(crate) fn limit(&mut self) -> Result<usize, Invalid> {
        match self.text("limit")? {
            None => Ok(query::LIMIT_DEFAULT),
            Some(text) => query::limit(&[("limit".to_owned(), text)]),
        }
    }

    /// `starting_after` and `ending_before`, which exclude each other.
    pub(crate) fn cursors(&mut self) -> Result<(Option<String>, Option<String>), Invalid> {
        let cursors = (self.text("starting_after")?, self.text("ending_before")?);
        if cursors.0.is_some() && cursors.1.is_some() {
            let message = "`starting_after` and `ending_before` exclude each other.";
            return Err(Invalid::new("ending_before", Code::ParameterInvalid, message));
        }
        Ok(cursors)
    }

    /// The seconds that `created` and its bounds leave, if any is there.
    pub(crate) fn created(&mut self) -> Result<Option<RangeInclusive<u64>>, Invalid> {
        let Some(node) = self.take("created") else {
            return Ok(None);
        };
        let own = Self::new(vec![("created".to_owned(), node)]);
        let mut texts = own.into_texts()?;
        if let Some((name, _)) = texts
            .iter()
            .find(|text| !query::CREATED.contains(&text.0.as_str()))
        {
            return Err(unknown(name));
        }
        // What is empty is not set.
        texts.retain(|(_, text)| !text.is_empty());
        query::created(&texts)
    }

    /// What is to be expanded in an object of this kind, or in a list of such.
    pub(crate) fn expand(&mut self, kind: Kind, is_list: bool) -> Result<Expand, Invalid> {
        let mut expand = Expand::default();
        let paths = self.list("expand")?.unwrap_or_default();
        if paths.len() > EXPANDED_MAX {
            return Err(self.wrong("expand", &format!("has at most {EXPANDED_MAX} entries")));
        }
        for (place, path) in paths.iter().enumerate() {
            let name = format!("expand[{place}]");
            expand.add(kind, is_list, path).map_err(|error| match error {
                ExpandError::TooDeep => self.wrong(&name, &format!("has more than {LEVELS_MAX} levels")),
                ExpandError::Returns => self.wrong(
                    &name,
                    &format!(
                        "comes back to an object that it starts from or has passed: `{}`",
                        echoed(path)
                    ),
                ),
                ExpandError::NotExpandable => self.wrong(
                    &name,
                    &format!("names nothing that can be expanded here: `{}`", echoed(path)),
                ),
            })?;
        }
        Ok(expand)
    }

    /// Refuses parameters that Stripe has and that would be a lie here.
    pub(crate) fn unsupported(&mut self, names: &[&str]) -> Result<(), Invalid> {
        for name in names {
            if self.take(name).is_some() {
                let why = "is not supported here: what it asks for would not happen";
                return Err(self.refused(name, Code::ParameterUnknown, why));
            }
        }
        Ok(())
    }

    /// Refuses `true` of something that does not happen here, and takes `false`.
    pub(crate) fn only_false(&mut self, names: &[&str]) -> Result<(), Invalid> {
        for name in names {
            if self.flag(name)? == Some(true) {
                return Err(self.wrong(name, "must not be true here: what it asks for would not happen"));
            }
        }
        Ok(())
    }

    /// Takes parameters that change nothing here.
    pub(crate) fn harmless(&mut self, names: &[&str]) {
        for name in names {
            drop(self.take(name));
        }
    }

    /// All that is left, for readers of their own.
    pub(crate) fn into_fields(self) -> Fields {
        self.fields
    }

    /// The texts that are left, with their whole names; for readers of their own.
    pub(crate) fn into_texts(self) -> Result<Vec<(String, String)>, Invalid> {
        let mut texts = Vec::new();
        for (name, node) in self.fields {
            match node {
                Node::Text(text) => texts.push((name, text)),
                Node::Map(inside) => {
                    for (own, node) in inside {
                        let whole = joined(&name, &own);
                        match node {
                            Node::Text(text) => texts.push((whole, text)),
                            Node::List(_) | Node::Map(_) => return Err(unknown(&whole)),
                        }
                    }
                }
                Node::List(_) => return Err(unknown(&name)),
            }
        }
        Ok(texts)
    }

    /// Everything was read.
    pub(crate) fn finish(self) -> Result<(), Invalid> {
        match self.fields.first() {
            None => Ok(()),
            Some((name, _)) => Err(unknown(&joined(&self.inside, name))),
        }
    }
}

fn unknown(name: &str) -> Invalid {
    let name = echoed(name);
    Invalid::new(
        name.as_str(),
        Code::ParameterUnknown,
        format!("Unknown parameter `{name}`."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stripe::tree::read_form;

    fn params(form: &str) -> Params {
        Params::new(read_form(form.as_bytes(), Code::BodyInvalid).unwrap())
    }

    fn told<T>(read: Result<T, Invalid>) -> Option<(&'static str, String)> {
        read.err()
            .map(|invalid| (invalid.code.as_str(), invalid.param.unwrap()))
    }

    #[test]
    fn a_wrong_parameter_is_named_with_its_brackets() {
        let mut all = params(
            "payment_method_options[card][foo]=1&amount=12.5&confirm=maybe&list=x&metadata[a][b]=1&kind[x]=1",
        );
        let options = all.inner("payment_method_options").unwrap().unwrap();
        let mut options = options;
        let card = options.inner("card").unwrap().unwrap();
        assert_eq!(
            told(card.finish()),
            Some((
                "parameter_unknown",
                "payment_method_options[card][foo]".to_owned()
            ))
        );
        assert_eq!(told(options.finish()), None);
        assert_eq!(
            told(all.number("amount")),
            Some(("parameter_invalid_integer", "amount".to_owned()))
        );
        assert_eq!(
            told(all.flag("confirm")),
            Some(("parameter_invalid", "confirm".to_owned()))
        );
        assert_eq!(
            told(all.list("list")),
            Some(("parameter_invalid", "list".to_owned()))
        );
        assert_eq!(
            told(all.pairs("metadata")),
            Some(("parameter_invalid", "metadata[a]".to_owned()))
        );
        assert_eq!(
            told(all.text("kind")),
            Some(("parameter_invalid", "kind".to_owned()))
        );
        assert_eq!(told(all.finish()), None, "everything was asked for");
        assert_eq!(
            told(params("transfer_data[destination]=x").finish()),
            Some(("parameter_unknown", "transfer_data".to_owned()))
        );
    }

    #[test]
    fn numbers_are_whole_and_signed() {
        for (text, number) in [
            ("0", Number::Whole(0)),
            ("1000", Number::Whole(1000)),
            ("-5", Number::Whole(-5)),
            (&"9".repeat(60), Number::Beyond { negative: false }),
            (&format!("-{}", "9".repeat(60)), Number::Beyond { negative: true }),
        ] {
            assert_eq!(
                params(&format!("a={text}")).number("a"),
                Ok(Some(number)),
                "{text}"
            );
        }
        for text in ["1.0", "1e3", "%2B5", "-", "0x1", "1_000", " 1"] {
            assert_eq!(
                params(&format!("a={text}")).number("a").unwrap_err().code,
                Code::ParameterInvalidInteger,
                "{text}"
            );
        }
    }

    #[test]
    fn the_bounds_of_a_time_are_read_together_and_others_are_unknown() {
        for (form, seconds) in [
            ("created=5", Some(5..=5)),
            ("created[gte]=5&created[lt]=9", Some(5..=8)),
            ("created[gt]=5&created[lte]=9", Some(6..=9)),
            ("created[gt]=&created[lte]=9", Some(0..=9)),
            ("created=", None),
            ("", None),
        ] {
            let mut all = params(form);
            assert_eq!(all.created(), Ok(seconds), "{form}");
            assert_eq!(told(all.finish()), None);
        }
        for (form, code, param) in [
            ("created[from]=5", "parameter_unknown", "created[from]"),
            ("created[gte][lt]=5", "parameter_unknown", "created[gte]"),
            ("created[gte]=soon", "parameter_invalid_integer", "created[gte]"),
            ("created=-1", "parameter_invalid_integer", "created"),
        ] {
            assert_eq!(
                told(params(form).created()),
                Some((code, param.to_owned())),
                "{form}"
            );
        }
    }

    #[test]
    fn an_empty_text_unsets() {
        let mut all = params("a=&b[]=&metadata[x]=&metadata[y]=1");
        assert_eq!(all.text("a"), Ok(None));
        assert_eq!(all.pairs("metadata"), Ok(vec![("y".to_owned(), "1".to_owned())]));
        assert_eq!(all.list("b"), Ok(Some(vec![String::new()])));
    }

    #[test]
    fn what_would_be_a_lie_is_refused_and_what_is_harmless_is_taken() {
        let mut all = params(
            "transfer_data[destination]=acct_1&off_session=true&use_stripe_sdk=true&error_on_requires_action=false",
        );
        assert_eq!(
            told(all.unsupported(&["on_behalf_of", "transfer_data"])),
            Some(("parameter_unknown", "transfer_data".to_owned()))
        );
        assert_eq!(
            told(all.only_false(&["error_on_requires_action", "off_session"])),
            Some(("parameter_invalid", "off_session".to_owned()))
        );
        all.harmless(&["use_stripe_sdk"]);
        assert_eq!(told(all.finish()), None);
    }

    #[test]
    fn expansions_are_checked_by_their_place() {
        let mut all = params("expand[0]=latest_charge&expand[1]=amount");
        assert_eq!(
            told(all.expand(Kind::PaymentIntent, false)),
            Some(("parameter_invalid", "expand[1]".to_owned()))
        );
        let mut all = params("expand[]=data.latest_charge.balance_transaction");
        assert!(
            all.expand(Kind::PaymentIntent, true)
                .unwrap()
                .get("latest_charge")
                .is_some()
        );
    }
}
