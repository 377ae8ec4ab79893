//! The scenario: one TOML file that says everything about a run.
//!
//! [`Scenario::parse`] either returns a scenario with every number in its range or every mistake in the file, each with
//! its key and line. A key nobody knows is a mistake too: a misspelt one must not silently leave a default in force.
//!
//! Hashrates are parts of the network: `0.1` finds a tenth of all blocks at the difficulty of the beginning. Work is in
//! expected blocks, time in seconds.

mod load;
mod reader;

pub use reader::Mistake;

use pool_core::units::Amount;
use pool_rewards::scheme::SchemeParams;
use std::path::Path;

/// How closely the world is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fidelity {
    /// Work flows; only blocks are events. Schemes are their float twins.
    Fluid,
    /// Shares are counted per account between events, not ordered. Schemes are their float twins.
    Round,
    /// Every share is drawn; the production engines pay, in whole units.
    Share,
    /// As `Share`, in continuous time on a network with latency, forks, uncles and red blocks.
    Net,
}

impl Fidelity {
    /// As it is written in a scenario.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fluid => "fluid",
            Self::Round => "round",
            Self::Share => "share",
            Self::Net => "net",
        }
    }
}

/// A whole scenario, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// The text it was read from.
    pub text: String,
    /// `name`.
    pub name: String,
    /// `seed`.
    pub seed: u64,
    /// `fidelity`.
    pub fidelity: Fidelity,
    /// `replications`: at most so many.
    pub replications: u64,
    /// `days` or `blocks`: how long one replication is, in simulated seconds.
    pub horizon_seconds: f64,
    /// `checkpoints`: moments at which courses and ruin are recorded, evenly spaced, the last one at the horizon.
    pub checkpoints: u32,
    /// `[network]`.
    pub network: Network,
    /// `[difficulty]`.
    pub difficulty: DifficultyRule,
    /// `[hashrate]`.
    pub hashrate: HashrateProcess,
    /// `[fees]`.
    pub fees: FeeProcess,
    /// `[net]`: only looked at in net fidelity.
    pub net: NetRules,
    /// `[[pool]]`, at least one.
    pub pools: Vec<Pool>,
    /// `[[miners]]`, at least one.
    pub miners: Vec<Group>,
    /// `[[scheme]]`, at least one.
    pub schemes: Vec<NamedScheme>,
    /// `[precision]`.
    pub precision: Precision,
    /// `[variance]`.
    pub variance: Variance,
    /// `[game]`.
    pub game: Option<Game>,
}

/// `[network]`: the coin.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// `interval_seconds` between blocks of the whole network, all chains together.
    pub interval_seconds: f64,
    /// `subsidy` of a block, in the coin's smallest unit; one *block* of income.
    pub subsidy: Amount,
    /// `shares_per_block`: expected shares per expected block at the difficulty of the beginning.
    pub shares_per_block: u64,
    /// `[network.reward_change]`: from `at_days` on blocks bring `factor` of the subsidy (a halving is 0.5).
    pub reward_change: Option<RewardChange>,
}

/// A step in the subsidy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RewardChange {
    /// When, in seconds.
    pub at_seconds: f64,
    /// The subsidy is multiplied by this, `0..=100`.
    pub factor: f64,
}

/// `[difficulty]`, by `rule`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DifficultyRule {
    /// `constant`: never changes.
    Constant,
    /// `epoch`: every `blocks` network blocks, by the time they took, at most by `clamp` either way.
    Epoch {
        /// Blocks per epoch.
        blocks: u32,
        /// Greatest factor either way, above 1.
        clamp: f64,
    },
    /// `window`: each block, by the mean time of the last `blocks`.
    Window {
        /// Blocks looked at.
        blocks: u32,
    },
    /// `asert`: each block, exponentially towards schedule.
    Asert {
        /// Time in which being late by as much doubles or halves the difficulty.
        half_life_seconds: f64,
    },
}

/// `[hashrate]`: how the rest of the network's hashrate moves, relative to the beginning. The scenario's miners keep
/// theirs and feel it through the difficulty.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HashrateProcess {
    /// `growth_per_day`: continuous rate, `0.01` is one percent a day.
    pub growth_per_day: f64,
    /// `volatility_per_sqrt_day` of its logarithm.
    pub volatility_per_sqrt_day: f64,
}

/// `[fees]`, by `process`: transaction fees of a block, as a part of the subsidy.
#[derive(Clone, Debug, PartialEq)]
pub enum FeeProcess {
    /// `none`.
    None,
    /// `independent`: lognormal, block by block.
    Independent {
        /// Mean part of the subsidy.
        mean: f64,
        /// Coefficient of variation.
        variation: f64,
    },
    /// `ar1`: lognormal, with an AR(1) logarithm.
    Autoregressive {
        /// Mean part of the subsidy.
        mean: f64,
        /// Coefficient of variation.
        variation: f64,
        /// Correlation from one pool block to the next, `-1 < r < 1`.
        correlation: f64,
    },
    /// `spikes`: mostly `mean`, with probability `chance` `size`.
    Spikes {
        /// Part of the subsidy in a usual block.
        mean: f64,
        /// Probability of a spike.
        chance: f64,
        /// Part of the subsidy in a spike.
        size: f64,
    },
    /// `csv`: read from a file, one number per line, in order from a random place, around and around.
    Replay {
        /// The numbers: parts of the subsidy, at least one.
        parts: Vec<f64>,
    },
}

/// `[net]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NetRules {
    /// `propagation_seconds`: until everyone has heard of a block.
    pub propagation_seconds: f64,
    /// `latency_seconds` between a miner and its pool, one way; a group may have its own.
    pub latency_seconds: f64,
    /// `conflicts`: what becomes of blocks found next to each other.
    pub conflicts: Conflicts,
}

/// What becomes of blocks that did not know of each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Conflicts {
    /// `orphan`: one of them wins, the others are worth nothing.
    Orphan,
    /// `uncle`: the others are paid `value` of the subsidy.
    Uncle {
        /// Part of the subsidy.
        value: f64,
    },
    /// `dag`: all count, but one with more than `k` others beside it is red and its reward goes to the next block.
    Dag {
        /// Greatest anticone of a blue block.
        k: u32,
    },
}

/// `[[pool]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// `name`.
    pub name: String,
    /// `chains` it works on, sharing its miners evenly; each has its own difficulty of `chains` times less.
    pub chains: u32,
    /// `rounds = "chain"`: every chain pays by itself. Otherwise all chains share one log.
    pub per_chain: bool,
    /// `scheme`: the index of the scheme it always has. `None`: the scheme under comparison.
    pub scheme: Option<usize>,
    /// `reserve_blocks` of the operator.
    pub reserve_blocks: f64,
}

/// `[[miners]]`: a group of accounts with one strategy.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// `name`.
    pub name: String,
    /// `pool`: the index of the pool it mines in, unless its strategy says otherwise.
    pub pool: usize,
    /// Hashrates of its accounts, as parts of the network while on duty: what `part`, `count` and `spread` came to.
    pub parts: Vec<f64>,
    /// `[miners.strategy]`.
    pub strategy: Strategy,
    /// `[miners.duty]`.
    pub duty: Duty,
    /// `latency_seconds` to the pool, for net fidelity.
    pub latency_seconds: f64,
}

/// When a group's accounts mine at all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Duty {
    /// `always`.
    Always,
    /// `cycle`: `on_seconds` on, `off_seconds` off, each account beginning at its own random place.
    Cycle {
        /// Time on.
        on_seconds: f64,
        /// Time off.
        off_seconds: f64,
    },
    /// `random`: as `cycle`, with exponential times of these means.
    Random {
        /// Mean time on.
        on_seconds: f64,
        /// Mean time off.
        off_seconds: f64,
    },
}

/// `[miners.strategy]`, by `kind`.
#[derive(Clone, Debug, PartialEq)]
pub enum Strategy {
    /// `honest`: always in its pool.
    Honest,
    /// `hopper`: in the youngest of `pools` while that is younger than `threshold`, else in the fallback.
    Hopper {
        /// Indices of pools, at least one.
        pools: Vec<usize>,
        /// Expected blocks of work in the round.
        threshold: f64,
        /// Where it goes otherwise.
        fallback: Fallback,
    },
    /// `youngest`: always in the youngest of `pools`.
    Youngest {
        /// Indices of pools, at least two.
        pools: Vec<usize>,
    },
    /// `chain-hop`: in its pool, always on the chain with the youngest round.
    ChainHop,
    /// `retarget-hop`: in its pool except for the last `avoid_blocks` network blocks before each epoch ends.
    RetargetHop {
        /// Network blocks.
        avoid_blocks: f64,
        /// Where it goes meanwhile.
        fallback: Fallback,
    },
    /// `reward-exit`: leaves its pool for good so many seconds before the reward changes.
    RewardExit {
        /// Seconds.
        before_seconds: f64,
        /// Where it goes.
        fallback: Fallback,
    },
    /// `withholder`: hands in shares but keeps back this part of its blocks.
    Withholder {
        /// `0..=1`.
        part: f64,
    },
    /// `burst`: mines only for `length_seconds` in every `period_seconds`, with its hashrate times their ratio: the
    /// same work on average, in bursts.
    Burst {
        /// Length of a burst.
        length_seconds: f64,
        /// From burst to burst.
        period_seconds: f64,
    },
    /// `sybil`: honest, but each account appears to the pool as `identities` equal ones.
    Sybil {
        /// At least 2.
        identities: u32,
    },
}

impl Strategy {
    /// As it is written in a scenario.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Honest => "honest",
            Self::Hopper { .. } => "hopper",
            Self::Youngest { .. } => "youngest",
            Self::ChainHop => "chain-hop",
            Self::RetargetHop { .. } => "retarget-hop",
            Self::RewardExit { .. } => "reward-exit",
            Self::Withholder { .. } => "withholder",
            Self::Burst { .. } => "burst",
            Self::Sybil { .. } => "sybil",
        }
    }
}

/// Where a strategy goes when it is not in a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// `fair`: somewhere outside that pays exactly what work is worth.
    Fair,
    /// `off`: nowhere.
    Off,
    /// The name of a pool: its index.
    Pool(usize),
}

/// `[[scheme]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedScheme {
    /// `name`; the rule's own where none is given.
    pub name: String,
    /// The parameters, as the production engines take them.
    pub params: SchemeParams,
}

/// `[precision]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Precision {
    /// `confidence` of all intervals, `0.5..1`.
    pub confidence: f64,
    /// `half_width`: stop as soon as every group's income per work is known to this part of itself.
    pub half_width: Option<f64>,
}

/// `[variance]`: what is done against luck in the estimates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Variance {
    /// `antithetic`: every second replication meets the opposite luck of the one before.
    pub antithetic: bool,
    /// `control`: also estimate with the number of blocks as a control variate.
    pub control: bool,
    /// `ruin_paths`: importance-sampled paths for the probability of ruin at any time; 0 for none.
    pub ruin_paths: u64,
}

/// `[game]`: pools that send miners into each other to withhold blocks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Game {
    /// `rounds` of best responses at most.
    pub rounds: u32,
    /// `blocks` to play out with the final infiltration, per replication; 0 to trust the formula.
    pub blocks: u64,
}

impl Scenario {
    /// Reads a scenario from its text. Files it names are looked for in `folder`.
    ///
    /// # Errors
    /// [`BadScenario`] with every mistake.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, BadScenario> {
        load::scenario(text, folder)
    }

    /// Expected blocks of all pools in one replication, everyone on duty at the difficulty of the beginning.
    #[must_use]
    pub fn horizon_blocks(&self) -> f64 {
        let part: f64 = self.miners.iter().map(Group::part).sum();
        self.horizon_seconds / self.network.interval_seconds * part
    }
}

impl Group {
    /// Its hashrate as a part of the network, everyone on duty.
    #[must_use]
    pub fn part(&self) -> f64 {
        self.parts.iter().sum()
    }
}

/// A scenario that cannot be run: everything that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", list(.mistakes))]
pub struct BadScenario {
    /// By line; at least one.
    pub mistakes: Vec<Mistake>,
}

fn list(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
