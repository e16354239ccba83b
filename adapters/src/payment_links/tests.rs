//! What the store promises: what was answered is there, one key makes one link, and one place holds one payment.

use super::*;
use crate::entropy::OsEntropy;
use crate::store_file::tests::{put_aged, until_none_is_aged};
use florin_domain::idempotency::{Fingerprint, KeyDigest};
use florin_domain::ids::{MerchantId, PaymentId, PaymentLinkId};
use florin_domain::money::{Amount, Currency};
use florin_domain::payment::CaptureMethod;
use florin_domain::payment_link::{LinkChange, LinkRefusal, LinkTerms, PaymentLink};
use florin_domain::ports::{Clock, LinkClaim, LinkOnce, LinkPage, LinksError, PaymentLinks};
use florin_domain::time::Timestamp;
use florin_domain::vault::Owner;
use rusqlite::Connection;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tempfile::TempDir;

const DAY_MS: u64 = 24 * 3_600_000;

#[derive(Debug)]
struct Moved(AtomicU64);

impl Clock for Moved {
    fn now(&self) -> Timestamp {
        // No two links of a test are of the same moment, so their order is known.
        Timestamp::from_unix_ms(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

struct Bench {
    folder: TempDir,
    clock: Arc<Moved>,
    store: Option<LinkStore>,
}

impl Bench {
    fn new() -> Self {
        let mut bench = Self {
            folder: tempfile::tempdir().unwrap(),
            clock: Arc::new(Moved(AtomicU64::new(1_795_348_800_000))),
            store: None,
        };
        bench.reopen().unwrap();
        bench
    }

    fn reopen(&mut self) -> Result<(), OpenError> {
        self.store = None;
        let world = (Arc::clone(&self.clock) as _, Arc::new(OsEntropy::new()) as _);
        self.store = Some(LinkStore::open(Some(&file_in(self.folder.path())), world)?);
        Ok(())
    }

    fn store(&self) -> &LinkStore {
        self.store.as_ref().unwrap()
    }

    async fn make(&self, owner: Owner, single_use: bool) -> PaymentLink {
        let change = LinkChange::Create(Box::new(terms(single_use)));
        self.store().change(owner, change, None).await.unwrap().link
    }

    async fn found(&self, id: PaymentLinkId) -> Option<PaymentLink> {
        self.store().find(id).await.unwrap()
    }
}

fn owner(bits: u128) -> Owner {
    Owner {
        merchant: MerchantId::from_bits(bits),
        livemode: false,
    }
}

pub(crate) fn terms(single_use: bool) -> LinkTerms {
    LinkTerms {
        amount: Amount::new(999_999_999_999).unwrap(),
        currency: Currency::BHD,
        description: Some("Stühle & <Tische>".into()),
        metadata: vec![("order".into(), "7".into())],
        capture_method: CaptureMethod::Manual,
        customer: Some("jane".into()),
        redirect_url: Some("https://shop.example/done".into()),
        single_use,
    }
}

const fn once(key: u8, asked: u8) -> LinkOnce {
    LinkOnce {
        key: KeyDigest([key; 16]),
        asked: Fingerprint([asked; 16]),
    }
}

const ALL: LinkPage = LinkPage {
    limit: 100,
    starting_after: None,
    ending_before: None,
};

#[tokio::test]
async fn what_has_outlived_its_time_is_forgotten_to_the_last_row_with_no_further_change() {
    let bench = Bench::new();
    let reader = Connection::open(file_in(bench.folder.path())).unwrap();
    put_aged(&reader, ("id, body", "x'', ''"));
    bench.make(owner(1), true).await;
    until_none_is_aged(&reader);
}

#[tokio::test]
async fn a_link_is_the_same_after_a_restart_with_every_field() {
    let mut bench = Bench::new();
    let link = bench.make(owner(1), true).await;
    let claim = LinkClaim {
        link: link.id,
        instead_of: None,
        payment: PaymentId::from_bits(9),
    };
    bench.store().claim(claim).await.unwrap();
    bench.reopen().unwrap();
    let found = bench.found(link.id).await.unwrap();
    assert_eq!((found.payment, found.claims), (Some(PaymentId::from_bits(9)), 1));
    let unclaimed = PaymentLink {
        payment: None,
        claims: 0,
        ..found
    };
    assert_eq!(unclaimed, link);
}

#[tokio::test]
async fn one_key_makes_one_link_until_a_day_has_passed_and_another_request_under_it_is_refused() {
    let mut bench = Bench::new();
    let create = || LinkChange::Create(Box::new(terms(false)));
    let first = bench
        .store()
        .change(owner(1), create(), Some(once(1, 1)))
        .await
        .unwrap();
    assert!(!first.was_before);
    bench.reopen().unwrap();
    let again = bench
        .store()
        .change(owner(1), create(), Some(once(1, 1)))
        .await
        .unwrap();
    assert_eq!((again.link.id, again.was_before), (first.link.id, true));
    let other = bench.store().change(owner(1), create(), Some(once(1, 2))).await;
    assert_eq!(other, Err(LinksError::Refused(LinkRefusal::KeyMismatch)));
    bench.clock.0.fetch_add(DAY_MS, Ordering::Relaxed);
    let later = bench
        .store()
        .change(owner(1), create(), Some(once(1, 2)))
        .await
        .unwrap();
    assert!(!later.was_before && later.link.id != first.link.id);
    assert_eq!(bench.store().list(owner(1), ALL).await.unwrap().0.len(), 2);
}

#[tokio::test]
async fn of_many_claims_at_once_one_has_the_place_and_all_are_told_the_same() {
    let bench = Bench::new();
    let link = bench.make(owner(1), true).await;
    let claim = |bits| {
        bench.store().claim(LinkClaim {
            link: link.id,
            instead_of: None,
            payment: PaymentId::from_bits(bits),
        })
    };
    let mut waiting: Vec<_> = (1..=50).map(claim).collect();
    // All of them are sent before any answer is looked at.
    let mut context = Context::from_waker(Waker::noop());
    let mut ready: Vec<Option<PaymentLink>> = Vec::new();
    for claim in &mut waiting {
        ready.push(match claim.as_mut().poll(&mut context) {
            Poll::Ready(answer) => Some(answer.unwrap()),
            Poll::Pending => None,
        });
    }
    let mut told = Vec::new();
    for (claim, ready) in waiting.into_iter().zip(ready) {
        told.push(match ready {
            Some(link) => link,
            None => claim.await.unwrap(),
        });
    }
    assert!(
        told.iter()
            .all(|link| link.payment == told[0].payment && link.claims == 1)
    );
    let instead = LinkClaim {
        link: link.id,
        instead_of: told[0].payment,
        payment: PaymentId::from_bits(99),
    };
    let after = bench.store().claim(instead).await.unwrap();
    assert_eq!((after.payment, after.claims), (Some(PaymentId::from_bits(99)), 2));
}

#[tokio::test]
async fn a_merchant_changes_and_lists_its_own_links_alone() {
    let bench = Bench::new();
    let (mine, other) = (
        bench.make(owner(1), false).await,
        bench.make(owner(2), false).await,
    );
    let update = |id| LinkChange::Update {
        id,
        is_active: Some(false),
        description: Some(None),
        metadata: Vec::new(),
    };
    let refused = bench.store().change(owner(1), update(other.id), None).await;
    assert_eq!(refused, Err(LinksError::Refused(LinkRefusal::NoSuchLink)));
    assert_eq!(bench.found(other.id).await, Some(other));
    let changed = bench
        .store()
        .change(owner(1), update(mine.id), None)
        .await
        .unwrap()
        .link;
    assert!(!changed.is_active && changed.terms.description.is_none());
    assert_eq!(
        bench.store().list(owner(1), ALL).await,
        Ok((vec![changed], false))
    );
    let live = Owner {
        livemode: true,
        ..owner(1)
    };
    assert_eq!(bench.store().list(live, ALL).await, Ok((Vec::new(), false)));
}

#[tokio::test]
async fn a_list_is_paged_both_ways() {
    let bench = Bench::new();
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(bench.make(owner(1), false).await.id);
    }
    ids.reverse();
    let page = |limit, starting_after, ending_before| {
        let page = LinkPage {
            limit,
            starting_after,
            ending_before,
        };
        bench.store().list(owner(1), page)
    };
    for (asked, expected, more) in [
        (page(2, None, None), &ids[..2], true),
        (page(2, Some(ids[1]), None), &ids[2..4], true),
        (page(2, Some(ids[3]), None), &ids[4..], false),
        (page(2, None, Some(ids[3])), &ids[1..3], true),
        (page(5, None, Some(ids[3])), &ids[..3], false),
    ] {
        let (links, has_more) = asked.await.unwrap();
        let found: Vec<_> = links.iter().map(|link| link.id).collect();
        assert_eq!((found.as_slice(), has_more), (expected, more));
    }
}

#[tokio::test]
async fn a_file_that_somebody_holds_is_busy_and_one_of_another_version_is_not_opened() {
    let mut bench = Bench::new();
    let holder = Connection::open(file_in(bench.folder.path())).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let create = || LinkChange::Create(Box::new(terms(false)));
    let refused = bench.store().change(owner(1), create(), None).await;
    assert_eq!(refused, Err(LinksError::Busy));
    holder.execute_batch("ROLLBACK").unwrap();
    bench.store().change(owner(1), create(), None).await.unwrap();
    holder.pragma_update(None, "user_version", 2).unwrap();
    drop(holder);
    let error = bench.reopen().unwrap_err().to_string();
    assert!(
        error.contains("links.db") && error.contains("version 2"),
        "{error}"
    );
}

/// Whoever asks what time it is waits until they are let go.
#[derive(Debug)]
struct Held {
    asked: Sender<()>,
    released: Mutex<Receiver<()>>,
    gave_up: AtomicU64,
}

impl Clock for Held {
    fn now(&self) -> Timestamp {
        self.asked.send(()).unwrap();
        let released = self.released.lock().unwrap();
        if released.recv_timeout(Duration::from_secs(5)).is_err() {
            self.gave_up.fetch_add(1, Ordering::Relaxed);
        }
        Timestamp::from_unix_ms(1_795_348_800_000)
    }
}

#[tokio::test]
async fn looking_up_does_not_wait_for_changes() {
    let folder = tempfile::tempdir().unwrap();
    let ((asked, is_asked), (release, released)) = (channel(), channel());
    let clock = Arc::new(Held {
        asked,
        released: Mutex::new(released),
        gave_up: AtomicU64::new(0),
    });
    let world = (Arc::clone(&clock) as _, Arc::new(OsEntropy::new()) as _);
    let store = LinkStore::open(Some(&file_in(folder.path())), world).unwrap();
    let mut change = store.change(owner(1), LinkChange::Create(Box::new(terms(true))), None);
    let mut context = Context::from_waker(Waker::noop());
    assert!(change.as_mut().poll(&mut context).is_pending());
    is_asked.recv().unwrap();
    // The thread that writes is in the middle of it.
    assert_eq!(store.find(PaymentLinkId::from_bits(1)).await, Ok(None));
    assert_eq!(store.list(owner(1), ALL).await, Ok((Vec::new(), false)));
    assert_eq!(clock.gave_up.load(Ordering::Relaxed), 0);
    release.send(()).unwrap();
    let made = change.await.unwrap().link;
    assert_eq!(store.find(made.id).await, Ok(Some(made)));
}
