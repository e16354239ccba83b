//! Tests of the module beside it: one line for each recorded payload.

use super::*;
use crate::providers::sample::{attempt, line, payload, reply};
use florin_domain::payment::OperationKind;

#[test]
fn each_recorded_answer_has_its_meaning() {
    let table = [
        (OperationKind::Sale, 200, "unreadable", "unknown -"),
        (OperationKind::Sale, 502, "unreadable", "unknown -"),
    ];
    for (kind, status, name, expected) in table {
        let reply = reply(status, &payload("nameless", name));
        let outcome = executed(&attempt(kind, "REFERENCE1", 1500), &reply);
        assert_eq!(line(&outcome), expected, "{kind:?} {status} {name}");
    }
}
