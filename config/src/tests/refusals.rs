//! Everything that is refused, in the words that people will read.

use super::{PRODUCTION, variables};
use crate::{Mode, Settings};
use std::fs;
use tempfile::TempDir;

/// A file, variables, a mode, and the whole error text.
struct Case(&'static str, &'static [(&'static str, &'static str)], Mode, &'static str);

const FILES: &[Case] = &[
    Case("listn = \"127.0.0.1:1\"", &[], Mode::Dev, "florin.toml sets `listn`, which does not exist; the nearest key is `listen`"),
    Case("[limits]\nin_flight = 5", &[], Mode::Dev, "florin.toml sets `limits.in_flight`, which does not exist; the nearest key is `limits.in_flight_max`"),
    Case("[limit]\nin_flight_max = 5", &[], Mode::Dev, "florin.toml sets `limit.in_flight_max`, which does not exist; the nearest key is `limits.in_flight_max`"),
    Case("[stage]", &[], Mode::Dev, "florin.toml sets `stage`, which does not exist; the nearest key is `stages`"),
    Case("\"limits.in_flight_max\" = 5", &[], Mode::Dev, "florin.toml sets `\"limits.in_flight_max\"`, which does not exist; the nearest key is `limits.in_flight_max`"),
    Case("[risk.amount_limits]\nUSX = \"1.00\"", &[], Mode::Dev, "florin.toml sets `risk.amount_limits.USX`, which does not exist; the nearest key is `risk.amount_limits.USD`"),
    Case("[risk.amount_limits]\nusd = \"1.00\"", &[], Mode::Dev, "florin.toml sets `risk.amount_limits.usd`, which does not exist; the nearest key is `risk.amount_limits.AED`"),
    Case("[[provider]]\nid = \"a\"\nurl = \"x\"", &[], Mode::Dev, "florin.toml sets `provider.a.url`, which does not exist; the nearest key is `provider.a.id`"),
];

/// What the program says, with the file under a name that does not depend on the machine.
fn refusal(text: &str, env: &[(&str, &str)], mode: Mode) -> String {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("florin.toml");
    fs::write(&file, text).unwrap();
    fs::write(folder.path().join("empty"), "\n").unwrap();
    fs::write(folder.path().join("short"), "0a0b").unwrap();
    let here = format!("{}/", folder.path().display());
    let text = text.replace("HERE/", &here);
    fs::write(&file, text).unwrap();
    let error = Settings::load(Some(&file), &variables(env), mode).expect_err("it should have been refused");
    error.to_string().replace(&here, "")
}
