//! `poolctl address`: is this an address of the coin, and if not, why.

use poold::chains::{CoinName, address_trouble};
use serde_json::{Value, json};

/// Any of the coin's networks; the canonical spelling comes back for a valid address, the given text for another.
pub(crate) fn answer(coin: CoinName, line: &str) -> Value {
    match coin.judge_address(line) {
        Ok(address) => json!({ "address": address, "valid": true, "reason": Value::Null }),
        Err(error) => {
            json!({ "address": line, "valid": false, "reason": address_trouble(coin.facts().id, line, &error) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_judged_by_its_own_coin_and_named_by_others() {
        let of = [
            (CoinName::Kaspa, "kaspa:qpumuen7l8wthtz45p3ftn58pvrs9xlumvkuu2xet8egzkcklqtes4ypce9sf"),
            (CoinName::Alephium, "1C2RAVWSuaXw8xtUxqVERR7ChKBE1XgscNFw73NSHE1v3"),
            (CoinName::Hypra, "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"),
        ];
        for (owner, address) in of {
            for coin in CoinName::ALL {
                let answer = answer(coin, address);
                assert_eq!(answer["valid"], coin == owner, "{coin:?} {address}");
                let reason = answer["reason"].as_str().unwrap_or_default();
                assert_eq!(reason.contains(owner.facts().name), coin != owner, "{reason}");
            }
        }
        assert_eq!(answer(CoinName::Nexa, "")["valid"], false);
    }
}
