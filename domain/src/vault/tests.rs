//! How a profile is changed.

use super::*;

fn said(pairs: &[(&str, &str)]) -> Profile {
    let pairs = pairs
        .iter()
        .map(|(place, text)| ((*place).to_owned(), (*text).to_owned()));
    Profile(pairs.collect())
}

#[test]
fn an_empty_text_takes_away_what_is_there_and_below() {
    let mut profile = said(&[
        ("name", "Jane"),
        ("metadata[a]", "1"),
        ("metadata[b]", "2"),
        ("metadata2[c]", "3"),
    ]);
    profile.change(said(&[
        ("name", ""),
        ("metadata[a]", "4"),
        ("email", "j@example.com"),
    ]));
    assert_eq!(
        profile,
        said(&[
            ("email", "j@example.com"),
            ("metadata[a]", "4"),
            ("metadata[b]", "2"),
            ("metadata2[c]", "3")
        ])
    );
    assert_eq!(
        profile.below("metadata").collect::<Vec<_>>(),
        [("a", "4"), ("b", "2")]
    );
    profile.change(said(&[("metadata", "")]));
    assert_eq!(
        profile,
        said(&[("email", "j@example.com"), ("metadata2[c]", "3")])
    );
    assert_eq!(format!("{profile:?}"), "Profile(2 texts)");
}
