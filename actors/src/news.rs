//! Which merchants have something new in the index of announcements: whoever follows one looks there only then.

use arc_swap::ArcSwap;
use florin_domain::ids::{MerchantId, Seq};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A merchant in one mode.
pub(crate) type Tenant = (MerchantId, bool);

/// The last announcing commit of a merchant that the index was given. While it stays, there is nothing new.
#[derive(Clone, Debug, Default)]
pub struct Latest(Arc<AtomicU64>);

impl Latest {
    /// The commit; an earlier one only says that something may be new.
    pub(crate) fn seq(&self) -> Seq {
        Seq(self.0.load(Ordering::Acquire))
    }
}

/// News of all merchants that somebody follows; they are few, and never forgotten.
#[derive(Debug, Default)]
pub struct News(ArcSwap<HashMap<Tenant, Latest>>);

impl News {
    /// Follows a merchant. The index is to be read after this.
    pub(crate) fn follow(&self, tenant: Tenant) -> Latest {
        if let Some(latest) = self.0.load().get(&tenant) {
            return latest.clone();
        }
        let mine = Latest::default();
        self.0.rcu(|followed| {
            let mut followed = HashMap::clone(followed);
            followed.entry(tenant).or_insert_with(|| mine.clone());
            followed
        });
        self.0.load().get(&tenant).cloned().unwrap_or(mine)
    }

    /// The index has these.
    pub(crate) fn tell(&self, announced: BTreeMap<Tenant, Seq>) {
        let followed = self.0.load();
        if followed.is_empty() {
            return;
        }
        for (tenant, seq) in announced {
            if let Some(latest) = followed.get(&tenant) {
                latest.0.store(seq.0, Ordering::Release);
            }
        }
    }

    /// The index has everything up to here, and nobody knows what of that is new.
    pub(crate) fn tell_all(&self, seq: Seq) {
        for latest in self.0.load().values() {
            latest.0.store(seq.0, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_follows_hears_of_its_own_merchant_alone_unless_all_are_told() {
        let news = News::default();
        let tenant = |bits, livemode| (MerchantId::from_bits(bits), livemode);
        let (one, other) = (news.follow(tenant(1, true)), news.follow(tenant(1, false)));
        news.tell(BTreeMap::from([
            (tenant(1, true), Seq(7)),
            (tenant(2, true), Seq(9)),
        ]));
        assert_eq!((one.seq(), other.seq()), (Seq(7), Seq(0)));
        assert_eq!(news.follow(tenant(1, true)).seq(), Seq(7));
        news.tell_all(Seq(8));
        assert_eq!((one.seq(), other.seq()), (Seq(8), Seq(8)));
    }
}
