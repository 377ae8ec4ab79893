//! Numbers for people: few digits, one way of writing each, the same on every machine.

/// About `digits` significant digits, without trailing zeros, thousands set apart by a narrow space. Numbers out of
/// `1e-4..1e9` in scientific notation.
#[must_use]
pub fn short(value: f64, digits: usize) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if !value.is_finite() {
        return if value.is_nan() { "–".to_owned() } else { sign(value) + "∞" };
    }
    let magnitude = value.abs();
    if !(1e-4..1e9).contains(&magnitude) {
        let text = format!("{magnitude:.*e}", digits.saturating_sub(1));
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        return format!("{}{}e{}", sign(value), trimmed(mantissa), exponent.replace('-', "−"));
    }
    let whole_digits = magnitude.log10().floor() as i32 + 1;
    let decimals = usize::try_from(digits as i32 - whole_digits).unwrap_or(0);
    sign(value) + &grouped(trimmed(&format!("{magnitude:.decimals$}")))
}

/// A fixed number of decimals.
#[must_use]
pub fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let nothing = text.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    let sign = if nothing { String::new() } else { sign(value) };
    sign + &grouped(&text)
}

/// A part as percent with so many decimals: `0.0123` is `1.23 %`.
#[must_use]
pub fn percent(part: f64, decimals: usize) -> String {
    format!("{}\u{202f}%", fixed(part * 100.0, decimals))
}

/// A part as percent with an explicit sign.
#[must_use]
pub fn signed_percent(part: f64, decimals: usize) -> String {
    let text = percent(part, decimals);
    if part > 0.0 && text.bytes().any(|byte| byte.is_ascii_digit() && byte != b'0') {
        format!("+{text}")
    } else {
        text
    }
}

/// A span of time in its largest fitting unit.
#[must_use]
pub fn duration(seconds: f64) -> String {
    let (unit, name) = time_unit(seconds);
    format!("{}\u{202f}{name}", short(seconds / unit, 3))
}

/// The largest unit of time that a span fills: its seconds and its name.
#[must_use]
pub fn time_unit(seconds: f64) -> (f64, &'static str) {
    match seconds.abs() {
        short if short < 1.0 => (1e-3, "ms"),
        short if short < 120.0 => (1.0, "s"),
        short if short < 7_200.0 => (60.0, "min"),
        short if short < 172_800.0 => (3_600.0, "h"),
        long if long < 2.0 * 31_557_600.0 => (86_400.0, "days"),
        _ => (31_557_600.0, "years"),
    }
}

fn sign(value: f64) -> String {
    if value < 0.0 { "−".to_owned() } else { String::new() }
}

/// Without zeros at the end of the decimals.
fn trimmed(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

/// Thousands apart, from five digits on.
fn grouped(text: &str) -> String {
    let (whole, decimals) = text.split_once('.').map_or((text, None), |(whole, rest)| (whole, Some(rest)));
    let mut out = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && whole.len() > 4 && (whole.len() - index).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    if let Some(decimals) = decimals {
        out.push('.');
        out.push_str(decimals);
    }
    out
}

/// Round places for ticks between two ends: multiples of 1, 2 or 5 times a power of ten, about `count` of them, and the
/// decimals they need.
#[must_use]
pub fn ticks(low: f64, high: f64, count: usize) -> (Vec<f64>, usize) {
    let span = high - low;
    if span <= 0.0 || !span.is_finite() {
        return (vec![low], 2);
    }
    let raw = span / count.max(1) as f64;
    let power = 10f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .iter()
        .map(|step| step * power)
        .find(|step| *step >= raw * 0.999)
        .unwrap_or(raw);
    let decimals = usize::try_from(-(step.log10() + 1e-9).floor() as i32).unwrap_or(0);
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    ((first..=last).map(|index| index as f64 * step).collect(), decimals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (value, digits, text) in [
            (0.0, 3, "0"),
            (1.0, 3, "1"),
            (-0.05, 3, "−0.05"),
            (1234.5, 3, "1234"),
            (12_345.6, 3, "12\u{202f}346"),
            (1_234_567.0, 3, "1\u{202f}234\u{202f}567"),
            (0.000_012_3, 3, "1.23e−5"),
            (-4.2e12, 2, "−4.2e12"),
            (99.96, 3, "100"),
            (f64::INFINITY, 3, "∞"),
        ] {
            assert_eq!(short(value, digits), text);
        }
        assert_eq!(percent(0.281_494, 2), "28.15\u{202f}%");
        assert_eq!(signed_percent(0.001, 1), "+0.1\u{202f}%");
        assert_eq!(signed_percent(0.000_01, 1), "0.0\u{202f}%");
        assert_eq!(fixed(-0.001, 2), "0.00");
        assert_eq!(fixed(-1.005, 1), "−1.0");
    }

    #[test]
    fn time_is_in_its_unit() {
        for (seconds, text) in [
            (0.25, "250\u{202f}ms"),
            (90.0, "90\u{202f}s"),
            (7_000.0, "117\u{202f}min"),
            (86_400.0, "24\u{202f}h"),
            (2_592_000.0, "30\u{202f}days"),
            (315_576_000.0, "10\u{202f}years"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(ticks(0.0, 1.0, 5), (vec![0.0, 0.2, 0.4, 0.600_000_000_000_000_1, 0.8, 1.0], 1));
        let (places, decimals) = ticks(-0.3, 12.2, 5);
        assert_eq!((places, decimals), (vec![0.0, 5.0, 10.0], 0));
        assert_eq!(ticks(0.948, 1.312, 6).0.len(), 4);
        assert_eq!(ticks(2.0, 2.0, 5).0, [2.0]);
    }
}
