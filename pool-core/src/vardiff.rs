//! How hard a worker's next share should be.
//!
//! A pool wants a share from every worker once per *goal* interval: more is load without information, fewer makes
//! a small miner's pay rough. A worker's hash rate is unknown, may change at any moment and spans seven decimal
//! orders, and all there is to see is a Poisson stream: shares come at `hash rate / work`, and sometimes nothing
//! comes. [`Vardiff`] watches that stream and says when the difficulty should change. It reads no clock, keeps no
//! history and allocates nothing: its state is a value of 64 bytes, small enough to have one per connection by the
//! hundred thousand.
//!
//! Time is counted in goals: were the difficulty right, `n` shares would take `n` goals. Three observations run
//! side by side, each a pair of a share count and a time:
//!
//! - **surge** and **lull** are sequential likelihood-ratio sums (CUSUM, Page 1954) for "four times the goal's
//!   rate" and "a quarter of it". They find a big error after a handful of shares, or after a few goals of silence;
//!   silence is an observation like any other, also before the first share. How much evidence they ask for grows
//!   with how much was seen: three nats at a fresh start, when nothing is known and a wrong step costs little,
//!   nine once the worker is settled. A settled worker's surge also starts four goals in debt, so that shares
//!   which a stalled network delivers at once raise nothing.
//! - **drift** is a window of up to 128 shares that finds small errors: it acts on three standard deviations at any
//!   time and on two when it is full, and moves to the rate it measured.
//!
//! A share counts by the work of the job it answers, over the work of now: after a raise the shares that are
//! still on their way are small news, so a burst cannot raise twice. Steps are bounded ([`VardiffRules::steps`]). A
//! reject shows that the worker is alive and so ends a silence, but it proves no work and so never raises anything.
//!
//! Silence may also be a delay: a stalled network, or a miner who holds shares back to be given easier work in between.
//! What gives it away is shares of the harder job from before, three of them. Then the difficulty returns to that job's
//! at once, and the next silence must say twice as much; after three delays eight times.
//!
//! The sums are integers: a nat is 256, a share and a goal are 65 536. `ln 4 ≈ 355/256`.

use crate::time::{Micros, Moment};
use crate::units::Work;

/// One share, and one goal interval, in the counts below: Q16.
const ONE: u32 = 1 << 16;
/// One nat of evidence in the units of `Sums`: 256 × [`ONE`].
const NAT: i64 = 256 * ONE as i64;
/// `ln 4 × 256`: what one share weighs in the likelihood ratio of four times the rate.
const SHARE_WEIGHT: i64 = 355;
/// `(4 - 1) × 256`: what one goal weighs against a surge.
const SURGE_TIME_WEIGHT: i64 = 768;
/// `(1 - 1/4) × 256`: what one goal weighs for a lull.
const LULL_TIME_WEIGHT: i64 = 192;
/// The debt of a settled worker's surge, in goals.
const SURGE_DEBT: u32 = 4;
/// Shares in a drift window before it says anything.
const DRIFT_SHARES_MIN: u32 = 8 * ONE;
/// Shares, or goals, at which a drift window is full; it is then halved.
const DRIFT_SHARES_MAX: u32 = 128 * ONE;
/// Shares after which a worker counts as settled.
const SETTLED_SHARES: u32 = 32 * ONE;
/// How much of a settled window a remembered difficulty is worth at the start.
const REMEMBERED_SHARES: u32 = 8 * ONE;
/// How often the evidence wanted for a lull doubles when silence turned out to be a delay.
const DELAYS_MAX: u8 = 3;
/// Shares of a job from before a silence that make it a delay. One may have been on its way.
const LATE_SHARES: u8 = 3;
/// Shares that must be seen before a fixed difficulty is taken away.
const FIXED_SHARES_MIN: u32 = 64 * ONE;
/// How far above the goal's rate a worker may be at a fixed difficulty.
const FIXED_RATE_MAX: u64 = 10;
/// Significant bits of a computed work: 16 values per octave, at most 3.2 % off, short and exact on every wire.
const SIGNIFICANT_BITS: u32 = 5;

/// The least and the most work a share may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkRange {
    min: Work,
    max: Work,
}

impl WorkRange {
    /// # Errors
    /// [`BadVardiffRules::EmptyRange`] for `min` above `max`.
    pub fn new(min: Work, max: Work) -> Result<Self, BadVardiffRules> {
        if min > max { Err(BadVardiffRules::EmptyRange) } else { Ok(Self { min, max }) }
    }

    /// The least work.
    #[must_use]
    pub const fn min(&self) -> Work {
        self.min
    }

    /// The most work.
    #[must_use]
    pub const fn max(&self) -> Work {
        self.max
    }

    /// The work of the range that is nearest to `work`.
    #[must_use]
    pub fn clamp(&self, work: Work) -> Work {
        work.clamp(self.min, self.max)
    }
}

/// Rules that cannot be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadVardiffRules {
    /// The least work is above the most.
    #[error("the least work of a share is above the most")]
    EmptyRange,
    /// The goal is no time, or more than an hour.
    #[error("the goal between two shares must be 1 ms to 1 h")]
    Goal,
    /// The start lies outside of the range.
    #[error("the work to start with is outside of the range")]
    Start,
    /// A step that changes nothing.
    #[error("the largest step must be 2 to 256 times")]
    Step,
}

/// What an operator wants of the workers of one port. Shared by all of its connections.
///
/// ```
/// use pool_core::time::Micros;
/// use pool_core::units::Work;
/// use pool_core::vardiff::{VardiffRules, WorkRange};
///
/// let work = |hashes| Work::new(hashes).unwrap();
/// let range = WorkRange::new(work(1 << 20), work(1 << 50)).unwrap();
/// let rules = VardiffRules::new(Micros::from_secs(5), range, work(1 << 36)).unwrap().power_of_two(true);
/// assert!(rules.is_power_of_two());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VardiffRules {
    goal: Micros,
    range: WorkRange,
    start: Work,
    step_up_max: u32,
    step_down_max: u32,
    power_of_two: bool,
}

impl VardiffRules {
    /// A share every `goal`, work within `range`, beginning at `start`; steps of at most 16 times either way.
    ///
    /// # Errors
    /// [`BadVardiffRules`] for a goal outside of 1 ms to 1 h or a start outside of the range.
    pub fn new(goal: Micros, range: WorkRange, start: Work) -> Result<Self, BadVardiffRules> {
        if !(1_000..=3_600_000_000).contains(&goal.get()) {
            return Err(BadVardiffRules::Goal);
        }
        if range.clamp(start) != start {
            return Err(BadVardiffRules::Start);
        }
        Ok(Self { goal, range, start, step_up_max: 16, step_down_max: 16, power_of_two: false })
    }

    /// The same with other bounds on one step: at most `up` times harder, `down` times easier.
    ///
    /// # Errors
    /// [`BadVardiffRules::Step`] outside of 2 to 256.
    pub fn steps(mut self, up: u32, down: u32) -> Result<Self, BadVardiffRules> {
        if !(2..=256).contains(&up) || !(2..=256).contains(&down) {
            return Err(BadVardiffRules::Step);
        }
        (self.step_up_max, self.step_down_max) = (up, down);
        Ok(self)
    }

    /// The same for miners that only understand powers of two: all work becomes one, where the range has one.
    #[must_use]
    pub const fn power_of_two(mut self, only: bool) -> Self {
        self.power_of_two = only;
        self
    }

    /// The wanted time between two shares.
    #[must_use]
    pub const fn goal(&self) -> Micros {
        self.goal
    }

    /// The bounds of a share's work.
    #[must_use]
    pub const fn range(&self) -> WorkRange {
        self.range
    }

    /// The work of a worker nothing is known of.
    #[must_use]
    pub const fn start(&self) -> Work {
        self.start
    }

    /// True when all work is a power of two.
    #[must_use]
    pub const fn is_power_of_two(&self) -> bool {
        self.power_of_two
    }

    /// The nearest work that may be asked for: short, within the range, a power of two if that is the rule.
    ///
    /// An end of the range is used as it is, so an operator who wants short numbers gives short ends.
    #[must_use]
    pub fn admit(&self, work: Work) -> Work {
        let bits = if self.power_of_two { 1 } else { SIGNIFICANT_BITS };
        let rounded = round_to_bits(work.get(), bits);
        self.within(rounded)
    }

    /// A miner's own wish, within the range; exact, but for miners of powers of two.
    fn admit_wish(&self, work: Work) -> Work {
        if self.power_of_two { self.admit(work) } else { self.range.clamp(work) }
    }

    fn within(&self, work: Work) -> Work {
        let clamped = self.range.clamp(work);
        if !self.power_of_two || clamped.get().is_power_of_two() {
            return clamped;
        }
        // Only an end of the range got here. Its neighbour inside the range is a power of two, if there is one.
        let inside = if clamped == self.range.max {
            clamped.floor_power_of_two()
        } else {
            clamped.get().checked_next_power_of_two().and_then(|next| Work::new(next).ok()).unwrap_or(clamped)
        };
        if self.range.clamp(inside) == inside { inside } else { clamped }
    }
}

/// The number of at most `bits` significant bits that is nearest in proportion (a power of two: by the root of two).
fn round_to_bits(number: u128, bits: u32) -> Work {
    let length = 128 - number.leading_zeros();
    let rounded = if length <= bits {
        number
    } else if bits == 1 {
        // Up from √2 ≈ 181/128, compared in eight bits so that nothing overflows.
        let top = if length >= 8 { number >> (length - 8) } else { number << (8 - length) };
        let floor = 1 << (length - 1);
        if top >= 181 && length < 128 { floor << 1 } else { floor }
    } else {
        let shift = length - bits;
        let half = 1u128 << (shift - 1);
        (number.saturating_add(half) >> shift) << shift
    };
    Work::new(rounded.max(1)).expect("at least one was taken")
}

/// A count of shares and the time it took; a share and a goal are [`ONE`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    shares: u32,
    time: u32,
}

impl Count {
    const fn new(shares: u32, time: u32) -> Self {
        Self { shares, time }
    }

    /// Evidence for a rate of four to the goal's one, in 1/256 nat.
    fn surge(self) -> i64 {
        SHARE_WEIGHT * i64::from(self.shares) - SURGE_TIME_WEIGHT * i64::from(self.time)
    }

    /// Evidence for a quarter of the goal's rate, in 1/256 nat.
    fn lull(self) -> i64 {
        LULL_TIME_WEIGHT * i64::from(self.time) - SHARE_WEIGHT * i64::from(self.shares)
    }

    /// True when shares and time differ by more than `sigmas` standard deviations of a Poisson count.
    fn differs(self, sigmas: u64) -> bool {
        let (n, t) = (u64::from(self.shares), u64::from(self.time));
        let gap = u128::from(n.abs_diff(t));
        gap * gap > u128::from(sigmas * sigmas * n.min(t)) * u128::from(ONE)
    }

    const fn halved(self) -> Self {
        Self { shares: self.shares / 2, time: self.time / 2 }
    }
}

/// What decides one worker's difficulty. Made at login, fed with shares and time, asked by [`Vardiff::poll`].
///
/// ```
/// use pool_core::time::{Micros, Moment};
/// use pool_core::units::Work;
/// use pool_core::vardiff::{Vardiff, VardiffRules, WorkRange};
///
/// let work = |hashes| Work::new(hashes).unwrap();
/// let range = WorkRange::new(work(1 << 20), work(1 << 50)).unwrap();
/// let rules = VardiffRules::new(Micros::from_secs(5), range, work(1 << 40)).unwrap();
///
/// let mut vardiff = Vardiff::new(&rules, None, Moment::ZERO);
/// assert_eq!(vardiff.work(), work(1 << 40));
/// // Nothing comes: at the deadline the difficulty eases, before any share.
/// let later = vardiff.deadline(&rules);
/// assert!(vardiff.poll(&rules, later).unwrap() < work(1 << 40));
/// // Five shares at once: it rises.
/// for _ in 0..5 {
///     vardiff.on_share(&rules, later, vardiff.work());
/// }
/// assert!(vardiff.poll(&rules, later).is_some());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vardiff {
    work: Work,
    /// Time is counted up to here.
    seen: Moment,
    surge: Count,
    lull: Count,
    drift: Count,
    /// The work of the last accepted share, in short form.
    proven: Short,
    fixed: bool,
    /// A fixed difficulty was taken away: only a harder one is taken again.
    taken: bool,
    /// The last change was for a lull, and no share came since.
    easing: bool,
    /// Silences that were delays, [`DELAYS_MAX`] at most.
    delays: u8,
    /// Shares of a job at least four times as hard, since the last easing.
    late: u8,
    /// `work` was changed by [`Vardiff::fix`] and not polled yet.
    due: bool,
}

impl Vardiff {
    /// Begins at `start` (a remembered difficulty) or else at the rules' own.
    #[must_use]
    pub fn new(rules: &VardiffRules, start: Option<Work>, now: Moment) -> Self {
        let mut vardiff = Self {
            work: rules.admit_wish(start.unwrap_or(rules.start)),
            seen: now,
            surge: Count::default(),
            lull: Count::default(),
            drift: Count::default(),
            proven: Short::of(start.unwrap_or(rules.start)),
            fixed: false,
            taken: false,
            easing: false,
            delays: 0,
            late: 0,
            due: false,
        };
        let trust = if start.is_some() { REMEMBERED_SHARES } else { 0 };
        vardiff.watch(Count::new(trust, trust));
        vardiff
    }

    /// An accepted share of a job that was issued with `work`.
    pub fn on_share(&mut self, rules: &VardiffRules, now: Moment, work: Work) {
        self.pass(rules, now);
        if half(half(work)) >= self.work {
            self.on_late_share(rules, work);
        }
        // A share of an easier, older job is the part of a share it is; one of a harder job counts as one: it may
        // be the reward of a long wait that other counts have seen.
        let part = part(work, self.work);
        for count in [&mut self.surge, &mut self.lull, &mut self.drift] {
            count.shares = count.shares.saturating_add(part);
        }
        self.proven = Short::of(work.min(self.work));
        self.easing = false;
        if self.surge.surge() < self.surge_floor() {
            self.restart_surge();
        }
        if self.lull.lull() < 0 {
            self.lull = Count::default();
        }
    }

    /// A rejected share: the worker is alive, so this is no silence; it proves no work.
    pub fn on_reject(&mut self, rules: &VardiffRules, now: Moment) {
        self.pass(rules, now);
        self.lull = Count::default();
    }

    /// The miner wants this difficulty (`d=` in a password, `mining.suggest_difficulty`): it gets it, within the
    /// range, until it sends more than ten times the goal's rate. After that only a harder wish is granted.
    pub fn fix(&mut self, rules: &VardiffRules, work: Work) {
        let wish = rules.admit_wish(work);
        if self.taken && wish <= self.work {
            return;
        }
        self.due |= wish != self.work;
        self.work = wish;
        self.fixed = true;
        self.easing = false;
        self.watch(Count::default());
    }

    /// Decides. `Some` is the work the worker shall be given from its next job on; it is [`Vardiff::work`] from now.
    ///
    /// To be called after shares, and at [`Vardiff::deadline`].
    pub fn poll(&mut self, rules: &VardiffRules, now: Moment) -> Option<Work> {
        self.pass(rules, now);
        let changed = if self.fixed { self.poll_fixed(rules) } else { self.poll_free(rules) };
        (core::mem::take(&mut self.due) | changed).then_some(self.work)
    }

    /// When [`Vardiff::poll`] would ease the difficulty if nothing came until then. The end of time when it would not.
    #[must_use]
    pub fn deadline(&self, rules: &VardiffRules) -> Moment {
        if self.due {
            return self.seen;
        }
        if self.fixed || rules.admit(self.work.min(half(self.work))) >= self.work {
            return Moment::new(u64::MAX);
        }
        let missing = u64::try_from(self.lull_wanted() - self.lull.lull()).unwrap_or(0);
        let counts = missing / LULL_TIME_WEIGHT.unsigned_abs() + 1;
        let micros = u128::from(counts) * u128::from(rules.goal.get()) / u128::from(ONE);
        self.seen.after(Micros::new(u64::try_from(micros).unwrap_or(u64::MAX).saturating_add(1)))
    }

    /// The work of shares now.
    #[must_use]
    pub const fn work(&self) -> Work {
        self.work
    }

    /// What is worth remembering for a reconnect: the work of the last accepted share (to five significant bits),
    /// and not what silence has made of it since.
    #[must_use]
    pub fn proven(&self) -> Work {
        self.proven.work()
    }

    /// True while the miner's own wish stands.
    #[must_use]
    pub const fn is_fixed(&self) -> bool {
        self.fixed
    }

    /// Enough shares of a job from before a silence, and it was no silence.
    fn on_late_share(&mut self, rules: &VardiffRules, work: Work) {
        self.late += 1;
        if self.late < LATE_SHARES || self.fixed {
            self.late = self.late.min(LATE_SHARES);
            return;
        }
        self.late = 0;
        self.delays = (self.delays + 1).min(DELAYS_MAX);
        self.work = rules.admit(work);
        self.due = true;
        self.watch(Count::new(REMEMBERED_SHARES, REMEMBERED_SHARES));
    }

    /// Counts the time up to `now`, in whole parts; the rest stays for the next call.
    fn pass(&mut self, rules: &VardiffRules, now: Moment) {
        let elapsed = u128::from(now.since(self.seen).get());
        let goal = u128::from(rules.goal.get());
        let parts = elapsed * u128::from(ONE) / goal;
        let micros = (parts * goal).div_ceil(u128::from(ONE)).min(elapsed);
        self.seen = self.seen.after(Micros::new(u64::try_from(micros).unwrap_or(u64::MAX)));
        let parts = u32::try_from(parts).unwrap_or(u32::MAX);
        for count in [&mut self.surge, &mut self.lull, &mut self.drift] {
            count.time = count.time.saturating_add(parts);
        }
        if self.surge.surge() < self.surge_floor() {
            self.restart_surge();
        }
    }

    fn poll_free(&mut self, rules: &VardiffRules) -> bool {
        if self.surge.surge() >= self.evidence_wanted() {
            // A quarter of a goal more than was seen: three shares in no time are twelve times the rate, not ∞.
            let Count { shares, time } = self.surge;
            return self.step(
                rules,
                u64::from(shares),
                u64::from(time) + u64::from(ONE / 4),
                Count::default(),
            );
        }
        if self.lull.lull() >= self.lull_wanted() {
            // One share more than was seen: four goals of nothing are a quarter of the rate. A second silence in a
            // row is worth more, for the first one was not chance.
            let Count { shares, time } = self.lull;
            let time = u64::from(time) * if self.easing { 4 } else { 1 };
            let silent = shares == 0;
            self.late = 0;
            let changed = self.step(rules, u64::from(shares) + u64::from(ONE), time, Count::default());
            self.easing = silent && changed;
            return changed;
        }
        self.poll_drift(rules)
    }

    fn poll_drift(&mut self, rules: &VardiffRules) -> bool {
        let Count { shares, time } = self.drift;
        let full = shares.max(time) >= DRIFT_SHARES_MAX;
        let ripe = full || shares >= DRIFT_SHARES_MIN;
        // At each doubling the sum is looked at once with two deviations; in between three are asked for.
        let sigmas = if full { 2 } else { 3 };
        if ripe && shares > 0 && self.drift.differs(sigmas) {
            let kept = (time / 2).min(DRIFT_SHARES_MIN);
            return self.step(rules, u64::from(shares), u64::from(time), Count::new(kept, kept));
        }
        if full {
            self.drift = self.drift.halved();
        }
        false
    }

    /// Takes a wish away that floods the pool; otherwise only keeps its counts bounded.
    fn poll_fixed(&mut self, rules: &VardiffRules) -> bool {
        let Count { shares, time } = self.drift;
        if shares >= FIXED_SHARES_MIN && u64::from(shares) > FIXED_RATE_MAX * u64::from(time) {
            self.fixed = false;
            self.taken = true;
            return self.step(rules, u64::from(shares), u64::from(time) + 1, Count::default());
        }
        if shares.max(time) >= DRIFT_SHARES_MAX {
            self.drift = self.drift.halved();
        }
        false
    }

    /// Moves the work by `shares / time` within the bounds and begins to watch anew, with `known` in the drift window.
    fn step(&mut self, rules: &VardiffRules, shares: u64, time: u64, known: Count) -> bool {
        let (up, down) = (u64::from(rules.step_up_max), u64::from(rules.step_down_max));
        let time = time.max(1).clamp(shares.div_ceil(up).max(1), shares.saturating_mul(down).max(1));
        let ideal = scale(self.work, shares.max(1), time);
        // Powers of two would be left and taken again around the middle between two of them: the middle is widened.
        let near = rules.power_of_two && shares * 5 < time * 8 && time * 5 < shares * 8;
        let next = if near { self.work } else { rules.admit(ideal) };
        let changed = next != self.work;
        self.easing &= changed;
        self.work = next;
        if changed {
            self.watch(known);
        } else {
            // Nothing to do about it (the range's end, a rounding): look again when as much was seen again.
            self.drift = self.drift.halved();
            self.restart_surge();
            self.lull = Count::default();
        }
        changed
    }

    fn watch(&mut self, known: Count) {
        self.drift = known;
        self.lull = Count::default();
        self.restart_surge();
    }

    fn restart_surge(&mut self) {
        self.surge = Count::new(0, self.surge_debt());
    }

    /// In goals: none at first, [`SURGE_DEBT`] when settled.
    fn surge_debt(&self) -> u32 {
        self.settled_part(SURGE_DEBT * ONE)
    }

    fn surge_floor(&self) -> i64 {
        -SURGE_TIME_WEIGHT * i64::from(self.surge_debt())
    }

    /// In 1/256 nat: three at first, nine when settled.
    fn evidence_wanted(&self) -> i64 {
        3 * NAT + 256 * i64::from(self.settled_part(6 * ONE))
    }

    fn lull_wanted(&self) -> i64 {
        self.evidence_wanted() << self.delays
    }

    fn settled_part(&self, whole: u32) -> u32 {
        let seen = self.drift.shares.min(SETTLED_SHARES);
        let part = u64::from(whole) * u64::from(seen) / u64::from(SETTLED_SHARES);
        u32::try_from(part).expect("a part is not above the whole")
    }
}

/// `min(1, share / now)`, as a count.
fn part(share: Work, now: Work) -> u32 {
    let (share, now) = (share.min(now).get(), now.get());
    // 16 bits are wanted: what lies below bit 100 of a huge work does not show.
    let shift = (128 - now.leading_zeros()).saturating_sub(100);
    let part = ((share >> shift) << 16) / (now >> shift).max(1);
    u32::try_from(part).unwrap_or(ONE).min(ONE)
}

/// `work × shares / time`, at least one, stopping at the range's end.
fn scale(work: Work, shares: u64, time: u64) -> Work {
    let scaled = crate::units::mul_div(work.get(), u128::from(shares), u128::from(time)).unwrap_or(u128::MAX);
    Work::new(scaled.max(1)).expect("at least one was taken")
}

fn half(work: Work) -> Work {
    scale(work, 1, 2)
}

/// A work of five significant bits in two bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Short {
    mantissa: u8,
    exponent: u8,
}

impl Short {
    fn of(work: Work) -> Self {
        let rounded = round_to_bits(work.get(), SIGNIFICANT_BITS).get();
        let length = 128 - rounded.leading_zeros();
        let exponent = length.saturating_sub(SIGNIFICANT_BITS);
        let mantissa = u8::try_from(rounded >> exponent).expect("five bits are left");
        Self { mantissa, exponent: u8::try_from(exponent).expect("below 128") }
    }

    fn work(self) -> Work {
        Work::new(u128::from(self.mantissa) << self.exponent).expect("a work was put in")
    }
}
