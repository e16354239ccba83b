//! Owns small libraries that stand between a process and its system: built with the C compiler that the product needs as well, and loaded before the
//! C library.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The built library of a source below this folder. Called once for each.
pub(crate) fn build(source: &str) -> PathBuf {
    let name = Path::new(source).file_stem().unwrap().to_str().unwrap();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let ours = folder.join(format!("{name}-{}.so", std::process::id()));
    let for_all = folder.join(format!("{name}.so"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it")
        .join(source);
    let built = Command::new("cc")
        .args(["-O1", "-shared", "-fPIC", "-o"])
        .arg(&ours)
        .arg(source)
        .arg("-lpthread")
        .output()
        .expect("a C compiler, which building Florin needs as well");
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    // Another process may use the one that is there: it keeps the file that it opened.
    fs::rename(ours, &for_all).unwrap();
    for_all
}
