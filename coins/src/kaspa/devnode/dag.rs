//! A small block graph with the real colouring.
//!
//! Which blocks are paid is decided by GHOSTDAG: of the blocks a new block merges, those that were well connected
//! (at most `k` blue blocks in their anticone) are blue. This is that algorithm on plain vectors, for graphs that
//! fit in memory and whose width is a handful of blocks. A block's index grows with its arrival, so parents always
//! have smaller indices; every search stops where the indices do.
//! Source: Sompolinsky, Wyborski, Zohar, "PHANTOM GHOSTDAG", algorithm 1; orders of ties as on Kaspa.

use std::collections::{BTreeMap, HashMap};

/// A block's place in the order of arrival.
pub(super) type Index = usize;

/// What the graph knows of a block.
#[derive(Clone, Debug)]
pub(super) struct Vertex {
    pub(super) hash: [u8; 32],
    pub(super) parents: Vec<Index>,
    pub(super) children: Vec<Index>,
    pub(super) colouring: Colouring,
}

/// How a block sees its past.
#[derive(Clone, Debug, Default)]
pub(super) struct Colouring {
    /// `None` for the first block.
    pub(super) selected_parent: Option<Index>,
    /// The selected parent first, then in order of blue work.
    pub(super) blues: Vec<Index>,
    pub(super) reds: Vec<Index>,
    pub(super) blue_score: u64,
    pub(super) blue_work: u128,
    pub(super) daa_score: u64,
    /// Blue blocks in the anticone of each blue of the merge set, seen from here.
    anticones: HashMap<Index, usize>,
}

impl Colouring {
    /// The merge set in the order in which its transactions take effect: the selected parent, then by blue work.
    pub(super) fn merge_order(&self, dag: &Dag) -> Vec<Index> {
        let mut rest: Vec<Index> = self.blues.iter().skip(1).chain(&self.reds).copied().collect();
        rest.sort_unstable_by_key(|index| dag.rank(*index));
        self.selected_parent.into_iter().chain(rest).collect()
    }
}

#[derive(Clone, Debug)]
pub(super) struct Dag {
    vertices: Vec<Vertex>,
    by_hash: HashMap<[u8; 32], Index>,
    k: usize,
    /// Expected hashes of one block; the target never changes.
    block_work: u128,
}

impl Dag {
    pub(super) fn new(genesis: [u8; 32], k: usize, block_work: u128) -> Self {
        let first =
            Vertex { hash: genesis, parents: vec![], children: vec![], colouring: Colouring::default() };
        Self { vertices: vec![first], by_hash: HashMap::from([(genesis, 0)]), k, block_work }
    }

    pub(super) fn find(&self, hash: &[u8; 32]) -> Option<Index> {
        self.by_hash.get(hash).copied()
    }

    pub(super) fn at(&self, index: Index) -> &Vertex {
        &self.vertices[index]
    }

    pub(super) fn len(&self) -> usize {
        self.vertices.len()
    }

    /// Order of the chain's preference: blue work, then the hash.
    pub(super) fn rank(&self, index: Index) -> (u128, [u8; 32]) {
        let vertex = &self.vertices[index];
        (vertex.colouring.blue_work, vertex.hash)
    }

    /// Adds a block; its parents are known, not empty, and none is another's ancestor.
    pub(super) fn insert(&mut self, hash: [u8; 32], parents: Vec<Index>) -> Index {
        let colouring = self.colour(&parents);
        let index = self.vertices.len();
        for parent in &parents {
            self.vertices[*parent].children.push(index);
        }
        self.vertices.push(Vertex { hash, parents, children: vec![], colouring });
        self.by_hash.insert(hash, index);
        index
    }

    /// True when `old` is in the past of `new`, or is it.
    pub(super) fn is_ancestor(&self, old: Index, new: Index) -> bool {
        if old == new {
            return true;
        }
        let mut open = std::collections::BTreeSet::from([new]);
        while let Some(index) = open.pop_last() {
            if index == old {
                return true;
            }
            if index < old {
                return false;
            }
            open.extend(self.vertices[index].parents.iter().copied().filter(|parent| *parent >= old));
        }
        false
    }

    /// How a block with these parents sees its past.
    pub(super) fn colour(&self, parents: &[Index]) -> Colouring {
        let selected = *parents.iter().max_by_key(|parent| self.rank(**parent)).expect("a block has parents");
        let mut merged = self.merge_set(selected, parents);
        merged.sort_unstable_by_key(|index| self.rank(*index));
        let before = &self.vertices[selected].colouring;
        let mut new = Colouring {
            selected_parent: Some(selected),
            blues: vec![selected],
            anticones: HashMap::from([(selected, 0)]),
            ..Colouring::default()
        };
        for candidate in merged {
            match self.blue_peers(&new, candidate) {
                Some(peers) => {
                    new.blues.push(candidate);
                    new.anticones.insert(candidate, peers.len());
                    for (peer, size) in peers {
                        new.anticones.insert(peer, size + 1);
                    }
                }
                None => new.reds.push(candidate),
            }
        }
        let merged = (new.blues.len() + new.reds.len()) as u64;
        new.blue_score = before.blue_score + new.blues.len() as u64;
        new.blue_work =
            before.blue_work.saturating_add(self.block_work.saturating_mul(new.blues.len() as u128));
        new.daa_score = before.daa_score + merged;
        new
    }

    /// The blocks in the past of `parents` that are not in the past of `selected`, without `selected`.
    ///
    /// Walks down by index; a block is met after all its children, so its marks are complete then.
    fn merge_set(&self, selected: Index, parents: &[Index]) -> Vec<Index> {
        // Value: reached from the selected parent.
        let mut open = BTreeMap::from([(selected, true)]);
        for parent in parents {
            open.entry(*parent).or_insert(false);
        }
        let mut outside = open.values().filter(|inside| !**inside).count();
        let mut merged = Vec::new();
        while outside > 0 {
            let Some((index, inside)) = open.pop_last() else { break };
            if !inside {
                outside -= 1;
                merged.push(index);
            }
            for parent in &self.vertices[index].parents {
                match open.entry(*parent) {
                    std::collections::btree_map::Entry::Vacant(entry) => {
                        entry.insert(inside);
                        outside += usize::from(!inside);
                    }
                    std::collections::btree_map::Entry::Occupied(mut entry) => {
                        if inside && !*entry.get() {
                            entry.insert(true);
                            outside -= 1;
                        }
                    }
                }
            }
        }
        merged
    }

    /// The blue blocks in `candidate`'s anticone with their own counts, or `None` if it must be red.
    fn blue_peers(&self, new: &Colouring, candidate: Index) -> Option<Vec<(Index, usize)>> {
        // Besides the selected parent at most `k` blocks of a merge set are blue.
        if new.blues.len() == self.k + 1 {
            return None;
        }
        let mut peers = Vec::new();
        let mut view = new;
        loop {
            for peer in &view.blues {
                if self.is_ancestor(*peer, candidate) {
                    continue;
                }
                let size = self.anticone_size(new, *peer);
                if peers.len() == self.k || size == self.k {
                    return None;
                }
                peers.push((*peer, size));
            }
            // Down the chain, until it runs through the candidate's own past: all blues below are in it too.
            let selected = view.selected_parent?;
            if self.is_ancestor(selected, candidate) {
                return Some(peers);
            }
            view = &self.vertices[selected].colouring;
        }
    }

    /// How many blues are in `block`'s anticone, as the chain up to `new` last counted.
    fn anticone_size(&self, new: &Colouring, block: Index) -> usize {
        let mut view = new;
        loop {
            if let Some(size) = view.anticones.get(&block) {
                return *size;
            }
            match view.selected_parent {
                Some(selected) => view = &self.vertices[selected].colouring,
                None => return 0,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(n: u8) -> [u8; 32] {
        [n; 32]
    }

    fn dag() -> Dag {
        Dag::new(hash(0), 2, 10)
    }

    #[test]
    fn a_line_is_all_blue() {
        let mut dag = dag();
        let mut tip = 0;
        for n in 1..20 {
            tip = dag.insert(hash(n), vec![tip]);
            let colouring = &dag.at(tip).colouring;
            assert_eq!(
                (colouring.blue_score, colouring.daa_score, colouring.blue_work),
                (u64::from(n), u64::from(n), u128::from(n) * 10)
            );
            assert!(colouring.reds.is_empty());
        }
        assert!(dag.is_ancestor(0, tip) && dag.is_ancestor(5, tip) && !dag.is_ancestor(tip, 5));
    }

    #[test]
    fn a_block_beside_k_others_is_blue_and_beside_more_is_red() {
        for (beside, blue) in [(1, true), (2, true), (3, false), (6, false)] {
            let mut dag = dag();
            let first = dag.insert(hash(1), vec![0]);
            let lonely = dag.insert(hash(2), vec![first]);
            let mut tip = first;
            for n in 0..beside {
                tip = dag.insert(hash(10 + n), vec![tip]);
            }
            let merger = dag.insert(hash(100), vec![tip, lonely]);
            let colouring = &dag.at(merger).colouring;
            // With one block beside it the higher hash is the chain; the other is merged.
            let merged = if colouring.selected_parent == Some(lonely) { tip } else { lonely };
            assert_eq!(colouring.blues.contains(&merged), blue, "{beside} beside");
            assert_eq!(colouring.reds.contains(&merged), !blue, "{beside} beside");
            assert_eq!(colouring.daa_score, u64::from(beside) + 3);
        }
    }

    #[test]
    fn a_merge_set_is_what_the_selected_parent_has_not_seen() {
        let mut dag = dag();
        let a = dag.insert(hash(1), vec![0]);
        let b = dag.insert(hash(2), vec![0]);
        let c = dag.insert(hash(3), vec![a, b]);
        let d = dag.insert(hash(4), vec![b]);
        let e = dag.insert(hash(5), vec![c, d]);
        let colouring = &dag.at(e).colouring;
        assert_eq!(colouring.selected_parent, Some(c));
        assert_eq!(colouring.blues, vec![c, d]);
        assert_eq!(dag.at(c).colouring.blues.len(), 2);
    }

    #[test]
    fn the_counts_of_a_wide_graph_are_those_of_the_definition() {
        // Random graphs, checked against the definition: every blue of a merge set has at most k blues of the whole
        // blue past in its anticone.
        for seed in 1..60u64 {
            let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mut next = |below: usize| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state % below as u64) as usize
            };
            let mut dag = dag();
            for n in 1..60u8 {
                let newest = dag.len();
                let mut parents: Vec<Index> =
                    (0..=next(3)).map(|_| newest - 1 - next(newest.min(6))).collect();
                parents.sort_unstable();
                parents.dedup();
                let tips: Vec<Index> = parents
                    .iter()
                    .copied()
                    .filter(|a| !parents.iter().any(|b| a != b && dag.is_ancestor(*a, *b)))
                    .collect();
                let index = dag.insert(hash(n), tips);
                let mut blues = Vec::new();
                let mut at = Some(index);
                while let Some(block) = at {
                    blues.extend(dag.at(block).colouring.blues.iter().copied());
                    at = dag.at(block).colouring.selected_parent;
                }
                for a in &blues {
                    let anticone = blues
                        .iter()
                        .filter(|b| !dag.is_ancestor(*a, **b) && !dag.is_ancestor(**b, *a))
                        .count();
                    assert!(anticone <= 2, "seed {seed}, block {n}: {anticone} blues beside {a}");
                }
            }
        }
    }
}
