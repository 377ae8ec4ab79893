//! Plays every closed form out and says how many standard errors the two are apart.
//!
//! Where a form is about a scheme, the production engine pays; where it is about luck alone, exponential work between
//! blocks is drawn. Samples are independent and unbiased (nothing is cut off that would count), so that `z` is a
//! standard normal number if, and only if, the form holds. Batches have their own random streams and are summed in
//! order: equal seeds and efforts give equal numbers for any number of threads.

use super::dilemma::Rivals;
use super::{hopping, ruin, variance, window};
use pool_core::id::{BlockId, ShareSeq};
use pool_core::units::{Amount, BasisPoints, Units, Work};
use pool_rewards::account::AccountIx;
use pool_rewards::scheme::{
    Anchor, Event, RewardParts, Rule, Scheme, SchemeParams, ShareEvent, Sink, Underfilled, Weights,
    WindowEdge,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// A form whose estimate is further off than this, in standard errors, does not hold: by chance one in 150 000 is.
pub const Z_MAX: f64 = 4.5;

/// The least effort at which the rarest thing counted is still seen some dozen times.
pub const EFFORT_MIN: f64 = 0.01;

/// Batches of an experiment: units of parallel work.
const BATCHES: u64 = 32;

/// A closed form and what playing it out gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// What it is about.
    pub group: &'static str,
    /// The form.
    pub name: String,
    /// What the form says.
    pub theory: f64,
    /// What was seen.
    pub estimate: f64,
    /// The estimate's standard error.
    pub standard_error: f64,
    /// Independent samples behind it.
    pub samples: u64,
}

impl Check {
    /// How many standard errors the estimate is above the theory. Infinite where nothing varied and they differ.
    #[must_use]
    pub fn z(&self) -> f64 {
        let off = self.estimate - self.theory;
        if off.abs() <= 1e-12 * self.theory.abs() { 0.0 } else { off / self.standard_error }
    }

    /// True while the estimate is within [`Z_MAX`].
    #[must_use]
    pub fn holds(&self) -> bool {
        self.z().abs() <= Z_MAX
    }
}

/// Checks every closed form. `effort` 1 takes some seconds of an optimised build; samples grow with it, and below
/// [`EFFORT_MIN`] there are too few for a standard error to mean much. `done` hears
/// how many of how many pieces of work are finished, from any thread.
#[must_use]
pub fn validate(seed: u64, effort: f64, done: &(dyn Fn(usize, usize) + Sync)) -> Vec<Check> {
    let experiments = experiments();
    let pieces: Vec<(usize, u64)> =
        (0..experiments.len()).flat_map(|index| (0..BATCHES).map(move |batch| (index, batch))).collect();
    let finished = std::sync::atomic::AtomicUsize::new(0);
    let batches: Vec<(u64, Vec<Sums>)> = pieces
        .par_iter()
        .map(|&(index, batch)| {
            let experiment = &experiments[index];
            let samples = ((experiment.samples * effort / BATCHES as f64).ceil() as u64).max(8);
            let mut luck = Luck::new(seed, (index as u64) * BATCHES + batch);
            let mut sums = vec![Sums::default(); experiment.forms.len()];
            let mut values = vec![(0.0, 1.0); experiment.forms.len()];
            for _ in 0..samples {
                values.fill((0.0, 1.0));
                (experiment.sample)(&mut luck, &mut values);
                for (sum, value) in sums.iter_mut().zip(&values) {
                    sum.add(*value);
                }
            }
            let finished = finished.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
            done(finished, pieces.len());
            (samples, sums)
        })
        .collect();
    let mut checks = Vec::new();
    for (index, experiment) in experiments.iter().enumerate() {
        let mine = &batches[index * BATCHES as usize..][..BATCHES as usize];
        let samples: u64 = mine.iter().map(|(samples, _)| samples).sum();
        for (form, (name, theory)) in experiment.forms.iter().enumerate() {
            let mut total = Sums::default();
            for (_, sums) in mine {
                total.merge(&sums[form]);
            }
            let (estimate, standard_error) = total.ratio(samples as f64);
            checks.push(Check {
                group: experiment.group,
                name: name.clone(),
                theory: *theory,
                estimate,
                standard_error,
                samples,
            });
        }
    }
    checks
}

/// Random numbers of one batch.
struct Luck(ChaCha8Rng);

impl Luck {
    fn new(seed: u64, stream: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(stream);
        Self(random)
    }

    /// In `[0, 1)`.
    fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Work until the next block: exponential with mean one.
    fn exponential(&mut self) -> f64 {
        -(-self.uniform()).ln_1p()
    }

    fn chance(&mut self, part: f64) -> bool {
        self.uniform() < part
    }

    fn below(&mut self, count: usize) -> usize {
        (self.uniform() * count as f64) as usize
    }

    /// Points of a Poisson process of this rate in `(from, to)`.
    fn points(&mut self, rate: f64, from: f64, to: f64, mut each: impl FnMut(f64)) {
        let mut at = from;
        loop {
            at += self.exponential() / rate;
            if at >= to {
                break;
            }
            each(at);
        }
    }
}

/// Sums of numerators and denominators, their squares and products.
#[derive(Clone, Debug, Default)]
struct Sums {
    top: f64,
    bottom: f64,
    top2: f64,
    both: f64,
    bottom2: f64,
}

impl Sums {
    fn add(&mut self, (top, bottom): (f64, f64)) {
        self.top += top;
        self.bottom += bottom;
        self.top2 += top * top;
        self.both += top * bottom;
        self.bottom2 += bottom * bottom;
    }

    fn merge(&mut self, other: &Self) {
        self.top += other.top;
        self.bottom += other.bottom;
        self.top2 += other.top2;
        self.both += other.both;
        self.bottom2 += other.bottom2;
    }

    /// The ratio of means and its standard error by the delta method; a plain mean where all denominators are one.
    fn ratio(&self, samples: f64) -> (f64, f64) {
        let ratio = self.top / self.bottom;
        let spread = self.top2 - 2.0 * ratio * self.both + ratio * ratio * self.bottom2;
        (ratio, (spread.max(0.0) / (samples - 1.0) * samples).sqrt() / self.bottom.abs())
    }
}

/// Draws one sample: for each form a numerator, and a denominator where the form is a ratio of means.
type Sample = Box<dyn Fn(&mut Luck, &mut [(f64, f64)]) + Send + Sync>;

/// Forms that are checked by the same samples.
struct Experiment {
    group: &'static str,
    /// Name and what theory says.
    forms: Vec<(String, f64)>,
    /// Samples at effort 1.
    samples: f64,
    sample: Sample,
}

fn experiment(
    group: &'static str,
    samples: f64,
    forms: Vec<(String, f64)>,
    sample: impl Fn(&mut Luck, &mut [(f64, f64)]) + Send + Sync + 'static,
) -> Experiment {
    Experiment { group, forms, samples, sample: Box::new(sample) }
}

fn experiments() -> Vec<Experiment> {
    let mut all = Vec::new();
    all.extend(rounds());
    all.extend(windows());
    all.extend(shares());
    all.extend(incomes());
    all.extend(reserves());
    all.extend(luck());
    all.push(dilemma());
    all
}

// ---- Hopping a round ----

fn rounds() -> Vec<Experiment> {
    let group = "hopping PROP";
    let ages = [0.01, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0];
    let forms = ages.iter().map(|x| (format!("share at age {x}: e^x E1(x)"), hopping::round_age_value(*x)));
    let mut all = vec![experiment(group, 400_000.0, forms.collect(), move |luck, values| {
        let work = luck.exponential();
        for (value, age) in values.iter_mut().zip(ages) {
            value.0 = 1.0 / (age + work);
        }
    })];
    let x0 = hopping::leaving_age();
    let forms = vec![
        ("hopper, all his work: 1 + x0 e^-x0".to_owned(), hopping::hopper_total()),
        ("hopper, inside the pool: 1 + x0/(e^x0 - 1)".to_owned(), hopping::hopper_inside()),
        ("hopper, part of his work inside: 1 - e^-x0".to_owned(), hopping::hopper_presence()),
    ];
    all.push(experiment(group, 400_000.0, forms, move |luck, values| {
        let round = luck.exponential();
        let inside = round.min(x0);
        values[0] = (inside / round + round - inside, round);
        values[1] = (inside / round, inside);
        values[2] = (inside, round);
    }));
    let etas = [0.1, 0.5, 1.0, 2.0, 10.0];
    let forms = etas
        .iter()
        .map(|eta| (format!("loyal miners, hoppers bring {eta} times"), hopping::loyal_left(*eta)));
    all.push(experiment(group, 400_000.0, forms.collect(), move |luck, values| {
        let round = luck.exponential();
        for (value, eta) in values.iter_mut().zip(etas) {
            let loyal = round.min(x0) / (1.0 + eta) + (round - x0).max(0.0);
            *value = (loyal / round, loyal);
        }
    }));
    for pools in [2u32, 3, 5, 10, 16] {
        let forms = vec![
            (format!("hopper among {pools} pools and a fair one"), hopping::hopper_among(pools)),
            (format!("always the youngest of {pools} rounds: m ln m/(m-1)"), hopping::youngest_of(pools)),
        ];
        all.push(experiment(group, 60_000.0, forms, move |luck, values| {
            values[0] = among(luck, pools as usize, x0);
            values[1] = among(luck, pools as usize, f64::INFINITY);
        }));
    }
    let p = 1.0 / 20.0;
    for before in [0u64, 5, 9, 30] {
        let name = format!("engine: share behind {before} of weight 1/20");
        let theory = hopping::round_age_value_discrete(before, p);
        all.push(experiment(group, 40_000.0, vec![(name, theory)], move |luck, values| {
            let mut log = Log::new(&Rule::Prop {});
            for _ in 0..before {
                log.share(OTHERS, p, false, 1.0);
            }
            values[0].0 = log.tagged(luck, p, |log| log.blocks == 0, |_| p) / p;
        }));
    }
    all
}

/// Income and work of a small hopper over a fixed time among equal pools, always in the youngest round up to an age,
/// else in a fair pool. Ages begin stationary, and what he left in open rounds is waited for. (Until a fixed number of
/// blocks instead, the last stretch would always end with a block, and rounds be younger than they are.)
fn among(luck: &mut Luck, pools: usize, leaving: f64) -> (f64, f64) {
    /// In expected blocks of one pool.
    const TIME: f64 = 2.0;
    let mut rounds: Vec<(f64, f64)> = (0..pools).map(|_| (luck.exponential(), 0.0)).collect();
    let (mut income, mut left_to_do) = (0.0, TIME);
    while left_to_do > 0.0 {
        let drawn = luck.exponential() / pools as f64;
        let step = drawn.min(left_to_do);
        left_to_do -= drawn;
        let youngest = (0..pools).min_by(|a, b| rounds[*a].0.total_cmp(&rounds[*b].0)).unwrap_or(0);
        let inside = (leaving - rounds[youngest].0).clamp(0.0, step);
        rounds[youngest].1 += inside;
        income += step - inside;
        for round in &mut rounds {
            round.0 += step;
        }
        if left_to_do <= 0.0 {
            break;
        }
        let solved = &mut rounds[luck.below(pools)];
        income += solved.1 / solved.0;
        *solved = (0.0, 0.0);
    }
    for (age, left) in rounds {
        if left > 0.0 {
            income += left / (age + luck.exponential());
        }
    }
    (income, TIME)
}

// ---- Edges of windows ----

fn windows() -> Vec<Experiment> {
    let group = "windows";
    let mut all = Vec::new();
    let starts = [0.125, 0.5, 1.0, 2.0, 5.0];
    let forms = starts
        .iter()
        .map(|x| (format!("start-up, {x} windows in: e^x ln 1/(1-e^-x)"), hopping::startup_value(*x)));
    all.push(experiment(group, 60_000.0, forms.collect(), move |luck, values| {
        for (value, x) in values.iter_mut().zip(starts) {
            luck.points(1.0, x, x + 45.0, |y| value.0 += (x - y).exp() / -(-y).exp_m1());
        }
    }));
    for growth in [1.05, 1.1] {
        let befores = [0.0, 2.0, 4.0, 8.0, 8.2];
        let forms = befores.iter().map(|x| {
            (
                format!("raw window, {x} before a retarget by {growth}"),
                hopping::raw_window_value(*x, 8.0, growth),
            )
        });
        all.push(experiment(group, 100_000.0, forms.collect(), move |luck, values| {
            for (value, x) in values.iter_mut().zip(befores) {
                luck.points(1.0, 0.0, f64::min(x, 8.0), |_| value.0 += 1.0 / 8.0);
                luck.points(1.0 / growth, x, 8.0 * growth, |_| value.0 += 1.0 / (8.0 * growth));
            }
        }));
    }
    let (p, growth) = (1.0 / 40.0, 1.25);
    for before in [1u32, 40, 80] {
        let name = format!("engine: TIDES 2, {before}/40 before a retarget by 5/4");
        let theory = hopping::raw_window_value(f64::from(before) * p, 2.0, growth);
        all.push(experiment(group, 40_000.0, vec![(name, theory)], move |luck, values| {
            let mut log = Log::new(&Rule::Tides { blocks: 2 });
            log.fill(110, p);
            let weight = move |log: &Log| if log.behind < before { p } else { p / growth };
            values[0].0 = log.tagged(luck, p, |log| log.behind < 110, weight) / p;
        }));
    }
    for before in [0u32, 20, 40, 80] {
        let name = format!("engine: PPLNS 2, {before}/40 before a halving");
        let theory = hopping::value_change_value(f64::from(before) * p, 2.0, 0.5);
        all.push(experiment(group, 40_000.0, vec![(name, theory)], move |luck, values| {
            let mut log = Log::new(&pplns(2.0));
            log.value_changes_behind = Some((before, 0.5));
            values[0].0 = log.tagged(luck, p, |log| log.behind < 85, |_| p) / p;
        }));
    }
    for size in [0.5, 1.0, 3.476_69] {
        let forms = vec![
            (
                format!("window of time, joining with {size} times the rest"),
                hopping::time_window_joining(size),
            ),
            (
                format!("window of time, leaving with {size} times the rest"),
                hopping::time_window_leaving(size),
            ),
        ];
        all.push(experiment(group, 200_000.0, forms, move |luck, values| {
            let at = luck.uniform();
            luck.points(1.0 + size, at, at + 1.0, |t| values[0].0 += 1.0 / (1.0 + size * t.min(1.0)));
            luck.points(1.0 + size, -at, 0.0, |_| values[1].0 += 1.0 / (1.0 + size));
            luck.points(1.0, 0.0, 1.0 - at, |t| values[1].0 += 1.0 / (1.0 + size * (1.0 - t)));
        }));
    }
    for units in [1.0, 2.0, 3.0, 5.0] {
        let forms = vec![(format!("never paid in {units} units: e^-X"), window::never_paid(units))];
        all.push(experiment(group, 200_000.0, forms, move |luck, values| {
            values[0].0 = f64::from(luck.exponential() > units);
        }));
    }
    all
}

// ---- One share under the production engines ----

fn pplns(units: f64) -> Rule {
    let window = units_of(units);
    Rule::Pplns { window, underfilled: Underfilled::OperatorKeeps, edge: WindowEdge::Interval }
}

fn basis_points(part: f64) -> BasisPoints {
    BasisPoints::new((part * 1e4).round() as u16).expect("a part of at most one")
}

fn shares() -> Vec<Experiment> {
    let group = "pay of a share";
    let p = 1.0 / 20.0;
    let mut all = Vec::new();
    let both = |name: &str, mean: f64, variance: f64| {
        vec![(format!("engine: {name}, mean"), mean), (format!("engine: {name}, variance"), variance)]
    };
    let moments = |pay: f64, mean: f64, values: &mut [(f64, f64)]| {
        values[0].0 = pay;
        values[1].0 = (pay - mean) * (pay - mean);
    };
    all.push(experiment(group, 200_000.0, both("SOLO", 1.0, variance::solo(p)), move |luck, values| {
        let pay = Log::new(&Rule::Solo {}).tagged(luck, p, |log| log.behind < 1, |_| p) / p;
        moments(pay, 1.0, values);
    }));
    all.push(experiment(group, 100_000.0, both("PROP", 1.0, variance::prop(p)), move |luck, values| {
        let mut log = Log::new(&Rule::Prop {});
        // Shares of all ages: so many since the last block.
        while !luck.chance(p) {
            log.share(OTHERS, p, false, 1.0);
        }
        moments(log.tagged(luck, p, |log| log.blocks == 0, |_| p) / p, 1.0, values);
    }));
    for units in [1.0, 2.0, 8.0] {
        let mut forms = both(&format!("PPLNS {units}"), 1.0, variance::pplns(p, units));
        // What happens to one share in four thousand would need many more samples.
        if units < 5.0 {
            forms.push((format!("engine: PPLNS {units}, never paid"), window::never_paid_discrete(units, p)));
        }
        all.push(experiment(group, 40_000.0, forms, move |luck, values| {
            let last = (units / p) as u32 + 2;
            let pay = Log::new(&pplns(units)).tagged(luck, p, |log| log.behind < last, |_| p) / p;
            moments(pay, 1.0, values);
            if let Some(never) = values.get_mut(2) {
                never.0 = f64::from(pay == 0.0);
            }
        }));
    }
    for life in [1.0, 3.0] {
        let rule = Rule::Exponential { window: units_of(life), underfilled: Underfilled::OperatorKeeps };
        let forms = both(&format!("EXP {life}"), 1.0, variance::exponential(p, life));
        all.push(experiment(group, 12_000.0, forms, move |luck, values| {
            // Past this, less than 1e-10 of the score is left.
            let last = (24.0 * life / p) as u32;
            moments(Log::new(&rule).tagged(luck, p, |log| log.behind < last, |_| p) / p, 1.0, values);
        }));
    }
    for (c, o) in [(0.5, 0.0), (0.1, 0.0), (0.25, 0.5), (0.1, 0.9)] {
        let (name, rule) = geometric(c, o);
        let forms = both(&name, 1.0 - c, variance::double_geometric(p, c, o));
        all.push(experiment(group, 20_000.0, forms, move |luck, values| {
            let last = (26.0 * (c / ((1.0 - c) * (1.0 - o)) + 1.0) / p) as u32;
            moments(Log::new(&rule).tagged(luck, p, |log| log.behind < last, |_| p) / p, 1.0 - c, values);
        }));
    }
    let (_, rule) = geometric(0.2, 0.5);
    let forms = vec![("engine: DGM 1/5 1/2 under changing weights, mean".to_owned(), 0.8)];
    all.push(experiment(group, 60_000.0, forms, move |luck, values| {
        let weight = |log: &Log| if log.behind.is_multiple_of(2) { 1.0 / 11.0 } else { 1.0 / 3.0 };
        let pay = Log::new(&rule).tagged(luck, 1.0 / 7.0, |log| log.behind < 200, weight);
        values[0].0 = pay * 7.0;
    }));
    for c in [0.25, 0.5] {
        let (name, rule) = geometric(c, 0.0);
        let forms = vec![
            (format!("engine: {name}, operator's mean"), variance::geometric_operator_mean(c)),
            (format!("engine: {name}, operator's variance"), variance::geometric_operator_variance(p, c)),
        ];
        all.push(experiment(group, 60_000.0, forms, move |luck, values| {
            let mut log = Log::new(&rule);
            while log.blocks == 0 {
                let solved = luck.chance(p);
                log.share(OTHERS, p, solved, 1.0);
            }
            moments(log.paid.operator, c, values);
        }));
    }
    all
}

fn geometric(c: f64, o: f64) -> (String, Rule) {
    let average_fee = basis_points(c);
    if o == 0.0 {
        (format!("GEOMETRIC {c}"), Rule::Geometric { average_fee })
    } else {
        (format!("DGM {c} {o}"), Rule::DoubleGeometric { average_fee, carry_over: basis_points(o) })
    }
}

/// The account whose pay is measured.
const TAGGED: u32 = 0;
/// Everybody else.
const OTHERS: u32 = 1;

/// A log in the making, paid by a production engine; blocks settle at once.
struct Log {
    scheme: Box<dyn Scheme>,
    seq: u64,
    /// Shares from the measured one on, itself included.
    behind: u32,
    /// Blocks found since the beginning.
    blocks: u64,
    paid: Paid,
    /// From this many shares behind the measured one on (itself included), blocks are worth this part.
    value_changes_behind: Option<(u32, f64)>,
}

/// What was paid, in blocks of full value.
#[derive(Default)]
struct Paid {
    tagged: f64,
    operator: f64,
}

/// A block's value in smallest units: enough that whole units do not matter.
const VALUE: u128 = 1 << 80;

impl Sink for Paid {
    fn split(&mut self, _id: BlockId, amount: Amount, weights: Weights) {
        let value = amount.get() as f64 / VALUE as f64;
        let sum: u128 = weights.accounts.iter().map(|(_, weight)| weight.to_bits()).sum();
        let budget = (sum + weights.operator.to_bits() - weights.over.to_bits()) as f64;
        let tagged = weights.accounts.iter().find(|(account, _)| account.get() == TAGGED);
        self.tagged += tagged.map_or(0.0, |(_, weight)| weight.to_bits() as f64 / budget * value);
        self.operator += weights.operator.to_bits() as f64 / budget * value;
    }

    fn reserve(&mut self, _id: BlockId, _amount: Amount) {}
}

fn units_of(units: f64) -> Units {
    Units::from_bits((units * Units::BLOCK.to_bits() as f64) as u128)
}

impl Log {
    fn new(rule: &Rule) -> Self {
        let scheme = SchemeParams::new(rule.clone()).start().expect("parameters are in range");
        Self { scheme, seq: 0, behind: 0, blocks: 0, paid: Paid::default(), value_changes_behind: None }
    }

    fn share(&mut self, account: u32, weight: f64, solved: bool, value: f64) {
        self.seq += 1;
        let account = AccountIx::new(account);
        // Every share is of the same raw work; the difficulty is what its weight says.
        let work = Work::new(1 << 40).expect("above zero");
        let share = ShareEvent { seq: ShareSeq::new(self.seq), account, units: units_of(weight), work };
        self.apply(&Event::Share(share));
        if solved {
            self.blocks += 1;
            let mut id = [0; 32];
            id[..8].copy_from_slice(&self.blocks.to_be_bytes());
            let id = BlockId::new(id);
            let value = RewardParts::whole(Amount::new((VALUE as f64 * value) as u128));
            self.apply(&Event::Found { id, finder: account, anchor: Anchor::AtFind });
            self.apply(&Event::Settled { id, value });
        }
    }

    fn apply(&mut self, event: &Event) {
        self.scheme.apply(event, &mut self.paid).expect("events follow each other as a log's do");
    }

    /// Shares of others, none of which solves a block.
    fn fill(&mut self, shares: u32, weight: f64) {
        for _ in 0..shares {
            self.share(OTHERS, weight, false, 1.0);
        }
    }

    /// What a share of this weight is paid: hands it in and goes on with others' shares while `on` says so.
    fn tagged(
        mut self,
        luck: &mut Luck,
        weight: f64,
        on: impl Fn(&Self) -> bool,
        others: impl Fn(&Self) -> f64,
    ) -> f64 {
        self.blocks = 0;
        let (mut account, mut weight) = (TAGGED, weight);
        while self.behind == 0 || on(&self) {
            let changed = self.value_changes_behind.filter(|(behind, _)| self.behind >= *behind);
            let value = changed.map_or(1.0, |(_, part)| part);
            let solved = luck.chance(weight);
            self.share(account, weight, solved, value);
            self.behind += 1;
            (account, weight) = (OTHERS, others(&self));
        }
        self.paid.tagged
    }
}

// ---- Incomes ----

fn incomes() -> Vec<Experiment> {
    let group = "income of a steady miner";
    let (q, t, p) = (0.1, 300.0, 1.0 / 20.0);
    let mut all = vec![
        experiment(
            group,
            40_000.0,
            vec![("SOLO, variance: q t".to_owned(), variance::solo_income(q, t))],
            move |luck, values| {
                let mut blocks = 0.0;
                luck.points(q, 0.0, t, |_| blocks += 1.0);
                values[0].0 = (blocks - q * t) * (blocks - q * t);
            },
        ),
        experiment(
            group,
            10_000.0,
            vec![("PPS, variance: q t p".to_owned(), variance::pps_income(q, t, p))],
            move |luck, values| {
                let mut income = 0.0;
                luck.points(q / p, 0.0, t, |_| income += p);
                values[0].0 = (income - q * t) * (income - q * t);
            },
        ),
    ];
    for units in [1.0, 2.0] {
        let theory = variance::window_income(q, t, units, p);
        let name = format!("engine: PPLNS {units}, variance: q² t + overlapping share noise");
        all.push(experiment(group, 4_000.0, vec![(name, theory)], move |luck, values| {
            let mut log = Log::new(&pplns(units));
            let mine = |luck: &mut Luck| if luck.chance(q) { TAGGED } else { OTHERS };
            for _ in 0..(units / p) as u32 {
                let account = mine(luck);
                log.share(account, p, false, 1.0);
            }
            for _ in 0..(t / p) as u32 {
                let (account, solved) = (mine(luck), luck.chance(p));
                log.share(account, p, solved, 1.0);
            }
            values[0].0 = (log.paid.tagged - q * t) * (log.paid.tagged - q * t);
        }));
    }
    all
}

// ---- Reserves ----

fn reserves() -> Vec<Experiment> {
    let group = "reserve of who pays shares";
    let mut all = Vec::new();
    let two = |cv: f64| vec![(1.0 - cv, 0.5), (1.0 + cv, 0.5)];
    for (fee, reserve, values, what) in [
        (0.05, 10.0, vec![(1.0, 1.0)], "equal blocks"),
        (0.02, 30.0, vec![(1.0, 1.0)], "equal blocks"),
        (0.05, 12.0, two(0.2), "blocks of cv 0.2"),
        (0.05, 12.0, two(0.5), "blocks of cv 0.5"),
    ] {
        let exponent = ruin::exponent_of(fee, &values);
        let name = format!("ruin at fee {fee}, {reserve} {what}: e^(-zR)");
        let forms = vec![(name, ruin::probability(exponent, reserve))];
        // From here ruin has a probability below 2e-7: such a path counts as saved.
        let safe = 15.5 / exponent;
        let samples = 20_000.0 * (fee / 0.05) * (fee / 0.05);
        all.push(experiment(group, samples, forms, move |luck, out| {
            let mut balance = reserve;
            while balance < safe {
                balance -= (1.0 - fee) * luck.exponential();
                if balance < 0.0 {
                    out[0].0 = 1.0;
                    break;
                }
                let drawn = luck.uniform();
                let mut upto = 0.0;
                let block = values.iter().find(|(_, chance)| {
                    upto += chance;
                    drawn < upto
                });
                balance += block.map_or(1.0, |(value, _)| *value);
            }
        }));
    }
    for (fee, lost, withheld) in [(0.02, 0.005, 0.0), (0.02, 0.0, 0.02), (0.04, 0.01, 0.02)] {
        let margin = ruin::effective_margin(fee, lost, withheld);
        // What blocks bring, times the part that is not margin, is what shares cost.
        let name = format!("margin of fee {fee}, lost {lost}, withheld {withheld}");
        all.push(experiment(group, 200_000.0, vec![(name, 1.0 - fee)], move |luck, values| {
            let paid = !luck.chance(withheld) && !luck.chance(lost);
            values[0].0 = f64::from(paid) * (1.0 - margin);
        }));
    }
    all
}

// ---- Luck, audits, rivals ----

fn luck() -> Vec<Experiment> {
    let group = "luck and audits";
    let parts = [0.5, 0.9, 0.95, 0.99, 0.999];
    let forms = parts.iter().map(|part| (format!("effort of a round below its {part} quantile"), *part));
    let mut all = vec![experiment(group, 4_000_000.0, forms.collect(), move |luck, values| {
        let effort = luck.exponential();
        for (value, part) in values.iter_mut().zip(parts) {
            value.0 = f64::from(effort < window::effort_quantile(part));
        }
    })];
    for blocks in [10u32, 100] {
        let parts = [0.05, 0.5, 0.95];
        let bounds = parts.map(|part| window::mean_effort_quantile(blocks, part));
        let forms = parts
            .iter()
            .map(|part| (format!("mean effort of {blocks} rounds below its {part} quantile"), *part));
        all.push(experiment(group, 4_000_000.0 / f64::from(blocks), forms.collect(), move |luck, values| {
            let sum: f64 = (0..blocks).map(|_| luck.exponential()).sum();
            for (value, bound) in values.iter_mut().zip(bounds) {
                value.0 = f64::from(sum / f64::from(blocks) < bound);
            }
        }));
    }
    for (phi, missed) in [(0.1, 0.05), (0.02, 0.1)] {
        let samples = window::audit_samples(phi, missed);
        let name = format!("{samples} openings miss a part {phi} of phantom work");
        let theory = (1.0f64 - phi).powi(samples as i32);
        all.push(experiment(group, 100_000.0, vec![(name, theory)], move |luck, values| {
            values[0].0 = f64::from((0..samples).all(|_| !luck.chance(phi)));
        }));
    }
    all
}

fn dilemma() -> Experiment {
    let games = [Rivals::peaceful(0.2, 0.2), Rivals::peaceful(0.3, 0.2), Rivals::peaceful(0.4, 0.1)];
    let games = games.map(Rivals::equilibrium);
    let mut forms = Vec::new();
    for game in &games {
        let [first, second] = game.power;
        for who in 0..2 {
            let name = format!(
                "pools of {first} and {second} attack each other: income of the {}",
                ["first", "second"][who]
            );
            forms.push((name, game.income()[who]));
        }
    }
    experiment("withholding", 60_000.0, forms, move |luck, values| {
        for (game, values) in games.iter().zip(values.chunks_mut(2)) {
            let ([m1, m2], [x12, x21]) = (game.power, game.sent);
            // Pools share out block by block; infiltrators bring their part home for the next time.
            let mut density = [0.0; 2];
            for _ in 0..24 {
                let finder = luck.uniform() * (1.0 - x12 - x21);
                let found = [
                    f64::from(finder < m1 - x12),
                    f64::from(finder >= m1 - x12 && finder < m1 + m2 - x12 - x21),
                ];
                density =
                    [(found[0] + x12 * density[1]) / (m1 + x21), (found[1] + x21 * density[0]) / (m2 + x12)];
            }
            values[0].0 = density[0];
            values[1].0 = density[1];
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tenth of the usual effort sees no form fail, twice with the same numbers.
    #[test]
    fn every_form_holds_and_equal_seeds_give_equal_numbers() {
        let first = validate(11, 0.02, &|_, _| ());
        for check in &first {
            assert!(check.holds(), "{}: {check:?} z = {}", check.group, check.z());
            assert!(check.standard_error >= 0.0 && check.estimate.is_finite());
        }
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(one.install(|| validate(11, 0.02, &|_, _| ())), first);
    }

    #[test]
    fn a_wrong_form_is_seen() {
        let check = Check {
            group: "",
            name: String::new(),
            theory: 1.0,
            estimate: 1.1,
            standard_error: 0.02,
            samples: 100,
        };
        assert!((check.z() - 5.0).abs() < 1e-9 && !check.holds());
        assert!(Check { estimate: 1.0, standard_error: 0.0, ..check.clone() }.holds());
        assert!(!Check { standard_error: 0.0, ..check }.holds());
    }

    #[test]
    fn ratios_have_the_standard_error_of_the_delta_method() {
        let mut sums = Sums::default();
        for value in [1.0, 2.0, 3.0, 4.0] {
            sums.add((value, 1.0));
        }
        let (mean, error) = sums.ratio(4.0);
        assert!((mean - 2.5).abs() < 1e-15);
        // Sample variance 5/3 over four.
        assert!((error - (5.0f64 / 12.0).sqrt()).abs() < 1e-12);
        let mut same = Sums::default();
        same.add((2.0, 1.0));
        same.add((6.0, 3.0));
        assert!(same.ratio(2.0).1 < 1e-7);
    }
}
