//! What must hold whatever happened: one payment per key, one charge per payment, one chain of commits per payment, books that
//! say what the provider really charged, and replies that were true.

use crate::ports::all_commits;
use crate::provider::Scripted;
use crate::world::{Answered, World, amount_minor, key_digest, live_payments, submit, until};
use florin_actors::payments_handle::{Answered as Shown, RequestError};
use florin_adapters::journal::MemoryJournal;
use florin_domain::commit::Body;
use florin_domain::idempotency::KeyDigest;
use florin_domain::ids::{PaymentId, Seq};
use florin_domain::ledger::{AccountKey, AccountName, AccountState};
use florin_domain::money::Currency;
use florin_domain::payment::{Answer, Payment, Status, evolve_all};
use florin_domain::ports::Provider;
use florin_supervisors::platform::Platform;
use std::collections::{BTreeMap, HashMap};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// The journal, folded.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    pub(crate) payments: BTreeMap<PaymentId, Payment>,
    pub(crate) keys: HashMap<KeyDigest, Vec<PaymentId>>,
    pub(crate) head: Seq,
}

fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the memory journal answers at once"),
    }
}

impl Truth {
    /// Folds the whole journal, and checks that every payment's commits form one chain.
    pub(crate) fn read(journal: &MemoryJournal) -> Self {
        let commits = at_once(all_commits(journal));
        let mut truth = Self::default();
        let mut last: BTreeMap<PaymentId, Seq> = BTreeMap::new();
        for commit in commits {
            truth.head = commit.seq;
            let Body::Payment(body) = &commit.body else {
                continue;
            };
            let id = body.payment;
            let prev = last.insert(id, commit.seq).unwrap_or(Seq::ZERO);
            assert_eq!(
                body.prev, prev,
                "commit {} of {id} does not follow its last one",
                commit.seq
            );
            let after = evolve_all(truth.payments.remove(&id), &body.events, commit.at)
                .unwrap()
                .unwrap();
            if prev == Seq::ZERO {
                truth.keys.entry(after.spec.key_digest).or_default().push(id);
            }
            truth.payments.insert(id, after);
        }
        truth
    }

    /// The one payment of request `n`.
    pub(crate) fn payment(&self, n: usize) -> Option<&Payment> {
        match self.keys.get(&key_digest(n)).map(Vec::as_slice) {
            None | Some([]) => None,
            Some([id]) => self.payments.get(id),
            Some(ids) => panic!("request {n} made {} payments", ids.len()),
        }
    }
}

/// The parts of an answer that every replay must show again.
pub(crate) fn shown(created: &Shown) -> (&Payment, Answer) {
    (&created.payment, created.answer)
}

/// Whether the same key will always be answered so.
pub(crate) fn is_final(answer: &Answered) -> bool {
    answer.as_ref().is_ok_and(|created| created.answer.is_final())
}

impl World {
    fn providers(&self) -> impl Iterator<Item = &Scripted> {
        [&self.provider]
            .into_iter()
            .chain(&self.backup)
            .map(|provider| &**provider)
    }

    /// Charges per payment, wherever.
    fn charges(&self) -> BTreeMap<PaymentId, usize> {
        let mut charges = BTreeMap::new();
        for (payment, count) in self.providers().flat_map(Scripted::charges) {
            *charges.entry(payment).or_default() += count;
        }
        charges
    }

    fn charges_of_amount(&self, amount_minor: i128) -> usize {
        self.providers()
            .map(|provider| provider.charges_of_amount(amount_minor))
            .sum()
    }

    /// No charge without a commit, none twice, one payment per key; nothing is said to be taken that was not.
    pub(crate) fn check_always(&self) -> Truth {
        let truth = self.truth();
        let charges = self.charges();
        for (payment, count) in &charges {
            assert!(
                truth.payments.contains_key(payment),
                "{payment} was charged and is not in the journal"
            );
            assert_eq!(*count, 1, "{payment} was charged {count} times");
        }
        for (key, payments) in &truth.keys {
            assert_eq!(payments.len(), 1, "key {key:?} made {payments:?}");
        }
        for (id, payment) in &truth.payments {
            if payment.status == Status::Succeeded {
                assert_eq!(charges.get(id), Some(&1), "{id} is said to be charged");
            }
        }
        truth
    }

    /// Replies are true at the moment: to be called before anything more is asked.
    pub(crate) fn check_replies(&self, replies: &[(usize, Answered)]) {
        let truth = self.check_always();
        for (n, reply) in replies {
            // Others claim nothing, or something that only shows later: see `check_not_stored`.
            let Ok(created) = reply else { continue };
            let charges = self.charges_of_amount(amount_minor(*n));
            let id = created.payment.id();
            let stored = truth
                .payments
                .get(&id)
                .unwrap_or_else(|| panic!("{id} was shown and is not stored"));
            assert_eq!(stored.spec, created.payment.spec);
            match created.answer {
                Answer::Shown => {
                    assert_eq!((stored, charges), (created.payment.as_ref(), 1), "request {n}");
                }
                Answer::Declined | Answer::Blocked => {
                    assert_eq!((stored, charges), (created.payment.as_ref(), 0), "request {n}");
                }
                Answer::NoProvider | Answer::Exhausted => assert_eq!(charges, 0, "request {n}"),
                Answer::Unresolved => {}
            }
        }
    }

    /// Of requests that were answered "nothing was stored" nothing may turn up later. To be called before they are sent again.
    pub(crate) fn check_not_stored(&self, answers: &[(usize, Answered)]) {
        let truth = self.check_always();
        for (n, answer) in answers {
            if let Err(RequestError::NotStored(_) | RequestError::Mismatch | RequestError::Shed(_)) = answer {
                assert!(
                    truth.payment(*n).is_none(),
                    "request {n} was answered {answer:?} and is stored"
                );
                assert_eq!(
                    self.charges_of_amount(amount_minor(*n)),
                    0,
                    "request {n} {answer:?}"
                );
            }
        }
    }

    /// Sends every request again until it has a final answer, which must be the one it had before if it had one. Returns them.
    pub(crate) async fn resolve_all(
        &self,
        platform: &Platform,
        earlier: &[(usize, Answered)],
    ) -> BTreeMap<usize, Shown> {
        let payments = platform.payments();
        let mut resolved = BTreeMap::new();
        for _ in 0..40 {
            let mut replies = Vec::new();
            for (n, _) in earlier.iter().filter(|(n, _)| !resolved.contains_key(n)) {
                replies.push((*n, submit(&payments, *n).await));
            }
            self.check_replies(&replies);
            let finals = replies.into_iter().filter(|(_, reply)| is_final(reply));
            resolved.extend(finals.map(|(n, reply)| (n, reply.expect("a final answer"))));
            if resolved.len() == earlier.len() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(20)).await;
        }
        for (n, before) in earlier {
            let now = resolved
                .get(n)
                .unwrap_or_else(|| panic!("request {n} gets no final answer"));
            if let Ok(before) = before
                && before.answer.is_final()
            {
                assert_eq!(
                    shown(now),
                    shown(before),
                    "request {n} is answered differently now"
                );
                assert!(now.replayed);
            }
        }
        resolved
    }

    /// The world at rest: nothing in flight, nothing in memory, the books say what the provider charged, and recovery would come
    /// to the same books.
    pub(crate) async fn check_at_rest(&self, platform: &Platform) {
        until("nothing is in flight", || {
            platform.context().admission.in_flight() == 0
        })
        .await;
        until("no payment is in memory", || live_payments(platform) == 0).await;
        let truth = self.check_always();
        let mut operations = truth.payments.values().flat_map(|payment| &payment.operations);
        // What came late was there until it was given back.
        let is_reversed = operations.any(|op| op.reverses.is_some());
        let accounts: BTreeMap<AccountKey, AccountState> = platform
            .ledger()
            .accounts()
            .await
            .unwrap()
            .0
            .into_iter()
            .collect();
        for provider in self.providers() {
            let clearing = AccountKey {
                name: AccountName::ProviderClearing(provider.capabilities().id),
                currency: Currency::USD,
                livemode: false,
            };
            let cleared = accounts
                .get(&clearing)
                .map_or(0, |account| account.posted.minor());
            assert_eq!(
                cleared,
                provider.sum_minor(),
                "clearing against what the provider charged"
            );
        }
        for total in platform.ledger().trial_balance().await.unwrap() {
            assert_eq!(total.debits_minor, total.credits_minor);
        }
        for (key, account) in &accounts {
            assert_eq!(
                (account.pending_credit_minor, account.pending_debit_minor),
                (0, 0),
                "holds of {key}"
            );
            assert!(
                !matches!(key.name, AccountName::Suspense) || (is_reversed && account.posted.minor() == 0),
                "nothing belongs to suspense"
            );
        }
    }

    /// The accounts as they stand, to be compared across lives.
    pub(crate) async fn accounts(&self, platform: &Platform) -> Vec<(AccountKey, AccountState)> {
        platform.ledger().accounts().await.unwrap().0
    }
}
