//! What a request says, whether it came as a form, as a query string or as JSON: names, and under each a text, a list or further names.
//! Numbers and truths are texts here, as forms have them; whoever reads a parameter says what it must be.

use crate::errors::{Code, Invalid};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Names inside each other, the outermost included.
const DEPTH_MAX: usize = 6;
/// Texts of one request.
const TEXTS_MAX: usize = 1000;
/// Characters of a name that a message repeats.
const ECHO_CHARS_MAX: usize = 100;

/// Names and what is under them, in the order first said.
pub(crate) type Fields = Vec<(String, Node)>;

/// What is under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    /// A text; empty, it unsets.
    Text(String),
    /// Things without names.
    List(Vec<Node>),
    /// Things with names. A list may be written so, with its places as names.
    Map(Fields),
}

impl Node {
    /// The things of a list, in their order.
    pub(crate) fn into_list(self) -> Option<Vec<Self>> {
        match self {
            Self::Text(_) => None,
            Self::List(items) => Some(items),
            Self::Map(fields) => {
                let placed = fields
                    .into_iter()
                    .map(|(place, item)| Some((place_of(&place)?, item)));
                let mut placed: Vec<(usize, Self)> = placed.collect::<Option<_>>()?;
                placed.sort_by_key(|item| item.0);
                Some(placed.into_iter().map(|item| item.1).collect())
            }
        }
    }

    /// One byte string per meaning, whichever way it was written.
    pub(crate) fn write_canonical(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Text(text) => put(b't', text, bytes),
            Self::List(items) => {
                let named = items
                    .iter()
                    .enumerate()
                    .map(|(place, item)| (place.to_string(), item));
                write_fields(named.collect(), bytes);
            }
            Self::Map(fields) => {
                write_fields(
                    fields.iter().map(|(name, node)| (name.clone(), node)).collect(),
                    bytes,
                );
            }
        }
    }
}

/// A place in a list, written with digits only and once.
fn place_of(text: &str) -> Option<usize> {
    text.parse()
        .ok()
        .filter(|place: &usize| place.to_string() == text)
}

fn put(kind: u8, text: &str, bytes: &mut Vec<u8>) {
    bytes.push(kind);
    bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

fn write_fields(mut fields: Vec<(String, &Node)>, bytes: &mut Vec<u8>) {
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    bytes.push(b'{');
    for (name, node) in fields {
        put(b'n', &name, bytes);
        node.write_canonical(bytes);
    }
    bytes.push(b'}');
}

/// A name as messages repeat it.
pub(crate) fn echoed(name: &str) -> String {
    name.chars().take(ECHO_CHARS_MAX).collect()
}

fn refused(name: &str, why: &str) -> Invalid {
    let name = echoed(name);
    Invalid::new(name.as_str(), Code::ParameterInvalid, format!("`{name}` {why}."))
}

fn malformed(code: Code, why: &str) -> Invalid {
    Invalid {
        param: None,
        code,
        message: format!("{why}."),
    }
}

/// Reads `a=1&b[c]=2&d[]=3`. `broken` is the code of what is no form at all.
pub(crate) fn read_form(bytes: &[u8], broken: Code) -> Result<Fields, Invalid> {
    let mut fields = Fields::new();
    let pairs = bytes.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
    for (number, pair) in pairs.enumerate() {
        if number >= TEXTS_MAX {
            return Err(malformed(
                broken,
                &format!("More than {TEXTS_MAX} parameters were sent"),
            ));
        }
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        let mut half = || {
            let text = decoded(halves.next().unwrap_or_default());
            text.ok_or_else(|| malformed(broken, "A parameter is not percent-encoded UTF-8"))
        };
        let (name, value) = (half()?, half()?);
        check_printable(&name, &name)?;
        check_printable(&name, &value)?;
        let path = path_of(&name).ok_or_else(|| refused(&name, "is no name with closed brackets"))?;
        if path.len() > DEPTH_MAX {
            return Err(refused(&name, "is nested too deeply"));
        }
        insert(&mut fields, &path, value).ok_or_else(|| refused(&name, "is said twice"))?;
    }
    Ok(fields)
}

fn check_printable(name: &str, text: &str) -> Result<(), Invalid> {
    if text.chars().any(char::is_control) {
        let name: String = name.chars().filter(|letter| !letter.is_control()).collect();
        return Err(refused(&name, "must not hold control characters"));
    }
    Ok(())
}

/// Undoes `+` and `%XX`.
fn decoded(text: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    let digit = |byte: Option<&u8>| {
        char::from(*byte?)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => (digit(rest.next())? << 4) | digit(rest.next())?,
            other => *other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// `a[b][c]` as its parts; an empty last part asks for the next place of a list.
fn path_of(name: &str) -> Option<Vec<&str>> {
    let (root, mut rest) = name.split_at(name.find('[').unwrap_or(name.len()));
    let mut path = vec![root];
    while let Some(behind) = rest.strip_prefix('[') {
        let (part, behind) = behind.split_once(']')?;
        let is_last = behind.is_empty();
        if part.contains('[') || (part.is_empty() && !is_last) {
            return None;
        }
        path.push(part);
        rest = behind;
    }
    (!root.is_empty() && !root.contains(']') && rest.is_empty()).then_some(path)
}

/// Puts a text where its path leads, unless something is there.
fn insert(fields: &mut Fields, path: &[&str], value: String) -> Option<()> {
    let (name, inner) = path.split_first()?;
    let at = fields.iter().position(|field| field.0 == *name);
    match (inner, at) {
        ([], None) => fields.push(((*name).to_owned(), Node::Text(value))),
        ([], Some(_)) => return None,
        ([""], None) => fields.push(((*name).to_owned(), Node::List(vec![Node::Text(value)]))),
        ([""], Some(at)) => match &mut fields.get_mut(at)?.1 {
            Node::List(items) => items.push(Node::Text(value)),
            Node::Text(_) | Node::Map(_) => return None,
        },
        (_, None) => {
            let mut inside = Fields::new();
            insert(&mut inside, inner, value)?;
            fields.push(((*name).to_owned(), Node::Map(inside)));
        }
        (_, Some(at)) => match &mut fields.get_mut(at)?.1 {
            Node::Map(inside) => insert(inside, inner, value)?,
            Node::Text(_) | Node::List(_) => return None,
        },
    }
    Some(())
}

/// Reads the same from JSON: one object, no name twice.
pub(crate) fn read_json(bytes: &[u8]) -> Result<Fields, Invalid> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Fields::new());
    }
    let node: Node = serde_json::from_slice(bytes).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let why = if error.is_data() {
            "The body says a name twice".to_owned()
        } else {
            format!("The body is not valid JSON at line {line}, column {column}")
        };
        malformed(Code::BodyInvalid, &why)
    })?;
    let Node::Map(fields) = node else {
        return Err(malformed(Code::BodyInvalid, "The body is not a JSON object"));
    };
    let mut texts = 0;
    check(&fields, "", 1, &mut texts)?;
    Ok(fields)
}

/// The limits that a form is held to, for what came otherwise.
fn check(fields: &Fields, prefix: &str, depth: usize, texts: &mut usize) -> Result<(), Invalid> {
    for (name, node) in fields {
        let whole = joined(prefix, name);
        check_printable(&whole, name)?;
        // A bracket in a name would make two names look like one.
        if name.is_empty() || name.contains(['[', ']']) {
            return Err(refused(&whole, "is no name"));
        }
        check_node(node, &whole, depth, texts)?;
    }
    Ok(())
}

fn check_node(node: &Node, name: &str, depth: usize, texts: &mut usize) -> Result<(), Invalid> {
    if depth > DEPTH_MAX {
        return Err(refused(name, "is nested too deeply"));
    }
    let deeper = depth.saturating_add(1);
    match node {
        Node::Text(text) => {
            *texts = texts.saturating_add(1);
            if *texts > TEXTS_MAX {
                let why = format!("More than {TEXTS_MAX} parameters were sent");
                return Err(malformed(Code::BodyInvalid, &why));
            }
            check_printable(name, text)
        }
        Node::List(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(place, item)| check_node(item, &joined(name, &place.to_string()), deeper, texts)),
        Node::Map(fields) => check(fields, name, deeper, texts),
    }
}

/// Refuses whatever is left.
pub(crate) fn none(fields: Fields) -> Result<(), Invalid> {
    let Some((name, _)) = fields.into_iter().next() else {
        return Ok(());
    };
    let name = echoed(&name);
    Err(Invalid::new(
        name.as_str(),
        Code::ParameterUnknown,
        format!("Unknown parameter `{name}`."),
    ))
}

/// A name inside another.
pub(crate) fn joined(prefix: &str, name: &str) -> String {
    if prefix.is_empty() {
        name.to_owned()
    } else {
        format!("{prefix}[{name}]")
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E: serde::de::Error>(self, truth: bool) -> Result<Node, E> {
        Ok(Node::Text(truth.to_string()))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Node, E> {
        Ok(Node::Text(number.to_string()))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Node, E> {
        Ok(Node::Text(number.to_string()))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Node, E> {
        // With its point, so that it is never taken for a whole number.
        Ok(Node::Text(format!("{number:?}")))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Node, E> {
        Ok(Node::Text(String::new()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut fields = Fields::new();
        let mut seen = std::collections::HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if !seen.insert(name.clone()) {
                return Err(A::Error::custom("a name appears twice"));
            }
            fields.push((name, map.next_value()?));
        }
        Ok(Node::Map(fields))
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
