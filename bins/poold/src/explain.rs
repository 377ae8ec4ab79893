//! What the settings mean, for people: window length, share rates, nonce space, reserve. Floats are fine here; nothing
//! below decides anything.

use crate::config::{CoinConfig, Config, Promise};
use pool_core::limits::Limits;
use pool_core::time::Micros;
use pool_core::units::{Amount, Units, Work};
use pool_rewards::advice::{BadWish, BlockRate, Wish};
use pool_rewards::scheme::Rule;
use pool_rewards::solvency::{Business, Insolvent};
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
    let rule = &coin.reward.params.rule;
    let name = format!("{}, fee {} %", rule.name(), coin.reward.fee_percent());
    let say = |out: &mut String, text: &str| line(out, "reward", &format!("{name}: {text}"));
    match rule {
        Rule::Solo {} => say(out, "the finder gets the block"),
        Rule::Prop {} => {
            say(out, &format!("a round lasts {} on average", duration(1.0 / blocks_per_second)));
            warn(
                out,
                "PROP can be hopped: who mines only young rounds earns up to 28 % more, paid by the loyal. Use pplns",
            );
        }
        Rule::Pplns { window, .. } | Rule::PpsPlus { window, .. } | Rule::Exponential { window, .. } => {
            let length = duration(units(*window) / blocks_per_second);
            say(
                out,
                &format!(
                    "the window is {} expected blocks, {length} at the expected hash rate",
                    blocks(*window)
                ),
            );
            if let Err(trouble) = window_advice(out, coin, *window) {
                warn(out, &format!("no advice on the window: {trouble}"));
            }
        }
        Rule::Tides { blocks } => {
            let length = duration(f64::from(*blocks) / blocks_per_second);
            say(
                out,
                &format!("the window is {blocks} times the difficulty, {length} at the expected hash rate"),
            );
        }
        Rule::Geometric { average_fee } | Rule::DoubleGeometric { average_fee, .. } => {
            let kept = f64::from(average_fee.get()) / 100.0;
            say(
                out,
                &format!("scores keep another {kept} % for the operator on average, more in short rounds"),
            );
        }
        Rule::Pps { .. } | Rule::Fpps { .. } => say(out, "every share at its expected value"),
        Rule::Mixed { .. } => say(out, "two schemes side by side"),
    }
    if let Some(promise) = &coin.reward.promise {
        promised(out, coin, promise, blocks_per_second);
    }
}

fn promised(out: &mut String, coin: &CoinConfig, promise: &Promise, blocks_per_second: f64) {
    let symbol = coin.facts().symbol;
    let period = coin.reward.params.rule.period_ms().unwrap_or_default() as f64 / 1_000.0;
    match needed_reserve(coin, promise) {
        Ok(needed) => line(
            out,
            "",
            &format!(
                "settled every {}; a reserve of {} {symbol} ({} of the pool's income) keeps the chance of ruin below {}; configured: {} {symbol}",
                duration(period),
                coin.coins(needed),
                duration(needed.get() as f64 / coin.first_block_value.get() as f64 / blocks_per_second),
                f64::from(promise.ruin_ppm) / 1e6,
                coin.coins(promise.reserve),
            ),
        ),
        Err(insolvent) => warn(out, &format!("this ruins every reserve: {insolvent}; set reward.fee_bps")),
    }
}

/// What the window means to miners, and which one would fulfil what most pools want: an hour by time, two percent of
/// variation in one share's pay, twenty shares of the slowest miner. Source: `pool_rewards::advice`.
fn window_advice(out: &mut String, coin: &CoinConfig, window: Units) -> Result<(), BadWish> {
    const WISHED_SHARES: u32 = 20;
    let interval_ms = (1_000.0 / coin.own.blocks_per_second()) as u64;
    let rate =
        BlockRate::of_work(interval_ms, coin.expect.pool, coin.expect.network).ok_or(BadWish::NoBlocks)?;
    let slowest_ms = (slowest_interval(coin) * 1_000.0) as u64;
    let meaning = rate.meaning(window, slowest_ms)?;
    line(
        out,
        "",
        &format!(
            "one share's pay varies by {:.2} %; the slowest miner has {} shares in it; a newcomer lends the pool {} blocks' value of income",
            f64::from(meaning.variation_bps) / 100.0,
            meaning.shares,
            blocks(meaning.loan),
        ),
    );
    let wish =
        Wish { seconds: 3_600, variation_bps: 200, share_interval_ms: slowest_ms, shares: WISHED_SHARES };
    let advice = rate.advise(&wish)?;
    line(
        out,
        "",
        &format!(
            "window_blocks for an hour: {}, for 2 % variation: {}, for {WISHED_SHARES} shares of the slowest miner: {}",
            blocks(advice.by_time),
            blocks(advice.by_variation),
            blocks(advice.by_miner),
        ),
    );
    if meaning.shares < u64::from(WISHED_SHARES) {
        warn(
            out,
            &format!(
                "under {WISHED_SHARES} shares of the slowest miner in the window: window_blocks = \"{}\" would hold them",
                blocks(advice.by_miner)
            ),
        );
    }
    Ok(())
}

/// Expected blocks as a number for the screen.
fn units(units: Units) -> f64 {
    units.to_bits() as f64 / 2f64.powi(Units::FRACTION_BITS as i32)
}

/// Expected blocks, rounded up to a whole number, or to a tenth below ten.
fn blocks(window: Units) -> String {
    let blocks = units(window);
    if blocks < 10.0 {
        format!("{:.1}", (blocks * 10.0).ceil() / 10.0)
    } else {
        format!("{:.0}", blocks.ceil())
    }
}

/// What a promise to pay per share needs in reserve. Source: `pool_rewards::solvency`.
///
/// # Errors
/// [`Insolvent`] when no reserve is enough.
pub fn needed_reserve(coin: &CoinConfig, promise: &Promise) -> Result<Amount, Insolvent> {
    let fee = coin.reward.params.fees.pool;
    let business = Business { fee, lost: promise.lost, withheld: promise.withheld };
    business.margin()?.reserve(&[coin.first_block_value], promise.ruin_per_billion())
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
    let facts = coin.facts();
    let beside = if facts.extranonce_beside { 8 * u32::from(coin.extranonce_bytes) } else { 0 };
    let room =
        nonce_room(facts.nonce_bits + beside, coin.extranonce_bytes, coin.expect.fastest.get(), refresh);
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

    const EXAMPLE: &str = include_str!("../../../pool.example.toml");

    #[test]
    fn the_reserve_is_named_in_coins() {
        let source = EXAMPLE.replace("scheme = \"pplns\"", "scheme = \"fpps\"\nreserve = \"1\"");
        let config = Config::read(&source).unwrap();
        let text = explain(&config);
        // 343.08 blocks at a fee of 1 % and a chance of ruin of 0.001.
        let promise = config.coins[0].reward.promise.unwrap();
        let blocks = needed_reserve(&config.coins[0], &promise).unwrap().get() as f64
            / config.coins[0].first_block_value.get() as f64;
        assert!((blocks - 343.0813).abs() < 0.01, "{blocks}");
        assert!(text.contains("667.1") && text.contains("configured: 1.00000000 KAS"), "{text}");
    }

    #[test]
    fn a_window_too_short_for_the_slowest_miner_is_told_with_one_that_is_not() {
        let source = EXAMPLE.replace("scheme = \"pplns\"", "scheme = \"pplns\"\nwindow_blocks = \"1\"");
        let config = Config::read(&source).unwrap();
        assert!(explain(&config).contains("warning:         under 20 shares"), "{}", explain(&config));
        assert!(!explain(&Config::read(EXAMPLE).unwrap()).contains("warning"), "the example is a good one");
    }
}
