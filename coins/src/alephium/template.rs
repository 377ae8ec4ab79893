//! What a node offers, checked before anybody mines on it: one template per chain, sixteen together.
//!
//! A template pays once. After its first block the node refuses every other one with the same parent, so the pool marks
//! it as *used* ([`Used`]) and leaves it out of the next job; solutions that are still on their way earn their share
//! and are no blocks. The mark is shared by every copy of the template.
//!
//! A node's own name for a template leaves its time out ([`HeaderBlob::key`]), and so may a pool change that. It is done
//! for one reason: when a node offers a chain's very template again beside newer ones of other chains, the time is
//! moved on by a millisecond ([`Freshener`]), so that what solves one job never solves another. Nobody can then be paid
//! twice for one hash.

use super::chain::{CHAINS, ChainIndex};
use super::codec::Malformed;
use super::header::HeaderBlob;
use super::wire::Offer;
use crate::hash::double_blake3::{NONCE_LEN, Prepared};
use pool_core::units::Target;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How far a template's time may be moved from what the node wrote. Unit: milliseconds. Source: alephium/docs, "Integration
/// of mining pools": about four seconds.
const SHIFT_MS_MAX: u64 = 3_000;

/// Whether a template already made a block. Clones are the same mark.
#[derive(Clone, Debug, Default)]
pub struct Used(Arc<AtomicBool>);

impl Used {
    /// It did, or it is about to.
    pub fn mark(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it did.
    #[must_use]
    pub fn is_marked(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// The template of one chain.
#[derive(Clone, Debug)]
pub struct ChainTemplate {
    chain: ChainIndex,
    blob: HeaderBlob,
    prepared: Prepared,
    txs: Vec<u8>,
    target: Target,
    height: u32,
    used: Used,
}

impl ChainTemplate {
    /// Checks an offer.
    ///
    /// # Errors
    /// [`Malformed`] when its target is none, is zero, or is not the one its header says; when it has no bytes to be
    /// sent back behind the header.
    pub fn check(offer: Offer) -> Result<Self, Malformed> {
        let Offer { chain, blob, txs, target, height } = offer;
        let stated = blob.target().expand().ok_or(Malformed("a header whose target is none"))?;
        if stated != target {
            return Err(Malformed("a job whose target is not its header's"));
        }
        if target.get().is_zero() {
            return Err(Malformed("a job with a target of zero"));
        }
        if txs.is_empty() {
            return Err(Malformed("a job without the bytes behind its header"));
        }
        let prepared = Prepared::new(blob.bytes());
        Ok(Self { chain, blob, prepared, txs, target, height, used: Used::default() })
    }

    /// The same template at another time, with the same mark.
    #[must_use]
    fn at(&self, millis: u64) -> Self {
        let blob = self.blob.clone().with_timestamp(millis);
        Self { prepared: Prepared::new(blob.bytes()), blob, ..self.clone() }
    }

    /// The same template with a height that was found out elsewhere, and the same mark.
    #[must_use]
    pub fn with_height(&self, height: u32) -> Self {
        Self { height, ..self.clone() }
    }

    /// Its chain.
    #[must_use]
    pub const fn chain(&self) -> ChainIndex {
        self.chain
    }

    /// The header without its nonce.
    #[must_use]
    pub const fn blob(&self) -> &HeaderBlob {
        &self.blob
    }

    /// The network's target.
    #[must_use]
    pub const fn target(&self) -> Target {
        self.target
    }

    /// The block's height; 0 when unknown.
    #[must_use]
    pub const fn height(&self) -> u32 {
        self.height
    }

    /// Whether it already made a block.
    #[must_use]
    pub const fn used(&self) -> &Used {
        &self.used
    }

    /// The hash of the block with this nonce.
    #[must_use]
    pub fn hash(&self, nonce: &[u8; NONCE_LEN]) -> [u8; 32] {
        self.prepared.pow(nonce)
    }

    /// The block with this nonce, as the miners' protocol takes it.
    #[must_use]
    pub fn block(&self, nonce: &[u8; NONCE_LEN]) -> Vec<u8> {
        [nonce, &self.blob.bytes()[..], &self.txs].concat()
    }
}

/// The newest template of every chain that the node serves. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AlephiumTemplate {
    chains: [Option<Arc<ChainTemplate>>; CHAINS],
    live: Vec<u8>,
}

impl AlephiumTemplate {
    /// Templates of some chains; of two for one chain the later counts.
    ///
    /// # Errors
    /// [`Malformed`] when there is none.
    pub fn new(templates: impl IntoIterator<Item = Arc<ChainTemplate>>) -> Result<Self, Malformed> {
        let mut chains: [Option<Arc<ChainTemplate>>; CHAINS] = [const { None }; CHAINS];
        for template in templates {
            let place = usize::from(template.chain.place());
            chains[place] = Some(template);
        }
        let known = || chains.iter().flatten();
        let places = |of: &dyn Fn(&ChainTemplate) -> bool| {
            known().filter(|template| of(template)).map(|template| template.chain.place()).collect()
        };
        let mut live: Vec<u8> = places(&|template| !template.used.is_marked());
        if live.is_empty() {
            // All have made their blocks: mining on earns shares until the node offers more.
            live = places(&|_| true);
        }
        if live.is_empty() {
            return Err(Malformed("no jobs at all"));
        }
        Ok(Self { chains, live })
    }

    /// The template of a chain.
    #[must_use]
    pub fn of(&self, chain: ChainIndex) -> Option<&Arc<ChainTemplate>> {
        self.chains[usize::from(chain.place())].as_ref()
    }

    /// Every template.
    pub fn all(&self) -> impl Iterator<Item = &Arc<ChainTemplate>> {
        self.chains.iter().flatten()
    }

    /// The chains worth mining, by their places, ascending. Not empty.
    #[must_use]
    pub fn live(&self) -> &[u8] {
        &self.live
    }

    /// The easiest of all targets.
    #[must_use]
    pub fn easiest(&self) -> Target {
        self.all().map(|template| template.target).max().unwrap_or(Target::MAX)
    }

    /// The sum of all heights: how far the node is, in one number.
    #[must_use]
    pub fn progress(&self) -> u64 {
        self.all().map(|template| u64::from(template.height)).sum()
    }
}

/// Sees to it that two bundles are either the same or differ in every chain.
#[derive(Debug, Default)]
pub struct Freshener {
    /// What was last given out for each chain.
    last: [Option<Arc<ChainTemplate>>; CHAINS],
}

impl Freshener {
    /// The templates to give out for these offers. An offer that was given out before keeps its mark of use; one whose
    /// time would have to be moved too far is left out.
    pub fn freshen(&mut self, offers: Vec<ChainTemplate>) -> Vec<Arc<ChainTemplate>> {
        let known = |offer: &ChainTemplate| {
            let last = self.last[usize::from(offer.chain.place())].as_ref()?;
            (last.blob.key() == offer.blob.key() && last.txs == offer.txs).then_some(last)
        };
        let served = offers.iter().filter_map(known).count();
        let same_time = |offer: &ChainTemplate| {
            known(offer).is_some_and(|last| last.blob.timestamp() >= offer.blob.timestamp())
        };
        if served == offers.len() && offers.iter().all(same_time) {
            // Nothing new at all: the same bundle, which is the same work.
            return offers.iter().filter_map(|offer| known(offer).cloned()).collect();
        }
        let fresh: Vec<Arc<ChainTemplate>> = offers
            .into_iter()
            .filter_map(|offer| {
                let Some(last) = known(&offer) else { return Some(Arc::new(offer)) };
                let time = offer.blob.timestamp().max(last.blob.timestamp().saturating_add(1));
                if time - offer.blob.timestamp() > SHIFT_MS_MAX {
                    return None;
                }
                Some(Arc::new(ChainTemplate { used: last.used.clone(), ..offer.at(time) }))
            })
            .collect();
        for template in &fresh {
            self.last[usize::from(template.chain.place())] = Some(Arc::clone(template));
        }
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alephium::header::{CompactTarget, HeaderParts};

    pub(crate) fn offer(place: u8, salt: u8, timestamp: u64) -> Offer {
        let compact = CompactTarget::new(0x20ff_ffff);
        let parts = HeaderParts {
            deps: [[salt; 32]; 7],
            dep_state_hash: [1; 32],
            txs_hash: [2; 32],
            timestamp,
            target: compact,
        };
        Offer {
            chain: ChainIndex::of_place(place).unwrap(),
            blob: HeaderBlob::of_parts(&parts),
            txs: vec![0],
            target: compact.expand().unwrap(),
            height: 5,
        }
    }

    fn template(place: u8, salt: u8, timestamp: u64) -> ChainTemplate {
        ChainTemplate::check(offer(place, salt, timestamp)).unwrap()
    }

    #[test]
    fn a_block_is_nonce_header_and_the_bytes_behind() {
        let template = template(3, 1, 1_000);
        let block = template.block(&[9; 24]);
        assert_eq!(block.len(), 24 + 302 + 1);
        let (nonce, blob, txs) = super::super::header::split_block(&block).unwrap();
        assert_eq!((nonce, &blob, txs), ([9; 24], template.blob(), &[0u8][..]));
        assert_eq!(blob.hash(&nonce), template.hash(&nonce));
    }

    #[test]
    fn lies_are_found() {
        let honest = offer(3, 1, 1_000);
        let lie = |change: fn(&mut Offer)| {
            let mut offer = honest.clone();
            change(&mut offer);
            ChainTemplate::check(offer).is_err()
        };
        assert!(lie(|offer| offer.target = Target::MAX), "another target than the header's");
        assert!(lie(|offer| offer.txs.clear()), "nothing behind the header");
        assert!(lie(|offer| {
            let parts = HeaderParts { target: CompactTarget::new(0), ..offer.blob.parts() };
            *offer = Offer {
                blob: HeaderBlob::of_parts(&parts),
                target: Target::new(pool_core::units::U256::ZERO),
                ..offer.clone()
            };
        }));
    }

    #[test]
    fn used_templates_are_left_out_while_there_are_others() {
        let bundle = |templates: &[&Arc<ChainTemplate>]| {
            AlephiumTemplate::new(templates.iter().map(|t| Arc::clone(t))).unwrap()
        };
        let (a, b) = (Arc::new(template(3, 1, 1_000)), Arc::new(template(9, 1, 1_000)));
        assert_eq!(bundle(&[&b, &a]).live(), [3, 9]);
        a.used().mark();
        assert_eq!(bundle(&[&a, &b]).live(), [9]);
        b.used().mark();
        assert_eq!(bundle(&[&a, &b]).live(), [3, 9]);
        assert!(AlephiumTemplate::new([]).is_err());
        assert_eq!(bundle(&[&a, &b]).progress(), 10);
    }

    #[test]
    fn two_bundles_are_the_same_or_share_no_header() {
        let mut freshener = Freshener::default();
        let blobs = |templates: &[Arc<ChainTemplate>]| -> Vec<HeaderBlob> {
            templates.iter().map(|template| template.blob().clone()).collect()
        };
        let first = freshener.freshen(vec![template(0, 1, 1_000), template(1, 1, 1_000)]);
        let again = freshener.freshen(vec![template(0, 1, 1_000), template(1, 1, 1_000)]);
        assert_eq!(blobs(&first), blobs(&again));
        assert!(Arc::ptr_eq(&first[0], &again[0]));
        first[1].used().mark();
        // Chain 0 moved on, chain 1 was sent as it was.
        let mixed = freshener.freshen(vec![template(0, 2, 1_500), template(1, 1, 1_000)]);
        assert!(blobs(&mixed).iter().all(|blob| !blobs(&first).contains(blob)));
        assert_eq!(mixed[1].blob().timestamp(), 1_001);
        assert!(mixed[1].used().is_marked(), "it is the same template still");
        assert!(!mixed[0].used().is_marked());
        // The node's own clock went on.
        let later = freshener.freshen(vec![template(0, 2, 9_500), template(1, 1, 9_000)]);
        assert_eq!(later[1].blob().timestamp(), 9_000);
        // Too far away to be believed: left out.
        let stuck = freshener.freshen(vec![template(0, 3, 9_900), template(1, 1, 9_000 - SHIFT_MS_MAX)]);
        assert_eq!(stuck.len(), 1);
    }
}
