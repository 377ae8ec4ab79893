//! What a run leaves behind: plain data, serialised as `summary.json`, and the only thing that reports are drawn from.
//!
//! Amounts and balances are in *blocks*: multiples of the scenario's `network.subsidy`. Work is in expected blocks. So
//! a fair account has an income equal to its work, whatever the coin. Times are in seconds of simulated time. Every
//! number here is finite; what is unknown is an `Option`. Lists are in the scenario's order, curves by ascending
//! abscissa. Equal scenarios, seeds and crate versions give equal bytes, whatever the number of threads.

use serde::{Deserialize, Serialize};

/// The shape of [`Summary`]. Grows when a field changes its meaning or goes away; new fields do not change it.
pub const SCHEMA: u32 = 1;

/// The probabilities of [`Distribution::quantiles`].
pub const QUANTILES: [f64; 7] = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99];

/// The probabilities of [`FanPoint::quantiles`].
pub const FAN: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];

/// Everything a run found out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The version of this crate.
    pub crate_version: String,
    /// The scenario's name.
    pub name: String,
    /// The scenario's text, byte for byte: with the crate's version, and the CSV files it names if it names any, all
    /// that is needed to run this again.
    pub scenario: String,
    /// BLAKE3 of the scenario's text, in hexadecimal; random streams are named by seed, replication and purpose only,
    /// so that two scenarios with the same seed meet the same luck.
    pub scenario_hash: String,
    /// The seed.
    pub seed: u64,
    /// `fluid`, `round`, `share` or `net`.
    pub fidelity: String,
    /// Simulated seconds per replication.
    pub horizon_seconds: f64,
    /// Expected blocks of all pools per replication.
    pub horizon_blocks: f64,
    /// The confidence of all intervals, as in `0.95`.
    pub confidence: f64,
    /// How many replications were run, and why no more.
    pub replications: Replications,
    /// The pools, with what does not depend on schemes.
    pub pools: Vec<PoolOutcome>,
    /// The schemes, each under the same luck.
    pub schemes: Vec<SchemeOutcome>,
    /// Every scheme against the first one, paired by replication.
    pub differences: Vec<Difference>,
    /// The withholding game between the pools, if the scenario asks for it.
    pub game: Option<GameOutcome>,
}

/// How long a run went on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Replications {
    /// Replications done.
    pub done: u64,
    /// Replications the scenario allows.
    pub allowed: u64,
    /// True where neighbours are antithetic: each pair counts as one sample for confidence intervals.
    pub antithetic: bool,
    /// The widest relative half width of a mean income over all accounts and schemes at the end; zero without a single
    /// account that earned.
    pub half_width: f64,
    /// True when the run ended early because `precision.half_width` was reached.
    pub reached: bool,
    /// Shares simulated in all replications; zero in fluid fidelity.
    pub shares: u64,
    /// Blocks found in all replications, by the scenario's pools.
    pub blocks: u64,
}

/// A mean with its confidence interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The point.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// What is known of a random quantity, one value per replication.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// Values seen.
    pub count: u64,
    /// Their mean, with the interval of [`Summary::confidence`].
    pub mean: Estimate,
    /// Sample variance; zero below two values.
    pub variance: f64,
    /// Skewness; zero below three values or where nothing varies.
    pub skew: f64,
    /// The least value.
    pub min: f64,
    /// The greatest value.
    pub max: f64,
    /// At [`QUANTILES`]; each is off by less than 0.5 % of itself.
    pub quantiles: [f64; 7],
}

/// One point of a fan chart: quantiles over replications at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FanPoint {
    /// Seconds since the beginning.
    pub seconds: f64,
    /// The mean.
    pub mean: f64,
    /// At [`FAN`].
    pub quantiles: [f64; 5],
}

/// A pool's luck and losses. The same under every scheme.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PoolOutcome {
    /// Its name.
    pub name: String,
    /// Its part of the whole network, everyone on duty.
    pub part: f64,
    /// Chains it works on.
    pub chains: u32,
    /// Work accepted per replication, in expected blocks.
    pub work: Distribution,
    /// Blocks found and handed in per replication.
    pub found: Distribution,
    /// Blocks withheld, per expected block of work.
    pub withheld: f64,
    /// Found blocks that were paid nothing, over found blocks.
    pub lost: f64,
    /// Found blocks that were paid as uncles, over found blocks.
    pub uncles: f64,
    /// Found blocks that came out red, over found blocks.
    pub red: f64,
    /// Shares refused as stale, over all shares.
    pub stale: f64,
    /// Luck after `n` blocks: mean work per block over the first `n` blocks.
    pub luck: Vec<LuckPoint>,
    /// Work per found block over all rounds of all replications, as counts in bins of a tenth of a block; the last bin
    /// holds everything from its lower end on.
    pub rounds: Vec<u64>,
}

/// One point of a luck chart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LuckPoint {
    /// Blocks so far.
    pub blocks: u64,
    /// Replications that got this far.
    pub count: u64,
    /// The mean over replications of work per block.
    pub mean: f64,
    /// At [`FAN`], over replications.
    pub quantiles: [f64; 5],
    /// What luck alone does, at [`FAN`]: quantiles of `Gamma(n) / n`.
    pub band: [f64; 5],
}

/// What one scheme paid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SchemeOutcome {
    /// The name it has in the scenario.
    pub name: String,
    /// The rule's own name, as in `PPLNS`.
    pub kind: String,
    /// The parameters as canonical JSON.
    pub params: String,
    /// What the operator takes of each block, as a part.
    pub fee: f64,
    /// Accounts, in the order of the scenario's groups.
    pub accounts: Vec<AccountOutcome>,
    /// Groups of accounts, each taken as one.
    pub groups: Vec<AccountOutcome>,
    /// The operators, one per pool.
    pub operators: Vec<OperatorOutcome>,
    /// Mean pay of a share, by the work in its round before it; empty where shares are not paid by the block.
    pub by_age: Vec<AgePoint>,
    /// Mean over replications of the Gini coefficient of income per unit of work among accounts that worked.
    pub gini: f64,
}

/// What an account, or a group taken as one, got out of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccountOutcome {
    /// `group` for a group, `group/0` and so on for its accounts.
    pub name: String,
    /// The group's name.
    pub group: String,
    /// Its strategy's name, as in `hopper`.
    pub strategy: String,
    /// Its hashrate as a part of the whole network, on duty.
    pub part: f64,
    /// Work per replication in pools, in expected blocks.
    pub work: Distribution,
    /// Income per replication in blocks, from pools.
    pub income: Distribution,
    /// Work done outside of all pools (a hopper's fallback), in expected blocks; it earns exactly its worth.
    pub outside: f64,
    /// All income over all work, outside included; one is fair before fees.
    pub per_work: Estimate,
    /// [`AccountOutcome::per_work`] by control variates; absent where they are switched off.
    pub controlled: Option<Controlled>,
    /// Income less the fair value of the work, at moments of [`FanPoint::seconds`].
    pub course: Vec<FanPoint>,
    /// Seconds to the first credit above zero, over replications that had one.
    pub first_pay_seconds: Distribution,
    /// Replications without any credit, as a part.
    pub never_paid: f64,
    /// The largest fall of (income - fair value of the work) from an earlier high, in blocks.
    pub drawdown: Distribution,
    /// Credits above zero per replication.
    pub credits: f64,
}

/// An estimate that uses what is known exactly to explain part of the luck away.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Controlled {
    /// The estimate.
    pub estimate: Estimate,
    /// The variance of the plain estimate over that of this one, at least one.
    pub gain: f64,
}

/// A pool operator's side of a scheme.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperatorOutcome {
    /// The pool.
    pub pool: String,
    /// What the operator began with, in blocks.
    pub reserve: f64,
    /// The balance at the end, in blocks, reserve included; it goes on below zero.
    pub balance: Distribution,
    /// The least balance of a replication, in blocks.
    pub least: Distribution,
    /// The balance over time.
    pub course: Vec<FanPoint>,
    /// The probability that the balance was below zero by then; empty for schemes that pay blocks only.
    pub ruin: Vec<RuinPoint>,
    /// Ruin at any time, by importance sampling and in closed form; only for schemes that pay shares from a reserve.
    pub ultimate: Option<UltimateRuin>,
}

/// One point of the curve of ruin over time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuinPoint {
    /// Seconds since the beginning.
    pub seconds: f64,
    /// The pool's expected blocks until then.
    pub blocks: f64,
    /// Ruined replications over all, with Wilson's interval.
    pub probability: Estimate,
}

/// The probability that the reserve is ever used up, for blocks of one value and constant hashrate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct UltimateRuin {
    /// Ruin at any time, by importance sampling share by share.
    pub sampled: Estimate,
    /// Ruin within the scenario's horizon, by the same paths.
    pub by_horizon: Estimate,
    /// Paths behind it.
    pub paths: u64,
    /// `e^(-zR)`, exact for this model.
    pub exact: f64,
    /// `e^(-2fR)`, the diffusion form, always a little too high.
    pub diffusion: f64,
    /// `z`, the positive root of `e^-z = 1 - (1 - f) z`, per block.
    pub exponent: f64,
    /// The fee that is left after lost and withheld blocks; where it is not positive ruin is certain and both
    /// probabilities are one.
    pub effective_fee: f64,
}

/// What a share is worth by the age of its round.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgePoint {
    /// Work in the round before the share: the middle of the bin, in expected blocks.
    pub age: f64,
    /// Work that fell into the bin, over all replications.
    pub work: f64,
    /// Mean pay per unit of work in blocks, after fees.
    pub value: Estimate,
}

/// One scheme against the first, for one account: the mean over replications of the difference in income.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The scheme.
    pub scheme: String,
    /// The first scheme.
    pub against: String,
    /// The group.
    pub group: String,
    /// Income under `scheme` less income under `against`, in blocks per replication.
    pub income: Estimate,
    /// The variance of that difference had the schemes met independent luck, over its variance; above one where common
    /// luck helped. Absent where the difference does not vary.
    pub gain: Option<f64>,
}

/// Where the best responses of pools that attack each other end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GameOutcome {
    /// The players.
    pub pools: Vec<GamePool>,
    /// The revenue densities round by round, one list per round of best responses, beginning with nobody attacking.
    pub rounds: Vec<Vec<f64>>,
    /// True when the last round moved no infiltration by more than a millionth of the network.
    pub settled: bool,
}

/// A pool in the withholding game.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GamePool {
    /// Its name.
    pub name: String,
    /// Its hashrate as a part of the network.
    pub part: f64,
    /// Part of the network it sends into each of the pools, in the order of [`GameOutcome::pools`].
    pub infiltration: Vec<f64>,
    /// Revenue per hashrate in the end; one is what everyone had without attacks.
    pub revenue: f64,
    /// The same by playing it out, with the final infiltration.
    pub played: Estimate,
}
