//! `poolctl address`: is this an address of the coin, and if not, why.

use pool_coins::kaspa::address::Address;
use serde_json::{Value, json};

/// Any of Kaspa's networks; the canonical spelling comes back for a valid address, the given text for another.
pub(crate) fn kaspa(line: &str) -> Result<Value, String> {
    Ok(match Address::decode(line) {
        Ok(address) => json!({ "address": address.to_string(), "valid": true, "reason": Value::Null }),
        Err(error) => json!({ "address": line, "valid": false, "reason": error.to_string() }),
    })
}
