//! Which part of the nonce space belongs to whom.
//!
//! All miners of a pool hash the same template, so two connections with the same nonce prefix would do the same work
//! and be paid for it twice, or take each other's shares. An [`ExtranonceSpace`] hands out every prefix once: a
//! [`Lease`] owns it, and gives it back when dropped. A prefix that came back is not handed out again before
//! everything that was issued under it is stale: a miner who reconnects and is given its predecessor's prefix could
//! submit its predecessor's solutions again.
//!
//! Several share checkers split the space by its top bits ([`SpaceRules::instance_bits`]), so that their miners never
//! meet. The prefix zero is never used: a miner that ignores its extranonce, and a nonce in decimal that was meant in
//! hexadecimal, then show up as foreign.
//!
//! A drop has no clock. Prefixes that came back are stamped at the next [`ExtranonceSpace::take`] with its time: that
//! is later than the drop, so a prefix rests too long rather than too short.

use pool_core::time::{Micros, Moment};
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// A nonce prefix. Width: 1 to 4 bytes; printed as hexadecimal digits, the first byte first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Extranonce {
    value: u32,
    width: u8,
}

impl Extranonce {
    /// The prefix `value` on `width` bytes.
    ///
    /// # Errors
    /// [`BadSpace::Width`] outside of 1 to 4, [`BadSpace::Value`] for a value that does not fit.
    pub const fn new(value: u32, width: u8) -> Result<Self, BadSpace> {
        if width == 0 || width > 4 {
            return Err(BadSpace::Width);
        }
        if width < 4 && value >> (8 * width as u32) != 0 {
            return Err(BadSpace::Value);
        }
        Ok(Self { value, width })
    }

    /// Bytes of the prefix.
    #[must_use]
    pub const fn width(self) -> u8 {
        self.width
    }

    /// The prefix as a number.
    #[must_use]
    pub const fn value(self) -> u32 {
        self.value
    }

    /// The prefix as the top of a 64-bit nonce, zeros below.
    #[must_use]
    pub const fn in_nonce(self) -> u64 {
        (self.value as u64) << self.free_bits()
    }

    /// Bits of a 64-bit nonce that are the miner's.
    #[must_use]
    pub const fn free_bits(self) -> u32 {
        64 - 8 * self.width as u32
    }

    /// True when a 64-bit nonce begins with this prefix.
    #[must_use]
    pub const fn owns(self, nonce: u64) -> bool {
        nonce >> self.free_bits() == self.value as u64
    }
}

impl fmt::Display for Extranonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0width$x}", self.value, width = usize::from(self.width) * 2)
    }
}

/// A space that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadSpace {
    /// Prefixes of no bytes, or of more than four.
    #[error("an extranonce has 1 to 4 bytes")]
    Width,
    /// More bits than the width has.
    #[error("the extranonce does not fit its width")]
    Value,
    /// The instances take all bits, so that none are left for connections.
    #[error("instance bits must leave at least 4 bits of the extranonce for connections")]
    InstanceBits,
    /// The instance's number does not fit the instance bits.
    #[error("the instance's number does not fit the instance bits")]
    Instance,
}

/// Every prefix of this instance is taken or resting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no extranonce left: {taken} in use, {resting} resting")]
pub struct Exhausted {
    /// Prefixes that connections hold.
    pub taken: usize,
    /// Prefixes that wait until their jobs are stale.
    pub resting: usize,
}

/// How the nonce space is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpaceRules {
    /// Bytes of a prefix, 1 to 4. Two give 65 535 connections and 2^48 nonces each; rental services need two or less.
    pub width: u8,
    /// Top bits that name the instance. 0 for a pool of one process.
    pub instance_bits: u8,
    /// This instance's number within [`SpaceRules::instance_bits`].
    pub instance: u32,
    /// How long a prefix rests after its connection: at least the life of a job ([`crate::jobs::JobRing::life`]).
    pub rest: Micros,
}

#[derive(Debug)]
struct Pool {
    /// The next prefix that was never used, counted within the instance.
    fresh: u32,
    /// Came back, not stamped yet.
    returned: Vec<u32>,
    /// Resting until the moment, oldest first.
    resting: VecDeque<(Moment, u32)>,
    taken: usize,
}

#[derive(Debug)]
struct Space {
    rules: SpaceRules,
    /// Prefixes of this instance, before zero is left out.
    slots: u32,
    /// The instance's bits in place.
    base: u32,
    pool: Mutex<Pool>,
}

/// The prefixes of one share checker. Cheap to clone; clones are the same space.
#[derive(Clone, Debug)]
pub struct ExtranonceSpace(Arc<Space>);

impl ExtranonceSpace {
    /// # Errors
    /// [`BadSpace`] for rules that contradict themselves.
    pub fn new(rules: SpaceRules) -> Result<Self, BadSpace> {
        if !(1..=4).contains(&rules.width) {
            return Err(BadSpace::Width);
        }
        let bits = 8 * rules.width;
        if rules.instance_bits + 4 > bits {
            return Err(BadSpace::InstanceBits);
        }
        if u64::from(rules.instance) >> rules.instance_bits != 0 {
            return Err(BadSpace::Instance);
        }
        let own_bits = u32::from(bits - rules.instance_bits);
        // 2^32 does not fit; the last prefix of the widest space stays unused.
        let slots = u32::try_from((1u64 << own_bits) - u64::from(own_bits == 32)).expect("at most 2^32 - 1");
        let base = if own_bits == 32 { 0 } else { rules.instance << own_bits };
        // The prefix zero belongs to instance zero, which skips it.
        let fresh = u32::from(base == 0);
        let pool = Pool { fresh, returned: Vec::new(), resting: VecDeque::new(), taken: 0 };
        Ok(Self(Arc::new(Space { rules, slots, base, pool: Mutex::new(pool) })))
    }

    /// How many connections this instance can have at once.
    #[must_use]
    pub fn capacity(&self) -> usize {
        (self.0.slots - u32::from(self.0.base == 0)) as usize
    }

    /// The rules it was made with.
    #[must_use]
    pub fn rules(&self) -> SpaceRules {
        self.0.rules
    }

    /// A prefix nobody else has, and whose last owner's jobs are stale.
    ///
    /// # Errors
    /// [`Exhausted`]; later calls may succeed.
    pub fn take(&self, now: Moment) -> Result<Lease, Exhausted> {
        let space = &*self.0;
        let mut pool = space.pool();
        let until = now.after(space.rules.rest);
        let returned = std::mem::take(&mut pool.returned);
        pool.resting.extend(returned.into_iter().map(|slot| (until, slot)));
        // Never used ones first: the longer a prefix rests the better.
        let slot = if pool.fresh < space.slots {
            pool.fresh += 1;
            pool.fresh - 1
        } else if pool.resting.front().is_some_and(|(until, _)| *until <= now) {
            pool.resting.pop_front().expect("a front was seen").1
        } else {
            return Err(Exhausted { taken: pool.taken, resting: pool.resting.len() });
        };
        pool.taken += 1;
        drop(pool);
        let extranonce = Extranonce { value: space.base | slot, width: space.rules.width };
        Ok(Lease { extranonce, space: Arc::clone(&self.0) })
    }

    /// Connections that hold a prefix now.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.0.pool().taken
    }
}

impl Space {
    fn pool(&self) -> std::sync::MutexGuard<'_, Pool> {
        // Every state between two statements of the guarded code is whole, so a panic elsewhere spoils nothing.
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to one prefix, as long as it lives.
#[derive(Debug)]
pub struct Lease {
    extranonce: Extranonce,
    space: Arc<Space>,
}

impl Lease {
    /// The prefix.
    #[must_use]
    pub const fn extranonce(&self) -> Extranonce {
        self.extranonce
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut pool = self.space.pool();
        pool.taken -= 1;
        let slot = self.extranonce.value & !self.space.base;
        pool.returned.push(slot);
    }
}

/// What a nonce space is worth to the fastest miner it may meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NonceRoom {
    /// Bits of the nonce below the prefix.
    pub free_bits: u32,
    /// Time in which that miner has tried them all.
    pub exhausted_in: Micros,
    /// True when they last four times as long as a job does.
    pub enough: bool,
}

/// Whether a connection's part of a nonce of `nonce_bits` is large enough for a miner of `hashes_per_second` that is
/// given a new job every `refresh`. A margin of four is asked for.
///
/// ```
/// use pool_core::time::Micros;
/// use pool_stratum::extranonce::nonce_room;
///
/// // 21 TH/s, two bytes, a job every second: 13 s of work.
/// let room = nonce_room(64, 2, 21_000_000_000_000, Micros::from_secs(1));
/// assert!(room.enough && room.exhausted_in.get() / 1_000_000 == 13);
/// // Three bytes: 52 ms.
/// let room = nonce_room(64, 3, 21_000_000_000_000, Micros::from_secs(1));
/// assert!(!room.enough && room.exhausted_in.get() / 1_000 == 52);
/// ```
#[must_use]
pub fn nonce_room(nonce_bits: u32, width: u8, hashes_per_second: u128, refresh: Micros) -> NonceRoom {
    let free_bits = nonce_bits.saturating_sub(8 * u32::from(width));
    // From 100 bits on, no miner ends within the age of anything.
    let nonces = 1u128 << free_bits.min(100);
    let micros = pool_core::units::mul_div(nonces, 1_000_000, hashes_per_second.max(1)).unwrap_or(u128::MAX);
    let enough = micros >= 4 * u128::from(refresh.get());
    NonceRoom { free_bits, exhausted_in: Micros::new(u64::try_from(micros).unwrap_or(u64::MAX)), enough }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn space(width: u8, instance_bits: u8, instance: u32) -> ExtranonceSpace {
        ExtranonceSpace::new(SpaceRules { width, instance_bits, instance, rest: Micros::new(100) }).unwrap()
    }

    #[test]
    fn a_prefix_owns_its_part_of_the_nonces() {
        let prefix = Extranonce::new(0x0021, 2).unwrap();
        assert_eq!(prefix.to_string(), "0021");
        assert_eq!(prefix.in_nonce(), 0x0021_0000_0000_0000);
        assert!(prefix.owns(0x0021_d1b5_1bc4_b490));
        assert!(!prefix.owns(0x0022_0000_0000_0000));
        assert_eq!(Extranonce::new(0x1_0000, 2), Err(BadSpace::Value));
        assert_eq!(Extranonce::new(0, 5), Err(BadSpace::Width));
        assert_eq!(Extranonce::new(u32::MAX, 4).unwrap().to_string(), "ffffffff");
    }

    #[test]
    fn contradictory_rules_are_refused() {
        let rules = |width, instance_bits, instance| {
            ExtranonceSpace::new(SpaceRules { width, instance_bits, instance, rest: Micros::ZERO }).err()
        };
        assert_eq!(rules(0, 0, 0), Some(BadSpace::Width));
        assert_eq!(rules(5, 0, 0), Some(BadSpace::Width));
        assert_eq!(rules(1, 5, 0), Some(BadSpace::InstanceBits));
        assert_eq!(rules(2, 4, 16), Some(BadSpace::Instance));
        assert_eq!(rules(2, 0, 1), Some(BadSpace::Instance));
        assert_eq!(rules(4, 0, 0), None);
        assert_eq!(rules(2, 4, 15), None);
    }

    #[test]
    fn a_full_space_says_so_and_frees_only_after_the_rest() {
        let space = space(1, 4, 3);
        assert_eq!(space.capacity(), 16);
        let mut leases: Vec<_> = (0..16).map(|_| space.take(Moment::ZERO).unwrap()).collect();
        assert!(leases.iter().all(|lease| lease.extranonce().value() >> 4 == 3));
        assert_eq!(space.take(Moment::ZERO).unwrap_err(), Exhausted { taken: 16, resting: 0 });
        let back = leases.pop().unwrap().extranonce();
        assert_eq!(space.take(Moment::new(50)).unwrap_err(), Exhausted { taken: 15, resting: 1 });
        assert!(space.take(Moment::new(149)).is_err(), "it came back at 50 at the latest and rests 100");
        assert_eq!(space.take(Moment::new(150)).unwrap().extranonce(), back);
    }

    #[test]
    fn the_prefix_zero_is_never_used() {
        let space = space(1, 0, 0);
        assert_eq!(space.capacity(), 255);
        let leases: Vec<_> = (0..255).map(|_| space.take(Moment::ZERO).unwrap()).collect();
        assert!(leases.iter().all(|lease| lease.extranonce().value() != 0));
        assert!(space.take(Moment::ZERO).is_err());
    }

    #[derive(Clone, Debug)]
    enum Step {
        Take,
        Drop(usize),
        Wait(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => Just(Step::Take),
            3 => any::<usize>().prop_map(Step::Drop),
            2 => (0..80u64).prop_map(Step::Wait),
        ];
        proptest::collection::vec(step, 0..300)
    }

    proptest! {
        #[test]
        fn never_two_live_or_resting_leases_with_one_prefix(steps in steps(), instance in 0..16u32) {
            let space = space(1, 4, instance);
            let mut now = Moment::ZERO;
            let mut live: Vec<Lease> = Vec::new();
            let mut dropped: HashMap<Extranonce, Moment> = HashMap::new();
            for step in steps {
                match step {
                    Step::Take => match space.take(now) {
                        Ok(lease) => {
                            let prefix = lease.extranonce();
                            prop_assert!(live.iter().all(|other| other.extranonce() != prefix));
                            prop_assert_eq!(prefix.value() >> 4, instance);
                            if let Some(at) = dropped.get(&prefix) {
                                prop_assert!(now.since(*at) >= Micros::new(100));
                            }
                            live.push(lease);
                        }
                        Err(full) => {
                            prop_assert_eq!(full.taken, live.len());
                            prop_assert_eq!(full.taken + full.resting, space.capacity());
                        }
                    },
                    Step::Drop(which) if !live.is_empty() => {
                        let lease = live.swap_remove(which % live.len());
                        dropped.insert(lease.extranonce(), now);
                    }
                    Step::Drop(_) => {}
                    Step::Wait(micros) => now = now.after(Micros::new(micros)),
                }
                prop_assert_eq!(space.taken(), live.len());
            }
        }
    }
}
