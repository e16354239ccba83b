//! The database and its replica: both are secrets, and the one is nothing without the other. And what may be kept there.

use super::refusals::refusal;
use super::{dev, load};
use crate::Mode;

const URL: &str = "postgres://florin:hunter2@a.example/florin";
const REPLICA: &str = "postgres://florin:hunter3@b.example/florin";

#[test]
fn a_replica_is_read_from_the_file_and_from_its_variable_and_shown_nowhere() {
    let file = format!("[database]\nurl = \"{URL}\"\nreplica_url = \"{REPLICA}\"");
    let by_file = dev(&file, &[]);
    let by_variable = dev(
        "",
        &[
            ("FLORIN_DATABASE_URL", URL),
            ("FLORIN_DATABASE_REPLICA_URL", REPLICA),
        ],
    );
    assert_eq!(by_file, by_variable);
    let told = by_file.database.replica_url.as_ref().unwrap();
    assert_eq!(told.expose(), REPLICA);
    let shown = format!("{by_file:?} {}", by_file.describe());
    assert!(
        !shown.contains("hunter") && !shown.contains("b.example"),
        "{shown}"
    );
    assert!(dev("", &[]).database.replica_url.is_none());
    // Set and empty is the same as not said.
    assert!(
        dev("database.replica_url = \"\"", &[])
            .database
            .replica_url
            .is_none()
    );
}

#[test]
fn a_replica_of_no_database_and_one_that_is_no_url_are_refused_without_their_password() {
    let text = format!("database.replica_url = \"{REPLICA}\"");
    assert_eq!(
        refusal(&text, &[], Mode::Dev),
        "`database.replica_url` is ***, but `database.url` is not set, and what it would be a replica of is a file"
    );
    let file = format!("[database]\nurl = \"{URL}\"\nreplica_url = \"b.example:hunter3\"");
    let error = load(&file, &[], Mode::Dev).unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(
        shown.contains("database.replica_url") && !shown.contains("hunter"),
        "{shown}"
    );
}

#[test]
fn views_are_in_the_folder_unless_it_is_said_and_then_there_must_be_a_database() {
    assert!(!dev("", &[]).database.has_views);
    let file = format!("[database]\nurl = \"{URL}\"\nviews = \"database\"");
    let by_variable = [
        ("FLORIN_DATABASE_URL", URL),
        ("FLORIN_DATABASE_VIEWS", "database"),
    ];
    assert_eq!(dev(&file, &[]), dev("", &by_variable));
    assert!(dev(&file, &[]).database.has_views);
    assert!(
        !dev(&file, &[("FLORIN_DATABASE_VIEWS", "folder")])
            .database
            .has_views
    );
    assert_eq!(
        refusal("database.views = \"database\"", &[], Mode::Dev),
        "`database.views` is database, but `database.url` is not set, and there is no database to keep them in"
    );
}
