//! Pools that send miners into each other to withhold blocks: best responses, one pool after the other.
//!
//! A pool with the part `m` of the network keeps `m - Σ x` at home. Infiltrators hand in shares and no blocks, so only
//! `1 - Σ x` of the network finds blocks; what they are paid abroad is shared at home. With `R` the part of all blocks a
//! pool finds itself, revenue per member is `r_i = (R_i + Σ_j x_ij r_j) / (m_i + Σ_j x_ji)`: linear in the `r`, solved
//! by elimination. Source: Eyal 2015, "The Miner's Dilemma", for any number of pools.

use crate::outcome::{Estimate, GameOutcome, GamePool};
use crate::random::{Purpose, Stream};
use crate::scenario::{Game, Group, Scenario};
use crate::stats::{Cross, deviations};

/// Infiltration below this of the network is none, and changes below it end the game.
const SETTLED: f64 = 1e-6;

/// Revenue densities of pools with these parts and this infiltration, row by row from whom.
#[must_use]
pub fn revenues(parts: &[f64], infiltration: &[Vec<f64>]) -> Vec<f64> {
    let n = parts.len();
    let active = 1.0 - infiltration.iter().flatten().sum::<f64>();
    // (m_i + Σ_j x_ji) r_i - Σ_j x_ij r_j = R_i
    let mut rows: Vec<Vec<f64>> = (0..n)
        .map(|i| {
            let mut row: Vec<f64> = infiltration[i].iter().map(|x| -x).collect();
            row[i] += parts[i] + infiltration.iter().map(|from| from[i]).sum::<f64>();
            row.push((parts[i] - infiltration[i].iter().sum::<f64>()) / active);
            row
        })
        .collect();
    // The matrix is dominated by its diagonal, so no pivots are needed.
    for i in 0..n {
        let pivot = rows[i].clone();
        for (j, row) in rows.iter_mut().enumerate() {
            let factor = row[i] / pivot[i];
            if j != i && factor != 0.0 {
                for (value, above) in row.iter_mut().zip(&pivot) {
                    *value -= factor * above;
                }
            }
        }
    }
    rows.iter().enumerate().map(|(i, row)| row[n] / row[i]).collect()
}

/// The infiltration of pool `i` into `j` that is best for `i`, all else as it is.
fn best(parts: &[f64], infiltration: &[Vec<f64>], i: usize, j: usize) -> f64 {
    let mut trial = infiltration.to_vec();
    let mut revenue = |x: f64| {
        trial[i][j] = x;
        revenues(parts, &trial)[i]
    };
    let elsewhere: f64 = infiltration[i].iter().enumerate().filter(|(k, _)| *k != j).map(|(_, x)| x).sum();
    // Someone has to stay at home, or the pool would find no block at all and still be counted.
    let (mut low, mut high) = (0.0, (parts[i] - elsewhere).max(0.0) * 0.999);
    let ratio = 0.5 * (5f64.sqrt() - 1.0);
    let (mut a, mut b) = (high - ratio * (high - low), low + ratio * (high - low));
    let (mut at_a, mut at_b) = (revenue(a), revenue(b));
    while high - low > 1e-9 {
        if at_a < at_b {
            (low, a, at_a) = (a, b, at_b);
            b = low + ratio * (high - low);
            at_b = revenue(b);
        } else {
            (high, b, at_b) = (b, a, at_a);
            a = high - ratio * (high - low);
            at_a = revenue(a);
        }
    }
    let inside = 0.5 * (low + high);
    if inside < SETTLED || revenue(0.0) >= revenue(inside) { 0.0 } else { inside }
}

/// Infiltration and revenues after rounds of best responses, and whether they settled.
#[must_use]
pub fn respond(parts: &[f64], rounds: u32) -> (Vec<Vec<f64>>, Vec<Vec<f64>>, bool) {
    let n = parts.len();
    let mut infiltration = vec![vec![0.0; n]; n];
    let mut history = vec![revenues(parts, &infiltration)];
    for _ in 0..rounds {
        let mut moved = 0.0f64;
        for i in 0..n {
            for j in (0..n).filter(|j| *j != i) {
                let x = best(parts, &infiltration, i, j);
                moved = moved.max((x - infiltration[i][j]).abs());
                infiltration[i][j] = x;
            }
        }
        history.push(revenues(parts, &infiltration));
        if moved <= SETTLED {
            return (infiltration, history, true);
        }
    }
    (infiltration, history, false)
}

/// Plays the infiltration out: so many blocks per replication, each found at random and paid by the work of its pool's
/// round; what infiltrators earn is shared at home. Revenue per member, with intervals over replications.
#[must_use]
pub fn played(
    parts: &[f64],
    infiltration: &[Vec<f64>],
    blocks: u64,
    replications: u64,
    seed: u64,
    confidence: f64,
) -> Vec<Estimate> {
    let n = parts.len();
    let active = 1.0 - infiltration.iter().flatten().sum::<f64>();
    let home: Vec<f64> = (0..n).map(|i| parts[i] - infiltration[i].iter().sum::<f64>()).collect();
    let mut sums: Vec<Cross<1>> = vec![Cross::default(); n];
    for replication in 0..replications {
        let mut stream = Stream::new(seed, replication, Purpose::Game);
        let mut found = vec![0u64; n];
        // A pool's blocks are a thinned sequence: every block of the network is somebody's.
        let (mut left, mut rest) = (blocks, 1.0);
        for (mine, home) in found.iter_mut().zip(&home) {
            *mine = stream.binomial(left, (home / active / rest).min(1.0));
            left -= *mine;
            rest -= home / active;
        }
        // A visitor's pay arrives one round later and is shared with visitors there: what a pool gets by way of others
        // is a geometric series, ended where it no longer counts.
        let mut income: Vec<f64> = found.iter().map(|found| *found as f64).collect();
        let mut kept = vec![0.0; n];
        for _ in 0..200 {
            let mut next = vec![0.0; n];
            for (j, amount) in income.iter().enumerate() {
                let heads = parts[j] + infiltration.iter().map(|from| from[j]).sum::<f64>();
                kept[j] += amount * parts[j] / heads;
                for (i, from) in infiltration.iter().enumerate() {
                    next[i] += amount * from[j] / heads;
                }
            }
            income = next;
            if income.iter().sum::<f64>() < 1e-12 * blocks as f64 {
                break;
            }
        }
        for ((sum, kept), part) in sums.iter_mut().zip(&kept).zip(parts) {
            sum.push([kept / (blocks as f64 * part)]);
        }
    }
    sums.iter()
        .map(|sum| {
            let half = deviations(confidence) * (sum.covariance(0, 0) / sum.count().max(1) as f64).sqrt();
            Estimate { value: sum.mean(0), low: sum.mean(0) - half, high: sum.mean(0) + half }
        })
        .collect()
}

/// The game of a scenario's pools: each as large as the miners whose home it is.
#[must_use]
pub fn play(scenario: &Scenario, game: &Game) -> GameOutcome {
    let parts: Vec<f64> = (0..scenario.pools.len())
        .map(|pool| scenario.miners.iter().filter(|group| group.pool == pool).map(Group::part).sum())
        .collect();
    // Pools without miners do not play.
    let players: Vec<usize> = (0..parts.len()).filter(|pool| parts[*pool] > 0.0).collect();
    let sizes: Vec<f64> = players.iter().map(|pool| parts[*pool]).collect();
    let (infiltration, rounds, settled) = respond(&sizes, game.rounds);
    let revenue = revenues(&sizes, &infiltration);
    let played = if game.blocks == 0 {
        revenue.iter().map(|value| Estimate { value: *value, low: *value, high: *value }).collect()
    } else {
        let replications = scenario.replications.clamp(2, 1_000);
        played(&sizes, &infiltration, game.blocks, replications, scenario.seed, scenario.precision.confidence)
    };
    let pools = players.iter().zip(infiltration).zip(revenue.into_iter().zip(played)).map(
        |((pool, infiltration), (revenue, played))| GamePool {
            name: scenario.pools[*pool].name.clone(),
            part: parts[*pool],
            infiltration,
            revenue,
            played,
        },
    );
    GameOutcome { pools: pools.collect(), rounds, settled }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: f64, wanted: f64, by: f64) {
        assert!((found - wanted).abs() < by, "{found}, not {wanted}");
    }

    #[test]
    fn one_sided_attacks_are_the_published_ones() {
        for (parts, x, first, second) in
            [([0.2, 0.2], 0.02393, 1.011_417, 0.915_044), ([0.3, 0.2], 0.04, 1.018_519, 0.868_056)]
        {
            let peace = vec![vec![0.0; 2]; 2];
            near(best(&parts, &peace, 0, 1), x, 2e-5);
            let r = revenues(&parts, &[vec![0.0, x], vec![0.0, 0.0]]);
            near(r[0], first, 2e-6);
            near(r[1], second, 2e-4 * second);
        }
    }

    #[test]
    fn the_dilemma_ends_where_it_is_known_to() {
        for (parts, x, r) in [
            ([0.2, 0.2], [0.0228, 0.0228], [0.928_333, 0.928_333]),
            ([0.3, 0.2], [0.03848, 0.03318], [0.947_774, 0.885_369]),
            ([0.4, 0.1], [0.02931, 0.01863], [0.986_289, 0.803_059]),
        ] {
            let (infiltration, rounds, settled) = respond(&parts, 1_000);
            assert!(settled);
            assert_eq!(rounds[0], [1.0, 1.0]);
            near(infiltration[0][1], x[0], 3e-5);
            near(infiltration[1][0], x[1], 3e-5);
            let end = revenues(&parts, &infiltration);
            near(end[0], r[0], 1e-5);
            near(end[1], r[1], 1e-5);
        }
    }

    #[test]
    fn playing_it_out_agrees_with_the_formula() {
        let parts = [0.3, 0.2, 0.1];
        let (infiltration, ..) = respond(&parts, 100);
        let played = played(&parts, &infiltration, 10_000, 200, 3, 0.999_99);
        for (played, formula) in played.iter().zip(revenues(&parts, &infiltration)) {
            assert!(played.low < formula && formula < played.high, "{played:?} {formula}");
            assert!(played.high - played.low < 0.05);
        }
    }
}
