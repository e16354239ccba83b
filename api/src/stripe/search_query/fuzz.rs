//! Queries that were changed: each is read, within its bounds, or refused in a sentence that says where.

use super::*;
use florin_fuzz::{Target, any_of};

#[test]
fn queries_are_read_or_refused_by_name() {
    let seeds = [
        "status:\"succeeded\" AND metadata[\"order_id\"]:\"6735\"",
        "-currency:'usd' created>=1795255200 amount<10000",
        "customer~\"us_\" OR -metadata['k']:null or customer:null",
        "metadata[\"a\\\"b\\\\\"]~'käse' amount:7",
    ];
    let words = [
        "AND ",
        " OR ",
        "\"",
        "'",
        "\\",
        "metadata[\"",
        "\"]:",
        "null",
        ">=",
        "<",
        "~",
        "-",
        ":",
        " ",
        "é",
        "99999999999999999999",
    ];
    let target = Target::of_text("stripe_search", any_of(seeds))
        .words(words)
        .cases(20_000);
    target.run(|bytes| {
        let Ok(query) = str::from_utf8(bytes) else { return };
        match read(query) {
            Ok(search) => {
                assert!((1..=CLAUSES_MAX).contains(&search.clauses.len()), "{query}");
                // Whatever is found is within the times that are looked at.
                assert!(
                    search.joined == Joined::All || search.created_s().is_none(),
                    "{query}"
                );
            }
            Err(Invalid { param, message, .. }) => {
                assert_eq!(param.as_deref(), Some("query"), "{query}");
                assert!(
                    message.ends_with('.') && message.len() < 500,
                    "{query}: {message}"
                );
            }
        }
    });
}
