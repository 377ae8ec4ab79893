//! Numbers as the vectors write them, read and written without rounding.

use super::{CaseError, Result};
use alloc::format;
use alloc::string::{String, ToString};
use num_bigint::{BigInt, Sign};
use num_rational::BigRational;
use num_traits::{One, Pow, Signed, ToPrimitive, Zero};
use serde_json::Value;

/// An exact fraction.
pub(super) type Q = BigRational;

/// The largest power of ten a number may be written with: beyond it lies no money, no work and no patience.
const EXPONENT_MAX: i64 = 400;
/// The longest text of a number.
const DIGITS_MAX: usize = 1_000;

pub(super) fn q(number: impl Into<BigInt>) -> Q {
    Q::from_integer(number.into())
}

fn wrong(place: &str, expected: &'static str) -> CaseError {
    CaseError::Wrong { place: place.into(), expected }
}

/// A number in any of the spellings: JSON number, `"12"`, `"1.25"`, `"1e15"`, `"3/20"`.
pub(super) fn rational(value: &Value, place: &str) -> Result<Q> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return Err(wrong(place, "a number")),
    };
    let bad = || wrong(place, "a number, a decimal or a fraction n/d");
    if text.len() > DIGITS_MAX {
        return Err(bad());
    }
    match text.split_once('/') {
        Some((top, bottom)) => {
            let (top, bottom) = (decimal(top).ok_or_else(bad)?, decimal(bottom).ok_or_else(bad)?);
            if bottom.is_zero() { Err(bad()) } else { Ok(top / bottom) }
        }
        None => decimal(&text).ok_or_else(bad),
    }
}

fn decimal(text: &str) -> Option<Q> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    if exponent.abs() > EXPONENT_MAX {
        return None;
    }
    let (sign, digits) = match mantissa.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, mantissa),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(fraction) || (digits.contains('.') && fraction.is_empty())
    {
        return None;
    }
    let number = format!("{whole}{fraction}").parse::<BigInt>().ok()? * sign;
    let exponent = exponent - i64::try_from(fraction.len()).ok()?;
    let power = BigInt::from(10).pow(u32::try_from(exponent.unsigned_abs()).ok()?);
    Some(if exponent < 0 { Q::new(number, power) } else { q(number * power) })
}

/// Whole units of money, below `2^128`.
pub(super) fn amount(value: &Value, place: &str) -> Result<BigInt> {
    let number = rational(value, place)?;
    if !number.is_integer() || number.is_negative() {
        return Err(wrong(place, "a whole number of smallest units"));
    }
    let number = number.to_integer();
    if number.bits() > 128 { Err(CaseError::WideAmount(place.into())) } else { Ok(number) }
}

/// A difficulty: above zero, at most `2^256`.
pub(super) fn difficulty(value: &Value, place: &str) -> Result<Q> {
    let number = rational(value, place)?;
    if number.is_zero() {
        return Err(CaseError::ZeroDifficulty(place.into()));
    }
    if number.is_negative() {
        return Err(wrong(place, "a difficulty above zero"));
    }
    if number > q(BigInt::one() << 256u32) {
        return Err(CaseError::AbsurdDifficulty(place.into()));
    }
    Ok(number)
}

/// A number that is not below zero.
pub(super) fn weight(value: &Value, place: &str) -> Result<Q> {
    let number = rational(value, place)?;
    if number.is_negative() {
        return Err(wrong(place, "a number not below zero"));
    }
    if number > q(BigInt::one() << 256u32) {
        return Err(CaseError::AbsurdDifficulty(place.into()));
    }
    Ok(number)
}

/// A count such as a sequence number.
pub(super) fn count(value: &Value, place: &str) -> Result<u64> {
    let number = rational(value, place)?;
    let whole = number.is_integer().then(|| number.to_integer()).and_then(|number| number.to_u64());
    whole.ok_or_else(|| wrong(place, "a whole number"))
}

/// Ten-thousandths, at most all.
pub(super) fn basis_points(value: &Value, place: &str) -> Result<BigInt> {
    let number = amount(value, place)?;
    if number > BigInt::from(10_000) { Err(wrong(place, "at most 10000 basis points")) } else { Ok(number) }
}

/// A whole number in JSON: a string from `2^53` on.
pub(super) fn whole(number: &BigInt) -> Value {
    match number.to_i64() {
        Some(small) if small.unsigned_abs() < 1 << 53 => Value::from(small),
        _ => Value::String(number.to_string()),
    }
}

/// `"n"` or `"n/d"`.
pub(super) fn exact(number: &Q) -> Value {
    Value::String(if number.is_integer() {
        number.to_integer().to_string()
    } else {
        format!("{}/{}", number.numer(), number.denom())
    })
}

/// At most 30 significant digits, rounded half to even, without trailing zeros.
pub(super) fn digits30(number: &Q) -> Value {
    if number.is_zero() {
        return Value::String("0".into());
    }
    let ten = BigInt::from(10);
    let magnitude = number.abs();
    // The place of the first digit: magnitude is in [10^place, 10^(place + 1)).
    let mut place = magnitude.to_integer().to_string().len() as i64 - 1;
    if magnitude < Q::one() {
        place = -1;
        while &magnitude * q(Pow::pow(&ten, (-place) as u32)) < Q::one() {
            place -= 1;
        }
    }
    let shift = 29 - place;
    let power = q(Pow::pow(&ten, shift.unsigned_abs() as u32));
    let scaled = if shift >= 0 { magnitude * power } else { magnitude / power };
    let floor = scaled.floor().to_integer();
    let (twice, one) = ((&scaled - q(floor.clone())) * q(2), Q::one());
    let odd = (&floor % BigInt::from(2)).is_one();
    let rounded = if twice > one || (twice == one && odd) { floor + 1 } else { floor };
    let mut text = rounded.to_string();
    let point = text.len() as i64 - shift;
    if point <= 0 {
        text = format!("0.{}{}", "0".repeat((-point) as usize), text);
    } else if (point as usize) < text.len() {
        text.insert(point as usize, '.');
    } else {
        text.push_str(&"0".repeat(point as usize - text.len()));
    }
    if text.contains('.') {
        text = text.trim_end_matches('0').trim_end_matches('.').into();
    }
    Value::String(if number.numer().sign() == Sign::Minus { format!("-{text}") } else { text })
}

/// Bits behind the point of [`exp_minus`].
const EXP_BITS: u32 = 512;

/// `e^-x` for `x` from 0 to 2000 with an error far below `2^-400`; beyond it is nothing beside any share that counts.
pub(super) fn exp_minus(x: &Q) -> Q {
    let one = BigInt::one() << EXP_BITS;
    if *x > q(2_000) {
        return Q::zero();
    }
    let scale = q(one.clone());
    // Halve until small, sum the series, square back.
    let halvings = 16u32;
    let small = (x * &scale / q(BigInt::one() << halvings)).to_integer();
    let (mut term, mut sum) = (one.clone(), one.clone());
    for n in 1..=160u32 {
        term = -((&term * &small) >> EXP_BITS) / BigInt::from(n);
        if term.is_zero() {
            break;
        }
        sum += &term;
    }
    for _ in 0..halvings {
        sum = (&sum * &sum) >> EXP_BITS;
    }
    Q::new(sum, one)
}

/// A place inside a list.
pub(super) fn at(list: &str, index: usize) -> String {
    format!("{list}[{index}]")
}
