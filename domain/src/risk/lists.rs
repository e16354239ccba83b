//! Block and allow lists: entries of the platform and of merchants, and what a payment finds in them.
//!
//! # Who wins
//! A block beats an allowance, whoever made either; an allowance beats the score and the velocity limits. Of two entries on the same
//! list the platform's is named before the merchant's, and among those the order of [`ListKind`].

use super::chunks::Chunks;
use super::target::{ListKind, Network, Target};
use crate::ids::{ApiKeyId, ListEntryId, MerchantId};
use crate::method::PaymentMethod;
use crate::payment::Spec;
use crate::time::Timestamp;
use core::net::IpAddr;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Entries of everybody together: some 50 MB, and a snapshot that is still written at once. The fold of the journal relies on it.
pub const ENTRIES_MAX: usize = 100_000;
/// Entries of one merchant in one mode, so that no merchant takes all the room.
pub const MERCHANT_ENTRIES_MAX: usize = 10_000;
/// Bytes of an entry's reason.
pub const REASON_BYTES_MAX: usize = 500;

/// What a match does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ListName {
    /// Denies the payment.
    Block,
    /// Lets it pass whatever its score.
    Allow,
}

impl ListName {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Allow => "allow",
        }
    }

    /// The list of this word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Block, Self::Allow]
            .into_iter()
            .find(|list| list.as_str() == word)
    }
}

/// Whose entry it is, and so whose payments it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ListOwner {
    /// The platform's: about everybody's.
    Platform,
    /// A merchant's: about its own, in live (`true`) or test mode.
    Merchant(MerchantId, bool),
}

/// An entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListEntry {
    /// Identity.
    pub id: ListEntryId,
    /// Whose it is.
    pub owner: ListOwner,
    /// On which list.
    pub list: ListName,
    /// What it is about.
    pub target: Target,
    /// Why, in its owner's words.
    pub reason: Arc<str>,
    /// From when on it says nothing any more.
    pub expires_at: Option<Timestamp>,
    /// Which key said so last.
    pub by: ApiKeyId,
}

impl ListEntry {
    /// Whether it still counts.
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }

    fn place(&self) -> Place {
        (self.owner, self.list, self.target.clone())
    }
}

/// The entry that decided a payment, as far as its history tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListMatch {
    /// On which list.
    pub list: ListName,
    /// What was known of the payment.
    pub kind: ListKind,
    /// The entry; it may be gone since.
    pub entry: ListEntryId,
    /// It is the platform's: why it was made is not for merchants.
    pub is_of_platform: bool,
    /// Why it was made.
    pub reason: Arc<str>,
}

impl ListMatch {
    /// The stable word among an assessment's reasons.
    pub const fn word(&self) -> &'static str {
        match (self.list, self.kind) {
            (ListName::Block, ListKind::CardFingerprint) => "blocklist_card_fingerprint",
            (ListName::Block, ListKind::Customer) => "blocklist_customer",
            (ListName::Block, ListKind::Device) => "blocklist_device",
            (ListName::Block, ListKind::Ip) => "blocklist_ip",
            (ListName::Block, ListKind::Country) => "blocklist_country",
            (ListName::Block, ListKind::Bin) => "blocklist_bin",
            (ListName::Allow, ListKind::CardFingerprint) => "allowlist_card_fingerprint",
            (ListName::Allow, ListKind::Customer) => "allowlist_customer",
            (ListName::Allow, ListKind::Device) => "allowlist_device",
            (ListName::Allow, ListKind::Ip) => "allowlist_ip",
            (ListName::Allow, ListKind::Country) => "allowlist_country",
            (ListName::Allow, ListKind::Bin) => "allowlist_bin",
        }
    }
}

/// There is one entry in a place.
type Place = (ListOwner, ListName, Target);

/// All entries. Copies are cheap, and a change disturbs no reader of an earlier copy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RiskLists {
    entries: Chunks<ListEntryId, Arc<ListEntry>>,
    places: Chunks<Place, Arc<ListEntry>>,
    /// How many entries each owner has.
    counts: BTreeMap<ListOwner, usize>,
    /// How many ranges of each length there are, by (IPv6, length): only these are looked up.
    lengths: BTreeMap<(bool, u8), usize>,
}

impl RiskLists {
    /// How many entries there are.
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entry with this id.
    pub fn get(&self, id: ListEntryId) -> Option<&Arc<ListEntry>> {
        self.entries.get(&id)
    }

    /// The entry of an owner about something.
    pub fn find(&self, owner: ListOwner, list: ListName, target: &Target) -> Option<&Arc<ListEntry>> {
        self.places.get(&(owner, list, target.clone()))
    }

    /// All entries, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<ListEntry>> {
        self.entries.iter().map(|(_, entry)| entry)
    }

    /// Whether an owner may add one more.
    pub fn has_room(&self, owner: ListOwner) -> bool {
        let own_max = match owner {
            ListOwner::Platform => ENTRIES_MAX,
            ListOwner::Merchant(..) => MERCHANT_ENTRIES_MAX,
        };
        self.len() < ENTRIES_MAX && self.counts.get(&owner).copied().unwrap_or(0) < own_max
    }

    /// Folds an addition: one about the same thing takes its reason and end and keeps its id; one without room changes nothing.
    pub fn add(&mut self, entry: &ListEntry) {
        let place = entry.place();
        if let Some(known) = self.places.get(&place) {
            let entry = Arc::new(ListEntry {
                id: known.id,
                ..entry.clone()
            });
            self.entries.insert(entry.id, Arc::clone(&entry));
            self.places.insert(place, entry);
            return;
        }
        if !self.has_room(entry.owner) || self.entries.get(&entry.id).is_some() {
            return;
        }
        let entry = Arc::new(entry.clone());
        count(&mut self.counts, entry.owner, true);
        if let Target::Ip(network) = &entry.target {
            count(&mut self.lengths, length(*network), true);
        }
        self.entries.insert(entry.id, Arc::clone(&entry));
        self.places.insert(place, entry);
    }

    /// Folds a removal.
    pub fn remove(&mut self, id: ListEntryId) {
        let Some(entry) = self.entries.remove(&id) else {
            return;
        };
        self.places.remove(&entry.place());
        count(&mut self.counts, entry.owner, false);
        if let Target::Ip(network) = &entry.target {
            count(&mut self.lengths, length(*network), false);
        }
    }

    /// What a payment finds at `now`, if anything.
    pub fn matching(&self, spec: &Spec, method: &PaymentMethod, now: Timestamp) -> Option<ListMatch> {
        if self.is_empty() {
            return None;
        }
        let own = ListOwner::Merchant(spec.merchant, spec.livemode);
        let owners: Vec<ListOwner> = [ListOwner::Platform, own]
            .into_iter()
            .filter(|owner| self.counts.contains_key(owner))
            .collect();
        let lists = [ListName::Block, ListName::Allow];
        let places = lists
            .into_iter()
            .flat_map(|list| owners.iter().map(move |owner| (*owner, list)));
        let known = Known::of(spec, method);
        for (owner, list) in places {
            let found = ListKind::ALL
                .into_iter()
                .find_map(|kind| self.about(&known, (owner, list, kind), now));
            if let Some(entry) = found {
                return Some(ListMatch {
                    list,
                    kind: entry.target.kind(),
                    entry: entry.id,
                    is_of_platform: owner == ListOwner::Platform,
                    reason: Arc::clone(&entry.reason),
                });
            }
        }
        None
    }

    fn about(
        &self,
        known: &Known<'_>,
        (owner, list, kind): (ListOwner, ListName, ListKind),
        now: Timestamp,
    ) -> Option<&Arc<ListEntry>> {
        let look = |target: Target| {
            let found = self.places.get(&(owner, list, target));
            found.filter(|entry| entry.is_in_force(now))
        };
        match kind {
            // However often a number was saved, it is one card; an entry may also name one saved card by its id.
            ListKind::CardFingerprint => {
                let number = known.number.clone().map(Target::CardFingerprint);
                number
                    .and_then(look)
                    .or_else(|| look(Target::CardFingerprint(Arc::clone(known.card))))
            }
            ListKind::Customer => look(Target::Customer(Arc::clone(known.customer?))),
            ListKind::Device => look(Target::Device(Arc::clone(known.device?))),
            ListKind::Ip => {
                let address = known.address?;
                // The smallest range says most.
                let lengths = self.lengths.keys().rev();
                lengths
                    .filter(|(is_v6, _)| *is_v6 == address.is_ipv6())
                    .find_map(|(_, prefix)| look(Target::Ip(Network::of(address, *prefix))))
            }
            ListKind::Country => {
                let mut found = known
                    .countries
                    .iter()
                    .flatten()
                    .map(|country| look(Target::Country(*country)));
                match list {
                    ListName::Block => found.flatten().next(),
                    // Two countries that are known must both be trusted: a stranger's card at a trusted address is not.
                    ListName::Allow => {
                        let first = found.next()??;
                        found.all(|other| other.is_some()).then_some(first)
                    }
                }
            }
            // The longest entry says most.
            ListKind::Bin => {
                let digits = known.first_digits?;
                let starts = (6..=digits.len()).rev().filter_map(|len| digits.get(..len));
                starts.map(Arc::from).find_map(|start| look(Target::Bin(start)))
            }
        }
    }
}

/// What is known of a payment.
#[derive(Debug)]
struct Known<'a> {
    card: &'a Arc<str>,
    /// The fingerprint of a saved card's number.
    number: Option<Arc<str>>,
    first_digits: Option<&'a str>,
    customer: Option<&'a Arc<str>>,
    device: Option<&'a Arc<str>>,
    address: Option<IpAddr>,
    countries: [Option<[u8; 2]>; 2],
}

impl<'a> Known<'a> {
    fn of(spec: &'a Spec, method: &'a PaymentMethod) -> Self {
        let address = spec.device.ip.as_ref().and_then(|ip| ip.parse::<IpAddr>().ok());
        Self {
            card: &method.id,
            number: method
                .stored
                .as_ref()
                .map(|stored| stored.fingerprint_text().into()),
            first_digits: method.first_digits(),
            customer: spec.customer.as_ref(),
            device: spec.device.fingerprint.as_ref(),
            address: address.map(|address| address.to_canonical()),
            countries: [Some(method.country), spec.device.country],
        }
    }
}

const fn length(network: Network) -> (bool, u8) {
    (network.is_v6(), network.prefix())
}

/// Counts one more or one fewer; what there is none of is not kept.
fn count<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K, more: bool) {
    if more {
        let count = counts.entry(key).or_default();
        *count = count.saturating_add(1);
    } else if counts.get(&key).is_some_and(|count| *count > 1) {
        counts
            .entry(key)
            .and_modify(|count| *count = count.saturating_sub(1));
    } else {
        counts.remove(&key);
    }
}

#[cfg(test)]
mod tests;
