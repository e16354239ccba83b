//! Routing rules at the start, and what is refused of them.

use super::refusals::refusal;
use super::{PRODUCTION, load};
use crate::{Mode, RoutingProfile, Settings};
use florin_domain::routing::Program;

/// Production with these providers as well.
fn with_providers(names: &[&str], rest: &str) -> String {
    let provider = |name: &&str| {
        format!(
            "[[provider]]\nkind = \"stripe\"\nid = \"{name}\"\nbase_url = \"http://x.example\"\nsecret_key = \"rk_test_{name}\"\n"
        )
    };
    let providers: Vec<String> = names.iter().map(provider).collect();
    format!("{rest}\n{}", providers.concat())
}

#[test]
fn rules_of_the_file_are_in_force_until_operators_put_others() {
    let settings: Settings = load("", &[], Mode::Dev).unwrap();
    assert_eq!(*settings.actors.routing, Program::default());
    let text = "[routing]\nrules = '''\n# all of them\nvisa: brand is visa -> stripe\nrest: otherwise -> score\n'''\n";
    let settings = load(text, &[], Mode::Dev).unwrap();
    assert_eq!(
        settings.actors.routing.to_string(),
        "visa: brand is visa -> stripe\nrest: otherwise -> score\n"
    );
    let described = settings.describe().replace("***", "sk_test_x");
    let again = load(&described, &[], Mode::Dev).unwrap();
    assert_eq!(again.actors.routing, settings.actors.routing, "{described}");
    let variable = [("FLORIN_ROUTING_RULES", "a: otherwise -> stripe")];
    let settings = load(text, &variable, Mode::Dev).unwrap();
    assert_eq!(settings.actors.routing.rules().len(), 1);
}

#[test]
fn rules_that_are_none_or_name_a_stranger_are_refused_with_their_place() {
    let cases = [
        (
            "visa: brand is visa",
            "`routing.rules`, line 2, column 20: found the end of the line, expected `and`, `or` or `->`",
        ),
        (
            "visa: brand is visa -> stripe\nmc: brand is mastercard -> adyen",
            "`routing.rules`, line 3, column 28: the rule `mc` names the provider `adyen`, which is not configured; configured: stripe",
        ),
    ];
    for (rules, expected) in cases {
        let text = format!("[routing]\nrules = '''\n#\n{rules}'''\n");
        assert_eq!(refusal(&text, &[], Mode::Dev), expected);
    }
}

#[test]
fn the_seeds_table_needs_its_six_providers() {
    let seed = "[routing]\nprofile = \"seed\"\n";
    assert_eq!(
        refusal(seed, &[], Mode::Dev),
        "`routing.profile` is \"seed\", but the rule `mastercard` names the provider `adyen`, which is not configured; \
         configured: stripe"
    );
    let mut names = vec!["stripe", "adyen", "apple_pay", "plaid", "mollie", "wise"];
    let settings = load(&with_providers(&names, seed), &[], Mode::Dev).unwrap();
    assert_eq!(settings.routing_profile, RoutingProfile::Seed);
    assert_eq!(settings.actors.routing.rules().len(), 6);
    names.pop();
    let without_wise = refusal(&with_providers(&names, seed), &[], Mode::Dev);
    assert!(
        without_wise.contains("the rule `international` names the provider `wise`"),
        "{without_wise}"
    );
    let both = format!("{seed}rules = \"a: otherwise -> stripe\"\n");
    assert_eq!(
        refusal(&both, &[], Mode::Dev),
        "`routing.rules` is set, but `routing.profile` is \"seed\", which has rules of its own"
    );
    assert!(load(PRODUCTION, &[], Mode::Serve).is_ok());
}
