//! A provider of the kind "adyen": what it needs, what it takes, and that its secrets stay inside.

use super::{HEX, load};
use crate::Mode;

fn adyen(base_url: &str, more: &str) -> String {
    format!("[[provider]]\nkind = \"adyen\"\nid = \"adyen\"\nbase_url = \"{base_url}\"\n{more}")
}

fn whole() -> String {
    format!("merchant_account = \"ShopNL\"\napi_key = \"AQEabc\"\nhmac_key = \"{HEX}\"\n")
}

#[test]
fn an_account_is_read_and_its_secrets_are_not_shown() {
    let file = adyen("https://checkout-test.adyen.com/", &whole());
    let env = [("FLORIN_PROVIDER_ADYEN_API_KEY", "AQEdef")];
    let settings = load(&file, &env, Mode::Serve).unwrap();
    let provider = &settings.providers[0];
    let account = provider.adyen.as_ref().unwrap();
    assert_eq!(
        (
            provider.base_url.as_str(),
            provider.secret_key.expose(),
            account.merchant_account.as_str(),
            account.hmac_key.expose()
        ),
        ("https://checkout-test.adyen.com", "AQEdef", "ShopNL", HEX)
    );
    let shown = settings.describe();
    assert!(
        shown.contains("ShopNL") && !shown.contains("AQE") && !shown.contains(HEX),
        "{shown}"
    );
}

#[test]
fn the_sandbox_plays_it_below_its_own_address() {
    let mut settings = load(&adyen("http://127.0.0.1:9090/adyen", &whole()), &[], Mode::Dev).unwrap();
    settings.sandbox_bound("127.0.0.1:4711".parse().unwrap());
    assert_eq!(settings.providers[0].base_url, "http://127.0.0.1:4711/adyen");
    assert!(settings.is_sandboxed(&settings.providers[0]));
    let elsewhere = load(&adyen("http://127.0.0.1:90901/adyen", &whole()), &[], Mode::Dev);
    assert!(!elsewhere.is_ok_and(|settings| settings.is_sandboxed(&settings.providers[0])));
}

#[test]
fn what_is_missing_or_does_not_belong_is_named() {
    let here = "http://localhost:9090/adyen";
    let without = |field: &str| -> String {
        let lines = whole();
        lines
            .lines()
            .filter(|line| !line.starts_with(field))
            .fold(String::new(), |text, line| text + line + "\n")
    };
    let table = [
        (
            adyen(here, &without("merchant_account")),
            "`provider.adyen.merchant_account`",
        ),
        (adyen(here, &without("api_key")), "`provider.adyen.api_key`"),
        (adyen(here, &without("hmac_key")), "`provider.adyen.hmac_key`"),
        (
            adyen(here, &(whole() + "secret_key = \"sk_test_1\"\n")),
            "`provider.adyen.secret_key`",
        ),
        (
            adyen(here, &whole().replace(HEX, &format!("{HEX}00"))),
            "`provider.adyen.hmac_key`",
        ),
        (
            adyen(here, &whole().replace(HEX, "xyz")),
            "`provider.adyen.hmac_key`",
        ),
        (
            adyen("http://checkout.example", &whole()),
            "`provider.adyen.base_url`",
        ),
        (
            adyen("https://1797-checkout-live.adyenpayments.com", &whole()),
            "`provider.adyen.base_url`",
        ),
        (
            adyen(here, &whole()).replace("\"adyen\"\nid", "\"stripe\"\nid"),
            "`provider.adyen.merchant_account`",
        ),
    ];
    for (file, field) in table {
        let error = load(&file, &[], Mode::Dev).unwrap_err().to_string();
        assert!(error.contains(field), "{file}: {error}");
        assert!(!error.contains("AQEabc") && !error.contains("xyz"), "{error}");
    }
}
