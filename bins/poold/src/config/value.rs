//! Values as operators write them: `21 TH/s`, `2.5 KAS`, `0.0.0.0:5555`. Exact: no float is involved.

use pool_core::units::{Amount, Work};

/// Hashes per second from text such as `21 TH/s`, `900 MH/s`, `1.5PH/s` or a plain number.
pub(crate) fn hash_rate(text: &str) -> Result<Work, String> {
    const WANTED: &str = "must be a hash rate such as \"21 TH/s\"";
    let bare = text.trim().trim_end_matches("/s").trim_end_matches(['H', 'h']).trim_end();
    let (digits, factor) = match bare.char_indices().next_back() {
        Some((at, letter)) if letter.is_ascii_alphabetic() => {
            let power =
                ['k', 'M', 'G', 'T', 'P', 'E', 'Z'].iter().position(|p| p.eq_ignore_ascii_case(&letter));
            let power = u32::try_from(power.ok_or(WANTED)? + 1).map_err(|_| WANTED)?;
            (bare[..at].trim_end(), 1_000u128.pow(power))
        }
        _ => (bare, 1),
    };
    let hashes = decimal(digits, factor).ok_or(WANTED)?;
    Work::new(hashes).map_err(|_| "must be above zero".to_owned())
}

/// An amount in whole coins, `2.5` or `2.5 KAS`, into smallest units.
pub(crate) fn coins(text: &str, symbol: &str, decimals: u8) -> Result<Amount, String> {
    let bare = text.trim().trim_end_matches(symbol).trim_end();
    decimal(bare, 10u128.pow(u32::from(decimals))).map(Amount::new).ok_or_else(|| {
        format!("must be an amount in {symbol} with at most {decimals} decimals, such as \"2.5\"")
    })
}

/// A stratum difficulty such as `4096` or `0.5` as target work, where difficulty 1 is `one`. Rounded down, at least 1.
pub(crate) fn difficulty(text: &str, one: u128) -> Result<Work, String> {
    const WANTED: &str = "must be a difficulty above zero such as 4096 or 0.5";
    let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty()
        || !all_digits(whole)
        || !all_digits(fraction)
        || text.bytes().all(|b| matches!(b, b'0' | b'.'))
    {
        return Err(WANTED.to_owned());
    }
    let mut work = whole.parse::<u128>().ok().and_then(|whole| whole.checked_mul(one)).ok_or(WANTED)?;
    // Digit by digit from the end: (digit * one + rest) / 10 loses nothing but the last fraction of a hash.
    let mut rest = 0u128;
    for digit in fraction.bytes().rev() {
        rest = u128::from(digit - b'0')
            .checked_mul(one)
            .and_then(|part| part.checked_add(rest))
            .ok_or(WANTED)?
            / 10;
    }
    work = work.checked_add(rest).ok_or(WANTED)?;
    Work::new(work.max(1)).map_err(|_| WANTED.to_owned())
}

/// `digits × factor`, where digits may have a fraction as long as the product is whole.
fn decimal(digits: &str, factor: u128) -> Option<u128> {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let scale = 10u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let number = format!("{whole}{fraction}").parse::<u128>().ok()?.checked_mul(factor)?;
    number.is_multiple_of(scale).then_some(number / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_rates_read_as_people_write_them() {
        for (text, hashes) in [
            ("21 TH/s", 21_000_000_000_000),
            ("21TH/s", 21_000_000_000_000),
            ("1.5 PH", 1_500_000_000_000_000),
            ("900 mh/s", 900_000_000),
            ("5 kH/s", 5_000),
            ("1000", 1_000),
            ("12 H/s", 12),
        ] {
            assert_eq!(hash_rate(text).map(Work::get), Ok(hashes), "{text}");
        }
        for bad in ["", "TH/s", "0", "-1 TH/s", "1e3", "1 QH/s", "0.0001 H/s"] {
            assert!(hash_rate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn difficulties_are_work() {
        let one = 1 << 32;
        for (text, work) in [("4096", 4_096 << 32), ("0.5", 1 << 31), ("1.25", 5 << 30), ("0.0000000001", 1)]
        {
            assert_eq!(difficulty(text, one).map(Work::get), Ok(work), "{text}");
        }
        assert_eq!(difficulty("0.00000000023283064365386962890625", one).map(Work::get), Ok(1));
        for bad in ["", "0", "0.0", "-1", "1e3", ".5", "x", "340282366920938463463374607431768211455"] {
            assert!(difficulty(bad, one).is_err(), "{bad}");
        }
    }

    #[test]
    fn amounts_are_exact() {
        assert_eq!(coins("2.5", "KAS", 8), Ok(Amount::new(250_000_000)));
        assert_eq!(coins("10 KAS", "KAS", 8), Ok(Amount::new(1_000_000_000)));
        assert_eq!(coins("0.00000001", "KAS", 8), Ok(Amount::new(1)));
        assert!(coins("0.000000001", "KAS", 8).is_err());
        assert!(coins("1,5", "KAS", 8).is_err());
    }
}
