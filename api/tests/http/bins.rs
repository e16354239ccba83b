//! What the first digits of a card say, and who may ask.

use crate::world::World;
use serde_json::json;

const MERCHANT: Option<&str> = Some("sk_test_a");

#[test]
fn a_bin_is_told_to_whoever_has_a_key() {
    let world = World::start();
    let expected = json!({
        "object": "card_bin", "bin": "378282", "brand": "amex", "length": [15], "luhn": true, "country": null,
    });
    for key in ["sk_test_a", "ok_test_op"] {
        let answer = world.get("/v1/bins/378282", Some(key));
        assert_eq!((answer.status, answer.json()), (200, expected.clone()), "{key}");
    }
    let stranger = world.get("/v1/bins/378282", None);
    assert_eq!(
        (stranger.status, stranger.error("code")),
        (401, "api_key_invalid".to_owned())
    );
    let unknown = world.get("/v1/bins/00000000", MERCHANT);
    let nothing = json!({
        "object": "card_bin", "bin": "00000000", "brand": null, "length": [], "luhn": true, "country": null,
    });
    assert_eq!((unknown.status, unknown.json()), (200, nothing));
    let head = world.send("HEAD", "/v1/bins/378282", MERCHANT, &[], b"");
    assert_eq!((head.status, head.body.len()), (200, 0));
    let posted = world.send("POST", "/v1/bins/378282", MERCHANT, &[], b"");
    assert_eq!((posted.status, posted.header("allow")), (405, Some("GET, HEAD")));
    world.stop();
}

#[test]
fn what_is_no_bin_is_refused_by_name_and_never_repeated() {
    let world = World::start();
    for bin in [
        "37828",
        "378282246",
        "378282246310005",
        "4242424242424242",
        "42424x",
        "424-242",
        "%204242424",
        "%EF%BC%94242424",
        "-424242",
    ] {
        let answer = world.get(&format!("/v1/bins/{bin}"), MERCHANT);
        assert_eq!(answer.status, 400, "{bin}: {answer:?}");
        let told = [answer.error("code"), answer.error("param")];
        assert_eq!(told, ["parameter_invalid", "bin"], "{bin}");
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(!text.contains(bin), "{text}");
    }
    let asked = world.get("/v1/bins/378282?country=US", MERCHANT);
    assert_eq!((asked.status, asked.error("param")), (400, "country".to_owned()));
    assert_eq!(world.get("/v1/bins/", MERCHANT).status, 404);
    world.stop();
}
