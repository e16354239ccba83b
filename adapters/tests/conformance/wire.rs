//! Answers that are none: what may have been sent is unknown, whoever answered, and only the provider's own words are a refusal.

use crate::peer::{Act, Peer, answer, nobody};
use crate::stage::{APPROVED, Stage, attempt};
use crate::subject::{Class, Subject};
use florin_domain::payment::OperationKind;
use florin_domain::ports::{AttemptRequest, Provider};
use florin_domain::provider::Outcome;
use std::net::SocketAddr;

/// Beyond what any adapter takes.
const HUGE_BYTES: usize = 2 * 1024 * 1024;
const HTML: &str = "<html><head><title>Bad gateway</title></head><body><center>nginx</center></body></html>";
const HTML_TYPE: &str = "content-type: text/html\r\n";

struct Situation {
    name: &'static str,
    act: Act,
    expected: Class,
    is_patient: bool,
}

fn situations(subject: &Subject, elsewhere: SocketAddr) -> Vec<Situation> {
    let situation = |name, act, expected| Situation {
        name,
        act,
        expected,
        is_patient: true,
    };
    let raw = |text: &str| Act::Answer(text.as_bytes().to_vec());
    let own = |status| answer(status, "", &(subject.refusal)(status));
    let huge = "x".repeat(HUGE_BYTES);
    let chunked = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n{HUGE_BYTES:x}\r\n{huge}\r\n0\r\n\r\n"
    );
    let location = format!("location: http://{elsewhere}/\r\n");
    vec![
        situation("closed before the answer", Act::Close, Class::Unknown),
        situation(
            "closed before anything was read",
            Act::CloseUnread,
            Class::Unknown,
        ),
        Situation {
            is_patient: false,
            ..situation("silent beyond the time limit", Act::Silence, Class::Unknown)
        },
        situation(
            "another language",
            raw("220 mail.example ESMTP\r\n"),
            Class::Unknown,
        ),
        situation(
            "half an answer",
            raw("HTTP/1.1 200 OK\r\ncontent-length: 400\r\n\r\n{\"id\":"),
            Class::Unknown,
        ),
        situation(
            "half a refusal",
            raw("HTTP/1.1 401 No\r\ncontent-length: 400\r\n\r\n{\"error\":"),
            Class::Unknown,
        ),
        situation("garbage", answer(200, "", "{]"), Class::Unknown),
        situation("nothing", answer(200, "", ""), Class::Unknown),
        situation("no content", answer(204, "", ""), Class::Unknown),
        situation("an object of nobody", answer(200, "", "{}"), Class::Unknown),
        situation("null", answer(200, "", "null"), Class::Unknown),
        situation("no UTF-8", Act::Answer(not_text()), Class::Unknown),
        situation("over the limit", answer(200, "", &huge), Class::Unknown),
        situation("over the limit in pieces", raw(&chunked), Class::Unknown),
        situation("moved", answer(302, &location, ""), Class::Unknown),
        situation("moved for good", answer(308, &location, ""), Class::Unknown),
        situation("an edge's 502", answer(502, HTML_TYPE, HTML), Class::Unknown),
        situation("an edge's 504", answer(504, HTML_TYPE, HTML), Class::Unknown),
        situation("an edge's 403", answer(403, HTML_TYPE, HTML), Class::Unknown),
        situation("an edge's 404", answer(404, HTML_TYPE, HTML), Class::Unknown),
        situation("its own 500", own(500), Class::Unknown),
        situation("its own 503", own(503), Class::Unknown),
        situation("its own 409", own(409), Class::Unknown),
        situation("its own 401", own(401), Class::Rejected),
        situation("its own 403", own(403), Class::Rejected),
        situation(
            "too fast",
            answer(429, "retry-after: 7\r\n", ""),
            Class::RateLimited,
        ),
    ]
}

fn not_text() -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\n\"\xff\xfe\"".to_vec()
}

/// Every operation, and the making of what it confirms, in every situation.
pub(crate) async fn is_read_as_it_must_be(subject: &Subject) {
    if subject.is_unwritten() {
        return;
    }
    let elsewhere = Peer::start(Act::Close);
    for kind in subject.operations.iter().copied() {
        let stage = Stage::set(subject).await;
        let request = stage.attempt(kind, APPROVED).await;
        let outcome = stage.before(nobody()).execute(&request).await;
        assert_eq!(
            Class::of(&outcome),
            Class::NotSent,
            "{kind:?}, refused: {outcome:?}"
        );
        for situation in situations(subject, elsewhere.address) {
            meets(&stage, situation, &request).await;
        }
        stage.strike().await;
    }
    assert_eq!(elsewhere.stop().await, 0, "a redirection was followed");
}

async fn meets(stage: &Stage, situation: Situation, request: &AttemptRequest) {
    let name = format!("{:?}, {}", request.kind, situation.name);
    let peer = Peer::start(situation.act);
    let provider = if situation.is_patient {
        stage.before(peer.address)
    } else {
        stage.impatient_before(peer.address)
    };
    let outcome = provider.execute(request).await;
    assert_eq!(Class::of(&outcome), situation.expected, "{name}: {outcome:?}");
    if let Outcome::RateLimited { retry_after } = outcome {
        assert_eq!(retry_after.0, 7_000, "{name}");
    }
    making_is_read_alike(&*provider, request.kind, situation.expected, &name).await;
    questions_decide_nothing(&*provider, request, &name).await;
    drop(provider);
    assert!(peer.stop().await > 0, "{name}: nothing was sent");
}

async fn making_is_read_alike(provider: &dyn Provider, kind: OperationKind, expected: Class, name: &str) {
    let charges = matches!(kind, OperationKind::Sale | OperationKind::Authorize);
    if charges && provider.capabilities().prepares {
        let made = provider.prepare(&attempt(kind, APPROVED)).await;
        let outcome = made.expect_err(name);
        assert_eq!(Class::of(&outcome), expected, "prepare, {name}: {outcome:?}");
    }
}

/// Neither a question nor a closing that came to nothing is a word about the attempt.
async fn questions_decide_nothing(provider: &dyn Provider, request: &AttemptRequest, name: &str) {
    for outcome in [provider.query(request).await, provider.cancel(request).await] {
        let class = Class::of(&outcome);
        assert!(
            matches!(class, Class::Unknown | Class::RateLimited),
            "query or cancel, {name}: {outcome:?}"
        );
    }
}
