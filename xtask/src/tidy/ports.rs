//! Ports stay small and say everything: at most five methods, no default bodies, and no business rule imports one.

use super::Finding;
use super::source::{Source, block_end, word_offsets};

const METHODS_MAX: usize = 5;

pub(super) fn check(source: &Source) -> Vec<Finding> {
    if is_port(&source.path) {
        return traits(source);
    }
    if source.path.starts_with("domain/src/") {
        return imports(source);
    }
    Vec::new()
}

fn is_port(path: &str) -> bool {
    path == "domain/src/ports.rs" || path.starts_with("domain/src/ports/")
}

fn imports(source: &Source) -> Vec<Finding> {
    const FIX: &str = "business rules know no port: return an effect as data and let an actor perform it";
    let mut offsets: Vec<usize> = ["crate::ports", "super::ports"]
        .iter()
        .flat_map(|path| source.find(path))
        .collect();
    for (offset, item) in source.imports() {
        let inside = item.starts_with("crate::{") || item.starts_with("super::{");
        if inside && word_offsets(&item, "ports").next().is_some() {
            offsets.push(offset);
        }
    }
    offsets
        .into_iter()
        .map(|offset| Finding::new(&source.path, source.line(offset), FIX))
        .collect()
}

fn traits(source: &Source) -> Vec<Finding> {
    let code = source.code.as_str();
    let mut findings = Vec::new();
    for start in source.find("trait") {
        let Some(open) = code[start..].find('{').map(|at| start + at) else {
            continue;
        };
        let end = block_end(code, open);
        let methods = methods(code, open + 1, end);
        if methods.len() > METHODS_MAX {
            let what = format!(
                "{} methods, at most {METHODS_MAX}: split the port by who uses it",
                methods.len()
            );
            findings.push(Finding::new(&source.path, source.line(start), what));
        }
        for &(offset, has_body) in &methods {
            if has_body {
                let what = "a port has no default bodies: what an adapter cannot do, it must say";
                findings.push(Finding::new(&source.path, source.line(offset), what));
            }
        }
    }
    findings
}

/// The `fn`s directly inside a trait body, and whether each brings a body of its own.
fn methods(code: &str, from: usize, to: usize) -> Vec<(usize, bool)> {
    let mut found = Vec::new();
    let mut at = from;
    while let Some(start) = word_offsets(&code[at..to], "fn").next().map(|offset| at + offset) {
        let (end, has_body) = signature_end(code, start, to);
        at = if has_body { block_end(code, end) } else { end };
        // `Fn(..)` bounds and `fn(..)` pointers are part of a signature, so the search goes on behind it.
        found.push((start, has_body));
    }
    found
}

/// The first `;` or `{` outside brackets: the end of a signature, and whether a body follows.
fn signature_end(code: &str, start: usize, to: usize) -> (usize, bool) {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().take(to).skip(start) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.saturating_sub(1),
            b';' if depth == 0 => return (at, false),
            b'{' if depth == 0 => return (at, true),
            _ => {}
        }
    }
    (to, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&Source::new(path, text))
            .into_iter()
            .map(|finding| finding.line)
            .collect()
    }

    #[test]
    fn a_port_has_at_most_five_methods() {
        let port = |methods: usize| {
            format!(
                "pub trait Journal: Send {{\n{}}}\n",
                "fn read(&self, hash: [u8; 32]);\n".repeat(methods)
            )
        };
        assert!(lines("domain/src/ports/journal.rs", &port(5)).is_empty());
        assert_eq!(lines("domain/src/ports/journal.rs", &port(6)), [1]);
        assert!(lines("actors/src/journal.rs", &port(6)).is_empty());
    }

    #[test]
    fn a_default_body_is_found_at_its_method() {
        let text = "trait Clock {\n fn now(&self) -> u64;\n fn later(&self) -> u64 { if true { 1 } else { 2 } }\n fn end(&self);\n}\n";
        assert_eq!(lines("domain/src/ports/clock.rs", text), [3]);
    }

    #[test]
    fn other_items_beside_a_trait_are_not_its_methods() {
        let text =
            "trait Id { fn next(&self, f: fn(u8) -> u8) -> u64; }\nimpl X {\n fn a() {}\n fn b() {}\n}\n";
        assert!(lines("domain/src/ports.rs", text).is_empty());
    }

    #[test]
    fn business_rules_import_no_port() {
        let rows: [(&str, &[usize]); 5] = [
            ("use crate::ports::Journal;\n", &[1]),
            ("\nuse super::ports;\n", &[2]),
            ("use crate::{money, ports::Journal};\n", &[1]),
            ("fn f(j: &dyn crate::ports::Journal) {}\n", &[1]),
            ("use crate::{money, ledger};\nuse crate::transports::X;\n", &[]),
        ];
        for (text, expected) in rows {
            assert_eq!(lines("domain/src/payment/decide.rs", text), expected, "{text}");
            assert!(lines("domain/src/ports/journal.rs", text).is_empty(), "{text}");
        }
    }
}
