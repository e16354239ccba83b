//! What endpoints want, and who signs.

use super::*;

fn names(names: &[&str]) -> Vec<Arc<str>> {
    names.iter().map(|name| Arc::from(*name)).collect()
}

#[test]
fn wanted_events_are_named_in_either_shape_by_their_beginning_or_all_together() {
    let wanted = WantedEvents::read(names(&["payment_intent.succeeded", "refund.*"])).unwrap();
    for kind in AnnouncementKind::ALL {
        let is_meant = *kind == AnnouncementKind::Succeeded || kind.native().starts_with("refund.");
        assert_eq!(wanted.kinds.has(*kind), is_meant, "{kind:?}");
    }
    assert_eq!(
        WantedEvents::read(names(&["*"])).unwrap().kinds,
        AnnouncementKinds::ALL
    );
}

#[test]
fn a_name_that_names_nothing_is_said_by_its_place() {
    assert_eq!(WantedEvents::read(names(&["refund.*", "refund"])), Err(1));
    assert_eq!(WantedEvents::read(Vec::new()), Err(0));
    let many = vec![Arc::from("*"); WANTED_NAMES_MAX + 1];
    assert_eq!(WantedEvents::read(many), Err(WANTED_NAMES_MAX + 1));
}

#[test]
fn only_answers_in_the_two_hundreds_are_deliveries() {
    let delivered = |status| DeliveryOutcome::Status(status).is_delivered();
    let answers = [100, 199, 200, 204, 299, 300, 301, 404, 410, 429, 500];
    assert_eq!(
        answers.map(delivered),
        [
            false, false, true, true, true, false, false, false, false, false, false
        ]
    );
    assert!(!DeliveryOutcome::Unanswered(Arc::from("nobody")).is_delivered());
}

#[test]
fn the_secret_before_signs_until_its_time_and_no_secret_shows_itself() {
    let secret = |text: &str| SigningSecret(Zeroizing::new(text.to_owned()));
    let until = Timestamp::from_unix_ms(1000);
    let secrets = EndpointSecrets {
        current: secret("whsec_new"),
        previous: Some((secret("whsec_old"), until)),
    };
    let signing = |ms| {
        secrets
            .signing(Timestamp::from_unix_ms(ms))
            .map(|one| one.0.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(signing(999), ["whsec_new", "whsec_old"]);
    assert_eq!(signing(1000), ["whsec_new"]);
    assert!(!format!("{secrets:?}").contains("whsec"));
}
