//! Configuration files that were changed: they are settings that hold together, or one error that says where.

use super::*;
use crate::templates::{self, RawTemplate};
use florin_fuzz::{Target, any_of};

/// Where a secret stands in the file.
const SECRET: &str = "\nsecret_key = \"sk_live_abc\"\n";
const TEMPLATES: &str = r#"
[[ledger.templates]]
name = "split"
description = "A sale with commission"
roles = { merchant_receivable = "asset", merchant_payable = "liability", fees = "revenue" }
parameters = { all = "gross", ours = "fee" }
derived = { theirs = "all - ours" }
lines = [
  { role = "merchant_receivable", side = "debit", amount = "all" },
  { role = "merchant_payable", side = "credit", amount = "theirs" },
  { role = "fees", side = "credit", amount = "ours" },
]
"#;

#[test]
fn files_are_settings_or_one_error_that_says_where() {
    let seeds = [
        reference_in_effect(),
        PRODUCTION.to_owned(),
        format!("{PRODUCTION}{TEMPLATES}"),
    ];
    let words = [
        "[",
        "]]",
        "[[provider]]",
        "[[ledger.templates]]",
        "id = \"stripe\"\n",
        "\"***\"",
        "1979-05-27",
        "nan",
        "0x10",
        "{a=1}",
    ];
    let target = Target::of_text("config_file", any_of(seeds)).words(words);
    target.memory(4 << 20, 512).cases(600).run(|bytes| {
        let Ok(text) = str::from_utf8(bytes) else { return };
        for mode in [Mode::Dev, Mode::Serve] {
            match load(text, &[], mode) {
                Ok(settings) => {
                    assert!(!settings.providers.is_empty());
                    let is_hidden = text.matches("sk_live_abc").count() == text.matches(SECRET).count();
                    let shown = settings.describe();
                    assert!(
                        !(is_hidden && shown.contains("sk_live_abc")),
                        "a secret is shown: {shown}"
                    );
                }
                Err(error) => {
                    let said = error.to_string();
                    assert!(!said.is_empty(), "{said}");
                    // Unless the file has it in another place as well.
                    let is_hidden = text.matches("sk_live_abc").count() == text.matches(SECRET).count();
                    assert!(
                        !(is_hidden && said.contains("sk_live_abc")),
                        "a secret is shown: {said}"
                    );
                }
            }
        }
    });
}

#[test]
fn templates_are_read_or_refused_where_they_are_wrong() {
    let words = [
        "all",
        "ours",
        "theirs",
        "all - ours",
        "all + all",
        "-",
        "\"gross\"",
        "\"other\"",
        "role",
        "side",
        "\"debit\"",
    ];
    let target = Target::of_text("ledger_templates", any_of([TEMPLATES])).words(words);
    target.memory(4 << 20, 512).cases(10_000).run(|bytes| {
        let Ok(text) = str::from_utf8(bytes) else { return };
        let Ok(mut table) = text.parse::<Table>() else {
            return;
        };
        let list = table
            .get_mut("ledger")
            .and_then(|ledger| ledger.as_table_mut()?.remove("templates"));
        let Some(list) = list else { return };
        let read = templates::read("florin.toml", &list);
        let checked = read.and_then(|read| {
            read.iter()
                .map(RawTemplate::checked)
                .collect::<Result<Vec<_>, _>>()
        });
        if let Err(error) = checked {
            let said = error.to_string();
            assert!(said.contains("ledger.templates"), "{said}");
        }
    });
}
