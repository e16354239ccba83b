//! Clients that are made of `docs/openapi.json`, as docs/clients.md says, and a merchant's program with each, against Florin. Nothing of them is
//! written by hand, so that what is awkward in them is mended in the document.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::contract::Server;
use crate::node;
use crate::python::{self, Wanted, call};
use crate::sdk::run_command;

const PYTHON: Wanted = Wanted {
    package: "openapi-python-client",
    requirements: "xtask/sdk/clients/requirements.txt",
    given: "FLORIN_CLIENTS_PYTHON",
};
const TYPESCRIPT: node::Pinned = node::Pinned {
    what: "openapi-typescript",
    files: "xtask/sdk/clients",
};
const PYTHON_PROGRAM: &str = "tests/sdk/clients/merchant.py";
const TYPESCRIPT_PROGRAM: &str = "tests/sdk/clients/merchant.ts";
const TYPESCRIPT_OPTIONS: &str = "xtask/sdk/clients/tsconfig.json";

/// What makes each client: the words that docs/clients.md shows, but for the last, which is where it goes.
const MAKE_PYTHON: &str = "openapi-python-client generate --path docs/openapi.json --config xtask/sdk/clients/python.yml --meta none --fail-on-warning --output-path";
const MAKE_TYPESCRIPT: &str = "openapi-typescript docs/openapi.json --output";

/// Makes both below the folder, and has each speak to a fresh `florin dev`.
pub(crate) fn run(root: &Path, folder: &Path, binary: &Path, data: &Path) -> Result<()> {
    let folder = folder.join("clients");
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let python = python::with(root, &folder, PYTHON)?;
    let (node, place) = node::with(root, &folder, TYPESCRIPT)?;
    for made in ["made-python", "made-typescript"].map(|name| folder.join(name)) {
        drop(fs::remove_dir_all(&made));
        fs::create_dir_all(&made).with_context(|| format!("{} cannot be made", made.display()))?;
    }
    let made = folder.join("made-python");
    make_python(root, &python, &made)?;
    let mut program = Command::new(python);
    program.arg(root.join(PYTHON_PROGRAM)).env("PYTHONPATH", made);
    speak(&mut program, PYTHON_PROGRAM, binary, data)?;
    let made = folder.join("made-typescript");
    make_typescript(root, &node, &place, &made)?;
    let mut program = Command::new(node);
    program.arg(made.join("out/merchant.js"));
    speak(&mut program, TYPESCRIPT_PROGRAM, binary, data)
}

/// Has a program talk to a fresh `florin dev`.
fn speak(program: &mut Command, path: &str, binary: &Path, data: &Path) -> Result<()> {
    let server = Server::start(binary, data)?;
    run_command(program.arg(format!("http://{}", server.address)), path)?;
    server.end(data)
}

fn make_python(root: &Path, python: &Path, made: &Path) -> Result<()> {
    let client = made.join("florin_client");
    call(
        Command::new(python)
            .args(["-m", "openapi_python_client"])
            .args(MAKE_PYTHON.split(' ').skip(1))
            .arg(&client)
            .current_dir(root),
    )?;
    call(Command::new(python).args(["-m", "compileall", "-q"]).arg(&client))
}

fn make_typescript(root: &Path, node: &Path, place: &Path, made: &Path) -> Result<()> {
    call(
        Command::new(node)
            .arg(place.join("node_modules/openapi-typescript/bin/cli.js"))
            .args(MAKE_TYPESCRIPT.split(' ').skip(1))
            .arg(made.join("florin.d.ts"))
            .current_dir(root),
    )?;
    // The compiler looks for packages beside and above what it reads.
    std::os::unix::fs::symlink(place.join("node_modules"), made.join("node_modules"))
        .context("node_modules cannot be linked")?;
    for (from, to) in [
        (TYPESCRIPT_PROGRAM, "merchant.ts"),
        (TYPESCRIPT_OPTIONS, "tsconfig.json"),
        ("xtask/sdk/clients/package.json", "package.json"),
    ] {
        fs::copy(root.join(from), made.join(to)).with_context(|| format!("{from} cannot be copied"))?;
    }
    // Nothing is written when a type is wrong.
    call(
        Command::new(node)
            .arg(place.join("node_modules/typescript/bin/tsc"))
            .args(["--strict", "--project"])
            .arg(made),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str) -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        fs::read_to_string(root.join(path)).unwrap()
    }

    #[test]
    fn the_page_shows_the_commands_and_versions_that_this_stage_uses() {
        let page = read("docs/clients.md");
        assert!(page.contains(&format!("{MAKE_PYTHON} ")) && page.contains(&format!("{MAKE_TYPESCRIPT} ")));
        let requirements = read(PYTHON.requirements);
        let pinned = requirements.lines().find(|line| line.starts_with(PYTHON.package));
        let pinned = pinned.unwrap().trim_end_matches(" \\");
        assert!(page.contains(pinned), "{pinned}");
        let package = read("xtask/sdk/clients/package.json");
        for name in ["openapi-typescript", "openapi-fetch", "typescript"] {
            let version = package
                .split(&format!("\"{name}\": \""))
                .nth(1)
                .and_then(|rest| rest.split('"').next());
            let pinned = format!("{name}@{}", version.unwrap());
            assert!(page.contains(&pinned), "{pinned}");
        }
    }
}
