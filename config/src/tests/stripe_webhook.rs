//! The secrets of Stripe's webhooks: one or several, for a Stripe only, and never shown.

use super::load;
use crate::{Mode, ProviderSettings, Secret};

fn stripe(more: &str) -> String {
    format!(
        "[[provider]]\nkind = \"stripe\"\nid = \"stripe\"\nbase_url = \"https://api.stripe.com\"\nsecret_key = \"sk_test_1\"\n{more}"
    )
}

fn secrets(provider: &ProviderSettings) -> Vec<&str> {
    provider.webhook_secrets.iter().map(Secret::expose).collect()
}

#[test]
fn one_secret_or_several_are_taken_from_the_file_or_the_variable_and_are_not_shown() {
    let file = stripe("webhook_secrets = \"whsec_canary_1,whsec_canary_2\"\n");
    let settings = load(&file, &[], Mode::Serve).unwrap();
    assert_eq!(
        secrets(&settings.providers[0]),
        ["whsec_canary_1", "whsec_canary_2"]
    );
    let shown = settings.describe();
    assert!(
        !shown.contains("canary") && !format!("{settings:?}").contains("canary"),
        "{shown}"
    );
    let env = [("FLORIN_PROVIDER_STRIPE_WEBHOOK_SECRETS", "whsec_canary_3")];
    let settings = load(&file, &env, Mode::Serve).unwrap();
    assert_eq!(secrets(&settings.providers[0]), ["whsec_canary_3"]);
    let settings = load(&stripe(""), &[], Mode::Serve).unwrap();
    assert!(settings.providers[0].webhook_secrets.is_empty());
}

#[test]
fn secrets_that_are_too_short_or_too_many_or_of_another_kind_are_refused_by_their_key() {
    let many = ["whsec_canary"; 5].join(",");
    for wrong in [
        "whsec_1",
        "whsec_canary,",
        ",whsec_canary",
        many.as_str(),
        "whsec canary",
    ] {
        let file = stripe(&format!("webhook_secrets = \"{wrong}\"\n"));
        let error = load(&file, &[], Mode::Serve).unwrap_err().to_string();
        assert!(
            error.contains("provider.stripe.webhook_secrets"),
            "{wrong}: {error}"
        );
        assert!(!error.contains("canary"), "{error}");
    }
    let adyen = "[[provider]]\nkind = \"adyen\"\nid = \"adyen\"\nbase_url = \"https://checkout-test.adyen.com\"\nwebhook_secrets = \"whsec_canary\"\n";
    let error = load(adyen, &[], Mode::Serve).unwrap_err().to_string();
    assert!(
        error.contains("`provider.adyen.webhook_secrets`") && !error.contains("canary"),
        "{error}"
    );
}
