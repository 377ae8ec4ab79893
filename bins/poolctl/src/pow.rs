//! `poolctl pow`: proof of work for other people's tests.

use pool_coins::hash::kheavyhash;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kaspa {
    pre_pow: String,
    timestamp: u64,
    nonce: String,
}

pub(crate) fn kaspa(line: &str) -> Result<Value, String> {
    let ask: Kaspa = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let mut pre_pow = [0; 32];
    hex::decode_to_slice(&ask.pre_pow, &mut pre_pow).map_err(|_| "pre_pow must be 64 hexadecimal digits")?;
    let digits = ask.nonce.strip_prefix("0x").unwrap_or(&ask.nonce);
    let plain =
        !digits.is_empty() && digits.len() <= 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let nonce = u64::from_str_radix(digits, 16).ok().filter(|_| plain);
    let nonce = nonce.ok_or("nonce must be at most 16 hexadecimal digits, big-endian")?;
    let hash = kheavyhash::pow(&kheavyhash::Matrix::new(&pre_pow), &pre_pow, ask.timestamp, nonce);
    Ok(json!({ "pow": hex::encode(hash.to_le_bytes::<32>()) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mainnet_block() {
        let ask = r#"{"pre_pow":"91cc6c2cb295a5d5234076a5484137d4bf4ee738619a1bfd74ae22760f25f9a5","timestamp":1724081279941,"nonce":"0021d1b51bc4b490"}"#;
        let pow = "75baa7bfd5397169145ae57bcdc7ef387f819dbd5f27f20a1400000000000000";
        assert_eq!(kaspa(ask), Ok(json!({ "pow": pow })));
    }

    #[test]
    fn bad_asks_say_what_is_wrong() {
        for bad in [
            "{}",
            "[]",
            r#"{"pre_pow":"00","timestamp":1,"nonce":"1"}"#,
            r#"{"pre_pow":"91cc6c2cb295a5d5234076a5484137d4bf4ee738619a1bfd74ae22760f25f9a5","timestamp":-1,"nonce":"1"}"#,
            r#"{"pre_pow":"91cc6c2cb295a5d5234076a5484137d4bf4ee738619a1bfd74ae22760f25f9a5","timestamp":1,"nonce":"+1"}"#,
            r#"{"pre_pow":"91cc6c2cb295a5d5234076a5484137d4bf4ee738619a1bfd74ae22760f25f9a5","timestamp":1,"nonce":""}"#,
        ] {
            assert!(kaspa(bad).is_err(), "{bad}");
        }
    }
}
