//! What is executed, how often, and what the adapter lets the core believe of it; against the sandbox, whose witness does not forget.

use crate::peer::{Act, Peer};
use crate::stage::{APPROVED, Stage};
use crate::subject::{Class, Subject};
use florin_domain::payment::OperationKind;
use florin_domain::ports::AttemptRequest;
use florin_domain::provider::Outcome;

const fn charges(kind: OperationKind) -> bool {
    matches!(kind, OperationKind::Sale | OperationKind::Authorize)
}

/// Done, or acknowledged where the record says that notices tell the rest.
fn done(stage: &Stage, kind: OperationKind) -> Class {
    if stage.provider.capabilities().recovery.notifies && !charges(kind) {
        Class::Pending
    } else {
        Class::Succeeded
    }
}

fn expect(kind: OperationKind, name: &str, outcome: &Outcome, expected: Class) {
    assert_eq!(Class::of(outcome), expected, "{kind:?}, {name}: {outcome:?}");
}

/// Twice the same is once, and says the same.
pub(crate) async fn moves_once_under_one_key(subject: &Subject) {
    if subject.is_unwritten() {
        return;
    }
    for kind in subject.operations.iter().copied() {
        let stage = Stage::set(subject).await;
        let request = stage.attempt(kind, APPROVED).await;
        let before = stage.executed(kind).await;
        let first = stage.provider.execute(&request).await;
        expect(kind, "success", &first, done(&stage, kind));
        let again = stage.provider.execute(&request).await;
        assert_eq!(again, first, "{kind:?}, the same key again");
        assert_eq!(stage.executed(kind).await - before, 1, "{kind:?}");
        stage.strike().await;
    }
    let kind = OperationKind::Sale;
    let stage = Stage::set(subject).await;
    let request = stage.attempt(kind, APPROVED).await;
    expect(
        kind,
        "success",
        &stage.provider.execute(&request).await,
        Class::Succeeded,
    );
    let altered = (subject.altered)(request.clone());
    assert_eq!(altered.key, request.key);
    let outcome = stage.provider.execute(&altered).await;
    expect(kind, "the same key for something else", &outcome, subject.reused);
    assert_eq!(stage.executed(kind).await, 1);
    stage.strike().await;
}

/// What the issuer refuses or wants to know more about has charged nothing.
pub(crate) async fn stays_where_it_is_without_consent(subject: &Subject) {
    if subject.is_unwritten() {
        return;
    }
    let kinds = subject.operations.iter().copied();
    for kind in kinds.filter(|kind| charges(*kind)) {
        for (method, expected) in [
            (subject.declined, Class::Declined),
            (subject.challenged, Class::ActionRequired),
        ] {
            let stage = Stage::set(subject).await;
            let request = stage.attempt(kind, method).await;
            for name in ["once", "again"] {
                expect(kind, name, &stage.provider.execute(&request).await, expected);
            }
            assert_eq!(stage.executed(kind).await, 0, "{kind:?}");
            stage.strike().await;
        }
    }
}

/// An answer that was lost is unknown, and the same key finds out without doing it again.
pub(crate) async fn is_found_again_when_the_answer_was_lost(subject: &Subject) {
    if subject.is_unwritten() {
        return;
    }
    for kind in subject.operations.iter().copied() {
        for is_silent in [false, true] {
            let stage = Stage::set(subject).await;
            let request = stage.attempt(kind, APPROVED).await;
            let before = stage.executed(kind).await;
            let (act, name) = if is_silent {
                (
                    Act::ExecuteAndSilence(stage.address()),
                    "slow beyond the time limit",
                )
            } else {
                (Act::ExecuteAndClose(stage.address()), "closed before the answer")
            };
            let peer = Peer::start(act);
            let provider = if is_silent {
                stage.impatient_before(peer.address)
            } else {
                stage.before(peer.address)
            };
            let outcome = provider.execute(&request).await;
            drop(provider);
            peer.stop().await;
            assert_eq!(stage.executed(kind).await - before, 1, "{kind:?}, {name}");
            expect(kind, name, &outcome, Class::Unknown);
            let again = stage.provider.execute(&request).await;
            expect(kind, "and again", &again, done(&stage, kind));
            assert_eq!(stage.executed(kind).await - before, 1, "{kind:?}, {name}, again");
            stage.strike().await;
        }
    }
}

/// Each way in which the provider itself fails: what it says first, and under the same key once it works again.
pub(crate) async fn is_not_lost_sight_of_when_the_provider_fails(subject: &Subject) {
    if subject.is_unwritten() {
        return;
    }
    for kind in subject.operations.iter().copied() {
        for (mode, expected) in [
            ("http_500", Class::Unknown),
            ("http_503", Class::Unknown),
            ("drop_connection", Class::Unknown),
            ("rate_limit", Class::RateLimited),
        ] {
            let stage = Stage::set(subject).await;
            let request = stage.attempt(kind, APPROVED).await;
            let before = stage.executed(kind).await;
            stage.fault(kind, mode).await;
            let outcome = stage.provider.execute(&request).await;
            expect(kind, mode, &outcome, expected);
            stage.clear_faults().await;
            let again = stage.provider.execute(&request).await;
            let moved = stage.executed(kind).await - before;
            is_true(&stage, kind, mode, &again, moved);
            stays_true(&stage, &request, &again, before).await;
            stage.strike().await;
        }
    }
}

/// After a stored error nothing is known; after anything else it is done now.
fn is_true(stage: &Stage, kind: OperationKind, mode: &str, again: &Outcome, moved: usize) {
    let class = Class::of(again);
    let is_stored = mode == "http_500" && stage.provider.capabilities().recovery.stores_errors;
    if is_stored && charges(kind) {
        assert_eq!(class, Class::Unknown, "{kind:?}, the error is stored: {again:?}");
        assert_eq!(moved, 0, "{kind:?}, {mode}");
        return;
    }
    // What comes to the same done once or twice may be repeated without its key, and is done then.
    let is_allowed = class == done(stage, kind) || (is_stored && class == Class::Unknown);
    assert!(is_allowed, "{kind:?}, {mode}, again: {again:?}");
    assert_eq!(
        moved,
        usize::from(class == done(stage, kind)),
        "{kind:?}, {mode}, again"
    );
}

async fn stays_true(stage: &Stage, request: &AttemptRequest, before: &Outcome, executed_before: usize) {
    let once_more = stage.provider.execute(request).await;
    assert_eq!(Class::of(&once_more), Class::of(before), "{once_more:?}");
    let moved = stage.executed(request.kind).await - executed_before;
    assert!(moved <= 1, "{:?} was done {moved} times", request.kind);
    assert!(
        moved == 0 || Class::of(&once_more).admits_execution(),
        "{once_more:?}"
    );
}
