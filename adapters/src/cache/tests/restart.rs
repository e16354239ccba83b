//! A projection that starts anew while what the one before it gave is still being told to the caches.

use super::lossy::Lossy;
use super::{cached, row, seen, shown};
use crate::cache::shared::{Entry, Shared};
use crate::views::MemoryViews;
use florin_domain::ids::Seq;
use florin_domain::ports::Follower as _;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

#[tokio::test(start_paused = true)]
async fn what_the_watermark_covers_is_shown() {
    let store = Arc::new(Lossy::slow(Duration::from_millis(10)));
    let (views, _cache) = cached(MemoryViews::default(), store as _);
    let views = Arc::new(views);
    views.apply(vec![row(1, 1)], Vec::new(), Seq(1)).await.unwrap();
    assert_eq!(shown(&*views, 1).await, Some(seen(&row(1, 1))));
    let under_way = Arc::clone(&views);
    let applying = tokio::spawn(async move { under_way.apply(vec![row(1, 2)], Vec::new(), Seq(2)).await });
    tokio::time::sleep(Duration::from_millis(1)).await;
    // A projection that starts now finds nothing behind the watermark, and so has nothing in its tail.
    assert_eq!(views.watermark().unwrap(), Seq(2));
    let now = shown(&*views, 1).await.map(|found| found.1);
    applying.abort();
    assert_eq!(now, Some(Seq(2)));
}

#[tokio::test(start_paused = true)]
async fn what_is_forgotten_while_it_is_found_to_hold_is_not_written_anew() {
    let store = Arc::new(Lossy::default());
    let shared = Shared::start(Arc::clone(&store) as _).unwrap();
    let entry = |key: &str| Entry {
        key: key.to_owned(),
        value: Some(Zeroizing::new(b"as it was".to_vec())),
        lifetime: Duration::from_mins(1),
    };
    let forgetting = Arc::clone(&shared);
    let holds = move || {
        forgetting.forget();
        true
    };
    shared.fill(entry("payment:1"), Box::new(holds));
    // Behind it in the order of what is written.
    shared.change(std::iter::once(entry("payment:2"))).await;
    shared.change(std::iter::once(entry("payment:3"))).await;
    let found = shared
        .read(&["payment:1".to_owned(), "payment:3".to_owned()])
        .await;
    let is_there: Vec<bool> = found.iter().map(Option::is_some).collect();
    assert_eq!(is_there, [false, true]);
}
