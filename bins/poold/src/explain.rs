//! What the settings mean, for people: window length, share rates, nonce space, reserve. Floats are fine here; nothing
//! below decides anything.

use crate::config::{CoinConfig, Config, SchemeConfig};
use pool_core::limits::Limits;
use pool_core::time::Micros;
use pool_core::units::Work;
use pool_stratum::extranonce::nonce_room;
use std::fmt::Write;

/// A text of one line per fact, and a line beginning with `warning:` for each setting that will not do what its
/// operator expects.
#[must_use]
pub fn explain(config: &Config) -> String {
    let mut out = String::new();
    for coin in &config.coins {
        if config.coins.len() > 1 {
            let _ = writeln!(out, "== {}", coin.facts().name);
        }
        one(&mut out, coin, &config.limits);
    }
    let limits = &config.limits;
    line(
        &mut out,
        "limits",
        &format!(
            "{} connections per coin, {} from one host",
            limits.connections_max, limits.connections_per_host_max
        ),
    );
    out
}

fn one(out: &mut String, coin: &CoinConfig, limits: &Limits) {
    let expect = coin.expect;
    let blocks_per_second = share_of_blocks(coin);
    let pace = coin.own.blocks_per_second();
    let pace = if pace >= 1.0 {
        format!("{pace} block(s) a second")
    } else {
        format!("a block every {}", duration(1.0 / pace))
    };
    line(out, "network", &format!("{}, {pace}", coin.own.network()));
    line(out, "records", &coin.store);
    line(
        out,
        "expected pool",
        &format!(
            "{} of {} ({:.4} %): a block every {}",
            hash_rate(expect.pool),
            hash_rate(expect.network),
            100.0 * float(expect.pool) / float(expect.network),
            duration(1.0 / blocks_per_second),
        ),
    );
    scheme(out, coin, blocks_per_second);
    vardiff(out, coin);
    nonce_space(out, coin);
    payouts(out, coin);
    if expect.connections > limits.connections_max as u64 {
        let id = &coin.id;
        warn(out, &format!("{id}.expect.connections is above limits.connections_max: run more instances"));
    }
}

fn line(out: &mut String, name: &str, text: &str) {
    let _ = writeln!(out, "{name:<16} {text}");
}

fn warn(out: &mut String, text: &str) {
    let _ = writeln!(out, "warning:         {text}");
}

#[allow(clippy::cast_precision_loss, reason = "for the screen")]
fn float(work: Work) -> f64 {
    work.get() as f64
}

/// Hashes behind the work of a target.
fn hashes(coin: &CoinConfig, work: Work) -> f64 {
    float(work) * coin.facts().hashes_per_work as f64
}

/// Blocks a second the pool is expected to find.
fn share_of_blocks(coin: &CoinConfig) -> f64 {
    coin.own.blocks_per_second() * float(coin.expect.pool) / float(coin.expect.network)
}

fn scheme(out: &mut String, coin: &CoinConfig, blocks_per_second: f64) {
    let fee = f64::from(coin.reward.fee.get()) / 100.0;
    match coin.reward.scheme {
        SchemeConfig::Solo => line(out, "reward", &format!("SOLO, fee {fee} %: the finder gets the block")),
        SchemeConfig::Prop => {
            line(
                out,
                "reward",
                &format!("PROP, fee {fee} %: a round lasts {} on average", duration(1.0 / blocks_per_second)),
            );
            warn(
                out,
                "PROP can be hopped: who mines only young rounds earns up to 28 % more, paid by the loyal. Use pplns",
            );
        }
        SchemeConfig::Pplns { window_milli } => {
            let window = window_milli as f64 / 1_000.0;
            let seconds = window / blocks_per_second;
            line(
                out,
                "reward",
                &format!(
                    "PPLNS, fee {fee} %: the window is {window} expected blocks, {} at the expected hash rate",
                    duration(seconds)
                ),
            );
            line(
                out,
                "",
                &format!(
                    "one share's pay varies by {:.1} % (1/sqrt of the window); a newcomer earns in full after {}",
                    100.0 / window.sqrt(),
                    duration(seconds)
                ),
            );
            let slowest = slowest_interval(coin);
            let shares = seconds / slowest;
            line(out, "", &format!("the slowest miner has {shares:.0} shares in it"));
            if shares < 20.0 {
                let better = (20.0 * slowest * blocks_per_second).ceil();
                warn(
                    out,
                    &format!(
                        "under 20 shares of the slowest miner in the window: window_blocks = \"{better}\" would hold them"
                    ),
                );
            }
        }
        SchemeConfig::Fpps { reserve, ruin_ppm, period_secs } => {
            let coins = coin.coins(reserve);
            line(
                out,
                "reward",
                &format!("FPPS, fee {fee} %, settled every {}", duration(period_secs as f64)),
            );
            let chance = ruin_ppm as f64 / 1e6;
            match reserve_blocks(fee / 100.0, chance) {
                Some(blocks) => line(
                    out,
                    "",
                    &format!(
                        "a reserve of {blocks:.0} blocks' value ({} of the pool's income) keeps the chance of ruin below {chance}; configured: {coins} {}",
                        duration(blocks / blocks_per_second),
                        coin.facts().symbol
                    ),
                ),
                None => warn(out, "FPPS without a fee ruins every reserve: set reward.fee_bps"),
            }
        }
    }
}

/// Reserve in block values for a fee and a chance of ruin: `ln(1/chance) / z` with `z` the positive root of
/// `exp(-z) = 1 - (1 - fee) z`. Source: dual risk model with Poisson blocks.
#[must_use]
pub fn reserve_blocks(fee: f64, chance: f64) -> Option<f64> {
    if !(fee > 0.0 && fee < 1.0 && chance > 0.0 && chance < 1.0) {
        return None;
    }
    let excess = |z: f64| (-z).exp() - 1.0 + (1.0 - fee) * z;
    // Below the root the excess is negative; it grows without bound above.
    let (mut low, mut high) = (fee, 2.0 * fee);
    while excess(high) < 0.0 {
        high *= 2.0;
    }
    for _ in 0..200 {
        let middle = (low + high) / 2.0;
        if excess(middle) < 0.0 { low = middle } else { high = middle }
    }
    Some((1.0 / chance).ln() / ((low + high) / 2.0))
}

/// Seconds between two shares of the slowest miner: the goal, or longer where the least difficulty is too high for it.
fn slowest_interval(coin: &CoinConfig) -> f64 {
    let goal = coin.vardiff.share_interval_ms as f64 / 1_000.0;
    goal.max(hashes(coin, coin.vardiff.min) / float(coin.expect.slowest))
}

fn vardiff(out: &mut String, coin: &CoinConfig) {
    let (vardiff, expect) = (&coin.vardiff, &coin.expect);
    let goal = vardiff.share_interval_ms as f64 / 1_000.0;
    let rate = expect.connections as f64 / goal;
    line(
        out,
        "shares",
        &format!("one per worker every {goal} s: {rate:.0} a second from {} connections", expect.connections),
    );
    let start = |miner: Work| duration(hashes(coin, vardiff.start) / float(miner));
    line(
        out,
        "",
        &format!(
            "at the start difficulty the slowest miner finds one in {}, the fastest in {}",
            start(expect.slowest),
            start(expect.fastest)
        ),
    );
    if hashes(coin, vardiff.min) / float(expect.slowest) > 2.0 * goal {
        warn(out, "min_difficulty is too high for the slowest miner to reach the wanted share rate");
    }
    if hashes(coin, vardiff.max) / float(expect.fastest) < goal / 2.0 {
        warn(out, "max_difficulty is too low for the fastest miner: it will send more shares than wanted");
    }
    if rate > 20_000.0 {
        warn(out, "more than 20000 shares a second: raise share_interval_ms or run more instances");
    }
}

fn nonce_space(out: &mut String, coin: &CoinConfig) {
    // A job stands for at least its interval; a second is what a slow template may take.
    let refresh = Micros::from_millis(coin.job_interval_ms.max(1_000));
    let room = nonce_room(coin.facts().nonce_bits, coin.extranonce_bytes, coin.expect.fastest.get(), refresh);
    line(
        out,
        "nonce space",
        &format!(
            "{} bits per connection, {} connections at most; the fastest miner uses it up in {}",
            room.free_bits,
            1u64 << (8 * u32::from(coin.extranonce_bytes)),
            duration(room.exhausted_in.get() as f64 / 1e6),
        ),
    );
    if !room.enough {
        warn(
            out,
            "the fastest miner would run out of nonces before the next job: use fewer extranonce_bytes",
        );
    }
    if coin.expect.connections > 1 << (8 * u32::from(coin.extranonce_bytes)) {
        warn(out, "more connections expected than extranonces exist: use more extranonce_bytes");
    }
}

fn payouts(out: &mut String, coin: &CoinConfig) {
    let payout = coin.payout;
    if !payout.enabled {
        line(out, "payouts", "off");
        return;
    }
    let coins = coin.coins(payout.threshold);
    line(
        out,
        "payouts",
        &format!(
            "every {} to whoever is owed {coins} {}",
            duration(payout.interval_secs as f64),
            coin.facts().symbol
        ),
    );
    if let Some(warning) = coin.own.payout_warning(payout.threshold) {
        warn(out, warning);
    }
}

fn duration(seconds: f64) -> String {
    match seconds {
        s if !s.is_finite() => "never".to_owned(),
        s if s < 1e-3 => format!("{:.0} µs", s * 1e6),
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s if s < 120.0 => format!("{s:.1} s"),
        s if s < 7_200.0 => format!("{:.1} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3_600.0),
        s => format!("{:.1} days", s / 86_400.0),
    }
}

fn hash_rate(work: Work) -> String {
    let mut rate = float(work);
    for unit in ["H/s", "kH/s", "MH/s", "GH/s", "TH/s", "PH/s"] {
        if rate < 1_000.0 {
            return format!("{rate:.3} {unit}");
        }
        rate /= 1_000.0;
    }
    format!("{rate:.3} EH/s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_is_the_exact_root() {
        for (fee, chance, blocks) in [(0.01, 0.001, 343.0813), (0.05, 0.01, 44.50), (0.02, 1e-6, 340.77)] {
            let found = reserve_blocks(fee, chance).unwrap();
            assert!((found - blocks).abs() < 0.01, "{fee} {chance}: {found}");
        }
        assert_eq!(reserve_blocks(0.0, 0.01), None);
    }
}
