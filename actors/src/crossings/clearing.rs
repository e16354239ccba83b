//! Whether the clearing accounts of all shards come to zero together. They are read one after the other, so nothing is said while
//! transfers between shards are under way.

use crate::account_shard::{CrossingMail, PaymentAccounts, Question, ShardMail};
use crate::mailbox::Mailbox;
use florin_domain::ids::Seq;
use florin_domain::ledger::{AccountKey, AccountName, AccountState};
use florin_domain::money::Currency;
use florin_domain::time::Millis;
use std::collections::BTreeMap;
use tokio::sync::oneshot;

/// What the clearing accounts come to, in minor units, by currency and mode.
pub(crate) type Nets = BTreeMap<(Currency, bool), i128>;

/// What was read, and the commit that last posted to each account: the same twice means that nothing happened in between.
type Reading = Vec<(usize, AccountKey, i128, Seq)>;

/// Clearing accounts of one shard: one for each currency and mode.
const ACCOUNTS_MAX: usize = 1024;

async fn ask<T>(peer: &Mailbox<ShardMail>, mail: impl FnOnce(oneshot::Sender<T>) -> ShardMail) -> Option<T> {
    let (reply, waits) = oneshot::channel();
    peer.step(mail(reply));
    waits.await.ok()
}

async fn read(peers: &[Mailbox<ShardMail>]) -> Option<Reading> {
    let mut reading = Vec::new();
    for (shard, peer) in peers.iter().enumerate() {
        for livemode in [false, true] {
            let page = PaymentAccounts {
                of: Some((AccountName::ShardClearing, livemode)),
                after: None,
                limit: ACCOUNTS_MAX,
            };
            let mail = |reply| ShardMail::Question(Question::PaymentAccounts { page, reply });
            let (accounts, _) = ask(peer, mail).await?;
            let row = |(key, state): (AccountKey, AccountState)| {
                (shard, key, state.posted.minor(), state.last_posted)
            };
            reading.extend(accounts.into_iter().map(row));
        }
    }
    Some(reading)
}

async fn is_anything_open(peers: &[Mailbox<ShardMail>]) -> Option<bool> {
    for peer in peers {
        let mail = |reply| {
            ShardMail::Crossing(CrossingMail::Left {
                patience: Millis(0),
                limit: 1,
                reply,
            })
        };
        if !ask(peer, mail).await?.is_empty() {
            return Some(true);
        }
    }
    Some(false)
}

/// What the clearing accounts of all shards come to, if nothing was under way while they were read.
pub(crate) async fn nets(peers: &[Mailbox<ShardMail>]) -> Option<Nets> {
    let before = read(peers).await?;
    if is_anything_open(peers).await? || read(peers).await? != before {
        return None;
    }
    let mut nets = Nets::new();
    for (_, key, minor, _) in before {
        let net = nets.entry((key.currency, key.livemode)).or_default();
        *net = net.saturating_add(minor);
    }
    Some(nets)
}

/// Shows what they come to, and calls for a person if that is not zero.
pub(super) fn show(nets: &Nets) {
    for ((currency, livemode), minor) in nets {
        let labels = [
            ("currency", currency.code().to_owned()),
            ("livemode", livemode.to_string()),
        ];
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        metrics::gauge!("florin_shard_clearing_minor", &labels).set(*minor as f64);
        if *minor != 0 {
            tracing::error!(
                currency = currency.code(),
                livemode,
                minor,
                "money between shards is on one side only; the shards are not of one time"
            );
            metrics::counter!("florin_alerts_total", "alert" => "clearing_not_zero").increment(1);
        }
    }
}
