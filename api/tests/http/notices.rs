//! What providers send by themselves: who is not believed is told why, by the header or the field.

use crate::world::{Answer, World};
use florin_domain::ports::NoticeReader;
use florin_domain::provider::{Letter, Notice, NoticeRefusal, ProviderId};

/// No provider sends notices here, but one of this name may.
#[derive(Debug)]
pub(crate) struct NoNotices;

impl NoticeReader for NoNotices {
    fn seal(&self, _provider: ProviderId) -> Option<&'static str> {
        Some("Fake-Seal")
    }

    fn read(&self, provider: ProviderId, letter: Letter<'_>) -> Result<Vec<Notice>, NoticeRefusal> {
        let malformed = NoticeRefusal::Malformed {
            field: "notificationItems",
            why: "must be a list",
        };
        let broken = NoticeRefusal::Seal {
            header: "Fake-Seal",
            why: "is broken",
        };
        Err(match (letter.body, letter.seal) {
            _ if provider.as_str() != "fake" => NoticeRefusal::NoSuchProvider,
            (_, Some("broken")) => broken,
            (b"{}", _) => malformed,
            _ => NoticeRefusal::Unsigned,
        })
    }
}

fn send(provider: &str, seal: Option<&str>, body: &str) -> Answer {
    let world = World::start();
    let json = ("Content-Type", "application/json");
    let seal = seal.map(|seal| ("Fake-Seal", seal));
    let headers: Vec<(&str, &str)> = [json].into_iter().chain(seal).collect();
    let path = format!("/v1/providers/{provider}/notices");
    world.send("POST", &path, None, &headers, body.as_bytes())
}

#[test]
fn a_letter_that_is_not_believed_is_refused_by_its_header_or_its_field() {
    for (seal, body, field) in [
        (Some("broken"), "[]", "Fake-Seal"),
        (Some("broken"), "{}", "Fake-Seal"),
        (Some("whole"), "{}", "notificationItems"),
    ] {
        let refused = send("fake", seal, body);
        let error = refused.json()["error"].clone();
        assert_eq!(
            (refused.status, &error["code"]),
            (400, &"parameter_invalid".into()),
            "{refused:?}"
        );
        assert_eq!(error["param"], field, "{refused:?}");
    }
    assert_eq!(send("fake", None, "[]").status, 401);
    assert_eq!(send("other", None, "[]").status, 404);
}
