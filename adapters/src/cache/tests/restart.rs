//! A projection that starts anew while what the one before it gave is still being told to the caches.

use super::lossy::Lossy;
use super::{cached, row, seen, shown};
use crate::views::MemoryViews;
use florin_domain::ids::Seq;
use florin_domain::ports::Follower as _;
use std::sync::Arc;
use std::time::Duration;

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
