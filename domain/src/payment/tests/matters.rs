//! What is booked nowhere and left to people: it is raised once, stays open until somebody has noted it, and moves no money.

use super::super::{Command, Matter, MatterKind, Note, OperationKind};
use super::script::{Script, check, operation_id, provider};
use crate::ids::OperationId;
use crate::ledger::consequences;
use crate::limits::{ATTEMPT_RETRY_WINDOW, MATTERS_MAX, SETTLE_TIME};
use crate::money::Currency;
use crate::time::{Millis, Timestamp};
use proptest::prelude::*;

const SOLD: &str = "create sale; auth ok";

fn matter(kind: MatterKind, said: &str) -> Matter {
    Matter {
        number: 1,
        kind,
        said: said.into(),
        amount_minor: 900,
        currency: Currency::EUR,
        at: Timestamp::from_unix_ms(0),
    }
}

impl Script {
    fn raise(&mut self, operation: &str, matter: Matter) -> Vec<&'static str> {
        let operation = operation_id(operation);
        let before = self.payment.clone();
        let decision = self.decide(Command::Raise { operation, matter }).unwrap();
        let of = consequences(before.as_ref(), &decision.events, self.state()).unwrap();
        assert!(of.entry.is_none() && of.holds.is_empty(), "no money moves");
        decision.events.iter().map(super::super::Event::name).collect()
    }

    /// By somebody who saw all that was raised.
    fn note(&mut self, operation: &str) -> Result<(), &'static str> {
        let op = self.state().operation(operation_id(operation));
        let seen = op.map_or(0, |op| op.matters.len());
        self.note_seen(operation, seen)
    }

    fn note_seen(&mut self, operation: &str, seen: usize) -> Result<(), &'static str> {
        let note = Note {
            evidence: "statement, line 12".into(),
            reason: "settled by hand".into(),
            operator: "Ada".into(),
        };
        let operation = operation_id(operation);
        let noted = self.decide(Command::Note {
            operation,
            note,
            seen,
        });
        noted.map(|_| ()).map_err(super::super::Refusal::code)
    }

    fn overdue(&mut self, settle: &[(&str, u64)]) -> (Vec<OperationId>, usize) {
        let settle = settle
            .iter()
            .map(|(name, s)| (provider(name), Millis::from_s(*s)));
        let decision = self
            .decide(Command::CheckOverdue {
                settle: settle.collect(),
            })
            .unwrap();
        let told = decision.events.iter().filter_map(|event| {
            if let super::super::Event::AttemptOverdue { operation, .. } = event {
                Some(*operation)
            } else {
                None
            }
        });
        (told.collect(), decision.effects.len())
    }
}

#[test]
fn a_matter_is_raised_once_and_open_until_somebody_has_noted_it() {
    let mut script = Script::after(SOLD);
    assert!(!script.state().is_open());
    let (charge, other) = (matter(MatterKind::DoneInOtherCurrency, "ch_9"), "ch_8");
    assert_eq!(script.raise("auth", charge.clone()), ["matter.raised"]);
    assert_eq!(script.raise("auth", charge.clone()), [""; 0]);
    let other = matter(MatterKind::DoneInOtherCurrency, other);
    assert_eq!(script.raise("auth", other), ["matter.raised"]);
    assert!(script.state().is_open() && script.state().is_settled());
    let op = &script.state().operations[0];
    assert_eq!(op.open_matters().len(), 2);
    assert_eq!(op.open_matters()[0].at, script.now, "it is heard of now");
    assert!(op.is_for_people());

    for seen in [0, 1, 3] {
        assert_eq!(script.note_seen("auth", seen), Err("matters_changed"));
    }
    assert_eq!(script.note("auth"), Ok(()));
    assert!(!script.state().is_open());
    assert!(!script.state().operations[0].is_for_people());
    assert_eq!(script.note("auth"), Err("payment_unexpected_state"));
    assert_eq!(script.raise("auth", charge), [""; 0], "it was looked at");
    assert_eq!(
        script.raise("auth", matter(MatterKind::DeclinedAfterSuccess, "ch_9")),
        ["matter.raised"]
    );
    assert_eq!(script.state().operations[0].open_matters().len(), 1);
}

#[test]
fn whoever_saw_matters_that_somebody_else_noted_does_not_note_the_same_number_of_later_ones() {
    let mut script = Script::after(SOLD);
    for seen in ["ch_8", "ch_9"] {
        script.raise("auth", matter(MatterKind::DoneInOtherCurrency, seen));
    }
    assert_eq!(script.note_seen("auth", 2), Ok(()));
    for later in ["ch_10", "ch_11"] {
        script.raise("auth", matter(MatterKind::DoneInOtherCurrency, later));
    }
    // The other one who looked at the first two.
    assert_eq!(script.note_seen("auth", 2), Err("matters_changed"));
    assert_eq!(script.state().operations[0].open_matters().len(), 2);
    assert_eq!(script.note_seen("auth", 4), Ok(()));
    assert!(!script.state().is_open());
}

#[test]
fn what_is_open_survives_that_everything_is_read_back() {
    let mut script = Script::after(SOLD);
    script.raise("auth", matter(MatterKind::UndoneInOtherCurrency, "psp"));
    let read_back = script.replayed();
    assert_eq!(read_back, script.payment);
    assert!(read_back.unwrap().is_open());
}

#[test]
fn a_provider_that_never_ends_is_told_of_and_not_kept() {
    let mut script = Script::after(SOLD);
    for n in 0..MATTERS_MAX {
        script.raise("auth", matter(MatterKind::DoneInOtherCurrency, &n.to_string()));
    }
    let operation = operation_id("auth");
    let matter = matter(MatterKind::DoneInOtherCurrency, "one more");
    let decision = script.decide(Command::Raise { operation, matter }).unwrap();
    assert_eq!((decision.events.len(), decision.effects.len()), (0, 1));
}

#[test]
fn an_attempt_that_never_was_has_no_matter() {
    let mut script = Script::after(SOLD);
    for (operation, number) in [("auth", 2), ("auth", 0), ("ref1", 1)] {
        let matter = Matter {
            number,
            ..matter(MatterKind::DoneInOtherCurrency, "ch")
        };
        let operation = operation_id(operation);
        let raised = script.decide(Command::Raise { operation, matter });
        assert!(raised.is_err(), "{operation} {number}");
    }
}

#[test]
fn a_late_charge_of_no_possible_sum_is_a_matter_and_not_money() {
    let mut script = Script::after("create sale; auth not-sent");
    let Command::Record {
        operation, number, ..
    } = script.command("auth ok")
    else {
        unreachable!("it is a word")
    };
    for (minor, events) in [(0, 1), (0, 0)] {
        let outcome = crate::provider::Outcome::Succeeded {
            reference: "pi".into(),
            transaction: "ch_0".into(),
            amount_minor: minor,
        };
        let decision = script
            .decide(Command::Record {
                operation,
                number,
                outcome,
                next: None,
                reversal: None,
            })
            .unwrap();
        assert_eq!(decision.events.len(), events);
    }
    let open = script.state().operations[0].open_matters();
    assert_eq!(open[0].kind, MatterKind::DoneWithImpossibleAmount);
    assert_eq!(script.state().late_minor, 0);
}

#[test]
fn what_is_undone_beyond_what_stood_is_booked_as_far_as_it_stood() {
    let late = "create sale; auth not-sent; auth ok rev 1";
    check(&[
        // Given back by us already.
        (
            &format!("{late}; rev1 ok"),
            "auth back psp 1000 -",
            "matter.raised !late_reversal_unbooked => requires_confirmation",
        ),
        (
            &format!("{late}; rev1 ok; auth back psp 1000 -"),
            "auth back psp 1000 -",
            "nothing => requires_confirmation",
        ),
        // Undone in two parts, the second of which is too much.
        (
            &format!("{late}; auth back a 600 -"),
            "auth back b 600 -",
            "attempt.late_reversal matter.raised !late_reversal !late_reversal_unbooked => requires_confirmation",
        ),
        // Nothing was ever done: a closing that we asked for is told of like that.
        (
            "create sale; auth unknown; auth cancelled",
            "auth back psp 1000 -",
            "nothing => requires_confirmation",
        ),
        // A release that was asked for is told of once more.
        (
            "create auth; auth ok; void 1; void1 ok",
            "auth back psp 1000 -",
            "nothing => voided",
        ),
    ]);
    let script = Script::after(&format!("{late}; auth back a 600 -; auth back b 600 -"));
    assert_eq!(script.state().late_minor, 0);
    assert_eq!(script.state().operations[0].open_matters()[0].amount_minor, 200);
}

#[test]
fn a_reversal_that_is_refused_at_a_later_try_is_left_to_a_person_and_stays_unknown() {
    let late = "create sale; auth not-sent; auth ok rev 1; rev1 not-sent";
    let refused = "attempt.unknown matter.raised !late_charge_not_reversed => requires_confirmation";
    check(&[
        (late, "rev1 rejected", refused),
        (
            &format!("{late}; rev1 rejected"),
            "rev1 rejected",
            "nothing => requires_confirmation",
        ),
        (
            &format!("{late}; rev1 rejected"),
            "rev1 ok",
            "attempt.succeeded => requires_confirmation",
        ),
        (
            "create sale; auth ok; refund 1 300; ref1 unknown",
            "ref1 rejected",
            "nothing => succeeded",
        ),
    ]);
    let script = Script::after(&format!("{late}; rev1 rejected"));
    let reversal = script.state().operation(operation_id("rev1")).unwrap();
    assert_eq!(reversal.kind, OperationKind::Reversal);
    assert!(reversal.is_unresolved(), "it may have been done");
    assert_eq!(
        reversal.attempt.as_ref().unwrap().unknown_reason.as_deref(),
        Some("connection reset")
    );
    assert_eq!(reversal.open_matters()[0].kind, MatterKind::NotGivenBack);

    // The first request may have been done, and the second one of the same incarnation is refused.
    let mut open = Script::after("create sale; auth not-sent; auth ok rev 1");
    let command = Command::Refuse {
        operation: operation_id("rev1"),
        number: 1,
        reason: "no such charge".into(),
    };
    open.decide(command.clone()).unwrap();
    let reversal = open.state().operation(operation_id("rev1")).unwrap();
    assert!(reversal.is_unresolved() && !reversal.open_matters().is_empty());
    assert!(open.decide(command).unwrap().events.is_empty(), "told once");
}

#[test]
fn what_a_provider_owes_for_too_long_is_told_once_and_stays_pending() {
    let hour = 3_600;
    let mut script = Script::after("create sale; auth ok; refund 1 300; ref1 pending; later 48");
    let refund = operation_id("ref1");
    assert_eq!(script.overdue(&[("a", 48 * hour + 1), ("b", 1)]), (vec![], 0));
    assert_eq!(script.overdue(&[("a", 48 * hour)]), (vec![refund], 1));
    assert_eq!(script.overdue(&[("a", 48 * hour)]), (vec![], 0), "once");
    let attempt = script.state().operation(refund).unwrap().attempt.clone().unwrap();
    assert_eq!(attempt.state, super::super::AttemptState::Pending);
    assert_eq!(attempt.overdue_since, Some(script.now));
    assert_eq!(script.then("ref1 ok"), "attempt.succeeded => succeeded");

    // Of whom nothing is known, what is usual.
    let usual_h = SETTLE_TIME.0 / 1_000 / hour;
    let mut script = Script::after("create sale; auth pending");
    script.run(&format!("later {}", usual_h - 1));
    assert_eq!(script.overdue(&[]), (vec![], 0));
    script.run("later 1");
    assert_eq!(script.overdue(&[]), (vec![operation_id("auth")], 1));
}

#[test]
fn a_later_attempt_is_as_old_as_itself_and_what_is_not_pending_is_never_overdue() {
    let mut script =
        Script::after("create sale await; auth declined; later 100; confirm; auth pending; later 1");
    let window_s = ATTEMPT_RETRY_WINDOW.0 / 1_000;
    assert_eq!(script.overdue(&[("a", 3_600 + window_s)]), (vec![], 0));
    assert_eq!(script.overdue(&[("a", 3_600)]), (vec![operation_id("auth")], 1));
    for state in ["unknown", "action", "ok", "declined"] {
        let mut script = Script::after(&format!("create sale; auth {state}; later 9999"));
        assert_eq!(script.overdue(&[("a", 1)]), (vec![], 0), "{state}");
    }
}

proptest! {
    #[test]
    fn no_clock_ends_what_is_pending(hours in 1_u64..100_000, settle_s in 0_u64..1_000_000, times in 1_usize..4) {
        let mut script = Script::after("create sale; auth pending");
        script.run(&format!("later {hours}"));
        for _ in 0..times {
            script.overdue(&[("a", settle_s)]);
        }
        let payment = script.state();
        prop_assert_eq!(payment.operations[0].state(), Some(super::super::AttemptState::Pending));
        let told = script.events.iter().filter(|event| event.name() == "attempt.overdue").count();
        prop_assert_eq!(told, usize::from(hours * 3_600 >= settle_s));
    }

    #[test]
    fn matters_are_raised_once_each_and_notes_close_what_is_open(words in prop::collection::vec((0_u8..4, any::<bool>()), 0..20)) {
        let mut script = Script::after(SOLD);
        let mut heard = std::collections::BTreeSet::new();
        for (name, is_note) in words {
            if is_note {
                let was_open = script.state().is_open();
                prop_assert_eq!(script.note("auth").is_ok(), was_open);
                prop_assert!(!script.state().is_open());
            } else {
                let raised = script.raise("auth", matter(MatterKind::DoneInOtherCurrency, &name.to_string()));
                prop_assert_eq!(raised.len(), usize::from(heard.insert(name)));
            }
        }
        prop_assert_eq!(script.state().operations[0].matters.len(), heard.len());
    }
}
