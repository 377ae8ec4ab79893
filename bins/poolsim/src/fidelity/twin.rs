//! The schemes once more, in floating point and for work that flows: what fluid and round fidelity pay by.
//!
//! A twin hears a stretch of work, in which everyone's part is spread evenly, where an engine hears shares. It exists
//! for speed and for work without grain; the engines are what pays in production, and a test holds the two against each
//! other on the same rounds. Amounts are in blocks.

use crate::fidelity::journal::Journal;
use pool_core::units::{Amount, BasisPoints, Units};
use pool_rewards::scheme::{BlockValue, Rule, SchemeParams, Underfilled};
use std::collections::VecDeque;

fn blocks(units: Units) -> f64 {
    units.to_bits() as f64 / 2f64.powi(Units::FRACTION_BITS as i32)
}

fn part(points: BasisPoints) -> f64 {
    f64::from(points.get()) / 10_000.0
}

/// A stretch of work.
#[derive(Clone, Debug)]
struct Stretch {
    /// In the window's measure.
    length: f64,
    /// By actor, in the same measure.
    works: Box<[(u32, f64)]>,
}

/// How the part of a block that goes to miners is weighed.
#[derive(Clone, Debug)]
enum Weigher {
    Solo,
    Prop,
    /// The last so much work; raw work counts by the difficulty of its time and the window by that of the block's.
    Window {
        length: f64,
        raw: bool,
        renormalises: bool,
        stretches: VecDeque<Stretch>,
        filled: f64,
        passed: usize,
    },
    /// Scores that fade by `K` per block; a block leaves `kept` of them.
    Scores {
        k: f64,
        kept: f64,
        renormalises: bool,
    },
    Mixed {
        part: f64,
        first: Box<Weighed>,
        rest: Box<Weighed>,
    },
}

/// A weigher with its weights by actor.
#[derive(Clone, Debug)]
struct Weighed {
    by: Weigher,
    weights: Vec<f64>,
    level: f64,
}

impl Weighed {
    fn new(rule: &Rule, actors: usize) -> Self {
        let window = |length, raw, renormalises| Weigher::Window {
            length,
            raw,
            renormalises,
            stretches: VecDeque::new(),
            filled: 0.0,
            passed: 0,
        };
        let by = match rule {
            Rule::Solo {} => Weigher::Solo,
            // Rules that pay shares weigh nothing here; they never ask.
            Rule::Prop {} | Rule::Pps { .. } | Rule::Fpps { .. } => Weigher::Prop,
            Rule::Pplns { window: length, underfilled, .. }
            | Rule::PpsPlus { window: length, underfilled, .. } => {
                window(blocks(*length), false, *underfilled == Underfilled::Renormalise)
            }
            Rule::Tides { blocks } => window(f64::from(*blocks), true, true),
            Rule::Exponential { window, underfilled } => Weigher::Scores {
                k: 1.0 / blocks(*window),
                kept: 1.0,
                renormalises: *underfilled == Underfilled::Renormalise,
            },
            Rule::Geometric { average_fee } => {
                let c = part(*average_fee);
                Weigher::Scores { k: (1.0 - c) / c, kept: 0.0, renormalises: false }
            }
            Rule::DoubleGeometric { average_fee, carry_over } => {
                let (c, o) = (part(*average_fee), part(*carry_over));
                Weigher::Scores { k: (1.0 - c) * (1.0 - o) / c, kept: o, renormalises: false }
            }
            Rule::Mixed { part: first_part, first, rest } => Weigher::Mixed {
                part: part(*first_part),
                first: Box::new(Self::new(first, actors)),
                rest: Box::new(Self::new(rest, actors)),
            },
        };
        Self { by, weights: vec![0.0; actors], level: 1.0 }
    }

    fn work(&mut self, works: &[(u32, f64)], total: f64, difficulty: f64) {
        match &mut self.by {
            Weigher::Solo => {}
            Weigher::Prop => {
                for (actor, work) in works {
                    self.weights[*actor as usize] += work;
                }
            }
            Weigher::Window { length, raw, stretches, filled, passed, .. } => {
                let measure = if *raw { difficulty } else { 1.0 };
                self.level = measure;
                let works: Box<[(u32, f64)]> =
                    works.iter().map(|(actor, work)| (*actor, work * measure)).collect();
                for (actor, work) in &works {
                    self.weights[*actor as usize] += work;
                }
                *filled += total * measure;
                stretches.push_back(Stretch { length: total * measure, works });
                // Raw work that fell out may come back when difficulty rises, so it is cut when a block is weighed.
                let keep = *length * measure * if *raw { 4.0 } else { 1.0 };
                while let Some(oldest) = stretches.front()
                    && *filled - oldest.length >= keep
                {
                    *filled -= oldest.length;
                    for (actor, work) in &oldest.works {
                        self.weights[*actor as usize] -= work;
                    }
                    stretches.pop_front();
                    *passed += 1;
                }
                if *passed > 4_096 + 4 * stretches.len() {
                    // What long sums of floats have lost is found again.
                    *passed = 0;
                    *filled = stretches.iter().map(|stretch| stretch.length).sum();
                    self.weights.fill(0.0);
                    for (actor, work) in stretches.iter().flat_map(|stretch| stretch.works.iter()) {
                        self.weights[*actor as usize] += work;
                    }
                }
            }
            Weigher::Scores { k, .. } => {
                if total <= 0.0 {
                    return;
                }
                let faded = (-*k * total).exp();
                let gained = -(-*k * total).exp_m1() / (*k * total);
                for weight in &mut self.weights {
                    *weight *= faded;
                }
                for (actor, work) in works {
                    self.weights[*actor as usize] += work * gained;
                }
            }
            Weigher::Mixed { first, rest, .. } => {
                first.work(works, total, difficulty);
                rest.work(works, total, difficulty);
            }
        }
    }

    /// Hands `amount` out by `pay(actor, amount)`; what is left is the operator's.
    fn block(&mut self, finder: u32, amount: f64, pay: &mut dyn FnMut(u32, f64)) {
        let mut by_weight = |weights: &[f64], budget: f64| {
            if budget > 0.0 && amount > 0.0 {
                for (actor, weight) in weights.iter().enumerate() {
                    if *weight > 0.0 {
                        pay(actor as u32, amount * weight / budget);
                    }
                }
            }
        };
        match &mut self.by {
            Weigher::Solo => pay(finder, amount),
            // A round whose block was lost goes on.
            Weigher::Prop if amount <= 0.0 => {}
            Weigher::Prop => {
                let total: f64 = self.weights.iter().sum();
                by_weight(&self.weights, total);
                self.weights.fill(0.0);
            }
            Weigher::Window { length, renormalises, stretches, filled, .. } => {
                let wanted = *length * self.level;
                let budget = if *renormalises { wanted.min(*filled) } else { wanted };
                let mut outside = *filled - wanted;
                if outside <= 1e-12 * wanted {
                    by_weight(&self.weights, budget);
                    return;
                }
                let mut inside = self.weights.clone();
                for stretch in stretches.iter() {
                    let cut = (outside / stretch.length).min(1.0);
                    for (actor, work) in &stretch.works {
                        inside[*actor as usize] -= work * cut;
                    }
                    outside -= stretch.length;
                    if outside <= 0.0 {
                        break;
                    }
                }
                // What is left of an account that is outside altogether is rounding.
                for weight in &mut inside {
                    if *weight < 1e-12 * wanted {
                        *weight = 0.0;
                    }
                }
                by_weight(&inside, budget);
            }
            Weigher::Scores { k, kept, renormalises } => {
                let budget = if *renormalises { self.weights.iter().sum() } else { 1.0 / *k };
                by_weight(&self.weights, budget);
                for weight in &mut self.weights {
                    *weight *= *kept;
                }
            }
            Weigher::Mixed { part, first, rest } => {
                first.block(finder, amount * *part, pay);
                rest.block(finder, amount * (1.0 - *part), pay);
            }
        }
    }
}

/// What an expected block is worth to schemes that pay shares.
#[derive(Clone, Debug)]
pub(super) enum Worth {
    /// So many blocks.
    Fixed(f64),
    /// The mean of past ones without the extremes.
    Realised { last: VecDeque<f64>, trim: usize },
}

impl Worth {
    /// Of a rule that pays shares; `subsidy` is one block.
    pub(super) fn new(rule: &Rule, subsidy: Amount) -> Option<Self> {
        let blocks = |amount: Amount| amount.get() as f64 / subsidy.get() as f64;
        Some(match rule.share_value()? {
            // The driver refuses schemes that need a list of the network's blocks.
            BlockValue::Reference { .. } => return None,
            BlockValue::Fixed { value } => Self::Fixed(blocks(value)),
            BlockValue::Realised { blocks: count, trim, start } => Self::Realised {
                last: std::iter::repeat_n(blocks(start), count as usize).collect(),
                trim: trim as usize,
            },
        })
    }

    fn now(&self, subsidy: f64) -> f64 {
        match self {
            // The operator announces a new value when the reward changes.
            Self::Fixed(value) => value * subsidy,
            Self::Realised { last, trim } => {
                let mut sorted: Vec<f64> = last.iter().copied().collect();
                if *trim > 0 {
                    sorted.sort_by(f64::total_cmp);
                }
                let kept = &sorted[*trim..sorted.len() - trim];
                kept.iter().sum::<f64>() / kept.len() as f64
            }
        }
    }

    fn heard(&mut self, value: f64) {
        if let Self::Realised { last, .. } = self {
            last.pop_front();
            last.push_back(value);
        }
    }
}

/// The float twin of one pool's scheme.
#[derive(Clone, Debug)]
pub struct Twin {
    line_up: usize,
    pool: usize,
    fee: f64,
    bonus: f64,
    weighed: Option<Weighed>,
    /// Where shares are paid: their worth, and work since it was last paid.
    shares: Option<(Worth, Vec<f64>)>,
    /// What counts as subsidy, where only fees are split.
    subsidy: Option<f64>,
    /// The subsidy of now over the first.
    factor: f64,
}

impl Twin {
    /// The twin of these parameters, for a pool in a line-up.
    #[must_use]
    pub fn new(params: &SchemeParams, subsidy: Amount, actors: usize, line_up: usize, pool: usize) -> Self {
        let rule = &params.rule;
        let shares = Worth::new(rule, subsidy).map(|worth| (worth, vec![0.0; actors]));
        let splits = !rule.pays_shares() || matches!(rule, Rule::PpsPlus { .. });
        Self {
            line_up,
            pool,
            fee: part(params.fees.pool),
            bonus: part(params.fees.finder_bonus),
            weighed: splits.then(|| Weighed::new(rule, actors)),
            shares,
            subsidy: match rule {
                Rule::PpsPlus { subsidy: value, .. } => Some(value.get() as f64 / subsidy.get() as f64),
                _ => None,
            },
            factor: 1.0,
        }
    }

    /// A stretch of work, in which everyone's is spread evenly.
    pub fn work(&mut self, works: &[(u32, f64)], total: f64, difficulty: f64) {
        if let Some(weighed) = &mut self.weighed {
            weighed.work(works, total, difficulty);
        }
        if let Some((_, period)) = &mut self.shares {
            for (actor, work) in works {
                period[*actor as usize] += work;
            }
        }
    }

    /// Pays the work since the last time, where shares are paid. `subsidy` is that of now.
    pub fn close(&mut self, journal: &mut Journal<'_>, subsidy: f64, now: f64) {
        self.factor = subsidy;
        let Some((worth, period)) = &mut self.shares else { return };
        let rate = worth.now(subsidy) * (1.0 - self.fee);
        let mut paid = 0.0;
        for (actor, work) in period.iter_mut().enumerate() {
            if *work > 0.0 {
                journal.credit(self.line_up, actor, *work * rate, now);
                paid += *work * rate;
                *work = 0.0;
            }
        }
        journal.operator(self.line_up, self.pool, -paid, now);
    }

    /// A block that is worth `value`; zero for a lost one.
    pub fn block(&mut self, journal: &mut Journal<'_>, finder: u32, value: f64, now: f64) {
        if let Some((worth, ..)) = &mut self.shares {
            worth.heard(value);
        }
        let (mut amount, mut own) = match (self.subsidy, &self.shares) {
            (Some(subsidy), _) => {
                let subsidy = subsidy * self.factor;
                ((value - subsidy).max(0.0), value.min(subsidy))
            }
            (None, Some(_)) => (0.0, value),
            (None, None) => (value * (1.0 - self.fee), value * self.fee),
        };
        let line_up = self.line_up;
        if self.shares.is_none() && self.bonus > 0.0 {
            let bonus = amount * self.bonus;
            journal.credit(line_up, finder as usize, bonus, now);
            amount -= bonus;
        }
        if let Some(weighed) = &mut self.weighed {
            let mut left = amount;
            weighed.block(finder, amount, &mut |actor, paid| {
                journal.credit(line_up, actor as usize, paid, now);
                left -= paid;
            });
            own += left;
        }
        journal.operator(line_up, self.pool, own, now);
    }
}
