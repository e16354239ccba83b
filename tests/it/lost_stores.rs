//! Stores beside the journal that are gone: no node begins them anew as if they had never been.

use crate::deployment::Dev;
use crate::process::run;
use serde_json::json;
use std::fs;
use std::path::Path;

const STORES: [&str; 3] = ["vault.db", "links.db", "webhooks.db"];

fn move_all(name: &str, from: &Path, to: &Path) {
    for end in ["", "-wal", "-shm"] {
        let name = format!("{name}{end}");
        if from.join(&name).exists() {
            fs::rename(from.join(&name), to.join(&name)).unwrap();
        }
    }
}

#[test]
fn a_store_that_is_lost_refuses_the_start_until_it_is_back_or_given_up() {
    let (folder, dev) = Dev::fresh(&[]);
    let terms = json!({"amount": 2_500, "currency": "EUR", "single_use": true});
    let link = dev
        .merchant()
        .post("link", "/v1/payment_links", &terms)
        .expect(200)
        .json();
    let link = format!("/v1/payment_links/{}", link["id"].as_str().unwrap());
    dev.stop();
    let elsewhere = tempfile::tempdir().unwrap();
    let begun = folder.path().join("stores_begun");
    for name in STORES {
        assert!(
            fs::read_to_string(&begun)
                .unwrap()
                .lines()
                .any(|line| line == name)
        );
        move_all(name, folder.path(), elsewhere.path());
        let refused = run(&["dev"], folder.path(), &[]);
        assert!(!refused.status.success(), "{refused:?}");
        let said = [name, "it was here and is gone", begun.to_str().unwrap()];
        assert!(
            said.iter().all(|part| refused.stderr.contains(part)),
            "{refused:?}"
        );
        assert!(!folder.path().join(name).exists(), "{name}");
        move_all(name, elsewhere.path(), folder.path());
    }
    let dev = Dev::start(folder.path(), &[]);
    assert_eq!(dev.merchant().read(&link)["amount"], 2_500);
    dev.stop();
    move_all("links.db", folder.path(), elsewhere.path());
    fs::write(&begun, "vault.db\nwebhooks.db\n").unwrap();
    let dev = Dev::start(folder.path(), &[]);
    assert_eq!(dev.merchant().get(&link).status, 404);
    dev.stop();
}

#[test]
fn a_folder_of_an_earlier_release_goes_on_with_its_stores() {
    let (folder, dev) = Dev::fresh(&[]);
    let terms = json!({"amount": 2_500, "currency": "EUR"});
    let link = dev
        .merchant()
        .post("link", "/v1/payment_links", &terms)
        .expect(200)
        .json();
    dev.stop();
    fs::remove_file(folder.path().join("stores_begun")).unwrap();
    let dev = Dev::start(folder.path(), &[]);
    let path = format!("/v1/payment_links/{}", link["id"].as_str().unwrap());
    assert_eq!(dev.merchant().read(&path)["id"], link["id"]);
    dev.stop();
    assert_eq!(
        fs::read_to_string(folder.path().join("stores_begun")).unwrap(),
        "vault.db\nlinks.db\nwebhooks.db\n"
    );
}
