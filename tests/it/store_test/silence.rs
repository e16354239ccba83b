//! A way to the database that takes everything and says nothing: the node behind it answers nobody and ends, another one takes its place, and what
//! arrives late does nothing.

use super::{ANSWERS, FATAL, Nodes, RECORDS, answers, verdict};
use crate::http::Client;
use crate::process::wait_for;
use crate::recovery::Load;
use florin_services::TestDatabase;

#[test]
fn nothing_is_lost_or_doubled_when_the_way_to_the_database_becomes_a_black_hole() {
    let database = TestDatabase::new().unwrap();
    let (way, url) = database.proxied().unwrap();
    let mut nodes = Nodes::new(database.url());
    nodes.own[0] = vec![("FLORIN_DATABASE_URL", url)];
    nodes.start(0);
    assert_eq!(nodes.owner(), 0);
    nodes.start(1);
    let load = Load::start(nodes.addresses[0], &nodes.key);
    load.wait_for_more(2 * ANSWERS);
    way.black_hole();
    wait_for("something that is swallowed", || (way.held() > 0).then_some(()));
    load.move_to(nodes.addresses[1]);
    wait_for("the other node to take payments", || nodes.ready(1).then_some(()));
    load.wait_for_more(ANSWERS);
    // What it had asked for before arrives now, behind what its successor has recorded.
    way.let_go().unwrap();
    let authorization = format!("Bearer {}", nodes.key);
    let ended = wait_for("the end of the node that hears nothing", || {
        let headers = [("Authorization", authorization.as_str())];
        if let Ok(answer) = Client::new(nodes.addresses[0]).send("GET", "/v1/payments", &headers, b"") {
            assert_eq!(answer.status, 503, "{answer:?}");
        }
        let node = nodes.node(0);
        node.has_ended().then(|| node.wait())
    });
    assert_eq!(ended.code(), Some(FATAL), "{:?}", nodes.node(0).said_so_far());
    nodes.fenced += 1;
    nodes.processes[0] = None;
    load.wait_for_more(ANSWERS);
    let acknowledged = load.finish();
    let records = database.query(RECORDS).unwrap();
    let verdict = verdict("silence", &answers(&acknowledged), (&nodes, 1), &records);
    assert!(verdict.is_clean(), "{:#?}", verdict.findings);
    assert!(verdict.acknowledged > 4 * ANSWERS);
    nodes.stop();
}
