//! Which crate may depend on which third-party crate.

use super::Finding;
use super::manifest::{Manifest, Need};

/// Packages only some of our crates may name. A pattern ending in `*` matches every package that starts so.
#[derive(Debug)]
struct Fence {
    packages: &'static [&'static str],
    inside: &'static [&'static str],
    /// Crates that may use it in tests only.
    tests_of: &'static [&'static str],
    why: &'static str,
}

const FENCES: &[Fence] = &[
    Fence {
        packages: &["ractor*"],
        inside: &["florin-actors", "florin-supervisors"],
        tests_of: &[],
        why: "other crates talk to actors through the handles in florin-actors",
    },
    Fence {
        packages: &["actix-*", "askama*"],
        inside: &["florin-api", "florin-sandbox"],
        tests_of: &[],
        why: "only the HTTP edge knows the web framework",
    },
    Fence {
        packages: &["actix"],
        inside: &[],
        tests_of: &[],
        why: "its mailbox bound is not enforced; our actors run on ractor",
    },
    Fence {
        packages: &["utoipa*", "jsonschema"],
        inside: &["florin-api"],
        tests_of: &[],
        why: "the API describes itself, next to its endpoints",
    },
    Fence {
        packages: &["governor"],
        inside: &["florin-api"],
        tests_of: &[],
        why: "only the HTTP edge counts requests; the core has its own admission",
    },
    Fence {
        packages: &[
            "rusqlite",
            "fjall",
            "tokio-postgres*",
            "bb8*",
            "refinery*",
            "fred",
            "moka",
        ],
        inside: &["florin-adapters"],
        tests_of: &[],
        why: "storage stays behind the ports in domain/src/ports",
    },
    Fence {
        packages: &["hyper*"],
        inside: &["florin-adapters", "florin-sandbox"],
        tests_of: &["florin"],
        why: "only adapters call out over HTTP",
    },
    Fence {
        packages: &["rand*", "fastrand", "getrandom"],
        inside: &["florin-adapters"],
        tests_of: &[],
        why: "randomness arrives through a port",
    },
    Fence {
        packages: &["toml*"],
        inside: &["florin-config", "xtask"],
        tests_of: &[],
        why: "only florin-config reads configuration files",
    },
];

/// Everything the pure crate is built from.
const DOMAIN_PACKAGES: &[&str] = &["rust_decimal", "thiserror", "zeroize"];

/// The load driver carries conventional designs to compare with, so no fence holds for it.
const EXEMPT: &str = "florin-load";

pub(super) fn check(manifest: &Manifest) -> Vec<Finding> {
    let name = manifest.name.as_str();
    if name == EXEMPT {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for dependency in &manifest.dependencies {
        let package = dependency.package.as_str();
        let broken = FENCES
            .iter()
            .filter(|fence| fence.packages.iter().any(|pattern| matches(pattern, package)));
        for fence in broken {
            let tests_only = dependency.need == Need::Development && fence.tests_of.contains(&name);
            if !fence.inside.contains(&name) && !tests_only {
                let inside = if fence.inside.is_empty() {
                    "nowhere".to_owned()
                } else {
                    fence.inside.join(", ")
                };
                let what = format!("`{package}` is allowed only in: {inside} ({})", fence.why);
                findings.push(Finding::new(&manifest.path, dependency.line, what));
            }
        }
        let beyond_domain = name == "florin-domain"
            && dependency.need == Need::Product
            && !package.starts_with("florin-")
            && !DOMAIN_PACKAGES.contains(&package);
        if beyond_domain {
            let what = format!(
                "domain is pure: only {} are allowed, so move what needs `{package}` behind a port",
                DOMAIN_PACKAGES.join(" and ")
            );
            findings.push(Finding::new(&manifest.path, dependency.line, what));
        }
    }
    findings
}

fn matches(pattern: &str, package: &str) -> bool {
    pattern
        .strip_suffix('*')
        .map_or(pattern == package, |start| package.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(name: &str, dependencies: &str) -> Vec<usize> {
        let text = format!("[package]\nname = \"{name}\"\n{dependencies}");
        check(&Manifest::sample("x/Cargo.toml", &text))
            .into_iter()
            .map(|finding| finding.line)
            .collect()
    }

    #[test]
    fn a_fenced_package_is_found_outside_its_fence_only() {
        let rows: [(&str, &str, &[usize]); 15] = [
            ("florin-actors", "[dependencies]\nractor = {}\n", &[]),
            ("florin-api", "[dependencies]\nractor = {}\n", &[4]),
            (
                "florin-api",
                "[dependencies]\nactix-web = {}\nutoipa-swagger-ui = {}\n",
                &[],
            ),
            ("florin-config", "[dependencies]\nutoipa-swagger-ui = {}\n", &[4]),
            ("florin-sandbox", "[dependencies]\nutoipa = {}\n", &[4]),
            ("florin-api", "[dependencies]\nactix = {}\n", &[4]),
            ("florin-api", "[dependencies]\ngovernor = {}\n", &[]),
            ("florin-sandbox", "[dependencies]\ngovernor = {}\n", &[4]),
            (
                "florin-adapters",
                "[dependencies]\nrusqlite = {}\nbb8-postgres = {}\nhyper-util = {}\n",
                &[],
            ),
            ("florin-actors", "[dev-dependencies]\nrusqlite = {}\n", &[4]),
            ("florin", "[dependencies]\nhyper = {}\n", &[4]),
            ("florin", "[dev-dependencies]\nhyper-util = {}\n", &[]),
            ("florin-api", "[dependencies]\nhttp-body-util = {}\n", &[]),
            (
                "florin-load",
                "[dependencies]\nhyper = {}\ntokio-postgres = {}\n",
                &[],
            ),
            (
                "florin-sandbox",
                "[dependencies]\ntoml = {}\ngetrandom = {}\n",
                &[5, 4],
            ),
        ];
        for (name, dependencies, expected) in rows {
            assert_eq!(lines(name, dependencies), expected, "{name}: {dependencies}");
        }
    }

    #[test]
    fn domain_is_built_from_its_allow_list_only() {
        assert!(
            lines(
                "florin-domain",
                "[dependencies]\nrust_decimal = {}\nthiserror = {}\n"
            )
            .is_empty()
        );
        assert_eq!(
            lines("florin-domain", "[dependencies]\nserde = {}\nthiserror = {}\n"),
            [4]
        );
        assert!(lines("florin-domain", "[dev-dependencies]\nproptest = {}\n").is_empty());
    }
}
