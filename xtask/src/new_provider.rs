//! `cargo xtask new-provider <name>`: an adapter for another provider, from the templates in `xtask/templates/provider`, and the list of places
//! where a person has to go on.
//!
//! What is written compiles, is tested by the gate from then on, and cannot be used: it refuses every operation before anything is sent, it
//! cannot be opened, and the configuration does not know it. A person fills in one operation after the other.

mod places;
mod rehearsal;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use places::{PLACES, Place};
pub(crate) use rehearsal::run as rehearse;

/// What the templates call the provider.
const PLACEHOLDER: &str = "nameless";
const PLACEHOLDER_CAMEL: &str = "Nameless";
const TEMPLATES: &str = "xtask/templates/provider";
const NAME_CHARS_MAX: usize = 16;

/// A template, and what is made of it; `nameless` stands for the name in both.
const FILES: [(&str, &str); 11] = [
    ("adapter.rs", "adapters/src/providers/nameless.rs"),
    ("client.rs", "adapters/src/providers/nameless/client.rs"),
    ("config.rs", "adapters/src/providers/nameless/config.rs"),
    ("request.rs", "adapters/src/providers/nameless/request.rs"),
    ("response.rs", "adapters/src/providers/nameless/response.rs"),
    (
        "response_tests.rs",
        "adapters/src/providers/nameless/response/tests.rs",
    ),
    ("wire.rs", "adapters/src/providers/nameless/wire.rs"),
    ("conformance.rs", "adapters/tests/conformance/nameless.rs"),
    ("sandbox.rs", "sandbox/src/nameless.rs"),
    ("unreadable.json", "tests/data/providers/nameless/unreadable.json"),
    ("page.md.template", "docs/provider_nameless.md"),
];

/// Where a module is declared: the file, the line that it goes before, and the declaration; rustfmt sorts them.
const DECLARATIONS: [(&str, &str, &str); 3] = [
    (
        "adapters/src/providers.rs",
        "pub mod stripe;\n",
        "pub mod nameless;\n",
    ),
    (
        "adapters/tests/conformance/main.rs",
        "mod stripe;\n",
        "mod nameless;\n",
    ),
    ("sandbox/src/lib.rs", "mod stripe;\n", "mod nameless;\n"),
];

/// Words that cannot name a module.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop",
    "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static",
    "struct", "super", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual",
    "where", "while", "yield",
];

/// Writes everything and shows what is left.
pub(crate) fn run(root: &Path, words: &[&str]) -> Result<()> {
    let [name] = words else {
        bail!(
            "`new-provider` takes one name, such as `new-provider checkout`, not {} words",
            words.len()
        );
    };
    let written = generate(root, name)?;
    for path in &written {
        println!("wrote {path}");
    }
    println!("\nleft to you, in this order (docs/new-provider.md explains each):");
    for Place { file, anchor, what } in PLACES {
        let file = file.replace(PLACEHOLDER, name);
        let line = line_of(root, &file, &anchor.replace(PLACEHOLDER, name))?;
        println!("  {file}:{line}: {}", named(what, name));
    }
    Ok(())
}

/// Checks the name, writes the files and declares their modules; the paths, from the root. Writes nothing unless all of it can be written.
fn generate(root: &Path, name: &str) -> Result<Vec<String>> {
    check_name(name)?;
    let mut outputs = Vec::new();
    for (template, target) in FILES {
        let target = target.replace(PLACEHOLDER, name);
        refuse_existing(root, &target)?;
        let text = named(&read(root, &format!("{TEMPLATES}/{template}"))?, name);
        outputs.push((target, text));
    }
    for folder in [
        "adapters/src/providers/nameless",
        "sandbox/src/nameless",
        "tests/data/providers/nameless",
    ] {
        refuse_existing(root, &folder.replace(PLACEHOLDER, name))?;
    }
    for (file, before, declaration) in DECLARATIONS {
        let text = read(root, file)?;
        let Some(at) = text.find(before) else {
            bail!("{file} has no line `{}` any more to go before", before.trim_end());
        };
        let (head, tail) = text.split_at(at);
        outputs.push((
            file.to_owned(),
            format!("{head}{}{tail}", named(declaration, name)),
        ));
    }
    for (path, text) in &mut outputs {
        if is_rust(path) {
            *text = formatted(root, text).with_context(|| format!("{path} is no Rust"))?;
        }
    }
    for (path, text) in &outputs {
        let path = root.join(path);
        let folder = path.parent().context("a file in no folder")?;
        fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(outputs.into_iter().map(|(path, _)| path).collect())
}

fn check_name(name: &str) -> Result<()> {
    let is_named = (1..=NAME_CHARS_MAX).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if !is_named {
        bail!("a provider's name is 1 to {NAME_CHARS_MAX} characters of a-z, 0-9 and _, not `{name}`");
    }
    if !name.starts_with(|letter: char| letter.is_ascii_lowercase()) {
        bail!("`{name}` also names a module, so it begins with a letter");
    }
    if KEYWORDS.contains(&name) || name == PLACEHOLDER {
        bail!("`{name}` cannot name a module: choose another name");
    }
    Ok(())
}

fn refuse_existing(root: &Path, path: &str) -> Result<()> {
    if root.join(path).exists() {
        bail!("{path} is there already, and nothing is overwritten");
    }
    Ok(())
}

fn read(root: &Path, path: &str) -> Result<String> {
    fs::read_to_string(root.join(path)).with_context(|| format!("{path} cannot be read"))
}

fn is_rust(path: &str) -> bool {
    Path::new(path)
        .extension()
        .is_some_and(|extension| extension == "rs")
}

/// The template with the name in it, in both spellings.
fn named(text: &str, name: &str) -> String {
    text.replace(PLACEHOLDER, name)
        .replace(PLACEHOLDER_CAMEL, &camel(name))
}

/// `foo_bar2` as `FooBar2`.
fn camel(name: &str) -> String {
    let words = name.split('_').filter(|word| !word.is_empty());
    words
        .flat_map(|word| {
            let (first, rest) = word.split_at(1);
            [first.to_ascii_uppercase(), rest.to_owned()]
        })
        .collect()
}

/// As rustfmt would have it; an error if it is no Rust.
fn formatted(root: &Path, text: &str) -> Result<String> {
    let mut rustfmt = Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path"])
        .arg(root.join("rustfmt.toml"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("rustfmt cannot be started")?;
    let mut input = rustfmt.stdin.take().context("rustfmt's input is not piped")?;
    // It reads everything before it writes anything.
    input
        .write_all(text.as_bytes())
        .context("rustfmt does not read")?;
    drop(input);
    let output = rustfmt.wait_with_output().context("rustfmt does not end")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).context("rustfmt wrote no text")
}

/// The line, from one, on which the file has this text.
fn line_of(root: &Path, file: &str, anchor: &str) -> Result<usize> {
    let text = read(root, file)?;
    let Some(at) = text.find(anchor) else {
        bail!("{file} has no `{anchor}` any more: correct xtask/src/new_provider/places.rs");
    };
    Ok(text[..at].matches('\n').count() + 1)
}

#[cfg(test)]
mod tests;
