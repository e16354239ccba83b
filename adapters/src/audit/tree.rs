//! Owns the Merkle tree of RFC 9162, section 2.1, over the chain hashes of a journal: the leaf at index `n - 1` is the hash of record `n`.
//!
//! Nothing here keeps the leaves. The tree grows by its [`Frontier`], and a [`PathBuilder`] makes a proof out of one pass over them.

use sha2::{Digest, Sha256};
use std::ops::Range;

/// A chain hash, or a hash of the tree.
pub type Hash = [u8; 32];

/// What the hash of a leaf begins with, so that no leaf can be taken for a node.
const LEAF: u8 = 0;

/// What the hash of a node begins with.
const NODE: u8 = 1;

fn leaf_hash(leaf: &Hash) -> Hash {
    let mut bytes = [LEAF; 33];
    bytes[1..].copy_from_slice(leaf);
    Sha256::digest(bytes).into()
}

fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [NODE; 65];
    bytes[1..33].copy_from_slice(left);
    bytes[33..].copy_from_slice(right);
    Sha256::digest(bytes).into()
}

/// The roots of the full subtrees from which a tree of this size is made: all that appending needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// One for each bit that is set in `size`, the highest first.
    peaks: Vec<Hash>,
}

impl Frontier {
    /// The frontier that was kept; nothing if that many peaks do not belong to a tree of this size.
    pub fn from_peaks(size: u64, peaks: Vec<Hash>) -> Option<Self> {
        (peaks.len() == size.count_ones() as usize).then_some(Self { size, peaks })
    }

    /// How many leaves there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// What [`Self::from_peaks`] takes.
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// Appends a leaf.
    pub fn push(&mut self, leaf: &Hash) {
        let mut root = leaf_hash(leaf);
        // Every full subtree on the right is joined with one of the same size, as ones carry in a sum.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                root = node_hash(&left, &root);
            }
        }
        self.peaks.push(root);
        self.size += 1;
    }

    /// The root of the tree; without leaves, the hash of nothing.
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev().copied();
        match peaks.next() {
            None => Sha256::digest([]).into(),
            Some(last) => peaks.fold(last, |right, left| node_hash(&left, &right)),
        }
    }
}

/// The largest power of two below `size`, which is at least two.
fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

/// The subtrees whose roots are the proof that the leaf at `index` is in a tree of `size`, in the order of the proof.
fn inclusion_ranges(index: u64, size: u64) -> Vec<Range<u64>> {
    let (mut start, mut end) = (0, size);
    let mut ranges = Vec::new();
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            ranges.push(middle..end);
            end = middle;
        } else {
            ranges.push(start..middle);
            start = middle;
        }
    }
    ranges.reverse();
    ranges
}

/// The subtrees whose roots are the proof that a tree of `new` begins with the tree of `old`, which is not empty.
fn consistency_ranges(old: u64, new: u64) -> Vec<Range<u64>> {
    let (mut start, mut end) = (0, new);
    let mut ranges = Vec::new();
    while end != old {
        let middle = start + split(end - start);
        if old <= middle {
            ranges.push(middle..end);
            end = middle;
        } else {
            ranges.push(start..middle);
            start = middle;
        }
    }
    // The verifier has the old root itself, if that is the subtree at which this ends.
    if start != 0 {
        ranges.push(start..end);
    }
    ranges.reverse();
    ranges
}

/// A proof in the making: it is shown every leaf once, in order, and keeps what it needs.
#[derive(Debug)]
pub struct PathBuilder {
    /// By start, each with its place in the proof; they do not overlap.
    ranges: Vec<(Range<u64>, usize)>,
    at_range: usize,
    at_leaf: u64,
    subtree: Frontier,
    path: Vec<Hash>,
}

impl PathBuilder {
    /// Proves that the leaf at `index` is in the tree of `size`; nothing if it is not.
    pub fn inclusion(index: u64, size: u64) -> Option<Self> {
        (index < size).then(|| Self::over(inclusion_ranges(index, size)))
    }

    /// Proves that the tree of `new` leaves begins with the tree of `old` ones; nothing if it does not.
    pub fn consistency(old: u64, new: u64) -> Option<Self> {
        let ranges = if old == 0 {
            Vec::new()
        } else {
            consistency_ranges(old, new.max(old))
        };
        (old <= new).then(|| Self::over(ranges))
    }

    fn over(ranges: Vec<Range<u64>>) -> Self {
        let path = vec![[0; 32]; ranges.len()];
        let mut ranges: Vec<_> = ranges.into_iter().zip(0..).collect();
        ranges.sort_by_key(|(range, _)| range.start);
        Self {
            ranges,
            at_range: 0,
            at_leaf: 0,
            subtree: Frontier::default(),
            path,
        }
    }

    /// Looks at the next leaf.
    pub fn push(&mut self, leaf: &Hash) {
        let at = self.at_leaf;
        self.at_leaf += 1;
        let Some((range, place)) = self.ranges.get(self.at_range) else {
            return;
        };
        if !range.contains(&at) {
            return;
        }
        self.subtree.push(leaf);
        if at + 1 == range.end {
            self.path[*place] = std::mem::take(&mut self.subtree).root();
            self.at_range += 1;
        }
    }

    /// The proof; nothing if leaves that it needs were not shown.
    pub fn finish(self) -> Option<Vec<Hash>> {
        (self.at_range == self.ranges.len()).then_some(self.path)
    }
}

/// Whether the path proves that `leaf` stands at `index` of the tree with this size and root (RFC 9162, 2.1.3.2).
pub fn includes(root: &Hash, size: u64, index: u64, leaf: &Hash, path: &[Hash]) -> bool {
    if index >= size {
        return false;
    }
    let (mut node, mut last) = (index, size - 1);
    let mut hash = leaf_hash(leaf);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    last == 0 && hash == *root
}

/// Whether the path proves that the tree `new` begins with the tree `old`, both given by size and root (RFC 9162, 2.1.4.2).
pub fn extends(old: (u64, &Hash), new: (u64, &Hash), path: &[Hash]) -> bool {
    let ((old_size, old_root), (new_size, new_root)) = (old, new);
    if old_size == 0 || old_size >= new_size {
        let is_same = old_size == new_size && old_root == new_root;
        let is_after_nothing = old_size == 0 && *old_root == Frontier::default().root();
        return path.is_empty() && (is_same || is_after_nothing);
    }
    let mut rest = path.iter();
    let first = if old_size.is_power_of_two() {
        Some(old_root)
    } else {
        rest.next()
    };
    let Some(first) = first else {
        return false;
    };
    let shift = (old_size - 1).trailing_ones();
    let (mut node, mut last) = ((old_size - 1) >> shift, (new_size - 1) >> shift);
    let (mut was, mut is) = (*first, *first);
    for sibling in rest {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            (was, is) = (node_hash(sibling, &was), node_hash(sibling, &is));
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            is = node_hash(&is, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    last == 0 && was == *old_root && is == *new_root
}

#[cfg(test)]
mod tests {
    //! Against the definitions of the RFC, written down as they stand there.

    use super::*;
    use proptest::prelude::*;

    fn leaves(count: u64) -> Vec<Hash> {
        (0..count)
            .map(|leaf| Sha256::digest(leaf.to_le_bytes()).into())
            .collect()
    }

    /// MTH(D_n).
    fn tree_hash(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Sha256::digest(b"").into(),
            [leaf] => Sha256::digest([&[0_u8][..], leaf].concat()).into(),
            leaves => {
                let k = leaves.len().next_power_of_two() / 2;
                let (left, right) = (tree_hash(&leaves[..k]), tree_hash(&leaves[k..]));
                Sha256::digest([&[1_u8][..], &left, &right].concat()).into()
            }
        }
    }

    /// PATH(m, D_n).
    fn path(m: usize, leaves: &[Hash]) -> Vec<Hash> {
        if leaves.len() == 1 {
            return Vec::new();
        }
        let k = leaves.len().next_power_of_two() / 2;
        let (mut inner, other) = if m < k {
            (path(m, &leaves[..k]), tree_hash(&leaves[k..]))
        } else {
            (path(m - k, &leaves[k..]), tree_hash(&leaves[..k]))
        };
        inner.push(other);
        inner
    }

    /// SUBPROOF(m, D_n, b).
    fn subproof(m: usize, leaves: &[Hash], is_whole: bool) -> Vec<Hash> {
        if m == leaves.len() {
            return if is_whole {
                Vec::new()
            } else {
                vec![tree_hash(leaves)]
            };
        }
        let k = leaves.len().next_power_of_two() / 2;
        let (mut inner, other) = if m <= k {
            (subproof(m, &leaves[..k], is_whole), tree_hash(&leaves[k..]))
        } else {
            (subproof(m - k, &leaves[k..], false), tree_hash(&leaves[..k]))
        };
        inner.push(other);
        inner
    }

    fn grown(leaves: &[Hash]) -> Frontier {
        let mut frontier = Frontier::default();
        for leaf in leaves {
            frontier.push(leaf);
        }
        frontier
    }

    fn built(builder: Option<PathBuilder>, leaves: &[Hash]) -> Vec<Hash> {
        let mut builder = builder.unwrap();
        for leaf in leaves {
            builder.push(leaf);
        }
        builder.finish().unwrap()
    }

    fn proof_of_inclusion(index: u64, leaves: &[Hash]) -> Vec<Hash> {
        built(PathBuilder::inclusion(index, leaves.len() as u64), leaves)
    }

    fn proof_of_consistency(old: u64, leaves: &[Hash]) -> Vec<Hash> {
        built(PathBuilder::consistency(old, leaves.len() as u64), leaves)
    }

    #[test]
    fn every_small_tree_has_the_root_and_the_proofs_of_the_definition() {
        let all = leaves(70);
        for size in 0..=all.len() {
            let (leaves, wide) = (&all[..size], size as u64);
            let root = grown(leaves).root();
            assert_eq!(root, tree_hash(leaves), "root of {size}");
            for index in 0..size {
                let proof = proof_of_inclusion(index as u64, leaves);
                assert_eq!(proof, path(index, leaves), "{index} in {size}");
                assert!(
                    includes(&root, wide, index as u64, &leaves[index], &proof),
                    "{index} in {size}"
                );
            }
            for old in 0..=size {
                let proof = proof_of_consistency(old as u64, leaves);
                if old > 0 {
                    assert_eq!(proof, subproof(old, leaves, true), "{old} of {size}");
                }
                let was = tree_hash(&all[..old]);
                assert!(
                    extends((old as u64, &was), (wide, &root), &proof),
                    "{old} of {size}"
                );
            }
        }
    }

    #[test]
    fn nothing_is_in_an_empty_tree_and_no_tree_begins_with_a_larger_one() {
        let [leaf] = leaves(1)[..] else {
            unreachable!("one leaf was asked for")
        };
        let empty = Frontier::default().root();
        assert!(!includes(&empty, 0, 0, &leaf, &[]));
        assert!(PathBuilder::inclusion(0, 0).is_none() && PathBuilder::inclusion(3, 3).is_none());
        assert!(PathBuilder::consistency(4, 3).is_none());
        assert!(!extends((1, &leaf_hash(&leaf)), (0, &empty), &[]));
        assert!(
            !extends((0, &leaf), (1, &leaf_hash(&leaf)), &[]),
            "nothing has one root only"
        );
        assert!(
            PathBuilder::inclusion(0, 2).unwrap().finish().is_none(),
            "no leaf was shown"
        );
    }

    #[test]
    fn a_frontier_goes_on_from_its_peaks() {
        let all = leaves(40);
        for size in 0..all.len() {
            let before = grown(&all[..size]);
            let mut frontier = Frontier::from_peaks(before.size(), before.peaks().to_vec()).unwrap();
            for leaf in &all[size..] {
                frontier.push(leaf);
            }
            assert_eq!(frontier, grown(&all), "{size}");
            assert_eq!(
                Frontier::from_peaks(size as u64 + 1, frontier.peaks[..1].to_vec()).is_some(),
                (size + 1).is_power_of_two()
            );
        }
    }

    proptest! {
        #[test]
        fn larger_trees_have_the_roots_and_proofs_of_the_definition(size in 1..700_u64, one: prop::sample::Index, other: prop::sample::Index) {
            let leaves = leaves(size);
            let (index, old) = (one.index(leaves.len()), other.index(leaves.len()) + 1);
            let root = grown(&leaves).root();
            prop_assert_eq!(root, tree_hash(&leaves));
            let inclusion = proof_of_inclusion(index as u64, &leaves);
            prop_assert_eq!(&inclusion, &path(index, &leaves));
            prop_assert!(includes(&root, size, index as u64, &leaves[index], &inclusion));
            let consistency = proof_of_consistency(old as u64, &leaves);
            prop_assert_eq!(&consistency, &subproof(old, &leaves, true));
            let was = tree_hash(&leaves[..old]);
            prop_assert!(extends((old as u64, &was), (size, &root), &consistency));
        }

        #[test]
        fn a_proof_of_anything_else_is_refused(size in 2..300_u64, one: prop::sample::Index, bit in 0..256_usize, hurt: prop::sample::Index) {
            let leaves = leaves(size);
            let index = one.index(leaves.len());
            let flip = |hash: &Hash| {
                let mut hash = *hash;
                hash[bit / 8] ^= 1 << (bit % 8);
                hash
            };
            let (root, at, leaf) = (grown(&leaves).root(), index as u64, &leaves[index]);
            let proof = proof_of_inclusion(at, &leaves);
            prop_assert!(!includes(&flip(&root), size, at, leaf, &proof));
            prop_assert!(!includes(&root, size, at, &flip(leaf), &proof));
            prop_assert!(!includes(&root, size, (at + 1) % size, leaf, &proof));
            prop_assert!(!includes(&root, size, at, leaf, &proof[1..]));
            prop_assert!(!includes(&root, size, at, leaf, &[&proof[..], &[root]].concat()));
            let mut bent = proof.clone();
            let place = hurt.index(bent.len());
            bent[place] = flip(&bent[place]);
            prop_assert!(!includes(&root, size, at, leaf, &bent));

            let old = 1 + at.min(size - 2);
            let was = tree_hash(&leaves[..usize::try_from(old).unwrap()]);
            let proof = proof_of_consistency(old, &leaves);
            prop_assert!(!extends((old, &flip(&was)), (size, &root), &proof));
            prop_assert!(!extends((old, &was), (size, &flip(&root)), &proof));
            let mut bent = proof.clone();
            let place = hurt.index(bent.len());
            bent[place] = flip(&bent[place]);
            prop_assert!(!extends((old, &was), (size, &root), &bent));
        }
    }
}
