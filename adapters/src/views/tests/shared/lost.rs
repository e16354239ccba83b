//! What a view in a database is not asked, or given, any more: one that lacks what it had, or has what the journal has not.

use super::*;
use florin_domain::payment::WaitKind;
use florin_domain::ports::{MovedIndex as _, MovedQuery, RefundsQuery, WaitingQuery};

/// Kinds of questions.
const QUESTIONS: usize = 7;

fn question(views: &PostgresViews, number: usize) -> Result<(), ViewError> {
    let merchant = MerchantId::from_bits(7);
    match number {
        0 => wait(views.payment(id(5))).map(drop),
        1 => wait(views.payments(query(7, true, None, 9))).map(drop),
        2 => wait(views.waiting(WaitingQuery {
            kind: WaitKind::Capture,
            until: Timestamp::from_unix_ms(9),
            after: None,
            limit: 9,
        }))
        .map(drop),
        3 => wait(views.events(EventsQuery::newest(merchant, true, 9))).map(drop),
        4 => wait(views.refunds(RefundsQuery::newest(merchant, true, 9))).map(drop),
        5 => wait(views.moved(MovedQuery::newest(merchant, true, 9))).map(drop),
        _ => {
            let mut named = MovedQuery::newest(merchant, true, 9);
            named.operation = Some(1);
            wait(views.moved(named)).map(drop)
        }
    }
}

/// Every question is an error, whichever of them is the first.
fn answers_nothing_from(views: &PostgresViews, first: usize, when: &str) {
    for number in (0..QUESTIONS).map(|after| (first + after) % QUESTIONS) {
        match question(views, number) {
            Err(ViewError::Store(why)) if why.contains("not the one that this process made") => {}
            other => panic!("{when}, question {number}: {other:?}"),
        }
    }
}

/// Every question is an error.
pub(super) fn answers_nothing(views: &PostgresViews, when: &str) {
    answers_nothing_from(views, 0, when);
}

fn answers_all(views: &PostgresViews) {
    for number in 0..QUESTIONS {
        assert_eq!(question(views, number), Ok(()), "question {number}");
    }
}

#[test]
fn nothing_is_read_from_a_view_that_lacks_what_it_was_given_or_is_another_s() {
    let server = Server::new();
    for harm in [
        // As a copy of the database has it that was behind, and took over under the living process.
        "UPDATE florin.view_progress SET watermark = 4, hash = (SELECT hash FROM florin.commit_record WHERE shard = SHARD AND seq = 4)
             WHERE shard = SHARD;
         DELETE FROM florin.view_payment WHERE shard = SHARD AND seq = 5; DELETE FROM florin.view_announced WHERE shard = SHARD",
        "UPDATE florin.view_progress SET epoch = 2 WHERE shard = SHARD",
        "UPDATE florin.view_progress SET form = 0 WHERE shard = SHARD",
        "DELETE FROM florin.view_progress WHERE shard = SHARD",
    ] {
        for first in 0..QUESTIONS {
            let taken = server.shard();
            let shard = taken.shard.0.to_string();
            let views = server.open(&taken);
            wait(views.apply(rows(1..=5), vec![announcing(1, 5)], Seq(5))).unwrap();
            let saved = "CREATE TEMP TABLE saved AS SELECT * FROM florin.view_progress WHERE shard = SHARD";
            server.run(&saved.replace("SHARD", &shard));
            answers_all(&views);
            server.run(&harm.replace("SHARD", &shard));
            // Whichever is asked first.
            answers_nothing_from(&views, first, harm);
            // Nor once it looks as before: what it has meanwhile nobody knows.
            let back = "DELETE FROM florin.view_progress WHERE shard = SHARD;
                        INSERT INTO florin.view_progress SELECT * FROM saved; DROP TABLE saved";
            server.run(&back.replace("SHARD", &shard));
            answers_nothing_from(&views, first, harm);
            is_refused(
                wait(views.apply(rows(6..=6), Vec::new(), Seq(6))),
                "not the one that this process made",
            );
        }
    }
}

#[test]
fn what_a_view_has_not_is_nothing_and_no_error() {
    let server = Server::new();
    let views = server.open(&server.shard());
    answers_all(&views);
    assert!(wait(views.payment(id(1))).unwrap().is_none());
    assert_eq!((all(&views), announced(&views)), (vec![], vec![]));
    wait(views.apply(rows(1..=5), Vec::new(), Seq(5))).unwrap();
    assert!(wait(views.payment(id(6))).unwrap().is_none());
    assert_eq!(
        wait(views.payment(id(5))).unwrap().map(|row| row.seq),
        Some(Seq(5))
    );
}

#[test]
fn a_part_of_a_batch_whose_commit_the_journal_lacks_is_refused_and_writes_nothing() {
    let server = Server::new();
    let views = server.open(&server.shard());
    wait(views.apply(rows(1..=3), Vec::new(), Seq(3))).unwrap();
    let announcements: Vec<_> = (4..=30).map(|seq| announcing(seq, seq)).collect();
    for announcements in [announcements, Vec::new()] {
        is_refused(
            wait(views.apply(rows(4..=30), announcements, Seq(201))),
            "the journal has no such record",
        );
        assert_eq!(server.count("SELECT count(*) FROM florin.view_payment"), 3);
        assert_eq!(server.count("SELECT count(*) FROM florin.view_announced"), 0);
        assert_eq!(
            server.count("SELECT watermark + reaches FROM florin.view_progress"),
            6
        );
    }
}

#[test]
fn parts_of_a_batch_beyond_the_watermark_are_believed_only_while_the_journal_has_their_commits() {
    let server = Server::new();
    for (loss, believed) in [
        ("SELECT 1", 3),
        ("UPDATE florin.shard SET head = 29 WHERE id = SHARD", 0),
        (
            "SET session_replication_role = replica;
             UPDATE florin.commit_record SET hash = '\\xff' WHERE shard = SHARD AND seq = 30; RESET session_replication_role",
            0,
        ),
    ] {
        let taken = server.shard();
        let shard = taken.shard.0.to_string();
        let views = server.open(&taken);
        wait(views.apply(rows(1..=3), Vec::new(), Seq(3))).unwrap();
        // One row of the last part cannot be written: those before it are there, the watermark is not.
        let stop = "ALTER TABLE florin.view_payment ADD CONSTRAINT stop CHECK (shard <> SHARD OR seq < 29)";
        server.run(&stop.replace("SHARD", &shard));
        wait(views.apply(rows(4..=30), Vec::new(), Seq(30))).unwrap_err();
        server.run("ALTER TABLE florin.view_payment DROP CONSTRAINT stop");
        let of_shard = |what: &str| server.count(&format!("SELECT {what} WHERE shard = {shard}"));
        assert_eq!(of_shard("reaches FROM florin.view_progress"), 30);
        assert_eq!(of_shard("watermark FROM florin.view_progress"), 3);
        assert!(of_shard("count(*) FROM florin.view_payment") > 3);
        drop(views);
        server.run(&loss.replace("SHARD", &shard));
        let views = server.open(&taken);
        assert_eq!(views.watermark(), Ok(Seq(believed)), "{loss}");
        assert_eq!(all(&views).is_empty(), believed == 0, "{loss}");
        let reaches = if believed == 0 { 0 } else { 30 };
        assert_eq!(of_shard("reaches FROM florin.view_progress"), reaches, "{loss}");
    }
}
