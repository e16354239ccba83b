//! Whether the clearing accounts of all shards come to zero together, but for what transfers under way explain. They are read one after the other, beside
//! transfers; [`unexplained`] says why that is enough.

use crate::account_shard::{CrossingMail, LookMail, ShardMail};
use crate::context::Context;
use crate::mailbox::Mailbox;
use florin_domain::ids::ShardId;
use florin_domain::ledger::{ClearingView, Nets, unexplained};
use std::time::Duration;
use tokio::sync::oneshot;

/// Looks in a row that may come to nothing before people are called: ten minutes.
const IN_VAIN_MAX: u32 = 10;

/// A look is given up after so long: a shard whose disk hangs must not keep the carrier from what else it has to do.
const LOOK_MAX: Duration = Duration::from_secs(30);

async fn ask<T>(peer: &Mailbox<ShardMail>, mail: impl FnOnce(oneshot::Sender<T>) -> LookMail) -> Option<T> {
    let (reply, waits) = oneshot::channel();
    peer.step(ShardMail::Crossing(CrossingMail::Look(mail(reply))));
    waits.await.ok()
}

/// How many steps each shard recorded since its reading.
async fn counts(peers: &[Mailbox<ShardMail>], looks: &[u64]) -> Option<Vec<usize>> {
    let mut counts = Vec::new();
    for (peer, look) in peers.iter().zip(looks) {
        counts.push(ask(peer, |reply| LookMail::Count { look: *look, reply }).await??);
    }
    Some(counts)
}

/// What the clearing accounts of all shards come to, and transfers under way do not explain. Nothing if the look was broken off: by another one, or
/// because very much was recorded meanwhile.
pub(crate) async fn nets(context: &Context) -> Option<Nets> {
    let peers = &context.peers;
    let (mut views, mut looks) = (Vec::new(), Vec::new());
    for (shard, peer) in (0..).zip(peers.iter()) {
        let begun = ask(peer, LookMail::Begin).await?;
        looks.push(begun.look);
        views.push(ClearingView {
            shard: ShardId(shard),
            held_minor: begun.held_minor,
            open: begun.open,
            since: Vec::new(),
            asked: [0; 2],
        });
    }
    let (first, second) = (counts(peers, &looks).await?, counts(peers, &looks).await?);
    for (((peer, look), view), asked) in peers
        .iter()
        .zip(&looks)
        .zip(&mut views)
        .zip(first.iter().zip(second))
    {
        view.since = ask(peer, |reply| LookMail::End { look: *look, reply }).await??;
        view.asked = [*asked.0, asked.1];
    }
    // Thousands may be under way.
    Some(context.aside(move || unexplained(&views)).await)
}

/// What people are to be called for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Alarm {
    /// Money is on one side only.
    NotZero(Nets),
    /// So many looks in a row came to nothing.
    Unchecked(u32),
}

/// What the last looks came to.
#[derive(Debug, Default)]
pub(super) struct Watch {
    off: Nets,
    in_vain: u32,
}

impl Watch {
    /// Follows a look. What was found twice in a row is believed.
    pub(super) fn follow(&mut self, look: Option<Nets>) -> Option<Alarm> {
        let Some(nets) = look else {
            self.in_vain = self.in_vain.saturating_add(1);
            return (self.in_vain >= IN_VAIN_MAX).then_some(Alarm::Unchecked(self.in_vain));
        };
        self.in_vain = 0;
        let mut off = nets;
        off.retain(|_, minor| *minor != 0);
        let before = std::mem::replace(&mut self.off, off.clone());
        off.retain(|key, _| before.contains_key(key));
        (!off.is_empty()).then_some(Alarm::NotZero(off))
    }
}

/// Looks, and shows what they come to.
pub(super) async fn look(context: &Context) -> Option<Nets> {
    let nets = tokio::time::timeout(LOOK_MAX, nets(context))
        .await
        .ok()
        .flatten()?;
    for ((currency, livemode), minor) in &nets {
        let labels = [
            ("currency", currency.code().to_owned()),
            ("livemode", livemode.to_string()),
        ];
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        metrics::gauge!("florin_shard_clearing_minor", &labels).set(*minor as f64);
    }
    Some(nets)
}

/// Calls for a person.
pub(super) fn raise(alarm: &Alarm) {
    let alert = match alarm {
        Alarm::NotZero(nets) => {
            for ((currency, livemode), minor) in nets {
                tracing::error!(
                    currency = currency.code(),
                    livemode,
                    minor,
                    "money between shards is on one side only; the shards are not of one time"
                );
            }
            "clearing_not_zero"
        }
        Alarm::Unchecked(looks) => {
            tracing::warn!(
                looks,
                "nobody could look at the money between shards for many minutes: whether it is on both sides is not known"
            );
            "clearing_unchecked"
        }
    };
    metrics::counter!("florin_alerts_total", "alert" => alert).increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use florin_domain::money::Currency;

    fn nets(usd_minor: i128, eur_minor: i128) -> Nets {
        [
            ((Currency::USD, false), usd_minor),
            ((Currency::EUR, true), eur_minor),
        ]
        .into()
    }

    #[test]
    fn what_is_off_in_two_looks_in_a_row_is_told_each_time() {
        let mut watch = Watch::default();
        let off = |usd_minor| Some(Alarm::NotZero([((Currency::USD, false), usd_minor)].into()));
        let looks = [
            (Some(nets(0, 0)), None),
            (Some(nets(5, 0)), None),
            // A look that came to nothing says nothing of it.
            (None, None),
            (Some(nets(5, 0)), off(5)),
            (Some(nets(7, 1)), off(7)),
            (Some(nets(0, 0)), None),
            (Some(nets(0, 1)), None),
            (Some(nets(1, 0)), None),
        ];
        for (look, expected) in looks {
            assert_eq!(watch.follow(look.clone()), expected, "{look:?}");
        }
    }

    #[test]
    fn looks_that_come_to_nothing_for_ten_minutes_are_told_until_one_does() {
        let mut watch = Watch::default();
        for round in 0..2 {
            for _ in 0..9 {
                assert_eq!(watch.follow(None), None, "{round}");
            }
            assert_eq!(watch.follow(None), Some(Alarm::Unchecked(10)));
            assert_eq!(watch.follow(None), Some(Alarm::Unchecked(11)));
            assert_eq!(watch.follow(Some(nets(0, 0))), None);
        }
    }
}
