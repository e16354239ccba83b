//! Amounts as sums of named ones: `gross - fee`. Each comes down to how often each parameter is in it.

use super::{TemplateTerms, Wrong, is_name};
use std::collections::BTreeMap;

/// Names in one sum.
const TERMS_MAX: usize = 16;

/// The names in a sum with their signs; nothing if it is none.
fn signed_names(text: &str) -> Option<Vec<(bool, &str)>> {
    let (mut is_added, mut rest) = match text.trim().strip_prefix('-') {
        Some(rest) => (false, rest),
        None => (true, text),
    };
    let mut names = Vec::new();
    loop {
        let (name, next) = match rest.find(['+', '-']) {
            Some(at) => (rest.get(..at)?, rest.get(at..)),
            None => (rest, None),
        };
        let name = name.trim();
        if !is_name(name) || names.len() == TERMS_MAX {
            return None;
        }
        names.push((is_added, name));
        let Some(next) = next else { return Some(names) };
        is_added = next.starts_with('+');
        rest = next.get(1..)?;
    }
}

/// What the sums before it came to.
type Known<'a> = BTreeMap<&'a str, Vec<i64>>;

/// How often each parameter is in a sum; nothing while one of its names is not known.
fn sum(names: &[(bool, &str)], known: &Known<'_>, width: usize) -> Option<Vec<i64>> {
    let mut sum = vec![0_i64; width];
    for (is_added, name) in names {
        for (total, weight) in sum.iter_mut().zip(known.get(name)?) {
            *total = if *is_added {
                total.saturating_add(*weight)
            } else {
                total.saturating_sub(*weight)
            };
        }
    }
    Some(sum)
}

fn read<'a>(field: &str, text: &'a str) -> Result<Vec<(bool, &'a str)>, Wrong> {
    let why = || format!("is `{text}`, and must be names of amounts with + and - between them");
    signed_names(text).ok_or_else(|| (field.to_owned(), why()))
}

/// The derived amounts, in whatever order they are written.
fn derived(terms: &TemplateTerms) -> Result<Known<'_>, Wrong> {
    let width = terms.parameters.len();
    let mut known = Known::new();
    for (place, (name, _)) in terms.parameters.iter().enumerate() {
        let unit = (0..width).map(|other| i64::from(other == place)).collect();
        known.insert(name, unit);
    }
    let mut open = Vec::new();
    for (name, text) in &terms.derived {
        let field = format!("derived.{name}");
        let names = read(&field, text)?;
        let is_there = |wanted: &str| {
            let derived = terms.derived.iter().map(|(name, _)| &**name);
            known.contains_key(wanted) || derived.into_iter().any(|name| name == wanted)
        };
        if let Some((_, unknown)) = names.iter().find(|(_, name)| !is_there(name)) {
            return Err((
                field,
                format!("names `{unknown}`, which is no amount of the template"),
            ));
        }
        open.push((&**name, names));
    }
    while !open.is_empty() {
        let before = open.len();
        open.retain(|(name, names)| match sum(names, &known, width) {
            Some(weights) => {
                known.insert(name, weights);
                false
            }
            None => true,
        });
        if open.len() == before {
            let name = open.first().map_or("", |(name, _)| name);
            return Err((format!("derived.{name}"), "is derived from itself".to_owned()));
        }
    }
    Ok(known)
}

/// Of each line, how often each parameter is in its amount.
pub(super) fn weights(terms: &TemplateTerms) -> Result<Vec<Vec<i64>>, Wrong> {
    let known = derived(terms)?;
    let mut weights = Vec::with_capacity(terms.lines.len());
    for (place, line) in (1..).zip(&terms.lines) {
        let field = format!("lines.{place}.amount");
        let names = read(&field, &line.amount)?;
        if let Some((_, unknown)) = names.iter().find(|(_, name)| !known.contains_key(name)) {
            return Err((
                field,
                format!("names `{unknown}`, which is no amount of the template"),
            ));
        }
        weights.extend(sum(&names, &known, terms.parameters.len()));
    }
    Ok(weights)
}
