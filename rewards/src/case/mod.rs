//! A reward calculator on exact rationals, for any scheme that was ever in use, from one JSON object to another.
//!
//! It answers `poolctl split`: operators ask what a block would pay, and other people check their own calculators
//! against it. Nothing here touches money. It shares no arithmetic with the engines on purpose: weights are fractions
//! without rounding, so that it is also the slow oracle that fixed-point results are compared with. Some of its
//! schemes are historic, some are broken, and the documentation of each says so.
//!
//! A case has the members `scheme` and `inputs`, as in the published vectors; the answer has the members that the
//! vectors' `expected` have: `alloc` in whole units with the operator as `~operator`, `credit` for schemes that pay
//! shares, `blocks` where a case has several, and `exact`, `weights` and `window` to see how it came about. Whole
//! numbers from `2^53` on are written as strings, fractions as `"n/d"`.

mod amounts;
mod debts;
mod number;
mod rounding;
mod share_pay;
mod shares;
mod windows;

use number::Q;
use serde_json::{Map, Value};
use std::string::String;

/// Why a case has no answer. Each names the place: a key, or a list with the number of its element.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CaseError {
    /// The text is not JSON.
    #[error("not JSON: {0}")]
    Json(String),
    /// A member is missing.
    #[error("{0} is missing")]
    Missing(String),
    /// A member is there and is not what it must be.
    #[error("{place} must be {expected}")]
    Wrong {
        /// Which.
        place: String,
        /// What it must be.
        expected: &'static str,
    },
    /// A scheme nobody here knows.
    #[error("scheme {0:?} is unknown")]
    UnknownScheme(String),
    /// The vectors' group of numbers that are not about a split.
    #[error("scheme {0:?} is a check of numbers, nothing is split")]
    NothingToSplit(String),
    /// A difficulty of zero.
    #[error("{0} is zero")]
    ZeroDifficulty(String),
    /// A difficulty no chain can have.
    #[error("{0} is above 2^256")]
    AbsurdDifficulty(String),
    /// An amount past 128 bits.
    #[error("{0} is above 2^128 - 1")]
    WideAmount(String),
    /// A share is missing.
    #[error("{place}: share {found} follows share {last}: shares are missing")]
    Gap {
        /// Where.
        place: String,
        /// The share before.
        last: u64,
        /// The share there.
        found: u64,
    },
    /// A share is there twice, or shares are out of order.
    #[error("{place}: share {found} follows share {last}: repeated or out of order")]
    Repeat {
        /// Where.
        place: String,
        /// The share before.
        last: u64,
        /// The share there.
        found: u64,
    },
    /// A block at a share that is not in the list.
    #[error("{place}: no share {seq}")]
    UnknownBlock {
        /// Where.
        place: String,
        /// The share named.
        seq: u64,
    },
    /// Nobody has any weight.
    #[error("{0}: no work to pay")]
    EmptyRound(String),
}

type Result<T> = core::result::Result<T, CaseError>;

/// Answers one case, from text to text: a line of JSON each.
///
/// # Errors
/// [`CaseError`].
pub fn split_text(line: &str) -> Result<String> {
    let case: Value = serde_json::from_str(line).map_err(|error| CaseError::Json(error.to_string()))?;
    Ok(split_case(&case)?.to_string())
}

/// Answers one case: `scheme`, `inputs`, and optionally `id` and `description` as the vectors have them.
///
/// # Errors
/// [`CaseError`].
pub fn split_case(case: &Value) -> Result<Value> {
    let case = Case::new(case)?;
    let answer = match case.scheme.as_str() {
        "PROP" => shares::prop(&case),
        "SOLO" => shares::solo(&case),
        "QUEUE" => shares::queue(&case),
        "IC-2016" => shares::ic2016(&case),
        "SLUSH" => shares::slush(&case),
        "PPLNS" => windows::pplns(&case),
        "PPLNT" => windows::pplnt(&case),
        "EXP-PPLNS" => windows::exponential(&case),
        "TIDES" => windows::tides(&case),
        "SLICE" => windows::slice(&case),
        "DGM" => windows::double_geometric(&case, None),
        "GEOMETRIC" => windows::double_geometric(&case, Some(Q::from_integer(0.into()))),
        "PPS" => share_pay::pps(&case),
        "FPPS" => share_pay::fpps(&case),
        "PPS+" => share_pay::pps_plus(&case),
        "SMPPS" => debts::smpps(&case),
        "CPPSRB" => debts::cppsrb(&case),
        "FEES" => rounding::fees(&case),
        "ROUNDING" => rounding::rules(&case),
        "FLOAT" | "WIDTH" | "THEORY" | "FIXEDPOINT" => Err(CaseError::NothingToSplit(case.scheme.clone())),
        _ => Err(CaseError::UnknownScheme(case.scheme.clone())),
    }?;
    Ok(Value::Object(answer))
}

/// A case with its members at hand.
struct Case<'a> {
    scheme: String,
    /// The vectors tell some variants of one scheme apart by their names alone.
    label: String,
    inputs: &'a Map<String, Value>,
}

impl<'a> Case<'a> {
    fn new(case: &'a Value) -> Result<Self> {
        let wrong = |place: &str, expected| CaseError::Wrong { place: place.into(), expected };
        let case = case.as_object().ok_or_else(|| wrong("the case", "an object"))?;
        let member = |key: &str| case.get(key).ok_or_else(|| CaseError::Missing(key.into()));
        let scheme = member("scheme")?.as_str().ok_or_else(|| wrong("scheme", "a text"))?;
        let inputs = member("inputs")?.as_object().ok_or_else(|| wrong("inputs", "an object"))?;
        let text = |key: &str| case.get(key).and_then(Value::as_str).unwrap_or("");
        let label = std::format!("{} {}", text("id"), text("description")).to_lowercase();
        Ok(Self { scheme: scheme.to_uppercase(), label, inputs })
    }

    fn has(&self, key: &str) -> bool {
        self.inputs.contains_key(key)
    }

    fn value(&self, key: &str) -> Result<&'a Value> {
        self.inputs.get(key).ok_or_else(|| CaseError::Missing(std::format!("inputs.{key}")))
    }

    /// The first of several spellings that is there, with its own name.
    fn one_of(&self, keys: &[&'static str]) -> Result<(&'static str, &'a Value)> {
        keys.iter()
            .find_map(|key| self.inputs.get(*key).map(|value| (*key, value)))
            .ok_or_else(|| CaseError::Missing(std::format!("inputs.{}", keys[0])))
    }

    fn rational(&self, key: &str) -> Result<Q> {
        number::rational(self.value(key)?, &std::format!("inputs.{key}"))
    }

    fn amount(&self, key: &str) -> Result<num_bigint::BigInt> {
        number::amount(self.value(key)?, &std::format!("inputs.{key}"))
    }

    fn list(&self, key: &str) -> Result<&'a Vec<Value>> {
        self.value(key)?
            .as_array()
            .ok_or_else(|| CaseError::Wrong { place: std::format!("inputs.{key}"), expected: "a list" })
    }

    /// True when the case's own words, or an input, name this variant.
    fn says(&self, key: &str, words: &[&str]) -> bool {
        let stated = self.inputs.get(key).and_then(Value::as_str).map(str::to_lowercase);
        match stated {
            Some(stated) => words.iter().any(|word| stated.contains(word)),
            None => words.iter().any(|word| self.label.contains(word)),
        }
    }
}

#[cfg(test)]
mod tests;
