//! Tests of the module beside it.

use super::*;
use std::path::PathBuf;

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A folder with what the generator reads and nothing else; removed at the end.
#[derive(Debug)]
struct Copy(PathBuf);

impl Copy {
    fn of_what_is_read(test: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("florin-new-provider-{}-{test}", std::process::id()));
        let templates = FILES
            .iter()
            .map(|(template, _)| format!("{TEMPLATES}/{template}"));
        let declared = DECLARATIONS.iter().map(|(file, ..)| (*file).to_owned());
        for path in templates.chain(declared).chain(["rustfmt.toml".to_owned()]) {
            let target = folder.join(&path);
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::copy(checkout().join(&path), &target).unwrap();
        }
        Self(folder)
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.0.join(path)).unwrap()
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

#[test]
fn names_are_those_of_providers_that_can_name_a_module() {
    for good in ["a", "checkout", "pay_2go", "sixteen_letters_"] {
        assert!(check_name(good).is_ok(), "{good}");
    }
    for (bad, why) in [
        ("", "1 to 16"),
        ("seventeen_letters", "1 to 16"),
        ("Checkout", "1 to 16"),
        ("a-b", "1 to 16"),
        ("../up", "1 to 16"),
        ("pay pal", "1 to 16"),
        ("2checkout", "begins with a letter"),
        ("_a", "begins with a letter"),
        ("match", "cannot name a module"),
        (PLACEHOLDER, "cannot name a module"),
    ] {
        let error = check_name(bad).unwrap_err().to_string();
        assert!(error.contains(why), "{bad}: {error}");
    }
    assert_eq!(camel("pay_2go__x_"), "Pay2goX");
}

#[test]
fn what_is_generated_is_rust_that_names_the_provider_and_declares_itself() {
    for name in ["x", "a_newcomers_name"] {
        let copy = Copy::of_what_is_read(name);
        let written = generate(&copy.0, name).unwrap();
        assert_eq!(written.len(), FILES.len() + DECLARATIONS.len());
        for path in &written {
            let text = copy.read(path);
            assert!(!text.to_lowercase().contains(PLACEHOLDER), "{path}");
            if is_rust(path) {
                assert_eq!(formatted(&copy.0, &text).unwrap(), text, "{path}");
                assert!(text.starts_with("//!"), "{path}");
                assert!(
                    !text.contains("todo!") && !text.contains("unimplemented!"),
                    "{path}"
                );
            }
        }
        let declares = |path: &str, line: &str| copy.read(path).lines().any(|found| found == line);
        assert!(declares("adapters/src/providers.rs", &format!("pub mod {name};")));
        assert!(declares("sandbox/src/lib.rs", &format!("mod {name};")));
        assert!(declares(
            "adapters/tests/conformance/main.rs",
            &format!("mod {name};")
        ));
    }
}

/// What is new can neither be opened nor configured before a person has said what it does.
#[test]
fn what_is_generated_supports_nothing_and_promises_nothing() {
    let copy = Copy::of_what_is_read("promises");
    generate(&copy.0, "newcomer").unwrap();
    let adapter = copy.read("adapters/src/providers/newcomer.rs");
    for says in [
        "OPERATIONS: &[OperationKind] = &[];",
        "prepares: false",
        "key_lifetime: Millis(0)",
        "query_by_reference: false",
        "cancel_closes: false",
        "stores_errors: false",
        "voids: Voids::None",
        "notifies: false",
    ] {
        assert!(adapter.contains(says), "{says}");
    }
    let record = adapter.split("fn capabilities").nth(1).unwrap();
    let record = record.split("\n}\n").next().unwrap();
    let lines: Vec<&str> = record.lines().map(str::trim).collect();
    for field in [
        "prepares:",
        "key_lifetime:",
        "query_by_reference:",
        "cancel_closes:",
        "time_limit:",
        "stores_errors:",
        "voids:",
        "notifies:",
    ] {
        let at = lines.iter().position(|line| line.starts_with(field)).unwrap();
        assert!(lines[at - 1].starts_with("// "), "{field} is not explained");
    }
}

/// Whether all of it compiles is found out at night; that a kind of operation was added and not said here is found out now.
#[test]
fn what_is_generated_says_something_of_every_kind_of_operation() {
    let domain = read(&checkout(), "domain/src/payment/operation.rs").unwrap();
    let kinds = domain.split("pub enum OperationKind {").nth(1).unwrap();
    let kinds = kinds.split("\n}\n").next().unwrap();
    let kinds: Vec<&str> = kinds
        .lines()
        .filter_map(|line| line.trim().strip_suffix(','))
        .collect();
    assert!(kinds.contains(&"Sale"), "{kinds:?}");
    let request = read(&checkout(), &format!("{TEMPLATES}/request.rs")).unwrap();
    let request = request.split("#[cfg(test)]").next().unwrap();
    let said: Vec<&str> = request.split_whitespace().collect();
    for kind in kinds {
        let named = format!("OperationKind::{kind}");
        assert!(said.contains(&named.as_str()), "{kind}");
    }
}

#[test]
fn nothing_is_overwritten_and_nothing_is_written_by_halves() {
    let copy = Copy::of_what_is_read("twice");
    generate(&copy.0, "newcomer").unwrap();
    let error = generate(&copy.0, "newcomer").unwrap_err().to_string();
    assert!(error.contains("is there already"), "{error}");

    let page = copy.0.join("docs/provider_other.md");
    fs::write(&page, "kept").unwrap();
    assert!(generate(&copy.0, "other").is_err());
    assert_eq!(fs::read_to_string(&page).unwrap(), "kept");
    assert!(!copy.0.join("adapters/src/providers/other.rs").exists());
    assert!(!copy.read("adapters/src/providers.rs").contains("mod other;"));
    // What the checkout has under this name is no provider.
    for taken in ["connection", "adyen"] {
        assert!(generate(&checkout(), taken).is_err(), "{taken}");
    }
}

#[test]
fn every_place_that_is_named_is_there() {
    let copy = Copy::of_what_is_read("places");
    generate(&copy.0, "newcomer").unwrap();
    for Place { file, anchor, what } in PLACES {
        let root = if file.contains(PLACEHOLDER) {
            copy.0.clone()
        } else {
            checkout()
        };
        let (file, anchor) = (
            file.replace(PLACEHOLDER, "newcomer"),
            anchor.replace(PLACEHOLDER, "newcomer"),
        );
        assert!(line_of(&root, &file, &anchor).unwrap() > 0, "{file}: {what}");
    }
    let error = line_of(&checkout(), "florin.toml", "no such text")
        .unwrap_err()
        .to_string();
    assert!(error.contains("places.rs"), "{error}");
}
