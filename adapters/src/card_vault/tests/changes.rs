//! What a change does, once, and to whom.

use super::*;

#[tokio::test]
async fn what_has_outlived_its_time_is_erased_to_the_last_row_with_no_further_change() {
    let bench = Bench::new();
    let reader = Connection::open(bench.file()).unwrap();
    put_aged(&reader, ("about, sealed", "x'', x''"));
    bench.method(owner(1), NUMBER, None).await;
    until_none_is_aged(&reader);
}

#[tokio::test]
async fn a_key_has_a_change_made_once_for_a_day() {
    let mut bench = Bench::new();
    let create = || VaultChange::CreateCustomer {
        said: said(&[("name", "Jane")]),
        method: None,
    };
    let first = bench
        .store()
        .change(owner(1), create(), once(1, b"jane"))
        .await
        .unwrap();
    bench.reopen("kek").unwrap();
    let again = bench
        .store()
        .change(owner(1), create(), once(1, b"jane"))
        .await
        .unwrap();
    assert_eq!(
        again,
        Changed {
            was_before: true,
            ..first.clone()
        }
    );
    let other = bench.store().change(owner(1), create(), once(1, b"john")).await;
    assert_eq!(other, Err(VaultRefusal::KeyMismatch.into()));
    bench.clock.ms.fetch_add(24 * HOUR_MS, Ordering::Relaxed);
    let later = bench
        .store()
        .change(owner(1), create(), once(1, b"john"))
        .await
        .unwrap();
    assert!(!later.was_before);
    assert_ne!(later.object, first.object);
}

#[tokio::test]
async fn a_refused_change_leaves_nothing_and_its_key_free() {
    let bench = Bench::new();
    let nobody = MethodId::from_bits(7);
    let create = |method| VaultChange::CreateCustomer {
        said: Profile::default(),
        method,
    };
    let refused = bench
        .store()
        .change(owner(1), create(Some(nobody)), once(1, b"a"))
        .await;
    assert_eq!(refused, Err(VaultRefusal::NoSuchMethod.into()));
    let page = VaultPage {
        listed: Listed::Customers,
        limit: 10,
        starting_after: None,
        ending_before: None,
    };
    assert_eq!(
        bench.store().list(owner(1), page).await.unwrap(),
        Some((Vec::new(), false))
    );
    assert!(
        !bench
            .store()
            .change(owner(1), create(None), once(1, b"b"))
            .await
            .unwrap()
            .was_before
    );
}

#[tokio::test]
async fn what_was_erased_does_not_come_back_with_a_late_request() {
    let bench = Bench::new();
    let create_customer = || VaultChange::CreateCustomer {
        said: said(&[("name", "Jane")]),
        method: None,
    };
    let create_method = || VaultChange::CreateMethod {
        card: typed(NUMBER, None),
        said: Profile::default(),
    };
    let ask = async |change, once| bench.store().change(owner(1), change, once).await;
    let (customer, method) = match (
        ask(create_customer(), once(1, b"jane")).await.unwrap().object,
        ask(create_method(), once(2, b"card")).await.unwrap().object,
    ) {
        (VaultObject::Customer(customer), VaultObject::Method(method)) => (customer.id, method.id),
        other => panic!("{other:?}"),
    };
    bench
        .change(owner(1), VaultChange::Detach { id: method })
        .await
        .unwrap();
    bench
        .change(owner(1), VaultChange::DeleteCustomer { id: customer })
        .await
        .unwrap();
    // Also with other words: what was asked for is erased as well.
    for (change, once) in [
        (create_customer(), once(1, b"jane")),
        (create_customer(), once(1, b"john")),
        (create_method(), once(2, b"card")),
    ] {
        assert_eq!(ask(change, once).await, Err(VaultRefusal::Erased.into()));
    }
    let page = VaultPage {
        listed: Listed::Customers,
        limit: 10,
        starting_after: None,
        ending_before: None,
    };
    assert_eq!(
        bench.store().list(owner(1), page).await.unwrap(),
        Some((Vec::new(), false))
    );
    bench.clock.ms.fetch_add(24 * HOUR_MS, Ordering::Relaxed);
    assert!(ask(create_customer(), once(1, b"jane")).await.is_ok());
}

#[tokio::test]
async fn a_file_that_somebody_else_holds_refuses_a_change_and_takes_the_next() {
    let bench = Bench::new();
    let create = || VaultChange::CreateCustomer {
        said: Profile::default(),
        method: None,
    };
    let other = Connection::open(bench.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(bench.change(owner(1), create()).await, Err(VaultError::Busy));
    other.execute_batch("ROLLBACK").unwrap();
    assert!(bench.change(owner(1), create()).await.is_ok());
}

#[tokio::test]
async fn a_connection_that_reads_is_busy_until_it_is_back_whoever_has_gone() {
    let bench = Bench::new();
    let method = bench.method(owner(1), NUMBER, None).await;
    let mut context = Context::from_waker(Waker::noop());
    let free = bench.store().free_while_held(|| {
        for _ in 0..2 {
            let mut open = bench.store().open(owner(1).merchant, method.id);
            assert!(open.as_mut().poll(&mut context).is_pending());
        }
    });
    assert_eq!(free, 0, "both look-ups still need their connections");
    assert_eq!(
        bench.number(owner(1).merchant, method.id).await.as_deref(),
        Some(NUMBER)
    );
}

#[tokio::test]
async fn a_crowd_of_look_ups_is_turned_away_and_a_charge_is_not() {
    let mut bench = Bench::new();
    let method = bench.method(owner(1), NUMBER, None).await;
    bench.store = None;
    let options = StoreOptions {
        reads_waiting_max: 0,
        ..StoreOptions::default()
    };
    let keks = vec![kek(bench.folder.path(), "kek")];
    bench.store = Some(bench.open(&bench.file(), keks, &options).unwrap());
    let key = VaultKey::Method(method.id);
    assert_eq!(bench.store().get(owner(1), key).await, Err(VaultError::Busy));
    assert!(bench.number(owner(1).merchant, method.id).await.is_some());
}

#[tokio::test]
async fn a_card_is_nobodys_before_its_token_is_used() {
    let bench = Bench::new();
    let token = bench.token(owner(1)).await;
    let id = token.method.id;
    assert_eq!(bench.number(owner(1).merchant, id).await, None);
    assert_eq!(
        bench.change(owner(1), VaultChange::Detach { id }).await,
        Err(VaultRefusal::NoSuchMethod.into())
    );
    let used = VaultChange::UseToken {
        token: token.id,
        said: Profile::default(),
    };
    bench.change(owner(1), used).await.unwrap();
    assert_eq!(bench.number(owner(1).merchant, id).await.as_deref(), Some(NUMBER));
}

#[tokio::test]
async fn a_token_is_used_once_and_not_after_an_hour() {
    let bench = Bench::new();
    let token = bench.token(owner(1)).await;
    let use_it = |token: &SavedToken| VaultChange::UseToken {
        token: token.id,
        said: said(&[("metadata[a]", "b")]),
    };
    assert_eq!(
        bench.change(owner(2), use_it(&token)).await,
        Err(VaultRefusal::NoSuchToken.into())
    );
    let VaultObject::Method(method) = bench.change(owner(1), use_it(&token)).await.unwrap() else {
        panic!("no method");
    };
    assert_eq!(
        (method.id, method.profile.get("metadata[a]")),
        (token.method.id, Some("b"))
    );
    assert_eq!(
        bench.change(owner(1), use_it(&token)).await,
        Err(VaultRefusal::TokenUsed.into())
    );
    let unused = bench.token(owner(1)).await;
    bench.clock.ms.fetch_add(HOUR_MS, Ordering::Relaxed);
    assert_eq!(
        bench.change(owner(1), use_it(&unused)).await,
        Err(VaultRefusal::NoSuchToken.into())
    );
    assert_eq!(bench.number(owner(1).merchant, unused.method.id).await, None);
    assert_eq!(
        bench.number(owner(1).merchant, method.id).await.as_deref(),
        Some(NUMBER)
    );
}

#[tokio::test]
async fn a_fingerprint_is_one_merchants_in_one_mode() {
    let bench = Bench::new();
    let first = bench.method(owner(1), NUMBER, None).await.card;
    assert_eq!(
        bench.method(owner(1), NUMBER, None).await.card.fingerprint,
        first.fingerprint
    );
    let live = Owner {
        livemode: true,
        ..owner(1)
    };
    for (owner, number) in [(owner(2), NUMBER), (live, NUMBER), (owner(1), "5555555555554444")] {
        assert_ne!(
            bench.method(owner, number, None).await.card.fingerprint,
            first.fingerprint
        );
    }
}

#[tokio::test]
async fn nobody_else_finds_a_card_or_customer() {
    let bench = Bench::new();
    let customer = bench.customer(owner(1), "Jane").await;
    let method = bench.method(owner(1), NUMBER, None).await;
    let live = Owner {
        livemode: true,
        ..owner(1)
    };
    for other in [owner(2), live] {
        assert_eq!(
            bench
                .store()
                .get(other, VaultKey::Customer(customer.id))
                .await
                .unwrap(),
            None
        );
        assert_eq!(
            bench
                .store()
                .get(other, VaultKey::Method(method.id))
                .await
                .unwrap(),
            None
        );
        let attach = VaultChange::Attach {
            id: method.id,
            customer: customer.id,
        };
        assert_eq!(
            bench.change(other, attach).await,
            Err(VaultRefusal::NoSuchCustomer.into())
        );
    }
    assert_eq!(bench.number(owner(2).merchant, method.id).await, None);
}

#[tokio::test]
async fn a_security_code_is_kept_in_memory_until_its_card_was_charged_or_its_time_is_over() {
    let bench = Bench::new();
    let code = async |method: MethodId| {
        let charged = bench
            .store()
            .open(owner(1).merchant, method)
            .await
            .unwrap()
            .unwrap();
        charged.code.map(|code| code.expose().to_owned())
    };
    let first = bench.method(owner(1), NUMBER, Some("123")).await;
    assert_eq!(code(first.id).await.as_deref(), Some("123"));
    bench.store().answered(first.id);
    assert_eq!(code(first.id).await, None);
    let second = bench.method(owner(1), NUMBER, Some("456")).await;
    bench.clock.ms.fetch_add(15 * 60_000 - 1, Ordering::Relaxed);
    assert_eq!(code(second.id).await.as_deref(), Some("456"));
    bench.clock.ms.fetch_add(1, Ordering::Relaxed);
    assert_eq!(code(second.id).await, None);
    assert_eq!(bench.store().codes_kept(), 0);
    let third = bench.method(owner(1), NUMBER, Some("789")).await;
    for _ in 0..CODES_MAX {
        bench.method(owner(1), NUMBER, Some("000")).await;
    }
    assert_eq!(
        (code(third.id).await, bench.store().codes_kept()),
        (None, CODES_MAX)
    );
}

#[tokio::test]
async fn changes_beyond_the_queue_are_refused_and_those_within_are_made() {
    let bench = Bench::new();
    let folder = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        changes_waiting_max: 4,
        ..StoreOptions::default()
    };
    let store = bench
        .open(&file_in(folder.path()), vec![kek(folder.path(), "kek")], &options)
        .unwrap();
    let (mut waiting, mut busy) = (Vec::new(), 0);
    {
        // The writer needs the time for each batch, and does not get it.
        let _still = bench.clock.gate.lock().unwrap();
        let store = &store;
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..300 {
            let create = VaultChange::CreateCustomer {
                said: Profile::default(),
                method: None,
            };
            let mut change = Box::pin(store.change(owner(1), create, None));
            match change.as_mut().poll(&mut context) {
                Poll::Ready(answer) => {
                    assert_eq!(answer, Err(VaultError::Busy));
                    busy += 1;
                }
                Poll::Pending => waiting.push(change),
            }
        }
    }
    // One batch at most was taken out of the queue.
    assert!(
        (4..=260).contains(&waiting.len()) && busy >= 40,
        "{} {busy}",
        waiting.len()
    );
    for change in waiting {
        assert!(change.await.is_ok());
    }
}

#[tokio::test]
async fn another_key_encryption_key_opens_what_was_sealed_before() {
    let mut bench = Bench::new();
    let method = bench.method(owner(1), NUMBER, None).await;
    bench.method(owner(2), NUMBER, None).await;
    bench.store = None;
    let keks = [kek(bench.folder.path(), "next"), kek(bench.folder.path(), "kek")];
    assert_eq!(rewrap(&bench.file(), &keks), Ok((2, 0)));
    assert_eq!(rewrap(&bench.file(), &keks), Ok((0, 2)));
    assert!(bench.reopen("kek").is_err());
    bench.reopen("next").unwrap();
    assert_eq!(
        bench.number(owner(1).merchant, method.id).await.as_deref(),
        Some(NUMBER)
    );
    assert_eq!(rewrap(&bench.folder.path().join("nothing.db"), &keks), Ok((0, 0)));
}

#[tokio::test]
async fn pages_go_both_ways_newest_first() {
    let bench = Bench::new();
    let mut ids = Vec::new();
    for number in 0..5 {
        bench.clock.ms.fetch_add(1, Ordering::Relaxed);
        ids.insert(0, bench.customer(owner(1), &number.to_string()).await.id);
    }
    let page = async |after: Option<CustomerId>, before: Option<CustomerId>| {
        let page = VaultPage {
            listed: Listed::Customers,
            limit: 2,
            starting_after: after.map(CustomerId::bits),
            ending_before: before.map(CustomerId::bits),
        };
        let (objects, has_more) = bench.store().list(owner(1), page).await.unwrap().unwrap();
        let id = |object: &VaultObject| match object {
            VaultObject::Customer(customer) => customer.id,
            other => panic!("{other:?}"),
        };
        (objects.iter().map(id).collect::<Vec<_>>(), has_more)
    };
    assert_eq!(page(None, None).await, (ids[..2].to_vec(), true));
    assert_eq!(page(Some(ids[1]), None).await, (ids[2..4].to_vec(), true));
    assert_eq!(page(Some(ids[3]), None).await, (ids[4..].to_vec(), false));
    assert_eq!(page(None, Some(ids[3])).await, (ids[1..3].to_vec(), true));
    assert_eq!(page(None, Some(ids[1])).await, (ids[..1].to_vec(), false));
}
