//! Which of our crates may depend on which: the arrows of the architecture, checked in every `Cargo.toml`.

use super::Finding;
use super::manifest::Manifest;

/// What a crate of ours may depend on.
#[derive(Debug)]
enum Allowed {
    Only(&'static [&'static str]),
    All,
}

/// One row per crate. A new row, or a longer one, needs an ADR.
const ARROWS: &[(&str, Allowed)] = &[
    ("florin", Allowed::All),
    ("florin-actors", Allowed::Only(&["florin-domain"])),
    ("florin-adapters", Allowed::Only(&["florin-domain"])),
    ("florin-api", Allowed::Only(&["florin-actors", "florin-domain"])),
    // It reads files, and would find less if it knew what writes them.
    ("florin-canaries", Allowed::Only(&[])),
    (
        "florin-config",
        Allowed::Only(&[
            "florin-actors",
            "florin-adapters",
            "florin-api",
            "florin-domain",
            "florin-sandbox",
            "florin-supervisors",
        ]),
    ),
    ("florin-domain", Allowed::Only(&[])),
    // Tests of every crate use it, so it knows none.
    ("florin-fuzz", Allowed::Only(&[])),
    // The load driver carries other designs for side-by-side runs, so it may reach anything.
    ("florin-load", Allowed::All),
    // Tests of every crate start servers with it, so it knows none.
    ("florin-services", Allowed::Only(&[])),
    ("florin-sandbox", Allowed::Only(&["florin-domain"])),
    (
        "florin-simulator",
        Allowed::Only(&[
            "florin-actors",
            "florin-adapters",
            "florin-domain",
            "florin-supervisors",
        ]),
    ),
    // It would find less if it shared our sums.
    ("florin-store-check", Allowed::Only(&[])),
    (
        "florin-supervisors",
        Allowed::Only(&["florin-actors", "florin-domain"]),
    ),
    // It would prove nothing if it believed us.
    ("verify-proof", Allowed::Only(&[])),
    ("xtask", Allowed::Only(&["florin-canaries", "florin-services"])),
];

pub(super) fn check(manifest: &Manifest) -> Vec<Finding> {
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == manifest.name) else {
        let what = format!(
            "`{}` has no row in xtask/src/tidy/arrows.rs: write an ADR for the new crate, then add its arrows",
            manifest.name
        );
        return vec![Finding::new(&manifest.path, 1, what)];
    };
    let Allowed::Only(targets) = allowed else {
        return Vec::new();
    };
    manifest
        .product_dependencies()
        .filter(|dependency| is_ours(&dependency.package) && !targets.contains(&dependency.package.as_str()))
        .map(|dependency| {
            let what = format!(
                "`{}` may not depend on `{}`: go through a port in domain/src/ports or wire it in src/",
                manifest.name, dependency.package
            );
            Finding::new(&manifest.path, dependency.line, what)
        })
        .collect()
}

fn is_ours(package: &str) -> bool {
    ARROWS.iter().any(|(name, _)| *name == package) || package.starts_with("florin-")
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
    fn forbidden_arrows_are_found_and_allowed_ones_are_not() {
        let rows: [(&str, &str, &[usize]); 8] = [
            (
                "florin-domain",
                "[dependencies]\nflorin-actors.workspace = true\n",
                &[4],
            ),
            (
                "florin-actors",
                "[dependencies]\nflorin-domain.workspace = true\n",
                &[],
            ),
            (
                "florin-actors",
                "[dependencies]\nflorin-adapters.workspace = true\n",
                &[4],
            ),
            (
                "florin-api",
                "[dependencies]\nflorin-actors = {}\nflorin-supervisors = {}\n",
                &[5],
            ),
            (
                "florin-sandbox",
                "[dependencies]\nserde = \"1\"\n[build-dependencies]\nflorin-config = {}\n",
                &[6],
            ),
            (
                "florin-api",
                "[dev-dependencies]\nflorin-adapters.workspace = true\n",
                &[],
            ),
            (
                "florin",
                "[dependencies]\nflorin-adapters = {}\nflorin-load = {}\n",
                &[],
            ),
            (
                "xtask",
                "[dependencies]\nflorin-domain = {}\nflorin = {}\n",
                &[5, 4],
            ),
        ];
        for (name, dependencies, expected) in rows {
            assert_eq!(lines(name, dependencies), expected, "{name}: {dependencies}");
        }
    }

    #[test]
    fn a_crate_without_a_row_is_found() {
        assert_eq!(lines("florin-warehouse", ""), [1]);
    }
}
