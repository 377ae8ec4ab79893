//! The small values that everything else is made of, from text.

use super::{same_again, text};
use pool_core::id::{BlockId, CoinId, MinerId, PayoutId, TxId, WorkerName};
use pool_core::units::{Amount, BasisPoints, Units, Work};
use pool_rewards::scheme::parse_units;
use std::fmt::Display;
use std::str::FromStr;

/// What is read is what is written, and a worker's name is valid whatever was sent.
pub fn target(data: &[u8]) {
    let text = text(data);
    let cleaned = WorkerName::clean(&text);
    assert_eq!(WorkerName::new(cleaned.as_str()).as_ref(), Ok(&cleaned));
    assert_eq!(WorkerName::clean(cleaned.as_str()), cleaned, "a clean name stays as it is");

    exact::<CoinId>(&text);
    exact::<MinerId>(&text);
    exact::<WorkerName>(&text);
    exact::<PayoutId>(&text);
    if let Ok(id) = text.parse::<BlockId>() {
        assert_eq!(id.to_string(), text.to_ascii_lowercase());
        assert_eq!(text.parse::<TxId>().map(|tx| *tx.bytes()), Ok(*id.bytes()));
    }
    if let Ok(payout) = text.parse::<PayoutId>() {
        assert!(text.ends_with(&payout.number().to_string()));
    }
    if let Ok(amount) = text.parse::<Amount>() {
        assert_eq!(amount.to_string().parse(), Ok(amount));
        for decimals in [0, 8, 18, 39] {
            let shown = amount.display(decimals);
            assert_eq!(shown.replace('.', "").parse(), Ok(amount), "{shown}");
        }
        assert_eq!(BasisPoints::new(10_000).map(|all| all.of(amount)), Ok(amount));
    }
    if let Ok(units) = parse_units(&text) {
        // A fraction is rounded down to the fixed point; a whole number is exact.
        let whole = text.split(['.', '/']).next().and_then(|digits| digits.parse::<u128>().ok());
        let whole = whole.and_then(|whole| Units::from_ratio(whole, 1));
        assert!(text.contains('/') || whole.is_some_and(|whole| whole <= units), "{text}");
        assert!(text.contains(['.', '/']) || whole == Some(units), "{text}");
    }

    json::<Amount>(&text);
    json::<BasisPoints>(&text);
    json::<Units>(&text);
    json::<Work>(&text);
}

/// Names with one spelling.
fn exact<T: FromStr + Display>(text: &str) {
    if let Ok(name) = text.parse::<T>() {
        assert_eq!(name.to_string(), text);
    }
}

fn json<T>(text: &str)
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    if let Ok(value) = serde_json::from_str::<T>(text) {
        same_again(&value);
    }
}
