//! The shards of this process, and which of them an id is at home in.

use crate::context::Context;
use florin_domain::ids::ShardId;
use std::sync::Arc;

/// All shards of this process, by number. The first one is the home: it records control data, and its tree has what all share.
#[derive(Clone, Debug)]
pub struct Shards {
    home: Arc<Context>,
    others: Arc<[Arc<Context>]>,
}

impl Shards {
    /// The home, and the other shards in the order of their numbers, which begin with 1.
    pub fn new(home: Arc<Context>, others: Vec<Arc<Context>>) -> Self {
        Self {
            home,
            others: others.into(),
        }
    }

    /// The shard that records control data.
    pub fn home(&self) -> &Arc<Context> {
        &self.home
    }

    /// The shard with this number, if there is one.
    pub fn get(&self, shard: ShardId) -> Option<&Arc<Context>> {
        match usize::from(shard.0).checked_sub(1) {
            None => Some(&self.home),
            Some(place) => self.others.get(place),
        }
    }

    /// All of them, the home first.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Context>> {
        std::iter::once(&self.home).chain(self.others.iter())
    }

    /// How many there are; at least one.
    pub fn count(&self) -> usize {
        self.others.len().saturating_add(1)
    }
}
