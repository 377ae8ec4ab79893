//! `poolctl split`: the allocations of a case, computed in exact rationals.

use serde_json::Value;

pub(crate) fn case(line: &str) -> Result<Value, String> {
    let case: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    pool_rewards::case::split_case(&case).map_err(|error| error.to_string())
}
